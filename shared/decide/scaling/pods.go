package scaling

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// defaultScheduler is Kubernetes' own, the only one whose rules the planner knows.
const defaultScheduler = "default-scheduler"

// expendable tells whether a pod gives way: it makes no node, and keeps none.
func (s *scene) expendable(p fleet.Pod) bool { return p.Priority < s.p.Pods.ExpendableBelow }

// readPods finds the pods that want a node, and says of others why they get none. Their order is that of their names.
func (s *scene) readPods() {
	for _, p := range s.o.Pods {
		if p.Node != "" || p.Finished() || p.Deleting || p.Mirror || p.Owner.Kind == "DaemonSet" {
			continue // bound, or not in need of one; a DaemonSet's come with the nodes
		}
		switch {
		case p.Gated:
			s.leave(p, "", "a scheduling gate holds it back")
		case p.Scheduler != "" && p.Scheduler != defaultScheduler:
			s.leave(p, "scheduler "+p.Scheduler, "another scheduler places it, by rules that are not known here")
		case s.expendable(p):
			s.leave(p, "", fmt.Sprintf("its priority %d is below %d: no node is made for it", p.Priority, s.p.Pods.ExpendableBelow))
		case p.Demand == nil:
			s.leave(p, "unread demand", "what it asks for could not be read")
		default:
			s.waiting = append(s.waiting, p)
		}
	}
	s.readHomeless()
	slices.SortFunc(s.waiting, func(a, b fleet.Pod) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	s.shareOut()
	s.pending = len(s.waiting)
	s.waiting = append(s.waiting, s.headroom()...)
}

// readHomeless adds the pods of nodes that are being interrupted: each will be made again, and wait. Its node is ordered now and not
// when it has been evicted. They are taken off their old nodes, for a pod is not in its own way.
func (s *scene) readHomeless() {
	for _, n := range s.nodes {
		if !interrupted(n) {
			continue
		}
		n.pods = slices.DeleteFunc(slices.Clone(n.pods), func(p fleet.Pod) bool {
			again := !p.Deleting && !p.Mirror && p.Demand != nil && p.Owner.Name != "" && p.Owner.Kind != "DaemonSet" &&
				(p.Scheduler == "" || p.Scheduler == defaultScheduler) && !s.expendable(p)
			if again {
				p.Node = ""
				s.waiting = append(s.waiting, p)
				s.homeless++
			}
			return again
		})
	}
}

// interrupted tells whether a node is being drained for another reason than that somebody gives it up: of such nodes it was known
// before that their pods have room elsewhere.
func interrupted(n *node) bool {
	return !n.going && slices.ContainsFunc(n.Taints, func(t fleet.Taint) bool {
		return t.Key == fleet.TaintInterruption && t.Value != fleet.CauseRemoval
	})
}

func (s *scene) leave(p fleet.Pod, refused, reason string) {
	s.left = append(s.left, LeftPod{Pod: p.ID(), Refused: refused, Reason: reason})
}
