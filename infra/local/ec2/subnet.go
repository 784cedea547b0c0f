package ec2

import (
	"maps"
	"net/netip"
	"strconv"

	"github.com/ekspedite/ekspedite/infra/local/ec2/form"
	"github.com/ekspedite/ekspedite/infra/local/wire"
)

type subnet struct {
	record
	vpc       *vpc
	az        string
	cidr      netip.Prefix
	v6        *cidrBlock // nil without an IPv6 range
	mapPublic bool
	assignV6  bool // interfaces get an IPv6 address
	names     nameOptions
	dns64     bool
	used      map[netip.Addr]bool
	next      netip.Addr // where the search for a free address goes on, so that an address is not given again at once
}

// Subnet is what others may know of a subnet.
type Subnet struct {
	ID, VPCID, AZ, CIDR string
	IPv6CIDR            string // empty without
	Public              bool   // has a route to an internet gateway
	FreeAddresses       int
	Tags                map[string]string
}

type createSubnetIn struct {
	DryRun             bool
	VpcID              string `query:"VpcId"`
	CidrBlock          string
	AvailabilityZone   string
	AvailabilityZoneID string `query:"AvailabilityZoneId"`
	Ipv6CidrBlock      string
	Ipv4IpamPoolID     *form.Unsupported `query:"Ipv4IpamPoolId"`
	Ipv4NetmaskLength  *form.Unsupported
	Ipv6IpamPoolID     *form.Unsupported `query:"Ipv6IpamPoolId"`
	Ipv6NetmaskLength  *form.Unsupported
	OutpostArn         *form.Unsupported
	Ipv6Native         bool
	TagSpecifications  []tagSpec `query:"TagSpecification"`
}

type subnetXML struct {
	SubnetID                string               `xml:"subnetId"`
	SubnetArn               string               `xml:"subnetArn"`
	State                   string               `xml:"state"`
	VpcID                   string               `xml:"vpcId"`
	OwnerID                 string               `xml:"ownerId"`
	CidrBlock               string               `xml:"cidrBlock"`
	Ipv6CidrBlocks          []ipv6AssociationXML `xml:"ipv6CidrBlockAssociationSet>item"`
	AvailableIPAddressCount int                  `xml:"availableIpAddressCount"`
	AvailabilityZone        string               `xml:"availabilityZone"`
	AvailabilityZoneID      string               `xml:"availabilityZoneId"`
	DefaultForAz            bool                 `xml:"defaultForAz"`
	MapPublicIPOnLaunch     bool                 `xml:"mapPublicIpOnLaunch"`
	AssignIpv6              bool                 `xml:"assignIpv6AddressOnCreation"`
	EnableDNS64             bool                 `xml:"enableDns64"`
	Ipv6Native              bool                 `xml:"ipv6Native"`
	Names                   nameOptions          `xml:"privateDnsNameOptionsOnLaunch"`
	Tags                    []tag                `xml:"tagSet>item"`
}

// nameOptions say how instances are named in DNS.
type nameOptions struct {
	HostnameType string `xml:"hostnameType"`
	A            bool   `query:"EnableResourceNameDnsARecord" xml:"enableResourceNameDnsARecord"`
	AAAA         bool   `query:"EnableResourceNameDnsAAAARecord" xml:"enableResourceNameDnsAAAARecord"`
}

type subnetOut struct {
	Subnet subnetXML `xml:"subnet"`
}

type subnetIn struct {
	DryRun   bool
	SubnetID string `query:"SubnetId"`
}

type describeSubnetsIn struct {
	DryRun     bool
	SubnetIDs  []string `query:"SubnetId"`
	Filters    []filter `query:"Filter"`
	MaxResults *int
	NextToken  string
}

type describeSubnetsOut struct {
	NextToken string      `xml:"nextToken,omitempty"`
	Subnets   []subnetXML `xml:"subnetSet>item"`
}

