package interruption_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/interruption"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// behind puts the observed machine behind load balancers, as its targets say.
func behind(o interruption.Observation, targets ...fleet.Target) interruption.Observation {
	o.Targets = targets
	return o
}

func target(state fleet.TargetState, edit ...func(*fleet.Target)) fleet.Target {
	t := fleet.Target{Group: "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/web/0123456789abcdef", Port: 30080, State: state, Ours: true, PutBack: true}
	for _, f := range edit {
		f(&t)
	}
	return t
}

func attached(t *fleet.Target)   { t.ScalingGroups = []string{"eks-spot"} }
func nobodyPuts(t *fleet.Target) { t.PutBack = false }
func somebodys(t *fleet.Target)  { t.Ours, t.PutBack = false, false }
func notReady(p *fleet.Pod)      { p.Ready = false }
func since(o *interruption.Observation, seen, out time.Duration) {
	o.TargetsSince = began.Add(seen)
	if out > 0 {
		o.TargetsOut = began.Add(out)
	}
}

// look decides as the work does: what is seen of the targets first.
func look(t *testing.T, at time.Duration, o interruption.Observation, p fleet.InterruptionPolicy) (plan.Plan, interruption.Observation) {
	t.Helper()
	o.SeeTargets(began.Add(at), p)
	got, err := interruption.Decide(began.Add(at), o, p)
	if err != nil {
		t.Fatal(err)
	}
	return got, o
}

// kinds lists a plan's actions: kind, and what it is about.
func kinds(p plan.Plan) (out []string) {
	for _, s := range p.Steps {
		for _, a := range s.Actions {
			switch a := a.(type) {
			case plan.EvictPod:
				out = append(out, "evict "+a.Name)
			case plan.DeletePod:
				out = append(out, "delete "+a.Name)
			case plan.DeregisterTarget:
				out = append(out, fmt.Sprintf("deregister %s:%d", a.Group(), a.Port))
			default:
				out = append(out, a.Kind())
			}
		}
	}
	slices.Sort(out)
	return out
}

