package upgrade

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

func TestIlls(t *testing.T) {
	old, fresh := noon.Add(-time.Hour), noon.Add(-time.Minute)
	pod := func(name, workload string, since time.Time) fleet.NotReady {
		return fleet.NotReady{Name: "ns/" + name, Workload: "ns/ReplicaSet/" + workload, Since: since}
	}
	policy := fleet.HealthPolicy{NotReady: 0.1, Pods: 0.02, For: 5 * time.Minute}
	for name, c := range map[string]struct {
		base, now Health
		lasting   time.Duration
		want      []string
	}{
		"well":                                {Health{}, Health{}, 0, nil},
		"a node of ten is allowed":            {Health{}, Health{Wellness: fleet.Wellness{Nodes: 10, NotReady: []fleet.NotReady{{Name: "a", Since: old}}}}, 0, nil},
		"two of ten are not":                  {Health{}, Health{Wellness: fleet.Wellness{Nodes: 10, NotReady: []fleet.NotReady{{Name: "a", Since: old}, {Name: "b", Since: old}}}}, 0, []string{"nodes"}},
		"one of them was at the start":        {Health{Wellness: fleet.Wellness{Nodes: 10, NotReady: []fleet.NotReady{{Name: "a", Since: old}}}}, Health{Wellness: fleet.Wellness{Nodes: 10, NotReady: []fleet.NotReady{{Name: "a", Since: old}, {Name: "b", Since: old}}}}, 0, nil},
		"pods of the same workload, new hash": {Health{Wellness: fleet.Wellness{Pods: 10, NotReady: []fleet.NotReady{pod("x", "web-1", old)}}}, Health{Wellness: fleet.Wellness{Pods: 10, NotReady: []fleet.NotReady{pod("y", "web-2", old)}}}, 0, nil},
		"one more of the workload":            {Health{Wellness: fleet.Wellness{Pods: 10, NotReady: []fleet.NotReady{pod("x", "web-1", old)}}}, Health{Wellness: fleet.Wellness{Pods: 10, NotReady: []fleet.NotReady{pod("y", "web-2", old), pod("z", "web-2", old)}}}, 0, []string{"pods"}},
		"not for long":                        {Health{}, Health{Wellness: fleet.Wellness{Pods: 10, NotReady: []fleet.NotReady{pod("y", "web-2", fresh)}}}, 5 * time.Minute, nil},
		"an alarm, and one of the start":      {Health{Alarms: []string{"a"}}, Health{Alarms: []string{"a", "b"}}, 0, []string{"alarm/b"}},
		"an insight":                          {Health{}, Health{Insights: []string{"i"}}, 0, []string{"insight/i"}},
		"blind from the start":                {Health{Unread: map[string]string{"insights": "x"}}, Health{Unread: map[string]string{"insights": "x"}}, 0, nil},
		"blind now":                           {Health{}, Health{Unread: map[string]string{"insights": "x"}}, 0, []string{"unread/insights"}},
	} {
		got := slices.Sorted(maps.Keys(ills(noon, c.now, *baseline(noon, c.base), policy, c.lasting)))
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, not %v", name, got, c.want)
		}
	}
}

// TestRegressionTakesItsTime: what is wrong holds new steps at once, and halts the run only when it has lasted.
func TestRegressionTakesItsTime(t *testing.T) {
	w := newWorld(t)
	var ill time.Time
	w.until("the first hop", func() bool { return len(w.memory.Hops) == 1 })
	w.healthy = func(h *Health) {
		if !ill.IsZero() {
			h.Alarms = []string{"errors"}
		}
	}
	ill = w.now
	calls := len(w.calls)
	w.until("halted", func() bool { return w.memory.Halt != nil })
	if took := w.now.Sub(ill); took < w.policy.Health.For || took > w.policy.Health.For+2*time.Minute {
		t.Errorf("halted after %s", took)
	}
	if len(w.calls) > calls || !strings.Contains(w.memory.Halt.Why, "alarm errors is in ALARM") || !strings.Contains(w.memory.Halt.Why, "a rollback to 1.34 is possible until") {
		t.Errorf("%s\n%s", w.memory.Halt.Why, w.told())
	}
	w.order(CommandResume, "")
	ill = time.Time{}
	if d := w.run(); d.Outcome != OutcomeUpgraded {
		t.Errorf("%s %s", d.Outcome, d.Phase)
	}
}

// TestBlindness: that nobody can see how the cluster is holds the run, halts it when that lasts, and never turns it back; and two looks
// that are far apart are not a time.
func TestBlindness(t *testing.T) {
	w := newWorld(t)
	w.policy.Rollback = fleet.RollbackAuto
	w.until("the first hop", func() bool { return len(w.memory.Hops) == 1 })
	w.healthy = func(h *Health) { h.Unread = map[string]string{"nodes and pods": "no route"} }
	w.look()
	w.advance(time.Hour)
	if w.look(); w.memory.Halt != nil {
		t.Fatalf("two looks: %s", w.memory.Halt.Why)
	}
	w.until("halted", func() bool { return w.memory.Halt != nil })
	if w.memory.Back != nil || !strings.Contains(w.memory.Halt.Why, "can no longer be read") {
		t.Errorf("%+v %+v", w.memory.Back, w.memory.Halt)
	}
}
