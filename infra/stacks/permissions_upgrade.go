package stacks

import "github.com/ekspedite/ekspedite/infra/constructs"

// allowUpgrade gives the upgrade function its policies: what it reads, and apart what it changes. In which Regions,
// KeepToRegions says, as for the cluster function.
func allowUpgrade(w *constructs.Worker, ledger Ledger) {
	w.Allow(constructs.Grant{
		Sid:       "ListClusters", // for the sweep, and for rollouts
		Actions:   []string{"dynamodb:Query"},
		Resources: []string{*ledger.TableARN},
	}, keepToRegions())
	w.AllowApart("Readiness", "", readinessGrants()...)
	w.AllowApart("Upgrades", "", upgradeGrants()...)
	w.AllowApart("Moves", "", moveGrants()...)
}

// authorities is why the actions on certificate authorities are in no list yet.
const authorities = "EKS has had certificate authorities since August 2026."

// readinessGrants are what it takes to know how a cluster stands, and whether it may be upgraded.
func readinessGrants() []constructs.Grant {
	const noARN = "These calls have no resources to name."
	const anyCluster = "Which clusters there are is what requests say."
	var inClusters []string
	for _, kind := range []string{"nodegroup", "addon", "fargateprofile", "capability", "podidentityassociation", "identityproviderconfig"} {
		inClusters = append(inClusters, anywhere("eks", kind+"/*"))
	}
	return []constructs.Grant{{
		Sid:       "SeeVersions",
		Actions:   prefixed("eks:Describe", "ClusterVersions", "AddonVersions", "AddonConfiguration"),
		Resources: []string{"*"},
		Wide:      "EKS has no resources to name for these actions.",
	}, {
		Sid: "SeeClusters",
		Actions: append(prefixed("eks:List", "Updates", "Nodegroups", "Addons", "Insights", "Capabilities", "CertificateAuthorities",
			"IdentityProviderConfigs"), prefixed("eks:Describe", "Cluster", "Update", "Nodegroup", "Addon", "Insight", "InsightsRefresh", "Capability",
			"CertificateAuthority", "IdentityProviderConfig", "PodIdentityAssociation")...),
		Resources: append([]string{anywhere("eks", "cluster/*")}, inClusters...),
		Wide:      anyCluster,
		Unlisted:  authorities,
	}, {
		Sid: "SeeNetworksAndMachines",
		Actions: prefixed("ec2:Describe", "Images", "Instances", "InstanceTypes", "KeyPairs", "LaunchTemplates", "LaunchTemplateVersions", "SecurityGroups",
			"Subnets", "Volumes", "VpcAttribute", "Vpcs"),
		Resources: []string{"*"},
		Wide:      noARN,
	}, {
		Sid:       "SeeGroups",
		Actions:   prefixed("autoscaling:Describe", "AutoScalingGroups", "InstanceRefreshes", "ScalingActivities"),
		Resources: []string{"*"},
		Wide:      noARN,
	}, {
		Sid:       "SeeQuotas",
		Actions:   prefixed("servicequotas:Get", "ServiceQuota", "AWSDefaultServiceQuota"),
		Resources: []string{"*"},
		Wide:      "Which quotas are asked for depends on what a cluster consists of. They hold no secrets.",
	}, {
		Sid:     "SeeImages", // public parameters
		Actions: []string{"ssm:GetParameter"},
		Resources: []string{"arn:${AWS::Partition}:ssm:*::parameter/aws/service/eks/optimized-ami/*", "arn:${AWS::Partition}:ssm:*::parameter/aws/service/bottlerocket/*",
			"arn:${AWS::Partition}:ssm:*::parameter/aws/service/ami-windows-latest/*", "arn:${AWS::Partition}:ssm:*::parameter/aws/service/canonical/*"},
		Wide: "An image is published for each version, family and architecture.",
	}, {
		Sid:       "SeeRoles",
		Actions:   prefixed("iam:Get", "Role", "InstanceProfile"),
		Resources: []string{iamARN("role/*"), iamARN("instance-profile/*")},
		Wide:      "Clusters, add-ons and nodes may have been given roles from anywhere in the account, and whether they still exist is asked.",
	}, {
		Sid:       "SeeKeys",
		Actions:   []string{"kms:DescribeKey"},
		Resources: []string{anywhere("kms", "key/*")},
		Wide:      "Which key encrypts a cluster's secrets is its owner's choice.",
	}, {
		Sid:       "SeeAlarms",
		Actions:   []string{"cloudwatch:DescribeAlarms"},
		Resources: []string{anywhere("cloudwatch", "alarm:*")},
		Wide:      "Which alarms stop an upgrade is what policies say.",
	}}
}

