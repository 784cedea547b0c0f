package cluster

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// network is what the rest of the graph needs to know of the network.
type network struct {
	zones   []string // availability zones, without Local Zones
	subnets []subnet
	base    []string // what has to be there before anything is put into a subnet
	tables  []string // route tables of private subnets, by their names in the graph
	exits   []string // their routes
	doors   []string // VPC endpoints, for those who have no other way
}

// subnet is one that the cluster uses, made or given.
type subnet struct {
	id      string // in the graph
	zone    string
	alias   string // its name in the file
	known   string // its id at AWS; "" while it is not known
	outpost string // ARN
	public  bool
	local   bool     // in a Local Zone
	named   bool     // only used where the file names it
	ways    []string // what a node in it needs to get out
}

// called tells whether the file may call a subnet so.
func (s subnet) called(name string) bool { return s.alias == name || s.known == name }

// ids are the graph's names of the subnets that are wanted.
func (n network) ids(want func(subnet) bool) (out []string) {
	for _, s := range n.subnets {
		if want(s) {
			out = append(out, s.id)
		}
	}
	return out
}

// regular are the subnets that serve everybody: not those of Local Zones, nor those that only one place names.
func (s subnet) regular() bool { return !s.local && !s.named }

// placement is where a node group's nodes go, and what they need to get out from there.
func (n network) placement(g fleet.NodeGroupSpec) (ids, needs []string) {
	var chosen []subnet
	zones := slices.Concat(g.Zones, g.LocalZones)
	for _, s := range n.subnets {
		fits := s.public != g.Private && !s.named && s.local == (len(g.LocalZones) > 0)
		switch {
		case len(zones) > 0:
			fits = fits && slices.Contains(zones, s.zone)
		case g.OutpostARN != "":
			fits = fits && s.outpost == g.OutpostARN
		default:
			fits = fits && len(g.Subnets) == 0
		}
		if fits {
			chosen = append(chosen, s)
		}
	}
	for _, name := range g.Subnets {
		if s, ok := n.find(name, !g.Private); ok && !slices.ContainsFunc(chosen, func(c subnet) bool { return c.id == s.id }) {
			chosen = append(chosen, s)
		}
	}
	if g.Machine.EFA && len(chosen) > 1 && len(zones)+len(g.Subnets) > 0 {
		chosen = chosen[:1] // such nodes talk to one another in one subnet only
	}
	return reach(chosen, "placement/"+g.Name)
}

// find is the subnet that the file calls so. The same name may stand for a public and a private one.
func (n network) find(name string, public bool) (subnet, bool) {
	for _, side := range []bool{public, !public} {
		if i := slices.IndexFunc(n.subnets, func(s subnet) bool { return s.public == side && s.called(name) }); i >= 0 {
			return n.subnets[i], true
		}
	}
	return subnet{}, false
}

// reach are subnets' names in the graph, and all that is needed to be in them and get out. Without subnets it is what says so.
func reach(list []subnet, none string) (ids, needs []string) {
	if len(list) == 0 {
		return nil, []string{none}
	}
	for _, s := range list {
		ids = append(ids, s.id)
		needs = union(needs, append([]string{s.id}, s.ways...))
	}
	return ids, needs
}

// fargateSubnets is where the pods of a Fargate profile go, which must be private, and what they need to get out.
func (n network) fargateSubnets(f fleet.FargateSpec) (ids, needs []string) {
	var chosen []subnet
	for _, s := range n.subnets {
		if !s.public && s.regular() && len(f.Subnets) == 0 {
			chosen = append(chosen, s)
		}
	}
	for _, name := range f.Subnets {
		if s, ok := n.find(name, false); ok {
			chosen = append(chosen, s)
		}
	}
	return reach(chosen, "placement/fargate/"+f.Name)
}

// controlPlaneSubnets are the subnets, by their names in the graph, in which the control plane has its interfaces.
func (n network) controlPlaneSubnets(s fleet.ClusterSpec) (ids []string) {
	if list := s.Network.ControlPlaneSubnets; len(list) > 0 {
		for _, name := range list {
			if sub, ok := n.find(name, false); ok {
				ids = append(ids, sub.id)
			}
		}
		return ids
	}
	inside := n.ids(func(s subnet) bool { return !s.public && s.regular() })
	// eksctl's rules. EKS Auto Mode puts nodes into the control plane's subnets.
	auto := s.Auto != nil && s.Network.VPC == ""
	if s.Network.ControlPlaneOnPrivate || len(inside) > 0 && (auto || s.Outpost != nil || s.Network.FullyPrivate) {
		return inside
	}
	return n.ids(subnet.regular)
}

// needs are what has to be there before something is put into subnets.
func (n network) needs(b *builder, subnets []string) []string {
	out := slices.Concat(n.base, subnets)
	for _, id := range append(b.controlPlaneGroups(), idNoZones) {
		if _, there := b.at[id]; there {
			out = append(out, id)
		}
	}
	return out
}

