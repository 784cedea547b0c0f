package interruption

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/apply"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/handler"
	"github.com/ekspedite/ekspedite/shared/obs"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// hold is how long an invocation may keep a drain to itself: a little more than the function's timeout, so that it is
// free again when a killed invocation's message comes back.
const hold = 35 * time.Second

// claim takes the drain for this invocation, so that two deliveries do not evict the same pods at once. Evictions carry
// UIDs and would do no harm twice; they would cost twice.
func (r *run) claim(ctx context.Context) error {
	me := fmt.Sprintf("%s/%d", r.delivery.MessageID, r.delivery.Received)
	if r.drain.Held(me, r.Now()) {
		if err := r.tell(ctx); err != nil {
			return err
		}
		holder := r.drain.Holder
		r.drain.Holder = ""
		return fault.New(fault.Blocked, "held by %s", holder)
	}
	r.drain.Cluster = r.cluster
	r.drain.Holder, r.drain.HeldUntil = me, r.Now().Add(hold)
	saved, err := r.Ledger.SaveDrain(ctx, r.drain)
	if fault.Is(err, fault.Conflict) { // somebody was faster between our read and our write
		r.drain.Holder = ""
		return fault.New(fault.Transient, "another delivery took the drain at the same moment")
	}
	if err != nil {
		return err
	}
	r.drain = saved
	return nil
}

// giveBack frees the drain after a failure, so that the retry need not wait for our hold to end.
func (r *run) giveBack(ctx context.Context) {
	if r.drain.Holder == "" {
		return
	}
	if err := r.save(ctx, true); err != nil {
		obs.Log(ctx).Warn("could not free the drain; it frees itself", "after", hold.String(), "error", err)
	}
}

// tell leaves a tightened deadline for the invocation that holds the drain.
func (r *run) tell(ctx context.Context) error {
	known, err := r.Ledger.Drain(ctx, r.drain.InstanceID)
	if err != nil || known.Over() || string(known.Signal) == string(r.drain.Signal) {
		return err
	}
	known.Signal = r.drain.Signal
	_, err = r.Ledger.SaveDrain(ctx, known)
	return err
}

// save remembers the drain; release gives it free for the next look.
func (r *run) save(ctx context.Context, release bool) error {
	r.drain.Cluster = r.cluster
	if release {
		r.drain.Holder, r.drain.HeldUntil = "", time.Time{}
	}
	for {
		saved, err := r.Ledger.SaveDrain(ctx, r.drain)
		if err == nil {
			r.drain = saved
			return nil
		}
		if !fault.Is(err, fault.Conflict) {
			return err
		}
		// Only a tightened signal can have been written while we held it: take it over and write again.
		known, err := r.Ledger.Drain(ctx, r.drain.InstanceID)
		if err != nil {
			return err
		}
		if known.RunID != r.drain.RunID || known.Over() || known.Attempt > r.drain.Attempt {
			return fault.New(fault.Transient, "another delivery went on with the drain of %s", r.drain.InstanceID)
		}
		r.drain = r.drain.At(known)
	}
}

// note takes a step's results into the drain's record and the report. It returns the first error that ends the look:
// a refusal by a budget does not.
func (r *run) note(ctx context.Context, results []apply.Result) error {
	var failed error
	var evicted, forced int
	var blocked []string
	for _, res := range results {
		switch {
		case fault.Is(res.Err, fault.Blocked):
			if e, ok := res.Action.(plan.EvictPod); ok {
				if r.drain.Blocked == nil {
					r.drain.Blocked = map[string]bool{}
				}
				r.drain.Blocked[e.UID] = true
				r.drain.Refused++
				blocked = append(blocked, e.Namespace+"/"+e.Name)
			}
			continue
		case res.Err != nil:
			obs.Log(ctx).Warn("action failed", "action", res.Action.String(), "error", res.Err)
			if failed == nil || fault.Is(res.Err, fault.Conflict) {
				failed = res.Err
			}
			continue
		}
		switch a := res.Action.(type) {
		case plan.CordonNode:
			r.drain.CordonedAt = res.At
			r.Metrics.Took("EventAgeAtCordon", res.At.Sub(r.signal.EventTime))
			r.progress("Cordoned", "node "+a.Node+": no new pods, out of load balancers", res.At)
		case plan.ReplaceInstance:
			r.drain.ReplacedAt = res.At
			r.progress("ReplacementRequested", a.String(), res.At)
		case plan.EvictPod:
			evicted++
			r.drain.LastEvictionAt = res.At
			delete(r.drain.Blocked, a.UID)
		case plan.DeletePod:
			forced++
			r.drain.LastEvictionAt = res.At
			delete(r.drain.Blocked, a.UID)
			r.progress("Forced", a.String(), res.At)
		case plan.CompleteLifecycleAction:
			r.progress("HookCompleted", a.String(), res.At)
		}
	}
	r.drain.Evicted += evicted
	r.drain.Forced += forced
	r.Metrics.Count("PodsEvicted", evicted)
	r.Metrics.Count("PodsForced", forced)
	r.Metrics.Count("EvictionsRefused", len(blocked))
	if evicted > 0 {
		r.progress("Evicted", fmt.Sprintf("%d pods", evicted), r.Now())
	}
	if len(blocked) > 0 {
		r.progress("Blocked", "by PodDisruptionBudgets, will be tried again: "+strings.Join(blocked, ", "), r.Now())
	}
	return failed
}

