package upgrade

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/handler"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/obs"
)

// control follows a command. One to a run is written into it without the cluster's lease, so that a look that is under way
// hears it before it makes its next call; then the cluster is looked at.
func (w *Work) control(ctx context.Context, e events.Event, p *events.UpgradeControlRequested) handler.Outcome {
	switch {
	case p.Command == events.UpgradeFreeze, p.Command == events.UpgradeUnfreeze:
		return w.freeze(ctx, p)
	case p.Rollout != "":
		return w.fleet(ctx, handler.Delivery{Event: e})
	}
	id := w.id(p.Region, p.Cluster)
	command := ledger.UpgradeCommand{RequestID: p.RequestID, Command: string(p.Command), Step: p.Step, Reason: p.Reason, By: p.By, At: e.Time}
	u, err := w.Ledger.Command(ctx, id, command)
	if fault.Is(err, fault.NotFound) {
		return w.idleCommand(ctx, e, p, id, command)
	}
	if err != nil {
		return handler.Failed(err)
	}
	w.Metrics.Count("UpgradeCommands", 1)
	obs.Log(ctx).Info("command", "command", p.Command, "cluster", id.String(), "run", u.RunID, "by", p.By, "reason", p.Reason)
	return w.look(ctx, continuation(u, id))
}

// idleCommand is a command to a cluster without a run. A rollback is one of its own, since EKS allows it for seven days; the
// others are refused.
func (w *Work) idleCommand(ctx context.Context, e events.Event, p *events.UpgradeControlRequested, id fleet.ClusterID, c ledger.UpgradeCommand) handler.Outcome {
	if p.Command == events.UpgradeRollback {
		return w.begin(ctx, e, id, ledger.Upgrade{
			RunID: RunID(p.RequestID, id), RequestID: p.RequestID, EventID: e.ID, EventTime: e.Time, Now: true, Reason: cmp.Or(p.Reason, "rollback"),
			StartedAt: w.Now(), Commands: []ledger.UpgradeCommand{c},
		})
	}
	known, err := w.Ledger.Upgrade(ctx, id)
	if err != nil {
		return handler.Failed(err)
	}
	why := fmt.Sprintf("%s: no upgrade of cluster %s is under way", p.Command, id)
	if known.RunID != "" {
		why += fmt.Sprintf(", the last one ended at %s (%s)", known.EndedAt.UTC().Format(time.RFC3339), known.Outcome)
	}
	return w.refuse(ctx, e, p.RequestID, id, fault.New(fault.Blocked, "%s", why))
}

// freeze records a freeze, or lifts one. Who waits for a window finds it at the next look; what is under way goes on.
func (w *Work) freeze(ctx context.Context, p *events.UpgradeControlRequested) handler.Outcome {
	now := w.Now()
	f := fleet.Freeze{Name: p.Name, Ring: p.Ring, From: p.From, Until: p.Until, Reason: p.Reason}
	if p.Cluster != "" {
		f.Cluster = w.id(p.Region, p.Cluster).String()
	}
	if f.From.IsZero() {
		f.From = now
	}
	if p.Command == events.UpgradeUnfreeze {
		known, err := w.Ledger.Freezes(ctx)
		if err != nil {
			return handler.Failed(err)
		}
		found := false
		for _, k := range known {
			if k.Name == p.Name {
				f, found = k, true
			}
		}
		if !found {
			return w.nothing(ctx, "no freeze is called "+p.Name)
		}
		f.Until = now
	}
	if !f.Until.IsZero() && !f.Until.After(f.From) && p.Command == events.UpgradeFreeze {
		return handler.Failed(fault.New(fault.Invalid, "freeze %s ends at %s, which is not after its beginning", f.Name, f.Until.Format(time.RFC3339)))
	}
	if err := w.Ledger.Freeze(ctx, f); err != nil {
		return handler.Failed(err)
	}
	w.Metrics.Count("UpgradeCommands", 1)
	obs.Log(ctx).Info("freeze", "command", p.Command, "name", f.Name, "cluster", f.Cluster, "ring", f.Ring, "until", f.Until)
	return handler.Done()
}
