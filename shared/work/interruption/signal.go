package interruption

import (
	"cmp"
	"encoding/json"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/decide/interruption"
)

const (
	// spotNotice is how long before the end EC2 warns. The event has no termination time.
	// https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html
	spotNotice = 2 * time.Minute
	// hookPatience is how long a terminate hook is kept waiting for a drain: what managed node groups allow.
	hookPatience = 15 * time.Minute
	// launch is a continuation's Signal for a launch hook: a machine that comes must never be taken for one that goes.
	launch = "launch"
	// stateNotice is how long containers have once EC2 has begun to stop a machine: the operating system's shutdown.
	stateNotice = 30 * time.Second
	// removalPatience is how long a node that is given up may take to drain, unless the request says otherwise: as long as a
	// terminate hook is kept waiting.
	removalPatience = 15 * time.Minute
)

// eksHooks are those that EKS puts on the groups of managed node groups and completes itself when it has drained a node.
var eksHooks = map[string]bool{"Launch-LC-Hook": true, "Terminate-LC-Hook": true}

// ecsHook is the one that ECS puts on the groups of capacity providers with managed draining, and completes itself.
const ecsHook = "ecs-managed-draining-termination-hook"

// signalOf reads what an event says about a machine. The second result is false for events that are about no machine or
// need no answer, with the reason.
func signalOf(e events.Event) (s interruption.Signal, why string) {
	s = interruption.Signal{Cause: string(e.Kind), EventID: e.ID, EventTime: e.Time, Involuntary: true}
	switch p := e.Payload.(type) {
	case *events.SpotInterruption:
		s.InstanceID, s.Action, s.Deadline = p.InstanceID, string(p.InstanceAction), e.Time.Add(spotNotice)
		if p.InstanceAction == events.ActionHibernate { // it begins with the warning
			s.Deadline = e.Time
		}
	case *events.CapacityReservationInterruption:
		s.InstanceID, s.Action, s.Deadline = p.InstanceID, string(p.InstanceAction), p.InstanceTerminationTime.Time
		if s.Deadline.IsZero() {
			s.Deadline = e.Time.Add(spotNotice)
		}
	case *events.RebalanceRecommendation:
		s.InstanceID, s.Involuntary = p.InstanceID, false
	case *events.InstanceStateChange:
		s.InstanceID, s.Deadline = p.InstanceID, e.Time.Add(stateNotice)
		if p.State != events.StateStopping && p.State != events.StateShuttingDown {
			return s, "instance is " + string(p.State) + ": nothing is left to drain, or nothing has begun"
		}
	case *events.LifecycleAction:
		s.InstanceID = p.EC2InstanceID
		s.Hook = &interruption.Hook{Group: p.AutoScalingGroupName, Name: p.LifecycleHookName, Token: p.LifecycleActionToken}
		switch {
		case p.LifecycleHookName == ecsHook:
			return s, "the hook " + p.LifecycleHookName + " is ECS's own: managed draining"
		case eksHooks[p.LifecycleHookName]:
			return s, "the hook " + p.LifecycleHookName + " is EKS's own"
		case p.ToWarmPool():
			return s, "the instance returns to its warm pool: not a termination"
		case p.Launching():
			s.Action, s.Launching, s.Involuntary = launch, true, false
		default:
			s.Action, s.Deadline = "terminate", e.Time.Add(hookPatience)
		}
	case *events.NodeRemovalRequested:
		s.InstanceID, s.Action, s.Involuntary = p.InstanceID, "terminate", false
		s.Removal = &interruption.Removal{Cluster: p.Cluster, NodeUID: p.NodeUID, Group: p.Group, Reason: string(p.Reason), Replace: p.Replace,
			RequestedBy: p.RequestedBy, Until: e.Time.Add(cmp.Or(p.Patience(), removalPatience))}
	case *events.MachineSignal:
		s.Cause, s.InstanceID, s.Action, s.EventTime, s.Deadline, s.Fate = string(p.Cause), p.InstanceID, p.Signal, p.SaidAt, p.Deadline, interruption.Fate(p.Fate)
	case *events.AutoScalingTestNotification:
		return s, "a test notification"
	case *events.DrainContinuation:
		s = interruption.Signal{Cause: string(p.Cause), InstanceID: p.InstanceID, EventID: p.EventID, EventTime: p.EventTime,
			Action: p.Signal, Deadline: p.Deadline, Launching: p.Signal == launch, Fate: interruption.Fate(p.Fate)}
		voluntary := p.Cause == events.KindRebalanceRecommendation || p.Cause == events.KindNodeRemovalRequested
		s.Involuntary = !s.Launching && (!voluntary || !p.Deadline.IsZero())
		if h := p.Hook; h != nil {
			s.Hook = &interruption.Hook{Group: h.AutoScalingGroupName, Name: h.LifecycleHookName, Token: h.LifecycleActionToken}
		}
		if r := p.Removal; r != nil {
			s.Removal = &interruption.Removal{Cluster: r.Cluster, NodeUID: r.NodeUID, Group: r.Group, Reason: string(r.Reason), Replace: r.Replace,
				RequestedBy: r.RequestedBy, Until: r.Until}
		}
	default:
		return s, "this function does not act on " + string(e.Kind)
	}
	return s, ""
}

// where is the Region of the machine that an event is about. AWS's events are those of the function's own Region.
func (w *Work) where(e events.Event) string {
	switch p := e.Payload.(type) {
	case *events.NodeRemovalRequested:
		return cmp.Or(p.Region, w.Region)
	case *events.DrainContinuation:
		return cmp.Or(p.Region, w.Region)
	case *events.MachineSignal:
		return cmp.Or(p.Region, w.Region)
	}
	return w.Region
}

// continuation is what a later look has to know.
func (r *run) continuation() *events.DrainContinuation {
	c := &events.DrainContinuation{
		RunID: r.drain.RunID, InstanceID: r.drain.InstanceID, Cluster: r.cluster, Region: r.region, Node: r.drain.Node, NodeUID: r.drain.NodeUID,
		Cause: events.Kind(r.signal.Cause), Signal: r.signal.Action, EventID: r.signal.EventID, EventTime: r.signal.EventTime,
		Deadline: r.signal.Deadline, Fate: string(r.signal.Fate), StartedAt: r.drain.StartedAt, Attempt: r.drain.Attempt,
	}
	if h := r.signal.Hook; h != nil {
		c.Hook = &events.LifecycleHookRef{AutoScalingGroupName: h.Group, LifecycleHookName: h.Name, LifecycleActionToken: h.Token}
	}
	if v := r.signal.Removal; v != nil {
		c.Removal = &events.RemovalRef{Cluster: v.Cluster, NodeUID: v.NodeUID, Group: v.Group, Reason: events.RemovalReason(v.Reason),
			RequestedBy: v.RequestedBy, Replace: v.Replace, Until: v.Until}
	}
	return c
}

// encode and decodeSignal keep a signal in the ledger.
func encode(s interruption.Signal) json.RawMessage {
	b, err := json.Marshal(s)
	if err != nil {
		panic(err) // strings, times and a bool: cannot fail
	}
	return b
}

func decodeSignal(b json.RawMessage, otherwise interruption.Signal) interruption.Signal {
	var s interruption.Signal
	if json.Unmarshal(b, &s) != nil || s.InstanceID == "" {
		return otherwise
	}
	return s
}
