package ec2

import (
	"net/netip"
	"slices"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/ec2/form"
	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// cidrBlock is an address range of a VPC or a subnet.
type cidrBlock struct {
	id      string // vpc-cidr-assoc-… or subnet-cidr-assoc-…
	prefix  netip.Prefix
	settled time.Time // it is associating before
	pool    string    // of the account's own IPv6 addresses; empty: Amazon's
}

func (b cidrBlock) state() string {
	if time.Now().Before(b.settled) {
		return "associating"
	}
	return "associated"
}

type blockStateXML struct {
	State string `xml:"state"`
}

type cidrAssociationXML struct {
	AssociationID string        `xml:"associationId"`
	CidrBlock     string        `xml:"cidrBlock"`
	State         blockStateXML `xml:"cidrBlockState"`
}

type ipv6AssociationXML struct {
	AssociationID      string        `xml:"associationId"`
	Ipv6CidrBlock      string        `xml:"ipv6CidrBlock,omitempty"`
	State              blockStateXML `xml:"ipv6CidrBlockState"`
	NetworkBorderGroup string        `xml:"networkBorderGroup,omitempty"`
	Ipv6Pool           string        `xml:"ipv6Pool,omitempty"`
	AddressAttribute   string        `xml:"ipv6AddressAttribute"`
	Source             string        `xml:"ipSource"`
}

type associateVPCCidrIn struct {
	VpcID                       string `query:"VpcId"`
	CidrBlock                   string
	AmazonProvidedIpv6CidrBlock bool
	NetworkBorderGroup          string            `query:"Ipv6CidrBlockNetworkBorderGroup"`
	Ipv4IpamPoolID              *form.Unsupported `query:"Ipv4IpamPoolId"`
	Ipv4NetmaskLength           *form.Unsupported
	Ipv6Pool                    string
	Ipv6CidrBlock               string
	Ipv6IpamPoolID              *form.Unsupported `query:"Ipv6IpamPoolId"`
	Ipv6NetmaskLength           *form.Unsupported
}

type vpcCidrOut struct {
	VpcID string              `xml:"vpcId"`
	IPv4  *cidrAssociationXML `xml:"cidrBlockAssociation"`
	IPv6  *ipv6AssociationXML `xml:"ipv6CidrBlockAssociation"`
}

type disassociateCidrIn struct {
	AssociationID string `query:"AssociationId"`
}

// maxVPCBlocks is the quota of CIDR blocks in a VPC, for each of IPv4 and IPv6.
const maxVPCBlocks = 5

func (s *Service) cidrOps() []wire.Op {
	return []wire.Op{
		handle("AssociateVpcCidrBlock", func(in *associateVPCCidrIn) []wire.Need {
			return s.needs("ec2:AssociateVpcCidrBlock", in.VpcID)
		}, s.associateVPCCidr),
		handle("DisassociateVpcCidrBlock", func(in *disassociateCidrIn) []wire.Need {
			return s.needs("ec2:DisassociateVpcCidrBlock", s.vpcOfBlock(in.AssociationID))
		}, s.disassociateVPCCidr),
	}
}

func (b cidrBlock) xml() cidrAssociationXML {
	return cidrAssociationXML{b.id, b.prefix.String(), blockStateXML{b.state()}}
}

// ipv6XML shows an IPv6 block of a VPC, or of a subnet if vpc is false. EC2 picks a VPC's block while it associates it, unless
// it is the account's own.
func (s *Service) ipv6XML(b cidrBlock, vpc bool) ipv6AssociationXML {
	x := ipv6AssociationXML{AssociationID: b.id, State: blockStateXML{b.state()}, AddressAttribute: "public", Source: "amazon"}
	if vpc {
		x.NetworkBorderGroup, x.Ipv6Pool = s.w.Region, "Amazon"
		set(&x.Ipv6Pool, b.pool)
	}
	if b.pool != "" {
		x.Source = "byoip"
	}
	if !vpc || b.pool != "" || x.State.State == "associated" {
		x.Ipv6CidrBlock = b.prefix.String()
	}
	return x
}

// addBlock gives a VPC a range, with its local routes. The lock is held.
func (s *Service) addBlock(v *vpc, b cidrBlock) cidrBlock {
	b.id = "vpc-cidr-assoc-" + s.w.Hex(17)
	if b.prefix.Addr().Is4() {
		v.v4 = append(v.v4, b)
	} else {
		v.v6 = append(v.v6, b)
	}
	for _, t := range all[*routeTable](s) {
		if t.vpc == v {
			t.routes = append(t.routes, route{cidr: b.prefix, target: "local"})
		}
	}
	return b
}

var (
	privateRanges = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16")}
	neverRange    = netip.MustParsePrefix("198.19.0.0/16")
)

// restricted tells whether a VPC with a primary range must not get a secondary one: private ranges of RFC 1918 do not
// mix, as the table in "VPC CIDR blocks" of the VPC guide has it.
func restricted(primary, secondary netip.Prefix) bool {
	if secondary.Overlaps(neverRange) {
		return true
	}
	for _, p := range privateRanges {
		if p.Overlaps(secondary) {
			return !p.Overlaps(primary)
		}
	}
	return false
}

func (s *Service) associateVPCCidr(in *associateVPCCidrIn) (*vpcCidrOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, err := get[*vpc](s, kindVPC, in.VpcID)
	if err != nil {
		return nil, err
	}
	six, err := s.wantedIPv6(wantsIPv6{in.AmazonProvidedIpv6CidrBlock, in.NetworkBorderGroup, in.Ipv6Pool, in.Ipv6CidrBlock})
	switch {
	case err != nil:
		return nil, err
	case in.CidrBlock != "" && six.prefix.IsValid():
		return nil, wire.Errf("InvalidParameterCombination", "Only one of CidrBlock, AmazonProvidedIpv6CidrBlock and Ipv6Pool may be specified.")
	case six.prefix.IsValid():
		if len(v.v6) >= maxVPCBlocks {
			return nil, tooManyBlocks(v)
		}
		x := s.ipv6XML(s.addBlock(v, six), true)
		return &vpcCidrOut{VpcID: v.id, IPv6: &x}, nil
	case in.CidrBlock == "":
		return nil, missing("cidrBlock")
	}
	p, err := block(in.CidrBlock, "InvalidVpc.Range")
	switch {
	case err != nil:
		return nil, err
	case len(v.v4) >= maxVPCBlocks:
		return nil, tooManyBlocks(v)
	case slices.ContainsFunc(v.v4, func(b cidrBlock) bool { return b.prefix.Overlaps(p) }):
		return nil, wire.Errf("InvalidVpc.Range", "The CIDR '%s' overlaps with a CIDR block of the VPC '%s'.", in.CidrBlock, v.id)
	case restricted(v.cidr, p):
		return nil, wire.Errf("InvalidVpc.Range", "The CIDR '%s' is restricted. Use a CIDR from the same private address range as the current VPC CIDR, or use a publicly-routable CIDR. For additional restrictions, see https://docs.aws.amazon.com/AmazonVPC/latest/UserGuide/VPC_Subnets.html", in.CidrBlock)
	}
	x := s.addBlock(v, cidrBlock{prefix: p, settled: time.Now().Add(s.w.Profile.Settle)}).xml()
	return &vpcCidrOut{VpcID: v.id, IPv4: &x}, nil
}

func tooManyBlocks(v *vpc) error {
	return wire.Errf("CidrLimitExceeded", "This network '%s' has met its maximum number of allowed CIDRs: %d", v.id, maxVPCBlocks)
}

// findBlock finds a VPC's range by its association. The lock is held.
func (s *Service) findBlock(id string) (*vpc, cidrBlock) {
	for _, v := range all[*vpc](s) {
		for _, b := range slices.Concat(v.v4, v.v6) {
			if b.id == id {
				return v, b
			}
		}
	}
	return nil, cidrBlock{}
}

func (s *Service) vpcOfBlock(id string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v, _ := s.findBlock(id); v != nil {
		return v.id
	}
	return ""
}

func (s *Service) disassociateVPCCidr(in *disassociateCidrIn) (*vpcCidrOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, b := s.findBlock(in.AssociationID)
	switch {
	case v == nil:
		return nil, wire.Errf("InvalidVpcCidrBlockAssociationID.NotFound", "The vpc CIDR block association ID '%s' does not exist", in.AssociationID)
	case b.id == v.v4[0].id:
		return nil, wire.Errf("OperationNotPermitted", "The vpc CIDR block with association ID %s may not be disassociated. It is the primary IPv4 CIDR block of the VPC", b.id)
	}
	for _, n := range all[*subnet](s) {
		if n.vpc == v && (n.cidr.Overlaps(b.prefix) || n.v6 != nil && n.v6.prefix.Overlaps(b.prefix)) {
			return nil, wire.Errf("InvalidCidrBlock.InUse", "The vpc %s currently has a subnet within CIDR block %s", v.id, b.prefix)
		}
	}
	same := func(o cidrBlock) bool { return o.id == b.id }
	v.v4, v.v6 = slices.DeleteFunc(v.v4, same), slices.DeleteFunc(v.v6, same)
	for _, t := range all[*routeTable](s) {
		if t.vpc == v {
			t.routes = slices.DeleteFunc(t.routes, func(r route) bool { return r.target == "local" && r.cidr == b.prefix })
		}
	}
	out := &vpcCidrOut{VpcID: v.id}
	if b.prefix.Addr().Is4() {
		x := b.xml()
		x.State.State, out.IPv4 = "disassociating", &x
	} else {
		x := s.ipv6XML(b, true)
		x.State.State, out.IPv6 = "disassociating", &x
	}
	return out, nil
}
