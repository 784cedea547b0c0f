package ec2

import (
	"net/netip"
	"slices"
	"strconv"

	"github.com/ekspedite/ekspedite/infra/local/ec2/form"
	"github.com/ekspedite/ekspedite/infra/local/wire"
)

type routeTable struct {
	record
	vpc          *vpc
	main         bool
	mainID       string // the main association's
	routes       []route
	associations []association
}

type route struct {
	cidr   netip.Prefix
	target string // "local", igw-… or nat-…
}

type association struct {
	id     string
	subnet *subnet
}

type createRouteTableIn struct {
	DryRun            bool
	VpcID             string `query:"VpcId"`
	ClientToken       string
	TagSpecifications []tagSpec `query:"TagSpecification"`
}

type routeXML struct {
	DestinationCidrBlock string `xml:"destinationCidrBlock"`
	GatewayID            string `xml:"gatewayId,omitempty"`
	NatGatewayID         string `xml:"natGatewayId,omitempty"`
	Origin               string `xml:"origin"`
	State                string `xml:"state"`
}

type associationXML struct {
	Main         bool   `xml:"main"`
	ID           string `xml:"routeTableAssociationId"`
	RouteTableID string `xml:"routeTableId"`
	SubnetID     string `xml:"subnetId,omitempty"`
	State        string `xml:"associationState>state"`
}

type routeTableXML struct {
	ID           string           `xml:"routeTableId"`
	VpcID        string           `xml:"vpcId"`
	OwnerID      string           `xml:"ownerId"`
	Routes       []routeXML       `xml:"routeSet>item"`
	Associations []associationXML `xml:"associationSet>item"`
	Tags         []tag            `xml:"tagSet>item"`
}

type routeTableOut struct {
	RouteTable  routeTableXML `xml:"routeTable"`
	ClientToken string        `xml:"clientToken,omitempty"`
}

type routeIn struct {
	DryRun                      bool
	RouteTableID                string `query:"RouteTableId"`
	DestinationCidrBlock        string
	GatewayID                   string `query:"GatewayId"`
	NatGatewayID                string `query:"NatGatewayId"`
	DestinationIpv6CidrBlock    *form.Unsupported
	DestinationPrefixListID     *form.Unsupported `query:"DestinationPrefixListId"`
	VpcEndpointID               *form.Unsupported `query:"VpcEndpointId"`
	TransitGatewayID            *form.Unsupported `query:"TransitGatewayId"`
	LocalGatewayID              *form.Unsupported `query:"LocalGatewayId"`
	CarrierGatewayID            *form.Unsupported `query:"CarrierGatewayId"`
	CoreNetworkArn              *form.Unsupported
	EgressOnlyInternetGatewayID *form.Unsupported `query:"EgressOnlyInternetGatewayId"`
	InstanceID                  *form.Unsupported `query:"InstanceId"`
	NetworkInterfaceID          *form.Unsupported `query:"NetworkInterfaceId"`
	VpcPeeringConnectionID      *form.Unsupported `query:"VpcPeeringConnectionId"`
}

type associateIn struct {
	DryRun        bool
	RouteTableID  string            `query:"RouteTableId"`
	SubnetID      string            `query:"SubnetId"`
	AssociationID string            `query:"AssociationId"`
	GatewayID     *form.Unsupported `query:"GatewayId"`
}

type associateOut struct {
	AssociationID string `xml:"associationId"`
	State         string `xml:"associationState>state"`
}

type describeRouteTablesIn struct {
	DryRun     bool
	IDs        []string `query:"RouteTableId"`
	Filters    []filter `query:"Filter"`
	MaxResults *int
	NextToken  string
}

type describeRouteTablesOut struct {
	Tables    []routeTableXML `xml:"routeTableSet>item"`
	NextToken string          `xml:"nextToken,omitempty"`
}

func (t *routeTable) each(f func(association) string) []string {
	var out []string
	for _, a := range t.associations {
		out = append(out, f(a))
	}
	return out
}

func (t *routeTable) targets(k *kind) []string {
	var out []string
	for _, r := range t.routes {
		if k == nil || len(r.target) > len(k.prefix) && r.target[:len(k.prefix)] == k.prefix {
			out = append(out, r.target)
		}
	}
	return out
}

var routeTableFilters = filters[*routeTable]{
	"route-table-id":             one(func(t *routeTable) string { return t.id }),
	"association.route-table-id": one(func(t *routeTable) string { return t.id }),
	"vpc-id":                     one(func(t *routeTable) string { return t.vpc.id }),
	"association.main":           one(func(t *routeTable) string { return strconv.FormatBool(t.main) }),
	"association.subnet-id":      func(t *routeTable) []string { return t.each(func(a association) string { return a.subnet.id }) },
	"association.route-table-association-id": func(t *routeTable) []string {
		return append(t.each(func(a association) string { return a.id }), t.mainID)
	},
	"route.destination-cidr-block": func(t *routeTable) []string {
		var out []string
		for _, r := range t.routes {
			out = append(out, r.cidr.String())
		}
		return out
	},
	"route.gateway-id":     func(t *routeTable) []string { return append(t.targets(kindIGW), "local") },
	"route.nat-gateway-id": func(t *routeTable) []string { return t.targets(kindNAT) },
}