func (s *Service) subnetFilters() filters[*subnet] {
	v6 := func(f func(cidrBlock) string) func(n *subnet) []string {
		return func(n *subnet) []string {
			if n.v6 == nil {
				return nil
			}
			return []string{f(*n.v6)}
		}
	}
	return filters[*subnet]{
		"subnet-id":                       one(func(n *subnet) string { return n.id }),
		"subnet-arn":                      one(func(n *subnet) string { return s.arn("subnet", n.id) }),
		"vpc-id":                          one(func(n *subnet) string { return n.vpc.id }),
		"owner-id":                        one(func(*subnet) string { return s.w.Account }),
		"availability-zone":               one(func(n *subnet) string { return n.az }),
		"availabilityZone":                one(func(n *subnet) string { return n.az }),
		"availability-zone-id":            one(func(n *subnet) string { return s.zoneID(n.az) }),
		"cidr":                            one(func(n *subnet) string { return n.cidr.String() }),
		"cidr-block":                      one(func(n *subnet) string { return n.cidr.String() }),
		"cidrBlock":                       one(func(n *subnet) string { return n.cidr.String() }),
		"state":                           one(func(*subnet) string { return "available" }),
		"default-for-az":                  one(func(*subnet) string { return "false" }),
		"ipv6-native":                     one(func(*subnet) string { return "false" }),
		"map-public-ip-on-launch":         one(func(n *subnet) string { return strconv.FormatBool(n.mapPublic) }),
		"assign-ipv6-address-on-creation": one(func(n *subnet) string { return strconv.FormatBool(n.assignV6) }),
		"available-ip-address-count":      one(func(n *subnet) string { return strconv.Itoa(n.free()) }),

		"ipv6-cidr-block-association.ipv6-cidr-block": v6(func(b cidrBlock) string { return b.prefix.String() }),
		"ipv6-cidr-block-association.association-id":  v6(func(b cidrBlock) string { return b.id }),
		"ipv6-cidr-block-association.state":           v6(cidrBlock.state),
	}
}

func (s *Service) subnetOps() []wire.Op {
	return []wire.Op{
		handle("CreateSubnet", func(in *createSubnetIn) []wire.Need {
			return s.creates("CreateSubnet", kindSubnet, in.TagSpecifications, nil, in.VpcID)
		}, s.createSubnet),
		handle("DeleteSubnet", func(in *subnetIn) []wire.Need { return s.needs("ec2:DeleteSubnet", in.SubnetID) }, s.deleteSubnet),
		handle("DescribeSubnets", nil, s.describeSubnets),
		handle("ModifySubnetAttribute", func(in *modifySubnetIn) []wire.Need {
			return s.needs("ec2:ModifySubnetAttribute", in.SubnetID)
		}, s.modifySubnet),
		handle("AssociateSubnetCidrBlock", func(in *associateSubnetCidrIn) []wire.Need {
			return s.needs("ec2:AssociateSubnetCidrBlock", in.SubnetID)
		}, s.associateSubnetCidr),
		handle("DisassociateSubnetCidrBlock", func(in *disassociateCidrIn) []wire.Need {
			return s.needs("ec2:DisassociateSubnetCidrBlock", s.subnetOfBlock(in.AssociationID))
		}, s.disassociateSubnetCidr),
	}
}

// reserved addresses of a subnet: the network, the router, DNS, one for the future, and the broadcast.
const reserved = 5

func (n *subnet) size() int { return 1 << (32 - n.cidr.Bits()) }

func (n *subnet) free() int { return n.size() - reserved - len(n.used) }

// take gives out an address, or the one that is wanted.
func (n *subnet) take(want string) (netip.Addr, error) {
	first := n.cidr.Addr()
	for range reserved - 1 {
		first = first.Next()
	}
	last := lastAddress(n.cidr)
	if want != "" {
		a, err := netip.ParseAddr(want)
		switch {
		case err != nil || !n.cidr.Contains(a):
			return a, invalid("Address %s does not fall within the subnet's address range", want)
		case a.Less(first) || a == last:
			return a, invalid("Address %s is in subnet's reserved address range", want)
		case n.used[a]:
			return a, wire.Errf("InvalidIPAddress.InUse", "Address %s is in use.", want)
		}
		n.used[a] = true
		return a, nil
	}
	if n.free() <= 0 {
		return netip.Addr{}, noAddresses(n)
	}
	a := n.next
	for !a.IsValid() || n.used[a] || a == last {
		if a = a.Next(); !a.IsValid() || !a.Less(last) {
			a = first
		}
	}
	n.used[a] = true
	n.next = a.Next()
	return a, nil
}

func noAddresses(n *subnet) *wire.Error {
	return wire.Errf("InsufficientFreeAddressesInSubnet", "There are not enough free addresses in subnet '%s' to satisfy the requested number of instances.", n.id)
}

func lastAddress(p netip.Prefix) netip.Addr {
	b := p.Addr().As4()
	for i := p.Bits(); i < 32; i++ {
		b[i/8] |= 1 << (7 - i%8)
	}
	return netip.AddrFrom4(b)
}

