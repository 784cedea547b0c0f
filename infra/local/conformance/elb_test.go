package conformance

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	classic "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	classictypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// balancerInterfaces counts the network interfaces of load balancers in a VPC.
func balancerInterfaces(t *testing.T, s *ec2Suite, vpc string) int {
	t.Helper()
	out, err := s.DescribeNetworkInterfaces(t.Context(), &ec2.DescribeNetworkInterfacesInput{Filters: []ec2types.Filter{
		{Name: aws.String("vpc-id"), Values: []string{vpc}}, {Name: aws.String("description"), Values: []string{"ELB *"}}}})
	if err != nil {
		t.Fatal(err)
	}
	return len(out.NetworkInterfaces)
}

func TestELBClassic(t *testing.T) {
	s := newEC2(t)
	tg := target(t, "elasticloadbalancing")
	c := classic.NewFromConfig(tg.Config)
	ctx := t.Context()
	vpc, subnets := s.vpc(2)
	name := aws.String(fmt.Sprintf("a%d", time.Now().UnixNano()))
	owned := classictypes.Tag{Key: aws.String("kubernetes.io/cluster/conformance"), Value: aws.String("owned")}
	in := &classic.CreateLoadBalancerInput{LoadBalancerName: name, Subnets: subnets, Tags: []classictypes.Tag{owned},
		Listeners: []classictypes.Listener{{Protocol: aws.String("TCP"), LoadBalancerPort: 80, InstanceProtocol: aws.String("TCP"), InstancePort: aws.Int32(30080)}}}
	if _, err := c.CreateLoadBalancer(ctx, in); err != nil {
		t.Fatal(err)
	}
	remove := func(ctx context.Context) error {
		_, err := c.DeleteLoadBalancer(ctx, &classic.DeleteLoadBalancerInput{LoadBalancerName: name})
		return err
	}
	s.undo("load balancer", remove)
	_, err := c.CreateLoadBalancer(ctx, in)
	apiError(t, err, "DuplicateLoadBalancerName")
	out, err := c.DescribeLoadBalancers(ctx, &classic.DescribeLoadBalancersInput{LoadBalancerNames: []string{*name}})
	if err != nil || *out.LoadBalancerDescriptions[0].VPCId != vpc || len(out.LoadBalancerDescriptions[0].Subnets) != 2 || *out.LoadBalancerDescriptions[0].ListenerDescriptions[0].Listener.InstancePort != 30080 {
		t.Errorf("%+v %v", out, err)
	}
	tags, err := c.DescribeTags(ctx, &classic.DescribeTagsInput{LoadBalancerNames: []string{*name}})
	if err != nil || *tags.TagDescriptions[0].Tags[0].Key != *owned.Key {
		t.Errorf("%+v %v", tags, err)
	}
	if exact(tg) {
		if n := balancerInterfaces(t, s, vpc); n != 2 {
			t.Errorf("%d network interfaces", n)
		}
		_, err = s.DeleteSubnet(ctx, &ec2.DeleteSubnetInput{SubnetId: &subnets[0]})
		wantEC2(t, err, "DependencyViolation")
	}
	if err := remove(ctx); err != nil {
		t.Fatal(err)
	}
	if err := remove(ctx); err != nil {
		t.Errorf("again: %v", err)
	}
	_, err = c.DescribeLoadBalancers(ctx, &classic.DescribeLoadBalancersInput{LoadBalancerNames: []string{*name}})
	apiError(t, err, "LoadBalancerNotFound")
	waitNoInterfaces(t, s, vpc)
}

// waitNoInterfaces waits until the interfaces of deleted load balancers are gone, which takes a while.
func waitNoInterfaces(t *testing.T, s *ec2Suite, vpc string) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Minute)
	for balancerInterfaces(t, s, vpc) > 0 {
		if time.Now().After(deadline) {
			t.Fatal("the network interfaces stay")
		}
		time.Sleep(200 * time.Millisecond)
	}
}

