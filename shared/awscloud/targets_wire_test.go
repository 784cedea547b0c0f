package awscloud_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/ekspedite/ekspedite/shared/awscloud"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// counted counts the calls that pass, by the operation.
type counted struct {
	http.RoundTripper
	mu    sync.Mutex
	calls map[string]int
}

func (c *counted) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if form, err := url.ParseQuery(string(body)); err == nil {
		c.mu.Lock()
		c.calls[form.Get("Action")]++
		c.mu.Unlock()
	}
	return c.RoundTripper.RoundTrip(r)
}

// since are the calls since the last time.
func (c *counted) since() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	had := c.calls
	c.calls = map[string]int{}
	return had
}

// behindBalancers is an account with machines behind load balancers.
type behindBalancers struct {
	t        *testing.T
	cfg      awscloud.Config
	counted  *counted
	balancer string
	vpc      *string
	elb      *elb.Client
	asg      *autoscaling.Client
	port     int32
	machines []string // of Auto Scaling group g
}

// TestTargetsOverTheWire finds and empties target groups of the embedded cloud by the real SDK.
func TestTargetsOverTheWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cloud, cfg := embedded(t)
		b := &behindBalancers{t: t, counted: &counted{RoundTripper: cloud, calls: map[string]int{}}}
		cfg.HTTPClient = &http.Client{Transport: b.counted}
		b.cfg, b.elb, b.asg = cfg, elb.NewFromConfig(cfg), autoscaling.NewFromConfig(cfg)
		b.build()
		b.find()
		b.leaveScaling()
	})
}

func (b *behindBalancers) build() {
	t, machines := b.t, ec2.NewFromConfig(b.cfg)
	b.vpc = must(machines.CreateVpc(t.Context(), &ec2.CreateVpcInput{CidrBlock: aws.String("10.7.0.0/16")}))(t).Vpc.VpcId
	var subnets []string
	for i, zone := range []string{"us-east-1a", "us-east-1b"} {
		subnets = append(subnets, *must(machines.CreateSubnet(t.Context(), &ec2.CreateSubnetInput{VpcId: b.vpc, CidrBlock: aws.String([]string{"10.7.0.0/24", "10.7.1.0/24"}[i]), AvailabilityZone: &zone}))(t).Subnet.SubnetId)
	}
	b.balancer = *must(b.elb.CreateLoadBalancer(t.Context(), &elb.CreateLoadBalancerInput{Name: aws.String("net"), Type: elbtypes.LoadBalancerTypeEnumNetwork, Subnets: subnets}))(t).LoadBalancers[0].LoadBalancerArn
	template := must(machines.CreateLaunchTemplate(t.Context(), &ec2.CreateLaunchTemplateInput{LaunchTemplateName: aws.String("nodes"),
		LaunchTemplateData: &ec2types.RequestLaunchTemplateData{ImageId: aws.String("ami-12c6146b"), InstanceType: "m5.large"}}))(t).LaunchTemplate.LaunchTemplateId
	must(b.asg.CreateAutoScalingGroup(t.Context(), &autoscaling.CreateAutoScalingGroupInput{
		AutoScalingGroupName: aws.String("g"), MinSize: aws.Int32(1), MaxSize: aws.Int32(4), DesiredCapacity: aws.Int32(2), VPCZoneIdentifier: aws.String(subnets[0]),
		LaunchTemplate: &astypes.LaunchTemplateSpecification{LaunchTemplateId: template},
		Tags:           []astypes.Tag{{Key: aws.String("kubernetes.io/cluster/demo"), Value: aws.String("owned")}},
	}))(t)
	until(t, "two machines in service", func() bool { b.machines = b.inService(); return len(b.machines) == 2 })
}

func (b *behindBalancers) inService() (ids []string) {
	for _, i := range must(b.asg.DescribeAutoScalingInstances(b.t.Context(), &autoscaling.DescribeAutoScalingInstancesInput{}))(b.t).AutoScalingInstances {
		if *i.LifecycleState == "InService" {
			ids = append(ids, *i.InstanceId)
		}
	}
	return ids
}

