// Package workload reads, makes and checks workload files: what pods there are to place and what machines there are to be
// had, as one JSON file. Plans of such a file need no cluster and no account, and are the same everywhere.
package workload

import "github.com/ekspedite/ekspedite/shared/fleet"

// File is a workload. Processor time is in thousandths of a core, memory in MiB, prices in USD an hour.
type File struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	Seed        int64  `json:"seed,omitempty"` // of the generator that wrote it
	// NodePools are the kinds of nodes that may be added. An instance type belongs to each pool whose requirements it meets.
	NodePools []NodePool `json:"nodePools"`
	// DaemonPods run on every node that they tolerate and select.
	DaemonPods    []Pod          `json:"daemonPods,omitempty"`
	InstanceTypes []InstanceType `json:"instanceTypes"`
	// Nodes exist already. They have the pods that name them by "node".
	Nodes []Node `json:"nodes,omitempty"`
	Pods  []Pod  `json:"pods"`
}

// NodePool is a kind of node.
type NodePool struct {
	Name string `json:"name"`
	// Requirements narrow the types and their offerings: by instance-category, instance-family, instance-type, instance-cpu,
	// instance-memory, kubernetes.io/arch, topology.kubernetes.io/zone, karpenter.sh/capacity-type, or a label of types.
	Requirements []fleet.Requirement `json:"requirements,omitempty"`
	Labels       map[string]string   `json:"labels,omitempty"`
	Taints       []fleet.Taint       `json:"taints,omitempty"`
	Weight       int                 `json:"weight,omitempty"` // greater ones are preferred, whatever they cost
	Limits       Limits              `json:"limits,omitzero"`
}

// Limits are what may be added to a pool; 0 is no limit.
type Limits struct {
	Nodes    int   `json:"nodes,omitempty"`
	CPUMilli int64 `json:"cpuMilli,omitempty"`
	MemMiB   int64 `json:"memMiB,omitempty"`
}

// InstanceType is a machine. What is left for pods is its size without the overhead.
type InstanceType struct {
	Name             string `json:"name"`
	Category         string `json:"category,omitempty"`
	Family           string `json:"family,omitempty"`
	Arch             string `json:"arch"`
	CPUMilli         int64  `json:"cpuMilli"`
	MemMiB           int64  `json:"memMiB"`
	StorageMiB       int64  `json:"storageMiB,omitempty"` // ephemeral-storage
	Pods             int    `json:"pods"`
	GPUs             int64  `json:"gpus,omitempty"` // nvidia.com/gpu
	OverheadCPUMilli int64  `json:"overheadCpuMilli,omitempty"`
	OverheadMemMiB   int64  `json:"overheadMemMiB,omitempty"`
	// Resources are extended ones by name, AttachLimits numbers of volumes by CSI driver.
	Resources    map[string]int64  `json:"resources,omitempty"`
	AttachLimits map[string]int    `json:"attachLimits,omitempty"`
	Labels       map[string]string `json:"labels,omitempty"`
	Offerings    []Offering        `json:"offerings"`
}

// Offering is where a type is to be had.
type Offering struct {
	Zone         string  `json:"zone"`
	CapacityType string  `json:"capacityType"` // on-demand or spot
	Price        float64 `json:"price"`
	Short        bool    `json:"short,omitempty"` // there was none lately
	Risk         float64 `json:"risk,omitempty"`  // of an interruption within the hour, 0 to 1
}

// Node is a node that exists.
type Node struct {
	Name         string            `json:"name"`
	InstanceType string            `json:"instanceType"`
	Zone         string            `json:"zone"`
	CapacityType string            `json:"capacityType"`
	NodePool     string            `json:"nodePool,omitempty"` // whose labels and taints it has
	Labels       map[string]string `json:"labels,omitempty"`
	Taints       []fleet.Taint     `json:"taints,omitempty"`
	Closed       bool              `json:"unschedulable,omitempty"`
	Price        float64           `json:"price,omitempty"` // default: its offering's
}

// Pod is a pod. Pods of one owner are alike but for their names, and share a PodSpec once they are read.
type Pod struct {
	Name string `json:"name"`
	Node string `json:"node,omitempty"` // that it runs on
	*PodSpec
}

