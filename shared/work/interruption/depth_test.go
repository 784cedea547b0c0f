package interruption_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/handler"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// outcome is the outcome of the only run.
func (w *world) outcome(t *testing.T) string {
	t.Helper()
	runs := w.runs(t)
	if len(runs) != 1 {
		t.Fatalf("%d runs: %+v", len(runs), runs)
	}
	return runs[0].Outcome
}

func TestR11_ALongGraceIsCutOrLeftButNeverDelayed(t *testing.T) {
	for policy, want := range map[fleet.LongGrace]time.Duration{fleet.GraceClamp: 114 * time.Second, fleet.GraceFull: 5 * time.Minute} {
		story(t, func(t *testing.T, w *world, q *sqs) {
			w.policy.Interruption.LongGrace = policy
			w.add(fleet.Pod{Name: "slow", Grace: 5 * time.Minute})
			began := time.Now()
			q.send(spot("e1"), 0)
			q.serve(t, w.work().Handle)
			wantDrained(t, w, q)
			p := w.pods["slow"]
			if at := p.goneAt.Add(-exitTime).Sub(began); p.forced || at > time.Second || p.grace != want {
				t.Errorf("%s: forced %t, after %s, with a grace of %s, want %s", policy, p.forced, at, p.grace, want)
			}
			if told := w.toldOf("slow"); slices.Contains(told, "GraceCut") != (policy == fleet.GraceClamp) {
				t.Errorf("%s: told %v", policy, told)
			}
		})
	}
}

func TestR13_BarePodsAndJobs(t *testing.T) {
	for name, tc := range map[string]struct {
		edit      func(*world)
		body      func(string) string
		bare, job time.Duration // when they went; -1 for never
	}{
		"a warning takes them":               {func(*world) {}, func(id string) string { return spot(id) }, 0, 0},
		"a recommendation leaves and waits":  {func(*world) {}, rebalance, -1, 30 * time.Minute},
		"a job that finishes is not evicted": {func(w *world) { w.later(10*time.Minute, func() { w.pods["job"].Phase = "Succeeded" }) }, rebalance, -1, -1},
		"a recommendation takes them, if so told": {func(w *world) {
			w.policy.Interruption.BarePods, w.policy.Interruption.Jobs = fleet.BarePodsEvict, fleet.JobPodsEvict
		}, rebalance, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			story(t, func(t *testing.T, w *world, q *sqs) {
				w.policy.Interruption.Rebalance = fleet.RebalanceDrain
				w.add(fleet.Pod{Name: "bare", Owner: fleet.Owner{Kind: "none"}})
				w.pods["bare"].Owner = fleet.Owner{}
				w.add(fleet.Pod{Name: "job", Owner: fleet.Owner{Kind: "Job", Name: "report"}})
				tc.edit(w)
				began := time.Now()
				q.send(tc.body("e1"), 0)
				q.serve(t, w.work().Handle)
				for name, want := range map[string]time.Duration{"bare": tc.bare, "job": tc.job} {
					p := w.pods[name]
					if at := p.goneAt.Add(-exitTime).Sub(began); p.Deleting != (want >= 0) || p.Deleting && (at < want || at > want+10*time.Second) {
						t.Errorf("%s: deleted %t, after %s; want %s", name, p.Deleting, at, want)
					}
				}
			})
		})
	}
}

func TestR15_NoWarningFollows(t *testing.T) {
	for _, stubborn := range []bool{false, true} {
		story(t, func(t *testing.T, w *world, q *sqs) {
			w.policy.Interruption.Rebalance, w.policy.Interruption.RebalancePatience = fleet.RebalanceDrain, 20*time.Minute
			w.budgets["web"].shut = stubborn
			w.node.Taints = []fleet.Taint{{Key: "theirs", Effect: "PreferNoSchedule"}}
			began := time.Now()
			q.send(rebalance("r1"), 0)
			q.serve(t, w.work().Handle)
			if took := time.Since(began); w.outcome(t) != events.OutcomeNodeKept || took < 20*time.Minute || took > 21*time.Minute {
				t.Errorf("%s after %s", w.outcome(t), took)
			}
			n := w.node
			if n.Unschedulable || len(n.Taints) != 1 || n.Taints[0].Key != "theirs" || len(n.Labels)+len(n.Annotations) > 0 {
				t.Errorf("the node is not as it was: %+v", n)
			}
			if w.pods["api-0"].Node != "" || w.pods["web-0"].forced || w.pods["web-0"].Deleting == stubborn {
				t.Errorf("api-0 %+v, web-0 %+v", w.pods["api-0"], w.pods["web-0"])
			}
			if told := w.toldOf(hostname); !slices.Contains(told, "GivenBack") || !slices.Contains(told, "RebalanceRecommendation") {
				t.Errorf("told %v", told)
			}
			q.send(spot("e1"), 0) // after all
			q.serve(t, w.work().Handle)
			if !w.node.Unschedulable || w.replaced != 1 || len(w.runs(t)) != 2 {
				t.Errorf("the warning afterwards: %+v, replaced %d, %d runs", w.node, w.replaced, len(w.runs(t)))
			}
		})
	}
}

