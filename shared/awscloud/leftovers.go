package awscloud

import (
	"context"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// removalCalls are the operations that only deletions ask for.
func (r *Region) removalCalls() map[string]operation {
	e, i := r.ec2, r.iam
	return map[string]operation{
		"ec2:DeleteVpc":                         op(e.DeleteVpc),
		"ec2:DeleteSubnet":                      op(e.DeleteSubnet),
		"ec2:DetachInternetGateway":             op(e.DetachInternetGateway),
		"ec2:DeleteInternetGateway":             op(e.DeleteInternetGateway),
		"ec2:DeleteRouteTable":                  op(e.DeleteRouteTable),
		"ec2:DeleteSecurityGroup":               op(e.DeleteSecurityGroup),
		"ec2:RevokeSecurityGroupEgress":         unless(op(e.RevokeSecurityGroupEgress), "InvalidPermission.NotFound"),
		"ec2:DeleteEgressOnlyInternetGateway":   op(e.DeleteEgressOnlyInternetGateway),
		"ec2:DeleteLaunchTemplate":              op(e.DeleteLaunchTemplate),
		"ec2:DeleteKeyPair":                     op(e.DeleteKeyPair),
		"ec2:DeleteNetworkInterface":            op(e.DeleteNetworkInterface),
		"ec2:TerminateInstances":                op(e.TerminateInstances),
		"ec2:DetachVpnGateway":                  op(e.DetachVpnGateway),
		"ec2:DeleteTransitGatewayVpcAttachment": op(e.DeleteTransitGatewayVpcAttachment),

		"iam:DeleteRole":                    op(i.DeleteRole),
		"iam:DeleteInstanceProfile":         op(i.DeleteInstanceProfile),
		"iam:RemoveRoleFromInstanceProfile": op(i.RemoveRoleFromInstanceProfile),
		"iam:DeleteOpenIDConnectProvider":   op(i.DeleteOpenIDConnectProvider),

		"autoscaling:DeleteAutoScalingGroup": unless(op(r.scaling.DeleteAutoScalingGroup), "not found"),

		"elbv2:DeleteLoadBalancer": op(r.elbv2.DeleteLoadBalancer),
		"elb:DeleteLoadBalancer":   op(r.elb.DeleteLoadBalancer),
	}
}

// ofKubernetes are the keys of the tags that Kubernetes' cloud provider, its load balancer controller, EKS Auto Mode and EKS
// itself put on what they make for a cluster.
func ofKubernetes(cluster string) types.Filter {
	return types.Filter{Name: aws.String("tag-key"), Values: []string{
		"kubernetes.io/cluster/" + cluster, "elbv2.k8s.aws/cluster", "eks:eks-cluster-name", "aws:eks:cluster-name",
	}}
}

// left is something beside what is the cluster's own, with its tags.
func left(kind, physical, name string, item any, tags map[string]string) fleet.Resource {
	p := props(item)
	delete(p, "tags")
	delete(p, "tagSet")
	return fleet.Resource{Ref: fleet.Ref{ID: kind + "/" + physical, Kind: kind, Name: name}, Physical: physical, Status: fleet.Text(p, "status"), Tags: tags, Props: p}
}

func tagMap(list []types.Tag) map[string]string {
	out := map[string]string{}
	for _, t := range list {
		out[deref(t.Key)] = deref(t.Value)
	}
	return out
}

// maxTags is of how many load balancers the tags are read at once.
const maxTags = 20

// balancers are the load balancers of some VPCs; of all, where the VPC is not known any more.
func (r *Region) balancers(ctx context.Context, _ fleet.ClusterID, vpcs []string) (out []fleet.Resource, err error) {
	for pages := elbv2.NewDescribeLoadBalancersPaginator(r.elbv2, &elbv2.DescribeLoadBalancersInput{}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, classify("elasticloadbalancing:DescribeLoadBalancers", err)
		}
		for _, b := range page.LoadBalancers {
			if len(vpcs) == 0 || slices.Contains(vpcs, deref(b.VpcId)) {
				have := left("balancer", deref(b.LoadBalancerArn), deref(b.LoadBalancerName), b, nil)
				have.ID, have.ARN = "balancer/"+have.Name, have.Physical
				out = append(out, have)
			}
		}
	}
	tags := map[string]map[string]string{}
	for some := range slices.Chunk(out, maxTags) {
		in := &elbv2.DescribeTagsInput{}
		for _, b := range some {
			in.ResourceArns = append(in.ResourceArns, b.Physical)
		}
		page, err := r.elbv2.DescribeTags(ctx, in)
		if err != nil {
			return nil, classify("elasticloadbalancing:DescribeTags", err)
		}
		for _, d := range page.TagDescriptions {
			tags[deref(d.ResourceArn)] = pairs(props(d), "tags")
		}
	}
	return withTags(out, tags), nil
}

func (r *Region) classicBalancers(ctx context.Context, _ fleet.ClusterID, vpcs []string) (out []fleet.Resource, err error) {
	for pages := elb.NewDescribeLoadBalancersPaginator(r.elb, &elb.DescribeLoadBalancersInput{}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, classify("elasticloadbalancing:DescribeLoadBalancers", err)
		}
		for _, b := range page.LoadBalancerDescriptions {
			if len(vpcs) == 0 || slices.Contains(vpcs, deref(b.VPCId)) {
				have := left("classic", deref(b.LoadBalancerName), deref(b.LoadBalancerName), b, nil)
				have.Props["vpcId"] = deref(b.VPCId)
				out = append(out, have)
			}
		}
	}
	tags := map[string]map[string]string{}
	for some := range slices.Chunk(out, maxTags) {
		in := &elb.DescribeTagsInput{}
		for _, b := range some {
			in.LoadBalancerNames = append(in.LoadBalancerNames, b.Physical)
		}
		page, err := r.elb.DescribeTags(ctx, in)
		if err != nil {
			return nil, classify("elasticloadbalancing:DescribeTags", err)
		}
		for _, d := range page.TagDescriptions {
			tags[deref(d.LoadBalancerName)] = pairs(props(d), "tags")
		}
	}
	return withTags(out, tags), nil
}

