package spec

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

var (
	labelName  = regexp.MustCompile(`^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$`)
	labelValue = regexp.MustCompile(`^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$`)
)

const maxLabels = 50 // EKS's, of labels and of taints

// kubeletLabels are those of Kubernetes' own that a kubelet may give itself, beside what is below kubelet. and
// node.kubernetes.io (k8s.io/kubelet/pkg/apis).
var kubeletLabels = []string{"kubernetes.io/hostname", "topology.kubernetes.io/zone", "topology.kubernetes.io/region",
	"failure-domain.beta.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/region", "beta.kubernetes.io/instance-type",
	"node.kubernetes.io/instance-type", "kubernetes.io/os", "kubernetes.io/arch", "beta.kubernetes.io/os", "beta.kubernetes.io/arch"}

func kubeletLabel(name, domain string) bool {
	for _, d := range []string{"kubelet.kubernetes.io", "node.kubernetes.io"} {
		if domain == d || strings.HasSuffix(domain, "."+d) {
			return true
		}
	}
	return slices.Contains(kubeletLabels, name)
}

// nodeLabels are the spec's and the two that eksctl gives, which workloads select by.
func (v value) nodeLabels(cluster, group string, managed bool) map[string]string {
	labels := v.plainLabels()
	if labels == nil {
		labels = map[string]string{}
	}
	below := func(domain string, roots ...string) bool {
		return slices.ContainsFunc(roots, func(r string) bool { return domain == r || strings.HasSuffix(domain, "."+r) })
	}
	for k := range labels {
		domain, _, ok := strings.Cut(k, "/")
		switch {
		case !ok:
		case managed && below(domain, "kubernetes.io", "k8s.io", "eks.amazonaws.com"):
			v.wrong("%q: EKS does not take labels of kubernetes.io, k8s.io and eks.amazonaws.com: use a name of your own", clip(k))
		case !managed && below(domain, "kubernetes.io", "k8s.io") && !kubeletLabel(k, domain):
			v.wrong("%q: a kubelet may not give itself labels of kubernetes.io and k8s.io: use a name of your own", clip(k))
		}
	}
	if len(labels) > maxLabels-2 {
		v.wrong("are %d: at most %d are possible beside eksctl's own", len(labels), maxLabels-2)
	}
	labels[fleet.LabelCluster], labels[fleet.LabelNodeGroup] = cluster, group
	return labels
}

var effects = []string{"NoSchedule", "PreferNoSchedule", "NoExecute"}

// taints are a list with key, value and effect; or, in eksctl's older form, a mapping of keys to "value:effect" or "effect".
func (v value) taints() []fleet.Taint {
	var out []fleet.Taint
	add := func(at value, t fleet.Taint) {
		if !labelName.MatchString(t.Key) || !labelValue.MatchString(t.Value) {
			at.wrong("key %q with value %q is no taint", clip(t.Key), clip(t.Value))
		}
		if slices.ContainsFunc(out, func(o fleet.Taint) bool { return o.Key == t.Key && o.Effect == t.Effect }) {
			at.wrong("there is a taint %s with effect %s already: drop one", clip(t.Key), t.Effect)
		}
		if len(out) <= maxLabels { // more are wrong anyway, and comparing takes time
			out = append(out, t)
		}
	}
	if v.there() && v.n.Kind == yaml.MappingNode {
		for _, e := range v.entries() {
			val, effect, ok := strings.Cut(e.text(""), ":")
			if !ok {
				val, effect = "", val
			}
			if !slices.Contains(effects, effect) {
				e.wrong("must be \"value:effect\", the effect one of %s", strings.Join(effects, ", "))
			}
			add(e.value, fleet.Taint{Key: e.key, Value: val, Effect: effect})
		}
		slices.SortFunc(out, func(a, b fleet.Taint) int { return cmp.Compare(a.Key, b.Key) })
	} else {
		for _, item := range v.mappings() {
			t := fleet.Taint{Key: item.at("key").text(""), Value: item.at("value").text(""), Effect: item.at("effect").oneOf("", effects...)}
			if !item.at("effect").there() {
				item.at("effect").wrong("is missing: one of %s", strings.Join(effects, ", "))
			}
			add(item, t)
		}
	}
	if len(out) > maxLabels {
		v.wrong("are too many: EKS takes %d at most", maxLabels)
	}
	return out
}
