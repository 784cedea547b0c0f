package eks

import "context"

// NodeEC2 is the part of EC2 that node groups and Fargate profiles use beyond what clusters need.
type NodeEC2 interface {
	// MapsPublicIPs tells whether machines in a subnet get a public address.
	MapsPublicIPs(subnetID string) bool
	KeyPair(name string) bool
	// CreateRemoteAccessGroup makes a security group that lets the sources in at a port; without sources everybody.
	CreateRemoteAccessGroup(g RemoteAccessGroup) (id string, err error)
}

// RemoteAccessGroup is the security group behind a node group's remoteAccess.
type RemoteAccessGroup struct {
	Name, VPCID, Cluster, Nodegroup string
	Port                            int
	Sources                         []string
}

// RoleTrust tells whether a role's trust policy lets a service do all of some actions on behalf of a resource.
type RoleTrust interface {
	CheckTrustFor(roleARN, servicePrincipal, sourceARN string, actions ...string) error
}

// Workbench is what EKS does inside a cluster beyond the life of its nodes.
type Workbench interface {
	// Enforce keeps the cluster's authorization in line with grants until ctx ends, for namespaces to come too.
	Enforce(ctx context.Context, grants []Grant) error
	// Apply brings objects to the cluster, as the field manager "eks". With the mode NONE it changes nothing when somebody
	// else has set a field to another value, and returns a *FieldConflict; with OVERWRITE it takes the field over; with
	// PRESERVE it leaves the field alone.
	Apply(ctx context.Context, objects []Object, mode string) error
	// Fargate is the scheduler of the pods that match Fargate profiles, until ctx ends.
	Fargate(ctx context.Context, rules []FargateRules, machines FargateMachines) error
	// Remove deletes objects with what they own. That one is gone is no error.
	Remove(ctx context.Context, objects []Object) error
}

// Grant gives a group of users the permissions of an access policy: in the whole cluster, or, when there are namespace
// patterns such as "dev-*", in those namespaces.
type Grant struct {
	Group      string
	Policy     string // "AmazonEKSViewPolicy"
	Namespaces []string
}

// Object is a Kubernetes object: its path in the API and its manifest.
type Object struct {
	Path     string // "/apis/apps/v1/namespaces/kube-system/deployments/coredns"
	Manifest map[string]any
}

// FieldConflict says which fields somebody else has set, in the API server's words.
type FieldConflict struct{ Fields []string }
