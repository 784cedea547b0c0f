package packing

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// used is what is on a new node.
func (w *world) used(n *node) (used vec) {
	for _, p := range n.on {
		used.take(w.x.dims.n, &w.x.classes[p.class].d, -float64(p.n))
	}
	return used
}

// holds tells whether an option could take over all that is on a new node.
func (w *world) holds(opt int, n *node, used *vec) bool {
	o := &w.opts[opt]
	return o.sig == w.opts[n.option].sig && fits(w.x.dims.n, used, &o.room) && w.withinLimits(n.option, opt)
}

// become makes a new node one of another option. What that leaves of its pool's limits others may have.
func (w *world) become(n *node, opt int, used vec) {
	old := &w.opts[n.option]
	before, after, r := &w.x.p.Types[old.typ].Allocatable, &w.x.p.Types[w.opts[opt].typ].Allocatable, &w.pools[old.pool]
	if w.opts[opt].pool == old.pool {
		r.cpu += float64(before.CPU - after.CPU)
		r.memory += float64(before.Memory - after.Memory)
	}
	n.labels, n.taints = w.sigs[w.opts[opt].sig].labels, w.sigs[w.opts[opt].sig].taints
	n.option, n.all, n.left = opt, w.opts[opt].room, w.opts[opt].room
	n.left.take(w.x.dims.n, &used, 1)
}

// rightSize gives each new node the cheapest option of its signature that holds what is on it: what was placed one by one has
// opened nodes without knowing what would follow.
func (w *world) rightSize() {
	for _, n := range w.nodes[len(w.x.p.Nodes):] {
		used, old := w.used(n), &w.opts[n.option]
		for _, i := range w.front[old.sig] {
			if w.opts[i].price >= old.price {
				break
			}
			if w.holds(i, n, &used) && w.opts[i].short == old.short {
				w.become(n, i, used)
				break
			}
		}
	}
}

// diversify keeps to Options.PoolShare: nodes of a spot pool that has too many become such of another one that holds the same
// pods, the cheapest that has room. Where there is none they stay.
func (w *world) diversify() {
	share := w.x.p.Options.PoolShare
	if share <= 0 {
		return
	}
	type market struct {
		typ  int
		zone string
	}
	count, total := map[market]int{}, 0
	of := func(opt int) market { return market{w.opts[opt].typ, w.sigs[w.opts[opt].sig].zone} }
	var spot []*node
	for _, n := range w.nodes[len(w.x.p.Nodes):] {
		if w.sigs[w.opts[n.option].sig].capacity == fleet.Spot {
			spot = append(spot, n)
			count[of(n.option)]++
			total++
		}
	}
	most := max(1, int(share*float64(total)))
	if total < diversifyFrom {
		return
	}
	for _, n := range slices.Backward(spot) {
		if count[of(n.option)] <= most {
			continue
		}
		used := w.used(n)
		best := -1
		for s := range w.sigs {
			for _, i := range w.byPrice(s) {
				if best >= 0 && w.opts[i].price >= w.opts[best].price {
					break
				}
				if count[of(i)] < most && !w.opts[i].short && fits(w.x.dims.n, &used, &w.opts[i].room) && w.withinLimits(n.option, i) && w.moves(n, s) {
					best = i
				}
			}
		}
		if best >= 0 {
			count[of(n.option)]--
			w.become(n, best, used)
			count[of(best)]++
		}
	}
}

// moves tells whether all that is on a new node could as well be on one of another signature of its pool and capacity type: in
// another zone, for those who do not care.
func (w *world) moves(n *node, to int) bool {
	from := w.opts[n.option].sig
	if from == to {
		return true
	}
	a, b := &w.sigs[from], &w.sigs[to]
	if a.pool != b.pool || a.capacity != b.capacity {
		return false
	}
	for _, p := range n.on {
		c := w.x.classes[p.class]
		if !b.admits(w.x, c.filter) || c.takes(b.ports) || c.unpinned < 0 && w.minds(c) {
			return false
		}
	}
	return true
}

