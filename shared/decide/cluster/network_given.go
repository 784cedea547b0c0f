package cluster

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// What is read of a VPC that is given. The VPC itself and its route tables only matter while something is made in it.
const (
	idGivenVPC     = "givenvpc"
	idGivenSubnets = "givensubnets"
	idGivenRoutes  = "givenroutes"
	// idNoZones says that the control plane has too few zones.
	idNoZones = "placement/cluster"
)

// givenNetwork is a VPC of the user's. Nothing in it is changed; what its use would need is said.
func (b *builder) givenNetwork() network {
	n := network{base: []string{idGivenVPC, idGivenSubnets}}
	v := b.s.Network
	r := b.add(thing{Ref: fleet.Ref{ID: idGivenVPC, Kind: idGivenVPC, Name: v.VPC}, area: "network", differ: noCalls(b.givenVPC)})
	if r.state == failed {
		r.detail = fmt.Sprintf("VPC %s does not exist in %s: it is named in vpc.id and not ekspedite's to make", v.VPC, b.s.Region)
	}
	if have := b.o.first(idGivenVPC); have != nil && b.ipv6() && vpcBlock6(have.Props) == "" {
		r.state, r.detail = failed, fmt.Sprintf("VPC %s has no IPv6 addresses: associate a range with it and its subnets, or drop ipFamily: IPv6", v.VPC)
	}
	r = b.add(thing{Ref: fleet.Ref{ID: idGivenSubnets, Kind: idGivenSubnets, Name: v.VPC}, area: "network"})
	if r.state == failed {
		r.detail = fmt.Sprintf("VPC %s has no subnets in %s", v.VPC, b.s.Region)
	}
	b.ownFound()
	have := b.o.first(idGivenSubnets)
	used := b.usedSides()
	for _, side := range []struct {
		list   []fleet.SubnetSpec
		public bool
	}{{v.Public, true}, {v.Private, false}} {
		for _, want := range side.list {
			b.givenSubnet(&n, have, want, side.public, used[side.public])
		}
	}
	b.namedSubnets(&n, have)
	b.givenZones(n)
	return n
}

// ownFound makes the observation's resources the builder's own, which then knows single things that are given, too.
func (b *builder) ownFound() {
	found := map[string][]fleet.Resource{}
	maps.Copy(found, b.o.Found)
	b.o.Found = found
}

func noCalls(notes func(fleet.Resource) []string) func(fleet.Resource) ([]plan.Call, []string) {
	return func(have fleet.Resource) ([]plan.Call, []string) { return nil, notes(have) }
}

// givenVPC names what a VPC lacks for a cluster.
func (b *builder) givenVPC(have fleet.Resource) (notes []string) {
	for _, name := range []string{"enableDnsSupport", "enableDnsHostnames"} {
		if !fleet.Flag(have.Props, name) {
			notes = append(notes, fmt.Sprintf("VPC %s has %s off: nodes could not register with the cluster; turn it on", have.Physical, name))
		}
	}
	return notes
}

// usedSides tells whether managed node groups are in public subnets (true), and private ones (false).
func (b *builder) usedSides() map[bool]bool {
	out := map[bool]bool{}
	for _, g := range b.s.NodeGroups {
		out[!g.Private] = out[!g.Private] || !g.SelfManaged
	}
	return out
}

// givenSubnet finds a subnet by all that the file says of it.
func (b *builder) givenSubnet(n *network, have *fleet.Resource, want fleet.SubnetSpec, public, used bool) {
	side := "private"
	if public {
		side = "public"
	}
	id := "givensubnet/" + side + "/" + want.Alias
	s := subnet{id: id, zone: want.Zone, alias: want.Alias, known: want.ID, public: public}
	if have != nil {
		var hits []fleet.Props
		for _, p := range fleet.Items(have.Props, "subnets") {
			if (want.ID == "" || fleet.Text(p, "subnetId") == want.ID) && (want.CIDR == "" || fleet.Text(p, "cidrBlock") == want.CIDR) &&
				(want.Zone == "" || fleet.Text(p, "availabilityZone") == want.Zone) {
				hits = append(hits, p)
			}
		}
		path := "vpc.subnets." + side + "." + want.Alias
		switch len(hits) {
		case 1:
			b.useSubnet(&s, hits[0], b.subnetNotes(hits[0], public, used))
		case 0:
			b.missing(id, "%s: VPC %s has no subnet with %s", path, b.s.Network.VPC, describedSubnet(want))
		default:
			var ids []string
			for _, p := range hits {
				ids = append(ids, fleet.Text(p, "subnetId"))
			}
			b.missing(id, "%s: VPC %s has several subnets with %s (%s): name one by its id", path, b.s.Network.VPC, describedSubnet(want), strings.Join(ids, ", "))
		}
	} else {
		b.missing(id, "subnet %s is not known: VPC %s could not be read", want.Alias, b.s.Network.VPC)
	}
	n.subnets = append(n.subnets, s)
}

