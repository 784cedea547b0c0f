package interruption_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

func TestSpotWarningEndsInADrainedNode(t *testing.T) {
	story(t, func(t *testing.T, w *world, q *sqs) {
		began := time.Now()
		q.send(spot("e1"), 0)
		q.serve(t, w.work().Handle)
		wantDrained(t, w, q)
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("took %s", took)
		}
		if n := len(w.finished()); n != 1 {
			t.Errorf("%d results were published, want one", n)
		}
		run := w.runs(t)[0]
		if run.Counts["podsEvicted"] != 9 || run.Counts["podsForced"] != 0 || run.Counts["evictionsRefused"] == 0 {
			t.Errorf("counts: %v", run.Counts)
		}
		if run.Subject.Node != hostname || run.Subject.Cluster != cluster || run.Subject.InstanceID != machine || run.EventID != "e1" {
			t.Errorf("the record is about %+v of event %s", run.Subject, run.EventID)
		}
		for _, timing := range []string{"eventToCordon", "eventToReplacementRequested", "eventToLastEviction", "eventToFinished"} {
			if _, ok := run.Timings[timing]; !ok {
				t.Errorf("no timing %s in %v", timing, run.Timings)
			}
		}
		if !slices.ContainsFunc(w.node.Taints, func(x fleet.Taint) bool { return x.Key == "theirs" }) {
			t.Error("somebody else's taint is gone")
		}
	})
}

// TestR9_EveryCallFailsOnce lets every single call of a drain go wrong in every way, delivers again what SQS would, and wants
// the same end each time.
func TestR9_EveryCallFailsOnce(t *testing.T) {
	var calls []string
	story(t, func(t *testing.T, w *world, q *sqs) {
		w.strike = func(key string) mode { calls = append(calls, key); return fine }
		q.send(spot("e1"), 0)
		q.serve(t, w.work().Handle)
	})
	slices.Sort(calls)
	if len(calls) < 40 {
		t.Fatalf("a drain makes only %d calls: %q", len(calls), calls)
	}
	t.Logf("%d calls, %d ways to go wrong", len(calls), len(modes))
	for _, m := range modes {
		t.Run(strings.ReplaceAll(string(m), " ", "-"), func(t *testing.T) {
			for _, key := range calls {
				ok := t.Run(strings.ReplaceAll(key, " ", "-"), func(t *testing.T) {
					story(t, func(t *testing.T, w *world, q *sqs) {
						w.strike = func(k string) mode {
							if k == key {
								return m
							}
							return fine
						}
						q.send(spot("e1"), 0)
						q.serve(t, w.work().Handle)
						wantDrained(t, w, q)
					})
				})
				if !ok && testing.Short() {
					return
				}
			}
		})
	}
}

// TestEveryDeliveryTwiceAtOnce makes every delivery twice, concurrently, and lets every call of one of them fail as well.
func TestEveryDeliveryTwiceAtOnce(t *testing.T) {
	for seed := range seeds(t, 60) {
		t.Run(fmt.Sprintf("seed-%d", seed), func(t *testing.T) {
			story(t, func(t *testing.T, w *world, q *sqs) {
				rnd := rand.New(rand.NewPCG(seed, 1))
				q.twice = true
				w.strike = faults(rnd, int(seed%3))
				w.latency = time.Duration(1+rnd.IntN(300)) * time.Millisecond
				q.send(spot("e1"), 0)
				q.serve(t, w.work().Handle)
				wantEvicted(t, w, q)
			})
		})
	}
}

// TestManyEventsManyFaults sends the four kinds of events of a spot interruption several times over, in any order, into a
// world where one call in a few dozen goes wrong, and wants the node drained, nothing forced, and no message lost.
func TestManyEventsManyFaults(t *testing.T) {
	for seed := range seeds(t, 80) {
		t.Run(fmt.Sprintf("seed-%d", seed), func(t *testing.T) {
			story(t, func(t *testing.T, w *world, q *sqs) {
				rnd := rand.New(rand.NewPCG(seed, 2))
				w.policy.Interruption.Rebalance = "Drain"
				w.latency = time.Duration(1+rnd.IntN(100)) * time.Millisecond
				w.strike = faults(rnd, 3)
				for range 1 + rnd.IntN(2) {
					q.send(rebalance("r1"), time.Duration(rnd.IntN(4))*time.Second)
				}
				for range 1 + rnd.IntN(3) {
					q.send(spot("e1"), time.Duration(rnd.IntN(4))*time.Second)
				}
				q.serve(t, w.work().Handle)
				wantEvicted(t, w, q)
			})
		})
	}
}

// wantEvicted checks what must hold whatever happened: every pod went, once for all, from a cordoned node, none was
// forced, and the story is told to its end.
func wantEvicted(t *testing.T, w *world, q *sqs) {
	t.Helper()
	if len(q.messages) > 0 || len(q.dlq) > 0 {
		t.Errorf("%d messages are left, dead letters: %q", len(q.messages), q.dlq)
	}
	for name, p := range w.pods {
		stays := p.Mirror || p.Owner.Kind == "DaemonSet" || p.Finished()
		if stays == p.Deleting || p.forced || p.accepted > 1 {
			t.Errorf("%s: deleting %t, forced %t, accepted %d", name, p.Deleting, p.forced, p.accepted)
		}
	}
	if w.cordons != 1 || w.uncordoned != 0 || w.replaced != 1 {
		t.Errorf("cordons %d, removals before it %d, replacements %d", w.cordons, w.uncordoned, w.replaced)
	}
	if len(w.runs(t)) == 0 || len(w.finished()) == 0 || !w.drain(t).Over() {
		t.Errorf("runs %+v, results %+v, drain %+v", w.runs(t), w.finished(), w.drain(t))
	}
}

// faults strikes so often, one call in a few dozen. Of those that cost a visibility timeout (45 s of a machine's 120)
// there is one: after two of them pods are forced, and rightly.
func faults(rnd *rand.Rand, left int) func(string) mode {
	slow := 1
	return func(string) mode {
		if left == 0 || rnd.IntN(40) > 0 {
			return fine
		}
		m := modes[rnd.IntN(len(modes))]
		if m == killed || m == undone || m == hangs {
			if slow == 0 {
				return fine
			}
			slow--
		}
		left--
		return m
	}
}

// seeds is how many worlds a test tries: SEEDS=5000 go test tries more than a build has time for.
func seeds(t *testing.T, usual uint64) uint64 {
	t.Helper()
	if n, err := strconv.ParseUint(os.Getenv("SEEDS"), 10, 64); err == nil {
		return n
	}
	return usual
}
