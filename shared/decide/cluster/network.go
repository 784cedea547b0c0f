package cluster

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// maxZones is how many zones a cluster gets when its spec names none: what eksctl takes. EKS wants two at least.
const (
	maxZones = 3
	minZones = 2
)

// avoided are zones that EKS refuses for control planes, by name where every account's name means trouble, and by id.
// https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html
var avoided = []string{"us-east-1e", "use1-az3", "usw1-az2", "cac1-az3"}

const anywhere = "0.0.0.0/0"

// network is what the rest of the graph needs to know of the network.
type network struct {
	zones []string
	// Per zone, by kind: the resource id, and the subnet's id if it exists.
	public, private map[string]subnet
	nat             fleet.NATMode
}

type subnet struct{ resource, id string }

func (n network) each(f func(zone string, public bool, s subnet)) {
	for _, z := range n.zones {
		if s, ok := n.public[z]; ok {
			f(z, true, s)
		}
	}
	for _, z := range n.zones {
		if s, ok := n.private[z]; ok {
			f(z, false, s)
		}
	}
}

func (n network) subnetResources() (out []string) {
	n.each(func(_ string, _ bool, s subnet) { out = append(out, s.resource) })
	return out
}

func (n network) subnetIDs() (out []string) {
	n.each(func(_ string, _ bool, s subnet) { out = append(out, s.id) })
	return out
}

// placement is where a node group's nodes go, and what they need to get out from there.
func (n network) placement(g fleet.NodeGroupSpec) (ids, needs []string) {
	n.each(func(zone string, public bool, s subnet) {
		if public == g.Private || len(g.Zones) > 0 && !slices.Contains(g.Zones, zone) {
			return
		}
		ids = append(ids, s.id)
		if public {
			needs = append(needs, s.resource+"/addresses", s.resource+"/routes", "routes/public/default")
		} else {
			needs = append(needs, s.resource+"/routes", "routes/private/"+zone+"/default")
		}
	})
	return ids, needs
}

// network is the VPC and all in it.
func (b *builder) network() (network, error) {
	n := network{public: map[string]subnet{}, private: map[string]subnet{}, nat: b.s.Network.NAT}
	vpc := b.vpc()
	have := map[string]fleet.Subnet{} // by resource
	for _, s := range b.o.Network.Subnets {
		if _, twice := have[s.Resource]; !twice && s.VPC == vpc {
			have[s.Resource] = s
		}
	}
	var err error
	if n.zones, err = chooseZones(b.o, b.s, have); err != nil {
		return n, err
	}
	b.gateway(vpc)
	if err := b.subnets(&n, vpc, have); err != nil {
		return n, err
	}
	b.publicRoutes(n, vpc)
	if n.nat != fleet.NATDisable {
		b.privateRoutes(n, vpc)
	}
	return n, nil
}

// vpc adds the VPC and returns its id, or "".
func (b *builder) vpc() string {
	id := ""
	if b.o.Control != nil {
		id = b.o.Control.VPC // the cluster is in it, whatever its tags say
	}
	dns := b.o.Control != nil // not read then
	for _, v := range b.o.Network.VPCs {
		if id == "" {
			id = v.ID
		}
		if v.ID == id {
			dns = dns || v.DNSHostnames
		} else {
			b.notes = append(b.notes, "VPC "+v.ID+" carries this cluster's tag and is not used: delete it")
		}
	}
	b.add("network", idVPC, id != "", func(of plan.Of) plan.Action {
		return plan.CreateVPC{Of: of, CIDR: b.s.Network.CIDR, Tags: b.tags(idVPC)}
	})
	b.add("network", idDNS, dns, func(of plan.Of) plan.Action {
		return plan.EnableDNSHostnames{Of: of, VPC: id}
	}, idVPC)
	return id
}

// gateway adds the internet gateway and its attachment.
func (b *builder) gateway(vpc string) {
	best := b.internetGateway(vpc)
	for _, g := range b.o.Network.Gateways {
		if g.ID != best.ID {
			b.notes = append(b.notes, "internet gateway "+g.ID+" carries this cluster's tag and is not used: delete it")
		}
	}
	b.add("network", idGateway, best.ID != "", func(of plan.Of) plan.Action {
		return plan.CreateInternetGateway{Of: of, Tags: b.tags(idGateway)}
	})
	b.add("network", idAttachment, best.VPC != "" && best.VPC == vpc, func(of plan.Of) plan.Action {
		return plan.AttachInternetGateway{Of: of, Gateway: best.ID, VPC: vpc}
	}, idGateway, idVPC)
}

