package ec2

import (
	"crypto/sha256"
	"encoding/hex"
	"net/netip"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/infra/local/ec2/form"
	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// endpointService is an AWS service that a VPC can have an endpoint for.
type endpointService struct {
	short string   // as in com.amazonaws.REGION.SHORT
	types []string // Gateway, Interface
	dns   string   // private DNS name, before .REGION.amazonaws.com; empty for a gateway
}

// endpointServices are those that clusters without a way to the internet need, and some that their workloads often do.
var endpointServices = []endpointService{
	{"autoscaling", []string{"Interface"}, "autoscaling"}, {"cloudformation", []string{"Interface"}, "cloudformation"},
	{"codepipeline", []string{"Interface"}, "codepipeline"}, {"dynamodb", []string{"Gateway", "Interface"}, "dynamodb"},
	{"ec2", []string{"Interface"}, "ec2"}, {"ec2messages", []string{"Interface"}, "ec2messages"},
	{"ecr.api", []string{"Interface"}, "api.ecr"}, {"ecr.dkr", []string{"Interface"}, "*.dkr.ecr"},
	{"eks", []string{"Interface"}, "eks"}, {"eks-auth", []string{"Interface"}, "eks-auth"},
	{"elasticfilesystem", []string{"Interface"}, "elasticfilesystem"}, {"elasticloadbalancing", []string{"Interface"}, "elasticloadbalancing"},
	{"events", []string{"Interface"}, "events"}, {"guardduty-data", []string{"Interface"}, "guardduty-data"},
	{"kms", []string{"Interface"}, "kms"}, {"lambda", []string{"Interface"}, "lambda"}, {"logs", []string{"Interface"}, "logs"},
	{"monitoring", []string{"Interface"}, "monitoring"}, {"s3", []string{"Gateway", "Interface"}, "*.s3"},
	{"secretsmanager", []string{"Interface"}, "secretsmanager"}, {"sns", []string{"Interface"}, "sns"}, {"sqs", []string{"Interface"}, "sqs"},
	{"ssm", []string{"Interface"}, "ssm"}, {"ssmmessages", []string{"Interface"}, "ssmmessages"}, {"sts", []string{"Interface"}, "sts"},
	{"xray", []string{"Interface"}, "xray"},
}

func (e endpointService) name(region string) string { return "com.amazonaws." + region + "." + e.short }

func (e endpointService) privateName(region string) string {
	return e.dns + "." + region + ".amazonaws.com"
}

// stableHex makes the same hex digits of the same words, for ids that AWS never changes.
func stableHex(n int, words ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(words, "/")))
	return hex.EncodeToString(sum[:])[:n]
}

// prefixList is AWS's own list of a gateway service's address ranges.
type prefixList struct {
	id, name string
	cidrs    []netip.Prefix
}

// prefixLists are those of S3 and DynamoDB, with ranges of TEST-NET-2 in place of AWS's.
func (s *Service) prefixLists() []prefixList {
	var out []prefixList
	for i, short := range []string{"s3", "dynamodb"} {
		name := "com.amazonaws." + s.w.Region + "." + short
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(i * 128)}), 25)
		out = append(out, prefixList{"pl-" + stableHex(8, name), name, []netip.Prefix{p}})
	}
	return out
}

type describeServicesIn struct {
	DryRun         bool
	ServiceNames   []string `query:"ServiceName"`
	Filters        []filter `query:"Filter"`
	MaxResults     *int
	NextToken      string
	ServiceRegions *form.Unsupported `query:"ServiceRegion"`
}

type serviceXML struct {
	Name          string   `xml:"serviceName"`
	ID            string   `xml:"serviceId"`
	Types         []string `xml:"serviceType>item>serviceType"`
	Region        string   `xml:"serviceRegion"`
	Zones         []string `xml:"availabilityZoneSet>item"`
	Owner         string   `xml:"owner"`
	BaseNames     []string `xml:"baseEndpointDnsNameSet>item"`
	PrivateName   string   `xml:"privateDnsName,omitempty"`
	PrivateNames  []string `xml:"privateDnsNameSet>item>privateDnsName"`
	Policies      bool     `xml:"vpcEndpointPolicySupported"`
	Acceptance    bool     `xml:"acceptanceRequired"`
	Manages       bool     `xml:"managesVpcEndpoints"`
	AddressTypes  []string `xml:"supportedIpAddressTypeSet>item"`
	PrivateStatus string   `xml:"privateDnsNameVerificationState,omitempty"`
}

type describeServicesOut struct {
	Names     []string     `xml:"serviceNameSet>item"`
	Details   []serviceXML `xml:"serviceDetailSet>item"`
	NextToken string       `xml:"nextToken,omitempty"`
}

var endpointServiceFilters = filters[serviceXML]{
	"service-name":               one(func(x serviceXML) string { return x.Name }),
	"service-type":               func(x serviceXML) []string { return x.Types },
	"owner":                      one(func(x serviceXML) string { return x.Owner }),
	"service-region":             one(func(x serviceXML) string { return x.Region }),
	"supported-ip-address-types": func(x serviceXML) []string { return x.AddressTypes },
}

