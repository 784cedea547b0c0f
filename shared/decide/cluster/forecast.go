package cluster

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// Forecast is the whole plan: what would be made, look after look, if every action did what it says and AWS finished what
// it began. Resources that do not exist yet have names like "vpc (new)" in it.
func Forecast(now time.Time, o Observation, s fleet.ClusterSpec, opt Options) (plan.Plan, error) {
	o = o.clone()
	whole := plan.Plan{Subject: "cluster " + s.Name}
	actions := 0
	for range 100 { // the graph is 7 deep; this only bounds a mistake
		p, err := Decide(now, o, s, opt)
		if err != nil {
			return whole, err
		}
		whole.Notes = union(whole.Notes, p.Notes)
		if p.Outcome != "" {
			whole.Outcome, whole.Reason = p.Outcome, p.Reason
			if p.Outcome == OutcomeActive {
				whole.Reason = fmt.Sprintf("%d actions make it what its spec says", actions)
			}
			return whole, nil
		}
		if p.Empty() {
			o.finish()
			continue
		}
		for _, step := range p.Steps {
			whole.Add(step.Name, step.Actions...)
			for _, a := range step.Actions {
				actions++
				o.Assume(a)
			}
		}
	}
	return whole, fmt.Errorf("the plan for cluster %s does not end: this is a mistake in ekspedite", s.Name)
}

func union(list, more []string) []string {
	for _, m := range more {
		if !slices.Contains(list, m) {
			list = append(list, m)
		}
	}
	return list
}

// clone copies all that Assume and finish change.
func (o Observation) clone() Observation {
	if o.Control != nil {
		c := *o.Control
		o.Control = &c
	}
	n := &o.Network
	n.VPCs, n.Subnets, n.Gateways = slices.Clone(n.VPCs), slices.Clone(n.Subnets), slices.Clone(n.Gateways)
	n.Addresses, n.NATs, n.RouteTables = slices.Clone(n.Addresses), slices.Clone(n.NATs), slices.Clone(n.RouteTables)
	for i := range n.RouteTables {
		n.RouteTables[i].Routes, n.RouteTables[i].Subnets = maps.Clone(n.RouteTables[i].Routes), slices.Clone(n.RouteTables[i].Subnets)
	}
	o.Roles, o.Groups, o.Entries = copied(o.Roles), copied(o.Groups), copied(o.Entries)
	o.Made, o.Troubles = nil, nil
	return o
}

func copied[V any](m map[string]V) map[string]V {
	out := maps.Clone(m)
	if out == nil {
		out = map[string]V{}
	}
	return out
}

// Assume changes the observation as if the action had been carried out and were visible. It changes what o refers to: the
// caller owns it. IDs of new resources are their names in the graph.
func (o *Observation) Assume(action plan.Action) {
	n := &o.Network
	fresh := ""
	if c, ok := action.(plan.Creation); ok {
		fresh = c.Resource() + " (new)"
	}
	switch a := action.(type) {
	case plan.CreateVPC:
		n.VPCs = append(n.VPCs, fleet.VPC{ID: fresh, CIDR: a.CIDR})
	case plan.EnableDNSHostnames:
		change(n.VPCs, func(v *fleet.VPC) bool { return v.ID == a.VPC }, func(v *fleet.VPC) { v.DNSHostnames = true })
	case plan.CreateSubnet:
		n.Subnets = append(n.Subnets, fleet.Subnet{ID: fresh, Resource: a.ID, VPC: a.VPC, Zone: a.Zone, CIDR: a.CIDR})
	case plan.AssignPublicIPs:
		change(n.Subnets, func(s *fleet.Subnet) bool { return s.ID == a.Subnet }, func(s *fleet.Subnet) { s.PublicIPs = true })
	case plan.CreateInternetGateway:
		n.Gateways = append(n.Gateways, fleet.Gateway{ID: fresh})
	case plan.AttachInternetGateway:
		change(n.Gateways, func(g *fleet.Gateway) bool { return g.ID == a.Gateway }, func(g *fleet.Gateway) { g.VPC = a.VPC })
	case plan.CreateRouteTable:
		n.RouteTables = append(n.RouteTables, fleet.RouteTable{ID: fresh, Resource: a.ID, VPC: a.VPC, Routes: map[string]string{}})
	case plan.CreateRoute:
		change(n.RouteTables, func(t *fleet.RouteTable) bool { return t.ID == a.RouteTable }, func(t *fleet.RouteTable) {
			t.Routes[a.Destination] = a.Target
		})
	case plan.AssociateRouteTable:
		change(n.RouteTables, func(t *fleet.RouteTable) bool { return t.ID == a.RouteTable }, func(t *fleet.RouteTable) {
			t.Subnets = append(t.Subnets, a.Subnet)
		})
	case plan.AllocateAddress:
		n.Addresses = append(n.Addresses, fleet.Address{ID: fresh, Resource: a.ID})
	case plan.CreateNATGateway:
		n.NATs = append(n.NATs, fleet.NATGateway{ID: fresh, Resource: a.ID, State: "pending"})
	default:
		o.assumeCluster(action)
	}
}

func (o *Observation) assumeCluster(action plan.Action) {
	switch a := action.(type) {
	case plan.CreateRole:
		o.Roles[a.Name] = fleet.Role{Name: a.Name, ARN: a.Name + " (new)", Tags: a.Tags}
	case plan.AttachRolePolicy:
		r := o.Roles[a.Role]
		r.Policies = append(slices.Clone(r.Policies), a.Policy)
		o.Roles[a.Role] = r
	case plan.CreateCluster:
		c := fleet.ControlPlane{
			RoleARN: a.RoleARN, Subnets: a.Subnets, PublicAccess: a.PublicAccess, PrivateAccess: a.PrivateAccess,
			PublicAccessCIDRs: a.PublicAccessCIDRs, Logging: a.Logging, AuthMode: a.AuthMode, Tags: a.Tags,
		}
		c.Name, c.Version, c.Status = a.Cluster, a.Version, "CREATING"
		for _, v := range o.Network.VPCs {
			if c.VPC == "" {
				c.VPC = v.ID
			}
		}
		o.Control = &c
	case plan.CreateAccessEntry:
		o.Entries[a.Principal] = fleet.AccessEntry{Principal: a.Principal, Username: a.Username, Groups: a.Groups}
	case plan.PutClusterAccess:
		o.Access = &a.Access
	case plan.CreateNodeGroup:
		g := a.Spec
		g.Tags = a.Tags
		o.Groups[g.Name] = fleet.NodeGroup{NodeGroupSpec: g, Status: "CREATING", Subnets: a.Subnets}
	}
}

// finish lets AWS finish what it is working on.
func (o *Observation) finish() {
	o.OnlyControl, o.Unreachable = false, ""
	if o.Control != nil && o.Control.Status != "FAILED" && o.Control.Status != "DELETING" {
		o.Control.Status = "ACTIVE"
	}
	for i := range o.Network.NATs {
		if o.Network.NATs[i].State == "pending" {
			o.Network.NATs[i].State = "available"
		}
	}
	for name, g := range o.Groups {
		if g.Status == "CREATING" {
			g.Status = "ACTIVE"
			o.Groups[name] = g
		}
	}
}

func change[T any](list []T, which func(*T) bool, how func(*T)) {
	for i := range list {
		if which(&list[i]) {
			how(&list[i])
		}
	}
}
