package cluster_test

import (
	"testing"

	"github.com/ekspedite/ekspedite/events"
)

// TestAgain: a cluster that was deleted can be made again under its name, and deleted again.
func TestAgain(t *testing.T) {
	inBubble(t, quick, func(t *testing.T, r *rig) {
		text := example(t, "demo.yaml")
		before := r.everywhere(region)
		for _, n := range []string{"1", "2"} {
			r.ask("apply-"+n, text)
			r.run()
			if done := r.ended(); done.Outcome != events.OutcomeActive {
				t.Fatalf("%s", last(r.Told(), 8))
			}
			r.end(text, "delete-"+n, false)
			if done := r.ended(); done.Outcome != events.OutcomeDeleted {
				t.Fatalf("%s", last(r.Told(), 8))
			}
			r.nothingLeft(t, text, before, "round "+n)
		}
		told := len(r.Bus())
		r.Send(&events.ClusterSweepRequested{}) // nobody is left to be looked at
		r.run()
		if len(r.Bus()) != told {
			t.Errorf("%s", last(r.Told(), 4))
		}
	})
}
