package scaling

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/shared/decide/packing"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// podsNamed is how many pods an order or a reason names.
const podsNamed = 5

// wish is what is to be ordered from one place.
type wish struct {
	offer
	count int
	pods  []string
	zones map[string]int // of groups with several
	// also are types that would do as well for all of its nodes, of a Fleet pool.
	also []string
}

func (w *wish) add(a answer, n packing.NewNode) {
	w.count++
	w.zones = with(w.zones, a.offering(n).Zone, w.zones[a.offering(n).Zone]+1)
	for _, i := range n.Pods {
		if p := a.problem.Pods[i]; p.Namespace != headroomSpace || len(w.pods) == 0 {
			w.pods = append(w.pods, p.ID())
		}
	}
}

func (w *wish) why() string {
	if len(w.pods) == 0 {
		return "to be there"
	}
	return "for " + some(w.pods, podsNamed)
}

// some names a few of many.
func some(names []string, most int) string {
	text := ""
	for i, n := range names[:min(most, len(names))] {
		if i > 0 {
			text += ", "
		}
		text += n
	}
	if more := len(names) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// order turns a solution into what groups shall become, and pools shall get.
func (s *scene) order(a answer) {
	groups := map[*group]*wish{}
	for _, n := range a.New {
		if g := a.of(n).group; g != nil {
			if groups[g] == nil {
				groups[g] = &wish{}
			}
			groups[g].add(a, n)
		}
	}
	for _, g := range s.groups {
		w := groups[g]
		if w == nil {
			continue
		}
		g.adds, g.wish = w.count, w
		if len(g.Zones) > 1 {
			if n := g.covering(w.zones, g.max-g.size); n > w.count {
				g.adds = n
				s.note("group %s grows by %d to get %d nodes in the zones where they are wanted: Auto Scaling balances its zones", g.Name, n, w.count)
			}
		}
	}
	for _, p := range s.pools {
		s.orderPool(a, p)
	}
	s.reservePools()
}

func (s *scene) orderPool(a answer, p *pool) {
	wishes := map[string]*wish{}
	for _, n := range a.New {
		if a.of(n).pool != p {
			continue
		}
		o := a.offering(n)
		of := offer{a.kind(n), o.Zone, o.Capacity == fleet.Spot}
		name := p.groupName(of.kind, of.zone, of.spot)
		if wishes[name] == nil {
			wishes[name] = &wish{offer: of}
			for _, t := range n.Alternatives {
				wishes[name].also = append(wishes[name].also, a.problem.Types[t].Name)
			}
		}
		w := wishes[name]
		w.also = slices.DeleteFunc(w.also, func(kind string) bool {
			return !slices.ContainsFunc(n.Alternatives, func(t int) bool { return a.problem.Types[t].Name == kind })
		})
		w.add(a, n)
	}
	for _, name := range slices.Sorted(maps.Keys(wishes)) {
		s.wish(p, name, wishes[name])
	}
}

// wish asks a pool for nodes: from its group for the offering, a new one, or EC2.
func (s *scene) wish(p *pool, name string, w *wish) {
	if p.Mode == fleet.PoolFleet {
		kinds := append([]string{w.kind}, w.also...)
		in := s.launch(p, kinds, w.zone, w.spot, w.count, w.pods)
		s.creates = append(s.creates, plan.LaunchFleet{Pool: p.Name, Count: w.count, Why: w.why(), Input: in})
		s.remembered(Order{Group: p.Name, Pool: p.Name, Type: strings.Join(kinds, "|"), Zone: w.zone, Spot: w.spot, Count: w.count, Pods: w.pods, Token: fleet.Text(in, "clientToken")})
		return
	}
	if g := s.group[name]; g != nil {
		if g.wish == nil {
			g.wish = w
		} else {
			g.wish.pods = append(g.wish.pods, w.pods...)
		}
		g.adds = min(g.adds+w.count, g.max-g.size)
		return
	}
	for i, c := range s.creates { // a reservation may want more of what pods want
		if had, ok := c.(plan.CreateGroup); ok && had.Group == name {
			had.Size = min(had.Size+w.count, maxGroupNodes)
			had.Input = s.creation(p, w.offer, had.Size)
			s.creates[i] = had
			s.remembered(Order{Group: name, Pool: p.Name, Type: w.kind, Zone: w.zone, Spot: w.spot, Count: w.count})
			return
		}
	}
	if w.count > maxGroupNodes {
		s.note("group %s begins with %d nodes of %d: more than that EKS gives to none", name, maxGroupNodes, w.count)
		w.count = maxGroupNodes
	}
	s.creates = append(s.creates, plan.CreateGroup{Pool: p.Name, Group: name, Size: w.count, Input: s.creation(p, w.offer, w.count), Why: w.why()})
	s.remembered(Order{Group: name, Pool: p.Name, Type: w.kind, Zone: w.zone, Spot: w.spot, Count: w.count, Pods: w.pods})
}

func (s *scene) remembered(o Order) {
	o.At = s.now
	o.Pods = o.Pods[:min(len(o.Pods), podsNamed)]
	s.orders = append(s.orders, o)
}

// resize brings every group to the size that it shall have.
func (s *scene) resize() {
	for _, g := range s.groups {
		if g.Kind == Fleet {
			continue
		}
		to, base := s.aim(g)
		least := s.leastSize(g)
		if to == g.Desired && least == nil {
			continue
		}
		if g.frozen != "" {
			if to != g.Desired {
				s.note("group %s should have %d nodes and stays at %d: %s", g.Name, to, g.Desired, g.frozen)
			}
			continue
		}
		if to > g.Max {
			to = g.Max
		}
		s.resizes = append(s.resizes, plan.ResizeGroup{
			Group: g.Name, AutoScalingGroup: g.AutoScalingGroup, From: g.Desired, To: to, Min: least, EKS: g.Kind == Managed, Why: s.whySize(g, to, base),
		})
		s.explainMore(g, to-base)
		if more := to - base; more > 0 {
			o := Order{Group: g.Name, Pool: g.Pool, Spot: g.Spot, Count: more}
			if len(g.Types) == 1 {
				o.Type = g.Types[0]
			}
			if len(g.Zones) == 1 {
				o.Zone = g.Zones[0]
			}
			if g.wish != nil {
				o.Pods = g.wish.pods
			}
			s.remembered(o)
		}
	}
	slices.SortStableFunc(s.creates, func(a, b plan.Action) int { return cmp.Compare(a.String(), b.String()) })
}

// aim is the size that a group shall have, and what it has of that without anybody asking for more.
func (s *scene) aim(g *group) (to, base int) {
	// What did not come is given back, so that it does not come when it has been got elsewhere.
	base = max(g.Desired-s.giveBack[g.Name], min(len(g.live), g.Desired))
	if g.asleep != "" && !g.wakes {
		base = min(base, max(len(g.live), g.min))
	}
	to = max(base+g.adds, g.target, min(g.Min, g.min))
	if g.moving {
		to = max(to, g.Desired)
	}
	return to, base
}

// leastSize is the least size that a group has to be given, nil if the one that it has will do: a sleeping group goes below
// its own, and gets it back as far as its greatest size, which may have been lowered meanwhile, allows.
func (s *scene) leastSize(g *group) *int {
	old, slept := s.memory.Slept[g.file()]
	switch {
	case g.moving:
	case g.asleep != "" && g.Min > g.min:
		least := g.min
		return &least
	case g.asleep == "" && slept && g.Min < min(old.Min, g.max):
		least := min(old.Min, g.max)
		return &least
	}
	return nil
}

// explainMore adds those of a group's new nodes that no pod has asked for to what is explained.
func (s *scene) explainMore(g *group, more int) {
	for _, n := range s.d.Explanation.New {
		if n.Group == g.Name {
			more--
		}
	}
	if more <= 0 {
		return
	}
	kind := strings.Join(g.Types, "|")
	for _, zone := range nextZones(g.Zones, g.perZone(), more) {
		s.d.Explanation.New = append(s.d.Explanation.New, NewNode{
			Group: g.Name, Pool: g.Pool, Type: kind, Zone: zone, Capacity: g.capacity(), Price: s.priceOf(kind, zone, g.capacity()), Why: "by " + cmp.Or(g.wants, "the balance of its zones"),
		})
	}
}

func (s *scene) whySize(g *group, to, base int) string {
	switch {
	case g.wish != nil && to > base:
		return g.wish.why()
	case g.asleep != "":
		return "window " + g.asleep + " is on"
	case to == g.target && g.wants != "":
		return "by " + g.wants
	case to < g.Desired:
		return "the machines that are missing do not come, and are planned elsewhere"
	}
	return "its least size"
}

// reservePools orders what reservations want of pools.
func (s *scene) reservePools() {
	for _, r := range s.p.Reservations {
		p := s.pool[r.Pool]
		if p == nil || !r.On(s.now) {
			continue
		}
		if p.why != "" {
			s.note("reservation %s cannot be met: pool %s cannot be used: %s", r.Name, p.Name, p.why)
			continue
		}
		have, _, _ := p.used()
		for _, w := range s.wanted(p) {
			have += w
		}
		missing := r.Nodes - have
		if p.MaxNodes > 0 {
			missing = min(missing, p.MaxNodes-have)
		}
		if missing <= 0 {
			continue
		}
		of, ok := s.cheapest(p, r.Type)
		if !ok {
			s.note("reservation %s cannot be met: pool %s has no %s to be had, or its cluster no room for another group", r.Name, p.Name, cmp.Or(r.Type, "machine"))
			continue
		}
		name := p.groupName(of.kind, of.zone, of.spot)
		s.wish(p, name, &wish{offer: of, count: missing, pods: []string{"reservation " + r.Name}})
		for range missing {
			s.d.Explanation.New = append(s.d.Explanation.New, NewNode{
				Group: name, Pool: p.Name, Type: of.kind, Zone: of.zone, Capacity: capacityName(of.spot), Price: s.priceOf(of.kind, of.zone, capacityName(of.spot)),
				Why: "by reservation " + r.Name,
			})
		}
	}
}

// wanted are the nodes that this look orders of a pool already.
func (s *scene) wanted(p *pool) (out []int) {
	for _, g := range p.groups {
		out = append(out, g.adds)
	}
	for _, c := range s.creates {
		switch c := c.(type) {
		case plan.CreateGroup:
			if c.Pool == p.Name {
				out = append(out, c.Size)
			}
		case plan.LaunchFleet:
			if c.Pool == p.Name {
				out = append(out, c.Count)
			}
		}
	}
	return out
}

// cheapest is a pool's cheapest offering of a type that is not short; of all its types if none is named.
func (s *scene) cheapest(p *pool, kind string) (best offer, found bool) {
	price := 0.0
	for _, k := range p.kinds {
		if kind != "" && k != kind {
			continue
		}
		for _, o := range s.machines[k].Offerings {
			of := offer{k, o.Zone, o.Spot}
			if _, short := s.short(k, o.Zone, o.Spot); short || s.stuck(p, of) || !s.slotFor(p, of) || !slices.Contains(p.zones, o.Zone) || !slices.Contains(p.CapacityTypes, capacityName(o.Spot)) {
				continue
			}
			if !found || o.Price < price {
				best, price, found = of, o.Price, true
			}
		}
	}
	return best, found
}

// slotFor tells whether an offering has a group, or may get one more.
func (s *scene) slotFor(p *pool, of offer) bool {
	name, made := p.groupName(of.kind, of.zone, of.spot), 0
	for _, c := range s.creates {
		if had, ok := c.(plan.CreateGroup); ok {
			if made++; had.Group == name {
				return true
			}
		}
	}
	return p.Mode == fleet.PoolFleet || s.group[name] != nil || s.managed()+made < s.p.MaxGroups
}

func capacityName(spot bool) string {
	if spot {
		return fleet.Spot
	}
	return fleet.OnDemand
}
