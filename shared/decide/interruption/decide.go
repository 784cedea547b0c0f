package interruption

import (
	"fmt"
	"slices"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// What a node gets when it is cordoned. The taint keeps off pods that tolerate "unschedulable"; the label takes the node
// out of load balancers that the cloud controller manages.
const (
	TaintKey      = fleet.TaintInterruption
	LBLabel       = "node.kubernetes.io/exclude-from-external-load-balancers"
	LBLabelValue  = "ekspedite" // so that only our own is ever removed
	AnnotationRun = "ekspedite.dev/run"
	// AnnotationForeign says that the node was unschedulable before a drain by choice cordoned it.
	AnnotationForeign = "ekspedite.dev/cordoned-before"
)

// Outcomes of a drain; the values are package events' (which a pure decision does not import).
const (
	Drained          = "Drained"
	PartiallyDrained = "PartiallyDrained"
	NothingToDo      = "NothingToDo"
	NodeRemoved      = "NodeRemoved"
	NodeKept         = "NodeKept"
)

// Decide answers one look at one machine with a plan.
func Decide(now time.Time, o Observation, policy fleet.InterruptionPolicy) (plan.Plan, error) {
	p := plan.Plan{Subject: o.Signal.InstanceID}
	if o.Signal.InstanceID == "" {
		return p, fmt.Errorf("decide: the observation names no instance")
	}
	if o.Signal.Launching {
		return launching(now, o, p), nil
	}
	if o.Signal.removes() {
		return remove(now, o, policy, p), nil
	}
	switch {
	case o.Instance == nil:
		return over(p, o, gone(o), "EC2 does not know the instance"), nil
	case !o.Began && dead(o):
		return over(p, o, NothingToDo, "the instance is "+o.Instance.State+" already"), nil
	case o.Node == nil && !o.unread(PartNode):
		return over(p, o, gone(o), "no node has this provider ID"), nil
	case o.Node != nil && !o.Node.Is(o.Signal.InstanceID):
		return over(p, o, NothingToDo, fmt.Sprintf("node %s is another machine (%s)", o.Node.Name, o.Node.ProviderID)), nil
	case o.Signal.recommended():
		return recommendation(now, o, policy, p), nil
	}
	p.Reason, p.Notes = reason(o.Signal), o.gaps()
	late := expired(now, o, policy)
	if !dead(o) {
		p.Add("stop new work", first(o, policy)...)
	}
	if o.TargetsPending || o.PodsPending {
		return p, nil // looked at again at once, with them
	}
	if o.unread(PartNode, PartPods) {
		if late {
			return over(p, o, PartiallyDrained, "the time is over, and what is left on the machine could not be read"), nil
		}
		return again(p, o, pause(now, o)), nil
	}

	pods := sortPods(now, o, policy)
	p.Notes = append(p.Notes, pods.notes...)
	if !dead(o) {
		p.Add("evict", afterTargets(now, o, policy, &p, evictions(now, o, policy, pods))...)
	}
	left := pods.left()
	switch {
	case left == 0 && !attached(o) && connected(now, o, policy):
		return again(p, o, pause(now, o)), nil
	case left == 0 && !attached(o) && (late || settled(o, policy)):
		p.Add(endMachine, dismissal(o, policy)...)
		return over(p, o, drained(o), ""), nil
	case late && lingers(now, o, policy, pods):
		p.Notes = append(p.Notes, "its volumes are given free when EC2 says that the machine has stopped")
		p.Add("release the hook", release(o)...) // else it would not stop
		p.LookAgain = lingerPause
		return p, nil
	case late:
		p.Left = append(pods.names(), attachments(o)...)
		p.Add("give its volumes free", outOfService(o, policy, pods)...)
		p.Add(endMachine, dismissal(o, policy)...)
		if left == 0 {
			return over(p, o, drained(o), "the time is over; the pods are gone, and volumes are still attached"), nil
		}
		return over(p, o, PartiallyDrained, fmt.Sprintf("the time is over and %d pods are still on the machine", left)), nil
	case left == 0 && attached(o):
		p.Notes = append(p.Notes, waitingForVolumes(o))
	}
	return again(p, o, whenQuiet(now, o, policy, next(now, o, policy, pods))), nil
}

// settled tells whether an empty node is a drained one: it was cordoned when its pods were listed, so that none can have
// come since, and its replacement has been asked for, or is nobody's to ask for.
func settled(o Observation, policy fleet.InterruptionPolicy) bool {
	return cordoned(*o.Node) && !((replaces(o, policy) || ends(o, policy)) && o.unread(PartGroup))
}

// gone is the outcome when the machine or its node is not there any more: of a drain that had begun it is the end that
// was wanted.
func gone(o Observation) string {
	if o.Began {
		return drained(o)
	}
	return NothingToDo
}

// dead tells whether the machine has stopped: nobody there answers an eviction.
func dead(o Observation) bool {
	return o.Instance.State == "terminated" || o.Instance.State == "stopped"
}

// again ends a look after which another one is due. A hook is kept waiting for it.
func again(p plan.Plan, o Observation, after time.Duration) plan.Plan {
	if h := o.Signal.Hook; h != nil {
		p.Add("keep the hook", plan.Heartbeat{AutoScalingGroup: h.Group, Hook: h.Name, Token: h.Token, InstanceID: o.Signal.InstanceID})
	}
	p.LookAgain = after
	return p
}

// first is what happens before any pod is touched: the node takes no more work and its replacement is asked for.
func first(o Observation, policy fleet.InterruptionPolicy) []plan.Action {
	var out []plan.Action
	if o.Node != nil && !cordoned(*o.Node) {
		out = append(out, cordon(o))
	}
	if replaces(o, policy) && o.Group.LifecycleState == "InService" {
		out = append(out, plan.ReplaceInstance{AutoScalingGroup: o.Group.Name, InstanceID: o.Signal.InstanceID})
	}
	return append(out, deregistrations(o, policy)...)
}

// replaces tells whether a replacement is ours to ask for: with a terminate hook Auto Scaling replaces by itself, and a
// machine that may yet stay is not given away. What was to be removed is not wanted.
func replaces(o Observation, policy fleet.InterruptionPolicy) bool {
	return policy.ReplaceCapacity && o.Signal.Involuntary && o.Signal.Hook == nil && o.Signal.Fate == FateGoes && !unwanted(o)
}

func cordoned(n fleet.Node) bool {
	return n.Unschedulable && n.Labels[LBLabel] != "" && slices.ContainsFunc(n.Taints, func(t fleet.Taint) bool { return t.Key == TaintKey })
}

func cordon(o Observation) plan.CordonNode {
	taints := slices.DeleteFunc(slices.Clone(o.Node.Taints), func(t fleet.Taint) bool { return t.Key == TaintKey })
	c := plan.CordonNode{
		Node: o.Node.Name, UID: o.Node.UID, ResourceVersion: o.Node.ResourceVersion,
		Taints:      append(taints, Taint(o.Signal)),
		Annotations: map[string]string{AnnotationRun: o.RunID},
	}
	if !o.Signal.Involuntary && o.Node.Unschedulable && o.Node.Annotations[AnnotationRun] != o.RunID { // else by ourselves, at an earlier look
		c.Annotations[AnnotationForeign] = "true"
	}
	if o.Node.Labels[LBLabel] == "" { // somebody else's stays theirs
		c.Labels = map[string]string{LBLabel: LBLabelValue}
	}
	return c
}

// Taint is the taint that a node gets for the signal.
func Taint(s Signal) fleet.Taint {
	return fleet.Taint{Key: TaintKey, Value: s.Cause, Effect: "NoSchedule"}
}

// over ends a run. A hook that waits is completed: there is nothing left that it could protect.
func over(p plan.Plan, o Observation, outcome, why string) plan.Plan {
	p.Outcome, p.LookAgain = outcome, 0
	if why != "" {
		p.Reason = why
	}
	if p.Reason == "" {
		p.Reason = reason(o.Signal)
	}
	if !o.Signal.Launching {
		p.Add("release the hook", release(o)...)
	}
	return p
}

// release completes the hook that waits, if one does.
func release(o Observation) []plan.Action {
	h := o.Signal.Hook
	if h == nil {
		return nil
	}
	return []plan.Action{plan.CompleteLifecycleAction{AutoScalingGroup: h.Group, Hook: h.Name, Token: h.Token, InstanceID: o.Signal.InstanceID}}
}

// launchPatience is how long a machine may take to become a Ready node before its launch hook is left to its own timeout.
const launchPatience = 15 * time.Minute

func launching(now time.Time, o Observation, p plan.Plan) plan.Plan {
	h := o.Signal.Hook
	switch {
	case h == nil || o.Instance == nil || o.Instance.Gone():
		return over(p, o, NothingToDo, "the launching instance is not there any more")
	case o.Node != nil && o.Node.Ready && o.Node.Is(o.Signal.InstanceID):
		p.Reason, p.Outcome = "the new node is Ready", NothingToDo
		p.Add("release the hook", release(o)...)
		return p
	case now.After(o.Signal.EventTime.Add(launchPatience)):
		return over(p, o, NothingToDo, "the new machine did not become a Ready node in time; the hook's own timeout decides")
	}
	p.Reason, p.LookAgain = "the new machine is not a Ready node yet", 5*time.Second
	return p
}

func reason(s Signal) string {
	if s.removes() {
		return removalReason(*s.Removal)
	}
	text := "the machine is expected to go"
	if s.Involuntary {
		text = "the machine goes"
	}
	if s.Action != "" {
		text += " (" + s.Action + ")"
	}
	if !s.Deadline.IsZero() {
		text += " at " + clock(s.EventTime, s.Deadline)
	}
	return fmt.Sprintf("%s: %s", s.Cause, text)
}

// voluntaryPatience is how long a drain without a deadline goes on: what budgets have not let go of by then, they will
// not, and nothing forces it.
const voluntaryPatience = time.Hour

// expired tells whether the machine is gone, or its time is over.
func expired(now time.Time, o Observation, policy fleet.InterruptionPolicy) bool {
	end := o.Signal.Deadline
	switch {
	case o.Signal.removes():
		end = o.Signal.Removal.Until
	case end.IsZero():
		end = until(o, policy)
	}
	return dead(o) || !now.Before(end)
}

// pauses between looks, by attempt: quick while replacements come up, then slower. SQS delays count in whole seconds.
var pauses = []time.Duration{time.Second, time.Second, 2 * time.Second, 2 * time.Second, 3 * time.Second, 5 * time.Second}

// Pauses of a drain that has gone on for a while and has time: without a deadline, or with one that is a quarter of an hour away
// or more.
const (
	calm = 30 * time.Second
	far  = 15 * time.Minute
)

func pause(now time.Time, o Observation) time.Duration {
	if end := o.Signal.Deadline; o.Attempt > 2*len(pauses) && (end.IsZero() || now.Before(end.Add(-far))) {
		return calm
	}
	return pauses[min(max(o.Attempt, 0), len(pauses)-1)]
}

// next is when to look again: soon, and no later than the moment at which some pod must be given its SIGTERM. Where nothing can
// happen before a moment that is hours away but a pod's own end, it is not asked for twice a minute.
func next(now time.Time, o Observation, policy fleet.InterruptionPolicy, pods podSet) time.Duration {
	d, s := pause(now, o), o.Signal
	if d == calm && len(pods.normal)+pods.terminating == 0 && cordoned(*o.Node) {
		d = watch
	}
	times := []time.Time{pods.heldUntil}
	if s.Involuntary && !s.Deadline.IsZero() {
		for _, p := range slices.Concat(pods.normal, pods.critical) {
			times = append(times, forceAt(s.Deadline, p, policy))
		}
		if len(pods.critical) > 0 {
			times = append(times, s.Deadline.Add(-criticalLead))
		}
		times = append(times, s.Deadline)
	}
	return within(now, d, times...)
}

// Tighten merges a later signal into a running drain: a nearer deadline or a harder cause wins, a weaker one changes
// nothing. A machine that is going is not coming: the wait for a launch gives way. A removal waits for what runs already
// to end, and is asked for again then; once it runs, what comes harder does not make its capacity wanted.
func Tighten(running, later Signal) Signal {
	switch {
	case later.removes() && running.Removal == nil:
		return running
	case running.Launching && !later.Launching:
		return later
	case later.Launching && !running.Launching:
		return running
	}
	out, other := running, later
	if later.Involuntary && !running.Involuntary {
		out, other = later, running
	}
	if running.Involuntary && later.Involuntary {
		out.Fate = harder(running.Fate, later.Fate)
	}
	if !other.Deadline.IsZero() && (out.Deadline.IsZero() || other.Deadline.Before(out.Deadline)) {
		out.Deadline, out.Action = other.Deadline, other.Action
	}
	if running.Hook != nil {
		out.Hook = running.Hook
	} else {
		out.Hook = later.Hook
	}
	out.Removal = running.Removal
	return out
}
