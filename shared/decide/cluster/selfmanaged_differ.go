package cluster

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// differ compares an Auto Scaling group with its spec. The desired size is left to whoever scales: Auto Scaling itself keeps
// it within the bounds.
func (a scalingGroup) differ(have fleet.Resource) (change []plan.Call, notes []string) {
	g, p := a.g, have.Props
	notes = a.cannot(p)
	if fleet.Moving(have.Tags) { // to other sizes it would end machines that have pods, and to another template begin anew
		return nil, append(notes, fmt.Sprintf("node group %s: its nodes are being moved to another version; it is compared with the file when they have", g.Name))
	}
	in, what := fleet.Props{}, []string{}
	if fleet.Int(p, "minSize") != g.Min || fleet.Int(p, "maxSize") != g.Max {
		in["minSize"], in["maxSize"] = g.Min, g.Max
		what = append(what, "size")
	}
	want := a.settings()
	if life := want["maxInstanceLifetime"]; fleet.Int(p, "maxInstanceLifetime") != fleet.Int(want, "maxInstanceLifetime") {
		if life == nil {
			life = 0
		}
		in["maxInstanceLifetime"] = life
		what = append(what, "maximum lifetime of machines")
	}
	if fleet.Flag(p, "capacityRebalance") != g.Group.Rebalance {
		in["capacityRebalance"] = g.Group.Rebalance
		what = append(what, "capacity rebalancing")
	}
	if name, policy := a.launchChange(p, want, have.Tags); name != "" {
		in[policy] = want[policy]
		what = append(what, name)
		if strings.Contains(name, "launch template") {
			notes = append(notes, fmt.Sprintf("node group %s: new machines are made as the file says; those that run stay as they are until they are replaced", g.Name))
		}
	}
	if len(what) > 0 {
		in["autoScalingGroupName"] = a.name
		return []plan.Call{a.call(plan.Change, a.id, "autoscaling:UpdateAutoScalingGroup", "change "+strings.Join(what, ", ")+" of node group "+g.Name, fleet.Drop(in))}, notes
	}
	if missing := tagsLacking(have.Tags, a.tagsOf(a.t.mark)); len(missing) > 0 {
		list := scalingTags(missing, a.name, true)
		for _, t := range list {
			if k := fleet.Text(t.(fleet.Props), "key"); k == tagTemplate || strings.HasPrefix(k, templateTag) {
				t.(fleet.Props)["propagateAtLaunch"] = false
			}
		}
		return []plan.Call{a.call(plan.Change, a.id, "autoscaling:CreateOrUpdateTags", "tag node group "+g.Name, fleet.Props{"tags": list})}, notes
	}
	return nil, notes
}

// tagsLacking are the tags that something should have and has not, or with another value.
func tagsLacking(have, want map[string]string) map[string]string {
	out := map[string]string{}
	for k, v := range want {
		if got, ok := have[k]; !ok || got != v {
			out[k] = v
		}
	}
	return out
}

// launchChange says what differs in what machines are made from, and in which setting of the group that is.
func (a scalingGroup) launchChange(p, want fleet.Props, tags map[string]string) (what, field string) {
	launch, field := fleet.At(p, "launchTemplate"), "launchTemplate"
	if mixed(a.g) {
		field = "mixedInstancesPolicy"
		launch = fleet.At(p, "mixedInstancesPolicy", "launchTemplate", "launchTemplateSpecification")
	}
	is, _ := launch.(fleet.Props)
	switch {
	case is == nil:
		return "kinds of machines and the launch template", field
	case a.assumed("template"):
		if tags[tagTemplate] != a.t.mark {
			return "the version of the launch template", field
		}
	case fleet.Text(is, "version") != a.t.version:
		return "the version of the launch template", field
	}
	if !mixed(a.g) {
		return "", ""
	}
	policy, _ := want[field].(fleet.Props)
	if !fleet.Covers(fleet.At(p, field, "instancesDistribution"), policy["instancesDistribution"]) {
		return "distribution of machines", field
	}
	if !sameSet(overridden(p), a.types) {
		return "kinds of machines", field
	}
	return "", ""
}

// overridden are the types of a group with several.
func overridden(p fleet.Props) (types []string) {
	for _, o := range fleet.Items(p, "mixedInstancesPolicy", "launchTemplate", "overrides") {
		types = append(types, fleet.Text(o, "instanceType"))
	}
	return types
}

func (a scalingGroup) cannot(p fleet.Props) (notes []string) {
	want := texts(a.physical(a.subnets))
	is := strings.Split(fleet.Text(p, "vPCZoneIdentifier"), ",")
	if len(want) > 0 && !slices.ContainsFunc(want, plan.IsUnknown) && !sameSet(want, is) {
		notes = append(notes, cannot("node group "+a.g.Name, "subnets", "Auto Scaling would end the machines in "+strings.Join(without(is, want), ", ")+" without draining them",
			"add a group with another name to the file, apply, then take "+a.g.Name+" out and apply with --prune"))
	}
	return notes
}

// parts are what an Auto Scaling group is told by calls of their own.
func (a scalingGroup) parts() {
	have := a.o.first(a.id)
	part := func(name string, done bool, create func(id string) plan.Call) {
		id := a.id + "/" + name
		r := a.part(id, "node groups", done, []string{a.id}, func() plan.Call { return create(id) })
		if !done && have != nil {
			r.state = differs // of something that is there: it may be changed again at once
		}
	}
	if len(a.g.SuspendedScaler) > 0 {
		missing := without(a.g.SuspendedScaler, suspended(have))
		part("suspended", len(missing) == 0, func(id string) plan.Call { return a.suspend(id, a.g.Name, a.name, missing) })
	}
	for i, m := range a.g.Group.Metrics {
		part("metrics"+strconv.Itoa(i), measured(have, m), func(id string) plan.Call {
			return a.call(plan.Change, id, "autoscaling:EnableMetricsCollection", "collect metrics of node group "+a.g.Name,
				fleet.Props{"autoScalingGroupName": a.name, "granularity": fleet.Text(m, "Granularity"), "metrics": fleet.Texts(m, "Metrics")})
		})
	}
	if have == nil { // they are made with it
		return
	}
	if missing := without(a.g.Group.TargetGroupARNs, fleet.Texts(have.Props, "targetGroupARNs")); len(missing) > 0 {
		part("targets", false, func(id string) plan.Call {
			return a.call(plan.Change, id, "autoscaling:AttachLoadBalancerTargetGroups", "put node group "+a.g.Name+" behind its target groups",
				fleet.Props{"autoScalingGroupName": a.name, "targetGroupARNs": missing})
		})
	}
	if missing := without(a.g.Group.ClassicBalancers, fleet.Texts(have.Props, "loadBalancerNames")); len(missing) > 0 {
		part("balancers", false, func(id string) plan.Call {
			return a.call(plan.Change, id, "autoscaling:AttachLoadBalancers", "put node group "+a.g.Name+" behind its load balancers",
				fleet.Props{"autoScalingGroupName": a.name, "loadBalancerNames": missing})
		})
	}
}

// measured tells whether a group's metrics are collected: those that are named, or any, which is all.
func measured(have *fleet.Resource, want fleet.Props) bool {
	if have == nil {
		return false
	}
	var on []string
	for _, m := range fleet.Items(have.Props, "enabledMetrics") {
		on = append(on, fleet.Text(m, "metric"))
	}
	return len(on) > 0 && len(without(fleet.Texts(want, "Metrics"), on)) == 0
}
