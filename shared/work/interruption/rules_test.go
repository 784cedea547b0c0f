package interruption_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/plan"
	"github.com/ekspedite/ekspedite/shared/work/interruption"
)

// The names of these tests are those of the correctness rules in the facts on interruption handling.

func TestR1_FourKindsOfEventsAreOneDrain(t *testing.T) {
	for _, times := range []int{1, 3} {
		t.Run(fmt.Sprintf("times-%d", times), func(t *testing.T) {
			story(t, func(t *testing.T, w *world, q *sqs) {
				w.policy.Interruption.Rebalance = fleet.RebalanceDrain
				for range times {
					q.send(spot("e1"), 0)
					q.send(rebalance("r1"), 0)
					q.send(state("s1", "shutting-down"), 3*time.Second)
					q.send(state("s2", "terminated"), 5*time.Second)
				}
				q.serve(t, w.work().Handle)
				wantDrained(t, w, q)
			})
		})
	}
}

func TestR2_ANearerEndTightensARunningDrain(t *testing.T) {
	story(t, func(t *testing.T, w *world, q *sqs) {
		w.policy.Interruption.Rebalance = fleet.RebalanceDrain
		w.budgets["web"].shut = true
		w.pods["api-0"].Annotations = map[string]string{"karpenter.sh/do-not-disrupt": "true"}
		q.send(rebalance("r1"), 0)
		time.AfterFunc(5*time.Minute, func() { q.send(spot("e1"), 0) })
		q.serve(t, w.work().Handle)
		wantDrained(t, w, q)
		if took := time.Since(w.drain(t).StartedAt); took < 6*time.Minute || took > 7*time.Minute {
			t.Errorf("the drain took %s: the spot warning after 5 minutes gives it 2 more", took)
		}
		if !w.pods["web-0"].forced || w.pods["api-0"].forced {
			t.Error("web-0 must be forced at the end, api-0 only evicted")
		}
	})
}

func TestR2_AWeakerEventLoosensNothing(t *testing.T) {
	story(t, func(t *testing.T, w *world, q *sqs) {
		w.budgets["web"].shut = true
		q.send(spot("e1"), 0)
		q.send(rebalance("r1"), 4*time.Second)
		began := time.Now()
		q.serve(t, w.work().Handle)
		wantDrained(t, w, q)
		if took := time.Since(began); took > 2*time.Minute {
			t.Errorf("took %s", took)
		}
	})
}

// The last look of a drain by choice must not swallow the warning that came while it ran.
func TestR2_AWarningDuringTheLastLook(t *testing.T) {
	for when := time.Hour - 200*time.Millisecond; when < time.Hour+780*time.Millisecond; when += 20 * time.Millisecond { // the last look and around it
		story(t, func(t *testing.T, w *world, q *sqs) {
			w.policy.Interruption.Rebalance = fleet.RebalanceDrain
			w.latency = 60 * time.Millisecond
			w.pods["api-0"].Annotations = map[string]string{"karpenter.sh/do-not-disrupt": "true"}
			q.send(rebalance("r1"), 0)
			time.AfterFunc(when, func() { q.send(spot("e1"), 0) })
			q.serve(t, w.work().Handle)
			if !w.pods["api-0"].Deleting || w.pods["api-0"].forced {
				t.Error("the pod that must not be disrupted by choice was not evicted on the warning")
			}
			if w.replaced != 1 {
				t.Errorf("replaced %d times", w.replaced)
			}
		})
	}
}

