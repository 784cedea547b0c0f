package ec2

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/infra/local/ec2/form"
	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// route is one route of a table.
type route struct {
	cidr       netip.Prefix // not valid in a gateway endpoint's route, which has a prefix list
	prefixList string
	target     string // "local", igw-…, vgw-…, tgw-…, nat-…, eigw-… or vpce-…
}

type routeIn struct {
	DryRun                      bool
	RouteTableID                string `query:"RouteTableId"`
	DestinationCidrBlock        string
	DestinationIpv6CidrBlock    string
	GatewayID                   string            `query:"GatewayId"`
	NatGatewayID                string            `query:"NatGatewayId"`
	EgressOnlyInternetGatewayID string            `query:"EgressOnlyInternetGatewayId"`
	TransitGatewayID            string            `query:"TransitGatewayId"`
	DestinationPrefixListID     *form.Unsupported `query:"DestinationPrefixListId"`
	VpcEndpointID               *form.Unsupported `query:"VpcEndpointId"`
	LocalGatewayID              *form.Unsupported `query:"LocalGatewayId"`
	LocalTarget                 *form.Unsupported
	CarrierGatewayID            *form.Unsupported `query:"CarrierGatewayId"`
	CoreNetworkArn              *form.Unsupported
	OdbNetworkArn               *form.Unsupported
	InstanceID                  *form.Unsupported `query:"InstanceId"`
	NetworkInterfaceID          *form.Unsupported `query:"NetworkInterfaceId"`
	VpcPeeringConnectionID      *form.Unsupported `query:"VpcPeeringConnectionId"`
}

type routeXML struct {
	DestinationCidrBlock     string `xml:"destinationCidrBlock,omitempty"`
	DestinationIpv6CidrBlock string `xml:"destinationIpv6CidrBlock,omitempty"`
	DestinationPrefixListID  string `xml:"destinationPrefixListId,omitempty"`
	GatewayID                string `xml:"gatewayId,omitempty"`
	NatGatewayID             string `xml:"natGatewayId,omitempty"`
	EgressGatewayID          string `xml:"egressOnlyInternetGatewayId,omitempty"`
	TransitGatewayID         string `xml:"transitGatewayId,omitempty"`
	Origin                   string `xml:"origin"`
	State                    string `xml:"state"`
}

func (r route) destination() string {
	if r.prefixList != "" {
		return r.prefixList
	}
	return r.cidr.String()
}

// targets lists the targets of the given kinds.
func (t *routeTable) targets(kinds ...*kind) []string {
	var out []string
	for _, r := range t.routes {
		if slices.ContainsFunc(kinds, func(k *kind) bool { return strings.HasPrefix(r.target, k.prefix) }) {
			out = append(out, r.target)
		}
	}
	return out
}

func (t *routeTable) destinations(which func(route) bool) []string {
	var out []string
	for _, r := range t.routes {
		if which(r) {
			out = append(out, r.destination())
		}
	}
	return out
}

func (s *Service) routeChangeOps() []wire.Op {
	table := func(action string) func(in *routeIn) []wire.Need {
		return func(in *routeIn) []wire.Need { return s.needs(action, in.RouteTableID) }
	}
	return []wire.Op{
		handle("CreateRoute", table("ec2:CreateRoute"), s.createRoute),
		handle("ReplaceRoute", table("ec2:ReplaceRoute"), s.replaceRoute),
		handle("DeleteRoute", table("ec2:DeleteRoute"), s.deleteRoute),
	}
}

func (s *Service) routeXML(t *routeTable, r route) routeXML {
	x := routeXML{Origin: "CreateRoute", State: "blackhole"}
	switch {
	case r.prefixList != "":
		x.DestinationPrefixListID = r.prefixList
	case r.cidr.Addr().Is4():
		x.DestinationCidrBlock = r.cidr.String()
	default:
		x.DestinationIpv6CidrBlock = r.cidr.String()
	}
	leads := false
	switch target := s.byID[r.target].(type) {
	case *gateway:
		leads = target.vpc == t.vpc
	case *natGateway:
		leads = target.state == "available" || target.state == "pending"
	case *egressGateway, *endpoint:
		leads = true
	case *vpnGateway:
		leads = target.vpc == t.vpc && target.attachment == "attached"
	case *transitGateway:
		leads = s.reaches(target, t.vpc)
	}
	switch {
	case strings.HasPrefix(r.target, kindNAT.prefix):
		x.NatGatewayID = r.target
	case strings.HasPrefix(r.target, kindEgress.prefix):
		x.EgressGatewayID = r.target
	case strings.HasPrefix(r.target, kindTransit.prefix):
		x.TransitGatewayID = r.target
	default:
		x.GatewayID = r.target
	}
	if r.target == "local" {
		leads, x.Origin = true, "CreateRouteTable"
	}
	if leads {
		x.State = "active"
	}
	return x
}

// to reads a request's destination.
func (in *routeIn) to() (netip.Prefix, error) {
	name, cidr := "destinationCidrBlock", in.DestinationCidrBlock
	switch {
	case in.DestinationCidrBlock != "" && in.DestinationIpv6CidrBlock != "":
		return netip.Prefix{}, wire.Errf("InvalidParameterCombination", "Only one of destinationCidrBlock and destinationIpv6CidrBlock may be specified.")
	case in.DestinationIpv6CidrBlock != "":
		name, cidr = "destinationIpv6CidrBlock", in.DestinationIpv6CidrBlock
	case in.DestinationCidrBlock == "":
		return netip.Prefix{}, missing("destinationCidrBlock")
	}
	p, err := netip.ParsePrefix(cidr)
	if err != nil || p.Addr().Is4() != (name == "destinationCidrBlock") {
		return p, invalid("Value (%s) for parameter %s is invalid. This is not a valid CIDR block.", cidr, name)
	}
	return p.Masked(), nil
}

