package interruption_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/interruption"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

func TestR1_R2_Tighten(t *testing.T) {
	at := func(d time.Duration) time.Time { return began.Add(d) }
	rebalance := interruption.Signal{Cause: "RebalanceRecommendation", InstanceID: machine, EventID: "r1", EventTime: at(0)}
	spot := interruption.Signal{Cause: "SpotInterruption", InstanceID: machine, EventID: "e1", EventTime: at(time.Minute), Action: "terminate",
		Deadline: at(3 * time.Minute), Involuntary: true}
	hook := interruption.Signal{Cause: "LifecycleAction", InstanceID: machine, EventID: "h1", EventTime: at(2 * time.Minute), Action: "terminate",
		Deadline: at(17 * time.Minute), Involuntary: true, Hook: &interruption.Hook{Group: "g", Name: "h"}}
	launch := hook
	launch.Launching, launch.Involuntary, launch.Deadline = true, false, time.Time{}
	edit := func(s interruption.Signal, f func(*interruption.Signal)) interruption.Signal { f(&s); return s }

	for name, tc := range map[string]struct{ running, later, want interruption.Signal }{
		"the same again":                     {spot, spot, spot},
		"harder":                             {rebalance, spot, spot},
		"weaker":                             {spot, rebalance, spot},
		"nearer":                             {hook, spot, edit(hook, func(s *interruption.Signal) { s.Deadline = spot.Deadline })},
		"further, with a hook":               {spot, hook, edit(spot, func(s *interruption.Signal) { s.Hook = hook.Hook })},
		"voluntary but with a nearer end":    {spot, edit(rebalance, func(s *interruption.Signal) { s.Deadline = at(2 * time.Minute) }), edit(spot, func(s *interruption.Signal) { s.Deadline, s.Action = at(2*time.Minute), "" })},
		"a machine that comes goes":          {launch, spot, spot},
		"a machine that goes is not coming":  {spot, launch, spot},
		"the hook of a launch is not a stop": {launch, hook, hook},
	} {
		if got := interruption.Tighten(tc.running, tc.later); !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", name, got, tc.want)
		}
	}
}

func TestNextLookIsNoLaterThanTheNextDuty(t *testing.T) {
	for _, tc := range []struct {
		at, want time.Duration
		pods     []fleet.Pod
	}{
		{80 * time.Second, 2 * time.Second, []fleet.Pod{pod("web")}},                             // nothing but the usual pause
		{84 * time.Second, time.Second, []fleet.Pod{pod("web")}},                                 // at T-35 s it is forced
		{89 * time.Second, time.Second, []fleet.Pod{pod("web", deleting), pod("dns", critical)}}, // at T-30 s dns goes
		{119*time.Second + 700*time.Millisecond, time.Second, []fleet.Pod{pod("web", deleting)}}, // SQS counts seconds
	} {
		p, err := interruption.Decide(began.Add(tc.at), later(tc.pods...), policy)
		if err != nil || p.LookAgain != tc.want {
			t.Errorf("%s after the event: look again in %s (%v), want %s", tc.at, p.LookAgain, err, tc.want)
		}
	}
}

// worlds makes random observations, the same ones for the same seed.
type worlds struct{ *rand.Rand }

func (r worlds) yes(percent int) bool { return r.IntN(100) < percent }

func (r worlds) pod(i int) fleet.Pod {
	p := pod(fmt.Sprintf("p%02d", i), grace([]time.Duration{0, time.Second, 30 * time.Second, 5 * time.Minute}[r.IntN(4)]))
	p.Phase = []string{"Pending", "Running", "Running", "Running", "Succeeded", "Failed", "Unknown"}[r.IntN(7)]
	p.Mirror, p.Deleting = r.yes(10), r.yes(20)
	if r.yes(20) {
		p.Owner = fleet.Owner{Kind: "DaemonSet", Name: "d"}
	}
	if r.yes(20) {
		p.Priority = 2_000_001_000
	}
	if r.yes(10) {
		p.Annotations = map[string]string{"karpenter.sh/do-not-disrupt": "true"}
	}
	if r.yes(10) {
		p.Tolerations = []fleet.Toleration{{Key: interruption.TaintKey, Operator: "Exists"}}
	}
	return p
}

