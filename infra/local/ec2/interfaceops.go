package ec2

import (
	"fmt"
	"net/netip"
	"strconv"

	"github.com/ekspedite/ekspedite/infra/local/ec2/form"
	"github.com/ekspedite/ekspedite/infra/local/wire"
)

type createInterfaceIn struct {
	DryRun             bool
	ClientToken        string
	SubnetID           string `query:"SubnetId"`
	Description        string
	SecurityGroupIDs   []string `query:"SecurityGroupId"`
	InterfaceType      string
	PrivateIPAddress   string `query:"PrivateIpAddress"`
	SecondaryCount     int    `query:"SecondaryPrivateIpAddressCount"`
	PrivateIPAddresses []struct {
		Primary          bool
		PrivateIPAddress string `query:"PrivateIpAddress"`
	} `query:"PrivateIpAddresses"`
	Ipv6AddressCount int
	Ipv6Addresses    []struct{ Ipv6Address string }
	TagSpecification []tagSpec

	ConnectionTrackingSpecification *form.Unsupported
	EnablePrimaryIpv6               *form.Unsupported
	Ipv4PrefixCount                 *form.Unsupported
	Ipv4Prefix                      *form.Unsupported
	Ipv6PrefixCount                 *form.Unsupported
	Ipv6Prefix                      *form.Unsupported
	Operator                        *form.Unsupported
}

type createInterfaceOut struct {
	ClientToken string       `xml:"clientToken,omitempty"`
	Interface   interfaceXML `xml:"networkInterface"`
}

type interfaceIn struct {
	DryRun bool
	ID     string `query:"NetworkInterfaceId"`
}

type modifyInterfaceIn struct {
	DryRun           bool
	ID               string `query:"NetworkInterfaceId"`
	Description      *struct{ Value string }
	SecurityGroupIDs []string `query:"SecurityGroupId"`
	SourceDestCheck  *boolValue
	Attachment       *struct {
		AttachmentID         string `query:"AttachmentId"`
		DeleteOnTermination  *bool
		DefaultEnaQueueCount *form.Unsupported
		EnaQueueCount        *form.Unsupported
	}
	AssociatedSubnetID              *form.Unsupported `query:"AssociatedSubnetId"`
	AssociatePublicIPAddress        *form.Unsupported `query:"AssociatePublicIpAddress"`
	ConnectionTrackingSpecification *form.Unsupported
	EnablePrimaryIpv6               *form.Unsupported
	EnaSrdSpecification             *form.Unsupported
}

type describeInterfacesIn struct {
	DryRun     bool
	IDs        []string `query:"NetworkInterfaceId"`
	Filters    []filter `query:"Filter"`
	MaxResults *int
	NextToken  string
}

type describeInterfacesOut struct {
	Interfaces []interfaceXML `xml:"networkInterfaceSet>item"`
	NextToken  string         `xml:"nextToken,omitempty"`
}

// onAttachment makes a filter of something that only attached interfaces have.
func onAttachment(f func(*attachment) string) func(*networkInterface) []string {
	return func(n *networkInterface) []string {
		if n.attached == nil {
			return nil
		}
		return []string{f(n.attached)}
	}
}