// minds tells whether a class has to do with domains other than hosts.
func (w *world) minds(c *class) bool {
	beyond := func(g int) bool { return w.x.groups[g].key != fleet.LabelHostname }
	return slices.ContainsFunc(c.terms.spread, func(t spreadTerm) bool { return beyond(t.group) }) ||
		slices.ContainsFunc(slices.Concat(c.terms.affinity, c.terms.anti, c.terms.likes, c.terms.dislikes, c.groups), beyond)
}

// diversifyFrom is the least number of spot nodes that are worth spreading over several spot pools.
const diversifyFrom = 3

// byPrice are all options of a signature, the cheapest first.
func (w *world) byPrice(sig int) []int {
	if w.prices == nil {
		w.prices = make([][]int, len(w.sigs))
		for i := range w.opts {
			w.prices[w.opts[i].sig] = append(w.prices[w.opts[i].sig], i)
		}
		for _, list := range w.prices {
			slices.SortStableFunc(list, func(i, j int) int { return cmp.Compare(w.opts[i].price, w.opts[j].price) })
		}
	}
	return w.prices[sig]
}

// maxAlternatives is how many other types a new node names.
const maxAlternatives = 20

// solution reads off what was placed.
func (w *world) solution() Solution {
	existing := len(w.x.p.Nodes)
	s := Solution{Placed: w.at}
	number := map[int]int{} // of a node in the solution
	for _, n := range w.nodes[existing:] {
		if len(n.on) == 0 { // whoever it was planned for went elsewhere
			continue
		}
		number[n.id] = existing + len(s.New)
		s.New = append(s.New, w.newNode(n))
		s.Price += w.opts[n.option].price
	}
	for pod, at := range w.at {
		if at >= existing {
			w.at[pod] = number[at]
			n := &s.New[number[at]-existing]
			n.Pods = append(n.Pods, pod)
		}
	}
	why := map[int]string{}
	for ci, c := range w.x.classes {
		for _, pod := range c.pods[w.next[ci]:] {
			u := Unplaced{Pod: pod, Refused: c.refused}
			if u.Refused == "" {
				if why[ci] == "" {
					why[ci] = w.nearest(ci)
				}
				u.Reason = why[ci]
			} else {
				u.Reason = "the planner does not handle " + c.refused
			}
			s.Unplaced = append(s.Unplaced, u)
		}
	}
	slices.SortFunc(s.Unplaced, func(a, b Unplaced) int { return a.Pod - b.Pod })
	return s
}

// newNode describes a new node, with the types that could stand in for its own, and why it is what it is.
func (w *world) newNode(n *node) NewNode {
	o := &w.opts[n.option]
	out := NewNode{Pool: o.pool, Type: o.typ, Offering: o.offering}
	used := w.used(n)
	next := -1 // the dearest of the cheaper ones
	for _, i := range w.byPrice(o.sig) {
		other := &w.opts[i]
		switch {
		case other.typ == o.typ:
		case w.holds(i, n, &used):
			if len(out.Alternatives) < maxAlternatives {
				out.Alternatives = append(out.Alternatives, other.typ)
			}
		case other.price < o.price && other.room[dimCPU] > 0:
			next = i
		}
	}
	cheaper := "nothing cheaper is to be had"
	if next >= 0 {
		what := "its pool's limits"
		if worst, _ := lackOf(w.x.dims, &used, &w.opts[next].room); worst >= 0 {
			what = w.x.dims.lacks(worst, &used, &w.opts[next].room)
		}
		cheaper = "the next cheaper " + w.x.p.Types[w.opts[next].typ].Name + " has too little: " + what
	}
	pods := 0
	for _, p := range n.on {
		pods += p.n
	}
	part := func(r int) float64 { return 100 * used[r] / max(1, o.room[r]) }
	out.Why = fmt.Sprintf("%d pods fill it to %.0f %% of its cpu and %.0f %% of its memory; %s", pods, part(dimCPU), part(dimMemory), cheaper)
	return out
}
