package e2e

import (
	"slices"
	"strings"
	"testing"

	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/demo"
	"github.com/ekspedite/ekspedite/infra/local"
	"github.com/ekspedite/ekspedite/infra/local/faults"
)

// The README's first command holds what it promises, on a hostile cloud, and the functions' roles grant exactly what it
// takes: nothing is denied, and what was granted and not used is on the list with its reason.
func TestDemo(t *testing.T) {
	c := cloud(t, faults.Hostile)
	var out strings.Builder
	s, err := demo.Run(t.Context(), demo.Options{Root: root, Out: &out, Cloud: c})
	t.Log(out.String())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range s.Failures {
		t.Error(f)
	}
	for _, d := range c.IAM.Denied() {
		t.Errorf("denied: %+v", d)
	}
	unusedGrants(t, c)
}

// rare are the grants that the demo does not use, with what does.
var rare = map[string]string{
	"RejectToDeadLetters sqs:SendMessage":                                    "bad input: TestBadInputEndsWhereItShould, TestWrongSpecNamesAllMistakes",
	"ReleaseMessages sqs:ChangeMessageVisibility":                            "a call that fails: the tests of package handler",
	"Bury sqs:SendMessage":                                                   "as below, of the schedule that invokes the pipeline function",
	"Invoke lambda:InvokeFunction":                                           "as below",
	"SendOrBury sqs:SendMessage":                                             "the schedule's own role: the first sweep is after 15 minutes",
	"ReplaceNodes autoscaling:CompleteLifecycleAction":                       "groups with a lifecycle hook: the tests of package work/interruption",
	"ReplaceNodes autoscaling:RecordLifecycleActionHeartbeat":                "as above",
	"ReplaceSelfManagedNodes autoscaling:DetachInstances":                    "groups that are not EKS's; the demo has none",
	"ReplaceSelfManagedNodes autoscaling:CompleteLifecycleAction":            "as above",
	"ReplaceSelfManagedNodes autoscaling:RecordLifecycleActionHeartbeat":     "as above",
	"RemoveNodes autoscaling:TerminateInstanceInAutoScalingGroup":            "nobody gives up a node in the demo: TestABudgetHoldsUntilTheGraceRunsOut/removals",
	"FindGroups autoscaling:DescribeAutoScalingGroups":                       "as above",
	"RemoveSelfManagedNodes autoscaling:TerminateInstanceInAutoScalingGroup": "groups that are not EKS's; the demo has none",
	"RemoveNodesOfPools ec2:TerminateInstances":                              "machines without a group: the tests of packages awscloud and work/interruption",
	"FindTargets elasticloadbalancing:DescribeTags":                          "the demo has no load balancers: TestABudgetHoldsUntilTheGraceRunsOut/removals",
	"FindTargets elasticloadbalancing:DescribeTargetHealth":                  "as above",
	"TakeOutOfController elasticloadbalancing:DeregisterTargets":             "as above",
	"TakeOutOfAutoMode elasticloadbalancing:DeregisterTargets":               "other load balancers' makers: TestWhoMayBeDeregistered in package work/interruption",
	"TakeOutOfProvider elasticloadbalancing:DeregisterTargets":               "as above",
	"TakeOutOfGiven elasticloadbalancing:DeregisterTargets":                  "as above",
	"ReadContainerInstances ecs:ListTasks":                                   "machines of ECS: TestECS",
	"ReadContainerInstances ecs:GetTaskProtection":                           "machines of ECS: TestECS",
	"ReadContainerInstances ecs:DescribeTasks":                               "machines of ECS: TestECS",
	"ReadContainerInstances ecs:DescribeContainerInstances":                  "machines of ECS: TestECS",
	"FindContainerInstances ecs:ListClusters":                                "machines of ECS: TestECS",
	"FindContainerInstances ecs:DescribeTaskDefinition":                      "machines of ECS: TestECS",
	"SearchECSClusters ecs:ListContainerInstances":                           "machines of ECS: TestECS",
	"StopTasksInTime ecs:StopTask":                                           "machines of ECS: TestECS",
	"DrainContainerInstances ecs:UpdateContainerInstancesState":              "machines of ECS: TestECS",
	"SearchECSClusters ecs:DescribeCapacityProviders":                        "groups of ECS machines: TestECS… and TestR16_… of package work/interruption, under this role",
	"ReplaceManagedContainerInstances autoscaling:DetachInstances":           "groups of ECS machines: TestECS… and TestR16_… of package work/interruption, under this role",
	"ReplaceContainerInstances autoscaling:DetachInstances":                  "groups of ECS machines: TestECS… and TestR16_… of package work/interruption, under this role",
	"ReplaceContainerInstances autoscaling:CompleteLifecycleAction":          "groups of ECS machines: TestECS… and TestR16_… of package work/interruption, under this role",
	"ReplaceContainerInstances autoscaling:RecordLifecycleActionHeartbeat":   "groups of ECS machines: TestECS… and TestR16_… of package work/interruption, under this role",
	"EndReplacedNodes ec2:TerminateInstances":                                "a policy that replaces on recommendations: TestReplaceThenDrainOverTheWire of package work/interruption, under this role",
	"Trace xray:PutTraceSegments":                                            "Lambda itself, on AWS",
	"Trace xray:PutTelemetryRecords":                                         "Lambda itself, on AWS",
}

// elsewhere are the roles whose grants other tests hold to their use: the cluster function's all of package work/cluster, the
// pipeline function's TestPipeline, the doorbell's and the scaling function's TestDoorbell and the tests of scaling, the upgrade function's TestUpgrade, the notify function's TestNotify; what a
// cluster's own roles and AWS's may do is AWS's to say.
var elsewhere = []string{"ClusterFunctionRole", "PipelineFunctionRole", "DoorbellFunctionRole", "ScalingFunctionRole", "UpgradeFunctionRole", "NotifyFunctionRole", ":role/ekspedite/", ":role/aws-service-role/"}

// unusedGrants fails for every grant that no call used and that is not on the list of rare ones. A grant counts as used
// when any of its resource patterns was.
func unusedGrants(t *testing.T, c *local.Cloud) {
	t.Helper()
	compareUsed(t, c, rare, func(role string) bool {
		return !slices.ContainsFunc(elsewhere, func(other string) bool { return strings.Contains(role, other) })
	})
}

// unusedOf does the same for one role.
func unusedOf(t *testing.T, c *local.Cloud, role string, rare map[string]string) {
	t.Helper()
	compareUsed(t, c, rare, func(arn string) bool { return strings.Contains(arn, role) })
}

func compareUsed(t *testing.T, c *local.Cloud, rare map[string]string, counts func(role string) bool) {
	t.Helper()
	used := map[string]int{}
	for _, g := range c.IAM.Report() {
		if counts(g.RoleARN) {
			used[g.Sid+" "+g.Action] += g.Calls
		}
	}
	for name, calls := range used {
		if calls == 0 && rare[name] == "" {
			t.Errorf("granted and never used: %s", name)
		}
	}
	for name := range rare {
		if _, granted := used[name]; !granted {
			t.Errorf("%s is on the list of rare grants and not granted any more", name)
		}
	}
}
