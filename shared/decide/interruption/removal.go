package interruption

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

const (
	endMachine = "end the machine"
	inService  = "InService"
)

// remove answers one look at a machine that its owner gives up. Nothing is forced, and what cannot be done is undone: a
// node that cannot be emptied in time, or whose machine cannot be ended, takes work again.
func remove(now time.Time, o Observation, policy fleet.InterruptionPolicy, p plan.Plan) plan.Plan {
	p.Reason, p.Notes = reason(o.Signal), o.gaps()
	if going(o) {
		return over(p, o, ended(o), "")
	}
	late := expired(now, o, fleet.InterruptionPolicy{})
	switch {
	case o.unread(PartNode):
		return unseen(now, o, p)
	case o.Node == nil && !o.Began:
		return over(p, o, NothingToDo, "no node has this provider ID")
	case o.Node == nil: // what is on the machine now, nobody can tell
		return over(p, o, NodeKept, "the node was deleted while it was drained; its machine is left alone")
	case !o.Node.Is(o.Signal.InstanceID) || o.Node.UID != o.Signal.Removal.NodeUID:
		return over(p, o, NodeKept, fmt.Sprintf("node %s is not the one that was to be removed (its uid is %s)", o.Node.Name, o.Node.UID))
	case !late && o.unread(PartPods, PartGroup):
		return again(p, o, pause(now, o))
	case o.unread(PartGroup): // and late
		return giveBack(p, o, "its Auto Scaling group could not be read in time")
	}
	if why := unremovable(o); why != "" {
		return giveBack(p, o, why)
	}
	pods := sortPods(now, o, fleet.InterruptionPolicy{})
	left := pods.left()
	switch {
	case len(pods.protected) > 0:
		return giveBack(p, o, ids(pods.protected)+" must not be disrupted voluntarily")
	case o.unread(PartPods): // and late
		return giveBack(p, o, "its pods could not be read in time")
	case late && left == 0 && !cordoned(*o.Node): // a request that came late, or somebody uncordons what we cordon
		return giveBack(p, o, "the time is over and the node takes work")
	case late && left > 0:
		p.Left = pods.names()
		return giveBack(p, o, fmt.Sprintf("the time is over and %d pods are still there", left))
	}
	p.Notes = append(p.Notes, pods.notes...)
	if left == 0 && !now.Before(o.Signal.Removal.Until.Add(endPatience)) {
		return giveBack(p, o, "the node is empty, and AWS does not end its machine")
	}
	stop := deregistrations(o, policy)
	if !cordoned(*o.Node) {
		stop = append(stop, cordon(o))
	}
	p.Add("stop new work", stop...)
	switch {
	case !cordoned(*o.Node):
	case left == 0 && attached(o) && !late:
		p.Notes = append(p.Notes, waitingForVolumes(o))
	case left == 0 && connected(now, o, policy):
		return again(p, o, pause(now, o))
	case left == 0:
		p.Add(endMachine, end(o))
		return over(p, o, NodeRemoved, "")
	}
	p.Add("evict", afterTargets(now, o, policy, &p, evictions(now, o, fleet.InterruptionPolicy{}, pods))...)
	return again(p, o, whenQuiet(now, o, policy, pause(now, o)))
}

// unseenPatience is how long a removal whose time is over goes on trying to read its node. It is shorter than the work insists
// (15 minutes): else the message may be given up before the run has ended.
const unseenPatience = 10 * time.Minute

// endPatience is how long after a removal's time a machine may take that AWS does not end: its node is empty, and of no use to
// anybody while it is cordoned.
const endPatience = 15 * time.Minute

// unseen answers a look that could not read the node. It may be cordoned by us, so that the run does not simply end with
// its time; it does after some more.
func unseen(now time.Time, o Observation, p plan.Plan) plan.Plan {
	if now.Before(o.Signal.Removal.Until.Add(unseenPatience)) {
		return again(p, o, pause(now, o))
	}
	p.Left = []string{"the node could not be read: it may still be cordoned"}
	return over(p, o, NodeKept, "")
}

// going tells whether the machine is on its way out, by our hand or another's.
func going(o Observation) bool {
	return o.Ended || o.Instance == nil || o.Instance.Gone() || strings.HasPrefix(o.Group.LifecycleState, "Terminat")
}

