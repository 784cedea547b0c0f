package scaling

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// what tells what a failed launch says of.
type what int

const (
	ofOffering what = iota // of that type in that zone
	ofType                 // of the type in all zones: quotas know no zones
	ofZone                 // of all types in that zone
	ofGroup                // of the group: no machine comes of it at all
)

// meanings are those of EC2's error codes ("Error codes for the Amazon EC2 API"). A code that is not here is the group's own fault.
var meanings = map[string]what{
	"InsufficientInstanceCapacity":         ofOffering,
	"InsufficientHostCapacity":             ofOffering,
	"InsufficientReservedInstanceCapacity": ofOffering,
	"InsufficientCapacity":                 ofOffering,
	"ReservationCapacityExceeded":          ofOffering,
	"UnfulfillableCapacity":                ofOffering,
	"SpotMaxPriceTooLow":                   ofOffering,
	"Unsupported":                          ofOffering,
	codeTimeout:                            ofOffering,
	"VcpuLimitExceeded":                    ofType,
	"InstanceLimitExceeded":                ofType,
	"MaxSpotInstanceCountExceeded":         ofType,
	"InsufficientFreeAddressesInSubnet":    ofZone,
}

// codeTimeout is ours: a machine was asked for and did not become a node in time.
const codeTimeout = "NoNodeInTime"

// Learn is the memory with what a group's failed launches teach: offerings that EC2 has none of, for a while that doubles with
// each failure in a row. A failure that it knows already changes nothing.
func (m Memory) Learn(now time.Time, g Group, l fleet.LaunchPolicy) Memory {
	m.Shortages = slices.Clone(m.Shortages)
	for _, t := range g.Troubles {
		if now.Sub(t.At) > l.ShortAtMost {
			continue
		}
		meaning, known := meanings[t.Code]
		if !known {
			m.blame(Shortage{Group: g.Name}, t, l)
			continue
		}
		types, zones := g.Types, g.Zones
		if t.Type != "" && meaning != ofZone {
			types = []string{t.Type}
		}
		if t.Zone != "" && meaning != ofType {
			zones = []string{t.Zone}
		}
		for _, kind := range types {
			for _, zone := range zones {
				m.blame(Shortage{Type: kind, Zone: zone, Spot: g.Spot}, t, l)
			}
		}
	}
	m.sortShortages()
	return m
}

// codeReclaimed is ours: no launch has failed, but EC2 wants its spot machines of that offering back.
const codeReclaimed = "SpotReclaimed"

// learnReclaims is the memory with the offerings that EC2 takes back: what it wants from one cluster it will not give to another.
func (m Memory) learnReclaims(now time.Time, reclaims []fleet.Reclaim, l fleet.LaunchPolicy) Memory {
	m.Shortages = slices.Clone(m.Shortages)
	for _, r := range reclaims {
		if now.Sub(r.At) <= l.ShortAtMost {
			m.blame(Shortage{Type: r.Type, Zone: r.Zone, Spot: true}, GroupTrouble{At: r.At, Code: codeReclaimed}, l)
		}
	}
	m.sortShortages()
	return m
}

func (m *Memory) sortShortages() {
	slices.SortFunc(m.Shortages, func(a, b Shortage) int {
		return cmp.Or(cmp.Compare(a.Type, b.Type), cmp.Compare(a.Zone, b.Zone), cmp.Compare(fmt.Sprint(a.Spot), fmt.Sprint(b.Spot)), cmp.Compare(a.Group, b.Group))
	})
}

// blame remembers one failure of one offering.
func (m *Memory) blame(of Shortage, t GroupTrouble, l fleet.LaunchPolicy) {
	i := slices.IndexFunc(m.Shortages, func(s Shortage) bool {
		return s.Type == of.Type && s.Zone == of.Zone && s.Spot == of.Spot && s.Group == of.Group
	})
	if i < 0 {
		m.Shortages, i = append(m.Shortages, of), len(m.Shortages)
	}
	s := &m.Shortages[i]
	if !t.At.After(s.At) {
		return
	}
	s.Times, s.At, s.Code = s.Times+1, t.At, t.Code
	belief := l.ShortFor
	for range s.Times - 1 {
		belief = min(2*belief, l.ShortAtMost)
	}
	s.Until = t.At.Add(belief)
}

// forget drops shortages that a success has refuted, or that are long over.
func (s *scene) forget() {
	born := map[Shortage]time.Time{} // by offering
	for _, n := range s.o.Nodes {
		g := s.groupOf[instanceOf(n)]
		if g == nil {
			continue
		}
		for _, of := range []Shortage{{Group: g.Name}, {Type: n.Labels[fleet.LabelInstanceType], Zone: n.Labels[fleet.LabelZone], Spot: g.Spot}} {
			if n.Created.After(born[of]) {
				born[of] = n.Created
			}
		}
	}
	s.memory.Shortages = slices.DeleteFunc(s.memory.Shortages, func(x Shortage) bool {
		success := born[Shortage{Type: x.Type, Zone: x.Zone, Spot: x.Spot, Group: x.Group}]
		return success.After(x.At) || s.now.Sub(x.Until) > s.p.Launch.ShortAtMost
	})
}

// short is the shortage that an offering has now, if any.
func (s *scene) short(kind, zone string, spot bool) (Shortage, bool) {
	return s.believed(func(x Shortage) bool { return x.Group == "" && x.Type == kind && x.Zone == zone && x.Spot == spot })
}

func (s *scene) believed(is func(Shortage) bool) (Shortage, bool) {
	i := slices.IndexFunc(s.memory.Shortages, func(x Shortage) bool { return s.now.Before(x.Until) && is(x) })
	if i < 0 {
		return Shortage{}, false
	}
	return s.memory.Shortages[i], true
}

// hopeless tells why a group's missing machines are not to be counted on, or "".
func (s *scene) hopeless(g *group) string {
	if x, ok := s.believed(func(x Shortage) bool { return x.Group == g.Name }); ok {
		return "launches fail with " + x.Code
	}
	last := Shortage{}
	for _, kind := range g.Types {
		for _, zone := range g.Zones {
			x, ok := s.short(kind, zone, g.Spot)
			if !ok {
				return ""
			}
			last = x
		}
	}
	return fmt.Sprintf("%s of %s in %s until %s", last.Code, last.Type, last.Zone, last.Until.UTC().Format(time.TimeOnly))
}
