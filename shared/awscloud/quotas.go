package awscloud

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/servicequotas"

	"github.com/ekspedite/ekspedite/shared/decide/preflight"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// quota reads a quota, SERVICE/CODE. What was never changed is only known as AWS's default.
func (p *Preflight) quota(ctx context.Context, name string) (fleet.Props, error) {
	service, code, _ := strings.Cut(name, "/")
	c := p.quotas
	if service == "iam" {
		c = p.global
	}
	out, err := c.GetServiceQuota(ctx, &servicequotas.GetServiceQuotaInput{ServiceCode: &service, QuotaCode: &code})
	if err := classify("servicequotas:GetServiceQuota", err); err == nil {
		return props(*out.Quota), nil
	} else if !fault.Is(err, fault.NotFound) {
		return nil, err
	}
	usual, err := c.GetAWSDefaultServiceQuota(ctx, &servicequotas.GetAWSDefaultServiceQuotaInput{ServiceCode: &service, QuotaCode: &code})
	if err != nil {
		return nil, classify("servicequotas:GetAWSDefaultServiceQuota", err)
	}
	return props(*usual.Quota), nil
}

// use counts what there is of something: {"count": 3}.
func (p *Preflight) use(ctx context.Context, what string) (fleet.Props, error) {
	c := p.region.ec2
	switch what {
	case "vpcs":
		return counted(ctx, "ec2:DescribeVpcs", ec2.NewDescribeVpcsPaginator(c, &ec2.DescribeVpcsInput{}), func(o *ec2.DescribeVpcsOutput) int { return len(o.Vpcs) })
	case "igws":
		return counted(ctx, "ec2:DescribeInternetGateways", ec2.NewDescribeInternetGatewaysPaginator(c, &ec2.DescribeInternetGatewaysInput{}),
			func(o *ec2.DescribeInternetGatewaysOutput) int { return len(o.InternetGateways) })
	case "egress":
		return counted(ctx, "ec2:DescribeEgressOnlyInternetGateways", ec2.NewDescribeEgressOnlyInternetGatewaysPaginator(c, &ec2.DescribeEgressOnlyInternetGatewaysInput{}),
			func(o *ec2.DescribeEgressOnlyInternetGatewaysOutput) int { return len(o.EgressOnlyInternetGateways) })
	case "groups":
		return counted(ctx, "ec2:DescribeSecurityGroups", ec2.NewDescribeSecurityGroupsPaginator(c, &ec2.DescribeSecurityGroupsInput{MaxResults: aws.Int32(1000)}),
			func(o *ec2.DescribeSecurityGroupsOutput) int { return len(o.SecurityGroups) })
	case "gateways":
		return counted(ctx, "ec2:DescribeVpcEndpoints", ec2.NewDescribeVpcEndpointsPaginator(c, &ec2.DescribeVpcEndpointsInput{Filters: where("vpc-endpoint-type", "Gateway")}),
			func(o *ec2.DescribeVpcEndpointsOutput) int { return len(o.VpcEndpoints) })
	case "clusters":
		return counted(ctx, "eks:ListClusters", eks.NewListClustersPaginator(p.region.eks, &eks.ListClustersInput{}), func(o *eks.ListClustersOutput) int { return len(o.Clusters) })
	case "addresses":
		out, err := c.DescribeAddresses(ctx, &ec2.DescribeAddressesInput{})
		if err != nil {
			return nil, classify("ec2:DescribeAddresses", err)
		}
		return fleet.Props{"count": len(out.Addresses)}, nil
	case "providers":
		out, err := p.region.iam.ListOpenIDConnectProviders(ctx, &iam.ListOpenIDConnectProvidersInput{})
		if err != nil {
			return nil, classify("iam:ListOpenIDConnectProviders", err)
		}
		return fleet.Props{"count": len(out.OpenIDConnectProviderList)}, nil
	case "account":
		out, err := p.region.iam.GetAccountSummary(ctx, &iam.GetAccountSummaryInput{})
		if err != nil {
			return nil, classify("iam:GetAccountSummary", err)
		}
		figures := fleet.Props{}
		for k, v := range out.SummaryMap {
			figures[k] = int(v)
		}
		return figures, nil
	case "nats":
		return p.natsByZone(ctx)
	case "vcpus":
		return p.vcpus(ctx)
	case "scaling":
		return counted(ctx, "autoscaling:DescribeAutoScalingGroups", autoscaling.NewDescribeAutoScalingGroupsPaginator(p.region.scaling, &autoscaling.DescribeAutoScalingGroupsInput{MaxRecords: aws.Int32(100)}),
			func(o *autoscaling.DescribeAutoScalingGroupsOutput) int { return len(o.AutoScalingGroups) })
	case "gp3":
		return counted(ctx, "ec2:DescribeVolumes", ec2.NewDescribeVolumesPaginator(c, &ec2.DescribeVolumesInput{Filters: where("volume-type", "gp3"), MaxResults: aws.Int32(1000)}),
			func(o *ec2.DescribeVolumesOutput) (gib int) {
				for _, v := range o.Volumes {
					gib += int(deref(v.Size))
				}
				return gib
			})
	}
	if kind, cluster, ok := strings.Cut(what, "/"); ok {
		return p.parts(ctx, kind, cluster)
	}
	return nil, fault.New(fault.Invalid, "nobody knows how to count %s", what)
}

