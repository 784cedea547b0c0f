package interruption_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/interruption"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

var update = flag.Bool("update", false, "write the golden plans anew")

const machine = "i-0b662ef9931388ba0"

var (
	began  = time.Date(2026, 3, 3, 2, 4, 12, 0, time.UTC)
	policy = fleet.DefaultPolicy().Interruption
)

// spot is what is seen at the first look after a spot warning.
func spot(pods ...fleet.Pod) interruption.Observation {
	return interruption.Observation{
		RunID: "run-1",
		Signal: interruption.Signal{Cause: "SpotInterruption", InstanceID: machine, EventID: "e1", EventTime: began, Action: "terminate",
			Deadline: began.Add(2 * time.Minute), Involuntary: true},
		Instance: &fleet.Instance{ID: machine, State: "running", Spot: true},
		Node: &fleet.Node{Name: "ip-10-0-1-7.ec2.internal", UID: "node-1", ProviderID: "aws:///us-east-1a/" + machine, ResourceVersion: "7",
			Taints: []fleet.Taint{{Key: "theirs", Value: "x", Effect: "PreferNoSchedule"}}},
		Group: fleet.ScalingGroup{Name: "eks-spot", LifecycleState: "InService"},
		Pods:  pods,
	}
}

// later is a look in the middle of the drain: the node is cordoned, the replacement asked for.
func later(pods ...fleet.Pod) interruption.Observation {
	o := spot(pods...)
	o.Attempt, o.Began, o.Group = 3, true, fleet.ScalingGroup{}
	o.Node.Unschedulable = true
	o.Node.Labels = map[string]string{interruption.LBLabel: interruption.LBLabelValue}
	o.Node.Taints = append(o.Node.Taints, interruption.Taint(o.Signal))
	return o
}

// voluntary turns an observation into one after a rebalance recommendation.
func voluntary(o interruption.Observation) interruption.Observation {
	o.Signal.Cause, o.Signal.Action, o.Signal.Deadline, o.Signal.Involuntary = "RebalanceRecommendation", "", time.Time{}, false
	return o
}

func hooked(o interruption.Observation) interruption.Observation {
	o.Signal.Cause, o.Signal.Deadline = "LifecycleAction", began.Add(15*time.Minute)
	o.Signal.Hook = &interruption.Hook{Group: "eks-spot", Name: "drain", Token: "t1"}
	return o
}

func pod(name string, edit ...func(*fleet.Pod)) fleet.Pod {
	p := fleet.Pod{Namespace: "default", Name: name, UID: "uid-" + name, Phase: "Running", Ready: true, Grace: 30 * time.Second,
		Owner: fleet.Owner{Kind: "ReplicaSet", Name: "web"}}
	for _, f := range edit {
		f(&p)
	}
	return p
}

func grace(d time.Duration) func(*fleet.Pod) { return func(p *fleet.Pod) { p.Grace = d } }
func critical(p *fleet.Pod)                  { p.Priority = 2_000_000_000 }
func deleting(p *fleet.Pod)                  { p.Deleting = true }
func bare(p *fleet.Pod)                      { p.Owner = fleet.Owner{} }

func blocked(o interruption.Observation, names ...string) interruption.Observation {
	o.Blocked = map[string]bool{}
	for _, n := range names {
		o.Blocked["uid-"+n] = true
	}
	return o
}

func unread(o interruption.Observation, parts ...interruption.Part) interruption.Observation {
	o.Incomplete = map[interruption.Part]string{}
	for _, p := range parts {
		o.Incomplete[p] = "connection refused"
		switch p {
		case interruption.PartNode:
			o.Node, o.Pods = nil, nil
		case interruption.PartPods:
			o.Pods = nil
		case interruption.PartGroup:
			o.Group = fleet.ScalingGroup{}
		}
	}
	return o
}

func with(o interruption.Observation, edit func(*interruption.Observation)) interruption.Observation {
	edit(&o)
	return o
}

