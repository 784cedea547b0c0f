package ec2

import (
	"net/netip"
	"slices"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/ec2/form"
	"github.com/ekspedite/ekspedite/infra/local/wire"
)

type modifySubnetIn struct {
	DryRun                         bool
	SubnetID                       string     `query:"SubnetId"`
	MapPublicIPOnLaunch            *boolValue `query:"MapPublicIpOnLaunch"`
	AssignIpv6AddressOnCreation    *boolValue
	EnableDNS64                    *boolValue        `query:"EnableDns64"`
	PrivateDNSHostnameTypeOnLaunch string            `query:"PrivateDnsHostnameTypeOnLaunch"`
	EnableARecord                  *boolValue        `query:"EnableResourceNameDnsARecordOnLaunch"`
	EnableAAAARecord               *boolValue        `query:"EnableResourceNameDnsAAAARecordOnLaunch"`
	MapCustomerOwnedIPOnLaunch     *form.Unsupported `query:"MapCustomerOwnedIpOnLaunch"`
	CustomerOwnedIpv4Pool          *form.Unsupported
	EnableLniAtDeviceIndex         *form.Unsupported
	DisableLniAtDeviceIndex        *form.Unsupported
}

type associateSubnetCidrIn struct {
	SubnetID          string `query:"SubnetId"`
	Ipv6CidrBlock     string
	Ipv6IpamPoolID    *form.Unsupported `query:"Ipv6IpamPoolId"`
	Ipv6NetmaskLength *form.Unsupported
}

type subnetCidrOut struct {
	SubnetID string             `xml:"subnetId"`
	IPv6     ipv6AssociationXML `xml:"ipv6CidrBlockAssociation"`
}

// within tells whether one of a VPC's ranges, associated by now, holds a subnet's.
func within(blocks []cidrBlock, p netip.Prefix) bool {
	return slices.ContainsFunc(blocks, func(b cidrBlock) bool {
		return b.state() == "associated" && b.prefix.Bits() <= p.Bits() && b.prefix.Contains(p.Addr())
	})
}

// giveIPv6 gives a subnet a /64 of its VPC's range. The lock is held.
func (s *Service) giveIPv6(n *subnet, cidr string) error {
	p, err := netip.ParsePrefix(cidr)
	switch {
	case err != nil || !p.Addr().Is6():
		return invalid("Value (%s) for parameter ipv6CidrBlock is invalid. This is not a valid CIDR block.", cidr)
	case p.Bits() != 64 && p.Bits()%4 == 0 && p.Bits() >= 44 && p.Bits() < 64:
		return wire.Errf("NotImplemented", "the embedded cloud does not implement subnets with an IPv6 range other than a /64").WithStatus(501)
	case p.Bits() != 64 || !within(n.vpc.v6, p.Masked()):
		return wire.Errf("InvalidSubnet.Range", "The CIDR '%s' is invalid.", cidr)
	}
	p = p.Masked()
	for _, o := range all[*subnet](s) {
		if o.v6 != nil && o.v6.prefix.Overlaps(p) {
			return wire.Errf("InvalidSubnet.Conflict", "The CIDR '%s' conflicts with another subnet", cidr)
		}
	}
	of := slices.IndexFunc(n.vpc.v6, func(b cidrBlock) bool { return b.prefix.Overlaps(p) })
	n.v6 = &cidrBlock{"subnet-cidr-assoc-" + s.w.Hex(17), p, time.Now().Add(s.w.Profile.Settle), n.vpc.v6[of].pool}
	return nil
}

func (s *Service) associateSubnetCidr(in *associateSubnetCidrIn) (*subnetCidrOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := get[*subnet](s, kindSubnet, in.SubnetID)
	switch {
	case err != nil:
		return nil, err
	case in.Ipv6CidrBlock == "":
		return nil, missing("ipv6CidrBlock")
	case n.v6 != nil:
		return nil, wire.Errf("CidrLimitExceeded", "This subnet '%s' has met its maximum number of allowed CIDRs: 1", n.id)
	}
	if err := s.giveIPv6(n, in.Ipv6CidrBlock); err != nil {
		return nil, err
	}
	return &subnetCidrOut{n.id, s.ipv6XML(*n.v6, false)}, nil
}

// findSubnetBlock finds a subnet by the association of its IPv6 range. The lock is held.
func (s *Service) findSubnetBlock(id string) *subnet {
	for _, n := range all[*subnet](s) {
		if n.v6 != nil && n.v6.id == id {
			return n
		}
	}
	return nil
}

func (s *Service) subnetOfBlock(id string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.findSubnetBlock(id); n != nil {
		return n.id
	}
	return ""
}

func (s *Service) disassociateSubnetCidr(in *disassociateCidrIn) (*subnetCidrOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.findSubnetBlock(in.AssociationID)
	switch {
	case n == nil:
		return nil, wire.Errf("InvalidSubnetCidrBlockAssociationID.NotFound", "The subnet CIDR block with association ID '%s' does not exist", in.AssociationID)
	case n.assignV6:
		return nil, wire.Errf("InvalidCidrBlock.InUse", "The subnet IPv6 CIDR block with association ID %s may not be disassociated, because its subnet has assign-ipv6-address-on-creation set to true.", in.AssociationID)
	}
	for _, i := range all[*networkInterface](s) {
		if i.subnet == n && len(i.ipv6) > 0 {
			return nil, wire.Errf("InvalidCidrBlock.InUse", "The subnet IPv6 CIDR block with association ID %s may not be disassociated, because it has addresses in use.", in.AssociationID)
		}
	}
	x := s.ipv6XML(*n.v6, false)
	x.State.State = "disassociating"
	n.v6 = nil
	return &subnetCidrOut{n.id, x}, nil
}

// modifySubnet changes one attribute: EC2 takes no more in a call.
func (s *Service) modifySubnet(in *modifySubnetIn) (*done, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := get[*subnet](s, kindSubnet, in.SubnetID)
	if err != nil {
		return nil, err
	}
	given := 0
	for _, v := range []*boolValue{in.MapPublicIPOnLaunch, in.AssignIpv6AddressOnCreation, in.EnableDNS64, in.EnableARecord, in.EnableAAAARecord} {
		if v != nil {
			given++
		}
	}
	if in.PrivateDNSHostnameTypeOnLaunch != "" {
		given++
	}
	switch {
	case given == 0:
		return nil, missing("attribute")
	case given > 1:
		return nil, wire.Errf("InvalidParameterCombination", "Fields for multiple attribute types specified")
	case in.MapPublicIPOnLaunch != nil:
		n.mapPublic = in.MapPublicIPOnLaunch.Value
	case in.AssignIpv6AddressOnCreation != nil:
		if in.AssignIpv6AddressOnCreation.Value && n.v6 == nil {
			return nil, invalid("Invalid value 'true' for assignIpv6AddressOnCreation. The subnet '%s' has no IPv6 CIDR block.", n.id)
		}
		n.assignV6 = in.AssignIpv6AddressOnCreation.Value
	case in.EnableDNS64 != nil:
		n.dns64 = in.EnableDNS64.Value
	case in.EnableARecord != nil:
		n.names.A = in.EnableARecord.Value
	case in.EnableAAAARecord != nil:
		n.names.AAAA = in.EnableAAAARecord.Value
	default:
		if t := in.PrivateDNSHostnameTypeOnLaunch; t != "ip-name" && t != "resource-name" {
			return nil, invalid("Value (%s) for parameter privateDnsHostnameTypeOnLaunch is invalid.", t)
		}
		n.names.HostnameType = in.PrivateDNSHostnameTypeOnLaunch
	}
	return &done{true}, nil
}
