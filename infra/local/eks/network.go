package eks

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// IP families and egress modes.
const (
	ipv4 = "ipv4"
	ipv6 = "ipv6"

	egressManaged = "AWS_MANAGED"
)

var egressModes = []string{egressManaged, "CUSTOMER_ROUTED", "CUSTOMER_ISOLATED"}

// What AWS does not let customers change.
const (
	maxSecurityGroups = 4
	maxPublicCIDRs    = 40
	// minFree addresses must be left in the subnets for a control plane's network interfaces while these are exchanged.
	minFree = 5
)

// everywhere6 is the default of dual-stack clusters.
var everywhere6 = []string{"0.0.0.0/0", "::/0"}

// refusedZoneIDs are the zones that host no control plane, as the user guide lists them.
var refusedZoneIDs = []string{"use1-az3", "usw1-az2", "cac1-az3"}

// hosting are the names of the zones in which control planes can be. Local Zones are none of them.
func (s *Service) hosting() []string {
	var names []string
	for name, id := range s.opt.EC2.Zones() {
		if !slices.Contains(refusedZoneIDs, id) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// checkControlPlaneSubnets finds the VPC of the subnets and refuses those in which no control plane can be. On an Outpost they are all
// in the one zone to which it belongs.
func (s *Service) checkControlPlaneSubnets(cluster string, ids []string, outpost bool) (vpc string, err error) {
	if len(ids) == 0 {
		return "", invalidParameter(cluster, "Subnets specified must be in at least two different AZs")
	}
	zones, valid := map[string]bool{}, s.hosting()
	for _, id := range ids {
		sub, ok := s.opt.EC2.Subnet(id)
		if !ok {
			return "", invalidParameter(cluster, "The subnet ID '%s' does not exist (Service: AmazonEC2; Status Code: 400; Error Code: InvalidSubnetID.NotFound)", id)
		}
		if vpc != "" && vpc != sub.VPCID {
			return "", invalidParameter(cluster, "Subnets specified must belong to the same VPC")
		}
		if !slices.Contains(valid, sub.AZ) {
			e := wire.Errf("UnsupportedAvailabilityZoneException", "Cannot create cluster '%s' because %s, the targeted availability zone, does not currently have sufficient capacity to support the cluster. Retry and choose from these availability zones: %s", cluster, sub.AZ, strings.Join(valid, ", "))
			e.Fields = map[string]any{"clusterName": cluster, "validZones": valid}
			return "", e
		}
		vpc = sub.VPCID
		zones[sub.AZ] = true
	}
	if len(zones) < 2 && !outpost {
		return "", invalidParameter(cluster, "Subnets specified must be in at least two different AZs")
	}
	return vpc, s.checkFree(cluster, ids, min(2, len(zones)))
}

// checkFree wants enough free addresses in a subnet of each of so many zones.
func (s *Service) checkFree(cluster string, ids []string, zones int) error {
	enough, short := map[string]bool{}, ""
	for _, id := range ids {
		sub, ok := s.opt.EC2.Subnet(id)
		if ok && sub.FreeAddresses >= minFree {
			enough[sub.AZ] = true
			continue
		}
		short += fmt.Sprintf("%s Free IPs: %d ", id, sub.FreeAddresses)
	}
	if len(enough) >= zones {
		return nil
	}
	return invalidRequest(cluster, "Provided subnets %s, need at least %d IPs in each subnet to be free for this operation", short, minFree)
}

func (s *Service) checkSecurityGroups(cluster string, ids []string, vpc string) error {
	if len(ids) > maxSecurityGroups {
		return invalidParameter(cluster, "You can specify at most %d security groups for a cluster", maxSecurityGroups)
	}
	for _, id := range ids {
		switch of, ok := s.opt.EC2.SecurityGroupVPC(id); {
		case !ok:
			return invalidParameter(cluster, "The security group '%s' does not exist (Service: AmazonEC2; Status Code: 400; Error Code: InvalidGroup.NotFound)", id)
		case of != vpc:
			return invalidParameter(cluster, "Security group %s and the subnets specified must belong to the same VPC", id)
		}
	}
	return nil
}

// checkEndpoint is about who can reach the API server.
func checkEndpoint(cluster string, v vpcConfig, family string) error {
	if !v.EndpointPublicAccess && !v.EndpointPrivateAccess {
		return invalidParameter(cluster, "Private and public endpoint access cannot be false")
	}
	if len(v.PublicAccessCIDRs) > maxPublicCIDRs {
		return invalidParameter(cluster, "You can specify at most %d publicAccessCidrs", maxPublicCIDRs)
	}
	var bad, reserved []string
	for _, text := range v.PublicAccessCIDRs {
		switch p, err := netip.ParsePrefix(text); {
		case err != nil || p != p.Masked() || p.Addr().Is6() && family != ipv6:
			bad = append(bad, text)
		case isReserved(p):
			reserved = append(reserved, text)
		}
	}
	switch {
	case len(bad) > 0:
		return invalidParameter(cluster, "The following CIDRs are invalid in publicAccessCidrs: [%s]", strings.Join(bad, ", "))
	case len(reserved) > 0:
		return invalidParameter(cluster, "The following CIDRs are not allowed in publicAccessCidrs: [%s]", strings.Join(reserved, ", "))
	}
	return nil
}

// reservedRanges are those besides the private ones from which no public call can come: documentation, loopback,
// link-local, multicast and class E.
var reservedRanges = []netip.Prefix{
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("224.0.0.0/4"), netip.MustParsePrefix("240.0.0.0/4"),
}

func isReserved(p netip.Prefix) bool { return isPrivate(p) || contains(reservedRanges, p) }

// serviceNetwork is the cluster's Kubernetes network. EKS takes the one of its two blocks for services that is not in the
// VPC's neighbourhood, and makes an IPv6 block up.
func (s *Service) serviceNetwork(cluster string, asked *networkConfig, vpc string) (networkConfig, error) {
	n := networkConfig{IPFamily: ipv4}
	if asked == nil {
		asked = &networkConfig{}
	}
	if asked.IPFamily != "" {
		n.IPFamily = asked.IPFamily
	}
	around, err := netip.ParsePrefix(s.vpcCIDR(vpc))
	switch {
	case n.IPFamily != ipv4 && n.IPFamily != ipv6:
		return n, invalidParameter(cluster, "ipFamily must be one of ipv4, ipv6")
	case n.IPFamily == ipv6 && asked.ServiceIPv4CIDR != "":
		return n, invalidParameter(cluster, "serviceIpv4Cidr can't be specified with ipFamily ipv6")
	case n.IPFamily == ipv6:
		n.ServiceIPv6CIDR = fmt.Sprintf("fd%s:%s:%s::/108", s.w.Hex(2), s.w.Hex(4), s.w.Hex(4))
		return n, nil
	case asked.ServiceIPv4CIDR == "":
		n.ServiceIPv4CIDR = "10.100.0.0/16"
		if err == nil && around.Addr().As4()[0] == 10 {
			n.ServiceIPv4CIDR = "172.20.0.0/16"
		}
		return n, nil
	}
	n.ServiceIPv4CIDR = asked.ServiceIPv4CIDR
	p, bad := netip.ParsePrefix(n.ServiceIPv4CIDR)
	switch {
	case bad != nil || p != p.Masked() || !isPrivate(p) || p.Bits() < 12 || p.Bits() > 24:
		return n, invalidParameter(cluster, "serviceIpv4Cidr %s is not valid: it must be a block from /24 to /12 within 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16", n.ServiceIPv4CIDR)
	case err == nil && p.Overlaps(around):
		return n, invalidParameter(cluster, "serviceIpv4Cidr %s overlaps with the CIDR block %s of the VPC", n.ServiceIPv4CIDR, around)
	}
	return n, nil
}

// planeCIDR is the services' block of the Kubernetes behind a cluster, which has IPv4 only: of an IPv6 cluster the API
// tells, pods and services with IPv6 addresses it has not.
func (n networkConfig) planeCIDR() string {
	if n.IPFamily == ipv6 {
		return "172.20.0.0/16"
	}
	return n.ServiceIPv4CIDR
}

// checkDual wants IPv6 blocks in the subnets of an IPv6 cluster.
func (s *Service) checkDual(cluster, family string, ids []string) error {
	for _, id := range ids {
		if sub, _ := s.opt.EC2.Subnet(id); family == ipv6 && !sub.IPv6 {
			return invalidParameter(cluster, "Subnet %s has no IPv6 CIDR block, which ipFamily ipv6 needs", id)
		}
	}
	return nil
}

// attach makes the control plane's network interfaces: one in each of two zones, where most addresses are free. They
// carry the cluster security group and the customer's groups.
func (s *Service) attach(cluster string, v vpcConfig) ([]string, error) {
	best := map[string]Subnet{}
	for _, id := range v.SubnetIDs {
		if sub, ok := s.opt.EC2.Subnet(id); ok && sub.FreeAddresses > best[sub.AZ].FreeAddresses {
			best[sub.AZ] = sub
		}
	}
	var subnets []string
	for _, az := range sortedKeys(best)[:min(2, len(best))] {
		subnets = append(subnets, best[az].ID)
	}
	if len(subnets) == 0 {
		return nil, fmt.Errorf("no subnet of %v has a free address", v.SubnetIDs)
	}
	return s.opt.EC2.CreateControlPlaneInterfaces(cluster, subnets, append([]string{v.ClusterSecurityGroupID}, v.SecurityGroupIDs...))
}

// detach removes network interfaces. One that EC2 does not give up stays, as on AWS.
func (s *Service) detach(c *cluster, ids []string) {
	if err := s.opt.EC2.DeleteInterfaces(ids); err != nil {
		s.w.Log.Warn("eks: network interfaces stay", "cluster", c.name, "error", err)
	}
}

// reattach exchanges the control plane's network interfaces: the new ones come before the old ones go.
func (s *Service) reattach(c *cluster, v vpcConfig) *updateError {
	ids, err := s.attach(c.name, v)
	if err != nil {
		return &updateError{ErrorCode: "IpNotAvailable", ErrorMessage: err.Error(), ResourceIDs: v.SubnetIDs}
	}
	old := c.interfaces
	c.interfaces = ids
	s.detach(c, old)
	return nil
}

func sameSet(a, b []string) bool {
	x, y := slices.Clone(a), slices.Clone(b)
	slices.Sort(x)
	slices.Sort(y)
	return slices.Equal(slices.Compact(x), slices.Compact(y))
}