// group makes a target group with a listener and the tags, and registers machines there.
func (b *behindBalancers) group(name string, tags map[string]string, machines ...elbtypes.TargetDescription) *string {
	b.t.Helper()
	in := &elb.CreateTargetGroupInput{Name: &name, Protocol: elbtypes.ProtocolEnumTcp, Port: aws.Int32(80), VpcId: b.vpc}
	for k, v := range tags {
		in.Tags = append(in.Tags, elbtypes.Tag{Key: &k, Value: &v})
	}
	arn := must(b.elb.CreateTargetGroup(b.t.Context(), in))(b.t).TargetGroups[0].TargetGroupArn
	b.port++
	must(b.elb.CreateListener(b.t.Context(), &elb.CreateListenerInput{LoadBalancerArn: &b.balancer, Port: &b.port, Protocol: elbtypes.ProtocolEnumTcp,
		DefaultActions: []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, TargetGroupArn: arn}}}))(b.t)
	if len(machines) > 0 {
		must(b.elb.RegisterTargets(b.t.Context(), &elb.RegisterTargetsInput{TargetGroupArn: arn, Targets: machines}))(b.t)
	}
	return arn
}

// find: the cluster's target groups are those with its tags, and those of its Auto Scaling groups; in each of them the machine's
// ports are found, and no other machine's.
func (b *behindBalancers) find() {
	t := b.t
	at := func(i int, port int32) elbtypes.TargetDescription {
		return elbtypes.TargetDescription{Id: &b.machines[i], Port: &port}
	}
	made := map[string]*string{
		"lbc":      b.group("lbc", map[string]string{"elbv2.k8s.aws/cluster": "demo"}, at(0, 30001), at(0, 30002), at(1, 30001)),
		"provider": b.group("provider", map[string]string{"kubernetes.io/cluster/demo": "owned", "kubernetes.io/service-name": "default/web"}, at(0, 30003)),
		"auto":     b.group("auto", map[string]string{"eks:eks-cluster-name": "demo"}, at(0, 30004)),
		"given":    b.group("given", map[string]string{fleet.TagCluster: "demo"}, at(0, 30005)),
		"shared":   b.group("shared", map[string]string{"kubernetes.io/cluster/demo": "shared"}, at(0, 30006)),
		"another":  b.group("another", map[string]string{"elbv2.k8s.aws/cluster": "other"}, at(0, 30007)),
		"nobodys":  b.group("nobodys", nil, at(0, 30008)),
		"attached": b.group("attached", nil),
		"empty":    b.group("empty", map[string]string{"elbv2.k8s.aws/cluster": "demo"}),
	}
	must(b.asg.AttachLoadBalancerTargetGroups(t.Context(), &autoscaling.AttachLoadBalancerTargetGroupsInput{AutoScalingGroupName: aws.String("g"), TargetGroupARNs: []string{*made["attached"]}}))(t)
	must(b.elb.CreateTargetGroup(t.Context(), &elb.CreateTargetGroupInput{Name: aws.String("pods"), Protocol: elbtypes.ProtocolEnumTcp, Port: aws.Int32(80), VpcId: b.vpc, TargetType: elbtypes.TargetTypeEnumIp,
		Tags: []elbtypes.Tag{{Key: aws.String("elbv2.k8s.aws/cluster"), Value: aws.String("demo")}}}))(t)

	targets := awscloud.NewTargets(b.cfg, time.Now)
	inst := must(awscloud.NewCompute(b.cfg).Instance(t.Context(), b.machines[0]))(t)
	if inst.VPC != *b.vpc {
		t.Errorf("the machine's VPC is %q", inst.VPC)
	}
	b.counted.since()
	see := func() map[string]fleet.Target {
		t.Helper()
		out := map[string]fleet.Target{}
		for _, target := range must(targets.Targets(t.Context(), "demo", inst))(t) {
			for name, arn := range made {
				if *arn == target.Group {
					out[fmt.Sprint(name, ":", target.Port)] = target
				}
			}
		}
		return out
	}
	got := see()
	for name, want := range map[string]fleet.Target{
		"lbc:30001":      {Port: 30001, Ours: true, PutBack: true},
		"lbc:30002":      {Port: 30002, Ours: true, PutBack: true},
		"provider:30003": {Port: 30003, Ours: true, PutBack: true},
		"auto:30004":     {Port: 30004, Ours: true, PutBack: true},
		"given:30005":    {Port: 30005, Ours: true},
		"shared:30006":   {Port: 30006},
		"attached:80":    {Port: 80, ScalingGroups: []string{"g"}},
	} {
		g := got[name]
		if g.Port != want.Port || g.Ours != want.Ours || g.PutBack != want.PutBack || !slices.Equal(g.ScalingGroups, want.ScalingGroups) || g.State != "initial" {
			t.Errorf("%s: got %+v, want %+v", name, g, want)
		}
	}
	if len(got) != 7 {
		t.Errorf("found %d targets: %+v", len(got), got)
	}
	if calls := b.counted.since(); calls["DescribeTargetGroups"] != 1 || calls["DescribeTags"] != 1 || calls["DescribeAutoScalingGroups"] != 1 || calls["DescribeTargetHealth"] != 7 {
		t.Errorf("the first look took %v", calls)
	}
	other := must(awscloud.NewCompute(b.cfg).Instance(t.Context(), b.machines[1]))(t)
	b.counted.since()
	if list := must(targets.Targets(t.Context(), "demo", other))(t); len(list) != 2 || len(b.counted.since()) != 0 {
		t.Errorf("the other machine, at the same time: %+v", list)
	}
	time.Sleep(time.Second)
	if g := see(); g["lbc:30001"].State != fleet.TargetHealthy {
		t.Errorf("a second later: %+v", g["lbc:30001"])
	}
	if calls := b.counted.since(); len(calls) != 1 || calls["DescribeTargetHealth"] != 7 {
		t.Errorf("a later look took %v", calls)
	}

	for range 2 { // the second time it drains already
		if err := targets.Deregister(t.Context(), *made["lbc"], inst.ID, 30001); err != nil {
			t.Error(err)
		}
	}
	time.Sleep(time.Second)
	if g := see(); g["lbc:30001"].State != fleet.TargetDraining || g["lbc:30002"].State != fleet.TargetHealthy {
		t.Errorf("after the deregistration of one port: %+v", g)
	}
	time.Sleep(10 * time.Second)
	if g := see(); len(g) != 6 || g["lbc:30001"].Group != "" {
		t.Errorf("after the delay: %+v", g)
	}
	if err := targets.Deregister(t.Context(), *made["lbc"], inst.ID, 30001); err != nil {
		t.Errorf("what is not registered: %v", err)
	}
	for _, l := range must(b.elb.DescribeListeners(t.Context(), &elb.DescribeListenersInput{LoadBalancerArn: &b.balancer}))(t).Listeners {
		if *l.DefaultActions[0].TargetGroupArn == *made["empty"] {
			must(b.elb.DeleteListener(t.Context(), &elb.DeleteListenerInput{ListenerArn: l.ListenerArn}))(t)
		}
	}
	must(b.elb.DeleteTargetGroup(t.Context(), &elb.DeleteTargetGroupInput{TargetGroupArn: made["empty"]}))(t)
	time.Sleep(time.Second)
	if g := see(); len(g) != 6 { // it is still remembered
		t.Errorf("after the end of a target group: %+v", g)
	}
	if err := targets.Deregister(t.Context(), *made["empty"], inst.ID, 80); !fault.Is(err, fault.NotFound) {
		t.Errorf("of a group that is gone: %v", err)
	}
	b.counted.since()
	if list := must(targets.Targets(t.Context(), "elsewhere", inst))(t); len(list) != 0 {
		t.Errorf("of a cluster without load balancers: %+v", list)
	}
	b.counted.since()
	if must(targets.Targets(t.Context(), "elsewhere", inst))(t); len(b.counted.since()) != 0 {
		t.Error("a cluster without load balancers is asked for them each time")
	}
}

