package fleet

import "time"

// ClusterSpec is what a cluster shall be: the part of an eksctl ClusterConfig that ekspedite acts on, with defaults filled
// in. Package spec makes it.
type ClusterSpec struct {
	Name    string            `json:"name"`
	Region  string            `json:"region"`
	Version string            `json:"version,omitempty"` // "1.36"; "" is what EKS gives by default
	Tags    map[string]string `json:"tags,omitempty"`    // on everything that is made, beside ekspedite's own

	Network    NetworkSpec     `json:"network"`
	Logging    []string        `json:"logging,omitempty"` // control plane log types, sorted
	AuthMode   string          `json:"authMode"`          // API or API_AND_CONFIG_MAP
	Access     []AccessSpec    `json:"access,omitempty"`
	NodeGroups []NodeGroupSpec `json:"nodeGroups,omitempty"`
}

// NetworkSpec is the cluster's own VPC and how its API server is reached.
type NetworkSpec struct {
	CIDR              string   `json:"cidr"`
	NAT               NATMode  `json:"nat"`
	Zones             []string `json:"zones,omitempty"` // empty: the decision chooses
	PublicAccess      bool     `json:"publicAccess"`
	PrivateAccess     bool     `json:"privateAccess"`
	PublicAccessCIDRs []string `json:"publicAccessCidrs,omitempty"` // empty: everywhere
	ServiceCIDR       string   `json:"serviceCidr,omitempty"`       // empty: EKS chooses
}

// NATMode is how private subnets reach the internet, in eksctl's words.
type NATMode string

// The NAT modes. Without NAT there are no private subnets.
const (
	NATDisable         NATMode = "Disable"
	NATSingle          NATMode = "Single"
	NATHighlyAvailable NATMode = "HighlyAvailable"
)

// AccessSpec lets an IAM principal into the cluster as a member of Kubernetes groups.
type AccessSpec struct {
	Principal string   `json:"principal"` // ARN
	Username  string   `json:"username,omitempty"`
	Groups    []string `json:"groups,omitempty"`
}

// NodeGroupSpec is one managed node group.
type NodeGroupSpec struct {
	Name          string            `json:"name"`
	InstanceTypes []string          `json:"instanceTypes"`
	AMIType       string            `json:"amiType"` // EKS's: AL2023_x86_64_STANDARD, …
	Spot          bool              `json:"spot,omitempty"`
	Min           int               `json:"min"`
	Max           int               `json:"max"`
	Desired       int               `json:"desired"`
	Labels        map[string]string `json:"labels,omitempty"`
	Taints        []Taint           `json:"taints,omitempty"`
	Tags          map[string]string `json:"tags,omitempty"`
	DiskGiB       int               `json:"diskGiB"`
	Private       bool              `json:"private,omitempty"` // in the private subnets
	Zones         []string          `json:"zones,omitempty"`   // empty: all of the cluster's
	// MaxUnavailable nodes, or a share of them in per cent, are replaced at once in an update. Both 0: EKS's default, 1.
	MaxUnavailable        int `json:"maxUnavailable,omitempty"`
	MaxUnavailablePercent int `json:"maxUnavailablePercent,omitempty"`
}

// ControlPlane is a cluster as EKS describes it, with what decisions compare.
type ControlPlane struct {
	Cluster
	RoleARN           string            `json:"roleArn,omitempty"`
	VPC               string            `json:"vpc,omitempty"`
	Subnets           []string          `json:"subnets,omitempty"`
	PublicAccess      bool              `json:"publicAccess"`
	PrivateAccess     bool              `json:"privateAccess"`
	PublicAccessCIDRs []string          `json:"publicAccessCidrs,omitempty"`
	Logging           []string          `json:"logging,omitempty"` // enabled types, sorted
	AuthMode          string            `json:"authMode,omitempty"`
	Tags              map[string]string `json:"tags,omitempty"`
	Issues            []string          `json:"issues,omitempty"` // EKS's health issues: "code: message"
}

// NodeGroup is a managed node group as EKS describes it.
type NodeGroup struct {
	NodeGroupSpec
	Status  string   `json:"status"` // EKS's: CREATING, ACTIVE, …
	Version string   `json:"version,omitempty"`
	Subnets []string `json:"subnets,omitempty"`
	Issues  []string `json:"issues,omitempty"`
}

