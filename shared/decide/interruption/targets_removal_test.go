package interruption_test

import (
	"slices"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/interruption"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// TestRemovalsWaitForConnections: the machine of a node that is given up ends when nothing goes through it any more, or when the
// policy or the removal's time says so.
func TestRemovalsWaitForConnections(t *testing.T) {
	healthy, drains := target(fleet.TargetHealthy), target(fleet.TargetDraining)
	seen := func(seen, out time.Duration, o interruption.Observation) interruption.Observation {
		since(&o, seen, out)
		return o
	}
	soon := func(o interruption.Observation, until time.Duration) interruption.Observation {
		o.Signal.Removal.Until = began.Add(until)
		return o
	}
	for name, tc := range map[string]struct {
		at    time.Duration
		o     interruption.Observation
		want  []string
		again time.Duration
	}{
		"first look":                   {o: behind(removed(spot(pod("web"), pod("batch", job))), healthy), want: []string{"CordonNode", "deregister web:30080", "evict batch"}, again: time.Second},
		"an empty node":                {o: behind(removed(spot()), healthy), want: []string{"CordonNode", "deregister web:30080"}, again: time.Second},
		"not yet seen to drain":        {at: 2 * time.Second, o: seen(0, 0, behind(removed(later()), healthy)), want: []string{"deregister web:30080"}, again: 2 * time.Second},
		"never seen to drain":          {at: time.Minute, o: seen(0, 0, behind(removed(later()), healthy)), want: []string{"TerminateInstance", "deregister web:30080"}},
		"draining":                     {at: 2 * time.Minute, o: seen(0, time.Second, behind(removed(later()), drains)), again: 2 * time.Second},
		"drained":                      {at: 2 * time.Minute, o: seen(0, time.Second, removed(later())), want: []string{"TerminateInstance"}},
		"as long as the policy says":   {at: 5 * time.Minute, o: seen(0, time.Second, behind(removed(later()), drains)), want: []string{"TerminateInstance"}},
		"and the request":              {at: time.Minute, o: soon(seen(0, time.Second, behind(removed(later()), drains)), time.Minute), want: []string{"TerminateInstance"}},
		"left to Auto Scaling":         {at: time.Minute, o: seen(0, 0, behind(removed(later()), target(fleet.TargetHealthy, attached, nobodyPuts))), want: []string{"TerminateInstance"}},
		"unread":                       {at: time.Minute, o: unread(removed(later()), interruption.PartTargets), want: []string{"TerminateInstance"}},
		"tightened":                    {at: 90 * time.Second, o: seen(0, time.Second, behind(tightened(later()), drains)), again: 2 * time.Second},
		"tightened, and almost over":   {at: 105 * time.Second, o: seen(0, time.Second, behind(tightened(later()), drains)), want: []string{"TerminateInstance"}},
		"given back: the label's work": {at: 15 * time.Minute, o: seen(0, time.Second, behind(removed(later(pod("web"))), drains)), want: []string{"UncordonNode"}},
	} {
		t.Run(name, func(t *testing.T) {
			p, _ := look(t, tc.at, tc.o, policy)
			if got := kinds(p); !slices.Equal(got, tc.want) || p.LookAgain != tc.again {
				t.Errorf("got %q, again after %s; want %q, %s\n%s", got, p.LookAgain, tc.want, tc.again, p)
			}
		})
	}
}

// TestSeeTargets: since when a machine is behind load balancers, and since when out of them.
func TestSeeTargets(t *testing.T) {
	healthy, drains := target(fleet.TargetHealthy), target(fleet.TargetDraining)
	at := func(d time.Duration) time.Time { return began.Add(d) }
	var none time.Time
	o := later()
	for i, step := range []struct {
		targets    []fleet.Target
		unread     bool
		since, out time.Time
	}{
		{nil, false, none, none},
		{[]fleet.Target{healthy}, true, none, none},
		{[]fleet.Target{healthy}, false, at(2 * time.Second), none},
		{[]fleet.Target{healthy, drains}, false, at(2 * time.Second), none},
		{nil, true, at(2 * time.Second), none},
		{[]fleet.Target{drains}, false, at(2 * time.Second), at(5 * time.Second)},
		{[]fleet.Target{drains}, false, at(2 * time.Second), at(5 * time.Second)},
		{[]fleet.Target{healthy}, false, at(2 * time.Second), none},
		{nil, false, at(2 * time.Second), at(8 * time.Second)},
	} {
		o.Targets, o.Incomplete = step.targets, nil
		if step.unread {
			o.Incomplete = map[interruption.Part]string{interruption.PartTargets: "denied"}
		}
		o.SeeTargets(at(time.Duration(i)*time.Second), policy)
		if !o.TargetsSince.Equal(step.since) || !o.TargetsOut.Equal(step.out) {
			t.Errorf("step %d: since %s, out %s; want %s, %s", i, o.TargetsSince, o.TargetsOut, step.since, step.out)
		}
	}
}
