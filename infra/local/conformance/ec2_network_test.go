package conformance

import (
	"context"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

func TestEC2VPCAndSubnets(t *testing.T) {
	t.Parallel()
	s := newEC2(t)
	vpc, subnets := s.vpc(2)
	out := must(s.DescribeVpcs(s.ctx, &ec2.DescribeVpcsInput{VpcIds: []string{vpc}}))(t).Vpcs[0]
	if *out.CidrBlock != "10.7.0.0/16" || *out.IsDefault || len(out.Tags) != 1 || out.State != "available" {
		t.Errorf("VPC %+v", out)
	}
	must(s.ModifyVpcAttribute(s.ctx, &ec2.ModifyVpcAttributeInput{VpcId: &vpc, EnableDnsHostnames: &types.AttributeBooleanValue{Value: aws.Bool(true)}}))(t)
	attr := must(s.DescribeVpcAttribute(s.ctx, &ec2.DescribeVpcAttributeInput{VpcId: &vpc, Attribute: "enableDnsHostnames"}))(t)
	if !*attr.EnableDnsHostnames.Value {
		t.Error("enableDnsHostnames is not set")
	}
	sub := must(s.DescribeSubnets(s.ctx, &ec2.DescribeSubnetsInput{SubnetIds: subnets[:1]}))(t).Subnets[0]
	if *sub.AvailableIpAddressCount != 251 || *sub.VpcId != vpc || *sub.MapPublicIpOnLaunch {
		t.Errorf("subnet %+v", sub)
	}
	must(s.ModifySubnetAttribute(s.ctx, &ec2.ModifySubnetAttributeInput{SubnetId: &subnets[0], MapPublicIpOnLaunch: &types.AttributeBooleanValue{Value: aws.Bool(true)}}))(t)
	mine := must(s.DescribeSubnets(s.ctx, &ec2.DescribeSubnetsInput{Filters: []types.Filter{s.mine(), {Name: aws.String("vpc-id"), Values: []string{vpc}}}}))(t)
	if len(mine.Subnets) != 2 {
		t.Errorf("%d subnets by tag", len(mine.Subnets))
	}
	for cidr, code := range map[string]string{"10.7.0.0/25": "InvalidSubnet.Conflict", "10.8.0.0/24": "InvalidSubnet.Range", "nonsense": "InvalidParameterValue"} {
		_, err := s.CreateSubnet(s.ctx, &ec2.CreateSubnetInput{VpcId: &vpc, CidrBlock: &cidr})
		wantEC2(t, err, code)
	}
	_, err := s.DescribeVpcs(s.ctx, &ec2.DescribeVpcsInput{VpcIds: []string{"vpc-0123456789abcdef0"}})
	wantEC2(t, err, "InvalidVpcID.NotFound")
	_, err = s.DescribeSubnets(s.ctx, &ec2.DescribeSubnetsInput{SubnetIds: []string{"subnet-0123456789abcdef0"}})
	wantEC2(t, err, "InvalidSubnetID.NotFound")
	if exact(s.tg) { // moto fails
		_, err = s.DescribeSubnets(s.ctx, &ec2.DescribeSubnetsInput{Filters: []types.Filter{{Name: aws.String("colour"), Values: []string{"x"}}}})
		wantEC2(t, err, "InvalidParameterValue")
	}
}

func TestEC2Routing(t *testing.T) {
	t.Parallel()
	s := newEC2(t)
	vpc, subnets := s.vpc(1)
	igw := *must(s.CreateInternetGateway(s.ctx, &ec2.CreateInternetGatewayInput{TagSpecifications: s.tags("internet-gateway")}))(t).InternetGateway.InternetGatewayId
	must(s.AttachInternetGateway(s.ctx, &ec2.AttachInternetGatewayInput{InternetGatewayId: &igw, VpcId: &vpc}))(t)
	s.undo("internet gateway", func(ctx context.Context) error {
		if _, err := s.DetachInternetGateway(ctx, &ec2.DetachInternetGatewayInput{InternetGatewayId: &igw, VpcId: &vpc}); err != nil {
			return err
		}
		_, err := s.DeleteInternetGateway(ctx, &ec2.DeleteInternetGatewayInput{InternetGatewayId: &igw})
		return err
	})
	_, err := s.DeleteVpc(s.ctx, &ec2.DeleteVpcInput{VpcId: &vpc})
	wantEC2(t, err, "DependencyViolation")
	table := *must(s.CreateRouteTable(s.ctx, &ec2.CreateRouteTableInput{VpcId: &vpc, TagSpecifications: s.tags("route-table")}))(t).RouteTable.RouteTableId
	must(s.CreateRoute(s.ctx, &ec2.CreateRouteInput{RouteTableId: &table, DestinationCidrBlock: aws.String("0.0.0.0/0"), GatewayId: &igw}))(t)
	assoc := *must(s.AssociateRouteTable(s.ctx, &ec2.AssociateRouteTableInput{RouteTableId: &table, SubnetId: &subnets[0]}))(t).AssociationId
	_, err = s.DeleteRouteTable(s.ctx, &ec2.DeleteRouteTableInput{RouteTableId: &table})
	wantEC2(t, err, "DependencyViolation")
	got := must(s.DescribeRouteTables(s.ctx, &ec2.DescribeRouteTablesInput{Filters: []types.Filter{{Name: aws.String("association.subnet-id"), Values: subnets}}}))(t).RouteTables
	if len(got) != 1 || *got[0].RouteTableId != table || len(got[0].Routes) != 2 || got[0].Routes[0].Origin != "CreateRouteTable" || *got[0].Routes[1].GatewayId != igw || got[0].Routes[1].State != "active" {
		t.Errorf("route tables %+v", got)
	}
	must(s.DeleteRoute(s.ctx, &ec2.DeleteRouteInput{RouteTableId: &table, DestinationCidrBlock: aws.String("0.0.0.0/0")}))(t)
	must(s.DisassociateRouteTable(s.ctx, &ec2.DisassociateRouteTableInput{AssociationId: &assoc}))(t)
	must(s.DeleteRouteTable(s.ctx, &ec2.DeleteRouteTableInput{RouteTableId: &table}))(t)

	eip := must(s.AllocateAddress(s.ctx, &ec2.AllocateAddressInput{Domain: "vpc", TagSpecifications: s.tags("elastic-ip")}))(t)
	nat := *must(s.CreateNatGateway(s.ctx, &ec2.CreateNatGatewayInput{SubnetId: &subnets[0], AllocationId: eip.AllocationId, TagSpecifications: s.tags("natgateway")}))(t).NatGateway.NatGatewayId
	s.undo("NAT gateway", func(ctx context.Context) error {
		if _, err := s.DeleteNatGateway(ctx, &ec2.DeleteNatGatewayInput{NatGatewayId: &nat}); err != nil {
			return err
		}
		w := ec2.NewNatGatewayDeletedWaiter(s, func(o *ec2.NatGatewayDeletedWaiterOptions) { o.MinDelay, o.MaxDelay = s.delay(), s.delay() })
		if err := w.Wait(ctx, &ec2.DescribeNatGatewaysInput{NatGatewayIds: []string{nat}}, 5*time.Minute); err != nil {
			return err
		}
		_, err := s.ReleaseAddress(ctx, &ec2.ReleaseAddressInput{AllocationId: eip.AllocationId})
		return err
	})
	w := ec2.NewNatGatewayAvailableWaiter(s, func(o *ec2.NatGatewayAvailableWaiterOptions) { o.MinDelay, o.MaxDelay = s.delay(), s.delay() })
	if err := w.Wait(s.ctx, &ec2.DescribeNatGatewaysInput{NatGatewayIds: []string{nat}}, 5*time.Minute); err != nil {
		t.Fatal(err)
	}
	a := must(s.DescribeAddresses(s.ctx, &ec2.DescribeAddressesInput{AllocationIds: []string{*eip.AllocationId}}))(t).Addresses[0]
	if *a.PublicIp != *eip.PublicIp || a.AssociationId == nil {
		t.Errorf("address %+v", a)
	}
}

func TestEC2SecurityGroups(t *testing.T) {
	t.Parallel()
	s := newEC2(t)
	vpc, _ := s.vpc(0)
	in := &ec2.CreateSecurityGroupInput{GroupName: &s.name, Description: aws.String("conformance"), VpcId: &vpc, TagSpecifications: s.tags("security-group")}
	id := *must(s.CreateSecurityGroup(s.ctx, in))(t).GroupId
	_, err := s.CreateSecurityGroup(s.ctx, in)
	wantEC2(t, err, "InvalidGroup.Duplicate")
	permissions := []types.IpPermission{{IpProtocol: aws.String("tcp"), FromPort: aws.Int32(443), ToPort: aws.Int32(443), IpRanges: []types.IpRange{{CidrIp: aws.String("10.0.0.0/8"), Description: aws.String("in")}}, UserIdGroupPairs: []types.UserIdGroupPair{{GroupId: &id}}}}
	allowed := must(s.AuthorizeSecurityGroupIngress(s.ctx, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: &id, IpPermissions: permissions}))(t)
	if len(allowed.SecurityGroupRules) != 2 {
		t.Errorf("rules %+v", allowed.SecurityGroupRules)
	}
	_, err = s.AuthorizeSecurityGroupIngress(s.ctx, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: &id, IpPermissions: permissions})
	wantEC2(t, err, "InvalidPermission.Duplicate")
	g := must(s.DescribeSecurityGroups(s.ctx, &ec2.DescribeSecurityGroupsInput{GroupIds: []string{id}}))(t).SecurityGroups[0]
	if len(g.IpPermissions) != 1 || len(g.IpPermissions[0].IpRanges) != 1 || len(g.IpPermissions[0].UserIdGroupPairs) != 1 || len(g.IpPermissionsEgress) != 1 || *g.IpPermissionsEgress[0].IpProtocol != "-1" {
		t.Errorf("security group %+v", g)
	}
	must(s.RevokeSecurityGroupIngress(s.ctx, &ec2.RevokeSecurityGroupIngressInput{GroupId: &id, IpPermissions: permissions}))(t)
	all := []types.IpPermission{{IpProtocol: aws.String("-1"), IpRanges: []types.IpRange{{CidrIp: aws.String("0.0.0.0/0")}}}}
	must(s.RevokeSecurityGroupEgress(s.ctx, &ec2.RevokeSecurityGroupEgressInput{GroupId: &id, IpPermissions: all}))(t)
	must(s.DeleteSecurityGroup(s.ctx, &ec2.DeleteSecurityGroupInput{GroupId: &id}))(t)
	_, err = s.DescribeSecurityGroups(s.ctx, &ec2.DescribeSecurityGroupsInput{GroupIds: []string{id}})
	wantEC2(t, err, "InvalidGroup.NotFound")
}

