package scaling

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// hoursAMonth is how AWS turns an hourly price into a monthly one.
const hoursAMonth = 730

// candidate is a node that could be given up.
type candidate struct {
	*node
	evictions []fleet.Pod // pods that would move, expendable ones included
	uses      int         // pending pods and placeholders that are planned on it
	since     time.Time   // since when it has had nothing, or too little, to do
}

func (c candidate) empty() bool { return len(c.evictions) == 0 && c.uses == 0 }

// worth is what giving the node up saves in a month for each pod that has to move.
func (c candidate) worth() float64 { return c.price * hoursAMonth / float64(max(len(c.evictions), 1)) }

func (s *scene) candidate(n *node, uses map[string]int) candidate {
	c := candidate{node: n, uses: uses[n.Name], since: s.memory.Quiet[n.UID]}
	for _, p := range n.pods {
		if evicted(p) {
			c.evictions = append(c.evictions, p)
		}
	}
	return c
}

// shrink gives up nodes that the cluster does not need. Only empty ones go while anything else is under way: what a plan was
// made with has to be there when it is carried out.
func (s *scene) shrink(a answer) {
	uses := map[string]int{}
	for _, at := range a.Placed {
		if at >= 0 && at < len(a.problem.Nodes) {
			uses[a.problem.Nodes[at].Name]++
		}
	}
	idle := s.idle(uses)
	mode := s.p.Shrink.Mode
	if mode == fleet.ShrinkOff || len(s.removes) > 0 {
		return
	}
	busy := s.busy(a)
	if s.removeEmpty(idle); len(s.removes) > 0 || mode == fleet.ShrinkEmpty {
		return
	}
	if busy != "" {
		return
	}
	if gap := gaps(s.o, "budgets"); gap != "" {
		s.note("no node is given up but empty ones: %s", gap)
		return
	}
	if s.memory.Swap != nil {
		s.finishSwap(a, idle)
		return
	}
	if s.consolidate(a, idle); len(s.removes) == 0 && mode == fleet.ShrinkReplace {
		s.replace(a, idle)
	}
}

// idle are the nodes that have nothing, or too little, to do, and may go; it remembers since when. Their order is that of names.
func (s *scene) idle(uses map[string]int) (out []candidate) {
	for _, n := range s.nodes {
		if !s.disruptible(n) || s.now.Sub(n.Created) < s.p.Shrink.WarmUp {
			continue
		}
		if _, slept := s.o.Memory.Slept[n.group.file()]; slept && !n.group.wakes { // what it had to do in its sleep says nothing
			continue
		}
		c := s.candidate(n, uses)
		if !c.empty() && n.busyShare() > s.p.Shrink.Below {
			continue
		}
		since, had := s.o.Memory.Quiet[n.UID]
		if !had {
			since = s.now
		}
		s.memory.Quiet[n.UID] = since
		if why := s.keptBy(n); why != "" {
			s.keep(n, why)
			continue
		}
		c.since = since
		for _, p := range c.evictions { // who has just come is not sent on at once
			if p.Created.After(c.since) {
				c.since = p.Created
			}
		}
		out = append(out, c)
	}
	return out
}

func (s *scene) keep(n *node, why string) {
	if slices.ContainsFunc(s.d.Explanation.Kept, func(k KeptNode) bool { return k.Node == n.Name }) {
		return
	}
	s.d.Explanation.Kept = append(s.d.Explanation.Kept, KeptNode{Node: n.Name, Why: why})
}

// busyShare is the greater share of the node's cpu and memory that its pods ask for, daemons left out.
func (n *node) busyShare() float64 {
	var asked fleet.Resources
	for _, p := range n.pods {
		if p.Demand != nil && evicted(p) {
			asked.CPU, asked.Memory = asked.CPU+p.Demand.Requests.CPU, asked.Memory+p.Demand.Requests.Memory
		}
	}
	return max(float64(asked.CPU)/float64(max(n.Allocatable.CPU, 1)), float64(asked.Memory)/float64(max(n.Allocatable.Memory, 1)))
}

// busy tells what is under way, or "".
func (s *scene) busy(a answer) string {
	switch {
	case len(a.New) > 0, len(s.orders) > 0, len(s.memory.Orders) > 0:
		return "nodes are ordered"
	case len(s.memory.Removals) > 0:
		return "nodes are being removed"
	case slices.ContainsFunc(s.groups, func(g *group) bool { to, _ := s.aim(g); return g.Kind != Fleet && to > g.Desired }):
		return "groups grow"
	case slices.ContainsFunc(s.nodes, func(n *node) bool { return n.joining && n.closed == "" }):
		return "nodes are on their way"
	}
	return ""
}

// removeEmpty gives up nodes without pods, the dearest first.
func (s *scene) removeEmpty(idle []candidate) {
	var empty []candidate
	for _, c := range idle {
		if c.empty() && s.now.Sub(c.since) >= s.p.Shrink.PatienceEmpty {
			empty = append(empty, c)
		}
	}
	slices.SortStableFunc(empty, func(a, b candidate) int { return cmp.Compare(b.price, a.price) })
	leave := s.permit(fleet.ReasonEmpty)
	for _, c := range empty {
		if why := leave.take(c); why != "" {
			s.keep(c.node, why)
			continue
		}
		s.giveUp(c, fleet.ReasonEmpty, fmt.Sprintf("it has had no pods for %s", s.now.Sub(c.since).Round(time.Second)))
	}
}