func (s *Service) subnetXML(n *subnet) subnetXML {
	x := subnetXML{
		SubnetID: n.id, SubnetArn: s.arn("subnet", n.id), State: "available", VpcID: n.vpc.id, OwnerID: s.w.Account, CidrBlock: n.cidr.String(),
		AvailableIPAddressCount: n.free(), AvailabilityZone: n.az, AvailabilityZoneID: s.zoneID(n.az), MapPublicIPOnLaunch: n.mapPublic,
		AssignIpv6: n.assignV6, EnableDNS64: n.dns64, Names: n.names, Tags: tagSet(n.tags),
	}
	if n.v6 != nil {
		x.Ipv6CidrBlocks = []ipv6AssociationXML{s.ipv6XML(*n.v6, false)}
	}
	return x
}

func (s *Service) createSubnet(in *createSubnetIn) (*subnetOut, error) {
	tags, err := specTags(in.TagSpecifications, "subnet")
	if err != nil {
		return nil, err
	}
	if in.Ipv6Native {
		return nil, wire.Errf("NotImplemented", "the embedded cloud does not implement Ipv6Native of CreateSubnet").WithStatus(501)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	v, err := get[*vpc](s, kindVPC, in.VpcID)
	if err != nil {
		return nil, err
	}
	if in.CidrBlock == "" {
		return nil, missing("cidrBlock")
	}
	cidr, err := block(in.CidrBlock, "InvalidSubnet.Range")
	if err != nil {
		return nil, err
	}
	if !within(v.v4, cidr) {
		return nil, wire.Errf("InvalidSubnet.Range", "The CIDR '%s' is invalid.", in.CidrBlock)
	}
	siblings := 0
	for _, n := range all[*subnet](s) {
		if n.vpc != v {
			continue
		}
		siblings++
		if n.cidr.Overlaps(cidr) {
			return nil, wire.Errf("InvalidSubnet.Conflict", "The CIDR '%s' conflicts with another subnet", in.CidrBlock)
		}
	}
	if siblings >= s.quota(QuotaSubnetsPerVPC) {
		return nil, wire.Errf("SubnetLimitExceeded", "The maximum number of subnets has been reached.")
	}
	az := ""
	for _, z := range s.open() {
		if in.AvailabilityZone == z.name || in.AvailabilityZoneID == z.id || in.AvailabilityZone == "" && in.AvailabilityZoneID == "" && az == "" {
			az = z.name
		}
	}
	if az == "" {
		return nil, invalid("Value (%s) for parameter availabilityZone is invalid. Subnets can currently only be created in the following availability zones: %s.", in.AvailabilityZone+in.AvailabilityZoneID, s.zoneNames())
	}
	n := &subnet{vpc: v, az: az, cidr: cidr, used: map[netip.Addr]bool{}, names: nameOptions{HostnameType: "ip-name"}}
	if in.Ipv6CidrBlock != "" {
		if err := s.giveIPv6(n, in.Ipv6CidrBlock); err != nil {
			return nil, err
		}
	}
	s.add(kindSubnet, n, tags)
	return &subnetOut{s.subnetXML(n)}, nil
}

func (s *Service) zoneNames() string {
	names := ""
	for i, z := range s.open() {
		if i > 0 {
			names += ", "
		}
		names += z.name
	}
	return names
}

func (s *Service) deleteSubnet(in *subnetIn) (*done, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := get[*subnet](s, kindSubnet, in.SubnetID)
	if err != nil {
		return nil, err
	}
	if len(n.used) > 0 {
		return nil, wire.Errf("DependencyViolation", "The subnet '%s' has dependencies and cannot be deleted.", n.id)
	}
	for _, t := range all[*routeTable](s) {
		t.forget(n)
	}
	s.remove(n)
	return &done{true}, nil
}

func (s *Service) describeSubnets(in *describeSubnetsIn) (*describeSubnetsOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	items, next, err := describe(s, kindSubnet, s.subnetFilters(), query{ids: in.SubnetIDs, filters: in.Filters, max: in.MaxResults, token: in.NextToken})
	out := &describeSubnetsOut{NextToken: next}
	for _, n := range items {
		out.Subnets = append(out.Subnets, s.subnetXML(n))
	}
	return out, err
}

// Subnet finds a subnet by id.
func (s *Service) Subnet(id string) (Subnet, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, ok := s.byID[id].(*subnet)
	if !ok {
		return Subnet{}, false
	}
	public := false
	for _, r := range s.routesOf(n).routes {
		if g, ok := s.byID[r.target].(*gateway); ok && g.vpc == n.vpc {
			public = true
		}
	}
	out := Subnet{ID: n.id, VPCID: n.vpc.id, AZ: n.az, CIDR: n.cidr.String(), Public: public, FreeAddresses: n.free(), Tags: maps.Clone(n.tags)}
	if n.v6 != nil {
		out.IPv6CIDR = n.v6.prefix.String()
	}
	return out, true
}
