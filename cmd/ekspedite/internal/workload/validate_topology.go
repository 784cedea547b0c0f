package workload

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/shared/decide/packing"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// cluster is the nodes of a plan while its pods are bound to them.
type cluster struct {
	nodes   []host
	options packing.Options
	classes map[string]*class
	groups  map[string]*group
	index   map[string][]*group // by a label that their pods have; "" for those that ask for none
	claims  map[string]bool     // in use by a pod
	reaches map[string]reach
}

// reach is the nodes and the values of a topology key that a spread counts.
type reach struct {
	nodes  []bool
	values map[string]int // all 0
}

// class is what pods that are treated alike have in common.
type class struct {
	fleet.Pod
	spread   []rule
	affinity []*group
	anti     []*group
	counted  []*group // whose selectors select pods of this class
	ready    bool
}

// rule is a hard topology spread constraint of a class.
type rule struct {
	fleet.Spread
	*group
	self int // 1 if the pod counts itself
}

// group counts pods by the values of a topology key: those that its terms select, all of them.
type group struct {
	key     string
	terms   []fleet.PodTerm
	home    string // namespace of who has the terms
	counts  map[string]int
	total   int
	carried map[string]int // an anti-affinity's: pods that have it
	spread  bool
	skew    int            // of a spread: the smallest that is allowed
	due     map[string]int // of a spread: pods that have it and are still to be bound
	nodes   []bool         // of a spread: those that count; nil is all
	least   int            // of a spread: the smallest count
	atLeast int            // how many values have it
}

// classOf finds the class of a pod, or makes it.
func (c *cluster) classOf(p fleet.Pod) *class {
	var b strings.Builder
	fmt.Fprintf(&b, "%p|%s", p.Demand, p.Namespace)
	for _, k := range slices.Sorted(maps.Keys(p.Labels)) {
		b.WriteString("|" + k + "=" + p.Labels[k])
	}
	for _, t := range p.Tolerations {
		b.WriteString("|" + t.Key + "," + t.Operator + "," + t.Value + "," + t.Effect)
	}
	if k, ok := c.classes[b.String()]; ok {
		return k
	}
	k := &class{Pod: p}
	c.classes[b.String()] = k
	if d := p.Demand; d != nil {
		c.rules(k, d)
	}
	return k
}

// rules finds the groups that a class's own rules count by.
func (c *cluster) rules(k *class, d *fleet.Demand) {
	var keys []string
	for _, s := range d.Spread {
		if !s.Soft {
			keys = append(keys, s.TopologyKey)
		}
	}
	for _, s := range d.Spread {
		if s.Soft {
			continue
		}
		term := fleet.PodTerm{TopologyKey: s.TopologyKey, Selector: s.Selector}
		who := []any{keys}
		if !s.IgnoreAffinity {
			who = append(who, d.NodeSelector, d.NodeTerms)
		}
		if s.HonorTaints {
			who = append(who, "taints", k.Tolerations)
		}
		g := c.group(k.Namespace, s.TopologyKey, []fleet.PodTerm{term}, "spread", who)
		if !g.spread {
			g.spread, g.skew = true, s.MaxSkew
			r := c.reach(k, s, keys, who)
			g.nodes, g.counts, g.atLeast = r.nodes, maps.Clone(r.values), len(r.values)
		}
		g.skew = min(g.skew, s.MaxSkew)
		r := rule{Spread: s, group: g}
		if g.selects(k) {
			r.self = 1
		}
		k.spread = append(k.spread, r)
	}
	for _, t := range d.Affinity {
		k.affinity = append(k.affinity, c.group(k.Namespace, t.TopologyKey, d.Affinity, "affinity", nil))
	}
	for _, t := range d.AntiAffinity {
		k.anti = append(k.anti, c.group(k.Namespace, t.TopologyKey, []fleet.PodTerm{t}, "anti", nil))
	}
}

// group finds a group by all that makes it differ from others.
func (c *cluster) group(home, key string, terms []fleet.PodTerm, kind string, who []any) *group {
	id := text([]any{home, key, terms, kind, who})
	g, ok := c.groups[id]
	if !ok {
		g = &group{key: key, terms: terms, home: home, counts: map[string]int{}, carried: map[string]int{}, due: map[string]int{}}
		c.groups[id] = g
		at := ""
		if s := terms[0].Selector; s != nil && len(s.Labels) > 0 {
			k := slices.Min(slices.Collect(maps.Keys(s.Labels)))
			at = k + "=" + s.Labels[k]
		}
		c.index[at] = append(c.index[at], g)
	}
	return g
}

// reach finds what a spread counts. Many spreads count the same.
func (c *cluster) reach(k *class, s fleet.Spread, keys []string, who []any) reach {
	id := text([]any{who, s.TopologyKey})
	if r, ok := c.reaches[id]; ok {
		return r
	}
	r := reach{nodes: make([]bool, len(c.nodes)), values: map[string]int{}}
	for i := range c.nodes {
		n := &c.nodes[i]
		if slices.ContainsFunc(keys, func(key string) bool { _, ok := n.labels[key]; return !ok }) {
			continue
		}
		if !s.IgnoreAffinity && !wantsNode(k.Demand, n.name, n.labels) {
			continue
		}
		if _, ok := tolerates(k.Tolerations, n.taints); s.HonorTaints && !ok {
			continue
		}
		r.nodes[i], r.values[n.labels[s.TopologyKey]] = true, 0
	}
	c.reaches[id] = r
	return r
}

