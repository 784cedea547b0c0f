package cluster

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/decide/cluster"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/handler"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/obs"
	"github.com/ekspedite/ekspedite/shared/observe"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// requestDelete is somebody's wish for a cluster's end: it is recorded, and begun. A creation that is under way or has
// failed is unwound the same way, from wherever it is.
func (w *Work) requestDelete(ctx context.Context, d handler.Delivery, p *events.ClusterDeleteRequested) handler.Outcome {
	id := fleet.ClusterID{Region: cmp.Or(p.Region, w.Region), Name: p.Cluster}
	if p.DryRun {
		if err := w.dryRunDelete(ctx, d, p, id); err != nil {
			return handler.Failed(err)
		}
		return handler.Done()
	}
	old, err := w.Ledger.Desired(ctx, id)
	if err != nil {
		return handler.Failed(err)
	}
	run := runID(p.RequestID, id)
	want := ledger.Desired{ // the file and the policy stand as long as there are nodes
		ClusterID: id, Text: old.Text, Policy: old.Policy, Delete: true, Force: p.Force, RequestID: p.RequestID, RunID: run,
		EventID: d.Event.ID, RequestedAt: d.Event.Time,
	}
	if old.RequestID == "" {
		want.Policy = fleet.DefaultPolicy()
	}
	accepted, err := w.Ledger.Desire(ctx, want)
	if err != nil {
		return handler.Failed(err)
	}
	if !accepted {
		return w.nothing(ctx, fmt.Sprintf("a newer request for cluster %s is there", id))
	}
	return w.look(ctx, events.ClusterContinuation{RunID: run, Cluster: id.Name, Region: id.Region, RequestID: p.RequestID, StartedAt: w.Now()})
}

// nameOnly is all that a removal knows of a cluster's spec.
func nameOnly(id fleet.ClusterID) fleet.ClusterSpec {
	return fleet.ClusterSpec{Name: id.Name, Region: id.Region}
}

// dryRunDelete reads the world and tells what would be deleted.
func (w *Work) dryRunDelete(ctx context.Context, d handler.Delivery, p *events.ClusterDeleteRequested, id fleet.ClusterID) error {
	start, opt := w.Now(), w.options(runID(p.RequestID, id), false)
	o, err := w.Open(id.Region).Observe.Everything(ctx, id, observe.ForRemoval, observe.Hints{})
	if err != nil {
		return err
	}
	plan, err := cluster.ForecastRemoval(w.Now(), o, nameOnly(id), opt, p.Force)
	if err != nil {
		return &fault.Error{Class: fault.Invalid, Err: err}
	}
	return w.reportDryRun(ctx, d, id, opt.RunID, start, plan)
}

// reportDryRun tells the plan of a dry run, a line for each call, and its end.
func (w *Work) reportDryRun(ctx context.Context, d handler.Delivery, id fleet.ClusterID, run string, start time.Time, p plan.Plan) error {
	var list []events.Event
	for i, step := range p.Steps {
		for _, a := range step.Actions {
			list = w.report(ctx, list, &events.RunProgressed{RunID: run, Function: function, Subject: subject(id), Step: "Planned",
				Detail: fmt.Sprintf("%d. %s", i+1, a), At: w.Now()})
		}
	}
	done := events.RunFinished{
		RunID: run, Function: function, Subject: subject(id), Outcome: events.OutcomeNothingToDo,
		Reason:  "dry run, nothing was written: " + p.Reason,
		EventID: d.Event.ID, EventTime: d.Event.Time, StartedAt: start, FinishedAt: w.Now(),
		Counts:  map[string]int64{"planned": int64(p.Len()), "steps": int64(len(p.Steps))},
		Blocked: append(p.Notes, p.Left...),
	}
	if p.Outcome == cluster.OutcomeFailed {
		done.Outcome, done.Failures = events.OutcomeFailed, failures(p)
	}
	obs.Log(ctx).Info("dry run", "cluster", id.Name, "plan", p.String())
	if err := w.Ledger.SaveRun(ctx, done); err != nil { // for whoever follows it there, such as a pipeline
		return err
	}
	return w.Bus.Publish(ctx, w.report(ctx, list, &done)...)
}

