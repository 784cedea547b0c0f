package packing

import (
	"cmp"
	"slices"
)

// mergeMost is how many of the emptiest nodes are tried in pairs.
const mergeMost = 40

// mergePairs makes one node of two wherever that costs no more: of two plans of one price the one with fewer nodes is better. The
// emptiest nodes are tried.
func (b *bulk) mergePairs(nodes []packed) []packed {
	fullness := func(n *packed) (most float64) {
		for r := range b.dims {
			most = max(most, n.used[r]*b.opts[n.opt].inv[r])
		}
		return most
	}
	slices.SortStableFunc(nodes, func(x, y packed) int { return cmp.Compare(fullness(&x), fullness(&y)) })
	few := min(mergeMost, len(nodes))
	gone := make([]bool, len(nodes))
	for i := range few {
		for j := i + 1; j < few; j++ {
			if gone[i] || gone[j] {
				continue
			}
			if one, ok := b.merged(&nodes[i], &nodes[j]); ok {
				nodes[j], gone[i] = one, true
			}
		}
	}
	out := nodes[:0]
	for i, n := range nodes {
		if !gone[i] {
			out = append(out, n)
		}
	}
	return out
}

// merged is the cheapest node that holds what two hold, if it costs no more than they do.
func (b *bulk) merged(x, y *packed) (packed, bool) {
	n := packed{opt: -1, used: x.used}
	n.used.take(b.dims, &y.used, -1)
	least := b.opts[x.opt].price + b.opts[y.opt].price + epsilon
	for _, s := range b.order {
		if b.opts[b.bySig[s][0]].price > least || !b.mayHold(s, x.on) || !b.mayHold(s, y.on) {
			continue
		}
		for _, k := range b.bySig[s] {
			if b.opts[k].price > least {
				break
			}
			if fits(b.dims, &n.used, &b.opts[k].room) {
				n.opt, least = k, b.opts[k].price
				break
			}
		}
	}
	if n.opt < 0 || !b.fill.together(slices.Concat(x.on, y.on)) {
		return n, false
	}
	n.on = slices.Clone(b.fill.piles)
	return n, true
}

// together tells whether the limits on hosts let some pods be on one node, and leaves them in the filler.
func (f *filler) together(on []pile) bool {
	f.reset()
	for _, p := range on {
		if c := &f.b.classes[p.class]; len(c.caps) > 0 && f.allowed(c) < p.n {
			return false
		}
		f.add(p.class, p.n)
	}
	return true
}
