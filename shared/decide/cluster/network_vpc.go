package cluster

import (
	"fmt"
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

const (
	anywhere  = "0.0.0.0/0"
	anywhere6 = "::/0"
)

const (
	idVPC        = "vpc"
	idDNS        = "vpc/dns"
	idIPv6       = "vpc/ipv6"
	idGateway    = "igw"
	idAttachment = "igw/attachment"
	idEgress     = "egress"
)

// ownNetwork is a VPC that we make, and all in it.
func (b *builder) ownNetwork() (network, error) {
	n := network{base: []string{idDNS}}
	if b.s.Outpost != nil {
		return n, fmt.Errorf("cluster %s: subnets on an Outpost are yours to make: name them in vpc.subnets, and their VPC in vpc.id", b.s.Name)
	}
	zones, err := b.chooseZones()
	if err != nil {
		return n, err
	}
	n.zones = zones
	b.vpc()
	if !b.s.Network.FullyPrivate {
		b.gateway()
	} else if b.o.first(idGateway) != nil {
		b.notes = append(b.notes, "the VPC has an internet gateway and public subnets from before it was fully private: nothing of ekspedite uses them; delete them when nothing of yours does")
	}
	if b.ipv6() && !b.s.Network.FullyPrivate && b.inside() {
		b.egressGateway()
	}
	if err := b.subnets(&n); err != nil {
		return n, err
	}
	remote := b.remoteWays(n)
	if !b.s.Network.FullyPrivate {
		b.publicRoutes(n, remote)
	}
	b.privateRoutes(&n, remote)
	return n, nil
}

// inside tells whether there are private subnets. They stay when they have lost their NAT gateways.
func (b *builder) inside() bool {
	return b.s.Network.NAT != fleet.NATDisable || b.s.Network.FullyPrivate || len(b.o.zonesOf("subnet/private/")) > 0
}

// vpc adds the VPC, and that it gives DNS names to its instances, which nodes need.
func (b *builder) vpc() {
	b.add(thing{
		Ref: fleet.Ref{ID: idVPC, Kind: "vpc"}, area: "network",
		create: func() plan.Call {
			in := fleet.Props{"cidrBlock": b.s.Network.CIDR, "tagSpecifications": specification("vpc", b.tags(idVPC))}
			does := fmt.Sprintf("create VPC (%s)", b.s.Network.CIDR)
			if b.ipv6() {
				b.block6(in)
				does = fmt.Sprintf("create VPC (%s and IPv6)", b.s.Network.CIDR)
			}
			c := b.call(plan.Create, idVPC, "ec2:CreateVpc", does, in)
			c.Unless = true
			return c
		},
		differ: func(have fleet.Resource) (change []plan.Call, notes []string) {
			if is := fleet.Text(have.Props, "cidrBlock"); is != b.s.Network.CIDR {
				notes = append(notes, cannot("VPC "+have.Physical, "vpc.cidr", "EC2 does not change "+is, "write it into the file, or make another cluster"))
			}
			return b.retagged(have, b.tags(idVPC)), notes
		},
	})
	on := b.assumed("vpc")
	if v := b.o.first(idVPC); v != nil {
		on = fleet.Flag(v.Props, "enableDnsHostnames")
	}
	b.part(idDNS, "network", on, []string{idVPC}, func() plan.Call {
		return b.call(plan.Change, idDNS, "ec2:ModifyVpcAttribute", "enable DNS host names in the VPC", fleet.Props{
			"vpcId": b.id(idVPC), "enableDnsHostnames": fleet.Props{"value": true},
		})
	})
	if b.ipv6() {
		b.vpcIPv6()
	}
}

// block6 says which IPv6 addresses a VPC gets: one's own, or Amazon's.
func (b *builder) block6(in fleet.Props) {
	if b.s.Network.IPv6CIDR != "" {
		in["ipv6CidrBlock"], in["ipv6Pool"] = b.s.Network.IPv6CIDR, b.s.Network.IPv6Pool
		return
	}
	in["amazonProvidedIpv6CidrBlock"] = true
}

// vpcIPv6 adds the VPC's IPv6 addresses, which it is given a moment after it is made. Subnets wait for them: which they are
// is not known before.
func (b *builder) vpcIPv6() {
	r := b.put(resource{Ref: fleet.Ref{ID: idIPv6}, id: idIPv6, area: "network", needs: []string{idVPC}})
	v := b.o.first(idVPC)
	switch {
	case b.assumed("vpc"):
		r.state = ready
	case v == nil: // they come with it
	case vpcBlock6(v.Props) != "":
		r.state = ready
	case len(fleet.Items(v.Props, "ipv6CidrBlockAssociationSet")) > 0:
		r.state, r.detail = pending, "the VPC's IPv6 addresses (associating)"
	default:
		in := fleet.Props{"vpcId": v.Physical}
		b.block6(in)
		r.do = []plan.Call{b.call(plan.Change, idIPv6, "ec2:AssociateVpcCidrBlock", "give IPv6 addresses to the VPC", in)}
	}
}

// vpcBlock6 is the IPv6 range that a VPC has; "" without.
func vpcBlock6(vpc fleet.Props) string {
	for _, a := range fleet.Items(vpc, "ipv6CidrBlockAssociationSet") {
		if state := fleet.Text(a, "ipv6CidrBlockState", "state"); state == "" || state == "associated" {
			return fleet.Text(a, "ipv6CidrBlock")
		}
	}
	return ""
}

// vpcRanges are a VPC's IPv4 ranges.
func vpcRanges(vpc fleet.Props) (out []string) {
	for _, a := range fleet.Items(vpc, "cidrBlockAssociationSet") {
		if state := fleet.Text(a, "cidrBlockState", "state"); state == "" || state == "associated" {
			out = append(out, fleet.Text(a, "cidrBlock"))
		}
	}
	return union(out, []string{fleet.Text(vpc, "cidrBlock")})
}

// gateway adds the internet gateway and its attachment.
func (b *builder) gateway() {
	b.add(thing{
		Ref: fleet.Ref{ID: idGateway, Kind: "igw"}, area: "network",
		create: func() plan.Call {
			c := b.call(plan.Create, idGateway, "ec2:CreateInternetGateway", "create internet gateway", fleet.Props{
				"tagSpecifications": specification("internet-gateway", b.tags(idGateway)),
			})
			c.Unless = true
			return c
		},
		differ: b.tagsOnly(b.tags(idGateway)),
	})
	attached := b.assumed("igw")
	if g := b.o.first(idGateway); g != nil {
		for _, a := range fleet.Items(g.Props, "attachments") {
			attached = attached || fleet.Text(a, "vpcId") == b.id(idVPC)
		}
	}
	b.part(idAttachment, "network", attached, []string{idGateway, idVPC}, func() plan.Call {
		return b.call(plan.Change, idAttachment, "ec2:AttachInternetGateway", "attach the internet gateway to the VPC", fleet.Props{
			"internetGatewayId": b.id(idGateway), "vpcId": b.id(idVPC),
		})
	})
}

// tagsOnly compares nothing but tags.
func (b *builder) tagsOnly(want map[string]string) func(fleet.Resource) ([]plan.Call, []string) {
	return func(have fleet.Resource) ([]plan.Call, []string) { return b.retagged(have, want), nil }
}

// egressGateway adds the way out of private subnets for IPv6, by which nobody comes in.
func (b *builder) egressGateway() {
	b.add(thing{
		Ref: fleet.Ref{ID: idEgress, Kind: "egress"}, area: "network", needs: []string{idVPC},
		create: func() plan.Call {
			in := fleet.Props{"vpcId": b.id(idVPC), "tagSpecifications": specification("egress-only-internet-gateway", b.tags(idEgress))}
			in["clientToken"] = b.token(idEgress, in)
			return b.call(plan.Create, idEgress, "ec2:CreateEgressOnlyInternetGateway", "create egress-only internet gateway", in)
		},
		differ: b.tagsOnly(b.tags(idEgress)),
	})
}

// zonesOf are the zones of the resources whose names begin so, in the order of their names.
func (o Observation) zonesOf(prefix string) (out []string) {
	for id, list := range o.Found {
		if zone, ok := strings.CutPrefix(id, prefix); ok && len(list) > 0 {
			out = append(out, zone)
		}
	}
	slices.Sort(out)
	return out
}

// chooseZones keeps the zones in which there is anything, and fills up with usable ones in the order of their names.
func (b *builder) chooseZones() ([]string, error) {
	if len(b.s.Network.Zones) > 0 {
		return b.s.Network.Zones, nil
	}
	zones := union(b.o.zonesOf("subnet/public/"), union(b.o.zonesOf("subnet/private/"), b.o.zonesOf("routes/private/")))
	zones = slices.DeleteFunc(zones, func(z string) bool { return slices.Contains(b.s.Network.Local, z) })
	slices.Sort(zones)
	var others []string
	for _, z := range b.o.Zones {
		if !slices.Contains(avoided, z.Name) && !slices.Contains(avoided, z.ID) && !slices.Contains(zones, z.Name) {
			others = append(others, z.Name)
		}
	}
	slices.Sort(others)
	if b.o.Control() == nil { // zones of an existing cluster are what they are
		for len(zones) < maxZones && len(others) > 0 {
			zones, others = append(zones, others[0]), others[1:]
		}
	}
	slices.Sort(zones)
	if len(zones) < minZones {
		return nil, fmt.Errorf("cluster %s: EKS needs two availability zones, and of Region %s only %v can be used", b.s.Name, b.s.Region, zones)
	}
	return zones, nil
}
