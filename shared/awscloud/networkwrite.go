package awscloud

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

func specification(kind types.ResourceType, tags map[string]string) []types.TagSpecification {
	s := types.TagSpecification{ResourceType: kind}
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		s.Tags = append(s.Tags, types.Tag{Key: aws.String(k), Value: aws.String(tags[k])})
	}
	return []types.TagSpecification{s}
}

// unless creates a resource unless one with its tags exists. EC2 has no idempotency token for most of what a network is
// made of, so this look right before is what keeps a repeated request from making a second one.
func unless[T any](find func(context.Context, []types.Filter) ([]T, error), ctx context.Context, of plan.Of, create func() error) error {
	have, err := find(ctx, tagged(fleet.TagCluster, of.Cluster, fleet.TagResource, of.ID))
	if err != nil || len(have) > 0 {
		return err
	}
	return create()
}

// CreateVPC makes a VPC, unless the cluster has one.
func (n *Networks) CreateVPC(ctx context.Context, a plan.CreateVPC) error {
	return unless(n.vpcs, ctx, a.Of, func() error {
		_, err := n.ec2.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: &a.CIDR, TagSpecifications: specification(types.ResourceTypeVpc, a.Tags)})
		return classify("ec2:CreateVpc", err)
	})
}

// EnableDNSHostnames gives DNS names to the VPC's instances.
func (n *Networks) EnableDNSHostnames(ctx context.Context, a plan.EnableDNSHostnames) error {
	_, err := n.ec2.ModifyVpcAttribute(ctx, &ec2.ModifyVpcAttributeInput{VpcId: &a.VPC, EnableDnsHostnames: &types.AttributeBooleanValue{Value: aws.Bool(true)}})
	return classify("ec2:ModifyVpcAttribute", err)
}

// CreateSubnet makes a subnet, unless it exists. EC2 refuses a second one with the same addresses.
func (n *Networks) CreateSubnet(ctx context.Context, a plan.CreateSubnet) error {
	return unless(n.subnets, ctx, a.Of, func() error {
		_, err := n.ec2.CreateSubnet(ctx, &ec2.CreateSubnetInput{
			VpcId: &a.VPC, AvailabilityZone: &a.Zone, CidrBlock: &a.CIDR, TagSpecifications: specification(types.ResourceTypeSubnet, a.Tags),
		})
		return classify("ec2:CreateSubnet", err)
	})
}

// AssignPublicIPs makes the subnet's instances get public addresses.
func (n *Networks) AssignPublicIPs(ctx context.Context, a plan.AssignPublicIPs) error {
	_, err := n.ec2.ModifySubnetAttribute(ctx, &ec2.ModifySubnetAttributeInput{SubnetId: &a.Subnet, MapPublicIpOnLaunch: &types.AttributeBooleanValue{Value: aws.Bool(true)}})
	return classify("ec2:ModifySubnetAttribute", err)
}

// CreateInternetGateway makes an internet gateway, unless the cluster has one.
func (n *Networks) CreateInternetGateway(ctx context.Context, a plan.CreateInternetGateway) error {
	return unless(n.gateways, ctx, a.Of, func() error {
		_, err := n.ec2.CreateInternetGateway(ctx, &ec2.CreateInternetGatewayInput{TagSpecifications: specification(types.ResourceTypeInternetGateway, a.Tags)})
		return classify("ec2:CreateInternetGateway", err)
	})
}

// AttachInternetGateway attaches the gateway. EC2 has no code for a VPC that has one, only a text.
func (n *Networks) AttachInternetGateway(ctx context.Context, a plan.AttachInternetGateway) error {
	_, err := n.ec2.AttachInternetGateway(ctx, &ec2.AttachInternetGatewayInput{InternetGatewayId: &a.Gateway, VpcId: &a.VPC})
	err = classify("ec2:AttachInternetGateway", err)
	if err != nil && strings.Contains(err.Error(), "already has an internet gateway attached") {
		return nil
	}
	return err
}

// CreateRouteTable makes a route table, unless it exists.
func (n *Networks) CreateRouteTable(ctx context.Context, a plan.CreateRouteTable) error {
	return unless(n.routeTables, ctx, a.Of, func() error {
		_, err := n.ec2.CreateRouteTable(ctx, &ec2.CreateRouteTableInput{VpcId: &a.VPC, TagSpecifications: specification(types.ResourceTypeRouteTable, a.Tags)})
		return classify("ec2:CreateRouteTable", err)
	})
}

// CreateRoute adds a route. One to the same destination is fault.Conflict.
func (n *Networks) CreateRoute(ctx context.Context, a plan.CreateRoute) error {
	in := &ec2.CreateRouteInput{RouteTableId: &a.RouteTable, DestinationCidrBlock: &a.Destination}
	if strings.HasPrefix(a.Target, "nat-") {
		in.NatGatewayId = &a.Target
	} else {
		in.GatewayId = &a.Target
	}
	_, err := n.ec2.CreateRoute(ctx, in)
	return classify("ec2:CreateRoute", err)
}

// AssociateRouteTable makes the subnet use the table. A subnet that uses one is fault.Conflict.
func (n *Networks) AssociateRouteTable(ctx context.Context, a plan.AssociateRouteTable) error {
	_, err := n.ec2.AssociateRouteTable(ctx, &ec2.AssociateRouteTableInput{RouteTableId: &a.RouteTable, SubnetId: &a.Subnet})
	return classify("ec2:AssociateRouteTable", err)
}

// AllocateAddress takes an Elastic IP address, unless the cluster has it.
func (n *Networks) AllocateAddress(ctx context.Context, a plan.AllocateAddress) error {
	return unless(n.addresses, ctx, a.Of, func() error {
		_, err := n.ec2.AllocateAddress(ctx, &ec2.AllocateAddressInput{Domain: types.DomainTypeVpc, TagSpecifications: specification(types.ResourceTypeElasticIp, a.Tags)})
		return classify("ec2:AllocateAddress", err)
	})
}

// CreateNATGateway makes a NAT gateway; EC2 knows a repeated request by its token.
func (n *Networks) CreateNATGateway(ctx context.Context, a plan.CreateNATGateway) error {
	_, err := n.ec2.CreateNatGateway(ctx, &ec2.CreateNatGatewayInput{
		SubnetId: &a.Subnet, AllocationId: &a.Address, ClientToken: &a.Token, TagSpecifications: specification(types.ResourceTypeNatgateway, a.Tags),
	})
	err = classify("ec2:CreateNatGateway", err)
	if fault.Is(err, fault.Invalid) && strings.Contains(err.Error(), "Resource.AlreadyAssociated") {
		return nil
	}
	return err
}
