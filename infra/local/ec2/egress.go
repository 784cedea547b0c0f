package ec2

import "github.com/ekspedite/ekspedite/infra/local/wire"

// egressGateway is an egress-only internet gateway: the way out for IPv6.
type egressGateway struct {
	record
	vpc *vpc
}

type createEgressIn struct {
	DryRun            bool
	ClientToken       string
	VpcID             string    `query:"VpcId"`
	TagSpecifications []tagSpec `query:"TagSpecification"`
}

type egressXML struct {
	ID          string              `xml:"egressOnlyInternetGatewayId"`
	Attachments []gatewayAttachment `xml:"attachmentSet>item"`
	Tags        []tag               `xml:"tagSet>item"`
}

type createEgressOut struct {
	ClientToken string    `xml:"clientToken,omitempty"`
	Gateway     egressXML `xml:"egressOnlyInternetGateway"`
}

type egressIn struct {
	DryRun bool
	ID     string `query:"EgressOnlyInternetGatewayId"`
}

type deleteEgressOut struct {
	ReturnCode bool `xml:"returnCode"`
}

type describeEgressIn struct {
	DryRun     bool
	IDs        []string `query:"EgressOnlyInternetGatewayId"`
	Filters    []filter `query:"Filter"`
	MaxResults *int
	NextToken  string
}

type describeEgressOut struct {
	Gateways  []egressXML `xml:"egressOnlyInternetGatewaySet>item"`
	NextToken string      `xml:"nextToken,omitempty"`
}

func (s *Service) egressOps() []wire.Op {
	return []wire.Op{
		handle("CreateEgressOnlyInternetGateway", func(in *createEgressIn) []wire.Need {
			return s.creates("CreateEgressOnlyInternetGateway", kindEgress, in.TagSpecifications, nil, in.VpcID)
		}, s.createEgress),
		handle("DeleteEgressOnlyInternetGateway", func(in *egressIn) []wire.Need {
			return s.needs("ec2:DeleteEgressOnlyInternetGateway", in.ID)
		}, s.deleteEgress),
		handle("DescribeEgressOnlyInternetGateways", nil, s.describeEgress),
	}
}

func egressXMLOf(g *egressGateway) egressXML {
	return egressXML{g.id, []gatewayAttachment{{"attached", g.vpc.id}}, tagSet(g.tags)}
}

func (s *Service) createEgress(in *createEgressIn) (*createEgressOut, error) {
	tags, err := specTags(in.TagSpecifications, "egress-only-internet-gateway")
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return once(s, "CreateEgressOnlyInternetGateway", in.ClientToken, in, func() (*createEgressOut, error) {
		v, err := get[*vpc](s, kindVPC, in.VpcID)
		if err != nil {
			return nil, err
		}
		if len(all[*egressGateway](s)) >= s.quota(QuotaEgressGateways) {
			return nil, wire.Errf("EgressOnlyInternetGatewayLimitExceeded", "The maximum number of egress-only internet gateways has been reached.")
		}
		g := &egressGateway{vpc: v}
		s.add(kindEgress, g, tags)
		return &createEgressOut{in.ClientToken, egressXMLOf(g)}, nil
	})
}

// deleteEgress takes the gateway away at once; its routes stay and lead nowhere.
func (s *Service) deleteEgress(in *egressIn) (*deleteEgressOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := get[*egressGateway](s, kindEgress, in.ID)
	if err != nil {
		return nil, err
	}
	s.remove(g)
	return &deleteEgressOut{true}, nil
}

func (s *Service) describeEgress(in *describeEgressIn) (*describeEgressOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	items, next, err := describe(s, kindEgress, filters[*egressGateway]{}, query{ids: in.IDs, filters: in.Filters, max: in.MaxResults, token: in.NextToken})
	out := &describeEgressOut{NextToken: next}
	for _, g := range items {
		out.Gateways = append(out.Gateways, egressXMLOf(g))
	}
	return out, err
}
