package ec2

import "github.com/ekspedite/ekspedite/infra/local/wire"

// gateway is an internet gateway.
type gateway struct {
	record
	vpc *vpc // nil while detached
}

type createGatewayIn struct {
	DryRun            bool
	TagSpecifications []tagSpec `query:"TagSpecification"`
}

type gatewayIn struct {
	DryRun            bool
	InternetGatewayID string `query:"InternetGatewayId"`
	VpcID             string `query:"VpcId"`
}

type gatewayAttachment struct {
	State string `xml:"state"`
	VpcID string `xml:"vpcId"`
}

type gatewayXML struct {
	ID          string              `xml:"internetGatewayId"`
	OwnerID     string              `xml:"ownerId"`
	Attachments []gatewayAttachment `xml:"attachmentSet>item"`
	Tags        []tag               `xml:"tagSet>item"`
}

type gatewayOut struct {
	Gateway gatewayXML `xml:"internetGateway"`
}

type describeGatewaysIn struct {
	DryRun             bool
	InternetGatewayIDs []string `query:"InternetGatewayId"`
	Filters            []filter `query:"Filter"`
	MaxResults         *int
	NextToken          string
}

type describeGatewaysOut struct {
	Gateways  []gatewayXML `xml:"internetGatewaySet>item"`
	NextToken string       `xml:"nextToken,omitempty"`
}

var gatewayFilters = filters[*gateway]{
	"internet-gateway-id": one(func(g *gateway) string { return g.id }),
	"attachment.vpc-id": func(g *gateway) []string {
		if g.vpc == nil {
			return nil
		}
		return []string{g.vpc.id}
	},
	"attachment.state": func(g *gateway) []string {
		if g.vpc == nil {
			return nil
		}
		return []string{"available"}
	},
}

func (s *Service) gatewayOps() []wire.Op {
	both := func(action string) func(in *gatewayIn) []wire.Need {
		return func(in *gatewayIn) []wire.Need { return s.needs(action, in.InternetGatewayID, in.VpcID) }
	}
	return []wire.Op{
		handle("CreateInternetGateway", func(in *createGatewayIn) []wire.Need {
			return s.creates("CreateInternetGateway", kindIGW, in.TagSpecifications, nil)
		}, s.createGateway),
		handle("DeleteInternetGateway", both("ec2:DeleteInternetGateway"), s.deleteGateway),
		handle("AttachInternetGateway", both("ec2:AttachInternetGateway"), s.attachGateway),
		handle("DetachInternetGateway", both("ec2:DetachInternetGateway"), s.detachGateway),
		handle("DescribeInternetGateways", nil, s.describeGateways),
	}
}

func (s *Service) gatewayXML(g *gateway) gatewayXML {
	x := gatewayXML{ID: g.id, OwnerID: s.w.Account, Tags: tagSet(g.tags)}
	if g.vpc != nil {
		x.Attachments = []gatewayAttachment{{"available", g.vpc.id}}
	}
	return x
}

func (s *Service) createGateway(in *createGatewayIn) (*gatewayOut, error) {
	tags, err := specTags(in.TagSpecifications, "internet-gateway")
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(all[*gateway](s)) >= s.quota(QuotaInternetGateways) {
		return nil, wire.Errf("InternetGatewayLimitExceeded", "The maximum number of internet gateways has been reached.")
	}
	g := &gateway{}
	s.add(kindIGW, g, tags)
	return &gatewayOut{s.gatewayXML(g)}, nil
}

func (s *Service) deleteGateway(in *gatewayIn) (*done, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := get[*gateway](s, kindIGW, in.InternetGatewayID)
	if err != nil {
		return nil, err
	}
	if g.vpc != nil {
		return nil, wire.Errf("DependencyViolation", "The internetGateway '%s' has dependencies and cannot be deleted.", g.id)
	}
	s.remove(g)
	return &done{true}, nil
}

func (s *Service) gatewayAndVPC(in *gatewayIn) (*gateway, *vpc, error) {
	g, err := get[*gateway](s, kindIGW, in.InternetGatewayID)
	if err != nil {
		return nil, nil, err
	}
	v, err := get[*vpc](s, kindVPC, in.VpcID)
	return g, v, err
}

func (s *Service) attachGateway(in *gatewayIn) (*done, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, v, err := s.gatewayAndVPC(in)
	if err != nil {
		return nil, err
	}
	if g.vpc != nil {
		return nil, wire.Errf("Resource.AlreadyAssociated", "resource %s is already attached to network %s", g.id, g.vpc.id)
	}
	for _, other := range all[*gateway](s) {
		if other.vpc == v {
			return nil, invalid("Network %s already has an internet gateway attached", v.id)
		}
	}
	g.vpc = v
	return &done{true}, nil
}

func (s *Service) detachGateway(in *gatewayIn) (*done, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, v, err := s.gatewayAndVPC(in)
	if err != nil {
		return nil, err
	}
	if g.vpc != v {
		return nil, wire.Errf("Gateway.NotAttached", "resource %s is not attached to network %s", g.id, v.id)
	}
	// Public addresses in the VPC keep the gateway attached, which users meet when they delete a network too early.
	for _, n := range all[*networkInterface](s) {
		if n.subnet.vpc == v && s.public(n) != nil {
			return nil, mappedAddresses(v)
		}
	}
	g.vpc = nil
	return &done{true}, nil
}

func mappedAddresses(v *vpc) error {
	return wire.Errf("DependencyViolation", "Network %s has some mapped public address(es). Please unmap those public address(es) before detaching the gateway.", v.id)
}

func (s *Service) describeGateways(in *describeGatewaysIn) (*describeGatewaysOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	items, next, err := describe(s, kindIGW, gatewayFilters, query{ids: in.InternetGatewayIDs, filters: in.Filters, max: in.MaxResults, token: in.NextToken})
	out := &describeGatewaysOut{NextToken: next}
	for _, g := range items {
		out.Gateways = append(out.Gateways, s.gatewayXML(g))
	}
	return out, err
}
