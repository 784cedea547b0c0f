package upgrade

import (
	"context"
	"fmt"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/decide/upgrade"
	"github.com/ekspedite/ekspedite/shared/decide/upgradepath"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/handler"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/obs"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// request is somebody's wish: it is checked, recorded, and begun. The same wish twice is once; another one while a run is under
// way is refused, since a run that has begun should end.
func (w *Work) request(ctx context.Context, e events.Event, p *events.UpgradeRequested) handler.Outcome {
	id := w.id(p.Region, p.Cluster)
	var to fleet.Minor
	if p.To != "" {
		var err error
		if to, err = fleet.ParseMinor(p.To); err != nil {
			return w.refuse(ctx, e, p.RequestID, id, &fault.Error{Class: fault.Invalid, Op: "upgrade " + id.String(), Err: err})
		}
	}
	if p.DryRun {
		if err := w.dryRun(ctx, e, p, id, to); err != nil {
			if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Invalid) {
				return w.refuse(ctx, e, p.RequestID, id, err)
			}
			return handler.Failed(err)
		}
		return handler.Done()
	}
	return w.begin(ctx, e, id, ledger.Upgrade{
		RunID: RunID(p.RequestID, id), RequestID: p.RequestID, EventID: e.ID, EventTime: e.Time, To: to, Patch: p.Patch || to == 0, Now: p.Now,
		Reason: p.Reason, Rollout: p.Rollout, StartedAt: w.Now(),
	})
}

// begin records a run and looks at its cluster for the first time.
func (w *Work) begin(ctx context.Context, e events.Event, id fleet.ClusterID, next ledger.Upgrade) handler.Outcome {
	for try := 1; ; try++ {
		known, err := w.Ledger.Upgrade(ctx, id)
		if err != nil {
			return handler.Failed(err)
		}
		switch {
		case known.RunID == next.RunID && known.Running(): // its message was lost, or comes twice
			return w.look(ctx, continuation(known, id))
		case known.Knows(next.RunID):
			return w.nothing(ctx, "run "+next.RunID+" is over")
		case known.Running():
			return w.refuse(ctx, e, next.RequestID, id, fault.New(fault.Conflict,
				"the upgrade of cluster %s to %s that was begun at %s is under way (request %s): wait for it, or abort it (ekspedite upgrade abort --cluster %s)",
				id.Name, target(known), known.StartedAt.UTC().Format(time.RFC3339), known.RequestID, id.Name))
		}
		u, err := w.Ledger.BeginUpgrade(ctx, id, known.Follow(next))
		if fault.Is(err, fault.Conflict) && try < tries {
			continue // somebody was faster
		}
		if err != nil {
			return handler.Failed(err)
		}
		w.publish(ctx, w.report(ctx, nil, started(u, id)))
		return w.look(ctx, continuation(u, id))
	}
}

// started reports that a run begins.
func started(u ledger.Upgrade, id fleet.ClusterID) *events.RunStarted {
	reason := "to " + target(u)
	if u.Reason != "" {
		reason += ": " + u.Reason
	}
	return &events.RunStarted{RunID: u.RunID, Function: function, Subject: subject(id), Cause: events.KindUpgradeRequested, Reason: reason,
		EventID: u.EventID, EventTime: u.EventTime, StartedAt: u.StartedAt}
}

// tries is how often a write is tried when others write at the same time.
const tries = 5

func target(u ledger.Upgrade) string {
	if u.To == 0 {
		return "its newest patches"
	}
	return u.To.String()
}

// continuation is the message for the next look at a run.
func continuation(u ledger.Upgrade, id fleet.ClusterID) events.UpgradeContinuation {
	return events.UpgradeContinuation{RunID: u.RunID, Cluster: id.Name, Region: id.Region, StartedAt: u.StartedAt, Attempt: u.Looks}
}

