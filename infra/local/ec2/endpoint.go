package ec2

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/ec2/form"
	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// endpoint is a VPC endpoint: a gateway one puts routes into tables, an interface one network interfaces into subnets.
type endpoint struct {
	record
	vpc        *vpc
	service    endpointService
	gateway    bool
	state      string // pending, available, deleting
	policy     string
	tables     []*routeTable
	interfaces []*networkInterface
	groups     []string
	privateDNS bool
	inbound    bool // private DNS only for inbound resolver endpoints
}

// anyone is the policy of an endpoint that is given none.
const anyone = `{"Version":"2008-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}`

type dnsOptions struct {
	RecordIPType string            `query:"DnsRecordIpType" xml:"dnsRecordIpType"`
	Inbound      *bool             `query:"PrivateDnsOnlyForInboundResolverEndpoint" xml:"privateDnsOnlyForInboundResolverEndpoint"`
	Preference   *form.Unsupported `query:"PrivateDnsPreference" xml:"-"`
	Domains      *form.Unsupported `query:"PrivateDnsSpecifiedDomain" xml:"-"`
}

type createEndpointIn struct {
	DryRun                   bool
	ClientToken              string
	VpcID                    string `query:"VpcId"`
	ServiceName              string
	VpcEndpointType          string
	PolicyDocument           string
	RouteTableIDs            []string    `query:"RouteTableId"`
	SubnetIDs                []string    `query:"SubnetId"`
	SecurityGroupIDs         []string    `query:"SecurityGroupId"`
	PrivateDNSEnabled        *bool       `query:"PrivateDnsEnabled"`
	DNSOptions               *dnsOptions `query:"DnsOptions"`
	IPAddressType            string      `query:"IpAddressType"`
	TagSpecifications        []tagSpec   `query:"TagSpecification"`
	ServiceRegion            *form.Unsupported
	SubnetConfigurations     *form.Unsupported `query:"SubnetConfiguration"`
	ServiceNetworkArn        *form.Unsupported
	ResourceConfigurationArn *form.Unsupported
}

type dnsEntry struct {
	Name string `xml:"dnsName"`
	Zone string `xml:"hostedZoneId"`
}

type endpointXML struct {
	ID                string      `xml:"vpcEndpointId"`
	Type              string      `xml:"vpcEndpointType"`
	VpcID             string      `xml:"vpcId"`
	ServiceName       string      `xml:"serviceName"`
	ServiceRegion     string      `xml:"serviceRegion"`
	State             string      `xml:"state"`
	PolicyDocument    string      `xml:"policyDocument"`
	RouteTableIDs     []string    `xml:"routeTableIdSet>item"`
	SubnetIDs         []string    `xml:"subnetIdSet>item"`
	Groups            []groupRef  `xml:"groupSet>item"`
	InterfaceIDs      []string    `xml:"networkInterfaceIdSet>item"`
	IPAddressType     string      `xml:"ipAddressType,omitempty"`
	DNSOptions        *dnsOptions `xml:"dnsOptions"`
	PrivateDNSEnabled bool        `xml:"privateDnsEnabled"`
	RequesterManaged  bool        `xml:"requesterManaged"`
	DNSEntries        []dnsEntry  `xml:"dnsEntrySet>item"`
	Created           *wire.Time  `xml:"creationTimestamp"`
	OwnerID           string      `xml:"ownerId"`
	Tags              []tag       `xml:"tagSet>item"`
}

type createEndpointOut struct {
	ClientToken string      `xml:"clientToken,omitempty"`
	Endpoint    endpointXML `xml:"vpcEndpoint"`
}

func (e *endpoint) kindName() string {
	if e.gateway {
		return "Gateway"
	}
	return "Interface"
}

func (e *endpoint) subnets() []string {
	var out []string
	for _, n := range e.interfaces {
		out = append(out, n.subnet.id)
	}
	return out
}

func (s *Service) endpointXML(e *endpoint) endpointXML {
	x := endpointXML{
		ID: e.id, Type: e.kindName(), VpcID: e.vpc.id, ServiceName: e.service.name(s.w.Region), ServiceRegion: s.w.Region, State: e.state,
		PolicyDocument: e.policy, SubnetIDs: e.subnets(), Groups: s.groupRefs(e.groups), PrivateDNSEnabled: e.privateDNS, Created: wire.At(e.created),
		OwnerID: s.w.Account, Tags: tagSet(e.tags), IPAddressType: "ipv4", DNSOptions: &dnsOptions{RecordIPType: "ipv4"},
	}
	for _, t := range e.tables {
		x.RouteTableIDs = append(x.RouteTableIDs, t.id)
	}
	if e.gateway {
		x.DNSOptions.RecordIPType = "service-defined"
		return x
	}
	x.DNSOptions.Inbound = &e.inbound
	hash := e.id[len(kindEndpoint.prefix):][:8]
	suffix := "." + e.service.short + "." + s.w.Region + ".vpce.amazonaws.com"
	zoneOf := "Z" + strings.ToUpper(stableHex(13, s.w.Region, "vpce"))
	x.DNSEntries = append(x.DNSEntries, dnsEntry{e.id + "-" + hash + suffix, zoneOf})
	for _, n := range e.interfaces {
		x.InterfaceIDs = append(x.InterfaceIDs, n.id)
		x.DNSEntries = append(x.DNSEntries, dnsEntry{e.id + "-" + hash + "-" + n.subnet.az + suffix, zoneOf})
	}
	if e.privateDNS {
		x.DNSEntries = append(x.DNSEntries, dnsEntry{e.service.privateName(s.w.Region), "ZONEIDPENDING"})
	}
	return x
}