// first is a world whose policy replaces before it drains, and where a machine takes two minutes.
func first(w *world) {
	w.policy.Interruption.Rebalance = fleet.RebalanceReplaceThenDrain
	w.depths.launches = 2 * time.Minute
}

func TestReplaceThenDrain(t *testing.T) {
	for name, tc := range map[string]struct {
		edit    func(*world)
		outcome string
		cordon  time.Duration // when; 0 for never
		ended   int
	}{
		"the replacement comes":            {func(*world) {}, events.OutcomeNodeRemoved, 2 * time.Minute, 1},
		"EC2 has none":                     {func(w *world) { w.depths.launches = 0 }, events.OutcomeNodeRemoved, 10 * time.Minute, 1},
		"capacity rebalancing":             {func(w *world) { w.depths.rebalances = true }, "", 0, 0},
		"in no group":                      {func(w *world) { w.group = fleet.ScalingGroup{} }, "", 0, 0},
		"a pod that would have to stay":    {func(w *world) { w.pods["api-0"].Owner = fleet.Owner{} }, "", 0, 0},
		"the machine's end is not granted": {func(w *world) { w.sizes.refusal = fault.New(fault.Denied, "AccessDenied") }, events.OutcomeDrained, 2 * time.Minute, 0},
	} {
		t.Run(name, func(t *testing.T) {
			story(t, func(t *testing.T, w *world, q *sqs) {
				first(w)
				tc.edit(w)
				began, cordoned := time.Now(), time.Duration(0)
				w.strike = func(key string) mode {
					if key == "cordon #1" {
						cordoned = time.Since(began)
					}
					return fine
				}
				for range 2 {
					q.send(rebalance("r1"), 0)
				}
				q.serve(t, w.work().Handle)
				if cordoned < tc.cordon || cordoned > tc.cordon+time.Minute || w.sizes.ended != tc.ended || w.sizes.withPods {
					t.Errorf("cordoned after %s, ended %d, with pods %t", cordoned, w.sizes.ended, w.sizes.withPods)
				}
				if tc.outcome == "" {
					if w.outcome(t) != events.OutcomeNothingToDo || w.writes > 0 {
						t.Errorf("runs %+v, %d writes", w.runs(t), w.writes)
					}
					return
				}
				run := w.runs(t)[0]
				if run.Outcome != tc.outcome || w.replaced != 1 || len(q.dlq) > 0 {
					t.Errorf("%+v, replaced %d, dead letters %q", run, w.replaced, q.dlq)
				}
				if lost := tc.ended == 0; lost != strings.Contains(strings.Join(run.Blocked, " "), "end it by hand") {
					t.Errorf("a machine in no group that runs on has to be told of: %q", run.Blocked)
				}
				for name, p := range w.pods {
					if p.forced {
						t.Errorf("%s was forced", name)
					}
				}
			})
		})
	}
}

// TestReplaceThenDrainIsNeverForgotten kills, loses or fails any call: a machine that has left its group is ended.
func TestReplaceThenDrainIsNeverForgotten(t *testing.T) {
	for seed := range seeds(t, 60) {
		t.Run(fmt.Sprintf("seed-%d", seed), func(t *testing.T) {
			story(t, func(t *testing.T, w *world, q *sqs) {
				rnd := rand.New(rand.NewPCG(seed, 3))
				first(w)
				q.twice = seed%2 == 0
				w.strike = faults(rnd, 2)
				q.send(rebalance("r1"), 0)
				q.serve(t, w.work().Handle)
				if w.replaced != 1 || w.sizes.ended != 1 || w.sizes.withPods || len(q.dlq) > 0 || w.instance.State != "shutting-down" {
					t.Errorf("replaced %d, ended %d, with pods %t, dead letters %q", w.replaced, w.sizes.ended, w.sizes.withPods, q.dlq)
				}
			})
		})
	}
}

