package ec2

import (
	"encoding/json"
	"errors"
	"slices"

	"github.com/ekspedite/ekspedite/infra/local/ec2/form"
	"github.com/ekspedite/ekspedite/infra/local/wire"
)

type describeEndpointsIn struct {
	DryRun     bool
	IDs        []string `query:"VpcEndpointId"`
	Filters    []filter `query:"Filter"`
	MaxResults *int
	NextToken  string
}

type describeEndpointsOut struct {
	NextToken string        `xml:"nextToken,omitempty"`
	Endpoints []endpointXML `xml:"vpcEndpointSet>item"`
}

type modifyEndpointIn struct {
	DryRun                 bool
	ID                     string   `query:"VpcEndpointId"`
	AddRouteTableIDs       []string `query:"AddRouteTableId"`
	RemoveRouteTableIDs    []string `query:"RemoveRouteTableId"`
	AddSubnetIDs           []string `query:"AddSubnetId"`
	RemoveSubnetIDs        []string `query:"RemoveSubnetId"`
	AddSecurityGroupIDs    []string `query:"AddSecurityGroupId"`
	RemoveSecurityGroupIDs []string `query:"RemoveSecurityGroupId"`
	PolicyDocument         string
	ResetPolicy            bool
	PrivateDNSEnabled      *bool             `query:"PrivateDnsEnabled"`
	DNSOptions             *dnsOptions       `query:"DnsOptions"`
	IPAddressType          *form.Unsupported `query:"IpAddressType"`
	SubnetConfigurations   *form.Unsupported `query:"SubnetConfiguration"`
}

type deleteEndpointsIn struct {
	DryRun bool
	IDs    []string `query:"VpcEndpointId"`
}

type unsuccessfulXML struct {
	ResourceID string `xml:"resourceId"`
	Code       string `xml:"error>code"`
	Message    string `xml:"error>message"`
}

type deleteEndpointsOut struct {
	Unsuccessful []unsuccessfulXML `xml:"unsuccessful>item"`
}

func (s *Service) endpointFilters() filters[*endpoint] {
	return filters[*endpoint]{
		"vpc-endpoint-id":    one(func(e *endpoint) string { return e.id }),
		"vpc-endpoint-type":  one((*endpoint).kindName),
		"vpc-endpoint-state": one(func(e *endpoint) string { return e.state }),
		"service-name":       one(func(e *endpoint) string { return e.service.name(s.w.Region) }),
		"vpc-id":             one(func(e *endpoint) string { return e.vpc.id }),
		"ip-address-type":    one(func(*endpoint) string { return "ipv4" }),
	}
}

func (s *Service) endpointOps() []wire.Op {
	return []wire.Op{
		handle("CreateVpcEndpoint", s.endpointNeeds, s.createEndpoint),
		handle("DescribeVpcEndpoints", nil, s.describeEndpoints),
		handle("ModifyVpcEndpoint", func(in *modifyEndpointIn) []wire.Need {
			return s.needs("ec2:ModifyVpcEndpoint", slices.Concat([]string{in.ID}, in.AddRouteTableIDs, in.RemoveRouteTableIDs, in.AddSubnetIDs, in.RemoveSubnetIDs, in.AddSecurityGroupIDs, in.RemoveSecurityGroupIDs)...)
		}, s.modifyEndpoint),
		handle("DeleteVpcEndpoints", func(in *deleteEndpointsIn) []wire.Need { return s.needs("ec2:DeleteVpcEndpoints", in.IDs...) }, s.deleteEndpoints),
		handle("DescribeVpcEndpointServices", nil, s.describeServices),
		handle("DescribePrefixLists", nil, s.describePrefixLists),
		handle("DescribeManagedPrefixLists", nil, s.describeManagedLists),
	}
}

func (s *Service) describeEndpoints(in *describeEndpointsIn) (*describeEndpointsOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	items, next, err := describe(s, kindEndpoint, s.endpointFilters(), query{ids: in.IDs, filters: in.Filters, max: in.MaxResults, least: 1, token: in.NextToken})
	out := &describeEndpointsOut{NextToken: next}
	for _, e := range items {
		out.Endpoints = append(out.Endpoints, s.endpointXML(e))
	}
	return out, err
}

