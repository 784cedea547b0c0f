package spec

import (
	"slices"
	"strconv"
	"strings"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// selfManaged reads one of nodeGroups: an Auto Scaling group of our own.
func (v value) selfManaged(c *fleet.ClusterSpec) fleet.NodeGroupSpec {
	g := v.group(c)
	g.SelfManaged = true
	v.size(&g, 0)
	g.Labels = v.at("labels").nodeLabels(c.Name, g.Name, false)
	g.Group = &fleet.GroupSpec{
		Metrics: v.at("asgMetricsCollection").metrics(), TargetGroupARNs: v.at("targetGroupARNs").arns(targetGroup),
		ClassicBalancers: v.at("classicLoadBalancerNames").texts(),
	}
	life := v.at("maxInstanceLifetime")
	if life.text("0") != "0" {
		if n := life.number(86400); n > 31536000 {
			life.wrong("%d seconds are more than Auto Scaling takes: 31536000, a year", n)
		} else {
			g.Group.MaxLifetimeSecs = max(n, 0)
		}
	}
	ami := v.at("ami")
	switch s := ami.text(""); s {
	case "auto", "auto-ssm": // the newest, which is what "" means
	case "static":
		ami.wrong("images are no longer listed in eksctl: drop it, or name an image")
	default:
		g.AMI = ami.id("ami")
	}
	types := v.mixed(&g)
	v.image(c, &g, types)
	if g.AMI != "" {
		v.ownImageSelf(g)
	}
	v.defaultDisk(c, &g)
	v.own(c, &g)
	local := v.at("localZones")
	g.LocalZones = local.localZones(c.Region)
	if local.given() {
		v.excludes("localZones", "availabilityZones")
	}
	for _, z := range g.LocalZones {
		if !slices.Contains(c.Network.Local, z) && c.Network.VPC == "" {
			local.wrong("%s is none of the cluster's Local Zones: add it to localZones of the ClusterConfig", clip(z))
		}
	}
	for field, other := range map[string]string{"spot": "use instancesDistribution", "instanceTypes": "use instancesDistribution.instanceTypes",
		"launchTemplate": "managed groups take one", "nodeRepairConfig": "EKS repairs managed nodes", "releaseVersion": "name an image in ami"} {
		if v.has(field) { // not in eksctl's schema for these groups, but written by people who know managedNodeGroups
			v.at(field).wrong("is for managedNodeGroups: %s, or move the group there", other)
		}
	}
	return g
}

// mixed reads which machines a group takes: one type, several in a distribution, or what a selector finds. It returns
// where they are named.
func (v value) mixed(g *fleet.NodeGroupSpec) value {
	one, d := v.at("instanceType"), v.at("instancesDistribution")
	many := d.at("instanceTypes")
	g.Group.Distribution = d.distribution()
	g.Group.Rebalance = d.at("capacityRebalance").boolean(false)
	g.InstanceTypes = many.texts()
	name := one.text("")
	switch {
	case d.given() && name != "" && name != "mixed":
		one.wrong("and instancesDistribution exclude each other: put all types into instancesDistribution.instanceTypes")
	case g.Selector != nil && name != "" && name != "mixed":
		one.wrong("and instanceSelector exclude each other: drop one")
	case g.Selector != nil && len(g.InstanceTypes) > 0:
		many.wrong("and instanceSelector exclude each other: drop one")
	case d.given() && len(g.InstanceTypes) == 0 && g.Selector == nil:
		d.at("instanceTypes").wrong("is missing: name types of about one size")
	case len(g.InstanceTypes) > maxTypes:
		many.wrong("has %d types: at most %d make sense", len(g.InstanceTypes), maxTypes)
	case name == "mixed" && !d.given() && g.Selector == nil:
		one.wrong("mixed of what? Name the types in instancesDistribution.instanceTypes")
	}
	if d.given() || g.Selector != nil || name == "mixed" {
		return many
	}
	if name == "" {
		name = defaultType
	}
	g.InstanceTypes = []string{name}
	return one
}

// spotStrategies are Auto Scaling's.
var spotStrategies = []string{"lowest-price", "diversified", "capacity-optimized", "capacity-optimized-prioritized", "price-capacity-optimized"}

// distribution is Auto Scaling's InstancesDistribution; nil without.
func (v value) distribution() fleet.Props {
	out := fleet.Props{}
	price, base, above := v.at("maxPrice"), v.at("onDemandBaseCapacity"), v.at("onDemandPercentageAboveBaseCapacity")
	pools, strategy := v.at("spotInstancePools"), v.at("spotAllocationStrategy")
	if price.there() {
		if f, err := strconv.ParseFloat(price.text(""), 64); err != nil || !(f > 0 && f < 1000) {
			price.wrong("%q must be a price in USD an hour, like 0.05; drop it for the price on demand", clip(price.text("")))
		} else {
			out["SpotMaxPrice"] = strconv.FormatFloat(f, 'f', -1, 64)
		}
	}
	if base.there() {
		out["OnDemandBaseCapacity"] = base.within(0, 5000)
	}
	if above.there() {
		out["OnDemandPercentageAboveBaseCapacity"] = above.within(0, 100)
	}
	if s := strategy.oneOf("", spotStrategies...); s != "" {
		out["SpotAllocationStrategy"] = s
	}
	if pools.there() {
		out["SpotInstancePools"] = pools.within(1, 20)
		if s := strategy.text("lowest-price"); s != "lowest-price" {
			pools.wrong("is for spotAllocationStrategy lowest-price: drop one of both")
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// metrics are what Auto Scaling's EnableMetricsCollection is told.
func (v value) metrics() []fleet.Props {
	var out []fleet.Props
	for _, item := range v.mappings() {
		p := fleet.Props{}
		if g := item.at("granularity"); !g.there() {
			g.wrong("is missing: 1Minute")
		} else {
			p["Granularity"] = g.oneOf("1Minute", "1Minute")
		}
		if names := item.at("metrics").texts(); len(names) > 0 {
			p["Metrics"] = fleet.Strings(names)
		}
		out = append(out, p)
	}
	return out
}

// ownImageSelf holds what goes with an image of one's own.
func (v value) ownImageSelf(g fleet.NodeGroupSpec) {
	switch {
	case g.AMIFamily == "":
		v.at("amiFamily").wrong("is missing: an image of your own needs the family that it was made from")
	case (g.AMIFamily == al2 || ubuntu(g.AMIFamily)) && !v.has("overrideBootstrapCommand"):
		v.at("overrideBootstrapCommand").wrong("is missing: an image of your own that was made from %s needs it", g.AMIFamily)
	}
}

// kubeletOurs are settings of the kubelet that make it a node of its cluster.
var kubeletOurs = []string{"kind", "apiVersion", "address", "clusterDomain", "authentication", "authorization", "serverTLSBootstrap"}

// own reads what only nodes of our own have on them.
func (v value) own(c *fleet.ClusterSpec, g *fleet.NodeGroupSpec) {
	m := &g.Machine
	m.ClusterDNS = v.at("clusterDNS").address()
	m.Enclave = v.at("enclaveEnabled").boolean(false)
	kubelet := v.at("kubeletExtraConfig")
	m.Kubelet = kubelet.props()
	if kubelet.given() && (windows(g.AMIFamily) || bottlerocket(g.AMIFamily)) {
		kubelet.wrong("%s has its own settings: drop it", g.AMIFamily)
	}
	for _, name := range kubeletOurs {
		if _, is := m.Kubelet[name]; is {
			kubelet.at(name).wrong("without ours the node could not join: drop it")
		}
	}
	runtime, command := v.at("containerRuntime"), v.at("overrideBootstrapCommand")
	switch m.ContainerRuntime = runtime.oneOf("", "containerd", "dockerd", "docker"); {
	case (m.ContainerRuntime == "dockerd" || m.ContainerRuntime == "docker") && (!older(c, 24) || g.AMIFamily == al2023):
		runtime.wrong("Kubernetes has only containerd since 1.24: drop it")
	case runtime.given() && command.given():
		runtime.wrong("and overrideBootstrapCommand exclude each other: say it in the command")
	}
	if command.given() && bottlerocket(g.AMIFamily) {
		command.wrong("%s runs no commands: use bottlerocket.settings", g.AMIFamily)
	}
	credits := v.at("cpuCredits")
	m.CPUCredits = credits.anyCase("", "standard", "unlimited")
	burst := func(t string) bool { return strings.HasPrefix(t, "t") && !strings.HasPrefix(t, "trn") }
	if m.CPUCredits != "" && !slices.ContainsFunc(g.InstanceTypes, burst) {
		credits.wrong("is for types that save them up, like t3.large: drop it")
	}
}
