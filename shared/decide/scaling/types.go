package scaling

import (
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/shared/decide/packing"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// spotRisk is an hour's share of AWS's lowest band of interruptions, 5 % a month (Spot Instance advisor). Nobody tells the
// figure of a pool through an API: it only makes on-demand the safer of two plans of one price.
const spotRisk = 0.05 / 730

// seenKey is a kind of node that a live one tells of: of a group, or of a pool's groups together.
type seenKey struct{ owner, kind string }

// owner is whose live nodes tell of the group's next one.
func (g *group) owner() string {
	if g.own() {
		return "pool/" + g.Pool
	}
	return "group/" + g.Name
}

// measure remembers what live nodes offer: the least of each kind.
func (s *scene) measure() {
	for _, n := range s.nodes {
		if n.group == nil || !n.Ready || n.Allocatable.CPU == 0 || n.MaxPods == 0 {
			continue
		}
		m, known := s.machines[n.kind]
		r := room{resources: n.Allocatable, maxPods: n.MaxPods, attach: n.AttachLimits}
		if known {
			r = estimate(m, n.group.profile(), s.p.Nodes).measured(n.Node, s.now.Sub(n.Created) > s.p.Launch.Timeout)
		}
		key := seenKey{n.group.owner(), n.kind}
		if had, ok := s.seen[key]; ok {
			r = r.least(had)
		}
		s.seen[key] = r
	}
}

// roomOf is what a new node of a kind will offer; false where nobody knows.
func (s *scene) roomOf(owner, kind string, pr profile) (room, bool) {
	if r, ok := s.seen[seenKey{owner, kind}]; ok {
		return r, true
	}
	m, ok := s.machines[kind]
	if !ok {
		return room{}, false
	}
	return estimate(m, pr, s.p.Nodes), true
}

// mixed is a group's next node: of one type as it is, of several as little as any of them has. Its name has all of them, so
// that no pod that asks for a type by name is planned on a machine that may be another.
func (s *scene) mixed(g *group, kinds []string) (packing.Type, bool) {
	var all room
	arch := ""
	for i, kind := range kinds {
		r, ok := s.roomOf(g.owner(), kind, g.profile())
		if !ok {
			return packing.Type{}, false
		}
		if i == 0 {
			all = r
		} else {
			all = all.least(r)
		}
		if m, known := s.machines[kind]; known {
			arch = m.Arch
		}
	}
	if arch == "" {
		arch = archOf(g)
	}
	return all.asType(strings.Join(kinds, "|"), arch, s.o.Cluster.Region, g.profile(), s.offeringsOf(g, kinds)), len(kinds) > 0
}

// archOf is a group's processor where the market does not say: its live nodes', or its image's.
func archOf(g *group) string {
	for _, n := range g.nodes {
		if a := n.Labels[fleet.LabelArch]; a != "" {
			return a
		}
	}
	if strings.Contains(g.AMIType, "ARM_64") {
		return "arm64"
	}
	return "amd64"
}

// offeringsOf is where a group's next node can be, at the price of the dearest of its types.
func (s *scene) offeringsOf(g *group, kinds []string) (out []packing.Offering) {
	for _, zone := range slices.Sorted(slices.Values(g.Zones)) {
		o := packing.Offering{Zone: zone, Capacity: g.capacity(), Short: true}
		if g.Spot {
			o.Risk = spotRisk
		}
		for _, kind := range kinds {
			price := s.priceOf(kind, zone, g.capacity())
			if price == 0 {
				price = s.guessPrice(kind)
			}
			o.Price = max(o.Price, price)
			if _, short := s.short(kind, zone, g.Spot); !short {
				o.Short = false
			}
		}
		if _, own := s.believed(func(x Shortage) bool { return x.Group == g.Name }); own {
			o.Short = true
		}
		out = append(out, o)
	}
	return out
}

// typeFor is what a node to come will be.
func (s *scene) typeFor(n *node) (packing.Type, bool) {
	if n.group == nil {
		return packing.Type{}, false
	}
	return s.mixed(n.group, strings.Split(n.kind, "|"))
}

// priceOf is an offering's price an hour; 0 where nobody knows. Of several types it is the dearest's.
func (s *scene) priceOf(kinds, zone, capacity string) (price float64) {
	for kind := range strings.SplitSeq(kinds, "|") {
		for _, o := range s.machines[kind].Offerings {
			if o.Zone == zone && o.Spot == (capacity == fleet.Spot) {
				price = max(price, o.Price)
			}
		}
	}
	return price
}

// guessPrice stands in for a price that nobody knows: the dearest core of the market, so that a known price wins. Without a
// market all machines are alike.
func (s *scene) guessPrice(kind string) float64 {
	if s.dearest == 0 {
		return 1
	}
	return s.dearest * float64(max(s.machines[kind].VCPUs, 2))
}

// readMarket makes the market ready to be asked.
func (s *scene) readMarket() {
	for _, m := range s.o.Market.Types {
		s.machines[m.Name] = m
		for _, o := range m.Offerings {
			if m.VCPUs > 0 && len(m.Accelerators) == 0 {
				s.dearest = max(s.dearest, o.Price/float64(m.VCPUs))
			}
		}
	}
}
