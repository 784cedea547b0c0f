package conformance

import (
	"context"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// onPremises is where the routes of these tests lead.
var onPremises = aws.String("10.80.0.0/16")

// route finds the route to onPremises.
func (s *ec2Suite) route(table *string) types.Route {
	s.t.Helper()
	routes := must(s.DescribeRouteTables(s.ctx, &ec2.DescribeRouteTablesInput{RouteTableIds: []string{*table}}))(s.t).RouteTables[0].Routes
	i := slices.IndexFunc(routes, func(r types.Route) bool { return aws.ToString(r.DestinationCidrBlock) == *onPremises })
	if i < 0 {
		s.t.Fatalf("no route to %s: %+v", *onPremises, routes)
	}
	return routes[i]
}

// table makes a route table, which goes with the test.
func (s *ec2Suite) table(vpc string) *string {
	s.t.Helper()
	id := must(s.CreateRouteTable(s.ctx, &ec2.CreateRouteTableInput{VpcId: &vpc, TagSpecifications: s.tags("route-table")}))(s.t).RouteTable.RouteTableId
	s.undo("route table", func(ctx context.Context) error {
		_, err := s.DeleteRouteTable(ctx, &ec2.DeleteRouteTableInput{RouteTableId: id})
		return err
	})
	return id
}

func TestEC2Gateways(t *testing.T) {
	t.Parallel()
	s := newEC2(t)
	t.Run("virtual private gateway", func(t *testing.T) { s.at(t).vpnGateway() })
	t.Run("transit gateway", func(t *testing.T) { s.at(t).transitGateway() })
	t.Run("own IPv6 addresses", func(t *testing.T) { s.at(t).ownIPv6() })
}

// at is the suite in a subtest.
func (s *ec2Suite) at(t *testing.T) *ec2Suite {
	sub := *s
	sub.t, sub.ctx = t, t.Context()
	return &sub
}

func (s *ec2Suite) vpnGateway() {
	t := s.t
	vpc, _ := s.vpc(0)
	table := s.table(vpc)
	g := must(s.CreateVpnGateway(s.ctx, &ec2.CreateVpnGatewayInput{Type: "ipsec.1", TagSpecifications: s.tags("vpn-gateway")}))(t).VpnGateway
	id := g.VpnGatewayId
	s.undo("virtual private gateway", func(ctx context.Context) error {
		_, err := s.DeleteVpnGateway(ctx, &ec2.DeleteVpnGatewayInput{VpnGatewayId: id})
		return err
	})
	attachment := func() types.AttachmentStatus {
		got := must(s.DescribeVpnGateways(s.ctx, &ec2.DescribeVpnGatewaysInput{VpnGatewayIds: []string{*id}, Filters: []types.Filter{s.mine()}}))(t).VpnGateways
		if len(got) != 1 || got[0].State != types.VpnStateAvailable || got[0].Type != types.GatewayTypeIpsec1 || len(got[0].Tags) != 1 {
			t.Fatalf("gateways %+v", got)
		}
		if len(got[0].VpcAttachments) == 0 {
			return types.AttachmentStatusDetached
		}
		return got[0].VpcAttachments[0].State
	}
	if got := attachment(); got != types.AttachmentStatusDetached || exact(s.tg) && *g.AmazonSideAsn != 64512 {
		t.Errorf("a new gateway is %s: %+v", got, g)
	}
	out := &ec2.CreateRouteInput{RouteTableId: table, DestinationCidrBlock: onPremises, GatewayId: id}
	propagation := &ec2.EnableVgwRoutePropagationInput{GatewayId: id, RouteTableId: table}
	if exact(s.tg) { // moto knows no propagation, and takes routes to gateways of other networks
		_, err := s.CreateRoute(s.ctx, out)
		wantEC2(t, err, "InvalidParameterValue")
		_, err = s.EnableVgwRoutePropagation(s.ctx, propagation)
		wantEC2(t, err, "Gateway.NotAttached")
	}
	in := &ec2.AttachVpnGatewayInput{VpnGatewayId: id, VpcId: &vpc}
	if got := must(s.AttachVpnGateway(s.ctx, in))(t).VpcAttachment; *got.VpcId != vpc {
		t.Errorf("attachment %+v", got)
	}
	s.soon("the gateway's attachment", func() bool { return attachment() == types.AttachmentStatusAttached })
	must(s.CreateRoute(s.ctx, out))(t)
	if got := s.route(table); aws.ToString(got.GatewayId) != *id || got.State != types.RouteStateActive {
		t.Errorf("route %+v", got)
	}
	if exact(s.tg) {
		must(s.EnableVgwRoutePropagation(s.ctx, propagation))(t)
		if got := must(s.DescribeRouteTables(s.ctx, &ec2.DescribeRouteTablesInput{RouteTableIds: []string{*table}}))(t).RouteTables[0].PropagatingVgws; len(got) != 1 || *got[0].GatewayId != *id {
			t.Errorf("propagating %+v", got)
		}
		must(s.DisableVgwRoutePropagation(s.ctx, &ec2.DisableVgwRoutePropagationInput{GatewayId: id, RouteTableId: table}))(t)
		_, err := s.DeleteVpnGateway(s.ctx, &ec2.DeleteVpnGatewayInput{VpnGatewayId: id})
		wantEC2(t, err, "IncorrectState")
	}
	must(s.DetachVpnGateway(s.ctx, &ec2.DetachVpnGatewayInput{VpnGatewayId: id, VpcId: &vpc}))(t)
	s.soon("the gateway's detachment", func() bool { return attachment() == types.AttachmentStatusDetached })
	if got := s.route(table); exact(s.tg) && got.State != types.RouteStateBlackhole {
		t.Errorf("route %+v", got)
	}
	_, err := s.DetachVpnGateway(s.ctx, &ec2.DetachVpnGatewayInput{VpnGatewayId: id, VpcId: aws.String("vpc-0123456789abcdef0")})
	wantEC2(t, err, "InvalidVpnGatewayAttachment.NotFound")
	if exact(s.tg) { // moto has another code
		in.VpnGatewayId = aws.String("vgw-0123456789abcdef0")
		_, err = s.AttachVpnGateway(s.ctx, in)
		wantEC2(t, err, "InvalidVpnGatewayID.NotFound")
	}
}

// attachment finds the suite's attachment to a transit gateway.
func (s *ec2Suite) attachment(gateway *string) types.TransitGatewayVpcAttachment {
	s.t.Helper()
	got := must(s.DescribeTransitGatewayVpcAttachments(s.ctx, &ec2.DescribeTransitGatewayVpcAttachmentsInput{
		Filters: []types.Filter{s.mine(), {Name: aws.String("transit-gateway-id"), Values: []string{*gateway}}},
	}))(s.t).TransitGatewayVpcAttachments
	if len(got) != 1 {
		s.t.Fatalf("attachments %+v", got)
	}
	return got[0]
}

func (s *ec2Suite) transitGateway() {
	t := s.t
	vpc, subnets := s.vpc(2)
	table := s.table(vpc)
	gateway := must(s.CreateTransitGateway(s.ctx, &ec2.CreateTransitGatewayInput{
		Options: &types.TransitGatewayRequestOptions{AmazonSideAsn: aws.Int64(65000), DnsSupport: "enable"}, TagSpecifications: s.tags("transit-gateway"),
	}))(t).TransitGateway.TransitGatewayId
	state := func() types.TransitGatewayState {
		g := must(s.DescribeTransitGateways(s.ctx, &ec2.DescribeTransitGatewaysInput{TransitGatewayIds: []string{*gateway}}))(t).TransitGateways[0]
		if *g.Options.AmazonSideAsn != 65000 || len(g.Tags) != 1 {
			t.Errorf("gateway %+v", g)
		}
		return g.State
	}
	s.soon("the transit gateway", func() bool { return state() == types.TransitGatewayStateAvailable })
	in := &ec2.CreateTransitGatewayVpcAttachmentInput{
		TransitGatewayId: gateway, VpcId: &vpc, SubnetIds: subnets[:1], TagSpecifications: s.tags("transit-gateway-attachment"),
		Options: &types.CreateTransitGatewayVpcAttachmentRequestOptions{ApplianceModeSupport: "enable"},
	}
	a := must(s.CreateTransitGatewayVpcAttachment(s.ctx, in))(t).TransitGatewayVpcAttachment
	out := &ec2.CreateRouteInput{RouteTableId: table, DestinationCidrBlock: onPremises, TransitGatewayId: gateway}
	if exact(s.tg) { // moto's are there at once, and as many as you like
		if a.State != types.TransitGatewayAttachmentStatePending {
			t.Errorf("a new attachment is %s", a.State)
		}
		_, err := s.CreateTransitGatewayVpcAttachment(s.ctx, in)
		wantEC2(t, err, "DuplicateTransitGatewayAttachment")
		unknown := *in
		unknown.TransitGatewayId = aws.String("tgw-0123456789abcdef0")
		_, err = s.CreateTransitGatewayVpcAttachment(s.ctx, &unknown)
		wantEC2(t, err, "InvalidTransitGatewayID.NotFound")
	}
	available := func() bool { return s.attachment(gateway).State == types.TransitGatewayAttachmentStateAvailable }
	s.soon("the attachment", available)
	must(s.CreateRoute(s.ctx, out))(t)
	if got := s.route(table); aws.ToString(got.TransitGatewayId) != *gateway || got.State != types.RouteStateActive {
		t.Errorf("route %+v", got)
	}
	must(s.ModifyTransitGatewayVpcAttachment(s.ctx, &ec2.ModifyTransitGatewayVpcAttachmentInput{TransitGatewayAttachmentId: a.TransitGatewayAttachmentId, AddSubnetIds: subnets[1:]}))(t)
	s.soon("the attachment's second subnet", available)
	got := s.attachment(gateway)
	slices.Sort(got.SubnetIds)
	if slices.Sort(subnets); !slices.Equal(got.SubnetIds, subnets) || *got.VpcId != vpc || got.Options.ApplianceModeSupport != "enable" {
		t.Errorf("attachment %+v", got)
	}
	if exact(s.tg) {
		nics := must(s.DescribeNetworkInterfaces(s.ctx, &ec2.DescribeNetworkInterfacesInput{Filters: []types.Filter{
			{Name: aws.String("vpc-id"), Values: []string{vpc}}, {Name: aws.String("interface-type"), Values: []string{"transit_gateway"}},
		}}))(t).NetworkInterfaces
		if len(nics) != 2 {
			t.Errorf("interfaces %+v", nics)
		}
		_, err := s.DeleteSubnet(s.ctx, &ec2.DeleteSubnetInput{SubnetId: &subnets[0]})
		wantEC2(t, err, "DependencyViolation")
		_, err = s.DeleteTransitGateway(s.ctx, &ec2.DeleteTransitGatewayInput{TransitGatewayId: gateway})
		wantEC2(t, err, "IncorrectState")
	}
	must(s.DeleteTransitGatewayVpcAttachment(s.ctx, &ec2.DeleteTransitGatewayVpcAttachmentInput{TransitGatewayAttachmentId: a.TransitGatewayAttachmentId}))(t)
	if exact(s.tg) { // moto forgets it at once
		s.soon("the attachment's end", func() bool { return s.attachment(gateway).State == types.TransitGatewayAttachmentStateDeleted })
	}
	if got := s.route(table); exact(s.tg) && got.State != types.RouteStateBlackhole {
		t.Errorf("route %+v", got)
	}
	must(s.DeleteTransitGateway(s.ctx, &ec2.DeleteTransitGatewayInput{TransitGatewayId: gateway}))(t)
}

// ownIPv6 needs a pool of the account's own addresses, which no account has by itself: only the embedded cloud takes any.
func (s *ec2Suite) ownIPv6() {
	if !s.tg.Embedded {
		s.t.Skip("the account has no pool of IPv6 addresses")
	}
	t, pool, cidr := s.t, aws.String("ipv6pool-ec2-0123456789abcdef0"), aws.String("2a05:d018:1:100::/56")
	in := &ec2.CreateVpcInput{CidrBlock: aws.String("10.8.0.0/16"), Ipv6Pool: pool, Ipv6CidrBlock: cidr, TagSpecifications: s.tags("vpc")}
	vpc := must(s.CreateVpc(s.ctx, in))(t).Vpc.VpcId
	s.undo("VPC", func(ctx context.Context) error {
		_, err := s.DeleteVpc(ctx, &ec2.DeleteVpcInput{VpcId: vpc})
		return err
	})
	s.soon("the range's association", func() bool {
		a := must(s.DescribeVpcs(s.ctx, &ec2.DescribeVpcsInput{VpcIds: []string{*vpc}}))(t).Vpcs[0].Ipv6CidrBlockAssociationSet[0]
		if *a.Ipv6CidrBlock != *cidr || *a.Ipv6Pool != *pool || a.IpSource != types.IpSourceByoip {
			t.Fatalf("range %+v", a)
		}
		return a.Ipv6CidrBlockState.State == "associated"
	})
	_, err := s.CreateVpc(s.ctx, in)
	wantEC2(t, err, "InvalidVpc.Range")
	more := must(s.AssociateVpcCidrBlock(s.ctx, &ec2.AssociateVpcCidrBlockInput{VpcId: vpc, Ipv6Pool: pool, Ipv6CidrBlock: aws.String("2a05:d018:1:200::/56")}))(t).Ipv6CidrBlockAssociation
	if *more.Ipv6Pool != *pool || more.IpSource != types.IpSourceByoip {
		t.Errorf("second range %+v", more)
	}
}
