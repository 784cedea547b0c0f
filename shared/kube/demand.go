package kube

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// surroundings is what a pod's demand depends on beside the pod: read only if some pod needs it.
type surroundings interface {
	// namespaces are the names of those that a selector selects.
	namespaces(s *metav1.LabelSelector) ([]string, error)
	// volume is a claim as a volume of the pod, or what keeps the scheduler from placing the pod.
	volume(namespace, claim string, template *corev1.PersistentVolumeClaimSpec) (v fleet.Volume, unsupported string, err error)
}

// demandOf reads what a pod, or a DaemonSet's template, asks of its node.
func demandOf(p *corev1.Pod, around surroundings) (fleet.Demand, error) {
	s := &p.Spec
	d := fleet.Demand{
		Requests: requests(p), NodeSelector: zoned(s.NodeSelector), HostPorts: hostPorts(s), Unsupported: unsupported(s), Spread: spread(p),
	}
	if err := affinities(&d, p, around); err != nil {
		return d, err
	}
	for _, v := range s.Volumes {
		var claim string
		var template *corev1.PersistentVolumeClaimSpec
		switch {
		case v.PersistentVolumeClaim != nil:
			claim = v.PersistentVolumeClaim.ClaimName
		case v.Ephemeral != nil && v.Ephemeral.VolumeClaimTemplate != nil:
			claim, template = p.Name+"-"+v.Name, &v.Ephemeral.VolumeClaimTemplate.Spec
		case v.AWSElasticBlockStore != nil, v.GCEPersistentDisk != nil, v.Cinder != nil, v.AzureDisk != nil:
			d.Unsupported = append(d.Unsupported, "volume "+v.Name+" of a disk named in the pod itself")
			continue
		default:
			continue
		}
		volume, why, err := around.volume(p.Namespace, claim, template)
		if err != nil {
			return d, err
		}
		if why != "" {
			d.Unsupported = append(d.Unsupported, why)
			continue
		}
		d.Volumes = append(d.Volumes, volume)
	}
	return d, nil
}

// unsupported names what nobody here plans for.
func unsupported(s *corev1.PodSpec) (names []string) {
	if s.SchedulingGroup != nil {
		names = append(names, "schedulingGroup")
	}
	if len(s.ResourceClaims) > 0 {
		names = append(names, "resourceClaims")
	}
	return names
}

// hostPorts are those that the scheduler counts: of containers and sidecars. On the host's network each port is the host's.
func hostPorts(s *corev1.PodSpec) (out []fleet.HostPort) {
	add := func(c *corev1.Container) {
		for _, port := range c.Ports {
			h := fleet.HostPort{Port: port.HostPort, Protocol: string(port.Protocol), IP: port.HostIP}
			if h.Port == 0 && s.HostNetwork {
				h.Port = port.ContainerPort
			}
			if h.Protocol == string(corev1.ProtocolTCP) {
				h.Protocol = ""
			}
			if h.IP == "0.0.0.0" {
				h.IP = ""
			}
			if h.Port > 0 {
				out = append(out, h)
			}
		}
	}
	for i := range s.Containers {
		add(&s.Containers[i])
	}
	for i := range s.InitContainers {
		if sidecar(&s.InitContainers[i]) {
			add(&s.InitContainers[i])
		}
	}
	return out
}

func spread(p *corev1.Pod) (out []fleet.Spread) {
	for _, c := range p.Spec.TopologySpreadConstraints {
		s := fleet.Spread{
			MaxSkew: int(c.MaxSkew), TopologyKey: zoneLabel(c.TopologyKey), Soft: c.WhenUnsatisfiable == corev1.ScheduleAnyway,
			Selector:       selector(c.LabelSelector, p.Labels, c.MatchLabelKeys, nil),
			IgnoreAffinity: c.NodeAffinityPolicy != nil && *c.NodeAffinityPolicy == corev1.NodeInclusionPolicyIgnore,
			HonorTaints:    c.NodeTaintsPolicy != nil && *c.NodeTaintsPolicy == corev1.NodeInclusionPolicyHonor,
		}
		if c.MinDomains != nil {
			s.MinDomains = int(*c.MinDomains)
		}
		out = append(out, s)
	}
	return out
}

// affinities reads those to nodes and to pods.
func affinities(d *fleet.Demand, p *corev1.Pod, around surroundings) (err error) {
	a := p.Spec.Affinity
	if a == nil {
		return nil
	}
	if n := a.NodeAffinity; n != nil {
		if r := n.RequiredDuringSchedulingIgnoredDuringExecution; r != nil {
			d.NodeTerms = nodeTerms(r.NodeSelectorTerms)
		}
		for _, t := range n.PreferredDuringSchedulingIgnoredDuringExecution {
			d.PreferredNodes = append(d.PreferredNodes, fleet.PreferredNode{Weight: int(t.Weight), Term: nodeTerm(t.Preference)})
		}
	}
	if n := a.PodAffinity; n != nil {
		if d.Affinity, err = podTerms(p, n.RequiredDuringSchedulingIgnoredDuringExecution, around); err != nil {
			return err
		}
		if d.PreferredAffinity, err = preferredPods(p, n.PreferredDuringSchedulingIgnoredDuringExecution, around); err != nil {
			return err
		}
	}
	if n := a.PodAntiAffinity; n != nil {
		if d.AntiAffinity, err = podTerms(p, n.RequiredDuringSchedulingIgnoredDuringExecution, around); err != nil {
			return err
		}
		d.PreferredAntiAffinity, err = preferredPods(p, n.PreferredDuringSchedulingIgnoredDuringExecution, around)
	}
	return err
}

