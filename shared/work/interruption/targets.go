package interruption

import (
	"context"
	"fmt"

	"github.com/ekspedite/ekspedite/shared/apply"
	"github.com/ekspedite/ekspedite/shared/decide/interruption"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/observe"
)

// Targets is Elastic Load Balancing, read and written.
type Targets interface {
	observe.Targets
	apply.TargetWriter
}

// readTargets begins to read what load balancers send to the machine, unless the policy leaves them alone.
func (r *run) readTargets(ctx context.Context, inst fleet.Instance, policy func() (fleet.Policy, error)) *observe.TargetReading {
	if r.reach.Targets == nil || r.signal.Launching {
		return nil
	}
	return observe.ReadTargets(ctx, r.reach.Targets, r.cluster, inst, func() bool {
		p, err := policy()
		return err == nil && p.Interruption.LoadBalancers.Deregister
	})
}

// seeTargets gives an observation what was read and what is remembered of targets, and remembers what follows.
func (r *run) seeTargets(ctx context.Context, reading *observe.TargetReading, o *interruption.Observation, policy fleet.InterruptionPolicy) {
	o.TargetsSince, o.TargetsOut = r.drain.TargetsSince, r.drain.TargetsOut
	o.Replaced = !r.drain.ReplacedAt.IsZero()
	reading.Into(ctx, o)
	o.SeeTargets(r.Now(), policy)
	r.drain.TargetsSince, r.drain.TargetsOut = o.TargetsSince, o.TargetsOut
}

// noteTargets counts what was deregistered, and how long the first eviction has waited for it.
func (r *run) noteTargets(deregistered, evicted int) {
	if deregistered > 0 {
		r.drain.Deregistered += deregistered
		r.Metrics.Count("TargetsDeregistered", deregistered)
		r.progress("Deregistered", fmt.Sprintf("from load balancers: %d targets", deregistered), r.Now())
	}
	if since := r.drain.TargetsSince; evicted > 0 && r.drain.Evicted == 0 && !since.IsZero() {
		r.Metrics.Took("TargetWait", r.Now().Sub(since))
	}
}
