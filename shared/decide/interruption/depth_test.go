package interruption_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/interruption"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// recommended is what is seen at the first look after a rebalance recommendation; later ones find the node cordoned by us.
func recommended(pods ...fleet.Pod) interruption.Observation { return voluntary(spot(pods...)) }

func recommendedLater(pods ...fleet.Pod) interruption.Observation {
	o := voluntary(later(pods...))
	o.Group = fleet.ScalingGroup{Name: "eks-spot", LifecycleState: "InService"}
	o.Node.Taints[len(o.Node.Taints)-1] = interruption.Taint(o.Signal)
	o.Node.Annotations = map[string]string{interruption.AnnotationRun: "run-1"}
	return o
}

// detached is a machine that was replaced first and is still a node that takes work.
func detached(ready int, pods ...fleet.Pod) interruption.Observation {
	o := recommended(pods...)
	o.Began, o.Attempt, o.Group = true, 2, fleet.ScalingGroup{}
	o.DetachedFrom, o.ReplacedAt = "eks-spot", began.Add(time.Second)
	o.Replacement, o.ReadyThere = fleet.GroupState{Name: "eks-spot", Desired: 3}, ready
	return o
}

// retiring is one whose replacement has come: it is cordoned.
func retiring(pods ...fleet.Pod) interruption.Observation {
	o := recommendedLater(pods...)
	o.DetachedFrom, o.ReplacedAt, o.Group = "eks-spot", began.Add(time.Second), fleet.ScalingGroup{}
	return o
}

// planned is an involuntary event of a machine that goes tomorrow.
func planned(o interruption.Observation) interruption.Observation {
	o.Signal.Cause, o.Signal.Action, o.Signal.Deadline = "AWSHealthEvent", "", began.Add(24*time.Hour)
	return o
}

func job(p *fleet.Pod)      { p.Owner = fleet.Owner{Kind: "Job", Name: "report"} }
func kept(p *fleet.Pod)     { p.Annotations = map[string]string{"karpenter.sh/do-not-disrupt": "true"} }
func claims(p *fleet.Pod)   { p.Claims = []string{"data"} }
func budgeted(p *fleet.Pod) { p.Budget = "default/web" }
func priority(p *fleet.Pod) { p.Priority = 1000 }
func protected(d string) func(*fleet.Pod) {
	return func(p *fleet.Pod) {
		p.Annotations, p.Started = map[string]string{"karpenter.sh/do-not-disrupt": d}, began.Add(-time.Hour)
	}
}
func goneBy(at time.Duration) func(*fleet.Pod) {
	return func(p *fleet.Pod) { p.Deleting, p.GoneBy = true, began.Add(at) }
}

func edited(f func(p *fleet.InterruptionPolicy)) *fleet.InterruptionPolicy {
	p := policy
	f(&p)
	return &p
}