func withTags(list []fleet.Resource, tags map[string]map[string]string) []fleet.Resource {
	for i := range list {
		list[i].Tags = tags[list[i].Physical]
	}
	return list
}

// volumes are what Kubernetes has made for its volumes.
func (r *Region) volumes(ctx context.Context, cluster fleet.ClusterID, _ []string) (out []fleet.Resource, err error) {
	pages := ec2.NewDescribeVolumesPaginator(r.ec2, &ec2.DescribeVolumesInput{Filters: []types.Filter{ofKubernetes(cluster.Name)}})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, classify("ec2:DescribeVolumes", err)
		}
		for _, v := range page.Volumes {
			have := left("volume", deref(v.VolumeId), "", v, tagMap(v.Tags))
			have.Status = string(v.State)
			out = append(out, have)
		}
	}
	return out, nil
}

// instances are the cluster's machines, whoever has launched them.
func (r *Region) instances(ctx context.Context, cluster fleet.ClusterID, _ []string) (out []fleet.Resource, err error) {
	pages := ec2.NewDescribeInstancesPaginator(r.ec2, &ec2.DescribeInstancesInput{Filters: []types.Filter{
		ofKubernetes(cluster.Name), {Name: aws.String("instance-state-name"), Values: []string{"pending", "running", "shutting-down", "stopping", "stopped"}},
	}})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, classify("ec2:DescribeInstances", err)
		}
		for _, reservation := range page.Reservations {
			for _, i := range reservation.Instances {
				have := left("instance", deref(i.InstanceId), "", i, tagMap(i.Tags))
				have.Status = fleet.Text(have.Props, "state", "name")
				out = append(out, have)
			}
		}
	}
	return out, nil
}

// strangeGroups are the security groups that Kubernetes or EKS has made for the cluster, and all others in some VPCs that
// do not carry ekspedite's tag.
func (r *Region) strangeGroups(ctx context.Context, cluster fleet.ClusterID, vpcs []string) ([]fleet.Resource, error) {
	found := map[string]fleet.Resource{}
	look := func(f types.Filter) error {
		pages := ec2.NewDescribeSecurityGroupsPaginator(r.ec2, &ec2.DescribeSecurityGroupsInput{Filters: []types.Filter{f}})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return classify("ec2:DescribeSecurityGroups", err)
			}
			for _, g := range page.SecurityGroups {
				if have := left("kubesg", deref(g.GroupId), "", g, tagMap(g.Tags)); have.Tags[fleet.TagCluster] != cluster.Name {
					found[have.ID] = have
				}
			}
		}
		return nil
	}
	err := look(ofKubernetes(cluster.Name))
	if err == nil && len(vpcs) > 0 {
		err = look(types.Filter{Name: aws.String("vpc-id"), Values: vpcs})
	}
	return sortedValues(found), err
}

// interfaces are the network interfaces in some VPCs, and those that the cluster's VPC CNI has made.
func (r *Region) interfaces(ctx context.Context, cluster fleet.ClusterID, vpcs []string) ([]fleet.Resource, error) {
	found := map[string]fleet.Resource{}
	look := func(f types.Filter) error {
		pages := ec2.NewDescribeNetworkInterfacesPaginator(r.ec2, &ec2.DescribeNetworkInterfacesInput{Filters: []types.Filter{f}})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return classify("ec2:DescribeNetworkInterfaces", err)
			}
			for _, n := range page.NetworkInterfaces {
				have := left("interface", deref(n.NetworkInterfaceId), "", n, tagMap(n.TagSet))
				found[have.ID] = have
			}
		}
		return nil
	}
	err := look(tagged("cluster.k8s.amazonaws.com/name", cluster.Name)[0])
	if err == nil && len(vpcs) > 0 {
		err = look(types.Filter{Name: aws.String("vpc-id"), Values: vpcs})
	}
	return sortedValues(found), err
}

// vpnGateways are the virtual private gateways that are attached to some VPCs. Their status is that of the attachment.
func (r *Region) vpnGateways(ctx context.Context, _ fleet.ClusterID, vpcs []string) (out []fleet.Resource, err error) {
	if len(vpcs) == 0 {
		return nil, nil
	}
	page, err := r.ec2.DescribeVpnGateways(ctx, &ec2.DescribeVpnGatewaysInput{Filters: []types.Filter{{Name: aws.String("attachment.vpc-id"), Values: vpcs}}})
	if err != nil {
		return nil, classify("ec2:DescribeVpnGateways", err)
	}
	for _, g := range page.VpnGateways {
		for _, a := range g.VpcAttachments {
			if slices.Contains(vpcs, deref(a.VpcId)) && a.State != types.AttachmentStatusDetached {
				have := left("vpngateway", deref(g.VpnGatewayId), "", g, tagMap(g.Tags))
				have.Status = string(a.State)
				out = append(out, have)
			}
		}
	}
	return out, nil
}

func sortedValues(m map[string]fleet.Resource) (out []fleet.Resource) {
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, m[k])
	}
	return out
}
