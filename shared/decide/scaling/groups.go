package scaling

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// group is a node group with what this look makes of it.
type group struct {
	Group
	policy fleet.GroupPolicy
	pool   *pool // that the planner made it for, if the policy still has it

	live    []GroupMember // that are not on their way out
	nodes   []*node       // of its live members, those to come included
	size    int           // how many nodes it will have if nothing is done
	adds    int           // what this look orders
	wish    *wish         // for whom
	min     int           // what counts now, windows and reservations included
	max     int
	target  int    // what windows and reservations want at least; 0 is nothing
	wants   string // who wants that
	asleep  string // the window that it sleeps in, "" when awake
	sleepAt int    // the size that it sleeps at
	wakes   bool   // pending pods may wake it
	frozen  string // why its size is not to be changed; "" if it may
	moving  bool   // its nodes are being moved to another version: it may grow, and does not shrink
}

// file is the group's name in the cluster's file and in policies.
func (g *group) file() string { return cmp.Or(g.StandsFor, g.Name) }

// own tells whether the planner has made the group.
func (g *group) own() bool { return g.Pool != "" }

func (g *group) capacity() string {
	if g.Spot {
		return fleet.Spot
	}
	return fleet.OnDemand
}

func (g *group) profile() profile {
	return profile{image: g.AMIType, managed: g.Kind == Managed, maxPods: g.MaxPods, diskGiB: g.DiskGiB}
}

// nodeLabels are those that every new node of the group will have, beside what follows from its type and zone.
func (g *group) nodeLabels() map[string]string {
	out := maps.Clone(g.Labels)
	if g.Kind == Managed { // EKS adds these itself
		out = with(out, fleet.LabelEKSNodegroup, g.Name)
		out = with(out, fleet.LabelEKSCapacity, g.capacity())
	}
	return out
}

// readGroups sorts out what there is, and what may be changed.
func (s *scene) readGroups() error {
	settings := map[string]fleet.GroupPolicy{}
	for _, g := range s.p.Groups {
		settings[g.Name] = g
	}
	for _, seen := range s.o.Groups {
		if s.group[seen.Name] != nil {
			return fmt.Errorf("decide: there are two node groups %s", seen.Name)
		}
		g := &group{Group: seen, policy: settings[cmp.Or(seen.StandsFor, seen.Name)], min: seen.Min, max: seen.Max}
		for _, m := range seen.Members {
			if alive(m.State) {
				g.live = append(g.live, m)
				s.groupOf[m.InstanceID] = g
			}
		}
		g.frozen = frozen(g)
		s.group[g.Name], s.groups = g, append(s.groups, g)
	}
	slices.SortFunc(s.groups, func(a, b *group) int { return cmp.Compare(a.Name, b.Name) })
	s.readMoves()
	for _, p := range s.p.Groups {
		if s.named(p.Name) == nil {
			s.note("the policy speaks of node group %s, which the cluster does not have", p.Name)
		}
	}
	return nil
}

// readMoves finds out which groups are being moved. Of a blue/green move two groups are there for one of the file: new pods are
// kept off the old one, whose nodes go one by one, and the new one has to have room before it has pods. A self-managed group
// carries a mark.
func (s *scene) readMoves() {
	count := map[string]int{}
	for _, g := range s.groups {
		count[g.file()]++
	}
	for _, g := range s.groups {
		g.moving = count[g.file()] > 1
		if (g.Moving || slices.ContainsFunc(g.Taints, func(t fleet.Taint) bool { return t.Key == fleet.TagMoving })) && g.frozen == "" {
			g.moving, g.frozen = true, "its nodes are being moved to another version"
		}
	}
}

// named is the group that policies and files call so; nil if there is none. Of a move that is under way it is the new one.
func (s *scene) named(name string) (found *group) {
	for _, g := range s.groups {
		if g.file() == name && (found == nil || found.frozen != "" || g.StandsFor != "" && g.frozen == "") {
			found = g
		}
	}
	return found
}

// frozen tells why a group's size must not be changed, or "".
func frozen(g *group) string {
	switch {
	case g.policy.Ignore:
		return "the policy leaves it alone"
	case g.Kind == Managed && g.Status != "ACTIVE" && g.Status != "DEGRADED":
		return "it is " + g.Status
	case g.Kind == Fleet:
		return ""
	case g.AutoScalingGroup == "":
		return "its Auto Scaling group is not known"
	case len(g.Types) == 0 || len(g.Zones) == 0:
		return "its instance types or zones are not known"
	}
	return ""
}

// alive tells whether Auto Scaling counts a member in.
func alive(state string) bool {
	return !strings.HasPrefix(state, "Terminat") && !strings.HasPrefix(state, "Detach") && !strings.HasPrefix(state, "Warmed")
}

// nextZones predicts where Auto Scaling puts the next members: each in the zone that has the fewest, the first by name of
// several. What is on its way counts.
func nextZones(zones []string, have map[string]int, count int) (out []string) {
	zones, have = slices.Sorted(slices.Values(zones)), maps.Clone(have)
	for range count {
		best := ""
		for _, z := range zones {
			if best == "" || have[z] < have[best] {
				best = z
			}
		}
		if best == "" {
			return out
		}
		have = with(have, best, have[best]+1)
		out = append(out, best)
	}
	return out
}

// perZone counts the group's nodes, those to come included.
func (g *group) perZone() map[string]int {
	out := map[string]int{}
	for _, n := range g.nodes {
		out[n.zone]++
	}
	return out
}

// covering is how many members more give each zone what is asked of it, as Auto Scaling balances; -1 if more than most.
func (g *group) covering(asked map[string]int, most int) int {
	zones := nextZones(g.Zones, g.perZone(), most)
	left, need := maps.Clone(asked), 0
	for _, n := range asked {
		need += n
	}
	for i, z := range zones {
		if need == 0 {
			return i
		}
		if left[z] > 0 {
			left[z]--
			need--
		}
	}
	if need > 0 {
		return -1
	}
	return len(zones)
}
