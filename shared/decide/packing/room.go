package packing

import (
	"cmp"
	"slices"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// useRoom puts simple classes onto the nodes that there are, or are planned. The fullest come first, so that the emptiest may become empty.
func (w *world) useRoom(classes []int) {
	open := slices.DeleteFunc(slices.Clone(w.nodes), func(n *node) bool { return n.closed })
	full := map[*node]float64{}
	for _, n := range open {
		full[n] = min(n.left[dimCPU]/max(1, n.all[dimCPU]), n.left[dimMemory]/max(1, n.all[dimMemory]))
	}
	slices.SortStableFunc(open, func(a, b *node) int { return cmp.Compare(full[a], full[b]) })
	for _, ci := range classes {
		c := w.x.classes[ci]
		for _, n := range open {
			if w.waiting(ci) == 0 {
				break
			}
			if !fits(w.x.dims.n, &c.d, &n.left) || !w.admits(n, c.filter) {
				continue
			}
			if k := w.roomFor(ci, n); k > 0 {
				w.put(ci, n, k)
			}
		}
	}
}

// roomFor is how many waiting pods of a simple class a node may take.
func (w *world) roomFor(ci int, n *node) int {
	c := w.x.classes[ci]
	k := times(w.x.dims.n, &c.d, &n.left, w.waiting(ci))
	if len(c.demand.HostPorts) > 0 {
		if w.clash(c, n) != "" {
			return 0
		}
		k = min(k, 1)
	}
	for _, g := range c.terms.anti {
		if w.members(n, g) > 0 {
			return 0
		}
		if c.memberOf(g) {
			k = min(k, 1)
		}
	}
	for _, g := range c.groups {
		for _, o := range w.carry[g] {
			if slices.ContainsFunc(n.on, func(p pile) bool { return p.class == o }) {
				return 0
			}
		}
	}
	return min(k, w.crowdRoom(ci, n))
}

// crowds tells whether a class limits how many pods of a group there are on its host.
func (w *world) crowds(c *class) bool {
	return slices.ContainsFunc(c.terms.spread, func(t spreadTerm) bool {
		return !t.soft && w.x.groups[t.group].key == fleet.LabelHostname
	})
}

// crowdRoom is how many pods of a class a node may have more by the topology spread over hosts of the class, and by that of those
// who are there: the scheduler asks only whoever comes, but who has come might have to come again.
func (w *world) crowdRoom(ci int, n *node) int {
	if len(w.crowd) == 0 {
		return unlimited
	}
	c, k := w.x.classes[ci], unlimited
	limit := func(of *class) {
		for _, t := range of.terms.spread {
			if t.soft || w.x.groups[t.group].key != fleet.LabelHostname {
				continue
			}
			rest := t.maxSkew - w.counted(n, t.group)
			switch {
			case c.memberOf(t.group):
				k = min(k, max(rest, 0))
			case rest < 0 && of == c:
				k = 0
			}
		}
	}
	limit(c)
	for _, p := range n.on {
		if o := w.x.classes[p.class]; o != c && len(o.terms.spread) > 0 {
			limit(o)
		}
	}
	return k
}
