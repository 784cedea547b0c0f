package plan

import (
	"fmt"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// TerminateInstance ends a machine for good. The desired size of its Auto Scaling group goes down with it, so that the group
// launches no other; at the group's least size Auto Scaling refuses it. A machine that is going already is success.
type TerminateInstance struct {
	InstanceID       string `json:"instanceId"`
	AutoScalingGroup string `json:"autoScalingGroup,omitempty"` // "" for a machine that is in none
	// Replace leaves the desired size as it is, so that the group launches another machine.
	Replace bool `json:"replace,omitempty"`
}

// Kind is TerminateInstance.
func (TerminateInstance) Kind() string { return "TerminateInstance" }

func (a TerminateInstance) String() string {
	if a.AutoScalingGroup == "" {
		return "terminate instance " + a.InstanceID
	}
	if a.Replace {
		return fmt.Sprintf("terminate instance %s and let Auto Scaling group %s launch another", a.InstanceID, a.AutoScalingGroup)
	}
	return fmt.Sprintf("terminate instance %s and lower the desired size of Auto Scaling group %s", a.InstanceID, a.AutoScalingGroup)
}

// UncordonNode gives a node back that was cordoned by CordonNode: it takes off what that has put on, and nothing else. It
// holds for the node as it was observed, like CordonNode.
type UncordonNode struct {
	Node            string        `json:"node"`
	UID             string        `json:"uid"`
	ResourceVersion string        `json:"resourceVersion"`
	Taints          []fleet.Taint `json:"taints"` // those that stay: others'
	// Unschedulable: it stays so, since it was before we came.
	Unschedulable     bool     `json:"unschedulable,omitempty"`
	RemoveLabels      []string `json:"removeLabels,omitempty"`
	RemoveAnnotations []string `json:"removeAnnotations,omitempty"`
}

// Kind is UncordonNode.
func (UncordonNode) Kind() string { return "UncordonNode" }

func (a UncordonNode) String() string {
	if a.Unschedulable {
		return fmt.Sprintf("give node %s back (cordoned, as it was before)", a.Node)
	}
	return fmt.Sprintf("give node %s back (uncordon, our taint and label off)", a.Node)
}
