package awscloud

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// ec2Calls are the operations of EC2 that decisions may ask for.
func (r *Region) ec2Calls() map[string]operation {
	c := r.ec2
	return map[string]operation{
		"ec2:CreateVpc":             op(c.CreateVpc),
		"ec2:ModifyVpcAttribute":    op(c.ModifyVpcAttribute),
		"ec2:CreateSubnet":          op(c.CreateSubnet),
		"ec2:ModifySubnetAttribute": op(c.ModifySubnetAttribute),
		"ec2:CreateInternetGateway": op(c.CreateInternetGateway),
		"ec2:AttachInternetGateway": unless(op(c.AttachInternetGateway), "already has an internet gateway attached"),
		"ec2:CreateRouteTable":      op(c.CreateRouteTable),
		"ec2:CreateRoute":           op(c.CreateRoute),
		"ec2:ReplaceRoute":          op(c.ReplaceRoute),
		"ec2:AssociateRouteTable":   op(c.AssociateRouteTable),
		"ec2:AllocateAddress":       op(c.AllocateAddress),
		"ec2:CreateNatGateway":      unless(op(c.CreateNatGateway), "Resource.AlreadyAssociated"),
		"ec2:DeleteNatGateway":      op(c.DeleteNatGateway),
		"ec2:ReleaseAddress":        op(c.ReleaseAddress),
		"ec2:DeleteRoute":           op(c.DeleteRoute),
		"ec2:CreateTags":            op(c.CreateTags),
		"ec2:AssociateVpcCidrBlock": op(c.AssociateVpcCidrBlock),
		"ec2:CreateSecurityGroup":   op(c.CreateSecurityGroup),
		"ec2:CreateVpcEndpoint":     op(c.CreateVpcEndpoint),
		"ec2:ModifyVpcEndpoint":     op(c.ModifyVpcEndpoint),
		"ec2:DeleteVpcEndpoints":    partly(op(c.DeleteVpcEndpoints)),

		"ec2:AttachVpnGateway": op(c.AttachVpnGateway),

		"ec2:CreateTransitGatewayVpcAttachment": op(c.CreateTransitGatewayVpcAttachment),
		"ec2:ModifyTransitGatewayVpcAttachment": op(c.ModifyTransitGatewayVpcAttachment),

		"ec2:CreateEgressOnlyInternetGateway": op(c.CreateEgressOnlyInternetGateway),
		"ec2:AuthorizeSecurityGroupIngress":   unless(op(c.AuthorizeSecurityGroupIngress), "InvalidPermission.Duplicate"),
		"ec2:RevokeSecurityGroupIngress":      unless(op(c.RevokeSecurityGroupIngress), "InvalidPermission.NotFound"),
	}
}

// finder reads what carries tags.
type finder func(ctx context.Context, filters []types.Filter) ([]fleet.Resource, error)

// tagged filters by tags, given as pairs.
func tagged(pairs ...string) []types.Filter {
	var out []types.Filter
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, types.Filter{Name: aws.String("tag:" + pairs[i]), Values: []string{pairs[i+1]}})
	}
	return out
}

// pager is one of the SDK's paginators.
type pager[Out, Option any] interface {
	HasMorePages() bool
	NextPage(context.Context, ...func(Option)) (*Out, error)
}

// find makes a finder: pages of a describe call, the items of a page, the name of their id.
func find[Out, Item, Option any](kind, api, id string, pages func([]types.Filter) pager[Out, Option], items func(*Out) []Item, gone ...string) finder {
	return func(ctx context.Context, f []types.Filter) ([]fleet.Resource, error) {
		var out []fleet.Resource
		for p := pages(f); p.HasMorePages(); {
			page, err := p.NextPage(ctx)
			if err != nil {
				return nil, classify(api, err)
			}
			for _, item := range items(page) {
				if r := ec2Resource(kind, id, item); !slices.Contains(gone, r.Status) {
					out = append(out, r)
				}
			}
		}
		slices.SortFunc(out, func(a, b fleet.Resource) int { return cmp.Compare(a.Physical, b.Physical) })
		return out, nil
	}
}

