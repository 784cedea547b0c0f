package fleet

import "time"

// UpgradeMode is how far scheduled maintenance goes. What people or pipelines ask for is done in any mode.
type UpgradeMode string

// Maintenance is off unless a policy asks for it.
const (
	UpgradeOff  UpgradeMode = "Off"
	UpgradePlan UpgradeMode = "Plan" // the calendar and the reports, nothing else
	UpgradeAct  UpgradeMode = "Act"
)

// UpgradeChannel says which version a cluster is to have, where its policy names none.
type UpgradeChannel string

// The channels.
const (
	// ChannelSupported stays as long as it may, and moves on (by one minor, or more where the next is out of support, too) Lead
	// before support ends.
	ChannelSupported UpgradeChannel = "Supported"
	ChannelStable    UpgradeChannel = "Stable" // the newest but one
	ChannelNewest    UpgradeChannel = "Newest"
)

// SkewMode is how far nodes may be behind their control plane.
type SkewMode string

// The skews. EKS's user guide allows three minors since 1.25; some of its API's texts say that they must match.
const (
	SkewN3     SkewMode = "N3"
	SkewStrict SkewMode = "Strict"
)

// NodeStrategy is how a node group gets to another version.
type NodeStrategy string

// The strategies.
const (
	NodesRolling   NodeStrategy = "Rolling"   // EKS's: new nodes first, then the old ones one by one
	NodesMinimal   NodeStrategy = "Minimal"   // EKS's: old nodes go first; for scarce capacity
	NodesBlueGreen NodeStrategy = "BlueGreen" // a second group beside the first, which goes when its pods have moved
)

// RollbackMode is what a regression inside the seven days after a control plane's upgrade leads to.
type RollbackMode string

// Rolling back is for people to decide, unless the policy says otherwise.
const (
	RollbackAsk  RollbackMode = "Ask" // the run halts and says how long a rollback is possible
	RollbackAuto RollbackMode = "Auto"
)

// AddonConflicts is EKS's resolveConflicts.
type AddonConflicts string

// What becomes of fields that somebody else has changed.
const (
	AddonPreserve  AddonConflicts = "PRESERVE"
	AddonOverwrite AddonConflicts = "OVERWRITE"
	AddonNone      AddonConflicts = "NONE" // the update fails
)

// UpgradePolicy says how a cluster is upgraded and patched. The zero value is not valid; start from DefaultUpgradePolicy.
type UpgradePolicy struct {
	Mode UpgradeMode `json:"mode"`
	// Version is where the cluster is to be; 0 leaves that to Channel.
	Version Minor          `json:"version,omitempty"`
	Channel UpgradeChannel `json:"channel"`
	// Lead is how long before the end of support (of standard support, or of extended where the cluster's support type says
	// so) an upgrade is due.
	Lead time.Duration `json:"lead"`
	Ring string        `json:"ring"`

	// Windows are when maintenance may be going on; none is never, for what the schedule starts.
	Windows   []MaintenanceWindow `json:"windows,omitempty"`
	Blackouts []Blackout          `json:"blackouts,omitempty"`

	Skew SkewMode `json:"skew"`
	// Bake is how long a control plane's new version is watched before add-ons and nodes follow.
	Bake     time.Duration      `json:"bake"`
	Nodes    NodeUpgradePolicy  `json:"nodes"`
	Addons   AddonUpgradePolicy `json:"addons"`
	Patches  PatchPolicy        `json:"patches"`
	Health   HealthPolicy       `json:"health"`
	Rollback RollbackMode       `json:"rollback"`
	Checks   CheckPolicy        `json:"checks"`
}

// MaintenanceWindow is a time in which maintenance may go on. A step starts only if it is expected to end in it.
type MaintenanceWindow struct {
	Name string `json:"name,omitempty"`
	Recurrence
	For time.Duration `json:"for"`
}

