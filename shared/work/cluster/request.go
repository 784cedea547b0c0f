package cluster

import (
	"context"
	"strings"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/decide/cluster"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/handler"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/obs"
	"github.com/ekspedite/ekspedite/shared/observe"
	"github.com/ekspedite/ekspedite/shared/spec"
)

// request is somebody's wish: it is read, checked, recorded, and begun.
func (w *Work) request(ctx context.Context, d handler.Delivery, p *events.ClusterApplyRequested) handler.Outcome {
	file, said := spec.Read([]byte(p.Spec))
	specs, dated := file.Clusters, file.At(w.Now())
	said.Errors, said.Warnings = append(said.Errors, dated.Errors...), append(said.Warnings, dated.Warnings...)
	if err := said.Err(); err != nil {
		w.refuse(ctx, d, p, specs, err)
		return handler.Failed(err)
	}
	w.warn(ctx, p, specs, said)
	if file.Fleet != nil {
		if err := w.fleetPolicy(ctx, d, p, *file.Fleet, len(specs) == 0); err != nil {
			return handler.Failed(err)
		}
	}
	if p.DryRun {
		for _, s := range specs {
			if err := w.dryRun(ctx, d, p, s); err != nil {
				return handler.Failed(err)
			}
		}
		return handler.Done()
	}
	var next []*events.ClusterContinuation
	for _, s := range specs {
		cluster := idOf(s)
		id := runID(p.RequestID, cluster)
		accepted, err := w.Ledger.Desire(ctx, ledger.Desired{
			ClusterID: cluster, Text: s.Text, Prune: p.Prune, Policy: s.Policy, RequestID: p.RequestID, RunID: id,
			EventID: d.Event.ID, RequestedAt: d.Event.Time,
		})
		if err != nil {
			return handler.Failed(err)
		}
		if !accepted {
			obs.Log(ctx).Info("a newer request is there", "cluster", s.Cluster.Name, "request", p.RequestID)
			continue
		}
		next = append(next, &events.ClusterContinuation{RunID: id, Cluster: cluster.Name, Region: cluster.Region, RequestID: p.RequestID, StartedAt: w.Now()})
	}
	if len(next) == 1 {
		return w.look(ctx, *next[0])
	}
	for _, n := range next { // one message a cluster: a stuck one delays no other
		if err := w.send(ctx, n, 0); err != nil {
			return handler.Failed(err)
		}
	}
	return handler.Done()
}

// refuse reports a request of which nothing can be made. The message itself goes to the dead-letter queue with the reason.
func (w *Work) refuse(ctx context.Context, d handler.Delivery, p *events.ClusterApplyRequested, specs []spec.Spec, why error) {
	names := []fleet.ClusterID{{}}
	if len(specs) > 0 {
		names = nil
	}
	for _, s := range specs {
		names = append(names, idOf(s))
	}
	var list []events.Event
	for _, id := range names {
		done := events.RunFinished{
			RunID: runID(p.RequestID, id), Function: function, Subject: subject(id), Outcome: events.OutcomeFailed,
			Reason: why.Error(), EventID: d.Event.ID, EventTime: d.Event.Time, StartedAt: w.Now(), FinishedAt: w.Now(),
		}
		list = w.report(ctx, list, &done)
		if err := w.Ledger.SaveRun(ctx, done); err != nil { // for who follows the run there; the DLQ has the reason, too
			obs.Log(ctx).Warn("could not record the refusal", "error", err)
		}
	}
	w.Metrics.Count("Runs"+events.OutcomeFailed, len(names))
	if err := w.Bus.Publish(ctx, list...); err != nil { // the DLQ has the reason, too
		obs.Log(ctx).Warn("could not publish the refusal", "error", err)
	}
}

