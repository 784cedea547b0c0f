package scaling

import (
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// interruptedNode marks a node as the interruption function does.
func (w *world) interruptedNode(i int, cause string) *world {
	n := &w.Nodes[i]
	n.Unschedulable = true
	n.Taints = append(n.Taints, fleet.Taint{Key: fleet.TaintInterruption, Value: cause, Effect: "NoSchedule"},
		fleet.Taint{Key: "node.kubernetes.io/unschedulable", Effect: "NoSchedule"})
	return w
}

// TestPodsThatLoseTheirNode have the next one ordered before they are evicted, and none if there is room, or if somebody has seen to it.
func TestPodsThatLoseTheirNode(t *testing.T) {
	running := pods("web", 3, 1500, 512, on(1))
	bare := pod("bare", 1500, 512, on(1), func(p *fleet.Pod) { p.Owner = fleet.Owner{} })
	going := pod("going", 1500, 512, on(1), func(p *fleet.Pod) { p.Deleting = true })
	agent := pod("agent", 100, 64, on(1), func(p *fleet.Pod) { p.Owner = fleet.Owner{Kind: "DaemonSet", Name: "agent"} })
	for _, c := range []struct {
		name  string
		cause string
		nodes int // that the group has
		pods  []fleet.Pod
		want  int // machines ordered
		says  string
	}{
		{"a warning", "SpotInterruption", 1, running, 3, "3 pods lose their nodes"},
		{"a warning, and half of them have room", "SpotInterruption", 3, running, 1, "3 pods lose their nodes"},
		{"a removal: their room was found before", fleet.CauseRemoval, 1, running, 0, "0 pods wait"},
		{"those that do not come back, or are going, or come with nodes", "SpotInterruption", 1, []fleet.Pod{bare, going, agent}, 0, "0 pods wait"},
	} {
		g := managed("web", "m5.large", 1, c.nodes, 9)
		w := cluster(g).pods(c.pods...).interruptedNode(0, c.cause)
		d := w.decide(t, noon, acting())
		if len(d.Explanation.New) != c.want || !strings.Contains(d.Plan.Reason, c.says) {
			t.Errorf("%s: %d nodes are ordered, want %d: %s", c.name, len(d.Explanation.New), c.want, d.Plan)
		}
	}
}

// TestTheReplacementCounts: what the interruption function has asked Auto Scaling for is on its way, and is not ordered again.
func TestTheReplacementCounts(t *testing.T) {
	w := cluster(managed("web", "m5.large", 1, 1, 9)).pods(pod("web-0", 1500, 512, on(1))).interruptedNode(0, "SpotInterruption")
	w.Groups[0].Members = nil // detached; the desired size is still 1
	if d := w.decide(t, noon, acting()); len(actions[plan.ResizeGroup](d)) != 0 || len(d.Explanation.New) != 0 {
		t.Errorf("%s", d.Plan)
	}
}

// TestAPodIsNotInItsOwnWay: it must not share a node with its like, and the twin that it is made of does not count.
func TestAPodIsNotInItsOwnWay(t *testing.T) {
	alone := func(p *fleet.Pod) {
		p.Labels = map[string]string{"app": "db"}
		d := *p.Demand
		d.AntiAffinity = []fleet.PodTerm{{Selector: &fleet.Selector{Labels: map[string]string{"app": "db"}}, TopologyKey: fleet.LabelZone, Namespaces: []string{"default"}}}
		p.Demand = &d
	}
	w := cluster(managed("web", "m5.large", 1, 2, 9)).pods(pod("db-0", 500, 512, on(1), alone)).interruptedNode(0, "SpotInterruption")
	if d := w.decide(t, noon, acting()); d.Explanation.Placed["default/db-0"] != "node-i-002" {
		t.Errorf("%s %v %v", d.Plan, d.Explanation.Placed, d.Explanation.Left)
	}
}

// TestReclaimedOfferingsAreAvoided for a while: what EC2 takes from one cluster it has for none.
func TestReclaimedOfferingsAreAvoided(t *testing.T) {
	pool := fleet.DefaultPool()
	pool.Name, pool.Like, pool.Types, pool.CapacityTypes = "general", "base", []string{"m5.large"}, []string{fleet.Spot}
	pool.Zones = []string{"us-east-1a", "us-east-1b"}
	p := acting()
	p.Pools, p.Launch.PoolShare = []fleet.PoolPolicy{pool}, 0
	w := cluster(managed("base", "m5.large", 1, 1, 1)).pods(pods("web", 2, 1500, 512)...)
	w.Reclaims = []fleet.Reclaim{{Type: "m5.large", Zone: "us-east-1a", At: noon.Add(-time.Second)}}
	zonesOf := func(d Decision) string {
		var out []string
		for _, n := range d.Explanation.New {
			out = append(out, n.Zone)
		}
		return strings.Join(out, " ")
	}
	d := w.decide(t, noon, p)
	if got := zonesOf(d); got == "" || strings.Contains(got, "us-east-1a") {
		t.Errorf("just reclaimed: %q, %s", got, d.Plan)
	}
	w.Reclaims = append(w.Reclaims, fleet.Reclaim{Type: "m5.large", Zone: "us-east-1b", At: noon.Add(-time.Second)})
	w.Memory = Memory{}
	if d = w.decide(t, noon, p); zonesOf(d) != "" || len(d.Explanation.Left) == 0 || !strings.Contains(d.Explanation.Left[0].Reason, "had none of 2 of its offerings") {
		t.Errorf("reclaimed everywhere: %s %+v", d.Plan, d.Explanation.Left)
	}
	if d = w.decide(t, noon.Add(4*time.Minute), p); zonesOf(d) == "" {
		t.Errorf("there is hope again: %s", d.Plan)
	}
	on := managed("ondemand", "m5.large", 1, 1, 9)
	w = cluster(on).pods(pods("web", 2, 1500, 512)...)
	w.Reclaims = []fleet.Reclaim{{Type: "m5.large", Zone: "us-east-1a", At: noon}}
	if d = w.decide(t, noon, acting()); len(d.Explanation.New) == 0 {
		t.Errorf("on-demand machines are not spot machines: %s", d.Plan)
	}
}

// TestAReclaimIsLearntOnce, as long as it is the same one; the next one is believed longer.
func TestAReclaimIsLearntOnce(t *testing.T) {
	l := fleet.DefaultScalingPolicy().Launch
	r := []fleet.Reclaim{{Type: "m5.large", Zone: "us-east-1a", At: noon}}
	m := Memory{}.learnReclaims(noon, r, l)
	m = m.learnReclaims(noon.Add(time.Second), r, l)
	if len(m.Shortages) != 1 || m.Shortages[0].Times != 1 || !m.Shortages[0].Until.Equal(noon.Add(l.ShortFor)) || !m.Shortages[0].Spot {
		t.Fatalf("%+v", m.Shortages)
	}
	r[0].At = noon.Add(time.Minute)
	if m = m.learnReclaims(noon.Add(time.Minute), r, l); m.Shortages[0].Times != 2 || !m.Shortages[0].Until.Equal(r[0].At.Add(2*l.ShortFor)) {
		t.Fatalf("%+v", m.Shortages)
	}
}