// AccessEntry is an access entry as EKS describes it.
type AccessEntry struct {
	Principal string   `json:"principal"`
	Username  string   `json:"username,omitempty"`
	Groups    []string `json:"groups,omitempty"`
}

// Role is an IAM role.
type Role struct {
	Name     string            `json:"name"`
	ARN      string            `json:"arn"`
	Tags     map[string]string `json:"tags,omitempty"`
	Policies []string          `json:"policies,omitempty"` // ARNs of attached managed policies
}

// Rule of a Kubernetes ClusterRole.
type Rule struct {
	APIGroups []string `json:"apiGroups"`
	Resources []string `json:"resources"`
	Verbs     []string `json:"verbs"`
}

// ClusterAccess is a Kubernetes ClusterRole and the groups that a binding of the same name gives it to.
type ClusterAccess struct {
	Name   string   `json:"name"`
	Rules  []Rule   `json:"rules"`
	Groups []string `json:"groups"`
}

// Zone is an availability zone.
type Zone struct {
	Name string `json:"name"` // us-east-1a: another place in every account
	ID   string `json:"id"`   // use1-az1: the same place in every account
}

// Network is what there is of a cluster's network, found by the tag TagCluster. Each list is in the order of ids.
type Network struct {
	VPCs        []VPC        `json:"vpcs,omitempty"`
	Subnets     []Subnet     `json:"subnets,omitempty"`
	Gateways    []Gateway    `json:"gateways,omitempty"`
	RouteTables []RouteTable `json:"routeTables,omitempty"`
	Addresses   []Address    `json:"addresses,omitempty"`
	NATs        []NATGateway `json:"nats,omitempty"`
}

// VPC is a virtual network.
type VPC struct {
	ID           string `json:"id"`
	CIDR         string `json:"cidr"`
	DNSHostnames bool   `json:"dnsHostnames"`
}

// Subnet of a VPC.
type Subnet struct {
	ID        string `json:"id"`
	Resource  string `json:"resource"` // its tag TagResource
	VPC       string `json:"vpc"`
	Zone      string `json:"zone"`
	CIDR      string `json:"cidr"`
	PublicIPs bool   `json:"publicIps"` // instances get public addresses
}

// Gateway is an internet gateway.
type Gateway struct {
	ID  string `json:"id"`
	VPC string `json:"vpc,omitempty"` // "" while it is detached
}

// RouteTable of a VPC.
type RouteTable struct {
	ID       string            `json:"id"`
	Resource string            `json:"resource"` // its tag TagResource
	VPC      string            `json:"vpc"`
	Routes   map[string]string `json:"routes,omitempty"`  // target by destination: 0.0.0.0/0 → igw-…
	Subnets  []string          `json:"subnets,omitempty"` // associated ones
}

// Address is an Elastic IP address.
type Address struct {
	ID       string `json:"id"`
	Resource string `json:"resource"`
}

// NATGateway lets private subnets out.
type NATGateway struct {
	ID       string `json:"id"`
	Resource string `json:"resource"`
	VPC      string `json:"vpc"`
	State    string `json:"state"` // EC2's: pending, available, failed, …
	Failure  string `json:"failure,omitempty"`
}

// Trouble is an action that failed, at every look since.
type Trouble struct {
	Since time.Time `json:"since"`
	Tries int       `json:"tries"`
	Text  string    `json:"text"`
	Fatal bool      `json:"fatal,omitempty"` // can never work
}

// Making is what is remembered of a resource that was made.
type Making struct {
	At    time.Time `json:"at"`    // the last time
	Times int       `json:"times"` // in this run; more than once if it did not become visible
}

// Tags on everything that ekspedite makes for a cluster. The first is eksctl's, the second tells ours from eksctl's own.
const (
	TagEksctlCluster = "alpha.eksctl.io/cluster-name"
	TagCluster       = "ekspedite.dev/cluster"
	// TagResource says which resource of the cluster it is: "subnet/public/us-east-1a".
	TagResource = "ekspedite.dev/resource"
)

// LabelNodeGroup and LabelCluster are the labels that eksctl gives to nodes, which workloads select by.
const (
	LabelNodeGroup = "alpha.eksctl.io/nodegroup-name"
	LabelCluster   = "alpha.eksctl.io/cluster-name"
)
