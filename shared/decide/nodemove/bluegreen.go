package nodemove

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// A blue/green move makes a second group (green) with the same settings at the new version, waits until it has as many Ready
// nodes, keeps new pods off the old group (blue), drains it node by node, and deletes it when it has none.
//
// New pods are kept off the whole of blue before its first node is drained, by a taint of the group, and not only off the node
// that is drained. Else what is evicted from one old node may land on the next one, and moves twice; with n old nodes a pod
// moves up to n times, and a budget is used up as often. The taint is given to EKS, with the group and not with the nodes:
// it is one call for all of them, holds for nodes that come to blue later, outlives us, and is taken back in one call.
// It is NoSchedule: PreferNoSchedule lets pods onto blue whenever green is full, where waiting pods are what makes green grow.

// blueGreen brings the nodes of the groups that have the old version over to green.
func (s *scene) blueGreen(old Group) {
	name := GreenName(base(old), s.in.Step)
	green, blues := s.split(base(old), name)
	s.remember(green, blues)
	if green == nil {
		if old.Status == "DELETING" {
			s.blocked("node group %s is being deleted by somebody else", old.Name)
			return
		}
		s.ask("create/"+name, plan.Create, "eks:CreateNodegroup",
			fmt.Sprintf("create node group %s beside %s, at %s with %d nodes", name, old.Name, s.in.Step.To, s.memory.Size), s.creation(old, name))
		return
	}
	s.shift(*green, blues)
}

// backToBlue brings the nodes back to the group that the move began at.
func (s *scene) backToBlue() {
	old := s.subject()
	name := GreenName(base(*old), s.in.Step)
	green, blues := s.split(base(*old), name)
	s.remember(green, blues)
	blues = slices.DeleteFunc(blues, func(g Group) bool { return g.Status == "DELETING" })
	switch {
	case len(blues) == 0:
		s.gone = true
	case green == nil:
		s.shift(blues[0], nil)
	default:
		s.shift(blues[0], []Group{*green})
	}
}

// split tells green from the others that stand for the same group of the file.
func (s *scene) split(base, name string) (green *Group, blues []Group) {
	for i, g := range s.in.Groups {
		switch {
		case g.Name == name:
			green = &s.in.Groups[i]
		case g.Name == base || g.StandsFor == base:
			blues = append(blues, g)
		}
	}
	slices.SortFunc(blues, func(a, b Group) int { return strings.Compare(a.Name, b.Name) })
	return green, blues
}

// remember keeps the sizes that the old group had before it was let shrink. If they were lost, green has them: it was made
// with them.
func (s *scene) remember(green *Group, blues []Group) {
	m := &s.memory
	if m.Max > 0 {
		return
	}
	from := blues
	if green != nil {
		from = []Group{*green}
	}
	for _, g := range from {
		m.Size += size(g)
		m.Min, m.Max = max(m.Min, g.Min), max(m.Max, g.Max)
	}
	m.Max = max(m.Max, m.Size, 1)
}

// size is how many machines a group has or is to have. Auto Scaling knows it before EKS.
func size(g Group) int { return max(g.Desired, len(g.Machines)) }

// shift moves what runs on some groups to another one, and deletes them.
func (s *scene) shift(to Group, from []Group) {
	if !s.opened(to) || len(from) > 0 && !s.carries(to, from) {
		return
	}
	left := 0
	for _, g := range from {
		left++
		switch {
		case g.Status == "DELETING":
			s.waits(atWork, "node group %s is being deleted", g.Name)
		case len(s.nodes(g.Name)) == 0 && s.deserted(g):
			s.ask("delete/"+g.Name, plan.Delete, "eks:DeleteNodegroup", "delete node group "+g.Name+", which has no nodes left", fleet.Props{"nodegroupName": g.Name})
		case s.closed(g):
			s.drain(s.nodes(g.Name), leave{nodes: s.in.AtOnce, unready: s.in.AtOnce}, func() bool { return true })
		}
	}
	s.done = left == 0 && len(s.why) == 0
}

// deserted tells whether a group without nodes may be deleted: what is still coming would run nothing, since it comes with the
// taint; but it is given a moment to go or to come.
func (s *scene) deserted(g Group) bool {
	if len(g.Machines) > 0 && s.waited("machines of "+g.Name) < capacityPatience {
		s.waits(atWork, "%d machines of node group %s are no nodes yet, or not any more", len(g.Machines), g.Name)
		return false
	}
	if !leaving(g) { // it had no nodes from the beginning
		return s.closed(g)
	}
	return true
}

