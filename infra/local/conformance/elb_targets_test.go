package conformance

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// targetSuite is an Application Load Balancer, a target group and an instance.
type targetSuite struct {
	*elb.Client
	t               *testing.T
	exact           bool
	balancer, group *string
	machine         string
	end             func() // what a test ends with
}

// remove is success where there is nothing left.
func (s *targetSuite) remove(ctx context.Context) error {
	if _, err := s.DeleteLoadBalancer(ctx, &elb.DeleteLoadBalancerInput{LoadBalancerArn: s.balancer}); err != nil {
		return err
	}
	_, err := s.DeleteTargetGroup(ctx, &elb.DeleteTargetGroupInput{TargetGroupArn: s.group})
	return err
}

func newTargets(t *testing.T) *targetSuite {
	m := newEC2(t)
	tg := target(t, "elasticloadbalancing")
	s := &targetSuite{Client: elb.NewFromConfig(tg.Config), t: t, exact: exact(tg)}
	vpc, subnets := m.vpc(2)
	suffix := fmt.Sprint(time.Now().UnixNano())
	s.balancer = must(s.CreateLoadBalancer(t.Context(), &elb.CreateLoadBalancerInput{Name: aws.String("b" + suffix), Subnets: subnets, Scheme: elbtypes.LoadBalancerSchemeEnumInternal}))(t).LoadBalancers[0].LoadBalancerArn
	s.group = must(s.CreateTargetGroup(t.Context(), &elb.CreateTargetGroupInput{Name: aws.String("t" + suffix), Protocol: elbtypes.ProtocolEnumHttp, Port: aws.Int32(80), VpcId: &vpc}))(t).TargetGroups[0].TargetGroupArn
	m.undo("load balancer and target group", s.remove)
	s.end = func() {
		if err := s.remove(t.Context()); err != nil {
			t.Error(err)
		}
		waitNoInterfaces(t, m, vpc)
	}
	s.machine = *m.run(1, &ec2.RunInstancesInput{ImageId: m.image(), InstanceType: ec2types.InstanceTypeT3Micro, MinCount: aws.Int32(1), MaxCount: aws.Int32(1), SubnetId: &subnets[0]})[0].InstanceId
	m.running(s.machine)
	return s
}

// health reads targets: of the whole group, or of those named.
func (s *targetSuite) health(targets ...elbtypes.TargetDescription) []elbtypes.TargetHealthDescription {
	s.t.Helper()
	return must(s.DescribeTargetHealth(s.t.Context(), &elb.DescribeTargetHealthInput{TargetGroupArn: s.group, Targets: targets}))(s.t).TargetHealthDescriptions
}

func (s *targetSuite) target(port int32) elbtypes.TargetDescription {
	return elbtypes.TargetDescription{Id: &s.machine, Port: &port}
}

// wantState checks one target's state and reason.
func (s *targetSuite) wantState(port int32, state elbtypes.TargetHealthStateEnum, reason elbtypes.TargetHealthReasonEnum) {
	s.t.Helper()
	got := s.health(s.target(port))
	if len(got) != 1 || *got[0].Target.Id != s.machine || *got[0].Target.Port != port || got[0].TargetHealth.State != state || got[0].TargetHealth.Reason != reason || (got[0].TargetHealth.Description == nil) != (reason == "") {
		s.t.Errorf("port %d: got %+v, want %s %s", port, got, state, reason)
	}
}

// until waits for a target's state.
func (s *targetSuite) until(port int32, state elbtypes.TargetHealthStateEnum) {
	s.t.Helper()
	for end := time.Now().Add(10 * time.Minute); s.health(s.target(port))[0].TargetHealth.State != state; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("port %d is not %s within ten minutes", port, state)
		}
	}
}