// endpointNeeds: an endpoint is made in a VPC, and of tables, subnets and groups. Its private name is associated with the
// VPC in Route 53, on the caller's authority.
func (s *Service) endpointNeeds(in *createEndpointIn) []wire.Need {
	context := map[string][]string{"ec2:VpceServiceName": {in.ServiceName}, "ec2:VpceServiceOwner": {"amazon"}}
	ids := slices.Concat([]string{in.VpcID}, in.RouteTableIDs, in.SubnetIDs, in.SecurityGroupIDs)
	out := s.creates("CreateVpcEndpoint", kindEndpoint, in.TagSpecifications, context, ids...)
	if in.VpcEndpointType == "Interface" && (in.PrivateDNSEnabled == nil || *in.PrivateDNSEnabled) {
		out = append(out, wire.Need{Action: "route53:AssociateVPCWithHostedZone", Resource: "*"})
	}
	return out
}

// parameter is the error of the operations on endpoints for parameters that do not go together.
func parameter(format string, args ...any) *wire.Error {
	return wire.Errf("InvalidParameter", format, args...)
}

func (s *Service) createEndpoint(in *createEndpointIn) (*createEndpointOut, error) {
	tags, err := specTags(in.TagSpecifications, "vpc-endpoint")
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return once(s, "CreateVpcEndpoint", in.ClientToken, in, func() (*createEndpointOut, error) {
		e, err := s.newEndpoint(in)
		if err != nil {
			return nil, err
		}
		if e.gateway {
			if err := s.addTables(e, in.RouteTableIDs, true); err != nil {
				return nil, err
			}
		} else {
			if err := s.checkSubnets(e, in.SubnetIDs); err != nil {
				return nil, err
			}
		}
		s.add(kindEndpoint, e, tags)
		if e.gateway {
			err := s.addTables(e, in.RouteTableIDs, false)
			return &createEndpointOut{in.ClientToken, s.endpointXML(e)}, err
		}
		if err := s.addSubnets(e, in.SubnetIDs); err != nil {
			s.remove(e)
			return nil, err
		}
		s.w.After(s.w.Profile.NATGatewayCreate, func() { // about as long as a NAT gateway takes
			s.mu.Lock()
			defer s.mu.Unlock()
			if e.state == "pending" {
				e.state = "available"
			}
		})
		return &createEndpointOut{in.ClientToken, s.endpointXML(e)}, nil
	})
}

// newEndpoint checks all of a request but its tables and subnets. The lock is held.
func (s *Service) newEndpoint(in *createEndpointIn) (*endpoint, error) {
	v, err := get[*vpc](s, kindVPC, in.VpcID)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(endpointServices, func(e endpointService) bool { return e.name(s.w.Region) == in.ServiceName })
	switch {
	case in.ServiceName == "":
		return nil, missing("ServiceName")
	case at < 0:
		return nil, unknownService(in.ServiceName)
	case in.IPAddressType != "" && in.IPAddressType != "ipv4":
		return nil, wire.Errf("NotImplemented", "the embedded cloud does not implement IpAddressType %q of VPC endpoints", in.IPAddressType).WithStatus(501)
	case in.PolicyDocument != "" && !json.Valid([]byte(in.PolicyDocument)):
		return nil, wire.Errf("InvalidPolicyDocument", "Policy document is not valid JSON")
	}
	e := &endpoint{vpc: v, service: endpointServices[at], state: "pending", policy: anyone, groups: in.SecurityGroupIDs}
	set(&e.policy, in.PolicyDocument)
	switch in.VpcEndpointType {
	case "", "Gateway":
		e.gateway, e.state = true, "available"
	case "Interface":
	default:
		return nil, wire.Errf("NotImplemented", "the embedded cloud does not implement VPC endpoints of type %q", in.VpcEndpointType).WithStatus(501)
	}
	if !slices.Contains(e.service.types, e.kindName()) {
		return nil, parameter("Endpoint type (%s) does not match available service types ([%s]).", e.kindName(), strings.Join(e.service.types, ", "))
	}
	if e.gateway {
		if len(in.SubnetIDs) > 0 || len(in.SecurityGroupIDs) > 0 {
			return nil, parameter("Subnets and security groups are not supported for Gateway type VPC Endpoints.")
		}
		if in.PrivateDNSEnabled != nil && *in.PrivateDNSEnabled {
			return nil, parameter("Private DNS can't be enabled for Gateway type VPC Endpoints.")
		}
		return e, nil
	}
	if len(in.RouteTableIDs) > 0 {
		return nil, parameter("Route tables are not supported for Interface type VPC Endpoints.")
	}
	if e.groups, err = s.groupsIn(v, in.SecurityGroupIDs); err != nil {
		return nil, err
	}
	count := 0
	for _, o := range all[*endpoint](s) {
		if o.vpc == v && !o.gateway {
			count++
		}
	}
	if count >= s.quota(QuotaInterfaceEndpoint) {
		return nil, wire.Errf("VpcEndpointLimitExceeded", "The maximum number of VPC endpoints has been reached.")
	}
	e.inbound = e.service.short == "s3" // S3's default; the others do not have the choice
	if in.DNSOptions != nil && in.DNSOptions.Inbound != nil {
		e.inbound = *in.DNSOptions.Inbound
	}
	if in.PrivateDNSEnabled == nil || *in.PrivateDNSEnabled {
		return e, s.enablePrivateDNS(e)
	}
	return e, nil
}

