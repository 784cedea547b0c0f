// Package nodemove takes the nodes of a group to another version where EKS does not do it itself: a managed group by a second
// one beside it (blue/green), a self-managed group by a new version of its launch template and one machine after the other.
// It is looked at again and again: what to do next follows from what is there, and from a little memory. Killed anywhere it
// goes on; left anywhere, pods run on the old nodes and on the new ones.
//
// Every node is drained by the interruption function, which evicts through the API server: a PodDisruptionBudget is never
// passed over, and nothing is forced.
package nodemove

import (
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/upgradepath"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// Input is one look at one step.
type Input struct {
	Cluster fleet.ClusterID
	// RunID is part of client tokens and of who asks for drains.
	RunID string
	// Step is the step that is carried out. Its Subject is the group's name, by which it is in EKS or in the file.
	Step upgradepath.Step
	// Groups are the group itself and all that stand for it: what a move began to make, and what an earlier one has made.
	Groups []Group
	// Nodes are the nodes of those groups.
	Nodes []Node
	// Drains are what the ledger knows of the last drain of each of their machines, by instance id.
	Drains map[string]Drain
	// AtOnce is how many nodes are drained at the same time; below 1 is 1.
	AtOnce int
	// Image is the AMI that a self-managed group's new machines have, "" if its launch template has it already. Templates are
	// the launch templates of self-managed groups by their ids, as EC2 describes them in their newest version.
	Image     string
	Templates map[string]fleet.Resource
	// Retry tries again what the move was given up over. It is for the look after somebody has said "resume".
	Retry  bool
	Memory Memory
}

// Group is a group with what it is made of, and its machines.
type Group struct {
	upgradepath.Group
	// Described is the group as EKS describes it (DescribeNodegroup), with its tags, or as Auto Scaling does
	// (DescribeAutoScalingGroups).
	Described fleet.Resource
	// Machines are those that Auto Scaling has, without those that are on their way out.
	Machines []Machine
}

// Machine is a member of an Auto Scaling group.
type Machine struct {
	InstanceID string
	Zone       string
	Template   string // the version of the launch template that it was made by
	InService  bool
}

// Node is a node of one of the groups.
type Node struct {
	upgradepath.Node
	// Shut tells that no new pods come to it: it is cordoned, or carries the taint of a move.
	Shut bool
}

// Drain is what became of the last drain of a machine.
type Drain struct {
	StartedAt time.Time
	// Outcome is one of package events' (NodeRemoved, NodeKept, …), "" while it goes on.
	Outcome string
	EndedAt time.Time
	// Reason is why it ended so; Left is what was still there: "default/web-0 was still there (…)".
	Reason string
	Left   []string
	// Refused is how many evictions budgets have refused so far.
	Refused int
}

// Memory is what has to be remembered between two looks. It is saved before the actions are carried out. Lost, it is made
// anew from what is there; only the sizes that the old group had, and how often a drain came back, are forgotten.
type Memory struct {
	BeganAt time.Time `json:"beganAt,omitzero"`
	// Size is how many nodes the group has to have in the end; Min and Max are its bounds, which a move widens.
	Size int `json:"size,omitempty"`
	Min  int `json:"min,omitempty"`
	Max  int `json:"max,omitempty"`
	// Template is the version of the launch template that a self-managed group had.
	Template string `json:"template,omitempty"`
	// Asked is when each call was last asked for, and how often.
	Asked map[string]Ask `json:"asked,omitempty"`
	// Nodes are those whose drain was asked for, by instance id.
	Nodes map[string]Ask `json:"nodes,omitempty"`
	// Resumed is how often what the move was given up over was tried again.
	Resumed int `json:"resumed,omitempty"`
	// Since is from when on the present wait goes on, For what it is: what does not end in time is told.
	Since time.Time `json:"since,omitzero"`
	For   string    `json:"for,omitempty"`
}

// Ask is something that was asked for.
type Ask struct {
	At    time.Time `json:"at"`
	Times int       `json:"times"`
	// Lowers: the drain ends with the group smaller by one.
	Lowers bool `json:"lowers,omitempty"`
}

// Decision is what a look comes to.
type Decision struct {
	// Plan has calls of EKS, EC2 and Auto Scaling (plan.Call), and drains (plan.RemoveNode), which are asked for by
	// events.NodeRemovalRequested with its reason, and with Replace if the action says so. Its steps run in order; what fails
	// is asked for again by the next look. Its LookAgain is when that is due.
	Plan plan.Plan
	// Memory is the next look's.
	Memory Memory
	// Done: all nodes have moved, and the old group is gone.
	Done bool
	// Gone: the move cannot be taken back any more, for it was over. A step to the old version makes the group anew.
	Gone bool
	// Blocked says why the move does not go on, in sentences with names. What can move has moved. It goes on by itself if
	// that changes, but for drains that came back too often: those wait for Retry.
	Blocked []string
}

// reasonUpgrade is events.RemovalUpgrade.
const reasonUpgrade = "Upgrade"

// Taint keeps new pods off the nodes of a group that is being left. Its key is also that of a tag: the scaling function leaves
// groups with it alone.
const Taint = fleet.TagMoving