func (s *Service) routeOps() []wire.Op {
	table := func(action string) func(in *routeIn) []wire.Need {
		return func(in *routeIn) []wire.Need { return s.needs(action, in.RouteTableID) }
	}
	return []wire.Op{
		handle("CreateRouteTable", func(in *createRouteTableIn) []wire.Need {
			return s.creates("CreateRouteTable", kindRoutes, in.TagSpecifications, nil, in.VpcID)
		}, s.createRouteTable),
		handle("DeleteRouteTable", table("ec2:DeleteRouteTable"), s.deleteRouteTable),
		handle("DescribeRouteTables", nil, s.describeRouteTables),
		handle("CreateRoute", table("ec2:CreateRoute"), s.createRoute),
		handle("DeleteRoute", table("ec2:DeleteRoute"), s.deleteRoute),
		handle("AssociateRouteTable", func(in *associateIn) []wire.Need {
			return s.needs("ec2:AssociateRouteTable", in.RouteTableID, in.SubnetID)
		}, s.associate),
		handle("DisassociateRouteTable", func(in *associateIn) []wire.Need {
			return s.needs("ec2:DisassociateRouteTable", s.associated(in.AssociationID)...)
		}, s.disassociate),
	}
}

func (s *Service) newRouteTable(v *vpc, tags map[string]string, main bool) *routeTable {
	t := &routeTable{vpc: v, main: main, routes: []route{{v.cidr, "local"}}}
	if main {
		t.mainID = "rtbassoc-" + s.w.Hex(17)
	}
	s.add(kindRoutes, t, tags)
	return t
}

func (t *routeTable) forget(n *subnet) {
	t.associations = slices.DeleteFunc(t.associations, func(a association) bool { return a.subnet == n })
}

// routesOf finds the route table of a subnet: its own, or the VPC's main one. The lock is held.
func (s *Service) routesOf(n *subnet) *routeTable {
	var main *routeTable
	for _, t := range all[*routeTable](s) {
		if slices.ContainsFunc(t.associations, func(a association) bool { return a.subnet == n }) {
			return t
		}
		if t.main && t.vpc == n.vpc {
			main = t
		}
	}
	return main
}

func (s *Service) routeTableXML(t *routeTable) routeTableXML {
	x := routeTableXML{ID: t.id, VpcID: t.vpc.id, OwnerID: s.w.Account, Tags: tagSet(t.tags)}
	for _, r := range t.routes {
		route := routeXML{DestinationCidrBlock: r.cidr.String(), Origin: "CreateRoute", State: "blackhole"}
		switch target := s.byID[r.target].(type) {
		case *gateway:
			route.GatewayID = r.target
			if target.vpc == t.vpc {
				route.State = "active"
			}
		case *natGateway:
			route.NatGatewayID = r.target
			if target.state == "available" || target.state == "pending" {
				route.State = "active"
			}
		default: // local, or a target that is gone
			route.GatewayID = r.target
			if r.target == "local" {
				route.Origin, route.State = "CreateRouteTable", "active"
			}
		}
		x.Routes = append(x.Routes, route)
	}
	if t.main {
		x.Associations = append(x.Associations, associationXML{Main: true, ID: t.mainID, RouteTableID: t.id, State: "associated"})
	}
	for _, a := range t.associations {
		x.Associations = append(x.Associations, associationXML{ID: a.id, RouteTableID: t.id, SubnetID: a.subnet.id, State: "associated"})
	}
	return x
}

func (s *Service) createRouteTable(in *createRouteTableIn) (*routeTableOut, error) {
	tags, err := specTags(in.TagSpecifications, "route-table")
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return once(s, "CreateRouteTable", in.ClientToken, in, func() (*routeTableOut, error) {
		v, err := get[*vpc](s, kindVPC, in.VpcID)
		if err != nil {
			return nil, err
		}
		return &routeTableOut{s.routeTableXML(s.newRouteTable(v, tags, false)), in.ClientToken}, nil
	})
}

func (s *Service) deleteRouteTable(in *routeIn) (*done, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := get[*routeTable](s, kindRoutes, in.RouteTableID)
	if err != nil {
		return nil, err
	}
	if t.main || len(t.associations) > 0 {
		return nil, wire.Errf("DependencyViolation", "The routeTable '%s' has dependencies and cannot be deleted.", t.id)
	}
	s.remove(t)
	return &done{true}, nil
}

