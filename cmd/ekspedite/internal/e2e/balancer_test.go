package e2e

import (
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/scene"
	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/awscloud"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// shared is for how long a function's environment shares what it was told of a target group (package awscloud, targets.go).
const shared = time.Second

// front is a load balancer before one machine, and what it sent there when the machine's first pod was told to go.
type front struct {
	t       *testing.T
	elb     *elb.Client
	group   *string
	machine string

	mu        sync.Mutex
	atSIGTERM string
}

// newFront makes a network load balancer for cluster demo, one of whose nodes is given, as the AWS Load Balancer Controller would for a
// service in instance mode. Function environments remember target groups for minutes: it has to be there before the first drain.
func newFront(t *testing.T, s *scene.Scene, node fleet.Node) *front {
	t.Helper()
	cfg := scene.Config(s.Cloud)
	f := &front{t: t, elb: elb.NewFromConfig(cfg)}
	check := f.check
	inst, err := awscloud.NewCompute(cfg).Instance(t.Context(), scene.InstanceID(node))
	check(err)
	subnets, err := ec2.NewFromConfig(cfg).DescribeSubnets(t.Context(), &ec2.DescribeSubnetsInput{Filters: []ec2types.Filter{{Name: aws.String("vpc-id"), Values: []string{inst.VPC}}}})
	check(err)
	b, err := f.elb.CreateLoadBalancer(t.Context(), &elb.CreateLoadBalancerInput{Name: aws.String("front"), Type: elbtypes.LoadBalancerTypeEnumNetwork, Subnets: []string{*subnets.Subnets[0].SubnetId}})
	check(err)
	g, err := f.elb.CreateTargetGroup(t.Context(), &elb.CreateTargetGroupInput{Name: aws.String("k8s-default-stubborn"), Protocol: elbtypes.ProtocolEnumTcp, Port: aws.Int32(30080), VpcId: &inst.VPC,
		Tags: []elbtypes.Tag{{Key: aws.String("elbv2.k8s.aws/cluster"), Value: aws.String("demo")}}})
	check(err)
	f.group = g.TargetGroups[0].TargetGroupArn
	_, err = f.elb.CreateListener(t.Context(), &elb.CreateListenerInput{LoadBalancerArn: b.LoadBalancers[0].LoadBalancerArn, Port: aws.Int32(80), Protocol: elbtypes.ProtocolEnumTcp,
		DefaultActions: []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, TargetGroupArn: f.group}}})
	check(err)
	return f
}

func (f *front) check(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

// before puts the load balancer before a machine, and waits until it sends traffic there.
func (f *front) before(t *testing.T, v *scene.View, node fleet.Node) {
	t.Helper()
	f.t, f.machine = t, scene.InstanceID(node)
	_, err := f.elb.RegisterTargets(t.Context(), &elb.RegisterTargetsInput{TargetGroupArn: f.group, Targets: []elbtypes.TargetDescription{{Id: &f.machine}}})
	f.check(err)
	for end := time.Now().Add(time.Minute); f.state() != string(elbtypes.TargetHealthStateEnumHealthy); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the machine is no healthy target within a minute")
		}
	}
	time.Sleep(shared) // the drain before this one was told of no targets
	v.Observe(func(_ bool, old, p fleet.Pod) {
		if p.Node == node.Name && p.Deleting && !old.Deleting {
			f.mu.Lock()
			defer f.mu.Unlock()
			if f.atSIGTERM == "" {
				f.atSIGTERM = f.state()
			}
		}
	}, nil)
}

// state is the machine's as a target.
func (f *front) state() string {
	out, err := f.elb.DescribeTargetHealth(f.t.Context(), &elb.DescribeTargetHealthInput{TargetGroupArn: f.group, Targets: []elbtypes.TargetDescription{{Id: &f.machine}}})
	if err != nil {
		return err.Error()
	}
	return string(out.TargetHealthDescriptions[0].TargetHealth.State)
}

// wantOut checks the machine's removal: it was taken out of its target group before its first pod was told to go, and its end waited
// until connections were over.
func (f *front) wantOut(run events.RunFinished) {
	f.t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.atSIGTERM != "draining" && f.atSIGTERM != "unused" {
		f.t.Errorf("when the first pod was told to go, the load balancer's target was %q", f.atSIGTERM)
	}
	out, ended := run.Timings["eventToTargetsOut"], run.Timings["eventToMachineEnded"]
	if run.Counts["targetsDeregistered"] != 1 || out <= 0 || out > run.Timings["eventToLastEviction"] || ended < out || f.state() != "unused" {
		f.t.Errorf("the target is %s; %v, %v", f.state(), run.Counts, run.Timings)
	}
}