// PodSpec is what a pod is and asks for.
type PodSpec struct {
	Namespace   string            `json:"namespace,omitempty"`
	Owner       string            `json:"owner,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	CPUMilli    int64             `json:"cpuMilli,omitempty"`
	MemMiB      int64             `json:"memMiB,omitempty"`
	StorageMiB  int64             `json:"storageMiB,omitempty"`
	GPUs        int64             `json:"gpus,omitempty"`
	Resources   map[string]int64  `json:"resources,omitempty"` // extended ones
	Priority    int32             `json:"priority,omitempty"`
	Tolerations []Toleration      `json:"tolerations,omitempty"`

	NodeSelector             map[string]string `json:"nodeSelector,omitempty"`
	NodeAffinity             []NodeTerm        `json:"nodeAffinity,omitempty"` // one must hold
	PreferredNodeAffinity    []PreferredNode   `json:"preferredNodeAffinity,omitempty"`
	TopologySpread           []Spread          `json:"topologySpread,omitempty"`
	PodAffinity              []PodTerm         `json:"podAffinity,omitempty"`
	PodAntiAffinity          []PodTerm         `json:"podAntiAffinity,omitempty"`
	PreferredPodAffinity     []PreferredPod    `json:"preferredPodAffinity,omitempty"`
	PreferredPodAntiAffinity []PreferredPod    `json:"preferredPodAntiAffinity,omitempty"`

	HostPorts []fleet.HostPort `json:"hostPorts,omitempty"`
	Volumes   []Volume         `json:"volumes,omitempty"`
}

// Toleration is Kubernetes'; how long it holds is read and of no account, because only NoExecute taints end it.
type Toleration struct {
	fleet.Toleration
	Seconds *int64 `json:"tolerationSeconds,omitempty"`
}

// NodeTerm is a term of a node affinity: all its expressions must hold.
type NodeTerm struct {
	MatchExpressions []fleet.Requirement `json:"matchExpressions"`
}

// PreferredNode is a wish, weight 1 to 100.
type PreferredNode struct {
	Weight int `json:"weight"`
	NodeTerm
}

// Selector selects pods by their labels; without labels and expressions it selects all.
type Selector struct {
	MatchLabels      map[string]string   `json:"matchLabels,omitempty"`
	MatchExpressions []fleet.Requirement `json:"matchExpressions,omitempty"`
}

// Spread is a topology spread constraint.
type Spread struct {
	MaxSkew            int    `json:"maxSkew"`
	TopologyKey        string `json:"topologyKey"`
	WhenUnsatisfiable  string `json:"whenUnsatisfiable,omitempty"` // DoNotSchedule, which is the default, or ScheduleAnyway
	MinDomains         int    `json:"minDomains,omitempty"`
	NodeAffinityPolicy string `json:"nodeAffinityPolicy,omitempty"` // Honor, which is the default, or Ignore
	NodeTaintsPolicy   string `json:"nodeTaintsPolicy,omitempty"`   // Ignore, which is the default, or Honor
	Selector
}

// PodTerm is a term of a pod affinity or anti-affinity.
type PodTerm struct {
	TopologyKey   string   `json:"topologyKey"`
	Namespaces    []string `json:"namespaces,omitempty"` // default: the pod's own
	AllNamespaces bool     `json:"allNamespaces,omitempty"`
	Selector
}

// PreferredPod is a wish, weight 1 to 100.
type PreferredPod struct {
	Weight int `json:"weight"`
	PodTerm
}

// Volume is a persistent volume.
type Volume struct {
	Name   string   `json:"name"` // the claim's
	Driver string   `json:"driver,omitempty"`
	Zones  []string `json:"zones,omitempty"` // where it is; default: anywhere
	Alone  bool     `json:"readWriteOncePod,omitempty"`
}

// ID is what plans call a pod: its name, after its namespace if it is in one.
func (p Pod) ID() string {
	if p.PodSpec == nil || p.Namespace == "" {
		return p.Name
	}
	return p.Namespace + "/" + p.Name
}
