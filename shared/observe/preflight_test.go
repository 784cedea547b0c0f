package observe_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ekspedite/ekspedite/shared/decide/preflight"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/observe"
)

// surroundings answers by the names of what is asked for.
type surroundings struct {
	mu        sync.Mutex
	simulated []string
	err       error
}

func (s *surroundings) Fact(_ context.Context, kind, name string) (fleet.Props, error) {
	switch name {
	case "absent":
		return nil, fault.New(fault.NotFound, "no")
	case "secret":
		return nil, fault.New(fault.Denied, "not you")
	case "broken":
		return nil, fault.New(fault.Throttled, "slower")
	}
	return fleet.Props{"kind": kind}, nil
}

func (s *surroundings) Simulate(_ context.Context, role, resource string, _ map[string][]string, actions []string) ([]fleet.Props, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.simulated = append(s.simulated, fmt.Sprint(role, resource, actions))
	slices.Sort(s.simulated)
	var out []fleet.Props
	for _, a := range actions {
		r := fleet.Props{"evalActionName": a, "evalDecision": "implicitDeny"}
		switch strings.TrimPrefix(a, "x:") {
		case "May":
			r["evalDecision"] = "allowed"
		case "Denied":
			r["evalDecision"] = "explicitDeny"
		case "Unclear":
			r["missingContextValues"] = []any{"aws:SourceIp"}
		case "Bounded":
			r["permissionsBoundaryDecisionDetail"] = fleet.Props{"allowedByPermissionsBoundary": false}
		case "Ruled":
			r["organizationsDecisionDetail"], r["missingContextValues"] = fleet.Props{"allowedByOrganizations": false}, []any{"k"}
		}
		out = append(out, r)
	}
	return out, s.err
}

func TestPreflightReadsEverythingAndFailsAtNothing(t *testing.T) {
	ask := func(name string) preflight.Question { return preflight.Question{Kind: "role", Name: name} }
	aws := &surroundings{}
	q := preflight.Questions{Facts: []preflight.Question{ask("there"), ask("absent"), ask("secret"), ask("broken")}}
	for _, a := range []string{"May", "Denied", "Unclear", "Bounded", "Ruled", "Missing"} {
		q.Permissions = append(q.Permissions, preflight.Permission{Action: "x:" + a, Resource: "*"})
	}
	q.Permissions = append(q.Permissions, preflight.Permission{Action: "x:May", Resource: "*", Context: map[string][]string{"k": {"v"}}})
	f := observe.Preflight(t.Context(), aws, preflight.Facts{Role: "r"}, q)
	if p, ok := f.Found[ask("there")]; !ok || p["kind"] != "role" {
		t.Errorf("%v", f.Found)
	}
	if p, ok := f.Found[ask("absent")]; !ok || p != nil {
		t.Errorf("what is not there: %v", f.Found)
	}
	if u := f.Unread; len(u) != 2 || !u[ask("secret")].Denied || u[ask("broken")].Denied || u[ask("broken")].Text == "" {
		t.Errorf("what could not be read: %v", u)
	}
	if len(aws.simulated) != 2 {
		t.Errorf("simulated %v", aws.simulated)
	}
	got := map[string]preflight.Missing{}
	for _, m := range f.Missing {
		got[m.Action] = m
	}
	if len(got) != 5 || !got["x:Denied"].Explicit || got["x:Missing"].Explicit || len(got["x:Unclear"].Keys) != 1 ||
		got["x:Bounded"].By != "the permissions boundary" || !strings.Contains(got["x:Ruled"].By, "organization") || len(got["x:Ruled"].Keys) != 0 {
		t.Errorf("%+v", f.Missing)
	}
	aws.err = fault.New(fault.Denied, "nobody may simulate")
	if f = observe.Preflight(t.Context(), aws, preflight.Facts{Role: "r"}, q); !f.Unread[preflight.Question{Kind: "permissions"}].Denied || len(f.Missing) > 0 {
		t.Errorf("%+v", f)
	}
}
