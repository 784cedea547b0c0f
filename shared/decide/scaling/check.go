package scaling

import (
	"fmt"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// check looks at the finished plan with fresh eyes. What it finds is a mistake of this package: the plan is not to be carried out.
func (s *scene) check() error {
	c := checker{s: s, sizes: map[string]int{}, removed: map[string]bool{}, perGroup: map[string]int{}, budgets: map[string]int{}}
	for _, step := range s.d.Plan.Steps {
		for _, action := range step.Actions {
			if err := c.action(action); err != nil {
				return fmt.Errorf("decide: the plan for cluster %s breaks a rule of its own, and is not carried out: %w", s.o.Cluster.Name, err)
			}
		}
	}
	if err := c.end(); err != nil {
		return fmt.Errorf("decide: the plan for cluster %s breaks a rule of its own, and is not carried out: %w", s.o.Cluster.Name, err)
	}
	return nil
}

type checker struct {
	s        *scene
	sizes    map[string]int // groups that are resized
	made     int
	removed  map[string]bool
	perGroup map[string]int
	budgets  map[string]int
}

func (c *checker) action(a plan.Action) error {
	switch a := a.(type) {
	case plan.ResizeGroup:
		return c.resize(a)
	case plan.CreateGroup:
		c.made++
		if c.s.group[a.Group] != nil {
			return fmt.Errorf("group %s is created, and is there", a.Group)
		}
		if a.Size < 1 || len(fleet.Texts(a.Input, "subnets")) == 0 {
			return fmt.Errorf("group %s is created with %d nodes in no subnet", a.Group, a.Size)
		}
	case plan.RemoveNode:
		return c.remove(a)
	case plan.RetireGroup:
		if g := c.s.group[a.Group]; g == nil || !g.own() || len(g.live) > 0 || g.Desired > 0 && !g.stillborn() {
			return fmt.Errorf("group %s is retired, and is not the planner's or not empty", a.Group)
		}
	}
	return nil
}

func (c *checker) resize(a plan.ResizeGroup) error {
	g := c.s.group[a.Group]
	if _, twice := c.sizes[a.Group]; twice {
		return fmt.Errorf("group %s is resized twice", a.Group)
	}
	c.sizes[a.Group] = a.To
	least := g.Min
	if a.Min != nil {
		least = *a.Min
	}
	switch {
	case g.frozen != "":
		return fmt.Errorf("group %s is resized though %s", a.Group, g.frozen)
	case a.To < least || a.To > g.Max:
		return fmt.Errorf("group %s is resized to %d, outside of %d to %d", a.Group, a.To, least, g.Max)
	case a.To < min(len(g.live), g.Desired):
		return fmt.Errorf("group %s is resized to %d, and Auto Scaling would choose which of its %d nodes to end", a.Group, a.To, len(g.live))
	case a.To > a.From && a.To > g.max:
		return fmt.Errorf("group %s grows to %d, and may have %d now", a.Group, a.To, g.max)
	}
	return nil
}

func (c *checker) remove(a plan.RemoveNode) error {
	if c.removed[a.InstanceID] {
		return fmt.Errorf("node %s is removed twice", a.Node)
	}
	c.removed[a.InstanceID] = true
	c.perGroup[a.Group]++
	for _, n := range c.s.nodes {
		if n.instance != a.InstanceID {
			continue
		}
		if n.going {
			return fmt.Errorf("node %s is removed, and is being removed", a.Node)
		}
		for _, p := range n.pods {
			if kept := c.s.keeps(p); kept != "" {
				return fmt.Errorf("node %s is removed, and pod %s %s", a.Node, p.ID(), kept)
			}
			if p.Budget != "" && evicted(p) && a.Reason != fleet.ReasonSchedule {
				c.budgets[p.Budget]++
			}
		}
	}
	return nil
}

// end checks what only the whole plan shows.
func (c *checker) end() error {
	for name, count := range c.perGroup {
		g := c.s.group[name]
		size := len(g.live)
		if to, resized := c.sizes[name]; resized && to > g.Desired {
			size += to - g.Desired
		}
		if size-count < min(g.min, len(g.live)) {
			return fmt.Errorf("group %s loses %d of %d nodes, and keeps at least %d", name, count, size, g.min)
		}
	}
	for _, b := range c.s.o.Budgets {
		if c.budgets[b.ID] > b.Allowed {
			return fmt.Errorf("%d pods of budget %s would be evicted, and it allows %d", c.budgets[b.ID], b.ID, b.Allowed)
		}
	}
	if c.made > 0 && c.s.managed()+c.made > c.s.p.MaxGroups {
		return fmt.Errorf("%d node groups are made beside %d, and there may be %d", c.made, c.s.managed(), c.s.p.MaxGroups)
	}
	return nil
}
