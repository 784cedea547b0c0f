package preflight

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// vpcRanges are the IPv4 ranges of the cluster's VPC, made or given.
func (c *check) vpcRanges() (out []string) {
	if c.s.Network.VPC == "" {
		return []string{c.s.Network.CIDR}
	}
	p, _ := c.fact("vpc", c.s.Network.VPC)
	for _, a := range fleet.Items(p, "cidrBlockAssociationSet") {
		if state := fleet.Text(a, "cidrBlockState", "state"); state == "" || state == "associated" {
			out = append(out, fleet.Text(a, "cidrBlock"))
		}
	}
	if main := fleet.Text(p, "cidrBlock"); main != "" && !slices.Contains(out, main) {
		out = append(out, main)
	}
	return out
}

// overlap tells whether two ranges have addresses in common.
func overlap(a, b string) bool {
	x, err := netip.ParsePrefix(a)
	y, err2 := netip.ParsePrefix(b)
	return err == nil && err2 == nil && x.Overlaps(y)
}

// private are the ranges that EKS takes for services, and for hybrid nodes beside carrier-grade NAT's.
var private = []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"}

const carrierNAT = "100.64.0.0/10"

func within(cidr string, ranges ...string) bool {
	p, err := netip.ParsePrefix(cidr)
	return err == nil && slices.ContainsFunc(ranges, func(r string) bool {
		outer, err := netip.ParsePrefix(r)
		return err == nil && outer.Bits() <= p.Bits() && outer.Contains(p.Addr())
	})
}

// ranges checks that the cluster's networks do not overlap.
func (c *check) ranges() {
	if !c.creates() {
		return
	}
	service, vpcs := c.s.Network.ServiceCIDR, c.vpcRanges()
	if service != "" {
		c.serviceRange(service, vpcs)
	}
	if r := c.s.Remote; r != nil {
		for _, remote := range slices.Concat(r.NodeCIDRs, r.PodCIDRs) {
			c.remoteRange(remote, service, vpcs)
		}
		for _, n := range r.NodeCIDRs {
			for _, p := range r.PodCIDRs {
				if overlap(n, p) {
					c.say(Error, "RangesOverlap", "cluster", "choose others", "remote node network %s and remote pod network %s overlap", n, p)
				}
			}
		}
	}
	if c.s.Network.VPC == "" {
		return
	}
	p, _ := c.fact("peerings", c.s.Network.VPC)
	for _, peer := range fleet.Items(p, "peers") {
		for _, cidr := range fleet.Texts(peer, "cidrs") {
			if service != "" && overlap(service, cidr) {
				c.say(Warning, "RangesOverlapPeer", "cluster", "choose another kubernetesNetworkConfig.serviceIPv4CIDR",
					"service range %s overlaps %s of the peered VPC %s: pods could not reach it", service, cidr, fleet.Text(peer, "vpcId"))
			}
		}
	}
}

// serviceRange is one of RFC 1918's, between /24 and /12, and no part of the VPC's.
func (c *check) serviceRange(service string, vpcs []string) {
	const fix = "choose another kubernetesNetworkConfig.serviceIPv4CIDR"
	p, err := netip.ParsePrefix(service)
	switch {
	case err != nil:
		c.say(Error, "ServiceRange", "cluster", fix, "%s is no range of addresses", service)
		return
	case p.Bits() < 12 || p.Bits() > 24 || !within(service, private...):
		c.say(Error, "ServiceRange", "cluster", fix, "service range %s: EKS takes /24 to /12 within %s", service, strings.Join(private, ", "))
	}
	for _, v := range vpcs {
		if overlap(service, v) {
			c.say(Error, "RangesOverlap", "cluster", fix, "service range %s overlaps %s of the VPC", service, v)
		}
	}
}

func (c *check) remoteRange(remote, service string, vpcs []string) {
	const fix = "choose another range in remoteNetworkConfig"
	if !within(remote, append(slices.Clone(private), carrierNAT)...) {
		c.say(Error, "RemoteRange", "cluster", fix, "remote network %s: EKS takes ranges within %s and %s", remote, strings.Join(private, ", "), carrierNAT)
	}
	for _, v := range vpcs {
		if overlap(remote, v) {
			c.say(Error, "RangesOverlap", "cluster", fix, "remote network %s overlaps %s of the VPC", remote, v)
		}
	}
	if service != "" && overlap(remote, service) {
		c.say(Error, "RangesOverlap", "cluster", fix, "remote network %s overlaps service range %s", remote, service)
	}
}

// noControlPlane are zones in which EKS has no control planes, by id.
// https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html
var noControlPlane = []string{"use1-az3", "usw1-az2", "cac1-az3"}

