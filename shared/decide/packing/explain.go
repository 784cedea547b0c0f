package packing

import (
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

// nearest says which candidate came closest to taking a pod of a class, and what it lacked.
func (w *world) nearest(ci int) string {
	c := w.x.classes[ci]
	if why := w.clash(c, nil); why != "" {
		return why
	}
	v := w.viewOf(ci)
	stage, reason, short := missNone, "there are no nodes, and none may be added", 0.0
	note := func(s int, lack float64, text string) {
		if s > stage || s == stage && s == missRoom && lack < short {
			stage, reason, short = s, text, lack
		}
	}
	for i := range w.opts {
		o := &w.opts[i]
		s := &w.sigs[o.sig]
		what := fmt.Sprintf("a new %s (%s, %s) of pool %s", w.x.p.Types[o.typ].Name, s.zone, s.capacity, w.x.p.Pools[o.pool].Name)
		if !s.admits(w.x, c.filter) {
			if stage <= missFilter {
				note(missFilter, 0, what+": "+w.x.filters[c.filter].miss(s.labels, s.taints, newName))
			}
			continue
		}
		if lack, text := w.lack(&c.d, &o.room); text != "" {
			note(missRoom, lack, what+" is too small: "+text)
			continue
		}
		if miss := v.miss(s.domain); miss != "" {
			note(missTopology, 0, what+": "+miss)
			continue
		}
		note(missLimit, 0, what+" would do, but the pool has reached its limit")
	}
	for _, n := range w.nodes {
		if n.option >= 0 {
			continue
		}
		what := "node " + n.name
		if n.closed {
			continue
		}
		if !w.admits(n, c.filter) {
			note(missFilter, 0, what+": "+w.x.filters[c.filter].miss(n.labels, n.taints, n.name))
			continue
		}
		if lack, text := w.lack(w.asks(c, n), &n.left); text != "" {
			note(missRoom, lack, what+" has no room left: "+text)
			continue
		}
		if miss := w.clash(c, n); miss != "" {
			note(missTopology, 0, what+": "+miss)
		} else if miss := v.miss(n.domain); miss != "" {
			note(missTopology, 0, what+": "+miss)
		}
	}
	return reason
}

// lack is what of a demand a room falls short of, relative to the demand, and in words; "" if it fits.
func (w *world) lack(d, room *vec) (most float64, text string) { return lackOf(w.x.dims, d, room) }

func lackOf(x *dims, d, room *vec) (most float64, text string) {
	worst := -1
	for i := range x.n {
		if short := (d[i] - room[i]) / d[i]; d[i] > room[i] && d[i] > 0 && (worst < 0 || short > most) {
			worst, most = i, short
		}
	}
	if worst < 0 {
		return 0, ""
	}
	return most, fmt.Sprintf("%s of %s are wanted, %s are there", amount(worst, d[worst]), x.name(worst), amount(worst, max(0, room[worst])))
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