// progress adds a step to the report of this look.
func (r *run) progress(step, detail string, at time.Time) {
	r.report(&events.RunProgressed{RunID: r.drain.RunID, Function: "interruption", Subject: r.subject(), Step: step, Detail: detail, At: at})
}

func (r *run) subject() events.Subject {
	return events.Subject{Cluster: r.cluster, Node: r.drain.Node, InstanceID: r.drain.InstanceID}
}

func (r *run) report(p events.OwnPayload) {
	if e, err := events.New(p, r.NewID(), r.Now(), r.Account, r.Region); err == nil {
		r.events = append(r.events, e)
	}
}

// publish sends what was reported. Reports never stand in the way of a drain: a failure is logged.
func (r *run) publish(ctx context.Context) {
	if len(r.events) == 0 {
		return
	}
	if err := r.Bus.Publish(ctx, r.events...); err != nil {
		obs.Log(ctx).Warn("could not publish progress", "error", err)
	}
	r.events = nil
}

// finish ends the run: its record, its result event, its metrics.
func (r *run) finish(ctx context.Context, p plan.Plan) handler.Outcome {
	now := r.Now()
	if r.drain.RunID != "" && r.drain.Node == "" && r.drain.Attempt == 0 {
		return r.nothing(ctx, r.delivery, p.Reason)
	}
	done := events.RunFinished{
		RunID: r.drain.RunID, Function: "interruption", Subject: r.subject(), Outcome: p.Outcome, Reason: p.Reason,
		EventID: r.signal.EventID, EventTime: r.signal.EventTime, StartedAt: r.drain.StartedAt, FinishedAt: now,
		Timings: map[string]int64{"eventToFinished": now.Sub(r.signal.EventTime).Milliseconds()},
		Counts: map[string]int64{"podsEvicted": int64(r.drain.Evicted), "podsForced": int64(r.drain.Forced),
			"evictionsRefused": int64(r.drain.Refused), "looks": int64(r.drain.Attempt + 1)},
	}
	for name, at := range map[string]time.Time{"eventToCordon": r.drain.CordonedAt, "eventToReplacementRequested": r.drain.ReplacedAt, "eventToLastEviction": r.drain.LastEvictionAt} {
		if !at.IsZero() {
			done.Timings[name] = at.Sub(r.signal.EventTime).Milliseconds()
		}
	}
	if p.Outcome == events.OutcomePartiallyDrained {
		done.Blocked = p.Notes
	}
	r.drain.Outcome = p.Outcome
	if err := r.save(ctx, true); err != nil {
		return handler.Failed(err)
	}
	if err := r.Ledger.SaveRun(ctx, done); err != nil {
		return handler.Failed(err)
	}
	if !r.signal.Deadline.IsZero() {
		r.Metrics.Took("DeadlineMargin", max(0, r.signal.Deadline.Sub(now)))
	}
	r.Metrics.Took("DrainDuration", now.Sub(r.drain.StartedAt))
	r.Metrics.Count("Runs"+p.Outcome, 1)
	r.report(&done)
	r.publish(ctx)
	return handler.Done()
}

// summary is a plan in one line for the log: a hundred evictions are a number there.
func summary(p plan.Plan) string {
	var parts []string
	for _, s := range p.Steps {
		parts = append(parts, fmt.Sprintf("%s (%d)", s.Name, len(s.Actions)))
	}
	if p.Outcome != "" {
		parts = append(parts, p.Outcome)
	}
	return strings.TrimSpace(p.Reason + "; " + strings.Join(parts, ", "))
}
