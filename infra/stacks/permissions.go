package stacks

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"

	"github.com/ekspedite/ekspedite/infra/constructs"
)

// Everything that a function may do is in this file, and nothing else grants anything. One grant is one purpose. The
// embedded cloud evaluates these very statements, and reports those that were never used.

// clusterTag is on everything that the cluster function makes, as on everything that eksctl makes, with the cluster's
// name as its value. It is what tells ekspedite's networks from others in the account.
const clusterTag = "alpha.eksctl.io/cluster-name"

// ec2ARN is the ARN of an EC2 resource of this account and Region.
func ec2ARN(resource string) string {
	return "arn:${AWS::Partition}:ec2:${AWS::Region}:${AWS::AccountId}:" + resource
}

// eksARN is the ARN of an EKS resource of this account and Region.
func eksARN(resource string) string {
	return "arn:${AWS::Partition}:eks:${AWS::Region}:${AWS::AccountId}:" + resource
}

// iamARN is the ARN of an IAM resource of this account.
func iamARN(resource string) string {
	return "arn:${AWS::Partition}:iam::${AWS::AccountId}:" + resource
}

// tagged is a condition that a tag key is there, with whatever value.
func tagged(key string) map[string]map[string]any {
	return map[string]map[string]any{"Null": {key: "false"}}
}

// workerGrants are what every function needs to be one.
func workerGrants(w *constructs.Worker, ledger Ledger, bus awsevents.EventBus) []constructs.Grant {
	return []constructs.Grant{{
		Sid:       "TakeMessages", // Lambda's poller acts as the function
		Actions:   []string{"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"},
		Resources: []string{*w.Queue.QueueArn()},
	}, {
		Sid:       "ReleaseMessages", // what failed comes back after a second, not after the visibility timeout
		Actions:   []string{"sqs:ChangeMessageVisibility"},
		Resources: []string{*w.Queue.QueueArn()},
	}, {
		Sid:       "DeferToItself",
		Actions:   []string{"sqs:SendMessage"},
		Resources: []string{*w.Queue.QueueArn()},
	}, {
		Sid:       "RejectToDeadLetters",
		Actions:   []string{"sqs:SendMessage"},
		Resources: []string{*w.DeadLetters.QueueArn()},
	}, {
		Sid:       "KeepTheLedger",
		Actions:   []string{"dynamodb:GetItem", "dynamodb:PutItem"},
		Resources: []string{*ledger.TableARN},
	}, {
		Sid:       "Report",
		Actions:   []string{"events:PutEvents"},
		Resources: []string{*bus.EventBusArn()},
	}, {
		Sid:       "WriteLogs",
		Actions:   []string{"logs:CreateLogStream", "logs:PutLogEvents"},
		Resources: []string{*w.Logs.LogGroupArn()},
	}, {
		Sid:       "Trace",
		Actions:   []string{"xray:PutTraceSegments", "xray:PutTelemetryRecords"},
		Resources: []string{"*"},
		Wide:      "X-Ray has no resources to name for these actions.",
	}}
}

// interruptionGrants are what it takes to find a machine's cluster and node, and to have Auto Scaling replace it. Cordon
// and eviction are the cluster's to allow, through an access entry for the role.
func interruptionGrants() []constructs.Grant {
	const noARN = "Describe calls have no resources to name in EC2 and Auto Scaling."
	return []constructs.Grant{{
		Sid:       "FindInstances",
		Actions:   []string{"ec2:DescribeInstances"},
		Resources: []string{"*"},
		Wide:      noARN,
	}, {
		Sid:       "FindGroups",
		Actions:   []string{"autoscaling:DescribeAutoScalingInstances"},
		Resources: []string{"*"},
		Wide:      noARN,
	}, {
		Sid:       "ReachClusters",
		Actions:   []string{"eks:DescribeCluster"},
		Resources: []string{eksARN("cluster/*")},
		Wide:      "The event names an instance, and any cluster of the account may turn out to be its own.",
	}, {
		Sid: "ReplaceNodes",
		Actions: []string{
			"autoscaling:DetachInstances", "autoscaling:CompleteLifecycleAction", "autoscaling:RecordLifecycleActionHeartbeat",
		},
		Resources: []string{"arn:${AWS::Partition}:autoscaling:${AWS::Region}:${AWS::AccountId}:autoScalingGroup:*:autoScalingGroupName/*"},
		Wide:      "EKS names the groups of its node groups, with a random part. The condition leaves those of clusters.",
		When:      tagged("aws:ResourceTag/eks:cluster-name"),
	}}
}

