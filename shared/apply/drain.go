package apply

import (
	"context"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// NodeWriter writes to one cluster's API server.
type NodeWriter interface {
	Cordon(ctx context.Context, a plan.CordonNode) error
	Evict(ctx context.Context, a plan.EvictPod) error
	Delete(ctx context.Context, a plan.DeletePod) error
	Uncordon(ctx context.Context, a plan.UncordonNode) error
	OutOfService(ctx context.Context, a plan.OutOfService) error
	Record(ctx context.Context, a plan.RecordEvent) error
}

// GroupWriter writes to Auto Scaling.
type GroupWriter interface {
	ReplaceInstance(ctx context.Context, group, instanceID string) error
	CompleteLifecycleAction(ctx context.Context, group, hook, token, instanceID string) error
	Heartbeat(ctx context.Context, group, hook, token, instanceID string) error
	// EndInstance ends a machine. Its group's desired size goes down with it, unless replace leaves it to the group to launch
	// another; group is "" for a machine that is in none.
	EndInstance(ctx context.Context, group, instanceID string, replace bool) error
}

// TargetWriter writes to load balancers' target groups.
type TargetWriter interface {
	// Deregister takes a machine out of a target group. That it is not in it is success.
	Deregister(ctx context.Context, targetGroup, instanceID string, port int) error
}

// Width is how many evictions run at once: enough that 110 pods take a few round trips, and below the 100 requests that
// an API server's default priority level for workloads is sure to seat.
const Width = 40

// Drainer carries out the actions of package decide/interruption.
type Drainer struct {
	Nodes      NodeWriter
	Groups     GroupWriter
	Containers ContainerWriter // of package decide/ecsdrain
	Targets    TargetWriter    // may be nil where no plan names any
}

// Do carries out one action. A pod or node that is gone is success, and so is a pod whose place another one has taken.
func (d Drainer) Do(ctx context.Context, action plan.Action) error {
	switch a := action.(type) {
	case plan.CordonNode:
		return fault.Ignore(d.Nodes.Cordon(ctx, a), fault.NotFound)
	case plan.EvictPod:
		return gone(d.Nodes.Evict(ctx, a))
	case plan.DeletePod:
		return gone(d.Nodes.Delete(ctx, a))
	case plan.ReplaceInstance:
		return d.Groups.ReplaceInstance(ctx, a.AutoScalingGroup, a.InstanceID)
	case plan.CompleteLifecycleAction:
		return d.Groups.CompleteLifecycleAction(ctx, a.AutoScalingGroup, a.Hook, a.Token, a.InstanceID)
	case plan.Heartbeat:
		return d.Groups.Heartbeat(ctx, a.AutoScalingGroup, a.Hook, a.Token, a.InstanceID)
	case plan.TerminateInstance:
		return d.Groups.EndInstance(ctx, a.AutoScalingGroup, a.InstanceID, a.Replace)
	case plan.DeregisterTarget:
		return fault.Ignore(d.Targets.Deregister(ctx, a.TargetGroup, a.InstanceID, a.Port), fault.NotFound)
	case plan.UncordonNode:
		return fault.Ignore(d.Nodes.Uncordon(ctx, a), fault.NotFound)
	case plan.DrainContainerInstance:
		return fault.Ignore(d.Containers.DrainContainerInstance(ctx, a.Cluster, a.ContainerInstance), fault.NotFound)
	case plan.StopTask:
		return fault.Ignore(d.Containers.StopTask(ctx, a.Cluster, a.Task, a.Reason), fault.NotFound)
	case plan.OutOfService:
		return fault.Ignore(d.Nodes.OutOfService(ctx, a), fault.NotFound)
	case plan.RecordEvent: // told before is told
		return fault.Ignore(fault.Ignore(d.Nodes.Record(ctx, a), fault.Conflict), fault.NotFound)
	}
	return unknown(action)
}

func gone(err error) error {
	return fault.Ignore(fault.Ignore(err, fault.NotFound), fault.Conflict)
}
