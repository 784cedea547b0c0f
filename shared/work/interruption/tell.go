package interruption

import (
	"context"
	"fmt"
	"hash/fnv"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/apply"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/obs"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// What Kubernetes Events may cost: a drain must not wait for them, nor load the API server while it has worse to do.
const (
	mostTold   = 50              // in one look; what is left is told at the next one if it is still so
	mostEver   = 300             // in one run
	tellTime   = 1 * time.Second // of a look, after all else
	tellWidth  = 10              // requests at once
	nameOfNews = 200             // letters of an object's name in an Event's: 253 are allowed in all
)

// aboutNode leaves an Event on the node.
func (r *run) aboutNode(reason, message string, warning bool, at time.Time) {
	r.about(plan.RecordEvent{About: "Node", Object: r.drain.Node, UID: r.drain.NodeUID, Reason: reason, Message: message, Warning: warning, At: at})
}

// aboutPod leaves a Warning on a pod.
func (r *run) aboutPod(namespace, name, uid, reason, message string, at time.Time) {
	r.about(plan.RecordEvent{Namespace: namespace, About: "Pod", Object: name, UID: uid, Reason: reason, Message: message, Warning: true, At: at})
}

// aboutBlocked says which budget holds a pod, and for how long that is respected.
func (r *run) aboutBlocked(e plan.EvictPod, at time.Time) {
	budget := "its PodDisruptionBudgets refuse"
	if e.Budget != "" {
		budget = "PodDisruptionBudget " + e.Budget + " refuses"
	}
	then := "; the node is drained by choice, and nothing is forced"
	if r.signal.Involuntary && !r.signal.Deadline.IsZero() {
		then = fmt.Sprintf("; its machine goes at %s, and before that it is deleted in spite of it, in time for its grace", r.goes())
	}
	r.aboutPod(e.Namespace, e.Name, e.UID, "EvictionBlocked", budget+" its eviction"+then, at)
}

func (r *run) aboutEvicted(e plan.EvictPod, at time.Time) {
	if e.Grace != nil {
		r.aboutPod(e.Namespace, e.Name, e.UID, "GraceCut", fmt.Sprintf("its grace is cut to %s, because its machine goes at %s", *e.Grace, r.goes()), at)
	}
}

func (r *run) aboutForced(d plan.DeletePod, at time.Time) {
	r.aboutPod(d.Namespace, d.Name, d.UID, "ForcedDeletion", fmt.Sprintf("deleted with a grace of %s, because its machine goes at %s: %s", d.Grace, r.goes(), d.Why), at)
}

func (r *run) goes() string { return r.signal.Deadline.UTC().Format(time.TimeOnly) + " UTC" }

// about takes a piece of news that was not told before. Its name follows from the run, so that one which is told twice is told once.
func (r *run) about(e plan.RecordEvent) {
	h := fnv.New64a()
	for _, part := range []string{r.drain.RunID, e.UID, e.Reason} {
		_, _ = h.Write([]byte(part + "|"))
	}
	e.Name = fmt.Sprintf("%s.%016x", strings.TrimRight(e.Object[:min(len(e.Object), nameOfNews)], "-."), h.Sum64())
	if e.Object != "" && e.UID != "" && !r.drain.Told[e.Name] {
		r.news = append(r.news, e)
	}
}

// tellCluster leaves the look's news in the cluster. It is the last that a look does but for remembering, and nothing depends on it.
func (r *run) tellCluster(ctx context.Context, p plan.Plan) {
	if r.nodes == nil || r.drain.Node == "" || p.Outcome == events.OutcomeNothingToDo {
		return
	}
	done := r.news
	r.news = nil
	r.aboutNode(r.signal.Cause, p.Reason, r.signal.Involuntary, r.signal.EventTime)
	if r.cordoned { // perhaps by a delivery that another one was faster than
		r.aboutNode("Cordoned", "no new pods, out of load balancers: "+r.signal.Cause, false, r.Now())
	}
	r.news = append(r.news, done...)
	switch left := strings.Join(p.Left, ", "); p.Outcome {
	case events.OutcomeDrained, events.OutcomeNodeRemoved:
		r.aboutNode("Drained", fmt.Sprintf("%d pods were evicted, %d of them by force", r.drain.Evicted+r.drain.Forced, r.drain.Forced), false, r.Now())
	case events.OutcomePartiallyDrained:
		r.aboutNode("NotDrained", p.Reason+": "+left, true, r.Now())
	case events.OutcomeNodeKept:
		r.aboutNode("NodeKept", p.Reason, false, r.Now())
	}
	step := plan.Step{Name: "tell the cluster"}
	for _, e := range r.news[:min(len(r.news), mostTold, max(0, mostEver-len(r.drain.Told)))] {
		step.Actions = append(step.Actions, e)
	}
	if len(step.Actions) == 0 || ctx.Err() != nil {
		return
	}
	soon, cancel := context.WithTimeout(ctx, tellTime)
	defer cancel()
	var failed error
	for _, res := range apply.Step(soon, step, tellWidth, r.Now, apply.Plain(apply.Drainer{Nodes: r.nodes}.Do)) {
		e, _ := res.Action.(plan.RecordEvent)
		if res.Err != nil {
			failed = res.Err
		}
		if res.Err != nil && !fault.Is(res.Err, fault.Denied) && !fault.Is(res.Err, fault.Invalid) { // those will fail again
			continue
		}
		if r.drain.Told == nil {
			r.drain.Told = map[string]bool{}
		}
		r.drain.Told[e.Name] = true
	}
	if failed != nil {
		obs.Log(ctx).Warn("could not leave Kubernetes Events", "error", failed)
	}
}
