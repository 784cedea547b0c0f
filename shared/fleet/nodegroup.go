package fleet

// NodeGroupSpec is one node group, managed by EKS or by ourselves (an Auto Scaling group).
type NodeGroupSpec struct {
	Name          string            `json:"name"`
	SelfManaged   bool              `json:"selfManaged,omitempty"`
	InstanceTypes []string          `json:"instanceTypes,omitempty"` // empty with Selector, or with a launch template that has one
	Selector      *InstanceSelector `json:"selector,omitempty"`
	AMIType       string            `json:"amiType,omitempty"`   // EKS's: AL2023_x86_64_STANDARD, …; CUSTOM with AMI
	AMIFamily     string            `json:"amiFamily,omitempty"` // eksctl's: AmazonLinux2023, …
	AMI           string            `json:"ami,omitempty"`       // an image id
	// ReleaseVersion of the AMI, for managed groups; "" is the latest.
	ReleaseVersion string            `json:"releaseVersion,omitempty"`
	Spot           bool              `json:"spot,omitempty"`
	CapacityBlock  bool              `json:"capacityBlock,omitempty"`
	Min            int               `json:"min"`
	Max            int               `json:"max"`
	Desired        int               `json:"desired"`
	Labels         map[string]string `json:"labels,omitempty"`
	Taints         []Taint           `json:"taints,omitempty"`
	Tags           map[string]string `json:"tags,omitempty"`
	Private        bool              `json:"private,omitempty"` // in the private subnets
	Zones          []string          `json:"zones,omitempty"`   // empty: all of the cluster's
	Subnets        []string          `json:"subnets,omitempty"` // ids, or names and zones of the file
	LocalZones     []string          `json:"localZones,omitempty"`
	OutpostARN     string            `json:"outpostArn,omitempty"`
	// MaxUnavailable nodes, or a share of them in per cent, are replaced at once in an update. Both 0: EKS's default, 1.
	MaxUnavailable        int   `json:"maxUnavailable,omitempty"`
	MaxUnavailablePercent int   `json:"maxUnavailablePercent,omitempty"`
	Repair                Props `json:"repair,omitempty"` // EKS's NodeRepairConfig; nil: not asked for

	Template *LaunchTemplateRef `json:"template,omitempty"` // the user's own; nil lets us make one where it is needed
	Machine  MachineSpec        `json:"machine"`
	IAM      NodeIAM            `json:"iam,omitzero"`
	// Group has what only self-managed groups have; nil for managed ones.
	Group *GroupSpec `json:"group,omitempty"`
	// PropagateTags puts labels and taints onto the Auto Scaling group as tags, for Cluster Autoscaler.
	PropagateTags   bool     `json:"propagateTags,omitempty"`
	SuspendedScaler []string `json:"suspendedScaler,omitempty"` // asgSuspendProcesses
}

// LaunchTemplateRef is an existing launch template.
type LaunchTemplateRef struct {
	ID      string `json:"id"`
	Version string `json:"version,omitempty"` // "" is the default version at the time of making
}

// InstanceSelector picks instance types by what they offer.
type InstanceSelector struct {
	VCPUs, GPUs, Neuron int
	MemoryMiB           int
	Arch                string // x86_64 or arm64; "" any of the AMI's
	Allow, Deny         string // regular expressions
}

// InstanceType is what a machine offers.
type InstanceType struct {
	Name      string   `json:"name"`
	VCPUs     int      `json:"vcpus"`
	MemoryMiB int      `json:"memoryMiB"`
	GPUs      int      `json:"gpus,omitempty"`
	Neuron    int      `json:"neuron,omitempty"` // devices
	Arch      []string `json:"arch"`             // x86_64, arm64
	Zones     []string `json:"zones"`            // where it is offered
}

