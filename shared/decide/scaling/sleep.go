package scaling

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// maxGoing is how many nodes may be on their way out at once: each is some 250 bytes of the memory, of whose document DynamoDB
// takes 400 KB.
const maxGoing = 500

// sleep gives up the nodes that a scale window wants to be gone, those with the fewest pods first. The window is the owner's
// own word: disruption budgets do not bind it, but what must not be disrupted stays, and drains go on honouring
// PodDisruptionBudgets.
func (s *scene) sleep() {
	for _, g := range s.groups {
		size := s.memory.Slept[g.file()]
		if g.asleep == "" || g.frozen != "" || g.wakes && size.Sent {
			continue
		}
		if g.Min > g.min { // its least size has to be seen to be lower, or Auto Scaling would refuse
			continue
		}
		if g.wakes {
			size.Sent = true
			s.memory.Slept[g.file()] = size
		}
		var awake []candidate
		for _, n := range g.nodes {
			if !n.going && s.disruptible(n) {
				awake = append(awake, s.candidate(n, nil))
			}
		}
		slices.SortStableFunc(awake, func(a, b candidate) int { return cmp.Compare(len(a.evictions), len(b.evictions)) })
		excess := len(g.live) - g.min
		for _, n := range g.nodes {
			if n.going {
				excess--
			}
		}
		for _, c := range awake {
			if excess <= 0 {
				break
			}
			if len(s.memory.Removals)+len(s.removes) >= maxGoing {
				s.note("group %s goes to sleep by and by: %d nodes are on their way out", g.Name, maxGoing)
				break
			}
			if why := s.keptBy(c.node); why != "" {
				s.keep(c.node, why)
				continue
			}
			c.closed = "its group sleeps in window " + g.asleep // for the pods that wait
			s.giveUp(c, fleet.ReasonSchedule, fmt.Sprintf("group %s sleeps in window %s", g.Name, g.asleep))
			excess--
		}
	}
}
