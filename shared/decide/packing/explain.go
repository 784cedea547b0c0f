package packing

import (
	"cmp"
	"fmt"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// How close a candidate came, the further the closer.
const (
	missNone = iota
	missFilter
	missRoom
	missTopology
	missLimit
)

// miss is the candidate that came closest so far.
type miss struct {
	stage  int
	lack   float64 // how much of what it lacks, where room is what it lacks
	reason string
}

// note takes a candidate's miss if it is nearer; its words are only made then.
func (m *miss) note(stage int, lack float64, words func() string) {
	if stage > m.stage || stage == m.stage && stage == missRoom && lack < m.lack {
		m.stage, m.lack, m.reason = stage, lack, words()
	}
}

// nearest says which candidate came closest to taking a pod of a class, and what it lacked.
func (w *world) nearest(ci int) string {
	c := w.x.classes[ci]
	if why := w.clash(c, nil); why != "" {
		return why
	}
	v, m := w.viewOf(ci), miss{reason: "there are no nodes, and none may be added"}
	for i := range w.opts {
		w.missesNew(c, v, &w.opts[i], &m)
	}
	for _, n := range w.nodes {
		if n.option < 0 && !n.closed {
			w.misses(c, v, n, &m)
		}
	}
	return m.reason
}

// missesNew notes why a new node of an option does not take a pod.
func (w *world) missesNew(c *class, v *view, o *option, m *miss) {
	s := &w.sigs[o.sig]
	what := func() string {
		return fmt.Sprintf("a new %s (%s, %s) of pool %s", w.x.p.Types[o.typ].Name, s.zone, s.capacity, w.x.p.Pools[o.pool].Name)
	}
	if !s.admits(w.x, c.filter) {
		m.note(missFilter, 0, func() string {
			return what() + ": " + w.x.filters[c.filter].miss(s.labels, s.taints, newName)
		})
		return
	}
	if worst, lack := lackOf(w.x.dims, &c.d, &o.room); worst >= 0 {
		m.note(missRoom, lack, func() string { return what() + " is too small: " + w.x.dims.lacks(worst, &c.d, &o.room) })
		return
	}
	if c.takes(s.ports) {
		m.note(missTopology, 0, func() string { return what() + ": a DaemonSet takes one of its host ports" })
		return
	}
	if why := v.miss(s.domain); why != "" {
		m.note(missTopology, 0, func() string { return what() + ": " + why })
		return
	}
	m.note(missLimit, 0, func() string { return what() + " would do, but the pool has reached its limit" })
}

// misses notes why a node that exists does not take a pod.
func (w *world) misses(c *class, v *view, n *node, m *miss) {
	if !w.admits(n, c.filter) {
		m.note(missFilter, 0, func() string {
			return "node " + n.name + ": " + w.x.filters[c.filter].miss(n.labels, n.taints, n.name)
		})
		return
	}
	asks := w.asks(c, n)
	if worst, lack := lackOf(w.x.dims, asks, &n.left); worst >= 0 {
		m.note(missRoom, lack, func() string {
			return "node " + n.name + " has no room left: " + w.x.dims.lacks(worst, asks, &n.left)
		})
		return
	}
	if why := cmp.Or(w.clash(c, n), v.miss(n.domain)); why != "" {
		m.note(missTopology, 0, func() string { return "node " + n.name + ": " + why })
	}
}

// lackOf is the dimension of which a room falls furthest short of a demand, and how far, as a part of the demand; -1 if it fits.
func lackOf(x *dims, d, room *vec) (worst int, most float64) {
	worst = -1
	for i := range x.n {
		if short := (d[i] - room[i]) / d[i]; d[i] > room[i] && d[i] > 0 && (worst < 0 || short > most) {
			worst, most = i, short
		}
	}
	return worst, most
}

// lacks says what a room falls short of in a dimension.
func (x *dims) lacks(i int, d, room *vec) string {
	return fmt.Sprintf("%s of %s are wanted, %s are there", amount(i, d[i]), x.name(i), amount(i, max(0, room[i])))
}

// amount prints an amount in the units in which people write it.
func amount(dim int, v float64) string {
	switch dim {
	case dimCPU:
		return fmt.Sprintf("%gm", v)
	case dimMemory, dimStorage:
		return fmt.Sprintf("%.0fMi", v/(1<<20))
	}
	return fmt.Sprintf("%g", v)
}

// miss says what of a filter a node does not meet.
func (f *filter) miss(labels map[string]string, taints []fleet.Taint, name string) string {
	if f.pinKey != "" && labels[f.pinKey] != f.pin {
		return fmt.Sprintf("it is not in %s=%s", f.pinKey, f.pin)
	}
	if t, off := keepsOff(taints, f.tolerations); off {
		return fmt.Sprintf("its taint %s=%s:%s is not tolerated", t.Key, t.Value, t.Effect)
	}
	for k, v := range f.selector {
		if labels[k] != v {
			return fmt.Sprintf("the node selector wants %s=%s", k, v)
		}
	}
	if !meetsAny(f.terms, labels, name) {
		return "no term of the node affinity holds"
	}
	return "the place of a volume is elsewhere"
}