// ec2Resource is an item of a describe call.
func ec2Resource(kind, id string, item any) fleet.Resource {
	p := props(item)
	r := fleet.Resource{Physical: fleet.Text(p, id), Status: fleet.Text(p, "state"), Tags: pairs(p, "tags"), Props: p}
	delete(p, "tags")
	r.Ref = fleet.Ref{ID: r.Tags[fleet.TagResource], Kind: kind}
	if kind == "endpoint" {
		r.Status = strings.ToLower(r.Status) // EC2 says it in either way
	}
	if code := fleet.Text(p, "failureCode"); code != "" {
		r.Issues = []string{code + ": " + fleet.Text(p, "failureMessage")}
	}
	return r
}

// findersByTag are the kinds that are found by the cluster's tag.
func (r *Region) findersByTag() map[string]finder {
	c := r.ec2
	return map[string]finder{
		"vpc": r.vpcs,
		"subnet": find("subnet", "ec2:DescribeSubnets", "subnetId", func(f []types.Filter) pager[ec2.DescribeSubnetsOutput, *ec2.Options] {
			return ec2.NewDescribeSubnetsPaginator(c, &ec2.DescribeSubnetsInput{Filters: f})
		}, func(o *ec2.DescribeSubnetsOutput) []types.Subnet { return o.Subnets }),
		"igw": find("igw", "ec2:DescribeInternetGateways", "internetGatewayId", func(f []types.Filter) pager[ec2.DescribeInternetGatewaysOutput, *ec2.Options] {
			return ec2.NewDescribeInternetGatewaysPaginator(c, &ec2.DescribeInternetGatewaysInput{Filters: f})
		}, func(o *ec2.DescribeInternetGatewaysOutput) []types.InternetGateway { return o.InternetGateways }),
		"routes": find("routes", "ec2:DescribeRouteTables", "routeTableId", func(f []types.Filter) pager[ec2.DescribeRouteTablesOutput, *ec2.Options] {
			return ec2.NewDescribeRouteTablesPaginator(c, &ec2.DescribeRouteTablesInput{Filters: f})
		}, func(o *ec2.DescribeRouteTablesOutput) []types.RouteTable { return o.RouteTables }),
		"address": r.addresses,
		"nat": find("nat", "ec2:DescribeNatGateways", "natGatewayId", func(f []types.Filter) pager[ec2.DescribeNatGatewaysOutput, *ec2.Options] {
			return ec2.NewDescribeNatGatewaysPaginator(c, &ec2.DescribeNatGatewaysInput{Filter: f})
		}, func(o *ec2.DescribeNatGatewaysOutput) []types.NatGateway { return o.NatGateways }, "deleted"),
		"egress": find("egress", "ec2:DescribeEgressOnlyInternetGateways", "egressOnlyInternetGatewayId", func(f []types.Filter) pager[ec2.DescribeEgressOnlyInternetGatewaysOutput, *ec2.Options] {
			return ec2.NewDescribeEgressOnlyInternetGatewaysPaginator(c, &ec2.DescribeEgressOnlyInternetGatewaysInput{Filters: f})
		}, func(o *ec2.DescribeEgressOnlyInternetGatewaysOutput) []types.EgressOnlyInternetGateway {
			return o.EgressOnlyInternetGateways
		}),
		"transit": find("transit", "ec2:DescribeTransitGatewayVpcAttachments", "transitGatewayAttachmentId", func(f []types.Filter) pager[ec2.DescribeTransitGatewayVpcAttachmentsOutput, *ec2.Options] {
			return ec2.NewDescribeTransitGatewayVpcAttachmentsPaginator(c, &ec2.DescribeTransitGatewayVpcAttachmentsInput{Filters: f})
		}, func(o *ec2.DescribeTransitGatewayVpcAttachmentsOutput) []types.TransitGatewayVpcAttachment {
			return o.TransitGatewayVpcAttachments
		}, "deleted"),
		"sg": find("sg", "ec2:DescribeSecurityGroups", "groupId", func(f []types.Filter) pager[ec2.DescribeSecurityGroupsOutput, *ec2.Options] {
			return ec2.NewDescribeSecurityGroupsPaginator(c, &ec2.DescribeSecurityGroupsInput{Filters: f})
		}, func(o *ec2.DescribeSecurityGroupsOutput) []types.SecurityGroup { return o.SecurityGroups }),
		"endpoint": find("endpoint", "ec2:DescribeVpcEndpoints", "vpcEndpointId", func(f []types.Filter) pager[ec2.DescribeVpcEndpointsOutput, *ec2.Options] {
			return ec2.NewDescribeVpcEndpointsPaginator(c, &ec2.DescribeVpcEndpointsInput{Filters: f})
		}, func(o *ec2.DescribeVpcEndpointsOutput) []types.VpcEndpoint { return o.VpcEndpoints }, "deleted"),
		"template": r.templates,
		"keypair":  r.keyPairs,
	}
}