// target finds where a request's route leads. The lock is held.
func (s *Service) target(t *routeTable, in *routeIn, ipv6 bool) (string, error) {
	given := 0
	for _, id := range []string{in.GatewayID, in.NatGatewayID, in.EgressOnlyInternetGatewayID, in.TransitGatewayID} {
		if id != "" {
			given++
		}
	}
	switch {
	case given > 1:
		return "", wire.Errf("InvalidParameterCombination", "Only one route target may be specified.")
	case strings.HasPrefix(in.GatewayID, kindVPN.prefix):
		g, err := s.vpnGateway(in.GatewayID)
		if err == nil && !g.holds(t.vpc) {
			err = invalid("route table %s and network gateway %s belong to different networks", t.id, g.id)
		}
		return in.GatewayID, err
	case in.TransitGatewayID != "":
		// EC2 says so of a gateway that exists, too, as long as it does not reach the VPC.
		g, err := get[*transitGateway](s, kindTransit, in.TransitGatewayID)
		if err != nil || !s.reaches(g, t.vpc) {
			return "", wire.Errf("InvalidTransitGatewayID.NotFound", "The transitGateway ID '%s' does not exist", in.TransitGatewayID)
		}
		return g.id, nil
	case in.GatewayID != "":
		g, err := get[*gateway](s, kindIGW, in.GatewayID)
		if err != nil {
			return "", err
		}
		if g.vpc != t.vpc {
			return "", invalid("route table %s and network gateway %s belong to different networks", t.id, g.id)
		}
		return g.id, nil
	case in.NatGatewayID != "":
		n, err := get[*natGateway](s, kindNAT, in.NatGatewayID)
		if err != nil || n.state == "deleting" || n.state == "deleted" || n.state == "failed" {
			return "", wire.Errf("InvalidNatGatewayID.NotFound", "The natGateway ID '%s' does not exist", in.NatGatewayID)
		}
		return n.id, nil
	case in.EgressOnlyInternetGatewayID != "":
		g, err := get[*egressGateway](s, kindEgress, in.EgressOnlyInternetGatewayID)
		switch {
		case err != nil:
			return "", err
		case !ipv6:
			return "", invalid("Invalid destination for an egress-only internet gateway: it takes IPv6 routes only.")
		case g.vpc != t.vpc:
			return "", invalid("route table %s and network gateway %s belong to different networks", t.id, g.id)
		}
		return g.id, nil
	}
	return "", missing("gatewayId")
}

// newRoute reads the route of a request. The lock is held.
func (s *Service) newRoute(in *routeIn) (*routeTable, route, error) {
	t, err := get[*routeTable](s, kindRoutes, in.RouteTableID)
	if err != nil {
		return nil, route{}, err
	}
	r := route{}
	if r.cidr, err = in.to(); err == nil {
		r.target, err = s.target(t, in, r.cidr.Addr().Is6())
	}
	return t, r, err
}

func (s *Service) createRoute(in *routeIn) (*done, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, r, err := s.newRoute(in)
	if err != nil {
		return nil, err
	}
	for _, old := range t.routes {
		if old == r { // the same again is no error
			return &done{true}, nil
		}
		if old.prefixList == "" && old.cidr == r.cidr {
			return nil, wire.Errf("RouteAlreadyExists", "The route identified by %s already exists.", r.cidr)
		}
	}
	if len(t.routes) >= s.quota(QuotaRoutesPerTable) {
		return nil, wire.Errf("RouteLimitExceeded", "The maximum number of routes has been reached.")
	}
	t.routes = append(t.routes, r)
	return &done{true}, nil
}

func noRoute(t *routeTable, cidr netip.Prefix) error {
	return wire.Errf("InvalidRoute.NotFound", "no route with destination-cidr-block %s in route table %s", cidr, t.id)
}

func (s *Service) replaceRoute(in *routeIn) (*done, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, r, err := s.newRoute(in)
	if err != nil {
		return nil, err
	}
	for i, old := range t.routes {
		if old.prefixList == "" && old.cidr == r.cidr && old.target != "local" {
			t.routes[i] = r
			return &done{true}, nil
		}
	}
	return nil, wire.Errf("InvalidParameterValue", "There is no route defined for '%s' in the route table. Use CreateRoute instead.", r.cidr)
}

func (s *Service) deleteRoute(in *routeIn) (*done, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := get[*routeTable](s, kindRoutes, in.RouteTableID)
	if err != nil {
		return nil, err
	}
	cidr, err := in.to()
	if err != nil {
		return nil, err
	}
	for i, r := range t.routes {
		if r.prefixList != "" || r.cidr != cidr {
			continue
		}
		if r.target == "local" {
			return nil, invalid("cannot remove local route %s in route table %s", cidr, t.id)
		}
		t.routes = slices.Delete(t.routes, i, i+1)
		return &done{true}, nil
	}
	return nil, noRoute(t, cidr)
}
