package workload

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/ekspedite/ekspedite/shared/decide/packing"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Breach is a rule that a plan breaks.
type Breach struct {
	Pod  string `json:"pod,omitempty"`  // namespace/name
	Node string `json:"node,omitempty"` // by name, or new-3 for the fourth new one
	Rule string `json:"rule"`           // cpu, memory, pods, node selector, taint, topology spread, …
	Text string `json:"text"`
}

func (b Breach) String() string {
	switch {
	case b.Pod != "":
		return fmt.Sprintf("%s: pod %s on node %s: %s", b.Rule, b.Pod, b.Node, b.Text)
	case b.Node != "":
		return fmt.Sprintf("%s: node %s: %s", b.Rule, b.Node, b.Text)
	}
	return b.Rule + ": " + b.Text
}

// Validate checks a solution by Kubernetes' rules, with nothing of the solver's code: the pods are bound to their nodes one
// after another as kube-scheduler would, each having to pass all filters. A pod that does not pass yet is tried again after the
// others, because zones fill up together. nil is a plan that holds: there is an order in which the scheduler would have done the
// same. Two ways to find one are tried, because spreads over zones and over nodes get into each other's way.
func Validate(p packing.Problem, s packing.Solution) []Breach {
	if out := wellFormed(p, s); len(out) > 0 {
		return out
	}
	out := replay(p, s, false)
	if len(out) > 0 && !slices.ContainsFunc(out, func(b Breach) bool { return b.Rule != spreadRule }) {
		if len(replay(p, s, true)) == 0 {
			return nil
		}
	}
	return out
}

// replay binds the pods of a solution. With nodesFirst those that are spread over nodes come before all others.
func replay(p packing.Problem, s packing.Solution, nodesFirst bool) (out []Breach) {
	c := newCluster(p, s)
	for i := range c.nodes { // what runs already is not judged, but daemons have to have room on new nodes
		n := &c.nodes[i]
		for _, pod := range n.there {
			if i >= len(p.Nodes) {
				if b := n.room(pod.Demand); b != nil {
					out = append(out, Breach{pod.ID(), n.name, b.Rule, b.Text})
				}
			}
			c.bind(i, c.classOf(pod), pod.Deleting)
		}
	}
	waiting := c.order(p, s, nodesFirst)
	if nodesFirst {
		waiting = c.sweep(waiting, false)
	}
	for len(waiting) > 0 {
		before := len(waiting)
		if waiting = c.sweep(waiting, true); len(waiting) < before {
			continue
		}
		if waiting = c.sweep(waiting, false); len(waiting) == before {
			break
		}
	}
	for _, b := range waiting {
		r := c.refuses(b)
		out = append(out, Breach{p.Pods[b.pod].ID(), c.nodes[b.node].name, r.Rule, r.Text})
	}
	return out
}

// sweep binds the pods that pass, and returns the others. A careful one leaves those for later that would bring others' spread
// out of balance; a careless one binds such pods, of the first kind that has any.
func (c *cluster) sweep(waiting []binding, careful bool) (later []binding) {
	bound := -1
	for _, b := range waiting {
		if careful && c.spoils(b) || bound >= 0 && b.kind > bound || c.refuses(b) != nil {
			later = append(later, b)
			continue
		}
		c.bind(b.node, b.class, false)
		for _, r := range b.class.spread {
			r.due[c.nodes[b.node].labels[r.key]]--
		}
		if !careful {
			bound = b.kind
		}
	}
	return later
}

// taken is what new nodes take of their pool's limits.
type taken struct {
	nodes       int
	cpu, memory int64
}

