package upgradepath

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// simulator carries out steps as EKS would, and refuses what EKS refuses. It shares no rule with the finder: both could be
// wrong in the same way.
type simulator struct {
	o      Observation
	now    time.Time
	strict bool
	back   bool // rolling back: add-ons go to older versions
}

// apply carries out one step.
func (s *simulator) apply(st Step) error {
	defer func() { s.now = s.now.Add(st.Takes) }()
	switch st.Kind {
	case StepBake:
		return nil
	case StepControlPlane:
		return s.controlPlane(st)
	case StepAddon:
		return s.addon(st)
	case StepNodeGroup:
		return s.nodeGroup(st)
	case StepRestart:
		for i := range s.o.Nodes {
			if s.o.Nodes[i].Kind == NodeFargate {
				s.o.Nodes[i].Kubelet = s.o.Version
			}
		}
		return nil
	}
	return fmt.Errorf("no such step: %s", st.Kind)
}

func (s *simulator) controlPlane(st Step) error {
	if st.From != s.o.Version.String() || st.To != st.Minor.String() {
		return fmt.Errorf("the step goes from %s to %s at %s", st.From, st.To, s.o.Version)
	}
	if s.back {
		return s.rollback(st)
	}
	if st.Minor != s.o.Version+1 {
		return fmt.Errorf("400 Unsupported Kubernetes minor version update from %s to %s", s.o.Version, st.Minor)
	}
	for _, g := range s.o.Groups {
		oldest := g.Version
		for _, n := range s.o.Nodes {
			if n.Group == g.Name {
				oldest = min(oldest, n.Kubelet)
			}
		}
		if st.Minor-oldest > 3 || oldest < 25 && st.Minor-oldest > 2 || s.strict && oldest != s.o.Version {
			return fmt.Errorf("400 Nodegroups %s must be updated to match cluster version %s before updating cluster version", g.Name, s.o.Version)
		}
	}
	s.o.UpgradedAt, s.o.UpgradedFrom = s.now, s.o.Version
	s.o.Version = st.Minor
	for i, n := range s.o.Nodes {
		if n.Kind == NodeKarpenter || n.Kind == NodeAuto {
			s.o.Nodes[i].Kubelet = st.Minor
		}
	}
	return nil
}

func (s *simulator) rollback(st Step) error {
	switch {
	case st.Minor != s.o.Version-1 || s.o.UpgradedFrom != st.Minor:
		return fmt.Errorf("400 no rollback from %s to %s", s.o.Version, st.Minor)
	case s.now.Sub(s.o.UpgradedAt) > 7*24*time.Hour:
		return fmt.Errorf("400 the upgrade was at %s", s.o.UpgradedAt)
	}
	for _, g := range s.o.Groups {
		if g.Version > st.Minor {
			return fmt.Errorf("400 node group %s is newer", g.Name)
		}
	}
	s.o.Version, s.o.UpgradedFrom = st.Minor, st.Minor
	return nil
}

func (s *simulator) addon(st Step) error {
	i := slices.IndexFunc(s.o.Addons, func(a Addon) bool { return a.Name == st.Subject })
	if i < 0 || s.o.Addons[i].Version != st.From {
		return fmt.Errorf("add-on %s does not have %s", st.Subject, st.From)
	}
	if !s.listed(st.Subject, st.To) {
		return fmt.Errorf("400 Addon version %s specified is not supported", st.To)
	}
	from, to := parts(st.From), parts(st.To)
	if st.Subject == "vpc-cni" && (to[1]-from[1] > 1 || from[1]-to[1] > 1) {
		return fmt.Errorf("400 Updating VPC-CNI can only go up or down 1 minor version at a time")
	}
	if older := to[1] < from[1] || to[1] == from[1] && to[2] < from[2]; older != s.back {
		return fmt.Errorf("add-on %s from %s to %s", st.Subject, st.From, st.To)
	}
	s.o.Addons[i].Version = st.To
	return nil
}

func parts(version string) (out []int) {
	for _, p := range strings.Split(strings.TrimPrefix(strings.Split(version, "-")[0], "v"), ".") {
		n, _ := strconv.Atoi(p)
		out = append(out, n)
	}
	return out
}

// listed tells whether EKS lists a version for the present minor.
func (s *simulator) listed(name, version string) bool {
	for _, r := range s.o.Releases[name] {
		if r.Version == version && slices.Contains(r.Minors, s.o.Version) {
			return true
		}
	}
	return false
}

func (s *simulator) nodeGroup(st Step) error {
	i := slices.IndexFunc(s.o.Groups, func(g Group) bool { return g.Name == st.Subject })
	if i < 0 {
		return fmt.Errorf("404 No node group found for name: %s.", st.Subject)
	}
	g := &s.o.Groups[i]
	switch {
	case st.Minor > s.o.Version:
		return fmt.Errorf("400 node group %s to %s at %s", g.Name, st.Minor, s.o.Version)
	case g.AMIType == "CUSTOM" && st.Template == "":
		return fmt.Errorf("400 node group %s has an image of its owner's: no version in the call", g.Name)
	case g.AMIType == al2023 && !strings.HasPrefix(st.To, st.Minor.String()+"."):
		return fmt.Errorf("400 Requested release version %s is not valid for kubernetes version %s", st.To, st.Minor)
	case st.Strategy == "":
		return fmt.Errorf("node group %s has no strategy", g.Name)
	}
	g.Version = st.Minor
	if g.AMIType == "CUSTOM" {
		g.TemplateVersion = st.Template
	} else {
		g.Release = st.To
	}
	for j := range s.o.Nodes {
		if n := &s.o.Nodes[j]; n.Group == g.Name {
			n.Kubelet, n.Release = st.Minor, g.Release
		}
	}
	return nil
}

// sound says what Kubernetes does not support of what is there; "" if nothing.
func (s *simulator) sound() string {
	for _, n := range s.o.Nodes {
		if n.Kubelet > s.o.Version || s.o.Version-n.Kubelet > 3 {
			return fmt.Sprintf("node %s has %s under a control plane of %s", n.Name, n.Kubelet, s.o.Version)
		}
	}
	for _, a := range s.o.Addons {
		if a.Name != "kube-proxy" {
			continue
		}
		v := fleet.Minor(parts(a.Version)[1])
		if v > s.o.Version {
			return fmt.Sprintf("kube-proxy %s under a control plane of %s", a.Version, s.o.Version)
		}
	}
	return ""
}