func (s *Service) describeRouteTables(in *describeRouteTablesIn) (*describeRouteTablesOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	items, next, err := describe(s, kindRoutes, routeTableFilters, query{ids: in.IDs, filters: in.Filters, max: in.MaxResults, token: in.NextToken})
	out := &describeRouteTablesOut{NextToken: next}
	for _, t := range items {
		out.Tables = append(out.Tables, s.routeTableXML(t))
	}
	return out, err
}

func destination(cidr string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(cidr)
	if err != nil || !p.Addr().Is4() {
		return p, invalid("Value (%s) for parameter destinationCidrBlock is invalid. This is not a valid CIDR block.", cidr)
	}
	return p.Masked(), nil
}

func (s *Service) createRoute(in *routeIn) (*done, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := get[*routeTable](s, kindRoutes, in.RouteTableID)
	if err != nil {
		return nil, err
	}
	cidr, err := destination(in.DestinationCidrBlock)
	if err != nil {
		return nil, err
	}
	r := route{cidr: cidr}
	switch {
	case in.GatewayID != "" && in.NatGatewayID != "":
		return nil, wire.Errf("InvalidParameterCombination", "Only one route target may be specified.")
	case in.GatewayID != "":
		g, err := get[*gateway](s, kindIGW, in.GatewayID)
		if err != nil {
			return nil, err
		}
		if g.vpc != t.vpc {
			return nil, invalid("route table %s and network gateway %s belong to different networks", t.id, g.id)
		}
		r.target = g.id
	case in.NatGatewayID != "":
		n, err := get[*natGateway](s, kindNAT, in.NatGatewayID)
		if err != nil {
			return nil, err
		}
		if n.state != "available" && n.state != "pending" {
			return nil, wire.Errf("InvalidNatGatewayID.NotFound", "The natGateway ID '%s' does not exist", n.id)
		}
		r.target = n.id
	default:
		return nil, missing("gatewayId")
	}
	for _, old := range t.routes {
		if old.cidr == cidr && old.target == r.target { // the same again is no error
			return &done{true}, nil
		}
		if old.cidr == cidr {
			return nil, wire.Errf("RouteAlreadyExists", "The route identified by %s already exists.", cidr)
		}
	}
	t.routes = append(t.routes, r)
	return &done{true}, nil
}

func (s *Service) deleteRoute(in *routeIn) (*done, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := get[*routeTable](s, kindRoutes, in.RouteTableID)
	if err != nil {
		return nil, err
	}
	cidr, err := destination(in.DestinationCidrBlock)
	if err != nil {
		return nil, err
	}
	for i, r := range t.routes {
		if r.cidr != cidr {
			continue
		}
		if r.target == "local" {
			return nil, invalid("cannot remove local route %s in route table %s", cidr, t.id)
		}
		t.routes = slices.Delete(t.routes, i, i+1)
		return &done{true}, nil
	}
	return nil, wire.Errf("InvalidRoute.NotFound", "no route with destination-cidr-block %s in route table %s", cidr, t.id)
}

func (s *Service) associate(in *associateIn) (*associateOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := get[*routeTable](s, kindRoutes, in.RouteTableID)
	if err != nil {
		return nil, err
	}
	n, err := get[*subnet](s, kindSubnet, in.SubnetID)
	if err != nil {
		return nil, err
	}
	if n.vpc != t.vpc {
		return nil, invalid("Route table %s and subnet %s belong to different networks", t.id, n.id)
	}
	for _, other := range all[*routeTable](s) {
		for _, a := range other.associations {
			if a.subnet == n && other == t {
				return &associateOut{a.id, "associated"}, nil
			}
			if a.subnet == n {
				return nil, wire.Errf("Resource.AlreadyAssociated", "the specified association for route table %s conflicts with an existing association", t.id)
			}
		}
	}
	a := association{"rtbassoc-" + s.w.Hex(17), n}
	t.associations = append(t.associations, a)
	return &associateOut{a.id, "associated"}, nil
}

// associated returns the route table and the subnet of an association.
func (s *Service) associated(id string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range all[*routeTable](s) {
		for _, a := range t.associations {
			if a.id == id {
				return []string{t.id, a.subnet.id}
			}
		}
	}
	return nil
}

func (s *Service) disassociate(in *associateIn) (*done, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range all[*routeTable](s) {
		if t.main && t.mainID == in.AssociationID {
			return nil, wire.Errf("InvalidParameterValue", "cannot disassociate the main route table association %s", in.AssociationID)
		}
		n := len(t.associations)
		t.associations = slices.DeleteFunc(t.associations, func(a association) bool { return a.id == in.AssociationID })
		if len(t.associations) < n {
			return &done{true}, nil
		}
	}
	return nil, wire.Errf("InvalidAssociationID.NotFound", "The association ID '%s' does not exist", in.AssociationID)
}