// decideRemoval looks once at a cluster that is to go.
func (v *visit) decideRemoval(ctx context.Context, waiting []string) (plan.Plan, error) {
	if v.run.RequestID == "" && v.before.Outcome == cluster.OutcomeFailed && v.before.Writes == 0 {
		// It was refused, and stays refused until somebody asks again: nobody expects a cluster to go hours later, because
		// what was in the way happens to be gone.
		return plan.Plan{Subject: "cluster " + v.id.Name, Outcome: cluster.OutcomeFailed, Reason: v.before.Reason}, nil
	}
	o, err := v.reach.Observe.Everything(ctx, v.id, observe.ForRemoval, observe.Hints{Waiting: waiting, Updates: v.run.Updates})
	if err != nil {
		return plan.Plan{}, err
	}
	delete(v.run.Troubles, unseen)
	now := v.Now()
	o.Made, o.Troubles, o.Idle = v.run.Made, v.run.Troubles, v.run.Idle
	v.settleUpdates(&o)
	p, err := cluster.Remove(now, o, v.spec, v.opt, v.desired.Force)
	if err != nil {
		return p, err
	}
	pending := cluster.Leaving(now, o, v.spec, v.opt, v.desired.Force)
	for _, id := range v.run.Waiting {
		if o.Depth == cluster.Full && len(o.Found[id]) == 0 && !slices.Contains(pending, id) {
			v.progress(ctx, id, "Gone", id+" is gone")
		}
	}
	v.compare(ctx, p, nil, pending)
	// What stays was seen at the beginning: at the end nobody can tell which roles the node groups had.
	for _, what := range p.Left {
		if !slices.Contains(v.run.Stays, what) {
			v.run.Stays = append(v.run.Stays, what)
		}
	}
	v.notes = append(v.notes, v.run.Stays...)
	obs.Log(ctx).Info("plan", "run", v.run.RunID, "cluster", v.id.Name, "reason", p.Reason, "actions", p.Len(), "outcome", p.Outcome)
	return p, nil
}

// prune goes on where a cluster is as its file says: with what the file has lost since. It looks only when there may be
// such a thing, since it takes many reads.
func (v *visit) prune(ctx context.Context, o cluster.Observation, p plan.Plan) (plan.Plan, []string, error) {
	if p.Outcome != cluster.OutcomeActive || v.run.Converged == textHash(v.desired.Text) && (!v.desired.Prune || v.run.RequestID == "") {
		return p, nil, nil
	}
	everything, err := v.reach.Observe.Everything(ctx, v.id, observe.ForPruning, observe.Hints{Updates: v.run.Updates})
	if fault.Is(err, fault.Denied) && !v.desired.Prune { // nobody has asked for it
		p.Notes = append(p.Notes, "could not look for what the file does not name any more: "+err.Error())
		return p, nil, nil
	}
	if err != nil {
		return p, nil, err
	}
	everything.Made, everything.Troubles = v.run.Made, v.run.Troubles
	now := v.Now()
	return cluster.Prune(now, p, o, everything, v.spec, v.opt), cluster.Pruning(now, o, everything, v.spec, v.opt), nil
}

// textHash is a hash of a file.
func textHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:8])
}

// settled remembers what the end of a run means for the next ones.
func (v *visit) settled(ctx context.Context, outcome string) error {
	switch outcome {
	case cluster.OutcomeActive:
		v.run.Converged = textHash(v.desired.Text)
	case cluster.OutcomeDeleted:
		v.run.Converged = ""
		return v.Ledger.Forget(ctx, v.id, v.desired.RequestID)
	}
	return nil
}
