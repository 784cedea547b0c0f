package ec2

import (
	"net/netip"
	"strconv"

	"github.com/ekspedite/ekspedite/infra/local/ec2/form"
	"github.com/ekspedite/ekspedite/infra/local/wire"
)

type vpc struct {
	record
	cidr                    netip.Prefix // the primary one, which is the first of v4 too
	v4, v6                  []cidrBlock
	dnsSupport, dnsHostname bool
	dhcp                    string
}

type createVPCIn struct {
	DryRun                      bool
	CidrBlock                   string
	InstanceTenancy             string
	AmazonProvidedIpv6CidrBlock bool
	NetworkBorderGroup          string            `query:"Ipv6CidrBlockNetworkBorderGroup"`
	Ipv4IpamPoolID              *form.Unsupported `query:"Ipv4IpamPoolId"`
	Ipv4NetmaskLength           *form.Unsupported
	Ipv6Pool                    string
	Ipv6CidrBlock               string
	Ipv6IpamPoolID              *form.Unsupported `query:"Ipv6IpamPoolId"`
	Ipv6NetmaskLength           *form.Unsupported
	VpcEncryptionControl        *form.Unsupported
	TagSpecifications           []tagSpec `query:"TagSpecification"`
}

type vpcXML struct {
	VpcID           string               `xml:"vpcId"`
	OwnerID         string               `xml:"ownerId"`
	State           string               `xml:"state"`
	CidrBlock       string               `xml:"cidrBlock"`
	CidrBlocks      []cidrAssociationXML `xml:"cidrBlockAssociationSet>item"`
	Ipv6CidrBlocks  []ipv6AssociationXML `xml:"ipv6CidrBlockAssociationSet>item"`
	DhcpOptionsID   string               `xml:"dhcpOptionsId"`
	InstanceTenancy string               `xml:"instanceTenancy"`
	IsDefault       bool                 `xml:"isDefault"`
	Tags            []tag                `xml:"tagSet>item"`
}

type vpcOut struct {
	Vpc vpcXML `xml:"vpc"`
}

type vpcIn struct {
	DryRun bool
	VpcID  string `query:"VpcId"`
}

type describeVPCsIn struct {
	DryRun     bool
	VpcIDs     []string `query:"VpcId"`
	Filters    []filter `query:"Filter"`
	MaxResults *int
	NextToken  string
}

type describeVPCsOut struct {
	NextToken string   `xml:"nextToken,omitempty"`
	Vpcs      []vpcXML `xml:"vpcSet>item"`
}

type boolValue struct {
	Value bool `xml:"value"`
}

type vpcAttributeIn struct {
	DryRun                           bool
	VpcID                            string `query:"VpcId"`
	Attribute                        string
	EnableDnsHostnames               *boolValue
	EnableDnsSupport                 *boolValue
	EnableNetworkAddressUsageMetrics *form.Unsupported
}

type vpcAttributeOut struct {
	VpcID              string     `xml:"vpcId"`
	EnableDNSHostnames *boolValue `xml:"enableDnsHostnames"`
	EnableDNSSupport   *boolValue `xml:"enableDnsSupport"`
}

// eachBlock collects something of the ranges that are associated.
func eachBlock(blocks []cidrBlock, f func(cidrBlock) string) []string {
	var out []string
	for _, b := range blocks {
		out = append(out, f(b))
	}
	return out
}

