package interruption

import (
	"fmt"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// causeRebalance is the kind of the event by which EC2 says that a spot machine is more likely to go than others.
const causeRebalance = "RebalanceRecommendation"

const (
	// detachedPatience is how long a machine that was replaced first may take to be drained: nothing is forced, and it costs
	// money until it is ended.
	detachedPatience = 24 * time.Hour
	// watch is the pause between looks at a node that is empty and waits for a warning, or for budgets that have not given for
	// minutes.
	watch = 5 * time.Minute
	// coming is the pause while a replacement comes up: a minute or two.
	coming = 15 * time.Second
)

// recommended tells whether the machine may go, and nothing harder has been said.
func (s Signal) recommended() bool {
	return s.Cause == causeRebalance && !s.Involuntary && !s.removes()
}

// recommendation answers one look at a machine that may be interrupted. Two of three such machines are not, so that a node that was
// only drained is kept out of use for a while and then given back; one that was replaced first is ended.
func recommendation(now time.Time, o Observation, policy fleet.InterruptionPolicy, p plan.Plan) plan.Plan {
	if policy.Rebalance == fleet.RebalanceIgnore && o.DetachedFrom == "" {
		return giveUp(p, o, "the policy ignores rebalance recommendations")
	}
	p.Reason, p.Notes = reason(o.Signal), o.gaps()
	late := expired(now, o, policy)
	if o.unread(PartNode) {
		if late && !now.Before(until(o, policy).Add(unseenPatience)) {
			p.Left = []string{"the node could not be read: it may still be cordoned"}
			return over(p, o, NodeKept, "")
		}
		return again(p, o, pause(now, o))
	}
	if o.DetachedFrom != "" || policy.Rebalance == fleet.RebalanceReplaceThenDrain {
		if waits, done := replaceFirst(now, o, policy, p); done {
			return waits
		}
	}
	if late && !dead(o) && !o.Began && o.DetachedFrom == "" {
		return giveUp(p, o, "the recommendation is too old to act on")
	}
	if o.unread(PartPods) && !late {
		p.Add("stop new work", first(o, policy)...)
		return again(p, o, pause(now, o))
	}
	pods := sortPods(now, o, policy)
	p.Notes = append(p.Notes, pods.notes...)
	switch left := pods.left(); {
	case dead(o) && left > 0:
		p.Left = pods.names()
		return over(p, o, PartiallyDrained, fmt.Sprintf("the machine is %s, and %d pods were still on it", o.Instance.State, left))
	case dead(o):
		return over(p, o, drained(o), "the machine is "+o.Instance.State)
	case o.DetachedFrom != "":
		return retire(now, o, policy, p, pods)
	case late:
		p.Left = pods.names()
		return giveBack(p, o, "no interruption has followed until "+clock(now, until(o, policy)))
	}
	p.Add("stop new work", first(o, policy)...)
	p.Add("evict", afterTargets(now, o, policy, &p, evictions(now, o, policy, pods))...)
	pause := whenQuiet(now, o, policy, pause(now, o))
	if pods.left() == 0 && cordoned(*o.Node) {
		p.Notes = append(p.Notes, "the node is empty, and kept so until "+clock(now, until(o, policy))+" in case the interruption comes")
		pause = watch
	}
	return again(p, o, within(now, pause, until(o, policy), pods.heldUntil))
}

// within is a pause that is over at the times that matter, if these are to come; a second at least.
func within(now time.Time, pause time.Duration, times ...time.Time) time.Duration {
	for _, at := range times {
		if left := at.Sub(now); left > 0 {
			pause = min(pause, left)
		}
	}
	return max(pause, time.Second)
}

// until is when a drain that nothing hurries is over.
func until(o Observation, policy fleet.InterruptionPolicy) time.Time {
	switch {
	case o.DetachedFrom != "":
		return o.Signal.EventTime.Add(detachedPatience)
	case o.Signal.recommended():
		return o.Signal.EventTime.Add(policy.RebalancePatience)
	}
	return o.Signal.EventTime.Add(voluntaryPatience)
}

// giveUp ends a run that has changed nothing, or undoes what it has.
func giveUp(p plan.Plan, o Observation, why string) plan.Plan {
	if o.Began && o.Node != nil && tainted(o) {
		return giveBack(p, o, why)
	}
	return over(p, o, NothingToDo, why)
}

// replaceFirst answers a look at a machine that is to be replaced before it is drained; done means that the drain is not due yet, or
// never.
//
// The machine is detached from its group with the desired size kept, which has the group launch another one, and goes on as a node.
// A desired size that is raised by one would be simpler to see through, but two machines of a group at the same time would each
// set it to what they have read plus one, and whoever takes it back leaves it to Auto Scaling which machine goes.
func replaceFirst(now time.Time, o Observation, policy fleet.InterruptionPolicy, p plan.Plan) (waits plan.Plan, done bool) {
	replace := plan.ReplaceInstance{AutoScalingGroup: o.Group.Name, InstanceID: o.Signal.InstanceID, First: true}
	late := expired(now, o, policy)
	switch {
	case dead(o), tainted(o): // too late for it, or it is past
		return p, false
	case o.DetachedFrom == "" && late:
		return giveUp(p, o, "no replacement could be asked for in time"), true
	case o.unread(PartGroup):
		return again(p, o, pause(now, o)), true
	case o.DetachedFrom == "":
		if why := irreplaceable(o); why != "" {
			return giveUp(p, o, why), true
		}
		if o.unread(PartPods) {
			return again(p, o, pause(now, o)), true
		}
		pods := sortPods(now, o, policy)
		if stay := append(pods.protected, pods.kept...); len(stay) > 0 {
			return giveUp(p, o, "the machine could not be ended, for "+ids(stay)+" would have to stay"), true
		}
		p.Add("ask for the replacement", replace)
		return again(p, o, coming), true
	case o.Group.Name == o.DetachedFrom && o.Group.LifecycleState == inService && o.Refusal != "":
		return over(p, o, NothingToDo, "its replacement could not be asked for: "+o.Refusal), true
	case o.Group.Name == o.DetachedFrom && o.Group.LifecycleState == inService: // whoever was to ask has died
		p.Add("ask for the replacement", replace)
		return again(p, o, coming), true
	}
	asked := o.ReplacedAt
	if asked.IsZero() {
		asked = o.Signal.EventTime
	}
	whole := !o.unread(PartReplacement) && o.ReadyThere >= o.Replacement.Desired
	if end := asked.Add(policy.ReplacePatience); !whole && now.Before(end) {
		p.Notes = append(p.Notes, fmt.Sprintf("the replacement is waited for until %s: %d of %d machines of %s are Ready nodes", clock(now, end), o.ReadyThere, o.Replacement.Desired, o.DetachedFrom))
		return again(p, o, within(now, coming, end)), true
	}
	return p, false
}

// irreplaceable tells why a machine's replacement is nobody's to ask for, or "".
func irreplaceable(o Observation) string {
	switch g := o.Group; {
	case g.Name == "":
		return "its machine is in no Auto Scaling group that would replace it"
	case g.Rebalances:
		return "capacity rebalancing is on for Auto Scaling group " + g.Name + ": Auto Scaling replaces the machine itself"
	case g.LifecycleState != inService:
		return fmt.Sprintf("its machine is %s in Auto Scaling group %s", g.LifecycleState, g.Name)
	}
	return ""
}

// retire drains and ends a machine that has been replaced. It is in no group, so that nobody else would.
func retire(now time.Time, o Observation, policy fleet.InterruptionPolicy, p plan.Plan, pods podSet) plan.Plan {
	stay := append(pods.protected, pods.kept...)
	late, empty := expired(now, o, policy), pods.left()+len(stay) == 0 && cordoned(*o.Node)
	switch {
	case o.Ended || o.Instance.Gone():
		return over(p, o, NodeRemoved, "")
	case empty && o.Refusal != "":
		p.Left = []string{"machine " + o.Signal.InstanceID + " is in no group any more and could not be ended: end it by hand"}
		return over(p, o, Drained, "its machine could not be ended: "+o.Refusal)
	case empty && !attached(o) && connected(now, o, policy):
		return again(p, o, pause(now, o))
	case empty && (!attached(o) || late):
		p.Add(endMachine, plan.TerminateInstance{InstanceID: o.Signal.InstanceID})
		return over(p, o, NodeRemoved, "")
	case late:
		p.Left = append(pods.names(), "machine "+o.Signal.InstanceID+" is in no group any more and was not ended: end it by hand")
		return over(p, o, PartiallyDrained, fmt.Sprintf("the time is over and %d pods are still there", pods.left()+len(stay)))
	}
	if empty {
		p.Notes = append(p.Notes, waitingForVolumes(o))
	}
	p.Add("stop new work", first(o, policy)...)
	p.Add("evict", afterTargets(now, o, policy, &p, evictions(now, o, policy, pods))...)
	d := whenQuiet(now, o, policy, pause(now, o))
	if now.After(o.Signal.EventTime.Add(voluntaryPatience)) { // what has not given by now may take all day
		d = watch
	}
	return again(p, o, within(now, d, until(o, policy), pods.heldUntil))
}
