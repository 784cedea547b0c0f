package spec

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

const defaultCIDR = "192.168.0.0/16" // eksctl's

// network reads the VPC, made or given, and how the API server is reached.
func (v value) network(c *fleet.ClusterSpec) {
	n := &c.Network
	vpc := v.at("vpc")
	kube := v.at("kubernetesNetworkConfig")
	n.IPv6 = kube.at("ipFamily").anyCase("IPv4", "IPv4", "IPv6") == "IPv6"
	n.VPC = vpc.at("id").id("vpc")
	v.privateCluster(n)
	v.endpoints(vpc, c)
	v.subnets(vpc, c)
	v.zonesOfCluster(vpc, c)
	v.ranges(vpc, kube, n)
	v.egress(vpc, c)
	v.controlPlaneNetwork(vpc, c)
	host := vpc.at("hostnameType")
	if n.HostnameType = host.oneOf("", "ip-name", "resource-name"); host.there() && n.VPC != "" {
		host.wrong("belongs to subnets that are made: it is a setting of yours in an existing VPC; drop it")
	}
	n.SharedNodeSecurityGroup = vpc.at("sharedNodeSecurityGroup").id("sg")
	rules := vpc.at("manageSharedNodeSecurityGroupRules")
	if n.KeepSharedNodeRules = !rules.boolean(true); n.KeepSharedNodeRules && n.SharedNodeSecurityGroup == "" {
		rules.wrong("it is for a group of yours: name it in sharedNodeSecurityGroup, or drop it")
	}
	if n.SharedNodeSecurityGroup != "" && n.VPC == "" {
		vpc.at("sharedNodeSecurityGroup").wrong("%s is in a VPC of yours: name it in vpc.id, and its subnets in vpc.subnets", n.SharedNodeSecurityGroup)
	}
}

var endpointServices = []string{"autoscaling", "cloudformation", "logs"} // those that eksctl knows beside the ones it always makes

func (v value) privateCluster(n *fleet.NetworkSpec) {
	p := v.at("privateCluster")
	n.FullyPrivate = p.at("enabled").boolean(false)
	skip, more := p.at("skipEndpointCreation"), p.at("additionalEndpointServices")
	n.NoEndpoints = skip.boolean(false)
	for _, item := range more.items() {
		if s := item.oneOf("", endpointServices...); slices.Contains(n.ExtraEndpoints, s) {
			item.wrong("%q is there twice: drop one", s)
		} else if s != "" {
			n.ExtraEndpoints = append(n.ExtraEndpoints, s)
		}
	}
	switch {
	case !n.FullyPrivate && (skip.given() || more.given()):
		p.wrong("is about a fully private cluster: set enabled to true, or drop it")
	case n.NoEndpoints && more.given():
		more.wrong("and skipEndpointCreation exclude each other: drop one")
	case n.NoEndpoints && n.VPC == "":
		skip.wrong("nodes of a new VPC could reach nothing: it is for a VPC of yours that has the endpoints; drop it or set vpc.id")
	}
}

// endpoints is how the API server is reached.
func (v value) endpoints(vpc value, c *fleet.ClusterSpec) {
	n := &c.Network
	e := vpc.at("clusterEndpoints")
	public, private := e.at("publicAccess"), e.at("privateAccess")
	closed := n.FullyPrivate || c.Outpost != nil // eksctl's rule for both
	n.PublicAccess, n.PrivateAccess = public.boolean(!closed), private.boolean(closed)
	switch {
	case closed && n.PublicAccess:
		public.wrong("a cluster that is fully private or on an Outpost is reached from inside of its VPC only: drop it")
	case closed && !n.PrivateAccess:
		private.wrong("a cluster that is fully private or on an Outpost is reached from inside of its VPC only: drop it")
	case !n.PublicAccess && !n.PrivateAccess:
		e.wrong("nobody could reach the API server: set publicAccess or privateAccess to true")
	case !n.PublicAccess:
		at := public
		switch {
		case n.FullyPrivate && !public.there():
			at = v.at("privateCluster", "enabled")
		case c.Outpost != nil && !public.there():
			at = v.at("outpost")
		}
		at.warn("without public access to the API server, ekspedite's functions reach it only if they run in the VPC, or in a network that is joined to it")
	}
	list := vpc.at("publicAccessCIDRs")
	n.PublicAccessCIDRs = list.cidrs(n.IPv6)
	if len(n.PublicAccessCIDRs) > maxAccessCIDRs {
		list.wrong("has %d ranges: EKS takes %d at most", len(n.PublicAccessCIDRs), maxAccessCIDRs)
	}
	switch {
	case !list.given():
	case c.Outpost != nil:
		list.wrong("the API server of a cluster on an Outpost has no public access: drop it")
	case !n.PublicAccess:
		list.warn("has no effect without public access: drop it")
	case !slices.Contains(n.PublicAccessCIDRs, "0.0.0.0/0"):
		list.warn("must contain the addresses that ekspedite's functions call from, or they cannot reach the API server")
	}
}

