package stacks

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"

	"github.com/ekspedite/ekspedite/infra/constructs"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Everything that a function may do is in the files permissions*.go, and nothing else grants anything. One grant is one
// purpose. The embedded cloud evaluates these very statements, and reports those that were never used.
//
// The cluster function acts in the account's Regions that are named by a parameter. It makes only what carries ekspedite's
// tag from the first moment, changes and deletes only what carries it, and makes roles only below a path of its own.

// clusterTag is on everything that the cluster function makes, with the cluster's name as its value. It tells what is
// ekspedite's from all else in the account, and from what eksctl has made, whose own tag is another.
const clusterTag = fleet.TagCluster

// conditions are a grant's conditions, by operator and key.
type conditions = map[string]map[string]any

// anywhere is the ARN of a resource of this account in any Region. Which Regions, KeepToRegions says.
func anywhere(service, resource string) string {
	return "arn:${AWS::Partition}:" + service + ":*:${AWS::AccountId}:" + resource
}

// ec2ARNs are the ARNs of all EC2 resources of some types.
func ec2ARNs(types ...string) (arns []string) {
	for _, t := range types {
		arns = append(arns, anywhere("ec2", t+"/*"))
	}
	return arns
}

// iamARN is the ARN of an IAM resource of this account.
func iamARN(resource string) string {
	return "arn:${AWS::Partition}:iam::${AWS::AccountId}:" + resource
}

// tagged is a condition that a tag key is there, with whatever value.
func tagged(key string) conditions {
	return conditions{"Null": {key: "false"}}
}

// asked wants ekspedite's tag on what is new, ours on what is there.
var (
	asked = tagged("aws:RequestTag/" + clusterTag)
	ours  = tagged("aws:ResourceTag/" + clusterTag)
)

// with joins conditions: all must hold.
func with(list ...conditions) conditions {
	all := conditions{}
	for _, c := range list {
		for operator, keys := range c {
			if all[operator] == nil {
				all[operator] = map[string]any{}
			}
			for k, v := range keys {
				all[operator][k] = v
			}
		}
	}
	return all
}

// workerGrants are what every function with a queue needs.
func workerGrants(w *constructs.Worker, ledger Ledger, bus awsevents.EventBus) []constructs.Grant {
	return append([]constructs.Grant{{
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
	}}, functionGrants(&w.Function, bus)...)
}

// functionGrants are what every function needs that reports.
func functionGrants(f *constructs.Function, bus awsevents.EventBus) []constructs.Grant {
	return append([]constructs.Grant{{
		Sid:       "Report",
		Actions:   []string{"events:PutEvents"},
		Resources: []string{*bus.EventBusArn()},
	}}, ownGrants(f)...)
}

// ownGrants are what every function needs.
func ownGrants(f *constructs.Function) []constructs.Grant {
	return []constructs.Grant{{
		Sid:       "WriteLogs",
		Actions:   []string{"logs:CreateLogStream", "logs:PutLogEvents"},
		Resources: []string{*f.Logs.LogGroupArn()},
	}, {
		Sid:       "Trace",
		Actions:   []string{"xray:PutTraceSegments", "xray:PutTelemetryRecords"},
		Resources: []string{"*"},
		Wide:      "X-Ray has no resources to name for these actions.",
	}}
}

// interruptionGrants are what it takes to find a machine's cluster and node, and to have Auto Scaling replace it or, where
// its capacity is not wanted any more, end it. Cordon and eviction are the cluster's to allow, through an access entry for
// the role. In which Regions, KeepToRegions says: AWS tells of machines in the function's own, and nodes of clusters elsewhere
// are given up as well.
func interruptionGrants() []constructs.Grant {
	const noARN = "Describe calls have no resources to name in EC2 and Auto Scaling."
	groups := anywhere("autoscaling", "autoScalingGroup:*:autoScalingGroupName/*")
	replace := []string{"autoscaling:DetachInstances", "autoscaling:CompleteLifecycleAction", "autoscaling:RecordLifecycleActionHeartbeat"}
	remove := []string{"autoscaling:TerminateInstanceInAutoScalingGroup"}
	return []constructs.Grant{{
		Sid:       "FindInstances",
		Actions:   []string{"ec2:DescribeInstances"},
		Resources: []string{"*"},
		Wide:      noARN,
	}, {
		Sid:       "FindGroups",
		Actions:   []string{"autoscaling:DescribeAutoScalingInstances", "autoscaling:DescribeAutoScalingGroups"},
		Resources: []string{"*"},
		Wide:      noARN,
	}, {
		Sid:       "ReachClusters",
		Actions:   []string{"eks:DescribeCluster"},
		Resources: []string{anywhere("eks", "cluster/*")},
		Wide:      "The event names an instance, and any cluster of the account may turn out to be its own.",
	}, {
		Sid:       "ReplaceNodes",
		Actions:   replace,
		Resources: []string{groups},
		Wide:      "EKS names the groups of its node groups, with a random part. The condition leaves those of clusters.",
		When:      tagged("aws:ResourceTag/eks:cluster-name"),
	}, {
		Sid:       "ReplaceSelfManagedNodes",
		Actions:   replace,
		Resources: []string{groups},
		Wide:      "The condition leaves the groups that ekspedite has made.",
		When:      ours,
	}, {
		Sid:       "RemoveNodes",
		Actions:   remove,
		Resources: []string{groups},
		Wide:      "EKS names the groups of its node groups, with a random part. The condition leaves those of clusters.",
		When:      tagged("aws:ResourceTag/eks:cluster-name"),
	}, {
		Sid:       "RemoveSelfManagedNodes",
		Actions:   remove,
		Resources: []string{groups},
		Wide:      "The condition leaves the groups that ekspedite has made.",
		When:      ours,
	}, {
		Sid:       "RemoveNodesOfPools", // which are in no group
		Actions:   []string{"ec2:TerminateInstances"},
		Resources: ec2ARNs("instance"),
		Wide:      "The condition leaves the machines that the planner of nodes has launched.",
		When:      tagged("aws:ResourceTag/" + poolTag),
	}, {
		Sid:       "EndReplacedNodes", // which have left their group so that their replacement comes first
		Actions:   []string{"ec2:TerminateInstances"},
		Resources: ec2ARNs("instance"),
		Wide:      "The condition leaves the machines of groups that ekspedite has made. EC2 names instances.",
		When:      ours,
	}, keepToRegions()}
}