func (s *Service) vpcFilters() filters[*vpc] {
	prefix := func(b cidrBlock) string { return b.prefix.String() }
	id := func(b cidrBlock) string { return b.id }
	return filters[*vpc]{
		"vpc-id":          one(func(v *vpc) string { return v.id }),
		"cidr":            one(func(v *vpc) string { return v.cidr.String() }),
		"cidr-block":      one(func(v *vpc) string { return v.cidr.String() }),
		"state":           one(func(*vpc) string { return "available" }),
		"is-default":      one(func(*vpc) string { return strconv.FormatBool(false) }),
		"isDefault":       one(func(*vpc) string { return strconv.FormatBool(false) }),
		"owner-id":        one(func(*vpc) string { return s.w.Account }),
		"dhcp-options-id": one(func(v *vpc) string { return v.dhcp }),

		"cidr-block-association.cidr-block":           func(v *vpc) []string { return eachBlock(v.v4, prefix) },
		"cidr-block-association.association-id":       func(v *vpc) []string { return eachBlock(v.v4, id) },
		"cidr-block-association.state":                func(v *vpc) []string { return eachBlock(v.v4, cidrBlock.state) },
		"ipv6-cidr-block-association.ipv6-cidr-block": func(v *vpc) []string { return eachBlock(v.v6, prefix) },
		"ipv6-cidr-block-association.association-id":  func(v *vpc) []string { return eachBlock(v.v6, id) },
		"ipv6-cidr-block-association.state":           func(v *vpc) []string { return eachBlock(v.v6, cidrBlock.state) },
	}
}

func (s *Service) vpcOps() []wire.Op {
	return []wire.Op{
		handle("CreateVpc", func(in *createVPCIn) []wire.Need {
			return s.creates("CreateVpc", kindVPC, in.TagSpecifications, nil)
		}, s.createVPC),
		handle("DeleteVpc", func(in *vpcIn) []wire.Need { return s.needs("ec2:DeleteVpc", in.VpcID) }, s.deleteVPC),
		handle("DescribeVpcs", nil, s.describeVPCs),
		handle("ModifyVpcAttribute", func(in *vpcAttributeIn) []wire.Need { return s.needs("ec2:ModifyVpcAttribute", in.VpcID) }, s.modifyVPC),
		handle("DescribeVpcAttribute", func(in *vpcAttributeIn) []wire.Need { return s.needs("ec2:DescribeVpcAttribute", in.VpcID) }, s.describeVPCAttribute),
	}
}

// block reads a CIDR block between /16 and /28; host bits are dropped, as EC2 does.
func block(cidr, rangeCode string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(cidr)
	if err != nil || !p.Addr().Is4() {
		return p, invalid("Value (%s) for parameter cidrBlock is invalid. This is not a valid CIDR block.", cidr)
	}
	if p.Bits() < 16 || p.Bits() > 28 {
		return p, wire.Errf(rangeCode, "The CIDR '%s' is invalid.", cidr)
	}
	return p.Masked(), nil
}

func (s *Service) vpcXML(v *vpc) vpcXML {
	x := vpcXML{
		VpcID: v.id, OwnerID: s.w.Account, State: "available", CidrBlock: v.cidr.String(), DhcpOptionsID: v.dhcp, InstanceTenancy: "default",
		Tags: tagSet(v.tags),
	}
	for _, b := range v.v4 {
		x.CidrBlocks = append(x.CidrBlocks, b.xml())
	}
	for _, b := range v.v6 {
		x.Ipv6CidrBlocks = append(x.Ipv6CidrBlocks, s.ipv6XML(b, true))
	}
	return x
}

func (s *Service) createVPC(in *createVPCIn) (*vpcOut, error) {
	tags, err := specTags(in.TagSpecifications, "vpc")
	if err != nil {
		return nil, err
	}
	if in.InstanceTenancy != "" && in.InstanceTenancy != "default" {
		return nil, wire.Errf("NotImplemented", "the embedded cloud does not implement InstanceTenancy %q of CreateVpc", in.InstanceTenancy).WithStatus(501)
	}
	if in.CidrBlock == "" {
		return nil, missing("cidrBlock")
	}
	cidr, err := block(in.CidrBlock, "InvalidVpc.Range")
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(all[*vpc](s)) >= s.quota(QuotaVPCs) {
		return nil, wire.Errf("VpcLimitExceeded", "The maximum number of VPCs has been reached.")
	}
	six, err := s.wantedIPv6(wantsIPv6{in.AmazonProvidedIpv6CidrBlock, in.NetworkBorderGroup, in.Ipv6Pool, in.Ipv6CidrBlock})
	if err != nil {
		return nil, err
	}
	v := &vpc{cidr: cidr, dnsSupport: true, dhcp: "dopt-" + s.w.Hex(17)}
	s.addBlock(v, cidrBlock{prefix: cidr})
	if six.prefix.IsValid() {
		s.addBlock(v, six)
	}
	s.add(kindVPC, v, tags)
	s.newRouteTable(v, nil, true)
	s.newSecurityGroup(v, "default", "default VPC security group", nil)
	out := &vpcOut{s.vpcXML(v)}
	out.Vpc.State = "pending" // what CreateVpc says; the next describe says available
	return out, nil
}