// Nor must it be swallowed if the last look held the drain, so that the warning was left with it.
func TestR2_AWarningThatTheLastLookIsToldOf(t *testing.T) {
	story(t, func(t *testing.T, w *world, q *sqs) {
		w.policy.Interruption.Rebalance = fleet.RebalanceDrain
		w.budgets["web"].shut = true
		w.pods["api-0"].Annotations = map[string]string{"karpenter.sh/do-not-disrupt": "true"}
		began, sent := time.Now(), false
		w.strike = func(key string) mode {
			if strings.HasPrefix(key, "uncordon") && !sent { // it takes 4 s
				sent = true
				q.send(spot("e1"), 0)
			}
			return fine
		}
		w.latency, w.slow = 100*time.Millisecond, "uncordon"
		q.send(rebalance("r1"), 0)
		q.serve(t, w.work().Handle)
		if !sent || time.Since(began) < time.Hour || !w.pods["api-0"].Deleting || !w.pods["web-0"].forced || w.replaced != 1 {
			t.Errorf("sent %t, api-0 %+v, web-0 %+v, replaced %d", sent, w.pods["api-0"], w.pods["web-0"], w.replaced)
		}
	})
}

func TestR3_R20_NotOurs(t *testing.T) {
	set := func(field, value string) func(map[string]any) { return func(e map[string]any) { e[field] = value } }
	for name, tc := range map[string]struct {
		body  func() string
		world func(*world)
	}{
		"unknown instance":       {func() string { return spot("e1") }, func(w *world) { w.instance = nil }},
		"no cluster":             {func() string { return spot("e1") }, func(w *world) { w.instance.Tags = nil }},
		"unknown cluster":        {func() string { return spot("e1") }, func(w *world) { w.instance.Tags[fleet.TagEKSCluster] = "other" }},
		"claimed by two":         {func() string { return spot("e1") }, func(w *world) { w.instance.Tags = twoOwners }},
		"other account":          {func() string { return spot("e1", set("account", "999999999999")) }, nil},
		"other Region":           {func() string { return spot("e1", set("region", "eu-west-1")) }, nil},
		"no node":                {func() string { return spot("e1") }, func(w *world) { w.node = nil; w.group = fleet.ScalingGroup{} }},
		"R4 another provider ID": {func() string { return spot("e1") }, func(w *world) { w.node.ProviderID = "aws:///us-east-1a/i-0bbbbbbbbbbbbbbbb" }},
		"R23 already dead":       {func() string { return spot("e1") }, func(w *world) { w.instance.State = "terminated" }},
		"ignored rebalance":      {func() string { return rebalance("r1") }, nil},
		"started":                {func() string { return state("s1", "running") }, nil},
		"R16 warm pool":          {func() string { return hook("h1", events.TransitionTerminating, "t1", events.PlaceWarmPool) }, nil},
		"R16 test notification":  {func() string { return `{"Event":"autoscaling:TEST_NOTIFICATION","AutoScalingGroupName":"g"}` }, nil},
		"R16 EKS's own hook": {func() string {
			return strings.Replace(hook("h1", events.TransitionTerminating, "t1", "EC2"), `"drain"`, `"Terminate-LC-Hook"`, 1)
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			story(t, func(t *testing.T, w *world, q *sqs) {
				if tc.world != nil {
					tc.world(w)
				}
				w.hook = "t1"
				began := time.Now()
				q.send(tc.body(), 0)
				q.serve(t, w.work().Handle)
				if w.writes > 0 || len(q.dlq) > 0 || q.sent > 1 {
					t.Errorf("%d writes, dead letters %q, %d messages", w.writes, q.dlq, q.sent)
				}
				if took := time.Since(began); took > time.Second {
					t.Errorf("acknowledged after %s", took)
				}
			})
		})
	}
}

var twoOwners = map[string]string{"kubernetes.io/cluster/demo": "owned", "kubernetes.io/cluster/other": "owned"}

func TestR3_AFailedLookupIsTriedAgain(t *testing.T) {
	story(t, func(t *testing.T, w *world, q *sqs) {
		until := time.Now().Add(40 * time.Second) // a dozen deliveries: more than the queue allows
		w.strike = func(key string) mode {
			if strings.HasPrefix(key, "instance") && time.Now().Before(until) {
				return failed
			}
			return fine
		}
		q.send(spot("e1"), 0)
		q.serve(t, w.work().Handle)
		wantDrained(t, w, q)
	})
}

