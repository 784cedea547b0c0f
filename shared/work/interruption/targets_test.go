package interruption_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// longest is how long after the event the last of the pods was told to go that need not wait for others.
func longest(w *world, began time.Time) (d time.Duration) {
	for name, p := range w.pods {
		if strings.HasPrefix(name, "api-") {
			d = max(d, p.began().Sub(began))
		}
	}
	return d
}

// TestDeregisteredBeforeTheFirstEviction: a machine behind a load balancer is taken out of it beside the cordon; serving pods go
// when it gets nothing new, those of jobs at once.
func TestDeregisteredBeforeTheFirstEviction(t *testing.T) {
	story(t, func(t *testing.T, w *world, q *sqs) {
		w.add(fleet.Pod{Name: "batch", Owner: fleet.Owner{Kind: "Job", Name: "batch"}})
		lb := w.balanced()
		began := time.Now()
		q.send(spot("e1"), 0)
		q.serve(t, w.work().Handle)
		wantDrained(t, w, q)
		wantOut(t, w, w.policy.Interruption.LoadBalancers.Pause)
		if lb.deregistered != 1 || w.calls["deregister"] != 1 {
			t.Errorf("deregistered %d times by %d calls", lb.deregistered, w.calls["deregister"])
		}
		if d := longest(w, began); d > 10*time.Second {
			t.Errorf("serving pods were told to go after %s", d)
		}
		if d := w.pods["batch"].began().Sub(began); d > 2*time.Second {
			t.Errorf("a job's pod was told to go after %s: nobody sends it anything", d)
		}
		run := w.runs(t)[0]
		if _, ok := run.Timings["eventToTargetsOut"]; !ok || run.Counts["targetsDeregistered"] != 1 {
			t.Errorf("timings %v, counts %v", run.Timings, run.Counts)
		}
		if run.Timings["eventToFinished"] > 40_000 {
			t.Errorf("the run took %d ms: what EC2 ends is not kept for its connections", run.Timings["eventToFinished"])
		}
		if !slices.ContainsFunc(w.published, func(e events.Event) bool {
			p, ok := e.Payload.(*events.RunProgressed)
			return ok && p.Step == "Deregistered"
		}) {
			t.Error("nobody was told of it")
		}
	})
}

// TestWithoutTargetsNothingWaits: load balancers that do not know the machine do not change its drain, but for one read a look.
func TestWithoutTargetsNothingWaits(t *testing.T) {
	var without, with time.Duration
	for _, asked := range []bool{false, true} {
		story(t, func(t *testing.T, w *world, q *sqs) {
			took := &without
			lb := w.balanced()
			if lb.targets = nil; asked {
				took = &with
			} else {
				w.lb = nil
			}
			began := time.Now()
			q.send(spot("e1"), 0)
			q.serve(t, w.work().Handle)
			wantDrained(t, w, q)
			*took = longest(w, began)
			if w.calls["deregister"] > 0 {
				t.Error("something was deregistered")
			}
		})
	}
	if with > without+50*time.Millisecond {
		t.Errorf("the pods were told to go after %s, and after %s where load balancers are asked", without, with)
	}
}

// TestTheCordonWaitsForNoLoadBalancer, and a drain that hurries for nothing but a short while.
func TestTheCordonWaitsForNoLoadBalancer(t *testing.T) {
	for name, spoil := range map[string]func(*world, *balancing){
		"slow to tell":    func(_ *world, lb *balancing) { lb.slow = true },
		"telling nothing": func(w *world, _ *balancing) { w.strike = func(key string) mode { return failing(key, "targets") } },
		"denying":         func(_ *world, lb *balancing) { lb.denied = fault.New(fault.Denied, "AccessDenied") },
		"put back":        func(_ *world, lb *balancing) { lb.stubborn = true },
		"deaf":            func(w *world, _ *balancing) { w.strike = func(key string) mode { return failing(key, "deregister") } },
	} {
		t.Run(name, func(t *testing.T) {
			story(t, func(t *testing.T, w *world, q *sqs) {
				spoil(w, w.balanced())
				began := time.Now()
				q.send(spot("e1"), 0)
				q.serve(t, w.work().Handle)
				wantDrained(t, w, q)
				run := w.runs(t)[0]
				if ms := run.Timings["eventToCordon"]; ms > 1200 { // the event's time is a whole second
					t.Errorf("cordoned after %d ms", ms)
				}
				if d := longest(w, began); d > 13*time.Second {
					t.Errorf("pods were told to go after %s", d)
				}
			})
		})
	}
}

func failing(key, call string) mode {
	if strings.HasPrefix(key, call+" ") {
		return failed
	}
	return fine
}

