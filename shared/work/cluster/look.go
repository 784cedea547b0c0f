package cluster

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/apply"
	"github.com/ekspedite/ekspedite/shared/decide/cluster"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/handler"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/obs"
	"github.com/ekspedite/ekspedite/shared/observe"
	"github.com/ekspedite/ekspedite/shared/plan"
	"github.com/ekspedite/ekspedite/shared/spec"
)

const (
	// hold is how long a cluster's lease lasts: longer than any invocation (2 min), so that whoever was killed has also
	// ended when the next one begins. By then EC2's reads show what was made, too.
	hold = 150 * time.Second
	// margin is left of the lease, and of the invocation, when a look ends.
	margin = 10 * time.Second
	// busy is when to come back to a cluster that another invocation works on.
	busy = 5 * time.Second
	// overdue is how late a continuation may be before it counts as lost.
	overdue = time.Minute
	// rounds is how often one look observes and acts. What a plan needs beyond them, the next look does.
	rounds = 8
	// ambiguous is the least wait after a failure: what failed may have been done, and may not be visible yet.
	ambiguous = 5 * time.Second
	// blind is how long, and blindTries how often, reads may fail before the run gives up.
	blind      = 15 * time.Minute
	blindTries = 5
	// everything is how often a sweep looks at everything.
	everything = 24 * time.Hour
	// insist is how long a run's message is sent anew however often its work fails. Afterwards it may end in the dead-letter
	// queue, and the next sweep takes the run up.
	insist = time.Hour
)

// visit is one look at one cluster.
type visit struct {
	*Work
	cont    events.ClusterContinuation
	id      fleet.ClusterID
	reach   Reach
	desired ledger.Desired
	run     ledger.ClusterRun
	before  ledger.ClusterRun // the run as it was found
	lease   ledger.Lease
	spec    fleet.ClusterSpec
	opt     cluster.Options
	events  []events.Event // to be published
	notes   []string
	unsaved bool // something was made, and the ledger does not know
}

// look is one look, under the cluster's lease.
func (w *Work) look(ctx context.Context, c events.ClusterContinuation) handler.Outcome {
	v := &visit{Work: w, cont: c, id: fleet.ClusterID{Region: cmp.Or(c.Region, w.Region), Name: c.Cluster}}
	var err error
	v.lease, err = w.Ledger.Acquire(ctx, "cluster#"+v.id.String(), w.NewID(), hold)
	if fault.Is(err, fault.Blocked) {
		return v.busy(ctx, err)
	}
	if err != nil {
		return v.failed(err)
	}
	defer v.release(ctx)
	ctx, cancel := context.WithTimeout(ctx, hold-margin)
	defer cancel()
	if err := v.recall(ctx); err != nil {
		return v.failed(err)
	}
	if why, wait := v.admit(ctx); why != "" {
		if wait > 0 {
			return handler.Later(wait, &c)
		}
		return w.nothing(ctx, why)
	}
	if err := v.read(); err != nil {
		return v.failed(err)
	}
	if err := v.scale(ctx); err != nil {
		return v.failed(err)
	}
	return v.work(ctx)
}

// recall reads what is wanted and what was done for it.
func (v *visit) recall(ctx context.Context) (err error) {
	if v.desired, err = v.Ledger.Desired(ctx, v.id); err != nil {
		return err
	}
	v.before, err = v.Ledger.ClusterRun(ctx, v.id)
	return err
}

// busy is the outcome when another invocation works on the cluster. If it is at the same run, it leaves a continuation of
// its own, and this message only matters if it dies: then its lease expires. A new request comes back soon.
func (v *visit) busy(ctx context.Context, held error) handler.Outcome {
	if err := v.recall(ctx); err != nil {
		return v.failed(err)
	}
	if why, wait := v.admit(ctx); why != "" && wait == 0 {
		return v.nothing(ctx, why)
	}
	after := busy
	if v.before.RunID == v.cont.RunID {
		after = max(after, fault.RetryAfter(held)+time.Second)
	}
	obs.Log(ctx).Info("another invocation works on this cluster", "cluster", v.cont.Cluster, "reason", held, "after", after.String())
	return handler.Later(after, &v.cont)
}

