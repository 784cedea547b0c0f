// Package scaling decides which nodes a cluster shall have: pure functions from what was observed to a plan. It maps node
// groups and policies to what package packing solves, and what comes of it to actions. Nothing here knows the time, the
// network or AWS.
package scaling

import (
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Observation is the world around one cluster's nodes.
type Observation struct {
	Cluster   fleet.ClusterID
	Version   string           // Kubernetes minor, "1.36"
	Nodes     []fleet.Node     // all that the API server has
	Pods      []fleet.Pod      // all that are not finished, bound or not, each with its Demand
	Daemons   []fleet.Daemon   // DaemonSets
	Budgets   []fleet.Budget   // PodDisruptionBudgets
	Instances []fleet.Instance // the cluster's machines, by their tags; those without a node may be on their way
	Groups    []Group
	Market    fleet.Market
	Reclaims  []fleet.Reclaim // spot machines that EC2 has taken back in the Region, from whomever
	Memory    Memory
	// Incomplete says why parts could not be read, by part. Without nodes, pods or groups nothing is decided; without the
	// market groups are not created.
	Incomplete map[string]string
}

// GroupKind is how a group's machines come and go.
type GroupKind string

// The kinds of groups.
const (
	Managed     GroupKind = "Managed"     // an EKS managed node group
	SelfManaged GroupKind = "SelfManaged" // an Auto Scaling group of ours
	// Fleet is capacity that CreateFleet launches from a launch template, without a group: its machines carry TagPool.
	Fleet GroupKind = "Fleet"
)

// TagPool is on everything that the planner makes for a pool of the policy, with the pool's name as its value: such groups
// may be retired.
const TagPool = fleet.TagPool

// Group is a node group, or the machines of a Fleet pool.
type Group struct {
	Name             string    `json:"name"` // the node group's, unique in the cluster
	Kind             GroupKind `json:"kind"`
	AutoScalingGroup string    `json:"autoScalingGroup,omitempty"`
	Pool             string    `json:"pool,omitempty"` // of the policy, if the planner has made it; "" for the user's own
	// StandsFor is the name that the group has in the cluster's file and in policies, where a blue/green move has given it
	// another one. Moving: its nodes are being moved to another version.
	StandsFor string            `json:"standsFor,omitempty"`
	Moving    bool              `json:"moving,omitempty"`
	Min       int               `json:"min"`
	Max       int               `json:"max"`
	Desired   int               `json:"desired"`
	Types     []string          `json:"types"` // that it may launch, in its order
	Zones     []string          `json:"zones"`
	Spot      bool              `json:"spot,omitempty"`
	Labels    map[string]string `json:"labels,omitempty"`
	Taints    []fleet.Taint     `json:"taints,omitempty"`
	// AMIType is EKS's, of managed groups; MaxPods overrides what follows from the type, 0 does not.
	AMIType string `json:"amiType,omitempty"`
	MaxPods int    `json:"maxPods,omitempty"`
	DiskGiB int    `json:"diskGiB,omitempty"`
	// Status is EKS's: ACTIVE, CREATING, UPDATING, DELETING, DEGRADED, CREATE_FAILED; "" for Auto Scaling groups.
	Status  string        `json:"status,omitempty"`
	Members []GroupMember `json:"members,omitempty"`
	// Troubles are what Auto Scaling says of launches that failed and were not followed by one that did not.
	Troubles []GroupTrouble `json:"troubles,omitempty"`
	// Recipe is what a new group like this one is made of, in EKS's words (CreateNodegroup: nodeRole, launchTemplate, amiType,
	// diskSize, tags, …) or EC2's (CreateFleet's launchTemplateSpecification). subnetsByZone has the subnets of each zone:
	// {"us-east-1a": ["subnet-1"]}. nil where nobody has asked.
	Recipe fleet.Props `json:"recipe,omitempty"`
}

// GroupMember is a machine as Auto Scaling has it.
type GroupMember struct {
	InstanceID string `json:"instanceId"`
	Type       string `json:"type"`
	Zone       string `json:"zone"`
	State      string `json:"state"` // InService, Pending, Terminating:Wait, …
	Protected  bool   `json:"protected,omitempty"`
}

// GroupTrouble is a launch that failed.
type GroupTrouble struct {
	At   time.Time `json:"at"`
	Code string    `json:"code"` // EC2's: InsufficientInstanceCapacity, VcpuLimitExceeded, …
	Text string    `json:"text"`
	Zone string    `json:"zone,omitempty"` // where it can be told
	Type string    `json:"type,omitempty"`
}

// Memory is what the ledger remembers of a cluster's scaling between looks.
type Memory struct {
	// Shortages are offerings that EC2 had none of.
	Shortages []Shortage `json:"shortages,omitempty"`
	// Orders are machines that were asked for and are not nodes yet.
	Orders []Order `json:"orders,omitempty"`
	// Removals are nodes that are being drained and removed at our request, by instance.
	Removals []Removal `json:"removals,omitempty"`
	// Quiet is when each node was first seen with nothing or too little to do, by node UID: warm-up and patience count from it.
	Quiet map[string]time.Time `json:"quiet,omitempty"`
	// Slept are the sizes that groups had when a scale window sent them to sleep, by group.
	Slept map[string]Size `json:"slept,omitempty"`
	// Swap is a replacement under way: the old nodes go when the new ones are Ready.
	Swap *Swap `json:"swap,omitempty"`
	// Idle is since when each group of a pool has had no nodes: it is retired after a while.
	Idle map[string]time.Time `json:"idle,omitempty"`
}

// Swap is a set of nodes that cheaper ones were ordered for.
type Swap struct {
	Nodes []string  `json:"nodes"` // UIDs of the old ones
	At    time.Time `json:"at"`
	Why   string    `json:"why"`
}

// Size is a group's.
type Size struct {
	Min     int `json:"min"`
	Desired int `json:"desired"`
	// Sent tells that its nodes have been given up once: what a window with Wake brings after that stays.
	Sent bool `json:"sent,omitempty"`
}

// Shortage is an offering that EC2 had none of, until when that is believed.
type Shortage struct {
	Type  string    `json:"type"`
	Zone  string    `json:"zone"`
	Spot  bool      `json:"spot,omitempty"`
	Until time.Time `json:"until"`
	Times int       `json:"times"` // in a row: each one is believed longer
	Code  string    `json:"code,omitempty"`
	// At is the failure that was learnt from last: the same one is not counted twice. Group is set, and the rest of the
	// offering empty, where the fault is the group's own: a launch template that no machine comes of.
	At    time.Time `json:"at,omitzero"`
	Group string    `json:"group,omitempty"`
}

// Order is capacity that was asked for.
type Order struct {
	Group string    `json:"group"`
	Type  string    `json:"type,omitempty"` // several with | between them where EC2 chooses, "" where the group does
	Zone  string    `json:"zone,omitempty"`
	Spot  bool      `json:"spot,omitempty"`
	Count int       `json:"count"`
	At    time.Time `json:"at"`
	Pool  string    `json:"pool,omitempty"` // of the policy, where it was ordered for one
	// Token is the client token of the LaunchFleet that it is of: a pool may have several at once, of which some come to nothing.
	Token string `json:"token,omitempty"`
	// Pods are those that it was ordered for, namespace/name, some of them: for reports.
	Pods []string `json:"pods,omitempty"`
}

// is tells whether a machine of the type may be one that was ordered.
func (o Order) is(kind string) bool { return o.Type == "" || slices.Contains(o.types(), kind) }

func (o Order) types() []string { return strings.Split(o.Type, "|") }

// Removal is a node that was given to the interruption function to drain and remove.
type Removal struct {
	InstanceID string    `json:"instanceId"`
	Node       string    `json:"node"`
	Group      string    `json:"group"`
	Reason     string    `json:"reason"` // Empty, Underused, Cheaper, Schedule
	At         time.Time `json:"at"`
}
