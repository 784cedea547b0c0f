package stacks

import (
	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/infra/constructs"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// fargateSignal is the warning of Fargate Spot. Each start and end of each task of the account is an event of this kind; the
// pattern leaves the first one of those that are interrupted. There is no rule for the changes of container instances: they
// come with every task, too, and which machine is in which cluster ECS tells when it matters.
func fargateSignal() constructs.Signal {
	warned := pattern(events.KindECSTaskStateChange)
	warned["detail"] = map[string]any{"stopCode": []string{"SpotInterruption"}, "desiredStatus": []string{"STOPPED"}, "lastStatus": []string{"RUNNING"}}
	return constructs.Signal{
		ID:          "FargateSpotInterruptionRule",
		Description: "Fargate Spot takes back the capacity under a task: ECS stops and replaces it, which is recorded and reported",
		Pattern:     warned,
	}
}

// containerGrants are what it takes to drain machines of ECS clusters.
func containerGrants() []constructs.Grant {
	const any = "Any of the account's ECS clusters may have the machine that an event names."
	groups := anywhere("autoscaling", "autoScalingGroup:*:autoScalingGroupName/*")
	inCluster := conditions{"ArnLike": {"ecs:cluster": []string{anywhere("ecs", "cluster/*")}}}
	return []constructs.Grant{{
		Sid:       "FindContainerInstances",
		Actions:   []string{"ecs:ListClusters", "ecs:DescribeTaskDefinition"},
		Resources: []string{"*"},
		Wide:      "ECS has no resources to name for these reads.",
	}, {
		Sid:       "SearchECSClusters",
		Actions:   []string{"ecs:ListContainerInstances", "ecs:DescribeCapacityProviders"},
		Resources: []string{anywhere("ecs", "cluster/*"), anywhere("ecs", "capacity-provider/*")},
		Wide:      any,
	}, {
		Sid:       "ReadContainerInstances",
		Actions:   []string{"ecs:DescribeContainerInstances", "ecs:ListTasks", "ecs:DescribeTasks", "ecs:GetTaskProtection"},
		Resources: []string{anywhere("ecs", "container-instance/*"), anywhere("ecs", "task/*")},
		Wide:      any,
		When:      inCluster,
	}, {
		Sid:       "DrainContainerInstances",
		Actions:   []string{"ecs:UpdateContainerInstancesState"},
		Resources: []string{anywhere("ecs", "container-instance/*")},
		Wide:      any + " It can be drained and made active again, not deregistered.",
		When:      inCluster,
	}, {
		Sid:       "StopTasksInTime",
		Actions:   []string{"ecs:StopTask"},
		Resources: []string{anywhere("ecs", "task/*")},
		Wide:      any + " Tasks are stopped on a machine that goes, so that they get their SIGTERM before it.",
		When:      inCluster,
	}, {
		Sid:       "ReplaceContainerInstances",
		Actions:   []string{"autoscaling:DetachInstances", "autoscaling:CompleteLifecycleAction", "autoscaling:RecordLifecycleActionHeartbeat"},
		Resources: []string{groups},
		Wide:      "The condition leaves the groups whose owners have tagged them with their ECS cluster.",
		When:      tagged("aws:ResourceTag/" + fleet.TagECSCluster),
	}, {
		Sid:       "ReplaceManagedContainerInstances",
		Actions:   []string{"autoscaling:DetachInstances"},
		Resources: []string{groups},
		Wide:      "The condition leaves the groups of ECS's capacity providers.",
		When:      tagged("aws:ResourceTag/" + fleet.TagECSManaged),
	}}
}
