package ec2

import (
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
	propagating  []*vpnGateway // whose connections' routes the table would get
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
	Propagating  []propagatingXML `xml:"propagatingVgwSet>item"`
	Tags         []tag            `xml:"tagSet>item"`
}

type routeTableOut struct {
	RouteTable  routeTableXML `xml:"routeTable"`
	ClientToken string        `xml:"clientToken,omitempty"`
}

type routeTableIn struct {
	DryRun       bool
	RouteTableID string `query:"RouteTableId"`
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

var routeTableFilters = filters[*routeTable]{
	"route-table-id":             one(func(t *routeTable) string { return t.id }),
	"association.route-table-id": one(func(t *routeTable) string { return t.id }),
	"vpc-id":                     one(func(t *routeTable) string { return t.vpc.id }),
	"association.main":           one(func(t *routeTable) string { return strconv.FormatBool(t.main) }),
	"association.subnet-id":      func(t *routeTable) []string { return t.each(func(a association) string { return a.subnet.id }) },
	"association.route-table-association-id": func(t *routeTable) []string {
		return append(t.each(func(a association) string { return a.id }), t.mainID)
	},
	"route.destination-cidr-block":          func(t *routeTable) []string { return t.destinations(func(r route) bool { return r.cidr.Addr().Is4() }) },
	"route.destination-ipv6-cidr-block":     func(t *routeTable) []string { return t.destinations(func(r route) bool { return r.cidr.Addr().Is6() }) },
	"route.destination-prefix-list-id":      func(t *routeTable) []string { return t.destinations(func(r route) bool { return r.prefixList != "" }) },
	"route.gateway-id":                      func(t *routeTable) []string { return append(t.targets(kindIGW, kindVPN, kindEndpoint), "local") },
	"route.nat-gateway-id":                  func(t *routeTable) []string { return t.targets(kindNAT) },
	"route.transit-gateway-id":              func(t *routeTable) []string { return t.targets(kindTransit) },
	"route.egress-only-internet-gateway-id": func(t *routeTable) []string { return t.targets(kindEgress) },
}

func (s *Service) routeOps() []wire.Op {
	return []wire.Op{
		handle("CreateRouteTable", func(in *createRouteTableIn) []wire.Need {
			return s.creates("CreateRouteTable", kindRoutes, in.TagSpecifications, nil, in.VpcID)
		}, s.createRouteTable),
		handle("DeleteRouteTable", func(in *routeTableIn) []wire.Need {
			return s.needs("ec2:DeleteRouteTable", in.RouteTableID)
		}, s.deleteRouteTable),
		handle("DescribeRouteTables", nil, s.describeRouteTables),
		handle("AssociateRouteTable", func(in *associateIn) []wire.Need {
			return s.needs("ec2:AssociateRouteTable", in.RouteTableID, in.SubnetID)
		}, s.associate),
		handle("DisassociateRouteTable", func(in *associateIn) []wire.Need {
			return s.needs("ec2:DisassociateRouteTable", s.associated(in.AssociationID)...)
		}, s.disassociate),
	}
}

func (s *Service) newRouteTable(v *vpc, tags map[string]string, main bool) *routeTable {
	t := &routeTable{vpc: v, main: main}
	for _, b := range slices.Concat(v.v4, v.v6) {
		t.routes = append(t.routes, route{cidr: b.prefix, target: "local"})
	}
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
		x.Routes = append(x.Routes, s.routeXML(t, r))
	}
	if t.main {
		x.Associations = append(x.Associations, associationXML{Main: true, ID: t.mainID, RouteTableID: t.id, State: "associated"})
	}
	for _, a := range t.associations {
		x.Associations = append(x.Associations, associationXML{ID: a.id, RouteTableID: t.id, SubnetID: a.subnet.id, State: "associated"})
	}
	for _, g := range t.propagating {
		x.Propagating = append(x.Propagating, propagatingXML{g.id})
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

func (s *Service) deleteRouteTable(in *routeTableIn) (*done, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := get[*routeTable](s, kindRoutes, in.RouteTableID)
	if err != nil {
		return nil, err
	}
	if t.main || len(t.associations) > 0 {
		return nil, wire.Errf("DependencyViolation", "The routeTable '%s' has dependencies and cannot be deleted.", t.id)
	}
	for _, e := range all[*endpoint](s) {
		e.tables = slices.DeleteFunc(e.tables, func(o *routeTable) bool { return o == t })
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