// Recurrence is when something comes again: a cron expression or an RFC 5545 recurrence rule, on the clock of a time zone.
type Recurrence struct {
	Cron  Cron     `json:"cron,omitzero"`
	RRule RRule    `json:"rrule,omitzero"`
	Zone  TimeZone `json:"timeZone,omitzero"`
}

// Blackout is a time in which nothing is started, and whose beginning nothing may overrun: once, or again and again.
type Blackout struct {
	Name  string    `json:"name,omitempty"`
	From  time.Time `json:"from,omitzero"`
	Until time.Time `json:"until,omitzero"`
	Recurrence
	For time.Duration `json:"for,omitempty"`
}

// Freeze is a blackout by event, for a cluster, a ring, or the whole fleet where both are empty.
type Freeze struct {
	Name    string    `json:"name"`
	Cluster string    `json:"cluster,omitempty"` // "region/name"
	Ring    string    `json:"ring,omitempty"`
	From    time.Time `json:"from"`
	Until   time.Time `json:"until,omitzero"` // zero: until it is lifted
	Reason  string    `json:"reason"`
}

// Covers tells whether the freeze is for a cluster of that ring.
func (f Freeze) Covers(cluster ClusterID, ring string) bool {
	return (f.Cluster == "" || f.Cluster == cluster.String()) && (f.Ring == "" || f.Ring == ring)
}

// NodeUpgradePolicy says how nodes get to another version.
type NodeUpgradePolicy struct {
	Strategy NodeStrategy `json:"strategy"`
	// AtOnce is how many nodes of a blue/green or self-managed move are drained at the same time.
	AtOnce int `json:"atOnce"`
	// GroupsAtOnce is how many node groups are updated at the same time.
	GroupsAtOnce int `json:"groupsAtOnce"`
	// Force lets EKS delete pods that a PodDisruptionBudget holds when its time for them is over.
	Force  bool           `json:"force,omitempty"`
	Groups []GroupUpgrade `json:"groups,omitempty"`
}

// GroupUpgrade is what one node group does otherwise.
type GroupUpgrade struct {
	Name     string       `json:"name"`
	Strategy NodeStrategy `json:"strategy,omitempty"`
	// Hold leaves the group as it is until the skew no longer allows it.
	Hold bool `json:"hold,omitempty"`
	// LaunchTemplateVersion is, for a group with an image of one's own, the version of its launch template to go to, by Minor.
	LaunchTemplateVersion map[Minor]string `json:"launchTemplateVersion,omitempty"`
}

// StrategyOf is the strategy of a group.
func (p NodeUpgradePolicy) StrategyOf(group string) NodeStrategy {
	for _, g := range p.Groups {
		if g.Name == group && g.Strategy != "" {
			return g.Strategy
		}
	}
	return p.Strategy
}

// AddonUpgradePolicy says how add-ons get to another version.
type AddonUpgradePolicy struct {
	Conflicts AddonConflicts `json:"conflicts"`
	// Pins are versions that add-ons are not moved from or beyond, by add-on: "v1.18.5-eksbuild.1".
	Pins map[string]string `json:"pins,omitempty"`
}

// PatchPolicy says what is kept new within a minor, in maintenance windows.
type PatchPolicy struct {
	Images bool `json:"images"` // node groups get the newest AMI release of their version
	Addons bool `json:"addons"` // add-ons get the newest version for the cluster's minor
	// Age is how old a release has to be before it is taken: others find its faults.
	Age time.Duration `json:"age"`
	// Renew is how long before its end the cluster's certificate authority is replaced; 0 leaves that to EKS.
	Renew time.Duration `json:"renew,omitempty"`
	// Trust is how long clients outside of the cluster have to trust a new certificate authority before it is activated.
	Trust time.Duration `json:"trust,omitempty"`
}

// HealthPolicy says what counts as a regression while an upgrade is going on.
type HealthPolicy struct {
	// Alarms are CloudWatch alarms that must not be in ALARM: names, in the cluster's Region.
	Alarms []string `json:"alarms,omitempty"`
	// NotReady is the share of nodes, 0 to 1, that may be NotReady beyond the baseline's.
	NotReady float64 `json:"notReady"`
	// Pods is the share of pods, 0 to 1, that may be not Ready beyond the baseline's.
	Pods float64 `json:"pods"`
	// For is how long a regression has to last before it counts.
	For time.Duration `json:"for"`
}

