package spec

import (
	"regexp"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

var groupName = regexp.MustCompile(`^[0-9A-Za-z][A-Za-z0-9_-]{0,62}$`)

// nodeGroups reads the managed ones, then those of our own.
func (v value) nodeGroups(c *fleet.ClusterSpec) {
	managed, own := v.at("managedNodeGroups").mappings(), v.at("nodeGroups").mappings()
	v.zonesOfGroups(c, managed, own)
	seen := map[string]bool{}
	add := func(item value, g fleet.NodeGroupSpec) {
		if seen[g.Name] && g.Name != "" {
			item.at("name").wrong("node group %s is there twice: give it another name", g.Name)
		}
		seen[g.Name] = true
		c.NodeGroups = append(c.NodeGroups, g)
	}
	for _, item := range managed {
		add(item, item.managed(c))
	}
	for _, item := range own {
		add(item, item.selfManaged(c))
	}
	v.outpostsOfGroups(c, own)
}

// zonesOfGroups makes sure that the zones that node groups name are zones of the cluster. Where only groups name any, and
// enough of them, they are the cluster's.
func (v value) zonesOfGroups(c *fleet.ClusterSpec, groups ...[]value) {
	var named []string
	var first value
	for _, item := range slices.Concat(groups...) {
		if zones := item.look("availabilityZones"); zones.given() && zones.n.Kind != 0 {
			for _, n := range zones.n.Content {
				if z := target(n).Value; isZone(z, c.Region) && !slices.Contains(named, z) {
					named = append(named, z)
				}
			}
			if first.r == nil {
				first = zones
			}
		}
	}
	if len(named) == 0 || c.Network.VPC != "" || len(c.Network.Zones) > 0 {
		return
	}
	if len(named) == 1 {
		first.wrong("name the cluster's zones, too, so that %s is sure to be one of them: availabilityZones of the ClusterConfig", named[0])
		return
	}
	slices.Sort(named)
	c.Network.Zones = named
}

// group reads what managed and self-managed node groups have in common.
func (v value) group(c *fleet.ClusterSpec) fleet.NodeGroupSpec {
	var g fleet.NodeGroupSpec
	name := v.at("name")
	if g.Name = name.text(""); !groupName.MatchString(g.Name) {
		name.wrong("%q must be the node group's name: letters, digits, - and _, up to 63, a letter or digit first", clip(g.Name))
	}
	g.Selector = v.at("instanceSelector").selector()
	g.AMIFamily = v.at("amiFamily").anyCase("", amiFamilies...)
	g.Taints = v.at("taints").taints()
	g.Tags = v.at("tags").tags()
	if len(g.Tags)+len(c.Tags) > maxTags {
		v.at("tags").wrong("are %d together with metadata.tags: at most %d are possible beside ekspedite's own", len(g.Tags)+len(c.Tags), maxTags)
	}
	v.place(c, &g)
	v.updates(&g)
	g.PropagateTags = v.at("propagateASGTags").boolean(false)
	for _, item := range v.at("asgSuspendProcesses").items() {
		p := item.oneOf("", scalers...)
		if slices.Contains(g.SuspendedScaler, p) {
			item.wrong("%s is there twice: drop one", p)
		} else if p != "" {
			g.SuspendedScaler = append(g.SuspendedScaler, p)
		}
	}
	market := v.at("instanceMarketOptions", "marketType")
	g.CapacityBlock = market.oneOf("", "capacity-block") != ""
	if market.given() && !v.has("capacityReservation", "capacityReservationTarget") {
		market.wrong("a capacity block is paid for in advance: name it in capacityReservation.capacityReservationTarget")
	}
	v.machine(c, &g)
	g.IAM = v.at("iam").nodeRole(c)
	if g.Machine.NoPodIMDS && len(g.IAM.Addons) > 0 {
		v.at("disablePodIMDS").wrong("and iam.withAddonPolicies exclude each other: pods could not use what the policies grant; drop one")
	}
	return g
}

// scalers are the processes of an Auto Scaling group that can be suspended.
var scalers = []string{"Launch", "Terminate", "AddToLoadBalancer", "AlarmNotification", "AZRebalance", "HealthCheck", "InstanceRefresh",
	"ReplaceUnhealthy", "ScheduledActions"}

// place reads where the machines are.
func (v value) place(c *fleet.ClusterSpec, g *fleet.NodeGroupSpec) {
	n := c.Network
	private, zones, subnets := v.at("privateNetworking"), v.at("availabilityZones"), v.at("subnets")
	g.Private = private.boolean(false)
	switch {
	case g.Private && n.VPC != "" && len(n.Private) == 0 && len(n.Public) > 0:
		private.wrong("vpc.subnets has no private ones: name some, or drop it")
	case g.Private && n.VPC == "" && noPrivate(n):
		private.wrong("private subnets need a way out: set vpc.nat.gateway to Single or HighlyAvailable")
	case !g.Private && n.FullyPrivate:
		private.wrong("a fully private cluster has no public subnets: set it to true")
	case !g.Private && n.VPC != "" && len(n.Public) == 0 && len(n.Private) > 0 && !subnets.given():
		private.wrong("vpc.subnets has private ones only: set it to true, or name public ones")
	}
	g.Zones = zones.zones(c.Region)
	known := n.Zones
	if all := slices.Concat(n.Public, n.Private); n.VPC != "" && !unknownZone(all) {
		known = zonesOf(all)
	}
	for _, z := range g.Zones {
		if len(known) > 0 && isZone(z, c.Region) && !slices.Contains(known, z) {
			zones.wrong("%s is none of the cluster's zones: %s", clip(z), strings.Join(known, ", "))
		}
	}
	if zones.given() {
		v.excludes("availabilityZones", "subnets")
	}
	g.Subnets = subnets.subnetNames(c, g.Private)
	g.OutpostARN = v.at("outpostARN").arn(outpostARN)
}

func (v value) updates(g *fleet.NodeGroupSpec) {
	u := v.at("updateConfig")
	count, share := u.at("maxUnavailable"), u.at("maxUnavailablePercentage")
	g.MaxUnavailable, g.MaxUnavailablePercent = count.within(1, 100), share.within(1, 100)
	switch {
	case g.MaxUnavailable > 0 && g.MaxUnavailablePercent > 0:
		share.wrong("and maxUnavailable exclude each other: drop one")
	case u.there() && !count.there() && !share.there():
		u.wrong("says nothing: give maxUnavailable or maxUnavailablePercentage, or drop it")
	}
}

const (
	defaultSize = 2 // eksctl's
	maxManaged  = 450
)

// size reads min, max and desired, with eksctl's defaults. The greatest size is at least least.
func (v value) size(g *fleet.NodeGroupSpec, least int) {
	minSize, maxSize, desired := v.at("minSize"), v.at("maxSize"), v.at("desiredCapacity")
	g.Min, g.Max, g.Desired = minSize.number(0), maxSize.number(least), desired.number(0)
	switch {
	case g.Min < 0 && g.Desired < 0 && g.Max >= 0:
		g.Min = min(defaultSize, g.Max)
	case g.Min < 0 && g.Desired < 0:
		g.Min = defaultSize
	case g.Min < 0:
		g.Min = g.Desired
		if g.Max >= 0 {
			g.Min = min(g.Desired, g.Max)
		}
	}
	if g.Desired < 0 {
		g.Desired = g.Min
	}
	if g.Max < 0 {
		g.Max = max(g.Desired, g.Min, least)
	}
	switch {
	case g.Min > g.Max:
		minSize.wrong("%d is more than maxSize %d", g.Min, g.Max)
	case g.Desired < g.Min:
		desired.wrong("%d is less than minSize %d", g.Desired, g.Min)
	case g.Desired > g.Max:
		desired.wrong("%d is more than maxSize %d", g.Desired, g.Max)
	}
	if g.MaxUnavailable > g.Max {
		v.at("updateConfig", "maxUnavailable").wrong("%d is more than maxSize %d", g.MaxUnavailable, g.Max)
	}
}

// addonPolicies are eksctl's iam.withAddonPolicies, without those of App Mesh.
var addonPolicies = []string{"autoScaler", "awsLoadBalancerController", "certManager", "cloudWatch", "ebs", "efs", "externalDNS", "fsx",
	"imageBuilder", "xRay"} // sorted

// nodeRole reads the role of a group's machines.
func (v value) nodeRole(c *fleet.ClusterSpec) fleet.NodeIAM {
	policies := v.at("withAddonPolicies")
	i := fleet.NodeIAM{
		RoleARN: v.at("instanceRoleARN").arn(role), RoleName: v.at("instanceRoleName").roleName(), ProfileARN: v.at("instanceProfileARN").arn(profile),
		Addons: policies.switches(addonPolicies),
		Grants: fleet.Grants{
			PolicyARNs: v.at("attachPolicyARNs").arns(iamPolicy), Inline: v.at("attachPolicy").iamPolicy(),
			Boundary: v.at("instanceRolePermissionsBoundary").arn(iamPolicy),
		},
	}
	if alb := policies.at("albIngress"); alb.boolean(false) { // its name of old
		if slices.Contains(i.Addons, "awsLoadBalancerController") {
			alb.wrong("is the old name of awsLoadBalancerController: drop it")
		} else {
			i.Addons = append(i.Addons, "awsLoadBalancerController")
			slices.Sort(i.Addons)
		}
	}
	rest := []string{"instanceRoleName", "attachPolicy", "attachPolicyARNs", "instanceRolePermissionsBoundary"}
	for _, given := range []struct{ field, arn string }{{"instanceRoleARN", i.RoleARN}, {"instanceProfileARN", i.ProfileARN}} {
		if given.arn == "" {
			continue
		}
		v.excludes(given.field, rest...)
		if len(i.Addons) > 0 {
			policies.wrong("and %s exclude each other: attach the policies to that role", given.field)
		}
	}
	return i
}

// outpostsOfGroups: all machines that are on an Outpost are on one.
func (v value) outpostsOfGroups(c *fleet.ClusterSpec, own []value) {
	at := ""
	if c.Outpost != nil {
		at = c.Outpost.ARN
	}
	for _, item := range own {
		arn := item.at("outpostARN")
		s := arn.text("")
		switch {
		case s == "":
		case at != "" && s != at:
			arn.wrong("%s is another Outpost than %s: a cluster has one", clip(s), clip(at))
		case c.Network.FullyPrivate && c.Outpost == nil:
			arn.wrong("a fully private cluster has no nodes on an Outpost: drop one of both")
		default:
			at = s
		}
		if s != "" || c.Outpost != nil {
			for _, field := range []string{"instanceSelector", "availabilityZones", "localZones"} {
				if item.has(field) {
					item.at(field).wrong("a group on an Outpost cannot have it: its zone is the Outpost's, and its instanceType must be there; drop it")
				}
			}
		}
	}
}
