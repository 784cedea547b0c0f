package cluster_test

import (
	"path/filepath"
	"testing"
	"time"

	decide "github.com/ekspedite/ekspedite/shared/decide/cluster"
	"github.com/ekspedite/ekspedite/shared/decide/preflight"

	"github.com/ekspedite/ekspedite/shared/awscloud"
	"github.com/ekspedite/ekspedite/shared/observe"
	"github.com/ekspedite/ekspedite/shared/spec"
)

// TestPreflightOfExamples looks at the file of every example, in an account that has what it names, before anything is made.
// What can be made, as TestExamples shows, must not be called impossible: an error would end the run.
func TestPreflightOfExamples(t *testing.T) {
	files, err := filepath.Glob("../../../examples/clusters/*.yaml")
	if err != nil || len(files) < 15 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		name := filepath.Base(f)
		t.Run(name, func(t *testing.T) {
			if name == "outposts.yaml" {
				t.Skip(notHere[name])
			}
			inBubble(t, quick, func(t *testing.T, r *rig) {
				specs, said := spec.Parse([]byte(r.given(example(t, f[len("../../../examples/"):]))))
				if err := said.Err(); err != nil {
					t.Fatal(err)
				}
				s := specs[0].Cluster
				cfg := r.ConfigIn(s.Region, r.Cloud)
				opt := decide.Options{RunID: "r", Account: account, InterruptionRole: drainer, ClusterRole: "arn:aws:iam::123456789012:role/ekspedite-Cluster-Role"}
				o, err := observe.Clusters{AWS: awscloud.NewRegion(cfg), Now: time.Now}.Cluster(ctx, s, opt, observe.Hints{Full: true})
				if err != nil {
					t.Fatal(err)
				}
				p, err := decide.Forecast(time.Now(), o, s, opt)
				if err != nil {
					t.Fatal(err)
				}
				facts := preflight.Facts{Now: time.Now(), Account: account}
				facts = observe.Preflight(ctx, awscloud.NewPreflight(cfg), facts, preflight.Ask(facts, s, p))
				for _, finding := range preflight.Preflight(facts, s, p) {
					t.Log(finding)
					if finding.Severity == preflight.Error || finding.Code == "Unchecked" {
						t.Error(finding)
					}
				}
			})
		})
	}
}