// pipelineGrants are what it takes to ask for clusters in the name of a pipeline, and to follow what comes of it.
func pipelineGrants(p *constructs.Invoked, ledger Ledger, specs Specs, bus awsevents.EventBus) []constructs.Grant {
	return append([]constructs.Grant{{
		Sid:       "AnswerJobs",
		Actions:   []string{"codepipeline:PutJobSuccessResult", "codepipeline:PutJobFailureResult"},
		Resources: []string{"*"},
		Wide:      "CodePipeline has no resources to name for these actions. Whoever answers needs to know the job's id.",
	}, {
		Sid:       "AnswerApprovals", // which an action's parameters name
		Actions:   []string{"codepipeline:GetPipelineState", "codepipeline:PutApprovalResult"},
		Resources: []string{"arn:${AWS::Partition}:codepipeline:${AWS::Region}:${AWS::AccountId}:${" + pipelinePrefix + "}*"},
		Wide:      "Which pipelines have such approvals is their owners' choice. A parameter says how their names begin.",
	}, {
		Sid:       "KeepTheLedger",
		Actions:   []string{"dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query"},
		Resources: []string{*ledger.TableARN},
	}, {
		Sid:       "KeepWhatFailed", // Lambda sends it in the function's name
		Actions:   []string{"sqs:SendMessage"},
		Resources: []string{*p.DeadLetters.QueueArn()},
	}, readSpecs(specs)}, functionGrants(&p.Function, bus)...)
}

func readSpecs(specs Specs) constructs.Grant {
	return constructs.Grant{
		Sid:       "ReadSpecs",
		Actions:   []string{"s3:GetObject", "s3:GetObjectVersion"},
		Resources: []string{*specs.FilesARN},
	}
}

// allowCluster gives the cluster function its policies: its own, and one apart for each area.
func allowCluster(w *constructs.Worker, ledger Ledger, specs Specs, ownRoles ...string) {
	self := *w.Role.RoleArn()
	w.Allow(constructs.Grant{
		Sid:       "ListClusters", // for the sweep
		Actions:   []string{"dynamodb:Query"},
		Resources: []string{*ledger.TableARN},
	}, readSpecs(specs), keepToRegions(), keepOffOwnRoles(ownRoles))
	w.Allow(checkGrants()...)
	w.Allow(ringGrants()...)
	w.AllowApart("Networks", "", networkGrants()...)
	w.AllowApart("Machines", "", machineGrants()...)
	w.AllowApart("Removal", "", removalGrants()...)
	w.AllowApart("Roles", "", roleGrants(self)...)
	w.AllowApart("RolesUnbounded", unbounded, roleWriteGrants(nil)...)
	w.AllowApart("RolesBounded", bounded, roleWriteGrants(boundary)...)
	w.AllowApart("PoliciesOfUsers", hasPolicies, attachGiven())
	w.AllowApart("RolesOfUsers", hasRoles, passGiven())
	w.AllowApart("Clusters", "", eksGrants()...)
}

// keepToRegions bounds all of the above, which names any Region. IAM and the price list are global, and the function's own
// queue and table are where the stack is.
func keepToRegions() constructs.Grant {
	return constructs.Grant{
		Sid: "KeepToRegions", Never: true,
		Actions:   []string{"autoscaling:*", "ec2:*", "eks:*", "elasticloadbalancing:*", "kms:*", "servicequotas:*", "ssm:*"},
		Resources: []string{"*"},
		Wide:      "It takes away, and gives nothing.",
		When:      conditions{"StringNotEquals": {"aws:RequestedRegion": regions}},
	}
}
