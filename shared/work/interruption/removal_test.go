package interruption_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/ledger"
)

func TestARemovalDrainsAndEndsTheMachine(t *testing.T) {
	removing(t, func(t *testing.T, w *world, q *sqs) {
		q.send(removal("n1"), 0)
		q.serve(t, w.work().Handle)
		wantRemoved(t, w, q)
		run := w.runs(t)[0]
		if run.Subject.NodeGroup != "spot" || run.EventID != "n1" || run.Counts["podsForced"] != 0 || run.Counts["evictionsRefused"] == 0 {
			t.Errorf("run %+v", run)
		}
		if _, ok := run.Timings["eventToMachineEnded"]; !ok {
			t.Errorf("timings %v", run.Timings)
		}
	})
}

// TestEveryCallOfARemovalFailsOnce is TestR9_EveryCallFailsOnce for a removal: the machine is ended once, whatever fails.
func TestEveryCallOfARemovalFailsOnce(t *testing.T) {
	everyCallFails(t, removing, func(t *testing.T, w *world, q *sqs) {
		q.send(removal("n1"), 0)
		q.serve(t, w.work().Handle)
		wantRemoved(t, w, q)
	})
}

// What is given back is given back whatever fails, and nothing is ended.
func TestEveryCallOfAGivingBackFailsOnce(t *testing.T) {
	everyCallFails(t, removing, func(t *testing.T, w *world, q *sqs) {
		w.budgets["web"].shut = true
		q.send(removal("n1", func(d map[string]any) { d["patienceSeconds"] = 8 }), 0)
		q.serve(t, w.work().Handle)
		if cordons := w.cordons; cordons > 1 {
			t.Errorf("cordoned %d times", cordons)
		}
		wantKept(t, w, q, w.cordons) // an invocation may hang for longer than there is patience: nothing was cordoned then
	})
}

// everyCallFails tells a story once as it is, and then with each of its calls going wrong in each way.
func everyCallFails(t *testing.T, stage func(*testing.T, func(*testing.T, *world, *sqs)), tell func(*testing.T, *world, *sqs)) {
	t.Helper()
	var calls []string
	stage(t, func(t *testing.T, w *world, q *sqs) {
		w.strike = func(key string) mode { calls = append(calls, key); return fine }
		tell(t, w, q)
	})
	slices.Sort(calls)
	if len(calls) < 20 {
		t.Fatalf("the story makes only %d calls: %q", len(calls), calls)
	}
	t.Logf("%d calls, %d ways to go wrong", len(calls), len(modes))
	for _, m := range modes {
		for _, key := range calls {
			t.Run(strings.ReplaceAll(string(m)+"/"+key, " ", "-"), func(t *testing.T) {
				stage(t, func(t *testing.T, w *world, q *sqs) {
					w.strike = func(k string) mode {
						if k == key {
							return m
						}
						return fine
					}
					tell(t, w, q)
				})
			})
		}
	}
}

// Deliveries twice at once, several of the same request, and faults: still one end.
func TestARemovalTwiceAtOnce(t *testing.T) {
	for seed := range seeds(t, 40) {
		t.Run(fmt.Sprintf("seed-%d", seed), func(t *testing.T) {
			removing(t, func(t *testing.T, w *world, q *sqs) {
				rnd := rand.New(rand.NewPCG(seed, 3))
				q.twice = seed%2 == 0
				w.latency = time.Duration(1+rnd.IntN(200)) * time.Millisecond
				w.strike = faults(rnd, int(seed%3))
				for range 1 + rnd.IntN(3) {
					q.send(removal("n1"), time.Duration(rnd.IntN(4))*time.Second)
				}
				q.serve(t, w.work().Handle)
				wantRemoved(t, w, q)
			})
		})
	}
}

