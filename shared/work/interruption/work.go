// Package interruption is the interruption function's work: from one event about one machine to a drained node, one look
// at a time. It wires events, observe, decide, apply and the ledger together and decides nothing itself.
package interruption

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/apply"
	"github.com/ekspedite/ekspedite/shared/decide/interruption"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/handler"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/obs"
	"github.com/ekspedite/ekspedite/shared/observe"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// Instances reads EC2.
type Instances interface {
	Instance(ctx context.Context, id string) (fleet.Instance, error)
}

// Groups is Auto Scaling, read and written.
type Groups interface {
	observe.Groups
	apply.GroupWriter
}

// Nodes is one cluster's API server, read and written.
type Nodes interface {
	observe.Nodes
	apply.NodeWriter
}

// Clusters opens a cluster's API server by the cluster's name. An unknown one is fault.NotFound.
type Clusters interface {
	Nodes(ctx context.Context, cluster string) (Nodes, error)
}

// Policies reads what a cluster's owner has decided.
type Policies interface {
	Policy(ctx context.Context, cluster string) (fleet.Policy, error)
}

// Publisher puts events on ekspedite's bus.
type Publisher interface {
	Publish(ctx context.Context, list ...events.Event) error
}

// Work has what the function needs.
type Work struct {
	Instances Instances
	Groups    Groups
	Clusters  Clusters
	Policies  Policies
	Ledger    *ledger.Ledger
	Bus       Publisher
	Account   string // events of other accounts are not ours; "" accepts all
	Region    string
	NewID     func() string
	Now       func() time.Time
	Metrics   *obs.Metrics
}

// Handle is a handler.Work.
func (w *Work) Handle(ctx context.Context, d handler.Delivery) handler.Outcome {
	signal, ignore := signalOf(d.Event)
	if ignore != "" {
		return w.nothing(ctx, d, ignore)
	}
	if d.Event.Account != "" && w.Account != "" && d.Event.Account != w.Account || d.Event.Region != "" && d.Event.Region != w.Region {
		return w.nothing(ctx, d, fmt.Sprintf("from account %s, Region %s: another fleet's", d.Event.Account, d.Event.Region))
	}
	r := &run{Work: w, delivery: d, signal: signal}
	return r.look(ctx)
}

// nothing acknowledges an event that needs no answer.
func (w *Work) nothing(ctx context.Context, d handler.Delivery, why string) handler.Outcome {
	obs.Log(ctx).Info("nothing to do", "kind", d.Event.Kind, "reason", why)
	w.Metrics.Count("EventsIgnored", 1)
	return handler.Done()
}

// run is one look at one machine.
type run struct {
	*Work
	delivery handler.Delivery
	signal   interruption.Signal
	drain    ledger.Drain
	cluster  string
	events   []events.Event // to be published at the end of the look
}

func (r *run) look(ctx context.Context) handler.Outcome {
	inst, drain, err := r.identify(ctx)
	switch {
	case fault.Is(err, fault.NotFound):
		return r.nothing(ctx, r.delivery, "EC2 does not know instance "+r.signal.InstanceID)
	case err != nil:
		return handler.Failed(err)
	case inst.Cluster() == "":
		return r.nothing(ctx, r.delivery, "instance "+inst.ID+" belongs to no cluster")
	}
	if stale, why := r.resume(drain); stale {
		return r.nothing(ctx, r.delivery, why)
	}
	r.cluster = inst.Cluster()
	nodes, err := r.Clusters.Nodes(ctx, r.cluster)
	if fault.Is(err, fault.NotFound) {
		return r.nothing(ctx, r.delivery, "EKS does not know cluster "+r.cluster)
	}
	if err != nil {
		return handler.Failed(err)
	}
	p, err := r.carryOut(ctx, nodes, inst)
	return r.conclude(ctx, p, err)
}

// identify reads the machine and what is remembered of its drain, at once.
func (r *run) identify(ctx context.Context) (inst fleet.Instance, drain ledger.Drain, err error) {
	var wg sync.WaitGroup
	var drainErr error
	wg.Go(func() { inst, err = r.Instances.Instance(ctx, r.signal.InstanceID) })
	wg.Go(func() { drain, drainErr = r.Ledger.Drain(ctx, r.signal.InstanceID) })
	wg.Wait()
	if err == nil {
		err = drainErr
	}
	return inst, drain, err
}

// resume merges the event with the drain that is remembered. It tells when there is nothing in it that was not known.
func (r *run) resume(known ledger.Drain) (stale bool, why string) {
	c, continued := r.delivery.Event.Payload.(*events.DrainContinuation)
	switch {
	case continued && known.RunID != "" && c.RunID != known.RunID:
		return true, "the continuation belongs to an older run"
	case continued && (known.Over() || c.Attempt < known.Attempt):
		return true, "a repeated continuation"
	case known.Over() && !r.newStory(known):
		return true, "the drain of this instance is over: " + known.Outcome
	}
	if known.RunID != "" && !known.Over() {
		r.drain = known
		r.signal = interruption.Tighten(decodeSignal(known.Signal, r.signal), r.signal)
		r.drain.Signal = encode(r.signal)
		return false, ""
	}
	r.drain = ledger.Drain{RunID: r.NewID(), InstanceID: r.signal.InstanceID, StartedAt: r.Now()}
	if continued { // the ledger has lost it, the message has not
		r.drain.RunID, r.drain.StartedAt, r.drain.Attempt = c.RunID, c.StartedAt, c.Attempt
	}
	r.drain = r.drain.At(known)
	r.drain.Signal = encode(r.signal)
	return false, ""
}