const maxAccessCIDRs = 40

// subnets reads those of an existing VPC.
func (v value) subnets(vpc value, c *fleet.ClusterSpec) {
	n := &c.Network
	s := vpc.at("subnets")
	seen := map[string]bool{}
	n.Public = s.at("public").subnetList(c.Region, seen)
	n.Private = s.at("private").subnetList(c.Region, seen)
	if c.Outpost == nil {
		for _, l := range []struct {
			subnets []fleet.SubnetSpec
			name    string
		}{{n.Public, "public"}, {n.Private, "private"}} {
			if len(l.subnets) == 1 || len(l.subnets) > 1 && len(zonesOf(l.subnets)) == 1 && !unknownZone(l.subnets) {
				s.at(l.name).wrong("EKS needs subnets in two zones at least: name another one")
			}
		}
	}
	switch some := len(n.Public)+len(n.Private) > 0; {
	case some && n.VPC == "":
		s.wrong("name the VPC that they are in: vpc.id")
	case !some && n.VPC != "" && !vpc.at("controlPlaneSubnetIDs").given():
		vpc.at("id").wrong("name its subnets, too: vpc.subnets.public, vpc.subnets.private")
	case !some && n.VPC != "" && (v.has("managedNodeGroups") || v.has("nodeGroups") || v.has("fargateProfiles")):
		vpc.at("id").wrong("name the subnets for nodes, too: vpc.subnets.public, vpc.subnets.private")
	case n.FullyPrivate && n.VPC != "" && len(n.Private) == 0:
		s.wrong("a fully private cluster needs private ones: vpc.subnets.private")
	}
}

func (v value) subnetList(region string, seen map[string]bool) []fleet.SubnetSpec {
	var out []fleet.SubnetSpec
	for _, e := range v.entries() {
		s := fleet.SubnetSpec{Alias: e.key, ID: e.at("id").id("subnet"), Zone: e.at("az").text(""), CIDR: e.at("cidr").cidr()}
		if s.Zone == "" && isZone(s.Alias, region) {
			s.Zone = s.Alias
		}
		switch {
		case s.ID == "" && s.Zone == "" && s.CIDR == "":
			e.wrong("says nothing by which the subnet could be found: give its id, or az, or cidr")
		case s.ID != "" && seen[s.ID]:
			e.at("id").wrong("%s is there twice: drop one", s.ID)
		case e.at("az").there() && !isZone(s.Zone, region) && !isLocalZone(s.Zone, region):
			e.at("az").wrong("%q is no zone of %s", clip(s.Zone), clip(region))
		}
		seen[s.ID] = true
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b fleet.SubnetSpec) int { return cmp.Compare(a.Alias, b.Alias) })
	return out
}

func zonesOf(subnets []fleet.SubnetSpec) []string {
	var out []string
	for _, s := range subnets {
		if s.Zone != "" && !slices.Contains(out, s.Zone) {
			out = append(out, s.Zone)
		}
	}
	return out
}

func unknownZone(subnets []fleet.SubnetSpec) bool {
	return slices.ContainsFunc(subnets, func(s fleet.SubnetSpec) bool { return s.Zone == "" })
}

var (
	zoneLetter = regexp.MustCompile(`^[a-z]$`)
	localPart  = regexp.MustCompile(`^-[a-z]{3}-[0-9][a-z]$`)
)

func isZone(z, region string) bool {
	rest, ok := strings.CutPrefix(z, region)
	return ok && zoneLetter.MatchString(rest)
}

// isLocalZone tells Local Zones: us-west-2-lax-1a.
func isLocalZone(z, region string) bool {
	rest, ok := strings.CutPrefix(z, region)
	return ok && localPart.MatchString(rest)
}

// zones are availability zones of the Region, sorted.
func (v value) zones(region string) []string {
	zones := v.texts()
	for _, z := range zones {
		switch {
		case isLocalZone(z, region):
			v.wrong("%s is a Local Zone: name it in localZones", z)
		case !isZone(z, region):
			v.wrong("%q is no availability zone of %s", clip(z), clip(region))
		}
	}
	slices.Sort(zones)
	return zones
}

