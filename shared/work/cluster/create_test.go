package cluster

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/infra/local/faults"
	"github.com/ekspedite/ekspedite/infra/local/world"
)

// inBubble runs f with a clock of its own and a cloud in it.
func inBubble(t *testing.T, profile world.Profile, f func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, profile, faults.None)
		f(t, r)
	})
}

// TestCreate makes the demo's cluster with AWS's real durations.
func TestCreate(t *testing.T) {
	inBubble(t, world.Real, func(t *testing.T, r *rig) {
		start := time.Now()
		r.ask("request-1", example(t, "demo.yaml"))
		r.run()
		done := r.finished()
		if len(done) != 1 || done[0].Outcome != events.OutcomeActive {
			t.Fatalf("%+v\n%s", done, r.told())
		}
		t.Logf("%s, %d calls (%d reads, %d writes), %v", time.Since(start), r.script.calls, r.script.reads, r.script.writes, done[0].Timings)

		r.script.reads, r.script.writes, r.script.ops = 0, 0, nil
		r.ask("request-2", example(t, "demo.yaml"))
		r.run()
		done = r.finished()
		t.Logf("again: %d reads, %d writes: %v", r.script.reads, r.script.writes, r.script.ops)
		if r.script.writes != 0 || len(done) != 2 || done[1].Outcome != events.OutcomeActive || done[1].Counts["writes"] != 0 || done[1].Counts["notes"] != 0 {
			t.Errorf("%+v\n%s", done, r.told())
		}
	})
}
