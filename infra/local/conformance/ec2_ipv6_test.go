package conformance

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// soon waits until something is so: EC2 says it a little later than it does it.
func (s *ec2Suite) soon(what string, so func() bool) {
	s.t.Helper()
	deadline := time.Now().Add(5 * time.Minute)
	if s.tg.Endpoint != "" {
		deadline = time.Now().Add(20 * time.Second)
	}
	for !so() {
		if time.Now().After(deadline) {
			s.t.Fatalf("%s does not come true", what)
		}
		select {
		case <-s.ctx.Done():
			s.t.Fatal(s.ctx.Err())
		case <-time.After(s.delay()):
		}
	}
}

// ipv6 makes a VPC with an IPv6 range of Amazon's, associated; it goes with the test.
func (s *ec2Suite) ipv6() (vpc string, cidr netip.Prefix) {
	s.t.Helper()
	v := must(s.CreateVpc(s.ctx, &ec2.CreateVpcInput{CidrBlock: aws.String("10.8.0.0/16"), AmazonProvidedIpv6CidrBlock: aws.Bool(true), TagSpecifications: s.tags("vpc")}))(s.t).Vpc
	vpc = *v.VpcId
	s.undo("VPC", func(ctx context.Context) error {
		_, err := s.DeleteVpc(ctx, &ec2.DeleteVpcInput{VpcId: &vpc})
		return err
	})
	if len(v.Ipv6CidrBlockAssociationSet) != 1 || exact(s.tg) && v.Ipv6CidrBlockAssociationSet[0].Ipv6CidrBlockState.State != "associating" {
		s.t.Errorf("a new VPC's IPv6 ranges: %+v", v.Ipv6CidrBlockAssociationSet)
	}
	s.soon("the IPv6 range's association", func() bool {
		a := must(s.DescribeVpcs(s.ctx, &ec2.DescribeVpcsInput{VpcIds: []string{vpc}}))(s.t).Vpcs[0].Ipv6CidrBlockAssociationSet
		if len(a) == 0 || a[0].Ipv6CidrBlockState.State != "associated" {
			return false
		}
		cidr = netip.MustParsePrefix(*a[0].Ipv6CidrBlock)
		return true
	})
	if cidr.Bits() != 56 {
		s.t.Errorf("Amazon's range is %s, want a /56", cidr)
	}
	return vpc, cidr
}

// sixtyFour is the nth /64 of a /56.
func sixtyFour(p netip.Prefix, n byte) *string {
	b := p.Addr().As16()
	b[7] |= n
	return aws.String(netip.PrefixFrom(netip.AddrFrom16(b), 64).String())
}

