package workload

import (
	"fmt"
	"slices"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// check says the first thing that is wrong with what a pod asks for.
func (s *PodSpec) check(at string) error {
	if err := amounts(map[string]int64{"cpuMilli": s.CPUMilli, "memMiB": s.MemMiB >> 7, "storageMiB": s.StorageMiB >> 7, "gpus": s.GPUs}, maxMilli, at+"."); err != nil {
		return err
	}
	if err := amounts(s.Resources, maxCount, at+".resources."); err != nil {
		return err
	}
	for name, n := range map[string]int{
		"labels": len(s.Labels), "tolerations": len(s.Tolerations), "nodeSelector": len(s.NodeSelector), "nodeAffinity": len(s.NodeAffinity),
		"topologySpread": len(s.TopologySpread), "podAffinity": len(s.PodAffinity), "podAntiAffinity": len(s.PodAntiAffinity),
		"hostPorts": len(s.HostPorts), "volumes": len(s.Volumes), "resources": len(s.Resources),
	} {
		if n > maxList {
			return fmt.Errorf("%s.%s: there are more than %d", at, name, maxList)
		}
	}
	for i, t := range s.Tolerations {
		if !slices.Contains([]string{"", "Equal", "Exists"}, t.Operator) || t.Key == "" && t.Operator != "Exists" {
			return fmt.Errorf("%s.tolerations[%d]: needs a key or the operator Exists, and no other operator than Equal", at, i)
		}
	}
	if err := s.checkNodes(at); err != nil {
		return err
	}
	if err := s.checkPods(at); err != nil {
		return err
	}
	for i, p := range s.HostPorts {
		if p.Port < 1 || p.Port > 65535 || !slices.Contains([]string{"", "TCP", "UDP", "SCTP"}, p.Protocol) {
			return fmt.Errorf("%s.hostPorts[%d]: a port is 1 to 65535 of TCP, UDP or SCTP", at, i)
		}
	}
	for i, v := range s.Volumes {
		if v.Name == "" {
			return fmt.Errorf("%s.volumes[%d].name: is missing", at, i)
		}
	}
	return nil
}

func (s *PodSpec) checkNodes(at string) error {
	for i, t := range s.NodeAffinity {
		if err := requirements(t.MatchExpressions, fmt.Sprintf("%s.nodeAffinity[%d]", at, i), true); err != nil {
			return err
		}
	}
	for i, t := range s.PreferredNodeAffinity {
		at := fmt.Sprintf("%s.preferredNodeAffinity[%d]", at, i)
		if err := weight(t.Weight, at); err != nil {
			return err
		}
		if err := requirements(t.MatchExpressions, at, true); err != nil {
			return err
		}
	}
	return nil
}

func (s *PodSpec) checkPods(at string) error {
	for i, c := range s.TopologySpread {
		at := fmt.Sprintf("%s.topologySpread[%d]", at, i)
		switch {
		case c.TopologyKey == "":
			return fmt.Errorf("%s.topologyKey: is missing", at)
		case c.MaxSkew < 1:
			return fmt.Errorf("%s.maxSkew: is %d, and shall be 1 or more", at, c.MaxSkew)
		case c.MinDomains < 0:
			return fmt.Errorf("%s.minDomains: is negative", at)
		case !slices.Contains([]string{"", "DoNotSchedule", "ScheduleAnyway"}, c.WhenUnsatisfiable):
			return fmt.Errorf("%s.whenUnsatisfiable: %q is neither DoNotSchedule nor ScheduleAnyway", at, c.WhenUnsatisfiable)
		case !slices.Contains([]string{"", "Honor", "Ignore"}, c.NodeAffinityPolicy), !slices.Contains([]string{"", "Honor", "Ignore"}, c.NodeTaintsPolicy):
			return fmt.Errorf("%s: a policy is neither Honor nor Ignore", at)
		}
		if err := requirements(c.MatchExpressions, at, false); err != nil {
			return err
		}
	}
	for name, terms := range map[string][]PodTerm{"podAffinity": s.PodAffinity, "podAntiAffinity": s.PodAntiAffinity} {
		for i, t := range terms {
			if err := t.check(fmt.Sprintf("%s.%s[%d]", at, name, i)); err != nil {
				return err
			}
		}
	}
	for name, terms := range map[string][]PreferredPod{"preferredPodAffinity": s.PreferredPodAffinity, "preferredPodAntiAffinity": s.PreferredPodAntiAffinity} {
		for i, t := range terms {
			at := fmt.Sprintf("%s.%s[%d]", at, name, i)
			if err := weight(t.Weight, at); err != nil {
				return err
			}
			if err := t.check(at); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t PodTerm) check(at string) error {
	if t.TopologyKey == "" {
		return fmt.Errorf("%s.topologyKey: is missing", at)
	}
	return requirements(t.MatchExpressions, at, false)
}

func weight(w int, at string) error {
	if w < 1 || w > 100 {
		return fmt.Errorf("%s.weight: is %d, and shall be 1 to 100", at, w)
	}
	return nil
}

// requirements checks the expressions of a selector; Gt and Lt are of nodes only.
func requirements(list []fleet.Requirement, at string, nodes bool) error {
	for i, r := range list {
		at := fmt.Sprintf("%s.matchExpressions[%d]", at, i)
		if !nodes && (r.Operator == "Gt" || r.Operator == "Lt") {
			return fmt.Errorf("%s.operator: %s is for nodes only", at, r.Operator)
		}
		if err := requirement(r, at); err != nil {
			return err
		}
	}
	return nil
}
