package plan

import (
	"fmt"
	"strings"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Creation is what the actions that make a cluster have in common: the resource of the cluster that they make or finish.
type Creation interface {
	Action
	// Resource names the resource within its cluster: "subnet/public/us-east-1a".
	Resource() string
}

// Of names a resource of a cluster. It is part of every Creation.
type Of struct {
	Cluster string `json:"cluster"`
	ID      string `json:"id"`
}

// Resource is the resource's name within its cluster.
func (o Of) Resource() string { return o.ID }

// CreateVPC makes the cluster's network, unless one with its tags exists.
type CreateVPC struct {
	Of
	CIDR string            `json:"cidr"`
	Tags map[string]string `json:"tags"`
}

// Kind is CreateVPC.
func (CreateVPC) Kind() string     { return "CreateVPC" }
func (a CreateVPC) String() string { return fmt.Sprintf("create VPC %s (%s)", a.Tags["Name"], a.CIDR) }

// EnableDNSHostnames gives DNS names to the instances of a VPC, which nodes need. Twice is once.
type EnableDNSHostnames struct {
	Of
	VPC string `json:"vpc"`
}

// Kind is EnableDNSHostnames.
func (EnableDNSHostnames) Kind() string     { return "EnableDNSHostnames" }
func (a EnableDNSHostnames) String() string { return "enable DNS host names in " + a.VPC }

// CreateSubnet makes a subnet, unless one with its tags exists. Two cannot have the same addresses.
type CreateSubnet struct {
	Of
	VPC  string            `json:"vpc"`
	Zone string            `json:"zone"`
	CIDR string            `json:"cidr"`
	Tags map[string]string `json:"tags"`
}

// Kind is CreateSubnet.
func (CreateSubnet) Kind() string { return "CreateSubnet" }
func (a CreateSubnet) String() string {
	return fmt.Sprintf("create subnet %s (%s in %s)", a.Tags["Name"], a.CIDR, a.Zone)
}

// AssignPublicIPs makes instances of a subnet get public addresses. Twice is once.
type AssignPublicIPs struct {
	Of
	Subnet string `json:"subnet"`
	Zone   string `json:"zone"`
}

// Kind is AssignPublicIPs.
func (AssignPublicIPs) Kind() string { return "AssignPublicIPs" }
func (a AssignPublicIPs) String() string {
	return fmt.Sprintf("assign public addresses in %s (%s)", a.Subnet, a.Zone)
}

// CreateInternetGateway makes an internet gateway, unless one with its tags exists.
type CreateInternetGateway struct {
	Of
	Tags map[string]string `json:"tags"`
}

// Kind is CreateInternetGateway.
func (CreateInternetGateway) Kind() string { return "CreateInternetGateway" }
func (a CreateInternetGateway) String() string {
	return "create internet gateway " + a.Tags["Name"]
}

// AttachInternetGateway attaches it to the VPC. Attached already is success.
type AttachInternetGateway struct {
	Of
	Gateway string `json:"gateway"`
	VPC     string `json:"vpc"`
}

// Kind is AttachInternetGateway.
func (AttachInternetGateway) Kind() string { return "AttachInternetGateway" }
func (a AttachInternetGateway) String() string {
	return fmt.Sprintf("attach %s to %s", a.Gateway, a.VPC)
}

// CreateRouteTable makes a route table, unless one with its tags exists.
type CreateRouteTable struct {
	Of
	VPC  string            `json:"vpc"`
	Tags map[string]string `json:"tags"`
}

// Kind is CreateRouteTable.
func (CreateRouteTable) Kind() string     { return "CreateRouteTable" }
func (a CreateRouteTable) String() string { return "create route table " + a.Tags["Name"] }

// CreateRoute adds the default route to a table: to an internet gateway or a NAT gateway.
type CreateRoute struct {
	Of
	RouteTable  string `json:"routeTable"`
	Destination string `json:"destination"`
	Target      string `json:"target"` // igw-… or nat-…
}

// Kind is CreateRoute.
func (CreateRoute) Kind() string { return "CreateRoute" }
func (a CreateRoute) String() string {
	return fmt.Sprintf("route %s to %s in %s", a.Destination, a.Target, a.RouteTable)
}

// AssociateRouteTable makes a subnet use a route table. Associated already is success.
type AssociateRouteTable struct {
	Of
	RouteTable string `json:"routeTable"`
	Subnet     string `json:"subnet"`
}

// Kind is AssociateRouteTable.
func (AssociateRouteTable) Kind() string { return "AssociateRouteTable" }
func (a AssociateRouteTable) String() string {
	return fmt.Sprintf("associate %s with %s", a.Subnet, a.RouteTable)
}

// AllocateAddress takes an Elastic IP address, unless one with its tags exists.
type AllocateAddress struct {
	Of
	Tags map[string]string `json:"tags"`
}

// Kind is AllocateAddress.
func (AllocateAddress) Kind() string     { return "AllocateAddress" }
func (a AllocateAddress) String() string { return "allocate address " + a.Tags["Name"] }

// CreateNATGateway makes a NAT gateway. The token makes it one, however often it is asked for.
type CreateNATGateway struct {
	Of
	Subnet  string            `json:"subnet"`
	Address string            `json:"address"` // eipalloc-…
	Tags    map[string]string `json:"tags"`
	Token   string            `json:"token"`
}

// Kind is CreateNATGateway.
func (CreateNATGateway) Kind() string { return "CreateNATGateway" }
func (a CreateNATGateway) String() string {
	return fmt.Sprintf("create NAT gateway %s in %s", a.Tags["Name"], a.Subnet)
}

// CreateRole makes an IAM role that a service can assume. A role of the name is success; the next look tells whose it is.
type CreateRole struct {
	Of
	Name    string            `json:"name"`
	Service string            `json:"service"` // who may assume it: eks.amazonaws.com
	Tags    map[string]string `json:"tags"`
}

// Kind is CreateRole.
func (CreateRole) Kind() string { return "CreateRole" }
func (a CreateRole) String() string {
	return fmt.Sprintf("create role %s for %s", a.Name, a.Service)
}

// AttachRolePolicy gives a managed policy to a role. Twice is once.
type AttachRolePolicy struct {
	Of
	Role   string `json:"role"`
	Policy string `json:"policy"` // ARN
}

// Kind is AttachRolePolicy.
func (AttachRolePolicy) Kind() string { return "AttachRolePolicy" }
func (a AttachRolePolicy) String() string {
	return fmt.Sprintf("attach %s to role %s", a.Policy[strings.LastIndexByte(a.Policy, '/')+1:], a.Role)
}

// CreateCluster makes the control plane. The token makes it one; a cluster of the name is success, and the next look tells
// whose it is.
type CreateCluster struct {
	Of
	Version           string            `json:"version,omitempty"`
	RoleARN           string            `json:"roleArn"`
	Subnets           []string          `json:"subnets"`
	PublicAccess      bool              `json:"publicAccess"`
	PrivateAccess     bool              `json:"privateAccess"`
	PublicAccessCIDRs []string          `json:"publicAccessCidrs,omitempty"`
	ServiceCIDR       string            `json:"serviceCidr,omitempty"`
	Logging           []string          `json:"logging,omitempty"`
	AuthMode          string            `json:"authMode"`
	Tags              map[string]string `json:"tags"`
	Token             string            `json:"token"`
}

// Kind is CreateCluster.
func (CreateCluster) Kind() string { return "CreateCluster" }
func (a CreateCluster) String() string {
	version := "EKS's default Kubernetes version"
	if a.Version != "" {
		version = "Kubernetes " + a.Version
	}
	return fmt.Sprintf("create cluster %s (%s, %d subnets)", a.Cluster, version, len(a.Subnets))
}

// CreateAccessEntry lets an IAM principal into the cluster. An entry for the principal is success.
type CreateAccessEntry struct {
	Of
	Principal string            `json:"principal"`
	Username  string            `json:"username,omitempty"`
	Groups    []string          `json:"groups"`
	Tags      map[string]string `json:"tags"`
	Token     string            `json:"token"`
}

// Kind is CreateAccessEntry.
func (CreateAccessEntry) Kind() string { return "CreateAccessEntry" }
func (a CreateAccessEntry) String() string {
	return fmt.Sprintf("let %s in as %s", a.Principal[strings.LastIndexByte(a.Principal, ':')+1:], strings.Join(a.Groups, ", "))
}

// PutClusterAccess writes a Kubernetes ClusterRole and its binding: what a group may do. Twice is once.
type PutClusterAccess struct {
	Of
	Access fleet.ClusterAccess `json:"access"`
}

// Kind is PutClusterAccess.
func (PutClusterAccess) Kind() string { return "PutClusterAccess" }
func (a PutClusterAccess) String() string {
	return fmt.Sprintf("install ClusterRole %s (%d rules) for %s", a.Access.Name, len(a.Access.Rules), strings.Join(a.Access.Groups, ", "))
}

// CreateNodeGroup makes a managed node group. The token makes it one; a group of the name is success.
type CreateNodeGroup struct {
	Of
	Spec    fleet.NodeGroupSpec `json:"spec"`
	RoleARN string              `json:"roleArn"`
	Subnets []string            `json:"subnets"`
	Tags    map[string]string   `json:"tags"` // all of them, the spec's included
	Token   string              `json:"token"`
}

// Kind is CreateNodeGroup.
func (CreateNodeGroup) Kind() string { return "CreateNodeGroup" }
func (a CreateNodeGroup) String() string {
	capacity := "on demand"
	if a.Spec.Spot {
		capacity = "spot"
	}
	return fmt.Sprintf("create node group %s (%d × %s, %s, %d to %d)",
		a.Spec.Name, a.Spec.Desired, strings.Join(a.Spec.InstanceTypes, " or "), capacity, a.Spec.Min, a.Spec.Max)
}