// upgradeGrants let versions be changed.
func upgradeGrants() []constructs.Grant {
	const oursOnly = "Which clusters there are is what requests say. The condition leaves those that ekspedite has made."
	return []constructs.Grant{{
		Sid:       "UpgradeControlPlanes",
		Actions:   prefixed("eks:", "UpdateClusterVersion", "CreateCertificateAuthority", "ActivateCertificateAuthority", "DeleteCertificateAuthority"),
		Resources: []string{anywhere("eks", "cluster/*")},
		Wide:      oursOnly,
		Unlisted:  authorities,
		When:      ours,
	}, {
		Sid:       "RefreshInsights", // they are a day old otherwise
		Actions:   []string{"eks:StartInsightsRefresh"},
		Resources: []string{anywhere("eks", "cluster/*")},
		Wide:      oursOnly,
		When:      ours,
	}, {
		Sid:       "UpgradeWhatIsInClusters",
		Actions:   prefixed("eks:", "UpdateNodegroupVersion", "UpdateAddon"),
		Resources: []string{anywhere("eks", "nodegroup/*"), anywhere("eks", "addon/*")},
		Wide:      oursOnly,
		When:      ours,
	}}
}

// moveGrants let a node group be made beside another one that is to go, and Auto Scaling groups of ekspedite's own get
// another image.
func moveGrants() []constructs.Grant {
	const oursOnly = "The condition leaves what ekspedite has made for clusters."
	nodegroups := []string{anywhere("eks", "nodegroup/*")}
	return []constructs.Grant{{
		Sid:       "MakeGroups", // an action on the cluster
		Actions:   []string{"eks:CreateNodegroup"},
		Resources: []string{anywhere("eks", "cluster/*")},
		Wide:      "The condition leaves the clusters that ekspedite has made.",
		When:      ours,
	}, {
		Sid:       "TagGroups",
		Actions:   []string{"eks:TagResource"},
		Resources: nodegroups,
		Wide:      "EKS wants this for tags on creation, and does not say that something is being created.",
		When:      asked,
	}, {
		Sid:       "RetireGroups",
		Actions:   prefixed("eks:", "UpdateNodegroupConfig", "DeleteNodegroup"),
		Resources: nodegroups,
		Wide:      oursOnly,
		When:      ours,
	}, {
		// EKS tries whether its caller might hand over the nodes' role.
		Sid:       "HandRolesToNodes",
		Actions:   []string{"iam:PassRole"},
		Resources: rolesOfClusters,
		Wide:      byPath,
		When:      conditions{"StringEquals": {"iam:PassedToService": []string{"eks.amazonaws.com", "ec2.amazonaws.com"}}},
	}, {
		Sid:       "ChangeSelfManagedGroups",
		Actions:   prefixed("autoscaling:", "UpdateAutoScalingGroup", "CreateOrUpdateTags"),
		Resources: []string{anywhere("autoscaling", "autoScalingGroup:*:autoScalingGroupName/*")},
		Wide:      oursOnly,
		When:      ours,
	}, {
		Sid:       "ChangeLaunchTemplates",
		Actions:   []string{"ec2:CreateLaunchTemplateVersion"},
		Resources: ec2ARNs("launch-template"),
		Wide:      oursOnly,
		When:      ours,
	}, {
		// EKS and Auto Scaling try whether their caller might do what the launch template says.
		Sid:       "FromOurTemplates",
		Actions:   []string{"ec2:RunInstances"},
		Resources: ec2ARNs("launch-template"),
		Wide:      oursOnly,
		When:      ours,
	}, runTheirMachines(), {
		Sid:       "TagMachines",
		Actions:   []string{"ec2:CreateTags"},
		Resources: ec2ARNs("instance", "volume", "network-interface", "spot-instances-request"),
		Wide:      ids,
		When:      conditions{"StringEquals": {"ec2:CreateAction": []string{"RunInstances"}}},
	}}
}