// wellFormed checks that the parts of a solution agree with each other and with the problem.
func wellFormed(p packing.Problem, s packing.Solution) (out []Breach) {
	wrong := func(rule, node, format string, a ...any) {
		out = append(out, Breach{Rule: rule, Node: node, Text: fmt.Sprintf(format, a...)})
	}
	if len(s.Placed) != len(p.Pods) {
		wrong("every pod once", "", "%d pods were placed, there are %d", len(s.Placed), len(p.Pods))
		return out
	}
	left := map[int]int{}
	for _, u := range s.Unplaced {
		left[u.Pod]++
	}
	listed := make([]int, len(p.Pods))
	price, perPool := 0.0, map[int]taken{}
	for i, n := range s.New {
		name := newName(i)
		if n.Pool < 0 || n.Pool >= len(p.Pools) || n.Type < 0 || n.Type >= len(p.Types) || n.Offering < 0 || n.Offering >= len(p.Types[n.Type].Offerings) {
			wrong("offering", name, "there is no such pool, type or offering")
			continue
		}
		pool, o := p.Pools[n.Pool], p.Types[n.Type].Offerings[n.Offering]
		if !slices.Contains(pool.Machines, n.Type) || pool.Zones != nil && !slices.Contains(pool.Zones, o.Zone) || pool.Capacity != nil && !slices.Contains(pool.Capacity, o.Capacity) {
			wrong("node pool", name, "pool %s has no %s, %s in %s", pool.Name, p.Types[n.Type].Name, o.Capacity, o.Zone)
		}
		price += o.Price
		room, had := p.Types[n.Type].Allocatable, perPool[n.Pool]
		perPool[n.Pool] = taken{had.nodes + 1, had.cpu + room.CPU, had.memory + room.Memory}
		for _, pod := range n.Pods {
			if pod < 0 || pod >= len(p.Pods) || s.Placed[pod] != len(p.Nodes)+i {
				wrong("every pod once", name, "lists pod %d, which is placed elsewhere", pod)
				continue
			}
			listed[pod]++
		}
	}
	for i, u := range perPool {
		pool := p.Pools[i]
		if most := pool.MaxNodes; most > 0 && u.nodes > most {
			wrong("node pool", "", "pool %s gets %d nodes, and may get %d", pool.Name, u.nodes, most)
		}
		if pool.MaxCPU > 0 && u.cpu > pool.MaxCPU || pool.MaxMemory > 0 && u.memory > pool.MaxMemory {
			wrong("node pool", "", "pool %s gets %d thousandths of cores and %d bytes of memory, which is more than it may have", pool.Name, u.cpu, u.memory)
		}
	}
	for i, at := range s.Placed {
		switch {
		case at < -1 || at >= len(p.Nodes)+len(s.New):
			wrong("every pod once", "", "pod %s is placed on node %d, which there is not", p.Pods[i].ID(), at)
		case (at == -1) != (left[i] == 1), at >= len(p.Nodes) && listed[i] != 1:
			wrong("every pod once", "", "pod %s is to be on one node or left out", p.Pods[i].ID())
		}
	}
	if math.Abs(price-s.Price) > 1e-6*(1+price) {
		wrong("price", "", "the nodes cost %.4f together, the plan says %.4f", price, s.Price)
	}
	return out
}

func newName(i int) string { return fmt.Sprintf("new-%d", i) }

// binding is a pod that goes to a node.
type binding struct {
	pod   int // of the problem
	class *class
	node  int
	kind  int // 0 and 1 with a topology spread, 2 without
}

// order is one in which pods might be bound: those with a spread over zones and the like first, then those with one over nodes
// only, or the other way round, then the others; and the pods of each demand in turn over their nodes' zones.
func (c *cluster) order(p packing.Problem, s packing.Solution, nodesFirst bool) []binding {
	type row struct {
		demand *fleet.Demand
		zone   string
	}
	turns, turn, out := map[row]int{}, make([]int, len(p.Pods)), make([]binding, 0, len(p.Pods))
	for i, at := range s.Placed {
		if at < 0 {
			continue
		}
		b := binding{pod: i, class: c.classOf(p.Pods[i]), node: at, kind: 2}
		for _, r := range b.class.spread {
			b.kind = min(b.kind, 1)
			if (r.key == fleet.LabelHostname) == nodesFirst {
				b.kind = 0
			}
			r.due[c.nodes[at].labels[r.key]]++
		}
		r := row{b.class.Demand, c.nodes[at].labels[fleet.LabelZone]}
		turn[i] = turns[r]
		turns[r]++
		out = append(out, b)
	}
	slices.SortStableFunc(out, func(a, b binding) int { return cmp.Or(a.kind-b.kind, turn[a.pod]-turn[b.pod]) })
	return out
}

// refuses is the first filter that a pod does not pass on its node; nil if it passes all.
func (c *cluster) refuses(b binding) *Breach {
	n, d := &c.nodes[b.node], b.class.Demand
	if n.closed {
		return &Breach{Rule: "unschedulable", Text: "the node takes no pods"}
	}
	if len(d.Unsupported) > 0 {
		return &Breach{Rule: "unsupported", Text: "it asks for " + d.Unsupported[0]}
	}
	if taint, ok := tolerates(b.class.Tolerations, n.taints); !ok {
		return &Breach{Rule: "taint", Text: fmt.Sprintf("%s=%s:%s is not tolerated", taint.Key, taint.Value, taint.Effect)}
	}
	if !wantsNode(d, n.name, n.labels) {
		return &Breach{Rule: "node selector", Text: "its node selector or affinity does not match the node"}
	}
	if r := n.room(d); r != nil {
		return r
	}
	if r := c.spreads(b); r != nil {
		return r
	}
	return c.affine(b)
}
