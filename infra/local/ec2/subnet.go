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
	mapPublic bool
	used      map[netip.Addr]bool
	next      netip.Addr // where the search for a free address goes on, so that an address is not given again at once
}

// Subnet is what others may know of a subnet.
type Subnet struct {
	ID, VPCID, AZ, CIDR string
	Public              bool // has a route to an internet gateway
	FreeAddresses       int
	Tags                map[string]string
}

type createSubnetIn struct {
	DryRun             bool
	VpcID              string `query:"VpcId"`
	CidrBlock          string
	AvailabilityZone   string
	AvailabilityZoneID string `query:"AvailabilityZoneId"`
	Ipv6CidrBlock      *form.Unsupported
	Ipv4IpamPoolID     *form.Unsupported `query:"Ipv4IpamPoolId"`
	OutpostArn         *form.Unsupported
	Ipv6Native         bool
	TagSpecifications  []tagSpec `query:"TagSpecification"`
}

type subnetXML struct {
	SubnetID                string `xml:"subnetId"`
	SubnetArn               string `xml:"subnetArn"`
	State                   string `xml:"state"`
	VpcID                   string `xml:"vpcId"`
	OwnerID                 string `xml:"ownerId"`
	CidrBlock               string `xml:"cidrBlock"`
	AvailableIPAddressCount int    `xml:"availableIpAddressCount"`
	AvailabilityZone        string `xml:"availabilityZone"`
	AvailabilityZoneID      string `xml:"availabilityZoneId"`
	DefaultForAz            bool   `xml:"defaultForAz"`
	MapPublicIPOnLaunch     bool   `xml:"mapPublicIpOnLaunch"`
	AssignIpv6              bool   `xml:"assignIpv6AddressOnCreation"`
	Tags                    []tag  `xml:"tagSet>item"`
}

type subnetOut struct {
	Subnet subnetXML `xml:"subnet"`
}

type subnetIn struct {
	DryRun                          bool
	SubnetID                        string     `query:"SubnetId"`
	MapPublicIPOnLaunch             *boolValue `query:"MapPublicIpOnLaunch"`
	AssignIpv6AddressOnCreation     *form.Unsupported
	MapCustomerOwnedIPOnLaunch      *form.Unsupported `query:"MapCustomerOwnedIpOnLaunch"`
	EnableDNS64                     *form.Unsupported `query:"EnableDns64"`
	PrivateDNSHostnameTypeOnLaunch  *form.Unsupported `query:"PrivateDnsHostnameTypeOnLaunch"`
	EnableResourceNameDNSARecord    *form.Unsupported `query:"EnableResourceNameDnsARecordOnLaunch"`
	EnableResourceNameDNSAAAARecord *form.Unsupported `query:"EnableResourceNameDnsAAAARecordOnLaunch"`
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

var subnetFilters = filters[*subnet]{
	"subnet-id":                  one(func(n *subnet) string { return n.id }),
	"vpc-id":                     one(func(n *subnet) string { return n.vpc.id }),
	"availability-zone":          one(func(n *subnet) string { return n.az }),
	"availabilityZone":           one(func(n *subnet) string { return n.az }),
	"cidr":                       one(func(n *subnet) string { return n.cidr.String() }),
	"cidr-block":                 one(func(n *subnet) string { return n.cidr.String() }),
	"cidrBlock":                  one(func(n *subnet) string { return n.cidr.String() }),
	"state":                      one(func(*subnet) string { return "available" }),
	"default-for-az":             one(func(*subnet) string { return "false" }),
	"map-public-ip-on-launch":    one(func(n *subnet) string { return strconv.FormatBool(n.mapPublic) }),
	"available-ip-address-count": one(func(n *subnet) string { return strconv.Itoa(n.free()) }),
}

func (s *Service) subnetOps() []wire.Op {
	return []wire.Op{
		handle("CreateSubnet", func(in *createSubnetIn) []wire.Need {
			return s.creates("CreateSubnet", kindSubnet, in.TagSpecifications, nil, in.VpcID)
		}, s.createSubnet),
		handle("DeleteSubnet", func(in *subnetIn) []wire.Need { return s.needs("ec2:DeleteSubnet", in.SubnetID) }, s.deleteSubnet),
		handle("DescribeSubnets", nil, s.describeSubnets),
		handle("ModifySubnetAttribute", func(in *subnetIn) []wire.Need { return s.needs("ec2:ModifySubnetAttribute", in.SubnetID) }, s.modifySubnet),
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
	return subnetXML{
		SubnetID: n.id, SubnetArn: s.arn("subnet", n.id), State: "available", VpcID: n.vpc.id, OwnerID: s.w.Account, CidrBlock: n.cidr.String(),
		AvailableIPAddressCount: n.free(), AvailabilityZone: n.az, AvailabilityZoneID: s.zoneID(n.az), MapPublicIPOnLaunch: n.mapPublic, Tags: tagSet(n.tags),
	}
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
	if cidr.Bits() < v.cidr.Bits() || !v.cidr.Contains(cidr.Addr()) {
		return nil, wire.Errf("InvalidSubnet.Range", "The CIDR '%s' is invalid.", in.CidrBlock)
	}
	for _, n := range all[*subnet](s) {
		if n.vpc == v && n.cidr.Overlaps(cidr) {
			return nil, wire.Errf("InvalidSubnet.Conflict", "The CIDR '%s' conflicts with another subnet", in.CidrBlock)
		}
	}
	az := ""
	for _, z := range s.zones() {
		if in.AvailabilityZone == z.name || in.AvailabilityZoneID == z.id || in.AvailabilityZone == "" && in.AvailabilityZoneID == "" && az == "" {
			az = z.name
		}
	}
	if az == "" {
		return nil, invalid("Value (%s) for parameter availabilityZone is invalid. Subnets can currently only be created in the following availability zones: %s.", in.AvailabilityZone+in.AvailabilityZoneID, s.zoneNames())
	}
	n := &subnet{vpc: v, az: az, cidr: cidr, used: map[netip.Addr]bool{}}
	s.add(kindSubnet, n, tags)
	return &subnetOut{s.subnetXML(n)}, nil
}

func (s *Service) zoneNames() string {
	names := ""
	for i, z := range s.zones() {
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
	items, next, err := describe(s, kindSubnet, subnetFilters, query{ids: in.SubnetIDs, filters: in.Filters, max: in.MaxResults, token: in.NextToken})
	out := &describeSubnetsOut{NextToken: next}
	for _, n := range items {
		out.Subnets = append(out.Subnets, s.subnetXML(n))
	}
	return out, err
}

func (s *Service) modifySubnet(in *subnetIn) (*done, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := get[*subnet](s, kindSubnet, in.SubnetID)
	if err != nil {
		return nil, err
	}
	if in.MapPublicIPOnLaunch == nil {
		return nil, missing("attribute")
	}
	n.mapPublic = in.MapPublicIPOnLaunch.Value
	return &done{true}, nil
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
	return Subnet{ID: n.id, VPCID: n.vpc.id, AZ: n.az, CIDR: n.cidr.String(), Public: public, FreeAddresses: n.free(), Tags: maps.Clone(n.tags)}, true
}