func nodeTerms(list []corev1.NodeSelectorTerm) []fleet.NodeTerm {
	out := make([]fleet.NodeTerm, len(list))
	for i, t := range list {
		out[i] = nodeTerm(t)
	}
	return out
}

func nodeTerm(t corev1.NodeSelectorTerm) fleet.NodeTerm {
	return fleet.NodeTerm{Labels: requirements(t.MatchExpressions), Fields: requirements(t.MatchFields)}
}

func requirements(list []corev1.NodeSelectorRequirement) (out []fleet.Requirement) {
	for _, r := range list {
		out = append(out, fleet.Requirement{Key: zoneLabel(r.Key), Operator: string(r.Operator), Values: r.Values})
	}
	return out
}

// zoneLabel gives the labels that mean a zone one name. Volumes carry that of the EBS driver, which a node gets only when the
// driver's pod runs there: a node that is yet to be made has the well-known one alone. The last is the one before 1.17.
func zoneLabel(key string) string {
	switch key {
	case "topology.ebs.csi.aws.com/zone", "failure-domain.beta.kubernetes.io/zone":
		return fleet.LabelZone
	}
	return key
}

// zoned is a node selector that speaks of zones by the well-known label. One that names two zones stays as it is: it matches nothing.
func zoned(selector map[string]string) map[string]string {
	out := maps.Clone(selector)
	for key, value := range selector {
		name := zoneLabel(key)
		if name == key {
			continue
		}
		if other, there := out[name]; there && other != value {
			return selector
		}
		delete(out, key)
		out[name] = value
	}
	return out
}

func podTerms(p *corev1.Pod, list []corev1.PodAffinityTerm, around surroundings) (out []fleet.PodTerm, err error) {
	for _, t := range list {
		term, err := podTerm(p, t, around)
		if err != nil {
			return nil, err
		}
		out = append(out, term)
	}
	return out, nil
}

func preferredPods(p *corev1.Pod, list []corev1.WeightedPodAffinityTerm, around surroundings) (out []fleet.PreferredPod, err error) {
	for _, t := range list {
		term, err := podTerm(p, t.PodAffinityTerm, around)
		if err != nil {
			return nil, err
		}
		out = append(out, fleet.PreferredPod{Weight: int(t.Weight), Term: term})
	}
	return out, nil
}

// nowhere is a namespace that no pod is in.
const nowhere = ""

func podTerm(p *corev1.Pod, t corev1.PodAffinityTerm, around surroundings) (fleet.PodTerm, error) {
	term := fleet.PodTerm{
		TopologyKey: zoneLabel(t.TopologyKey), Namespaces: t.Namespaces,
		Selector: selector(t.LabelSelector, p.Labels, t.MatchLabelKeys, t.MismatchLabelKeys),
	}
	switch s := t.NamespaceSelector; {
	case s == nil:
	case len(s.MatchLabels)+len(s.MatchExpressions) == 0:
		term.Namespaces, term.AllNamespaces = nil, true
	default:
		names, err := around.namespaces(s)
		if err != nil {
			return term, err
		}
		term.Namespaces = append(slices.Clone(t.Namespaces), names...)
		slices.Sort(term.Namespaces)
		if term.Namespaces = slices.Compact(term.Namespaces); len(term.Namespaces) == 0 {
			term.Namespaces = []string{nowhere} // none would mean the pod's own
		}
	}
	return term, nil
}

// selector translates a label selector, and adds the pod's own values of the keys. API servers merge them into the selector
// when the pod is made; older ones did not.
func selector(s *metav1.LabelSelector, labels map[string]string, match, mismatch []string) *fleet.Selector {
	if s == nil {
		return nil
	}
	out := &fleet.Selector{Labels: s.MatchLabels}
	for _, r := range s.MatchExpressions {
		out.Requirements = append(out.Requirements, fleet.Requirement{Key: r.Key, Operator: string(r.Operator), Values: r.Values})
	}
	add := func(keys []string, operator metav1.LabelSelectorOperator) {
		for _, k := range keys {
			v, ok := labels[k]
			r := fleet.Requirement{Key: k, Operator: string(operator), Values: []string{v}}
			if ok && !slices.ContainsFunc(out.Requirements, func(o fleet.Requirement) bool {
				return o.Key == k && o.Operator == r.Operator && slices.Equal(o.Values, r.Values)
			}) {
				out.Requirements = append(out.Requirements, r)
			}
		}
	}
	add(match, metav1.LabelSelectorOpIn)
	add(mismatch, metav1.LabelSelectorOpNotIn)
	return out
}