func (s *Service) deleteVPC(in *vpcIn) (*done, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, err := get[*vpc](s, kindVPC, in.VpcID)
	if err != nil {
		return nil, err
	}
	var own []resource // what came with the VPC and goes with it
	for _, r := range s.order {
		blocked := false
		switch r := r.(type) {
		case *subnet:
			blocked = r.vpc == v
		case *gateway:
			blocked = r.vpc == v
		case *egressGateway:
			blocked = r.vpc == v
		case *endpoint:
			blocked = r.vpc == v
		case *vpnGateway:
			blocked = r.holds(v)
		case *transitAttachment:
			blocked = r.vpc == v && r.state != "deleted"
		case *routeTable:
			if r.vpc == v && r.main {
				own = append(own, r)
			} else {
				blocked = r.vpc == v
			}
		case *securityGroup:
			if r.vpc == v && r.name == "default" {
				own = append(own, r)
			} else {
				blocked = r.vpc == v
			}
		}
		if blocked {
			return nil, wire.Errf("DependencyViolation", "The vpc '%s' has dependencies and cannot be deleted.", v.id)
		}
	}
	for _, r := range own {
		if g, ok := r.(*securityGroup); ok {
			s.dropGroup(g)
			continue
		}
		s.remove(r)
	}
	s.remove(v)
	return &done{true}, nil
}

func (s *Service) describeVPCs(in *describeVPCsIn) (*describeVPCsOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	items, next, err := describe(s, kindVPC, s.vpcFilters(), query{ids: in.VpcIDs, filters: in.Filters, max: in.MaxResults, token: in.NextToken})
	out := &describeVPCsOut{NextToken: next}
	for _, v := range items {
		out.Vpcs = append(out.Vpcs, s.vpcXML(v))
	}
	return out, err
}

func (s *Service) modifyVPC(in *vpcAttributeIn) (*done, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, err := get[*vpc](s, kindVPC, in.VpcID)
	if err != nil {
		return nil, err
	}
	switch {
	case in.EnableDnsHostnames != nil && in.EnableDnsSupport != nil:
		return nil, wire.Errf("InvalidParameterCombination", "Fields for multiple attribute types specified")
	case in.EnableDnsHostnames != nil:
		v.dnsHostname = in.EnableDnsHostnames.Value
	case in.EnableDnsSupport != nil:
		v.dnsSupport = in.EnableDnsSupport.Value
	default:
		return nil, missing("attribute")
	}
	return &done{true}, nil
}

func (s *Service) describeVPCAttribute(in *vpcAttributeIn) (*vpcAttributeOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, err := get[*vpc](s, kindVPC, in.VpcID)
	if err != nil {
		return nil, err
	}
	out := &vpcAttributeOut{VpcID: v.id}
	switch in.Attribute {
	case "enableDnsHostnames":
		out.EnableDNSHostnames = &boolValue{v.dnsHostname}
	case "enableDnsSupport":
		out.EnableDNSSupport = &boolValue{v.dnsSupport}
	default:
		return nil, invalid("Value (%s) for parameter attribute is invalid. Unknown vpc attribute", in.Attribute)
	}
	return out, nil
}
