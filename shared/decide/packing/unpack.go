package packing

import "slices"

// unpackAll says which pods go onto the nodes that were planned. Those who limit whom they share a host with choose first: others
// of one merged class are not all the same to them.
func (b *bulk) unpackAll(nodes []packed, targets []*node) {
	for i := range nodes {
		nodes[i].on = slices.Clone(nodes[i].on) // copies of a node share them
	}
	for _, limiting := range []bool{true, false} {
		for i := range nodes {
			for k := range nodes[i].on {
				b.unpack(&nodes[i].on[k], targets[i], limiting)
			}
		}
	}
	for i := range nodes {
		for _, p := range nodes[i].on {
			for p.n > 0 && b.exchange(p.class, nodes, targets, targets[i]) {
				p.n--
			}
		}
	}
}

// unpack puts pods of a merged class onto a node: those that limit their hosts, or the others. Of classes that were merged it
// takes the one of which most wait. What the node's pods would not be with stays in the pile.
func (b *bulk) unpack(p *pile, to *node, limiting bool) {
	w := b.w
	var skip []int
	for p.n > 0 {
		best, most := -1, 0
		for _, ci := range b.classes[p.class].classes {
			if n := w.waiting(ci); n > most && !slices.Contains(skip, ci) && w.crowds(w.x.classes[ci]) == limiting {
				best, most = ci, n
			}
		}
		if best < 0 {
			return
		}
		k := min(p.n, most, w.crowdRoom(best, to))
		if k == 0 {
			skip = append(skip, best)
			continue
		}
		w.put(best, to, k)
		p.n -= k
	}
}

// exchange finds room for one more pod of a merged class on a node that none of those that wait suits: one that is on another
// node comes here, and one that waits goes there.
func (b *bulk) exchange(class int, nodes []packed, targets []*node, to *node) bool {
	w, kin := b.w, b.classes[class].classes
	for i := range nodes {
		from := targets[i]
		if from == to || !slices.ContainsFunc(nodes[i].on, func(p pile) bool { return p.class == class }) {
			continue
		}
		for _, guest := range kin {
			if w.crowds(w.x.classes[guest]) || !slices.ContainsFunc(from.on, func(p pile) bool { return p.class == guest }) || w.crowdRoom(guest, to) == 0 {
				continue
			}
			for _, ci := range kin {
				if ci != guest && w.waiting(ci) > 0 && !w.crowds(w.x.classes[ci]) && w.crowdRoom(ci, from) > 0 {
					w.move(guest, from, to)
					w.put(ci, from, 1)
					return true
				}
			}
		}
	}
	return false
}

// move moves one pod of a class from a node to another one.
func (w *world) move(ci int, from, to *node) {
	c := w.x.classes[ci]
	for _, pod := range c.pods[:w.next[ci]] {
		if w.at[pod] != from.id {
			continue
		}
		w.at[pod] = to.id
		from.left.take(w.x.dims.n, &c.d, -1)
		to.left.take(w.x.dims.n, &c.d, 1)
		i := slices.IndexFunc(from.on, func(p pile) bool { return p.class == ci })
		if from.on[i].n--; from.on[i].n == 0 {
			from.on = slices.Delete(from.on, i, i+1)
		}
		if i = slices.IndexFunc(to.on, func(p pile) bool { return p.class == ci }); i >= 0 {
			to.on[i].n++
		} else {
			to.on = append(to.on, pile{ci, 1})
		}
		return
	}
}
