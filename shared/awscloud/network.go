package awscloud

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Networks reads and writes clusters' VPCs. What it makes carries its tags from the first moment, and is found by them.
type Networks struct{ ec2 *ec2.Client }

// NewNetworks makes a Networks.
func NewNetworks(cfg Config) *Networks { return &Networks{ec2.NewFromConfig(cfg)} }

// tagged filters by tags, given as pairs.
func tagged(pairs ...string) []types.Filter {
	var out []types.Filter
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, types.Filter{Name: aws.String("tag:" + pairs[i]), Values: []string{pairs[i+1]}})
	}
	return out
}

func ec2Tags(tags []types.Tag) map[string]string {
	out := map[string]string{}
	for _, t := range tags {
		out[deref(t.Key)] = deref(t.Value)
	}
	return out
}

// Network reads all that carries the cluster's tag, in parallel: four calls, and two more with NAT.
func (n *Networks) Network(ctx context.Context, cluster string, withNAT bool) (fleet.Network, error) {
	var out fleet.Network
	var wg sync.WaitGroup
	errs := make([]error, 6)
	mine := tagged(fleet.TagCluster, cluster)
	wg.Go(func() { out.VPCs, errs[0] = n.vpcs(ctx, mine) })
	wg.Go(func() { out.Subnets, errs[1] = n.subnets(ctx, mine) })
	wg.Go(func() { out.Gateways, errs[2] = n.gateways(ctx, mine) })
	wg.Go(func() { out.RouteTables, errs[3] = n.routeTables(ctx, mine) })
	if withNAT {
		wg.Go(func() { out.Addresses, errs[4] = n.addresses(ctx, mine) })
		wg.Go(func() { out.NATs, errs[5] = n.nats(ctx, mine) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return out, err
		}
	}
	return out, nil
}

func byID[T any](list []T, id func(T) string) []T {
	slices.SortFunc(list, func(a, b T) int { return cmp.Compare(id(a), id(b)) })
	return list
}

func (n *Networks) vpcs(ctx context.Context, f []types.Filter) ([]fleet.VPC, error) {
	var out []fleet.VPC
	pages := ec2.NewDescribeVpcsPaginator(n.ec2, &ec2.DescribeVpcsInput{Filters: f})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, classify("ec2:DescribeVpcs", err)
		}
		for _, v := range page.Vpcs {
			out = append(out, fleet.VPC{ID: deref(v.VpcId), CIDR: deref(v.CidrBlock)})
		}
	}
	return byID(out, func(v fleet.VPC) string { return v.ID }), nil
}

func (n *Networks) subnets(ctx context.Context, f []types.Filter) ([]fleet.Subnet, error) {
	var out []fleet.Subnet
	pages := ec2.NewDescribeSubnetsPaginator(n.ec2, &ec2.DescribeSubnetsInput{Filters: f})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, classify("ec2:DescribeSubnets", err)
		}
		for _, s := range page.Subnets {
			out = append(out, fleet.Subnet{
				ID: deref(s.SubnetId), Resource: ec2Tags(s.Tags)[fleet.TagResource], VPC: deref(s.VpcId),
				Zone: deref(s.AvailabilityZone), CIDR: deref(s.CidrBlock), PublicIPs: deref(s.MapPublicIpOnLaunch),
			})
		}
	}
	return byID(out, func(s fleet.Subnet) string { return s.ID }), nil
}

func (n *Networks) gateways(ctx context.Context, f []types.Filter) ([]fleet.Gateway, error) {
	var out []fleet.Gateway
	pages := ec2.NewDescribeInternetGatewaysPaginator(n.ec2, &ec2.DescribeInternetGatewaysInput{Filters: f})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, classify("ec2:DescribeInternetGateways", err)
		}
		for _, g := range page.InternetGateways {
			gw := fleet.Gateway{ID: deref(g.InternetGatewayId)}
			for _, a := range g.Attachments {
				gw.VPC = deref(a.VpcId)
			}
			out = append(out, gw)
		}
	}
	return byID(out, func(g fleet.Gateway) string { return g.ID }), nil
}

func (n *Networks) routeTables(ctx context.Context, f []types.Filter) ([]fleet.RouteTable, error) {
	var out []fleet.RouteTable
	pages := ec2.NewDescribeRouteTablesPaginator(n.ec2, &ec2.DescribeRouteTablesInput{Filters: f})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, classify("ec2:DescribeRouteTables", err)
		}
		for _, t := range page.RouteTables {
			table := fleet.RouteTable{ID: deref(t.RouteTableId), Resource: ec2Tags(t.Tags)[fleet.TagResource], VPC: deref(t.VpcId), Routes: map[string]string{}}
			for _, r := range t.Routes {
				table.Routes[deref(r.DestinationCidrBlock)] = cmp.Or(deref(r.GatewayId), deref(r.NatGatewayId))
			}
			for _, a := range t.Associations {
				if a.SubnetId != nil {
					table.Subnets = append(table.Subnets, *a.SubnetId)
				}
			}
			out = append(out, table)
		}
	}
	return byID(out, func(t fleet.RouteTable) string { return t.ID }), nil
}

func (n *Networks) addresses(ctx context.Context, f []types.Filter) ([]fleet.Address, error) {
	page, err := n.ec2.DescribeAddresses(ctx, &ec2.DescribeAddressesInput{Filters: f})
	if err != nil {
		return nil, classify("ec2:DescribeAddresses", err)
	}
	var out []fleet.Address
	for _, a := range page.Addresses {
		out = append(out, fleet.Address{ID: deref(a.AllocationId), Resource: ec2Tags(a.Tags)[fleet.TagResource]})
	}
	return byID(out, func(a fleet.Address) string { return a.ID }), nil
}

func (n *Networks) nats(ctx context.Context, f []types.Filter) ([]fleet.NATGateway, error) {
	var out []fleet.NATGateway
	pages := ec2.NewDescribeNatGatewaysPaginator(n.ec2, &ec2.DescribeNatGatewaysInput{Filter: f})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, classify("ec2:DescribeNatGateways", err)
		}
		for _, g := range page.NatGateways {
			out = append(out, fleet.NATGateway{
				ID: deref(g.NatGatewayId), Resource: ec2Tags(g.Tags)[fleet.TagResource], VPC: deref(g.VpcId), State: string(g.State),
				Failure: strings.TrimSpace(deref(g.FailureCode) + " " + deref(g.FailureMessage)),
			})
		}
	}
	return byID(out, func(g fleet.NATGateway) string { return g.ID }), nil
}

// DNSHostnames tells whether a VPC gives DNS names to its instances.
func (n *Networks) DNSHostnames(ctx context.Context, vpc string) (bool, error) {
	out, err := n.ec2.DescribeVpcAttribute(ctx, &ec2.DescribeVpcAttributeInput{VpcId: &vpc, Attribute: types.VpcAttributeNameEnableDnsHostnames})
	if err != nil {
		return false, classify("ec2:DescribeVpcAttribute", err)
	}
	return out.EnableDnsHostnames != nil && deref(out.EnableDnsHostnames.Value), nil
}

// Zones lists the Region's availability zones that can be used. Local and Wavelength Zones are not among them.
func (n *Networks) Zones(ctx context.Context) ([]fleet.Zone, error) {
	page, err := n.ec2.DescribeAvailabilityZones(ctx, &ec2.DescribeAvailabilityZonesInput{Filters: []types.Filter{
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
	return byID(out, func(z fleet.Zone) string { return z.Name }), nil
}
