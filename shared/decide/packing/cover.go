package packing

import (
	"container/heap"
	"math"
	"slices"
)

// candidate is an option with the value for money of the node that it would be filled to, as it was when last looked at.
type candidate struct {
	opt   int
	score float64
	stamp int
}

// candidates is a heap of them, the best first.
type candidates []candidate

func (h candidates) Len() int { return len(h) }
func (h candidates) Less(i, j int) bool {
	return h[i].score > h[j].score || h[i].score == h[j].score && h[i].opt < h[j].opt
}
func (h candidates) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push implements heap.Interface.
func (h *candidates) Push(x any) { *h = append(*h, x.(candidate)) }

// Pop implements heap.Interface.
func (h *candidates) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}

// cover packs what waits, by class, onto new nodes: again and again the node that is worth most for its price, as many times
// as its content can be repeated. What it takes it subtracts from wait; what is left fits nowhere.
func (b *bulk) cover(wait []int, opts []int) (nodes []packed) {
	h := make(candidates, 0, len(opts))
	for _, k := range opts {
		o := &b.opts[k]
		b.fill.fill(o, b.fits[o.sig], wait)
		if b.fill.value > 0 {
			h = append(h, candidate{k, b.fill.value / o.price, 0})
		}
	}
	heap.Init(&h)
	for stamp := 0; len(h) > 0; {
		top := &h[0]
		o := &b.opts[top.opt]
		b.fill.fill(o, b.fits[o.sig], wait)
		switch {
		case b.fill.value == 0 || b.limited && !b.w.may(o.opt):
			heap.Pop(&h)
			continue
		case top.stamp != stamp:
			top.score, top.stamp = b.fill.value/o.price, stamp
			heap.Fix(&h, 0)
			continue
		}
		copies := math.MaxInt
		for _, p := range b.fill.piles {
			copies = min(copies, wait[p.class]/p.n)
		}
		if b.limited {
			copies = 1
		}
		n := packed{opt: top.opt, on: slices.Clone(b.fill.piles), used: b.fill.used}
		for _, p := range n.on {
			wait[p.class] -= p.n * copies
		}
		for range copies {
			nodes = append(nodes, n)
		}
		if b.limited {
			b.w.reserve(o.opt)
		}
		stamp++
	}
	return nodes
}

// rightSize gives each node the cheapest option that its content fits.
func (b *bulk) rightSize(nodes []packed) {
	for i := range nodes {
		b.shrink(&nodes[i])
	}
}

func (b *bulk) shrink(n *packed) {
	price := b.opts[n.opt].price
	for _, s := range b.order {
		if first := b.bySig[s][0]; b.opts[first].price >= price || !b.mayHold(s, n.on) {
			continue
		}
		for _, k := range b.bySig[s] {
			o := &b.opts[k]
			if o.price >= price {
				break
			}
			if fits(b.dims, &n.used, &o.room) && (!b.limited || b.w.samePool(o.opt, b.opts[n.opt].opt)) {
				n.opt, price = k, o.price
				break
			}
		}
	}
}

// mayHold tells whether nodes of a signature may have all of some classes.
func (b *bulk) mayHold(s int, on []pile) bool {
	for _, p := range on {
		if !b.w.sigs[s].admits(b.w.x, b.classes[p.class].filter) {
			return false
		}
	}
	return true
}

func (b *bulk) cost(nodes []packed) (sum float64) {
	for i := range nodes {
		sum += b.opts[nodes[i].opt].price
	}
	return sum
}

// reserve takes a node of an option out of what its pool may still have; samePool tells whether two options share one.
func (w *world) reserve(opt int) {
	t, r := &w.x.p.Types[w.opts[opt].typ], &w.pools[w.opts[opt].pool]
	r.nodes--
	r.cpu -= float64(t.Allocatable.CPU)
	r.memory -= float64(t.Allocatable.Memory)
}

func (w *world) samePool(a, b int) bool { return w.opts[a].pool == w.opts[b].pool }
