package interruption

import (
	"context"
	"slices"

	"github.com/ekspedite/ekspedite/shared/decide/interruption"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/observe"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// further adds to an observation what the run remembers, and what only some looks have to read.
func (r *run) further(ctx context.Context, nodes Nodes, o *interruption.Observation, policy fleet.InterruptionPolicy) {
	now := r.Now()
	r.cordoned = o.Node != nil && slices.ContainsFunc(o.Node.Taints, func(t fleet.Taint) bool { return t.Key == interruption.TaintKey })
	r.drain.HadVolumes = r.drain.HadVolumes || interruption.HasVolumes(now, *o, policy)
	o.DetachedFrom, o.ReplacedAt, o.HadVolumes = r.drain.DetachedFrom, r.drain.ReplacedAt, r.drain.HadVolumes
	observe.Further(ctx, nodes, r.reach.Groups, o, interruption.Further(now, *o, policy))
}

// foresee remembers what a step is about to do and nobody could find out afterwards: a machine that was taken out of its group
// carries no mark of it, and has to be ended by us.
func (r *run) foresee(s plan.Step) {
	for _, a := range s.Actions {
		if a, ok := a.(plan.ReplaceInstance); ok && a.First {
			r.drain.DetachedFrom = a.AutoScalingGroup
		}
	}
}

// block remembers that a pod's eviction has come to nothing.
func (r *run) block(uid string) {
	if r.drain.Blocked == nil {
		r.drain.Blocked = map[string]bool{}
	}
	r.drain.Blocked[uid] = true
}
