package upgradepath

import (
	"fmt"
	"maps"
	"slices"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// mover is a node group on its way.
type mover struct {
	Group
	oldest  fleet.Minor // of the group and of its nodes
	newest  fleet.Minor
	release string // the oldest release of the group and of its nodes, where known
	nodes   int
	begun   bool // a move of it is under way
	policy  fleet.GroupUpgrade
}

// name is what the cluster's file calls the group.
func (m mover) name() string {
	if m.StandsFor != "" {
		return m.StandsFor
	}
	return m.Name
}

// movers are the groups, the smallest first: what is wrong shows itself where the least is lost. Before these come groups
// whose move is under way, of which there may be more nodes meanwhile: they must not change places with others.
func movers(o Observation, p fleet.NodeUpgradePolicy) (out []mover) {
	for _, g := range o.Groups {
		if g.Status == "DELETING" { // the end of a blue/green move: EKS takes no update of it, and its nodes go
			continue
		}
		m := mover{Group: g, oldest: g.Version, release: g.Release}
		for _, gp := range p.Groups {
			if gp.Name == m.name() || gp.Name == g.Name {
				m.policy = gp
				break
			}
		}
		var oldest, newest fleet.Minor // of kubelets
		for _, n := range o.Nodes {
			if n.Group != g.Name || n.Kind != NodeManaged && n.Kind != NodeSelfManaged {
				continue
			}
			m.nodes++
			if n.Kubelet != 0 {
				newest = max(newest, n.Kubelet)
				if oldest == 0 || n.Kubelet < oldest {
					oldest = n.Kubelet
				}
			}
			if n.Release != "" && m.release != "" && compareReleases(n.Release, m.release) < 0 {
				m.release, m.begun = n.Release, true
			}
		}
		switch {
		case m.Custom() && oldest != 0:
			m.oldest, m.newest = oldest, newest
		case m.Custom():
			m.oldest = m.custom()
			m.newest = m.oldest
		default:
			m.oldest, m.newest = g.Version, max(g.Version, newest)
			if oldest != 0 && (oldest < g.Version || g.Version == 0) {
				m.oldest = oldest
			}
		}
		m.nodes = max(m.nodes, g.Desired)
		m.begun = m.begun || g.Status == "UPDATING" || oldest != newest || o.busy("nodegroup/"+g.Name) || o.standIn(m)
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b mover) int {
		if a.begun != b.begun {
			if a.begun {
				return -1
			}
			return 1
		}
		if a.nodes != b.nodes {
			return a.nodes - b.nodes
		}
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return out
}

// busy tells whether EKS is at work on something.
func (o Observation) busy(subject string) bool {
	return slices.ContainsFunc(o.Busy, func(b Busy) bool { return b.Subject == subject })
}

// standIn tells whether there is another group of the same name in the cluster's file: one takes the place of the other.
func (o Observation) standIn(m mover) bool {
	return slices.ContainsFunc(o.Groups, func(g Group) bool {
		return g.Name != m.Name && (g.StandsFor == m.name() || m.StandsFor == g.Name)
	})
}

// custom is the minor of a group with an image of its owner's and no nodes, of which EKS's own word means little: that for
// which the policy names the version of the launch template that it has.
func (m mover) custom() fleet.Minor {
	for _, v := range slices.Backward(slices.Sorted(maps.Keys(m.policy.LaunchTemplateVersion))) {
		if m.policy.LaunchTemplateVersion[v] == m.TemplateVersion {
			return v
		}
	}
	return m.Version
}

// furthest is the newest minor, not above a limit, that the group can have: of an image of one's own, one for which the
// policy names a version of the launch template; 0 for none. Nothing is said of where it is now.
func (m mover) furthest(limit fleet.Minor) fleet.Minor {
	for v := limit; v > 0 && v+20 > limit; v-- {
		if m.Custom() && m.policy.LaunchTemplateVersion[v] == "" || !imaged(m.AMIType, v) {
			continue
		}
		return v
	}
	return 0
}

// stuck says why a group cannot move on, and what to do.
func (m mover) stuck(to fleet.Minor) string {
	switch {
	case m.Custom():
		return fmt.Sprintf("node group %s has an image of your own, and its policy names no version of its launch template for %s: make one with an image of %s, and name it in the policy (nodes.groups, launchTemplateVersion)", m.Name, to, to)
	case !imaged(m.AMIType, to):
		return fmt.Sprintf("node group %s has Amazon Linux 2 (%s), of which there are no images after %s: make a group of Amazon Linux 2023 or Bottlerocket, and delete this one", m.Name, m.AMIType, lastAL2)
	}
	return fmt.Sprintf("node group %s cannot get to %s", m.Name, to)
}

// strategy is how the group moves. A self-managed group is drained by ekspedite, which launches first in either case.
func (m mover) strategy(p fleet.NodeUpgradePolicy) fleet.NodeStrategy {
	s := m.policy.Strategy
	if s == "" {
		s = p.Strategy
	}
	switch {
	case s == "":
		s = fleet.NodesRolling
	case m.SelfManaged && s == fleet.NodesMinimal:
		return fleet.NodesRolling
	}
	if s == fleet.NodesRolling && m.policy.Strategy == "" && m.UpdateStrategy == "MINIMAL" {
		return fleet.NodesMinimal // the group's own setting, of which the policy says nothing
	}
	return s
}

// step is the group's move to a minor; release "" leaves the choice to EKS, which takes its newest.
func (m mover) step(to fleet.Minor, release, why string, p fleet.NodeUpgradePolicy) Step {
	s := m.strategy(p)
	st := Step{
		Kind: StepNodeGroup, Subject: m.Name, From: m.oldest.String(), To: to.String(), Minor: to,
		Strategy: s, Nodes: m.nodes, Takes: groupTakes(m.Group, s, m.nodes, p), Why: why,
	}
	st.ID = "nodegroup/" + m.Name + "/" + to.String()
	switch {
	case m.Custom():
		st.Template = m.policy.LaunchTemplateVersion[to]
		st.ID += "/template-" + st.Template
	case release != "":
		st.To = release
		if v, err := fleet.ParseMinor(release); err == nil && v == to {
			st.ID = "nodegroup/" + m.Name + "/" + release
		} else { // Bottlerocket counts for itself: one release is for several minors
			st.ID += "/" + release
		}
		if m.release != "" && m.release != release {
			st.From = m.release
		}
	}
	return st
}

// kind is the nodes of one kind that belong to no group.
type kind struct {
	names  []string
	oldest fleet.Minor // of their kubelets
	newest fleet.Minor
}

// kinds are the nodes that belong to no group, by who makes them.
func kinds(o Observation) map[NodeKind]*kind {
	groups := map[string]bool{}
	for _, g := range o.Groups {
		groups[g.Name] = true
	}
	out := map[NodeKind]*kind{}
	for _, n := range o.Nodes {
		k := n.Kind
		if k == NodeManaged || k == NodeSelfManaged {
			if groups[n.Group] {
				continue
			}
			k = NodeOther // its group is gone, or is none of ours
		}
		if out[k] == nil {
			out[k] = &kind{}
		}
		out[k].names = append(out[k].names, n.Name)
		out[k].newest = max(out[k].newest, n.Kubelet)
		if n.Kubelet != 0 && (out[k].oldest == 0 || n.Kubelet < out[k].oldest) {
			out[k].oldest = n.Kubelet
		}
	}
	return out
}

// whose says of nodes that nobody here moves who does.
var whose = map[NodeKind]string{
	NodeAuto:      "EKS Auto Mode replaces them by itself after each hop",
	NodeKarpenter: "Karpenter replaces them by drift where their EC2NodeClass's AMI is not pinned",
	NodeHybrid:    "their owner upgrades them: nodeadm upgrade",
	NodeOther:     "nobody here made them: their owner replaces them",
}

// follows tells whether the nodes of a kind get to the control plane's version by themselves, after it did.
func follows(k NodeKind) bool { return k == NodeAuto || k == NodeKarpenter }

// sortedKinds are the kinds of nodes in order.
func sortedKinds(m map[NodeKind]*kind) []NodeKind { return slices.Sorted(maps.Keys(m)) }