func TestARemovalThatCannotBe(t *testing.T) {
	for name, tc := range map[string]struct {
		world     func(*world)
		edit      func(map[string]any)
		givenBack int
		why       string
		left      int
	}{
		"a budget":               {func(w *world) { w.budgets["web"].shut = true }, nil, 1, "the time is over and 5 pods", 5},
		"a pod to be left alone": {func(w *world) { w.pods["api-0"].Annotations = doNotDisrupt }, nil, 0, "default/api-0 must not be disrupted", 0},
		"one that comes later": {func(w *world) {
			w.budgets["web"].shut = true
			w.later(20*time.Second, func() { w.add(podToBeLeftAlone) })
		}, nil, 1, "default/batch must not be disrupted", 0},
		"least size": {func(w *world) { w.sizes.least = 3 }, nil, 0, "least size of 3", 0},
		"least size in the middle": {func(w *world) {
			w.later(5*time.Second, func() { w.sizes.least = 3 })
		}, nil, 1, "least size of 3", 0},
		"another node":    {nil, func(d map[string]any) { d["nodeUid"] = "node-0" }, 0, "is not the one", 0},
		"another cluster": {nil, func(d map[string]any) { d["cluster"] = "blue" }, 0, `belongs to cluster "demo", not "blue"`, 0},
		"on standby":      {func(w *world) { w.group.LifecycleState = "Standby" }, nil, 0, "is Standby", 0},
		"no permission": {func(w *world) {
			w.sizes.refusal = fault.New(fault.Denied, "AccessDenied: not yours")
		}, nil, 1, "AccessDenied", 0},
	} {
		t.Run(name, func(t *testing.T) {
			removing(t, func(t *testing.T, w *world, q *sqs) {
				if tc.world != nil {
					tc.world(w)
				}
				edit := func(map[string]any) {}
				if tc.edit != nil {
					edit = tc.edit
				}
				q.send(removal("n1", edit), 0)
				q.serve(t, w.work().Handle)
				run := wantKept(t, w, q, tc.givenBack)
				if !strings.Contains(run.Reason, tc.why) || len(run.Blocked) != tc.left {
					t.Errorf("reason %q, left %q", run.Reason, run.Blocked)
				}
			})
		})
	}
}

var (
	doNotDisrupt     = map[string]string{"karpenter.sh/do-not-disrupt": "true"}
	podToBeLeftAlone = fleet.Pod{Name: "batch", Annotations: doNotDisrupt}
)

func TestAKeptNodeIsAskedForAgain(t *testing.T) {
	removing(t, func(t *testing.T, w *world, q *sqs) {
		w.budgets["web"].shut = true
		w.later(16*time.Minute, func() { w.budgets["web"].shut = false })
		q.send(removal("n1"), 0)
		q.send(removal("n1"), 17*time.Minute) // a copy is no new request
		time.AfterFunc(18*time.Minute, func() { q.send(removal("n2"), 0) })
		q.send(rebalance("r1"), 20*time.Minute) // keeps the story going until then
		q.serve(t, w.work().Handle)
		outcomes := map[string]int{}
		for _, r := range w.runs(t) {
			outcomes[r.EventID+" "+r.Outcome]++
		}
		if len(outcomes) != 2 || outcomes["n1 NodeKept"] != 1 || outcomes["n2 NodeRemoved"] != 1 || w.sizes.ended != 1 || w.sizes.desired != 2 {
			t.Errorf("runs %v, ended %d, desired %d", outcomes, w.sizes.ended, w.sizes.desired)
		}
	})
}

// A warning hurries a removal. Its machine was not wanted, so that it is not replaced but ended: else its group, which
// still wants as many as before, would launch another.
func TestR2_AWarningTightensARemoval(t *testing.T) {
	removing(t, func(t *testing.T, w *world, q *sqs) {
		w.budgets["web"].shut = true
		began := time.Now()
		q.send(removal("n1"), 0)
		time.AfterFunc(time.Minute, func() { q.send(spot("e1"), 0) })
		q.serve(t, w.work().Handle)
		if took := time.Since(began); took < 2*time.Minute || took > 4*time.Minute {
			t.Errorf("took %s: the warning after a minute gives it two more", took)
		}
		if !w.pods["web-0"].forced || w.pods["api-0"].forced {
			t.Error("web-0 must be forced at the end, api-0 only evicted")
		}
		if w.replaced != 0 || w.sizes.ended != 1 || w.sizes.desired != 2 || len(w.runs(t)) != 1 {
			t.Errorf("replaced %d, ended %d, desired %d, runs %+v", w.replaced, w.sizes.ended, w.sizes.desired, w.runs(t))
		}
	})
}

func TestARemovalChangesNoInterruption(t *testing.T) {
	removing(t, func(t *testing.T, w *world, q *sqs) {
		q.send(spot("e1"), 0)
		q.send(removal("n1"), 2*time.Second)
		q.send(removal("n2"), time.Minute)
		q.serve(t, w.work().Handle)
		wantDrained(t, w, q)
		if w.sizes.ended != 0 {
			t.Error("a machine that goes anyhow was ended, and its group made smaller")
		}
	})
}

