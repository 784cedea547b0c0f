package scaling

import (
	"slices"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// keepHours applies scale windows and reservations to the groups. Of several wishes for a size the greatest wins, within the
// group's greatest size; of several limits the least.
func (s *scene) keepHours() {
	for _, r := range s.p.Reservations {
		if p := s.pool[r.Pool]; p != nil && r.On(s.now) {
			p.reserved = max(p.reserved, r.Nodes)
		}
	}
	for _, w := range s.p.Windows {
		if !w.Schedule.On(s.now) {
			continue
		}
		for _, g := range s.groups {
			if g.moving { // it keeps its size until it has moved
				continue
			}
			if len(w.Groups) == 0 || slices.Contains(w.Groups, g.file()) || g.own() && slices.Contains(w.Groups, g.Pool) {
				g.during(w)
			}
		}
		for _, p := range s.pools {
			if w.Size != nil && !w.Wake && p.reserved == 0 && (len(w.Groups) == 0 || slices.Contains(w.Groups, p.Name)) {
				p.asleep = w.Name
			}
		}
	}
	for _, r := range s.p.Reservations {
		if g := s.named(r.Group); g != nil && !g.moving && r.On(s.now) {
			g.want(r.Nodes, "reservation "+r.Name)
		}
	}
	for _, g := range s.groups {
		if !g.moving {
			s.wake(g)
		}
		if g.asleep != "" {
			g.min = min(g.sleepAt, g.min)
		}
		if g.target > g.max {
			s.note("%s wants %d nodes of group %s, which may have %d", g.wants, g.target, g.Name, g.max)
			g.target = g.max
		}
		g.min = max(g.min, g.target)
	}
}

// during applies a window that is on.
func (g *group) during(w fleet.ScaleWindow) {
	if w.Size != nil && (g.pool == nil || g.pool.reserved == 0) {
		size := *w.Size
		if g.own() {
			size = 0 // a size is of a group that somebody has named; what is made by demand goes with it
		}
		g.asleep, g.sleepAt = w.Name, max(g.sleepAt, size)
		g.wakes = g.wakes || w.Wake
	}
	if w.Min != nil {
		g.want(*w.Min, "window "+w.Name)
	}
	if w.Max != nil {
		g.max = min(g.max, *w.Max)
	}
}

// want asks for a size.
func (g *group) want(nodes int, who string) {
	if nodes > g.target {
		g.target, g.wants = nodes, who
	}
}

// wake gives a group that has slept its old size back; it is remembered until that is to be seen.
func (s *scene) wake(g *group) {
	old, slept := s.memory.Slept[g.file()]
	switch {
	case g.asleep != "" && !slept:
		old = Size{Min: g.Min, Desired: g.Desired}
		if g.own() {
			old = Size{} // it came by demand, and comes again by demand
		}
		s.memory.Slept = with(s.memory.Slept, g.file(), old)
	case g.asleep == "" && slept && g.Min >= min(old.Min, g.Max) && g.Desired >= min(old.Desired, g.Max): // which may have been lowered while it slept
		delete(s.memory.Slept, g.file())
	case g.asleep == "" && slept:
		g.min = max(g.min, min(old.Min, g.max))
		g.want(min(old.Desired, g.max), "the end of its window")
	}
}
