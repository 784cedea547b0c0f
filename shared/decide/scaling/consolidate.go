package scaling

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/packing"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// trials bounds how often the solver is asked about sets of nodes in one look. What is left comes in the next one.
const trials = 24

// consolidate gives up nodes whose pods fit on the others: as many at once as there is leave for, the best saving for each
// eviction first. The whole set is tried, then halves of it, so that few questions settle many nodes.
func (s *scene) consolidate(a answer, idle []candidate) {
	patient := slices.DeleteFunc(slices.Clone(idle), func(c candidate) bool {
		return s.now.Sub(c.since) < s.p.Shrink.PatienceUnderused || c.price > 0 && c.worth() < s.p.Shrink.EvictionCost
	})
	slices.SortStableFunc(patient, func(x, y candidate) int {
		return cmp.Or(cmp.Compare(y.worth(), x.worth()), cmp.Compare(len(x.evictions), len(y.evictions)))
	})
	set := s.emptied(a, patient, fleet.ReasonUnderused)
	for _, c := range set {
		s.giveUp(c, fleet.ReasonUnderused, fmt.Sprintf("%s on other nodes: %.4f $/h less", count(len(c.evictions), "pod fits", "pods fit"), c.price))
	}
}

// emptied is the set of nodes, in their order, whose pods all fit on the nodes that stay.
func (s *scene) emptied(a answer, from []candidate, reason string) (set []candidate) {
	batch := max(s.allowed(reason), 1)
	for range trials {
		more, rest := s.next(from, set, batch, reason)
		if len(more) == 0 {
			return set
		}
		switch whole := slices.Concat(set, more); {
		case s.fits(a, whole):
			set, from, batch = whole, rest, 2*batch
		case len(more) == 1:
			from = rest
		default:
			batch = len(more) / 2
		}
	}
	return set
}

// next are the first candidates that there is leave for beside a set, and those that remain when they are settled.
func (s *scene) next(from, set []candidate, most int, reason string) (more, rest []candidate) {
	leave := s.permit(reason)
	for _, c := range set {
		leave.take(c)
	}
	for i, c := range from {
		if len(more) == most {
			return more, append(rest, from[i:]...)
		}
		if why := leave.take(c); why != "" {
			s.keep(c.node, why)
			rest = append(rest, c)
			continue
		}
		more = append(more, c)
	}
	return more, rest
}

// fits tells whether the pods of a set of nodes, and all that wait and have room, have room on the others.
func (s *scene) fits(a answer, set []candidate) bool {
	b := s.lacking(set)
	b.fixed = true
	p, _ := s.build(b)
	return len(packing.Solve(p).Unplaced) <= len(a.Unplaced)
}

// lacking is the world without a set of nodes, whose pods wait.
func (s *scene) lacking(set []candidate) bounds {
	b := bounds{without: map[*node]bool{}}
	pinned := map[*fleet.Demand]*fleet.Demand{}
	for _, c := range set {
		b.without[c.node] = true
		for _, p := range c.evictions {
			if s.expendable(p) {
				continue
			}
			if c.capacity == fleet.OnDemand && s.shareOf(p) < 1 { // it counts as one of those that are not on spot nodes
				if pinned[p.Demand] == nil {
					pinned[p.Demand] = onDemandOnly(p.Demand)
				}
				p.Demand = pinned[p.Demand]
			}
			p.Node = ""
			b.extra = append(b.extra, p)
		}
	}
	return b
}

// swapTime is how long a replacement may take once its new nodes are there; after that the old ones stay, and all is weighed anew.
const swapTime = 30 * time.Minute

// finishSwap gives up the nodes that cheaper ones were ordered for, now that these are there.
func (s *scene) finishSwap(a answer, idle []candidate) {
	swap := s.memory.Swap
	old := slices.DeleteFunc(slices.Clone(idle), func(c candidate) bool { return !slices.Contains(swap.Nodes, c.UID) })
	if len(old) == 0 || s.now.Sub(swap.At) > s.p.Launch.Timeout+swapTime {
		s.memory.Swap = nil
		return
	}
	set := s.emptied(a, old, fleet.ReasonCheaper)
	for _, c := range set {
		s.giveUp(c, fleet.ReasonCheaper, swap.Why)
	}
	if len(set) > 0 {
		return
	}
	if more, _ := s.next(old, nil, 1, fleet.ReasonCheaper); len(more) > 0 { // there is leave, and no room: others have taken it
		s.memory.Swap = nil
	}
}