// TestR10_LoadBalancersTakeNoPodsGrace: on a short notice, and with a warning that comes late, no pod loses its own grace to them.
func TestR10_LoadBalancersTakeNoPodsGrace(t *testing.T) {
	for late := time.Duration(0); late < 100*time.Second; late += 7 * time.Second {
		story(t, func(t *testing.T, w *world, q *sqs) {
			w.balanced()
			lbPolicy := &w.policy.Interruption.LoadBalancers
			lbPolicy.Wait, lbPolicy.Pause = time.Minute, time.Minute
			w.lb.stubborn = true
			delete(w.budgets, "web")
			began := time.Now()
			body := spot("e1")
			q.send(body, late)
			q.serve(t, w.work().Handle)
			wantDrained(t, w, q)
			for name, p := range w.pods {
				latest := max(late+2*time.Second, 2*time.Minute-p.Grace-w.policy.Interruption.ForceMargin+2*time.Second)
				if p.Deleting && p.Ready && p.Priority == 0 && (p.began().Sub(began) > latest || p.forced) {
					t.Errorf("%s late: %s was told to go after %s, forced %t; it needs %s", late, name, p.began().Sub(began), p.forced, p.Grace)
				}
			}
		})
	}
}

// TestARemovalWaitsForConnections: a machine that we end ends when nothing goes through it any more.
func TestARemovalWaitsForConnections(t *testing.T) {
	for name, tc := range map[string]struct {
		delay, earliest, latest time.Duration
	}{
		"a short delay":                 {20 * time.Second, 20 * time.Second, 30 * time.Second},
		"the default":                   {5 * time.Minute, 5 * time.Minute, 6 * time.Minute},
		"longer than the policy allows": {time.Hour, 5 * time.Minute, 6 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			removing(t, func(t *testing.T, w *world, q *sqs) {
				lb := w.balanced()
				lb.delay = tc.delay
				began := time.Now()
				q.send(removal("n1"), 0)
				q.serve(t, w.work().Handle)
				wantRemoved(t, w, q)
				wantOut(t, w, w.policy.Interruption.LoadBalancers.Pause)
				if took := w.drain(t).EndedAt.Sub(began); took < tc.earliest || took > tc.latest {
					t.Errorf("the machine was ended after %s, want %s to %s", took, tc.earliest, tc.latest)
				}
			})
		})
	}
}

// TestAutoScalingIsNotHelped: what the replacement's detachment deregisters, we do not; we wait for it.
func TestAutoScalingIsNotHelped(t *testing.T) {
	for _, ours := range []bool{false, true} {
		story(t, func(t *testing.T, w *world, q *sqs) {
			lb := w.balanced(func(target *fleet.Target) {
				target.ScalingGroups, target.Ours, target.PutBack = []string{group}, ours, false
			})
			q.send(spot("e1"), 0)
			q.serve(t, w.work().Handle)
			wantDrained(t, w, q)
			wantOut(t, w, w.policy.Interruption.LoadBalancers.Pause)
			if lb.byScaling != 1 || w.calls["deregister"] > 0 {
				t.Errorf("Auto Scaling deregistered it %d times, we called %d times (may we: %t)", lb.byScaling, w.calls["deregister"], ours)
			}
		})
	}
}

// TestR16_AHookWaitsForConnections, with heartbeats.
func TestR16_AHookWaitsForConnections(t *testing.T) {
	story(t, func(t *testing.T, w *world, q *sqs) {
		w.balanced().delay = time.Minute
		w.hook, w.group.LifecycleState = "t1", "Terminating:Wait"
		began := time.Now()
		q.send(hook("h1", events.TransitionTerminating, "t1", "EC2"), 0)
		q.serve(t, w.work().Handle)
		if took := time.Since(began); w.completed != 1 || w.heartbeats < 5 || took < time.Minute || took > 75*time.Second {
			t.Errorf("completed %d times, %d heartbeats, after %s", w.completed, w.heartbeats, took)
		}
	})
}

// TestR27_EveryCallToLoadBalancersFailsOnce in every way, and the end is the same.
func TestR27_EveryCallToLoadBalancersFailsOnce(t *testing.T) {
	for _, m := range modes {
		for _, key := range []string{"targets #1", "targets #2", "targets #3", "deregister #1"} {
			t.Run(strings.ReplaceAll(string(m)+"/"+key, " ", "-"), func(t *testing.T) {
				story(t, func(t *testing.T, w *world, q *sqs) {
					w.balanced()
					w.strike = func(k string) mode {
						if k == key {
							return m
						}
						return fine
					}
					q.send(spot("e1"), 0)
					q.serve(t, w.work().Handle)
					wantDrained(t, w, q)
					if w.lb.outAt.IsZero() {
						t.Error("the machine was not deregistered")
					}
				})
			})
		}
	}
}

// TestR24_ObserveDeregistersNothing, and says that it would.
func TestR24_ObserveDeregistersNothing(t *testing.T) {
	story(t, func(t *testing.T, w *world, q *sqs) {
		w.balanced()
		w.policy.Interruption.Mode = fleet.DrainObserve
		q.send(spot("e1"), 0)
		q.serve(t, w.work().Handle)
		runs := w.runs(t)
		if len(runs) != 1 || runs[0].Outcome != events.OutcomePlanned || w.writes > 0 || w.lb.targets[0].State != fleet.TargetHealthy || len(q.dlq) > 0 {
			t.Fatalf("runs %+v, %d writes, targets %+v, dead letters %q", runs, w.writes, w.lb.targets, q.dlq)
		}
		if list := strings.Join(w.finished()[0].Plan, "\n"); !strings.Contains(list, "deregister") || !strings.Contains(list, "cordon node "+hostname) {
			t.Errorf("the plan:\n%s", list)
		}
	})
}
