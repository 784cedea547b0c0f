package ec2

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// networkInterface is an elastic network interface: an instance's, a service's, or one that a customer keeps for later.
type networkInterface struct {
	record
	subnet      *subnet
	description string
	typ         string // interface, efa, nat_gateway, vpc_endpoint, …
	requester   string // who manages it; empty: the customer
	ip          netip.Addr
	secondary   []netip.Addr
	ipv6        []netip.Addr
	mac         string
	groups      []string
	unchecked   bool // sourceDestCheck is off
	attached    *attachment
	address     *address // Elastic IP
}

// attachment is what a network interface is on.
type attachment struct {
	id                  string
	instance            *instance // nil when a service holds it
	index, card         int
	at                  time.Time
	deleteOnTermination bool
}

// interfaceXML is a network interface, in an instance's description and in its own: the two differ in the place of the
// tags and the zone only.
type interfaceXML struct {
	ID               string         `xml:"networkInterfaceId"`
	SubnetID         string         `xml:"subnetId"`
	VpcID            string         `xml:"vpcId"`
	AvailabilityZone string         `xml:"availabilityZone"`
	Description      string         `xml:"description"`
	OwnerID          string         `xml:"ownerId"`
	Status           string         `xml:"status"`
	MacAddress       string         `xml:"macAddress,omitempty"`
	PrivateIPAddress string         `xml:"privateIpAddress"`
	PrivateDNSName   string         `xml:"privateDnsName,omitempty"`
	SourceDestCheck  bool           `xml:"sourceDestCheck"`
	InterfaceType    string         `xml:"interfaceType"`
	RequesterManaged bool           `xml:"requesterManaged"`
	RequesterID      string         `xml:"requesterId,omitempty"`
	Groups           []groupRef     `xml:"groupSet>item"`
	Attachment       *attachmentXML `xml:"attachment"`
	Association      *publicXML     `xml:"association"`
	PrivateIPs       []privateIPXML `xml:"privateIpAddressesSet>item"`
	IPv6             []ipv6XML      `xml:"ipv6AddressesSet>item"`
	IPv6Address      string         `xml:"ipv6Address,omitempty"`
	Tags             []tag          `xml:"tagSet>item"`
}

type attachmentXML struct {
	ID                  string     `xml:"attachmentId"`
	InstanceID          string     `xml:"instanceId,omitempty"`
	InstanceOwnerID     string     `xml:"instanceOwnerId,omitempty"`
	DeviceIndex         int        `xml:"deviceIndex"`
	NetworkCardIndex    int        `xml:"networkCardIndex"`
	Status              string     `xml:"status"`
	AttachTime          *wire.Time `xml:"attachTime"`
	DeleteOnTermination bool       `xml:"deleteOnTermination"`
}

type publicXML struct {
	AllocationID  string `xml:"allocationId,omitempty"`
	AssociationID string `xml:"associationId,omitempty"`
	IPOwnerID     string `xml:"ipOwnerId"`
	PublicDNSName string `xml:"publicDnsName"`
	PublicIP      string `xml:"publicIp"`
}

type privateIPXML struct {
	Primary          bool       `xml:"primary"`
	PrivateIPAddress string     `xml:"privateIpAddress"`
	PrivateDNSName   string     `xml:"privateDnsName,omitempty"`
	Association      *publicXML `xml:"association"`
}

type ipv6XML struct {
	Address string `xml:"ipv6Address"`
	Primary bool   `xml:"isPrimaryIpv6"`
}

// newInterface takes the addresses of a new interface, the primary one as wanted or the next free, and keeps it. The lock
// is held.
func (s *Service) newInterface(n *networkInterface, want string, tags map[string]string) error {
	ip, err := n.subnet.take(want)
	if err != nil {
		return err
	}
	h := s.w.Hex(10)
	n.ip, n.mac = ip, "02:"+h[:2]+":"+h[2:4]+":"+h[4:6]+":"+h[6:8]+":"+h[8:]
	if n.subnet.assignV6 && len(n.ipv6) == 0 && n.requester == "" {
		n.ipv6 = append(n.ipv6, s.ipv6In(n.subnet))
	}
	s.add(kindInterface, n, tags)
	return nil
}

// ipv6In returns an address of a subnet's IPv6 range: of 2⁶⁴, nobody has had a random one before.
func (s *Service) ipv6In(n *subnet) netip.Addr {
	h := s.w.Hex(16)
	p := n.v6.prefix.Addr().As16()
	host := netip.MustParseAddr("::" + h[:4] + ":" + h[4:8] + ":" + h[8:12] + ":" + h[12:]).As16()
	copy(p[8:], host[8:])
	return netip.AddrFrom16(p)
}

// dropInterface gives an interface's addresses back and forgets it. The lock is held.
func (s *Service) dropInterface(n *networkInterface) {
	for _, ip := range append(n.secondary, n.ip) {
		delete(n.subnet.used, ip)
	}
	if n.address != nil {
		n.address.on, n.address = nil, nil
	}
	s.remove(n)
}

func (n *networkInterface) status() string {
	if n.attached == nil {
		return "available"
	}
	return "in-use"
}

