package interruption

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/apply"
	"github.com/ekspedite/ekspedite/shared/decide/interruption"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/handler"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/obs"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// hold is how long an invocation may keep a drain to itself if it does not know how long it lives: a little more than the
// function's timeout, so that the drain is free again when a killed invocation's message comes back.
const hold = 35 * time.Second

// settling is what the handler keeps of an invocation's time for itself, after the work's.
const settling = 2 * time.Second

// heldError says that another invocation is at work on the drain.
type heldError struct {
	by    string
	until time.Time
}

func (e *heldError) Error() string { return "held by " + e.by }

func (r *run) me() string { return fmt.Sprintf("%s/%d", r.delivery.MessageID, r.delivery.Received) }

// until is when this invocation has certainly ended.
func (r *run) until(ctx context.Context) time.Time {
	now := r.Now()
	if end, ok := ctx.Deadline(); ok && end.Add(settling).Before(now.Add(hold)) {
		return end.Add(settling)
	}
	return now.Add(hold)
}

// claim takes the drain for this invocation, so that two deliveries do not evict the same pods at once. Evictions carry
// UIDs and would do no harm twice; they would cost twice.
func (r *run) claim(ctx context.Context) error {
	if r.drain.Held(r.me(), r.Now()) {
		return r.yield(ctx, r.drain)
	}
	r.drain.Cluster = r.cluster
	r.drain.Holder, r.drain.HeldUntil = r.me(), r.until(ctx)
	saved, err := r.Ledger.SaveDrain(ctx, r.drain)
	if err == nil {
		r.drain = saved
		return nil
	}
	known, readErr := r.Ledger.Drain(ctx, r.drain.InstanceID)
	same := readErr == nil && known.RunID == r.drain.RunID
	r.drain.Holder = ""
	switch {
	case same && known.Holder == r.me(): // only the answer was lost, or a repeated write met the first one
		r.drain = known
		return nil
	case same && known.Held(r.me(), r.Now()): // somebody was faster
		return r.yield(ctx, known)
	case fault.Is(err, fault.Conflict):
		return fault.New(fault.Transient, "another delivery took the drain at the same moment")
	}
	return err
}

// yield leaves the drain to its holder, and what we know.
func (r *run) yield(ctx context.Context, known ledger.Drain) error {
	r.drain.Holder = "" // not ours to give back
	if err := r.tell(ctx); err != nil {
		return err
	}
	return &heldError{known.Holder, known.HeldUntil}
}

// giveBack frees the drain after a failure, so that the retry need not wait for our hold to end. The failure may have been
// that the work's time is over; this is done in the handler's.
func (r *run) giveBack(ctx context.Context) {
	if r.drain.Holder != r.me() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settling/2)
	defer cancel()
	if err := r.save(ctx, true); err != nil {
		obs.Log(ctx).Warn("could not free the drain; it frees itself", "until", r.until(ctx), "error", err)
	}
}

// tell leaves a tightened deadline for the invocation that holds the drain.
func (r *run) tell(ctx context.Context) error {
	for {
		known, err := r.Ledger.Drain(ctx, r.drain.InstanceID)
		switch {
		case err != nil:
			return err
		case known.RunID != r.drain.RunID || known.Over():
			return fault.New(fault.Transient, "the run ended while it was to be told of %s", r.delivery.Event.Kind)
		}
		signal := encode(interruption.Tighten(decodeSignal(known.Signal, r.signal), r.signal))
		if string(signal) == string(known.Signal) {
			return nil
		}
		known.Signal = signal
		if _, err = r.Ledger.SaveDrain(ctx, known); !fault.Is(err, fault.Conflict) {
			return err
		}
	}
}

// What save meets when it was not alone.
var (
	errTold  = errors.New("the run was told of a nearer or harder end")
	errAhead = errors.New("another delivery went on with the drain of this instance")
)

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
		// Either a signal was written while we held the drain (take it over and write again), or our own write was
		// repeated by the SDK after its answer was lost, or we have not held it and somebody went on with it.
		known, err := r.Ledger.Drain(ctx, r.drain.InstanceID)
		switch {
		case err != nil:
			return err
		case known.RunID == r.drain.RunID && known.Over() && known.LookedBy == r.delivery.Event.ID && r.drain.Over():
			r.drain = known
			return nil
		case known.RunID != r.drain.RunID || known.Over() || known.Attempt > r.drain.Attempt:
			return errAhead
		case r.drain.Over() && string(known.Signal) != string(r.drain.Signal):
			r.drain = r.drain.At(known)
			return errTold
		}
		r.drain = r.drain.At(known)
	}
}

