package eks

import (
	"context"
	"time"
)

// Instance is an EC2 instance, as far as a cluster is concerned with it.
type Instance struct {
	ID, Type, AZ, SubnetID, VPCID, PrivateIP, PrivateDNSName string
	Lifecycle                                                string // "spot" or ""
	State                                                    string
	LaunchTemplateID, ImageID, Arch                          string
	Tags                                                     map[string]string
	LaunchTime                                               time.Time
	Role                                                     string // ARN of its instance profile's role; empty without one
	UserData                                                 string
}

// InstanceType is what an instance type offers.
type InstanceType struct {
	Name      string
	VCPU      int
	MemoryMiB int
	Arch      string // "x86_64" or "arm64"
	MaxPods   int    // ENIs × (addresses per ENI − 1) + 2
	IPsPerENI int
	// Devices are the extended resources that the vendor's device plugin offers on it, "nvidia.com/gpu": 4. nil: none.
	Devices map[string]int
}

// Subnet is a subnet of a VPC.
type Subnet struct {
	ID, VPCID, AZ, AZID string
	Public              bool // has a route to an internet gateway
	IPv6                bool // has an IPv6 CIDR block besides its IPv4 one
	FreeAddresses       int
}

// LaunchTemplate is what a node group's launch template says.
type LaunchTemplate struct {
	Name          string // of a new template
	ImageID       string
	InstanceType  string
	SecurityGroup string // a further group for the instances: the cluster's
	Tags          map[string]string
	// KeyName and RemoteGroup are for remote access: a key pair and a further security group.
	KeyName, RemoteGroup string
	// What a customer's template says that EKS looks at. CapacityBlock is its market type.
	CapacityReservationID, InstanceProfile string
	CapacityBlock                          bool
	// Source is the id of the customer's template whose other contents are taken over; SourceVersion its version.
	Source, SourceVersion string
}

// EC2 is the part of EC2 that EKS uses.
type EC2 interface {
	Instance(id string) (Instance, bool)
	// OnStateChange calls f at every change of an instance's state, in order per instance and without holding a lock that
	// the other methods take.
	OnStateChange(f func(Instance))
	TypeInfo(name string) (InstanceType, bool)
	Subnet(id string) (Subnet, bool)
	// FindLaunchTemplate looks a customer's template up by id or name; the version is a number, "$Latest", "$Default" or "".
	// The resolved template has the version in SourceVersion.
	FindLaunchTemplate(idOrName, version string) (LaunchTemplate, error)
	CreateLaunchTemplate(LaunchTemplate) (id string, err error)
	// NewLaunchTemplateVersion adds a version, which becomes what "$Latest" means.
	NewLaunchTemplateVersion(id string, lt LaunchTemplate) error
	DeleteLaunchTemplate(id string) error
	// CreateClusterSecurityGroup makes eks-cluster-sg-CLUSTER-SUFFIX; the suffix is a number that EKS makes up.
	CreateClusterSecurityGroup(cluster, suffix, vpcID string) (id string, err error)
	DeleteSecurityGroup(id string) error
	NodeEC2

	// Zones returns the Region's Availability Zones: name to id.
	Zones() map[string]string
	VPC(id string) (cidr string, ok bool)
	SecurityGroupVPC(id string) (vpcID string, ok bool)
	// CreateControlPlaneInterfaces makes the network interfaces by which a control plane reaches the VPC, one in each of
	// the subnets and described as AWS does: "Amazon EKS CLUSTER". All of them or none come into being.
	CreateControlPlaneInterfaces(cluster string, subnetIDs, groups []string) (ids []string, err error)
	// DeleteInterfaces removes network interfaces; those that are gone already are no error.
	DeleteInterfaces(ids []string) error
}

// Keys tells about the keys of AWS KMS.
type Keys interface {
	// DescribeKey finds a key by id, ARN or the ARN of an alias.
	DescribeKey(arnOrID string) (enabled, symmetric, ok bool)
}

// Logs is where control planes log to.
type Logs interface {
	// EnsureGroup makes a log group, unless it is there already.
	EnsureGroup(name string)
}