func (v value) localZones(region string) []string {
	zones := v.texts()
	for _, z := range zones {
		if !isLocalZone(z, region) {
			v.wrong("%q is no Local Zone of %s, like %s-xxx-1a", clip(z), clip(region), clip(region))
		}
	}
	slices.Sort(zones)
	return zones
}

func (v value) zonesOfCluster(vpc value, c *fleet.ClusterSpec) {
	n := &c.Network
	list := v.at("availabilityZones")
	n.Zones = list.zones(c.Region)
	switch {
	case !list.given():
	case n.VPC != "":
		list.wrong("the zones are those of vpc.subnets: drop it")
	case len(n.Zones) == 1:
		list.wrong("EKS needs two zones at least: name another one, or drop the field")
	}
	if slices.Contains(n.Zones, "us-east-1e") {
		list.wrong("EKS has no room for control planes in us-east-1e: use another zone")
	}
	local := v.at("localZones")
	n.Local = local.localZones(c.Region)
	if !local.given() {
		return
	}
	switch {
	case n.VPC != "":
		local.wrong("are for a VPC that is made: name their subnets in vpc.subnets")
	case n.FullyPrivate:
		local.wrong("cannot be in a fully private cluster: VPC endpoints are not there; drop one of both")
	case n.IPv6:
		local.wrong("have no IPv6: drop them, or kubernetesNetworkConfig.ipFamily")
	case vpc.at("nat", "gateway").text("") == string(fleet.NATHighlyAvailable):
		local.wrong("have no NAT gateways: set vpc.nat.gateway to Single or Disable")
	}
}

// egress is how nodes in private subnets and the control plane reach the internet.
func (v value) egress(vpc value, c *fleet.ClusterSpec) {
	n := &c.Network
	nat := vpc.at("nat", "gateway")
	n.NAT = fleet.NATMode(nat.oneOf(string(fleet.NATSingle), string(fleet.NATDisable), string(fleet.NATSingle), string(fleet.NATHighlyAvailable)))
	if n.FullyPrivate {
		n.NAT = fleet.NATDisable
	}
	switch {
	case !nat.given():
	case n.IPv6:
		nat.wrong("cannot be chosen with IPv6, whose nodes need one gateway for IPv4 at most: drop it")
	case n.FullyPrivate && nat.text("") != string(fleet.NATDisable):
		nat.wrong("a fully private cluster has no way to the internet: drop it")
	case n.VPC != "":
		nat.warn("has no effect in an existing VPC: its routes stay as they are")
	}
	n.EgressMode = vpc.at("controlPlaneEgressMode").oneOf("", "AWS_MANAGED", "CUSTOMER_ROUTED", "CUSTOMER_ISOLATED")
}

// noPrivate tells whether a VPC that is made will have no private subnets.
func noPrivate(n fleet.NetworkSpec) bool {
	if n.VPC != "" {
		return len(n.Private) == 0
	}
	return n.NAT == fleet.NATDisable && !n.FullyPrivate
}

func (v value) controlPlaneNetwork(vpc value, c *fleet.ClusterSpec) {
	n := &c.Network
	ids, onPrivate := vpc.at("controlPlaneSubnetIDs"), vpc.at("controlPlaneOnPrivateSubnets")
	n.ControlPlaneSubnets = ids.ids("subnet", 16)
	n.ControlPlaneOnPrivate = onPrivate.boolean(false)
	one, many := vpc.at("securityGroup"), vpc.at("controlPlaneSecurityGroupIDs")
	n.ControlPlaneSecurityGroups = many.ids("sg", maxGroups)
	if one.given() {
		if many.given() {
			one.wrong("and controlPlaneSecurityGroupIDs exclude each other: put all into controlPlaneSecurityGroupIDs")
		}
		n.ControlPlaneSecurityGroups = append(n.ControlPlaneSecurityGroups, one.id("sg"))
	}
	for _, f := range []value{ids, one, many} {
		if f.given() && n.VPC == "" {
			f.wrong("is of a VPC of yours, which the nodes must be in, too: name it in vpc.id, and its subnets in vpc.subnets")
		}
	}
	switch {
	case len(n.ControlPlaneSubnets) == 1 && c.Outpost == nil:
		ids.wrong("EKS needs subnets in two zones at least: name another one")
	case n.ControlPlaneOnPrivate && ids.given():
		onPrivate.wrong("and controlPlaneSubnetIDs exclude each other: drop one")
	case n.ControlPlaneOnPrivate && noPrivate(*n):
		onPrivate.wrong("there are no private subnets: set vpc.nat.gateway to Single or HighlyAvailable, or name some in vpc.subnets.private")
	}
}

const maxGroups = 4 // security groups that a control plane takes, beside EKS's own