// ended is the outcome when a machine that was to be removed goes.
func ended(o Observation) string {
	if o.Began {
		return NodeRemoved
	}
	return NothingToDo
}

// drained is the outcome of a drain that has reached its end.
func drained(o Observation) string {
	if o.Ended {
		return NodeRemoved
	}
	return Drained
}

// unremovable tells why a machine's end cannot be asked for, or "".
func unremovable(o Observation) string {
	g, want := o.Group, o.Signal.Removal.Cluster
	switch {
	case o.Refusal != "":
		return "its machine could not be ended: " + o.Refusal
	case o.Instance.Cluster() != want:
		return fmt.Sprintf("its machine belongs to cluster %q, not %q", o.Instance.Cluster(), want)
	case g.Name == "" && o.Signal.Removal.Replace:
		return "its machine is in no Auto Scaling group that would replace it"
	case g.Name == "" && o.Instance.Tags[fleet.TagPool] == "":
		return "its machine is in no Auto Scaling group, and of no pool of ours"
	case g.Name == "":
		return ""
	case g.LifecycleState != inService:
		return fmt.Sprintf("its machine is %s in Auto Scaling group %s", g.LifecycleState, g.Name)
	case g.Desired <= g.Min && !o.Signal.Removal.Replace:
		return fmt.Sprintf("Auto Scaling group %s is at its least size of %d", g.Name, g.Min)
	}
	return ""
}

func end(o Observation) plan.TerminateInstance {
	return plan.TerminateInstance{InstanceID: o.Signal.InstanceID, AutoScalingGroup: o.Group.Name, Replace: o.Signal.Removal.Replace}
}

// unwanted tells whether a machine that goes anyhow was to be removed, and its group may be smaller. One that was to be replaced
// is replaced as any machine that goes.
func unwanted(o Observation) bool {
	r := o.Signal.Removal
	if r == nil || o.Node != nil && o.Node.UID != r.NodeUID || o.Instance.Cluster() != r.Cluster {
		return false
	}
	return o.Ended || !r.Replace && o.Group.Name != "" && o.Group.Desired > o.Group.Min
}

// dismissal ends a machine that was to be removed before something harder came: else its group would replace it. With a
// hook Auto Scaling is at it already. One that would stay although it is no good is ended for its group to replace it.
func dismissal(o Observation, policy fleet.InterruptionPolicy) []plan.Action {
	if ends(o, policy) {
		return replacement(o)
	}
	if !unwanted(o) || o.Signal.Hook != nil || going(o) || o.Refusal != "" || o.Group.LifecycleState != inService {
		return nil
	}
	return []plan.Action{end(o)}
}

// giveBack ends a removal that cannot be: the node takes work again.
func giveBack(p plan.Plan, o Observation, why string) plan.Plan {
	if o.Node != nil && tainted(o) {
		p.Add("give the node back", uncordon(*o.Node, Taint(o.Signal)))
	}
	return over(p, o, NodeKept, why)
}

// tainted tells whether the node carries the mark of this signal.
func tainted(o Observation) bool { return slices.Contains(o.Node.Taints, Taint(o.Signal)) }

// uncordon takes off what cordon has put on.
func uncordon(n fleet.Node, ours fleet.Taint) plan.UncordonNode {
	u := plan.UncordonNode{
		Node: n.Name, UID: n.UID, ResourceVersion: n.ResourceVersion,
		Taints:        slices.DeleteFunc(slices.Clone(n.Taints), func(t fleet.Taint) bool { return t == ours }),
		Unschedulable: n.Annotations[AnnotationForeign] != "",
	}
	if n.Labels[LBLabel] == LBLabelValue {
		u.RemoveLabels = []string{LBLabel}
	}
	for _, key := range []string{AnnotationRun, AnnotationForeign} {
		if n.Annotations[key] != "" {
			u.RemoveAnnotations = append(u.RemoveAnnotations, key)
		}
	}
	return u
}

func ids(pods []fleet.Pod) string {
	var out []string
	for _, p := range pods {
		out = append(out, p.ID())
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

func removalReason(r Removal) string {
	text := "the node is given up (" + r.Reason
	if r.Replace {
		text = "the node is replaced (" + r.Reason
	}
	if r.RequestedBy != "" {
		text += ", asked for by " + r.RequestedBy
	}
	return fmt.Sprintf("%s), to be drained by %s", text, r.Until.UTC().Format(time.TimeOnly))
}