// describeServices shows one entry for each type of a service, as EC2 does with those that have two.
func (s *Service) describeServices(in *describeServicesIn) (*describeServicesOut, error) {
	var items []serviceXML
	for _, e := range endpointServices {
		name := e.name(s.w.Region)
		for _, t := range e.types {
			x := serviceXML{
				Name: name, ID: "vpce-svc-" + stableHex(17, name, t), Types: []string{t}, Region: s.w.Region, Owner: "amazon", Policies: true,
				BaseNames: []string{e.short + "." + s.w.Region + ".vpce.amazonaws.com"}, AddressTypes: []string{"ipv4"},
			}
			for _, z := range s.zones() {
				x.Zones = append(x.Zones, z.name)
			}
			if t == "Interface" {
				x.PrivateName = e.privateName(s.w.Region)
				x.PrivateNames, x.PrivateStatus = []string{x.PrivateName}, "verified"
			}
			items = append(items, x)
		}
	}
	for _, name := range in.ServiceNames {
		if !slices.ContainsFunc(items, func(x serviceXML) bool { return x.Name == name }) {
			return nil, unknownService(name)
		}
	}
	items = slices.DeleteFunc(items, func(x serviceXML) bool {
		return len(in.ServiceNames) > 0 && !slices.Contains(in.ServiceNames, x.Name)
	})
	items, err := endpointServiceFilters.keep(items, in.Filters)
	if err != nil {
		return nil, err
	}
	page, next, err := paged(items, func(x serviceXML) string { return x.Name + "/" + x.Types[0] }, query{max: in.MaxResults, least: 1, token: in.NextToken})
	out := &describeServicesOut{Details: page, NextToken: next}
	for _, x := range page {
		if !slices.Contains(out.Names, x.Name) {
			out.Names = append(out.Names, x.Name)
		}
	}
	return out, err
}

func unknownService(name string) error {
	return wire.Errf("InvalidServiceName", "The Vpc Endpoint Service '%s' does not exist", name)
}

type describePrefixListsIn struct {
	DryRun     bool
	IDs        []string `query:"PrefixListId"`
	Filters    []filter `query:"Filter"`
	MaxResults *int
	NextToken  string
}

type prefixListXML struct {
	ID    string   `xml:"prefixListId"`
	Name  string   `xml:"prefixListName"`
	Cidrs []string `xml:"cidrSet>item"`
}

type describePrefixListsOut struct {
	Lists     []prefixListXML `xml:"prefixListSet>item"`
	NextToken string          `xml:"nextToken,omitempty"`
}

type managedListXML struct {
	ID            string `xml:"prefixListId"`
	Name          string `xml:"prefixListName"`
	Arn           string `xml:"prefixListArn"`
	OwnerID       string `xml:"ownerId"`
	AddressFamily string `xml:"addressFamily"`
	State         string `xml:"state"`
}

type describeManagedListsOut struct {
	Lists     []managedListXML `xml:"prefixListSet>item"`
	NextToken string           `xml:"nextToken,omitempty"`
}

var (
	prefixListFilters = filters[prefixListXML]{
		"prefix-list-id":   one(func(x prefixListXML) string { return x.ID }),
		"prefix-list-name": one(func(x prefixListXML) string { return x.Name }),
	}
	managedListFilters = filters[managedListXML]{
		"prefix-list-id":   one(func(x managedListXML) string { return x.ID }),
		"prefix-list-name": one(func(x managedListXML) string { return x.Name }),
		"owner-id":         one(func(x managedListXML) string { return x.OwnerID }),
	}
)

// listsOf returns the prefix lists that a request names, or all.
func (s *Service) listsOf(ids []string) ([]prefixList, error) {
	lists := s.prefixLists()
	for _, id := range ids {
		if !slices.ContainsFunc(lists, func(l prefixList) bool { return l.id == id }) {
			return nil, wire.Errf("InvalidPrefixListID.NotFound", "The prefix list ID '%s' does not exist", id)
		}
	}
	return slices.DeleteFunc(lists, func(l prefixList) bool { return len(ids) > 0 && !slices.Contains(ids, l.id) }), nil
}

func (s *Service) describePrefixLists(in *describePrefixListsIn) (*describePrefixListsOut, error) {
	lists, err := s.listsOf(in.IDs)
	if err != nil {
		return nil, err
	}
	var items []prefixListXML
	for _, l := range lists {
		x := prefixListXML{ID: l.id, Name: l.name}
		for _, c := range l.cidrs {
			x.Cidrs = append(x.Cidrs, c.String())
		}
		items = append(items, x)
	}
	if items, err = prefixListFilters.keep(items, in.Filters); err != nil {
		return nil, err
	}
	page, next, err := paged(items, func(x prefixListXML) string { return x.ID }, query{max: in.MaxResults, least: 1, token: in.NextToken})
	return &describePrefixListsOut{page, next}, err
}

// describeManagedLists shows AWS's own lists: customers' are not implemented.
func (s *Service) describeManagedLists(in *describePrefixListsIn) (*describeManagedListsOut, error) {
	lists, err := s.listsOf(in.IDs)
	if err != nil {
		return nil, err
	}
	var items []managedListXML
	for _, l := range lists {
		items = append(items, managedListXML{l.id, l.name, "arn:aws:ec2:" + s.w.Region + ":aws:prefix-list/" + l.id, "AWS", "IPv4", "create-complete"})
	}
	if items, err = managedListFilters.keep(items, in.Filters); err != nil {
		return nil, err
	}
	page, next, err := paged(items, func(x managedListXML) string { return x.ID }, query{max: in.MaxResults, least: 1, token: in.NextToken})
	return &describeManagedListsOut{page, next}, err
}
