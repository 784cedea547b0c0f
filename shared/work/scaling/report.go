package scaling

import (
	"context"
	"errors"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/apply"
	"github.com/ekspedite/ekspedite/shared/decide/scaling"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/obs"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// report is what a look is measured by, over all its rounds.
type report struct {
	rounds           int
	pods, waiting    int
	nodes, calls     int
	observing        time.Duration
	deciding         time.Duration
	acted            int // actions that were carried out
	orders, removals int // of which make room, and nodes that were given up
	ordered          time.Time
	failures         []events.Failure
}

func (r *report) observed(o scaling.Observation, took time.Duration, calls int64) {
	r.rounds++
	r.pods, r.nodes, r.waiting = len(o.Pods), len(o.Nodes), 0
	for _, p := range o.Pods {
		if p.Node == "" {
			r.waiting++
		}
	}
	r.observing, r.calls = r.observing+took, r.calls+int(calls)
}

func (r *report) decided(took time.Duration) { r.deciding += took }

func (r *report) done(res apply.Result) {
	if res.Err != nil {
		r.failures = append(r.failures, failure(res))
		if short, ok := errors.AsType[*apply.ShortError](res.Err); !ok || len(short.Launched.Instances) == 0 {
			return
		}
	}
	r.acted++
	switch res.Action.(type) {
	case plan.ResizeGroup, plan.CreateGroup, plan.LaunchFleet:
		r.orders++
		if r.ordered.IsZero() || res.At.Before(r.ordered) {
			r.ordered = res.At
		}
	case plan.RemoveNode:
		r.removals++
	}
}

// failure says what could not be done, and whose it is.
func failure(res apply.Result) events.Failure {
	f := events.Failure{Whose: string(plan.AWS), Text: res.Action.String() + ": " + res.Err.Error()}
	switch a := res.Action.(type) {
	case plan.ResizeGroup:
		f.Resource = "nodegroup/" + a.Group
	case plan.CreateGroup:
		f.Resource = "nodegroup/" + a.Group
	case plan.RetireGroup:
		f.Resource = "nodegroup/" + a.Group
	case plan.LaunchFleet:
		f.Resource = "pool/" + a.Pool
	case plan.RemoveNode:
		f.Resource = "node/" + a.Node
	}
	if e, ok := errors.AsType[*fault.Error](res.Err); ok {
		f.Code = e.Code
	}
	if short, ok := errors.AsType[*apply.ShortError](res.Err); ok && len(short.Launched.Failures) > 0 {
		f.Code, f.Whose = short.Launched.Failures[0].Code, string(plan.Capacity)
	}
	switch fault.Of(res.Err) {
	case fault.Denied:
		f.Whose = string(plan.Ours)
	case fault.Blocked:
		f.Whose = string(plan.Capacity)
	default:
	}
	return f
}

// maxLeft is how many pods without room a report names.
const maxLeft = 20

// tell records and publishes what came of the look. Told twice, the run's id is the same.
func (v *visit) tell(ctx context.Context, d scaling.Decision) error {
	now, e := v.Now(), d.Explanation
	reason := d.Plan.Reason
	if v.resumed {
		reason = "the look before died while it acted, and what it did is there now; " + reason
	}
	done := events.RunFinished{
		RunID: v.state.RunID, Function: function, Subject: events.Subject{Cluster: v.id.Name, Region: v.id.Region}, Outcome: v.outcome(d), Reason: reason,
		EventID: v.event.ID, EventTime: v.event.Time, StartedAt: v.state.LookedAt, FinishedAt: now, Failures: v.report.failures,
		Timings: map[string]int64{"observe": v.report.observing.Milliseconds(), "decide": v.report.deciding.Milliseconds(), "lookToFinished": now.Sub(v.state.LookedAt).Milliseconds()},
		Counts: map[string]int64{
			"pods": int64(v.report.pods), "podsWaiting": int64(v.report.waiting), "podsLeft": int64(len(e.Left)), "nodes": int64(v.report.nodes), "nodesNew": int64(len(e.New)),
			"nodesGoing": int64(len(e.Going)), "actions": int64(v.report.acted), "looks": int64(v.report.rounds), "kubernetesCalls": int64(v.report.calls),
		},
	}
	if at := v.report.ordered; !at.IsZero() && !v.seen.IsZero() {
		done.Timings["signalToOrder"] = at.Sub(v.seen).Milliseconds()
	}
	for i, l := range e.Left {
		if i == maxLeft {
			break
		}
		done.Blocked = append(done.Blocked, l.Pod+": "+l.Reason)
	}
	if err := v.Ledger.SaveRun(ctx, done); err != nil {
		return err
	}
	event, err := events.New(&done, v.NewID(), now, v.Account, v.Region)
	if err != nil {
		return &fault.Error{Class: fault.Invalid, Op: "report", Err: err}
	}
	if err := v.Bus.Publish(ctx, event); err != nil { // a report stands in nobody's way
		obs.Log(ctx).Warn("could not publish the result", "error", err)
	}
	return nil
}

func (v *visit) outcome(d scaling.Decision) string {
	switch {
	case v.policy.Mode == fleet.ScalingPlan && !d.Plan.Empty():
		return events.OutcomePlanned
	case v.report.acted > 0, v.resumed:
		return events.OutcomeScaled
	case len(v.report.failures) > 0:
		return events.OutcomeFailed
	}
	return events.OutcomeNothingToDo
}

// measure puts the look into the metrics.
func (v *visit) measure() {
	r := &v.report
	v.Metrics.Count("Looks", 1)
	v.Metrics.Count("PodsWaiting", r.waiting)
	v.Metrics.Count("NodesOrdered", r.orders)
	v.Metrics.Count("NodesGivenUp", r.removals)
	v.Metrics.Count("ActionsFailed", len(r.failures))
	v.Metrics.Took("Observe", r.observing)
	v.Metrics.Took("Decide", r.deciding)
	if !r.ordered.IsZero() && !v.seen.IsZero() {
		v.Metrics.Took("SignalToOrder", r.ordered.Sub(v.seen))
	}
}
