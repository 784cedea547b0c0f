package interruption

import (
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// Fate is what becomes of a machine that goes, and of its capacity; the values are package events'.
type Fate string

// The fates.
const (
	FateGoes    Fate = ""        // AWS takes the machine; its group is asked for another one on receipt
	FateEnded   Fate = "ended"   // it would stay, or come back after a reboot: it is ended once it is drained
	FateExpires Fate = "expires" // its capacity goes with it: a group that is asked for more finds none
)

// harder is the fate that counts when two are told of one machine: what AWS does by itself need not be done by us, and what cannot
// be replaced is not replaced by being told of twice.
func harder(a, b Fate) Fate {
	for _, f := range []Fate{FateExpires, FateGoes} {
		if a == f || b == f {
			return f
		}
	}
	return FateEnded
}

// ends tells whether the machine is ours to end once it is drained. Who wants no replacements from us ends machines as well.
func ends(o Observation, policy fleet.InterruptionPolicy) bool {
	return o.Signal.Involuntary && o.Signal.Fate == FateEnded && policy.ReplaceCapacity && !unwanted(o)
}

// replacement ends a machine in one call with its group's launch of another. With a hook Auto Scaling is at it already. A machine
// in no group is ended if the planner of nodes has made it, and will make another; else it is its owner's.
func replacement(o Observation) []plan.Action {
	ours := o.Group.LifecycleState == inService || o.Group.Name == "" && o.Instance != nil && o.Instance.Tags[fleet.TagPool] != ""
	if o.Signal.Hook != nil || going(o) || o.Refusal != "" || !ours || o.unread(PartGroup) {
		return nil
	}
	return []plan.Action{plan.TerminateInstance{InstanceID: o.Signal.InstanceID, AutoScalingGroup: o.Group.Name, Replace: true}}
}
