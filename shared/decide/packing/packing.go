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
	w.carefully(w.inOrder(open))
	return w.solution()
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
