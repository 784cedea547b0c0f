package ec2

import (
	"fmt"
	"strconv"

	"github.com/ekspedite/ekspedite/infra/local/ec2/form"
	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// maxAddresses is the default quota of Elastic IP addresses, which customers really meet.
const maxAddresses = 5

type address struct {
	record
	publicIP string
	on       *networkInterface // nil while it is not associated
	uses     int               // associations so far: each has an id of its own
}

type allocateIn struct {
	DryRun                bool
	Domain                string
	NetworkBorderGroup    string
	Address               *form.Unsupported
	PublicIpv4Pool        *form.Unsupported
	CustomerOwnedIpv4Pool *form.Unsupported
	IpamPoolID            *form.Unsupported `query:"IpamPoolId"`
	TagSpecifications     []tagSpec         `query:"TagSpecification"`
}

type allocateOut struct {
	AllocationID       string `xml:"allocationId"`
	PublicIP           string `xml:"publicIp"`
	PublicIpv4Pool     string `xml:"publicIpv4Pool"`
	NetworkBorderGroup string `xml:"networkBorderGroup"`
	Domain             string `xml:"domain"`
}

type releaseIn struct {
	DryRun             bool
	AllocationID       string `query:"AllocationId"`
	PublicIP           string `query:"PublicIp"`
	NetworkBorderGroup string
}

type addressXML struct {
	AllocationID       string `xml:"allocationId"`
	AssociationID      string `xml:"associationId,omitempty"`
	PublicIP           string `xml:"publicIp"`
	PrivateIP          string `xml:"privateIpAddress,omitempty"`
	InstanceID         string `xml:"instanceId,omitempty"`
	NetworkInterfaceID string `xml:"networkInterfaceId,omitempty"`
	PublicIpv4Pool     string `xml:"publicIpv4Pool"`
	NetworkBorderGroup string `xml:"networkBorderGroup"`
	Domain             string `xml:"domain"`
	Tags               []tag  `xml:"tagSet>item"`
}

type associateAddressIn struct {
	DryRun             bool
	AllocationID       string `query:"AllocationId"`
	InstanceID         string `query:"InstanceId"`
	NetworkInterfaceID string `query:"NetworkInterfaceId"`
	AllowReassociation bool
	PrivateIPAddress   *form.Unsupported `query:"PrivateIpAddress"`
	PublicIP           *form.Unsupported `query:"PublicIp"`
}

type associateAddressOut struct {
	AssociationID string `xml:"associationId"`
}

type disassociateAddressIn struct {
	DryRun        bool
	AssociationID string            `query:"AssociationId"`
	PublicIP      *form.Unsupported `query:"PublicIp"`
}

type describeAddressesIn struct {
	DryRun        bool
	PublicIPs     []string `query:"PublicIp"`
	AllocationIDs []string `query:"AllocationId"`
	Filters       []filter `query:"Filter"`
}

type describeAddressesOut struct {
	Addresses []addressXML `xml:"addressesSet>item"`
}

var addressFilters = filters[*address]{
	"allocation-id":        one(func(a *address) string { return a.id }),
	"public-ip":            one(func(a *address) string { return a.publicIP }),
	"domain":               one(func(*address) string { return "vpc" }),
	"association-id":       one((*address).association),
	"network-interface-id": one((*address).eni),
	"private-ip-address": func(a *address) []string {
		if a.on == nil {
			return nil
		}
		return []string{a.on.ip.String()}
	},
	"instance-id": func(a *address) []string {
		if a.on == nil || a.on.attached == nil || a.on.attached.instance == nil {
			return nil
		}
		return []string{a.on.attached.instance.id}
	},
}

func (a *address) association() string {
	if a.on == nil {
		return ""
	}
	return "eipassoc-" + stableHex(17, a.id, strconv.Itoa(a.uses))
}

func (a *address) eni() string {
	if a.on == nil {
		return ""
	}
	return a.on.id
}

func (s *Service) addressOps() []wire.Op {
	return []wire.Op{
		handle("AllocateAddress", func(in *allocateIn) []wire.Need {
			return s.creates("AllocateAddress", kindAddress, in.TagSpecifications, nil)
		}, s.allocate),
		handle("ReleaseAddress", func(in *releaseIn) []wire.Need { return s.needs("ec2:ReleaseAddress", in.AllocationID) }, s.release),
		handle("AssociateAddress", func(in *associateAddressIn) []wire.Need {
			return s.needs("ec2:AssociateAddress", in.AllocationID, in.InstanceID, in.NetworkInterfaceID)
		}, s.associateAddress),
		handle("DisassociateAddress", func(in *disassociateAddressIn) []wire.Need {
			return s.needs("ec2:DisassociateAddress", s.addressOf(in.AssociationID))
		}, s.disassociateAddress),
		handle("DescribeAddresses", nil, s.describeAddresses),
	}
}

// publicIP gives out the addresses of TEST-NET-3 and, after them, of 198.18.0.0/15, both of which route nowhere.
func (s *Service) publicIP() string {
	s.publicIPs++
	if n := s.publicIPs; n < 255 {
		return fmt.Sprintf("203.0.113.%d", n)
	}
	n := s.publicIPs - 255
	return fmt.Sprintf("198.%d.%d.%d", 18+n>>16&1, n>>8&255, n&255)
}

func (s *Service) allocate(in *allocateIn) (*allocateOut, error) {
	tags, err := specTags(in.TagSpecifications, "elastic-ip")
	if err != nil {
		return nil, err
	}
	if in.Domain != "" && in.Domain != "vpc" {
		return nil, invalid("Value (%s) for parameter domain is invalid.", in.Domain)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(all[*address](s)) >= s.quota(QuotaAddresses) {
		return nil, wire.Errf("AddressLimitExceeded", "The maximum number of addresses has been reached.")
	}
	a := &address{publicIP: s.publicIP()}
	s.add(kindAddress, a, tags)
	return &allocateOut{a.id, a.publicIP, "amazon", s.w.Region, "vpc"}, nil
}

func (s *Service) release(in *releaseIn) (*done, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if in.AllocationID == "" {
		if in.PublicIP != "" {
			return nil, wire.Errf("InvalidParameterCombination", "You must specify an allocation id when releasing a VPC elastic IP address")
		}
		return nil, missing("AllocationId")
	}
	a, err := get[*address](s, kindAddress, in.AllocationID)
	if err != nil {
		return nil, err
	}
	switch {
	case a.on != nil && a.on.requester != "": // a NAT gateway's
		return nil, noAccess()
	case a.on != nil:
		return nil, wire.Errf("InvalidIPAddress.InUse", "Address %s is in use.", a.publicIP)
	}
	s.remove(a)
	return &done{true}, nil
}

func (s *Service) associateAddress(in *associateAddressIn) (*associateAddressOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := get[*address](s, kindAddress, in.AllocationID)
	if err != nil {
		return nil, err
	}
	var n *networkInterface
	switch {
	case in.InstanceID != "" && in.NetworkInterfaceID != "":
		return nil, wire.Errf("InvalidParameterCombination", "Only one of InstanceId and NetworkInterfaceId may be specified.")
	case in.InstanceID != "":
		i, err := get[*instance](s, kindInstance, in.InstanceID)
		if err != nil {
			return nil, err
		}
		if i.state != "running" && i.state != "stopped" {
			return nil, wire.Errf("InvalidInstanceID", "The pending instance '%s' is not in a valid state for this operation.", i.id)
		}
		n = i.nic
	default:
		if n, err = get[*networkInterface](s, kindInterface, in.NetworkInterfaceID); err != nil {
			return nil, err
		}
	}
	switch {
	case n.requester != "":
		return nil, noAccess()
	case a.on != nil && !in.AllowReassociation:
		return nil, wire.Errf("Resource.AlreadyAssociated", "resource %s is already associated with associate-id %s", a.id, a.association())
	case n.address != nil && n.address != a && !in.AllowReassociation:
		return nil, wire.Errf("Resource.AlreadyAssociated", "resource %s is already associated with an address", n.id)
	}
	if a.on != nil {
		a.on.address = nil
	}
	if n.address != nil {
		n.address.on = nil
	}
	if at := n.attached; at != nil && at.instance != nil && at.instance.nic == n {
		at.instance.publicIP = "" // EC2 takes back the address that it lent
	}
	a.on, n.address = n, a
	a.uses++
	return &associateAddressOut{a.association()}, nil
}

// findAssociation finds the address of an association. The lock is held.
func (s *Service) findAssociation(id string) *address {
	for _, a := range all[*address](s) {
		if id != "" && a.association() == id {
			return a
		}
	}
	return nil
}

func (s *Service) addressOf(association string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.findAssociation(association); a != nil {
		return a.id
	}
	return ""
}

func (s *Service) disassociateAddress(in *disassociateAddressIn) (*done, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.findAssociation(in.AssociationID)
	switch {
	case a == nil:
		return nil, wire.Errf("InvalidAssociationID.NotFound", "The association ID '%s' does not exist", in.AssociationID)
	case a.on.requester != "":
		return nil, noAccess()
	}
	a.on.address, a.on = nil, nil
	return &done{true}, nil
}

func (s *Service) describeAddresses(in *describeAddressesIn) (*describeAddressesOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(in.PublicIPs) > 0 {
		known := map[string]bool{}
		for _, a := range all[*address](s) {
			known[a.publicIP] = true
		}
		for _, ip := range in.PublicIPs {
			if !known[ip] {
				return nil, wire.Errf("InvalidAddress.NotFound", "Address '%s' not found.", ip)
			}
		}
		in.Filters = append(in.Filters, filter{"public-ip", in.PublicIPs})
	}
	items, _, err := describe(s, kindAddress, addressFilters, query{ids: in.AllocationIDs, filters: in.Filters})
	out := &describeAddressesOut{}
	for _, a := range items {
		x := addressXML{
			AllocationID: a.id, AssociationID: a.association(), PublicIP: a.publicIP, NetworkInterfaceID: a.eni(),
			PublicIpv4Pool: "amazon", NetworkBorderGroup: s.w.Region, Domain: "vpc", Tags: tagSet(a.tags),
		}
		if a.on != nil {
			x.PrivateIP = a.on.ip.String()
			if at := a.on.attached; at != nil && at.instance != nil {
				x.InstanceID = at.instance.id
			}
		}
		out.Addresses = append(out.Addresses, x)
	}
	return out, err
}
