package scaling

import (
	"math"
	"slices"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// evicted tells whether a pod has to be evicted when its node goes: it is neither the node's own nor gone already.
func evicted(p fleet.Pod) bool {
	return p.Owner.Kind != "DaemonSet" && !p.Mirror && !p.Deleting && !p.Finished()
}

// keeps tells why a pod keeps its node from being given up, or "".
func (s *scene) keeps(p fleet.Pod) string {
	switch {
	case !evicted(p):
		return ""
	case doNotDisrupt(p.Annotations), p.Annotations["cluster-autoscaler.kubernetes.io/safe-to-evict"] == "false":
		return "must not be disrupted"
	case p.Owner == fleet.Owner{}:
		return "has no controller that would make it anew"
	case p.LocalStorage && s.p.Shrink.LocalStorage == fleet.LocalStorageKeep && p.Annotations["cluster-autoscaler.kubernetes.io/safe-to-evict"] != "true":
		return "has local storage, which the policy keeps"
	case p.Demand == nil:
		return "asks for what could not be read"
	}
	return ""
}

func doNotDisrupt(annotations map[string]string) bool {
	return annotations["karpenter.sh/do-not-disrupt"] == "true" || annotations[fleet.AnnotationDoNotDisrupt] == "true"
}

// keptBy tells why a node is not to be given up by choice, or "". Who only has to wait is not kept.
func (s *scene) keptBy(n *node) string {
	if doNotDisrupt(n.Annotations) || n.Annotations["cluster-autoscaler.kubernetes.io/scale-down-disabled"] == "true" {
		return "it must not be disrupted"
	}
	for _, m := range n.group.live {
		if m.InstanceID == n.instance && m.Protected {
			return "its group protects it from scaling in"
		}
	}
	for _, p := range n.pods {
		if why := s.keeps(p); why != "" {
			return "pod " + p.ID() + " " + why
		}
	}
	return ""
}

// disruptible tells whether the node is one that can be given up at all: a Ready one of a group whose size may change.
func (s *scene) disruptible(n *node) bool {
	if n.group == nil || n.group.frozen != "" || n.group.moving || n.joining || n.closed != "" || n.UID == "" {
		return false
	}
	if n.group.Kind == Fleet {
		return true
	}
	return slices.ContainsFunc(n.group.live, func(m GroupMember) bool { return m.InstanceID == n.instance && m.State == "InService" })
}

// permits counts what may yet be given up, as nodes are.
type permits struct {
	reason  string
	nodes   int            // by the disruption budgets
	floor   int            // nodes of the cluster above its floor
	groups  map[*group]int // above their least sizes
	pools   map[*pool]int  // above what is reserved; those that have nothing reserved are not there
	budgets map[string]int // evictions by PodDisruptionBudget
}

// permit counts afresh for one reason.
func (s *scene) permit(reason string) *permits {
	p := &permits{reason: reason, nodes: s.allowed(reason), floor: -s.p.Shrink.Floor, groups: map[*group]int{}, pools: map[*pool]int{}, budgets: map[string]int{}}
	for _, g := range s.groups {
		going := 0
		for _, n := range g.nodes {
			if n.going {
				going++
			} else if n.closed == "" && !n.joining {
				p.floor++
			}
		}
		p.groups[g] = len(g.live) - going - g.min
	}
	for _, pool := range s.pools {
		if pool.reserved == 0 {
			continue
		}
		p.pools[pool] = -pool.reserved
		for _, g := range pool.groups {
			for _, n := range g.nodes {
				if !n.going {
					p.pools[pool]++
				}
			}
		}
	}
	for _, b := range s.o.Budgets {
		p.budgets[b.ID] = b.Allowed
	}
	return p
}

// allowed is how many nodes may be given up now, by the disruption budgets that are on.
func (s *scene) allowed(reason string) int {
	total := 0
	for _, n := range s.nodes {
		if n.group != nil && !n.joining {
			total++
		}
	}
	least := total
	for _, b := range s.p.Shrink.Budgets {
		if len(b.Reasons) > 0 && !slices.Contains(b.Reasons, reason) || !b.Schedule.On(s.now) {
			continue
		}
		nodes := b.Nodes
		if b.Percent > 0 {
			nodes = int(math.Ceil(b.Percent*float64(total) - 1e-9))
		}
		least = min(least, nodes)
	}
	return least - len(s.memory.Removals) - len(s.removes)
}

// take gives a node up, if there is leave for it; else it says what is in the way.
func (p *permits) take(c candidate) string {
	needs := map[string]int{}
	for _, pod := range c.evictions {
		if pod.Budget != "" {
			needs[pod.Budget]++
		}
	}
	switch {
	case p.nodes <= 0:
		return "the disruption budgets allow no more now"
	case p.floor <= 0:
		return "the cluster keeps its floor"
	case p.groups[c.group] <= 0:
		return "group " + c.group.Name + " keeps its least size"
	}
	left, reserved := p.pools[c.group.pool]
	if reserved && left <= 0 {
		return "pool " + c.group.pool.Name + " keeps what is reserved"
	}
	for _, pod := range c.evictions {
		if pod.Budget != "" && p.budgets[pod.Budget] < needs[pod.Budget] {
			return "PodDisruptionBudget " + pod.Budget + " allows no more evictions now"
		}
	}
	for id, count := range needs {
		p.budgets[id] -= count
	}
	p.nodes, p.floor = p.nodes-1, p.floor-1
	p.groups[c.group]--
	if reserved {
		p.pools[c.group.pool]--
	}
	return ""
}

// giveUp plans the removal of a node.
func (s *scene) giveUp(c candidate, reason, why string) {
	s.removes = append(s.removes, plan.RemoveNode{Node: c.Name, UID: c.UID, InstanceID: c.instance, Group: c.group.Name, Reason: reason, Why: why})
	s.memory.Removals = append(s.memory.Removals, Removal{InstanceID: c.instance, Node: c.Name, Group: c.group.Name, Reason: reason, At: s.now})
	e := &s.d.Explanation
	out := GoingNode{Node: c.Name, Group: c.group.Name, Reason: reason, Why: why, Price: c.price}
	for _, p := range c.evictions {
		out.Pods = append(out.Pods, p.ID())
	}
	e.Going = append(e.Going, out)
	e.Saves += c.price
	e.Evictions += len(c.evictions)
}
