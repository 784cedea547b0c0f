package fleet

import "time"

// PoolMode is how a pool's machines come.
type PoolMode string

// The modes of pools.
const (
	PoolGroups PoolMode = "Groups" // a managed node group for each zone, type and capacity type that is in use
	PoolFleet  PoolMode = "Fleet"  // EC2's CreateFleet, without a group
)

// PoolPolicy is a kind of nodes that the planner may make.
type PoolPolicy struct {
	Name string   `json:"name"`
	Mode PoolMode `json:"mode"`
	// Like is the node group that new ones are made like: role, subnets, image, launch template.
	Like string `json:"like"`

	// What machines may be: nil lists allow all, 0 is no bound. Exclude has types and families.
	Types         []string `json:"types,omitempty"`
	Families      []string `json:"families,omitempty"`      // m7g
	Categories    []string `json:"categories,omitempty"`    // the letters that families begin with: c, m, r
	Exclude       []string `json:"exclude,omitempty"`       //
	Arch          []string `json:"arch,omitempty"`          // amd64, arm64; nil is that of Like
	Zones         []string `json:"zones,omitempty"`         // us-east-1a
	CapacityTypes []string `json:"capacityTypes,omitempty"` // OnDemand, Spot
	MinVCPUs      int      `json:"minVCPUs,omitempty"`
	MaxVCPUs      int      `json:"maxVCPUs,omitempty"`
	// Burstable, OldGenerations and Bare allow what is left out else, unless it is named in Types or Families.
	Burstable      bool `json:"burstable,omitempty"`
	OldGenerations bool `json:"oldGenerations,omitempty"`
	Bare           bool `json:"bare,omitempty"`

	Labels map[string]string `json:"labels,omitempty"`
	Taints []Taint           `json:"taints,omitempty"`
	Weight int               `json:"weight,omitempty"`

	// MaxNodes, MaxCPU (thousandths) and MaxMemory (bytes) bound the pool; 0 is no limit.
	MaxNodes  int   `json:"maxNodes,omitempty"`
	MaxCPU    int64 `json:"maxCPU,omitempty"`
	MaxMemory int64 `json:"maxMemory,omitempty"`
	// RetireAfter is how long a group of the pool stays without nodes.
	RetireAfter time.Duration `json:"retireAfter"`
}

// DefaultPool is what a pool is where its policy does not say otherwise.
func DefaultPool() PoolPolicy {
	return PoolPolicy{Mode: PoolGroups, CapacityTypes: []string{OnDemand}, RetireAfter: 30 * time.Minute}
}

// Headroom is room that is kept free for pods to come: as many placeholders of that size as Count, or as make up Percent of
// what all pods of the cluster ask for. They have the lowest priority of all.
type Headroom struct {
	Name         string            `json:"name"`
	Count        int               `json:"count,omitempty"`
	Percent      float64           `json:"percent,omitempty"` // 0 to 1
	Size         Resources         `json:"size"`
	NodeSelector map[string]string `json:"nodeSelector,omitempty"`
	Tolerations  []Toleration      `json:"tolerations,omitempty"`
}

// Reservation is nodes that shall be there for a time: ordered Lead before From, free to go at Until.
type Reservation struct {
	Name string `json:"name"`
	// Group is a node group that exists, or Pool a pool of the policy, whose new nodes are of Type.
	Group string    `json:"group,omitempty"`
	Pool  string    `json:"pool,omitempty"`
	Type  string    `json:"type,omitempty"`
	Nodes int       `json:"nodes"`
	From  time.Time `json:"from"`
	Until time.Time `json:"until"`
	// Lead is how long before From the nodes are ordered, so that they are there.
	Lead time.Duration `json:"lead,omitempty"`
}

// DefaultLead is how long machines need to become nodes, and a managed group to be made: two to four minutes.
const DefaultLead = 5 * time.Minute

// On tells whether the reservation's time is now, or so near that its nodes are to be ordered.
func (r Reservation) On(now time.Time) bool {
	return !now.Before(r.From.Add(-r.Lead)) && now.Before(r.Until)
}