func TestELBApplicationAndNetwork(t *testing.T) {
	s := newEC2(t)
	tg := target(t, "elasticloadbalancing")
	c := elb.NewFromConfig(tg.Config)
	ctx := t.Context()
	vpc, subnets := s.vpc(2)
	suffix := fmt.Sprint(time.Now().UnixNano())
	cluster := elbtypes.Tag{Key: aws.String("elbv2.k8s.aws/cluster"), Value: aws.String("conformance")}
	var arns []string
	for _, typ := range []elbtypes.LoadBalancerTypeEnum{elbtypes.LoadBalancerTypeEnumApplication, elbtypes.LoadBalancerTypeEnumNetwork} {
		out, err := c.CreateLoadBalancer(ctx, &elb.CreateLoadBalancerInput{Name: aws.String(string(typ[0]) + suffix), Type: typ, Subnets: subnets, Tags: []elbtypes.Tag{cluster}})
		if err != nil {
			t.Fatal(err)
		}
		arn := out.LoadBalancers[0].LoadBalancerArn
		arns = append(arns, *arn)
		s.undo("load balancer", func(ctx context.Context) error {
			_, err := c.DeleteLoadBalancer(ctx, &elb.DeleteLoadBalancerInput{LoadBalancerArn: arn})
			return err
		})
	}
	_, err := c.CreateLoadBalancer(ctx, &elb.CreateLoadBalancerInput{Name: aws.String("one" + suffix), Subnets: subnets[:1]})
	if exact(tg) {
		apiError(t, err, "ValidationError")
	}
	out, err := c.DescribeLoadBalancers(ctx, &elb.DescribeLoadBalancersInput{LoadBalancerArns: arns})
	if err != nil || len(out.LoadBalancers) != 2 || *out.LoadBalancers[0].VpcId != vpc || len(out.LoadBalancers[0].AvailabilityZones) != 2 {
		t.Errorf("%+v %v", out, err)
	}
	group, err := c.CreateTargetGroup(ctx, &elb.CreateTargetGroupInput{Name: aws.String("t" + suffix), Protocol: elbtypes.ProtocolEnumHttp, Port: aws.Int32(80), VpcId: &vpc, Tags: []elbtypes.Tag{cluster}})
	if err != nil {
		t.Fatal(err)
	}
	groupARN := group.TargetGroups[0].TargetGroupArn
	tags, err := c.DescribeTags(ctx, &elb.DescribeTagsInput{ResourceArns: append(arns[:1:1], *groupARN)})
	if err != nil || len(tags.TagDescriptions) != 2 || *tags.TagDescriptions[1].Tags[0].Value != "conformance" {
		t.Errorf("%+v %v", tags, err)
	}
	if _, err := c.AddTags(ctx, &elb.AddTagsInput{ResourceArns: arns, Tags: []elbtypes.Tag{{Key: aws.String("a"), Value: aws.String("b")}}}); err != nil {
		t.Error(err)
	}
	if _, err := c.RemoveTags(ctx, &elb.RemoveTagsInput{ResourceArns: arns, TagKeys: []string{"a"}}); err != nil {
		t.Error(err)
	}
	if tags, err = c.DescribeTags(ctx, &elb.DescribeTagsInput{ResourceArns: arns}); err != nil || len(tags.TagDescriptions[0].Tags) != 1 {
		t.Errorf("%+v %v", tags, err)
	}
	if groups, err := c.DescribeTargetGroups(ctx, &elb.DescribeTargetGroupsInput{TargetGroupArns: []string{*groupARN}}); err != nil || *groups.TargetGroups[0].VpcId != vpc {
		t.Errorf("%+v %v", groups, err)
	}
	if _, err := c.DeleteTargetGroup(ctx, &elb.DeleteTargetGroupInput{TargetGroupArn: groupARN}); err != nil {
		t.Error(err)
	}
	_, err = c.DescribeTargetGroups(ctx, &elb.DescribeTargetGroupsInput{TargetGroupArns: []string{*groupARN}})
	apiError(t, err, "TargetGroupNotFound")
	for i := range arns {
		if _, err := c.DeleteLoadBalancer(ctx, &elb.DeleteLoadBalancerInput{LoadBalancerArn: &arns[i]}); err != nil {
			t.Error(err)
		}
	}
	_, err = c.DescribeLoadBalancers(ctx, &elb.DescribeLoadBalancersInput{LoadBalancerArns: arns})
	apiError(t, err, "LoadBalancerNotFound")
	waitNoInterfaces(t, s, vpc)
}