// fleetPolicy keeps what a text says for all clusters; a dry run only says that it would be kept. A text that is about nothing
// else is a run of its own, which ends here.
func (w *Work) fleetPolicy(ctx context.Context, d handler.Delivery, p *events.ClusterApplyRequested, policy fleet.FleetPolicy, alone bool) error {
	names := make([]string, len(policy.Rings))
	for i, r := range policy.Rings {
		names[i] = r.Name
	}
	done := events.RunFinished{
		RunID: runID(p.RequestID, fleet.ClusterID{}), Function: function, Outcome: events.OutcomeActive,
		Reason:  "the fleet's policy is kept: rings " + strings.Join(names, ", "),
		EventID: d.Event.ID, EventTime: d.Event.Time, StartedAt: w.Now(), FinishedAt: w.Now(),
	}
	if p.DryRun {
		done.Outcome, done.Reason = events.OutcomePlanned, "the fleet's policy would be kept: rings "+strings.Join(names, ", ")
	} else if kept, err := w.Ledger.KeepFleetPolicy(ctx, policy, d.Event.Time); err != nil {
		return err
	} else if !kept {
		done.Outcome, done.Reason = events.OutcomeSuperseded, "a newer policy of the fleet is there"
	}
	obs.Log(ctx).Info(done.Reason, "request", p.RequestID)
	if !alone {
		return nil
	}
	if err := w.Ledger.SaveRun(ctx, done); err != nil {
		return err
	}
	return w.Bus.Publish(ctx, w.report(ctx, nil, &done)...)
}

// warn tells what of a file has no effect.
func (w *Work) warn(ctx context.Context, p *events.ClusterApplyRequested, specs []spec.Spec, said spec.Report) {
	if len(said.Warnings) == 0 {
		return
	}
	var id fleet.ClusterID // none: the text is about the fleet
	if len(specs) > 0 {
		id = idOf(specs[0])
	}
	var list []events.Event
	for _, problem := range said.Warnings {
		list = w.report(ctx, list, &events.RunProgressed{
			RunID: runID(p.RequestID, id), Function: function, Subject: subject(id),
			Step: "Warning", Detail: problem.String(), At: w.Now(),
		})
	}
	if err := w.Bus.Publish(ctx, list...); err != nil {
		obs.Log(ctx).Warn("could not publish warnings", "error", err)
	}
}

// dryRun reads the world and tells what would be written. Of the ledger, only the history of runs is.
func (w *Work) dryRun(ctx context.Context, d handler.Delivery, p *events.ClusterApplyRequested, s spec.Spec) error {
	start := w.Now()
	opt := w.options(runID(p.RequestID, idOf(s)), p.Prune)
	before, err := w.Ledger.ClusterRun(ctx, idOf(s))
	if err != nil {
		return err
	}
	if opt.Scaling, err = w.scaling(ctx, idOf(s), s.Policy.Scaling, before, w.Ledger.DoorbellKeys); err != nil {
		return err
	}
	o, err := w.Open(s.Cluster.Region).Observe.Cluster(ctx, s.Cluster, opt, observe.Hints{Full: true})
	if err != nil {
		return err
	}
	plan, err := cluster.Forecast(w.Now(), o, s.Cluster, opt)
	if err != nil {
		return &fault.Error{Class: fault.Invalid, Err: err}
	}
	if p.Prune && o.Control() != nil {
		everything, err := w.Open(s.Cluster.Region).Observe.Everything(ctx, idOf(s), observe.ForPruning, observe.Hints{})
		if err != nil {
			return err
		}
		plan = cluster.ForecastPrune(plan, o, everything, s.Cluster, opt)
	}
	return w.reportDryRun(ctx, d, idOf(s), opt.RunID, start, plan)
}

// options are what decisions need beside the spec.
func (w *Work) options(run string, prune bool) cluster.Options {
	return cluster.Options{RunID: run, Account: w.Account, InterruptionRole: w.InterruptionRole, ClusterRole: w.Role, UpgradeRole: w.UpgradeRole, Boundary: w.Boundary, Prune: prune}
}

func idOf(s spec.Spec) fleet.ClusterID {
	return fleet.ClusterID{Region: s.Cluster.Region, Name: s.Cluster.Name}
}

func subject(id fleet.ClusterID) events.Subject {
	return events.Subject{Cluster: id.Name, Region: id.Region}
}
