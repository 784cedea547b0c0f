package eks

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

var (
	labelName  = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$`)
	labelValue = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$`)
)

// validKey tells whether Kubernetes takes the key of a label or taint: an optional domain and a name.
func validKey(key string) bool {
	domain, name, ok := strings.Cut(key, "/")
	if !ok {
		domain, name = "", key
	}
	return labelName.MatchString(name) && (!ok || domain != "" && len(domain) <= 253)
}

func checkLabels(cluster string, labels map[string]string) error {
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		for _, reserved := range []string{"kubernetes.io/", "k8s.io/", "eks.amazonaws.com/"} {
			if strings.HasPrefix(k, reserved) {
				return invalidParameter(cluster, "Label cannot contain reserved prefixes [kubernetes.io/, k8s.io/, eks.amazonaws.com/]")
			}
		}
		if !validKey(k) || !labelValue.MatchString(labels[k]) {
			return invalidParameter(cluster, "The label %q with value %q is invalid: Kubernetes would not take it", k, labels[k])
		}
	}
	return nil
}

func checkTaints(cluster string, taints []taint) error {
	if len(taints) > 50 {
		return invalidParameter(cluster, "A node group can have at most 50 taints")
	}
	for _, t := range taints {
		if !validKey(t.Key) || !labelValue.MatchString(t.Value) || effects[t.Effect] == "" {
			return invalidParameter(cluster, "The taint %q with value %q and effect %q is invalid: it needs a key and one of the effects NO_SCHEDULE, NO_EXECUTE, PREFER_NO_SCHEDULE", t.Key, t.Value, t.Effect)
		}
	}
	return nil
}