func TestR22_TheAgeOfAWarningCounts(t *testing.T) {
	story(t, func(t *testing.T, w *world, q *sqs) {
		w.budgets["web"].shut = true
		began := time.Now()
		body := spot("e1")
		time.Sleep(time.Minute) // it was on its way for so long
		q.send(body, 0)
		q.serve(t, w.work().Handle)
		p := w.pods["web-0"]
		if at := p.goneAt.Add(-exitTime).Sub(began); !p.forced || at < 85*time.Second || at > 87*time.Second || at+p.grace > 2*time.Minute {
			t.Errorf("forced %t %s after the event, with a grace of %s", p.forced, at, p.grace)
		}
	})
}

func TestR24_ObserveWritesNothing(t *testing.T) {
	for name, body := range map[string]func() string{
		"spot":      func() string { return spot("e1") },
		"rebalance": func() string { return rebalance("r1") },
		"removal":   func() string { return removal("n1") },
		"hook":      func() string { return hook("h1", events.TransitionTerminating, "t1", "EC2") },
	} {
		t.Run(name, func(t *testing.T) {
			removing(t, func(t *testing.T, w *world, q *sqs) {
				w.policy.Interruption.Mode, w.policy.Interruption.Rebalance = fleet.DrainObserve, fleet.RebalanceDrain
				w.instance.Tags[fleet.TagEKSCluster] = cluster
				for range 3 {
					q.send(body(), 0)
				}
				q.serve(t, w.work().Handle)
				if w.writes > 0 || w.cordons > 0 || w.replaced > 0 || len(w.depths.told) > 0 || w.node.Unschedulable {
					t.Errorf("%d writes, %d events", w.writes, len(w.depths.told))
				}
				runs := w.runs(t)
				if len(runs) != 1 || runs[0].Outcome != events.OutcomePlanned || len(q.dlq) > 0 {
					t.Fatalf("runs %+v, dead letters %q", runs, q.dlq)
				}
				list := strings.Join(w.finished()[0].Plan, "\n")
				for _, want := range []string{"cordon node " + hostname, "evict pod default/api-0", "evict pod default/web-3"} {
					if !strings.Contains(list, want) {
						t.Errorf("the plan has no %q:\n%s", want, list)
					}
				}
				if strings.Contains(list, "replace instance") != (name == "spot") {
					t.Errorf("the plan:\n%s", list)
				}
			})
		})
	}
}

func TestR26_VolumesOfDrainedPodsAreWaitedFor(t *testing.T) {
	for name, tc := range map[string]struct {
		detach time.Duration // 0: never
		took   time.Duration
	}{"they are detached": {20 * time.Second, 20 * time.Second}, "they are not": {0, 2 * time.Minute}} {
		t.Run(name, func(t *testing.T) {
			story(t, func(t *testing.T, w *world, q *sqs) {
				w.add(fleet.Pod{Name: "db", Claims: []string{"data"}})
				w.pods["proxy"].Claims = []string{"log"}
				w.depths.claims = map[fleet.Claim]string{{Namespace: "kube-system", Name: "log"}: "pv-log", {Namespace: "default", Name: "data"}: "pv-data"}
				stays := []fleet.Attachment{{Volume: "pv-log", Node: hostname}, {Volume: "pv-shared", Node: hostname}, {Volume: "pv-shared", Node: "other"}, {Volume: "pv-x", Node: "other"}}
				w.depths.attached = append([]fleet.Attachment{{Volume: "pv-data", Node: hostname}}, stays...)
				if tc.detach > 0 {
					w.later(tc.detach, func() { w.depths.attached = stays })
				}
				began := time.Now()
				q.send(spot("e1"), 0)
				q.serve(t, w.work().Handle)
				wantDrained(t, w, q)
				run := w.runs(t)[0]
				if took := run.FinishedAt.Sub(began); took < tc.took || took > tc.took+8*time.Second {
					t.Errorf("took %s, want %s", took, tc.took)
				}
				if left := strings.Join(run.Blocked, " "); strings.Contains(left, "pv-data") != (tc.detach == 0) || strings.Contains(left, "pv-log") || strings.Contains(left, "pv-shared") {
					t.Errorf("left: %s", left)
				}
			})
		})
	}
	story(t, func(t *testing.T, w *world, q *sqs) { // without claims nobody asks
		q.send(spot("e1"), 0)
		q.serve(t, w.work().Handle)
		if w.calls["list attachments"] > 0 {
			t.Errorf("%d lists of VolumeAttachments for pods without volumes", w.calls["list attachments"])
		}
	})
}

