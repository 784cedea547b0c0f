package ecsdrain

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/interruption"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

const (
	// moving is what a service is left to move its tasks in: the length of a spot warning, for which everybody plans. A
	// protected task holds up the others on its machine no longer than that.
	moving = 2 * time.Minute
	// starting is what ECS may take from DRAINING until the last task has been told to stop.
	starting = time.Minute
	// voluntaryPatience is how long a drain without a deadline goes on, as long as a node's does.
	voluntaryPatience = time.Hour
	rebalance         = "RebalanceRecommendation"
)

// Decide answers one look at one container instance with a plan.
func Decide(now time.Time, o Observation, policy fleet.InterruptionPolicy) (plan.Plan, error) {
	p := plan.Plan{Subject: o.Signal.InstanceID}
	if o.Signal.InstanceID == "" {
		return p, fmt.Errorf("decide: the observation names no instance")
	}
	switch {
	case o.Signal.Launching: // its hook is not ours: ECS takes a machine that is not there yet for none
		p.Reason, p.Outcome = "launch hooks of container instances are left to their owner", interruption.NothingToDo
		return p, nil
	case o.Signal.Removal != nil && !o.Signal.Involuntary:
		return over(p, o, interruption.NothingToDo, "only nodes of Kubernetes can be removed"), nil
	case o.Instance == nil:
		return over(p, o, gone(o), "EC2 does not know the instance"), nil
	case !o.Began && dead(o):
		return over(p, o, interruption.NothingToDo, "the instance is "+o.Instance.State+" already"), nil
	case o.Container == nil && !o.unread(PartContainer):
		return over(p, o, gone(o), "its ECS cluster does not know the instance"), nil
	case o.Container != nil && o.Container.InstanceID != o.Signal.InstanceID:
		return over(p, o, interruption.NothingToDo, fmt.Sprintf("container instance %s is another machine (%s)", o.Container.ARN, o.Container.InstanceID)), nil
	case o.Signal.Cause == rebalance && !o.Signal.Involuntary && policy.Rebalance == fleet.RebalanceIgnore:
		return over(p, o, interruption.NothingToDo, "the policy ignores rebalance recommendations"), nil
	}
	p.Reason, p.Notes = reason(o.Signal), o.gaps()
	late, held := expired(now, o), holding(now, o)
	if !dead(o) {
		p.Add("stop new work", first(o, policy, held)...)
	}
	if o.unread(PartContainer, PartTasks) {
		if late {
			return over(p, o, interruption.PartiallyDrained, "the time is over, and what is left on the machine could not be read"), nil
		}
		return again(p, o, next(now, o, policy)), nil
	}
	if !dead(o) {
		p.Add("stop tasks", stops(now, o, policy)...)
	}
	if held != "" {
		p.Notes = append(p.Notes, held)
	}
	if !o.Container.Connected {
		p.Notes = append(p.Notes, "the machine's ECS agent is not connected: tasks may end only with the machine")
	}
	left := remaining(o.Tasks)
	switch {
	case len(left) == 0 && (late || settled(o, policy)):
		return over(p, o, interruption.Drained, ""), nil
	case late && held != "" && o.Container.Status == fleet.ContainerActive:
		p.Left = left
		return over(p, o, interruption.NodeKept, "the time is over: "+held), nil
	case late:
		p.Left = left
		return over(p, o, interruption.PartiallyDrained, fmt.Sprintf("the time is over and %d tasks are still on the machine", len(left))), nil
	}
	return again(p, o, next(now, o, policy)), nil
}

// settled tells whether an empty container instance is a drained one: ECS places nothing on it, and its replacement has been
// asked for, or is nobody's to ask for.
func settled(o Observation, policy fleet.InterruptionPolicy) bool {
	return o.Container.Status == fleet.ContainerDraining && !(replaces(o, policy) && o.unread(PartGroup, PartProvider))
}

// gone is the outcome when the machine is not there any more: of a drain that had begun it is the end that was wanted.
func gone(o Observation) string {
	if o.Began {
		return interruption.Drained
	}
	return interruption.NothingToDo
}

// dead tells whether the machine has stopped: nobody there hears a SIGTERM.
func dead(o Observation) bool {
	return o.Instance.State == "terminated" || o.Instance.State == "stopped"
}

// first is what happens before any task is touched.
func first(o Observation, policy fleet.InterruptionPolicy, held string) (out []plan.Action) {
	if o.Container != nil && o.Container.Status == fleet.ContainerActive && held == "" {
		out = append(out, plan.DrainContainerInstance{Cluster: o.Container.Cluster, ContainerInstance: o.Container.ARN})
	}
	if replaces(o, policy) && !o.unread(PartContainer, PartProvider) && o.Group.LifecycleState == "InService" {
		out = append(out, plan.ReplaceInstance{AutoScalingGroup: o.Group.Name, InstanceID: o.Signal.InstanceID})
	}
	return out
}

// replaces tells whether a replacement is ours to ask for: with a terminate hook Auto Scaling replaces by itself, and where a
// capacity provider has ECS mind the machines' ends, ECS's reckoning shall not be disturbed. Nor is a group touched that is
// not tagged for it.
func replaces(o Observation, policy fleet.InterruptionPolicy) bool {
	return o.Instance.ReplacedForECS() && policy.ReplaceCapacity && o.Signal.Involuntary && o.Signal.Hook == nil && !o.Provider.Draining && !o.Provider.Protection
}

