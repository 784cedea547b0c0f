package packing

import "slices"

// DefaultEffort is how many rounds of repacking Solve makes by default.
const DefaultEffort = 8

// Solve places the pods of a problem.
func Solve(p Problem) Solution {
	x := newIndex(&p)
	x.members()
	w := newWorld(x)
	var open []int
	for i, c := range x.classes {
		if len(c.pods) > 0 && c.refused == "" {
			open = append(open, i)
		}
	}
	kinds := w.sort(w.inOrder(open))
	w.useRoom(kinds.simple)
	for _, usable := range w.tiers() {
		w.inBulk(kinds.simple, usable)
	}
	w.carefully(kinds.careful)
	return w.solution()
}

// tiers are the options by what comes before their price: pools of a greater weight first, and what was short lately after all
// that was not.
func (w *world) tiers() (out []func(opt int) bool) {
	type tier struct {
		short  bool
		weight int
	}
	var all []tier
	for i := range w.opts {
		all = append(all, tier{w.opts[i].short, w.opts[i].weight})
	}
	slices.SortFunc(all, func(a, b tier) int {
		if a.short != b.short {
			if b.short {
				return -1
			}
			return 1
		}
		return b.weight - a.weight
	})
	for _, t := range slices.Compact(all) {
		out = append(out, func(opt int) bool { return w.opts[opt].short == t.short && w.opts[opt].weight == t.weight })
	}
	return out
}

// inBulk packs what waits of simple classes onto new nodes of some options.
func (w *world) inBulk(classes []int, usable func(opt int) bool) {
	b := newBulk(w, classes, usable)
	if len(b.classes) == 0 || len(b.opts) == 0 {
		return
	}
	for _, n := range b.pack() {
		to := w.add(b.opts[n.opt].opt)
		for _, p := range n.on {
			b.unpack(p, to)
		}
	}
}

// unpack puts pods of a merged class onto a node.
func (b *bulk) unpack(p pile, to *node) {
	for _, ci := range b.classes[p.class].classes {
		if k := min(p.n, b.w.waiting(ci)); k > 0 {
			b.w.put(ci, to, k)
			p.n -= k
		}
		if p.n == 0 {
			return
		}
	}
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

// solution reads off what was placed.
func (w *world) solution() Solution {
	existing := len(w.x.p.Nodes)
	s := Solution{Placed: w.at}
	for _, n := range w.nodes[existing:] {
		o := &w.opts[n.option]
		s.New = append(s.New, NewNode{Pool: o.pool, Type: o.typ, Offering: o.offering})
		s.Price += o.price
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
	for pod, at := range w.at {
		if at >= existing {
			n := &s.New[at-existing]
			n.Pods = append(n.Pods, pod)
		}
	}
	return s
}
