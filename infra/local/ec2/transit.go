package ec2

import (
	"strconv"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/ec2/form"
	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// goneVisible is how long describes show a deleted gateway or attachment.
const goneVisible = natVisible

// transitGateway is a transit gateway as far as a VPC that is attached to it can tell: where it leads is not told here.
type transitGateway struct {
	record
	state       string // pending, available, deleting, deleted
	description string
	options     transitOptions
	deleted     time.Time
}

// transitOptions are a request's and an answer's: "enable" or "disable", but for the number and the table.
type transitOptions struct {
	AmazonSideASN      int64             `query:"AmazonSideAsn" xml:"amazonSideAsn"`
	CidrBlocks         *form.Unsupported `query:"TransitGatewayCidrBlocks" xml:"-"`
	AutoAccept         string            `query:"AutoAcceptSharedAttachments" xml:"autoAcceptSharedAttachments"`
	DefaultAssociation string            `query:"DefaultRouteTableAssociation" xml:"defaultRouteTableAssociation"`
	AssociationTable   string            `query:"-" xml:"associationDefaultRouteTableId,omitempty"`
	DefaultPropagation string            `query:"DefaultRouteTablePropagation" xml:"defaultRouteTablePropagation"`
	PropagationTable   string            `query:"-" xml:"propagationDefaultRouteTableId,omitempty"`
	VPNECMPSupport     string            `query:"VpnEcmpSupport" xml:"vpnEcmpSupport"`
	DNSSupport         string            `query:"DnsSupport" xml:"dnsSupport"`
	MulticastSupport   string            `xml:"multicastSupport"`
	GroupReferencing   string            `query:"SecurityGroupReferencingSupport" xml:"securityGroupReferencingSupport"`
}

type createTransitIn struct {
	DryRun            bool
	Description       string
	Options           transitOptions
	TagSpecifications []tagSpec `query:"TagSpecification"`
}

type transitXML struct {
	ID           string         `xml:"transitGatewayId"`
	Arn          string         `xml:"transitGatewayArn"`
	State        string         `xml:"state"`
	OwnerID      string         `xml:"ownerId"`
	Description  string         `xml:"description,omitempty"`
	CreationTime *wire.Time     `xml:"creationTime"`
	Options      transitOptions `xml:"options"`
	Tags         []tag          `xml:"tagSet>item"`
}

type transitOut struct {
	Gateway transitXML `xml:"transitGateway"`
}

type transitIn struct {
	DryRun bool
	ID     string `query:"TransitGatewayId"`
}

type describeTransitsIn struct {
	DryRun     bool
	IDs        []string `query:"TransitGatewayIds"`
	Filters    []filter `query:"Filter"`
	MaxResults *int
	NextToken  string
}

type describeTransitsOut struct {
	Gateways  []transitXML `xml:"transitGatewaySet>item"`
	NextToken string       `xml:"nextToken,omitempty"`
}

func (s *Service) transitFilters() filters[*transitGateway] {
	return filters[*transitGateway]{
		"transit-gateway-id":      one(func(g *transitGateway) string { return g.id }),
		"state":                   one(func(g *transitGateway) string { return g.state }),
		"owner-id":                one(func(*transitGateway) string { return s.w.Account }),
		"options.amazon-side-asn": one(func(g *transitGateway) string { return strconv.FormatInt(g.options.AmazonSideASN, 10) }),
		"options.dns-support":     one(func(g *transitGateway) string { return g.options.DNSSupport }),
	}
}

func (s *Service) transitOps() []wire.Op {
	return []wire.Op{
		handle("CreateTransitGateway", func(in *createTransitIn) []wire.Need {
			return s.creates("CreateTransitGateway", kindTransit, in.TagSpecifications, nil)
		}, s.createTransit),
		handle("DescribeTransitGateways", nil, s.describeTransits),
		handle("DeleteTransitGateway", func(in *transitIn) []wire.Need { return s.needs("ec2:DeleteTransitGateway", in.ID) }, s.deleteTransit),
	}
}

// afterGateway runs f, with the lock held, when a gateway or an attachment has had the time that it takes: about a NAT
// gateway's.
func (s *Service) afterGateway(f func()) {
	s.w.After(s.w.Profile.NATGatewayCreate, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		f()
	})
}

