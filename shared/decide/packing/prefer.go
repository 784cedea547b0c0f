package packing

// wishes tells whether a class has preferences that could choose between nodes.
func (w *world) wishes(c *class, v *view) bool {
	return !w.x.p.Options.IgnorePreferences && len(c.demand.PreferredNodes)+len(v.wishes) > 0
}

// score is how well a place suits a class's preferences: the weights of those that it meets, less those that it breaks.
func (v *view) score(labels map[string]string, name string, domain func(key string) (string, bool)) (score int) {
	for i := range v.c.demand.PreferredNodes {
		p := &v.c.demand.PreferredNodes[i]
		if meetsTerm(&p.Term, labels, name) {
			score += p.Weight
		}
	}
	for i := range v.wishes {
		s := &v.wishes[i]
		d, ok := domain(s.key)
		count := s.count[d]
		switch {
		case !ok || count == 0:
		case s.each:
			score += s.weight * count
		default:
			score += s.weight
		}
	}
	return score
}

// weightOfPrice turns preferences into money: one of full weight (100) is worth five per cent of a node's price, and all together
// no more than weightMost.
const (
	weightOfPrice = 0.05 / 100
	weightMost    = 0.2
)

// preferred is the filter of the new nodes that a class would rather have: its own, narrowed by the preferred node affinity of
// the greatest weight, if such nodes can be had. What does not come to be placed there is placed without the wish.
func (w *world) preferred(c *class) int {
	d := c.demand
	if len(d.PreferredNodes) == 0 || w.x.p.Options.IgnorePreferences {
		return c.filter
	}
	best := 0
	for i := range d.PreferredNodes {
		if d.PreferredNodes[i].Weight > d.PreferredNodes[best].Weight {
			best = i
		}
	}
	narrow := w.x.narrowed(c.filter, d.PreferredNodes[best].Term)
	for s := range w.sigs {
		if w.sigs[s].admits(w.x, narrow) && w.hosts(s, &c.d) {
			return narrow
		}
	}
	return c.filter
}