// zones checks the zones of subnets.
func (c *check) zones() {
	p, read := c.fact("zones", "")
	if !read {
		return
	}
	known := map[string]fleet.Props{}
	for _, z := range fleet.Items(p, "zones") {
		known[fleet.Text(z, "zoneName")] = z
	}
	for _, call := range c.made("ec2:CreateSubnet") {
		zone := fleet.Text(call.Input, "availabilityZone")
		z, ok := known[zone]
		switch state := fleet.Text(z, "state"); {
		case !ok:
			c.say(Error, "ZoneUnknown", call.ID, "aws ec2 describe-availability-zones --all-availability-zones", "Region %s has no zone %s", c.s.Region, zone)
		case fleet.Text(z, "optInStatus") == "not-opted-in":
			c.say(Error, "ZoneNotOptedIn", call.ID, "aws ec2 modify-availability-zone-group --opt-in-status opted-in --group-name "+fleet.Text(z, "groupName"),
				"this account has not opted in to zone %s", zone)
		case state != "" && state != "available":
			c.say(Error, "ZoneClosed", call.ID, "name another zone", "zone %s is %s", zone, state)
		}
	}
	for _, call := range c.made("eks:CreateCluster") {
		for _, id := range fleet.Texts(call.Input, "resourcesVpcConfig", "subnetIds") {
			zone := c.zoneOf(id)
			z, ok := known[zone]
			if !ok {
				continue
			}
			if slices.Contains(noControlPlane, fleet.Text(z, "zoneId")) || c.s.Region == "us-east-1" && zone == "us-east-1e" {
				c.say(Error, "ZoneWithoutControlPlane", "cluster", "name subnets of other zones in availabilityZones or vpc.controlPlaneSubnetIDs",
					"EKS has no control planes in zone %s (%s)", zone, fleet.Text(z, "zoneId"))
			}
			if kind := fleet.Text(z, "zoneType"); kind != "" && kind != "availability-zone" && c.s.Outpost == nil {
				c.say(Error, "ZoneWithoutControlPlane", "cluster", "name subnets of availability zones in vpc.controlPlaneSubnetIDs", "zone %s is a %s: control planes are in availability zones only", zone, kind)
			}
		}
	}
}

// endpoint checks that ekspedite itself is not locked out of the API server, into which it writes once it is there.
func (c *check) endpoint() {
	n := c.s.Network
	if !c.creates() {
		return
	}
	const inside = "attach ekspedite's functions to a network that reaches it, or turn on vpc.clusterEndpoints.publicAccess"
	switch {
	case !n.PublicAccess && !n.PrivateAccess:
		c.say(Error, "NoEndpoint", "cluster", "turn on one of vpc.clusterEndpoints", "the API server would have no endpoint at all")
	case !n.PublicAccess && !c.f.InVPC:
		severity := Warning
		if len(c.made("kubernetes:Apply")) > 0 && c.needsObjects() {
			severity = Error
		}
		c.say(severity, "PrivateEndpoint", "cluster", inside, "the API server has a private endpoint only, and ekspedite's functions are not attached to a network that reaches it: what is in Kubernetes is not made")
	case n.PublicAccess && len(n.PublicAccessCIDRs) > 0 && !slices.Contains(n.PublicAccessCIDRs, "0.0.0.0/0") && (!c.f.InVPC || !n.PrivateAccess):
		c.say(Warning, "EndpointForSome", "cluster", "add 0.0.0.0/0 or the addresses by which ekspedite's functions go out, or attach them to a network and turn on private access",
			"the API server's public endpoint is open to %s only, and from which addresses ekspedite's functions come is not known", strings.Join(n.PublicAccessCIDRs, ", "))
	}
	if n.PublicAccess && len(n.PublicAccessCIDRs) > 40 {
		c.say(Error, "TooManyRanges", "cluster", "join ranges", "vpc.publicAccessCIDRs has %d ranges, and EKS takes 40", len(n.PublicAccessCIDRs))
	}
	for _, cidr := range n.PublicAccessCIDRs {
		if within(cidr, append(slices.Clone(private), carrierNAT)...) {
			c.say(Error, "PrivateRange", "cluster", "name public addresses", "vpc.publicAccessCIDRs has %s, which nobody on the internet has: EKS refuses it", cidr)
		}
	}
	if n.PublicAccess && !n.PrivateAccess && len(n.PublicAccessCIDRs) > 0 && !slices.Contains(n.PublicAccessCIDRs, "0.0.0.0/0") && len(c.s.NodeGroups)+len(c.s.Fargate) > 0 {
		c.say(Warning, "NodesLockedOut", "cluster", "turn on vpc.clusterEndpoints.privateAccess, or add the addresses of the NAT gateways",
			"nodes reach the API server by its public endpoint only, which is not open to the addresses that they go out by")
	}
}

// needsObjects tells whether Kubernetes objects of the plan are somebody's wish, and not only ekspedite's own.
func (c *check) needsObjects() bool {
	return len(c.s.IAM.ServiceAccounts) > 0 || slices.ContainsFunc(c.s.IAM.PodIdentities, func(p fleet.PodIdentitySpec) bool { return p.CreateServiceAccount })
}
