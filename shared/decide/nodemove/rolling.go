package nodemove

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// A self-managed group moves within itself. Its launch template gets a version with the new image, the Auto Scaling group is
// led to it, and is made larger by as many machines as are drained at once. Then one old machine after the other is drained and
// ended while the desired size stays, so that Auto Scaling launches one in its place. The last ones are ended with the size
// going down: Auto Scaling is never left to choose a machine, for it would choose without asking who runs there.

// rolling brings the machines of a group to a version of its launch template; "" is the newest one, which is made first if it
// has not the image that is wanted.
func (s *scene) rolling(g Group, version string) {
	s.recall(g)
	m := s.memory
	if version == "" {
		if version = s.newest(g); version == "" {
			return
		}
	}
	old, fresh, coming := s.sorted(g, version)
	switch {
	case len(old) > 0 || currentTemplate(g.Described.Props) != version:
	case coming > 0:
		s.waits(atWork, "%d machines of the old version are no nodes yet, or not any more", coming)
		return
	default:
		s.finish(g, fresh)
		return
	}
	surge := s.surge()
	if !s.led(g, version, min(surge, len(old)-s.busy(old))) {
		return
	}
	ready, absent := 0, 0
	for _, n := range s.nodes(g.Name) {
		what, _ := s.stand(n)
		switch {
		case what == going:
		case n.Ready && !n.Shut:
			ready++
		case !n.Ready:
			absent++
		}
	}
	// As many nodes stay Ready as the group is to have; those that are out of order already are not counted on.
	need := m.Size - absent
	if surge == 0 {
		need = max(0, need-s.in.AtOnce)
	}
	l := leave{nodes: ready - need, unready: s.in.AtOnce, why: fmt.Sprintf("node group %s has %d Ready nodes, and may have no fewer than %d", g.Name, ready, need)}
	if l.nodes <= 0 {
		s.shortage(g, l.why)
	}
	over := g.Desired - m.Size - s.lowering(old)
	remain := len(old) - s.busy(old)
	s.drain(old, l, func() bool {
		lowers := over > 0 && remain <= over
		remain--
		if lowers {
			over--
		}
		return lowers
	})
}

// surge is by how many machines a group is made larger while it moves.
func (s *scene) surge() int {
	if s.in.Step.Strategy == fleet.NodesMinimal {
		return 0
	}
	return s.in.AtOnce
}

// recall fills the memory of a group's sizes: as they are before the move, or as the group's mark has kept them.
func (s *scene) recall(g Group) {
	m := &s.memory
	if m.Max > 0 {
		return
	}
	m.Size, m.Min, m.Max, m.Template = g.Desired, g.Min, max(g.Max, 1), currentTemplate(g.Described.Props)
	var size, least, most int
	var template string
	if n, _ := fmt.Sscanf(g.Described.Tags[fleet.TagMoving], markFormat, &size, &least, &most, &template); n == 4 {
		m.Size, m.Min, m.Max, m.Template = size, least, most, template
	}
}

// markFormat is the value of a moving group's tag: the sizes and the version of the launch template that it had.
const markFormat = "size=%d min=%d max=%d template=%s"

// newest is the version of a group's launch template that has the image that is wanted; "" while it is being made.
func (s *scene) newest(g Group) string {
	id := templateOf(g.Described.Props)
	t, known := s.in.Templates[id]
	if !known {
		s.blocked("launch template %s of node group %s could not be found", id, g.Name)
		return ""
	}
	newest := strconv.Itoa(fleet.Int(t.Props, "latestVersionNumber"))
	if s.in.Image == "" || fleet.Text(t.Props, "launchTemplateData", "imageId") == s.in.Image {
		return newest
	}
	// The description says by which settings of the file the machines are made, which stay the same.
	s.ask("template/"+s.in.Image, plan.Create, "ec2:CreateLaunchTemplateVersion", fmt.Sprintf("make a new version of the launch template for %s, with image %s", g.Name, s.in.Image), fleet.Props{
		"launchTemplateId": id, "sourceVersion": newest, "versionDescription": fleet.Text(t.Props, "versionDescription"),
		"launchTemplateData": fleet.Props{"imageId": s.in.Image},
	})
	return ""
}

// specification is the path to what an Auto Scaling group's machines are made from.
func specification(p fleet.Props) []string {
	if fleet.At(p, "mixedInstancesPolicy") != nil {
		return []string{"mixedInstancesPolicy", "launchTemplate", "launchTemplateSpecification"}
	}
	return []string{"launchTemplate"}
}

func templateOf(p fleet.Props) string {
	return fleet.Text(p, append(specification(p), "launchTemplateId")...)
}

func currentTemplate(p fleet.Props) string {
	return fleet.Text(p, append(specification(p), "version")...)
}

// sorted are a group's nodes that have to go, those that are as they should be, and how many machines of an old version are no
// nodes. A machine is known by the version of the template that it was made by, and by its kubelet where Auto Scaling does not
// say.
func (s *scene) sorted(g Group, version string) (old, fresh []Node, coming int) {
	made, seen := map[string]string{}, map[string]bool{}
	for _, m := range g.Machines {
		made[m.InstanceID] = m.Template
	}
	for _, n := range s.nodes(g.Name) {
		seen[n.InstanceID] = true
		switch by, in := made[n.InstanceID]; {
		case !in: // on its way out
		case by != "" && by != version, by == "" && n.Kubelet < s.in.Step.Minor:
			old = append(old, n)
		default:
			fresh = append(fresh, n)
		}
	}
	for id, by := range made {
		if !seen[id] && by != "" && by != version {
			coming++
		}
	}
	return old, fresh, coming
}

