package interruption_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/work/interruption"
)

// fargate is a way to the world's cluster in which pods can be read by name.
func (w *world) fargate() *interruption.Work {
	work := w.work()
	work.Open = func(region string) interruption.Reach {
		reach := w.open(region)
		reach.Pods = func(_ context.Context, name string) (interruption.Pods, error) {
			if name != cluster {
				return nil, fault.New(fault.NotFound, "no cluster %s", name)
			}
			return podAPI{api{w}}, nil
		}
		return reach
	}
	return work
}

type podAPI struct{ api }

func (a podAPI) Pod(ctx context.Context, namespace, name string) (p fleet.Pod, err error) {
	err = a.w.call(ctx, "get pod "+name, func() error {
		have := a.w.pods[name]
		if have == nil || have.Node == "" || have.Namespace != namespace {
			return fault.New(fault.NotFound, "no pod %s/%s", namespace, name)
		}
		p = have.Pod
		p.Budget = "default/" + p.Labels["app"]
		return nil
	})
	return p, err
}

// termination is EKS's word about a pod, in its own way to write times.
func termination(id, pod string, in time.Duration) string {
	return event("aws.eks", "EKS Fargate Pod Scheduled Termination", id, map[string]string{
		"clusterName": cluster, "fargateProfileName": "p", "podName": pod, "podNamespace": "default", "evictErrorMessage": "no",
		"scheduledTerminationTime": time.Now().Add(in).UTC().Format("2006-01-02T15:04:05.000Z") + "[UTC]",
	})
}

// cordoned: the world refuses removals from nodes that take work, which Fargate's are not.
func fargateStory(t *testing.T, tell func(t *testing.T, w *world, q *sqs)) {
	t.Helper()
	story(t, func(t *testing.T, w *world, q *sqs) {
		w.node.Unschedulable = true
		tell(t, w, q)
	})
}

func TestAFargatePodIsEvictedOnceItsBudgetLetsItGo(t *testing.T) {
	fargateStory(t, func(t *testing.T, w *world, q *sqs) {
		w.budgets["web"].shut = true
		time.AfterFunc(20*time.Minute, func() { w.mu.Lock(); w.budgets["web"].shut = false; w.mu.Unlock() })
		began := time.Now()
		for _, at := range []time.Duration{0, 0, 5 * time.Minute} { // at least once
			q.send(termination("f-1", "web-0", 48*time.Hour), at)
		}
		q.serve(t, w.fargate().Handle)
		p, runs := w.pods["web-0"], w.finished()
		if !p.Deleting || p.forced || p.accepted != 1 || len(q.dlq) > 0 {
			t.Errorf("web-0 %+v, dead letters %q", p, q.dlq)
		}
		if len(runs) == 0 || runs[0].Outcome != events.OutcomeDrained || runs[0].Subject.Cluster != cluster || runs[0].Counts["evictionsRefused"] < 4 {
			t.Fatalf("runs %+v", runs)
		}
		if took := p.goneAt.Sub(began); took > 31*time.Minute {
			t.Errorf("gone after %s", took)
		}
		if n := w.calls["evict web-0"]; n > 9 {
			t.Errorf("%d attempts in 30 minutes: the pauses do not grow", n)
		}
	})
}

// What a budget never lets go is left to EKS, and the report says what held it.
func TestAFargatePodIsNotForced(t *testing.T) {
	fargateStory(t, func(t *testing.T, w *world, q *sqs) {
		w.budgets["web"].shut = true
		began := time.Now()
		q.send(termination("f-1", "web-0", 90*time.Minute), 0)
		var last time.Duration
		w.strike = func(key string) mode {
			if len(key) > 10 && key[:10] == "evict web-" {
				last = time.Since(began)
			}
			return fine
		}
		q.serve(t, w.fargate().Handle)
		runs := w.finished()
		if len(runs) != 1 || runs[0].Outcome != events.OutcomePartiallyDrained || !slices.Equal(runs[0].Blocked, []string{"default/web-0 by PodDisruptionBudget default/web"}) {
			t.Fatalf("runs %+v", runs)
		}
		if p := w.pods["web-0"]; p.Deleting || p.accepted > 0 {
			t.Errorf("web-0 %+v", p)
		}
		if last < 89*time.Minute || last > 90*time.Minute {
			t.Errorf("tried for the last time after %s of 90 minutes", last)
		}
	})
}

