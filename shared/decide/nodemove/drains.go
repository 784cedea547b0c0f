package nodemove

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/shared/plan"
)

const (
	// drainTries is how often a node is drained that comes back.
	drainTries = 3
	// unheard is when a drain is asked for again that nobody has begun: the request may never have been sent.
	unheard = 5 * time.Minute
	// goingPatience is how long a machine may take to go once its end was asked for.
	goingPatience = 20 * time.Minute
	// skew is how far clocks may be apart.
	skew = time.Minute
)

// drainPauses are from the end of a drain that came back to the next try.
var drainPauses = []time.Duration{5 * time.Minute, 10 * time.Minute}

// What a node is to a move.
type standing int

const (
	waiting standing = iota // to be drained when there is leave
	going                   // it is being drained, or its machine ends
	resting                 // it came back, and is tried again later
	stuck                   // it came back too often
)

// cameBack tells whether the drain that was asked for is over and has left the node where it was.
func (s *scene) cameBack(instance string, a Ask) bool {
	d, ok := s.in.Drains[instance]
	return ok && s.answers(d, a) && d.Outcome != "" && !ended(d.Outcome)
}

// answers tells whether a drain was begun after it was asked for.
func (s *scene) answers(d Drain, a Ask) bool { return !d.StartedAt.Before(a.At.Add(-skew)) }

// ended tells whether a drain's machine goes.
func ended(outcome string) bool { return outcome == "NodeRemoved" || outcome == "Drained" }

// stand tells what a node is to the move; until is when a resting one is tried again.
func (s *scene) stand(n Node) (what standing, until time.Time) {
	a, asked := s.memory.Nodes[n.InstanceID]
	d, drained := s.in.Drains[n.InstanceID]
	switch {
	case drained && d.Outcome == "": // ours or another's: one machine has one drain
		return going, until
	case !asked:
		return waiting, until
	case drained && s.answers(d, a) && ended(d.Outcome):
		if s.now.Sub(d.EndedAt) < goingPatience {
			return going, until
		}
		return waiting, until
	case drained && s.answers(d, a):
		if a.Times >= drainTries {
			return stuck, until
		}
		until = d.EndedAt.Add(drainPauses[min(max(a.Times, 1), len(drainPauses))-1])
		if s.now.Before(until) {
			return resting, until
		}
		return waiting, until
	case s.now.Sub(a.At) < unheard:
		return going, until
	}
	return waiting, until
}

// leave tells how many further nodes may be given up now.
type leave struct {
	nodes int
	// unready are nodes that are not Ready: they may go beyond that, for nothing runs on them that counts.
	unready int
	why     string // why there is no more
}

// drain has nodes drained, as many at once as the policy allows and there is leave for. lowers tells of the next one to go, after
// so many that are lowered already, whether its group becomes smaller with it. It returns how many are not gone yet.
func (s *scene) drain(list []Node, l leave, lowers func() bool) (left int) {
	var ready, later, lost []Node
	var soonest time.Time
	busy := s.busy(s.in.Nodes) // those of other groups included
	for _, n := range list {
		switch what, until := s.stand(n); what {
		case going:
			if d := s.in.Drains[n.InstanceID]; d.Outcome == "" && d.Refused > 0 {
				s.plan.Notes = append(s.plan.Notes, fmt.Sprintf("node %s: PodDisruptionBudgets have refused %d evictions so far", n.Name, d.Refused))
			}
		case waiting:
			ready = append(ready, n)
		case resting:
			later = append(later, n)
			if soonest.IsZero() || until.Before(soonest) {
				soonest = until
			}
		case stuck:
			lost = append(lost, n)
		}
	}
	// Nodes on which nothing works come first, then those that did not come back yet.
	slices.SortStableFunc(ready, func(a, b Node) int {
		if a.Ready != b.Ready {
			if b.Ready {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(s.memory.Nodes[a.InstanceID].Times, s.memory.Nodes[b.InstanceID].Times), strings.Compare(a.Name, b.Name))
	})
	var actions []plan.Action
	for _, n := range ready {
		if busy >= s.in.AtOnce {
			break
		}
		if n.Ready {
			if l.nodes <= 0 {
				continue
			}
			l.nodes--
		} else if l.unready <= 0 {
			continue
		} else {
			l.unready--
		}
		actions = append(actions, s.remove(n, lowers()))
		busy++
	}
	s.plan.Add("drain nodes", actions...)
	for _, n := range slices.Concat(later, lost) {
		s.plan.Notes = append(s.plan.Notes, s.story(n))
	}
	switch {
	case busy > 0:
		s.waits(inFlight, "%d nodes are being drained, %d are left", busy, max(0, len(list)-busy))
	case len(ready) > 0:
		s.waits(atWork, "%s", l.why)
	case len(later) > 0:
		s.waits(max(time.Second, soonest.Sub(s.now)), "nodes that could not be drained are tried again at %s", soonest.UTC().Format(time.TimeOnly))
	}
	if busy == 0 && len(ready) == 0 && len(later) == 0 {
		for _, n := range lost {
			s.blocked("%s", s.story(n))
		}
	}
	return len(list)
}

// remove asks for a node's drain.
func (s *scene) remove(n Node, lowers bool) plan.RemoveNode {
	a := s.memory.Nodes[n.InstanceID]
	d, heard := s.in.Drains[n.InstanceID]
	if a.Times == 0 || heard && s.answers(d, a) { // else nobody has heard the last one
		a.Times++
	}
	a.At, a.Lowers = s.now, lowers
	s.memory.Nodes[n.InstanceID] = a
	return plan.RemoveNode{
		Node: n.Name, UID: n.UID, InstanceID: n.InstanceID, Group: n.Group, Reason: reasonUpgrade, Replace: !lowers,
		Why: fmt.Sprintf("it moves to %s", s.in.Step.To),
	}
}

// story says why a node came back, with the pods and their budgets as the drain named them.
func (s *scene) story(n Node) string {
	d := s.in.Drains[n.InstanceID]
	text := fmt.Sprintf("node %s came back %d times: %s", n.Name, s.memory.Nodes[n.InstanceID].Times, d.Reason)
	if len(d.Left) > 0 {
		text += ": " + strings.Join(d.Left, ", ")
	}
	return text
}
