package interruption

import (
	"context"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/apply"
	"github.com/ekspedite/ekspedite/shared/decide/ecsdrain"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/handler"
	"github.com/ekspedite/ekspedite/shared/obs"
	"github.com/ekspedite/ekspedite/shared/observe"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// Containers is ECS, read and written.
type Containers interface {
	observe.Containers
	apply.ContainerWriter
}

// outside is for a machine that belongs to no EKS cluster: it may be a container instance of ECS. Its drain has the same
// memory, lease and continuations as a node's, with the cluster's ARN for the cluster's name and the container instance's
// for the node's.
func (r *run) outside(ctx context.Context, inst fleet.Instance) handler.Outcome {
	why := "instance " + inst.ID + " belongs to no cluster"
	switch {
	case r.reach.Places == nil, r.signal.Launching, r.signal.Removal != nil && !r.signal.Involuntary, inst.Kubernetes():
		return r.without(ctx, &inst, why)
	case r.began && !fleet.IsECSCluster(r.drain.Cluster):
		return r.without(ctx, &inst, why)
	case r.signal.Hook != nil && inst.Tags[fleet.TagECSCluster] == "":
		// Hooks that drain container instances are an old custom. Who has one of his own must not find it answered.
		return r.without(ctx, &inst, "the lifecycle hook "+r.signal.Hook.Name+" is its owner's: the machine has no tag "+fleet.TagECSCluster)
	case !r.began && (inst.State == "terminated" || inst.State == "stopped"):
		return r.without(ctx, &inst, "instance "+inst.ID+" is "+inst.State+" already")
	}
	at, err := r.place(ctx, inst)
	if err != nil {
		return r.failed(err)
	}
	if at == (Place{}) {
		return r.without(ctx, &inst, why)
	}
	r.cluster = at.Cluster
	p, err := r.carryOutContainer(ctx, inst, at)
	return r.conclude(ctx, p, err)
}

// place is where the machine is in ECS. What comes for every machine of the account, or need not be followed by anything, is
// not worth a search through all clusters.
func (r *run) place(ctx context.Context, inst fleet.Instance) (Place, error) {
	if r.began && r.drain.Node != "" {
		return Place{r.drain.Cluster, r.drain.Node}, nil
	}
	return r.reach.Places.Find(ctx, inst, r.signal.Involuntary && r.signal.Cause != string(events.KindInstanceStateChange))
}

// carryOutContainer observes, decides and applies.
func (r *run) carryOutContainer(ctx context.Context, inst fleet.Instance, at Place) (plan.Plan, error) {
	// No file names ECS clusters yet: this is the default, unless somebody has put another into the ledger.
	policy, err := r.Policies.Policy(ctx, fleet.ClusterID{Region: r.region, Name: at.Cluster})
	if err != nil {
		return plan.Plan{}, err
	}
	o, readErr := observe.ContainerMachine(ctx, r.reach.Containers, r.reach.Groups, r.signal, inst, at.Cluster, at.ContainerInstance)
	o.Attempt, o.Began = r.drain.Attempt, r.drain.Node != ""
	p, err := ecsdrain.Decide(r.Now(), o, policy.Interruption)
	if err != nil {
		return p, &fault.Error{Class: fault.Invalid, Err: err}
	}
	obs.Log(ctx).Info("plan", "run", r.drain.RunID, "cluster", r.cluster, "region", r.region, "instance", inst.ID, "plan", summary(p), "notes", p.Notes)
	if o.Container != nil && o.Container.InstanceID == inst.ID && p.Outcome != events.OutcomeNothingToDo { // what does not begin is not told of
		r.drain.Node = o.Container.ARN
	}
	if readErr != nil && o.Container == nil && p.Empty() && p.Outcome == "" {
		return p, readErr // nothing could be seen: let the message come again
	}
	return p, r.apply(ctx, nil, p)
}

// noteContainer takes a done action of a container instance's drain into the drain's record and the report.
func (r *run) noteContainer(res apply.Result) {
	switch a := res.Action.(type) {
	case plan.DrainContainerInstance:
		r.drain.CordonedAt = res.At
		r.Metrics.Took("EventAgeAtCordon", res.At.Sub(r.signal.EventTime))
		r.progress("Draining", a.String(), res.At)
	case plan.StopTask:
		r.drain.Forced++
		r.drain.LastEvictionAt = res.At
		r.Metrics.Count("TasksStopped", 1)
		r.progress("TaskStopped", a.String(), res.At)
	}
}

// ofContainer turns a result about a node into one about a container instance.
func (r *run) ofContainer(done events.RunFinished) events.RunFinished {
	done.Counts = map[string]int64{"tasksStopped": int64(r.drain.Forced), "looks": int64(r.drain.Attempt + 1)}
	return done
}
