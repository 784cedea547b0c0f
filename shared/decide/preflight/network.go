package preflight

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

const (
	// leastFree addresses a subnet of the control plane needs, and goodFree it should have: EKS makes up to four interfaces,
	// and as many again while it updates. https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html
	leastFree = 5
	goodFree  = 16
	// reserved are the addresses of a subnet that AWS keeps.
	reserved = 5
)

func (a *asker) network() {
	v := a.s.Network.VPC
	if v != "" && len(a.calls) > 0 {
		a.ask("vpc", v)
		a.ask("subnets", v)
		a.ask("peerings", v)
		a.askAll("groups", a.givenGroups())
		if len(a.groups())+len(a.made("eks:CreateFargateProfile")) > 0 {
			a.ask("routes", v)
			a.ask("endpoints", v)
		} else if len(a.interfaces()) > 0 {
			a.ask("endpoints", v)
		}
	}
	if a.creates() || len(a.made("ec2:CreateSubnet")) > 0 {
		a.ask("zones", "")
	}
}

// givenGroups are the security groups that the spec names.
func (c *check) givenGroups() []string {
	out := slices.Clone(c.s.Network.ControlPlaneSecurityGroups)
	if c.s.Network.SharedNodeSecurityGroup != "" {
		out = append(out, c.s.Network.SharedNodeSecurityGroup)
	}
	for _, g := range c.groups() {
		out = append(append(out, g.Machine.SecurityGroups...), g.Machine.SourceGroups...)
	}
	return out
}

// subnet is one of the given VPC's, by its id.
func (c *check) subnet(id string) (fleet.Props, bool) {
	p, _ := c.fact("subnets", c.s.Network.VPC)
	for _, s := range fleet.Items(p, "subnets") {
		if fleet.Text(s, "subnetId") == id {
			return s, true
		}
	}
	return nil, false
}

func (c *check) endpointsThere() int {
	p, _ := c.fact("endpoints", c.s.Network.VPC)
	n := 0
	for _, e := range fleet.Items(p, "vpcEndpoints") {
		if fleet.Text(e, "vpcEndpointType") == "Interface" {
			n++
		}
	}
	return n
}

// givenVPC checks that what is given exists and belongs together.
func (c *check) givenVPC() {
	v := c.s.Network.VPC
	if v == "" || len(c.calls) == 0 {
		return
	}
	p, read := c.fact("vpc", v)
	switch {
	case !read:
	case p == nil:
		c.say(Error, "VPCNotFound", "givenvpc", "name one of Region "+c.s.Region+" in vpc.id", "VPC %s does not exist in %s", v, c.s.Region)
	default:
		for _, name := range []string{"enableDnsSupport", "enableDnsHostnames"} {
			if !fleet.Flag(p, name) {
				c.say(Error, "VPCWithoutDNS", "givenvpc", fmt.Sprintf("aws ec2 modify-vpc-attribute --vpc-id %s --%s", v, map[string]string{
					"enableDnsSupport": "enable-dns-support", "enableDnsHostnames": "enable-dns-hostnames",
				}[name]), "VPC %s has %s off: nodes could not register with the cluster", v, name)
			}
		}
	}
	for _, s := range c.givenSubnets() {
		if list, read := c.fact("subnets", v); read && s != "" {
			if _, there := c.subnet(s); !there && list != nil {
				c.say(Error, "SubnetNotInVPC", "givensubnets", "name subnets of vpc.id", "subnet %s does not exist in VPC %s", s, v)
			}
		}
	}
	c.givenSecurityGroups()
}

// givenSubnets are the ids of subnets in the spec.
func (c *check) givenSubnets() (out []string) {
	n := c.s.Network
	for _, s := range slices.Concat(n.Public, n.Private) {
		out = append(out, s.ID)
	}
	lists := [][]string{n.ControlPlaneSubnets}
	for _, g := range c.groups() {
		lists = append(lists, g.Subnets)
	}
	for _, f := range c.s.Fargate {
		lists = append(lists, f.Subnets)
	}
	for _, list := range lists {
		for _, s := range list {
			if strings.HasPrefix(s, "subnet-") {
				out = append(out, s)
			}
		}
	}
	return out
}