// newStory tells whether an event about a machine whose drain is over begins another one: nothing was drained then, a
// hook waits now, or a machine that was drained by choice must go after all.
func (r *run) newStory(known ledger.Drain) bool {
	old := decodeSignal(known.Signal, r.signal)
	return known.Outcome == events.OutcomeNothingToDo || r.signal.Hook != nil || r.signal.Involuntary && !old.Involuntary
}

// conflictTries is how often a changed node is read again before the next look is left to a later message.
const conflictTries = 4

// carryOut observes, decides and applies. The cordon waits for no lease; the pods do.
func (r *run) carryOut(ctx context.Context, nodes Nodes, inst fleet.Instance) (plan.Plan, error) {
	var policy fleet.Policy
	var policyErr error
	var read sync.WaitGroup
	read.Go(func() { policy, policyErr = r.Policies.Policy(ctx, r.cluster) })
	for try := 1; ; try++ {
		o, readErr := observe.Machine(ctx, nodes, r.Groups, r.signal, inst)
		if read.Wait(); policyErr != nil {
			return plan.Plan{}, policyErr
		}
		o.RunID, o.Blocked, o.Attempt = r.drain.RunID, r.drain.Blocked, r.drain.Attempt
		p, err := interruption.Decide(r.Now(), o, policy.Interruption)
		if err != nil {
			return p, &fault.Error{Class: fault.Invalid, Err: err}
		}
		obs.Log(ctx).Info("plan", "run", r.drain.RunID, "cluster", r.cluster, "instance", inst.ID, "plan", summary(p))
		if o.Node != nil {
			r.drain.Node, r.drain.NodeUID = o.Node.Name, o.Node.UID
		}
		if readErr != nil && o.Node == nil && p.Empty() {
			return p, readErr // nothing could be seen: let the message come again
		}
		err = r.apply(ctx, nodes, p)
		if fault.Is(err, fault.Conflict) && try < conflictTries {
			continue // the node was changed under us: look again at once
		}
		return p, err
	}
}

func (r *run) apply(ctx context.Context, nodes Nodes, p plan.Plan) error {
	do := apply.Drainer{Nodes: nodes, Groups: r.Groups}.Do
	claimed := false
	for _, s := range p.Steps {
		if touchesPods(s) && !claimed {
			if err := r.claim(ctx); err != nil {
				return err
			}
			claimed = true
		}
		results := apply.Step(ctx, s, apply.Width, r.Now, do)
		if err := r.note(ctx, results); err != nil {
			return err
		}
	}
	return nil
}

func touchesPods(s plan.Step) bool {
	for _, a := range s.Actions {
		switch a.(type) {
		case plan.EvictPod, plan.DeletePod:
			return true
		}
	}
	return false
}

// conclude ends a look: remembers it, reports it, and says what SQS is to do.
func (r *run) conclude(ctx context.Context, p plan.Plan, err error) handler.Outcome {
	if fault.Is(err, fault.Blocked) && r.drain.Holder == "" {
		// Another invocation is at work on this machine, and finds what we know in the ledger. Should it die, this
		// message looks again when its time is over; else it will find the run ahead of it and end.
		obs.Log(ctx).Info("another invocation drains this instance", "instance", r.drain.InstanceID, "reason", err)
		return handler.Later(hold, r.continuation())
	}
	if err != nil {
		r.giveBack(ctx)
		r.publish(ctx)
		return handler.Failed(err)
	}
	if p.Outcome != "" {
		return r.finish(ctx, p)
	}
	r.drain.Attempt++
	if err := r.save(ctx, true); err != nil {
		return handler.Failed(err)
	}
	r.publish(ctx)
	return handler.Later(p.LookAgain, r.continuation())
}

func (r *run) continuation() *events.DrainContinuation {
	c := &events.DrainContinuation{
		RunID: r.drain.RunID, InstanceID: r.drain.InstanceID, Cluster: r.cluster, Node: r.drain.Node, NodeUID: r.drain.NodeUID,
		Cause: events.Kind(r.signal.Cause), Signal: r.signal.Action, EventID: r.signal.EventID, EventTime: r.signal.EventTime,
		Deadline: r.signal.Deadline, StartedAt: r.drain.StartedAt, Attempt: r.drain.Attempt,
	}
	if h := r.signal.Hook; h != nil {
		c.Hook = &events.LifecycleHookRef{AutoScalingGroupName: h.Group, LifecycleHookName: h.Name, LifecycleActionToken: h.Token}
	}
	return c
}
