package apply

import (
	"context"
	"sync"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// The writers carry out the actions of decide/cluster. Making what exists already is success for all of them: where AWS
// has no token or name to recognise a repeated request by, they look for the resource's tags right before.

// VPCs writes VPCs and subnets.
type VPCs interface {
	CreateVPC(ctx context.Context, a plan.CreateVPC) error
	EnableDNSHostnames(ctx context.Context, a plan.EnableDNSHostnames) error
	CreateSubnet(ctx context.Context, a plan.CreateSubnet) error
	AssignPublicIPs(ctx context.Context, a plan.AssignPublicIPs) error
}

// Gateways writes the ways out of a VPC.
type Gateways interface {
	CreateInternetGateway(ctx context.Context, a plan.CreateInternetGateway) error
	AttachInternetGateway(ctx context.Context, a plan.AttachInternetGateway) error
	AllocateAddress(ctx context.Context, a plan.AllocateAddress) error
	CreateNATGateway(ctx context.Context, a plan.CreateNATGateway) error
}

// Routes writes route tables.
type Routes interface {
	CreateRouteTable(ctx context.Context, a plan.CreateRouteTable) error
	CreateRoute(ctx context.Context, a plan.CreateRoute) error
	AssociateRouteTable(ctx context.Context, a plan.AssociateRouteTable) error
}

// RoleMaker writes IAM roles.
type RoleMaker interface {
	CreateRole(ctx context.Context, a plan.CreateRole) error
	AttachRolePolicy(ctx context.Context, a plan.AttachRolePolicy) error
}

// ClusterMaker writes to EKS.
type ClusterMaker interface {
	CreateCluster(ctx context.Context, a plan.CreateCluster) error
	CreateAccessEntry(ctx context.Context, a plan.CreateAccessEntry) error
	CreateNodeGroup(ctx context.Context, a plan.CreateNodeGroup) error
}

// AccessMaker writes to a cluster's RBAC.
type AccessMaker interface {
	PutClusterAccess(ctx context.Context, a plan.PutClusterAccess) error
}

// ClusterWidth is how many of a step's actions run at once: a network's worth, and below the 50 mutating calls that EC2
// lets an account burst to, with room for the clusters that are made beside.
const ClusterWidth = 10

// ClusterWriter carries out the actions of decide/cluster.
type ClusterWriter struct {
	VPCs     VPCs
	Gateways Gateways
	Routes   Routes
	Roles    RoleMaker
	EKS      ClusterMaker
	Access   AccessMaker
}

// Do carries out one action. What exists already is success.
func (w ClusterWriter) Do(ctx context.Context, action plan.Action) error {
	return fault.Ignore(w.do(ctx, action), fault.Conflict)
}

func (w ClusterWriter) do(ctx context.Context, action plan.Action) error {
	switch a := action.(type) {
	case plan.CreateVPC:
		return w.VPCs.CreateVPC(ctx, a)
	case plan.EnableDNSHostnames:
		return w.VPCs.EnableDNSHostnames(ctx, a)
	case plan.CreateSubnet:
		return w.VPCs.CreateSubnet(ctx, a)
	case plan.AssignPublicIPs:
		return w.VPCs.AssignPublicIPs(ctx, a)
	case plan.CreateInternetGateway:
		return w.Gateways.CreateInternetGateway(ctx, a)
	case plan.AttachInternetGateway:
		return w.Gateways.AttachInternetGateway(ctx, a)
	case plan.AllocateAddress:
		return w.Gateways.AllocateAddress(ctx, a)
	case plan.CreateNATGateway:
		return w.Gateways.CreateNATGateway(ctx, a)
	case plan.CreateRouteTable:
		return w.Routes.CreateRouteTable(ctx, a)
	case plan.CreateRoute:
		return w.Routes.CreateRoute(ctx, a)
	case plan.AssociateRouteTable:
		return w.Routes.AssociateRouteTable(ctx, a)
	case plan.CreateRole:
		return w.Roles.CreateRole(ctx, a)
	case plan.AttachRolePolicy:
		return w.Roles.AttachRolePolicy(ctx, a)
	case plan.CreateCluster:
		return w.EKS.CreateCluster(ctx, a)
	case plan.CreateAccessEntry:
		return w.EKS.CreateAccessEntry(ctx, a)
	case plan.CreateNodeGroup:
		return w.EKS.CreateNodeGroup(ctx, a)
	case plan.PutClusterAccess:
		return w.Access.PutClusterAccess(ctx, a)
	}
	return unknown(action)
}

// DryRun stands in for a Do: it records what would have been written, and writes nothing. Reads stay real.
type DryRun struct {
	mu      sync.Mutex
	written []plan.Action
}

// Do records an action.
func (d *DryRun) Do(_ context.Context, a plan.Action) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.written = append(d.written, a)
	return nil
}

// Written are the recorded actions.
func (d *DryRun) Written() []plan.Action {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]plan.Action(nil), d.written...)
}