// TestTargets: what is done at one look, and when the next one is.
func TestTargets(t *testing.T) {
	healthy, drains := target(fleet.TargetHealthy), target(fleet.TargetDraining)
	off := policy
	off.LoadBalancers.Deregister = false
	kept := policy
	kept.ReplaceCapacity = false
	rebalance := policy
	rebalance.Rebalance, rebalance.Jobs = fleet.RebalanceDrain, fleet.JobPodsEvict // what this is about is not jobs
	waiting := func(seen, out time.Duration, o interruption.Observation) interruption.Observation {
		since(&o, seen, out)
		return o
	}
	for name, tc := range map[string]struct {
		at     time.Duration
		o      interruption.Observation
		policy fleet.InterruptionPolicy
		want   []string
		again  time.Duration
	}{
		"deregistered beside the cordon, serving pods wait": {o: behind(spot(pod("web"), pod("batch", job), pod("starting", notReady)), healthy),
			want: []string{"CordonNode", "ReplaceInstance", "deregister web:30080", "evict batch", "evict starting"}, again: time.Second},
		"all ports":                        {o: behind(later(), healthy, target("initial", func(t *fleet.Target) { t.Port = 30443 })), want: []string{"deregister web:30080", "deregister web:30443"}},
		"an unhealthy one":                 {o: behind(later(pod("web")), target("unhealthy")), want: []string{"deregister web:30080"}, again: 2 * time.Second},
		"one of no use":                    {o: behind(later(pod("web")), target(fleet.TargetUnused)), want: []string{"evict web"}, again: 2 * time.Second},
		"draining at first sight: a pause": {at: time.Second, o: behind(later(pod("web")), drains), again: 2 * time.Second},
		"in the pause":                     {at: 4 * time.Second, o: waiting(time.Second, 2*time.Second, behind(later(pod("web")), drains)), again: time.Second},
		"after the pause":                  {at: 5 * time.Second, o: waiting(time.Second, 2*time.Second, behind(later(pod("web")), drains)), want: []string{"evict web"}, again: 2 * time.Second},
		"drained meanwhile":                {at: 5 * time.Second, o: waiting(time.Second, 2*time.Second, later(pod("web"))), want: []string{"evict web"}, again: 2 * time.Second},
		"put back by its controller":       {at: 5 * time.Second, o: waiting(time.Second, 2*time.Second, behind(later(pod("web")), healthy)), want: []string{"deregister web:30080"}, again: 2 * time.Second},
		"no longer than wait":              {at: 11 * time.Second, o: waiting(time.Second, 0, behind(later(pod("web")), healthy)), want: []string{"deregister web:30080", "evict web"}, again: 2 * time.Second},
		"nor with the pause":               {at: 11 * time.Second, o: waiting(time.Second, 0, behind(later(pod("web")), drains)), want: []string{"evict web"}, again: 2 * time.Second},
		"R11 a grace that is too long waits for nothing": {o: behind(later(pod("slow", grace(5*time.Minute)), pod("web")), healthy), want: []string{"deregister web:30080", "evict slow"}, again: 2 * time.Second},
		"R10 what is forced is forced":                   {at: 85 * time.Second, o: blocked(waiting(80*time.Second, 0, behind(later(pod("web")), healthy)), "web"), want: []string{"delete web", "deregister web:30080"}, again: 2 * time.Second},
		"time for its grace":                             {at: 85 * time.Second, o: waiting(80*time.Second, 0, behind(later(pod("web")), healthy)), want: []string{"deregister web:30080", "evict web"}, again: 2 * time.Second},
		"R22 no time at all":                             {o: with(behind(spot(pod("web")), healthy), func(o *interruption.Observation) { o.Signal.Deadline = began }), want: []string{"CordonNode", "ReplaceInstance", "deregister web:30080", "evict web"}},
		"the policy is against it":                       {o: behind(later(pod("web")), healthy), policy: off, want: []string{"evict web"}, again: 2 * time.Second},
		"unread holds up nothing that hurries":           {o: unread(later(pod("web")), interruption.PartTargets), want: []string{"evict web"}, again: 2 * time.Second},
		"unread holds up what does not":                  {at: time.Second, o: unread(voluntary(later(pod("web"), pod("batch", job))), interruption.PartTargets), policy: rebalance, want: []string{"evict batch"}, again: 2 * time.Second},
		"but not for ever":                               {at: 10 * time.Second, o: unread(voluntary(later(pod("web"))), interruption.PartTargets), policy: rebalance, want: []string{"evict web"}, again: 2 * time.Second},
		"pending: the cordon alone":                      {o: with(spot(pod("web")), func(o *interruption.Observation) { o.TargetsPending = true }), want: []string{"CordonNode", "ReplaceInstance"}},

		"Auto Scaling deregisters what it lets go": {o: behind(spot(pod("web")), target(fleet.TargetHealthy, attached)), want: []string{"CordonNode", "ReplaceInstance"}, again: time.Second},
		"and still does":                            {at: time.Second, o: with(waiting(0, 0, behind(later(pod("web")), target(fleet.TargetHealthy, attached))), func(o *interruption.Observation) { o.Replaced = true }), again: 2 * time.Second},
		"not what it keeps":                         {o: behind(spot(pod("web")), target(fleet.TargetHealthy, attached)), policy: kept, want: []string{"CordonNode", "deregister web:30080"}, again: time.Second},
		"somebody else's group that nobody empties": {o: behind(later(pod("web")), target(fleet.TargetHealthy, somebodys)), want: []string{"evict web"}, again: 2 * time.Second},
		"by choice, what is put back":               {o: voluntary(behind(later(pod("web")), healthy)), policy: rebalance, want: []string{"deregister web:30080"}, again: 2 * time.Second},
		"by choice, what nobody puts back stays":    {o: voluntary(behind(later(pod("web")), target(fleet.TargetHealthy, nobodyPuts, attached))), policy: rebalance, want: []string{"evict web"}, again: 2 * time.Second},
		"by choice, a minute":                       {at: 59 * time.Second, o: waiting(0, 0, voluntary(behind(later(pod("web")), healthy))), policy: rebalance, want: []string{"deregister web:30080"}, again: time.Second},
		"by choice, no longer":                      {at: time.Minute, o: waiting(0, 0, voluntary(behind(later(pod("web")), healthy))), policy: rebalance, want: []string{"deregister web:30080", "evict web"}, again: 2 * time.Second},

		"an empty machine that EC2 ends is drained":   {at: 9 * time.Second, o: waiting(0, time.Second, behind(later(), drains))},
		"a hook waits for connections":                {at: time.Minute, o: waiting(0, time.Second, behind(hooked(later()), drains)), want: []string{"Heartbeat"}, again: 2 * time.Second},
		"until they are over":                         {at: time.Minute, o: waiting(0, time.Second, hooked(later())), want: []string{"CompleteLifecycleAction"}},
		"or five minutes":                             {at: 5 * time.Minute, o: waiting(0, time.Second, behind(hooked(later()), drains)), want: []string{"CompleteLifecycleAction"}},
		"or almost the end":                           {at: 15*time.Minute - 15*time.Second, o: waiting(14*time.Minute, 14*time.Minute, behind(hooked(later()), drains)), want: []string{"CompleteLifecycleAction"}},
		"a hook does not wait for what is not coming": {at: time.Minute, o: waiting(0, 0, behind(hooked(later()), healthy)), want: []string{"CompleteLifecycleAction", "deregister web:30080"}},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.policy == (fleet.InterruptionPolicy{}) {
				tc.policy = policy
			}
			p, _ := look(t, tc.at, tc.o, tc.policy)
			if got := kinds(p); !slices.Equal(got, tc.want) || p.LookAgain != tc.again {
				t.Errorf("got %q, again after %s; want %q, %s\n%s", got, p.LookAgain, tc.want, tc.again, p)
			}
		})
	}
}

