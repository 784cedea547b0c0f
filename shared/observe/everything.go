package observe

import (
	"context"
	"slices"

	"github.com/ekspedite/ekspedite/shared/decide/cluster"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Lists finds what is a cluster's without being told its names.
type Lists interface {
	// Listed reads all of a kind that is the cluster's. Of kinds that are not ekspedite's own, such as load balancers, it
	// reads what Kubernetes has made for the cluster, and what is in the VPCs. A cluster that EKS does not know is
	// fault.NotFound for kinds that are parts of it.
	Listed(ctx context.Context, cluster fleet.ClusterID, kind string, vpcs []string) ([]fleet.Resource, error)
}

// Scope is what somebody wants to know of everything.
type Scope int

// The scopes.
const (
	// ForRemoval is what has to go before nothing is left, and what is in the way.
	ForRemoval Scope = iota
	// ForPruning is what a file may have lost: also what would go with the control plane, but nothing of Kubernetes'.
	ForPruning
)

// Everything reads all that is a cluster's, found by tag, by IAM path and by listing, so that it needs no file. While a
// removal waits, and AWS goes on working on all that is waited for, only that is read.
func (c Clusters) Everything(ctx context.Context, id fleet.ClusterID, scope Scope, h Hints) (cluster.Observation, error) {
	if scope == ForRemoval && len(h.Waiting) > 0 && len(h.Updates) == 0 {
		if o, ok, err := c.awaited(ctx, id, h.Waiting); ok || err != nil {
			return o, err
		}
	}
	o := cluster.Observation{Depth: cluster.Full, Found: map[string][]fleet.Resource{}, Updates: map[string]fleet.Update{}}
	control, err := c.AWS.Read(ctx, id.Name, fleet.Ref{ID: "cluster", Kind: "cluster", Name: id.Name})
	if fault.Ignore(err, fault.NotFound) != nil {
		return o, err
	}
	if err == nil {
		o.Found["cluster"] = []fleet.Resource{control}
	}
	e := everything{gather: &gather{ctx: ctx}, aws: c.AWS, id: id, o: &o, known: o.Control() != nil}
	c.updates(e.gather, &o, fleet.ClusterSpec{Name: id.Name, Region: id.Region}, h.Updates)
	e.read(func(ctx context.Context) error {
		list, err := c.AWS.Tagged(ctx, id.Name, cluster.TaggedKinds())
		e.add(list)
		return err
	})
	for _, kind := range cluster.ListedKinds(scope == ForPruning) {
		if e.known || !cluster.InCluster(kind) {
			e.list(kind, nil)
		}
	}
	e.oidc()
	if err := e.wait(); err != nil {
		return o, err
	}
	e.details(scope)
	return o, e.wait()
}

// awaited reads what a removal waits for. It is false when that is not enough: something has ended, or cannot be read alone.
func (c Clusters) awaited(ctx context.Context, id fleet.ClusterID, waiting []string) (cluster.Observation, bool, error) {
	o := cluster.Observation{Depth: cluster.OnlyAwaited, Found: map[string][]fleet.Resource{}, Updates: map[string]fleet.Update{}}
	e := everything{gather: &gather{ctx: ctx}, aws: c.AWS, id: id, o: &o}
	var tagged, listed []string
	for _, name := range waiting {
		ref := cluster.RefOf(name)
		switch ref.Kind {
		case "cluster":
			ref.Name = id.Name
			e.one(ref)
		case "nodegroup", "fargate", "capability":
			e.one(ref)
		case "asg":
			if !slices.Contains(listed, ref.Kind) {
				listed = append(listed, ref.Kind)
				e.list(ref.Kind, nil)
			}
		case "nat", "endpoint", "transit":
			if !slices.Contains(tagged, ref.Kind) {
				tagged = append(tagged, ref.Kind)
			}
		default:
			return o, false, e.wait()
		}
	}
	if len(tagged) > 0 {
		e.read(func(ctx context.Context) error {
			list, err := c.AWS.Tagged(ctx, id.Name, tagged)
			e.add(list)
			return err
		})
	}
	if err := e.wait(); err != nil {
		return o, false, err
	}
	for _, name := range waiting {
		if list := o.Found[name]; len(list) != 1 || !cluster.Busy(list[0]) {
			return o, false, nil
		}
	}
	return o, len(o.Found) == len(waiting), nil
}

// one reads something by its name. It is not an error that it is gone.
func (e *everything) one(ref fleet.Ref) {
	e.read(func(ctx context.Context) error {
		have, err := e.aws.Read(ctx, e.id.Name, ref)
		if err == nil {
			e.add([]fleet.Resource{have})
		}
		return fault.Ignore(err, fault.NotFound)
	})
}

// everything reads all that is one cluster's.
type everything struct {
	*gather
	aws   Resources
	id    fleet.ClusterID
	o     *cluster.Observation
	known bool // to EKS
}

// list reads all of a kind.
func (e *everything) list(kind string, vpcs []string) {
	e.read(func(ctx context.Context) error {
		list, err := e.aws.Listed(ctx, e.id, kind, vpcs)
		e.add(list)
		return fault.Ignore(err, fault.NotFound)
	})
}

func (e *everything) add(list []fleet.Resource) {
	e.set(func() {
		for _, r := range list {
			if r.ID == "" { // its tag is lost
				r.ID = r.Kind + "/" + r.Physical
			}
			e.o.Found[r.ID] = append(e.o.Found[r.ID], r)
		}
	})
}

// oidc reads the OIDC provider: by its issuer while the cluster tells it, and else among all.
func (e *everything) oidc() {
	if !e.known {
		e.list("oidc", nil)
		return
	}
	e.one(fleet.Ref{ID: "oidc", Kind: "oidc"})
}

// details reads what follows from what was found: what the roles have; and for a removal what is not ekspedite's own, but
// was made by Kubernetes or is in the VPC.
func (e *everything) details(scope Scope) {
	var own, roles []fleet.Resource
	for _, list := range e.o.Found {
		switch list[0].Kind {
		case "vpc":
			own = append(own, list...)
		case "role":
			roles = append(roles, list...)
		}
	}
	var inside []string
	for _, v := range own {
		inside = append(inside, v.Physical)
	}
	near := slices.Clone(inside)
	if control := e.o.Control(); control != nil {
		if v := fleet.Text(control.Props, "resourcesVpcConfig", "vpcId"); v != "" && !slices.Contains(near, v) {
			near = append(near, v)
		}
	}
	for _, r := range roles {
		e.role(r)
	}
	if scope != ForRemoval {
		return
	}
	for _, kind := range cluster.StrangeKinds() {
		if kind == "balancer" || kind == "classic" {
			e.list(kind, near)
		} else {
			e.list(kind, inside)
		}
	}
}

// role reads what is attached to a role, and written into it.
func (e *everything) role(r fleet.Resource) {
	ref := r.Ref
	ref.Glance, ref.Whole = true, true
	e.read(func(ctx context.Context) error {
		have, err := e.aws.Read(ctx, e.id.Name, ref)
		have.ARN = r.ARN
		e.set(func() {
			switch {
			case err == nil:
				e.o.Found[ref.ID] = []fleet.Resource{have}
			case fault.Is(err, fault.NotFound): // has gone since
				delete(e.o.Found, ref.ID)
			}
		})
		return fault.Ignore(err, fault.NotFound)
	})
}
