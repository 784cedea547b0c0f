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
	held             []fleet.Pod // to be evicted, but not yet
	heldUntil        time.Time   // the first of these
	protected        []fleet.Pod // those that stay because nobody may disrupt them by choice
	kept             []fleet.Pod // those that stay because nobody would make them anew
	notes            []string
}

// left counts the pods that the drain waits for.
func (s podSet) left() int { return len(s.normal) + len(s.critical) + len(s.held) + s.terminating }

// leaving are they.
func (s podSet) leaving() []fleet.Pod {
	return slices.Concat(s.normal, s.critical, s.held, s.waitFor)
}

func (s podSet) names() []string {
	var out []string
	for _, p := range s.leaving() {
		text := p.ID() + " was still there"
		if p.Budget != "" {
			text += " (PodDisruptionBudget " + p.Budget + ")"
		}
		out = append(out, text)
	}
	return out
}

// sortPods tells who goes, who is going, and who stays and why.
func sortPods(now time.Time, o Observation, policy fleet.InterruptionPolicy) podSet {
	var out podSet
	for _, p := range o.Pods {
		why := stays(p, o.Signal)
		if why == "" && stuck(now, p) {
			why = "its grace was over at " + clock(now, p.GoneBy) + ", and nobody has ended it"
		}
		hold := protection(now, p, o.Signal, policy)
		switch {
		case why != "":
			out.notes = append(out.notes, fmt.Sprintf("%s stays: %s", p.ID(), why))
		case p.Deleting:
			out.terminating++
			out.waitFor = append(out.waitFor, p)
		case hold.why != "" && !hold.until.IsZero():
			out.notes = append(out.notes, fmt.Sprintf("%s stays until %s: %s", p.ID(), clock(now, hold.until), hold.why))
			out.held = append(out.held, p)
			if out.heldUntil.IsZero() || hold.until.Before(out.heldUntil) {
				out.heldUntil = hold.until
			}
		case hold.why != "":
			out.notes = append(out.notes, fmt.Sprintf("%s stays: %s", p.ID(), hold.why))
			if hold.why == undisturbed {
				out.protected = append(out.protected, p)
			} else {
				out.kept = append(out.kept, p)
			}
		case p.Priority >= criticalPriority:
			out.critical = append(out.critical, p)
		default:
			out.normal = append(out.normal, p)
		}
	}
	// Pods that are not Ready come first: a budget that has nothing left to give may still let them go, and once it has
	// refused one pod the rest of it is not tried in this look. Then what matters least goes first.
	order := func(a, b fleet.Pod) int {
		if a.Ready != b.Ready {
			if b.Ready {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(a.ID(), b.ID()))
	}
	slices.SortFunc(out.normal, order)
	slices.SortFunc(out.critical, order)
	slices.Sort(out.notes)
	return out
}

// stays tells why a pod is not evicted and not waited for, or "". What tolerates our taint stays on a machine that may yet stay or
// goes in any case, but not on one that we end: it would die there past its budget.
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
	}
	return ""
}

// evictions are the pods' actions of this look: normal ones at once, critical ones when the normal ones are gone or time
// presses. What a budget held back at an earlier look is deleted when its own grace begins to run out.
func evictions(now time.Time, o Observation, policy fleet.InterruptionPolicy, pods podSet) []plan.Action {
	due := pods.normal
	if len(pods.normal)+len(pods.held) == 0 && !normalTerminating(pods) || pressing(now, o.Signal) {
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
			Why: why(p) + ", and without this it would die with its machine and no SIGTERM"}
	}
	e := plan.EvictPod{Namespace: p.Namespace, Name: p.Name, UID: p.UID, Budget: p.Budget}
	if grace < p.Grace {
		e.Grace = &grace
	}
	return e
}

// why a pod's eviction has come to nothing so far, as far as is known.
func why(p fleet.Pod) string {
	if p.Budget == "" {
		return "it could not be evicted"
	}
	return "its PodDisruptionBudget " + p.Budget + " still refuses"
}

// forceAt is the last moment that leaves a pod its whole grace before the machine's end.
func forceAt(deadline time.Time, p fleet.Pod, policy fleet.InterruptionPolicy) time.Time {
	return deadline.Add(-p.Grace - policy.ForceMargin)
}

// clamp cuts a pod's grace to the time that is left, unless the policy leaves it. It is never below a second: 0 would be a kill
// without SIGTERM.
func clamp(now, deadline time.Time, p fleet.Pod, policy fleet.InterruptionPolicy) time.Duration {
	if policy.LongGrace == fleet.GraceFull {
		return max(time.Second, p.Grace)
	}
	left := deadline.Sub(now) - policy.ForceMargin
	return max(time.Second, min(p.Grace, left)).Truncate(time.Second)
}