// CheckPolicy says what the readiness gate lets pass.
type CheckPolicy struct {
	Waivers []Waiver `json:"waivers,omitempty"`
	// InsightAge is how old the last request may be by which an EKS insight holds a deprecated API to be in use; older ones are
	// told, and do not block: the insight counts a fixed client for 30 days.
	InsightAge time.Duration `json:"insightAge"`
	// FreeIPs below which a subnet of the control plane blocks, and below which it is warned of.
	BlockIPs int `json:"blockIps"`
	WarnIPs  int `json:"warnIps"`
	// NotReady is the share of nodes, 0 to 1, from which nodes out of order block.
	NotReady float64 `json:"notReady"`
}

// Waiver lets a check pass for a time, for an object or for all.
type Waiver struct {
	Check  string    `json:"check"`            // "WL05"
	Object string    `json:"object,omitempty"` // as the evidence names it; "" is all
	Until  time.Time `json:"until"`
	Reason string    `json:"reason"`
}

// DefaultUpgradePolicy is safe in production: nothing is done by itself. What it says beside that holds for what is asked for.
func DefaultUpgradePolicy() UpgradePolicy {
	return UpgradePolicy{
		Mode: UpgradeOff, Channel: ChannelSupported,
		Lead:   60 * 24 * time.Hour, // EKS's own notice before the end of standard support
		Ring:   "rest",
		Skew:   SkewN3,
		Bake:   time.Hour,
		Nodes:  NodeUpgradePolicy{Strategy: NodesRolling, AtOnce: 1, GroupsAtOnce: 1},
		Addons: AddonUpgradePolicy{Conflicts: AddonPreserve},
		Patches: PatchPolicy{
			Images: true, Addons: true, Age: 7 * 24 * time.Hour,
			Renew: 270 * 24 * time.Hour, // three months before EKS activates the successor by itself
			Trust: 30 * 24 * time.Hour,
		},
		Health:   HealthPolicy{NotReady: 0, Pods: 0.02, For: 5 * time.Minute},
		Rollback: RollbackAsk,
		Checks: CheckPolicy{
			InsightAge: 24 * time.Hour,
			BlockIPs:   5, WarnIPs: 16, // "up to 5" and "16 recommended": EKS's user guide
			NotReady: 0.1,
		},
	}
}

// FleetPolicy is what holds for all clusters of an installation: the FleetPolicy document.
type FleetPolicy struct {
	// Rings are in the order in which an upgrade goes through them.
	Rings     []Ring     `json:"rings"`
	Blackouts []Blackout `json:"blackouts,omitempty"`
	// Calls is how many calls of EKS's API a minute upgrades may make in an account and Region.
	Calls int `json:"calls"`
	// Notifications are who is told of the runs of all clusters.
	Notifications []NotificationTarget `json:"notifications,omitempty"`
}

// Ring is a part of the fleet that an upgrade goes through as one.
type Ring struct {
	Name string `json:"name"`
	// AtOnce is how many of its clusters may be upgraded at the same time.
	AtOnce int `json:"atOnce"`
	// Soak is how long after its last cluster the next ring may begin.
	Soak time.Duration `json:"soak"`
	// Failures is how many clusters may halt or fail before the ring stops; 0: the first one stops it.
	Failures int `json:"failures,omitempty"`
}

// DefaultFleetPolicy has a canary, early adopters, and the rest.
func DefaultFleetPolicy() FleetPolicy {
	return FleetPolicy{
		Rings: []Ring{
			{Name: "canary", AtOnce: 1, Soak: 24 * time.Hour},
			{Name: "early", AtOnce: 3, Soak: 72 * time.Hour},
			{Name: "rest", AtOnce: 10},
		},
		Calls: 120,
	}
}
