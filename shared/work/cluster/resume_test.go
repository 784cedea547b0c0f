package cluster_test

import (
	"strings"
	"testing"

	"github.com/ekspedite/ekspedite/events"
)

// TestResume: a cluster of which a part could not be made says whose fault that was and what to do. Applied again, what never
// worked is made again, and nothing else.
func TestResume(t *testing.T) {
	inBubble(t, quick, func(t *testing.T, r *rig) {
		text := example(t, "demo.yaml")
		capacity := func(there bool) {
			for _, kind := range []string{"m5.large", "m6i.large"} {
				for _, zone := range []string{"us-east-1a", "us-east-1b", "us-east-1c"} {
					r.Cloud.EC2.SetCapacity(kind, zone, "spot", there)
				}
			}
		}
		capacity(false)
		r.ask("request-1", text)
		r.run()
		done := r.ended()
		if done.Outcome != events.OutcomeFailed || len(done.Failures) == 0 {
			t.Fatalf("%+v\n%s", done, last(r.Told(), 8))
		}
		if f := done.Failures[0]; f.Resource != "nodegroup/spot" || f.Whose != "capacity" || f.Code == "" || f.Fix == "" {
			t.Errorf("%+v", f)
		}
		capacity(true)
		since := len(r.Bus())
		r.ask("request-2", text)
		r.run()
		if done := r.ended(); done.Outcome != events.OutcomeActive {
			t.Fatalf("%+v\n%s", done, last(r.Told(), 8))
		}
		if got := strings.Join(r.calls(since), " "); got != "eks:CreateNodegroup eks:DeleteNodegroup" {
			t.Errorf("%s\n%s", got, last(r.Told(), 12))
		}
	})
}