func (c *check) givenSecurityGroups() {
	want := c.givenGroups()
	p, read := c.fact("groups", joined(want))
	if !read {
		return
	}
	for _, id := range want {
		list := fleet.Items(p, "securityGroups")
		i := slices.IndexFunc(list, func(g fleet.Props) bool { return fleet.Text(g, "groupId") == id })
		switch {
		case i < 0:
			c.say(Error, "SecurityGroupNotFound", "cluster", "name one of VPC "+c.s.Network.VPC, "security group %s does not exist in %s", id, c.s.Region)
		case fleet.Text(list[i], "vpcId") != c.s.Network.VPC:
			c.say(Error, "SecurityGroupElsewhere", "cluster", "name one of VPC "+c.s.Network.VPC, "security group %s is in VPC %s, and the cluster in %s", id, fleet.Text(list[i], "vpcId"), c.s.Network.VPC)
		}
	}
	if n := len(c.s.Network.ControlPlaneSecurityGroups); n > 4 {
		c.say(Error, "TooManySecurityGroups", "cluster", "name four at most", "the control plane gets %d security groups, and EKS takes 4", n)
	}
}

// free is how many addresses a subnet has, or will have when it is made.
func (c *check) free(id string) (n int, known bool) {
	if p, ok := c.subnet(id); ok {
		if _, said := p["availableIpAddressCount"]; said {
			return fleet.Int(p, "availableIpAddressCount"), true
		}
		return 0, false
	}
	for _, call := range c.made("ec2:CreateSubnet") {
		if plan.Unknown(call.ID) != id {
			continue
		}
		if cidr, err := netip.ParsePrefix(fleet.Text(call.Input, "cidrBlock")); err == nil {
			return 1<<(32-cidr.Bits()) - reserved, true
		}
	}
	return 0, false
}

// addresses checks that the control plane and nodes find room.
func (c *check) addresses() {
	for _, call := range c.made("eks:CreateCluster") {
		for _, id := range fleet.Texts(call.Input, "resourcesVpcConfig", "subnetIds") {
			n, known := c.free(id)
			switch {
			case !known:
			case n < leastFree:
				c.say(Error, "NoAddresses", "cluster", "name a larger subnet, or free addresses in it", "subnet %s has %d free addresses, and the control plane needs %d", id, n, leastFree)
			case n < goodFree:
				c.say(Warning, "FewAddresses", "cluster", "name a larger subnet", "subnet %s has %d free addresses; EKS wants %d for updates of the control plane", id, n, goodFree)
			}
		}
	}
	for _, g := range c.groups() {
		c.groupAddresses(g)
	}
}

// groupAddresses checks the room for a group's nodes. VPC CNI takes a whole interface's addresses for a node's pods, and
// keeps another interface warm.
func (c *check) groupAddresses(g fleet.NodeGroupSpec) {
	room, known := 0, false
	where := c.groupSubnets(g)
	for _, id := range where {
		n, ok := c.free(id)
		room, known = room+n, known || ok
	}
	if !known {
		return
	}
	if room < g.Desired {
		c.say(Error, "NoAddressesForNodes", groupID(g), "name larger subnets", "node group %s begins with %d nodes, and its subnets (%s) have %d free addresses", g.Name, g.Desired, strings.Join(where, ", "), room)
		return
	}
	each := 0
	for _, t := range c.types(g) {
		p := c.instanceType(t)
		each = max(each, fleet.Int(p, "networkInfo", "ipv4AddressesPerInterface")*min(2, max(1, fleet.Int(p, "networkInfo", "maximumNetworkInterfaces"))))
	}
	if c.s.Network.IPv6 || each == 0 {
		each = 1
	}
	switch {
	case room < g.Desired*each:
		c.say(Warning, "FewAddressesForPods", groupID(g), "name larger subnets, or turn on prefix delegation in the add-on vpc-cni",
			"the %d nodes of node group %s take up to %d addresses each with VPC CNI, and their subnets have %d free ones", g.Desired, g.Name, each, room)
	case room < g.Max*each:
		c.say(Warning, "FewAddressesAtMaximum", groupID(g), "name larger subnets, or turn on prefix delegation in the add-on vpc-cni",
			"at its maximum of %d nodes, node group %s takes up to %d addresses with VPC CNI, and its subnets have %d free ones", g.Max, g.Name, g.Max*each, room)
	}
}

