package scaling

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// removalTime is how long a node may take to go: the longest usual grace, and what EC2 needs. A drain that something holds
// up ends before that, and the node stays.
const removalTime = 30 * time.Minute

// remember brings the memory up to date with what is seen.
func (s *scene) remember() {
	m := s.o.Memory
	s.memory = Memory{
		Shortages: m.Shortages, Orders: slices.Clone(m.Orders), Removals: slices.Clone(m.Removals),
		Quiet: map[string]time.Time{}, Slept: maps.Clone(m.Slept), Swap: m.Swap, Idle: map[string]time.Time{},
	}
	s.keepRemovals()
	s.keepOrders()
	for _, g := range s.groups {
		s.memory = s.memory.Learn(s.now, g.Group, s.p.Launch)
	}
	s.memory = s.memory.learnReclaims(s.now, s.o.Reclaims, s.p.Launch)
	s.forget()
}

// keepRemovals drops those that are done, or that have failed.
func (s *scene) keepRemovals() {
	there := map[string]bool{}
	for _, n := range s.o.Nodes {
		there[instanceOf(n)] = true
	}
	for _, i := range s.o.Instances {
		if !i.Gone() {
			there[i.ID] = true
		}
	}
	s.memory.Removals = slices.DeleteFunc(s.memory.Removals, func(r Removal) bool {
		if there[r.InstanceID] && s.now.Sub(r.At) > removalTime {
			s.note("node %s was to be removed %s ago and is still there: something holds up its drain", r.Node, s.now.Sub(r.At).Round(time.Minute))
			return true
		}
		return !there[r.InstanceID]
	})
}

// progress is how far an order has come.
type progress struct{ registered, ready int }

// keepOrders drops the orders that are fulfilled, and learns from those that are not in time.
func (s *scene) keepOrders() {
	s.progress = s.orderProgress()
	kept := s.memory.Orders[:0]
	var progress []progress
	for i, o := range s.memory.Orders {
		done := s.progress[i]
		switch {
		case done.ready >= o.Count:
			continue
		case s.now.Sub(o.At) > s.p.Launch.Timeout:
			s.note("%d of %d machines that were ordered for %s %s ago are no nodes yet", o.Count-done.ready, o.Count, o.Group, s.now.Sub(o.At).Round(time.Minute))
			s.giveBack[o.Group] += o.Count - done.registered
			s.blameTimeout(o)
			continue
		case s.now.Sub(o.At) > settle && s.withdrawn(o, done):
			continue
		}
		kept, progress = append(kept, o), append(progress, done)
	}
	s.memory.Orders, s.progress = kept, progress
}

// withdrawn tells whether what was ordered is wanted no more, or never got to AWS: nothing of it is to be seen.
func (s *scene) withdrawn(o Order, done progress) bool {
	g := s.orderedFrom(o)
	if g == nil {
		return true
	}
	return done.registered == done.ready && g.Desired <= len(g.live) && s.unregistered(g) == 0
}

func (s *scene) unregistered(g *group) (count int) {
	for _, m := range g.live {
		if !slices.ContainsFunc(s.o.Nodes, func(n fleet.Node) bool { return n.Is(m.InstanceID) }) {
			count++
		}
	}
	return count
}

// orderedFrom is the group that an order's machines come to, nil if it is not there (yet).
func (s *scene) orderedFrom(o Order) *group {
	if g := s.group[o.Group]; g != nil {
		return g
	}
	for _, g := range s.groups {
		if g.Kind == Fleet && o.Pool != "" && g.Pool == o.Pool {
			return g
		}
	}
	return nil
}

