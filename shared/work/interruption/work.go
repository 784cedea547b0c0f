// Package interruption is the interruption function's work: from one event about one machine to a drained node, one look
// at a time. It wires events, observe, decide, apply and the ledger together and decides nothing itself.
package interruption

import (
	"context"
	"errors"
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

// Reach is a Region, as far as drains need it.
type Reach struct {
	Instances  Instances
	Groups     Groups
	Clusters   Clusters
	Containers Containers // ECS, as Places is
	Places     *Places    // nil: machines of ECS are left alone
	Machines   Machines
	Pods       func(ctx context.Context, cluster string) (Pods, error)
	Targets    Targets // nil: no load balancers are asked
	Known      Known   // tells others' machines from ours without a call for each; nil looks at every one
}

// Policies reads what a cluster's owner has decided.
type Policies interface {
	Policy(ctx context.Context, cluster fleet.ClusterID) (fleet.Policy, error)
}

// Publisher puts events on ekspedite's bus.
type Publisher interface {
	Publish(ctx context.Context, list ...events.Event) error
}

// Work has what the function needs.
type Work struct {
	Open     func(region string) Reach
	Policies Policies
	Ledger   *ledger.Ledger
	Bus      Publisher
	Account  string // events of other accounts are not ours; "" accepts all
	Region   string // the function's own, of which AWS tells it; machines elsewhere are asked for by name
	NewID    func() string
	Now      func() time.Time
	Metrics  *obs.Metrics

	called calls // of the planner
}

// Handle is a handler.Work.
func (w *Work) Handle(ctx context.Context, d handler.Delivery) handler.Outcome {
	if answer := w.elsewise(d.Event); answer != nil {
		return answer(ctx, d)
	}
	signal, ignore := signalOf(d.Event)
	if ignore != "" {
		return w.nothing(ctx, d, ignore)
	}
	if d.Event.Account != "" && w.Account != "" && d.Event.Account != w.Account || d.Event.Region != "" && d.Event.Region != w.Region {
		return w.nothing(ctx, d, fmt.Sprintf("from account %s, Region %s: another fleet's", d.Event.Account, d.Event.Region))
	}
	region := w.where(d.Event)
	reach := w.Open(region)
	if why := foreign(ctx, reach.Known, d.Event); why != "" {
		return w.nothing(ctx, d, why)
	}
	r := &run{Work: w, delivery: d, signal: signal, region: region, reach: reach}
	if _, asked := d.Event.Payload.(*events.NodeRemovalRequested); d.Last && !asked && r.Now().Before(r.end()) {
		return handler.Again(0) // an invocation that dies at work would take the drain with it; who asks can ask again
	}
	return r.look(ctx)
}

// run is one look at one machine.
type run struct {
	*Work
	delivery   handler.Delivery
	signal     interruption.Signal
	drain      ledger.Drain
	began      bool // the ledger knows the run
	unreplaced bool // replacement capacity could not be asked for at this look
	unended    bool // nor the machine's end, which was this look's
	cluster    string
	region     string         // the machine's, and so the cluster's
	reach      Reach          // that Region
	events     []events.Event // to be published at the end of the look
	nodes      Nodes          // the cluster's, where something may be written; nil otherwise
	cordoned   bool           // the node is
	news       []plan.RecordEvent
	planned    []string // what would have been done, where nothing may be
}

func (r *run) look(ctx context.Context) handler.Outcome {
	inst, known, err := r.identify(ctx)
	switch _, asked := r.delivery.Event.Payload.(*events.NodeRemovalRequested); {
	case err == nil || fault.Is(err, fault.NotFound):
	case asked && known.RunID == "" && fault.Is(err, fault.Denied):
		return handler.Failed(err) // a Region that we may not act in: that does not change while the node has time
	default:
		return r.failed(err)
	}
	if reported, o := r.repeat(ctx, known); reported {
		return o
	}
	switch what, why := r.resume(known); what {
	case stale:
		return r.nothing(ctx, r.delivery, why)
	case notYet:
		return r.failed(fault.New(fault.Blocked, "%s", why))
	}
	if err == nil {
		r.acquaint(inst)
	}
	switch r.cluster = inst.Cluster(); {
	case err != nil:
		return r.without(ctx, nil, "EC2 does not know instance "+r.signal.InstanceID)
	case r.cluster == "":
		return r.outside(ctx, inst)
	case !r.began && (inst.State == "terminated" || inst.State == "stopped"):
		return r.without(ctx, &inst, "instance "+inst.ID+" is "+inst.State+" already")
	}
	nodes, err := r.reach.Clusters.Nodes(ctx, r.cluster)
	if fault.Is(err, fault.NotFound) {
		return r.without(ctx, &inst, "EKS does not know cluster "+r.cluster)
	}
	if err != nil {
		return r.failed(err)
	}
	counted, calls := obs.CountCalls(ctx)
	p, err := r.carryOut(counted, nodes, inst)
	r.drain.Calls += calls.Load()
	return r.conclude(ctx, p, err)
}

// without ends the story of a machine that has no cluster or is no more. One of which nothing had begun is nobody's
// business: no write is made for it.
func (r *run) without(ctx context.Context, inst *fleet.Instance, why string) handler.Outcome {
	if !r.began {
		return r.nothing(ctx, r.delivery, why)
	}
	r.cluster = r.drain.Cluster
	p, err := interruption.Decide(r.Now(), interruption.Observation{
		RunID: r.drain.RunID, Signal: r.signal, Instance: inst, Began: r.drain.Node != "", Attempt: r.drain.Attempt,
		Ended: !r.drain.EndedAt.IsZero(), Refusal: r.drain.Refusal,
	}, fleet.DefaultPolicy().Interruption)
	if err == nil {
		p.Reason = why
		err = r.apply(ctx, nil, p)
	}
	return r.conclude(ctx, p, err)
}

// repeat serves a message that has ended the run and was not acknowledged: the result may not have been sent.
func (r *run) repeat(ctx context.Context, known ledger.Drain) (bool, handler.Outcome) {
	if !known.Over() || known.LookedBy != r.delivery.Event.ID {
		return false, handler.Outcome{}
	}
	r.drain, r.cluster = known, known.Cluster
	return true, r.announce(ctx)
}

// conflictTries is how often a changed node is read again before the next look is left to a later message.
const conflictTries = 4

// carryOut observes, decides and applies. The cordon waits for no lease; the pods do.
func (r *run) carryOut(ctx context.Context, nodes Nodes, inst fleet.Instance) (plan.Plan, error) {
	defer r.reclaimed(ctx, inst)()
	var policy fleet.Policy
	var policyErr error
	var read sync.WaitGroup
	read.Go(func() { policy, policyErr = r.Policies.Policy(ctx, fleet.ClusterID{Region: r.region, Name: r.cluster}) })
	targets := r.readTargets(ctx, inst, func() (fleet.Policy, error) { read.Wait(); return policy, policyErr })
	look := observe.Machine
	if r.signal.Involuntary && r.drain.Attempt == 0 {
		look = observe.MachineFirst
	}
	for try := 1; ; try++ {
		o, readErr := look(ctx, nodes, r.groups(), r.signal, inst)
		look = observe.Machine
		if read.Wait(); policyErr != nil {
			return plan.Plan{}, policyErr
		}
		o.RunID, o.Blocked, o.Attempt, o.Began = r.drain.RunID, r.drain.Blocked, r.drain.Attempt, r.drain.Node != ""
		o.Ended, o.Refusal = !r.drain.EndedAt.IsZero(), r.drain.Refusal
		r.further(ctx, nodes, &o, policy.Interruption)
		r.seeTargets(ctx, targets, &o, policy.Interruption)
		p, err := interruption.Decide(r.Now(), o, policy.Interruption)
		if err != nil {
			return p, &fault.Error{Class: fault.Invalid, Err: err}
		}
		obs.Log(ctx).Info("plan", "run", r.drain.RunID, "cluster", r.cluster, "region", r.region, "instance", inst.ID, "plan", summary(p))
		if o.Node != nil {
			r.drain.Node, r.drain.NodeUID = o.Node.Name, o.Node.UID
		}
		if readErr != nil && o.Node == nil && p.Empty() && p.Outcome == "" {
			return p, readErr // nothing could be seen: let the message come again
		}
		pending := o.PodsPending || o.TargetsPending
		if policy.Interruption.Mode == fleet.DrainObserve && !pending {
			return r.rehearse(ctx, nodes, p), nil
		}
		if policy.Interruption.Mode != fleet.DrainObserve { // else pending: looked at again with the rest
			r.nodes = nodes
			err = r.apply(ctx, nodes, p)
		}
		if fault.Is(err, fault.Conflict) && try < conflictTries {
			continue // the node was changed under us: look again at once
		}
		if err == nil && pending && p.Outcome == "" {
			continue // cordoned; now for the rest
		}
		r.callPlanner(policy.Scaling)
		return p, err
	}
}

func (r *run) apply(ctx context.Context, nodes Nodes, p plan.Plan) error {
	do := apply.Plain(apply.Drainer{Nodes: nodes, Groups: r.reach.Groups, Targets: r.reach.Targets, Containers: r.reach.Containers}.Do)
	claimed := false
	for _, s := range p.Steps {
		r.foresee(s)
		if wantsLease(s) && !claimed {
			if err := r.claim(ctx); err != nil {
				return err
			}
			claimed = true
			defer r.tellStart(ctx)()
		}
		results := apply.Step(ctx, s, apply.Width, r.Now, do)
		if err := r.note(ctx, results); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return handler.ErrOutOfTime
		}
	}
	return nil
}

