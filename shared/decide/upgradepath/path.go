package upgradepath

import (
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// StepKind is what a step changes.
type StepKind string

// The kinds.
const (
	StepControlPlane StepKind = "ControlPlane" // one minor up
	StepBake         StepKind = "Bake"         // watching, nothing is changed
	StepAddon        StepKind = "Addon"
	StepNodeGroup    StepKind = "NodeGroup"
	StepAuthority    StepKind = "Authority" // of certificates: made, activated or deleted
	StepRestart      StepKind = "Restart"   // Fargate pods, which get their kubelet's version when they are made anew
)

// Step is one change on the way. Steps of one Wave have nothing to do with one another and may run at the same time; waves
// run in order.
type Step struct {
	// ID names the step for good: "control-plane/1.36", "bake/1.36", "addon/vpc-cni/v1.20.1-eksbuild.1",
	// "nodegroup/web/1.36.6-20261112", "authority/ID/activate". A step that is skipped, or that failed, is known by it.
	ID   string   `json:"id"`
	Kind StepKind `json:"kind"`
	Wave int      `json:"wave"`
	// Subject is the add-on's or the node group's name, "" for the control plane; the certificate authority's id, or of one that
	// is to get a successor.
	Subject string `json:"subject,omitempty"`
	From    string `json:"from"` // a minor, an add-on's version, an AMI release, whether an authority signs
	To      string `json:"to"`
	// Minor is the Kubernetes minor that the step leads to or happens at.
	Minor    fleet.Minor        `json:"minor"`
	Strategy fleet.NodeStrategy `json:"strategy,omitempty"`
	// Template is the version of the launch template to go to, of a group with an image of one's own.
	Template string        `json:"template,omitempty"`
	Nodes    int           `json:"nodes,omitempty"` // how many nodes move
	Takes    time.Duration `json:"takes"`           // expected
	// ClosesRollback: after it the control plane can no longer go back to the minor before as things then are: never, after
	// the next minor; not before what moved has gone back, too, after a node group's or an add-on's step (see Back).
	ClosesRollback bool   `json:"closesRollback,omitempty"`
	Why            string `json:"why"`
}

// Path is the whole way.
type Path struct {
	Cluster fleet.ClusterID `json:"cluster"`
	From    fleet.Minor     `json:"from"`
	To      fleet.Minor     `json:"to"`
	Steps   []Step          `json:"steps"`
	// Takes is the expected time with the steps of a wave at the same time.
	Takes time.Duration `json:"takes"`
	// Blocked says why there is no way, in sentences that say what to do; then Steps is as far as one could go.
	Blocked []string `json:"blocked,omitempty"`
	Notes   []string `json:"notes,omitempty"`
	Cost    Cost     `json:"cost"`
}

// Cost is the money of it, in USD.
type Cost struct {
	// Surge is what the nodes cost that run beside the old ones while groups move; 0 where no price is known.
	Surge float64 `json:"surge"`
	// ExtendedPerMonth is what extended support costs a month at the version of now (0 in standard support), Saved is what the
	// upgrade saves until the present version's end, done now, and PerWeek what each week of delay costs.
	ExtendedPerMonth float64 `json:"extendedPerMonth"`
	Saved            float64 `json:"saved"`
	PerWeek          float64 `json:"perWeek"`
}

// Want is what a path is to lead to.
type Want struct {
	To fleet.Minor `json:"to"` // 0 is the minor that the cluster has
	// Now is the time of the look: what is left of a bake, how old an image is, and what support costs follow from it. Zero
	// leaves these out.
	Now time.Time `json:"now,omitzero"`
	// Patch wants add-ons and images as new as they get at To, and not only what To needs; those of the two that the policy
	// patches.
	Patch  bool                `json:"patch,omitempty"`
	Policy fleet.UpgradePolicy `json:"policy"`
	// Hourly are the prices of machines in USD an hour, by instance type, for what the surge costs; nil leaves that out.
	Hourly map[string]float64 `json:"hourly,omitempty"`
}