// table is the route table that a subnet uses: its own, or the VPC's main one.
func (c *check) table(subnet string) fleet.Props {
	p, _ := c.fact("routes", c.s.Network.VPC)
	var main fleet.Props
	for _, t := range fleet.Items(p, "routeTables") {
		for _, a := range fleet.Items(t, "associations") {
			if fleet.Text(a, "subnetId") == subnet {
				return t
			}
			if fleet.Flag(a, "main") {
				main = t
			}
		}
	}
	return main
}

// services that a node without a way to the internet needs endpoints of.
var services = []string{"ec2", "ecr.api", "ecr.dkr", "s3", "sts"}

// ways checks that nodes in given subnets get out: to the API server's public endpoint, and for images.
func (c *check) ways() {
	v := c.s.Network.VPC
	if _, read := c.fact("routes", v); v == "" || !read {
		return
	}
	for _, g := range c.groups() {
		for _, id := range c.groupSubnets(g) {
			c.way(id, groupID(g), "node group "+g.Name, !g.SelfManaged)
		}
	}
	for _, call := range c.made("eks:CreateFargateProfile") {
		for _, id := range fleet.Texts(call.Input, "subnets") {
			if c.exit(id) == "igw" {
				c.say(Error, "FargateInPublicSubnet", call.ID, "name private subnets", "subnet %s has a route to an internet gateway: Fargate takes private subnets only", id)
				continue
			}
			c.way(id, call.ID, "Fargate profile "+call.ID, false)
		}
	}
}

// exit is by what a subnet reaches the internet: "igw", "nat", … ; "" when it does not, "blackhole" when what it leads to is gone.
func (c *check) exit(subnet string) string {
	for _, r := range fleet.Items(c.table(subnet), "routes") {
		if d := fleet.Text(r, "destinationCidrBlock"); d != "0.0.0.0/0" {
			continue
		}
		if fleet.Text(r, "state") == "blackhole" {
			return "blackhole"
		}
		if strings.HasPrefix(fleet.Text(r, "gatewayId"), "igw-") {
			return "igw"
		}
		return "nat"
	}
	return ""
}

func (c *check) way(id, resource, who string, public bool) {
	s, there := c.subnet(id)
	switch exit := c.exit(id); {
	case !there:
	case exit == "igw" && public && !fleet.Flag(s, "mapPublicIpOnLaunch"):
		c.say(Error, "NoPublicAddresses", resource, fmt.Sprintf("aws ec2 modify-subnet-attribute --subnet-id %s --map-public-ip-on-launch", id),
			"%s is in public subnet %s, which gives no public addresses to instances: they would have no way out", who, id)
	case exit == "blackhole":
		c.say(Error, "RouteToNowhere", resource, "repair the default route", "%s is in subnet %s, whose default route leads to something that does not exist any more", who, id)
	case exit == "":
		missing := slices.DeleteFunc(slices.Clone(services), c.hasEndpoint)
		if len(missing) > 0 {
			c.say(Error, "NoWayOut", resource, "add a NAT gateway and a route, or the endpoints",
				"%s is in subnet %s, which has no route to the internet, and VPC %s has no endpoints for %s", who, id, c.s.Network.VPC, strings.Join(missing, ", "))
		} else if !c.s.Network.PrivateAccess {
			c.say(Error, "NoWayToAPIServer", resource, "turn on vpc.clusterEndpoints.privateAccess",
				"%s is in subnet %s, which has no route to the internet, and the API server has a public endpoint only", who, id)
		}
	}
}

// hasEndpoint tells whether the given VPC has, or gets, an endpoint for a service.
func (c *check) hasEndpoint(service string) bool {
	p, _ := c.fact("endpoints", c.s.Network.VPC)
	for _, e := range append(fleet.Items(p, "vpcEndpoints"), inputs(c.made("ec2:CreateVpcEndpoint"))...) {
		if strings.HasSuffix(fleet.Text(e, "serviceName"), "."+c.s.Region+"."+service) {
			return true
		}
	}
	return false
}

func inputs(calls []plan.Call) (out []fleet.Props) {
	for _, c := range calls {
		out = append(out, c.Input)
	}
	return out
}