// incorrect is EC2's answer when a transit gateway, or an attachment, is not in a state for what is asked.
func incorrect(id string) error {
	return wire.Errf("IncorrectState", "%s is in invalid state", id)
}

// choose sets an option to its default where a request does not say, and refuses what is no choice.
func choose(name string, option *string, usual string) error {
	switch *option {
	case "":
		*option = usual
	case "enable", "disable":
	default:
		return invalid("Value (%s) for parameter %s is invalid.", *option, name)
	}
	return nil
}

func (s *Service) transitXML(g *transitGateway) transitXML {
	return transitXML{g.id, s.arn("transit-gateway", g.id), g.state, s.w.Account, g.description, wire.At(g.created), g.options, tagSet(g.tags)}
}

// transitGateway finds a gateway that is not deleted. The lock is held.
func (s *Service) transitGateway(id string) (*transitGateway, error) {
	g, err := get[*transitGateway](s, kindTransit, id)
	if err == nil && g.state == "deleted" {
		err = kindTransit.notFound([]string{id})
	}
	return g, err
}

func (s *Service) createTransit(in *createTransitIn) (*transitOut, error) {
	tags, err := specTags(in.TagSpecifications, "transit-gateway")
	if err != nil {
		return nil, err
	}
	g := &transitGateway{state: "pending", description: in.Description, options: in.Options}
	o := &g.options
	for _, c := range []struct {
		name, usual string
		option      *string
	}{
		{"autoAcceptSharedAttachments", "disable", &o.AutoAccept}, {"defaultRouteTableAssociation", "enable", &o.DefaultAssociation},
		{"defaultRouteTablePropagation", "enable", &o.DefaultPropagation}, {"vpnEcmpSupport", "enable", &o.VPNECMPSupport},
		{"dnsSupport", "enable", &o.DNSSupport}, {"multicastSupport", "disable", &o.MulticastSupport},
		{"securityGroupReferencingSupport", "disable", &o.GroupReferencing},
	} {
		if err := choose(c.name, c.option, c.usual); err != nil {
			return nil, err
		}
	}
	if o.AmazonSideASN == 0 {
		o.AmazonSideASN = defaultASN
	}
	if !privateASN(o.AmazonSideASN) {
		return nil, invalid("Value (%d) for parameter amazonSideAsn is invalid.", o.AmazonSideASN)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	table := kindTransit.prefix + "rtb-" + s.w.Hex(17) // one for both
	if o.DefaultAssociation == "enable" {
		o.AssociationTable = table
	}
	if o.DefaultPropagation == "enable" {
		o.PropagationTable = table
	}
	s.add(kindTransit, g, tags)
	s.afterGateway(func() { g.state = "available" })
	return &transitOut{s.transitXML(g)}, nil
}

func (s *Service) describeTransits(in *describeTransitsIn) (*describeTransitsOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range all[*transitGateway](s) {
		if g.state == "deleted" && time.Since(g.deleted) > goneVisible {
			s.remove(g)
		}
	}
	items, next, err := describe(s, kindTransit, s.transitFilters(), query{ids: in.IDs, filters: in.Filters, max: in.MaxResults, token: in.NextToken})
	out := &describeTransitsOut{NextToken: next}
	for _, g := range items {
		out.Gateways = append(out.Gateways, s.transitXML(g))
	}
	return out, err
}

func (s *Service) deleteTransit(in *transitIn) (*transitOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := s.transitGateway(in.ID)
	switch {
	case err != nil:
		return nil, err
	case g.state != "available":
		return nil, incorrect(g.id)
	}
	var attached []string
	for _, a := range all[*transitAttachment](s) {
		if a.gateway == g && a.state != "deleted" {
			attached = append(attached, a.id)
		}
	}
	if len(attached) > 0 {
		return nil, wire.Errf("IncorrectState", "%s has non-deleted VPC Attachments: %s.", g.id, strings.Join(attached, ", "))
	}
	g.state = "deleting"
	s.afterGateway(func() { g.state, g.deleted = "deleted", time.Now() })
	return &transitOut{s.transitXML(g)}, nil
}