func (r worlds) removal(o interruption.Observation) interruption.Observation {
	o.Began = o.Attempt > 0
	if r.yes(30) {
		o = tightened(o)
	} else {
		o = removed(o)
	}
	o.Signal.Removal.Until = began.Add(time.Duration(r.IntN(120)) * time.Second)
	o.Group.Min, o.Group.Desired = r.IntN(2), r.IntN(4)
	o.Group.LifecycleState = []string{"InService", "InService", "InService", "Terminating:Wait", "Standby"}[r.IntN(5)]
	if r.yes(15) {
		o.Group = fleet.ScalingGroup{}
	}
	if r.yes(50) {
		o.Instance.Tags[fleet.TagPool] = "batch"
	}
	if r.yes(5) {
		o.Node.UID = "another"
	}
	if r.yes(5) {
		o.Refusal = "no"
	}
	o.Ended = r.yes(10)
	return o
}

func (r worlds) observation() (now time.Time, o interruption.Observation, pol fleet.InterruptionPolicy) {
	now = began.Add(time.Duration(r.IntN(150_000))*time.Millisecond - 5*time.Second)
	o = spot()
	if r.yes(60) {
		o = later()
	}
	o.Blocked = map[string]bool{}
	for i := range r.IntN(12) {
		p := r.pod(i)
		o.Pods = append(o.Pods, p)
		o.Blocked[p.UID] = r.yes(50)
	}
	switch {
	case r.yes(30):
		o = r.removal(o)
	case r.yes(30):
		o = voluntary(o)
	case r.yes(20):
		o = hooked(o)
	case r.yes(10):
		o = hooked(o)
		o.Signal.Launching = true
	}
	o.Attempt, o.Began, o.Node.Ready = r.IntN(20), r.yes(50), r.yes(50)
	if r.yes(10) {
		o.Instance.State = []string{"stopping", "stopped", "shutting-down", "terminated", ""}[r.IntN(5)]
	}
	for _, part := range []interruption.Part{interruption.PartNode, interruption.PartPods, interruption.PartGroup} {
		if r.yes(7) {
			o = unread(o, part)
		}
	}
	if r.yes(5) {
		o.Node = nil
	}
	if r.yes(3) {
		o.Instance = nil
	}
	pol = policy
	pol.ReplaceCapacity = r.yes(80)
	pol.Rebalance = []fleet.RebalanceAction{fleet.RebalanceIgnore, fleet.RebalanceDrain, fleet.RebalanceReplaceThenDrain}[r.IntN(3)]
	o, pol = r.depth(o, pol)
	return now, o, pol
}

func TestProperties(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := worlds{rand.New(rand.NewPCG(seed, 0))}
	for range 8_000 {
		now, o, pol := r.observation()
		check(t, now, o, pol)
		if t.Failed() {
			t.Fatalf("seed %d: at %s %+v", seed, now, o)
		}
	}
}

