// Package upgradepath finds the way of a cluster from its version to another one: every hop of the control plane, every
// version of every add-on on the way, and when which nodes move. The way is a value: it prints, and it is found anew from
// what is there at every look, so that a run that was killed goes on where the cluster is.
package upgradepath

import (
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Observation is what EKS, EC2 and the API server say of a cluster as far as its versions are concerned.
type Observation struct {
	Cluster fleet.ClusterID `json:"cluster"`
	Version fleet.Minor     `json:"version"`
	// Platform is EKS's own, "eks.12".
	Platform string `json:"platform,omitempty"`
	Status   string `json:"status"` // EKS's: ACTIVE, UPDATING, …
	// Issues are what EKS says is wrong with it: "code: message".
	Issues    []string  `json:"issues,omitempty"`
	CreatedAt time.Time `json:"createdAt"`
	// UpgradedAt is when it came to its version by an upgrade, UpgradedFrom the version before; zero if it was made so, or if
	// that cannot be known. A rollback is possible for seven days from then.
	UpgradedAt   time.Time   `json:"upgradedAt,omitzero"`
	UpgradedFrom fleet.Minor `json:"upgradedFrom,omitempty"`
	// SupportType is EKS's upgradePolicy: STANDARD or EXTENDED.
	SupportType string `json:"supportType,omitempty"`
	// AutoMode: EKS replaces the nodes of its own pools by itself after an upgrade.
	AutoMode bool `json:"autoMode,omitempty"`

	Groups []Group `json:"groups,omitempty"`
	Addons []Addon `json:"addons,omitempty"`
	Nodes  []Node  `json:"nodes,omitempty"`
	// Authorities are the cluster's certificate authorities; none where EKS says nothing of them.
	Authorities []Authority `json:"authorities,omitempty"`
	// Busy are updates that are in progress, AWS's own among them.
	Busy []Busy `json:"busy,omitempty"`

	// Versions are the minors that EKS knows, oldest first.
	Versions []fleet.KubernetesVersion `json:"versions"`
	// Releases are the versions of each add-on of the cluster, newest first.
	Releases map[string][]fleet.AddonRelease `json:"releases,omitempty"`
	// Images are the newest AMI releases by "amiType/minor": {"AL2023_x86_64_STANDARD/1.36": {"1.36.6-20261112", …}}.
	Images map[string]Image `json:"images,omitempty"`
	// Incomplete says why parts could not be read, by part: "nodes", "releases/vpc-cni", "images/AL2023_x86_64_STANDARD/1.36".
	Incomplete map[string]string `json:"incomplete,omitempty"`
}

// Group is a node group.
type Group struct {
	Name        string      `json:"name"`
	SelfManaged bool        `json:"selfManaged,omitempty"` // an Auto Scaling group of ekspedite's, not EKS's
	Version     fleet.Minor `json:"version"`
	Release     string      `json:"release,omitempty"` // AMI release, "1.36.6-20261112"; "" with an image of one's own
	AMIType     string      `json:"amiType,omitempty"`
	// Template is the launch template that the group was given, and the version in use; Newest is the template's latest.
	Template        string `json:"template,omitempty"`
	TemplateVersion string `json:"templateVersion,omitempty"`
	TemplateNewest  string `json:"templateNewest,omitempty"`
	Min             int    `json:"min"`
	Desired         int    `json:"desired"`
	Max             int    `json:"max"`
	Zones           int    `json:"zones"`
	// MaxUnavailable and MaxUnavailablePercent are EKS's updateConfig; both 0 is one node at a time.
	MaxUnavailable        int `json:"maxUnavailable,omitempty"`
	MaxUnavailablePercent int `json:"maxUnavailablePercent,omitempty"`
	// UpdateStrategy is EKS's updateConfig.updateStrategy: DEFAULT or MINIMAL; "" is DEFAULT.
	UpdateStrategy   string   `json:"updateStrategy,omitempty"`
	Status           string   `json:"status,omitempty"`
	Issues           []string `json:"issues,omitempty"`
	Spot             bool     `json:"spot,omitempty"`
	InstanceTypes    []string `json:"instanceTypes,omitempty"`
	AutoScalingGroup string   `json:"autoScalingGroup,omitempty"`
	// Members are the instances that Auto Scaling has in the group.
	Members []string `json:"members,omitempty"`
	// Pool: the scaling function made it for a pool, and retires it.
	Pool string `json:"pool,omitempty"`
	// StandsFor is the name that the group has in the cluster's file, where a blue/green move has given it another one.
	StandsFor string `json:"standsFor,omitempty"`
}

// Custom tells whether the group's image is its owner's.
func (g Group) Custom() bool { return g.AMIType == "CUSTOM" }

// Addon is an EKS add-on.
type Addon struct {
	Name    string   `json:"name"`
	Version string   `json:"version"`
	Status  string   `json:"status"`
	Issues  []string `json:"issues,omitempty"`
	// Role is its serviceAccountRoleArn, and Configuration its configurationValues. An update has to name them again.
	Role          string `json:"role,omitempty"`
	Configuration string `json:"configuration,omitempty"`
}

// Node is a node of the cluster.
type Node struct {
	Name       string      `json:"name"`
	UID        string      `json:"uid,omitempty"`
	InstanceID string      `json:"instanceId,omitempty"`
	Kubelet    fleet.Minor `json:"kubelet"`
	// Group is the node group's name; "" for Fargate, Auto Mode, Karpenter and hybrid nodes, which Kind tells apart.
	Group         string    `json:"group,omitempty"`
	Kind          NodeKind  `json:"kind"`
	Ready         bool      `json:"ready"`
	Unschedulable bool      `json:"unschedulable,omitempty"`
	CreatedAt     time.Time `json:"createdAt,omitzero"`
	// Release is the AMI release that the node was made from, where it can be known.
	Release string `json:"release,omitempty"`
}

// NodeKind is who makes and replaces a node.
type NodeKind string

// The kinds.
const (
	NodeManaged     NodeKind = "Managed"     // EKS's managed node group
	NodeSelfManaged NodeKind = "SelfManaged" // an Auto Scaling group
	NodeFargate     NodeKind = "Fargate"
	NodeAuto        NodeKind = "Auto" // EKS Auto Mode
	NodeKarpenter   NodeKind = "Karpenter"
	NodeHybrid      NodeKind = "Hybrid"
	NodeOther       NodeKind = "Other" // a machine of nobody's that we know
)

// Busy is an update in progress.
type Busy struct {
	ID   string `json:"id"`
	Type string `json:"type"` // EKS's UpdateType
	// Subject is "control-plane", "nodegroup/NAME" or "addon/NAME".
	Subject string    `json:"subject"`
	Begun   time.Time `json:"begun"`
}

// Image is the newest AMI release of a type and minor.
type Image struct {
	Release  string    `json:"release"`
	Released time.Time `json:"released,omitzero"`
}

// Find is what is known of a minor; false if EKS does not know it.
func (o Observation) Find(m fleet.Minor) (fleet.KubernetesVersion, bool) {
	for _, v := range o.Versions {
		if v.Minor == m {
			return v, true
		}
	}
	return fleet.KubernetesVersion{}, false
}
