package stacks

import (
	"slices"

	"github.com/ekspedite/ekspedite/infra/constructs"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// allowScaling gives the scaling function its policies: its own, and one apart for each area. In which Regions, KeepToRegions
// says, as for the cluster function.
func allowScaling(w *constructs.Worker, ledger Ledger) {
	w.Allow(constructs.Grant{
		Sid:       "ListClusters", // for the sweep
		Actions:   []string{"dynamodb:Query"},
		Resources: []string{*ledger.TableARN},
	}, keepToRegions())
	w.Allow(marketGrants()...)
	w.AllowApart("Sizes", "", sizeGrants()...)
	w.AllowApart("Groups", "", groupGrants()...)
	w.AllowApart("Fleets", "", fleetGrants()...)
}

// marketGrants are what it takes to see clusters, their machines, and what machines there are.
func marketGrants() []constructs.Grant {
	const noARN = "These calls have no resources to name."
	return []constructs.Grant{{
		Sid:     "SeeMachines",
		Actions: prefixed("ec2:Describe", "Instances", "InstanceTypeOfferings", "InstanceTypes", "LaunchTemplateVersions", "SpotPriceHistory", "Subnets"),
		Wide:    noARN, Resources: []string{"*"},
	}, {
		Sid:     "SeeGroups",
		Actions: prefixed("autoscaling:Describe", "AutoScalingGroups", "ScalingActivities"),
		Wide:    noARN, Resources: []string{"*"},
	}, {
		Sid:     "SeePrices",
		Actions: []string{"pricing:GetProducts"},
		Wide:    noARN, Resources: []string{"*"},
	}, {
		Sid:       "SeeClusters",
		Actions:   prefixed("eks:", "DescribeCluster", "ListNodegroups", "DescribeNodegroup"),
		Resources: []string{anywhere("eks", "cluster/*"), anywhere("eks", "nodegroup/*")},
		Wide:      "Which clusters there are is what requests say.",
	}}
}

// sizeGrants let the sizes of node groups be set. EKS leaves the desired size of a managed node group to whoever scales it,
// and keeps the least and the greatest itself.
func sizeGrants() []constructs.Grant {
	groups := []string{anywhere("autoscaling", "autoScalingGroup:*:autoScalingGroupName/*")}
	return []constructs.Grant{{
		Sid:       "SizeManagedGroups",
		Actions:   []string{"autoscaling:SetDesiredCapacity"},
		Resources: groups,
		Wide:      "EKS names the groups of its node groups, with a random part. The condition leaves those of clusters.",
		When:      tagged("aws:ResourceTag/eks:cluster-name"),
	}, {
		Sid:       "SizeSelfManagedGroups",
		Actions:   prefixed("autoscaling:", "SetDesiredCapacity", "UpdateAutoScalingGroup"),
		Resources: groups,
		Wide:      "The condition leaves the groups that ekspedite has made.",
		When:      ours,
	}, {
		Sid:       "BoundManagedGroups",
		Actions:   []string{"eks:UpdateNodegroupConfig"},
		Resources: []string{anywhere("eks", "nodegroup/*")},
		Wide:      "The condition leaves the node groups that ekspedite has made.",
		When:      ours,
	}}
}

// groupGrants let managed node groups be made for the pools of a policy, and retired.
func groupGrants() []constructs.Grant {
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
		When:      tagged("aws:RequestTag/" + poolTag),
	}, {
		Sid:       "RetireGroups",
		Actions:   []string{"eks:DeleteNodegroup"},
		Resources: nodegroups,
		Wide:      "The condition leaves the groups that the planner itself has made.",
		When:      tagged("aws:ResourceTag/" + poolTag),
	}, {
		// EKS tries whether its caller might do what the launch template says, and hand over the nodes' role.
		Sid:       "HandRolesToNodes",
		Actions:   []string{"iam:PassRole"},
		Resources: rolesOfClusters,
		Wide:      byPath,
		When:      conditions{"StringEquals": {"iam:PassedToService": []string{"eks.amazonaws.com", "ec2.amazonaws.com"}}},
	}, {
		Sid:     "SeeRolesOfNodes",
		Actions: []string{"iam:GetRole"},
		// EKS also tries whether its caller sees the role by which it manages groups.
		Resources: append(slices.Clone(rolesOfClusters), iamARN("role/aws-service-role/eks-nodegroup.amazonaws.com/AWSServiceRoleForAmazonEKSNodegroup")),
		Wide:      byPath,
	}}
}

