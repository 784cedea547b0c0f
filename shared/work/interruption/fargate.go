package interruption

import (
	"context"
	"encoding/json"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/decide/interruption"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/handler"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/obs"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// Pods is one cluster's API server, as far as a single pod needs it.
type Pods interface {
	// Pod reads a pod. An absent one is fault.NotFound.
	Pod(ctx context.Context, namespace, name string) (fleet.Pod, error)
	Evict(ctx context.Context, a plan.EvictPod) error
}

// podRun is one look at a Fargate pod that EKS is going to delete.
type podRun struct {
	*Work
	delivery handler.Delivery
	cluster  fleet.ClusterID
	ref      events.PodTerminationContinuation // what is known of the run
	doc      ledger.PodTermination
	pods     Pods
	pod      *fleet.Pod // nil: there is none of the name
}

// podEnds begins to try to evict a pod that EKS could not evict, and will delete.
func (w *Work) podEnds(ctx context.Context, d handler.Delivery, p *events.FargatePodTermination) handler.Outcome {
	if !w.Now().Before(p.ScheduledTerminationTime.Time) {
		return w.nothing(ctx, d, "EKS has deleted the pod by now")
	}
	r := w.podRun(d, events.PodTerminationContinuation{
		Cluster: p.ClusterName, Namespace: p.PodNamespace, Pod: p.PodName, EventID: d.Event.ID, EventTime: d.Event.Time,
		Deadline: p.ScheduledTerminationTime.Time, StartedAt: w.Now(),
	})
	switch known, err := r.read(ctx); {
	case fault.Is(err, fault.NotFound):
		return w.nothing(ctx, d, "EKS does not know cluster "+p.ClusterName)
	case err != nil:
		return r.failed(err)
	case known.LookedBy == d.Event.ID: // this very message: what it led to may not have been sent
		return r.repeat(ctx, known)
	case r.pod == nil:
		return w.nothing(ctx, d, "there is no pod "+r.name())
	case known.PodUID == r.pod.UID && known.Outcome == "":
		return w.nothing(ctx, d, "it is being tried already")
	default:
		r.ref.PodUID, r.ref.RunID = r.pod.UID, w.NewID()
		r.doc = known.Follow(ledger.PodTermination{RunID: r.ref.RunID, PodUID: r.ref.PodUID, StartedAt: r.ref.StartedAt, Deadline: r.ref.Deadline})
	}
	return r.look(ctx)
}

// podAgain tries again.
func (w *Work) podAgain(ctx context.Context, d handler.Delivery, p *events.PodTerminationContinuation) handler.Outcome {
	r := w.podRun(d, *p)
	known, err := r.read(ctx)
	switch {
	case err != nil && !fault.Is(err, fault.NotFound): // without its cluster the pod is gone
		return r.failed(err)
	case known.RunID != "" && known.RunID != p.RunID:
		return w.nothing(ctx, d, "the continuation belongs to an older run")
	case known.LookedBy == d.Event.ID:
		return r.repeat(ctx, known)
	case known.Outcome != "" || p.Attempt < known.Attempt:
		return w.nothing(ctx, d, "a repeated continuation")
	}
	r.doc = known
	if known.RunID == "" { // the ledger has lost it, the message has not
		r.doc = known.Follow(ledger.PodTermination{RunID: p.RunID, PodUID: p.PodUID, StartedAt: p.StartedAt, Deadline: p.Deadline, Attempt: p.Attempt})
	}
	return r.look(ctx)
}

func (w *Work) podRun(d handler.Delivery, ref events.PodTerminationContinuation) *podRun {
	return &podRun{Work: w, delivery: d, ref: ref, cluster: fleet.ClusterID{Region: w.Region, Name: ref.Cluster}}
}

func (r *podRun) name() string { return r.ref.Namespace + "/" + r.ref.Pod }

// read opens the cluster and reads the pod and what is remembered of it. A NotFound is the cluster's.
func (r *podRun) read(ctx context.Context) (known ledger.PodTermination, err error) {
	if known, err = r.Ledger.PodTermination(ctx, r.cluster, r.name()); err != nil {
		return known, err
	}
	if r.pods, err = r.Open(r.Region).Pods(ctx, r.ref.Cluster); err != nil {
		return known, err
	}
	p, err := r.pods.Pod(ctx, r.ref.Namespace, r.ref.Pod)
	if err == nil {
		r.pod = &p
	}
	return known, fault.Ignore(err, fault.NotFound)
}

// look tries once, and says how to go on.
func (r *podRun) look(ctx context.Context) handler.Outcome {
	p := interruption.DecidePod(r.Now(), interruption.PodObservation{Pod: r.pod, UID: r.ref.PodUID, Deadline: r.ref.Deadline, Attempt: r.doc.Attempt})
	for _, s := range p.Steps {
		for _, a := range s.Actions {
			evict, ok := a.(plan.EvictPod)
			if !ok {
				return handler.Failed(fault.New(fault.Invalid, "nobody does %T to a Fargate pod", a))
			}
			switch err := r.pods.Evict(ctx, evict); {
			case err == nil:
				p.Outcome, p.Reason = interruption.Drained, "the pod was evicted"
				r.Metrics.Count("PodsEvicted", 1)
			case fault.Is(err, fault.NotFound), fault.Is(err, fault.Conflict):
				p.Outcome, p.Reason = interruption.Drained, "the pod is gone"
			case fault.Is(err, fault.Blocked):
				r.doc.Refused++
				r.Metrics.Count("EvictionsRefused", 1)
			default:
				return r.failed(err)
			}
		}
	}
	r.doc.Attempt++
	r.doc.LookedBy = r.delivery.Event.ID
	if p.Outcome != "" {
		return r.finish(ctx, p)
	}
	obs.Log(ctx).Info("a Fargate pod is still held", "pod", r.name(), "budget", r.pod.Budget, "attempt", r.doc.Attempt, "again", p.LookAgain)
	if err := r.save(ctx); err != nil {
		return r.failed(err)
	}
	return r.later(p.LookAgain)
}

func (r *podRun) later(after time.Duration) handler.Outcome {
	next := r.ref
	next.RunID, next.PodUID, next.StartedAt, next.Attempt = r.doc.RunID, r.doc.PodUID, r.doc.StartedAt, r.doc.Attempt
	return handler.Later(after, &next)
}

func (r *podRun) save(ctx context.Context) (err error) {
	r.doc, err = r.Ledger.SavePodTermination(ctx, r.cluster, r.name(), r.doc)
	return err
}

// finish stores the result before it is published.
func (r *podRun) finish(ctx context.Context, p plan.Plan) handler.Outcome {
	now := r.Now()
	done := events.RunFinished{
		RunID: r.doc.RunID, Function: "interruption", Subject: events.Subject{Cluster: r.ref.Cluster, Region: r.Region},
		Outcome: p.Outcome, Reason: r.name() + ": " + p.Reason, EventID: r.ref.EventID, EventTime: r.ref.EventTime, StartedAt: r.doc.StartedAt, FinishedAt: now, Blocked: p.Left,
		Timings: map[string]int64{"eventToFinished": now.Sub(r.ref.EventTime).Milliseconds()},
		Counts:  map[string]int64{"evictionsRefused": int64(r.doc.Refused), "looks": int64(r.doc.Attempt)},
	}
	var err error
	if r.doc.Result, err = json.Marshal(done); err != nil {
		return handler.Failed(err)
	}
	r.doc.Outcome = p.Outcome
	if err := r.save(ctx); err != nil {
		return r.failed(err)
	}
	r.Metrics.Count("PodTerminations"+p.Outcome, 1)
	return r.announce(ctx)
}

// announce records and publishes the result. Each may happen twice; RunID tells.
func (r *podRun) announce(ctx context.Context) handler.Outcome {
	var done events.RunFinished
	if err := json.Unmarshal(r.doc.Result, &done); err != nil {
		return handler.Failed(fault.New(fault.Invalid, "the result of run %s is damaged: %v", r.doc.RunID, err))
	}
	if err := r.Ledger.SaveRun(ctx, done); err != nil {
		return r.failed(err)
	}
	e, err := events.New(&done, r.NewID(), r.Now(), r.Account, r.Region)
	if err != nil {
		return handler.Failed(&fault.Error{Class: fault.Invalid, Op: "report", Err: err})
	}
	if err := r.Bus.Publish(ctx, e); err != nil {
		return r.failed(err)
	}
	return handler.Done()
}

// repeat serves a message that has made the last look and was not acknowledged.
func (r *podRun) repeat(ctx context.Context, known ledger.PodTermination) handler.Outcome {
	r.doc = known
	if known.Outcome != "" {
		return r.announce(ctx)
	}
	return r.later(time.Second)
}

// failed says that this look came to nothing. While EKS leaves the pod alone there will be another one.
func (r *podRun) failed(err error) handler.Outcome {
	return r.insist(handler.Failed(err), r.ref.Deadline)
}
