package packing

import (
	"cmp"
	"math"
	"slices"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// careful places what waits of a class pod by pod, each where all of kube-scheduler's filters let it: on the nodes that there
// are first, then on new ones. It tells whether it placed any.
func (w *world) careful(ci int) bool {
	v, before := w.viewOf(ci), w.next[ci]
	for w.waiting(ci) > 0 {
		n := w.best(ci, v)
		if n == nil {
			n = w.open(ci, v)
		}
		if n == nil {
			break
		}
		w.put(ci, n, 1)
		v.placed(n)
	}
	return w.next[ci] > before
}

// best is the node with room that the class's preferences like best; of equals the one that is first in order.
func (w *world) best(ci int, v *view) *node {
	c := w.x.classes[ci]
	var best *node
	most := 0
	wish := w.wishes(c, v)
	for _, n := range w.nodes {
		if n.closed || !fits(w.x.dims.n, w.asks(c, n), &n.left) || !w.admits(n, c.filter) || w.clash(c, n) != "" || v.miss(n.domain) != "" {
			continue
		}
		if !wish {
			return n
		}
		if score := v.score(n.labels, n.name, n.domain); best == nil || score > most {
			best, most = n, score
		}
	}
	return best
}

// clash says what of ports or volumes keeps a class off a node; "" if nothing does.
func (w *world) clash(c *class, n *node) string {
	for _, v := range c.demand.Volumes {
		if v.Alone && w.users[v.ID] > 0 {
			return "another pod uses volume " + v.ID + ", which is ReadWriteOncePod"
		}
	}
	if len(c.demand.HostPorts) == 0 || n == nil {
		return ""
	}
	if n.option >= 0 && c.takes(w.sigs[w.opts[n.option].sig].ports) {
		return "a DaemonSet takes one of its host ports"
	}
	for _, p := range n.on {
		for _, a := range w.x.classes[p.class].demand.HostPorts {
			for _, b := range c.demand.HostPorts {
				if samePort(a, b) {
					return "host port " + itoa(int(b.Port)) + " is taken"
				}
			}
		}
	}
	return ""
}

// takes tells whether a class wants any of some ports.
func (c *class) takes(ports []fleet.HostPort) bool {
	for _, a := range ports {
		for _, b := range c.demand.HostPorts {
			if samePort(a, b) {
				return true
			}
		}
	}
	return false
}

func samePort(a, b fleet.HostPort) bool {
	protocol := func(p fleet.HostPort) string { return cmp.Or(p.Protocol, "TCP") }
	anywhere := func(p fleet.HostPort) bool { return p.IP == "" || p.IP == "0.0.0.0" }
	return a.Port == b.Port && protocol(a) == protocol(b) && (a.IP == b.IP || anywhere(a) || anywhere(b))
}

// perNode is how many pods of a class one new node can have at most, by the class's own constraints on hosts.
func (w *world) perNode(c *class) int {
	most := unlimited
	for _, g := range c.terms.anti {
		if c.memberOf(g) && w.x.groups[g].key == fleet.LabelHostname {
			most = 1
		}
	}
	for _, t := range c.terms.spread {
		if !t.soft && c.memberOf(t.group) && w.x.groups[t.group].key == fleet.LabelHostname {
			most = min(most, t.maxSkew)
		}
	}
	if len(c.demand.HostPorts) > 0 {
		most = 1
	}
	return most
}

// open adds a node for a class: the one that hosts what waits of it at the least price for a pod. Offerings that were short
// lately, and pools of less weight, only serve where nothing else does.
func (w *world) open(ci int, v *view) *node {
	c := w.x.classes[ci]
	if w.clash(c, nil) != "" {
		return nil
	}
	wait := min(w.waiting(ci), w.perNode(c))
	dearer := w.suits(c, v)
	best, least := -1, 0.0
	for i := range w.opts {
		o := &w.opts[i]
		if dearer[o.sig] < 0 {
			continue
		}
		k := times(w.x.dims.n, &c.d, &o.room, wait)
		if k == 0 || !w.may(i) {
			continue
		}
		price := o.price / float64(k) * (1 + dearer[o.sig])
		if best < 0 || w.tier(i, best) > 0 || w.tier(i, best) == 0 && price < least {
			best, least = i, price
		}
	}
	if best < 0 {
		return nil
	}
	return w.add(best)
}

// suits says of each signature whether a new node of it suits a class: negative if it may not be there, and else how much dearer it
// counts as than the one that its preferences like best, as a part of its price.
func (w *world) suits(c *class, v *view) []float64 {
	out, most := make([]float64, len(w.sigs)), math.Inf(-1)
	for i := range w.sigs {
		s := &w.sigs[i]
		if !s.admits(w.x, c.filter) || c.takes(s.ports) || v.miss(s.domain) != "" {
			out[i] = math.NaN()
			continue
		}
		if w.wishes(c, v) {
			out[i] = float64(v.score(s.labels, newName, s.domain))
		}
		most = max(most, out[i])
	}
	for i := range out {
		if math.IsNaN(out[i]) {
			out[i] = -1
		} else {
			out[i] = min(weightMost, weightOfPrice*(most-out[i]))
		}
	}
	return out
}

// tier compares two options by what comes before the price: greater is better.
func (w *world) tier(a, b int) int {
	x, y := &w.opts[a], &w.opts[b]
	if x.weight != y.weight {
		return cmp.Compare(x.weight, y.weight)
	}
	switch {
	case x.short == y.short:
		return 0
	case x.short:
		return -1
	}
	return 1
}

// domain is a signature's value of a topology key. Each new node is a host of its own.
func (s *sig) domain(key string) (string, bool) {
	v, ok := s.labels[key]
	return v, ok
}

// inOrder are the classes in the order in which they are served: by priority, then the hardest to place first.
func (w *world) inOrder(classes []int) []int {
	big := w.biggest()
	size := func(c *class) (most float64) {
		for i := range w.x.dims.n {
			if big[i] > 0 {
				most = max(most, c.d[i]/big[i])
			}
		}
		return most
	}
	out := slices.Clone(classes)
	slices.SortStableFunc(out, func(a, b int) int {
		x, y := w.x.classes[a], w.x.classes[b]
		return cmp.Or(cmp.Compare(y.priority, x.priority), cmp.Compare(y.constraints(), x.constraints()), cmp.Compare(size(y), size(x)), cmp.Compare(a, b))
	})
	return out
}

// constraints is how hard the class's topology makes it to place: hosts that other pods must not share come first.
func (c *class) constraints() int {
	return len(c.terms.anti) + len(c.terms.spread) + len(c.demand.HostPorts)
}

// biggest is the most that any option has of each resource.
func (w *world) biggest() (most vec) {
	for i := range w.opts {
		for r := range w.x.dims.n {
			if a := w.opts[i].room[r]; a < unlimited {
				most[r] = max(most[r], a)
			}
		}
	}
	return most
}
