package cluster_test

import (
	"maps"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/internal/cloudtest"
	"github.com/ekspedite/ekspedite/shared/awscloud"
	"github.com/ekspedite/ekspedite/shared/decide/cluster"
	"github.com/ekspedite/ekspedite/shared/decide/preflight"
	"github.com/ekspedite/ekspedite/shared/observe"
	"github.com/ekspedite/ekspedite/shared/spec"
)

// TestGrantsPassPreflight: preflight can read all that it wants to know, and finds that nothing is missing, of the clusters
// of all examples with the permissions that the template gives.
func TestGrantsPassPreflight(t *testing.T) {
	files, err := filepath.Glob("../../../examples/clusters/*.yaml")
	if err != nil || len(files) < 15 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		name := filepath.Base(f)
		t.Run(name, func(t *testing.T) {
			inBubble(t, quick, func(t *testing.T, r *rig) {
				if why := notHere[name]; why != "" && name == "outposts.yaml" {
					t.Skip(why)
				}
				text := r.given(example(t, f[len("../../../examples/"):]))
				p := maps.Clone(parameters)
				p["Regions"] = r.names(text)[0].Region
				r.under(t, p)
				defer r.allowed(t)
				specs, said := spec.Parse([]byte(text))
				if said.Err() != nil {
					t.Fatal(said.Err())
				}
				s, session := specs[0].Cluster, &cloudtest.Session{Rig: r.Rig}
				w := r.work(session)
				opt := cluster.Options{RunID: "run", Account: w.Account, InterruptionRole: w.InterruptionRole, ClusterRole: w.Role, UpgradeRole: w.UpgradeRole, Boundary: w.Boundary}
				o, err := w.Open(s.Region).Observe.Cluster(t.Context(), s, opt, observe.Hints{Full: true})
				if err != nil {
					t.Fatal(err)
				}
				whole, err := cluster.Forecast(time.Now(), o, s, opt)
				if err != nil {
					t.Fatal(err)
				}
				facts := preflight.Facts{Now: time.Now(), Account: account, Role: r.RoleARN, InVPC: true}
				facts = observe.Preflight(t.Context(), awscloud.NewPreflight(r.ConfigIn(s.Region, session)), facts, preflight.Ask(facts, s, whole))
				for q, why := range facts.Unread {
					if why.Denied {
						t.Errorf("%s may not be read: %s", q, why.Text)
					}
				}
				for _, found := range preflight.Preflight(facts, s, whole) {
					if strings.HasPrefix(found.Code, "Permission") {
						t.Errorf("%s", found)
					}
				}
			})
		})
	}
}