// orderProgress gives each node that has come since an order to one order, the oldest first.
func (s *scene) orderProgress() []progress {
	out := make([]progress, len(s.memory.Orders))
	nodes := slices.SortedFunc(slices.Values(s.o.Nodes), func(a, b fleet.Node) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.Name, b.Name))
	})
	for _, n := range nodes {
		g := s.groupOf[instanceOf(n)]
		for i, o := range s.memory.Orders {
			// Times in the API have whole seconds.
			if g == nil || s.orderedFrom(o) != g || n.Created.Before(o.At.Truncate(time.Second)) || out[i].registered == o.Count ||
				!o.is(n.Labels[fleet.LabelInstanceType]) || o.Zone != "" && o.Zone != n.Labels[fleet.LabelZone] {
				continue
			}
			out[i].registered++
			if n.Ready {
				out[i].ready++
			}
			break
		}
	}
	return out
}

// unseen is how much was ordered for a group so lately that it may not show yet.
func (s *scene) unseen(g *group) int {
	ordered := 0
	for i, o := range s.memory.Orders {
		if s.orderedFrom(o) == g && s.now.Sub(o.At) <= settle {
			ordered += o.Count - s.progress[i].registered
		}
	}
	if ordered == 0 {
		return 0
	}
	return max(ordered-max(g.Desired-len(g.live), 0)-s.unregistered(g), 0)
}

// comingFleet adds machines that EC2 was asked for and does not show yet.
func (s *scene) comingFleet(g *group) {
	unseen := s.unseen(g)
	for i, o := range s.memory.Orders {
		if s.orderedFrom(o) != g || s.now.Sub(o.At) > settle {
			continue
		}
		for range min(unseen, o.Count-s.progress[i].registered) {
			unseen--
			g.size++
			// Of several types that would do, the first is the one that was planned with.
			s.join(g, fmt.Sprintf("%s/%d", g.Name, unseen+1), o.types()[0], o.Zone)
		}
	}
}

// comingPools adds the nodes of groups that were ordered and are not there yet.
func (s *scene) comingPools() {
	made := map[string]*group{} // several orders may wait for the same group
	for _, o := range s.memory.Orders {
		g := made[o.Group]
		if g == nil {
			if s.orderedFrom(o) != nil || s.pool[o.Pool] == nil {
				continue
			}
			g = s.pool[o.Pool].future(o)
			made[o.Group] = g
			s.groups, s.group[g.Name] = append(s.groups, g), g
		}
		for range o.Count {
			g.size++
			s.join(g, fmt.Sprintf("%s/%d", g.Name, g.size), o.types()[0], o.Zone)
		}
	}
}

// Launched is the memory when EC2 has answered a LaunchFleet with fewer machines than were ordered: it waits for these.
func (m Memory) Launched(token string, machines int) Memory {
	m.Orders = slices.Clone(m.Orders)
	for i := range m.Orders {
		if m.Orders[i].Token == token {
			m.Orders[i].Count = machines
		}
	}
	m.Orders = slices.DeleteFunc(m.Orders, func(o Order) bool { return o.Count == 0 })
	return m
}

// takeBack drops the orders of a group that can have no machines now: what they were for is planned anew.
func (s *scene) takeBack(g *group) {
	var orders []Order
	var done []progress
	for i, o := range s.memory.Orders {
		if s.orderedFrom(o) == g {
			s.giveBack[g.Name] += o.Count - s.progress[i].registered
			continue
		}
		orders, done = append(orders, o), append(done, s.progress[i])
	}
	s.memory.Orders, s.progress = orders, done
}

// blameTimeout makes a shortage of an order that did not come in time, where nobody has said why.
func (s *scene) blameTimeout(o Order) {
	g := s.orderedFrom(o)
	if g == nil || len(g.Troubles) > 0 {
		return
	}
	blamed := g.Group
	blamed.Troubles = nil
	for _, kind := range o.types() {
		blamed.Troubles = append(blamed.Troubles, GroupTrouble{At: o.At.Add(s.p.Launch.Timeout), Code: codeTimeout, Type: kind, Zone: o.Zone})
	}
	s.memory = s.memory.Learn(s.now, blamed, s.p.Launch)
}

func instanceOf(n fleet.Node) string { return n.ProviderID[strings.LastIndex(n.ProviderID, "/")+1:] }
