package packing

import (
	"cmp"
	"slices"
)

// DefaultEffort is how hard Solve searches by default.
const DefaultEffort = 8

// Solve places the pods of a problem.
func Solve(p Problem) Solution {
	s := solve(p)
	if len(s.Unplaced) == 0 || p.Options.IgnorePreferences {
		return s
	}
	p.Options.IgnorePreferences = true // nobody is left out for the sake of a preference
	if without := solve(p); len(without.Unplaced) < len(s.Unplaced) {
		return without
	}
	return s
}

func solve(p Problem) Solution {
	x := newIndex(&p)
	x.members()
	var open []int
	for i, c := range x.classes {
		if len(c.pods) > 0 && c.refused == "" {
			open = append(open, i)
		}
	}
	classes := len(x.classes)
	w := newWorld(x)
	open = w.inOrder(open)
	w.place(open)
	if bands := x.bands(open); len(bands) > 1 && w.left(open) {
		// Not all fit, and some matter more than others: these come first, by themselves.
		x.classes = x.classes[:classes]
		w = newWorld(x)
		for _, band := range bands {
			w.place(band)
		}
		w.carefully(w.inOrder(w.still(w.all()))) // who wants to be with those that matter less comes after them
	}
	w.settle()
	w.lastResort()
	w.rightSize()
	w.diversify()
	if left := w.still(w.all()); len(left) > 0 {
		w.carefully(w.inOrder(left)) // smaller nodes have left something of their pools' limits
		w.rightSize()
	}
	return w.solution()
}

// bands divides classes, which are in order, by their priority.
func (x *index) bands(classes []int) (bands [][]int) {
	for i, ci := range classes {
		if i == 0 || x.classes[ci].priority != x.classes[classes[i-1]].priority {
			bands = append(bands, nil)
		}
		bands[len(bands)-1] = append(bands[len(bands)-1], ci)
	}
	return bands
}

// left tells whether anything of some classes, or of the parts that they were split into, waits.
func (w *world) left(classes []int) bool {
	for _, ci := range classes {
		for _, pod := range w.x.classes[ci].pods {
			if w.at[pod] < 0 {
				return true
			}
		}
	}
	return false
}

// place places classes: onto the nodes that there are, then on new ones in bulk, and what is not so simple pod by pod.
func (w *world) place(classes []int) {
	kinds := w.sort(classes)
	w.useRoom(kinds.simple)
	for _, usable := range w.tiers() {
		for w.inBulk(kinds.simple, usable) { // again, where a pool's limit has made room for others
		}
	}
	w.squeeze(w.still(kinds.simple))
	kinds.careful = append(kinds.careful, w.still(kinds.simple)...)
	w.carefully(w.inOrder(kinds.careful))
	for _, ci := range w.still(kinds.simple) {
		w.unpin(ci) // where balance would have it there is no room
	}
	w.carefully(w.inOrder(w.still(kinds.simple)))
	w.blunt = true
	w.carefully(w.inOrder(w.still(slices.Concat(kinds.simple, kinds.careful))))
	w.blunt = false
}

// squeeze places what bulk has planned for nodes whose pods would rather not have it there: where there is room for it, and nobody
// whom the scheduler would listen to minds. A node for it alone would be dear.
func (w *world) squeeze(classes []int) {
	w.blunt = true
	for _, ci := range classes {
		v := w.viewOf(ci)
		for w.waiting(ci) > 0 {
			n := w.best(ci, v)
			if n == nil {
				break
			}
			w.put(ci, n, 1)
			v.placed(n)
		}
	}
	w.blunt = false
}

// all are the classes of pods that want a node, parts included.
func (w *world) all() (out []int) {
	for ci, c := range w.x.classes {
		if len(c.pods) > 0 && c.refused == "" {
			out = append(out, ci)
		}
	}
	return out
}

// still are those of some classes of which some pods wait.
func (w *world) still(classes []int) (out []int) {
	for _, ci := range classes {
		if w.waiting(ci) > 0 {
			out = append(out, ci)
		}
	}
	return out
}

// tiers are the options by what comes before their price: pools of a greater weight first, and what was short lately after all
// that was not.
func (w *world) tiers() (out []func(opt int) bool) {
	type tier struct{ short, weight int }
	of := func(o *option) tier {
		if o.short {
			return tier{1, o.weight}
		}
		return tier{0, o.weight}
	}
	var all []tier
	for i := range w.opts {
		if t := of(&w.opts[i]); !slices.Contains(all, t) {
			all = append(all, t)
		}
	}
	slices.SortFunc(all, func(a, b tier) int { return cmp.Or(cmp.Compare(a.short, b.short), cmp.Compare(b.weight, a.weight)) })
	for _, t := range all {
		out = append(out, func(opt int) bool { return of(&w.opts[opt]) == t && w.may(opt) })
	}
	return out
}

// inBulk packs what waits of simple classes onto new nodes of some options. It tells whether trying again could help.
func (w *world) inBulk(classes []int, usable func(opt int) bool) (again bool) {
	b := newBulk(w, classes, usable)
	if len(b.classes) == 0 || len(b.opts) == 0 {
		return false
	}
	limited := b.limited
	b.limited = false // mostly no limit is reached, and without them nodes are chosen better
	nodes := b.pack()
	if limited && !b.affordable(nodes) {
		b.limited = true
		nodes = b.pack()
	}
	targets := make([]*node, len(nodes))
	for i := range nodes {
		targets[i] = w.add(b.opts[nodes[i].opt].opt)
	}
	b.unpackAll(nodes, targets)
	return b.limited && len(nodes) > 0
}

// carefully places classes pod by pod. What asks for the company of others may have to wait for them.
func (w *world) carefully(classes []int) {
	for progress := true; progress; {
		progress = false
		var left []int
		for _, c := range classes {
			if w.careful(c) {
				progress = true
			}
			if w.waiting(c) > 0 {
				left = append(left, c)
			}
		}
		classes = left
	}
}
