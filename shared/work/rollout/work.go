// Package rollout is the upgrade function's work on the fleet: it asks for the upgrades of clusters, ring after ring, and
// watches what comes of them. It upgrades nothing itself: each cluster's run is a message of its own, as if somebody had asked
// for it.
//
// A look takes the rollout's lease, reads how the clusters of the present ring stand, decides, remembers, and asks. What it
// asks for is remembered before it is asked: a look that dies leaves no cluster out, and none twice.
package rollout

import (
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

// Publisher puts events on ekspedite's bus.
type Publisher interface {
	Publish(ctx context.Context, list ...events.Event) error
}

// Health says what is the matter with a cluster that was upgraded, while its ring soaks; "" if nothing is.
type Health func(ctx context.Context, cluster fleet.ClusterID, policy fleet.HealthPolicy) (string, error)

// Work has what rollouts need.
type Work struct {
	Ledger          *ledger.Ledger
	Bus             Publisher
	Health          Health // nil: soaking clusters are not watched
	Account, Region string
	NewID           func() string
	Now             func() time.Time
	Metrics         *obs.Metrics
}

const function = "upgrade"

// Handle is a handler.Work for requests, continuations and commands that are about a rollout.
func (w *Work) Handle(ctx context.Context, d handler.Delivery) handler.Outcome {
	switch p := d.Event.Payload.(type) {
	case *events.RolloutRequested:
		return w.begin(ctx, d.Event, p)
	case *events.RolloutContinuation:
		return w.look(ctx, p)
	case *events.UpgradeControlRequested:
		if p.Rollout != "" {
			return w.command(ctx, p)
		}
	}
	return handler.Failed(fault.New(fault.Invalid, "%s is not about a rollout", d.Event.Kind))
}

// overdue is how late a look may be before its message counts as lost.
const overdue = 2 * time.Minute

// Sweep sends the messages again of rollouts whose messages were lost.
func (w *Work) Sweep(ctx context.Context, send func(ctx context.Context, next events.OwnPayload) error) error {
	list, err := w.Ledger.Rollouts(ctx)
	if err != nil {
		return err
	}
	for _, r := range list {
		if !r.Running() || w.Now().Before(r.LookAt.Add(overdue)) {
			continue
		}
		obs.Log(ctx).Warn("a rollout's message was lost", "rollout", r.ID, "due", r.LookAt)
		if err := send(ctx, &events.RolloutContinuation{Rollout: r.ID, StartedAt: r.StartedAt, Attempt: r.Looks}); err != nil {
			return err
		}
	}
	return nil
}

// begin records a request, and looks at once.
func (w *Work) begin(ctx context.Context, e events.Event, p *events.RolloutRequested) handler.Outcome {
	r := ledger.Rollout{ID: p.RequestID, Ring: p.Ring, Now: p.Now, Reason: p.Reason, EventID: e.ID, StartedAt: w.Now(), Phase: "asked for"}
	if p.To != "" {
		to, err := fleet.ParseMinor(p.To)
		if err != nil {
			return handler.Failed(fault.New(fault.Invalid, "the rollout's version: %v", err))
		}
		r.To = to
	}
	known, err := w.Ledger.Rollout(ctx, r.ID)
	if err != nil {
		return handler.Failed(err)
	}
	if known.ID == "" {
		why, err := w.refused(ctx, r)
		if err != nil {
			return handler.Failed(err)
		}
		switch {
		case why != "":
			return w.end(ctx, r, events.OutcomeSuperseded, why)
		case p.DryRun:
			return w.dryRun(ctx, r)
		}
		r.LookAt = w.Now()
		if _, err := w.Ledger.SaveRollout(ctx, r); fault.Ignore(err, fault.Conflict) != nil {
			return handler.Failed(err)
		}
		run := &events.RunStarted{RunID: "rollout-" + r.ID, Function: function, Cause: events.KindRolloutRequested, Reason: p.Reason, EventID: e.ID, EventTime: e.Time, StartedAt: r.StartedAt}
		if err := w.publish(ctx, run, run.RunID+"-started"); err != nil { // nobody is told, and nothing waits for that
			obs.Log(ctx).Warn("could not say that the rollout has begun", "rollout", r.ID, "error", err)
		}
	}
	return w.look(ctx, &events.RolloutContinuation{Rollout: r.ID, StartedAt: r.StartedAt})
}

// refused says why a rollout must not begin: another one is on its way through the same ring, the policy has no such ring, or
// a ring before it has a regression.
func (w *Work) refused(ctx context.Context, r ledger.Rollout) (string, error) {
	policy, err := w.Ledger.FleetPolicy(ctx)
	if err != nil {
		return "", err
	}
	place := map[string]int{}
	for i, ring := range policy.Rings {
		place[ring.Name] = i + 1
	}
	if r.Ring != "" && place[r.Ring] == 0 {
		return "", fault.New(fault.Invalid, "the fleet policy has no ring %s", r.Ring)
	}
	list, err := w.Ledger.Rollouts(ctx)
	if err != nil {
		return "", err
	}
	for _, other := range list {
		if !other.Running() {
			continue
		}
		if other.Ring == "" || r.Ring == "" || other.Ring == r.Ring {
			return fmt.Sprintf("rollout %s is under way: %s. Abort it, or wait for its end", other.ID, other.Phase), nil
		}
		if other.Halted != "" && other.To == r.To && place[other.Ring] < place[r.Ring] {
			return fmt.Sprintf("ring %s comes before, and its rollout %s is halted: %s", other.Ring, other.ID, other.Halted), nil
		}
	}
	return "", nil
}

// end ends a rollout and tells of it. Telling twice is one record.
func (w *Work) end(ctx context.Context, r ledger.Rollout, outcome, why string) handler.Outcome {
	r.Outcome, r.Phase, r.Halted = outcome, why, ""
	if r.EndedAt.IsZero() {
		r.EndedAt = w.Now()
	}
	if err := w.told(ctx, r); err != nil {
		return handler.Failed(err)
	}
	if _, err := w.Ledger.SaveRollout(ctx, r); err != nil {
		return handler.Failed(err)
	}
	w.Metrics.Count("Rollouts"+outcome, 1)
	return handler.Done()
}

// told records the end and puts it on the bus.
func (w *Work) told(ctx context.Context, r ledger.Rollout) error {
	run := ledger.Run{
		RunID: "rollout-" + r.ID, Function: function, Outcome: r.Outcome, Reason: r.Phase, EventID: r.EventID,
		StartedAt: r.StartedAt, FinishedAt: r.EndedAt,
	}
	if err := w.Ledger.SaveRun(ctx, run); err != nil {
		return err
	}
	return w.publish(ctx, &run, run.RunID)
}

func (w *Work) publish(ctx context.Context, payload events.OwnPayload, id string) error {
	e, err := events.New(payload, id, w.Now(), w.Account, w.Region)
	if err != nil {
		return err
	}
	return w.Bus.Publish(ctx, e)
}
