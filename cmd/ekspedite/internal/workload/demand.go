package workload

import (
	"maps"
	"slices"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// shared is what pods of one PodSpec have in common.
type shared struct {
	demand      *fleet.Demand
	tolerations []fleet.Toleration
}

// pod is a pod as decisions know it. Pods of one PodSpec share its maps and its demand.
func (p Pod) pod(known map[*PodSpec]*shared, namespace string) fleet.Pod {
	s, ok := known[p.PodSpec]
	if !ok {
		s = &shared{demand: p.demand()}
		for _, t := range p.Tolerations {
			s.tolerations = append(s.tolerations, t.Toleration)
		}
		known[p.PodSpec] = s
	}
	out := fleet.Pod{
		Namespace: namespace, Name: p.Name, UID: p.Name, Node: p.Node, Labels: p.Labels, Phase: "Pending",
		Priority: p.Priority, Tolerations: s.tolerations, Demand: s.demand,
	}
	if p.Namespace != "" {
		out.Namespace, out.UID = p.Namespace, p.ID()
	}
	if p.Owner != "" {
		out.Owner = fleet.Owner{Kind: "ReplicaSet", Name: p.Owner}
	}
	return out
}

func (s *PodSpec) demand() *fleet.Demand {
	d := &fleet.Demand{
		Requests: fleet.Resources{CPU: s.CPUMilli, Memory: s.MemMiB * mib, Storage: s.StorageMiB * mib, Other: extended(s.Resources, s.GPUs)},

		NodeSelector: maps.Clone(s.NodeSelector), HostPorts: s.HostPorts,
	}
	for _, t := range s.NodeAffinity {
		d.NodeTerms = append(d.NodeTerms, fleet.NodeTerm{Labels: t.MatchExpressions})
	}
	for _, t := range s.PreferredNodeAffinity {
		d.PreferredNodes = append(d.PreferredNodes, fleet.PreferredNode{Weight: t.Weight, Term: fleet.NodeTerm{Labels: t.MatchExpressions}})
	}
	for _, c := range s.TopologySpread {
		d.Spread = append(d.Spread, fleet.Spread{
			MaxSkew: c.MaxSkew, TopologyKey: c.TopologyKey, Soft: c.WhenUnsatisfiable == "ScheduleAnyway", Selector: c.fleet(), MinDomains: c.MinDomains,
			IgnoreAffinity: c.NodeAffinityPolicy == "Ignore", HonorTaints: c.NodeTaintsPolicy == "Honor",
		})
	}
	d.Affinity, d.AntiAffinity = terms(s.PodAffinity), terms(s.PodAntiAffinity)
	d.PreferredAffinity, d.PreferredAntiAffinity = preferred(s.PreferredPodAffinity), preferred(s.PreferredPodAntiAffinity)
	for _, v := range s.Volumes {
		d.Volumes = append(d.Volumes, s.volume(v))
	}
	return d
}

func (s Selector) fleet() *fleet.Selector {
	return &fleet.Selector{Labels: s.MatchLabels, Requirements: s.MatchExpressions}
}

func (t PodTerm) fleet() fleet.PodTerm {
	return fleet.PodTerm{TopologyKey: t.TopologyKey, Selector: t.Selector.fleet(), Namespaces: t.Namespaces, AllNamespaces: t.AllNamespaces}
}

func terms(list []PodTerm) (out []fleet.PodTerm) {
	for _, t := range list {
		out = append(out, t.fleet())
	}
	return out
}

func preferred(list []PreferredPod) (out []fleet.PreferredPod) {
	for _, t := range list {
		out = append(out, fleet.PreferredPod{Weight: t.Weight, Term: t.fleet()})
	}
	return out
}

func (s *PodSpec) volume(v Volume) fleet.Volume {
	namespace := s.Namespace
	if namespace == "" {
		namespace = defaultNamespace
	}
	out := fleet.Volume{ID: namespace + "/" + v.Name, Driver: v.Driver, Alone: v.Alone}
	if len(v.Zones) > 0 {
		out.Where = []fleet.NodeTerm{{Labels: []fleet.Requirement{{Key: fleet.LabelZone, Operator: "In", Values: slices.Clone(v.Zones)}}}}
	}
	return out
}
