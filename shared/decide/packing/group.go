package packing

import (
	"maps"
	"reflect"
	"slices"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

func (g group) is(o group) bool {
	if g.key != o.key || g.all != o.all || !slices.Equal(g.namespaces, o.namespaces) || (g.selector == nil) != (o.selector == nil) {
		return false
	}
	return g.selector == nil || maps.Equal(g.selector.Labels, o.selector.Labels) && reflect.DeepEqual(g.selector.Requirements, o.selector.Requirements)
}

// has tells whether a class's pods are members.
func (g *group) has(c *class) bool {
	if !g.all && !slices.Contains(g.namespaces, c.namespace) {
		return false
	}
	return selects(g.selector, c.labels)
}

// join finds the groups of a class's constraints.
func (x *index) join(c *class) {
	d := c.demand
	of := func(t fleet.PodTerm) int {
		namespaces := t.Namespaces
		if len(namespaces) == 0 {
			namespaces = []string{c.namespace}
		}
		return x.groupOf(t.TopologyKey, t.Selector, namespaces, t.AllNamespaces)
	}
	for _, s := range d.Spread {
		selector := s.Selector
		if selector != nil && len(selector.Labels)+len(selector.Requirements) == 0 {
			selector = nil // the scheduler counts nobody for a selector that selects all
		}
		c.terms.spread = append(c.terms.spread, spreadTerm{
			group: x.groupOf(s.TopologyKey, selector, []string{c.namespace}, false), maxSkew: s.MaxSkew, minDomains: max(1, s.MinDomains),
			soft: s.Soft, ignore: s.IgnoreAffinity, taints: s.HonorTaints,
		})
	}
	for _, t := range d.Affinity {
		c.terms.affinity = append(c.terms.affinity, of(t))
	}
	for _, t := range d.AntiAffinity {
		c.terms.anti = append(c.terms.anti, of(t))
	}
	if x.p.Options.IgnorePreferences {
		return
	}
	for _, p := range d.PreferredAffinity {
		c.terms.likes = append(c.terms.likes, of(p.Term))
	}
	for _, p := range d.PreferredAntiAffinity {
		c.terms.dislikes = append(c.terms.dislikes, of(p.Term))
	}
}

// members fills in which groups each class is a member of, once all groups are known.
func (x *index) members() {
	// Most groups select one label: classes by label find their members without trying all.
	byLabel := map[[2]string][]int{}
	for i, c := range x.classes {
		for k, v := range c.labels {
			byLabel[[2]string{k, v}] = append(byLabel[[2]string{k, v}], i)
		}
	}
	for g := range x.groups {
		try := func(i int) {
			if x.groups[g].has(x.classes[i]) {
				x.classes[i].groups = append(x.classes[i].groups, g)
			}
		}
		s := x.groups[g].selector
		if s == nil {
			continue
		}
		if k, ok := least(s.Labels); ok {
			for _, i := range byLabel[[2]string{k, s.Labels[k]}] {
				try(i)
			}
			continue
		}
		for i := range x.classes {
			try(i)
		}
	}
}

// least is the first key of a map in the order of strings.
func least(m map[string]string) (key string, ok bool) {
	for k := range m {
		if !ok || k < key {
			key, ok = k, true
		}
	}
	return key, ok
}

// memberOf tells whether a class is a member of a group.
func (c *class) memberOf(g int) bool {
	_, found := slices.BinarySearch(c.groups, g)
	return found
}
