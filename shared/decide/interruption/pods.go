package interruption

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

const (
	// criticalPriority is where Kubernetes' system-cluster-critical begins.
	criticalPriority = 2_000_000_000
	// criticalLead: critical pods go last, but start no later than this before the end.
	criticalLead = 30 * time.Second
)

// podSet is a node's pods by what is to happen to them.
type podSet struct {
	normal, critical []fleet.Pod // to be evicted
	terminating      int         // going already
	waitFor          []fleet.Pod // the terminating ones
	protected        []fleet.Pod // those that stay because nobody may disrupt them by choice
	notes            []string
}

func (s podSet) names() []string {
	var out []string
	for _, p := range slices.Concat(s.normal, s.critical, s.waitFor) {
		text := p.ID() + " was still there"
		if p.Budget != "" {
			text += " (PodDisruptionBudget " + p.Budget + ")"
		}
		out = append(out, text)
	}
	return out
}

// sortPods tells who goes, who is going, and who stays and why.
func sortPods(pods []fleet.Pod, s Signal) podSet {
	var out podSet
	for _, p := range pods {
		why := stays(p, s)
		switch {
		case why != "":
			out.notes = append(out.notes, fmt.Sprintf("%s stays: %s", p.ID(), why))
			if why == undisturbed {
				out.protected = append(out.protected, p)
			}
		case p.Deleting:
			out.terminating++
			out.waitFor = append(out.waitFor, p)
		case p.Priority >= criticalPriority:
			out.critical = append(out.critical, p)
		default:
			out.normal = append(out.normal, p)
		}
	}
	// Pods that are not Ready come first: a budget that has nothing left to give may still let them go, and once it has
	// refused one pod the rest of it is not tried in this look.
	order := func(a, b fleet.Pod) int {
		if a.Ready != b.Ready {
			if b.Ready {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.ID(), b.ID())
	}
	slices.SortFunc(out.normal, order)
	slices.SortFunc(out.critical, order)
	slices.Sort(out.notes)
	return out
}

// undisturbed is why a pod stays whose owner wants it left alone.
const undisturbed = "it must not be disrupted voluntarily"

// stays tells why a pod is not evicted, or "". What tolerates our taint stays on a machine that may yet stay or goes in any
// case, but not on one that we end: it would die there past its budget.
func stays(p fleet.Pod, s Signal) string {
	switch {
	case p.Mirror:
		return "it is a static pod"
	case p.Owner.Kind == "DaemonSet":
		return "it belongs to a DaemonSet"
	case p.Finished():
		return "it has finished"
	case !s.removes() && slices.ContainsFunc(p.Tolerations, func(t fleet.Toleration) bool { return t.Tolerates(Taint(s)) }):
		return "it tolerates the interruption taint"
	case !s.Involuntary && doNotDisrupt(p) && !(s.removes() && p.Deleting): // a removal waits for what is going
		return undisturbed
	}
	return ""
}

func doNotDisrupt(p fleet.Pod) bool {
	return p.Annotations["karpenter.sh/do-not-disrupt"] == "true" ||
		p.Annotations["cluster-autoscaler.kubernetes.io/safe-to-evict"] == "false"
}

// evictions are the pods' actions of this look: normal ones at once, critical ones when the normal ones are gone or time
// presses. What a budget held back at an earlier look is deleted when its own grace begins to run out.
func evictions(now time.Time, o Observation, policy fleet.InterruptionPolicy, pods podSet) []plan.Action {
	due := pods.normal
	if len(pods.normal) == 0 && !normalTerminating(pods) || pressing(now, o.Signal) {
		due = slices.Concat(pods.normal, pods.critical)
	}
	var out []plan.Action
	for _, p := range due {
		out = append(out, evict(now, o, policy, p))
	}
	return out
}

func normalTerminating(pods podSet) bool {
	return slices.ContainsFunc(pods.waitFor, func(p fleet.Pod) bool { return p.Priority < criticalPriority })
}

func pressing(now time.Time, s Signal) bool {
	return s.Involuntary && !s.Deadline.IsZero() && !now.Before(s.Deadline.Add(-criticalLead))
}

func evict(now time.Time, o Observation, policy fleet.InterruptionPolicy, p fleet.Pod) plan.Action {
	s := o.Signal
	if !s.Involuntary || s.Deadline.IsZero() {
		return plan.EvictPod{Namespace: p.Namespace, Name: p.Name, UID: p.UID, Budget: p.Budget}
	}
	grace := clamp(now, s.Deadline, p, policy)
	if o.Blocked[p.UID] && !now.Before(forceAt(s.Deadline, p, policy)) {
		return plan.DeletePod{Namespace: p.Namespace, Name: p.Name, UID: p.UID, Grace: grace,
			Why: "its PodDisruptionBudget still refuses, and without this it would die with its machine and no SIGTERM"}
	}
	e := plan.EvictPod{Namespace: p.Namespace, Name: p.Name, UID: p.UID, Budget: p.Budget}
	if grace < p.Grace {
		e.Grace = &grace
	}
	return e
}

// forceAt is the last moment that leaves a pod its whole grace before the machine's end.
func forceAt(deadline time.Time, p fleet.Pod, policy fleet.InterruptionPolicy) time.Time {
	return deadline.Add(-p.Grace - policy.ForceMargin)
}

// clamp cuts a pod's grace to the time that is left. It is never below a second: 0 would be a kill without SIGTERM.
func clamp(now, deadline time.Time, p fleet.Pod, policy fleet.InterruptionPolicy) time.Duration {
	left := deadline.Sub(now) - policy.ForceMargin
	return max(time.Second, min(p.Grace, left)).Truncate(time.Second)
}
