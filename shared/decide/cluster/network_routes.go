package cluster

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// way is a route: where to, by what. A gateway is a resource of the graph, field its name in the call, and target its id at
// AWS if that is not the resource's.
type way struct {
	destination, gateway, field string
	needs                       []string
	target                      string
}

// routeTable adds a table with its ways and its subnets.
func (b *builder) routeTable(id string, ways []way, subnets ...string) (routes []string) {
	b.add(thing{
		Ref: fleet.Ref{ID: id, Kind: "routes"}, area: "network", needs: []string{idVPC},
		create: func() plan.Call {
			c := b.call(plan.Create, id, "ec2:CreateRouteTable", "create route table "+id, fleet.Props{
				"vpcId": b.vpcID(), "tagSpecifications": specification("route-table", b.tags(id)),
			})
			c.Unless = true
			return c
		},
		differ: b.tagsOnly(b.tags(id)),
	})
	for _, w := range ways {
		routes = append(routes, b.route(id, w))
	}
	table := b.o.first(id)
	for _, s := range subnets {
		associated := false
		if table != nil {
			for _, a := range fleet.Items(table.Props, "associations") {
				associated = associated || fleet.Text(a, "subnetId") == b.id(s)
			}
		}
		b.part(s+"/routes", "network", associated, []string{id, s}, func() plan.Call {
			return b.call(plan.Change, s+"/routes", "ec2:AssociateRouteTable", "use "+id+" for "+s, fleet.Props{
				"routeTableId": b.id(id), "subnetId": b.id(s),
			})
		})
	}
	return routes
}

// routeTo is the route of a table to a destination; nil without.
func routeTo(table *fleet.Resource, destination string) fleet.Props {
	if table == nil {
		return nil
	}
	for _, r := range fleet.Items(table.Props, "routes") {
		if fleet.Text(r, "destinationCidrBlock") == destination || fleet.Text(r, "destinationIpv6CidrBlock") == destination {
			return r
		}
	}
	return nil
}

// route adds one route of a table. One that leads nowhere, because its target is gone, or elsewhere, is replaced.
func (b *builder) route(table string, w way) string {
	id, target := table+"/to/"+w.destination, cmp.Or(w.target, b.id(w.gateway))
	switch w.destination {
	case anywhere:
		id = table + "/default"
	case anywhere6:
		id = table + "/default6"
	}
	have := routeTo(b.o.first(table), w.destination)
	is := fleet.Text(have, w.field)
	right := is == target
	if kind := fleet.KindOf(w.gateway); w.target == "" && b.assumed(kind) { // which one was not read
		right = is != "" && (kind != "nat" || !b.shuffled())
	}
	right = right && fleet.Text(have, "state") != "blackhole"
	api, verb := "ec2:CreateRoute", "route"
	if len(have) > 0 {
		api, verb = "ec2:ReplaceRoute", "lead"
	}
	b.part(id, "network", right, append([]string{table}, w.needs...), func() plan.Call {
		return b.call(plan.Change, id, api, fmt.Sprintf("%s %s to %s in %s", verb, w.destination, w.gateway, table),
			towards(w.destination, fleet.Props{"routeTableId": b.id(table), w.field: target}))
	})
	return id
}

// towards says the destination of a route.
func towards(destination string, in fleet.Props) fleet.Props {
	if strings.Contains(destination, ":") {
		in["destinationIpv6CidrBlock"] = destination
	} else {
		in["destinationCidrBlock"] = destination
	}
	return in
}

// shuffled tells by the route tables alone, which is all that a light look reads, that private subnets do not use NAT
// gateways as the file has it: all the same one, or each its own.
func (b *builder) shuffled() bool {
	targets, tables := map[string]bool{}, 0
	for id, list := range b.o.Found {
		if strings.HasPrefix(id, "routes/private/") {
			tables++
			if t := fleet.Text(routeTo(&list[0], anywhere), "natGatewayId"); t != "" {
				targets[t] = true
			}
		}
	}
	switch b.s.Network.NAT {
	case fleet.NATSingle:
		return len(targets) > 1
	case fleet.NATHighlyAvailable:
		return len(targets) < tables-len(b.s.Network.Local)
	case fleet.NATDisable:
	}
	return false
}

