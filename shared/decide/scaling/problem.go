package scaling

import (
	"maps"
	"slices"

	"github.com/ekspedite/ekspedite/shared/decide/packing"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// target is what a packing pool stands for: a group, or a pool of the policy under one capacity type.
type target struct {
	group    *group
	pool     *pool
	capacity string
}

// bounds narrow a problem beyond what the pools say themselves: what one solution has shown to be impossible together.
type bounds struct {
	// zones are how many nodes more Auto Scaling would put into each zone of a group of several.
	zones map[*group]map[string]int
	// asked is what the zones were asked for before, missed how many pods had no room then: where the bound keeps pods from the
	// only zone that they may be in, the group grows until Auto Scaling gets there (wide).
	asked  map[*group]map[string]int
	missed int
	wide   bool
	// nodes, cpu and memory are what is left of a pool for one capacity type; a pool that is not there has its own limits.
	pools map[target]limits
	// offers are the only groups that a pool may use; nil is all.
	offers map[*pool][]offer
	// without are nodes that are taken away, extra the pods that wait for that, fixed allows no new nodes: questions of shrinking.
	without map[*node]bool
	extra   []fleet.Pod
	fixed   bool
}

type limits struct {
	nodes       int
	cpu, memory int64
}

// offer is what a group of a pool is for.
type offer struct {
	kind, zone string
	spot       bool
}

// build makes the packing problem of the scene, and says what its pools stand for.
func (s *scene) build(b bounds) (packing.Problem, []target) {
	p := packing.Problem{Pods: slices.Concat(s.waiting, b.extra), Daemons: s.o.Daemons, Options: packing.Options{
		PoolShare: s.p.Launch.PoolShare, IgnorePreferences: s.p.Pods.IgnorePreferences,
		// What nodes have of EKS's label stands in the pools, for self-managed nodes have none.
		CapacityLabels: []packing.CapacityLabel{{Key: labelCapacity, OnDemand: fleet.OnDemand, Spot: fleet.Spot}},
	}}
	for _, n := range s.nodes {
		if !b.without[n] {
			p.Nodes = append(p.Nodes, s.packed(n))
		}
	}
	var targets []target
	if b.fixed {
		return p, nil
	}
	for _, g := range s.groups {
		targets = s.addGroup(&p, targets, g, b)
	}
	for _, pool := range s.pools {
		targets = s.addPool(&p, targets, pool, b)
	}
	return p, targets
}

// packed is a node as the solver sees it, made once in a look.
func (s *scene) packed(n *node) packing.Node {
	if had, ok := s.asPacked[n]; ok {
		return had
	}
	out := s.asPacking(n)
	s.asPacked[n] = out
	return out
}

// closedTo tells why pending pods make a group no larger, or "".
func (g *group) closedTo() string {
	switch {
	case g.frozen != "":
		return g.frozen
	case g.own() && g.pool != nil:
		return "its pool is planned as one"
	case g.own():
		return "its pool is no longer in the policy"
	case g.asleep != "" && !g.wakes:
		return "it sleeps in window " + g.asleep
	case g.size >= g.max:
		return "it has its greatest size"
	}
	return ""
}

func (s *scene) addGroup(p *packing.Problem, targets []target, g *group, b bounds) []target {
	if g.closedTo() != "" || g.Kind == Fleet {
		return targets
	}
	t, ok := s.mixed(g, g.Types)
	if !ok {
		s.noteOnce("group %s is left out: nobody knows how much its instance types hold", g.Name)
		return targets
	}
	pool := packing.Pool{
		Name: g.Name, Labels: g.nodeLabels(), Taints: g.Taints, Machines: []int{len(p.Types)}, MaxNodes: g.max - g.size, Weight: g.policy.Weight,
	}
	p.Types = append(p.Types, t)
	perZone, bound := b.zones[g]
	if !bound {
		p.Pools = append(p.Pools, pool)
		return append(targets, target{group: g, capacity: g.capacity()})
	}
	for _, zone := range slices.Sorted(maps.Keys(perZone)) {
		one := pool
		one.Zones, one.MaxNodes = []string{zone}, min(perZone[zone], pool.MaxNodes)
		if one.MaxNodes > 0 {
			p.Pools = append(p.Pools, one)
			targets = append(targets, target{group: g, capacity: g.capacity()})
		}
	}
	return targets
}

func (s *scene) addPool(p *packing.Problem, targets []target, pool *pool, b bounds) []target {
	if pool.why != "" || pool.asleep != "" {
		return targets
	}
	left, ok := pool.left()
	if !ok {
		s.noteOnce("pool %s has reached its limit", pool.Name)
		return targets
	}
	for _, capacity := range pool.capacities() {
		t := target{pool: pool, capacity: capacity}
		room := left
		if bound, is := b.pools[t]; is {
			room = bound
		}
		if room.nodes < 0 || room.cpu < 0 || room.memory < 0 {
			continue
		}
		machines := s.poolTypes(p, pool, capacity, b.offers[pool], b.offers != nil)
		if len(machines) == 0 {
			continue
		}
		p.Pools = append(p.Pools, packing.Pool{
			Name: pool.Name, Labels: pool.nodeLabels(capacity == fleet.Spot), Taints: pool.nodeTaints(), Machines: machines, Zones: pool.zones,
			Capacity: []string{capacity}, MaxNodes: room.nodes, MaxCPU: room.cpu, MaxMemory: room.memory, Weight: pool.Weight,
		})
		targets = append(targets, t)
	}
	return targets
}

// left is what a pool may still have; 0 is no limit, and false says that there is nothing left.
func (p *pool) left() (l limits, ok bool) {
	nodes, cpu, memory := p.used()
	if p.MaxNodes > 0 {
		l.nodes = p.MaxNodes - nodes
	}
	if p.MaxCPU > 0 {
		l.cpu = p.MaxCPU - cpu
	}
	if p.MaxMemory > 0 {
		l.memory = p.MaxMemory - memory
	}
	return l, (p.MaxNodes == 0 || l.nodes > 0) && (p.MaxCPU == 0 || l.cpu > 0) && (p.MaxMemory == 0 || l.memory > 0)
}

// poolTypes adds the types of a pool under one capacity type, with those offerings that it may use.
func (s *scene) poolTypes(p *packing.Problem, pool *pool, capacity string, only []offer, bound bool) (machines []int) {
	pr := pool.profile()
	for _, kind := range pool.kinds {
		m := s.machines[kind]
		var offerings []packing.Offering
		for _, o := range m.Offerings {
			of := offer{kind, o.Zone, o.Spot}
			if o.Spot != (capacity == fleet.Spot) || !slices.Contains(pool.zones, o.Zone) || bound && !slices.Contains(only, of) || s.stuck(pool, of) {
				continue
			}
			// Here a machine would have to be asked for anew, which Auto Scaling does for its groups by itself: not before
			// there is hope.
			if _, short := s.short(kind, o.Zone, o.Spot); short {
				continue
			}
			risk := 0.0
			if o.Spot {
				risk = spotRisk
			}
			offerings = append(offerings, packing.Offering{Zone: o.Zone, Capacity: capacity, Price: o.Price, Risk: risk})
		}
		if len(offerings) == 0 {
			continue
		}
		image, _ := imageFor(pool.like.AMIType, m)
		pr.image = image
		r, _ := s.roomOf("pool/"+pool.Name, kind, pr)
		machines = append(machines, len(p.Types))
		p.Types = append(p.Types, r.asType(kind, m.Arch, s.o.Cluster.Region, pr, offerings))
	}
	return machines
}

// stuck tells whether the pool's group for an offering is there and cannot grow now, so that another one has to do.
func (s *scene) stuck(p *pool, of offer) bool {
	if p.Mode == fleet.PoolFleet {
		return false
	}
	name := p.groupName(of.kind, of.zone, of.spot)
	g := s.group[name]
	if g != nil && s.hopeless(g) != "" {
		return true
	}
	if _, refused := s.believed(func(x Shortage) bool { return x.Group == name }); refused { // it could not even be made
		return true
	}
	return g != nil && (g.frozen != "" || g.size >= g.max || g.asleep != "" && !g.wakes)
}
