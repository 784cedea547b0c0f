package upgrade

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/nodemove"
	"github.com/ekspedite/ekspedite/shared/decide/upgradepath"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

const (
	// blockedFor is how long a move may be held by something before the run halts: it goes on by itself if that changes.
	blockedFor = 2 * time.Hour
	// leaving is how long an aborted run may take to leave its moves behind.
	leaving = time.Hour
)

// moves tells whether a step is a move of nodes that is made here, and not EKS's own update.
func (d *decider) moves(s upgradepath.Step) bool {
	if s.Kind != upgradepath.StepNodeGroup {
		return false
	}
	return s.Strategy == fleet.NodesBlueGreen || d.group(s.Subject).SelfManaged
}

func (d *decider) group(name string) upgradepath.Group {
	for _, g := range d.in.EKS.Groups {
		if g.Name == name {
			return g
		}
	}
	return upgradepath.Group{}
}

// move goes on with a move of nodes: forth, back if the run has turned, or out of it if the run is aborted. A halted run moves
// nothing. It tells whether the move is over.
func (d *decider) move(x *Doing) (over bool) {
	in, seen := d.in.Moves[x.Step.ID]
	if !seen || d.m.Halt != nil && d.m.Abort == "" {
		return false
	}
	in.RunID, in.Step, in.AtOnce, in.Memory, in.Retry = d.in.Request.RunID, x.MoveStep(), d.p.Nodes.AtOnce, x.Move, x.Retry
	var next nodemove.Decision
	switch {
	case d.m.Abort != "":
		next = nodemove.Leave(d.now, in)
	case x.Undo:
		next = nodemove.Undo(d.now, in)
	default:
		next = nodemove.Next(d.now, in)
	}
	x.Move, x.Retry = next.Memory, false
	d.out.Steps = append(d.out.Steps, next.Plan.Steps...)
	d.out.Notes = append(d.out.Notes, next.Plan.Notes...)
	if after := next.Plan.LookAgain; after > 0 && (d.again == 0 || after < d.again) {
		d.again = after
	}
	if next.Done && d.m.Abort == "" && !x.Undo && d.ahead(x.Step.ID) && d.waited("effect/"+x.Step.ID) < unseen {
		d.again = busyLook // nodes that have gone are still seen for a while
		return false
	}
	if next.Done || next.Gone {
		delete(d.m.Waits, "move/"+x.Step.ID)
		switch {
		case next.Gone:
			d.tell(resource(x.Step), "Note", x.Step.ID+" was over when the run turned back: its nodes go back by a step of their own")
		case d.m.Abort != "":
			d.tell(resource(x.Step), "Left", x.Step.ID+": old and new nodes stay, and both work")
		case x.Undo:
			d.tell(resource(x.Step), "Undone", x.Step.ID)
		default:
			d.done(*x)
		}
		return true
	}
	d.stuck(x, next.Blocked)
	return false
}

// stuck tells what holds a move, once, and halts the run when it has been held for long.
func (d *decider) stuck(x *Doing, why []string) {
	what, text := "move/"+x.Step.ID, strings.Join(why, "; ")
	if text != "" && text != x.Held {
		d.tell(resource(x.Step), "Held", text)
	}
	if x.Held = text; text == "" {
		delete(d.m.Waits, what)
		return
	}
	if d.waited(what) > blockedFor && d.m.Abort == "" {
		var failures []plan.Failure
		for _, w := range why {
			failures = append(failures, plan.Failure{Resource: resource(x.Step), Code: "MoveBlocked", Whose: plan.Users, Text: w, Fix: "mend what the text names" + resumes + d.in.EKS.Cluster.Name})
		}
		d.halt(fmt.Sprintf("%s has been held for %s: %s", x.Step.ID, blockedFor, text), failures)
	}
}

// moving tells whether any move is under way.
func (d *decider) moving() bool {
	for _, x := range d.m.Doing {
		if x.Moves {
			return true
		}
	}
	return false
}

// undoing tells whether any move is being taken back, which comes before all else on the way back.
func (d *decider) undoing() bool {
	for _, x := range d.m.Doing {
		if x.Undo {
			return true
		}
	}
	return false
}

// leave waits for the moves of an aborted run to be left in order. It is false when there are none any more.
func (d *decider) leave() bool {
	if !d.moving() || d.waited("leave") > leaving {
		return false
	}
	d.wait(cmp.Or(d.again, soonest), "aborted, takes back what its moves of nodes have set: %s", d.names())
	return true
}