// publicRoutes adds the table that leads to the internet, and some other ways.
func (b *builder) publicRoutes(n network, more []way) {
	out := func(to string) way {
		return way{destination: to, gateway: idGateway, field: "gatewayId", needs: []string{idAttachment}}
	}
	ways := []way{out(anywhere)}
	if b.ipv6() {
		ways = append(ways, out(anywhere6))
	}
	routes := b.routeTable("routes/public", append(ways, more...), n.ids(func(s subnet) bool { return s.public })...)
	for i, s := range n.subnets {
		if s.public {
			n.subnets[i].ways = slices.Concat(s.ways, []string{s.id + "/routes"}, routes)
		}
	}
}

// privateRoutes adds the NAT gateways, and for each zone a table that leads to the one it uses, and some other ways.
func (b *builder) privateRoutes(n *network, more []way) {
	exit := b.exits(n.zones)
	six := b.ipv6() && !b.s.Network.FullyPrivate
	for i, s := range n.subnets {
		if s.public {
			continue
		}
		table := "routes/private/" + s.zone
		var ways []way
		if nat := exit(s.zone); nat != "" {
			if _, made := b.at["nat/"+nat]; !made {
				b.natGateway(nat)
			}
			ways = append(ways, way{destination: anywhere, gateway: "nat/" + nat, field: "natGatewayId", needs: []string{"nat/" + nat}})
		}
		if six && !s.local {
			ways = append(ways, way{destination: anywhere6, gateway: idEgress, field: "egressOnlyInternetGatewayId", needs: []string{idEgress}})
		}
		routes := b.routeTable(table, append(ways, more...), s.id)
		n.exits, n.tables = append(n.exits, routes...), append(n.tables, table)
		n.subnets[i].ways = slices.Concat(s.ways, []string{s.id + "/routes"}, routes)
	}
}

// exits tells in which zone the NAT gateway of a zone is; "" without one. A single gateway stays where it is when zones
// come that are before its own: moving it would break connections.
func (b *builder) exits(zones []string) func(zone string) string {
	single := zones[0]
	for _, z := range slices.Backward(zones) {
		if g := b.o.first("nat/" + z); g != nil && g.Status != "deleting" && g.Status != "failed" {
			single = z
		}
	}
	return func(zone string) string {
		switch {
		case b.s.Network.NAT == fleet.NATDisable || b.s.Network.FullyPrivate:
			return ""
		case b.s.Network.NAT == fleet.NATHighlyAvailable && slices.Contains(zones, zone):
			return zone
		}
		return single // for Local Zones, too, which have no gateways
	}
}

func (b *builder) natGateway(zone string) {
	address, id := "address/"+zone, "nat/"+zone
	b.add(thing{
		Ref: fleet.Ref{ID: address, Kind: "address"}, area: "network",
		create: func() plan.Call {
			c := b.call(plan.Create, address, "ec2:AllocateAddress", "allocate an address for the NAT gateway in "+zone, fleet.Props{
				"domain": "vpc", "tagSpecifications": specification("elastic-ip", b.tags(address)),
			})
			c.Unless = true
			return c
		},
		differ: b.tagsOnly(b.tags(address)),
	})
	b.add(thing{
		Ref: fleet.Ref{ID: id, Kind: "nat"}, area: "network", needs: []string{address, "subnet/public/" + zone, idAttachment},
		create: func() plan.Call {
			input := fleet.Props{
				"subnetId": b.id("subnet/public/" + zone), "allocationId": b.id(address), "tagSpecifications": specification("natgateway", b.tags(id)),
			}
			input["clientToken"] = b.token(id, input)
			return b.call(plan.Create, id, "ec2:CreateNatGateway", "create NAT gateway in "+zone, input)
		},
		differ: b.tagsOnly(b.tags(id)),
		remake: func(have fleet.Resource) plan.Call { return b.dropNAT(have, "which failed") },
	})
}

func (b *builder) dropNAT(have fleet.Resource, why string) plan.Call {
	return b.call(plan.Delete, have.ID, "ec2:DeleteNatGateway", "delete NAT gateway "+have.Physical+", "+why, fleet.Props{"natGatewayId": have.Physical})
}
