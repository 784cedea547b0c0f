package packing

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// sorted are the classes of a problem by how they can be placed.
type sorted struct {
	simple  []int // their constraints concern the node alone, and who shares it: bulk can pack them
	careful []int // the others, pod by pod
}

// sort sorts classes. Those that have to be spread over zones, or to stay together in one, are split into parts that are pinned
// to a zone each, and then are simple: their zones are balanced whatever happens within them.
func (w *world) sort(classes []int) (out sorted) {
	d := w.newDomains(classes)
	for _, ci := range classes {
		switch key, kind := d.kind(ci); kind {
		case kindSimple:
			out.simple = append(out.simple, ci)
		case kindCareful:
			out.careful = append(out.careful, ci)
		case kindSpread:
			if parts := d.spread(ci, key); parts != nil {
				out.simple = append(out.simple, parts...)
			} else {
				out.careful = append(out.careful, ci)
			}
		case kindTogether:
			if part := d.together(ci, key); part >= 0 {
				out.simple = append(out.simple, part)
			} else {
				out.careful = append(out.careful, ci)
			}
		}
	}
	return out
}

// domainPlan is how many pods of each group are to be in each domain.
type domainPlan struct {
	w *world
	// carried are the groups over whose domains pending pods want to be spread, hosts apart.
	carried map[int]bool
	counts  map[int]map[string]int
	home    map[int]string  // by affinity group: the domain where its pods stay together
	load    map[string]int  // pods by domain, to tell equals apart
	shared  map[string]bool // claims that pods of several classes use
}

func (w *world) newDomains(classes []int) *domainPlan {
	d := &domainPlan{w: w, carried: map[int]bool{}, counts: map[int]map[string]int{}, home: map[int]string{}, load: map[string]int{}, shared: map[string]bool{}}
	claimed := map[string]bool{}
	for claim := range w.users {
		claimed[claim] = true
	}
	for _, ci := range classes {
		for _, v := range w.x.classes[ci].demand.Volumes {
			d.shared[v.ID] = claimed[v.ID]
			claimed[v.ID] = true
		}
	}
	for _, ci := range classes {
		c := w.x.classes[ci]
		for _, t := range c.terms.spread {
			if key := w.x.groups[t.group].key; key != fleet.LabelHostname && !(t.soft && w.x.p.Options.IgnorePreferences) {
				d.carried[t.group] = true
			}
		}
		for _, g := range c.terms.dislikes { // a wish for other domains is met by balance as well
			if w.x.groups[g].key != fleet.LabelHostname && c.memberOf(g) {
				d.carried[g] = true
			}
		}
	}
	return d
}

type domainKind int

const (
	kindSimple domainKind = iota
	kindCareful
	kindSpread
	kindTogether
)

// kind says how a class can be placed, and the topology key that it takes.
func (d *domainPlan) kind(ci int) (key string, kind domainKind) {
	w, c := d.w, d.w.x.classes[ci]
	keyOf := func(g int) string { return w.x.groups[g].key }
	for _, v := range c.demand.Volumes { // a claim that several use counts once on a node
		if v.Alone || v.Driver != "" && (len(c.pods) > 1 || d.shared[v.ID]) {
			return "", kindCareful
		}
	}
	if len(c.demand.HostPorts) > 0 || len(c.terms.likes) > 0 {
		return "", kindCareful
	}
	for _, g := range c.terms.anti {
		if keyOf(g) != fleet.LabelHostname {
			return "", kindCareful
		}
	}
	for _, g := range c.groups {
		if len(w.carry[g]) > 0 && keyOf(g) != fleet.LabelHostname {
			return "", kindCareful
		}
	}
	use := func(k string, how domainKind) bool {
		if key != "" && (key != k || kind != how) {
			return false
		}
		key, kind = k, how
		return true
	}
	for _, t := range c.terms.spread {
		if t.minDomains > 1 || t.ignore || t.taints {
			return "", kindCareful
		}
		if d.carried[t.group] && !use(keyOf(t.group), kindSpread) {
			return "", kindCareful
		}
	}
	for _, g := range c.groups {
		if d.carried[g] && !use(keyOf(g), kindSpread) {
			return "", kindCareful
		}
	}
	switch len(c.terms.affinity) {
	case 0:
		return key, kind
	case 1:
		g := c.terms.affinity[0]
		if kind == kindSimple && keyOf(g) != fleet.LabelHostname && c.memberOf(g) {
			return keyOf(g), kindTogether
		}
	}
	return "", kindCareful
}

// spread splits a class into parts, one for each domain, so that every group that it is counted in stays balanced. What does not
// divide evenly goes where the class is hosted for the least. Without a domain there are no parts, unless the class does not care.
func (d *domainPlan) spread(ci int, key string) (parts []int) {
	c := d.w.x.classes[ci]
	places := d.w.places(c, key)
	if len(places) == 0 && c.hardSpread() {
		return nil
	} else if len(places) == 0 {
		return []int{ci}
	}
	var groups []int
	for _, g := range c.groups {
		if d.carried[g] {
			groups = append(groups, g)
		}
	}
	share := make([]int, len(places))
	for range c.pods {
		best := 0
		for i := 1; i < len(places); i++ {
			if d.before(groups, places[i], places[best]) {
				best = i
			}
		}
		share[best]++
		d.load[places[best].name]++
		for _, g := range groups {
			d.countsOf(g)[places[best].name]++
		}
	}
	pods := c.pods
	for i, n := range share {
		if n > 0 {
			parts = append(parts, d.w.split(ci, key, places[i].name, pods[:n]))
			pods = pods[n:]
		}
	}
	return parts
}

