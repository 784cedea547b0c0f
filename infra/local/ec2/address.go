package ec2

import (
	"fmt"

	"github.com/ekspedite/ekspedite/infra/local/ec2/form"
	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// maxAddresses is the default quota of Elastic IP addresses, which customers really meet.
const maxAddresses = 5

type address struct {
	record
	publicIP string
	nat      *natGateway
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
	NetworkInterfaceID string `xml:"networkInterfaceId,omitempty"`
	PublicIpv4Pool     string `xml:"publicIpv4Pool"`
	NetworkBorderGroup string `xml:"networkBorderGroup"`
	Domain             string `xml:"domain"`
	Tags               []tag  `xml:"tagSet>item"`
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
}

func (a *address) association() string {
	if a.nat == nil {
		return ""
	}
	return "eipassoc-" + a.id[len(kindAddress.prefix):]
}

func (a *address) eni() string {
	if a.nat == nil {
		return ""
	}
	return a.nat.eni
}

func (s *Service) addressOps() []wire.Op {
	return []wire.Op{
		handle("AllocateAddress", func(in *allocateIn) []wire.Need {
			return s.creates("AllocateAddress", kindAddress, in.TagSpecifications, nil)
		}, s.allocate),
		handle("ReleaseAddress", func(in *releaseIn) []wire.Need { return s.needs("ec2:ReleaseAddress", in.AllocationID) }, s.release),
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
	if len(all[*address](s)) >= maxAddresses {
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
	if a.nat != nil {
		return nil, wire.Errf("InvalidIPAddress.InUse", "Address %s is in use.", a.publicIP)
	}
	s.remove(a)
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
		if a.nat != nil {
			x.PrivateIP = a.nat.privateIP.String()
		}
		out.Addresses = append(out.Addresses, x)
	}
	return out, err
}