// vpcs reads VPCs, and of each whether it gives DNS names, which is a call of its own.
func (r *Region) vpcs(ctx context.Context, f []types.Filter) ([]fleet.Resource, error) {
	list, err := find("vpc", "ec2:DescribeVpcs", "vpcId", func(f []types.Filter) pager[ec2.DescribeVpcsOutput, *ec2.Options] {
		return ec2.NewDescribeVpcsPaginator(r.ec2, &ec2.DescribeVpcsInput{Filters: f})
	}, func(o *ec2.DescribeVpcsOutput) []types.Vpc { return o.Vpcs })(ctx, f)
	for _, v := range list {
		if err := r.vpcAttribute(ctx, v, types.VpcAttributeNameEnableDnsHostnames); err != nil {
			return nil, err
		}
	}
	return list, err
}

func (r *Region) addresses(ctx context.Context, f []types.Filter) ([]fleet.Resource, error) {
	page, err := r.ec2.DescribeAddresses(ctx, &ec2.DescribeAddressesInput{Filters: f})
	if err != nil {
		return nil, classify("ec2:DescribeAddresses", err)
	}
	return all("address", "allocationId", page.Addresses), nil
}

func (r *Region) keyPairs(ctx context.Context, f []types.Filter) ([]fleet.Resource, error) {
	page, err := r.ec2.DescribeKeyPairs(ctx, &ec2.DescribeKeyPairsInput{Filters: f})
	if err != nil {
		return nil, classify("ec2:DescribeKeyPairs", err)
	}
	return all("keypair", "keyPairId", page.KeyPairs), nil
}

func all[Item any](kind, id string, items []Item) []fleet.Resource {
	var out []fleet.Resource
	for _, item := range items {
		out = append(out, ec2Resource(kind, id, item))
	}
	slices.SortFunc(out, func(a, b fleet.Resource) int { return cmp.Compare(a.Physical, b.Physical) })
	return out
}

// Zones lists the Region's availability zones that can be used. Local and Wavelength Zones are not among them.
func (r *Region) Zones(ctx context.Context) ([]fleet.Zone, error) {
	page, err := r.ec2.DescribeAvailabilityZones(ctx, &ec2.DescribeAvailabilityZonesInput{Filters: []types.Filter{
		{Name: aws.String("zone-type"), Values: []string{"availability-zone"}},
		{Name: aws.String("state"), Values: []string{"available"}},
	}})
	if err != nil {
		return nil, classify("ec2:DescribeAvailabilityZones", err)
	}
	var out []fleet.Zone
	for _, z := range page.AvailabilityZones {
		out = append(out, fleet.Zone{Name: deref(z.ZoneName), ID: deref(z.ZoneId)})
	}
	slices.SortFunc(out, func(a, b fleet.Zone) int { return cmp.Compare(a.Name, b.Name) })
	return out, nil
}