// failed is the outcome of a look that could not be finished: the message comes again.
func (v *visit) failed(err error) handler.Outcome {
	if v.unsaved {
		err = &fault.Error{Class: fault.Of(err), RetryAfter: hold, Err: fmt.Errorf("after writes to AWS: %w", err)}
	}
	return handler.Outcome{Err: err, Insist: v.Now().Sub(v.cont.StartedAt) < insist}
}

// save stores the run.
func (v *visit) save(ctx context.Context) (err error) {
	if v.run, err = v.Ledger.SaveClusterRun(ctx, v.id, v.run); err == nil {
		v.unsaved = false
	}
	return err
}

// release gives the lease back, also when the invocation's time is over. It keeps a lease under which something was made
// that the ledger does not know: what was made may not be visible before the lease expires, and nobody else would know.
func (v *visit) release(ctx context.Context) {
	if v.unsaved {
		obs.Log(ctx).Warn("the lease is left to expire", "cluster", v.cont.Cluster)
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := v.Ledger.Release(ctx, v.lease); err != nil {
		obs.Log(ctx).Warn("could not release the lease; it will expire", "cluster", v.cont.Cluster, "error", err)
	}
}

// admit finds the run that the message is about. It says why there is nothing to do, and how long to wait before asking
// again, 0 for never.
func (v *visit) admit(ctx context.Context) (why string, wait time.Duration) {
	c, known, now := v.cont, v.before, v.Now()
	running := known.RunID != "" && !known.Over()
	switch {
	case v.desired.RequestID == "":
		return "nobody has asked for cluster " + v.id.String(), 0
	case c.RequestID != "" && c.RunID != v.desired.RunID:
		return "request " + c.RequestID + " is superseded by " + v.desired.RequestID, 0
	case known.RunID == c.RunID && known.Over(), known.RunID != c.RunID && known.Begun == c.RunID:
		return "the run is over", 0
	case known.RunID == c.RunID && c.Attempt < known.Attempt:
		// The next look's continuation should be on its way. This message is a repeated one, or one whose invocation was
		// killed before the continuation was sent: only time tells.
		if c.Attempt < known.From { // a later message than this one was at work
			return "a repeated continuation", 0
		}
		if due := known.NextLook.Add(overdue); now.Before(due) {
			return "the next look is on its way", max(due.Sub(now), time.Second)
		}
		v.run, v.run.From = known, c.Attempt
	case known.RunID == c.RunID:
		v.run, v.run.From = known, c.Attempt
	case c.RequestID == "" && known.Begun == v.desired.RunID && running: // a sweep, and a run
		if now.Before(known.NextLook.Add(overdue)) {
			return "a run is under way", 0
		}
		obs.Log(ctx).Warn("a run has lost its continuation: the sweep goes on with it", "run", known.RunID)
		v.run, v.run.From = known, known.Attempt
	case c.RequestID == "" && known.Begun == v.desired.RunID: // a sweep, and nothing else
		v.run = known.Follow(ledger.ClusterRun{RunID: c.RunID, StartedAt: now, EventTime: c.StartedAt, Begun: known.Begun})
	default: // a request, or a sweep that finds one whose message was lost
		if running && v.lease.Token > 0 {
			v.superseded(ctx, known)
		}
		v.run = known.Follow(ledger.ClusterRun{
			RunID: v.desired.RunID, RequestID: v.desired.RequestID, EventID: v.desired.EventID, EventTime: v.desired.RequestedAt,
			StartedAt: now, Begun: v.desired.RunID,
		})
		if v.lease.Token > 0 {
			v.events = v.report(ctx, v.events, v.started())
		}
	}
	return "", 0
}

// superseded reports the end of a run that a newer request has overtaken.
func (v *visit) superseded(ctx context.Context, old ledger.ClusterRun) {
	done := v.finished(old)
	done.Outcome, done.Reason = events.OutcomeSuperseded, "request "+v.desired.RequestID+" took its place"
	v.events = v.report(ctx, v.events, &done)
	if err := v.Ledger.SaveRun(ctx, done); err != nil { // the report on the bus is enough
		obs.Log(ctx).Warn("could not record the run that was superseded", "run", old.RunID, "error", err)
	}
}

// read reads the cluster's spec out of what was asked for. It was valid when it was stored.
func (v *visit) read() error {
	if v.desired.Delete { // of what is to go, nobody needs to know what it was to be
		v.spec = nameOnly(v.id)
		v.prepare()
		return nil
	}
	specs, said := spec.Parse([]byte(v.desired.Text))
	if err := said.Err(); err != nil {
		return err
	}
	if len(specs) != 1 || specs[0].Cluster.Name != v.cont.Cluster {
		return fault.New(fault.Invalid, "the ledger's spec of cluster %s is not about it", v.cont.Cluster)
	}
	v.spec = specs[0].Cluster
	v.prepare()
	return nil
}

// prepare makes the run ready to be worked on.
func (v *visit) prepare() {
	v.opt, v.reach = v.options(v.run.RunID, v.desired.Prune), v.Open(v.id.Region)
	v.run.Fence = v.lease.Token
	v.run.Made, v.run.Troubles, v.run.ReadyAt = writable(v.run.Made), writable(v.run.Troubles), writable(v.run.ReadyAt)
	v.run.Updates = writable(v.run.Updates)
}

func writable[V any](m map[string]V) map[string]V {
	if m == nil {
		return map[string]V{}
	}
	return maps.Clone(m)
}

// work observes, decides and applies as long as that changes something, and says how to go on.
func (v *visit) work(ctx context.Context) handler.Outcome {
	var p plan.Plan
	for round := 0; ; round++ {
		var err error
		if p, err = v.decide(ctx); err != nil {
			return v.unseen(ctx, err)
		}
		if p.Outcome != "" {
			return v.finish(ctx, p)
		}
		if p.Empty() || round == rounds || v.outOfTime(ctx) {
			return v.later(ctx, p.LookAgain)
		}
		ok := v.apply(ctx, p)
		if err := v.save(ctx); err != nil {
			v.publish(ctx)
			return v.failed(err)
		}
		if !ok {
			v.run.Idle++
			return v.later(ctx, max(ambiguous, cluster.Delay(v.run.Idle)))
		}
		v.publish(ctx)
	}
}

func (v *visit) outOfTime(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ok && time.Until(deadline) < margin
}

// decide looks once.
func (v *visit) decide(ctx context.Context) (plan.Plan, error) {
	var waiting []string // for nothing else
	if !v.run.Acted {
		waiting = v.run.Waiting
	}
	if v.desired.Delete {
		return v.decideRemoval(ctx, waiting)
	}
	o, err := v.reach.Observe.Cluster(ctx, v.spec, v.opt, observe.Hints{
		Waiting: waiting, Full: v.run.Writes > 0 && v.run.Acted || v.thorough(), Updates: v.run.Updates,
	})
	if err != nil {
		return plan.Plan{}, err
	}
	if o.Depth == cluster.Full {
		v.run.FullAt = v.Now()
	}
	delete(v.run.Troubles, unseen)
	now := v.Now()
	if o.Unreachable != "" {
		for _, ref := range cluster.Wanted(v.spec, v.opt) {
			if ref.Kind == "kubernetes" {
				v.trouble(ref.ID, fmt.Errorf("the API server does not answer: %s", o.Unreachable))
			}
		}
	}
	o.Made, o.Troubles, o.Idle = v.run.Made, v.run.Troubles, v.run.Idle
	v.settleUpdates(&o)
	p, err := cluster.Decide(now, o, v.spec, v.opt)
	if err != nil { // nothing that waiting could change
		p = plan.Plan{Subject: "cluster " + v.spec.Name, Outcome: cluster.OutcomeFailed, Reason: err.Error()}
	}
	ready, pending := cluster.Progress(now, o, v.spec, v.opt)
	p, pruned, err := v.prune(ctx, o, p)
	if err != nil {
		return plan.Plan{}, err
	}
	if p, err = v.check(ctx, o, p); err != nil {
		return plan.Plan{}, err
	}
	v.compare(ctx, p, ready, append(pending, pruned...))
	obs.Log(ctx).Info("plan", "run", v.run.RunID, "cluster", v.spec.Name, "reason", p.Reason, "actions", p.Len(), "outcome", p.Outcome)
	return p, nil
}

// thorough tells whether a sweep is to look at everything: a light look does not see all that somebody may have changed.
func (v *visit) thorough() bool {
	return v.run.RequestID == "" && v.Now().Sub(v.run.FullAt) >= everything
}

// settleUpdates forgets changes that have ended: those that worked, and those that failed before this run, which tries
// again what they tried.
func (v *visit) settleUpdates(o *cluster.Observation) {
	for id, u := range v.run.Updates {
		now, known := o.Updates[id]
		switch {
		case known && now.Status == "InProgress", o.Depth == cluster.OnlyControl:
		case known && now.Status != "Successful" && !u.Begun.Before(v.run.StartedAt):
		default:
			delete(v.run.Updates, id)
			delete(o.Updates, id)
		}
	}
}

// compare reports what has changed since the last look.
func (v *visit) compare(ctx context.Context, p plan.Plan, ready, waiting []string) {
	now := v.Now()
	for _, id := range v.run.Waiting {
		if _, known := v.run.ReadyAt[id]; !known && slices.Contains(ready, id) {
			v.run.ReadyAt[id] = now
			v.progress(ctx, id, "Ready", id+" is ready")
		}
	}
	if p.Reason == v.run.Reason {
		v.run.Idle++
	} else {
		v.run.Idle = 0
		if p.Empty() && p.Outcome == "" {
			v.progress(ctx, "", "Waiting", p.Reason)
		}
	}
	v.run.Reason, v.run.Waiting, v.run.Acted, v.notes = p.Reason, waiting, !p.Empty(), p.Notes
}

// apply carries a plan out and remembers what came of it. It is false if an action failed.
func (v *visit) apply(ctx context.Context, p plan.Plan) bool {
	ok := true
	v.unsaved = true // whatever comes of it
	for _, step := range p.Steps {
		for _, r := range apply.Step(ctx, step, apply.ClusterWidth, v.Now, v.reach.Apply) {
			call := r.Action.(plan.Call) //nolint:forcetypeassert // a cluster's plan has nothing else
			id, memory := call.ID, cluster.Memory(call)
			if r.Err != nil {
				ok = false
				v.trouble(id, r.Err)
				obs.Log(ctx).Warn("action failed", "cluster", v.spec.Name, "action", r.Action.String(), "class", fault.Of(r.Err).String(), "error", r.Err)
				continue
			}
			delete(v.run.Troubles, id)
			v.run.Made[memory] = fleet.Making{At: r.At, Times: v.run.Made[memory].Times + 1, Name: cluster.NameOf(call)}
			if r.Update.ID != "" {
				r.Update.Begun = r.At
				v.run.Updates[id] = r.Update
			}
			v.run.Writes++
			v.progress(ctx, id, r.Action.Kind(), r.Action.String())
		}
	}
	return ok
}

// trouble remembers a failure, and since when there has been one.
func (v *visit) trouble(id string, err error) {
	t, old := v.run.Troubles[id]
	if !old {
		t.Since = v.Now()
	}
	t.Tries++
	t.Text, t.Class, t.Fatal = err.Error(), fault.Of(err).String(), fault.Is(err, fault.Invalid)
	v.run.Troubles[id] = t
}

func (v *visit) progress(ctx context.Context, id, step, detail string) {
	about := subject(v.id)
	if group, ok := strings.CutPrefix(id, "nodegroup/"); ok {
		about.NodeGroup = group
	}
	now := v.Now()
	v.run.Tell(ledger.Line{At: now, Resource: id, Step: step, Detail: detail})
	v.events = v.report(ctx, v.events, &events.RunProgressed{
		RunID: v.run.RunID, Function: function, Subject: about, Step: step, Detail: detail, Resource: id, At: now,
	})
}

// publish sends what was reported. Progress never stands in the way of the work: a failure is logged.
func (v *visit) publish(ctx context.Context) {
	if len(v.events) == 0 {
		return
	}
	if err := v.Bus.Publish(ctx, v.events...); err != nil {
		obs.Log(ctx).Warn("could not publish progress", "error", err)
	}
	v.events = nil
}
