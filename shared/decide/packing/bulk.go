package packing

import (
	"slices"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// bulk packs classes of pods onto new nodes, many at a time: those whose constraints concern nothing but the node itself and
// who shares it. It works on counts; which pod goes where is said at the end.
type bulk struct {
	w       *world
	dims    int // resources that the classes ask for
	classes []bulkClass
	opts    []bulkOption
	bySig   [][]int // options of a signature, cheapest first, without those that a cheaper one is no smaller than
	order   []int   // signatures that any class may use
	fits    [][]int // by signature: the classes that may use it
	limited bool    // some pool has limits
	scarce  bool    // so much that nodes are chosen by how much they hold, whatever they cost
	fill    filler
}

// bulkClass is a class as bulk sees it.
type bulkClass struct {
	classes []int // of the index: what tells them apart does not matter any more
	wait    int   // how many of their pods are to be packed
	filter  int
	d       vec // of bulk's own dimensions
	value   float64
	caps    []limit
}

// limit is what a class means for a group of pods that must not crowd a host.
type limit struct {
	group int
	// most is how many members the class lets there be on its host, itself counted; unlimited if it does not mind.
	most int
	// member: its own pods count.
	member bool
}

// bulkOption is an option of the world.
type bulkOption struct {
	opt   int
	sig   int
	room  vec
	inv   vec // 1 / room, 0 where there is none
	price float64
	risk  float64
}

// packed is a node that bulk has planned.
type packed struct {
	opt  int // of bulk.opts
	on   []pile
	used vec
	// worth is the value of what is on it for each dollar, where improve has said so.
	worth float64
}

// newBulk prepares to pack what waits of some classes with the options that are usable.
func newBulk(w *world, classes []int, usable func(opt int) bool) *bulk {
	b := &bulk{w: w}
	dims := b.activeDims(classes)
	b.dims = len(dims)
	narrow := func(v *vec) (out vec) {
		for i, r := range dims {
			out[i] = v[r]
		}
		return out
	}
	b.merge(classes, narrow)
	b.prune(usable, narrow)
	b.fits = make([][]int, len(w.sigs))
	for _, s := range b.order {
		for i := range b.classes {
			if w.sigs[s].admits(w.x, b.classes[i].filter) {
				b.fits[s] = append(b.fits[s], i)
			}
		}
	}
	b.order = slices.DeleteFunc(b.order, func(s int) bool { return len(b.fits[s]) == 0 })
	b.pruneAcross()
	for i := range w.pools {
		b.limited = b.limited || w.bounded(i)
	}
	b.fill.init(b)
	return b
}

// merge makes one class of all that ask for the same, may be on the same nodes, and crowd the same hosts.
func (b *bulk) merge(classes []int, narrow func(*vec) vec) {
	type key struct {
		d      vec
		filter int
	}
	known := map[key][]int{}
	for _, ci := range classes {
		if b.w.waiting(ci) == 0 {
			continue
		}
		c := b.w.x.classes[ci]
		k, caps := key{narrow(&c.d), b.w.preferred(c)}, b.w.limits(c)
		i := slices.IndexFunc(known[k], func(i int) bool { return slices.Equal(b.classes[i].caps, caps) })
		if i < 0 {
			known[k] = append(known[k], len(b.classes))
			b.classes = append(b.classes, bulkClass{filter: k.filter, d: k.d, caps: caps})
			i = len(known[k]) - 1
		}
		m := &b.classes[known[k][i]]
		m.classes = append(m.classes, ci)
		m.wait += b.w.waiting(ci)
	}
}

// activeDims are the resources that any of the classes asks for.
func (b *bulk) activeDims(classes []int) (dims []int) {
	for r := range b.w.x.dims.n {
		if slices.ContainsFunc(classes, func(ci int) bool { return b.w.x.classes[ci].d[r] > 0 }) {
			dims = append(dims, r)
		}
	}
	return dims
}

// prune keeps, of each signature, the options that no cheaper one replaces.
func (b *bulk) prune(usable func(opt int) bool, narrow func(*vec) vec) {
	b.bySig = make([][]int, len(b.w.sigs))
	for s, list := range b.w.front {
		for _, i := range list {
			o := &b.w.opts[i]
			room := narrow(&o.room)
			if !usable(i) || slices.ContainsFunc(b.bySig[s], func(k int) bool {
				return b.w.standsIn(b.opts[k].opt, i) && fits(b.dims, &room, &b.opts[k].room)
			}) {
				continue
			}
			x := bulkOption{opt: i, sig: s, room: room, price: o.price, risk: o.risk}
			for r := range b.dims {
				if room[r] > 0 {
					x.inv[r] = 1 / room[r]
				}
			}
			b.bySig[s] = append(b.bySig[s], len(b.opts))
			b.opts = append(b.opts, x)
		}
		if len(b.bySig[s]) > 0 {
			b.order = append(b.order, s)
		}
	}
}

// pruneAcross drops options for which another signature, that all of their classes may use as well, has one that is no dearer
// and no smaller: on-demand beside spot, where nobody asks for on-demand.
func (b *bulk) pruneAcross() {
	within := func(s, of int) bool { // both are sorted
		i := 0
		for _, c := range b.fits[of] {
			if i < len(b.fits[s]) && b.fits[s][i] == c {
				i++
			}
		}
		return i == len(b.fits[s])
	}
	for _, s := range b.order {
		for _, of := range b.order {
			if s == of || len(b.bySig[of]) == 0 || b.w.bounded(b.w.sigs[of].pool) || !within(s, of) {
				continue
			}
			b.bySig[s] = slices.DeleteFunc(b.bySig[s], func(i int) bool {
				o := &b.opts[i]
				return slices.ContainsFunc(b.bySig[of], func(k int) bool {
					other := &b.opts[k]
					return (other.price < o.price || other.price == o.price && other.risk <= o.risk) && b.w.standsIn(b.opts[k].opt, o.opt) && fits(b.dims, &o.room, &other.room)
				})
			})
		}
	}
	b.order = slices.DeleteFunc(b.order, func(s int) bool { return len(b.bySig[s]) == 0 })
}

// wishShare: of so many pods that would rather be on hosts of their own, one host gets one.
const wishShare = 10

// limits are a class's constraints on its host, for bulk: anti-affinity, its own and that of others, and topology spread over
// hosts.
func (w *world) limits(c *class) (out []limit) {
	at := func(g int) *limit {
		for i := range out {
			if out[i].group == g {
				return &out[i]
			}
		}
		out = append(out, limit{group: g, most: unlimited})
		return &out[len(out)-1]
	}
	for _, g := range c.groups {
		if w.x.groups[g].key == fleet.LabelHostname && len(w.carry[g]) > 0 {
			at(g).member = true
		}
	}
	for _, g := range c.terms.anti {
		l := at(g)
		l.most = 0
		if l.member {
			l.most = 1
		}
	}
	// Pods without such a constraint may join later whatever it says, so that only those that have one are counted, and all of
	// a group keep to its strictest.
	if slices.ContainsFunc(c.terms.spread, func(t spreadTerm) bool { return !t.soft && w.x.groups[t.group].key == fleet.LabelHostname }) {
		for _, g := range c.groups {
			if most, ok := w.crowd[g]; ok {
				l := at(g)
				l.member, l.most = true, min(l.most, most)
			}
		}
	}
	// Wishes for other hosts hold as far as a tenth of the pods a host goes: a node for each would be dear.
	wish := func(g int) {
		if w.x.groups[g].key == fleet.LabelHostname && c.memberOf(g) {
			l := at(g)
			l.member, l.most = true, min(l.most, (len(c.pods)+wishShare-1)/wishShare)
		}
	}
	for _, t := range c.terms.spread {
		if t.soft && !w.x.p.Options.IgnorePreferences {
			wish(t.group)
		}
	}
	for _, g := range c.terms.dislikes {
		wish(g)
	}
	return out
}
