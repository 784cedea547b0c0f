package cluster

import (
	"cmp"
	"reflect"
	"slices"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// InterruptionGroup is the Kubernetes group of the function that drains nodes.
const InterruptionGroup = "ekspedite:interruption"

// InterruptionAccess is all that draining nodes takes in a cluster, and nothing else: read and patch nodes, read, evict and
// delete pods, read budgets, and leave events for people.
func InterruptionAccess() fleet.ClusterAccess {
	return fleet.ClusterAccess{
		Name:   "ekspedite-interruption",
		Groups: []string{InterruptionGroup},
		Rules: []fleet.Rule{
			{APIGroups: []string{""}, Resources: []string{"nodes"}, Verbs: []string{"get", "list", "patch"}},
			{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"get", "list", "delete"}},
			{APIGroups: []string{""}, Resources: []string{"pods/eviction"}, Verbs: []string{"create"}},
			{APIGroups: []string{""}, Resources: []string{"events"}, Verbs: []string{"create"}},
			{APIGroups: []string{"policy"}, Resources: []string{"poddisruptionbudgets"}, Verbs: []string{"list"}},
		},
	}
}

// Entries are the access entries that the cluster shall have: the spec's, and the interruption function's.
func Entries(s fleet.ClusterSpec, opt Options) []fleet.AccessSpec {
	var out []fleet.AccessSpec
	ours := false
	for _, a := range s.Access {
		if a.Principal == opt.InterruptionRole {
			ours = true
			a.Groups = append(slices.Clone(a.Groups), InterruptionGroup)
		}
		out = append(out, a)
	}
	if !ours && opt.InterruptionRole != "" {
		out = append([]fleet.AccessSpec{{Principal: opt.InterruptionRole, Groups: []string{InterruptionGroup}}}, out...)
	}
	return out
}

// access is who may come in, and what the interruption function may do there.
func (b *builder) access() {
	for _, want := range Entries(b.s, b.opt) {
		id := "access/" + want.Principal
		have, exists := b.o.Entries[want.Principal]
		b.add("access", id, exists, func(of plan.Of) plan.Action {
			return plan.CreateAccessEntry{
				Of: of, Principal: want.Principal, Username: want.Username, Groups: want.Groups, Tags: owned(b.s),
				Token: token(b.opt, b.s.Name, id),
			}
		}, idCluster)
		if exists && !sameSet(have.Groups, want.Groups) {
			b.notes = append(b.notes, notConverged("access entry of "+want.Principal, "groups"))
		}
		if exists && want.Username != "" && want.Username != have.Username {
			b.notes = append(b.notes, notConverged("access entry of "+want.Principal, "user name"))
		}
	}
	want := InterruptionAccess()
	exists := b.o.Access != nil && sameAccess(*b.o.Access, want)
	b.add("access", IDAccess, exists, func(of plan.Of) plan.Action {
		return plan.PutClusterAccess{Of: of, Access: want}
	}, idCluster)
	if b.o.Unreachable != "" {
		r := &b.list[len(b.list)-1]
		r.state, r.detail = pending, "the API server ("+b.o.Unreachable+")"
	}
}

// sameAccess compares without regard to order.
func sameAccess(a, b fleet.ClusterAccess) bool {
	rules := func(c fleet.ClusterAccess) []fleet.Rule {
		out := make([]fleet.Rule, len(c.Rules))
		for i, r := range c.Rules {
			out[i] = fleet.Rule{APIGroups: sorted(r.APIGroups), Resources: sorted(r.Resources), Verbs: sorted(r.Verbs)}
		}
		slices.SortFunc(out, func(x, y fleet.Rule) int {
			return cmp.Or(slices.Compare(x.APIGroups, y.APIGroups), slices.Compare(x.Resources, y.Resources), slices.Compare(x.Verbs, y.Verbs))
		})
		return out
	}
	return sameSet(a.Groups, b.Groups) && reflect.DeepEqual(rules(a), rules(b))
}

func sorted(list []string) []string {
	out := append([]string{}, list...)
	slices.Sort(out)
	return out
}

func sameSet(a, b []string) bool {
	return slices.Equal(slices.Compact(sorted(a)), slices.Compact(sorted(b)))
}
