package scaling

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/shared/decide/packing"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// solves bounds how often the problem is narrowed: each of the three bounds settles in one round, and may upset another.
const solves = 5

// answer is a solution with what it answers.
type answer struct {
	problem packing.Problem
	targets []target
	packing.Solution
}

// of is what a new node belongs to.
func (a answer) of(n packing.NewNode) target { return a.targets[n.Pool] }

// offering is where a new node is to come from.
func (a answer) offering(n packing.NewNode) packing.Offering {
	return a.problem.Types[n.Type].Offerings[n.Offering]
}

func (a answer) kind(n packing.NewNode) string { return a.problem.Types[n.Type].Name }

// solve places the waiting pods within what groups and pools can really do.
func (s *scene) solve() answer { return s.solveIn(bounds{}) }

func (s *scene) solveIn(b bounds) answer {
	for try := 1; ; try++ {
		var a answer
		a.problem, a.targets = s.build(b)
		a.Solution = packing.Solve(a.problem)
		if try == solves || !s.narrow(&b, a) {
			return a
		}
	}
}

// narrow adds the bounds that a solution goes beyond, and tells whether there are any.
func (s *scene) narrow(b *bounds, a answer) bool {
	zones, pools, slots := s.narrowZones(b, a), s.narrowPools(b, a), s.narrowSlots(b, a)
	return zones || pools || slots
}

// narrowZones holds groups of several zones to where Auto Scaling will put their next members.
func (s *scene) narrowZones(b *bounds, a answer) (narrower bool) {
	if len(b.zones) > 0 && !b.wide && len(a.Unplaced) > b.missed {
		return s.widenZones(b)
	}
	if len(b.zones) == 0 {
		b.missed = len(a.Unplaced)
	}
	asked := map[*group]map[string]int{}
	for _, n := range a.New {
		if g := a.of(n).group; g != nil && len(g.Zones) > 1 {
			if asked[g] == nil {
				asked[g] = map[string]int{}
			}
			asked[g][a.offering(n).Zone]++
		}
	}
	for g, zones := range asked {
		count := 0
		for _, n := range zones {
			count += n
		}
		if _, had := b.zones[g]; had || g.covering(zones, count) == count {
			continue
		}
		will := map[string]int{}
		for _, z := range nextZones(g.Zones, g.perZone(), count) {
			will[z]++
		}
		b.zones, b.asked, narrower = with(b.zones, g, will), with(b.asked, g, zones), true
	}
	return narrower
}

// widenZones lets groups grow by as many nodes as it takes for Auto Scaling to get to the zones that pods are bound to. What is
// too much goes again when it has stayed empty.
func (s *scene) widenZones(b *bounds) (wider bool) {
	b.wide = true
	for g, asked := range b.asked {
		n := g.covering(asked, g.max-g.size)
		if n <= 0 {
			continue
		}
		will := map[string]int{}
		for _, z := range nextZones(g.Zones, g.perZone(), n) {
			will[z]++
		}
		b.zones[g], wider = will, true
	}
	return wider
}

// narrowPools shares what is left of a pool between its capacity types, the cheaper one first.
func (s *scene) narrowPools(b *bounds, a answer) (narrower bool) {
	use := map[target]limits{}
	for _, n := range a.New {
		t := a.of(n)
		if t.pool == nil {
			continue
		}
		r := a.problem.Types[n.Type].Allocatable
		u := use[t]
		use[t] = limits{u.nodes + 1, u.cpu + r.CPU, u.memory + r.Memory}
	}
	for _, p := range s.pools {
		spot, onDemand := target{pool: p, capacity: fleet.Spot}, target{pool: p, capacity: fleet.OnDemand}
		if use[spot].nodes == 0 || use[onDemand].nodes == 0 {
			continue
		}
		if _, had := b.pools[onDemand]; had {
			continue
		}
		left, _ := p.left()
		rest, over := limits{}, false
		share := func(bound, most, first, second int64) int64 {
			if bound == 0 {
				return 0
			}
			over = over || first+second > most
			if most == first {
				return -1
			}
			return most - first
		}
		rest.nodes = int(share(int64(p.MaxNodes), int64(left.nodes), int64(use[spot].nodes), int64(use[onDemand].nodes)))
		rest.cpu = share(p.MaxCPU, left.cpu, use[spot].cpu, use[onDemand].cpu)
		rest.memory = share(p.MaxMemory, left.memory, use[spot].memory, use[onDemand].memory)
		if over {
			b.pools = with(with(b.pools, onDemand, rest), spot, use[spot])
			narrower = true
		}
	}
	return narrower
}

