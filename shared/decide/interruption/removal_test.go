package interruption_test

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/interruption"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// given is the removal that somebody has asked for.
func given() *interruption.Removal {
	return &interruption.Removal{Cluster: "demo", NodeUID: "node-1", Group: "spot", Reason: "Underused", RequestedBy: "run-07",
		Until: began.Add(15 * time.Minute)}
}

// removed turns an observation into one after a request to remove the node.
func removed(o interruption.Observation) interruption.Observation {
	o.Signal = interruption.Signal{Cause: "NodeRemovalRequested", InstanceID: machine, EventID: "n1", EventTime: began, Action: "terminate", Removal: given()}
	o.Instance.Tags = map[string]string{fleet.TagEKSCluster: "demo"}
	o.Group = fleet.ScalingGroup{Name: "eks-spot", LifecycleState: "InService", Min: 1, Desired: 3}
	if o.Began { // later cordoned it for another cause
		o.Node.Taints[len(o.Node.Taints)-1] = interruption.Taint(o.Signal)
		o.Node.Annotations = map[string]string{interruption.AnnotationRun: "run-1", "theirs": "x"}
	}
	return o
}

// replaced is a removal after which another machine is to come.
func replaced(o interruption.Observation) interruption.Observation {
	r := *o.Signal.Removal
	r.Reason, r.Replace = "Upgrade", true
	o.Signal.Removal = &r
	return o
}

// tightened is a removal during which a spot warning has come.
func tightened(o interruption.Observation) interruption.Observation {
	o = removed(o)
	o.Signal = interruption.Tighten(o.Signal, spot().Signal)
	return o
}

// TestRemovals compares whole plans with testdata/removal_*.golden.
func TestRemovals(t *testing.T) {
	keep := func(p *fleet.Pod) { p.Annotations = map[string]string{"karpenter.sh/do-not-disrupt": "true"} }
	tolerates := func(p *fleet.Pod) { p.Tolerations = []fleet.Toleration{{Operator: "Exists"}} }
	daemon := func(p *fleet.Pod) { p.Owner = fleet.Owner{Kind: "DaemonSet", Name: "proxy"} }
	group := func(o interruption.Observation, edit func(*fleet.ScalingGroup)) interruption.Observation {
		return with(o, func(o *interruption.Observation) { edit(&o.Group) })
	}
	least := func(g *fleet.ScalingGroup) { g.Desired = 1 }
	none := func(g *fleet.ScalingGroup) { *g = fleet.ScalingGroup{} }
	terminating := func(g *fleet.ScalingGroup) { g.LifecycleState = "Terminating:Wait" }
	for name, tc := range map[string]struct {
		at time.Duration // after the event
		o  interruption.Observation
	}{
		"first_look":                 {o: removed(spot(pod("web-1"), pod("dns", critical)))},
		"cordoned_before":            {o: with(removed(spot(pod("web"))), func(o *interruption.Observation) { o.Node.Unschedulable = true })},
		"nothing_is_forced":          {at: 14 * time.Minute, o: blocked(removed(later(pod("web"))), "web")},
		"who_goes":                   {o: removed(later(pod("tolerates", tolerates), pod("daemon", daemon), pod("going", deleting)))},
		"empty_is_ended":             {o: removed(later(pod("daemon", daemon)))},
		"empty_but_not_yet_cordoned": {o: removed(spot())},
		"of_a_pool_is_ended": {o: with(group(removed(later()), none), func(o *interruption.Observation) {
			o.Instance.Tags[fleet.TagPool] = "batch"
		})},
		"going":                              {o: group(removed(later(pod("web"))), terminating)},
		"going_before":                       {o: group(removed(spot(pod("web"))), terminating)},
		"asked_for_before":                   {o: with(removed(later()), func(o *interruption.Observation) { o.Ended = true })},
		"kept_out_of_time":                   {at: 15 * time.Minute, o: blocked(removed(later(pod("web"), pod("going", deleting))), "web")},
		"kept_asked_for_too_late":            {at: time.Hour, o: removed(spot())},
		"kept_for_a_pod":                     {o: removed(later(pod("batch", keep), pod("web")))},
		"kept_for_a_pod_at_first":            {o: removed(spot(pod("batch", keep), pod("web")))},
		"a_kept_pod_that_goes_is_waited_for": {o: removed(later(pod("batch", keep, deleting)))},
		"kept_at_least_size":                 {o: group(removed(later(pod("web"))), least)},
		"kept_at_least_size_at_first":        {o: group(removed(spot(pod("web"))), least)},
		"kept_standby":                       {o: group(removed(spot()), func(g *fleet.ScalingGroup) { g.LifecycleState = "Standby" })},
		"kept_of_no_group":                   {o: group(removed(spot()), none)},
		"kept_of_another_cluster":            {o: with(removed(spot()), func(o *interruption.Observation) { o.Instance.Tags = nil })},
		"kept_refused":                       {o: with(removed(later()), func(o *interruption.Observation) { o.Refusal = "AccessDenied: no" })},
		"kept_as_cordoned_as_it_was": {at: 15 * time.Minute, o: with(removed(later(pod("web"))), func(o *interruption.Observation) {
			o.Node.Annotations[interruption.AnnotationForeign] = "true"
			o.Node.Labels[interruption.LBLabel] = "true"
		})},
		"kept_another_node":             {o: with(removed(spot()), func(o *interruption.Observation) { o.Node.UID = "node-9" })},
		"no_node":                       {o: with(removed(spot()), func(o *interruption.Observation) { o.Node = nil })},
		"node_deleted_under_us":         {o: with(removed(later()), func(o *interruption.Observation) { o.Node = nil })},
		"node_unread":                   {at: 20 * time.Minute, o: unread(removed(later()), interruption.PartNode)},
		"node_unread_to_the_end":        {at: 26 * time.Minute, o: unread(removed(later()), interruption.PartNode)},
		"empty_and_never_ended":         {at: 29 * time.Minute, o: removed(later())},
		"empty_and_never_ended_is_kept": {at: 31 * time.Minute, o: removed(later())},
		"replaced":                      {o: replaced(removed(later()))},
		"replaced_at_least_size":        {o: group(replaced(removed(later())), least)},
		"kept_that_nobody_replaces":     {o: group(replaced(removed(later())), none)},
		"replaced_and_tightened":        {o: replaced(tightened(later(pod("web"))))},
		"cordoned_by_this_run": {o: with(removed(later(pod("web"))), func(o *interruption.Observation) {
			delete(o.Node.Labels, interruption.LBLabel) // somebody took the label off
		})},
		"group_unread":                        {o: unread(removed(spot(pod("web"))), interruption.PartGroup)},
		"group_unread_to_the_end":             {at: 15 * time.Minute, o: unread(removed(later()), interruption.PartGroup)},
		"pods_unread_to_the_end":              {at: 15 * time.Minute, o: unread(removed(later()), interruption.PartPods)},
		"tightened_is_not_replaced":           {o: tightened(later(pod("batch", keep)))},
		"tightened_and_empty":                 {o: tightened(later())},
		"tightened_out_of_time":               {at: 2 * time.Minute, o: blocked(tightened(later(pod("web"))), "web")},
		"tightened_at_least_size_is_replaced": {o: group(tightened(later(pod("web"))), least)},
		"tightened_by_its_own_hook": {o: with(group(tightened(later()), terminating), func(o *interruption.Observation) {
			o.Signal.Hook, o.Ended = &interruption.Hook{Group: "eks-spot", Name: "drain", Token: "t1"}, true
		})},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := interruption.Decide(began.Add(tc.at), tc.o, policy)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, "removal_"+name, fmt.Sprintf("%s after the event\n%s%s", tc.at, p, details(p)))
		})
	}
}

