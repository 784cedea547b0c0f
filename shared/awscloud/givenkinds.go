package awscloud

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// partly makes an operation fail that answers with success and names what it did not do.
func partly(o operation) operation {
	return func(ctx context.Context, api string, in fleet.Props) (any, error) {
		out, err := o(ctx, api, in)
		if err != nil {
			return nil, err
		}
		if left := fleet.Items(props(out), "unsuccessful"); len(left) > 0 {
			why, class := left[0], fault.Transient
			code := fleet.Text(why, "error", "code")
			if c, known := classes[code]; known {
				class = c
			}
			return nil, &fault.Error{Class: class, Code: code, Op: api, Err: fmt.Errorf("%s: %s (%s)", code, fleet.Text(why, "error", "message"), fleet.Text(why, "resourceId"))}
		}
		return out, nil
	}
}

// vpcAttribute reads one switch of a VPC into its Props.
func (r *Region) vpcAttribute(ctx context.Context, vpc fleet.Resource, name types.VpcAttributeName) error {
	out, err := r.ec2.DescribeVpcAttribute(ctx, &ec2.DescribeVpcAttributeInput{VpcId: &vpc.Physical, Attribute: name})
	if err != nil {
		return classify("ec2:DescribeVpcAttribute", err)
	}
	vpc.Props[string(name)] = fleet.Flag(props(out), string(name), "value")
	return nil
}

// givenVPC reads a VPC of the user's, with its switches.
func (r *Region) givenVPC(ctx context.Context, _ string, ref fleet.Ref) (fleet.Resource, error) {
	out, err := r.ec2.DescribeVpcs(ctx, &ec2.DescribeVpcsInput{VpcIds: []string{ref.Name}})
	if err != nil {
		return fleet.Resource{}, classify("ec2:DescribeVpcs", err)
	}
	if len(out.Vpcs) == 0 {
		return fleet.Resource{}, fault.New(fault.NotFound, "no VPC %s", ref.Name)
	}
	v := ec2Resource(ref.Kind, "vpcId", out.Vpcs[0])
	for _, name := range []types.VpcAttributeName{types.VpcAttributeNameEnableDnsSupport, types.VpcAttributeNameEnableDnsHostnames} {
		if err := r.vpcAttribute(ctx, v, name); err != nil {
			return v, err
		}
	}
	return v, nil
}

func inVPC(id string) []types.Filter {
	return []types.Filter{{Name: aws.String("vpc-id"), Values: []string{id}}}
}

// givenSubnets reads all subnets of a VPC of the user's, as one thing: {"subnets": [...]}.
func (r *Region) givenSubnets(ctx context.Context, _ string, ref fleet.Ref) (fleet.Resource, error) {
	var list []any
	for p := ec2.NewDescribeSubnetsPaginator(r.ec2, &ec2.DescribeSubnetsInput{Filters: inVPC(ref.Name)}); p.HasMorePages(); {
		page, err := p.NextPage(ctx)
		if err != nil {
			return fleet.Resource{}, classify("ec2:DescribeSubnets", err)
		}
		for _, s := range page.Subnets {
			list = append(list, props(s))
		}
	}
	if len(list) == 0 {
		return fleet.Resource{}, fault.New(fault.NotFound, "VPC %s has no subnets", ref.Name)
	}
	return fleet.Resource{Physical: ref.Name, Props: fleet.Props{"subnets": list}}, nil
}

// givenRoutes reads all route tables of a VPC of the user's, as one thing: {"routeTables": [...]}.
func (r *Region) givenRoutes(ctx context.Context, _ string, ref fleet.Ref) (fleet.Resource, error) {
	var list []any
	for p := ec2.NewDescribeRouteTablesPaginator(r.ec2, &ec2.DescribeRouteTablesInput{Filters: inVPC(ref.Name)}); p.HasMorePages(); {
		page, err := p.NextPage(ctx)
		if err != nil {
			return fleet.Resource{}, classify("ec2:DescribeRouteTables", err)
		}
		for _, t := range page.RouteTables {
			list = append(list, props(t))
		}
	}
	return fleet.Resource{Physical: ref.Name, Props: fleet.Props{"routeTables": list}}, nil
}

// vpnGateway reads a virtual private gateway of the user's, with the VPCs that it is attached to.
func (r *Region) vpnGateway(ctx context.Context, _ string, ref fleet.Ref) (fleet.Resource, error) {
	out, err := r.ec2.DescribeVpnGateways(ctx, &ec2.DescribeVpnGatewaysInput{VpnGatewayIds: []string{ref.Name}})
	if err != nil {
		return fleet.Resource{}, classify("ec2:DescribeVpnGateways", err)
	}
	for _, g := range out.VpnGateways {
		if v := ec2Resource(ref.Kind, "vpnGatewayId", g); v.Status != "deleted" {
			return v, nil
		}
	}
	return fleet.Resource{}, fault.New(fault.NotFound, "no virtual private gateway %s", ref.Name)
}

// endpointServices reads what the Region offers of some services as VPC endpoints. What it does not offer is left out: asked
// for by name, AWS would refuse all of them.
func (r *Region) endpointServices(ctx context.Context, _ string, ref fleet.Ref) (fleet.Resource, error) {
	in := &ec2.DescribeVpcEndpointServicesInput{Filters: []types.Filter{{Name: aws.String("service-name"), Values: strings.Split(ref.Name, ",")}}}
	var list []any
	for {
		page, err := r.ec2.DescribeVpcEndpointServices(ctx, in)
		if err != nil {
			return fleet.Resource{}, classify("ec2:DescribeVpcEndpointServices", err)
		}
		for _, d := range page.ServiceDetails {
			list = append(list, props(d))
		}
		if in.NextToken = page.NextToken; in.NextToken == nil {
			return fleet.Resource{Physical: ref.ID, Props: fleet.Props{"serviceDetails": list}}, nil
		}
	}
}