func TestR26_OutOfServiceOnlyWhenTheMachineHasStopped(t *testing.T) {
	story(t, func(t *testing.T, w *world, q *sqs) { // not unless the policy says so
		w.add(fleet.Pod{Name: "db", Claims: []string{"data"}})
		w.depths.attached = []fleet.Attachment{{Volume: "pv-data", Node: hostname}}
		w.later(time.Minute, func() { w.instance.State = "terminated" })
		q.send(spot("e1"), 0)
		q.serve(t, w.work().Handle)
		if w.calls["out of service"] > 0 {
			t.Error("a node was declared out of service that nobody wanted to be")
		}
	})
	story(t, func(t *testing.T, w *world, q *sqs) {
		w.policy.Interruption.OutOfService = true
		w.add(fleet.Pod{Name: "db", Claims: []string{"data"}})
		w.depths.attached = []fleet.Attachment{{Volume: "pv-data", Node: hostname}}
		w.later(2*time.Minute, func() { w.instance.State = "shutting-down" })
		w.later(3*time.Minute, func() { w.instance.State = "terminated" })
		began := time.Now()
		q.send(spot("e1"), 0)
		q.serve(t, w.work().Handle)
		took := time.Since(began)
		if w.depths.outOf != 1 || w.depths.ended[0] != "terminated" || took < 3*time.Minute || took > 4*time.Minute {
			t.Errorf("declared %d times, of machines that were %q, after %s", w.depths.outOf, w.depths.ended, took)
		}
		if !slices.ContainsFunc(w.node.Taints, func(x fleet.Taint) bool {
			return x.Key == "node.kubernetes.io/out-of-service" && x.Effect == "NoExecute"
		}) {
			t.Errorf("taints %v", w.node.Taints)
		}
	})
}

// TestKubernetesEvents: what happens to a node and its pods is told there, once, and nobody waits for it.
func TestKubernetesEvents(t *testing.T) {
	story(t, func(t *testing.T, w *world, q *sqs) {
		w.budgets["web"].shut = true
		for name, p := range w.pods {
			if strings.HasPrefix(name, "web-") {
				p.Budget = "default/web"
			}
		}
		for range 3 {
			q.send(spot("e1"), 0)
		}
		q.serve(t, w.work().Handle)
		wantDrained(t, w, q)
		if got := w.message(t, "web-0", "EvictionBlocked"); !strings.Contains(got, "PodDisruptionBudget default/web refuses") || !strings.Contains(got, "00:02:00 UTC") {
			t.Errorf("blocked: %s", got)
		}
		if got := w.message(t, "web-0", "ForcedDeletion"); !strings.Contains(got, "grace of ") || !strings.Contains(got, "default/web still refuses") {
			t.Errorf("forced: %s", got)
		}
		for _, reason := range []string{"SpotInterruption", "Cordoned", "ReplacementRequested", "Drained"} {
			w.message(t, hostname, reason)
		}
		for i, e := range w.depths.told {
			if e.UID == "" || e.About == "Node" == (e.Namespace != "") || slices.ContainsFunc(w.depths.told[:i], func(o plan.RecordEvent) bool { return o.Object == e.Object && o.Reason == e.Reason }) {
				t.Errorf("told twice, or wrongly: %+v", e)
			}
		}
	})
	for _, trouble := range []mode{failed, hangs} {
		story(t, func(t *testing.T, w *world, q *sqs) {
			w.strike = func(key string) mode {
				if strings.HasPrefix(key, "record") {
					return trouble
				}
				return fine
			}
			began := time.Now()
			q.send(spot("e1"), 0)
			q.serve(t, w.work().Handle)
			wantDrained(t, w, q)
			if took := time.Since(began); took > 25*time.Second {
				t.Errorf("%s: took %s", trouble, took)
			}
		})
	}
}

// TestR27_NothingLivesInMemory: each look is made by a new environment, and one that runs out of its time is taken up.
func TestR27_NothingLivesInMemory(t *testing.T) {
	story(t, func(t *testing.T, w *world, q *sqs) {
		w.strike = func(key string) mode {
			if key == "evict web-1 #1" {
				return hangs // until Lambda's time is over
			}
			return fine
		}
		began := time.Now()
		q.send(spot("e1"), 0)
		ids := w.work().NewID
		q.serve(t, func(ctx context.Context, d handler.Delivery) handler.Outcome {
			fresh := w.work()
			fresh.NewID = ids
			return fresh.Handle(ctx, d)
		})
		wantDrained(t, w, q)
		if took := time.Since(began); took < 25*time.Second || took > 90*time.Second {
			t.Errorf("took %s", took)
		}
	})
}
