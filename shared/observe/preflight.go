package observe

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/ekspedite/ekspedite/shared/decide/preflight"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Surroundings reads what a cluster that is to be made would find in its account.
type Surroundings interface {
	// Fact answers a preflight.Question. What does not exist is fault.NotFound.
	Fact(ctx context.Context, kind, name string) (fleet.Props, error)
	// Simulate says what a role may do to a resource: IAM's EvaluationResults.
	Simulate(ctx context.Context, role, resource string, keys map[string][]string, actions []string) ([]fleet.Props, error)
}

// atOnce is how many facts are read in parallel. IAM's simulation is throttled early.
const (
	atOnce      = 10
	simulations = 4
)

// Preflight answers questions. What cannot be read is a part of the answer, and never a failure: a check that could not be
// made must not be in the way of what may well work.
func Preflight(ctx context.Context, aws Surroundings, f preflight.Facts, q preflight.Questions) preflight.Facts {
	f.Found, f.Unread, f.Missing = map[preflight.Question]fleet.Props{}, map[preflight.Question]preflight.Unread{}, nil
	var mu sync.Mutex
	parallel(atOnce, q.Facts, func(q preflight.Question) {
		p, err := aws.Fact(ctx, q.Kind, q.Name)
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err == nil:
			f.Found[q] = p
		case fault.Is(err, fault.NotFound):
			f.Found[q] = nil
		default:
			f.Unread[q] = preflight.Unread{Denied: fault.Is(err, fault.Denied), Text: err.Error()}
		}
	})
	parallel(simulations, batches(q.Permissions), func(list []preflight.Permission) {
		var actions []string
		for _, p := range list {
			actions = append(actions, p.Action)
		}
		results, err := aws.Simulate(ctx, f.Role, list[0].Resource, list[0].Context, actions)
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			f.Unread[preflight.Question{Kind: "permissions"}] = preflight.Unread{Denied: fault.Is(err, fault.Denied), Text: err.Error()}
			return
		}
		for _, p := range list {
			if m, missing := lacks(p, results); missing {
				f.Missing = append(f.Missing, m)
			}
		}
	})
	slices.SortFunc(f.Missing, func(a, b preflight.Missing) int { return strings.Compare(a.Action+a.Resource, b.Action+b.Resource) })
	return f
}

// parallel does something for all items, a few at once.
func parallel[T any](width int, items []T, do func(T)) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, width)
	for _, item := range items {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			do(item)
		})
	}
	wg.Wait()
}

// batches are permissions that one simulation can answer: for one resource, with the same condition keys.
func batches(list []preflight.Permission) (out [][]preflight.Permission) {
	for _, p := range list {
		i := slices.IndexFunc(out, func(b []preflight.Permission) bool {
			return b[0].Resource == p.Resource && maps.EqualFunc(b[0].Context, p.Context, slices.Equal)
		})
		if i < 0 {
			out = append(out, []preflight.Permission{p})
		} else {
			out[i] = append(out[i], p)
		}
	}
	return out
}

// lacks reads IAM's answer about a permission.
func lacks(p preflight.Permission, results []fleet.Props) (preflight.Missing, bool) {
	for _, r := range results {
		decision := fleet.Text(r, "evalDecision")
		if !strings.EqualFold(fleet.Text(r, "evalActionName"), p.Action) || decision == "allowed" {
			continue
		}
		m := preflight.Missing{Permission: p, Explicit: decision == "explicitDeny", Keys: fleet.Texts(r, "missingContextValues")}
		if b, ok := fleet.At(r, "permissionsBoundaryDecisionDetail").(fleet.Props); ok && !fleet.Flag(b, "allowedByPermissionsBoundary") {
			m.By = "the permissions boundary"
		}
		if o, ok := fleet.At(r, "organizationsDecisionDetail").(fleet.Props); ok && !fleet.Flag(o, "allowedByOrganizations") {
			m.By, m.Keys = "a service control policy of the organization", nil
		}
		return m, true
	}
	return preflight.Missing{}, false
}