// led tells whether a group launches by that version, is marked as moving, and has room for the surge; if not, that is asked for.
func (s *scene) led(g Group, version string, surge int) bool {
	if !fleet.Moving(g.Described.Tags) { // first: whoever changes sizes has to leave it alone from now on
		m := s.memory
		s.mark(g, fmt.Sprintf(markFormat, m.Size, m.Min, m.Max, m.Template))
		return false
	}
	in, p := fleet.Props{}, g.Described.Props
	if currentTemplate(p) != version {
		maps.Copy(in, launch(p, version))
	}
	want := s.memory.Size + max(surge, 0)
	switch {
	case len(in) > 0:
		in["autoScalingGroupName"] = g.AutoScalingGroup
		s.ask("lead/"+version, plan.Change, "autoscaling:UpdateAutoScalingGroup", fmt.Sprintf("have node group %s launch by version %s of its launch template", g.Name, version), in)
		return false
	case want > g.Desired:
		s.ask("surge", plan.Change, "autoscaling:UpdateAutoScalingGroup", fmt.Sprintf("make node group %s larger by %d while its nodes move", g.Name, want-g.Desired),
			fleet.Props{"autoScalingGroupName": g.AutoScalingGroup, "desiredCapacity": want, "maxSize": max(want, g.Max)})
		return false
	}
	return true
}

// launch is what a group launches by, with another version of the launch template, as UpdateAutoScalingGroup takes it: an id or
// a name, but not both.
func launch(p fleet.Props, version string) fleet.Props {
	spec := fleet.Props{"launchTemplateId": templateOf(p), "version": version}
	if at := specification(p); len(at) == 1 {
		return fleet.Props{"launchTemplate": spec}
	}
	policy := fleet.Props{"launchTemplate": fleet.Props{"launchTemplateSpecification": spec, "overrides": fleet.At(p, "mixedInstancesPolicy", "launchTemplate", "overrides")}}
	if d := fleet.At(p, "mixedInstancesPolicy", "instancesDistribution"); d != nil {
		policy["instancesDistribution"] = d
	}
	return fleet.Props{"mixedInstancesPolicy": policy}
}

// mark says on an Auto Scaling group that its nodes move, or that they do not any more.
func (s *scene) mark(g Group, value string) {
	does := "mark node group " + g.Name + " as moving"
	if value == fleet.MoveOver {
		does = "node group " + g.Name + " is no longer moving"
	}
	s.ask("mark/"+value, plan.Change, "autoscaling:CreateOrUpdateTags", does, fleet.Props{"tags": []any{fleet.Props{
		"resourceType": "auto-scaling-group", "resourceId": g.AutoScalingGroup, "key": fleet.TagMoving, "value": value, "propagateAtLaunch": false,
	}}})
}

// busy counts nodes that are on their way out.
func (s *scene) busy(list []Node) (count int) {
	for _, n := range list {
		if what, _ := s.stand(n); what == going {
			count++
		}
	}
	return count
}

// lowering counts the nodes on their way out whose end makes the group smaller, and has not yet: their machines were still there
// when the group's size was read.
func (s *scene) lowering(list []Node) (count int) {
	for _, n := range list {
		if what, _ := s.stand(n); what == going && s.memory.Nodes[n.InstanceID].Lowers {
			count++
		}
	}
	return count
}

// shortage tells when new machines do not come.
func (s *scene) shortage(g Group, what string) {
	if s.busy(s.nodes(g.Name)) > 0 {
		s.memory.For = ""
		return
	}
	if d := s.waited("nodes of " + g.Name); d >= capacityPatience {
		s.blocked("%s, for %s (%s): no further node is drained until it has", what, d.Round(1e9), issues(g))
	}
}

// finish gives a group that has moved its sizes back.
func (s *scene) finish(g Group, fresh []Node) {
	over := min(g.Desired-s.memory.Size, s.surge())
	if fleet.Moving(g.Described.Tags) && over > 0 {
		// The surge is still there: an old machine went by itself that was to take it along. The newest nodes go, which have the
		// fewest pods.
		slices.SortFunc(fresh, func(a, b Node) int { return b.CreatedAt.Compare(a.CreatedAt) })
		chosen := slices.Clone(fresh)
		chosen = slices.DeleteFunc(chosen, func(n Node) bool { return s.memory.Nodes[n.InstanceID].Times == 0 })
		for _, n := range fresh {
			if len(chosen) < over && s.memory.Nodes[n.InstanceID].Times == 0 {
				chosen = append(chosen, n)
			}
		}
		s.drain(chosen, leave{nodes: over - s.lowering(chosen), why: "the surge goes", unready: over - s.lowering(chosen)}, func() bool { return true })
		return
	}
	switch {
	case fleet.Moving(g.Described.Tags) && g.Max > s.memory.Max && g.Desired <= s.memory.Max:
		s.ask("bounds", plan.Change, "autoscaling:UpdateAutoScalingGroup", fmt.Sprintf("give node group %s its largest size of %d back", g.Name, s.memory.Max),
			fleet.Props{"autoScalingGroupName": g.AutoScalingGroup, "maxSize": s.memory.Max})
	case fleet.Moving(g.Described.Tags):
		s.mark(g, fleet.MoveOver)
	default:
		s.done = true
	}
}
