package cluster_test

import (
	"testing"

	"github.com/ekspedite/ekspedite/events"
)

// A run for a request says once that it has begun, under the id by which its end is told; one of the sweep does not.
func TestAStartIsTold(t *testing.T) {
	inBubble(t, quick, func(t *testing.T, r *rig) {
		r.ask("request-1", example(t, "demo.yaml"))
		r.run()
		r.Send(&events.ClusterSweepRequested{})
		r.run()
		var starts []*events.RunStarted
		for _, e := range r.Bus() {
			if s, ok := e.Payload.(*events.RunStarted); ok {
				starts = append(starts, s)
			}
		}
		done := r.Finished()
		if len(starts) != 1 || starts[0].RunID != done[0].RunID || starts[0].Subject.Cluster != "demo" || starts[0].Cause != events.KindClusterApplyRequested {
			t.Errorf("%+v\n%s", starts, r.Told())
		}
	})
}
