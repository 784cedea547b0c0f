// Package interruption decides what to do about a machine that goes away: pure functions from what was observed to a
// plan. Nothing here knows the time, the network or AWS.
package interruption

import (
	"fmt"
	"slices"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Signal is what an event says about one machine, whatever the event.
type Signal struct {
	Cause      string    `json:"cause"` // the event's kind: "SpotInterruption"
	InstanceID string    `json:"instanceId"`
	EventID    string    `json:"eventId,omitempty"`
	EventTime  time.Time `json:"eventTime"`
	Action     string    `json:"action,omitempty"` // terminate, stop, hibernate; "" when the event does not say
	// Deadline is when the machine stops, as far as the event tells; zero when nothing hurries.
	Deadline time.Time `json:"deadline,omitzero"`
	// Involuntary: the machine goes at the deadline, whatever we do, be it in two minutes or next week. Nothing is overridden
	// before it has to be: what nobody may disrupt by choice stays until overrideAt, and PodDisruptionBudgets hold until forceAt.
	Involuntary bool  `json:"involuntary,omitempty"`
	Launching   bool  `json:"launching,omitempty"` // a launch hook: the machine is coming, not going
	Hook        *Hook `json:"hook,omitempty"`
	Fate        Fate  `json:"fate,omitempty"` // of the machine and its capacity; of an involuntary signal
	// Removal is set when the machine is to be ended once it is drained.
	Removal *Removal `json:"removal,omitempty"`
}

// removes tells whether the machine goes because we end it, and for no harder reason.
func (s Signal) removes() bool { return s.Removal != nil && !s.Involuntary }

// Removal says that a machine is given up: its capacity is not wanted any more, or, with Replace, another machine's is.
type Removal struct {
	Cluster     string    `json:"cluster"`
	NodeUID     string    `json:"nodeUid"` // of the node that is meant
	Group       string    `json:"group,omitempty"`
	Reason      string    `json:"reason"`                // Empty, Underused, Cheaper, Schedule, Manual, Upgrade
	RequestedBy string    `json:"requestedBy,omitempty"` // a run's id
	Until       time.Time `json:"until"`                 // then the drain is given up, and the node given back
	Replace     bool      `json:"replace,omitempty"`     // its group stays as large as it is
}

// Hook is a lifecycle hook that waits for us.
type Hook struct {
	Group string `json:"group"`
	Name  string `json:"name"`
	Token string `json:"token,omitempty"`
}

// Observation is the world around one machine.
type Observation struct {
	RunID    string
	Signal   Signal
	Instance *fleet.Instance    // nil: EC2 does not know it
	Node     *fleet.Node        // nil: no node has its provider ID
	Pods     []fleet.Pod        // on that node
	Group    fleet.ScalingGroup // the machine's Auto Scaling group; an empty name for none. Of a removal with its sizes
	Blocked  map[string]bool    // UIDs of pods whose eviction was refused at an earlier look
	Attempt  int                // how many looks came before
	Began    bool               // an earlier look found the machine's node
	Ended    bool               // the machine's end was asked for at an earlier look
	Refusal  string             // why that was refused, "" if it was not

	// DetachedFrom is the Auto Scaling group that the machine was taken out of so that its replacement comes first, or is about
	// to be; ReplacedAt is when. Replacement is how that group is now, and ReadyThere how many of its machines are Ready nodes.
	DetachedFrom string
	ReplacedAt   time.Time
	Replacement  fleet.GroupState
	ReadyThere   int
	// HadVolumes: pods with volumes were among those to be drained. Attached are the volumes that they have left behind.
	HadVolumes bool
	Attached   []string

	Balancing

	// PodsPending: they are not read yet, and the cordon does not wait for it.
	PodsPending bool

	// Incomplete says why parts could not be read. What follows from them is left for the next look; the rest is not.
	Incomplete map[Part]string
}

// Part of an observation that is one read.
type Part string

// The parts.
const (
	PartNode  Part = "the node"
	PartPods  Part = "the node's pods"
	PartGroup Part = "the Auto Scaling group"
	// Those that only some looks need: see Further.
	PartReplacement Part = "the replacement"
	PartVolumes     Part = "the attached volumes"
)

// unread tells whether any of the parts could not be read.
func (o Observation) unread(parts ...Part) bool {
	return slices.ContainsFunc(parts, func(p Part) bool { _, ok := o.Incomplete[p]; return ok })
}

// gaps says what could not be read and why, in a fixed order.
func (o Observation) gaps() []string {
	var out []string
	for _, p := range []Part{PartNode, PartPods, PartGroup, PartTargets, PartReplacement, PartVolumes} {
		if why, ok := o.Incomplete[p]; ok {
			out = append(out, fmt.Sprintf("could not read %s: %s", p, why))
		}
	}
	return out
}
