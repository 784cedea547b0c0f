package cluster

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// subnets adds a public subnet to each zone, and a private one where there are such. Local Zones come last, so that the
// other zones have the same addresses with and without them.
func (b *builder) subnets(n *network) error {
	var taken, taken6 []string
	for id, list := range b.o.Found {
		if strings.HasPrefix(id, "subnet/") {
			for _, s := range list {
				taken, taken6 = append(taken, fleet.Text(s.Props, "cidrBlock")), append(taken6, subnetBlock6(s.Props))
			}
		}
	}
	cidr, range6 := b.s.Network.CIDR, ""
	if v := b.o.first(idVPC); v != nil { // the file's may have changed since
		cidr, range6 = fleet.Text(v.Props, "cidrBlock"), vpcBlock6(v.Props)
	}
	local := b.s.Network.Local
	blocks, err := newBlocks(cidr, len(n.zones)+len(local), taken)
	if err != nil {
		return err
	}
	blocks.six = newBlocks6(range6, taken6)
	for _, public := range []bool{true, false} {
		if public && b.s.Network.FullyPrivate || !public && !b.inside() {
			continue
		}
		for _, zone := range slices.Concat(n.zones, local) {
			if err := b.subnet(n, blocks, zone, public); err != nil {
				return err
			}
		}
	}
	return nil
}

// subnetBlock6 is the IPv6 range of a subnet; "" without.
func subnetBlock6(p fleet.Props) string {
	for _, a := range fleet.Items(p, "ipv6CidrBlockAssociationSet") {
		if state := fleet.Text(a, "ipv6CidrBlockState", "state"); state == "" || state == "associated" || state == "associating" {
			return fleet.Text(a, "ipv6CidrBlock")
		}
	}
	return ""
}

func (b *builder) subnet(n *network, blocks *blocks, zone string, public bool) (err error) {
	kind, role := "public", "kubernetes.io/role/elb"
	if !public {
		kind, role = "private", "kubernetes.io/role/internal-elb"
	}
	id := "subnet/" + kind + "/" + zone
	s := subnet{id: id, zone: zone, alias: zone, public: public, local: slices.Contains(b.s.Network.Local, zone)}
	six := b.ipv6() && !s.local // Local Zones have no IPv6
	cidr, cidr6 := "", ""
	have := b.o.first(id)
	needs := []string{idVPC}
	if have != nil {
		s.known = have.Physical
	} else if !b.assumed("subnet") {
		if cidr, err = blocks.take(public); err != nil {
			return err
		}
		if six {
			if cidr6, err = blocks.six.take(); err != nil {
				return err
			}
			needs = append(needs, idIPv6)
		}
	}
	tags := b.tags(id, role, "1")
	b.add(thing{
		Ref: fleet.Ref{ID: id, Kind: "subnet"}, area: "network", needs: needs,
		create: func() plan.Call {
			does := fmt.Sprintf("create %s subnet in %s (%s)", kind, zone, cidr)
			if six {
				does = fmt.Sprintf("create %s subnet in %s (%s, %s)", kind, zone, cidr, cidr6)
			}
			c := b.call(plan.Create, id, "ec2:CreateSubnet", does, fleet.Props{
				"vpcId": b.id(idVPC), "availabilityZone": zone, "cidrBlock": cidr, "ipv6CidrBlock": cidr6,
				"tagSpecifications": specification("subnet", tags),
			})
			c.Unless = true
			return c
		},
		differ: b.tagsOnly(tags),
	})
	if public {
		s.ways = append(s.ways, b.attribute(id, "addresses", "give public addresses to instances in "+zone, fleet.Props{"mapPublicIpOnLaunch": true}))
	}
	if six {
		s.ways = append(s.ways, b.attribute(id, "ipv6", "give IPv6 addresses to instances in "+zone, fleet.Props{"assignIpv6AddressOnCreation": true}))
	}
	if t := b.s.Network.HostnameType; t != "" {
		s.ways = append(s.ways, b.hostnames(id, t))
	}
	n.subnets = append(n.subnets, s)
	return nil
}

// attribute adds a switch of a subnet, of which EC2 takes one a call.
func (b *builder) attribute(subnet, name, does string, want fleet.Props) string {
	id := subnet + "/" + name
	have := b.o.first(subnet)
	done := have == nil && b.assumed("subnet") || have != nil && fleet.Covers(have.Props, want)
	b.part(id, "network", done, []string{subnet}, func() plan.Call {
		in := fleet.Props{"subnetId": b.id(subnet)}
		for k, v := range want {
			in[k] = fleet.Props{"value": v}
		}
		return b.call(plan.Change, id, "ec2:ModifySubnetAttribute", does, in)
	})
	return id
}

// hostnames adds how instances in a subnet are called.
func (b *builder) hostnames(subnet, want string) string {
	id := subnet + "/hostnames"
	have := b.o.first(subnet)
	done := have == nil && b.assumed("subnet") || have != nil && fleet.Text(have.Props, "privateDnsNameOptionsOnLaunch", "hostnameType") == want
	b.part(id, "network", done, []string{subnet}, func() plan.Call {
		return b.call(plan.Change, id, "ec2:ModifySubnetAttribute", "name instances in "+subnet+" by "+want, fleet.Props{
			"subnetId": b.id(subnet), "privateDnsHostnameTypeOnLaunch": want,
		})
	})
	return id
}
