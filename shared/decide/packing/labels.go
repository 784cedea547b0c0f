package packing

import (
	"slices"
	"strconv"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// fieldName is the only field of a node that an affinity can speak of.
const fieldName = "metadata.name"

// meets tells whether a set of labels meets a requirement, by Kubernetes' rules: NotIn and DoesNotExist hold where the label
// is absent, Gt and Lt need whole numbers on both sides.
func meets(labels map[string]string, r fleet.Requirement) bool {
	value, there := labels[r.Key]
	return holds(r, value, there)
}

func holds(r fleet.Requirement, value string, there bool) bool {
	switch r.Operator {
	case "In":
		return there && slices.Contains(r.Values, value)
	case "NotIn":
		return !there || !slices.Contains(r.Values, value)
	case "Exists":
		return there
	case "DoesNotExist":
		return !there
	case "Gt", "Lt":
		if !there || len(r.Values) != 1 {
			return false
		}
		have, err1 := strconv.ParseInt(value, 10, 64)
		want, err2 := strconv.ParseInt(r.Values[0], 10, 64)
		return err1 == nil && err2 == nil && (r.Operator == "Gt" && have > want || r.Operator == "Lt" && have < want)
	}
	return false
}

// meetsAny tells whether one of a node affinity's terms holds for a node of these labels and this name. nil terms hold; a
// term that asks for nothing does not.
func meetsAny(terms []fleet.NodeTerm, labels map[string]string, name string) bool {
	if terms == nil {
		return true
	}
	for i := range terms {
		if meetsTerm(&terms[i], labels, name) {
			return true
		}
	}
	return false
}

func meetsTerm(t *fleet.NodeTerm, labels map[string]string, name string) bool {
	for _, r := range t.Labels {
		if !meets(labels, r) {
			return false
		}
	}
	for _, r := range t.Fields {
		if r.Key != fieldName || !holds(r, name, name != "") {
			return false
		}
	}
	return len(t.Labels)+len(t.Fields) > 0
}

// selects tells whether a selector selects a pod of these labels.
func selects(s *fleet.Selector, labels map[string]string) bool {
	if s == nil {
		return false
	}
	for k, v := range s.Labels {
		if have, there := labels[k]; !there || have != v {
			return false
		}
	}
	for _, r := range s.Requirements {
		if !meets(labels, r) {
			return false
		}
	}
	return true
}

// keepsOff is a taint that keeps a pod off a node: NoSchedule or NoExecute, and not tolerated.
func keepsOff(taints []fleet.Taint, tolerations []fleet.Toleration) (fleet.Taint, bool) {
	for _, t := range taints {
		if t.Effect != "NoSchedule" && t.Effect != "NoExecute" {
			continue
		}
		if !slices.ContainsFunc(tolerations, func(x fleet.Toleration) bool { return x.Tolerates(t) }) {
			return t, true
		}
	}
	return fleet.Taint{}, false
}