// internetGateway is the one attached to the VPC, or else the first that is free.
func (b *builder) internetGateway(vpc string) (best fleet.Gateway) {
	for _, g := range b.o.Network.Gateways {
		if g.VPC == vpc && vpc != "" {
			return g
		}
		if g.VPC == "" && best.ID == "" {
			best = g
		}
	}
	return best
}

// subnets adds one public subnet a zone, and one private with NAT.
func (b *builder) subnets(n *network, vpc string, have map[string]fleet.Subnet) error {
	blocks, err := newBlocks(b.s.Network.CIDR, len(n.zones), have)
	if err != nil {
		return err
	}
	for _, public := range []bool{true, false} {
		kind, role, into := "public", "kubernetes.io/role/elb", n.public
		if !public {
			kind, role, into = "private", "kubernetes.io/role/internal-elb", n.private
			if n.nat == fleet.NATDisable {
				break
			}
		}
		for _, zone := range n.zones {
			id := "subnet/" + kind + "/" + zone
			s, exists := have[id]
			into[zone] = subnet{id, s.ID}
			cidr := s.CIDR
			if !exists {
				if cidr, err = blocks.take(public); err != nil {
					return err
				}
			}
			b.add("network", id, exists, func(of plan.Of) plan.Action {
				return plan.CreateSubnet{Of: of, VPC: vpc, Zone: zone, CIDR: cidr, Tags: b.tags(id, role, "1")}
			}, idVPC)
			if public {
				b.add("network", id+"/addresses", s.PublicIPs, func(of plan.Of) plan.Action {
					return plan.AssignPublicIPs{Of: of, Subnet: s.ID, Zone: zone}
				}, id)
			}
		}
	}
	return nil
}

// routeTable adds a table with its default route and its subnets.
func (b *builder) routeTable(id, vpc, target, needs string, subnets ...subnet) {
	var t fleet.RouteTable
	for _, have := range b.o.Network.RouteTables {
		if t.ID == "" && have.Resource == id && have.VPC == vpc {
			t = have
		}
	}
	b.add("network", id, t.ID != "", func(of plan.Of) plan.Action {
		return plan.CreateRouteTable{Of: of, VPC: vpc, Tags: b.tags(id)}
	}, idVPC)
	route := t.Routes[anywhere]
	b.add("network", id+"/default", route != "", func(of plan.Of) plan.Action {
		return plan.CreateRoute{Of: of, RouteTable: t.ID, Destination: anywhere, Target: target}
	}, id, needs)
	if route != "" && target != "" && route != target {
		b.notes = append(b.notes, fmt.Sprintf("the default route of %s leads to %s, not to %s: not converged yet", t.ID, route, target))
	}
	for _, s := range subnets {
		b.add("network", s.resource+"/routes", slices.Contains(t.Subnets, s.id) && s.id != "", func(of plan.Of) plan.Action {
			return plan.AssociateRouteTable{Of: of, RouteTable: t.ID, Subnet: s.id}
		}, id, s.resource)
	}
}

func (b *builder) publicRoutes(n network, vpc string) {
	var all []subnet
	for _, z := range n.zones {
		all = append(all, n.public[z])
	}
	b.routeTable("routes/public", vpc, b.internetGateway(vpc).ID, idAttachment, all...)
}

// privateRoutes adds the NAT gateways, and for each zone a table that leads to the one it uses.
func (b *builder) privateRoutes(n network, vpc string) {
	for i, zone := range n.zones {
		exit := zone
		if n.nat == fleet.NATSingle {
			exit = n.zones[0]
		}
		if i == 0 || exit == zone {
			b.natGateway(zone, n.public[zone])
		}
		b.routeTable("routes/private/"+zone, vpc, b.nat("nat/"+exit).ID, "nat/"+exit, n.private[zone])
	}
}

