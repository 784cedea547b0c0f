package cluster_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/ekspedite/ekspedite/events"
)

// notHere are examples that the embedded cloud cannot make, with the reason.
var notHere = map[string]string{
	"outposts.yaml": "the embedded cloud has no Outposts",
	"fargate.yaml":  "what stands in for Kubernetes in this test runs no pods on Fargate; see the end-to-end test",
}

// TestExamples makes the cluster of every file that users get, and does it again, which must write nothing.
func TestExamples(t *testing.T) {
	files, err := filepath.Glob("../../../examples/clusters/*.yaml")
	if err != nil || len(files) < 15 {
		t.Fatal(files, err)
	}
	for _, f := range append(files, "../../../examples/demo.yaml") {
		name := filepath.Base(f)
		t.Run(name, func(t *testing.T) {
			if why := notHere[name]; why != "" {
				t.Skip(why)
			}
			inBubble(t, quick, func(t *testing.T, r *rig) {
				text := r.given(example(t, f[len("../../../examples/"):]))
				r.make(text, nil, nil)
				done := r.Finished()
				if len(done) != 1 || done[0].Outcome != events.OutcomeActive {
					t.Fatalf("%s", last(r.Told(), 6))
				}
				first := len(r.Bus())
				r.Script.Reads, r.Script.Writes, r.Script.Ops = 0, 0, nil
				r.ask("request-2", text)
				r.run()
				if done = r.Finished(); len(done) != 2 || done[1].Outcome != events.OutcomeActive || r.Script.Writes != 0 {
					r.Forget(first)
					t.Errorf("again: %d reads, %d writes\n%s", r.Script.Reads, r.Script.Writes, r.Told())
				}
				t.Logf("%v; again %d reads", done[0].Counts, r.Script.Reads)
			})
		})
	}
}

// last are the last lines of a text.
func last(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
