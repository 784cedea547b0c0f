package interruption

import (
	"context"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/handler"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/obs"
	"github.com/ekspedite/ekspedite/shared/observe"
)

// nothing acknowledges an event that needs no answer.
func (w *Work) nothing(ctx context.Context, d handler.Delivery, why string) handler.Outcome {
	subject := ""
	if len(d.Event.Resources) > 0 {
		subject = d.Event.Resources[0]
	}
	obs.Ignored(ctx, subject, why)
	w.Metrics.Count("EventsIgnored", 1)
	return handler.Done()
}

// Machines tells which machines of a Region are clusters', from a list that may be half a minute old.
type Machines interface {
	Ours(ctx context.Context, id string) (bool, error)
}

// foreign tells why a state change needs no look, "" if it does. Of every machine of the account EC2 tells that it stops, and
// most are nobody's here. One that is not in the list of ours was launched after the list was read, if it is ours: it has no
// pods yet that a drain could save. A drain that runs is of a machine in the list, which keeps those that have ended. All
// other signals are rare, and worth a call each; and what cannot be listed is looked at.
func foreign(ctx context.Context, machines Machines, e events.Event) string {
	p, ok := e.Payload.(*events.InstanceStateChange)
	if !ok || machines == nil {
		return ""
	}
	switch ours, err := machines.Ours(ctx, p.InstanceID); {
	case err != nil:
		obs.Log(ctx).Warn("our machines could not be listed; this one is looked at by itself", "instance", p.InstanceID, "error", err)
		return ""
	case ours:
		return ""
	}
	return "the instance belongs to no cluster"
}

// acquaintance is how long EC2 is waited for where a drain knows its machine already.
const acquaintance = time.Second

// instance reads the machine. A look at a drain that goes on does not wait for an EC2 that throttles: in a burst there are
// thousands of looks, and EC2 answers an account some twenty calls a second.
func (r *run) instance(ctx context.Context) (fleet.Instance, error) {
	if c, ok := r.delivery.Event.Payload.(*events.DrainContinuation); ok && c.Node != "" {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, acquaintance)
		defer cancel()
	}
	return r.reach.Instances.Instance(ctx, r.signal.InstanceID)
}

// recall is a running drain's machine as it was found at first. Its node is found by name and held against its provider ID, as
// always; that it may have stopped since is for the next look to see.
func recall(known ledger.Drain) (fleet.Instance, bool) {
	if known.RunID == "" || known.Over() || known.Cluster == "" || known.Node == "" {
		return fleet.Instance{}, false
	}
	return fleet.Instance{ID: known.InstanceID, State: "running", PrivateDNSName: known.Node,
		Tags: map[string]string{fleet.TagEKSCluster: known.Cluster}}, true
}

// unavailable tells whether EC2 could not answer, rather than that it said no.
func unavailable(err error) bool {
	return fault.Is(err, fault.Throttled) || fault.Is(err, fault.Transient)
}

// groups reads Auto Scaling, but for the group of a machine that has been replaced: that it is in none any more is known.
func (r *run) groups() observe.Groups {
	if r.drain.ReplacedAt.IsZero() || r.signal.Removal != nil {
		return r.reach.Groups
	}
	return detached{r.reach.Groups}
}

type detached struct{ observe.Groups }

// ScalingGroup implements observe.Groups.
func (detached) ScalingGroup(context.Context, string) (fleet.ScalingGroup, error) {
	return fleet.ScalingGroup{}, nil
}