// wantsLease tells whether a step is better done by one delivery only.
func wantsLease(s plan.Step) bool {
	for _, a := range s.Actions {
		switch a := a.(type) {
		case plan.EvictPod, plan.DeletePod, plan.TerminateInstance, plan.UncordonNode, plan.StopTask:
			return true
		case plan.ReplaceInstance:
			if a.First {
				return true
			}
		}
	}
	return false
}

// conclude ends a look: remembers it, reports it, and says what SQS is to do.
func (r *run) conclude(ctx context.Context, p plan.Plan, err error) handler.Outcome {
	if busy, ok := errors.AsType[*heldError](err); ok {
		return r.waitFor(ctx, busy)
	}
	if err != nil {
		r.giveBack(ctx)
		r.publish(ctx)
		return r.failed(err)
	}
	if p.Outcome != "" && r.unreplaced && r.Now().Before(r.signal.Deadline) {
		p.Outcome, p.LookAgain = "", time.Second // empty, but not replaced
	}
	if p.Outcome != "" && r.unended && (!r.signal.Involuntary || r.Now().Before(r.signal.Deadline)) {
		p.Outcome, p.LookAgain = "", min(time.Duration(r.drain.Attempt+1)*time.Second, 30*time.Second) // empty, but there
	}
	r.tellCluster(ctx, p)
	if p.Outcome != "" {
		return r.finish(ctx, p)
	}
	return r.goOn(ctx, p.LookAgain)
}

// goOn remembers a look after which another one is due.
func (r *run) goOn(ctx context.Context, after time.Duration) handler.Outcome {
	r.drain.Attempt++
	r.drain.LookedBy = r.delivery.Event.ID
	r.noteStart()
	if err := r.save(ctx, true); errors.Is(err, errAhead) {
		return r.failed(err)
	} else if err != nil { // saved or not: the continuation knows enough to go on
		obs.Log(ctx).Warn("could not remember the look", "error", err)
		after = max(after, time.Second)
	}
	r.publish(ctx)
	return handler.Later(after, r.continuation())
}

// waitFor leaves the machine to the invocation that is at work on it, which finds what we know in the ledger. Should it
// die, this event is there again when its time is over. It must be the same event, not a continuation: if this is a copy
// of the message that the other one works on, acknowledging it here deletes that one's too.
func (r *run) waitFor(ctx context.Context, busy *heldError) handler.Outcome {
	obs.Log(ctx).Info("another invocation drains this instance", "instance", r.drain.InstanceID, "holder", busy.by, "until", busy.until)
	return handler.Again(max(time.Second, busy.until.Sub(r.Now())))
}
