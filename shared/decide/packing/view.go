package packing

import (
	"slices"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// view is what a class's topology constraints say about the world: counts of pods by domain, kept while its pods are placed.
type view struct {
	w      *world
	c      *class
	spread []spreadView
	// affinity has for each required term the domains in which there is a pod that all of them select.
	affinity []domains
	found    int  // pods that all required affinity terms select, in any domain
	first    bool // a pod of the class satisfies its own affinity
	anti     []domains
	repelled []domains // where pods are that keep members of a group of ours off
	wishes   []wish
}

// wish is a preference about other pods: a domain where there is one of them counts weight, each further one more if each.
type wish struct {
	domains
	weight int
	each   bool
}

type domains struct {
	key   string
	count map[string]int
	self  bool // a pod of the class counts
}

type spreadView struct {
	spreadTerm
	domains
	exact bool // no more nodes will come
}

// viewOf counts what a class wants to know. Domains in which nodes could be added count as empty ones: they will be there.
func (w *world) viewOf(ci int) *view {
	c := w.x.classes[ci]
	v := &view{w: w, c: c}
	for _, t := range c.terms.spread {
		if !t.soft {
			v.spread = append(v.spread, w.spreadView(c, t))
		}
	}
	for _, g := range c.groups {
		// Whoever is counted by others' constraints keeps to them as well while that is possible, so that the others fit whenever they
		// come.
		most, ok := w.skew[g]
		if ok && !w.blunt && !slices.ContainsFunc(c.terms.spread, func(t spreadTerm) bool { return t.group == g && !t.soft }) {
			v.spread = append(v.spread, w.spreadView(c, spreadTerm{group: g, maxSkew: most, minDomains: 1}))
		}
	}
	all := func(o *class) bool {
		for _, g := range c.terms.affinity {
			if !o.memberOf(g) {
				return false
			}
		}
		return true
	}
	if len(c.terms.affinity) > 0 {
		v.first = all(c)
	}
	for _, g := range c.terms.affinity {
		v.affinity = append(v.affinity, w.domains(g, v.first, all))
		for _, n := range v.affinity[len(v.affinity)-1].count {
			v.found += n
		}
	}
	for _, g := range c.terms.anti {
		v.anti = append(v.anti, w.domains(g, c.memberOf(g), func(o *class) bool { return o.memberOf(g) }))
	}
	for _, g := range c.groups {
		if carriers := w.carry[g]; len(carriers) > 0 {
			set := map[*class]bool{}
			for _, i := range carriers {
				set[w.x.classes[i]] = true
			}
			v.repelled = append(v.repelled, w.domains(g, set[c], func(o *class) bool { return set[o] }))
		}
	}
	v.addWishes()
	return v
}

// softWeight is what one pod more in a domain counts against it under a ScheduleAnyway constraint with maxSkew 1.
const softWeight = 10

func (v *view) addWishes() {
	w, c := v.w, v.c
	add := func(g, weight int, each bool) {
		member := func(o *class) bool { return o.memberOf(g) }
		v.wishes = append(v.wishes, wish{w.domains(g, c.memberOf(g), member), weight, each})
	}
	for i, g := range c.terms.likes {
		add(g, c.demand.PreferredAffinity[i].Weight, false)
	}
	for i, g := range c.terms.dislikes {
		add(g, -c.demand.PreferredAntiAffinity[i].Weight, false)
	}
	for _, t := range c.terms.spread {
		if t.soft && !w.x.p.Options.IgnorePreferences {
			add(t.group, -max(1, softWeight/t.maxSkew), true)
		}
	}
}

// count counts the pods of some classes on a node.
func (n *node) count(w *world, which func(*class) bool) (count int) {
	for _, p := range n.on {
		if which(w.x.classes[p.class]) {
			count += p.n
		}
	}
	return count
}

func (w *world) domains(g int, self bool, which func(*class) bool) domains {
	d := domains{w.x.groups[g].key, map[string]int{}, self}
	for _, n := range w.nodes {
		if value, ok := n.domain(d.key); ok {
			if k := n.count(w, which); k > 0 {
				d.count[value] += k
			}
		}
	}
	return d
}

func (w *world) spreadView(c *class, t spreadTerm) spreadView {
	key := w.x.groups[t.group].key
	v := spreadView{t, domains{key, map[string]int{}, c.memberOf(t.group)}, w.exact}
	if key != fleet.LabelHostname && !w.exact { // one node more or less decides nothing for the others where each is a domain
		for i := range w.sigs {
			if w.hosts(i, &c.d) && w.counts(c, t, w.sigs[i].labels, w.sigs[i].taints, newName) {
				v.count[w.sigs[i].labels[key]] += 0
			}
		}
	}
	for _, n := range w.nodes {
		if w.exact && n.option >= 0 && len(n.on) == 0 {
			continue // it will not be made
		}
		if value, ok := n.domain(key); ok && w.counts(c, t, n.labels, n.taints, n.name) {
			v.count[value] += w.counted(n, t.group)
		}
	}
	return v
}

// counts tells whether a node of these labels, taints and name is one that a topology spread constraint looks at. Where the pod's
// volumes are does not matter to it.
func (w *world) counts(c *class, t spreadTerm, labels map[string]string, taints []fleet.Taint, name string) bool {
	for _, other := range c.terms.spread {
		if _, there := labels[w.x.groups[other.group].key]; !there && !other.soft {
			return false
		}
	}
	if _, off := keepsOff(taints, c.tolerations); off && t.taints {
		return false
	}
	return t.ignore || w.x.filters[c.base()].chooses(labels, name)
}

// hosts tells whether any node of a signature is big enough for a pod.
func (w *world) hosts(sig int, d *vec) bool {
	return slices.ContainsFunc(w.front[sig], func(i int) bool { return fits(w.x.dims.n, d, &w.opts[i].room) })
}

// base is the filter of a class without its pin.
func (c *class) base() int {
	if c.unpinned >= 0 {
		return c.unpinned
	}
	return c.filter
}

// least is the number of pods in the emptiest domain, as the constraint counts it. Hostnames are taken to have an empty one:
// there may be a node more at any time.
func (s *spreadView) least() int {
	if s.key == fleet.LabelHostname && !s.exact || len(s.count) < s.minDomains {
		return 0
	}
	least := -1
	for _, n := range s.count {
		if least < 0 || n < least {
			least = n
		}
	}
	return max(least, 0)
}

// miss says which constraint keeps the class off a place whose domains are told by domain; "" if none does.
func (v *view) miss(domain func(key string) (string, bool)) string {
	for i := range v.spread {
		s := &v.spread[i]
		d, ok := domain(s.key)
		if !ok {
			return "it has no label " + s.key + ", which a topology spread constraint asks for"
		}
		have := s.count[d]
		if s.self {
			have++
		}
		if have-s.least() > s.maxSkew {
			return "topology spread over " + s.key + " (maxSkew " + itoa(s.maxSkew) + ")"
		}
	}
	for i := range v.affinity {
		d, ok := domain(v.affinity[i].key)
		if !ok {
			return "it has no label " + v.affinity[i].key + ", which a pod affinity asks for"
		}
		if v.affinity[i].count[d] == 0 && (v.found > 0 || !v.first) {
			return "pod affinity under " + v.affinity[i].key + ": none of the pods that it asks for is there"
		}
	}
	for i := range v.anti {
		if d, ok := domain(v.anti[i].key); ok && v.anti[i].count[d] > 0 {
			return "pod anti-affinity under " + v.anti[i].key
		}
	}
	for i := range v.repelled {
		if d, ok := domain(v.repelled[i].key); ok && v.repelled[i].count[d] > 0 {
			return "the anti-affinity of a pod that is there, under " + v.repelled[i].key
		}
	}
	return ""
}

// placed counts a pod of the class that was put onto a node.
func (v *view) placed(n *node) {
	note := func(d *domains) {
		if value, ok := n.domain(d.key); ok && d.self {
			d.count[value]++
		}
	}
	for i := range v.spread {
		note(&v.spread[i].domains)
	}
	for i := range v.affinity {
		note(&v.affinity[i])
	}
	if v.first {
		v.found++
	}
	for i := range v.anti {
		note(&v.anti[i])
	}
	for i := range v.repelled {
		note(&v.repelled[i])
	}
	for i := range v.wishes {
		note(&v.wishes[i].domains)
	}
}