func TestTightenAndRemovals(t *testing.T) {
	removal, warning := removed(spot()).Signal, spot().Signal
	rebalance := voluntary(spot()).Signal
	launch := launching(false).Signal
	removedBySpot := warning
	removedBySpot.Removal = removal.Removal
	second := removal
	second.EventID, second.Removal = "n2", &interruption.Removal{NodeUID: "another"}
	for name, tc := range map[string]struct{ running, later, want interruption.Signal }{
		"a warning makes it hard":        {removal, warning, removedBySpot},
		"and stays so":                   {removedBySpot, removal, removedBySpot},
		"no removal of what goes":        {warning, removal, warning},
		"nor of what may go":             {rebalance, removal, rebalance},
		"nor of what comes":              {launch, removal, launch},
		"a risk is no matter any more":   {removal, rebalance, removal},
		"a second request adds nothing":  {removal, second, removal},
		"its own continuation is itself": {removal, removal, removal},
	} {
		if got := interruption.Tighten(tc.running, tc.later); !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", name, got, tc.want)
		}
	}
}

// checkRemoval holds a plan's removals against what must be true of all of them.
func checkRemoval(t *testing.T, now time.Time, o interruption.Observation, p plan.Plan) {
	t.Helper()
	byChoice := o.Signal.Removal != nil && !o.Signal.Involuntary
	for _, a := range actions(p) {
		switch a := a.(type) {
		case plan.TerminateInstance:
			switch {
			case o.DetachedFrom != "" && o.Signal.Removal == nil && !o.Signal.Involuntary && !o.Ended && o.Refusal == "" && a.AutoScalingGroup == "":
				// replaced first: checkDepth looks at these
			case o.Signal.Removal == nil || o.Signal.Hook != nil || o.Ended || o.Refusal != "":
				t.Errorf("%s: nobody wants it, or it was asked for or refused before", a)
			case a.AutoScalingGroup != o.Group.Name || o.Group.Name != "" && (o.Group.Desired <= o.Group.Min || o.Group.LifecycleState != "InService"):
				t.Errorf("%s, of group %+v", a, o.Group)
			case o.Node != nil && o.Node.UID != o.Signal.Removal.NodeUID:
				t.Errorf("%s, which is another node", a)
			}
			for _, pod := range o.Pods {
				stuck := pod.Deleting && now.After(pod.GoneBy.Add(time.Minute))
				if byChoice && !pod.Mirror && !pod.Finished() && pod.Owner.Kind != "DaemonSet" && !stuck {
					t.Errorf("%s with %s on it", a, pod.ID())
				}
			}
			if byChoice && (o.Node == nil || !o.Node.Unschedulable) {
				t.Errorf("%s: a pod may come", a)
			}
		case plan.UncordonNode:
			if o.Signal.Involuntary || p.Outcome != interruption.NodeKept || a.UID == "" || a.ResourceVersion == "" {
				t.Errorf("%s, outcome %s, preconditions %q %q", a, p.Outcome, a.UID, a.ResourceVersion)
			}
		case plan.ReplaceInstance, plan.DeletePod:
			if byChoice {
				t.Errorf("%s, for a removal", a)
			}
		}
	}
	if byChoice && p.Outcome == interruption.NodeKept && o.Node != nil && len(o.Incomplete) == 0 && o.Node.UID == o.Signal.Removal.NodeUID &&
		o.Node.Is(o.Signal.InstanceID) && tainted(*o.Node, o.Signal) && len(actions(p)) != 1 {
		t.Errorf("kept, and not given back: %s", p)
	}
}

func tainted(n fleet.Node, s interruption.Signal) bool {
	for _, taint := range n.Taints {
		if taint == interruption.Taint(s) {
			return true
		}
	}
	return false
}
