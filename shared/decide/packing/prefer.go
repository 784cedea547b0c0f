package packing

// wishes tells whether a class has preferences that could choose between nodes.
func (w *world) wishes(c *class) bool {
	if w.x.p.Options.IgnorePreferences {
		return false
	}
	d := c.demand
	if len(d.PreferredNodes)+len(d.PreferredAffinity)+len(d.PreferredAntiAffinity) > 0 {
		return true
	}
	for _, t := range c.terms.spread {
		if t.soft {
			return true
		}
	}
	return false
}

// softWeight is what one pod more in a domain counts against it under a ScheduleAnyway constraint: as much as a preference of
// a tenth of the full weight.
const softWeight = 10

// score is how well a node suits a class's preferences: the weights of those that it meets, less those that it breaks.
func (w *world) score(c *class, n *node) (score int) {
	for _, p := range c.demand.PreferredNodes {
		if one := append(w.oneTerm[:0], p.Term); meetsAny(one, n.labels, n.name) {
			score += p.Weight
		}
	}
	in := func(g int) int {
		key := w.x.groups[g].key
		value, ok := n.domain(key)
		if !ok {
			return 0
		}
		count := 0
		for _, o := range w.nodes {
			if v, there := o.domain(key); there && v == value {
				count += w.members(o, g)
			}
		}
		return count
	}
	for i, p := range c.demand.PreferredAffinity {
		if in(c.terms.likes[i]) > 0 {
			score += p.Weight
		}
	}
	for i, p := range c.demand.PreferredAntiAffinity {
		if in(c.terms.dislikes[i]) > 0 {
			score -= p.Weight
		}
	}
	for _, t := range c.terms.spread {
		if t.soft {
			score -= softWeight * in(t.group) / t.maxSkew
		}
	}
	return score
}