// The hook and the state changes that our own termination leads to are answered, and begin nothing that does not end.
func TestR16_TheHookOfOurOwnTermination(t *testing.T) {
	removing(t, func(t *testing.T, w *world, q *sqs) {
		w.sizes.afterwards = func() {
			w.hook, w.group.LifecycleState = "t1", "Terminating:Wait"
			for range 2 {
				q.send(hook("h1", events.TransitionTerminating, "t1", "EC2"), 0)
			}
			w.later(10*time.Second, func() {
				w.instance.State = "shutting-down"
				q.send(state("s1", "shutting-down"), 0)
				q.send(state("s2", "terminated"), 5*time.Second)
			})
		}
		began := time.Now()
		q.send(removal("n1"), 0)
		q.serve(t, w.work().Handle)
		runs := w.runs(t)
		if w.completed != 1 || w.sizes.ended != 1 || w.sizes.desired != 2 || w.cordons != 1 || w.replaced != 0 {
			t.Errorf("completed %d, ended %d, desired %d, cordons %d, replaced %d", w.completed, w.sizes.ended, w.sizes.desired, w.cordons, w.replaced)
		}
		if len(runs) > 2 || !slices.ContainsFunc(runs, func(r ledger.Run) bool { return r.Outcome == events.OutcomeNodeRemoved }) {
			t.Errorf("runs %+v", runs)
		}
		if took := time.Since(began); took > time.Minute {
			t.Errorf("took %s", took)
		}
	})
}

func TestARemovalSurvivesTheLedger(t *testing.T) {
	removing(t, func(t *testing.T, w *world, q *sqs) {
		w.later(3*time.Second, func() { w.store = ledger.Memory{} })
		q.send(removal("n1"), 0)
		q.serve(t, w.work().Handle)
		wantRemoved(t, w, q)
	})
}

func TestARemovalOfWhatIsNotThere(t *testing.T) {
	for name, tc := range map[string]struct {
		world func(*world)
		edit  func(map[string]any)
		runs  int // reported
	}{
		"no instance":    {func(w *world) { w.instance = nil }, nil, 0},
		"no node":        {func(w *world) { w.node = nil }, nil, 1},
		"another Region": {nil, in(away), 0},
		"going":          {func(w *world) { w.group.LifecycleState = "Terminating" }, nil, 1},
	} {
		t.Run(name, func(t *testing.T) {
			removing(t, func(t *testing.T, w *world, q *sqs) {
				if tc.world != nil {
					tc.world(w)
				}
				edit := func(map[string]any) {}
				if tc.edit != nil {
					edit = tc.edit
				}
				q.send(removal("n1", edit), 0)
				q.serve(t, w.work().Handle)
				runs := w.runs(t)
				if w.writes > 0 || len(q.dlq) > 0 || len(runs) != tc.runs {
					t.Errorf("%d writes, dead letters %q, runs %+v", w.writes, q.dlq, runs)
				}
				for _, r := range runs {
					if r.Outcome != events.OutcomeNothingToDo {
						t.Errorf("run %+v", r)
					}
				}
			})
		})
	}
}

// Requests, warnings and recommendations in any order, with faults: the machine is ended or replaced, once, and not both.
func TestARemovalAmongOtherEvents(t *testing.T) {
	for seed := range seeds(t, 60) {
		t.Run(fmt.Sprintf("seed-%d", seed), func(t *testing.T) {
			removing(t, func(t *testing.T, w *world, q *sqs) {
				rnd := rand.New(rand.NewPCG(seed, 4))
				w.policy.Interruption.Rebalance = fleet.RebalanceDrain
				w.latency = time.Duration(1+rnd.IntN(150)) * time.Millisecond
				w.strike = faults(rnd, int(seed%4))
				q.twice = seed%5 == 0
				soon := func() time.Duration { return time.Duration(rnd.IntN(14)) * time.Second }
				q.send(removal("n1"), soon())
				if warned := rnd.IntN(2) == 0; warned {
					q.send(spot("e1"), soon())
				}
				for range rnd.IntN(2) {
					q.send(rebalance("r1"), soon())
				}
				q.serve(t, w.work().Handle)
				if len(q.messages) > 0 || len(q.dlq) > 0 || !w.drain(t).Over() {
					t.Errorf("%d messages are left, dead letters %q, drain %+v", len(q.messages), q.dlq, w.drain(t))
				}
				if w.sizes.ended+w.replaced > 1 || w.sizes.desired != 3-w.sizes.ended || w.sizes.withPods || w.cordons != 1 || w.uncordoned != 0 {
					t.Errorf("ended %d (with pods: %t), replaced %d, desired %d, cordons %d", w.sizes.ended, w.sizes.withPods, w.replaced, w.sizes.desired, w.cordons)
				}
				for name, p := range w.pods {
					if stays := p.Mirror || p.Owner.Kind == "DaemonSet" || p.Finished(); stays == p.Deleting || p.forced || p.accepted > 1 {
						t.Errorf("%s: deleting %t, forced %t, accepted %d", name, p.Deleting, p.forced, p.accepted)
					}
				}
			})
		})
	}
}