// narrowSlots holds the number of node groups to what the cluster may have: the new ones that carry most stay.
func (s *scene) narrowSlots(b *bounds, a answer) bool {
	if b.offers != nil {
		return false
	}
	type want struct {
		pool  *pool
		offer offer
		price float64
	}
	wanted := map[string]*want{}
	for _, n := range a.New {
		t, o := a.of(n), a.offering(n)
		if t.pool == nil || t.pool.Mode == fleet.PoolFleet {
			continue
		}
		of := offer{a.kind(n), o.Zone, o.Capacity == fleet.Spot}
		name := t.pool.groupName(of.kind, of.zone, of.spot)
		if s.group[name] != nil {
			continue
		}
		if wanted[name] == nil {
			wanted[name] = &want{pool: t.pool, offer: of}
		}
		wanted[name].price += o.Price
	}
	slots := max(s.p.MaxGroups-s.managed(), 0)
	if len(wanted) <= slots {
		return false
	}
	names := slices.SortedFunc(maps.Keys(wanted), func(x, y string) int {
		return cmp.Or(cmp.Compare(wanted[y].price, wanted[x].price), cmp.Compare(x, y))
	})
	s.noteOnce("the plan would need %d new node groups, and the cluster may have %d more (maxGroups %d): fewer kinds of nodes are used", len(wanted), slots, s.p.MaxGroups)
	b.offers = map[*pool][]offer{}
	for _, p := range s.pools {
		b.offers[p] = []offer{}
		for _, g := range p.groups {
			if len(g.Types) == 1 && len(g.Zones) == 1 {
				b.offers[p] = append(b.offers[p], offer{g.Types[0], g.Zones[0], g.Spot})
			}
		}
		if p.Mode == fleet.PoolFleet {
			for _, kind := range p.kinds {
				for _, o := range s.machines[kind].Offerings {
					b.offers[p] = append(b.offers[p], offer{kind, o.Zone, o.Spot})
				}
			}
		}
	}
	for _, name := range names[:slots] {
		b.offers[wanted[name].pool] = append(b.offers[wanted[name].pool], wanted[name].offer)
	}
	return true
}

// managed counts the cluster's managed node groups.
func (s *scene) managed() (count int) {
	for _, g := range s.groups {
		if g.Kind == Managed {
			count++
		}
	}
	return count
}

// explain says where pods go, and why others do not.
func (s *scene) explain(a answer) {
	e := &s.d.Explanation
	for i, at := range a.Placed {
		p := a.problem.Pods[i]
		if at < 0 || p.Namespace == headroomSpace {
			continue
		}
		if at < len(a.problem.Nodes) {
			e.Placed = with(e.Placed, p.ID(), a.problem.Nodes[at].Name)
		} else {
			e.Placed = with(e.Placed, p.ID(), fmt.Sprintf("new/%d", at-len(a.problem.Nodes)))
		}
	}
	closed := s.closedGroups()
	for _, u := range a.Unplaced {
		p := a.problem.Pods[u.Pod]
		reason := u.Reason
		if closed != "" && u.Refused == "" {
			reason += " (" + closed + ")"
		}
		if p.Namespace == headroomSpace {
			s.note("there is no room for headroom %s: %s", p.Name, reason)
			continue
		}
		s.left = append(s.left, LeftPod{Pod: p.ID(), Refused: u.Refused, Reason: reason})
	}
	for _, n := range a.New {
		e.New = append(e.New, s.explainNew(a, n))
	}
}

func (s *scene) explainNew(a answer, n packing.NewNode) NewNode {
	t, o := a.of(n), a.offering(n)
	out := NewNode{Type: a.kind(n), Zone: o.Zone, Capacity: o.Capacity, Price: o.Price, Why: n.Why, Room: a.problem.Types[n.Type].Allocatable}
	if t.group != nil {
		out.Group = t.group.Name
	} else {
		out.Pool, out.Group = t.pool.Name, t.pool.Name
		if t.pool.Mode == fleet.PoolGroups {
			out.Group = t.pool.groupName(out.Type, o.Zone, o.Capacity == fleet.Spot)
		}
	}
	for _, i := range n.Pods {
		p := a.problem.Pods[i]
		out.Pods = append(out.Pods, p.ID())
		out.Used = sum(out.Used, p.Demand.Requests)
	}
	return out
}

// groupsNamed is how many groups a nearest miss speaks of: there may be hundreds, and as many pods.
const groupsNamed = 4

// closedGroups says which groups could not be considered, and why: part of the nearest miss.
func (s *scene) closedGroups() string {
	var parts []string
	for _, g := range s.groups {
		if why := g.closedTo(); why != "" && !g.own() && g.Kind != Fleet {
			parts = append(parts, "group "+g.Name+": "+why)
		} else if len(g.Zones) > 1 && !g.own() {
			parts = append(parts, "group "+g.Name+" gets its next nodes where Auto Scaling balances its zones: pods that are bound to a zone are better off with a group for each")
		}
	}
	for _, p := range s.pools {
		short := 0
		for _, kind := range p.kinds {
			for _, o := range s.machines[kind].Offerings {
				if _, is := s.short(kind, o.Zone, o.Spot); is && slices.Contains(p.zones, o.Zone) && slices.Contains(p.CapacityTypes, capacityName(o.Spot)) {
					short++
				}
			}
		}
		if short > 0 {
			parts = append(parts, fmt.Sprintf("pool %s: EC2 had none of %d of its offerings lately", p.Name, short))
		}
	}
	if more := len(parts) - groupsNamed; more > 0 {
		parts = append(parts[:groupsNamed], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(parts, "; ")
}

func sum(a, b fleet.Resources) fleet.Resources {
	out := fleet.Resources{CPU: a.CPU + b.CPU, Memory: a.Memory + b.Memory, Storage: a.Storage + b.Storage, Other: maps.Clone(a.Other)}
	for k, v := range b.Other {
		out.Other = with(out.Other, k, out.Other[k]+v)
	}
	return out
}
