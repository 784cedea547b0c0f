package plan

import (
	"fmt"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// ResizeGroup sets the desired size of an Auto Scaling group, a managed node group's among them. It holds while the group's
// desired size is From: two plans at once are one.
type ResizeGroup struct {
	Group            string `json:"group"`
	AutoScalingGroup string `json:"autoScalingGroup"`
	From             int    `json:"from"`
	To               int    `json:"to"`
	// Min, if not nil, becomes the group's least size as well (a schedule's): for managed groups through EKS, which else would
	// set it back.
	Min *int   `json:"min,omitempty"`
	Max *int   `json:"max,omitempty"`
	EKS bool   `json:"eks,omitempty"` // a managed node group: Min and Max are EKS's to change
	Why string `json:"why"`
}

// Kind is ResizeGroup.
func (ResizeGroup) Kind() string { return "ResizeGroup" }

// Lane is the group: sizes are set one after another.
func (a ResizeGroup) Lane() string { return "group/" + a.Group }

func (a ResizeGroup) String() string {
	s := fmt.Sprintf("resize group %s from %d to %d", a.Group, a.From, a.To)
	if a.Min != nil {
		s += fmt.Sprintf(", least size %d", *a.Min)
	}
	if a.Why != "" {
		s += ": " + a.Why
	}
	return s
}

// CreateGroup makes a managed node group for a pool of the policy. Input is EKS's CreateNodegroup, whose name and client
// token follow from what it is, so that twice is once.
type CreateGroup struct {
	Pool  string      `json:"pool"`
	Group string      `json:"group"`
	Size  int         `json:"size"`
	Input fleet.Props `json:"input"`
	Why   string      `json:"why"`
}

// Kind is CreateGroup.
func (CreateGroup) Kind() string { return "CreateGroup" }

func (a CreateGroup) String() string {
	return fmt.Sprintf("create node group %s with %d nodes for pool %s: %s", a.Group, a.Size, a.Pool, a.Why)
}

// RetireGroup deletes a managed node group that the planner has made and that has no nodes left.
type RetireGroup struct {
	Group string `json:"group"`
	Pool  string `json:"pool"`
	Why   string `json:"why"`
}

// Kind is RetireGroup.
func (RetireGroup) Kind() string { return "RetireGroup" }

func (a RetireGroup) String() string { return "retire node group " + a.Group + ": " + a.Why }

// LaunchFleet asks EC2 for machines at once (CreateFleet, type instant). Input is EC2's CreateFleet with its client token.
type LaunchFleet struct {
	Pool  string      `json:"pool"`
	Count int         `json:"count"`
	Input fleet.Props `json:"input"`
	Why   string      `json:"why"`
}

// Kind is LaunchFleet.
func (LaunchFleet) Kind() string { return "LaunchFleet" }

func (a LaunchFleet) String() string {
	return fmt.Sprintf("launch %d machines for pool %s: %s", a.Count, a.Pool, a.Why)
}

// RemoveNode has the interruption function drain a node, as one that its owner gives up, and then end its machine for good:
// its group's desired size goes down with it, unless Replace is set.
type RemoveNode struct {
	Node       string `json:"node"`
	UID        string `json:"uid"`
	InstanceID string `json:"instanceId"`
	Group      string `json:"group"`
	Reason     string `json:"reason"` // Empty, Underused, Cheaper, Schedule, Upgrade
	// Replace leaves the group's desired size as it is, so that Auto Scaling launches a machine in its place.
	Replace bool   `json:"replace,omitempty"`
	Why     string `json:"why"`
}

// Kind is RemoveNode.
func (RemoveNode) Kind() string { return "RemoveNode" }

func (a RemoveNode) String() string {
	does := "remove"
	if a.Replace {
		does = "replace"
	}
	return fmt.Sprintf("drain and %s node %s (%s, group %s): %s", does, a.Node, a.InstanceID, a.Group, a.Why)
}
