package schedulertest

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

func affinity(d fleet.Demand) *corev1.Affinity {
	var a corev1.Affinity
	if d.NodeTerms != nil || d.PreferredNodes != nil {
		a.NodeAffinity = &corev1.NodeAffinity{}
		if d.NodeTerms != nil {
			a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution = nodeSelector(d.NodeTerms)
		}
		for _, p := range d.PreferredNodes {
			a.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution = append(a.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution,
				corev1.PreferredSchedulingTerm{Weight: int32(p.Weight), Preference: nodeTerm(p.Term)})
		}
	}
	if len(d.Affinity)+len(d.PreferredAffinity) > 0 {
		a.PodAffinity = &corev1.PodAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution:  podTerms(d.Affinity),
			PreferredDuringSchedulingIgnoredDuringExecution: preferredPods(d.PreferredAffinity),
		}
	}
	if len(d.AntiAffinity)+len(d.PreferredAntiAffinity) > 0 {
		a.PodAntiAffinity = &corev1.PodAntiAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution:  podTerms(d.AntiAffinity),
			PreferredDuringSchedulingIgnoredDuringExecution: preferredPods(d.PreferredAntiAffinity),
		}
	}
	return &a
}

func nodeSelector(terms []fleet.NodeTerm) *corev1.NodeSelector {
	s := &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{}}
	for _, t := range terms {
		s.NodeSelectorTerms = append(s.NodeSelectorTerms, nodeTerm(t))
	}
	return s
}

func nodeTerm(t fleet.NodeTerm) corev1.NodeSelectorTerm {
	return corev1.NodeSelectorTerm{MatchExpressions: nodeRequirements(t.Labels), MatchFields: nodeRequirements(t.Fields)}
}

func nodeRequirements(list []fleet.Requirement) (out []corev1.NodeSelectorRequirement) {
	for _, r := range list {
		out = append(out, corev1.NodeSelectorRequirement{Key: r.Key, Operator: corev1.NodeSelectorOperator(r.Operator), Values: r.Values})
	}
	return out
}

func podTerms(list []fleet.PodTerm) (out []corev1.PodAffinityTerm) {
	for _, t := range list {
		out = append(out, podTerm(t))
	}
	return out
}

func podTerm(t fleet.PodTerm) corev1.PodAffinityTerm {
	term := corev1.PodAffinityTerm{TopologyKey: t.TopologyKey, LabelSelector: selector(t.Selector), Namespaces: t.Namespaces}
	if t.AllNamespaces {
		term.NamespaceSelector = &metav1.LabelSelector{}
	}
	return term
}

func preferredPods(list []fleet.PreferredPod) (out []corev1.WeightedPodAffinityTerm) {
	for _, t := range list {
		out = append(out, corev1.WeightedPodAffinityTerm{Weight: int32(t.Weight), PodAffinityTerm: podTerm(t.Term)})
	}
	return out
}

func selector(s *fleet.Selector) *metav1.LabelSelector {
	if s == nil {
		return nil
	}
	out := &metav1.LabelSelector{MatchLabels: s.Labels}
	for _, r := range s.Requirements {
		out.MatchExpressions = append(out.MatchExpressions, metav1.LabelSelectorRequirement{
			Key: r.Key, Operator: metav1.LabelSelectorOperator(r.Operator), Values: r.Values,
		})
	}
	return out
}

func spread(d fleet.Demand) (out []corev1.TopologySpreadConstraint) {
	for _, s := range d.Spread {
		c := corev1.TopologySpreadConstraint{
			MaxSkew: int32(s.MaxSkew), TopologyKey: s.TopologyKey, WhenUnsatisfiable: corev1.DoNotSchedule, LabelSelector: selector(s.Selector),
		}
		if s.Soft {
			c.WhenUnsatisfiable = corev1.ScheduleAnyway
		}
		if s.MinDomains > 0 {
			n := int32(s.MinDomains)
			c.MinDomains = &n
		}
		if s.IgnoreAffinity {
			ignore := corev1.NodeInclusionPolicyIgnore
			c.NodeAffinityPolicy = &ignore
		}
		if s.HonorTaints {
			honor := corev1.NodeInclusionPolicyHonor
			c.NodeTaintsPolicy = &honor
		}
		out = append(out, c)
	}
	return out
}
