package fleet

import "time"

// ScalingMode is how far the scaling function goes.
type ScalingMode string

// Scaling is off unless a policy asks for it: another autoscaler may be at work in the cluster.
const (
	ScalingOff  ScalingMode = "Off"
	ScalingPlan ScalingMode = "Plan" // it decides and reports, and changes nothing
	ScalingAct  ScalingMode = "Act"
)

// Doorbell is how the scaling function hears of pods that found no node, beside the sweep of every minute.
type Doorbell string

// The doorbells.
const (
	DoorbellWebhook Doorbell = "Webhook" // a ValidatingWebhookConfiguration in the cluster, which never refuses anything
	DoorbellLogs    Doorbell = "Logs"    // a subscription to the scheduler's log, which the cluster must write
	DoorbellMetrics Doorbell = "Metrics" // an alarm on EKS's metric of pending pods: a minute or three
	DoorbellNone    Doorbell = "None"    // the sweep alone
)

// ScalingPolicy says how a cluster's nodes are planned. The zero value is not valid; start from DefaultScalingPolicy.
type ScalingPolicy struct {
	Mode     ScalingMode `json:"mode"`
	Doorbell Doorbell    `json:"doorbell"`

	// Groups are settings of node groups that exist; those that are not named are scaled between their least and greatest size.
	Groups []GroupPolicy `json:"groups,omitempty"`
	// Pools are kinds of nodes that the planner makes groups for, or launches without a group.
	Pools []PoolPolicy `json:"pools,omitempty"`
	// MaxGroups is how many managed node groups the cluster may have, those of others included.
	MaxGroups int `json:"maxGroups"`

	Nodes        NodePolicy    `json:"nodes"`
	Pods         PodPolicy     `json:"pods"`
	Launch       LaunchPolicy  `json:"launch"`
	Shrink       ShrinkPolicy  `json:"shrink"`
	Headroom     []Headroom    `json:"headroom,omitempty"`
	Reservations []Reservation `json:"reservations,omitempty"`
	Windows      []ScaleWindow `json:"windows,omitempty"`
}

// GroupPolicy are the settings of a node group that exists.
type GroupPolicy struct {
	Name string `json:"name"`
	// Ignore leaves the group's size alone. Its nodes' room is used, and they are never removed.
	Ignore bool `json:"ignore,omitempty"`
	// Weight: groups and pools of a greater one are preferred wherever pods fit, whatever they cost.
	Weight int `json:"weight,omitempty"`
}

// NodePolicy says what is assumed of nodes that do not exist yet.
type NodePolicy struct {
	// VMOverhead is the share of a type's memory, 0 to 1, that the hypervisor and the kernel keep. It holds until a node of the
	// type has been seen in the group.
	VMOverhead float64 `json:"vmOverhead"`
	// PrefixDelegation: the VPC CNI gives interfaces prefixes of 16 addresses, which makes room for EKS's greatest number of pods.
	PrefixDelegation bool `json:"prefixDelegation,omitempty"`
	// StartupTaints are keys of taints that new nodes lose by themselves, as those of a CNI's agent.
	StartupTaints []string `json:"startupTaints,omitempty"`
}

// PodPolicy says which pods count, and how they are placed.
type PodPolicy struct {
	// ExpendableBelow: pods of a lower priority make no nodes, keep none, and give way.
	ExpendableBelow int32 `json:"expendableBelow"`
	// SpotShare is the greatest share, 0 to 1, of a workload's pods that may be on spot nodes; pods may say otherwise by the
	// annotation AnnotationSpotShare. 1 is no limit.
	SpotShare float64 `json:"spotShare"`
	// IgnorePreferences leaves preferred affinities and ScheduleAnyway out of account.
	IgnorePreferences bool `json:"ignorePreferences,omitempty"`
}

// AnnotationSpotShare says on a pod how many of its workload's pods may be on spot nodes: "60%".
const AnnotationSpotShare = "ekspedite.dev/spot-share"

// AnnotationDoNotDisrupt keeps a pod, or a node, from being disrupted voluntarily, as Karpenter's and Cluster Autoscaler's do.
const AnnotationDoNotDisrupt = "ekspedite.dev/do-not-disrupt"

// LaunchPolicy says how machines are asked for.
type LaunchPolicy struct {
	// Timeout is how long a machine may take to become a node; then it counts as one that does not come.
	Timeout time.Duration `json:"timeout"`
	// ShortFor is how long an offering that EC2 has none of is avoided. Each failure in a row doubles it, up to ShortAtMost.
	ShortFor    time.Duration `json:"shortFor"`
	ShortAtMost time.Duration `json:"shortAtMost"`
	// PoolShare is the greatest share, 0 to 1, of the new spot nodes that one spot pool (type and zone) may make up; 0 is no limit.
	PoolShare float64 `json:"poolShare,omitempty"`
}

// DefaultScalingPolicy is safe in production: nothing is done. What it says beside that holds once the mode is set.
func DefaultScalingPolicy() ScalingPolicy {
	return ScalingPolicy{
		Mode: ScalingOff, Doorbell: DoorbellWebhook,
		MaxGroups: 30,                            // EKS's quota, L-6D54EA21
		Nodes:     NodePolicy{VMOverhead: 0.075}, // Karpenter's default; m5.large has 7.6 GiB of 8
		Pods: PodPolicy{ExpendableBelow: -10, // Cluster Autoscaler's cut-off
			SpotShare: 1},
		Launch: LaunchPolicy{
			Timeout:  15 * time.Minute, // Cluster Autoscaler's and Karpenter's
			ShortFor: 3 * time.Minute, ShortAtMost: 30 * time.Minute,
			PoolShare: 0.5, // one spot pool that runs dry takes half of a new capacity at most
		},
		Shrink: DefaultShrinkPolicy(),
	}
}
