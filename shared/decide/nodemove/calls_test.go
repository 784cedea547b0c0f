package nodemove_test

import (
	"fmt"
	"strconv"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// do carries out an action, as AWS and the interruption function do.
func (s *sim) do(action plan.Action) {
	if r, ok := action.(plan.RemoveNode); ok {
		s.remove(r)
		return
	}
	c := action.(plan.Call)
	name := fleet.Text(c.Input, "nodegroupName")
	g := s.groups[name]
	switch c.API {
	case "eks:CreateNodegroup":
		if g != nil {
			return // ResourceInUseException
		}
		g = &simGroup{name: name, standsFor: c.Input["tags"].(map[string]string)[fleet.TagStandsFor], status: "CREATING", statusUntil: s.now.Add(s.between(40, 200)), template: 1, version: 34, createdAt: s.now,
			min: fleet.Int(c.Input, "scalingConfig", "minSize"), max: fleet.Int(c.Input, "scalingConfig", "maxSize"), desired: fleet.Int(c.Input, "scalingConfig", "desiredSize")}
		g.tags = c.Input["tags"].(map[string]string)
		for _, have := range s.groups {
			g.zones = have.zones
		}
		if g.desired < g.min || g.desired > g.max || g.max < 1 {
			s.breaks("EKS refuses the sizes %d, %d, %d", g.min, g.desired, g.max)
		}
		if s.chance(20) {
			g.shortUntil = s.now.Add(s.between(60, 1200))
		}
		s.groups[name] = g
	case "eks:UpdateNodegroupConfig":
		if g == nil || g.status != "ACTIVE" {
			return // ResourceInUseException
		}
		s.configure(g, c.Input)
	case "eks:DeleteNodegroup":
		if g != nil {
			g.status, g.statusUntil = "DELETING", s.now.Add(s.between(30, 120))
		}
	case "ec2:CreateLaunchTemplateVersion":
		if fleet.Text(c.Input, "sourceVersion") == fmt.Sprint(s.newest) && s.newest == 1 { // the client token makes it one
			s.newest = 2
		}
	case "autoscaling:UpdateAutoScalingGroup":
		s.resize(c.Input)
	case "autoscaling:CreateOrUpdateTags":
		for _, t := range fleet.Items(c.Input, "tags") {
			g := s.groups[fleet.Text(t, "resourceId")[len("asg-"):]]
			g.tags = map[string]string{fleet.Text(t, "key"): fleet.Text(t, "value")}
		}
	default:
		s.breaks("nobody knows %s", c.API)
	}
}

// configure begins an update: what EKS says of the group changes now or at its end, its nodes follow at the end.
func (s *sim) configure(g *simGroup, in fleet.Props) {
	g.status, g.statusUntil = "UPDATING", s.now.Add(s.between(5, 60))
	sizes, _ := in["scalingConfig"].(fleet.Props)
	change := func() {
		if v, ok := sizes["minSize"]; ok {
			g.min = v.(int)
		}
		if v, ok := sizes["maxSize"]; ok {
			g.max = v.(int)
		}
		if v, ok := sizes["desiredSize"]; ok {
			g.desired = v.(int)
		}
		if g.desired > g.max || g.desired < g.min {
			s.breaks("EKS refuses the sizes %d, %d, %d of %s", g.min, g.desired, g.max, g.name)
		}
		if fleet.At(in, "taints", "addOrUpdateTaints") != nil {
			g.tainted = true
		} else if fleet.At(in, "taints", "removeTaints") != nil {
			g.tainted = false
		}
	}
	if s.chance(50) {
		change()
		change = func() {}
	}
	g.apply = func() {
		change()
		for _, m := range s.members(g) {
			m.tainted = g.tainted
		}
	}
}

func (s *sim) resize(in fleet.Props) {
	g := s.groups[fleet.Text(in, "autoScalingGroupName")[len("asg-"):]]
	if v := fleet.Text(in, "launchTemplate", "version"); v != "" {
		g.template, _ = strconv.Atoi(v)
		g.version = fleet.Minor(32 + g.template)
	}
	if v, ok := in["maxSize"]; ok {
		g.max = v.(int)
	}
	if v, ok := in["desiredCapacity"]; ok {
		g.desired = v.(int)
		if s.chance(20) {
			g.shortUntil = s.now.Add(s.between(60, 1200))
		}
	}
	if g.desired > g.max {
		s.breaks("Auto Scaling refuses a size of %d of %d", g.desired, g.max)
	}
}

// remove is the interruption function getting a request. A machine has one drain at a time.
func (s *sim) remove(r plan.RemoveNode) {
	if d := s.drains[r.InstanceID]; d != nil && d.Outcome == "" {
		return
	}
	begins := s.now.Add(s.between(1, 40))
	d := &drain{begins: begins, replace: r.Replace, instance: r.InstanceID}
	d.StartedAt = begins
	s.drains[r.InstanceID] = d
}

// drive is a look of the interruption function at a machine.
func (s *sim) drive(d *drain) {
	if d.Outcome != "" || s.now.Before(d.begins) || s.chance(30) {
		return
	}
	busy := 0
	for _, other := range s.drains {
		if other.Outcome == "" && !s.now.Before(other.begins) {
			busy++
		}
	}
	s.busy = max(s.busy, busy)
	end := func(outcome, why string) { d.Outcome, d.Reason, d.EndedAt = outcome, why, s.now }
	m := s.nodes[d.instance]
	if m == nil || !m.goneAt.IsZero() {
		end("NodeRemoved", "")
		return
	}
	g := s.groups[m.group]
	late := s.now.Sub(d.begins) > 15*time.Minute
	keep := func(why string) { m.cordoned = false; end("NodeKept", why) }
	if !d.replace && g.desired <= g.min {
		keep(fmt.Sprintf("group %s is at its least size of %d", g.name, g.min))
		return
	}
	m.cordoned = true
	left, refused := 0, ""
	for _, a := range s.apps {
		for _, p := range a.pods {
			if p.on != m.id {
				continue
			}
			left++
			switch {
			case !p.goneAt.IsZero():
			case a.precious:
				keep(p.name + " must not be disrupted voluntarily")
				return
			case s.chance(80) && !s.evict(a, p):
				d.Refused++
				refused = p.name
			}
		}
	}
	switch {
	case left > 0 && late:
		d.Left = []string{fmt.Sprintf("default/%s was still there (PodDisruptionBudget default/%s)", refused, refused)}
		keep(fmt.Sprintf("the time is over and %d pods are still there", left))
	case left == 0:
		if !d.replace {
			g.desired--
		}
		m.goneAt = s.now.Add(s.between(0, 60))
		end("NodeRemoved", "")
	}
}
