package interruption

import (
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Annotations by which a pod's owner wants it left alone. Karpenter's may be a duration instead of "true": then it counts from the
// pod's start.
const (
	annotationKarpenter  = "karpenter.sh/do-not-disrupt"
	annotationAutoscaler = "cluster-autoscaler.kubernetes.io/safe-to-evict"
	annotationOwn        = "ekspedite.dev/do-not-disrupt"
)

// undisturbed is why a pod stays whose owner wants it left alone.
const undisturbed = "it must not be disrupted voluntarily"

// overrideLead is how long before the end, beyond its own grace, a pod goes that is protected from disruption by choice: as long as
// a spot warning leaves it, so that one is obeyed at once, and a machine that goes tomorrow is not emptied of such pods today. For
// as long budgets are still honoured.
const overrideLead = 2 * time.Minute

// stuckAfter is how long after its grace a pod is still waited for: then its kubelet is gone, or its process cannot be ended.
// Karpenter allows as much.
const stuckAfter = time.Minute

// stuck tells whether a pod that should have ended has not.
func stuck(now time.Time, p fleet.Pod) bool {
	return p.Deleting && !p.GoneBy.IsZero() && now.After(p.GoneBy.Add(stuckAfter))
}

// hold is why a pod is not evicted now, and until when; with no time, for as long as the drain lasts.
type hold struct {
	why   string
	until time.Time
}

// protection tells whether a pod is kept from being evicted now. An involuntary event overrides all of it when the end is near.
// Who asks for a removal has thought of bare pods and Jobs already.
func protection(now time.Time, p fleet.Pod, s Signal, policy fleet.InterruptionPolicy) hold {
	var h hold
	switch protected, until := doNotDisrupt(now, p); {
	case protected && s.removes(): // its node is not kept in hope
		return hold{why: undisturbed}
	case protected:
		h = hold{undisturbed, until}
	case s.removes():
		return hold{}
	case p.Owner.Kind == "" && policy.BarePods != fleet.BarePodsEvict:
		h = hold{why: "it has no controller that would make it anew"}
	case p.Owner.Kind == "Job" && policy.Jobs == fleet.JobPodsWait:
		h = hold{"it belongs to a Job that may finish", s.EventTime.Add(policy.JobPatience)}
	default:
		return hold{}
	}
	if s.Involuntary && !s.Deadline.IsZero() {
		h.until = earlier(h.until, overrideAt(s.Deadline, p, policy))
	}
	if s.Involuntary && s.Deadline.IsZero() || !h.until.IsZero() && !now.Before(h.until) {
		return hold{}
	}
	return h
}

// overrideAt is when a protected pod of a machine that goes has to go, too.
func overrideAt(deadline time.Time, p fleet.Pod, policy fleet.InterruptionPolicy) time.Time {
	return forceAt(deadline, p, policy).Add(-overrideLead)
}

// earlier of two times, of which the first may be none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// doNotDisrupt tells whether a pod's owner wants it left alone, and until when, if that ends.
func doNotDisrupt(now time.Time, p fleet.Pod) (bool, time.Time) {
	if p.Annotations[annotationAutoscaler] == "false" || p.Annotations[annotationOwn] == "true" {
		return true, time.Time{}
	}
	text := p.Annotations[annotationKarpenter]
	if text == "true" {
		return true, time.Time{}
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return false, time.Time{}
	}
	if p.Started.IsZero() { // the kubelet has not taken it: all of it is to come
		return true, now.Add(d)
	}
	until := p.Started.Add(d)
	return now.Before(until), until
}

// clock is a time for people: with its day if that is not clear.
func clock(now, t time.Time) string {
	if d := t.Sub(now); d > 12*time.Hour || d < -12*time.Hour {
		return t.UTC().Format(time.DateTime)
	}
	return t.UTC().Format(time.TimeOnly)
}