// physical are the ids that AWS knows the resources by.
func (b *builder) physical(ids []string) (out []any) {
	for _, id := range ids {
		out = append(out, b.id(id))
	}
	return out
}

// network is the VPC and all in it.
func (b *builder) network() (network, error) {
	if err := b.sameVPC(); err != nil {
		return network{}, err
	}
	var n network
	var err error
	if b.s.Network.VPC != "" {
		n = b.givenNetwork()
	} else if n, err = b.ownNetwork(); err != nil {
		return n, err
	}
	b.controlPlaneGroup()
	b.endpoints(&n)
	b.superfluous(n)
	b.placements(n)
	b.strays()
	return n, nil
}

// sameVPC refuses to make another network for a cluster that is in one already: it cannot move.
func (b *builder) sameVPC() error {
	control := b.o.Control()
	if control == nil || b.o.Depth != Full || control.Tags[fleet.TagCluster] != b.s.Name {
		return nil
	}
	is, want := fleet.Text(control.Props, "resourcesVpcConfig", "vpcId"), b.s.Network.VPC
	if is == "" {
		return nil
	}
	if want == "" {
		if v := b.o.first(idVPC); v != nil {
			want = v.Physical
		}
	}
	if is != want {
		return fmt.Errorf("cluster %s is in VPC %s and cannot move: write vpc.id: %s and its subnets into the file, or make another cluster", b.s.Name, is, is)
	}
	return nil
}

// vpcID is the VPC's id, or its placeholder.
func (b *builder) vpcID() string {
	if b.s.Network.VPC != "" {
		return b.s.Network.VPC
	}
	return b.id(idVPC)
}

// ipv6 tells whether the cluster has IPv6: as it was made, whatever the file says since.
func (b *builder) ipv6() bool {
	if c := b.o.Control(); c != nil {
		if family := fleet.Text(c.Props, "kubernetesNetworkConfig", "ipFamily"); family != "" {
			return family == "ipv6"
		}
	}
	return b.s.Network.IPv6
}

// part adds something about a resource that is made by a call of its own.
func (b *builder) part(id, area string, done bool, needs []string, create func() plan.Call) *resource {
	r := resource{Ref: fleet.Ref{ID: id}, id: id, area: area, needs: needs}
	if done {
		r.state = ready
	} else {
		r.do = []plan.Call{create()}
	}
	return b.put(r)
}

// put adds a node to the graph.
func (b *builder) put(r resource) *resource {
	b.at[r.id] = len(b.list)
	b.list = append(b.list, r)
	return &b.list[len(b.list)-1]
}

// missing adds something that cannot be had, with the reason and the way round.
func (b *builder) missing(id, format string, args ...any) {
	b.put(resource{Ref: fleet.Ref{ID: id}, id: id, area: "network", state: failed, detail: fmt.Sprintf(format, args...)})
}

// retagged is the call that gives back tags that something of EC2's has lost, or that the file has got since. Its name is
// left to whoever changed it.
func (b *builder) retagged(have fleet.Resource, want map[string]string) []plan.Call {
	lost := map[string]string{}
	for k, v := range want {
		if have.Tags[k] != v && k != "Name" {
			lost[k] = v
		}
	}
	if len(lost) == 0 {
		return nil
	}
	return []plan.Call{b.call(plan.Change, have.ID, "ec2:CreateTags", "tag "+have.ID, fleet.Props{
		"resources": []any{have.Physical}, "tags": tagList(lost),
	})}
}

// strays names what carries our tags twice.
func (b *builder) strays() {
	for _, r := range b.list {
		for i, more := range b.o.Found[r.id] {
			if i > 0 {
				b.notes = append(b.notes, fmt.Sprintf("%s %s carries this cluster's tags and is not used: delete it", more.Kind, more.Physical))
			}
		}
	}
}

// placements says where nodes and pods have no place to be.
func (b *builder) placements(n network) {
	if slices.ContainsFunc(n.subnets, func(s subnet) bool { return s.zone == "" }) {
		return // what is not there is named already
	}
	for _, g := range b.s.NodeGroups {
		if ids, _ := n.placement(g); len(ids) == 0 {
			side := "public"
			if g.Private {
				side = "private"
			}
			where := strings.Join(slices.Concat(g.Zones, g.LocalZones, g.Subnets), ", ")
			if where == "" {
				where = "the cluster's zones"
			}
			b.missing("placement/"+g.Name, "node group %s: there is no %s subnet in %s: name others, or add some to the file", g.Name, side, where)
		}
	}
	for _, f := range b.s.Fargate {
		if ids, _ := n.fargateSubnets(f); len(ids) == 0 {
			b.missing("placement/fargate/"+f.Name, "Fargate profile %s: there is no private subnet: Fargate needs one, with a way out", f.Name)
		}
	}
}