// refuse reports a request of which nothing comes. What can never work goes to the dead-letter queue, too.
func (w *Work) refuse(ctx context.Context, e events.Event, request string, id fleet.ClusterID, why error) handler.Outcome {
	done := w.finished(e, RunID(request, id), id, w.Now())
	done.Outcome, done.Reason = events.OutcomeFailed, why.Error()
	if fault.Is(why, fault.Conflict) { // nothing is wrong: another run is under way
		done.Outcome = events.OutcomeSuperseded
	}
	done.Failures = []events.Failure{{Resource: "request", Whose: string(plan.Users), Text: why.Error()}}
	if err := w.Ledger.SaveRun(ctx, done); err != nil {
		return handler.Failed(err)
	}
	w.publish(ctx, w.report(ctx, nil, &done))
	w.Metrics.Count("Runs"+done.Outcome, 1)
	if fault.Is(why, fault.Invalid) {
		return handler.Failed(why)
	}
	obs.Log(ctx).Info("request refused", "request", request, "cluster", id.String(), "reason", why)
	return handler.Done()
}

// finished is the report of a run that begins and ends here, without its outcome.
func (w *Work) finished(e events.Event, run string, id fleet.ClusterID, began time.Time) events.RunFinished {
	return events.RunFinished{
		RunID: run, Function: function, Subject: subject(id), EventID: e.ID, EventTime: e.Time, StartedAt: began, FinishedAt: w.Now(),
	}
}

// dryRun tells what would be done, and whether the cluster is ready for it. It writes nothing but the history.
func (w *Work) dryRun(ctx context.Context, e events.Event, p *events.UpgradeRequested, id fleet.ClusterID, to fleet.Minor) error {
	began, run := w.Now(), RunID(p.RequestID, id)
	policy, err := w.wishes(ctx, id)
	if err != nil {
		return err
	}
	reach := w.Open(id.Region)
	o, err := reach.Cluster(ctx, id)
	if err != nil {
		return err
	}
	if to == 0 {
		to = o.Version
	}
	path := upgradepath.Find(o, upgradepath.Want{To: to, Patch: p.Patch || p.To == "", Policy: policy, Now: w.Now()})
	report, err := reach.Readiness(ctx, o, min(to, o.Version+1), policy)
	if err != nil {
		return err
	}
	done := w.finished(e, run, id, began)
	done.Outcome = events.OutcomePlanned
	var list []events.Event
	for _, s := range path.Steps {
		list = w.report(ctx, list, &events.RunProgressed{
			RunID: run, Function: function, Subject: subject(id), Step: "Planned", Detail: fmt.Sprintf("%d. %s, %s: %s", s.Wave, s.ID, s.Takes, s.Why), At: w.Now(),
		})
	}
	for _, f := range upgrade.Blockers(report, path) {
		done.Failures = append(done.Failures, events.Failure{Resource: f.Resource, Code: f.Code, Whose: string(f.Whose), Text: f.Text, Fix: f.Fix})
	}
	for _, text := range path.Blocked {
		done.Failures = append(done.Failures, events.Failure{Resource: "path", Code: "NoWay", Whose: string(plan.Users), Text: text})
	}
	verdict := "ready"
	switch {
	case len(done.Failures) > 0:
		done.Outcome, verdict = events.OutcomeNotReady, fmt.Sprintf("not ready, %d blockers", len(done.Failures))
	case len(path.Steps) == 0:
		done.Outcome = events.OutcomeNothingToDo
	}
	done.Reason = fmt.Sprintf("dry run, nothing was changed: from %s to %s in %d steps, %s; %s", o.Version, to, len(path.Steps), path.Takes.Round(time.Minute), verdict)
	done.Blocked = path.Notes
	done.Counts = map[string]int64{"steps": int64(len(path.Steps)), "blockers": int64(len(done.Failures)), "expectedSeconds": int64(path.Takes.Seconds())}
	done.FinishedAt = w.Now()
	if err := w.Ledger.SaveRun(ctx, done); err != nil { // for whoever follows it there, such as a pipeline
		return err
	}
	return w.Bus.Publish(ctx, w.report(ctx, list, &done)...)
}
