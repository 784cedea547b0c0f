package scaling

import (
	"context"
	"encoding/json"
	"strconv"
	"sync"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/decide/scaling"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/handler"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/obs"
	"github.com/ekspedite/ekspedite/shared/observe"
)

const (
	// hold is how long a lease lasts if the invocation does not know how long it lives, settling what the handler keeps of an
	// invocation's time for itself, after the work's.
	hold     = 90 * time.Second
	settling = 2 * time.Second
	// again is when to come back to a cluster that another invocation is at work on. Looks take about a second.
	again = time.Second
	// covered: a signal that came that long before a look began was seen by it. One message stands for all signals of some
	// seconds, the last of which came when it was delivered: at most ledger.Bell's longest pause and some clock skew later.
	covered = 3 * time.Second
	// sweeping is how often the sweep comes: looks that are due sooner are left in messages, others to it.
	sweeping = time.Minute
	// minutely is when a cluster is looked at again where time alone may change what is to be done: a little less than a minute,
	// so that each sweep finds it due. calm is the same where nothing waits for anything: what happens then without a signal is
	// that pods end and nodes get empty.
	minutely = 50 * time.Second
	calm     = 110 * time.Second
	// rounds is how often one look observes and acts: again when somebody was faster, or EC2 had none of what was asked for.
	rounds = 3
)

// call is what a look is for.
type call struct {
	id        fleet.ClusterID
	event     events.Event
	seen      time.Time // when the first signal came; zero for a sweep
	why       string
	continued *events.ScalingContinuation // nil for a signal
}

func runID(wish string, id fleet.ClusterID) string { return ledger.RunID("scaling "+wish, id) }

// visit is one look at one cluster.
type visit struct {
	*Work
	call
	reach  Reach
	policy fleet.ScalingPolicy
	state  ledger.Scaling
	before scaling.Memory // as it was remembered when this round began
	memory scaling.Memory // as it is to be remembered
	began  time.Time      // to read
	// resumed: the look before died while it acted, and nobody was told what it did.
	resumed bool
	report  report
}

// look is one look, under the cluster's lease.
func (w *Work) look(ctx context.Context, c call) handler.Outcome {
	lease, err := w.Ledger.Acquire(ctx, "scaling#"+c.id.String(), w.NewID(), w.until(ctx))
	if fault.Is(err, fault.Blocked) {
		return w.busy(ctx, c, err)
	}
	if err != nil {
		return handler.Failed(err)
	}
	v := &visit{Work: w, call: c, reach: w.Open(c.id.Region)}
	defer v.release(ctx, lease)
	return v.work(ctx)
}

// busy leaves a message for a look after the one that another invocation is at, which may not see what this one is about. Many
// signals that meet the same look leave as many messages, and the first of them serves all: the others find that somebody has
// looked since. Should the other invocation die, they are there when its lease ends.
func (w *Work) busy(ctx context.Context, c call, held error) handler.Outcome {
	known, err := w.Ledger.Scaling(ctx, c.id)
	if err != nil {
		return handler.Failed(err)
	}
	obs.Log(ctx).Info("another invocation looks at this cluster", "cluster", c.id.String(), "reason", held)
	next := c.continued
	if next == nil { // the look that is under way counts when it is remembered: wait for the one after it
		next = &events.ScalingContinuation{
			RunID: runID(c.event.ID, c.id), Cluster: c.id.Name, Region: c.id.Region, StartedAt: w.Now(), SeenAt: c.seen, Attempt: known.Looks + 1,
		}
	}
	return handler.Later(again, next)
}

// until is how long this invocation may live.
func (w *Work) until(ctx context.Context) time.Duration {
	if end, ok := ctx.Deadline(); ok {
		return min(end.Add(settling).Sub(w.Now()), hold)
	}
	return hold
}

// release gives the lease back, also when the invocation's time is over.
func (v *visit) release(ctx context.Context, lease ledger.Lease) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settling/2)
	defer cancel()
	if err := v.Ledger.Release(ctx, lease); err != nil {
		obs.Log(ctx).Warn("could not release the lease; it will expire", "cluster", v.id.String(), "error", err)
	}
}

