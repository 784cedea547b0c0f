package upgrade

import (
	"context"
	"fmt"
	"strings"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/handler"
	"github.com/ekspedite/ekspedite/shared/obs"
)

// health hears of a version that leaves support. The event is a hint for the next sweep to ask of the clusters that it names whether
// anything is due: their dates decide that, since the forced upgrade at the end of extended support comes without an event.
func (w *Work) health(ctx context.Context, p *events.HealthEvent) handler.Outcome {
	if p.Service != events.HealthServiceEKS || p.EventTypeCode != events.HealthEKSPlannedLifecycle {
		w.Metrics.Count("HealthEventsIgnored", 1)
		return w.nothing(ctx, "AWS Health's "+p.EventTypeCode+" is about no version of Kubernetes")
	}
	known, err := w.Ledger.Clusters(ctx)
	if err != nil {
		return handler.Failed(err)
	}
	ours := map[string]fleet.ClusterID{}
	for _, id := range known {
		ours[id.Region+"/"+id.Name] = id
	}
	asked := 0
	for _, entity := range p.AffectedEntities {
		id, ok := ours[clusterOf(entity.EntityValue, w.Account)]
		if !ok || entity.Status == events.EntityResolved || p.StatusCode == events.HealthClosed {
			continue
		}
		if err := w.Ledger.Recheck(ctx, id, w.Now().Add(-rechecked)); err != nil {
			return handler.Failed(err)
		}
		asked++
	}
	w.Metrics.Count("LifecycleEvents", 1)
	obs.Log(ctx).Info("planned lifecycle event", "event", p.EventARN, "clusters", len(p.AffectedEntities), "ours", asked, "starts", p.StartTime)
	return handler.Done()
}

// clusterOf is REGION/NAME of a cluster's ARN: arn:aws:eks:REGION:ACCOUNT:cluster/NAME; "" of anything else, and of another
// account's.
func clusterOf(arn, account string) string {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) < 6 || parts[2] != "eks" || account != "" && parts[4] != account {
		return ""
	}
	name, ok := strings.CutPrefix(parts[5], "cluster/")
	if !ok {
		return ""
	}
	return parts[3] + "/" + name
}

// addon hears of an add-on that has changed: a run that waits for it looks at once.
func (w *Work) addon(ctx context.Context, p *events.AddonEvent) handler.Outcome {
	if p.ClusterName == "" {
		return w.nothing(ctx, "an add-on event that names no cluster")
	}
	id := w.id("", p.ClusterName)
	u, err := w.Ledger.Upgrade(ctx, id)
	if err != nil {
		return handler.Failed(err)
	}
	if !u.Running() || u.LookAt.IsZero() {
		return w.nothing(ctx, fmt.Sprintf("add-on %s of cluster %s: %s %s, and no upgrade waits for it", p.AddonName, id, p.Subject, p.Outcome))
	}
	o := w.look(ctx, continuation(u, id))
	if fault.Is(o.Err, fault.Conflict) { // somebody else looks
		return handler.Done()
	}
	return o
}