// ends tells whether a failed action ends the look. Only what the next steps stand on does: pods are not evicted from a
// node that is not cordoned, and a run does not end on a hook that still waits or a node that is not given back. What went wrong with one pod, or with
// Auto Scaling, must not hold up the other pods; the next look tries it again.
func ends(res apply.Result) bool {
	switch res.Action.(type) {
	case plan.CordonNode, plan.UncordonNode:
		return true
	case plan.CompleteLifecycleAction: // a group that is gone has no hook that waits
		return !fault.Is(res.Err, fault.Invalid) && !fault.Is(res.Err, fault.NotFound)
	case plan.OutOfService: // a node that was changed is read again; more is not worth the run's end
		return fault.Is(res.Err, fault.Conflict)
	}
	return false
}

// note takes a step's results into the drain's record and the report. It returns the first error that ends the look.
func (r *run) note(ctx context.Context, results []apply.Result) error {
	var failed error
	var evicted, forced, deregistered int
	var blocked []string
	for _, res := range results {
		switch {
		case fault.Is(res.Err, fault.Blocked) && refused(res.Action) != nil:
			e := refused(res.Action)
			r.block(e.UID)
			r.drain.Refused++
			blocked = append(blocked, e.Namespace+"/"+e.Name)
			r.aboutBlocked(*e, res.At)
			continue
		case res.Err != nil:
			obs.Log(ctx).Warn("action failed", "action", res.Action.String(), "error", res.Err)
			hopeless := fault.Is(res.Err, fault.Invalid) || fault.Is(res.Err, fault.Denied)
			switch a := res.Action.(type) {
			case plan.EvictPod: // by a webhook, perhaps: at the end it must not stand in the way of a SIGTERM either
				r.block(a.UID)
			case plan.ReplaceInstance:
				if a.First && hopeless {
					r.drain.Refusal = res.Err.Error()
				}
				r.unreplaced = r.unreplaced || !hopeless
			case plan.TerminateInstance:
				if r.unended = true; hopeless {
					r.drain.Refusal = res.Err.Error()
				}
			}
			if ends(res) && (failed == nil || fault.Is(res.Err, fault.Conflict)) {
				failed = res.Err
			}
			continue
		}
		switch a := res.Action.(type) {
		case plan.CordonNode:
			r.cordoned = true
			r.drain.CordonedAt = res.At
			r.Metrics.Took("EventAgeAtCordon", res.At.Sub(r.signal.EventTime))
			r.progress("Cordoned", "node "+a.Node+": no new pods, out of load balancers", res.At)
		case plan.ReplaceInstance:
			r.aboutNode("ReplacementRequested", a.String(), false, res.At)
			r.drain.ReplacedAt = res.At
			r.progress("ReplacementRequested", a.String(), res.At)
		case plan.DeregisterTarget:
			deregistered++
		case plan.EvictPod:
			r.aboutEvicted(a, res.At)
			evicted++
			r.drain.LastEvictionAt = res.At
			delete(r.drain.Blocked, a.UID)
		case plan.DeletePod:
			r.aboutForced(a, res.At)
			forced++
			r.drain.LastEvictionAt = res.At
			delete(r.drain.Blocked, a.UID)
			r.progress("Forced", a.String(), res.At)
		case plan.CompleteLifecycleAction:
			r.progress("HookCompleted", a.String(), res.At)
		case plan.TerminateInstance:
			r.drain.EndedAt = res.At
			r.progress("MachineEnded", a.String(), res.At)
		case plan.UncordonNode:
			r.progress("GivenBack", a.String(), res.At)
			r.aboutNode("GivenBack", "the node takes work again", false, res.At)
		case plan.OutOfService:
			r.progress("OutOfService", a.String(), res.At)
			r.aboutNode("OutOfService", a.String(), true, res.At)
		default:
			r.noteContainer(res)
		}
	}
	r.noteTargets(deregistered, evicted)
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

// refused is the eviction that a budget may refuse, nil for any other action.
func refused(a plan.Action) *plan.EvictPod {
	if e, ok := a.(plan.EvictPod); ok {
		return &e
	}
	return nil
}

// progress adds a step to the report of this look.
func (r *run) progress(step, detail string, at time.Time) {
	_ = r.report(&events.RunProgressed{RunID: r.drain.RunID, Function: "interruption", Subject: r.subject(), Step: step, Detail: detail, At: at})
}

func (r *run) subject() events.Subject {
	s := events.Subject{Cluster: r.cluster, Region: r.region, Node: r.drain.Node, InstanceID: r.drain.InstanceID}
	if fleet.IsECSCluster(r.cluster) {
		s.Node, s.ContainerInstance = "", r.drain.Node
	}
	if r.signal.Removal != nil {
		s.NodeGroup = r.signal.Removal.Group
	}
	return s
}

func (r *run) report(p events.OwnPayload) error {
	e, err := events.New(p, r.NewID(), r.Now(), r.Account, r.Region)
	if err == nil {
		r.events = append(r.events, e)
	}
	return err
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

// finish ends the run: the ledger first, with the result in it, then what announces it. An invocation that dies between
// the two finds the result there when its message comes back.
func (r *run) finish(ctx context.Context, p plan.Plan) handler.Outcome {
	now := r.Now()
	switch {
	case !r.began && r.drain.Node == "" && r.drain.Attempt == 0 && r.signal.Removal == nil: // who asks for a removal wants to know
		return r.nothing(ctx, r.delivery, p.Reason)
	case r.drain.Held(r.me(), now): // only the holder knows what it has done
		return r.waitFor(ctx, &heldError{r.drain.Holder, r.drain.HeldUntil})
	}
	done := r.result(p, now)
	r.noteStart()
	var err error
	if r.drain.Result, err = json.Marshal(done); err != nil {
		return handler.Failed(err)
	}
	r.drain.Outcome, r.drain.LookedBy = p.Outcome, r.delivery.Event.ID
	if err := r.save(ctx, true); errors.Is(err, errTold) {
		r.drain.Outcome, r.drain.Result = "", nil
		return r.goOn(ctx, time.Second)
	} else if err != nil {
		return r.failed(err)
	}
	if !r.signal.Deadline.IsZero() {
		r.Metrics.Took("DeadlineMargin", max(0, r.signal.Deadline.Sub(now)))
	}
	r.Metrics.Took("DrainDuration", now.Sub(r.drain.StartedAt))
	r.Metrics.Count("PodsLeft", len(p.Left))
	r.Metrics.Count("Runs"+p.Outcome, 1)
	return r.announce(ctx)
}

// result is the run's record.
func (r *run) result(p plan.Plan, now time.Time) events.RunFinished {
	done := events.RunFinished{
		RunID: r.drain.RunID, Function: "interruption", Subject: r.subject(), Outcome: p.Outcome, Reason: p.Reason,
		Cause: events.Kind(r.signal.Cause), EventID: r.signal.EventID, EventTime: r.signal.EventTime, StartedAt: r.drain.StartedAt, FinishedAt: now, Blocked: p.Left, Plan: r.planned,
		Timings: map[string]int64{"eventToFinished": now.Sub(r.signal.EventTime).Milliseconds()},
		Counts: map[string]int64{"podsEvicted": int64(r.drain.Evicted), "podsForced": int64(r.drain.Forced),
			"evictionsRefused": int64(r.drain.Refused), "looks": int64(r.drain.Attempt + 1), "kubernetesCalls": r.drain.Calls},
	}
	for name, at := range map[string]time.Time{"eventToCordon": r.drain.CordonedAt, "eventToReplacementRequested": r.drain.ReplacedAt, "eventToLastEviction": r.drain.LastEvictionAt,
		"eventToMachineEnded": r.drain.EndedAt, "eventToTargetsOut": r.drain.TargetsOut} {
		if !at.IsZero() {
			done.Timings[name] = at.Sub(r.signal.EventTime).Milliseconds()
		}
	}
	if r.drain.Deregistered > 0 {
		done.Counts["targetsDeregistered"] = int64(r.drain.Deregistered)
	}
	if fleet.IsECSCluster(r.cluster) {
		return r.ofContainer(done)
	}
	return done
}

// announce records and publishes the result of a run that is over. Each may happen twice; RunID tells.
func (r *run) announce(ctx context.Context) handler.Outcome {
	var done events.RunFinished
	if err := json.Unmarshal(r.drain.Result, &done); err != nil {
		return handler.Failed(fault.New(fault.Invalid, "the result of run %s is damaged: %v", r.drain.RunID, err))
	}
	if err := r.Ledger.SaveRun(ctx, done); err != nil {
		return r.failed(err)
	}
	if err := r.report(&done); err != nil {
		return handler.Failed(&fault.Error{Class: fault.Invalid, Op: "report", Err: err})
	}
	if err := r.Bus.Publish(ctx, r.events...); err != nil {
		return r.failed(err)
	}
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