// TestDepth compares whole plans with testdata/depth_*.golden.
func TestDepth(t *testing.T) {
	drain := edited(func(p *fleet.InterruptionPolicy) { p.Rebalance = fleet.RebalanceDrain })
	first := edited(func(p *fleet.InterruptionPolicy) { p.Rebalance = fleet.RebalanceReplaceThenDrain })
	evict := edited(func(p *fleet.InterruptionPolicy) {
		p.Rebalance, p.BarePods, p.Jobs = fleet.RebalanceDrain, fleet.BarePodsEvict, fleet.JobPodsEvict
	})
	full := edited(func(p *fleet.InterruptionPolicy) { p.LongGrace = fleet.GraceFull })
	fence := edited(func(p *fleet.InterruptionPolicy) { p.OutOfService = true })
	volumes := func(o interruption.Observation, names ...string) interruption.Observation {
		o.HadVolumes, o.Attached = true, names
		return o
	}
	stopped := func(o interruption.Observation) interruption.Observation {
		return with(o, func(o *interruption.Observation) { o.Instance.State = "terminated" })
	}
	const hour = time.Hour
	for name, tc := range map[string]struct {
		at     time.Duration // after the event
		o      interruption.Observation
		policy *fleet.InterruptionPolicy
	}{
		"R15_drained_is_kept_out_of_use": {at: 3 * time.Minute, o: recommendedLater(), policy: drain},
		"R15_given_back_empty":           {at: hour, o: recommendedLater(), policy: drain},
		"R15_given_back_with_pods":       {at: hour, o: recommendedLater(pod("web")), policy: drain},
		"R15_cordoned_as_it_was":         {at: hour, o: with(recommendedLater(), func(o *interruption.Observation) { o.Node.Annotations[interruption.AnnotationForeign] = "true" }), policy: drain},
		"R15_cordoned_by_others_only":    {at: hour, o: with(recommended(), func(o *interruption.Observation) { o.Began, o.Node.Unschedulable = true, true }), policy: drain},
		"R15_the_policy_has_changed":     {at: 3 * time.Minute, o: recommendedLater(pod("web"))},
		"R15_received_too_late":          {at: hour, o: recommended(pod("web")), policy: drain},
		"R15_the_machine_has_gone":       {at: 9 * time.Minute, o: stopped(recommendedLater()), policy: drain},
		"R15_unread_to_the_end":          {at: hour + 11*time.Minute, o: unread(recommendedLater(), interruption.PartNode), policy: drain},

		"replace_first":                       {o: recommended(pod("web")), policy: first},
		"replace_first_is_auto_scalings":      {o: with(recommended(pod("web")), func(o *interruption.Observation) { o.Group.Rebalances = true }), policy: first},
		"replace_first_in_no_group":           {o: with(recommended(pod("web")), func(o *interruption.Observation) { o.Group = fleet.ScalingGroup{} }), policy: first},
		"replace_first_not_with_kept_pods":    {o: recommended(pod("web"), pod("bare", bare), pod("db", kept)), policy: first},
		"replace_first_group_unread":          {o: unread(recommended(pod("web")), interruption.PartGroup), policy: first},
		"replace_first_asked_by_one_who_died": {at: time.Minute, o: with(recommended(pod("web")), func(o *interruption.Observation) { o.DetachedFrom = "eks-spot" }), policy: first},
		"replace_first_refused":               {o: with(recommended(pod("web")), func(o *interruption.Observation) { o.DetachedFrom, o.Refusal = "eks-spot", "AccessDenied" }), policy: first},
		"replace_first_waits":                 {at: time.Minute, o: detached(2, pod("web")), policy: first},
		"replace_first_is_there":              {at: 2 * time.Minute, o: detached(3, pod("web")), policy: first},
		"replace_first_never_comes":           {at: 11 * time.Minute, o: detached(2, pod("web")), policy: first},
		"replace_first_ends_the_machine":      {at: 4 * time.Minute, o: retiring(), policy: first},
		"replace_first_waits_for_volumes":     {at: 4 * time.Minute, o: volumes(retiring(), "pv-1"), policy: first},
		"replace_first_forces_nothing":        {at: 23 * hour, o: blocked(retiring(pod("web")), "web"), policy: first},
		"replace_first_out_of_time":           {at: 24 * hour, o: retiring(pod("web")), policy: first},
		"replace_first_cannot_be_ended":       {at: 4 * time.Minute, o: with(retiring(), func(o *interruption.Observation) { o.Refusal = "AccessDenied" }), policy: first},
		"replace_first_policy_has_changed":    {at: 4 * time.Minute, o: retiring()},
		"replace_first_then_the_warning": {at: 2 * time.Minute, o: with(detached(2, pod("web")), func(o *interruption.Observation) {
			o.Signal = interruption.Tighten(o.Signal, spot().Signal)
			o.Signal.Deadline = began.Add(4 * time.Minute)
		}), policy: first},

		"R11_full_grace":                    {at: 2 * time.Second, o: spot(pod("slow", grace(5*time.Minute))), policy: full},
		"R11_full_grace_against_a_budget":   {at: 3 * time.Second, o: blocked(later(pod("slow", grace(5*time.Minute), budgeted)), "slow"), policy: full},
		"R10_the_budget_is_named":           {at: 85 * time.Second, o: blocked(later(pod("web", budgeted)), "web")},
		"R12_far_deadline_overrides_nobody": {o: planned(spot(pod("db", kept), pod("bare", bare), pod("job", job), pod("web"))), policy: evict},
		"R12_far_deadline_bare_and_job":     {at: hour, o: planned(later(pod("bare", bare), pod("job", job)))},
		"R12_far_deadline_comes_near":       {at: 24*hour - 155*time.Second, o: planned(later(pod("db", kept), pod("bare", bare)))},
		"R12_far_deadline_budget_holds":     {at: 23 * hour, o: planned(blocked(later(pod("web")), "web"))},
		"R12_for_a_while":                   {o: voluntary(later(pod("past", protected("30m")), pod("still", protected("90m")), pod("nonsense", protected("soon")))), policy: drain},
		"R13_bare_and_job_when_voluntary":   {at: time.Minute, o: recommendedLater(pod("bare", bare), pod("job", job), pod("web")), policy: drain},
		"R13_bare_and_job_by_policy":        {at: time.Minute, o: recommendedLater(pod("bare", bare), pod("job", job)), policy: evict},
		"R13_job_patience_is_over":          {at: 30 * time.Minute, o: recommendedLater(pod("job", job)), policy: drain},
		"R13_bare_and_job_when_involuntary": {o: later(pod("bare", bare), pod("job", job))},
		"R13_by_priority":                   {o: later(pod("a-high", priority), pod("low"), pod("b-critical", critical))},
		"R13_stuck_pods":                    {at: 65 * time.Second, o: later(pod("stuck", goneBy(4*time.Second)), pod("going", goneBy(6*time.Second)))},

		"R26_volumes_are_waited_for":         {at: 20 * time.Second, o: volumes(later(), "pv-1", "pv-2")},
		"R26_not_past_the_deadline":          {at: 2 * time.Minute, o: volumes(later(), "pv-1")},
		"R26_hook_waits_for_volumes":         {at: 20 * time.Second, o: volumes(hooked(later()), "pv-1")},
		"R26_removal_waits_for_volumes":      {at: 20 * time.Second, o: volumes(removed(later()), "pv-1")},
		"R26_unread_volumes_are_waited_for":  {at: 20 * time.Second, o: unread(later(), interruption.PartVolumes)},
		"R26_out_of_service_waits_for_ec2":   {at: 125 * time.Second, o: volumes(later(), "pv-1"), policy: fence},
		"R26_out_of_service_releases_a_hook": {at: 15 * time.Minute, o: hooked(later(pod("db", claims))), policy: fence},
		"R26_out_of_service":                 {at: 130 * time.Second, o: stopped(volumes(later(), "pv-1")), policy: fence},
		"R26_out_of_service_stuck_pod":       {at: 130 * time.Second, o: stopped(later(pod("db", claims, goneBy(100*time.Second)))), policy: fence},
		"R26_out_of_service_not_asked_for":   {at: 130 * time.Second, o: stopped(volumes(later(), "pv-1"))},
		"R26_out_of_service_gives_up":        {at: 12*time.Minute + time.Second, o: volumes(later(), "pv-1"), policy: fence},
		"R26_out_of_service_for_nothing":     {at: 125 * time.Second, o: later(pod("web")), policy: fence},
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
			golden(t, "depth_"+name, fmt.Sprintf("%s after the event\n%s%s", tc.at, p, details(p)))
		})
	}
}

