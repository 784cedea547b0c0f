package interruption_test

import (
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// calledFor are the looks that the scaling function was asked for.
func (w *world) calledFor() (out []*events.ScalingRequested) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.published {
		if p, ok := e.Payload.(*events.ScalingRequested); ok {
			out = append(out, p)
		}
	}
	return out
}

// TestThePlannerIsCalledOnReceipt, where it may act, and is told what EC2 takes back.
func TestThePlannerIsCalledOnReceipt(t *testing.T) {
	for _, c := range []struct {
		name     string
		mode     fleet.ScalingMode
		event    string
		called   int
		reclaims int
	}{
		{"a warning", fleet.ScalingAct, spot("e1"), 1, 1},
		{"a warning, scaling is off", fleet.ScalingOff, spot("e1"), 0, 1},
		{"a removal: its pods have been thought of", fleet.ScalingAct, removal("e1"), 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			story(t, func(t *testing.T, w *world, q *sqs) {
				w.policy.Scaling.Mode = c.mode
				w.sizes = groupSizes{least: 0, desired: 3}
				began := time.Now()
				q.send(c.event, 0)
				q.serve(t, w.work().Handle)
				got := w.calledFor()
				if len(got) != c.called {
					t.Fatalf("%d calls, want %d", len(got), c.called)
				}
				for _, p := range got {
					if p.Cluster != cluster || p.Region != region || p.Source != events.ScalingSourceInterruption || p.SeenAt.Sub(began) > time.Second {
						t.Errorf("%+v, after %s", p, p.SeenAt.Sub(began))
					}
				}
				list, err := w.work().Ledger.Reclaims(t.Context(), region)
				if err != nil || len(list) != c.reclaims {
					t.Fatalf("reclaims: %+v, %v", list, err)
				}
				for _, r := range list {
					if r.Type != w.instance.Type || r.Zone != w.instance.Zone {
						t.Errorf("%+v", r)
					}
				}
			})
		})
	}
}