// clusterGrants are what it takes to make a cluster: its network, its roles, the control plane, node groups and access.
// The roles that it must not touch are ekspedite's own, by ARN.
func clusterGrants(ledger Ledger, ownRoles ...string) []constructs.Grant {
	grants := append(networkGrants(), constructs.Grant{
		Sid:       "ListClusters", // for the sweep
		Actions:   []string{"dynamodb:Query"},
		Resources: []string{*ledger.TableARN},
	})
	grants = append(grants, roleGrants(ownRoles)...)
	return append(grants, eksGrants()...)
}

// networkGrants let EC2 networks be made. What is new has to carry the cluster's tag from its first moment, and only
// what carries it may be built upon.
func networkGrants() []constructs.Grant {
	const ids = "EC2 gives the ids. The condition leaves what is made, or was made, for a cluster."
	var (
		vpcs       = ec2ARN("vpc/*")
		subnets    = ec2ARN("subnet/*")
		gateways   = ec2ARN("internet-gateway/*")
		tables     = ec2ARN("route-table/*")
		addresses  = ec2ARN("elastic-ip/*")
		nats       = ec2ARN("natgateway/*")
		everything = []string{vpcs, subnets, gateways, tables, addresses, nats}
	)
	return []constructs.Grant{{
		Sid: "ReadNetworks",
		Actions: []string{
			"ec2:DescribeVpcs", "ec2:DescribeVpcAttribute", "ec2:DescribeSubnets", "ec2:DescribeInternetGateways",
			"ec2:DescribeRouteTables", "ec2:DescribeAvailabilityZones",
			"ec2:DescribeNatGateways", "ec2:DescribeAddresses",
		},
		Resources: []string{"*"},
		Wide:      "EC2's describe calls have no resources to name.",
	}, {
		Sid: "CreateNetworks",
		Actions: []string{
			"ec2:CreateVpc", "ec2:CreateSubnet", "ec2:CreateInternetGateway", "ec2:CreateRouteTable",
			"ec2:AllocateAddress", "ec2:CreateNatGateway",
		},
		Resources: everything,
		Wide:      ids,
		When:      tagged("aws:RequestTag/" + clusterTag),
	}, {
		// A call is allowed if it is for each resource that it names: the new one by the grant above, the one that it is
		// made in by this one.
		Sid:       "CreateWithinNetworks",
		Actions:   []string{"ec2:CreateSubnet", "ec2:CreateRouteTable", "ec2:CreateNatGateway"},
		Resources: []string{vpcs, subnets, addresses},
		Wide:      ids,
		When:      tagged("aws:ResourceTag/" + clusterTag),
	}, {
		Sid: "WireNetworks",
		Actions: []string{
			"ec2:ModifyVpcAttribute", "ec2:ModifySubnetAttribute", "ec2:AttachInternetGateway", "ec2:CreateRoute",
			"ec2:AssociateRouteTable",
		},
		Resources: []string{vpcs, subnets, gateways, tables},
		Wide:      ids,
		When:      tagged("aws:ResourceTag/" + clusterTag),
	}, {
		// Tags can be set while something is made, and never after: else any VPC could be tagged to become a cluster's.
		Sid:       "TagWhatIsCreated",
		Actions:   []string{"ec2:CreateTags"},
		Resources: everything,
		Wide:      ids,
		When: map[string]map[string]any{"StringEquals": {"ec2:CreateAction": []string{
			"CreateVpc", "CreateSubnet", "CreateInternetGateway", "CreateRouteTable",
			"AllocateAddress", "CreateNatGateway",
		}}},
	}}
}