// GroupSpec is an Auto Scaling group to be made.
type GroupSpec struct {
	Name              string
	Min, Max, Desired int
	SubnetIDs         []string
	InstanceTypes     []string
	Spot              bool
	LaunchTemplateID  string
	Version           string // of the launch template: "$Latest"
	CapacityRebalance bool
	Tags              map[string]string // propagated to the instances
}

// Group is an Auto Scaling group as it is.
type Group struct {
	Name              string
	Min, Max, Desired int
	Instances         []GroupInstance
	// LaunchFailure is why the latest attempt to launch an instance failed; empty when it did not.
	LaunchFailure string
	FailingSince  time.Time // of the first launch that failed since one succeeded; zero without a failure
}

// GroupInstance is a member of a group.
type GroupInstance struct{ ID, LifecycleState string }

// AutoScaling is the part of Auto Scaling that EKS uses.
type AutoScaling interface {
	CreateGroup(GroupSpec) error
	UpdateGroup(name string, minimum, maximum, desired *int) error
	DeleteGroup(name string) error
	Group(name string) (Group, bool)
	// TerminateInstance ends a member. With decrement the desired capacity falls by one, else the group replaces it.
	TerminateInstance(id string, decrement bool) error
}

// Launcher starts the Kubernetes control plane of a cluster. It returns when the API server is ready.
type Launcher interface {
	Launch(ctx context.Context, spec Spec) (ControlPlane, error)
}

// Spec is the control plane to be launched. The same Dir again means the same cluster again.
type Spec struct {
	Name         string
	Version      string // "1.36"
	Dir          string
	ServiceCIDR  string
	TokenWebhook string // URL for TokenReviews
	NoAddons     bool   // without the self-managed coredns, kube-proxy and vpc-cni
}

// ControlPlane is a running Kubernetes control plane and the kubelets of its nodes.
type ControlPlane interface {
	Endpoint() string
	CAData() string
	AdminKubeconfig() string

	PutNode(ctx context.Context, n Node) error
	DeleteNode(ctx context.Context, name string) error
	StopNode(ctx context.Context, name string) error
	StartNode(ctx context.Context, name string) error

	// Upgrade restarts it at another minor over the same data and tells it about its nodes again.
	Upgrade(ctx context.Context, version string) error
	Stop() error
	Done() <-chan struct{} // closed when it has ended, by whatever cause
	Err() error            // why it ended

	Drainer
	Workbench
}

// Drainer is what EKS's own node management does through the Kubernetes API.
type Drainer interface {
	// Cordon makes the node unschedulable and takes it out of external load balancers.
	Cordon(ctx context.Context, node string) error
	// Evict asks once for the eviction of every pod on the node that is neither a DaemonSet's nor a mirror pod, and
	// returns how many are still there. With force it deletes them, past any PodDisruptionBudget.
	Evict(ctx context.Context, node string, force bool) (left int, err error)
	// Relabel changes labels and taints of a registered node.
	Relabel(ctx context.Context, node string, change NodeChange) error
}

// NodeChange is a change of a node's labels and taints. Taints with an empty effect are not possible.
type NodeChange struct {
	SetLabels    map[string]string
	RemoveLabels []string
	SetTaints    []NodeTaint
	RemoveTaints []NodeTaint
}

// Node is a machine that joins a cluster.
type Node struct {
	Name           string
	ProviderID     string
	Labels         map[string]string
	Taints         []NodeTaint
	Capacity       map[string]string
	Allocatable    map[string]string
	InternalIP     string
	KubeletVersion string
	// OSImage, KernelVersion and ContainerRuntimeVersion are what its image makes the Node say of itself.
	OSImage, KernelVersion, ContainerRuntimeVersion string
	// Devices are resources, as quantities, that the Node offers once their device plugin runs on it.
	Devices map[string]string
}

// NodeTaint is a taint in Kubernetes' spelling of the effect.
type NodeTaint struct {
	Key    string `json:"key"`
	Value  string `json:"value,omitempty"`
	Effect string `json:"effect"`
}
