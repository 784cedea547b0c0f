package workload

import (
	"slices"
	"strconv"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// This file has Kubernetes' rules of labels, taints and selectors once more, beside those of the solver: what checks a plan
// must not share its mistakes.

// holds tells whether labels meet a requirement, by the rules of node selectors. Label selectors have the same for their four
// operators.
func holds(labels map[string]string, r fleet.Requirement) bool {
	v, ok := labels[r.Key]
	switch r.Operator {
	case "In":
		return ok && slices.Contains(r.Values, v)
	case "NotIn":
		return !ok || !slices.Contains(r.Values, v)
	case "Exists":
		return ok
	case "DoesNotExist":
		return !ok
	case "Gt", "Lt":
		if len(r.Values) != 1 {
			return false
		}
		have, haveOK := number(v)
		want, wantOK := number(r.Values[0])
		return ok && haveOK && wantOK && (r.Operator == "Gt" && have > want || r.Operator == "Lt" && have < want)
	}
	return false
}

func number(s string) (int64, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}

// selects tells whether a selector selects labels.
func selects(s *fleet.Selector, labels map[string]string) bool {
	if s == nil {
		return false
	}
	for k, v := range s.Labels {
		if have, ok := labels[k]; !ok || have != v {
			return false
		}
	}
	return !slices.ContainsFunc(s.Requirements, func(r fleet.Requirement) bool { return !holds(labels, r) })
}

// termHolds tells whether a node meets a term. One without requirements is met by none.
func termHolds(t fleet.NodeTerm, name string, labels map[string]string) bool {
	if len(t.Labels)+len(t.Fields) == 0 {
		return false
	}
	unmet := func(r fleet.Requirement) bool { return !holds(labels, r) }
	field := map[string]string{"metadata.name": name}
	return !slices.ContainsFunc(t.Labels, unmet) && !slices.ContainsFunc(t.Fields, func(r fleet.Requirement) bool { return !holds(field, r) })
}

// wantsNode tells whether a node is one of those that a demand's selector and required affinity name.
func wantsNode(d *fleet.Demand, name string, labels map[string]string) bool {
	for k, v := range d.NodeSelector {
		if have, ok := labels[k]; !ok || have != v {
			return false
		}
	}
	return d.NodeTerms == nil || slices.ContainsFunc(d.NodeTerms, func(t fleet.NodeTerm) bool { return termHolds(t, name, labels) })
}

// tolerates tells whether all taints that keep pods away are tolerated, and names the first that is not.
func tolerates(tolerations []fleet.Toleration, taints []fleet.Taint) (fleet.Taint, bool) {
	for _, taint := range taints {
		if taint.Effect == "PreferNoSchedule" {
			continue
		}
		if !slices.ContainsFunc(tolerations, func(t fleet.Toleration) bool { return t.Tolerates(taint) }) {
			return taint, false
		}
	}
	return fleet.Taint{}, true
}
