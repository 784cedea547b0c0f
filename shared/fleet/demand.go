package fleet

// Resources are amounts of what a node has and pods ask for, in the scheduler's units.
type Resources struct {
	CPU     int64 `json:"cpu,omitempty"`     // thousandths of a core
	Memory  int64 `json:"memory,omitempty"`  // bytes
	Storage int64 `json:"storage,omitempty"` // ephemeral-storage, bytes
	// Other are extended resources by name ("nvidia.com/gpu") and huge pages; nil without.
	Other map[string]int64 `json:"other,omitempty"`
}

// Demand is what a pod asks of its node, as kube-scheduler's filters and scores read it. Pods of one owner may share one.
type Demand struct {
	// Requests are those of all containers, init containers and the overhead together, as the scheduler counts them.
	Requests Resources `json:"requests"`

	NodeSelector map[string]string `json:"nodeSelector,omitempty"`
	// NodeTerms are the required node affinity: one of them must hold. nil asks for nothing; a term without requirements
	// matches no node.
	NodeTerms      []NodeTerm      `json:"nodeTerms,omitempty"`
	PreferredNodes []PreferredNode `json:"preferredNodes,omitempty"`

	Spread                []Spread       `json:"spread,omitempty"`
	Affinity              []PodTerm      `json:"affinity,omitempty"`     // required
	AntiAffinity          []PodTerm      `json:"antiAffinity,omitempty"` // required
	PreferredAffinity     []PreferredPod `json:"preferredAffinity,omitempty"`
	PreferredAntiAffinity []PreferredPod `json:"preferredAntiAffinity,omitempty"`

	HostPorts []HostPort `json:"hostPorts,omitempty"`
	Volumes   []Volume   `json:"volumes,omitempty"`

	// Unsupported names what the pod asks for and no planner of ours understands: "resourceClaims". Such a pod is refused
	// by that name.
	Unsupported []string `json:"unsupported,omitempty"`
}

// Requirement is one expression of a node selector or a label selector: In, NotIn, Exists, DoesNotExist, and for nodes Gt
// and Lt, whose single value is a whole number.
type Requirement struct {
	Key      string   `json:"key"`
	Operator string   `json:"operator"`
	Values   []string `json:"values,omitempty"`
}

// NodeTerm is a term of a node affinity: all must hold. Fields are requirements on metadata.name.
type NodeTerm struct {
	Labels []Requirement `json:"labels,omitempty"`
	Fields []Requirement `json:"fields,omitempty"`
}

// PreferredNode is a preferred node affinity, weight 1 to 100.
type PreferredNode struct {
	Weight int      `json:"weight"`
	Term   NodeTerm `json:"term"`
}

// Selector selects pods by their labels. A nil one selects none, an empty one all.
type Selector struct {
	Labels       map[string]string `json:"labels,omitempty"`
	Requirements []Requirement     `json:"requirements,omitempty"`
}

// PodTerm is a term of a pod affinity or anti-affinity. Namespace selectors and matchLabelKeys have been resolved into
// Namespaces and Selector by whoever has read the pod.
type PodTerm struct {
	TopologyKey string    `json:"topologyKey"`
	Selector    *Selector `json:"selector,omitempty"`
	// Namespaces whose pods count; nil is the pod's own. AllNamespaces is an empty namespace selector.
	Namespaces    []string `json:"namespaces,omitempty"`
	AllNamespaces bool     `json:"allNamespaces,omitempty"`
}

// PreferredPod is a preferred pod affinity or anti-affinity, weight 1 to 100.
type PreferredPod struct {
	Weight int     `json:"weight"`
	Term   PodTerm `json:"term"`
}

// Spread is a topology spread constraint. matchLabelKeys have been resolved into Selector.
type Spread struct {
	MaxSkew     int       `json:"maxSkew"`
	TopologyKey string    `json:"topologyKey"`
	Soft        bool      `json:"soft,omitempty"` // ScheduleAnyway
	Selector    *Selector `json:"selector,omitempty"`
	MinDomains  int       `json:"minDomains,omitempty"` // 0 is 1
	// IgnoreAffinity counts domains that the pod's own node selector and affinity exclude (nodeAffinityPolicy: Ignore).
	IgnoreAffinity bool `json:"ignoreAffinity,omitempty"`
	// HonorTaints leaves out nodes whose taints the pod does not tolerate (nodeTaintsPolicy: Honor).
	HonorTaints bool `json:"honorTaints,omitempty"`
}

// HostPort is a port that a pod takes on its node. An empty IP is all addresses.
type HostPort struct {
	Port     int32  `json:"port"`
	Protocol string `json:"protocol,omitempty"` // "" is TCP
	IP       string `json:"ip,omitempty"`
}

// Volume is a persistent volume of a pod, bound or to be made.
type Volume struct {
	ID     string `json:"id"`               // of the claim, namespace/name; one claim counts once on a node
	Driver string `json:"driver,omitempty"` // the CSI driver, whose attachments a node limits; "" is not limited
	// Where are the terms of the bound volume's node affinity, or of its storage class's allowed topologies: one must hold.
	// nil is anywhere.
	Where []NodeTerm `json:"where,omitempty"`
	// Alone: ReadWriteOncePod; another pod that uses the claim keeps this one off every node.
	Alone bool `json:"alone,omitempty"`
}

// Daemon is a DaemonSet: the pod that it puts on every node that its demand matches.
type Daemon struct {
	Namespace   string            `json:"namespace"`
	Name        string            `json:"name"`
	Labels      map[string]string `json:"labels,omitempty"`
	Tolerations []Toleration      `json:"tolerations,omitempty"`
	Demand      Demand            `json:"demand"`
}

// ID is namespace/name.
func (d Daemon) ID() string { return d.Namespace + "/" + d.Name }

// Budget is a PodDisruptionBudget as its status has it.
type Budget struct {
	ID      string `json:"id"`      // namespace/name
	Allowed int    `json:"allowed"` // disruptions that it allows now
}
