package stacks

import "github.com/ekspedite/ekspedite/infra/constructs"

// eksGrants let clusters, with all that is in them, be made, watched, changed and deleted.
func eksGrants() []constructs.Grant {
	const (
		anyCluster = "Which clusters there are is what requests say."
		oursOnly   = "Which clusters there are is what requests say. The condition leaves those that ekspedite has made."
	)
	clusters := []string{anywhere("eks", "cluster/*")}
	var inClusters []string
	for _, kind := range []string{
		"nodegroup", "addon", "fargateprofile", "access-entry", "podidentityassociation", "identityproviderconfig", "capability",
	} {
		inClusters = append(inClusters, anywhere("eks", kind+"/*"))
	}
	everything := append(clusters[:1:1], inClusters...)
	return []constructs.Grant{{
		Sid:       "ReadVersions",
		Actions:   prefixed("eks:", "ListClusters", "DescribeClusterVersions", "DescribeAddonVersions"),
		Resources: []string{"*"},
		Wide:      "EKS has no resources to name for these actions.",
	}, {
		Sid: "ReadClusters",
		Actions: prefixed("eks:", "DescribeCluster", "DescribeUpdate", "DescribeNodegroup", "DescribeAddon", "DescribeFargateProfile",
			"DescribeAccessEntry", "DescribePodIdentityAssociation", "DescribeIdentityProviderConfig", "DescribeCapability",
			"ListNodegroups", "ListAddons", "ListFargateProfiles", "ListAccessEntries", "ListAssociatedAccessPolicies",
			"ListPodIdentityAssociations", "ListIdentityProviderConfigs", "ListCapabilities"),
		Resources: everything,
		Wide:      anyCluster,
	}, {
		Sid:       "CreateClusters",
		Actions:   []string{"eks:CreateCluster"},
		Resources: clusters,
		Wide:      anyCluster,
		When:      asked,
	}, {
		// Creating a part of a cluster is an action on the cluster.
		Sid: "ChangeClusters",
		Actions: prefixed("eks:", "UpdateClusterConfig", "DeleteCluster", "AssociateEncryptionConfig", "AssociateIdentityProviderConfig",
			"CreateNodegroup", "CreateAddon", "CreateFargateProfile", "CreateAccessEntry", "CreatePodIdentityAssociation", "CreateCapability"),
		Resources: clusters,
		Wide:      oursOnly,
		When:      ours,
	}, {
		Sid: "ChangeWhatIsInClusters",
		Actions: prefixed("eks:", "UpdateNodegroupConfig", "UpdateNodegroupVersion", "DeleteNodegroup", "UpdateAddon", "DeleteAddon",
			"DeleteFargateProfile", "UpdateAccessEntry", "DeleteAccessEntry", "AssociateAccessPolicy", "DisassociateAccessPolicy", // of people, too
			"UpdatePodIdentityAssociation", "DeletePodIdentityAssociation", "DisassociateIdentityProviderConfig", "UpdateCapability",
			"DeleteCapability"),
		Resources: inClusters,
		Wide:      oursOnly,
		When:      ours,
	}, {
		// EKS itself makes the access entry of a capability's role, without a tag.
		Sid:       "LetCapabilitiesIn",
		Actions:   prefixed("eks:", "AssociateAccessPolicy", "DisassociateAccessPolicy"),
		Resources: []string{anywhere("eks", "access-entry/*/role/*")},
		Wide:      anyCluster,
	}, {
		// EKS wants this for tags on creation, and does not say that something is being created: the first grant could tag what
		// is somebody else's. What EKS offers as a condition is no narrower.
		Sid:       "TagOnCreation",
		Actions:   []string{"eks:TagResource"},
		Resources: everything,
		Wide:      anyCluster,
		When:      asked,
	}, {
		Sid:       "RetagClusters",
		Actions:   []string{"eks:TagResource"},
		Resources: everything,
		Wide:      oursOnly,
		When:      ours,
	}}
}

// checkGrants are what it takes to know before anything is made whether it can be made and what it will cost, and what is
// neither network, machine, role nor cluster.
func checkGrants() []constructs.Grant {
	const noARN = "There are no resources to name for these actions."
	return []constructs.Grant{{
		Sid:       "ReadQuotas",
		Actions:   []string{"servicequotas:GetServiceQuota", "servicequotas:GetAWSDefaultServiceQuota"},
		Resources: []string{"*"},
		Wide:      noARN,
	}, {
		Sid:       "FindImages", // AWS's own parameters, and those of its partners
		Actions:   []string{"ssm:GetParameter"},
		Resources: []string{"arn:${AWS::Partition}:ssm:*::parameter/aws/service/*"},
		Wide:      "They are public.",
	}, {
		Sid:       "SeeKeys",
		Actions:   []string{"kms:DescribeKey"},
		Resources: []string{anywhere("kms", "key/*")},
		Wide:      "Which key is to encrypt a cluster's secrets is what its spec says; the key's own policy decides.",
	}, {
		Sid:       "LetClustersUseKeys",
		Actions:   []string{"kms:CreateGrant"},
		Resources: []string{anywhere("kms", "key/*")},
		Wide:      "Which key is to encrypt a cluster's secrets is what its spec says; the key's own policy decides.",
		When:      conditions{"Bool": {"kms:GrantIsForAWSResource": "true"}},
	}, {
		Sid:       "KeepLogsOfClusters",
		Actions:   prefixed("logs:", "CreateLogGroup", "TagResource", "PutRetentionPolicy", "DeleteLogGroup", "ListTagsForResource"),
		Resources: []string{anywhere("logs", "log-group:/aws/eks/*")},
		Wide:      "Control planes log to groups of this name, and nobody else does.",
	}, {
		Sid:       "FindLogsOfClusters",
		Actions:   []string{"logs:DescribeLogGroups"},
		Resources: []string{anywhere("logs", "log-group:*")},
		Wide:      "It is a list of all.",
	}}
}
