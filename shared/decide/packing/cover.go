package packing

import (
	"container/heap"
	"math"
	"slices"
)

// candidate is an option with the node that it was last filled to. That node is as good as it was for as long as all that is on
// it still waits.
type candidate struct {
	packed
	score float64 // value for the price
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
		if c := b.candidate(k, wait); c.score > 0 {
			h = append(h, c)
		}
	}
	heap.Init(&h)
	for len(h) > 0 {
		top := &h[0]
		if b.limited && !b.w.may(b.opts[top.opt].opt) {
			heap.Pop(&h)
			continue
		}
		copies := math.MaxInt
		for _, p := range top.on {
			copies = min(copies, wait[p.class]/p.n)
		}
		if copies == 0 {
			if *top = b.candidate(top.opt, wait); top.score > 0 {
				heap.Fix(&h, 0)
			} else {
				heap.Pop(&h)
			}
			continue
		}
		if b.limited {
			copies = 1
			b.w.reserve(b.opts[top.opt].opt)
		}
		for _, p := range top.on {
			wait[p.class] -= p.n * copies
		}
		for range copies {
			nodes = append(nodes, top.packed)
		}
	}
	return nodes
}

// candidate fills an option with what waits. Its score is 0 if nothing fits.
func (b *bulk) candidate(opt int, wait []int) candidate {
	o := &b.opts[opt]
	b.fill.fill(o, b.fits[o.sig], wait)
	if len(b.fill.piles) == 0 {
		return candidate{packed: packed{opt: opt}}
	}
	price := o.price
	if b.scarce {
		price = 1
	}
	return candidate{packed{opt: opt, on: slices.Clone(b.fill.piles), used: b.fill.used}, b.fill.value / price}
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
			if fits(b.dims, &n.used, &o.room) && (!b.limited || b.w.withinLimits(b.opts[n.opt].opt, o.opt)) {
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

// reserve takes a node of an option out of what its pool may still have.
func (w *world) reserve(opt int) {
	t, r := &w.x.p.Types[w.opts[opt].typ], &w.pools[w.opts[opt].pool]
	r.nodes--
	r.cpu -= float64(t.Allocatable.CPU)
	r.memory -= float64(t.Allocatable.Memory)
}

// affordable tells whether some nodes are within the limits of their pools.
func (b *bulk) affordable(nodes []packed) bool {
	pools := slices.Clone(b.w.pools)
	defer func() { b.w.pools = pools }()
	for i := range nodes {
		opt := b.opts[nodes[i].opt].opt
		if !b.w.may(opt) {
			return false
		}
		b.w.reserve(opt)
	}
	return true
}

// withinLimits tells whether a node may become one of another option whatever the limits of pools.
func (w *world) withinLimits(from, to int) bool {
	a, b := &w.opts[from], &w.opts[to]
	if !w.bounded(a.pool) && !w.bounded(b.pool) {
		return true
	}
	x, y := &w.x.p.Types[a.typ].Allocatable, &w.x.p.Types[b.typ].Allocatable
	return a.pool == b.pool && y.CPU <= x.CPU && y.Memory <= x.Memory
}
