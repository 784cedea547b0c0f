package cluster_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/infra/local/ec2"
)

// TestRefusedIsNotBegun: what preflight has refused is not begun by a sweep either, as long as the reason stands, and nobody is
// told again. Once it is mended, the next sweep makes the cluster: its owner has asked for it.
func TestRefusedIsNotBegun(t *testing.T) {
	inBubble(t, quick, func(t *testing.T, r *rig) {
		text, before := example(t, "demo.yaml"), r.everywhere(region)
		r.Cloud.EC2.SetQuota(ec2.QuotaVPCs, 0)
		r.ask("request-1", text)
		r.run()
		done := r.ended()
		if done.Outcome != events.OutcomeFailed || !strings.HasPrefix(done.Reason, "nothing was written: ") || done.Counts["writes"] != 0 {
			t.Fatalf("%+v\n%s", done, last(r.Told(), 8))
		}
		told := len(r.Bus())
		for range 3 {
			r.Send(&events.ClusterSweepRequested{})
			r.run()
		}
		if len(r.Bus()) != told {
			t.Errorf("%s", last(r.Told(), 8))
		}
		if there := r.everywhere(region); !maps.Equal(there, before) {
			t.Errorf("%v is there, and was %v before", there, before)
		}

		r.Cloud.EC2.SetQuota(ec2.QuotaVPCs, 5)
		r.Send(&events.ClusterSweepRequested{})
		r.run()
		if done := r.ended(); done.Outcome != events.OutcomeActive {
			t.Fatalf("%+v\n%s", done, last(r.Told(), 8))
		}
	})
}