func (v *visit) work(ctx context.Context) handler.Outcome {
	if err := v.recall(ctx); err != nil {
		return handler.Failed(err)
	}
	if why := v.idle(); why != "" {
		return v.nothing(ctx, why)
	}
	if v.resumed = v.state.Acting; !v.resumed { // else it is the run of the look that died
		v.state.RunID = runID(v.event.ID+"/"+strconv.Itoa(v.state.Looks), v.id)
	}
	for round := 1; ; round++ {
		d, err := v.decide(ctx)
		if err != nil {
			return v.failed(ctx, err)
		}
		again, err := v.carryOut(ctx, d)
		if err != nil {
			return v.failed(ctx, err)
		}
		if !again || round == rounds || ctx.Err() != nil {
			return v.conclude(ctx, d)
		}
	}
}

// recall reads what the owner has decided and what is remembered, at once.
func (v *visit) recall(ctx context.Context) error {
	var policy fleet.Policy
	var policyErr, stateErr error
	var wg sync.WaitGroup
	wg.Go(func() { policy, policyErr = v.Ledger.Policy(ctx, v.id) })
	wg.Go(func() { v.state, stateErr = v.Ledger.Scaling(ctx, v.id) })
	wg.Wait()
	if policyErr != nil {
		return policyErr
	}
	if stateErr != nil {
		return stateErr
	}
	v.policy = policy.Scaling
	if len(v.state.Memory) > 0 {
		if err := json.Unmarshal(v.state.Memory, &v.before); err != nil {
			return fault.New(fault.Invalid, "the ledger's memory of cluster %s's scaling is damaged: %v", v.id, err)
		}
	}
	if v.state.Acting { // what that look ordered may never have been asked for; what was, shows by itself
		v.before = without(v.before, func(at time.Time) bool { return !at.Before(v.state.LookedAt) })
	}
	return nil
}

// idle says why there is nothing to look at. A look that died has done nothing for anybody.
func (v *visit) idle() string {
	switch c := v.continued; {
	case v.policy.Mode == fleet.ScalingOff || v.policy.Mode == "":
		return "the policy of cluster " + v.id.String() + " has scaling off"
	case v.state.Acting:
		return ""
	case c != nil && c.Attempt < v.state.Looks:
		return "somebody has looked at the cluster since"
	case c == nil && !v.seen.IsZero() && v.state.LookedAt.Sub(v.seen) > covered:
		return "the last look has seen what the signal was about"
	}
	return ""
}

// decide observes and decides.
func (v *visit) decide(ctx context.Context) (scaling.Decision, error) {
	client, err := v.reach.Kubernetes(ctx, v.id.Name)
	if err != nil {
		return scaling.Decision{}, err
	}
	counted, calls := obs.CountCalls(ctx)
	v.began = v.Now()
	o, err := observe.Scaling{Kubernetes: client, Groups: v.reach.Groups, Market: v.reach.Market, Reclaims: v.Ledger}.Cluster(counted, v.id, v.before)
	if err != nil {
		return scaling.Decision{}, err
	}
	v.report.observed(o, v.Now().Sub(v.began), calls.Load())
	for part, why := range o.Incomplete {
		obs.Log(ctx).Warn("a part of the cluster could not be read", "cluster", v.id.String(), "part", part, "reason", why)
	}
	began := v.Now()
	d, err := scaling.Decide(v.began, o, v.policy)
	if err != nil {
		return d, &fault.Error{Class: fault.Invalid, Op: "decide on cluster " + v.id.String(), Err: err}
	}
	v.report.decided(v.Now().Sub(began))
	return d, nil
}

// failed is the outcome of a look that came to nothing. What a sweep began, the next sweep begins again, and a cluster that
// cannot be reached makes no dead letter a minute; a signal's look is tried again.
func (v *visit) failed(ctx context.Context, err error) handler.Outcome {
	v.Metrics.Count("LooksFailed", 1)
	if fault.Is(err, fault.NotFound) {
		return v.nothing(ctx, "cluster "+v.id.String()+" cannot be found: "+err.Error())
	}
	if fault.Is(err, fault.Conflict) { // the lease was lost
		return handler.Again(again)
	}
	if v.continued != nil && v.seen.IsZero() {
		obs.Log(ctx).Error("the look failed; the next sweep looks again", "cluster", v.id.String(), "error", err)
		return handler.Done()
	}
	return handler.Failed(err)
}

// without drops the orders and removals that were remembered at some times.
func without(m scaling.Memory, gone func(at time.Time) bool) scaling.Memory {
	out := m
	out.Orders, out.Removals = nil, nil
	for _, o := range m.Orders {
		if !gone(o.At) {
			out.Orders = append(out.Orders, o)
		}
	}
	for _, r := range m.Removals {
		if !gone(r.At) {
			out.Removals = append(out.Removals, r)
		}
	}
	return out
}