// holding tells why the machine is not to be set to DRAINING yet, or "". ECS's draining stops protected tasks like any other
// (protection is against scale-in and deployments), so that whoever respects it has to wait. By choice that is for as long as
// there is time at all; if the machine goes anyhow, until what is left of its time is needed to move the tasks.
func holding(now time.Time, o Observation) string {
	if o.Container == nil || o.Container.Status != fleet.ContainerActive {
		return "" // it is happening already
	}
	switch at := drainAt(o); {
	case o.Signal.Involuntary && (o.Signal.Deadline.IsZero() || !now.Before(at)):
		return ""
	case o.unread(PartTasks, PartProtection) && !o.Signal.Involuntary:
		return "whether tasks are protected could not be read"
	}
	names := protected(now, o.Tasks)
	if len(names) == 0 {
		return ""
	}
	return strings.Join(names, ", ") + " must not be stopped by choice (task scale-in protection)"
}

// drainAt is when a machine with protected tasks has to be drained at the latest, with time for each of them to stop in.
func drainAt(o Observation) time.Time {
	lead := moving
	for _, t := range o.Tasks {
		if t.Protected {
			lead = max(lead, t.StopTimeout+starting)
		}
	}
	return o.Signal.Deadline.Add(-lead)
}

func protected(now time.Time, tasks []fleet.Task) (names []string) {
	for _, t := range tasks {
		if t.Protected && !t.Stopping() && (t.Until.IsZero() || now.Before(t.Until)) {
			names = append(names, t.ID())
		}
	}
	slices.Sort(names)
	return names
}

// stops are the tasks that have to get their SIGTERM now, because the machine dies with it or without it: standalone tasks,
// which draining does not stop, and those of services that could not be moved, because nothing else has room for them or too
// few of them would be left.
func stops(now time.Time, o Observation, policy fleet.InterruptionPolicy) (out []plan.Action) {
	if !o.Signal.Involuntary || o.Signal.Deadline.IsZero() {
		return nil
	}
	for _, t := range o.Tasks {
		if t.Stopping() || now.Before(stopAt(o.Signal.Deadline, t, policy)) {
			continue
		}
		out = append(out, plan.StopTask{Cluster: o.Container.Cluster, Task: t.ARN, Reason: fmt.Sprintf("ekspedite: the machine %s goes at %s (%s)",
			o.Signal.InstanceID, o.Signal.Deadline.UTC().Format(time.RFC3339), o.Signal.Cause)})
	}
	return out
}

// secondTry is the least time before the end at which a task is told: if the invocation that should do it dies, its message is
// back after 45 seconds (the queue's visibility timeout), and the task still gets its SIGTERM.
const secondTry = time.Minute

// stopAt is the last moment at which a task can be told to stop and is sure to hear it, with its whole stop timeout.
func stopAt(deadline time.Time, t fleet.Task, policy fleet.InterruptionPolicy) time.Time {
	return deadline.Add(-max(t.StopTimeout+policy.ForceMargin, secondTry))
}

func remaining(tasks []fleet.Task) (names []string) {
	for _, t := range tasks {
		if !t.Stopped() {
			names = append(names, t.ID())
		}
	}
	slices.Sort(names)
	return names
}

// again ends a look after which another one is due. A hook is kept waiting for it.
func again(p plan.Plan, o Observation, after time.Duration) plan.Plan {
	if h := o.Signal.Hook; h != nil {
		p.Add("keep the hook", plan.Heartbeat{AutoScalingGroup: h.Group, Hook: h.Name, Token: h.Token, InstanceID: o.Signal.InstanceID})
	}
	p.LookAgain = after
	return p
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
	if h := o.Signal.Hook; h != nil {
		p.Add("release the hook", plan.CompleteLifecycleAction{AutoScalingGroup: h.Group, Hook: h.Name, Token: h.Token, InstanceID: o.Signal.InstanceID})
	}
	return p
}

// expired tells whether the machine is gone, or its time is over.
func expired(now time.Time, o Observation) bool {
	end := o.Signal.Deadline
	if end.IsZero() {
		end = o.Signal.EventTime.Add(voluntaryPatience)
	}
	return dead(o) || !now.Before(end)
}

// pauses between looks, by attempt. SQS delays count in whole seconds.
var pauses = []time.Duration{time.Second, 2 * time.Second, 3 * time.Second, 5 * time.Second}

// calm is the longest pause while the machine's end is far: ECS answers each look with four calls or more.
const calm = 30 * time.Second

func pause(now time.Time, o Observation) time.Duration {
	d := o.Signal.Deadline
	if o.Attempt > 3*len(pauses) && (d.IsZero() || d.Sub(now) > moving+calm) {
		return calm
	}
	return pauses[min(max(o.Attempt, 0), len(pauses)-1)]
}

// next is when to look again: soon, and no later than the moment at which something has to be done.
func next(now time.Time, o Observation, policy fleet.InterruptionPolicy) time.Duration {
	d := pause(now, o)
	s := o.Signal
	if s.Deadline.IsZero() {
		return d
	}
	moments := []time.Time{s.Deadline}
	if s.Involuntary {
		moments = append(moments, drainAt(o))
		for _, t := range o.Tasks {
			if !t.Stopping() {
				moments = append(moments, stopAt(s.Deadline, t, policy))
			}
		}
	}
	for _, at := range moments {
		if until := at.Sub(now); until > 0 {
			d = min(d, until)
		}
	}
	return max(d, time.Second)
}

func reason(s interruption.Signal) string {
	text := "the machine is expected to go"
	if s.Involuntary {
		text = "the machine goes"
	}
	if s.Action != "" {
		text += " (" + s.Action + ")"
	}
	if !s.Deadline.IsZero() {
		text += " at " + s.Deadline.UTC().Format(time.TimeOnly)
	}
	return fmt.Sprintf("%s: %s", s.Cause, text)
}