// modifyEndpoint checks everything before it changes anything.
func (s *Service) modifyEndpoint(in *modifyEndpointIn) (*done, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := get[*endpoint](s, kindEndpoint, in.ID)
	switch {
	case err != nil:
		return nil, err
	case e.state == "deleting":
		return nil, kindEndpoint.notFound([]string{e.id})
	case in.PolicyDocument != "" && !json.Valid([]byte(in.PolicyDocument)):
		return nil, wire.Errf("InvalidPolicyDocument", "Policy document is not valid JSON")
	case e.gateway && len(in.AddSubnetIDs)+len(in.RemoveSubnetIDs)+len(in.AddSecurityGroupIDs)+len(in.RemoveSecurityGroupIDs) > 0:
		return nil, parameter("Subnets and security groups are not supported for Gateway type VPC Endpoints.")
	case !e.gateway && len(in.AddRouteTableIDs)+len(in.RemoveRouteTableIDs) > 0:
		return nil, parameter("Route tables are not supported for Interface type VPC Endpoints.")
	}
	if e.gateway {
		err = s.addTables(e, in.AddRouteTableIDs, true)
	} else {
		err = s.checkSubnets(e, in.AddSubnetIDs)
	}
	if err != nil {
		return nil, err
	}
	groups := slices.DeleteFunc(slices.Clone(e.groups), func(id string) bool { return slices.Contains(in.RemoveSecurityGroupIDs, id) })
	for _, id := range in.AddSecurityGroupIDs {
		if !slices.Contains(groups, id) {
			groups = append(groups, id)
		}
	}
	if !e.gateway {
		if groups, err = s.groupsIn(e.vpc, groups); err != nil {
			return nil, err
		}
	}
	if o := in.DNSOptions; o != nil && o.Inbound != nil {
		e.inbound = *o.Inbound
	}
	if p := in.PrivateDNSEnabled; p != nil {
		if *p && !e.privateDNS {
			if err := s.enablePrivateDNS(e); err != nil {
				return nil, err
			}
		}
		e.privateDNS = *p
	}
	if in.ResetPolicy {
		e.policy = anyone
	}
	set(&e.policy, in.PolicyDocument)
	e.groups = groups
	for _, n := range slices.Clone(e.interfaces) {
		n.groups = groups
		if slices.Contains(in.RemoveSubnetIDs, n.subnet.id) {
			s.dropInterface(n)
			e.interfaces = slices.DeleteFunc(e.interfaces, func(o *networkInterface) bool { return o == n })
		}
	}
	for _, t := range slices.Clone(e.tables) {
		if slices.Contains(in.RemoveRouteTableIDs, t.id) {
			e.leave(t)
		}
	}
	return &done{true}, errors.Join(s.addTables(e, in.AddRouteTableIDs, false), s.addSubnets(e, in.AddSubnetIDs))
}

// leave takes a gateway endpoint's route out of a table.
func (e *endpoint) leave(t *routeTable) {
	t.routes = slices.DeleteFunc(t.routes, func(r route) bool { return r.target == e.id })
	e.tables = slices.DeleteFunc(e.tables, func(o *routeTable) bool { return o == t })
}

// deleteEndpoints takes those away that exist and names the others. A gateway endpoint's routes go at once; an interface
// endpoint's network interfaces stay while it is deleting, and keep subnets and groups from being deleted.
func (s *Service) deleteEndpoints(in *deleteEndpointsIn) (*deleteEndpointsOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(in.IDs) == 0 {
		return nil, missing("VpcEndpointId")
	}
	out := &deleteEndpointsOut{}
	for _, id := range in.IDs {
		e, ok := s.byID[id].(*endpoint)
		if !ok {
			out.Unsuccessful = append(out.Unsuccessful, unsuccessfulXML{id, "InvalidVpcEndpoint.NotFound", "The VpcEndPoint Id '" + id + "' does not exist"})
			continue
		}
		if e.state == "deleting" {
			continue
		}
		e.state, e.privateDNS = "deleting", false
		wait := s.w.Profile.NATGatewayCreate // about as long as a NAT gateway takes
		if e.gateway {
			wait = s.w.Profile.Settle
			for _, t := range slices.Clone(e.tables) {
				e.leave(t)
			}
		}
		s.w.After(wait, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			for _, n := range e.interfaces {
				s.dropInterface(n)
			}
			s.remove(e)
		})
	}
	return out, nil
}
