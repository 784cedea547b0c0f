package nodemove

import (
	"fmt"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// Leave answers one look at a step that is ended where it is: what a move has set so that nobody disturbs it is taken back, and
// both the old and the new nodes work. It is done when Done is set. Drains that go on end by themselves. Two groups stay, if there are
// two: a later step to the same version goes on with them, and Undo empties the new one.
func Leave(now time.Time, in Input) Decision {
	s := newScene(now, in)
	open := true
	for _, g := range s.in.Groups {
		switch {
		case g.SelfManaged:
			open = s.released(g) && open
		case g.Status == "DELETING":
		case leaving(g):
			open = s.reopened(g) && open
		}
	}
	s.done = open && len(s.why) == 0
	return s.decision()
}

// released tells whether a self-managed group is no longer marked as moving.
func (s *scene) released(g Group) bool {
	if !fleet.Moving(g.Described.Tags) {
		return true
	}
	s.recall(g)
	if over := g.Desired - s.memory.Size; over > 0 {
		s.plan.Notes = append(s.plan.Notes, fmt.Sprintf("node group %s is larger by %d than before the move: it is left to who scales it", g.Name, over))
	}
	if most := max(s.memory.Max, g.Desired); g.Max > most {
		s.ask("bounds", plan.Change, "autoscaling:UpdateAutoScalingGroup", fmt.Sprintf("give node group %s its largest size of %d back", g.Name, most),
			fleet.Props{"autoScalingGroupName": g.AutoScalingGroup, "maxSize": most})
		return false
	}
	s.mark(g, fleet.MoveOver)
	return false
}

// reopened tells whether a managed group takes pods again. Its size stays: its nodes that are gone have others in their place.
func (s *scene) reopened(g Group) bool {
	if s.working(g) {
		return false
	}
	sizes := fleet.Props{"minSize": min(s.memory.Min, g.Desired), "maxSize": max(s.memory.Max, g.Max)}
	s.ask("open/"+g.Name, plan.Change, "eks:UpdateNodegroupConfig", "let pods onto node group "+g.Name+" again", fleet.Props{
		"nodegroupName": g.Name, "taints": fleet.Props{"removeTaints": []any{movingTaint()}}, "scalingConfig": sizes,
	})
	return false
}