// TestTargetsNeverDelayADrainWithoutThem and never one for longer than they may: whatever pods, targets and times there are, a
// plan without targets is that of a policy that knows no load balancers; and with them no eviction is missing that is due by
// the pod's own grace, by the policy's wait, or because it serves nobody.
func TestTargetsNeverDelayADrainWithoutThem(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 7))
	states := []fleet.TargetState{"initial", "healthy", "unhealthy", "unavailable", "draining", "unused"}
	held := 0
	for range 20_000 {
		at := time.Duration(rnd.IntN(125_000)) * time.Millisecond
		var pods []fleet.Pod
		for i := range rnd.IntN(5) {
			pods = append(pods, pod(fmt.Sprint("p", i), grace(time.Duration(rnd.IntN(150))*time.Second), func(p *fleet.Pod) {
				p.Ready = rnd.IntN(4) > 0
				if rnd.IntN(4) == 0 {
					p.Owner.Kind = "Job"
				}
				if rnd.IntN(4) == 0 {
					p.Priority = 2_000_000_000
				}
			}))
		}
		o, pol := later(pods...), policy
		if rnd.IntN(3) == 0 {
			o = spot(pods...)
		}
		if rnd.IntN(4) == 0 {
			o = hooked(o)
		}
		if rnd.IntN(3) == 0 && len(pods) > 0 {
			o = blocked(o, "p0")
		}
		pol.LoadBalancers.Wait = time.Duration(rnd.IntN(30)) * time.Second
		pol.LoadBalancers.Pause = time.Duration(rnd.IntN(6)) * time.Second
		off := pol
		off.LoadBalancers.Deregister = false
		without, _ := look(t, at, o, pol)
		bare, _ := look(t, at, o, off)
		if !reflect.DeepEqual(without, bare) {
			t.Fatalf("without targets:\n%s\nand by a policy that knows none:\n%s", without, bare)
		}
		for range 1 + rnd.IntN(3) {
			o.Targets = append(o.Targets, target(states[rnd.IntN(len(states))], func(t *fleet.Target) { t.Ours, t.Port = rnd.IntN(3) > 0, 30000+rnd.IntN(100) }))
		}
		seen := time.Duration(rnd.Int64N(int64(at + 1)))
		if rnd.IntN(3) > 0 {
			since(&o, seen, 0)
		}
		behind, o := look(t, at, o, pol)
		there := kinds(behind)
		for _, p := range pods {
			due := slices.Contains(kinds(bare), "evict "+p.Name)
			if !due || slices.Contains(there, "evict "+p.Name) {
				continue
			}
			held++
			now, forced := began.Add(at), o.Signal.Deadline.Add(-p.Grace-pol.ForceMargin)
			if !p.Ready || p.Owner.Kind == "Job" || !now.Before(forced) || o.TargetsSince.IsZero() || !now.Before(o.TargetsSince.Add(pol.LoadBalancers.Wait)) {
				t.Fatalf("%s after the event %s is held, seen since %s, with targets %v: it would be forced at %s", at, p.Name, o.TargetsSince, o.Targets, forced)
			}
			if until := behind.LookAgain; behind.Outcome != "" || until > 0 && now.Add(until-time.Second).After(forced) {
				t.Fatalf("%s after the event %s is held, which would be forced at %s, and the next look is after %s: %s", at, p.Name, forced, until, behind)
			}
		}
		if slices.Contains(kinds(bare), "delete p0") && !slices.Contains(there, "delete p0") {
			t.Fatalf("%s after the event p0 is not forced: %s", at, behind)
		}
	}
	if held < 500 {
		t.Errorf("only %d evictions were held: the test tests nothing", held)
	}
}