// TestPlans compares whole plans with testdata/*.golden, which read like the rules that they show.
func TestPlans(t *testing.T) {
	rebalance := policy
	rebalance.Rebalance = fleet.RebalanceDrain
	static := func(p *fleet.Pod) { p.Mirror = true }
	daemon := func(p *fleet.Pod) { p.Owner = fleet.Owner{Kind: "DaemonSet", Name: "proxy"} }
	finished := func(p *fleet.Pod) { p.Phase = "Succeeded" }
	tolerates := func(p *fleet.Pod) { p.Tolerations = []fleet.Toleration{{Operator: "Exists"}} }
	keep := func(p *fleet.Pod) { p.Annotations = map[string]string{"karpenter.sh/do-not-disrupt": "true"} }
	safe := func(p *fleet.Pod) {
		p.Annotations = map[string]string{"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}
	}
	for name, tc := range map[string]struct {
		at     time.Duration // after the event
		o      interruption.Observation
		policy *fleet.InterruptionPolicy
	}{
		"R5_R14_first_look":                     {o: spot(pod("web-1"), pod("web-2"))},
		"R11_long_grace_is_cut_not_delayed":     {at: 2 * time.Second, o: spot(pod("slow", grace(5*time.Minute)), pod("web"))},
		"R10_budget_respected_until_the_moment": {at: 84 * time.Second, o: blocked(later(pod("web-1")), "web-1")},
		"R10_budget_passed_at_the_moment":       {at: 85 * time.Second, o: blocked(later(pod("web-1"), pod("web-2")), "web-1")},
		"R10_received_late":                     {at: 118 * time.Second, o: blocked(later(pod("web-1")), "web-1")},
		"R10_never_when_voluntary":              {at: 30 * time.Minute, o: blocked(voluntary(later(pod("web-1"))), "web-1"), policy: &rebalance},
		"R12_do_not_disrupt_when_voluntary":     {o: voluntary(later(pod("a", keep), pod("b", safe), pod("c"))), policy: &rebalance},
		"R12_do_not_disrupt_when_involuntary":   {o: later(pod("a", keep), pod("b", safe), pod("c"))},
		"R13_who_stays": {o: later(pod("static", static), pod("daemon", daemon), pod("finished", finished), pod("tolerates", tolerates),
			pod("going", deleting), pod("bare", bare), pod("web"))},
		"R13_critical_pods_wait":                {o: later(pod("dns", critical), pod("web"))},
		"R13_critical_pods_wait_for_going_ones": {o: later(pod("dns", critical), pod("web", deleting))},
		"R13_critical_pods_go_last":             {o: later(pod("dns", critical))},
		"R13_critical_pods_go_at_T-30":          {at: 90 * time.Second, o: blocked(later(pod("dns", critical), pod("web")), "web")},
		"R14_somebody_elses_label_stays": {o: with(spot(), func(o *interruption.Observation) {
			o.Node.Labels = map[string]string{interruption.LBLabel: "true"}
		})},
		"R14_cordoned_by_somebody_else":     {o: with(spot(), func(o *interruption.Observation) { o.Node.Unschedulable = true })},
		"R16_hook_kept":                     {o: hooked(later(pod("web")))},
		"R16_hook_released":                 {o: hooked(later())},
		"R16_hook_released_at_the_deadline": {at: 15 * time.Minute, o: hooked(later(pod("web")))},
		"R18_node_gone":                     {o: with(later(), func(o *interruption.Observation) { o.Node = nil })},
		"R18_instance_gone":                 {o: with(later(), func(o *interruption.Observation) { o.Instance = nil })},
		"R4_another_machine":                {o: with(spot(pod("web")), func(o *interruption.Observation) { o.Node.ProviderID = "aws:///a/i-0cc" })},
		"R22_hibernation":                   {o: with(spot(pod("web")), func(o *interruption.Observation) { o.Signal.Deadline = began })},
		"R23_dead_before":                   {o: with(spot(pod("web")), func(o *interruption.Observation) { o.Instance.State = "terminated" })},
		"no_node":                           {o: with(spot(), func(o *interruption.Observation) { o.Node = nil })},
		"ignored_rebalance":                 {o: voluntary(spot(pod("web")))},
		"voluntary_first_look":              {o: voluntary(spot(pod("web"))), policy: &rebalance},
		"voluntary_ends":                    {at: time.Hour, o: voluntary(later(pod("web"))), policy: &rebalance},
		"empty_but_not_yet_cordoned":        {o: spot()},
		"drained":                           {o: later()},
		"partially_drained":                 {at: 2 * time.Minute, o: later(pod("web"), pod("going", deleting))},
		"dead_during":                       {at: time.Minute, o: with(later(pod("web")), func(o *interruption.Observation) { o.Instance.State = "terminated" })},
		"node_unread":                       {o: unread(spot(pod("web")), interruption.PartNode)},
		"pods_unread":                       {o: unread(spot(pod("web")), interruption.PartPods)},
		"group_unread_stops_no_eviction":    {o: unread(later(pod("web")), interruption.PartGroup)},
		"group_unread_is_waited_for":        {o: unread(later(), interruption.PartGroup)},
		"unread_to_the_end":                 {at: 2 * time.Minute, o: unread(later(pod("web")), interruption.PartPods)},
		"launching_waits":                   {o: launching(false)},
		"launching_is_ready":                {o: launching(true)},
		"launching_gives_up":                {at: 16 * time.Minute, o: launching(false)},
	} {
		t.Run(name, func(t *testing.T) {
			pol := policy
			if tc.policy != nil {
				pol = *tc.policy
			}
			p, err := interruption.Decide(began.Add(tc.at), tc.o, pol)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, name, fmt.Sprintf("%s after the event\n%s%s", tc.at, p, details(p)))
		})
	}
}

func launching(ready bool) interruption.Observation {
	o := hooked(spot(pod("web")))
	o.Signal.Launching, o.Signal.Involuntary, o.Node.Ready = true, false, ready
	return o
}

// details are what a plan's text leaves out and the rules are about.
func details(p plan.Plan) string {
	var b strings.Builder
	for _, s := range p.Steps {
		for _, a := range s.Actions {
			switch a := a.(type) {
			case plan.CordonNode:
				fmt.Fprintf(&b, "cordon if uid=%s version=%s: taints=%v labels=%v annotations=%v\n", a.UID, a.ResourceVersion, a.Taints, a.Labels, a.Annotations)
			case plan.EvictPod:
				fmt.Fprintf(&b, "evict if uid=%s\n", a.UID)
			case plan.DeletePod:
				fmt.Fprintf(&b, "delete if uid=%s\n", a.UID)
			case plan.UncordonNode:
				fmt.Fprintf(&b, "uncordon if uid=%s version=%s: taints that stay=%v labels off=%v annotations off=%v\n", a.UID, a.ResourceVersion, a.Taints, a.RemoveLabels, a.RemoveAnnotations)
			}
		}
	}
	return b.String()
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s (go test -update writes it anew)\ngot:\n%s\nwant:\n%s", file, got, want)
	}
}

func TestDecideWantsAnInstance(t *testing.T) {
	if _, err := interruption.Decide(began, interruption.Observation{}, policy); err == nil {
		t.Error("no error")
	}
}