func TestFargateTerminationsThatLeadToNothing(t *testing.T) {
	for name, body := range map[string]func() string{
		"no such pod": func() string { return termination("f-1", "nobody", time.Hour) },
		"too late":    func() string { return termination("f-1", "web-0", -time.Minute) },
		"other account": func() string {
			return event("aws.eks", "EKS Fargate Pod Scheduled Termination", "f", map[string]string{"clusterName": cluster, "podName": "web-0", "podNamespace": "default", "scheduledTerminationTime": "2050-01-01T00:00:00Z[UTC]"}, func(e map[string]any) { e["account"] = "999999999999" })
		},
		"no such cluster": func() string {
			return event("aws.eks", "EKS Fargate Pod Scheduled Termination", "f", map[string]string{"clusterName": "x", "podName": "web-0", "podNamespace": "default", "scheduledTerminationTime": "2050-01-01T00:00:00Z[UTC]"})
		},
	} {
		fargateStory(t, func(t *testing.T, w *world, q *sqs) {
			q.send(body(), 0)
			q.serve(t, w.fargate().Handle)
			if w.writes > 0 || len(q.dlq) > 0 || len(w.finished()) > 0 || q.sent > 1 {
				t.Errorf("%s: %d writes, dead letters %q, %d messages", name, w.writes, q.dlq, q.sent)
			}
		})
	}
}

// Another pod of the same name, as a StatefulSet makes it, is left alone.
func TestAFargatePodThatWasReplaced(t *testing.T) {
	fargateStory(t, func(t *testing.T, w *world, q *sqs) {
		w.budgets["web"].shut = true
		time.AfterFunc(3*time.Minute, func() { w.mu.Lock(); w.pods["web-0"].UID = "another"; w.budgets["web"].shut = false; w.mu.Unlock() })
		q.send(termination("f-1", "web-0", time.Hour), 0)
		q.serve(t, w.fargate().Handle)
		if p := w.pods["web-0"]; p.Deleting || len(w.finished()) != 1 {
			t.Errorf("%+v, runs %+v", p, w.finished())
		}
	})
}

// Every call of it goes wrong in every way, and the end is the same.
func TestEveryCallOfAFargateTerminationFailsOnce(t *testing.T) {
	tell := func(w *world, q *sqs, t *testing.T) {
		w.budgets["web"].shut = true
		time.AfterFunc(100*time.Second, func() { w.mu.Lock(); w.budgets["web"].shut = false; w.mu.Unlock() })
		q.send(termination("f-1", "web-0", 48*time.Hour), 0)
		q.serve(t, w.fargate().Handle)
	}
	var calls []string
	fargateStory(t, func(t *testing.T, w *world, q *sqs) {
		w.strike = func(key string) mode { calls = append(calls, key); return fine }
		tell(w, q, t)
	})
	if len(calls) < 12 {
		t.Fatalf("only %d calls: %q", len(calls), calls)
	}
	for _, m := range modes {
		for _, key := range calls {
			fargateStory(t, func(t *testing.T, w *world, q *sqs) {
				w.strike = func(k string) mode {
					if k == key {
						return m
					}
					return fine
				}
				tell(w, q, t)
				p, runs := w.pods["web-0"], w.runs(t)
				if !p.Deleting || p.forced || len(runs) != 1 || runs[0].Outcome != events.OutcomeDrained || len(w.finished()) == 0 || len(q.dlq) > 0 {
					t.Error(fmt.Sprintf("%s at %s:", m, key), p.Deleting, p.forced, len(runs), len(w.finished()), q.dlq)
				}
			})
		}
	}
}