// public is the address at which the internet reaches the interface: an Elastic IP, or the one that an instance has while
// it runs.
func (s *Service) public(n *networkInterface) *publicXML {
	if a := n.address; a != nil {
		return &publicXML{a.id, a.association(), s.w.Account, s.publicName(a.publicIP), a.publicIP}
	}
	if a := n.attached; a != nil && a.instance != nil && a.instance.nic == n && a.instance.publicIP != "" {
		return &publicXML{IPOwnerID: "amazon", PublicDNSName: s.publicName(a.instance.publicIP), PublicIP: a.instance.publicIP}
	}
	return nil
}

func (s *Service) publicName(ip string) string {
	name := "ec2-" + strings.ReplaceAll(ip, ".", "-")
	if s.w.Region == "us-east-1" {
		return name + ".compute-1.amazonaws.com"
	}
	return name + "." + s.w.Region + ".compute.amazonaws.com"
}

// ipName is the DNS name of a private address.
func ipName(ip netip.Addr, region string) string {
	suffix := "." + region + ".compute.internal"
	if region == "us-east-1" {
		suffix = ".ec2.internal"
	}
	return "ip-" + strings.ReplaceAll(ip.String(), ".", "-") + suffix
}

// interfaceXML shows an interface; without its tags where it is part of an instance.
func (s *Service) interfaceXML(n *networkInterface) interfaceXML {
	x := interfaceXML{
		ID: n.id, SubnetID: n.subnet.id, VpcID: n.subnet.vpc.id, AvailabilityZone: n.subnet.az, Description: n.description, OwnerID: s.w.Account,
		Status: n.status(), MacAddress: n.mac, PrivateIPAddress: n.ip.String(), PrivateDNSName: ipName(n.ip, s.w.Region), SourceDestCheck: !n.unchecked,
		InterfaceType: n.typ, RequesterManaged: n.requester != "", RequesterID: n.requester, Groups: s.groupRefs(n.groups), Association: s.public(n),
		Tags: tagSet(n.tags),
	}
	if a := n.attached; a != nil {
		x.Attachment = &attachmentXML{
			ID: a.id, InstanceOwnerID: s.w.Account, DeviceIndex: a.index, NetworkCardIndex: a.card, Status: "attached", AttachTime: wire.At(a.at),
			DeleteOnTermination: a.deleteOnTermination,
		}
		if a.instance != nil {
			x.Attachment.InstanceID = a.instance.id
		} else {
			x.Attachment.InstanceOwnerID = "amazon-aws"
		}
	}
	x.PrivateIPs = []privateIPXML{{true, x.PrivateIPAddress, x.PrivateDNSName, x.Association}}
	for _, ip := range n.secondary {
		x.PrivateIPs = append(x.PrivateIPs, privateIPXML{false, ip.String(), ipName(ip, s.w.Region), nil})
	}
	for i, ip := range n.ipv6 {
		if i == 0 {
			x.IPv6Address = ip.String()
		}
		x.IPv6 = append(x.IPv6, ipv6XML{ip.String(), false})
	}
	return x
}

// CreateServiceInterface makes a network interface that a service of the embedded cloud manages in a customer's subnet, as
// EKS does for its control planes ("Amazon EKS NAME"). It is in use until DeleteServiceInterface, and its subnet and groups
// cannot be deleted before. Its errors are EC2's (*wire.Error).
func (s *Service) CreateServiceInterface(subnetID, description string, groups []string, tags map[string]string) (id string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sub, err := get[*subnet](s, kindSubnet, subnetID)
	if err != nil {
		return "", err
	}
	if groups, err = s.groupsIn(sub.vpc, groups); err != nil {
		return "", err
	}
	n := &networkInterface{
		subnet: sub, description: description, typ: "interface", requester: s.w.Account, groups: groups,
		attached: &attachment{id: "ela-attach-" + s.w.Hex(17), at: time.Now(), index: 1},
	}
	err = s.newInterface(n, "", tags)
	return n.id, err
}

// DeleteServiceInterface takes away what CreateServiceInterface made. One that is gone is no error.
func (s *Service) DeleteServiceInterface(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, ok := s.byID[id].(*networkInterface)
	switch {
	case !ok:
		return nil
	case n.requester == "" || n.attached != nil && n.attached.instance != nil:
		return wire.Errf("OperationNotPermitted", "%s is not an interface of a service.", id)
	}
	s.dropInterface(n)
	return nil
}

// groupsIn checks that security groups are a VPC's; none means its default one. The lock is held.
func (s *Service) groupsIn(v *vpc, ids []string) ([]string, error) {
	for _, id := range ids {
		g, err := get[*securityGroup](s, kindGroup, id)
		if err != nil {
			return nil, err
		}
		if g.vpc != v {
			return nil, wire.Errf("InvalidParameter", "Security group %s and VPC %s belong to different networks.", id, v.id)
		}
	}
	if len(ids) > 0 {
		return slices.Compact(slices.Clone(ids)), nil
	}
	for _, g := range all[*securityGroup](s) {
		if g.vpc == v && g.name == "default" {
			return []string{g.id}, nil
		}
	}
	return nil, nil
}
