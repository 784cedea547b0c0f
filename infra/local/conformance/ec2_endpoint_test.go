package conformance

import (
	"context"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

func (s *ec2Suite) service(short string) *string {
	return aws.String("com.amazonaws." + s.tg.Region + "." + short)
}

func TestEC2GatewayEndpoint(t *testing.T) {
	t.Parallel()
	s := newEC2(t)
	vpc, _ := s.vpc(0)
	table := must(s.CreateRouteTable(s.ctx, &ec2.CreateRouteTableInput{VpcId: &vpc}))(t).RouteTable.RouteTableId
	s.undo("route table", func(ctx context.Context) error {
		_, err := s.DeleteRouteTable(ctx, &ec2.DeleteRouteTableInput{RouteTableId: table})
		return err
	})
	in := &ec2.CreateVpcEndpointInput{VpcId: &vpc, ServiceName: s.service("s3"), VpcEndpointType: "Gateway", RouteTableIds: []string{*table}, TagSpecifications: s.tags("vpc-endpoint")}
	e := must(s.CreateVpcEndpoint(s.ctx, in))(t).VpcEndpoint
	if e.State != "available" || e.VpcEndpointType != "Gateway" || !slices.Equal(e.RouteTableIds, []string{*table}) {
		t.Errorf("endpoint %+v", e)
	}
	routes := func() (n int) {
		for _, r := range must(s.DescribeRouteTables(s.ctx, &ec2.DescribeRouteTablesInput{RouteTableIds: []string{*table}}))(t).RouteTables[0].Routes {
			if r.DestinationPrefixListId != nil && *r.GatewayId == *e.VpcEndpointId && r.State == "active" {
				n++
			}
		}
		return n
	}
	if exact(s.tg) { // moto makes no route and takes everything
		if routes() != 1 {
			t.Errorf("%d routes to the endpoint", routes())
		}
		_, err := s.CreateVpcEndpoint(s.ctx, &ec2.CreateVpcEndpointInput{VpcId: &vpc, ServiceName: s.service("s3"), VpcEndpointType: "Gateway", RouteTableIds: []string{*table}})
		wantEC2(t, err, "RouteAlreadyExists")
		_, err = s.CreateVpcEndpoint(s.ctx, &ec2.CreateVpcEndpointInput{VpcId: &vpc, ServiceName: s.service("sts"), VpcEndpointType: "Gateway"})
		wantEC2(t, err, "InvalidParameter")
		_, err = s.CreateVpcEndpoint(s.ctx, &ec2.CreateVpcEndpointInput{VpcId: &vpc, ServiceName: s.service("nonsense"), VpcEndpointType: "Interface"})
		wantEC2(t, err, "InvalidServiceName")
		_, err = s.DeleteVpc(s.ctx, &ec2.DeleteVpcInput{VpcId: &vpc})
		wantEC2(t, err, "DependencyViolation")
		must(s.ModifyVpcEndpoint(s.ctx, &ec2.ModifyVpcEndpointInput{VpcEndpointId: e.VpcEndpointId, RemoveRouteTableIds: []string{*table}}))(t)
		if routes() != 0 {
			t.Error("the route stayed")
		}
		must(s.ModifyVpcEndpoint(s.ctx, &ec2.ModifyVpcEndpointInput{VpcEndpointId: e.VpcEndpointId, AddRouteTableIds: []string{*table}}))(t)
		list := must(s.DescribePrefixLists(s.ctx, &ec2.DescribePrefixListsInput{Filters: []types.Filter{{Name: aws.String("prefix-list-name"), Values: []string{*s.service("s3")}}}}))(t).PrefixLists
		if len(list) != 1 || len(list[0].Cidrs) == 0 {
			t.Errorf("prefix lists %+v", list)
		}
	}
	out := must(s.DeleteVpcEndpoints(s.ctx, &ec2.DeleteVpcEndpointsInput{VpcEndpointIds: []string{*e.VpcEndpointId}}))(t)
	if len(out.Unsuccessful) != 0 || routes() != 0 {
		t.Errorf("unsuccessful %+v, %d routes", out.Unsuccessful, routes())
	}
	s.endpointGone(*e.VpcEndpointId)
	if exact(s.tg) {
		out := must(s.DeleteVpcEndpoints(s.ctx, &ec2.DeleteVpcEndpointsInput{VpcEndpointIds: []string{*e.VpcEndpointId}}))(t)
		if len(out.Unsuccessful) != 1 || *out.Unsuccessful[0].Error.Code != "InvalidVpcEndpoint.NotFound" {
			t.Errorf("unsuccessful %+v", out.Unsuccessful)
		}
	}
}

// endpointGone waits until an endpoint is not described any more. moto describes it as deleted for ever.
func (s *ec2Suite) endpointGone(id string) {
	s.t.Helper()
	s.soon("the endpoint's end", func() bool {
		out, err := s.DescribeVpcEndpoints(s.ctx, &ec2.DescribeVpcEndpointsInput{VpcEndpointIds: []string{id}})
		if err != nil {
			wantEC2(s.t, err, "InvalidVpcEndpointId.NotFound")
			return true
		}
		return !exact(s.tg) && out.VpcEndpoints[0].State == "deleted"
	})
}

func TestEC2InterfaceEndpoint(t *testing.T) {
	t.Parallel()
	s := newEC2(t)
	vpc, subnets := s.vpc(2)
	group := must(s.CreateSecurityGroup(s.ctx, &ec2.CreateSecurityGroupInput{GroupName: &s.name, Description: aws.String("endpoints"), VpcId: &vpc}))(t).GroupId
	s.undo("group", func(ctx context.Context) error {
		_, err := s.DeleteSecurityGroup(ctx, &ec2.DeleteSecurityGroupInput{GroupId: group})
		return err
	})
	in := func() *ec2.CreateVpcEndpointInput {
		return &ec2.CreateVpcEndpointInput{
			VpcId: &vpc, ServiceName: s.service("sts"), VpcEndpointType: "Interface", SubnetIds: subnets, SecurityGroupIds: []string{*group}, PrivateDnsEnabled: aws.Bool(true),
			TagSpecifications: s.tags("vpc-endpoint"),
		}
	}
	if exact(s.tg) {
		_, err := s.CreateVpcEndpoint(s.ctx, in())
		wantEC2(t, err, "InvalidParameter") // private DNS needs DNS host names
	}
	must(s.ModifyVpcAttribute(s.ctx, &ec2.ModifyVpcAttributeInput{VpcId: &vpc, EnableDnsHostnames: &types.AttributeBooleanValue{Value: aws.Bool(true)}}))(t)
	e := must(s.CreateVpcEndpoint(s.ctx, in()))(t).VpcEndpoint
	if exact(s.tg) && e.State != "pending" {
		t.Errorf("a new endpoint is %s", e.State)
	}
	id := *e.VpcEndpointId
	s.soon("the endpoint's availability", func() bool {
		e = &must(s.DescribeVpcEndpoints(s.ctx, &ec2.DescribeVpcEndpointsInput{Filters: []types.Filter{{Name: aws.String("vpc-id"), Values: []string{vpc}}}}))(t).VpcEndpoints[0]
		return e.State == "available"
	})
	if len(e.SubnetIds) != 2 || len(e.Groups) != 1 || !*e.PrivateDnsEnabled || exact(s.tg) && (len(e.NetworkInterfaceIds) != 2 || len(e.DnsEntries) != 4) {
		t.Errorf("endpoint %+v", e)
	}
	if exact(s.tg) { // moto makes the interfaces but says little of them
		enis := must(s.DescribeNetworkInterfaces(s.ctx, &ec2.DescribeNetworkInterfacesInput{Filters: []types.Filter{{Name: aws.String("group-id"), Values: []string{*group}}}}))(t).NetworkInterfaces
		if len(enis) != 2 || !*enis[0].RequesterManaged || enis[0].InterfaceType != "vpc_endpoint" || *enis[0].Description != "VPC Endpoint Interface "+id {
			t.Errorf("interfaces %+v", enis)
		}
		sub := must(s.DescribeSubnets(s.ctx, &ec2.DescribeSubnetsInput{SubnetIds: subnets[:1]}))(t).Subnets[0]
		if *sub.AvailableIpAddressCount != 250 {
			t.Errorf("%d free addresses", *sub.AvailableIpAddressCount)
		}
		_, err := s.CreateVpcEndpoint(s.ctx, in())
		wantEC2(t, err, "InvalidParameter") // the private name is taken
		_, err = s.DeleteSubnet(s.ctx, &ec2.DeleteSubnetInput{SubnetId: &subnets[0]})
		wantEC2(t, err, "DependencyViolation")
		_, err = s.DeleteSecurityGroup(s.ctx, &ec2.DeleteSecurityGroupInput{GroupId: group})
		wantEC2(t, err, "DependencyViolation")
		_, err = s.DeleteNetworkInterface(s.ctx, &ec2.DeleteNetworkInterfaceInput{NetworkInterfaceId: enis[0].NetworkInterfaceId})
		wantEC2(t, err, "InvalidParameterValue")
		_, err = s.DetachNetworkInterface(s.ctx, &ec2.DetachNetworkInterfaceInput{AttachmentId: enis[0].Attachment.AttachmentId})
		wantEC2(t, err, "OperationNotPermitted")
		must(s.ModifyVpcEndpoint(s.ctx, &ec2.ModifyVpcEndpointInput{VpcEndpointId: &id, RemoveSubnetIds: subnets[:1]}))(t)
		_, err = s.ModifyVpcEndpoint(s.ctx, &ec2.ModifyVpcEndpointInput{VpcEndpointId: &id, AddSubnetIds: subnets[1:]})
		wantEC2(t, err, "DuplicateSubnetsInSameZone")
	}
	must(s.DeleteVpcEndpoints(s.ctx, &ec2.DeleteVpcEndpointsInput{VpcEndpointIds: []string{id}}))(t)
	if exact(s.tg) {
		if e := must(s.DescribeVpcEndpoints(s.ctx, &ec2.DescribeVpcEndpointsInput{VpcEndpointIds: []string{id}}))(t).VpcEndpoints[0]; e.State != "deleting" {
			t.Errorf("an endpoint that is being deleted is %s", e.State)
		}
	}
	s.endpointGone(id)
}

func TestEC2EndpointServices(t *testing.T) {
	t.Parallel()
	s := newEC2(t)
	out := must(s.DescribeVpcEndpointServices(s.ctx, &ec2.DescribeVpcEndpointServicesInput{ServiceNames: []string{*s.service("s3"), *s.service("ecr.dkr")}}))(t)
	kinds := map[string]bool{}
	for _, d := range out.ServiceDetails {
		for _, k := range d.ServiceType {
			kinds[*d.ServiceName+" "+string(k.ServiceType)] = true
		}
	}
	for _, want := range []string{*s.service("s3") + " Gateway", *s.service("s3") + " Interface", *s.service("ecr.dkr") + " Interface"} {
		if !kinds[want] {
			t.Errorf("no %s in %v", want, kinds)
		}
	}
	if exact(s.tg) {
		_, err := s.DescribeVpcEndpointServices(s.ctx, &ec2.DescribeVpcEndpointServicesInput{ServiceNames: []string{*s.service("nonsense")}})
		wantEC2(t, err, "InvalidServiceName")
	}
}