// opened tells whether a group takes pods and has the sizes that it is to have; if not, that is asked for.
func (s *scene) opened(g Group) bool {
	if slices.Contains([]string{"CREATE_FAILED", "DELETE_FAILED"}, g.Status) {
		if s.in.Retry && len(s.nodes(g.Name)) == 0 {
			s.ask("delete/"+g.Name, plan.Delete, "eks:DeleteNodegroup", "delete node group "+g.Name+", which failed", fleet.Props{"nodegroupName": g.Name})
			return false
		}
		s.blocked("node group %s is %s (%s): mend the cause, then resume", g.Name, g.Status, issues(g))
		return false
	}
	if g.Status == "DELETING" {
		s.waits(atWork, "node group %s is being deleted", g.Name)
		return false
	}
	if !leaving(g) {
		return true
	}
	if s.working(g) {
		return false
	}
	m := s.memory
	s.ask("open/"+g.Name, plan.Change, "eks:UpdateNodegroupConfig", "let pods onto node group "+g.Name+" again", fleet.Props{
		"nodegroupName": g.Name, "taints": fleet.Props{"removeTaints": []any{movingTaint()}},
		"scalingConfig": fleet.Props{"minSize": m.Min, "maxSize": m.Max, "desiredSize": max(m.Size, m.Min)},
	})
	return false
}

// carries tells whether a group can take what runs on others: it has as many Ready nodes as it is to have, and some in each
// zone that they have machines in, since volumes do not leave their zone.
func (s *scene) carries(g Group, from []Group) bool {
	if g.Status == "CREATING" {
		s.stall(g, "node group "+g.Name+" is being made")
		return false
	}
	want, ready := s.memory.Size, 0
	if told := max(size(g), fleet.Int(g.Described.Props, "scalingConfig", "desiredSize")); told < want && !s.working(g) {
		s.grow(g, want, fmt.Sprintf("make node group %s as large as the old one, which somebody has made smaller", g.Name))
		return false
	}
	zones, open := zonesOf(g.Machines), map[string]bool{}
	for _, n := range s.nodes(g.Name) {
		if n.Ready && !n.Shut {
			ready++
			open[zones[n.InstanceID]] = true
		}
	}
	if ready < want {
		s.stall(g, fmt.Sprintf("node group %s has %d Ready nodes of %d", g.Name, ready, want))
		return false
	}
	missing := lacking(from, open)
	if len(missing) == 0 {
		return true
	}
	switch zone := strings.Join(missing, ", "); {
	case g.Desired >= g.Max:
		s.blocked("node group %s has no node in %s, where the old one has some, and is at its largest size of %d: raise it", g.Name, zone, g.Max)
	case s.working(g):
	case g.Desired >= max(g.Zones, s.memory.Size+g.Zones):
		s.blocked("node group %s gets no node in %s, where the old one has some: volumes there could not move", g.Name, zone)
	default:
		s.grow(g, g.Desired+1, fmt.Sprintf("one more node for node group %s, which has none in %s", g.Name, zone))
	}
	return false
}

// grow has a group made larger.
func (s *scene) grow(g Group, to int, does string) {
	s.ask(fmt.Sprintf("grow/%s/%d", g.Name, to), plan.Change, "eks:UpdateNodegroupConfig", does,
		fleet.Props{"nodegroupName": g.Name, "scalingConfig": fleet.Props{"minSize": g.Min, "maxSize": max(g.Max, to), "desiredSize": to}})
}

// lacking are the zones of some groups' machines that are not among others, in order.
func lacking(from []Group, open map[string]bool) (out []string) {
	for _, g := range from {
		for _, m := range g.Machines {
			if m.Zone != "" && !open[m.Zone] && !slices.Contains(out, m.Zone) {
				out = append(out, m.Zone)
			}
		}
	}
	slices.Sort(out)
	return out
}

// stall waits for nodes, and tells when that takes too long.
func (s *scene) stall(g Group, what string) {
	if d := s.waited("nodes of " + g.Name); d >= capacityPatience {
		s.blocked("%s for %s (%s): the old nodes stay as they are until it has", what, d.Round(1e9), issues(g))
	}
	s.waits(atWork, "%s", what)
}

