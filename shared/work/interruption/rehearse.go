package interruption

import (
	"context"
	"fmt"
	"sync"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/apply"
	"github.com/ekspedite/ekspedite/shared/obs"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// maxPlanned bounds the plan in a run's record: a node has 110 pods at most unless its owner wants more.
const maxPlanned = 250

// rehearse carries a plan out without writing: reads are real, and each write goes to a stand-in that notes it. The run is over
// with that, since what would follow depends on what was not done.
func (r *run) rehearse(ctx context.Context, nodes Nodes, p plan.Plan) plan.Plan {
	if p.Empty() && p.Outcome == events.OutcomeNothingToDo {
		return p
	}
	w := &writes{}
	do := apply.Plain(apply.Drainer{Nodes: dryNodes{nodes, w}, Groups: dryGroups{r.reach.Groups, w}, Targets: dryTargets{w}}.Do)
	for _, s := range p.Steps {
		apply.Step(ctx, s, 1, r.Now, do) // one after another: the record is in the plan's order
	}
	obs.Log(ctx).Info("what would be done: the policy's mode is Observe", "run", r.drain.RunID, "cluster", r.cluster, "plan", p.String())
	r.planned = w.list
	if more := len(w.list) - maxPlanned; more > 0 {
		r.planned = append(w.list[:maxPlanned:maxPlanned], fmt.Sprintf("and %d more", more))
	}
	p.Steps, p.LookAgain, p.Left, p.Outcome = nil, 0, nil, events.OutcomePlanned
	return p
}

// writes are those that were not made.
type writes struct {
	mu   sync.Mutex
	list []string
}

func (w *writes) note(a plan.Action) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.list = append(w.list, a.String())
	return nil
}

// dryNodes is a cluster's API server that is only read.
type dryNodes struct {
	Nodes
	w *writes
}

func (d dryNodes) Cordon(_ context.Context, a plan.CordonNode) error         { return d.w.note(a) }
func (d dryNodes) Uncordon(_ context.Context, a plan.UncordonNode) error     { return d.w.note(a) }
func (d dryNodes) Evict(_ context.Context, a plan.EvictPod) error            { return d.w.note(a) }
func (d dryNodes) Delete(_ context.Context, a plan.DeletePod) error          { return d.w.note(a) }
func (d dryNodes) OutOfService(_ context.Context, a plan.OutOfService) error { return d.w.note(a) }
func (d dryNodes) Record(_ context.Context, a plan.RecordEvent) error        { return d.w.note(a) }

// dryGroups is Auto Scaling that is only read.
type dryGroups struct {
	Groups
	w *writes
}

func (d dryGroups) ReplaceInstance(_ context.Context, group, instanceID string) error {
	return d.w.note(plan.ReplaceInstance{AutoScalingGroup: group, InstanceID: instanceID})
}

func (d dryGroups) CompleteLifecycleAction(_ context.Context, group, hook, token, instanceID string) error {
	return d.w.note(plan.CompleteLifecycleAction{AutoScalingGroup: group, Hook: hook, Token: token, InstanceID: instanceID})
}

func (d dryGroups) Heartbeat(_ context.Context, group, hook, token, instanceID string) error {
	return d.w.note(plan.Heartbeat{AutoScalingGroup: group, Hook: hook, Token: token, InstanceID: instanceID})
}

func (d dryGroups) EndInstance(_ context.Context, group, instanceID string, replace bool) error {
	return d.w.note(plan.TerminateInstance{AutoScalingGroup: group, InstanceID: instanceID, Replace: replace})
}

// dryTargets is Elastic Load Balancing that is not written to.
type dryTargets struct{ w *writes }

func (d dryTargets) Deregister(_ context.Context, group, instanceID string, port int) error {
	return d.w.note(plan.DeregisterTarget{TargetGroup: group, InstanceID: instanceID, Port: port})
}
