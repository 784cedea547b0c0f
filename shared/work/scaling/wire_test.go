package scaling

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// TestPendingPodsGetNodes: a ring becomes capacity that was asked for, the pods run, and when they go the nodes go.
func TestPendingPodsGetNodes(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.RunFor(2 * time.Minute) // sweeps: the market is read
		r.kube.add(10, 900)       // two fit on an m5.large
		r.ring()
		r.RunFor(5 * time.Second)
		if size, _ := r.group("base"); size != 5 {
			t.Fatalf("10 pods of 0.9 cores: desired size %d, want 5\n%+v", size, r.Finished())
		}
		done := r.Finished()
		if len(done) != 1 || done[0].Outcome != events.OutcomeScaled || done[0].Counts["nodesNew"] != 5 || done[0].Counts["podsWaiting"] != 10 {
			t.Fatalf("%+v", done)
		}
		if ms, ok := done[0].Timings["signalToOrder"]; !ok || ms > 1000 {
			t.Errorf("timings %v", done[0].Timings)
		}
		r.RunFor(2 * time.Minute)
		if n := r.kube.waiting(); n != 0 {
			t.Fatalf("%d pods still wait", n)
		}
		if size, _ := r.group("base"); size != 5 {
			t.Errorf("desired size %d in the end", size)
		}
		r.kube.remove()
		r.RunFor(30 * time.Minute)
		if size, members := r.group("base"); size != 0 || members != 0 {
			t.Errorf("the pods are gone, and %d nodes are wanted, %d there", size, members)
		}
		if len(r.Queue.Dead()) > 0 {
			t.Errorf("dead letters: %q", r.Queue.Dead())
		}
	})
}

// TestAClusterInAnotherRegion: it gets nodes and gives them up as one at home, and who drains them is told where it is.
func TestAClusterInAnotherRegion(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.Home = "eu-west-1"
		r.kube.add(4, 900)
		r.ring()
		r.RunFor(2 * time.Minute)
		if size, _ := r.group("base"); size != 2 || r.kube.waiting() > 0 {
			t.Fatalf("desired size %d, %d pods wait", size, r.kube.waiting())
		}
		r.kube.remove()
		r.RunFor(30 * time.Minute)
		if size, members := r.group("base"); size != 0 || members != 0 {
			t.Errorf("the pods are gone, and %d nodes are wanted, %d there", size, members)
		}
		asked := 0
		for _, e := range r.Bus() {
			if p, ok := e.Payload.(*events.NodeRemovalRequested); ok {
				if asked++; p.Region != region || e.Region != r.Home {
					t.Errorf("asked from %s for a node in %q", e.Region, p.Region)
				}
			}
		}
		if asked < 2 {
			t.Errorf("%d removals were asked for", asked)
		}
	})
}

// TestPlanWritesNothing: with mode Plan the plan is told, once, and nothing is changed.
func TestPlanWritesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.policy(func(p *fleet.ScalingPolicy) { p.Mode = fleet.ScalingPlan })
		r.kube.add(4, 900)
		r.ring()
		r.RunFor(10 * time.Minute)
		if size, _ := r.group("base"); size != 0 {
			t.Errorf("desired size %d", size)
		}
		done := r.Finished()
		if len(done) != 1 || done[0].Outcome != events.OutcomePlanned || done[0].Counts["nodesNew"] != 2 || done[0].Counts["actions"] != 0 {
			t.Errorf("%+v", done)
		}
		for _, op := range r.Script.Ops {
			if strings.HasPrefix(op, "SetDesired") || strings.HasPrefix(op, "Create") || strings.HasPrefix(op, "Update") {
				t.Error(op)
			}
		}
	})
}

// TestOffIsLeftAlone: without a policy nothing is read of a cluster.
func TestOffIsLeftAlone(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.policy(func(p *fleet.ScalingPolicy) { p.Mode = fleet.ScalingOff })
		r.kube.add(4, 900)
		r.ring()
		r.RunFor(3 * time.Minute)
		for _, op := range r.Script.Ops {
			if !strings.HasPrefix(op, "ledger.") {
				t.Error(op)
			}
		}
	})
}

// TestASweepIsCheap: a cluster at rest costs a minute's sweep two reads of the ledger and one call of its API server, and a
// whole look some more every other minute.
func TestASweepIsCheap(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.RunFor(3 * time.Minute)
		r.Script.Ops = nil
		r.RunFor(9*time.Minute + 30*time.Second) // less than the prices' ten minutes
		count := map[string]int{}
		for _, op := range r.Script.Ops {
			count[op]++
		}
		if n := count["kube.Pending"]; n < 3 {
			t.Errorf("%d glances in nine minutes: %v", n, count)
		}
		aws := 0
		for op, n := range count {
			if !strings.HasPrefix(op, "ledger.") && !strings.HasPrefix(op, "kube.") && op != "Continue" {
				aws += n
			}
		}
		looks := count["kube.Workload"]
		t.Logf("in nine minutes: %d looks, %d calls of AWS, %d of Kubernetes, all: %v", looks, aws, count["kube.Pending"]+2*looks, count)
		if looks > 5 || aws > 5*looks {
			t.Errorf("%d looks, %d calls of AWS", looks, aws)
		}
		glance := slices.Index(r.Script.Ops, "kube.Pending")
		before := r.Script.Ops[max(glance-4, 0):glance]
		t.Log("a glance:", before)
	})
}

// TestManySignalsAreFewLooks: signals that come while a look is at work are not lost, and are not a look each.
func TestManySignalsAreFewLooks(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.Twice = func() bool { return true }
		r.RunFor(time.Minute)
		r.kube.add(10, 900)
		for range 5 {
			r.ring()
		}
		r.RunFor(3 * time.Minute)
		if size, _ := r.group("base"); size != 5 || r.kube.waiting() > 0 {
			t.Errorf("desired size %d, %d pods wait", size, r.kube.waiting())
		}
		looks := 0
		for _, op := range r.Script.Ops {
			if op == "kube.Workload" {
				looks++
			}
		}
		// Five rings, each delivered twice, at one moment; then a continuation after ten seconds, or half a minute, while machines start.
		if looks > 15 || r.Queue.Len() > 2 || len(r.Queue.Dead()) > 0 {
			t.Errorf("%d looks, %d messages are left, dead letters %q", looks, r.Queue.Len(), r.Queue.Dead())
		}
	})
}
