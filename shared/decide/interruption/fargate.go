package interruption

import (
	"fmt"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// PodObservation is a Fargate pod that EKS is going to delete in order to patch its machine, and could not evict.
type PodObservation struct {
	Pod      *fleet.Pod // nil: there is none of the name
	UID      string     // of the pod that was meant
	Deadline time.Time  // when EKS deletes it, whatever its budget says
	Attempt  int        // how many looks came before
}

// podPauses are the waits between attempts to evict a Fargate pod. EKS announces days ahead: budgets change in minutes when a rollout
// ends, and in hours when people do something about them.
var podPauses = []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 15 * time.Minute}

// podLastTry is how long before EKS deletes the pod the last attempt is made.
const podLastTry = 30 * time.Second

// DecidePod answers one look at a Fargate pod: it is evicted if its budget lets it go. Nothing is forced: EKS does that itself.
func DecidePod(now time.Time, o PodObservation) plan.Plan {
	p := plan.Plan{Subject: "pod"}
	switch {
	case o.Pod == nil || o.Pod.UID != o.UID:
		p.Outcome, p.Reason = Drained, "the pod is gone"
		return p
	case o.Pod.Deleting:
		p.Outcome, p.Reason = Drained, "the pod is going"
		return p
	case o.Pod.Finished():
		p.Outcome, p.Reason = NothingToDo, "the pod has finished"
		return p
	case !now.Before(o.Deadline):
		p.Outcome, p.Reason = PartiallyDrained, "EKS deletes the pod now: it could not be evicted in time"
		p.Left = []string{held(*o.Pod)}
		return p
	}
	p.Subject = o.Pod.ID()
	p.Reason = fmt.Sprintf("EKS deletes the pod at %s to patch its machine", o.Deadline.UTC().Format(time.RFC3339))
	p.Add("evict", plan.EvictPod{Namespace: o.Pod.Namespace, Name: o.Pod.Name, UID: o.Pod.UID, Budget: o.Pod.Budget})
	p.LookAgain = podPauses[min(max(o.Attempt, 0), len(podPauses)-1)]
	if left := o.Deadline.Sub(now); left > podLastTry {
		p.LookAgain = min(p.LookAgain, left-podLastTry)
	} else {
		p.LookAgain = left
	}
	p.LookAgain = max(p.LookAgain, time.Second)
	return p
}

// held says what holds a pod.
func held(p fleet.Pod) string {
	if p.Budget != "" {
		return p.ID() + " by PodDisruptionBudget " + p.Budget
	}
	return p.ID() + " by a PodDisruptionBudget"
}