// roleGrants let the roles of control planes and nodes be made, of nothing but the policies that AWS made for them, and
// be handed to the services that they are for.
func roleGrants(ownRoles []string) []constructs.Grant {
	const byName = "One role for each cluster; their names begin with ekspedite."
	roles := []string{iamARN("role/ekspedite-*")}
	attachable := make([]string, 0, len(attachablePolicies))
	for _, policy := range attachablePolicies {
		attachable = append(attachable, "arn:${AWS::Partition}:iam::aws:policy/"+policy)
	}
	return []constructs.Grant{{
		Sid:       "MakeClusterRoles",
		Actions:   []string{"iam:GetRole", "iam:CreateRole", "iam:TagRole", "iam:ListAttachedRolePolicies"},
		Resources: roles,
		Wide:      byName,
	}, {
		Sid:       "AttachPoliciesOfAWS",
		Actions:   []string{"iam:AttachRolePolicy"},
		Resources: roles,
		Wide:      byName,
		When:      map[string]map[string]any{"ArnEquals": {"iam:PolicyARN": attachable}},
	}, {
		Sid:       "HandRolesToServices",
		Actions:   []string{"iam:PassRole"},
		Resources: roles,
		Wide:      byName,
		When: map[string]map[string]any{"StringEquals": {
			"iam:PassedToService": []string{"eks.amazonaws.com", "ec2.amazonaws.com"},
		}},
	}, {
		Sid:       "SeeRoleOfNodeGroups", // EKS asks for it of whoever creates a node group
		Actions:   []string{"iam:GetRole"},
		Resources: []string{iamARN("role/aws-service-role/eks-nodegroup.amazonaws.com/AWSServiceRoleForAmazonEKSNodegroup")},
	}, {
		Sid:     "MakeRolesOfServices", // once an account, by whoever makes its first cluster
		Actions: []string{"iam:CreateServiceLinkedRole"},
		Resources: []string{
			iamARN("role/aws-service-role/eks.amazonaws.com/AWSServiceRoleForAmazonEKS"),
			iamARN("role/aws-service-role/eks-nodegroup.amazonaws.com/AWSServiceRoleForAmazonEKSNodegroup"),
		},
		When: map[string]map[string]any{"StringEquals": {
			"iam:AWSServiceName": []string{"eks.amazonaws.com", "eks-nodegroup.amazonaws.com"},
		}},
	}, {
		// The names that CloudFormation gives to ekspedite's own roles begin with ekspedite, too. Without this the function
		// could attach the control plane's policy, which is not a small one, to itself.
		Sid:       "KeepOffOwnRoles",
		Actions:   []string{"iam:AttachRolePolicy", "iam:PassRole", "iam:TagRole"},
		Resources: ownRoles,
		Never:     true,
	}}
}

// attachablePolicies are the managed policies that control planes and nodes get.
var attachablePolicies = []string{
	"AmazonEKSClusterPolicy",             // control plane
	"AmazonEKSWorkerNodePolicy",          // nodes
	"AmazonEKS_CNI_Policy",               // nodes: addresses for pods
	"AmazonEC2ContainerRegistryPullOnly", // nodes: images
	"AmazonSSMManagedInstanceCore",       // nodes: a shell without SSH
}

// eksGrants let control planes, node groups and access entries be made and watched.
func eksGrants() []constructs.Grant {
	const anyCluster = "Which clusters there are is what requests say."
	var (
		clusters   = eksARN("cluster/*")
		nodeGroups = eksARN("nodegroup/*")
		entries    = eksARN("access-entry/*")
	)
	return []constructs.Grant{{
		Sid:       "MakeClusters",
		Actions:   []string{"eks:CreateCluster", "eks:DescribeCluster"},
		Resources: []string{clusters},
		Wide:      anyCluster,
	}, {
		Sid:       "MakeNodeGroups",
		Actions:   []string{"eks:CreateNodegroup", "eks:DescribeNodegroup"},
		Resources: []string{clusters, nodeGroups}, // creating is an action on the cluster
		Wide:      anyCluster,
	}, {
		Sid:       "GiveAccess",
		Actions:   []string{"eks:CreateAccessEntry", "eks:DescribeAccessEntry"},
		Resources: []string{clusters, entries},
		Wide:      anyCluster,
	}, {
		Sid:       "TagOnCreation",
		Actions:   []string{"eks:TagResource"},
		Resources: []string{clusters, nodeGroups, entries},
		Wide:      anyCluster,
	}}
}
