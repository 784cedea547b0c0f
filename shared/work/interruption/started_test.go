package interruption_test

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/events"
)

// begun are the starts that were published, each with the place at which it came among the world's calls.
func (w *world) begun() (out []*events.RunStarted) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.published {
		if s, ok := e.Payload.(*events.RunStarted); ok {
			out = append(out, s)
		}
	}
	return out
}

// R25: people are told on receipt, of what happens, to which node, and until when.
func TestR25_AStartIsTold(t *testing.T) {
	story(t, func(t *testing.T, w *world, q *sqs) {
		w.slow = "publish" // a bus that takes 40 times as long as everything else
		began := time.Now()
		q.send(spot("e1"), 0)
		q.serve(t, w.work().Handle)
		wantDrained(t, w, q)
		starts := w.begun()
		if len(starts) != 1 {
			t.Fatalf("%d starts were told", len(starts))
		}
		s := starts[0]
		if s.RunID != w.drain(t).RunID || s.Subject.Node != hostname || s.Subject.Cluster != cluster || s.Subject.InstanceID != machine ||
			s.Cause != events.KindSpotInterruption || !s.Deadline.Equal(w.finished()[0].EventTime.Add(2*time.Minute)) || s.StartedAt.Sub(began) > time.Second {
			t.Errorf("%+v", s)
		}
		// Neither the cordon nor an eviction has waited for it.
		cordon, evict, publish := -1, -1, -1
		for i, line := range w.trace {
			switch {
			case cordon < 0 && strings.Contains(line, "cordon"):
				cordon = i
			case evict < 0 && strings.Contains(line, "evict "):
				evict = i
			case publish < 0 && strings.Contains(line, "publish"):
				publish = i
			}
		}
		if cordon < 0 || publish < cordon || evict < 0 {
			t.Errorf("cordon %d, first eviction %d, start told %d of %d calls", cordon, evict, publish, len(w.trace))
		}
		if took := w.runs(t)[0].Timings["eventToLastEviction"]; took > 10_000 {
			t.Errorf("evictions took %d ms", took)
		}
	})
}

// R25: whatever dies, and however often everything is delivered, there is one start: all that is published of it has the same run,
// by which the notify function tells that it is one.
func TestR25_OneRunOneStart(t *testing.T) {
	for seed := range seeds(t, 60) {
		story(t, func(t *testing.T, w *world, q *sqs) {
			rnd := rand.New(rand.NewPCG(seed, 25))
			q.twice = true
			w.strike = faults(rnd, int(seed%3))
			w.latency = time.Duration(1+rnd.IntN(300)) * time.Millisecond
			q.send(spot("e1"), 0)
			q.send(spot("e1"), time.Second)
			q.serve(t, w.work().Handle)
			wantEvicted(t, w, q)
			id := w.drain(t).RunID
			for _, s := range w.begun() {
				if s.RunID != id {
					t.Errorf("seed %d: told of run %s, it is %s", seed, s.RunID, id)
				}
			}
			for _, f := range w.finished() {
				if f.RunID != id {
					t.Errorf("seed %d: told of the end of run %s, it is %s", seed, f.RunID, id)
				}
			}
		})
	}
}

// Of what is not drained nobody is told.
func TestNoStartOfNothing(t *testing.T) {
	story(t, func(t *testing.T, w *world, q *sqs) {
		q.send(rebalance("r1"), 0) // the policy says to ignore it
		q.serve(t, w.work().Handle)
		if starts := w.begun(); len(starts) > 0 {
			t.Errorf("%+v", starts[0])
		}
	})
}
