package interruption

import (
	"context"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/handler"
	"github.com/ekspedite/ekspedite/shared/obs"
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

// Known tells which machines of a Region are clusters', from a list that may be half a minute old.
type Known interface {
	Ours(ctx context.Context, id string) (bool, error)
}

// foreign tells why a state change needs no look, "" if it does. Of every machine of the account EC2 tells that it stops, and
// most are nobody's here. One that is not in the list of ours was launched after the list was read, if it is ours: it has no
// pods yet that a drain could save. A drain that runs is of a machine in the list, which keeps those that have ended. All
// other signals are rare, and worth a call each; and what cannot be listed is looked at.
func foreign(ctx context.Context, machines Known, e events.Event) string {
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