func counted[Out, Option any](ctx context.Context, api string, pages pager[Out, Option], count func(*Out) int) (fleet.Props, error) {
	n := 0
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, classify(api, err)
		}
		n += count(page)
	}
	return fleet.Props{"count": n}, nil
}

// parts counts the node groups or Fargate profiles of a cluster.
func (p *Preflight) parts(ctx context.Context, kind, cluster string) (fleet.Props, error) {
	switch kind {
	case "nodegroups":
		return counted(ctx, "eks:ListNodegroups", eks.NewListNodegroupsPaginator(p.region.eks, &eks.ListNodegroupsInput{ClusterName: &cluster}),
			func(o *eks.ListNodegroupsOutput) int { return len(o.Nodegroups) })
	case "fargate":
		return counted(ctx, "eks:ListFargateProfiles", eks.NewListFargateProfilesPaginator(p.region.eks, &eks.ListFargateProfilesInput{ClusterName: &cluster}),
			func(o *eks.ListFargateProfilesOutput) int { return len(o.FargateProfileNames) })
	}
	return nil, fault.New(fault.Invalid, "nobody knows how to count %s", kind)
}

// natsByZone counts NAT gateways, which say only in which subnet they are: {"zones": {"us-east-1a": 2}}.
func (p *Preflight) natsByZone(ctx context.Context) (fleet.Props, error) {
	nats, err := everything(ctx, "ec2:DescribeNatGateways", ec2.NewDescribeNatGatewaysPaginator(p.region.ec2, &ec2.DescribeNatGatewaysInput{
		Filter: where("state", "pending", "available", "deleting"),
	}), func(o *ec2.DescribeNatGatewaysOutput) []types.NatGateway { return o.NatGateways })
	if err != nil || len(nats) == 0 {
		return fleet.Props{}, err
	}
	var ids []string
	for _, n := range nats {
		ids = append(ids, deref(n.SubnetId))
	}
	subnets, err := everything(ctx, "ec2:DescribeSubnets", ec2.NewDescribeSubnetsPaginator(p.region.ec2, &ec2.DescribeSubnetsInput{Filters: where("subnet-id", ids...)}),
		func(o *ec2.DescribeSubnetsOutput) []types.Subnet { return o.Subnets })
	if err != nil {
		return nil, err
	}
	zone, zones := map[string]string{}, fleet.Props{}
	for _, s := range subnets {
		zone[deref(s.SubnetId)] = deref(s.AvailabilityZone)
	}
	for _, n := range nats {
		z := zone[deref(n.SubnetId)]
		zones[z] = fleet.Int(zones, z) + 1
	}
	return fleet.Props{"zones": zones}, nil
}

// vcpus counts the vCPUs of running instances by the quota that they count against: {"quotas": {"ec2/L-1216C47A": 12}}.
func (p *Preflight) vcpus(ctx context.Context) (fleet.Props, error) {
	used := fleet.Props{}
	pages := ec2.NewDescribeInstancesPaginator(p.region.ec2, &ec2.DescribeInstancesInput{Filters: where("instance-state-name", "pending", "running")})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, classify("ec2:DescribeInstances", err)
		}
		for _, r := range page.Reservations {
			for _, i := range r.Instances {
				quota := preflight.VCPUQuota(string(i.InstanceType), i.InstanceLifecycle == types.InstanceLifecycleTypeSpot)
				if o := i.CpuOptions; o != nil && quota != "" {
					used[quota] = fleet.Int(used, quota) + int(deref(o.CoreCount)*deref(o.ThreadsPerCore))
				}
			}
		}
	}
	return fleet.Props{"quotas": used}, nil
}
