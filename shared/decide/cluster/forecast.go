package cluster

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// Forecast is the whole plan: all calls that would be made, in steps of what can run in parallel, if every call did what it
// says and AWS finished what it began. Ids that are not known yet look like ${vpc} in it.
func Forecast(now time.Time, o Observation, s fleet.ClusterSpec, opt Options) (plan.Plan, error) {
	p := plan.Plan{Subject: "cluster " + s.Name}
	o.Made, o.Troubles, o.Unreachable = nil, nil, ""
	g, notes, err := graph(o, s, opt)
	if err != nil {
		return p, err
	}
	p.Notes = notes
	return forecast(p, g, OutcomeActive), nil
}

func forecast(p plan.Plan, g []resource, success string) plan.Plan {
	level := map[string]int{} // step after which a resource serves others
	steps, calls := map[int][]resource{}, 0
	var wrong []string
	for _, r := range g { // each after those it needs
		at := 0
		for _, id := range r.needs {
			at = max(at, level[id])
		}
		p.Notes = union(p.Notes, r.notes)
		switch {
		case r.state == failed:
			wrong = append(wrong, r.detail)
		case len(r.do) > 0:
			steps[at] = append(steps[at], r)
			calls += len(r.do)
			level[r.id] = at + 1
		default:
			level[r.id] = at
		}
	}
	for at := 0; len(steps) > 0; at++ {
		var areas []string
		var actions []plan.Action
		for _, r := range steps[at] {
			if !slices.Contains(areas, r.area) {
				areas = append(areas, r.area)
			}
			for _, c := range r.do {
				actions = append(actions, c)
			}
		}
		p.Add(strings.Join(areas, ", "), actions...)
		delete(steps, at)
	}
	p.Outcome, p.Reason = success, fmt.Sprintf("%d calls make it what its spec says", calls)
	if calls == 0 {
		p.Reason = fmt.Sprintf("all %d resources are as its spec says: nothing to do", len(g))
	}
	if len(wrong) > 0 {
		p.Outcome, p.Reason = OutcomeFailed, strings.Join(wrong, "; ")
	}
	return p
}

func union(list, more []string) []string {
	for _, m := range more {
		if !slices.Contains(list, m) {
			list = append(list, m)
		}
	}
	return list
}
