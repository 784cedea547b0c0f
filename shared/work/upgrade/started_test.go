package upgrade

import (
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/infra/local/world"
)

// An upgrade says once that it has begun, under the id by which its end is told.
func TestAStartIsTold(t *testing.T) {
	inBubble(t, world.Fast, func(t *testing.T, r *rig) {
		r.ask("request-1", "1.35")
		done := r.over(24 * time.Hour)
		var starts []*events.RunStarted
		for _, e := range r.Bus() {
			if s, ok := e.Payload.(*events.RunStarted); ok {
				starts = append(starts, s)
			}
		}
		if len(starts) != 1 || starts[0].RunID != done.RunID || starts[0].Subject.Cluster != demo.Name || starts[0].Reason != "to 1.35" || !starts[0].StartedAt.Equal(done.StartedAt) {
			t.Errorf("%+v", starts)
		}
	})
}