// TestR12_NothingIsOverriddenEarly: of a machine that goes tomorrow no protected pod is touched before the last two minutes
// and its own grace, and then all of them get their whole grace before the end.
func TestR12_NothingIsOverriddenEarly(t *testing.T) {
	pods := []fleet.Pod{pod("db", kept), pod("bare", bare), pod("job", job), pod("slow", kept, grace(10*time.Minute))}
	begins := map[string]time.Duration{} // before the end
	for left := 24 * time.Hour; left > 0; left -= time.Second {
		o := planned(later(pods...))
		p, err := interruption.Decide(o.Signal.Deadline.Add(-left), o, *edited(func(p *fleet.InterruptionPolicy) { p.JobPatience = 48 * time.Hour }))
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range actions(p) {
			if e, ok := a.(plan.EvictPod); ok && begins[e.Name] == 0 {
				begins[e.Name] = left
			}
			if d, ok := a.(plan.DeletePod); ok {
				t.Fatalf("%s before anything was refused", d)
			}
		}
		if p.LookAgain > left && left > time.Second {
			t.Fatalf("%s before the end: look again in %s", left, p.LookAgain)
		}
	}
	for _, p := range pods {
		if want := p.Grace + policy.ForceMargin + 2*time.Minute; begins[p.Name] != want {
			t.Errorf("%s is evicted %s before the end, want %s", p.Name, begins[p.Name], want)
		}
	}
}

// TestFurther: reads that cost something are made only at the looks that need them.
func TestFurther(t *testing.T) {
	first := *edited(func(p *fleet.InterruptionPolicy) { p.Rebalance = fleet.RebalanceReplaceThenDrain })
	volumes := func(o interruption.Observation) interruption.Observation { o.HadVolumes = true; return o }
	log := pod("log", claims)
	log.Owner.Kind = "DaemonSet"
	for name, tc := range map[string]struct {
		o      interruption.Observation
		policy fleet.InterruptionPolicy
		want   interruption.Wants
	}{
		"a spot warning":                   {spot(pod("web")), policy, interruption.Wants{}},
		"empty, and no pod had volumes":    {later(), policy, interruption.Wants{}},
		"empty":                            {volumes(later(log)), policy, interruption.Wants{Volumes: true, Except: []fleet.Claim{{Namespace: "default", Name: "data"}}}},
		"not empty yet":                    {volumes(later(pod("web"))), policy, interruption.Wants{}},
		"an ignored recommendation":        {recommended(), policy, interruption.Wants{}},
		"a recommendation":                 {recommended(), first, interruption.Wants{Group: "eks-spot"}},
		"replaced first":                   {detached(0), first, interruption.Wants{Replacement: "eks-spot"}},
		"replaced first and drained":       {volumes(retiring()), first, interruption.Wants{Volumes: true}},
		"a recommendation that was obeyed": {volumes(recommendedLater()), *edited(func(p *fleet.InterruptionPolicy) { p.Rebalance = fleet.RebalanceDrain }), interruption.Wants{}},
	} {
		got := interruption.Further(began.Add(time.Second), tc.o, tc.policy)
		if got.Group != tc.want.Group || got.Replacement != tc.want.Replacement || got.Volumes != tc.want.Volumes || !slices.Equal(got.Except, tc.want.Except) {
			t.Errorf("%s: %+v, want %+v", name, got, tc.want)
		}
	}
}