func TestEC2IPv6(t *testing.T) {
	t.Parallel()
	s := newEC2(t)
	vpc, cidr := s.ipv6()
	if exact(s.tg) {
		_, err := s.CreateSubnet(s.ctx, &ec2.CreateSubnetInput{VpcId: &vpc, CidrBlock: aws.String("10.8.9.0/24"), Ipv6CidrBlock: aws.String("2600:db8::/64")})
		wantEC2(t, err, "InvalidSubnet.Range")
	}
	sub := must(s.CreateSubnet(s.ctx, &ec2.CreateSubnetInput{VpcId: &vpc, CidrBlock: aws.String("10.8.0.0/24"), Ipv6CidrBlock: sixtyFour(cidr, 1)}))(t).Subnet
	plain := must(s.CreateSubnet(s.ctx, &ec2.CreateSubnetInput{VpcId: &vpc, CidrBlock: aws.String("10.8.1.0/24")}))(t).Subnet
	for _, id := range []*string{sub.SubnetId, plain.SubnetId} {
		s.undo("subnet", func(ctx context.Context) error {
			_, err := s.DeleteSubnet(ctx, &ec2.DeleteSubnetInput{SubnetId: id})
			return err
		})
	}
	on := &types.AttributeBooleanValue{Value: aws.Bool(true)}
	if exact(s.tg) {
		_, err := s.CreateSubnet(s.ctx, &ec2.CreateSubnetInput{VpcId: &vpc, CidrBlock: aws.String("10.8.2.0/24"), Ipv6CidrBlock: sixtyFour(cidr, 1)})
		wantEC2(t, err, "InvalidSubnet.Conflict")
		_, err = s.ModifySubnetAttribute(s.ctx, &ec2.ModifySubnetAttributeInput{SubnetId: plain.SubnetId, AssignIpv6AddressOnCreation: on})
		wantEC2(t, err, "InvalidParameterValue")
		_, err = s.ModifySubnetAttribute(s.ctx, &ec2.ModifySubnetAttributeInput{SubnetId: sub.SubnetId, AssignIpv6AddressOnCreation: on, MapPublicIpOnLaunch: on})
		wantEC2(t, err, "InvalidParameterCombination")
	}
	more := must(s.AssociateSubnetCidrBlock(s.ctx, &ec2.AssociateSubnetCidrBlockInput{SubnetId: plain.SubnetId, Ipv6CidrBlock: sixtyFour(cidr, 2)}))(t)
	must(s.ModifySubnetAttribute(s.ctx, &ec2.ModifySubnetAttributeInput{SubnetId: sub.SubnetId, AssignIpv6AddressOnCreation: on}))(t)
	if exact(s.tg) { // moto knows neither
		must(s.ModifySubnetAttribute(s.ctx, &ec2.ModifySubnetAttributeInput{SubnetId: sub.SubnetId, PrivateDnsHostnameTypeOnLaunch: "resource-name"}))(t)
		must(s.ModifySubnetAttribute(s.ctx, &ec2.ModifySubnetAttributeInput{SubnetId: sub.SubnetId, EnableResourceNameDnsARecordOnLaunch: on}))(t)
	}
	got := must(s.DescribeSubnets(s.ctx, &ec2.DescribeSubnetsInput{SubnetIds: []string{*sub.SubnetId}}))(t).Subnets[0]
	if !*got.AssignIpv6AddressOnCreation || len(got.Ipv6CidrBlockAssociationSet) != 1 || *got.Ipv6CidrBlockAssociationSet[0].Ipv6CidrBlock != *sixtyFour(cidr, 1) ||
		exact(s.tg) && (got.PrivateDnsNameOptionsOnLaunch.HostnameType != "resource-name" || !*got.PrivateDnsNameOptionsOnLaunch.EnableResourceNameDnsARecord) {
		t.Errorf("subnet %+v", got)
	}
	must(s.DisassociateSubnetCidrBlock(s.ctx, &ec2.DisassociateSubnetCidrBlockInput{AssociationId: more.Ipv6CidrBlockAssociation.AssociationId}))(t)
	if exact(s.tg) {
		_, err := s.DisassociateSubnetCidrBlock(s.ctx, &ec2.DisassociateSubnetCidrBlockInput{AssociationId: got.Ipv6CidrBlockAssociationSet[0].AssociationId})
		wantEC2(t, err, "InvalidCidrBlock.InUse")
	}

	egress := must(s.CreateEgressOnlyInternetGateway(s.ctx, &ec2.CreateEgressOnlyInternetGatewayInput{VpcId: &vpc, TagSpecifications: s.tags("egress-only-internet-gateway")}))(t).EgressOnlyInternetGateway.EgressOnlyInternetGatewayId
	table := must(s.CreateRouteTable(s.ctx, &ec2.CreateRouteTableInput{VpcId: &vpc}))(t).RouteTable
	if exact(s.tg) && len(table.Routes) != 2 {
		t.Errorf("local routes %+v", table.Routes)
	}
	everywhere := aws.String("::/0")
	must(s.CreateRoute(s.ctx, &ec2.CreateRouteInput{RouteTableId: table.RouteTableId, DestinationIpv6CidrBlock: everywhere, EgressOnlyInternetGatewayId: egress}))(t)
	routes := must(s.DescribeRouteTables(s.ctx, &ec2.DescribeRouteTablesInput{RouteTableIds: []string{*table.RouteTableId}}))(t).RouteTables[0].Routes
	if last := routes[len(routes)-1]; *last.DestinationIpv6CidrBlock != "::/0" || *last.EgressOnlyInternetGatewayId != *egress || last.State != "active" {
		t.Errorf("routes %+v", routes)
	}
	if exact(s.tg) {
		_, err := s.DeleteVpc(s.ctx, &ec2.DeleteVpcInput{VpcId: &vpc})
		wantEC2(t, err, "DependencyViolation")
	}
	all := must(s.DescribeEgressOnlyInternetGateways(s.ctx, &ec2.DescribeEgressOnlyInternetGatewaysInput{EgressOnlyInternetGatewayIds: []string{*egress}}))(t).EgressOnlyInternetGateways
	if len(all) != 1 || *all[0].Attachments[0].VpcId != vpc || len(all[0].Tags) != 1 {
		t.Errorf("egress-only gateways %+v", all)
	}
	must(s.DeleteRoute(s.ctx, &ec2.DeleteRouteInput{RouteTableId: table.RouteTableId, DestinationIpv6CidrBlock: everywhere}))(t)
	must(s.DeleteRouteTable(s.ctx, &ec2.DeleteRouteTableInput{RouteTableId: table.RouteTableId}))(t)
	must(s.DeleteEgressOnlyInternetGateway(s.ctx, &ec2.DeleteEgressOnlyInternetGatewayInput{EgressOnlyInternetGatewayId: egress}))(t)
}