func (s *Service) interfaceFilters() filters[*networkInterface] {
	return filters[*networkInterface]{
		"network-interface-id":             one(func(n *networkInterface) string { return n.id }),
		"subnet-id":                        one(func(n *networkInterface) string { return n.subnet.id }),
		"vpc-id":                           one(func(n *networkInterface) string { return n.subnet.vpc.id }),
		"availability-zone":                one(func(n *networkInterface) string { return n.subnet.az }),
		"description":                      one(func(n *networkInterface) string { return n.description }),
		"status":                           one((*networkInterface).status),
		"interface-type":                   one(func(n *networkInterface) string { return n.typ }),
		"owner-id":                         one(func(*networkInterface) string { return s.w.Account }),
		"requester-id":                     one(func(n *networkInterface) string { return n.requester }),
		"requester-managed":                one(func(n *networkInterface) string { return strconv.FormatBool(n.requester != "") }),
		"mac-address":                      one(func(n *networkInterface) string { return n.mac }),
		"source-dest-check":                one(func(n *networkInterface) string { return strconv.FormatBool(!n.unchecked) }),
		"private-ip-address":               one(func(n *networkInterface) string { return n.ip.String() }),
		"private-dns-name":                 one(func(n *networkInterface) string { return ipName(n.ip, s.w.Region) }),
		"addresses.private-ip-address":     func(n *networkInterface) []string { return texts(append([]netip.Addr{n.ip}, n.secondary...)) },
		"ipv6-addresses.ipv6-address":      func(n *networkInterface) []string { return texts(n.ipv6) },
		"group-id":                         func(n *networkInterface) []string { return n.groups },
		"attachment.attachment-id":         onAttachment(func(a *attachment) string { return a.id }),
		"attachment.status":                onAttachment(func(*attachment) string { return "attached" }),
		"attachment.device-index":          onAttachment(func(a *attachment) string { return strconv.Itoa(a.index) }),
		"attachment.delete-on-termination": onAttachment(func(a *attachment) string { return strconv.FormatBool(a.deleteOnTermination) }),
		"attachment.instance-owner-id": onAttachment(func(a *attachment) string {
			if a.instance == nil {
				return "amazon-aws"
			}
			return s.w.Account
		}),
		"attachment.instance-id": func(n *networkInterface) []string {
			if n.attached == nil || n.attached.instance == nil {
				return nil
			}
			return []string{n.attached.instance.id}
		},
		"association.public-ip": func(n *networkInterface) []string {
			if p := s.public(n); p != nil {
				return []string{p.PublicIP}
			}
			return nil
		},
		"group-name": func(n *networkInterface) []string {
			var out []string
			for _, g := range s.groupRefs(n.groups) {
				out = append(out, g.GroupName)
			}
			return out
		},
	}
}

func texts[T fmt.Stringer](list []T) []string {
	var out []string
	for _, v := range list {
		out = append(out, v.String())
	}
	return out
}

func (s *Service) interfaceOps() []wire.Op {
	return []wire.Op{
		handle("CreateNetworkInterface", func(in *createInterfaceIn) []wire.Need {
			return s.creates("CreateNetworkInterface", kindInterface, in.TagSpecification, nil, append([]string{in.SubnetID}, in.SecurityGroupIDs...)...)
		}, s.createInterface),
		handle("DescribeNetworkInterfaces", nil, s.describeInterfaces),
		handle("ModifyNetworkInterfaceAttribute", func(in *modifyInterfaceIn) []wire.Need {
			return s.needs("ec2:ModifyNetworkInterfaceAttribute", append([]string{in.ID}, in.SecurityGroupIDs...)...)
		}, s.modifyInterface),
		handle("DeleteNetworkInterface", func(in *interfaceIn) []wire.Need {
			return s.needs("ec2:DeleteNetworkInterface", in.ID)
		}, s.deleteInterface),
	}
}