// MachineSpec is what a launch template says of a machine. A zero value leaves it to EKS and EC2.
type MachineSpec struct {
	DiskGiB              int          `json:"diskGiB,omitempty"` // of the root volume
	DiskType             string       `json:"diskType,omitempty"`
	DiskName             string       `json:"diskName,omitempty"`
	DiskIOPS             int          `json:"diskIops,omitempty"`
	DiskThroughput       int          `json:"diskThroughput,omitempty"`
	DiskEncrypted        *bool        `json:"diskEncrypted,omitempty"`
	DiskKey              string       `json:"diskKey,omitempty"` // KMS key
	Volumes              []VolumeSpec `json:"volumes,omitempty"`
	SecurityGroups       []string     `json:"securityGroups,omitempty"` // attached beside the cluster's
	NoSharedGroup        bool         `json:"noSharedGroup,omitempty"`  // securityGroups.withShared: false
	NoLocalGroup         bool         `json:"noLocalGroup,omitempty"`
	SSH                  *SSHSpec     `json:"ssh,omitempty"`
	IMDSv1               bool         `json:"imdsv1,omitempty"`    // disableIMDSv1: false
	NoPodIMDS            bool         `json:"noPodImds,omitempty"` // disablePodIMDS
	EBSOptimized         *bool        `json:"ebsOptimized,omitempty"`
	Monitoring           bool         `json:"monitoring,omitempty"`
	EFA                  bool         `json:"efa,omitempty"`
	Enclave              bool         `json:"enclave,omitempty"`
	CPUCredits           string       `json:"cpuCredits,omitempty"`
	Placement            string       `json:"placement,omitempty"`   // placement group
	Reservation          Props        `json:"reservation,omitempty"` // EC2's CapacityReservationSpecification
	MaxPods              int          `json:"maxPods,omitempty"`
	InstanceName         string       `json:"instanceName,omitempty"`
	InstancePrefix       string       `json:"instancePrefix,omitempty"`
	PreBootstrapCommands []string     `json:"preBootstrapCommands,omitempty"`
	OverrideBootstrap    string       `json:"overrideBootstrap,omitempty"`
	Bottlerocket         Props        `json:"bottlerocket,omitempty"`     // settings
	AdminContainer       *bool        `json:"adminContainer,omitempty"`   // Bottlerocket's
	Kubelet              Props        `json:"kubelet,omitempty"`          // kubeletExtraConfig
	ClusterDNS           string       `json:"clusterDns,omitempty"`       // for self-managed nodes
	ContainerRuntime     string       `json:"containerRuntime,omitempty"` // containerd; others are gone
	SourceGroups         []string     `json:"sourceGroups,omitempty"`     // who may use SSH
	EnableSSM            bool         `json:"enableSsm,omitempty"`        // ssh.enableSsm
}

// VolumeSpec is a further volume of a machine.
type VolumeSpec struct {
	Name, Type, Snapshot, Key string
	GiB, IOPS, Throughput     int
	Encrypted                 *bool
}

// SSHSpec lets people into machines.
type SSHSpec struct {
	KeyName   string `json:"keyName,omitempty"`   // of an EC2 key pair that exists
	PublicKey string `json:"publicKey,omitempty"` // imported as a key pair
}

// NodeIAM is the role of a group's machines: given, or made with these grants.
type NodeIAM struct {
	RoleARN    string `json:"roleArn,omitempty"`
	RoleName   string `json:"roleName,omitempty"`
	ProfileARN string `json:"profileArn,omitempty"` // instance profile, self-managed only
	// Addons are iam.withAddonPolicies by their eksctl names: "autoScaler", "ebs", …
	Addons []string `json:"addons,omitempty"`
	Grants
}

// Own tells whether the group needs a role of its own, beside the cluster's common node role.
func (n NodeIAM) Own() bool {
	return n.RoleName != "" || len(n.Addons) > 0 || !n.Empty() || n.Boundary != ""
}

// GroupSpec is what only an Auto Scaling group of ours has.
type GroupSpec struct {
	Distribution     Props    `json:"distribution,omitempty"` // Auto Scaling's InstancesDistribution
	Rebalance        bool     `json:"rebalance,omitempty"`
	Metrics          []Props  `json:"metrics,omitempty"` // EnableMetricsCollection's {Granularity, Metrics}
	TargetGroupARNs  []string `json:"targetGroupArns,omitempty"`
	ClassicBalancers []string `json:"classicBalancers,omitempty"`
	MaxLifetimeSecs  int      `json:"maxLifetimeSecs,omitempty"`
}
