package packing

import (
	"math"
	"slices"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// settleRounds is how often what was taken off is placed again.
const settleRounds = 3

// settle looks at what was placed as the scheduler will. Classes are divided among domains before it is known whether there is
// room in each; where there was none, the pods of the others are too many for their own constraint. Those are taken off and placed
// one by one, as far as there is a place.
func (w *world) settle() {
	for range settleRounds {
		if !w.takeOff() {
			return
		}
		w.carefully(w.inOrder(w.still(w.all())))
	}
	w.takeOff()
}

// lastResort places what is left where the scheduler would let it now, after all others, on nodes that are there: no longer with
// a thought for domains that there could be.
func (w *world) lastResort() {
	left := w.still(w.all())
	if len(left) == 0 {
		return
	}
	w.exact = true
	w.squeeze(w.inOrder(left))
	w.exact = false
	w.takeOff() // one may have come in another's way
}

// takeOff unplaces pods until all topology constraints hold, and tells whether there were any.
func (w *world) takeOff() (any bool) {
	known := tallies{map[scope][]*node{}, map[tally]map[string]int{}}
	off := func(ci int, find func(ci int) (int, *node)) (some bool) {
		for w.next[ci] > 0 {
			who, n := find(ci)
			if n == nil {
				return some
			}
			w.unput(who, n)
			known.forget(w, who, n)
			some = true
		}
		return some
	}
	for again := true; again; any = any || again {
		again = false
		for ci, c := range w.x.classes {
			if c.hardSpread() && off(ci, func(ci int) (int, *node) { return w.tooMany(ci, known) }) {
				again = true
			}
		}
		for ci, c := range w.x.classes {
			if again && len(c.terms.affinity) > 0 && off(ci, w.lonely) {
				again = true
			}
		}
	}
	return any
}

// tooMany is a pod, by its class and node, that has to go so that a class's topology spread holds: one of those that it counts where
// there are too many; the node is nil if it holds.
func (w *world) tooMany(ci int, known tallies) (int, *node) {
	c := w.x.classes[ci]
	for _, t := range c.terms.spread {
		key := w.x.groups[t.group].key
		if t.soft || key == fleet.LabelHostname {
			continue
		}
		count := w.settled(c, t, known)
		least, most := math.MaxInt, 0
		for _, n := range count {
			least, most = min(least, n), max(most, n)
		}
		if len(count) < t.minDomains {
			least = 0
		}
		if most-least <= t.maxSkew {
			continue
		}
		for _, n := range slices.Backward(w.nodes) {
			if d, ok := n.domain(key); ok && count[d]-least > t.maxSkew && w.has(ci, n) {
				return w.counting(ci, t.group, key, d, n)
			}
		}
	}
	return ci, nil
}

// counting is a pod of a group in a domain that was placed here: one of the class itself on a node, if the class is counted, and else
// one that is. Taking off somebody who is not counted would help nobody but himself.
func (w *world) counting(ci, group int, key, domain string, n *node) (int, *node) {
	if w.x.classes[ci].memberOf(group) {
		return ci, n
	}
	for _, o := range slices.Backward(w.nodes) {
		if d, ok := o.domain(key); !ok || d != domain {
			continue
		}
		for _, p := range o.on {
			if w.x.classes[p.class].memberOf(group) && w.x.classes[p.class].constrained() && w.has(p.class, o) {
				return p.class, o
			}
		}
	}
	return ci, n
}

// constrained tells whether a class has topology constraints that must hold.
func (c *class) constrained() bool {
	return c.hardSpread() || len(c.terms.affinity)+len(c.terms.anti) > 0
}

// scope is what decides which nodes a topology spread constraint looks at.
type scope struct {
	filter         int
	ignore, taints bool
	keys           string // of all constraints of the pod: nodes without one of them do not count
}

// tally is a group counted within a scope.
type tally struct {
	scope
	group int
}

// tallies are what is known so far: constraints of many classes look at the same nodes.
type tallies struct {
	nodes  map[scope][]*node
	counts map[tally]map[string]int
}

// forget takes a pod that was taken off out of what was counted.
func (t tallies) forget(w *world, ci int, n *node) {
	if len(n.on) == 0 { // its domain may have gone with it
		clear(t.counts)
		return
	}
	c := w.x.classes[ci]
	if !c.constrained() {
		return
	}
	for key, count := range t.counts {
		if d, ok := n.domain(w.x.groups[key.group].key); ok && c.memberOf(key.group) && slices.Contains(t.nodes[key.scope], n) {
			count[d]--
		}
	}
}

// settled counts a group's pods by domain as a class's constraint will: on nodes that there are or will be. Those that only are
// counted, and have no constraint of their own, may come later.
func (w *world) settled(c *class, t spreadTerm, known tallies) map[string]int {
	in := scope{c.base(), t.ignore, t.taints, ""}
	for _, o := range c.terms.spread {
		if !o.soft {
			in.keys += w.x.groups[o.group].key + "\x00"
		}
	}
	count, ok := known.counts[tally{in, t.group}]
	if ok {
		return count
	}
	nodes, ok := known.nodes[in]
	if !ok {
		for _, n := range w.nodes {
			if w.counts(c, t, n.labels, n.taints, n.name) {
				nodes = append(nodes, n)
			}
		}
		known.nodes[in] = nodes
	}
	count = map[string]int{}
	for _, n := range nodes {
		d, ok := n.domain(w.x.groups[t.group].key)
		if !ok || n.option >= 0 && len(n.on) == 0 {
			continue
		}
		count[d] += w.mustCount(n, t.group)
	}
	known.counts[tally{in, t.group}] = count
	return count
}

// mustCount counts the pods of a group on a node that are there when others of it come: those that are there now, without those
// that are being deleted, and those with topology constraints of their own.
func (w *world) mustCount(n *node, group int) (count int) {
	for _, p := range n.on {
		o := w.x.classes[p.class]
		if !o.memberOf(group) {
			continue
		}
		if o.constrained() {
			count += p.n
		} else if n.option < 0 {
			count += w.x.on[n.id][p.class]
		}
		if n.option < 0 {
			count -= w.x.going[n.id][p.class]
		}
	}
	return count
}

// lonely is a node on which a pod of a class is without the company that it asks for, which was taken off; nil if none is.
func (w *world) lonely(ci int) (int, *node) {
	v := w.viewOf(ci)
	if v.first {
		return ci, nil
	}
	for i := range v.affinity {
		for _, n := range slices.Backward(w.nodes) {
			if d, ok := n.domain(v.affinity[i].key); w.has(ci, n) && (!ok || v.affinity[i].count[d] == 0) {
				return ci, n
			}
		}
	}
	return ci, nil
}

// has tells whether pods of a class were placed on a node. The pods of a class that was split are its parts'.
func (w *world) has(ci int, n *node) bool {
	return slices.ContainsFunc(n.on, func(p pile) bool { return p.class == ci }) && slices.ContainsFunc(w.x.classes[ci].pods[:w.next[ci]], func(pod int) bool { return w.at[pod] == n.id })
}

// unput takes the last pod of a class off a node that has one.
func (w *world) unput(ci int, n *node) {
	c, last := w.x.classes[ci], w.next[ci]-1
	c.pods = slices.Clone(c.pods) // parts of one class share them
	i := last
	for w.at[c.pods[i]] != n.id {
		i--
	}
	c.pods[i], c.pods[last] = c.pods[last], c.pods[i]
	w.at[c.pods[last]] = -1
	w.next[ci]--
	w.unpin(ci)
	for _, p := range n.on {
		for _, volume := range w.x.classes[p.class].demand.Volumes {
			w.users[volume.ID] -= p.n
		}
	}
	k := slices.IndexFunc(n.on, func(p pile) bool { return p.class == ci })
	if n.on[k].n--; n.on[k].n == 0 {
		n.on = slices.Delete(n.on, k, k+1)
	}
	n.left, n.claims = n.all, nil
	for _, p := range n.on {
		w.load(w.x.classes[p.class], n, p.n)
	}
}