// text is the same for the same values.
func text(v any) string {
	out, err := json.Marshal(v)
	if err != nil {
		panic(err) // plain values
	}
	return string(out)
}

func (g *group) selects(k *class) bool {
	return !slices.ContainsFunc(g.terms, func(t fleet.PodTerm) bool {
		here := t.AllNamespaces || slices.Contains(t.Namespaces, k.Namespace) || len(t.Namespaces) == 0 && k.Namespace == g.home
		return !here || !selects(t.Selector, k.Labels)
	})
}

// complete finds the groups that count a class. All groups are known by then.
func (c *cluster) complete(k *class) {
	if k.ready {
		return
	}
	k.ready = true
	look := func(list []*group) {
		for _, g := range list {
			if g.selects(k) {
				k.counted = append(k.counted, g)
			}
		}
	}
	look(c.index[""])
	for label, v := range k.Labels {
		look(c.index[label+"="+v])
	}
}

// bind puts a pod on a node, and has everybody who counts it count it.
func (c *cluster) bind(node int, k *class, deleting bool) {
	c.complete(k)
	n := &c.nodes[node]
	n.take(k.Demand)
	for _, g := range k.counted {
		value, ok := n.labels[g.key]
		if !ok || g.spread && (deleting || !g.nodes[node]) {
			continue
		}
		g.total++
		g.counts[value]++
		if g.spread && g.counts[value]-1 == g.least {
			if g.atLeast--; g.atLeast == 0 {
				g.raise()
			}
		}
	}
	for _, g := range k.anti {
		if value, ok := n.labels[g.key]; ok {
			g.carried[value]++
		}
	}
	if k.Demand != nil {
		for _, v := range k.Demand.Volumes {
			c.claims[v.ID] = true
		}
	}
}

// spoils tells whether a pod would bring a spread out of balance for those who have it and are still to be bound.
func (c *cluster) spoils(b binding) bool {
	c.complete(b.class)
	for _, g := range b.class.counted {
		if value, ok := c.nodes[b.node].labels[g.key]; ok && g.spread && g.due[value] > 0 && g.nodes[b.node] && g.counts[value]+1-g.least > g.skew {
			return true
		}
	}
	return false
}

// raise finds the smallest count anew: counts only grow.
func (g *group) raise() {
	g.least = slices.Min(slices.Collect(maps.Values(g.counts)))
	for _, n := range g.counts {
		if n == g.least {
			g.atLeast++
		}
	}
}

const spreadRule = "topology spread"

// spreads is the topology spread constraint that a pod would break.
func (c *cluster) spreads(b binding) *Breach {
	n := &c.nodes[b.node]
	for _, r := range b.class.spread {
		value, ok := n.labels[r.TopologyKey]
		if !ok {
			return &Breach{Rule: spreadRule, Text: "the node has no label " + r.TopologyKey}
		}
		least := r.least
		if r.MinDomains > len(r.counts) {
			least = 0
		}
		if more := r.counts[value] + r.self - least; more > r.MaxSkew {
			return &Breach{Rule: spreadRule, Text: fmt.Sprintf("%s=%s would have %d pods more than the least, %d are allowed", r.TopologyKey, value, more, r.MaxSkew)}
		}
	}
	return nil
}

// affine is the pod affinity or anti-affinity that a pod would break, its own or another's.
func (c *cluster) affine(b binding) *Breach {
	n := &c.nodes[b.node]
	met, keys, total := true, true, 0
	for _, g := range b.class.affinity {
		value, ok := n.labels[g.key]
		met, keys, total = met && ok && g.counts[value] > 0, keys && ok, total+g.total
	}
	if !met && !(keys && total == 0 && b.class.affinity[0].selects(b.class)) { // the first of its kind is let in
		return &Breach{Rule: "pod affinity", Text: "nobody whom it wants to be near is there"}
	}
	for _, g := range b.class.anti {
		if value, ok := n.labels[g.key]; ok && g.counts[value] > 0 {
			return &Breach{Rule: "pod anti-affinity", Text: fmt.Sprintf("a pod that it does not want near is in %s=%s", g.key, value)}
		}
	}
	c.complete(b.class)
	for _, g := range b.class.counted {
		if value, ok := n.labels[g.key]; ok && g.carried[value] > 0 {
			return &Breach{Rule: "pod anti-affinity", Text: fmt.Sprintf("a pod in %s=%s does not want it near", g.key, value)}
		}
	}
	for _, v := range b.class.Demand.Volumes {
		if v.Alone && c.claims[v.ID] {
			return &Breach{Rule: "volume", Text: "another pod uses " + v.ID + ", which is for one pod only"}
		}
	}
	return nil
}
