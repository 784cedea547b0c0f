package spec

import (
	"strings"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// managed reads one of managedNodeGroups.
func (v value) managed(c *fleet.ClusterSpec) fleet.NodeGroupSpec {
	g := v.group(c)
	v.size(&g, 1)
	if g.Max > maxManaged {
		v.at("maxSize").wrong("%d: a managed node group has %d nodes at most, without a raised quota", g.Max, maxManaged)
	}
	g.Labels = v.at("labels").nodeLabels(c.Name, g.Name, true)
	g.Spot = v.at("spot").boolean(false)
	if g.Spot && g.CapacityBlock {
		v.at("spot").wrong("and instanceMarketOptions exclude each other: a capacity block is paid for in advance; drop one")
	}
	release := v.at("releaseVersion")
	g.ReleaseVersion = release.text("")
	g.Repair = v.at("nodeRepairConfig").repair()
	v.template(&g)
	ami := v.at("ami")
	g.AMI = ami.id("ami")
	types := v.exclusive(&g)
	v.image(c, &g, types)
	if g.AMI != "" {
		v.ownImage(g)
	}
	if g.Template == nil {
		v.defaultDisk(c, &g)
	}
	command := v.at("overrideBootstrapCommand")
	switch {
	case !command.given():
	case windows(g.AMIFamily) || bottlerocket(g.AMIFamily):
		command.wrong("%s starts by itself: drop it", g.AMIFamily)
	case g.AMI == "" && g.AMIFamily != al2023:
		command.wrong("is for an image of your own: name it in ami, or drop it")
	}
	if f := v.at("iam", "instanceProfileARN"); f.given() {
		f.wrong("a managed node group has a role, not a profile: use iam.instanceRoleARN")
	}
	for _, name := range []string{"withLocal", "withShared"} {
		if f := v.at("securityGroups", name); f.given() {
			f.wrong("managed nodes have the cluster's own security group: drop it, or list groups in attachIDs")
		}
	}
	if g.OutpostARN != "" {
		v.at("outpostARN").wrong("nodes on an Outpost are self-managed: move the group to nodeGroups")
	}
	if v.has("localZones") {
		v.at("localZones").wrong("nodes in Local Zones are self-managed: move the group to nodeGroups")
	}
	for field, other := range map[string]string{
		"instancesDistribution": "set spot to true", "kubeletExtraConfig": "use overrideBootstrapCommand with a NodeConfig",
		"cpuCredits": "use a launchTemplate", "enclaveEnabled": "use a launchTemplate",
	} {
		if v.has(field) { // not in eksctl's schema for these groups, but written by people who know nodeGroups
			v.at(field).wrong("is for nodeGroups: %s, or move the group there", other)
		}
	}
	return g
}

// template reads the user's own launch template, which says itself most of what a group could say.
func (v value) template(g *fleet.NodeGroupSpec) {
	t := v.at("launchTemplate")
	if !t.given() {
		return
	}
	id, ver := t.at("id"), t.at("version")
	g.Template = &fleet.LaunchTemplateRef{ID: id.id("lt"), Version: ver.text("")}
	if g.Template.ID == "" {
		id.wrong("is missing: an id like lt-0123456789abcdef0")
	}
	if ver.given() {
		ver.number(1)
	}
	v.excludes("launchTemplate", "instanceType", "ami", "ssh", "volumeSize", "volumeType", "volumeName", "volumeEncrypted", "volumeKmsKeyID",
		"volumeIOPS", "volumeThroughput", "additionalVolumes", "preBootstrapCommands", "overrideBootstrapCommand", "securityGroups.attachIDs",
		"instanceName", "instancePrefix", "maxPodsPerNode", "disablePodIMDS", "placement.groupName", "bottlerocket", "ebsOptimized",
		"enableDetailedMonitoring", "efaEnabled", "capacityReservation")
	if f := v.at("disableIMDSv1"); f.there() {
		f.wrong("and launchTemplate exclude each other: drop one")
	}
	g.Machine = fleet.MachineSpec{}
}

// ownImage holds what goes with an image of one's own.
func (v value) ownImage(g fleet.NodeGroupSpec) {
	family := v.at("amiFamily")
	switch {
	case g.AMIFamily == "":
		family.wrong("is missing: an image of your own needs the family that it was made from")
	case windows(g.AMIFamily):
		family.wrong("a managed node group takes no Windows image of your own: drop ami, or move the group to nodeGroups")
	case (g.AMIFamily == al2 || ubuntu(g.AMIFamily)) && !v.at("overrideBootstrapCommand").given():
		v.at("overrideBootstrapCommand").wrong("is missing: an image of your own that was made from %s needs it", g.AMIFamily)
	}
	for _, name := range []string{"maxPodsPerNode", "releaseVersion", "ssh.enableSsm"} {
		if f := v.at(strings.Split(name, ".")...); f.given() {
			f.wrong("an image of your own has its own: drop it")
		}
	}
}

// repairFields are EKS's NodeRepairConfig: two ways to give each of two bounds.
var repairFields = [][2]string{
	{"maxUnhealthyNodeThresholdCount", "maxUnhealthyNodeThresholdPercentage"},
	{"maxParallelNodesRepairedCount", "maxParallelNodesRepairedPercentage"},
}

// repair is EKS's NodeRepairConfig; nil without.
func (v value) repair() fleet.Props {
	out := fleet.Props{}
	if on := v.at("enabled").flag(); on != nil {
		out["enabled"] = *on
	}
	for _, pair := range repairFields {
		count, share := v.at(pair[0]), v.at(pair[1])
		if n := count.within(1, maxManaged); n > 0 {
			out[pair[0]] = n
		}
		if n := share.within(1, 100); n > 0 {
			out[pair[1]] = n
		}
		if count.given() && share.given() {
			share.wrong("and %s exclude each other: drop one", pair[0])
		}
	}
	var overrides []any
	for _, item := range v.at("nodeRepairConfigOverrides").mappings() {
		action := item.at("repairAction")
		for _, name := range []string{"nodeMonitoringCondition", "nodeUnhealthyReason", "minRepairWaitTimeMins", "repairAction"} {
			if !item.at(name).there() {
				item.at(name).wrong("is missing: an override says all four")
			}
		}
		overrides = append(overrides, fleet.Props{
			"nodeMonitoringCondition": item.at("nodeMonitoringCondition").text(""), "nodeUnhealthyReason": item.at("nodeUnhealthyReason").text(""),
			"minRepairWaitTimeMins": item.at("minRepairWaitTimeMins").within(0, 10080), "repairAction": action.action(),
		})
	}
	if len(overrides) > 0 {
		out["nodeRepairConfigOverrides"] = overrides
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// action is what is done with an unhealthy node. eksctl's documentation has other words for it than EKS.
func (v value) action() string {
	switch s, _ := v.scalar(); s {
	case "Terminate":
		v.wrong("EKS calls it Replace")
		return "Replace"
	case "Restart":
		v.wrong("EKS calls it Reboot")
		return "Reboot"
	}
	return v.oneOf("", "Replace", "Reboot", "NoAction")
}