// An API server that is away for a minute, or a table, or Auto Scaling for good, does not end a drain.
func TestOutages(t *testing.T) {
	for call, lasts := range map[string]time.Duration{
		"get node": time.Minute, "list pods": time.Minute, "cordon": time.Minute, "get drain": time.Minute, "put drain": 30 * time.Second,
		"evict web-0": time.Minute, "policy": time.Minute, "group of": 10 * time.Second, "publish": 30 * time.Second,
	} {
		t.Run(call, func(t *testing.T) {
			story(t, func(t *testing.T, w *world, q *sqs) {
				until := time.Now().Add(lasts)
				w.strike = func(key string) mode {
					if strings.HasPrefix(key, call) && time.Now().Before(until) {
						return failed
					}
					return fine
				}
				q.send(spot("e1"), 0)
				q.serve(t, w.work().Handle)
				wantEvicted(t, w, q)
			})
		})
	}
}

func TestTheReplacementIsNoConditionOfTheDrain(t *testing.T) {
	for _, call := range []string{"replace", "group of"} {
		story(t, func(t *testing.T, w *world, q *sqs) {
			w.strike = func(key string) mode {
				if strings.HasPrefix(key, call) {
					return failed
				}
				return fine
			}
			began := time.Now()
			q.send(spot("e1"), 0)
			q.serve(t, w.work().Handle)
			if runs := w.runs(t); len(runs) != 1 || runs[0].Outcome != events.OutcomeDrained || len(q.dlq) > 0 {
				t.Errorf("%s always fails: runs %+v, dead letters %q", call, runs, q.dlq)
			}
			for name, p := range w.pods {
				if p.Deleting && p.goneAt.Sub(began) > 30*time.Second {
					t.Errorf("%s always fails: %s went after %s only", call, name, p.goneAt.Sub(began))
				}
			}
		})
	}
}

func TestR10_ABudgetHoldsUntilTheLastMoment(t *testing.T) {
	story(t, func(t *testing.T, w *world, q *sqs) {
		w.budgets["web"].shut = true
		w.add(fleet.Pod{Name: "slow", Labels: map[string]string{"app": "web"}, Grace: 60 * time.Second})
		began := time.Now()
		q.send(spot("e1"), 0)
		q.serve(t, w.work().Handle)
		wantDrained(t, w, q)
		for name, grace := range map[string]time.Duration{"web-0": 30 * time.Second, "web-3": 30 * time.Second, "slow": time.Minute} {
			p := w.pods[name]
			at, earliest := p.goneAt.Add(-exitTime).Sub(began), 2*time.Minute-grace-5*time.Second
			if !p.forced || at < earliest || at > earliest+2*time.Second {
				t.Errorf("%s: forced %t, %s after the event; it may be from %s on", name, p.forced, at, earliest)
			}
			if p.grace <= 0 || p.grace > grace || at+p.grace > 2*time.Minute {
				t.Errorf("%s got a grace of %s", name, p.grace)
			}
		}
		if run := w.runs(t)[0]; run.Counts["podsForced"] != 5 {
			t.Errorf("counts %v", run.Counts)
		}
	})
}

func TestR10_AVoluntaryDrainForcesNothing(t *testing.T) {
	story(t, func(t *testing.T, w *world, q *sqs) {
		w.policy.Interruption.Rebalance = fleet.RebalanceDrain
		w.budgets["web"].shut = true
		q.send(rebalance("r1"), 0)
		q.serve(t, w.work().Handle)
		runs := w.runs(t)
		if len(runs) != 1 || runs[0].Outcome != events.OutcomeNodeKept || len(runs[0].Blocked) < 4 {
			t.Fatalf("runs %+v, want one that has given the node back and names what is left", runs)
		}
		if w.pods["web-0"].Deleting || w.replaced > 0 {
			t.Error("a voluntary drain deleted a protected pod, or replaced the machine")
		}
	})
}