func describedSubnet(want fleet.SubnetSpec) string {
	var parts []string
	for _, p := range [][2]string{{"id", want.ID}, {"zone", want.Zone}, {"CIDR", want.CIDR}} {
		if p[1] != "" {
			parts = append(parts, p[0]+" "+p[1])
		}
	}
	return strings.Join(parts, " and ")
}

// useSubnet puts a subnet that is there into the graph.
func (b *builder) useSubnet(s *subnet, p fleet.Props, notes []string) {
	s.known, s.zone, s.outpost = fleet.Text(p, "subnetId"), fleet.Text(p, "availabilityZone"), fleet.Text(p, "outpostArn")
	ref := fleet.Ref{ID: s.id, Kind: "givensubnet"}
	b.o.Found[s.id] = []fleet.Resource{{Ref: ref, Physical: s.known, Status: fleet.Text(p, "state"), Props: p}}
	b.put(resource{Ref: ref, id: s.id, area: "network", state: ready, needs: []string{idGivenSubnets}, notes: notes})
}

// subnetNotes names what a subnet lacks for what it is used for. It is not ekspedite's to change.
func (b *builder) subnetNotes(p fleet.Props, public, managed bool) (notes []string) {
	id, role, kind := fleet.Text(p, "subnetId"), "kubernetes.io/role/internal-elb", "internal"
	if public {
		role, kind = "kubernetes.io/role/elb", "internet-facing"
	}
	tagged := false
	for _, t := range fleet.Items(p, "tags") {
		tagged = tagged || fleet.Text(t, "key") == role && fleet.Text(t, "value") != "0"
	}
	if !tagged {
		notes = append(notes, fmt.Sprintf("subnet %s has no tag %s=1: load balancer controllers will not choose it for %s load balancers", id, role, kind))
	}
	if public && managed && !fleet.Flag(p, "mapPublicIpOnLaunch") {
		notes = append(notes, fmt.Sprintf("subnet %s is public and gives no public addresses to instances: nodes in it have no way out; turn on its auto-assign public IPv4", id))
	}
	if b.ipv6() && (subnetBlock6(p) == "" || !fleet.Flag(p, "assignIpv6AddressOnCreation")) {
		notes = append(notes, fmt.Sprintf("subnet %s gives no IPv6 addresses to instances: the cluster needs it; give it a range and turn on auto-assign IPv6", id))
	}
	return notes
}

// namedSubnets are those that node groups, Fargate profiles and the control plane name beside the list.
func (b *builder) namedSubnets(n *network, have *fleet.Resource) {
	type use struct{ name, by string }
	var uses []use
	for _, g := range b.s.NodeGroups {
		for _, name := range g.Subnets {
			uses = append(uses, use{name, "node group " + g.Name})
		}
	}
	for _, f := range b.s.Fargate {
		for _, name := range f.Subnets {
			uses = append(uses, use{name, "Fargate profile " + f.Name})
		}
	}
	for _, name := range b.s.Network.ControlPlaneSubnets {
		uses = append(uses, use{name, "the control plane"})
	}
	for _, u := range uses {
		if _, ok := n.find(u.name, true); ok {
			continue
		}
		s := subnet{id: "givensubnet/" + u.name, alias: u.name, named: true}
		if i := slices.IndexFunc(b.givenSubnets(have), func(p fleet.Props) bool { return fleet.Text(p, "subnetId") == u.name }); i >= 0 {
			b.useSubnet(&s, b.givenSubnets(have)[i], nil)
		} else {
			b.missing(s.id, "%s names subnet %s, which is neither in vpc.subnets nor in VPC %s", u.by, u.name, b.s.Network.VPC)
		}
		n.subnets = append(n.subnets, s)
	}
}

func (b *builder) givenSubnets(have *fleet.Resource) []fleet.Props {
	if have == nil {
		return nil
	}
	return fleet.Items(have.Props, "subnets")
}

// givenZones checks that the control plane has two zones, as EKS wants it.
func (b *builder) givenZones(n network) {
	if b.s.Outpost != nil || b.o.first(idGivenSubnets) == nil {
		return
	}
	var zones []string
	for _, id := range n.controlPlaneSubnets(b.s) {
		i := slices.IndexFunc(n.subnets, func(s subnet) bool { return s.id == id })
		if zones = union(zones, []string{n.subnets[i].zone}); n.subnets[i].zone == "" {
			return // what is not there is named already
		}
	}
	if len(zones) < minZones {
		b.missing(idNoZones, "cluster %s: EKS needs subnets in two zones, and those of the file are in %v only", b.s.Name, zones)
	}
}
