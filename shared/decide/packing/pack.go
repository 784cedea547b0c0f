package packing

import (
	"cmp"
	"math"
	"slices"
)

// The search's budget, in looks at a class while a node is filled (7 ns each on the machine where they were chosen): so many for
// each pod and class, more where there are many classes, within bounds. Measured on workloads of 5,000 pods: below them plans get
// dearer by a per cent, above them hardly cheaper.
const (
	looksEach       = 4
	looksEachMost   = 15
	classesEachLook = 16   // one look for so many classes
	looksPod        = 3000 // for each pod at most
	looksMin        = 40_000
	looksMax        = 28_000_000
	// repriceShare of the budget goes into prices; what is left of it, and of patience, into improving.
	repriceShare = 0.6
	// A problem whose first plan was bad is worth more: a part of the budget more for each gainStep by which prices have made
	// it cheaper, gainMost parts at most.
	gainStep, gainMost = 0.045, 4
	// patience is how many prices in a row may bring nothing.
	patience = 6
)

// pack plans nodes for all that waits: it packs, learns from the plan what each class really costs, packs anew with that, and in
// the end improves the best plan in parts.
func (b *bulk) pack() (best []packed) {
	pools := slices.Clone(b.w.pools)
	defer func() { b.w.pools = pools }() // what is planned here is taken from them when it is added to the world
	wait := make([]int, len(b.classes))
	pods := 0
	for i := range b.classes {
		wait[i] = b.classes[i].wait
		pods += wait[i]
	}
	b.setValues()
	opts := b.promising(wait)
	budget, worthIt := float64(b.budget(pods)), 0.0
	left, first := math.MaxInt, 0.0
	var values []float64
	for idle := 0; ; idle++ {
		copy(b.w.pools, pools)
		rest := slices.Clone(wait)
		nodes := b.cover(rest, opts)
		b.rightSize(nodes)
		missed := 0
		for _, n := range rest {
			missed += n
		}
		if missed < left || missed == left && b.better(nodes, best) {
			best, left, idle = nodes, missed, 0
			values = b.values(values[:0])
		}
		if first == 0 {
			first = b.cost(best)
		}
		if now := b.cost(best); now > 0 { // it is 0 where no price is known
			worthIt = budget * (1 + min(gainMost, (first/now-1)/gainStep))
		}
		if idle == patience || float64(b.fill.looks) > repriceShare*worthIt {
			break
		}
		b.reprice(nodes)
		b.scarce = missed > 0 && b.limited && !b.scarce
	}
	b.scarce = false
	for i, v := range values {
		b.classes[i].value = v
	}
	if b.limited { // which nodes a pool may still have depends on all of them
		return best
	}
	return b.mergePairs(b.improve(best, opts, int(worthIt)))
}

// epsilon is a price below which two plans cost the same, USD an hour.
const epsilon = 1e-9

// better tells whether a plan costs less than another one, or the same with fewer interruptions to be expected, or with those and
// fewer nodes.
func (b *bulk) better(nodes, than []packed) bool {
	if x, y := b.cost(nodes), b.cost(than); x < y-epsilon || x > y+epsilon {
		return x < y
	}
	x, y := b.risk(nodes), b.risk(than)
	return x < y-epsilon || x < y+epsilon && len(nodes) < len(than)
}

// risk is how many of some nodes are likely to be taken away within the hour.
func (b *bulk) risk(nodes []packed) (sum float64) {
	for i := range nodes {
		sum += b.opts[nodes[i].opt].risk
	}
	return sum
}

// budget is how many looks the search may take.
func (b *bulk) budget(pods int) int {
	effort := b.w.x.p.Options.Effort
	switch {
	case effort < 0:
		return 0
	case effort == 0:
		effort = DefaultEffort
	}
	each := min(max(len(b.classes)/classesEachLook, looksEach), looksEachMost)
	looks := pods * min(each*len(b.classes), looksPod)
	return min(max(looks, looksMin), looksMax) / DefaultEffort * effort
}

func (b *bulk) values(into []float64) []float64 {
	for i := range b.classes {
		into = append(into, b.classes[i].value)
	}
	return into
}

// alike is how near the sizes of two nodes are, relative to the greater, for one to stand for both while nodes are filled. In the end
// each node gets the option that suits it best of all.
const alike = 0.12

// promising are the options that nodes are filled with: of those of about one size the one that would host everything for least, if
// it could be cut to measure.
func (b *bulk) promising(wait []int) (opts []int) {
	var all vec
	for i := range b.classes {
		all.take(b.dims, &b.classes[i].d, -float64(wait[i]))
	}
	price := func(k int) float64 {
		o, most := &b.opts[k], 0.0
		for r := range b.dims {
			most = max(most, all[r]*o.inv[r])
		}
		return most * o.price
	}
	for _, s := range b.order {
		list := slices.Clone(b.bySig[s])
		slices.SortStableFunc(list, func(i, k int) int { return cmp.Compare(price(i), price(k)) })
		first := len(opts)
		for _, k := range list {
			if !slices.ContainsFunc(opts[first:], func(i int) bool { return b.alike(i, k) }) {
				opts = append(opts, k)
			}
		}
	}
	return opts
}

func (b *bulk) alike(i, k int) bool {
	for r := range b.dims {
		x, y := b.opts[i].room[r], b.opts[k].room[r]
		if math.Abs(x-y) > alike*max(x, y) {
			return false
		}
	}
	return true
}

// setValues says what a pod of each class is worth at first: what hosting it costs at least, as a share of the cheapest option
// for it.
func (b *bulk) setValues() {
	for i := range b.classes {
		b.classes[i].value = math.Inf(1)
	}
	for _, s := range b.order {
		for _, k := range b.bySig[s] {
			o := &b.opts[k]
			for _, i := range b.fits[s] {
				c := &b.classes[i]
				if !fits(b.dims, &c.d, &o.room) {
					continue
				}
				share := 0.0
				for r := range b.dims {
					share = max(share, c.d[r]*o.inv[r])
				}
				c.value = min(c.value, share*o.price)
			}
		}
	}
	for i := range b.classes {
		if math.IsInf(b.classes[i].value, 1) { // nothing fits it
			b.classes[i].value = 0
		}
	}
}

// learning is how far values follow what a plan says.
const learning = 0.5

// reprice moves the value of each class towards what a plan pays for its pods: nodes that are filled badly are dear, and what is on
// them is hard to place. With that value it is placed earlier the next time, and better. (In the language of linear
// programs: values approach the dual prices of the covering problem.)
func (b *bulk) reprice(nodes []packed) {
	paid, count := make([]float64, len(b.classes)), make([]float64, len(b.classes))
	for i := range nodes {
		ratio := 1 / b.worth(&nodes[i])
		for _, p := range nodes[i].on {
			paid[p.class] += ratio * float64(p.n)
			count[p.class] += float64(p.n)
		}
	}
	for i := range b.classes {
		if count[i] > 0 {
			b.classes[i].value *= 1 + learning*(paid[i]/count[i]-1)
		}
	}
}

// worth is the value of what is on a node for each dollar that it costs.
func (b *bulk) worth(n *packed) (sum float64) {
	for _, p := range n.on {
		sum += b.classes[p.class].value * float64(p.n)
	}
	return sum / b.opts[n.opt].price
}