// check holds a decision against what must be true of all of them.
func check(t *testing.T, now time.Time, o interruption.Observation, pol fleet.InterruptionPolicy) {
	t.Helper()
	before := fmt.Sprintf("%+v %+v %+v", o, o.Node, o.Instance)
	p, err := interruption.Decide(now, o, pol)
	if err != nil {
		t.Error(err)
	}
	if again, _ := interruption.Decide(now, o, pol); !reflect.DeepEqual(p, again) {
		t.Error("the same observation led to two plans")
	}
	if after := fmt.Sprintf("%+v %+v %+v", o, o.Node, o.Instance); before != after {
		t.Errorf("Decide changed its input:\n%s\n%s", before, after)
	}
	if p.LookAgain > 0 == (p.Outcome != "") || p.LookAgain < 0 {
		t.Errorf("look again in %s and outcome %q: want exactly one", p.LookAgain, p.Outcome)
	}
	if end := o.Signal.Deadline; !end.IsZero() && !now.Before(end) && p.Outcome == "" && !o.Signal.Launching && !pol.OutOfService {
		t.Error("goes on after the deadline")
	}
	checkDepth(t, now, o, pol, p)
	if p.LookAgain > 0 && p.LookAgain < time.Second || p.LookAgain > 15*time.Minute {
		t.Errorf("look again in %s: not a delay that SQS can do", p.LookAgain)
	}
	if o.Signal.Launching || o.Node == nil {
		for _, a := range actions(p) {
			switch a.(type) {
			case plan.EvictPod, plan.DeletePod, plan.CordonNode:
				t.Errorf("%s, of a machine that comes, or without a node", a)
			}
		}
	}
	checkRemoval(t, now, o, p)
	byUID := map[string]fleet.Pod{}
	for _, pod := range o.Pods {
		byUID[pod.UID] = pod
	}
	for _, a := range actions(p) {
		switch a := a.(type) {
		case plan.EvictPod:
			checkPod(t, byUID, a.UID, o.Signal)
			if a.Grace != nil && (*a.Grace <= 0 || *a.Grace > byUID[a.UID].Grace) {
				t.Errorf("%s: the pod's own grace is %s", a, byUID[a.UID].Grace)
			}
		case plan.DeletePod:
			checkPod(t, byUID, a.UID, o.Signal)
			pod := byUID[a.UID]
			if a.Grace < time.Second || a.Grace > max(pod.Grace, time.Second) {
				t.Errorf("%s: the pod's own grace is %s", a, pod.Grace)
			}
			if !o.Signal.Involuntary || !o.Blocked[a.UID] || now.Before(o.Signal.Deadline.Add(-pod.Grace-pol.ForceMargin)) {
				t.Errorf("%s: too early, not blocked, or nobody forces us", a)
			}
		case plan.ReplaceInstance:
			if !a.First && (!o.Signal.Involuntary || o.Signal.Hook != nil || !pol.ReplaceCapacity) {
				t.Errorf("%s", a)
			}
		case plan.CordonNode:
			if a.UID == "" || a.ResourceVersion == "" {
				t.Errorf("%s has no preconditions", a)
			}
		}
	}
}

func checkPod(t *testing.T, pods map[string]fleet.Pod, uid string, s interruption.Signal) {
	t.Helper()
	p, ok := pods[uid]
	switch {
	case !ok:
		t.Errorf("uid %s was not observed", uid)
	case p.Mirror, p.Owner.Kind == "DaemonSet", p.Finished(), p.Deleting,
		len(p.Tolerations) > 0 && (s.Removal == nil || s.Involuntary), p.Annotations["karpenter.sh/do-not-disrupt"] == "true" && !s.Involuntary:
		t.Errorf("%+v must stay", p)
	}
}

func actions(p plan.Plan) (all []plan.Action) {
	for _, s := range p.Steps {
		all = append(all, s.Actions...)
	}
	return all
}

func FuzzDecide(f *testing.F) {
	f.Add(uint64(1), int64(0), int64(0), "running", "aws:///a/"+machine)
	f.Add(uint64(2), int64(-1), int64(1)<<62, "", "")
	f.Fuzz(func(t *testing.T, seed uint64, at, graceOf int64, state, providerID string) {
		_, o, pol := worlds{rand.New(rand.NewPCG(seed, 0))}.observation()
		if o.Instance != nil {
			o.Instance.State = state
		}
		if o.Node != nil {
			o.Node.ProviderID = providerID
		}
		for i := range o.Pods {
			o.Pods[i].Grace = time.Duration(graceOf)
		}
		p, err := interruption.Decide(time.Unix(0, at), o, pol)
		if err != nil {
			t.Fatal(err)
		}
		_ = p.String()
	})
}
