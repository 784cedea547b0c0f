package ec2

import (
	"slices"
	"strconv"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// vpnGateway is a virtual private gateway. No connection ever comes to it here, so it has no routes to propagate.
type vpnGateway struct {
	record
	state      string // available, deleted
	asn        int64
	zone       string
	vpc        *vpc   // the one that it is or was attached to last; nil: none yet
	attachment string // attaching, attached, detaching, detached
	deleted    time.Time
}

// defaultASN is Amazon's side of BGP where nobody says otherwise.
const defaultASN = 64512

type createVPNGatewayIn struct {
	DryRun            bool
	Type              string
	AmazonSideASN     *int64 `query:"AmazonSideAsn"`
	AvailabilityZone  string
	TagSpecifications []tagSpec `query:"TagSpecification"`
}

type vpnGatewayXML struct {
	ID               string              `xml:"vpnGatewayId"`
	State            string              `xml:"state"`
	Type             string              `xml:"type"`
	AvailabilityZone string              `xml:"availabilityZone,omitempty"`
	Attachments      []gatewayAttachment `xml:"attachments>item"`
	AmazonSideASN    int64               `xml:"amazonSideAsn"`
	Tags             []tag               `xml:"tagSet>item"`
}

type vpnGatewayOut struct {
	Gateway vpnGatewayXML `xml:"vpnGateway"`
}

type vpnGatewayIn struct {
	DryRun bool
	ID     string `query:"VpnGatewayId"`
	VpcID  string `query:"VpcId"`
}

type attachVPNGatewayOut struct {
	Attachment gatewayAttachment `xml:"attachment"`
}

type describeVPNGatewaysIn struct {
	DryRun  bool
	IDs     []string `query:"VpnGatewayId"`
	Filters []filter `query:"Filter"`
}

type describeVPNGatewaysOut struct {
	Gateways []vpnGatewayXML `xml:"vpnGatewaySet>item"`
}

type propagationIn struct {
	DryRun       bool
	GatewayID    string `query:"GatewayId"`
	RouteTableID string `query:"RouteTableId"`
}

type propagatingXML struct {
	GatewayID string `xml:"gatewayId"`
}

// onVPC makes a filter of something that only gateways with a VPC have.
func onVPC(f func(*vpnGateway) string) func(*vpnGateway) []string {
	return func(g *vpnGateway) []string {
		if g.vpc == nil {
			return nil
		}
		return []string{f(g)}
	}
}

var vpnFilters = filters[*vpnGateway]{
	"vpn-gateway-id":    one(func(g *vpnGateway) string { return g.id }),
	"state":             one(func(g *vpnGateway) string { return g.state }),
	"type":              one(func(*vpnGateway) string { return "ipsec.1" }),
	"amazon-side-asn":   one(func(g *vpnGateway) string { return strconv.FormatInt(g.asn, 10) }),
	"availability-zone": one(func(g *vpnGateway) string { return g.zone }),
	"attachment.vpc-id": onVPC(func(g *vpnGateway) string { return g.vpc.id }),
	"attachment.state":  onVPC(func(g *vpnGateway) string { return g.attachment }),
}

func (s *Service) vpnOps() []wire.Op {
	on := func(action string) func(in *vpnGatewayIn) []wire.Need {
		return func(in *vpnGatewayIn) []wire.Need { return s.needs(action, in.ID, in.VpcID) }
	}
	propagation := func(action string) func(in *propagationIn) []wire.Need {
		return func(in *propagationIn) []wire.Need { return s.needs(action, in.RouteTableID, in.GatewayID) }
	}
	return []wire.Op{
		handle("CreateVpnGateway", func(in *createVPNGatewayIn) []wire.Need {
			return s.creates("CreateVpnGateway", kindVPN, in.TagSpecifications, nil)
		}, s.createVPNGateway),
		handle("DescribeVpnGateways", nil, s.describeVPNGateways),
		handle("AttachVpnGateway", on("ec2:AttachVpnGateway"), s.attachVPNGateway),
		handle("DetachVpnGateway", on("ec2:DetachVpnGateway"), s.detachVPNGateway),
		handle("DeleteVpnGateway", on("ec2:DeleteVpnGateway"), s.deleteVPNGateway),
		handle("EnableVgwRoutePropagation", propagation("ec2:EnableVgwRoutePropagation"), s.enablePropagation),
		handle("DisableVgwRoutePropagation", propagation("ec2:DisableVgwRoutePropagation"), s.disablePropagation),
	}
}

// holds tells whether the gateway is a VPC's: from the call that attaches it until it is detached.
func (g *vpnGateway) holds(v *vpc) bool { return g.vpc == v && g.attachment != "detached" }

// free tells whether the gateway is at no VPC.
func (g *vpnGateway) free() bool { return g.vpc == nil || g.attachment == "detached" }

func vpnGatewayXMLOf(g *vpnGateway) vpnGatewayXML {
	x := vpnGatewayXML{ID: g.id, State: g.state, Type: "ipsec.1", AvailabilityZone: g.zone, AmazonSideASN: g.asn, Tags: tagSet(g.tags)}
	if g.vpc != nil {
		x.Attachments = []gatewayAttachment{{g.attachment, g.vpc.id}}
	}
	return x
}

// vpnGateway finds a gateway that is not deleted. The lock is held.
func (s *Service) vpnGateway(id string) (*vpnGateway, error) {
	g, err := get[*vpnGateway](s, kindVPN, id)
	if err == nil && g.state == "deleted" {
		err = kindVPN.notFound([]string{id})
	}
	return g, err
}

// privateASN tells whether a number is one that AWS takes for Amazon's side.
func privateASN(n int64) bool { return n >= 64512 && n <= 65534 || n >= 4200000000 && n <= 4294967294 }

func (s *Service) createVPNGateway(in *createVPNGatewayIn) (*vpnGatewayOut, error) {
	tags, err := specTags(in.TagSpecifications, "vpn-gateway")
	if err != nil {
		return nil, err
	}
	g := &vpnGateway{state: "available", asn: defaultASN, zone: in.AvailabilityZone}
	if in.AmazonSideASN != nil {
		g.asn = *in.AmazonSideASN
	}
	switch {
	case in.Type == "":
		return nil, missing("type")
	case in.Type != "ipsec.1":
		return nil, invalid("Value (%s) for parameter type is invalid.", in.Type)
	case !privateASN(g.asn):
		return nil, invalid("Value (%d) for parameter amazonSideAsn is invalid.", g.asn)
	case g.zone != "" && s.zoneID(g.zone) == "":
		return nil, invalid("Value (%s) for parameter availabilityZone is invalid.", g.zone)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.add(kindVPN, g, tags)
	return &vpnGatewayOut{vpnGatewayXMLOf(g)}, nil
}

func (s *Service) describeVPNGateways(in *describeVPNGatewaysIn) (*describeVPNGatewaysOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range all[*vpnGateway](s) {
		if g.state == "deleted" && time.Since(g.deleted) > goneVisible {
			s.remove(g)
		}
	}
	items, _, err := describe(s, kindVPN, vpnFilters, query{ids: in.IDs, filters: in.Filters})
	out := &describeVPNGatewaysOut{}
	for _, g := range items {
		out.Gateways = append(out.Gateways, vpnGatewayXMLOf(g))
	}
	return out, err
}

func (s *Service) attachVPNGateway(in *vpnGatewayIn) (*attachVPNGatewayOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := s.vpnGateway(in.ID)
	if err != nil {
		return nil, err
	}
	v, err := get[*vpc](s, kindVPC, in.VpcID)
	switch {
	case err != nil:
		return nil, err
	case g.attachment == "detaching":
		return nil, wire.Errf("InvalidVpnGatewayState", "The virtual private gateway %s is not in an available state.", g.id)
	case g.holds(v): // the same again is no error
		return &attachVPNGatewayOut{gatewayAttachment{g.attachment, v.id}}, nil
	case !g.free():
		return nil, wire.Errf("VpnGatewayAttachmentLimitExceeded", "The maximum number of virtual private gateway attachments has been reached.")
	}
	for _, o := range all[*vpnGateway](s) {
		if o.holds(v) {
			return nil, wire.Errf("InvalidVpcState", "VPC %s already has a virtual private gateway attached: %s", v.id, o.id)
		}
	}
	g.vpc, g.attachment = v, "attaching"
	s.afterGateway(func() {
		if g.attachment == "attaching" {
			g.attachment = "attached"
		}
	})
	return &attachVPNGatewayOut{gatewayAttachment{g.attachment, v.id}}, nil
}

// detachVPNGateway leaves the VPC's routes to the gateway behind, which lead nowhere then; what it propagates ends. The
// attachment is shown as detached until there is another.
func (s *Service) detachVPNGateway(in *vpnGatewayIn) (*done, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := s.vpnGateway(in.ID)
	switch {
	case err != nil:
		return nil, err
	case g.vpc == nil || g.vpc.id != in.VpcID || g.attachment == "detached":
		return nil, wire.Errf("InvalidVpnGatewayAttachment.NotFound", "The attachment with vpn gateway ID '%s' and vpc ID '%s' does not exist", g.id, in.VpcID)
	case g.attachment == "detaching":
		return &done{true}, nil
	}
	g.attachment = "detaching"
	s.afterGateway(func() {
		g.attachment = "detached"
		for _, t := range all[*routeTable](s) {
			t.propagating = slices.DeleteFunc(t.propagating, func(o *vpnGateway) bool { return o == g })
		}
	})
	return &done{true}, nil
}

// deleteVPNGateway takes a gateway away; its entry stays for an hour.
func (s *Service) deleteVPNGateway(in *vpnGatewayIn) (*done, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, err := s.vpnGateway(in.ID)
	switch {
	case err != nil:
		return nil, err
	case !g.free():
		return nil, wire.Errf("IncorrectState", "The vpnGateway '%s' has a VPC attached: detach it first.", g.id)
	}
	g.state, g.deleted = "deleted", time.Now()
	return &done{true}, nil
}

func (s *Service) enablePropagation(in *propagationIn) (*done, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := get[*routeTable](s, kindRoutes, in.RouteTableID)
	if err != nil {
		return nil, err
	}
	g, err := s.vpnGateway(in.GatewayID)
	switch {
	case err != nil:
		return nil, err
	case g.vpc != t.vpc || g.attachment != "attached":
		return nil, wire.Errf("Gateway.NotAttached", "resource %s is not attached to network %s", g.id, t.vpc.id)
	case !slices.Contains(t.propagating, g):
		t.propagating = append(t.propagating, g)
	}
	return &done{true}, nil
}

func (s *Service) disablePropagation(in *propagationIn) (*done, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := get[*routeTable](s, kindRoutes, in.RouteTableID)
	if err != nil {
		return nil, err
	}
	g, err := s.vpnGateway(in.GatewayID)
	if err != nil {
		return nil, err
	}
	t.propagating = slices.DeleteFunc(t.propagating, func(o *vpnGateway) bool { return o == g })
	return &done{true}, nil
}