func TestR17_ThrottledEvictions(t *testing.T) {
	story(t, func(t *testing.T, w *world, q *sqs) {
		busy := throttling{w: w, until: time.Now().Add(8 * time.Second)}
		work := w.work()
		work.Open = func(string) interruption.Reach { return interruption.Reach{Instances: w, Groups: w, Clusters: busy} }
		q.send(spot("e1"), 0)
		q.serve(t, work.Handle)
		wantDrained(t, w, q)
	})
}

func TestR18_TheNodeVanishesMidDrain(t *testing.T) {
	for name, vanish := range map[string]func(*world){
		"node":     func(w *world) { w.node = nil },
		"instance": func(w *world) { w.instance = nil },
		"cluster":  func(w *world) { w.instance.Tags[fleet.TagEKSCluster] = "gone" },
	} {
		t.Run(name, func(t *testing.T) {
			story(t, func(t *testing.T, w *world, q *sqs) {
				w.budgets["web"].shut = true
				time.AfterFunc(10*time.Second, func() { w.mu.Lock(); vanish(w); w.mu.Unlock() })
				q.send(spot("e1"), 0)
				q.serve(t, w.work().Handle)
				if runs := w.runs(t); len(runs) != 1 || runs[0].Outcome != events.OutcomeDrained || len(w.finished()) != 1 || len(q.dlq) > 0 {
					t.Errorf("runs %+v, results %+v, dead letters %q", runs, w.finished(), q.dlq)
				}
			})
		})
	}
}

func TestR22_HibernationHasBegun(t *testing.T) {
	story(t, func(t *testing.T, w *world, q *sqs) {
		q.send(strings.Replace(spot("e1"), "terminate", "hibernate", 1), 0)
		q.serve(t, w.work().Handle)
		if p := w.pods["api-0"]; !p.Deleting || p.grace != time.Second {
			t.Errorf("api-0: %+v", p)
		}
	})
}

func TestTheLedgerIsLostMidDrain(t *testing.T) {
	story(t, func(t *testing.T, w *world, q *sqs) {
		time.AfterFunc(3*time.Second, func() { w.mu.Lock(); w.store = ledger.Memory{}; w.mu.Unlock() })
		q.send(spot("e1"), 0)
		q.serve(t, w.work().Handle)
		wantDrained(t, w, q)
	})
}

func TestAStaleContinuationIsDropped(t *testing.T) {
	story(t, func(t *testing.T, w *world, q *sqs) {
		old := func(run string) string {
			return event("ekspedite", "Drain Continuation", "c-"+run, map[string]any{"runId": run, "instanceId": machine, "cause": "SpotInterruption",
				"eventTime": time.Now(), "deadline": time.Now().Add(2 * time.Minute), "startedAt": time.Now(), "attempt": 0})
		}
		q.send(spot("e1"), 0)
		q.send(old("id-1"), 3*time.Second)    // of this run, repeated
		q.send(old("another"), 3*time.Second) // of a run before it
		q.send(old("id-1"), time.Minute)      // after its end
		q.serve(t, w.work().Handle)
		wantDrained(t, w, q)
		if n := len(w.finished()); n != 1 {
			t.Errorf("%d results", n)
		}
	})
}

// throttling is an API server whose priority and fairness refuses evictions for a while.
type throttling struct {
	w     *world
	until time.Time
}

func (c throttling) Nodes(ctx context.Context, name string) (interruption.Nodes, error) {
	n, err := c.w.Nodes(ctx, name)
	return throttled{n, c.until}, err
}

type apiServer = interruption.Nodes

type throttled struct {
	apiServer
	until time.Time
}

func (n throttled) Evict(ctx context.Context, e plan.EvictPod) error {
	if time.Now().Before(n.until) {
		return &fault.Error{Class: fault.Throttled, RetryAfter: time.Second, Err: fmt.Errorf("too many requests")}
	}
	return n.apiServer.Evict(ctx, e)
}