// enablePrivateDNS checks what a private name needs. The lock is held.
func (s *Service) enablePrivateDNS(e *endpoint) error {
	if !e.vpc.dnsSupport || !e.vpc.dnsHostname {
		return parameter("Enabling private DNS requires both enableDnsSupport and enableDnsHostnames VPC attributes set to true for %s", e.vpc.id)
	}
	beside := false
	for _, o := range all[*endpoint](s) {
		if o == e || o.vpc != e.vpc || o.service.short != e.service.short || o.state == "deleting" {
			continue
		}
		beside = beside || o.gateway
		if o.privateDNS {
			return parameter("private-dns-enabled cannot be set because there is already a conflicting DNS domain for %s in the VPC %s", strings.TrimPrefix(e.service.privateName(s.w.Region), "*."), e.vpc.id)
		}
	}
	if e.inbound && e.service.short == "s3" && !beside {
		return parameter("To set PrivateDnsOnlyForInboundResolverEndpoint to true, the VPC %s must have a Gateway endpoint for the service.", e.vpc.id)
	}
	e.privateDNS = true
	return nil
}

// listOf is the prefix list of a gateway endpoint's service.
func (s *Service) listOf(e *endpoint) string {
	for _, l := range s.prefixLists() {
		if l.name == e.service.name(s.w.Region) {
			return l.id
		}
	}
	return ""
}

// addTables puts a gateway endpoint's route into tables, or only checks that it can. The lock is held.
func (s *Service) addTables(e *endpoint, ids []string, checkOnly bool) error {
	list := s.listOf(e)
	for _, id := range ids {
		t, err := get[*routeTable](s, kindRoutes, id)
		switch {
		case err != nil:
			return err
		case t.vpc != e.vpc:
			return parameter("Route table %s does not belong to VPC %s", t.id, e.vpc.id)
		case slices.ContainsFunc(t.routes, func(r route) bool { return r.prefixList == list }):
			return wire.Errf("RouteAlreadyExists", "route table %s already has a route with destination-prefix-list-id %s", t.id, list)
		}
		if !checkOnly {
			t.routes = append(t.routes, route{prefixList: list, target: e.id})
			e.tables = append(e.tables, t)
		}
	}
	return nil
}

// checkSubnets tells whether an interface endpoint can be in subnets: one a zone. The lock is held.
func (s *Service) checkSubnets(e *endpoint, ids []string) error {
	zones := map[string]bool{}
	for _, n := range e.interfaces {
		zones[n.subnet.az] = true
	}
	for _, id := range ids {
		n, err := get[*subnet](s, kindSubnet, id)
		switch {
		case err != nil:
			return err
		case n.vpc != e.vpc:
			return parameter("Subnet %s does not belong to VPC %s", n.id, e.vpc.id)
		case zones[n.az]:
			return wire.Errf("DuplicateSubnetsInSameZone", "Found another VPC endpoint subnet in the availability zone of %s", n.id)
		case n.free() <= 0:
			return wire.Errf("InsufficientFreeAddressesInSubnet", "There are not enough free addresses in subnet '%s' to satisfy the request.", n.id)
		}
		zones[n.az] = true
	}
	return nil
}

func (s *Service) addSubnets(e *endpoint, ids []string) error {
	for _, id := range ids {
		n := &networkInterface{
			subnet: s.byID[id].(*subnet), description: "VPC Endpoint Interface " + e.id, typ: "vpc_endpoint", requester: "amazon-vpce", groups: e.groups,
			attached: &attachment{id: "ela-attach-" + s.w.Hex(17), at: time.Now(), index: 1},
		}
		if err := s.newInterface(n, "", nil); err != nil {
			return err
		}
		e.interfaces = append(e.interfaces, n)
	}
	return nil
}