func TestEC2SecondaryCIDR(t *testing.T) {
	t.Parallel()
	s := newEC2(t)
	vpc, _ := s.vpc(0)
	in := &ec2.AssociateVpcCidrBlockInput{VpcId: &vpc, CidrBlock: aws.String("100.64.0.0/16")}
	added := must(s.AssociateVpcCidrBlock(s.ctx, in))(t).CidrBlockAssociation
	s.soon("the range's association", func() bool {
		v := must(s.DescribeVpcs(s.ctx, &ec2.DescribeVpcsInput{VpcIds: []string{vpc}}))(t).Vpcs[0]
		return len(v.CidrBlockAssociationSet) == 2 && v.CidrBlockAssociationSet[1].CidrBlockState.State == "associated"
	})
	sub := must(s.CreateSubnet(s.ctx, &ec2.CreateSubnetInput{VpcId: &vpc, CidrBlock: aws.String("100.64.0.0/24")}))(t).Subnet.SubnetId
	if exact(s.tg) { // moto checks none of these
		_, err := s.DisassociateVpcCidrBlock(s.ctx, &ec2.DisassociateVpcCidrBlockInput{AssociationId: added.AssociationId})
		wantEC2(t, err, "InvalidCidrBlock.InUse")
		for _, cidr := range []string{"10.7.128.0/20", "192.168.0.0/16", "198.19.0.0/20", "100.64.0.0/15"} {
			_, err := s.AssociateVpcCidrBlock(s.ctx, &ec2.AssociateVpcCidrBlockInput{VpcId: &vpc, CidrBlock: &cidr})
			wantEC2(t, err, "InvalidVpc.Range")
		}
	}
	must(s.DeleteSubnet(s.ctx, &ec2.DeleteSubnetInput{SubnetId: sub}))(t)
	primary := must(s.DescribeVpcs(s.ctx, &ec2.DescribeVpcsInput{VpcIds: []string{vpc}}))(t).Vpcs[0].CidrBlockAssociationSet[0]
	_, err := s.DisassociateVpcCidrBlock(s.ctx, &ec2.DisassociateVpcCidrBlockInput{AssociationId: primary.AssociationId})
	wantEC2(t, err, "OperationNotPermitted")
	must(s.DisassociateVpcCidrBlock(s.ctx, &ec2.DisassociateVpcCidrBlockInput{AssociationId: added.AssociationId}))(t)
}
