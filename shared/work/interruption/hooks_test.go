package interruption_test

import (
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/ledger"
)

func TestR16_ATerminateHookIsCompletedOnceAfterTheDrain(t *testing.T) {
	story(t, func(t *testing.T, w *world, q *sqs) {
		w.hook, w.group.LifecycleState = "t1", "Terminating:Wait"
		w.budgets["web"].max = 1
		for range 3 {
			q.send(hook("h1", events.TransitionTerminating, "t1", "EC2"), 0)
		}
		q.serve(t, w.work().Handle)
		if w.completed != 1 || w.heartbeats == 0 || w.replaced != 0 {
			t.Errorf("completed %d times, %d heartbeats, %d replacements", w.completed, w.heartbeats, w.replaced)
		}
		for name, p := range w.pods {
			if p.Deleting && p.Node != "" || p.accepted > 1 {
				t.Errorf("%s was still there when the hook was completed, or was evicted %d times", name, p.accepted)
			}
		}
		if n := len(w.runs(t)); n != 1 {
			t.Errorf("%d runs", n)
		}
	})
}

func TestR16_ASecondHookIsServedAfterTheFirst(t *testing.T) {
	story(t, func(t *testing.T, w *world, q *sqs) {
		w.hook, w.group.LifecycleState = "t1", "Terminating:Wait"
		q.send(hook("h1", events.TransitionTerminating, "t1", "EC2"), 0)
		q.send(hook("h2", events.TransitionTerminating, "t2", "EC2"), time.Second)
		q.serve(t, w.work().Handle)
		if w.calls["complete t1"] != 1 || w.calls["complete t2"] != 1 {
			t.Errorf("calls %v", w.calls)
		}
	})
}

func TestR16_ALaunchHookWaitsForReadyAndDrainsNothing(t *testing.T) {
	for _, lose := range []bool{false, true} {
		story(t, func(t *testing.T, w *world, q *sqs) {
			w.hook, w.node.Ready, w.group.LifecycleState = "t1", false, "Pending:Wait"
			time.AfterFunc(40*time.Second, func() { w.mu.Lock(); w.node.Ready = true; w.mu.Unlock() })
			if lose {
				time.AfterFunc(10*time.Second, func() { w.mu.Lock(); w.store = ledger.Memory{}; w.mu.Unlock() })
			}
			began := time.Now()
			q.send(hook("h1", events.TransitionLaunching, "t1", events.PlaceAutoScalingGroup), 0)
			q.serve(t, w.work().Handle)
			if took := time.Since(began); w.completed != 1 || took < 40*time.Second || took > 50*time.Second {
				t.Errorf("completed %d times, after %s", w.completed, took)
			}
			if w.cordons > 0 || w.pods["api-0"].Deleting {
				t.Errorf("a machine that comes was drained (ledger lost: %t)", lose)
			}
		})
	}
}

func TestAMachineThatGoesWhileItComesIsDrained(t *testing.T) {
	story(t, func(t *testing.T, w *world, q *sqs) {
		w.hook, w.node.Ready = "t1", false
		q.send(hook("h1", events.TransitionLaunching, "t1", events.PlaceAutoScalingGroup), 0)
		q.send(spot("e1"), 7*time.Second)
		q.serve(t, w.work().Handle)
		wantDrained(t, w, q)
	})
}
