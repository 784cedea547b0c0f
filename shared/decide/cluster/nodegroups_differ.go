package cluster

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// groupDiffers compares a node group with its spec. EKS makes one change at a time: the first is returned. The desired size
// is left to whoever scales.
func (b *builder) groupDiffers(g fleet.NodeGroupSpec, t template, have fleet.Resource) []plan.Call {
	if calls := b.retag(have, b.groupTags(g, "")); calls != nil {
		return calls
	}
	if c := b.configChange(g, have); c != nil {
		return []plan.Call{*c}
	}
	if c := b.versionChange(g, t, have); c != nil {
		return []plan.Call{*c}
	}
	return b.retag(have, b.groupTags(g, t.mark)) // last: it says that all is as the file has it
}

// configChange is all of a node group that changes without its machines being replaced, in one call; nil if nothing does.
func (b *builder) configChange(g fleet.NodeGroupSpec, have fleet.Resource) *plan.Call {
	in, what := fleet.Props{}, []string{}
	change := func(name, field string, p fleet.Props) {
		if p = fleet.Drop(p); len(p) > 0 {
			in[field] = p
			what = append(what, name)
		}
	}
	change("labels", "labels", labelChanges(g.Labels, have.Props["labels"]))
	change("taints", "taints", taintChanges(g.Taints, fleet.Items(have.Props, "taints")))
	change("size", "scalingConfig", sizeChange(g, fleet.Int(have.Props, "scalingConfig", "minSize"), fleet.Int(have.Props, "scalingConfig", "maxSize"),
		fleet.Int(have.Props, "scalingConfig", "desiredSize")))
	if want := updateConfig(g); !fleet.Covers(have.Props["updateConfig"], want) {
		change("update configuration", "updateConfig", want)
	}
	if !fleet.Covers(have.Props["nodeRepairConfig"], g.Repair) {
		change("repair configuration", "nodeRepairConfig", g.Repair)
	}
	if len(what) == 0 {
		return nil
	}
	in["nodegroupName"] = have.Physical // which may stand for the one of the file
	c := b.child(plan.Change, "nodegroup/"+g.Name, "eks:UpdateNodegroupConfig", "change "+strings.Join(what, ", ")+" of node group "+g.Name, in)
	return &c
}

// sizeChange is what differs in the bounds of a group's size. The desired size follows them only where it is outside.
func sizeChange(g fleet.NodeGroupSpec, least, most, desired int) fleet.Props {
	if least == g.Min && most == g.Max {
		return nil
	}
	p := fleet.Props{"minSize": g.Min, "maxSize": g.Max}
	if to := min(max(desired, g.Min), g.Max); to != desired {
		p["desiredSize"] = to
	}
	return p
}

func labelChanges(want map[string]string, have any) fleet.Props {
	is, _ := have.(map[string]string)
	set, drop := map[string]string{}, []string{}
	for k, v := range want {
		if got, ok := is[k]; !ok || got != v {
			set[k] = v
		}
	}
	for _, k := range slices.Sorted(maps.Keys(is)) {
		if _, ok := want[k]; !ok {
			drop = append(drop, k)
		}
	}
	return fleet.Props{"addOrUpdateLabels": set, "removeLabels": drop}
}

func taintChanges(want []fleet.Taint, have []fleet.Props) fleet.Props {
	same := func(a, b fleet.Props, fields ...string) bool {
		return !slices.ContainsFunc(fields, func(f string) bool { return fleet.Text(a, f) != fleet.Text(b, f) })
	}
	var set, drop []any
	list := eksTaints(want)
	for _, w := range list {
		if !slices.ContainsFunc(have, func(h fleet.Props) bool { return same(h, w.(fleet.Props), "key", "effect", "value") }) {
			set = append(set, w)
		}
	}
	for _, h := range have {
		if !slices.ContainsFunc(list, func(w any) bool { return same(h, w.(fleet.Props), "key", "effect") }) {
			drop = append(drop, h)
		}
	}
	return fleet.Props{"addOrUpdateTaints": set, "removeTaints": drop}
}

