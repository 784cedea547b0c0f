package cluster_test

import (
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/infra/local/world"
)

// TestCreate makes the demo's cluster with AWS's real durations.
func TestCreate(t *testing.T) {
	inBubble(t, world.Real, func(t *testing.T, r *rig) {
		start := time.Now()
		r.ask("request-1", example(t, "demo.yaml"))
		r.run()
		done := r.Finished()
		if len(done) != 1 || done[0].Outcome != events.OutcomeActive {
			t.Fatalf("%+v\n%s", done, r.Told())
		}
		t.Logf("%s, %d calls (%d reads, %d writes), %v", time.Since(start), r.Script.Calls, r.Script.Reads, r.Script.Writes, done[0].Timings)

		r.Script.Reads, r.Script.Writes, r.Script.Ops = 0, 0, nil
		r.ask("request-2", example(t, "demo.yaml"))
		r.run()
		done = r.Finished()
		t.Logf("again: %d reads, %d writes: %v", r.Script.Reads, r.Script.Writes, r.Script.Ops)
		if r.Script.Writes != 0 || len(done) != 2 || done[1].Outcome != events.OutcomeActive || done[1].Counts["writes"] != 0 || done[1].Counts["notes"] != 0 {
			t.Errorf("%+v\n%s", done, r.Told())
		}
	})
}

// threeGroups is a cluster with three node groups and what eksctl installs unasked.
const threeGroups = `apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata: {name: three, region: us-east-1}
managedNodeGroups:
  - {name: a, instanceType: m5.large}
  - {name: b, instanceType: m5.large, spot: true}
  - {name: c, instanceType: m7g.large, privateNetworking: true}
`

// TestUnchangedIsCheap: the same file again makes no write and at most 12 reads.
func TestUnchangedIsCheap(t *testing.T) {
	inBubble(t, quick, func(t *testing.T, r *rig) {
		r.make(threeGroups, nil, nil)
		r.Script.Reads, r.Script.Writes, r.Script.Ops = 0, 0, nil
		r.ask("request-2", threeGroups)
		r.run()
		done := r.Finished()
		t.Logf("%d reads, %d writes: %v", r.Script.Reads, r.Script.Writes, r.Script.Ops)
		if len(done) != 2 || done[1].Outcome != events.OutcomeActive || r.Script.Writes != 0 || r.Script.Reads > 12 {
			t.Errorf("%d reads, %d writes\n%s", r.Script.Reads, r.Script.Writes, last(r.Told(), 6))
		}
	})
}

// TestInParallel: with AWS's durations, a cluster takes little more than its longest chain of steps, and much less than its
// steps one after another.
func TestInParallel(t *testing.T) {
	for _, name := range []string{"demo.yaml", "clusters/full.yaml"} {
		inBubble(t, world.Real, func(t *testing.T, r *rig) {
			text := r.given(example(t, name))
			start := time.Now()
			r.make(text, nil, nil)
			took := time.Since(start)
			begun, sum := map[string]time.Time{}, time.Duration(0)
			for _, e := range r.Bus() {
				p, ok := e.Payload.(*events.RunProgressed)
				switch {
				case !ok:
				case strings.Contains(p.Step, ":"):
					begun[p.Resource] = p.At
				case p.Step == "Ready":
					sum += p.At.Sub(begun[p.Resource])
				}
			}
			t.Logf("%s: %s; one step after another: %s (%.0f %% less)", name, took, sum, 100*(1-float64(took)/float64(sum)))
			if len(begun) < 20 || float64(took) > 0.8*float64(sum) {
				t.Errorf("%s took %s; one step after another would be %s\n%s", name, took, sum, r.Told())
			}
		})
	}
}