// leaveScaling: Auto Scaling takes out of the attached target groups what is detached, and what it ends, for whose connections it
// waits; and registers what takes its place.
func (b *behindBalancers) leaveScaling() {
	t, compute := b.t, awscloud.NewCompute(b.cfg)
	attached := func(id string) fleet.TargetState {
		for _, target := range must(awscloud.NewTargets(b.cfg, time.Now).Targets(t.Context(), "demo", must(compute.Instance(t.Context(), id))(t)))(t) {
			if len(target.ScalingGroups) > 0 {
				return target.State
			}
		}
		return ""
	}
	if err := compute.ReplaceInstance(t.Context(), "g", b.machines[0]); err != nil {
		t.Fatal(err)
	}
	if s := attached(b.machines[0]); s != fleet.TargetDraining {
		t.Errorf("what was detached is %q", s)
	}
	until(t, "a replacement", func() bool { b.machines = b.inService(); return len(b.machines) == 2 })
	until(t, "its registration", func() bool {
		return attached(b.machines[0]) == fleet.TargetHealthy && attached(b.machines[1]) == fleet.TargetHealthy
	})
	began := time.Now()
	if err := compute.EndInstance(t.Context(), "g", b.machines[0], false); err != nil {
		t.Fatal(err)
	}
	if s := attached(b.machines[0]); s != fleet.TargetDraining {
		t.Errorf("what ends is %q", s)
	}
	until(t, "the end", func() bool { return must(compute.Instance(t.Context(), b.machines[0]))(t).Gone() })
	if took := time.Since(began); took < 6*time.Second {
		t.Errorf("the machine ended after %s: its connections were not waited for", took)
	}
}