func (s *Service) createInterface(in *createInterfaceIn) (*createInterfaceOut, error) {
	tags, err := specTags(in.TagSpecification, "network-interface")
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return once(s, "CreateNetworkInterface", in.ClientToken, in, func() (*createInterfaceOut, error) {
		sub, err := get[*subnet](s, kindSubnet, in.SubnetID)
		if err != nil {
			return nil, err
		}
		n := &networkInterface{subnet: sub, description: in.Description, typ: "interface"}
		switch in.InterfaceType {
		case "", "interface":
		case "efa", "trunk", "branch":
			n.typ = in.InterfaceType
		default:
			return nil, invalid("Value (%s) for parameter interfaceType is invalid.", in.InterfaceType)
		}
		if n.groups, err = s.groupsIn(sub.vpc, in.SecurityGroupIDs); err != nil {
			return nil, err
		}
		primary := in.PrivateIPAddress
		var more []string
		for _, a := range in.PrivateIPAddresses {
			if a.Primary {
				primary = a.PrivateIPAddress
			} else {
				more = append(more, a.PrivateIPAddress)
			}
		}
		for range in.SecondaryCount {
			more = append(more, "")
		}
		if sub.free() < 1+len(more) {
			return nil, noAddresses(sub)
		}
		if (in.Ipv6AddressCount > 0 || len(in.Ipv6Addresses) > 0) && sub.v6 == nil {
			return nil, invalid("The subnet '%s' has no IPv6 CIDR block.", sub.id)
		}
		for range in.Ipv6AddressCount {
			n.ipv6 = append(n.ipv6, s.ipv6In(sub))
		}
		for _, a := range in.Ipv6Addresses {
			ip, err := netip.ParseAddr(a.Ipv6Address)
			if err != nil || !sub.v6.prefix.Contains(ip) {
				return nil, invalid("Address %s does not fall within the subnet's address range", a.Ipv6Address)
			}
			n.ipv6 = append(n.ipv6, ip)
		}
		if err := s.newInterface(n, primary, tags); err != nil {
			return nil, err
		}
		for _, want := range more {
			ip, err := sub.take(want)
			if err != nil {
				s.dropInterface(n)
				return nil, err
			}
			n.secondary = append(n.secondary, ip)
		}
		out := &createInterfaceOut{in.ClientToken, s.interfaceXML(n)}
		out.Interface.Status = "pending" // what CreateNetworkInterface says; the next describe says available
		return out, nil
	})
}

func (s *Service) describeInterfaces(in *describeInterfacesIn) (*describeInterfacesOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	items, next, err := describe(s, kindInterface, s.interfaceFilters(), query{ids: in.IDs, filters: in.Filters, max: in.MaxResults, token: in.NextToken})
	out := &describeInterfacesOut{NextToken: next}
	for _, n := range items {
		out.Interfaces = append(out.Interfaces, s.interfaceXML(n))
	}
	return out, err
}

// noAccess is EC2's answer to customers who touch what a service manages.
func noAccess() error {
	return wire.Errf("AuthFailure", "You do not have permission to access the specified resource.")
}

func (s *Service) deleteInterface(in *interfaceIn) (*done, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := get[*networkInterface](s, kindInterface, in.ID)
	switch {
	case err != nil:
		return nil, err
	case n.attached != nil:
		return nil, invalid("Network interface '%s' is currently in use.", n.id)
	case n.requester != "":
		return nil, noAccess()
	}
	s.dropInterface(n)
	return &done{true}, nil
}

func (s *Service) modifyInterface(in *modifyInterfaceIn) (*done, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := get[*networkInterface](s, kindInterface, in.ID)
	if err != nil {
		return nil, err
	}
	if n.requester != "" {
		return nil, noAccess()
	}
	switch {
	case in.Description != nil:
		n.description = in.Description.Value
	case in.SourceDestCheck != nil:
		n.unchecked = !in.SourceDestCheck.Value
	case len(in.SecurityGroupIDs) > 0:
		groups, err := s.groupsIn(n.subnet.vpc, in.SecurityGroupIDs)
		if err != nil {
			return nil, err
		}
		n.groups = groups
	case in.Attachment != nil:
		if n.attached == nil || n.attached.id != in.Attachment.AttachmentID {
			return nil, noAttachment(in.Attachment.AttachmentID)
		}
		change := in.Attachment.DeleteOnTermination
		if change == nil {
			return nil, missing("DeleteOnTermination")
		}
		n.attached.deleteOnTermination = *change
	default:
		return nil, missing("attribute")
	}
	return &done{true}, nil
}