func (b *builder) nat(id string) fleet.NATGateway {
	var found fleet.NATGateway
	for _, g := range b.o.Network.NATs {
		if g.Resource == id && (found.ID == "" || found.State == "failed") && g.State != "deleting" && g.State != "deleted" {
			found = g
		}
	}
	return found
}

func (b *builder) natGateway(zone string, in subnet) {
	address, id := "address/"+zone, "nat/"+zone
	allocation := ""
	for _, a := range b.o.Network.Addresses {
		if allocation == "" && a.Resource == address {
			allocation = a.ID
		}
	}
	b.add("network", address, allocation != "", func(of plan.Of) plan.Action {
		return plan.AllocateAddress{Of: of, Tags: b.tags(address)}
	})
	g := b.nat(id)
	b.add("network", id, g.State == "available", func(of plan.Of) plan.Action {
		return plan.CreateNATGateway{Of: of, Subnet: in.id, Address: allocation, Tags: b.tags(id), Token: token(b.opt, b.s.Name, id)}
	}, address, in.resource, idAttachment)
	r := &b.list[len(b.list)-1]
	switch g.State {
	case "pending":
		r.state, r.detail = pending, "NAT gateway "+g.ID
	case "failed":
		r.state, r.detail = failed, "NAT gateway "+g.ID+" failed: "+g.Failure
	}
}

// chooseZones keeps the zones in which there are subnets, and fills up with usable ones in the order of their names.
func chooseZones(o Observation, s fleet.ClusterSpec, have map[string]fleet.Subnet) ([]string, error) {
	if len(s.Network.Zones) > 0 {
		return s.Network.Zones, nil
	}
	var zones []string
	for id, sub := range have {
		if strings.HasPrefix(id, "subnet/public/") {
			zones = append(zones, sub.Zone)
		}
	}
	slices.Sort(zones)
	var others []string
	for _, z := range o.Zones {
		if !slices.Contains(avoided, z.Name) && !slices.Contains(avoided, z.ID) && !slices.Contains(zones, z.Name) {
			others = append(others, z.Name)
		}
	}
	slices.Sort(others)
	if o.Control == nil { // zones of an existing cluster are what they are
		for len(zones) < maxZones && len(others) > 0 {
			zones, others = append(zones, others[0]), others[1:]
		}
	}
	slices.Sort(zones)
	if len(zones) < minZones {
		return nil, fmt.Errorf("cluster %s: EKS needs two availability zones, and of Region %s only %v can be used", s.Name, s.Region, zones)
	}
	return zones, nil
}

// blocks deals out the VPC's addresses: the lower half to public subnets, the upper half to private ones.
type blocks struct {
	vpc  netip.Prefix
	bits int // of one block
	half int // blocks in each half
	used []netip.Prefix
}

func newBlocks(cidr string, zones int, have map[string]fleet.Subnet) (*blocks, error) {
	vpc, err := netip.ParsePrefix(cidr)
	if err != nil {
		return nil, fmt.Errorf("vpc.cidr: %w", err)
	}
	b := &blocks{vpc: vpc.Masked(), bits: vpc.Bits() + 3, half: 4}
	for b.half < zones {
		b.bits, b.half = b.bits+1, b.half*2
	}
	if b.bits > 28 {
		return nil, fmt.Errorf("vpc.cidr %s is too small for subnets in %d zones", cidr, zones)
	}
	for _, s := range have {
		p, err := netip.ParsePrefix(s.CIDR)
		if err != nil {
			return nil, fmt.Errorf("subnet %s: %w", s.ID, err)
		}
		b.used = append(b.used, p)
	}
	return b, nil
}

// take is the first free block of a half.
func (b *blocks) take(public bool) (string, error) {
	start := 0
	if !public {
		start = b.half
	}
	for i := start; i < start+b.half; i++ {
		raw := b.vpc.Addr().As4()
		n := uint32(raw[0])<<24 | uint32(raw[1])<<16 | uint32(raw[2])<<8 | uint32(raw[3])
		n += uint32(i) << (32 - b.bits)
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}), b.bits)
		if !slices.ContainsFunc(b.used, p.Overlaps) {
			b.used = append(b.used, p)
			return p.String(), nil
		}
	}
	return "", fmt.Errorf("no free block of /%d is left in VPC range %s", b.bits, b.vpc)
}