// versionChange takes a node group to another version of its launch template, or to the AMI release that the file names. The
// version of Kubernetes is an upgrade's to change; it is said since EKS would otherwise choose one.
func (b *builder) versionChange(g fleet.NodeGroupSpec, t template, have fleet.Resource) *plan.Call {
	in, why := fleet.Props{"nodegroupName": have.Physical}, []string{}
	if ref := t.reference(); b.outdated(g, t, have) {
		in["launchTemplate"] = ref
		why = append(why, "version "+fleet.Text(ref, "version")+" of its launch template")
	}
	if is := fleet.Text(have.Props, "releaseVersion"); g.ReleaseVersion != "" && is != g.ReleaseVersion {
		in["releaseVersion"] = g.ReleaseVersion
		why = append(why, "release "+g.ReleaseVersion)
	}
	if len(why) == 0 {
		return nil
	}
	if fleet.Text(have.Props, "amiType") != "CUSTOM" { // EKS takes no version with an image of one's own
		in["version"] = fleet.Text(have.Props, "version")
	}
	c := b.child(plan.Change, "nodegroup/"+g.Name, "eks:UpdateNodegroupVersion",
		fmt.Sprintf("take node group %s to %s, which replaces the nodes one by one", g.Name, strings.Join(why, " and ")), in)
	if g.MaxUnavailable > 1 || g.MaxUnavailablePercent > 0 {
		c.Does = strings.Replace(c.Does, "one by one", "a few at a time", 1)
	}
	return &c
}

// outdated tells whether a group's machines are made by another version of its launch template than they should be.
func (b *builder) outdated(g fleet.NodeGroupSpec, t template, have fleet.Resource) bool {
	is := fleet.Text(have.Props, "launchTemplate", "version")
	switch {
	case is == "" || fleet.Text(have.Props, "launchTemplate", "id") != t.physical && !plan.IsUnknown(t.physical):
		return false // groupCannot says it
	case g.Template != nil:
		return t.version != "" && t.version != is
	case b.assumed("template"): // which one is the newest was not read
		return have.Tags[tagTemplate] != t.mark
	}
	return t.version != is
}

// groupCannot names what of a node group differs from the file and cannot be changed.
func (b *builder) groupCannot(g fleet.NodeGroupSpec, t template, role string, subnets []string, have fleet.Resource) (notes []string) {
	p := have.Props
	is := func(field, have, want string) {
		if have != "" && want != "" && have != want && !plan.IsUnknown(want) {
			notes = append(notes, cannot("node group "+g.Name, field, "EKS does not change "+have+" to "+want,
				"add a group with another name to the file, apply, then take "+g.Name+" out and apply with --prune"))
		}
	}
	if have := fleet.Texts(p, "instanceTypes"); len(g.InstanceTypes) > 0 && len(have) > 0 && !sameSet(have, g.InstanceTypes) {
		is("instance types", strings.Join(have, ", "), strings.Join(g.InstanceTypes, ", "))
	}
	is("capacity type", fleet.Text(p, "capacityType"), capacity(g))
	is("image", fleet.Text(p, "amiType"), g.AMIType)
	is("role", fleet.Text(p, "nodeRole"), role)
	if want := texts(b.physical(subnets)); len(want) > 0 && !slices.ContainsFunc(want, plan.IsUnknown) && !sameSet(want, fleet.Texts(p, "subnets")) {
		is("subnets", strings.Join(fleet.Texts(p, "subnets"), ", "), strings.Join(want, ", "))
	}
	template := fleet.Text(p, "launchTemplate", "id")
	if template == "" {
		template = "no launch template"
	}
	if !b.assumed("template") || g.Template != nil {
		is("launch template", template, t.physical)
	} else if template == "no launch template" {
		is("launch template", template, "one")
	}
	return notes
}
