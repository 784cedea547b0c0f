package interruption

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// PartTargets is what load balancers send to the machine. Unread, it holds up no involuntary drain.
const PartTargets Part = "the load balancers' targets"

// Balancing is what is known of the machine as a target of load balancers.
type Balancing struct {
	Targets []fleet.Target
	// TargetsPending: they are still being read, and the cordon does not wait for it.
	TargetsPending bool
	// TargetsSince is when the machine was first seen behind a load balancer, TargetsOut when it was first seen that none sends
	// it new connections any more, as far as somebody sees to that. Both are remembered from look to look.
	TargetsSince, TargetsOut time.Time
	// Replaced: the machine was taken out of its Auto Scaling group at an earlier look.
	Replaced bool
}

// endLead is how long before the machine's end its own end is asked for, whatever connections there still are: else it comes
// too late for its group to become smaller, or for the hook to be completed in time.
const endLead = 15 * time.Second

// Hurried tells whether the cordon is too urgent to wait for the targets: the machine goes, and its node still takes work.
func (o Observation) Hurried() bool {
	return o.Signal.Involuntary && o.Node != nil && !dead(o) && !cordoned(*o.Node)
}

// SeeTargets brings up to date since when the machine is behind load balancers, and since when they leave it alone.
func (o *Observation) SeeTargets(now time.Time, policy fleet.InterruptionPolicy) {
	if o.TargetsPending || o.unread(PartTargets) {
		return
	}
	switch {
	case len(o.awaited(policy)) > 0: // it may have been put back meanwhile
		o.TargetsOut = time.Time{}
		if o.TargetsSince.IsZero() {
			o.TargetsSince = now
		}
	case o.TargetsSince.IsZero() && slices.ContainsFunc(o.Targets, draining): // by somebody else
		o.TargetsSince, o.TargetsOut = now, now
	case !o.TargetsSince.IsZero() && o.TargetsOut.IsZero():
		o.TargetsOut = now
	}
}

func draining(t fleet.Target) bool { return t.State == fleet.TargetDraining }

// awaited are the targets that still get new connections, and soon will not: we deregister them, or Auto Scaling does.
func (o Observation) awaited(policy fleet.InterruptionPolicy) (out []fleet.Target) {
	if !policy.LoadBalancers.Deregister {
		return nil
	}
	for _, t := range o.Targets {
		if t.Serving() && (o.deregisters(t) || o.leaves(t, policy)) {
			out = append(out, t)
		}
	}
	return out
}

// deregisters tells whether a target is ours to deregister. From a machine that may yet stay, only what somebody puts back
// is taken.
func (o Observation) deregisters(t fleet.Target) bool {
	return t.Ours && (o.Signal.Involuntary || t.PutBack)
}

// leaves tells whether Auto Scaling deregisters a target: the machine leaves a group that the target group is attached to, or
// does so with this plan.
func (o Observation) leaves(t fleet.Target, policy fleet.InterruptionPolicy) bool {
	if !slices.Contains(t.ScalingGroups, o.Group.Name) {
		return o.Replaced && len(t.ScalingGroups) > 0
	}
	state := o.Group.LifecycleState
	return strings.HasPrefix(state, "Terminat") || strings.HasPrefix(state, "Detach") || state == inService && replaces(o, policy)
}

// deregistrations take the machine out of its target groups, beside the cordon.
func deregistrations(o Observation, policy fleet.InterruptionPolicy) (out []plan.Action) {
	for _, t := range o.awaited(policy) {
		if !o.leaves(t, policy) {
			out = append(out, plan.DeregisterTarget{TargetGroup: t.Group, InstanceID: o.Signal.InstanceID, Port: t.Port})
		}
	}
	return out
}

// quietAt is from when on load balancers leave the machine's pods alone, or have to be overtaken; zero: now.
func quietAt(now time.Time, o Observation, policy fleet.InterruptionPolicy) time.Time {
	lb := policy.LoadBalancers
	wait := lb.Wait
	if !o.Signal.Involuntary {
		wait = lb.VoluntaryWait
	}
	switch {
	case !lb.Deregister:
		return time.Time{}
	case o.unread(PartTargets):
		if o.Signal.Involuntary {
			return time.Time{}
		}
		return o.Signal.EventTime.Add(lb.Wait) // then they are given up
	case len(o.awaited(policy)) > 0:
		since := o.TargetsSince
		if since.IsZero() {
			since = now
		}
		return since.Add(wait)
	case o.TargetsOut.IsZero():
		return time.Time{}
	}
	return earlier(o.TargetsOut.Add(lb.Pause), o.TargetsSince.Add(wait))
}

// serves tells whether connections may end in a pod. Of a connection through this node it may be any pod of the service, so
// that all that are Ready count; those of jobs serve nobody.
func serves(p fleet.Pod) bool { return p.Ready && p.Owner.Kind != "Job" }

// afterTargets leaves out the evictions that wait for the load balancers: those of serving pods, but of none for which it is
// time to have its whole grace before the machine's end. What is forced is forced.
func afterTargets(now time.Time, o Observation, policy fleet.InterruptionPolicy, p *plan.Plan, list []plan.Action) []plan.Action {
	quiet := quietAt(now, o, policy)
	if !now.Before(quiet) {
		return list
	}
	waits := map[string]bool{}
	for _, pod := range o.Pods {
		last := quiet
		if s := o.Signal; s.Involuntary && !s.Deadline.IsZero() {
			last = earlier(last, forceAt(s.Deadline, pod, policy))
		}
		waits[pod.UID] = serves(pod) && now.Before(last)
	}
	kept := slices.DeleteFunc(slices.Clone(list), func(a plan.Action) bool {
		e, ok := a.(plan.EvictPod)
		return ok && waits[e.UID]
	})
	if n := len(list) - len(kept); n > 0 {
		p.Notes = append(p.Notes, fmt.Sprintf("%d evictions wait until load balancers send nothing new to the machine, until %s at most", n, quiet.UTC().Format(time.TimeOnly)))
	}
	return kept
}

// whenQuiet is when to look again: not later than when evictions need not wait any more.
func whenQuiet(now time.Time, o Observation, policy fleet.InterruptionPolicy, after time.Duration) time.Duration {
	if until := quietAt(now, o, policy).Sub(now); until > 0 {
		return max(time.Second, min(after, until))
	}
	return after
}

// connected tells whether the end of an empty machine, where it is ours to bring about, waits for connections that go through it
// to pods elsewhere: until its targets drain, and while they do, as long as the policy and the time that there is allow.
func connected(now time.Time, o Observation, policy fleet.InterruptionPolicy) bool {
	s := o.Signal
	if !policy.LoadBalancers.Deregister || dead(o) || !s.removes() && s.Hook == nil && o.DetachedFrom == "" && len(dismissal(o, policy)) == 0 {
		return false
	}
	end := o.TargetsSince.Add(policy.LoadBalancers.ConnectionWait)
	switch {
	case len(o.awaited(policy)) > 0:
		end = quietAt(now, o, policy)
	case !slices.ContainsFunc(o.Targets, draining):
		return false
	}
	switch {
	case s.removes():
		end = earlier(end, s.Removal.Until)
	case !s.Deadline.IsZero():
		end = earlier(end, s.Deadline.Add(-endLead))
	}
	return now.Before(end)
}
