package cluster_test

import (
	"maps"
	"path/filepath"
	"testing"

	"github.com/ekspedite/ekspedite/events"
)

// under gives the function the role and the policies that it has in the template.
func (r *rig) under(t *testing.T, parameters map[string]string) {
	t.Helper()
	r.Parameters = parameters
	r.RoleARN = r.Role("../../../infra/template", "ClusterFunctionRole")
}

// parameters are the template's parameters for whoever has Regions, roles and policies of their own.
var parameters = map[string]string{
	"AttachablePolicies": "arn:aws:iam::*:policy/*",
	"GivenRoles":         "arn:aws:iam::" + account + ":role/*",
}

// TestGrants makes and deletes the clusters of all examples with the permissions that the template gives, and with no others.
func TestGrants(t *testing.T) {
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
				p := maps.Clone(parameters)
				if id := r.names(text)[0]; id.Region != region {
					p["Regions"] = id.Region
				}
				r.under(t, p)
				defer r.allowed(t)
				r.make(text, nil, nil)
				done := r.Finished()
				if len(done) != 1 || done[0].Outcome != events.OutcomeActive {
					t.Errorf("%s", last(r.Told(), 6))
				}
				r.end(text, "request-2", true)
				if done := r.ended(); done.Outcome != events.OutcomeDeleted {
					t.Errorf("%s", last(r.Told(), 6))
				}
			})
		})
	}
}