func TestELBTargets(t *testing.T) {
	t.Parallel()
	s := newTargets(t)
	defer s.end()
	ctx := t.Context()
	s.wantState(80, elbtypes.TargetHealthStateEnumUnused, elbtypes.TargetHealthReasonEnumNotRegistered)
	if all := s.health(); len(all) != 0 {
		t.Errorf("an empty group has %+v", all)
	}
	register := func(targets ...elbtypes.TargetDescription) error {
		_, err := s.RegisterTargets(ctx, &elb.RegisterTargetsInput{TargetGroupArn: s.group, Targets: targets})
		return err
	}
	deregister := func(targets ...elbtypes.TargetDescription) {
		t.Helper()
		must(s.DeregisterTargets(ctx, &elb.DeregisterTargetsInput{TargetGroupArn: s.group, Targets: targets}))(t)
	}
	if err := register(elbtypes.TargetDescription{Id: &s.machine}, s.target(8080)); err != nil {
		t.Fatal(err)
	}
	if !s.exact { // others do not tell what a group without listener is
		return
	}
	s.wantState(80, elbtypes.TargetHealthStateEnumUnused, elbtypes.TargetHealthReasonEnumNotInUse)
	listener := must(s.CreateListener(ctx, &elb.CreateListenerInput{LoadBalancerArn: s.balancer, Port: aws.Int32(80), Protocol: elbtypes.ProtocolEnumHttp,
		DefaultActions: []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, TargetGroupArn: s.group}}}))(t).Listeners[0].ListenerArn
	_, err := s.DeleteTargetGroup(ctx, &elb.DeleteTargetGroupInput{TargetGroupArn: s.group})
	apiError(t, err, "ResourceInUse")
	if of := must(s.DescribeTargetGroups(ctx, &elb.DescribeTargetGroupsInput{LoadBalancerArn: s.balancer}))(t).TargetGroups; len(of) != 1 || !slices.Equal(of[0].LoadBalancerArns, []string{*s.balancer}) || of[0].TargetType != elbtypes.TargetTypeEnumInstance {
		t.Errorf("the load balancer's target groups: %+v", of)
	}
	s.until(80, elbtypes.TargetHealthStateEnumHealthy)
	s.wantState(80, elbtypes.TargetHealthStateEnumHealthy, "")
	if all := s.health(); len(all) != 2 {
		t.Errorf("two ports: %+v", all)
	}

	delay := func() string {
		for _, a := range must(s.DescribeTargetGroupAttributes(ctx, &elb.DescribeTargetGroupAttributesInput{TargetGroupArn: s.group}))(t).Attributes {
			if *a.Key == "deregistration_delay.timeout_seconds" {
				return *a.Value
			}
		}
		return ""
	}
	if d := delay(); d != "300" {
		t.Errorf("the default deregistration delay is %s", d)
	}
	must(s.ModifyTargetGroupAttributes(ctx, &elb.ModifyTargetGroupAttributesInput{TargetGroupArn: s.group,
		Attributes: []elbtypes.TargetGroupAttribute{{Key: aws.String("deregistration_delay.timeout_seconds"), Value: aws.String("60")}}}))(t)
	if d := delay(); d != "60" {
		t.Errorf("the deregistration delay is %s", d)
	}
	for range 2 { // the second time it drains already
		deregister(s.target(8080))
	}
	s.wantState(8080, elbtypes.TargetHealthStateEnumDraining, elbtypes.TargetHealthReasonEnumDeregistrationInProgress)
	if all := s.health(); len(all) != 2 {
		t.Errorf("what drains is in the list: %+v", all)
	}
	s.wantState(80, elbtypes.TargetHealthStateEnumHealthy, "")
	s.until(8080, elbtypes.TargetHealthStateEnumUnused)
	s.wantState(8080, elbtypes.TargetHealthStateEnumUnused, elbtypes.TargetHealthReasonEnumNotRegistered)
	if all := s.health(); len(all) != 1 || *all[0].Target.Port != 80 {
		t.Errorf("what has drained is not: %+v", all)
	}
	deregister(s.target(8080), elbtypes.TargetDescription{Id: aws.String("i-0123456789abcdef0")}) // neither is there
	deregister(s.target(80))
	if err := register(s.target(80)); err != nil {
		t.Errorf("what drains is taken back: %v", err)
	}
	s.until(80, elbtypes.TargetHealthStateEnumHealthy)

	apiError(t, register(elbtypes.TargetDescription{Id: aws.String("i-0123456789abcdef0")}), "InvalidTarget")
	gone := aws.String(*s.group + "0")
	_, err = s.DescribeTargetHealth(ctx, &elb.DescribeTargetHealthInput{TargetGroupArn: gone})
	apiError(t, err, "TargetGroupNotFound")
	_, err = s.DeregisterTargets(ctx, &elb.DeregisterTargetsInput{TargetGroupArn: gone, Targets: []elbtypes.TargetDescription{{Id: &s.machine}}})
	apiError(t, err, "TargetGroupNotFound")
	_, err = s.CreateListener(ctx, &elb.CreateListenerInput{LoadBalancerArn: s.balancer, Port: aws.Int32(80), Protocol: elbtypes.ProtocolEnumHttp,
		DefaultActions: []elbtypes.Action{{Type: elbtypes.ActionTypeEnumForward, TargetGroupArn: s.group}}})
	apiError(t, err, "DuplicateListener")
	if list := must(s.DescribeListeners(ctx, &elb.DescribeListenersInput{ListenerArns: []string{*listener}}))(t).Listeners; len(list) != 1 || *list[0].DefaultActions[0].TargetGroupArn != *s.group {
		t.Errorf("the listener: %+v", list)
	}
	must(s.DeleteListener(ctx, &elb.DeleteListenerInput{ListenerArn: listener}))(t)
	_, err = s.DeleteListener(ctx, &elb.DeleteListenerInput{ListenerArn: listener})
	apiError(t, err, "ListenerNotFound")
	s.wantState(80, elbtypes.TargetHealthStateEnumUnused, elbtypes.TargetHealthReasonEnumNotInUse)
}