// hardSpread tells whether a class has a topology spread constraint that must hold.
func (c *class) hardSpread() bool {
	return slices.ContainsFunc(c.terms.spread, func(t spreadTerm) bool { return !t.soft })
}

// before tells whether the next pod of some groups should rather go to a than to b.
func (d *domainPlan) before(groups []int, a, b place) bool {
	most := func(name string) (most, sum int) {
		for _, g := range groups {
			n := d.countsOf(g)[name]
			most, sum = max(most, n), sum+n
		}
		return most, sum
	}
	mostA, sumA := most(a.name)
	mostB, sumB := most(b.name)
	return cmp.Or(cmp.Compare(mostA, mostB), cmp.Compare(sumA, sumB), cmp.Compare(a.price, b.price), cmp.Compare(d.load[a.name], d.load[b.name])) < 0
}

// countsOf are a group's pods by domain, those that exist and those that are planned.
func (d *domainPlan) countsOf(g int) map[string]int {
	counts, ok := d.counts[g]
	if !ok {
		counts = d.w.domains(g, false, func(c *class) bool { return c.memberOf(g) }).count
		d.counts[g] = counts
	}
	return counts
}

// together pins a class that wants to be with its like to one domain: where they are already, or where it costs least. It is -1
// if pods that are bound keep to several domains, or none suits.
func (d *domainPlan) together(ci int, key string) int {
	c := d.w.x.classes[ci]
	g := c.terms.affinity[0]
	places := d.w.places(c, key)
	if home, ok := d.home[g]; ok {
		if !slices.ContainsFunc(places, func(p place) bool { return p.name == home }) {
			return -1
		}
		return d.w.split(ci, key, home, c.pods)
	}
	there := d.countsOf(g)
	if len(there) > 0 {
		places = slices.DeleteFunc(slices.Clone(places), func(p place) bool { return there[p.name] == 0 })
	}
	if len(places) == 0 {
		return -1
	}
	best := slices.MinFunc(places, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.price, b.price), cmp.Compare(d.load[a.name], d.load[b.name]), cmp.Compare(a.name, b.name))
	})
	d.home[g] = best.name
	d.load[best.name] += len(c.pods)
	return d.w.split(ci, key, best.name, c.pods)
}

// place is a domain in which a class can be, and what hosting one of its pods on a new node costs there at least, USD an hour.
type place struct {
	name  string
	price float64
}

// placesOf is what places depends on.
type placesOf struct {
	d      vec
	filter int
	key    string
}

// places are the domains of a topology key in which a class can be, in the order of their names: those with nodes that it
// may be on, and those where nodes that it fits can be added.
func (w *world) places(c *class, key string) (out []place) {
	id := placesOf{c.d, c.filter, key}
	if known, ok := w.known[id]; ok {
		return known
	}
	defer func() { w.known[id] = slices.Clip(out) }()
	price := map[string]float64{}
	for s := range w.sigs {
		name, ok := w.sigs[s].domain(key)
		if !ok || !w.sigs[s].admits(w.x, c.filter) {
			continue
		}
		for _, i := range w.front[s] {
			o := &w.opts[i]
			if !fits(w.x.dims.n, &c.d, &o.room) {
				continue
			}
			share := 0.0
			for r := range w.x.dims.n {
				if c.d[r] > 0 {
					share = max(share, c.d[r]/o.room[r])
				}
			}
			if old, ok := price[name]; !ok || share*o.price < old {
				price[name] = share * o.price
			}
		}
	}
	for _, n := range w.nodes {
		if name, ok := n.domain(key); ok && w.admits(n, c.filter) {
			if _, known := price[name]; !known {
				price[name] = math.Inf(1)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(price)) {
		out = append(out, place{name, price[name]})
	}
	return out
}

// split makes a class of some of a class's pods, pinned to a domain.
func (w *world) split(ci int, key, value string, pods []int) int {
	part := *w.x.classes[ci]
	part.unpinned = part.base()
	part.filter = w.x.pinned(part.filter, key, value)
	part.pods = pods
	w.x.classes = append(w.x.classes, &part)
	w.next = append(w.next, 0)
	id := len(w.x.classes) - 1
	for _, g := range part.terms.anti {
		w.carry[g] = append(w.carry[g], id)
	}
	w.next[ci] = len(w.x.classes[ci].pods) // the parts have them
	return id
}

// unpin lets a part go wherever the class may.
func (w *world) unpin(ci int) {
	c := w.x.classes[ci]
	c.filter, c.unpinned = c.base(), -1
}
