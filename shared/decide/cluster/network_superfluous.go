package cluster

import (
	"fmt"
	"slices"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// superfluous takes away what costs money and serves nobody once the file asks for fewer NAT gateways: the routes to them,
// when the other ways are there; then the gateways; then their addresses. Nothing else is deleted without being asked to.
func (b *builder) superfluous(n network) {
	if b.s.Network.VPC != "" {
		return
	}
	led := slices.Clone(n.exits)
	for _, table := range n.tables {
		id := table + "/default"
		if _, wanted := b.at[id]; wanted || routeTo(b.o.first(table), anywhere) == nil {
			continue
		}
		led = append(led, id)
		b.drop(id, id, slices.Concat(n.base, n.doors), b.call(plan.Delete, id, "ec2:DeleteRoute", "close the way to the internet in "+table,
			fleet.Props{"routeTableId": b.id(table), "destinationCidrBlock": anywhere}))
	}
	lost := func(zone string) bool { // nobody has said that it goes
		return len(b.s.Network.Zones) == 0 && !slices.Contains(n.zones, zone)
	}
	for _, zone := range b.o.zonesOf("nat/") {
		if !lost(zone) {
			b.superfluousNAT("nat/"+zone, led)
		}
	}
	for _, zone := range b.o.zonesOf("address/") {
		id, nat := "address/"+zone, "nat/"+zone
		if _, wanted := b.at[id]; wanted || lost(zone) {
			continue
		}
		var needs []string
		if at, there := b.at[nat]; there {
			if b.list[at].state == ready { // it stays, and so does its address
				continue
			}
			needs = []string{nat}
		}
		have := b.o.first(id)
		b.drop(id, "address "+have.Physical, needs, b.call(plan.Delete, id, "ec2:ReleaseAddress",
			"release address "+have.Physical+", which no NAT gateway uses any more", fleet.Props{"allocationId": have.Physical}))
	}
}

// drop adds something that is there and shall not be. It serves nobody until it is gone, and then it is not in the graph.
func (b *builder) drop(id, name string, needs []string, c plan.Call) *resource {
	return b.put(resource{Ref: fleet.Ref{ID: id, Kind: fleet.KindOf(id)}, id: id, area: "network", needs: needs, detail: name, do: []plan.Call{c}})
}

// superfluousNAT deletes a NAT gateway that is not asked for, once the routes that led to it lead elsewhere.
func (b *builder) superfluousNAT(id string, led []string) {
	have := b.o.first(id)
	if _, wanted := b.at[id]; wanted {
		return
	}
	for _, list := range b.o.Found {
		table := list[0]
		if _, ours := b.at[table.ID]; !ours && table.Kind == "routes" && fleet.Text(routeTo(&table, anywhere), "natGatewayId") == have.Physical {
			b.put(resource{Ref: have.Ref, id: id, area: "network", state: ready, notes: []string{fmt.Sprintf(
				"NAT gateway %s stays: route table %s (%s), of a zone that is not in the file, leads to it", have.Physical, table.ID, table.Physical)}})
			return
		}
	}
	r := b.drop(id, "NAT gateway "+have.Physical, led, b.dropNAT(*have, "which no route uses any more"))
	if slices.Contains(working, have.Status) {
		r.state, r.do, r.detail = pending, nil, "NAT gateway "+have.Physical+" ("+have.Status+")"
	}
}