// closed tells whether a group takes no new pods any more and may shrink to nothing; if not, that is asked for. Auto Scaling
// refuses to end a machine at the least size; and what nobody may make larger ends.
func (s *scene) closed(g Group) bool {
	if s.working(g) {
		return false
	}
	if !leaving(g) || g.Min > 0 {
		s.ask("close/"+g.Name, plan.Change, "eks:UpdateNodegroupConfig", "keep new pods off node group "+g.Name+", and let it shrink", fleet.Props{
			"nodegroupName": g.Name, "taints": fleet.Props{"addOrUpdateTaints": []any{movingTaint()}},
			"scalingConfig": fleet.Props{"minSize": 0, "maxSize": max(1, size(g))},
		})
		return false
	}
	open := slices.DeleteFunc(s.nodes(g.Name), func(n Node) bool { return n.Shut })
	if len(open) == 0 {
		return true
	}
	if s.waited("taint of "+g.Name) < settle {
		s.waits(inFlight, "%d nodes of node group %s still take pods", len(open), g.Name)
		return false
	}
	s.plan.Notes = append(s.plan.Notes, fmt.Sprintf("%d nodes of node group %s still take pods, though the group does not: some pods may move twice", len(open), g.Name))
	return true
}

// working tells whether EKS is changing a group, which takes one change at a time.
func (s *scene) working(g Group) bool {
	if g.Status == "CREATING" || g.Status == "UPDATING" {
		s.waits(atWork, "node group %s is %s", g.Name, g.Status)
		return true
	}
	return false
}

func movingTaint() fleet.Props {
	return fleet.Props{"key": Taint, "value": "true", "effect": "NO_SCHEDULE"}
}

// leaving tells whether a group has the taint of a move.
func leaving(g Group) bool {
	return slices.ContainsFunc(fleet.Items(g.Described.Props, "taints"), isMoving)
}

func isMoving(t fleet.Props) bool { return fleet.Text(t, "key") == Taint }

func issues(g Group) string {
	if len(g.Issues) == 0 {
		return "AWS gives no reason"
	}
	return strings.Join(g.Issues, "; ")
}

func zonesOf(list []Machine) map[string]string {
	out := map[string]string{}
	for _, m := range list {
		out[m.InstanceID] = m.Zone
	}
	return out
}

// copied are the settings of a group that a new one gets as they are. EKS takes disk and remote access only of a group without
// a launch template.
var copied = []string{"subnets", "nodeRole", "capacityType", "instanceTypes", "labels", "updateConfig", "nodeRepairConfig"}

// creation is EKS's CreateNodegroup for a group like another one, at the step's version.
func (s *scene) creation(old Group, name string) fleet.Props {
	have, m := old.Described.Props, s.memory
	in := fleet.Props{
		"nodegroupName": name, "tags": s.tags(old),
		"scalingConfig": fleet.Props{"minSize": m.Min, "maxSize": m.Max, "desiredSize": max(m.Size, m.Min)},
	}
	for _, field := range copied {
		in[field] = have[field]
	}
	taints := []any{}
	for _, t := range fleet.Items(have, "taints") {
		if !isMoving(t) {
			taints = append(taints, t)
		}
	}
	in["taints"] = taints
	if id := fleet.Text(have, "launchTemplate", "id"); id != "" {
		version := fleet.Text(have, "launchTemplate", "version")
		if s.in.Step.Template != "" {
			version = s.in.Step.Template
		}
		in["launchTemplate"] = fleet.Props{"id": id, "version": version}
	} else {
		in["diskSize"], in["remoteAccess"] = have["diskSize"], have["remoteAccess"]
	}
	if !old.Custom() { // an image of one's own is in the launch template, and EKS wants to hear nothing of it
		in["amiType"], in["version"] = have["amiType"], s.in.Step.Minor.String()
		if strings.Contains(s.in.Step.To, "-") { // a release, and not only a minor
			in["releaseVersion"] = s.in.Step.To
		}
	}
	return in
}

// tags are the old group's, and for whom the new one stands. AWS sets its own.
func (s *scene) tags(old Group) map[string]string {
	out := maps.Clone(old.Described.Tags)
	if out == nil {
		out = map[string]string{}
	}
	maps.DeleteFunc(out, func(k, _ string) bool { return strings.HasPrefix(k, "aws:") })
	out[fleet.TagStandsFor] = base(old)
	return out
}