// replace orders cheaper nodes for a set of others, if that saves enough for the pods that have to move. The old ones go when the
// new ones are there.
func (s *scene) replace(a answer, idle []candidate) {
	if gaps(s.o, "market") != "" {
		return
	}
	patient := slices.DeleteFunc(slices.Clone(idle), func(c candidate) bool {
		return c.empty() || c.price == 0 || s.now.Sub(c.since) < s.p.Shrink.PatienceUnderused
	})
	slices.SortStableFunc(patient, func(x, y candidate) int { return cmp.Compare(y.waste(), x.waste()) })
	best, gain := swapOf{}, 0.0
	try := func(set []candidate) bool {
		w, ok := s.weigh(a, set)
		if ok && w.gain > gain {
			best, gain = w, w.gain
		}
		return ok
	}
	tries := trials / 2
	for most := s.allowed(fleet.ReasonCheaper); most > 0 && tries > 0; most, tries = most/2, tries-1 {
		set, rest := s.next(patient, nil, most, fleet.ReasonCheaper)
		if len(set) < most {
			most = len(set)
		}
		if len(set) == 0 || try(set) {
			break
		}
		if most == 1 { // the most wasteful one is none: perhaps another one is
			for ; tries > 0 && len(rest) > 0; tries-- {
				if set, rest = s.next(rest, nil, 1, fleet.ReasonCheaper); len(set) == 0 || try(set) {
					break
				}
			}
		}
	}
	if gain > 0 {
		s.swap(best)
	}
}

// waste is what the node costs for each core's worth of what its pods ask for; memory is worth a core for each 8 GiB, as
// machines of the m families have it for two.
func (c candidate) waste() float64 {
	use := 0.0
	for _, p := range c.evictions {
		if p.Demand != nil {
			use += max(float64(p.Demand.Requests.CPU)/1000, float64(p.Demand.Requests.Memory)/(8*gib))
		}
	}
	return c.price / max(use, 0.01)
}

// swapOf is a replacement that was weighed.
type swapOf struct {
	answer
	set       []candidate
	saves     float64 // USD an hour
	evictions int
	gain      float64 // USD a month, what moving pods is held to cost deducted
}

// weigh asks what the pods of a set of nodes would cost on new ones.
func (s *scene) weigh(a answer, set []candidate) (w swapOf, worth bool) {
	w = swapOf{answer: s.solveIn(s.lacking(set)), set: set}
	if len(w.Unplaced) > len(a.Unplaced) || len(w.New) == 0 {
		return w, false
	}
	old := 0.0
	for _, c := range set {
		old += c.price
		w.evictions += len(c.evictions)
	}
	w.saves = old - w.Price
	w.gain = w.saves*hoursAMonth - float64(w.evictions)*s.p.Shrink.EvictionCost
	for _, n := range w.New {
		if w.offering(n).Short {
			return w, false
		}
	}
	return w, w.saves >= old*s.p.Shrink.MinSaving && w.gain > 0
}

// swap orders the new nodes and remembers the old ones.
func (s *scene) swap(w swapOf) {
	var names []string
	swap := &Swap{At: s.now}
	for _, c := range w.set {
		names, swap.Nodes = append(names, c.Name), append(swap.Nodes, c.UID)
	}
	swap.Why = fmt.Sprintf("%s the place of %s: %.4f $/h less, %s", count(len(w.New), "cheaper node takes", "cheaper nodes take"),
		some(names, podsNamed), w.saves, count(w.evictions, "pod moves", "pods move"))
	s.memory.Swap = swap
	s.note("%s", swap.Why)
	for _, n := range w.New {
		s.d.Explanation.New = append(s.d.Explanation.New, s.explainNew(w.answer, n))
	}
	s.order(w.answer)
}