// ScaleWindow changes what groups may be, while its schedule is on.
type ScaleWindow struct {
	Name   string   `json:"name"`
	Groups []string `json:"groups,omitempty"` // node groups, and pools for all groups of theirs; nil is all of both
	// Schedule is when.
	Schedule Schedule `json:"schedule"`
	// Size, if not nil, is what groups go to, with their least size where that is greater; when the window ends they get their
	// old sizes back. Pending pods do not make a group that sleeps so grow, unless Wake says so.
	Size *int `json:"size,omitempty"`
	Wake bool `json:"wake,omitempty"`
	// Min and Max, if not nil, are the groups' sizes instead of their own: Max never above theirs.
	Min *int `json:"min,omitempty"`
	Max *int `json:"max,omitempty"`
}

// ShrinkMode is how far shrinking goes.
type ShrinkMode string

// Each mode does what the ones before it do, too.
const (
	ShrinkOff       ShrinkMode = "Off"
	ShrinkEmpty     ShrinkMode = "Empty"     // nodes without pods, but for daemons
	ShrinkUnderused ShrinkMode = "Underused" // nodes whose pods fit on others
	ShrinkReplace   ShrinkMode = "Replace"   // nodes that cheaper ones can take the place of
)

// LocalStorage is what pods with an emptyDir or a hostPath mean for their node.
type LocalStorage string

// What is in them is lost with the node. Karpenter evicts such pods; Cluster Autoscaler keeps the node unless told otherwise.
const (
	LocalStorageEvict LocalStorage = "Evict"
	LocalStorageKeep  LocalStorage = "Keep"
)

// ShrinkPolicy says when nodes go.
type ShrinkPolicy struct {
	Mode ShrinkMode `json:"mode"`
	// WarmUp is the age from which a node may go. PatienceEmpty and PatienceUnderused are how long it must have had nothing, or
	// too little, to do.
	WarmUp            time.Duration `json:"warmUp"`
	PatienceEmpty     time.Duration `json:"patienceEmpty"`
	PatienceUnderused time.Duration `json:"patienceUnderused"`
	// Below is the share of a node's cpu and memory, 0 to 1, that its pods ask for at most if it shall count as under-used.
	Below float64 `json:"below"`
	// EvictionCost is what moving one pod is held to cost, in USD. A change is worth it if it saves more than that in a month.
	EvictionCost float64 `json:"evictionCost"`
	// MinSaving is the least share, 0 to 1, of the old nodes' price that a replacement must save.
	MinSaving float64 `json:"minSaving"`
	// Floor is how many nodes the cluster keeps, whatever their groups' least sizes.
	Floor        int          `json:"floor,omitempty"`
	LocalStorage LocalStorage `json:"localStorage"`
	// Budgets bound how many nodes may be going at once; the least of those that are on counts.
	Budgets []DisruptionBudget `json:"budgets"`
}

// Reasons for which a node is given up, as plans and budgets name them.
const (
	ReasonEmpty     = "Empty"
	ReasonUnderused = "Underused"
	ReasonCheaper   = "Cheaper"
	ReasonSchedule  = "Schedule"
)

// DisruptionBudget is how many nodes may be going at once, while its schedule is on.
type DisruptionBudget struct {
	// Nodes, or a Percent of the cluster's, 0 to 1, rounded up.
	Nodes   int     `json:"nodes,omitempty"`
	Percent float64 `json:"percent,omitempty"`
	// Reasons that it is for; nil is Empty, Underused and Cheaper. What a window asks for is its own permission.
	Reasons  []string `json:"reasons,omitempty"`
	Schedule Schedule `json:"schedule,omitzero"`
}

// DefaultShrinkPolicy removes empty nodes and under-used ones and replaces dear ones, a tenth of the nodes at a time.
func DefaultShrinkPolicy() ShrinkPolicy {
	return ShrinkPolicy{
		Mode: ShrinkReplace, WarmUp: 10 * time.Minute, PatienceEmpty: time.Minute, PatienceUnderused: 5 * time.Minute,
		Below: 1,
		// Half a dollar: 20 evictions are worth it when they save ten dollars a month, a seventh of an m5.large.
		EvictionCost: 0.5,
		MinSaving:    0.15,
		LocalStorage: LocalStorageEvict,
		Budgets:      []DisruptionBudget{{Percent: 0.1}},
	}
}
