package scaling

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/shared/plan"
)

// How long until the next look: soon after an order, when EC2 says what it has none of; later while machines start and nodes
// drain. What only time changes is left to the sweep of every minute.
const (
	soon  = 10 * time.Second
	later = 30 * time.Second
)

// retire deletes groups of pools that have had no nodes for a while.
func (s *scene) retire() {
	for _, g := range s.groups {
		if g.stillborn() {
			s.retires = append(s.retires, plan.RetireGroup{Group: g.Name, Pool: g.Pool, Why: "EKS could not create it"})
			continue
		}
		if !g.own() || g.Kind != Managed || g.Desired > 0 || len(g.Members) > 0 || len(g.nodes) > 0 || g.adds > 0 || g.target > 0 || g.frozen != "" {
			continue
		}
		since, had := s.o.Memory.Idle[g.Name]
		if !had {
			since = s.now
		}
		after := 30 * time.Minute
		if g.pool != nil {
			after = g.pool.RetireAfter
		}
		s.memory.Idle[g.Name] = since
		if g.pool != nil && g.asleep != "" || s.now.Sub(since) < after {
			continue
		}
		s.retires = append(s.retires, plan.RetireGroup{Group: g.Name, Pool: g.Pool, Why: fmt.Sprintf("it has had no nodes for %s", s.now.Sub(since).Round(time.Minute))})
		delete(s.memory.Slept, g.file())
	}
}

// stillborn tells whether a group of a pool never came to be, and has nothing that somebody could lose.
func (g *group) stillborn() bool {
	return g.own() && g.Kind == Managed && g.Status == "CREATE_FAILED" && len(g.live) == 0
}

// conclude writes the decision down.
func (s *scene) conclude(a answer) {
	p := &s.d.Plan
	p.Add("make room", slices.Concat(s.resizes, s.creates)...)
	p.Add("give up nodes", s.removes...)
	p.Add("retire groups", s.retires...)
	slices.SortFunc(s.left, func(a, b LeftPod) int { return cmp.Compare(a.Pod, b.Pod) })
	s.d.Explanation.Left = s.left
	s.total()
	for _, x := range s.memory.Shortages {
		if s.now.Before(x.Until) && x.Group == "" {
			s.note("EC2 has no %s %s in %s (%s, %d in a row): avoided until %s", strings.ToLower(capacityName(x.Spot)), x.Type, x.Zone, x.Code, x.Times, x.Until.UTC().Format(time.TimeOnly))
		}
	}
	p.Notes = s.notes
	s.memory.Orders = append(s.memory.Orders, s.orders...)
	for name := range maps.Keys(s.memory.Slept) {
		if s.named(name) == nil {
			delete(s.memory.Slept, name)
		}
	}
	s.d.Memory = s.memory.tidy()
	p.Reason = s.reason()
	switch {
	case len(s.orders) > 0, len(s.resizes) > 0:
		p.LookAgain = soon
	case slices.ContainsFunc(s.memory.Orders, func(o Order) bool { return s.now.Sub(o.At) < settle }):
		p.LookAgain = soon
	case len(s.memory.Orders) > 0, len(s.memory.Removals) > 0, s.memory.Swap != nil:
		p.LookAgain = later
	}
}

// reason is the plan in a sentence.
func (s *scene) reason() string {
	e := s.d.Explanation
	parts := []string{count(s.pending-s.homeless, "pod waits", "pods wait")}
	if s.homeless > 0 {
		parts = append(parts, count(s.homeless, "pod loses its node", "pods lose their nodes"))
	}
	on := 0
	for _, where := range e.Placed {
		if !strings.HasPrefix(where, "new/") {
			on++
		}
	}
	if on > 0 {
		parts = append(parts, fmt.Sprintf("%s room on nodes that are there or on their way", count(on, "of them has", "of them have")))
	}
	if len(e.New) > 0 {
		parts = append(parts, fmt.Sprintf("%s for %.4f $/h", count(len(e.New), "node is ordered", "nodes are ordered"), price(e.New)))
	}
	if len(e.Left) > 0 {
		parts = append(parts, count(len(e.Left), "gets no node", "get no node"))
	}
	if len(e.Going) > 0 {
		parts = append(parts, fmt.Sprintf("%s, which saves %.4f $/h", count(len(e.Going), "node is given up", "nodes are given up"), e.Saves))
	}
	return strings.Join(parts, "; ")
}

// count is a number of things, as people say it.
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprint(n) + " " + many
}

func price(nodes []NewNode) (sum float64) {
	for _, n := range nodes {
		sum += n.Price
	}
	return sum
}

// total says what the cluster has and costs, before and after.
func (s *scene) total() {
	e := &s.d.Explanation
	for _, n := range s.nodes {
		e.Before.add(n.price)
	}
	e.After = e.Before
	for _, n := range e.New {
		e.After.add(n.Price)
	}
	for _, n := range e.Going {
		e.After.Nodes--
		e.After.Price -= n.Price
		if n.Price == 0 {
			e.After.Unknown--
		}
	}
}

func (t *Total) add(price float64) {
	t.Nodes++
	t.Price += price
	if price == 0 {
		t.Unknown++
	}
}

// tidy leaves out what is empty, so that nothing remembered is nothing stored.
func (m Memory) tidy() Memory {
	if len(m.Shortages) == 0 {
		m.Shortages = nil
	}
	if len(m.Orders) == 0 {
		m.Orders = nil
	}
	if len(m.Removals) == 0 {
		m.Removals = nil
	}
	if len(m.Quiet) == 0 {
		m.Quiet = nil
	}
	if len(m.Slept) == 0 {
		m.Slept = nil
	}
	if len(m.Idle) == 0 {
		m.Idle = nil
	}
	return m
}
