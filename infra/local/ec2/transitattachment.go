package ec2

import (
	"slices"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// transitAttachment is a VPC's attachment to a transit gateway, with a network interface in each of its subnets.
type transitAttachment struct {
	record
	gateway    *transitGateway
	vpc        *vpc
	state      string // pending, available, modifying, deleting, deleted
	subnets    []*subnet
	interfaces []*networkInterface
	options    attachmentOptions
	deleted    time.Time
}

// attachmentOptions are a request's and an answer's: "enable" or "disable".
type attachmentOptions struct {
	DNSSupport       string `query:"DnsSupport" xml:"dnsSupport"`
	GroupReferencing string `query:"SecurityGroupReferencingSupport" xml:"securityGroupReferencingSupport"`
	Ipv6Support      string `xml:"ipv6Support"`
	ApplianceMode    string `query:"ApplianceModeSupport" xml:"applianceModeSupport"`
}

type createAttachmentIn struct {
	DryRun            bool
	TransitGatewayID  string   `query:"TransitGatewayId"`
	VpcID             string   `query:"VpcId"`
	SubnetIDs         []string `query:"SubnetIds"`
	Options           attachmentOptions
	TagSpecifications []tagSpec
}

type modifyAttachmentIn struct {
	DryRun          bool
	ID              string   `query:"TransitGatewayAttachmentId"`
	AddSubnetIDs    []string `query:"AddSubnetIds"`
	RemoveSubnetIDs []string `query:"RemoveSubnetIds"`
	Options         attachmentOptions
}

type attachmentIn struct {
	DryRun bool
	ID     string `query:"TransitGatewayAttachmentId"`
}

type transitAttachmentXML struct {
	ID               string            `xml:"transitGatewayAttachmentId"`
	TransitGatewayID string            `xml:"transitGatewayId"`
	VpcID            string            `xml:"vpcId"`
	VpcOwnerID       string            `xml:"vpcOwnerId"`
	State            string            `xml:"state"`
	SubnetIDs        []string          `xml:"subnetIds>item"`
	CreationTime     *wire.Time        `xml:"creationTime"`
	Options          attachmentOptions `xml:"options"`
	Tags             []tag             `xml:"tagSet>item"`
}

type transitAttachmentOut struct {
	Attachment transitAttachmentXML `xml:"transitGatewayVpcAttachment"`
}

type describeAttachmentsIn struct {
	DryRun     bool
	IDs        []string `query:"TransitGatewayAttachmentIds"`
	Filters    []filter `query:"Filter"`
	MaxResults *int
	NextToken  string
}

type describeAttachmentsOut struct {
	Attachments []transitAttachmentXML `xml:"transitGatewayVpcAttachments>item"`
	NextToken   string                 `xml:"nextToken,omitempty"`
}

var transitAttachmentFilters = filters[*transitAttachment]{
	"transit-gateway-attachment-id": one(func(a *transitAttachment) string { return a.id }),
	"transit-gateway-id":            one(func(a *transitAttachment) string { return a.gateway.id }),
	"vpc-id":                        one(func(a *transitAttachment) string { return a.vpc.id }),
	"state":                         one(func(a *transitAttachment) string { return a.state }),
}

func (s *Service) transitAttachmentOps() []wire.Op {
	return []wire.Op{
		handle("CreateTransitGatewayVpcAttachment", func(in *createAttachmentIn) []wire.Need {
			return s.creates("CreateTransitGatewayVpcAttachment", kindTransitAttachment, in.TagSpecifications, nil, append([]string{in.TransitGatewayID, in.VpcID}, in.SubnetIDs...)...)
		}, s.createAttachment),
		handle("DescribeTransitGatewayVpcAttachments", nil, s.describeAttachments),
		handle("ModifyTransitGatewayVpcAttachment", func(in *modifyAttachmentIn) []wire.Need {
			return s.needs("ec2:ModifyTransitGatewayVpcAttachment", slices.Concat([]string{in.ID}, in.AddSubnetIDs, in.RemoveSubnetIDs)...)
		}, s.modifyAttachment),
		handle("DeleteTransitGatewayVpcAttachment", func(in *attachmentIn) []wire.Need {
			return s.needs("ec2:DeleteTransitGatewayVpcAttachment", in.ID)
		}, s.deleteAttachment),
	}
}

func (s *Service) transitAttachmentXML(a *transitAttachment) transitAttachmentXML {
	return transitAttachmentXML{
		a.id, a.gateway.id, a.vpc.id, s.w.Account, a.state, ids(a.subnets), wire.At(a.created), a.options, tagSet(a.tags),
	}
}

// reaches tells whether a VPC's routes can lead to a transit gateway: its attachment is there, and not on its way out.
func (s *Service) reaches(g *transitGateway, v *vpc) bool {
	return slices.ContainsFunc(all[*transitAttachment](s), func(a *transitAttachment) bool {
		return a.gateway == g && a.vpc == v && (a.state == "available" || a.state == "modifying")
	})
}

// merge takes over the options that a request gives.
func (o *attachmentOptions) merge(in attachmentOptions) error {
	for _, c := range []struct {
		name, want string
		option     *string
	}{
		{"dnsSupport", in.DNSSupport, &o.DNSSupport}, {"securityGroupReferencingSupport", in.GroupReferencing, &o.GroupReferencing},
		{"ipv6Support", in.Ipv6Support, &o.Ipv6Support}, {"applianceModeSupport", in.ApplianceMode, &o.ApplianceMode},
	} {
		if err := choose(c.name, &c.want, *c.option); err != nil {
			return err
		}
		*c.option = c.want
	}
	return nil
}

// withSubnets returns the subnets with more of the VPC's, of which there is one a zone. The lock is held.
func (s *Service) withSubnets(v *vpc, have []*subnet, ids []string) ([]*subnet, error) {
	out := slices.Clone(have)
	for _, id := range ids {
		n, err := get[*subnet](s, kindSubnet, id)
		switch {
		case err != nil:
			return nil, err
		case n.vpc != v:
			return nil, invalid("Subnet %s does not belong to VPC %s", n.id, v.id)
		case slices.ContainsFunc(out, func(o *subnet) bool { return o.az == n.az }):
			return nil, wire.Errf("DuplicateSubnetsInSameZone", "Duplicate Subnets for same AZ")
		case n.free() <= 0:
			return nil, wire.Errf("InsufficientFreeAddressesInSubnet", "There are not enough free addresses in subnet '%s' to satisfy the request.", n.id)
		}
		out = append(out, n)
	}
	return out, nil
}

// place makes the attachment's interfaces those that its subnets, which have room, ask for. The lock is held.
func (s *Service) place(a *transitAttachment, subnets []*subnet) error {
	for _, i := range slices.Clone(a.interfaces) {
		if !slices.Contains(subnets, i.subnet) {
			s.dropInterface(i)
			a.interfaces = slices.DeleteFunc(a.interfaces, func(o *networkInterface) bool { return o == i })
		}
	}
	for _, n := range subnets {
		if slices.Contains(a.subnets, n) {
			continue
		}
		i := &networkInterface{
			subnet: n, description: "Network Interface for Transit Gateway Attachment " + a.id, typ: "transit_gateway", requester: "amazon-aws", unchecked: true,
			attached: &attachment{id: "ela-attach-" + s.w.Hex(17), at: time.Now(), index: 1},
		}
		if err := s.newInterface(i, "", nil); err != nil {
			return err
		}
		a.interfaces = append(a.interfaces, i)
	}
	a.subnets = subnets
	return nil
}

// settle makes an attachment that is pending or modifying available, some time later.
func (s *Service) settle(a *transitAttachment) {
	from := a.state
	s.afterGateway(func() {
		if a.state == from {
			a.state = "available"
		}
	})
}

func (s *Service) createAttachment(in *createAttachmentIn) (*transitAttachmentOut, error) {
	tags, err := specTags(in.TagSpecifications, "transit-gateway-attachment")
	if err != nil {
		return nil, err
	}
	a := &transitAttachment{state: "pending", options: attachmentOptions{"enable", "enable", "disable", "disable"}}
	if err := a.options.merge(in.Options); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.gateway, err = s.transitGateway(in.TransitGatewayID); err != nil {
		return nil, err
	}
	if a.gateway.state != "available" {
		return nil, incorrect(a.gateway.id)
	}
	if a.vpc, err = get[*vpc](s, kindVPC, in.VpcID); err != nil {
		return nil, err
	}
	if len(in.SubnetIDs) == 0 {
		return nil, missing("SubnetIds")
	}
	for _, o := range all[*transitAttachment](s) {
		if o.gateway == a.gateway && o.vpc == a.vpc && o.state != "deleted" {
			return nil, wire.Errf("DuplicateTransitGatewayAttachment", "%s has non-deleted Transit Gateway Attachments with same VPC ID.", a.gateway.id)
		}
	}
	subnets, err := s.withSubnets(a.vpc, nil, in.SubnetIDs)
	if err != nil {
		return nil, err
	}
	s.add(kindTransitAttachment, a, tags)
	if err := s.place(a, subnets); err != nil {
		return nil, err
	}
	s.settle(a)
	return &transitAttachmentOut{s.transitAttachmentXML(a)}, nil
}

func (s *Service) describeAttachments(in *describeAttachmentsIn) (*describeAttachmentsOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range all[*transitAttachment](s) {
		if a.state == "deleted" && time.Since(a.deleted) > goneVisible {
			s.remove(a)
		}
	}
	items, next, err := describe(s, kindTransitAttachment, transitAttachmentFilters, query{ids: in.IDs, filters: in.Filters, max: in.MaxResults, token: in.NextToken})
	out := &describeAttachmentsOut{NextToken: next}
	for _, a := range items {
		out.Attachments = append(out.Attachments, s.transitAttachmentXML(a))
	}
	return out, err
}

// modifyAttachment checks everything before it changes anything. An attachment takes one change at a time.
func (s *Service) modifyAttachment(in *modifyAttachmentIn) (*transitAttachmentOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.liveAttachment(in.ID)
	if err != nil {
		return nil, err
	}
	options := a.options
	if err := options.merge(in.Options); err != nil {
		return nil, err
	}
	for _, id := range in.RemoveSubnetIDs {
		if !slices.ContainsFunc(a.subnets, func(n *subnet) bool { return n.id == id }) {
			return nil, invalid("Subnet %s is not in %s", id, a.id)
		}
	}
	left := slices.DeleteFunc(slices.Clone(a.subnets), func(n *subnet) bool { return slices.Contains(in.RemoveSubnetIDs, n.id) })
	subnets, err := s.withSubnets(a.vpc, left, in.AddSubnetIDs)
	switch {
	case err != nil:
		return nil, err
	case len(subnets) == 0:
		return nil, invalid("%s must have at least one subnet", a.id)
	}
	a.options, a.state = options, "modifying"
	if err := s.place(a, subnets); err != nil {
		return nil, err
	}
	s.settle(a)
	return &transitAttachmentOut{s.transitAttachmentXML(a)}, nil
}

// liveAttachment finds an attachment that can be changed. The lock is held.
func (s *Service) liveAttachment(id string) (*transitAttachment, error) {
	a, err := get[*transitAttachment](s, kindTransitAttachment, id)
	switch {
	case err != nil:
		return nil, err
	case a.state == "deleted":
		return nil, kindTransitAttachment.notFound([]string{id})
	case a.state != "available":
		return nil, incorrect(id)
	}
	return a, nil
}

// deleteAttachment leaves the VPC's routes to the gateway behind, which lead nowhere then. The interfaces stay while it is
// deleting, and keep their subnets from being deleted.
func (s *Service) deleteAttachment(in *attachmentIn) (*transitAttachmentOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := s.liveAttachment(in.ID)
	if err != nil {
		return nil, err
	}
	a.state = "deleting"
	s.afterGateway(func() {
		for _, i := range a.interfaces {
			s.dropInterface(i)
		}
		a.interfaces, a.state, a.deleted = nil, "deleted", time.Now()
	})
	return &transitAttachmentOut{s.transitAttachmentXML(a)}, nil
}
