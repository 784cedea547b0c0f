package fleet

import "time"

// Market is what machines can be had in a Region, and for how much. It is read from EC2 and the price list and kept in the
// ledger with its age.
type Market struct {
	Region string        `json:"region"`
	AsOf   time.Time     `json:"asOf"`   // when the types and offerings were read
	Priced time.Time     `json:"priced"` // when the spot prices were
	Types  []MachineType `json:"types"`  // sorted by name
}

// MachineType is an instance type as DescribeInstanceTypes has it, with where it is offered.
type MachineType struct {
	Name      string `json:"name"`
	Arch      string `json:"arch"` // kubernetes.io/arch's: amd64 or arm64
	VCPUs     int    `json:"vcpus"`
	MemoryMiB int    `json:"memoryMiB"`
	// ENIs and IPsPerENI are the network interfaces of the first card and the IPv4 addresses of each: the VPC CNI's pod limit.
	ENIs      int  `json:"enis"`
	IPsPerENI int  `json:"ipsPerEni"`
	Nitro     bool `json:"nitro,omitempty"`
	Bare      bool `json:"bare,omitempty"`
	Burstable bool `json:"burstable,omitempty"`
	Current   bool `json:"current,omitempty"` // of a generation that AWS recommends
	// Accelerators by the name of the extended resource that their device plugin offers: nvidia.com/gpu,
	// amd.com/gpu, aws.amazon.com/neuron.
	Accelerators map[string]int64 `json:"accelerators,omitempty"`
	DiskGB       int              `json:"diskGB,omitempty"` // instance store, all disks together
	// Attachments is how many EBS volumes and network interfaces the machine can have together; 0 where it is not known.
	Attachments int        `json:"attachments,omitempty"`
	Offerings   []Offering `json:"offerings"` // sorted by zone, on-demand before spot
}

// Offering is a type in a zone under a capacity type.
type Offering struct {
	Zone  string  `json:"zone"`
	Spot  bool    `json:"spot,omitempty"`
	Price float64 `json:"price"` // USD an hour; an offering whose price nobody knows is left out
}

// Reclaim says that EC2 took spot machines of a type in a zone back: there will be none to have there for a while.
type Reclaim struct {
	Type string    `json:"type"`
	Zone string    `json:"zone"`
	At   time.Time `json:"at"` // of the latest warning
}

// Capacity types, as the label eks.amazonaws.com/capacityType has them.
const (
	OnDemand = "ON_DEMAND"
	Spot     = "SPOT"
)

// Well-known labels of nodes that pods select by.
const (
	LabelZone          = "topology.kubernetes.io/zone"
	LabelRegion        = "topology.kubernetes.io/region"
	LabelHostname      = "kubernetes.io/hostname"
	LabelArch          = "kubernetes.io/arch"
	LabelOS            = "kubernetes.io/os"
	LabelInstanceType  = "node.kubernetes.io/instance-type"
	LabelEKSNodegroup  = "eks.amazonaws.com/nodegroup"
	LabelEKSCapacity   = "eks.amazonaws.com/capacityType"
	LabelKarpenterKind = "karpenter.sh/capacity-type" // on-demand or spot, for workloads that come from Karpenter
)