// fleetGrants let machines be launched without a group, from launch templates that ekspedite has made for clusters.
func fleetGrants() []constructs.Grant {
	return []constructs.Grant{{
		Sid:       "AskForFleets",
		Actions:   []string{"ec2:CreateFleet"},
		Resources: ec2ARNs("fleet"),
		Wide:      ids,
		When:      asked,
	}, {
		Sid:       "FromOurTemplates",
		Actions:   prefixed("ec2:", "CreateFleet", "RunInstances"),
		Resources: ec2ARNs("launch-template"),
		Wide:      "The condition leaves the templates that ekspedite has made for clusters.",
		When:      ours,
	}, runTheirMachines(), {
		Sid:       "TagFleets",
		Actions:   []string{"ec2:CreateTags"},
		Resources: ec2ARNs("fleet", "instance", "volume", "network-interface", "spot-instances-request"),
		Wide:      ids,
		When:      conditions{"StringEquals": {"ec2:CreateAction": []string{"CreateFleet", "RunInstances"}}},
	}}
}

// runTheirMachines lets machines be run from the launch template in the same call.
func runTheirMachines() constructs.Grant {
	return constructs.Grant{
		Sid:     "RunTheirMachines",
		Actions: []string{"ec2:RunInstances"},
		Resources: append(ec2ARNs("instance", "volume", "network-interface", "subnet", "security-group", "key-pair", "placement-group",
			"capacity-reservation", "spot-instances-request"), "arn:${AWS::Partition}:ec2:*::image/*", "arn:${AWS::Partition}:ec2:*::snapshot/*",
			anywhere("ec2", "image/*"), anywhere("ec2", "snapshot/*")),
		Wide: "What machines are made of is what their launch template says, and the one in the same call must be ekspedite's.",
		When: conditions{"ArnLike": {"ec2:LaunchTemplate": ec2ARNs("launch-template")}},
	}
}

// poolTag is on what the planner makes for a pool.
const poolTag = fleet.TagPool

// doorbellGrants are what it takes to hear of a pod, and to pass it on.
func doorbellGrants(d *constructs.Called, ledger Ledger, scaling *constructs.Worker) []constructs.Grant {
	return append([]constructs.Grant{{
		Sid:       "PassOn",
		Actions:   []string{"sqs:SendMessage"},
		Resources: []string{*scaling.Queue.QueueArn()},
	}, {
		// Of the ledger it sees its own part: the keys, and what was passed on last.
		Sid:       "KeepItsPartOfTheLedger",
		Actions:   []string{"dynamodb:GetItem", "dynamodb:PutItem"},
		Resources: []string{*ledger.TableARN},
		When:      conditions{"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": []string{"doorbell"}}},
	}}, ownGrants(&d.Function)...)
}

// ringGrants let the cluster function have clusters ring by other ways than a webhook, which is in the cluster.
func ringGrants() []constructs.Grant {
	return []constructs.Grant{{
		Sid:       "RingByLogs",
		Actions:   prefixed("logs:", "DescribeSubscriptionFilters", "PutSubscriptionFilter", "DeleteSubscriptionFilter"),
		Resources: []string{anywhere("logs", "log-group:/aws/eks/*")},
		Wide:      "Control planes log to groups of this name, and nobody else does.",
	}, {
		Sid:       "RingByAlarms",
		Actions:   prefixed("cloudwatch:", "PutMetricAlarm", "DeleteAlarms"),
		Resources: []string{anywhere("cloudwatch", "alarm:"+fleet.PendingPodsAlarms+"*")},
		Wide:      "One for each cluster. The name is ekspedite's alone.",
	}, {
		Sid:       "FindAlarms",
		Actions:   []string{"cloudwatch:DescribeAlarms"},
		Resources: []string{anywhere("cloudwatch", "alarm:*")},
		Wide:      "It is a list of all.",
	}}
}