func TestEC2Tags(t *testing.T) {
	t.Parallel()
	s := newEC2(t)
	vpc, _ := s.vpc(0)
	must(s.CreateTags(s.ctx, &ec2.CreateTagsInput{Resources: []string{vpc}, Tags: []types.Tag{{Key: aws.String("a"), Value: aws.String("1")}, {Key: aws.String("b"), Value: aws.String("")}}}))(t)
	must(s.DeleteTags(s.ctx, &ec2.DeleteTagsInput{Resources: []string{vpc}, Tags: []types.Tag{{Key: aws.String("b")}}}))(t)
	out := must(s.DescribeTags(s.ctx, &ec2.DescribeTagsInput{Filters: []types.Filter{{Name: aws.String("resource-id"), Values: []string{vpc}}}}))(t)
	got := map[string]string{}
	for _, d := range out.Tags {
		got[*d.Key] = *d.Value
	}
	if len(got) != 2 || got["a"] != "1" || got["suite"] != s.name {
		t.Errorf("tags %v", got)
	}
	if !exact(s.tg) {
		return // moto takes reserved keys
	}
	_, err := s.CreateTags(s.ctx, &ec2.CreateTagsInput{Resources: []string{vpc}, Tags: []types.Tag{{Key: aws.String("aws:mine"), Value: aws.String("1")}}})
	wantEC2(t, err, "InvalidParameterValue")
}
