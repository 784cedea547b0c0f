package packing

import (
	"slices"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// node is a node with what is on it so far: one that exists, or one that is to be added.
type node struct {
	id     int // index in world.nodes
	name   string
	labels map[string]string
	taints []fleet.Taint
	all    vec // what it has for pods
	left   vec
	on     []pile // what is on it, by class
	closed bool
	claims map[string]bool // volumes of the pods on it
	option int             // of a new one; -1 of one that exists
	passes []int8          // by filter, as in sig
}

// pile is some pods of a class.
type pile struct{ class, n int }

// world is everything that is placed so far.
type world struct {
	x     *index
	nodes []*node
	opts  []option
	sigs  []sig
	front [][]int // by signature: its options but for those that another one is no dearer and no smaller than, cheapest first
	pools []poolRoom
	users map[string]int // claims with how many placed pods use them
	at    []int          // node by pod, -1
	next  []int          // by class: how many of its pods are placed
	carry map[int][]int  // by group: classes that keep off its members
	// crowd is how many members of a group that are to be spread over hosts one host may have; skew is the least maxSkew of all
	// who want a group to be spread, over whatever.
	crowd, skew map[int]int
	// blunt lets pods go where they make it hard for others, who want them to be spread.
	blunt bool
	// exact counts the domains of nodes that are there or planned only, hosts too.
	exact bool

	known map[placesOf][]place
	// prices are the options of each signature by price, once anybody has asked.
	prices [][]int
}

// poolRoom is what may still be added to a pool.
type poolRoom struct {
	nodes       int
	cpu, memory float64
}

func newWorld(x *index) *world {
	w := &world{x: x, at: slices.Repeat([]int{-1}, len(x.p.Pods)), next: make([]int, len(x.classes)), users: map[string]int{}, carry: map[int][]int{}, crowd: map[int]int{}, skew: map[int]int{}, known: map[placesOf][]place{}}
	w.opts, w.sigs = x.options()
	for i := range x.p.Pools {
		p := &x.p.Pools[i]
		r := poolRoom{unlimited, unlimited, unlimited}
		if p.MaxNodes > 0 {
			r.nodes = p.MaxNodes
		}
		if p.MaxCPU > 0 {
			r.cpu = float64(p.MaxCPU)
		}
		if p.MaxMemory > 0 {
			r.memory = float64(p.MaxMemory)
		}
		w.pools = append(w.pools, r)
	}
	w.findFront()
	for i := range x.p.Nodes {
		n := &x.p.Nodes[i]
		v := &node{id: i, name: n.Name, labels: n.Labels, taints: n.Taints, closed: n.Closed, option: -1, all: x.dims.room(n.Allocatable, n.MaxPods, n.AttachLimit)}
		v.left = v.all
		for c, k := range x.on[i] {
			v.on = append(v.on, pile{c, k})
		}
		slices.SortFunc(v.on, func(a, b pile) int { return a.class - b.class })
		for _, p := range v.on {
			w.load(x.classes[p.class], v, p.n)
		}
		w.nodes = append(w.nodes, v)
	}
	for i, c := range x.classes {
		for _, g := range c.terms.anti {
			w.carry[g] = append(w.carry[g], i)
		}
		for _, t := range c.terms.spread {
			if old, ok := w.skew[t.group]; !t.soft && (!ok || t.maxSkew < old) {
				w.skew[t.group] = t.maxSkew
				if x.groups[t.group].key == fleet.LabelHostname {
					w.crowd[t.group] = t.maxSkew
				}
			}
		}
	}
	return w
}

// domain is a node's value of a topology key; ok is false where it has none.
func (n *node) domain(key string) (string, bool) {
	v, ok := n.labels[key]
	if ok && v == newName {
		return n.name, true
	}
	return v, ok
}

// admits tells whether a node is in a filter.
func (w *world) admits(n *node, f int) bool {
	if n.option >= 0 {
		return w.sigs[w.opts[n.option].sig].admits(w.x, f)
	}
	for len(n.passes) <= f {
		n.passes = append(n.passes, 0)
	}
	if n.passes[f] == 0 {
		n.passes[f] = -1
		if w.x.filters[f].passes(n.labels, n.taints, n.name) {
			n.passes[f] = 1
		}
	}
	return n.passes[f] > 0
}

// members counts the pods of a group on a node.
func (w *world) members(n *node, g int) (count int) {
	for _, p := range n.on {
		if w.x.classes[p.class].memberOf(g) {
			count += p.n
		}
	}
	return count
}

// counted counts the pods of a group on a node as topology spread does: those that are being deleted are not.
func (w *world) counted(n *node, g int) int {
	count := w.members(n, g)
	if n.option < 0 {
		for c, k := range w.x.going[n.id] {
			if w.x.classes[c].memberOf(g) {
				count -= k
			}
		}
	}
	return count
}

// put puts the next k pods of a class onto a node.
func (w *world) put(c int, n *node, k int) {
	cls := w.x.classes[c]
	w.load(cls, n, k)
	if i := slices.IndexFunc(n.on, func(p pile) bool { return p.class == c }); i >= 0 {
		n.on[i].n += k
	} else {
		n.on = append(n.on, pile{c, k})
	}
	for _, p := range cls.pods[w.next[c] : w.next[c]+k] {
		w.at[p] = n.id
	}
	w.next[c] += k
}

// load takes what k pods of a class ask for from a node's room, and notes their claims.
func (w *world) load(c *class, n *node, k int) {
	d := *w.asks(c, n)
	n.left.take(w.x.dims.n, &d, 1)
	for _, v := range c.demand.Volumes {
		if n.claims == nil {
			n.claims = map[string]bool{}
		}
		n.claims[v.ID] = true
		w.users[v.ID] += k
	}
	if k > 1 {
		d = *w.asks(c, n) // the claims are there now
		n.left.take(w.x.dims.n, &d, float64(k-1))
	}
}

// asks is what the next pod of a class asks of a node: a volume that is attached already does not count again.
func (w *world) asks(c *class, n *node) *vec {
	if len(c.demand.Volumes) == 0 || n.claims == nil {
		return &c.d
	}
	d := c.d
	for i, v := range c.demand.Volumes {
		dim, ok := w.x.dims.drivers[v.Driver]
		if ok && n.claims[v.ID] && !slices.ContainsFunc(c.demand.Volumes[:i], func(o fleet.Volume) bool { return o.ID == v.ID }) {
			d[dim]--
		}
	}
	return &d
}

// waiting is how many pods of a class are not placed yet.
func (w *world) waiting(c int) int { return len(w.x.classes[c].pods) - w.next[c] }

// add adds an empty node of an option, of whose pool there may be another one.
func (w *world) add(opt int) *node {
	o := &w.opts[opt]
	w.reserve(opt)
	n := &node{id: len(w.nodes), name: newName + itoa(len(w.nodes)), labels: w.sigs[o.sig].labels, taints: w.sigs[o.sig].taints, all: o.room, left: o.room, option: opt}
	w.nodes = append(w.nodes, n)
	return n
}

// bounded tells whether a pool has limits.
func (w *world) bounded(pool int) bool {
	p := &w.x.p.Pools[pool]
	return p.MaxNodes > 0 || p.MaxCPU > 0 || p.MaxMemory > 0
}

// may tells whether an option's pool may have another node of it.
func (w *world) may(opt int) bool {
	o := &w.opts[opt]
	t := &w.x.p.Types[o.typ]
	r := &w.pools[o.pool]
	return r.nodes > 0 && r.cpu >= float64(t.Allocatable.CPU) && r.memory >= float64(t.Allocatable.Memory)
}
