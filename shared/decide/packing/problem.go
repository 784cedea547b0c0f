// Package packing decides which pods fit where: on the nodes that there are, and on new ones at the least price. It is the
// solver below package scaling, which knows node groups, policies and time. It is pure and deterministic: the same Problem
// gives the same Solution.
//
// What it promises: there is an order of binding in which each placed pod passes kube-scheduler's filters in its turn, those with
// topology constraints before those that they merely count. (Not any order will do: zones have to fill up together.) Where that
// is possible each also passes with all the others in place. A pod that it cannot place is in Unplaced with the nearest miss;
// what it does not handle is refused by name.
package packing

import "github.com/ekspedite/ekspedite/shared/fleet"

// Problem is what there is to place, and where it could go.
type Problem struct {
	// Pods are those without a node that shall get one. Each has a Demand. Priority: higher ones are served first where limits
	// leave some out.
	Pods []fleet.Pod
	// Nodes are those that exist or were ordered. Pods are placed on them first.
	Nodes []Node
	// Pools are the kinds of nodes that can be added, Types the machines to make them of. A pool's Machines index Types.
	Pools []Pool
	Types []Type
	// Daemons will be on every new node that they match.
	Daemons []fleet.Daemon
	Options Options
}

// Node is a node that exists, or that was ordered and will join as it is described here.
type Node struct {
	Name        string
	Labels      map[string]string
	Taints      []fleet.Taint
	Allocatable fleet.Resources
	MaxPods     int
	AttachLimit map[string]int // by CSI driver
	// Closed takes no further pods (cordoned, or going); what it has counts in topologies.
	Closed bool
	// Pods are on it, or will be for sure, daemons included.
	Pods  []fleet.Pod
	Price float64 // USD an hour; 0 where nobody knows
}

// Type is a machine as a node: what is left for pods after the kubelet's and the system's share.
type Type struct {
	Name        string
	Arch        string            // label kubernetes.io/arch
	Labels      map[string]string // further labels of nodes of this type, beside those that follow from the other fields
	Allocatable fleet.Resources
	MaxPods     int
	AttachLimit map[string]int
	Offerings   []Offering
}

// Offering is where a type is to be had, and for how much.
type Offering struct {
	Zone string
	// Capacity is fleet.OnDemand or fleet.Spot.
	Capacity string
	Price    float64 // USD an hour
	// Short: EC2 had none lately. It is used only where nothing else will do, and never if Options.AvoidShort.
	Short bool
	// Risk is how likely the machine is taken away within the hour, 0 to 1: of two plans of one price the safer one wins.
	Risk float64
}

// Pool is a kind of node: a node group, or a description that groups are made of.
type Pool struct {
	Name   string
	Labels map[string]string
	Taints []fleet.Taint
	// Machines are indexes into Types; Zones and Capacity narrow their offerings, nil for all.
	Machines []int
	Zones    []string
	Capacity []string
	// MaxNodes more may be added, with MaxCPU (thousandths) and MaxMemory (bytes) at most; 0 is no limit. A pool that is full
	// is left out by the caller.
	MaxNodes  int
	MaxCPU    int64
	MaxMemory int64
	// Weight: pools of a greater one are preferred wherever they fit, whatever they cost.
	Weight int
}

// Options are the caller's wishes.
type Options struct {
	// Effort bounds the search after the first plan, in rounds of repacking; 0 is DefaultEffort, negative is none.
	Effort int
	// AvoidShort never plans with offerings that are Short.
	AvoidShort bool
	// PoolShare is the greatest share, 0 to 1, of the new spot nodes that one spot pool (type and zone) may make up; 0 is no
	// limit. It holds from the third node on, and gives way where nothing else fits.
	PoolShare float64
	// CapacityLabels are the labels by which pods select the capacity type, with the values for OnDemand and Spot. nil is
	// those of EKS and Karpenter.
	CapacityLabels []CapacityLabel
	// IgnorePreferences leaves preferred affinities and ScheduleAnyway out of account.
	IgnorePreferences bool
}

// CapacityLabel is a label that says a node's capacity type.
type CapacityLabel struct{ Key, OnDemand, Spot string }

// Solution is where the pods go. Indexes are those of the Problem's slices.
type Solution struct {
	// Placed has, for each pod, the node that it goes to: an index into Problem.Nodes, or len(Problem.Nodes) plus an index
	// into New; -1 for those in Unplaced.
	Placed   []int
	New      []NewNode
	Unplaced []Unplaced
	Price    float64 // USD an hour, of all new nodes
}

// NewNode is a node to add.
type NewNode struct {
	Pool, Type int
	Offering   int // of the type
	Pods       []int
	// Alternatives are other types of the same pool, zone and capacity type on which the same pods fit as well, cheapest first,
	// 20 at most: for a launch that may have to be flexible.
	Alternatives []int
	// Why says what decided for this machine, in a sentence.
	Why string
}

// Unplaced is a pod that no node would take, with the reason.
type Unplaced struct {
	Pod int
	// Refused names what the planner does not handle; "" where it merely found no room.
	Refused string
	// Reason is the nearest miss: the candidate that came closest and what it lacked.
	Reason string
}
