package observe

import (
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/ekspedite/ekspedite/shared/decide/cluster"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Networks reads EC2.
type Networks interface {
	// Network reads all that carries the cluster's tag. withNAT asks for addresses and NAT gateways, too.
	Network(ctx context.Context, cluster string, withNAT bool) (fleet.Network, error)
	// DNSHostnames tells whether a VPC gives DNS names to its instances.
	DNSHostnames(ctx context.Context, vpc string) (bool, error)
	Zones(ctx context.Context) ([]fleet.Zone, error)
}

// Roles reads IAM. An unknown role is fault.NotFound.
type Roles interface {
	Role(ctx context.Context, name string) (fleet.Role, error) // without its policies
	RolePolicies(ctx context.Context, name string) ([]string, error)
}

// ControlPlanes reads EKS. What EKS does not know is fault.NotFound.
type ControlPlanes interface {
	ControlPlane(ctx context.Context, name string) (fleet.ControlPlane, error)
	NodeGroup(ctx context.Context, cluster, name string) (fleet.NodeGroup, error)
	AccessEntry(ctx context.Context, cluster, principal string) (fleet.AccessEntry, error)
}

// ClusterRoles reads a cluster's RBAC. An absent ClusterRole is fault.NotFound.
type ClusterRoles interface {
	ClusterAccess(ctx context.Context, cluster, name string) (fleet.ClusterAccess, error)
}

// Clusters reads all that decide/cluster wants to know.
type Clusters struct {
	Networks   Networks
	Roles      Roles
	EKS        ControlPlanes
	Kubernetes ClusterRoles
}

// Cluster observes one cluster. EKS is asked first, because its answer saves reads: nothing else is read while waiting
// (say, ten minutes) for nothing but the control plane, and less of what cannot change any more once there is one. All
// other reads run at once. A failed read fails the observation: what could not be seen is not absent. The API server alone
// may be out of reach, which is named in the observation.
func (c Clusters) Cluster(ctx context.Context, s fleet.ClusterSpec, opt cluster.Options, waitingFor []string) (cluster.Observation, error) {
	o := cluster.Observation{Roles: map[string]fleet.Role{}, Groups: map[string]fleet.NodeGroup{}, Entries: map[string]fleet.AccessEntry{}}
	control, err := c.EKS.ControlPlane(ctx, s.Name)
	if fault.Ignore(err, fault.NotFound) != nil {
		return o, err
	}
	if err == nil {
		o.Control = &control
		if control.Status == "CREATING" && slices.Equal(waitingFor, []string{"cluster"}) {
			o.OnlyControl = true
			return o, nil
		}
	}
	g := &gather{ctx: ctx}
	g.read(func(ctx context.Context) error { return c.network(ctx, &o, s) })
	controlRole, nodeRole := cluster.RoleNames(s.Name)
	for _, name := range []string{controlRole, nodeRole} {
		g.read(func(ctx context.Context) error { return c.role(ctx, g, &o, name) })
	}
	if o.Control != nil && o.Control.Status == "ACTIVE" {
		c.inside(g, &o, s, opt)
	}
	return o, g.wait()
}

// network reads EC2; the zones only while their choice is open, the DNS attribute only while it can be missing.
func (c Clusters) network(ctx context.Context, o *cluster.Observation, s fleet.ClusterSpec) error {
	n, err := c.Networks.Network(ctx, s.Name, s.Network.NAT != fleet.NATDisable)
	if err != nil {
		return err
	}
	o.Network = n
	if o.Control != nil {
		return nil
	}
	if len(s.Network.Zones) == 0 {
		if o.Zones, err = c.Networks.Zones(ctx); err != nil {
			return err
		}
	}
	for i := range o.Network.VPCs {
		on, err := c.Networks.DNSHostnames(ctx, o.Network.VPCs[i].ID)
		if fault.Ignore(err, fault.NotFound) != nil {
			return err
		}
		o.Network.VPCs[i].DNSHostnames = on
	}
	return nil
}

// role reads a role. While there is no control plane its owner matters, too; afterwards its ARN is known from its name.
func (c Clusters) role(ctx context.Context, g *gather, o *cluster.Observation, name string) error {
	r := fleet.Role{Name: name}
	if o.Control != nil {
		i := strings.LastIndexByte(o.Control.RoleARN, '/')
		r.ARN = o.Control.RoleARN[:i+1] + name
	} else {
		var err error
		if r, err = c.Roles.Role(ctx, name); err != nil {
			return fault.Ignore(err, fault.NotFound)
		}
	}
	policies, err := c.Roles.RolePolicies(ctx, name)
	if fault.Is(err, fault.NotFound) && o.Control != nil {
		return nil
	}
	if fault.Ignore(err, fault.NotFound) != nil { // a new role may be half visible
		return err
	}
	r.Policies = policies
	g.set(func() { o.Roles[name] = r })
	return nil
}

// inside reads what can only be in a control plane that works.
func (c Clusters) inside(g *gather, o *cluster.Observation, s fleet.ClusterSpec, opt cluster.Options) {
	for _, group := range s.NodeGroups {
		g.read(func(ctx context.Context) error {
			have, err := c.EKS.NodeGroup(ctx, s.Name, group.Name)
			if err == nil {
				g.set(func() { o.Groups[group.Name] = have })
			}
			return fault.Ignore(err, fault.NotFound)
		})
	}
	for _, entry := range cluster.Entries(s, opt) {
		g.read(func(ctx context.Context) error {
			have, err := c.EKS.AccessEntry(ctx, s.Name, entry.Principal)
			if err == nil {
				g.set(func() { o.Entries[entry.Principal] = have })
			}
			return fault.Ignore(err, fault.NotFound)
		})
	}
	g.read(func(ctx context.Context) error {
		have, err := c.Kubernetes.ClusterAccess(ctx, s.Name, cluster.InterruptionAccess().Name)
		switch {
		case err == nil:
			g.set(func() { o.Access = &have })
		case !fault.Is(err, fault.NotFound):
			g.set(func() { o.Unreachable = err.Error() })
		}
		return nil
	})
}

// gather runs reads at once and keeps the first error.
type gather struct {
	ctx context.Context
	wg  sync.WaitGroup
	mu  sync.Mutex
	err error
}

func (g *gather) read(f func(context.Context) error) {
	g.wg.Go(func() {
		if err := f(g.ctx); err != nil {
			g.set(func() {
				if g.err == nil {
					g.err = err
				}
			})
		}
	})
}

func (g *gather) set(f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f()
}

func (g *gather) wait() error {
	g.wg.Wait()
	return g.err
}
