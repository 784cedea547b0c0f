package conformance

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// asgSuite is a client with a network, a launch template and helpers that fail the test.
type asgSuite struct {
	*autoscaling.Client
	t        *testing.T
	machines *ec2Suite
	subnets  []string
	template *string
}

func newASG(t *testing.T) *asgSuite {
	tg := target(t, "autoscaling")
	s := &asgSuite{Client: autoscaling.NewFromConfig(tg.Config), t: t}
	s.machines = &ec2Suite{ec2.NewFromConfig(tg.Config), t, tg, t.Context(), "conf-" + strings.ToLower(t.Name()) + time.Now().Format("-150405.000000")}
	_, s.subnets = s.machines.vpc(2)
	in := &ec2.CreateLaunchTemplateInput{LaunchTemplateName: &s.machines.name, LaunchTemplateData: &ec2types.RequestLaunchTemplateData{ImageId: s.machines.image(), InstanceType: "t3.micro"}}
	s.template = must(s.machines.CreateLaunchTemplate(t.Context(), in))(t).LaunchTemplate.LaunchTemplateId
	s.machines.undo("launch template", func(ctx context.Context) error {
		_, err := s.machines.DeleteLaunchTemplate(ctx, &ec2.DeleteLaunchTemplateInput{LaunchTemplateId: s.template})
		return err
	})
	return s
}

// group makes a group that is deleted, with its instances, with the test.
func (s *asgSuite) group(desired int32, change func(*autoscaling.CreateAutoScalingGroupInput)) string {
	s.t.Helper()
	name := s.machines.name
	in := &autoscaling.CreateAutoScalingGroupInput{
		AutoScalingGroupName: &name, MinSize: aws.Int32(0), MaxSize: aws.Int32(4), DesiredCapacity: &desired, VPCZoneIdentifier: aws.String(strings.Join(s.subnets, ",")),
		LaunchTemplate: &types.LaunchTemplateSpecification{LaunchTemplateId: s.template, Version: aws.String("$Latest")},
		Tags:           []types.Tag{{Key: aws.String("suite"), Value: &name, PropagateAtLaunch: aws.Bool(true)}},
	}
	if change != nil {
		change(in)
	}
	must(s.CreateAutoScalingGroup(s.t.Context(), in))(s.t)
	s.machines.undo("group", func(ctx context.Context) error {
		var ids []string
		for _, i := range s.describe(ctx, name).Instances {
			ids = append(ids, *i.InstanceId)
		}
		if _, err := s.DeleteAutoScalingGroup(ctx, &autoscaling.DeleteAutoScalingGroupInput{AutoScalingGroupName: &name, ForceDelete: aws.Bool(true)}); err != nil || len(ids) == 0 {
			return err
		}
		if _, err := s.machines.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: ids}); err != nil { // moto leaves attached ones
			return err
		}
		return ec2.NewInstanceTerminatedWaiter(s.machines, func(o *ec2.InstanceTerminatedWaiterOptions) {
			o.MinDelay, o.MaxDelay = s.machines.delay(), s.machines.delay()
		}).
			Wait(ctx, &ec2.DescribeInstancesInput{InstanceIds: ids}, 5*time.Minute)
	})
	return name
}

func (s *asgSuite) describe(ctx context.Context, name string) types.AutoScalingGroup {
	s.t.Helper()
	out := must(s.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{name}}))(s.t)
	if len(out.AutoScalingGroups) != 1 {
		s.t.Fatalf("%d groups of the name %s", len(out.AutoScalingGroups), name)
	}
	return out.AutoScalingGroups[0]
}

// until waits for as many instances in a lifecycle state, and no others but those leaving, and returns their ids.
func (s *asgSuite) until(name string, state types.LifecycleState, n int) []string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 5*time.Minute)
	defer cancel()
	for {
		var ids []string
		for _, i := range s.describe(ctx, name).Instances {
			if i.LifecycleState == state {
				ids = append(ids, *i.InstanceId)
			}
		}
		if len(ids) == n {
			return ids
		}
		select {
		case <-ctx.Done():
			s.t.Fatalf("%d instances are %s, want %d", len(ids), state, n)
		case <-time.After(s.machines.delay()):
		}
	}
}

func TestAutoScalingGroupLife(t *testing.T) {
	t.Parallel()
	s := newASG(t)
	name := s.group(2, nil)
	ids := s.until(name, "InService", 2)
	g := s.describe(t.Context(), name)
	if *g.DesiredCapacity != 2 || *g.HealthCheckType != "EC2" || len(g.AvailabilityZones) != 2 || !strings.Contains(*g.AutoScalingGroupARN, ":autoScalingGroup:") ||
		exact(s.machines.tg) && *g.Instances[0].AvailabilityZone == *g.Instances[1].AvailabilityZone || *g.Instances[0].HealthStatus != "Healthy" {
		t.Errorf("group %+v", g)
	}
	m := must(s.machines.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{InstanceIds: ids[:1]}))(t).Reservations[0].Instances[0]
	tags := map[string]string{}
	for _, tag := range m.Tags {
		tags[*tag.Key] = *tag.Value
	}
	if tags["aws:autoscaling:groupName"] != name || tags["suite"] != name {
		t.Errorf("tags %v", tags)
	}
	who := must(s.DescribeAutoScalingInstances(t.Context(), &autoscaling.DescribeAutoScalingInstancesInput{InstanceIds: ids[:1]}))(t).AutoScalingInstances
	if len(who) != 1 || *who[0].AutoScalingGroupName != name || *who[0].LifecycleState != "InService" {
		t.Errorf("instances %+v", who)
	}
	must(s.SetDesiredCapacity(t.Context(), &autoscaling.SetDesiredCapacityInput{AutoScalingGroupName: &name, DesiredCapacity: aws.Int32(3)}))(t)
	s.until(name, "InService", 3)
	_, err := s.SetDesiredCapacity(t.Context(), &autoscaling.SetDesiredCapacityInput{AutoScalingGroupName: &name, DesiredCapacity: aws.Int32(9)})
	if exact(s.machines.tg) { // moto takes it
		wantEC2(t, err, "ValidationError")
	}
	out := must(s.TerminateInstanceInAutoScalingGroup(t.Context(), &autoscaling.TerminateInstanceInAutoScalingGroupInput{InstanceId: &ids[0], ShouldDecrementDesiredCapacity: aws.Bool(true)}))(t)
	if exact(s.machines.tg) && (out.Activity == nil || out.Activity.StatusCode != "InProgress") {
		t.Errorf("activity %+v", out.Activity)
	}
	must(s.UpdateAutoScalingGroup(t.Context(), &autoscaling.UpdateAutoScalingGroupInput{AutoScalingGroupName: &name, MaxSize: aws.Int32(1), MinSize: aws.Int32(1), DesiredCapacity: aws.Int32(1)}))(t)
	s.until(name, "InService", 1)
	acts := must(s.DescribeScalingActivities(t.Context(), &autoscaling.DescribeScalingActivitiesInput{AutoScalingGroupName: &name}))(t).Activities
	if exact(s.machines.tg) && (len(acts) < 5 || acts[0].StartTime.Before(*acts[len(acts)-1].StartTime)) {
		t.Errorf("activities %+v", acts)
	}
}

func TestAutoScalingRefusals(t *testing.T) {
	t.Parallel()
	s := newASG(t)
	name := s.group(0, nil)
	_, err := s.UpdateAutoScalingGroup(t.Context(), &autoscaling.UpdateAutoScalingGroupInput{AutoScalingGroupName: aws.String("no-such-group"), MaxSize: aws.Int32(1)})
	wantEC2(t, err, "ValidationError")
	if !exact(s.machines.tg) {
		return // moto takes a name twice, and fails on an unknown instance
	}
	_, err = s.CreateAutoScalingGroup(t.Context(), &autoscaling.CreateAutoScalingGroupInput{
		AutoScalingGroupName: &name, MinSize: aws.Int32(0), MaxSize: aws.Int32(1), VPCZoneIdentifier: &s.subnets[0], LaunchTemplate: &types.LaunchTemplateSpecification{LaunchTemplateId: s.template},
	})
	wantEC2(t, err, "AlreadyExists")
	_, err = s.TerminateInstanceInAutoScalingGroup(t.Context(), &autoscaling.TerminateInstanceInAutoScalingGroupInput{InstanceId: aws.String("i-0123456789abcdef0"), ShouldDecrementDesiredCapacity: aws.Bool(false)})
	wantEC2(t, err, "ValidationError")
}

func TestAutoScalingTagsAndFilters(t *testing.T) {
	t.Parallel()
	s := newASG(t)
	name := s.group(0, nil)
	kind := aws.String("auto-scaling-group")
	must(s.CreateOrUpdateTags(t.Context(), &autoscaling.CreateOrUpdateTagsInput{Tags: []types.Tag{{ResourceId: &name, ResourceType: kind, Key: aws.String("a"), Value: aws.String("1"), PropagateAtLaunch: aws.Bool(false)}}}))(t)
	got := must(s.DescribeTags(t.Context(), &autoscaling.DescribeTagsInput{Filters: []types.Filter{{Name: aws.String("auto-scaling-group"), Values: []string{name}}}}))(t).Tags
	propagated := map[string]bool{}
	for _, d := range got {
		propagated[*d.Key] = *d.PropagateAtLaunch
	}
	if p, ok := propagated["a"]; !ok || p || !propagated["suite"] || len(got) != 2 {
		t.Errorf("tags %v", propagated)
	}
	found := must(s.DescribeAutoScalingGroups(t.Context(), &autoscaling.DescribeAutoScalingGroupsInput{Filters: []types.Filter{{Name: aws.String("tag:suite"), Values: []string{name}}, {Name: aws.String("tag-key"), Values: []string{"a"}}}}))(t)
	if len(found.AutoScalingGroups) != 1 {
		t.Errorf("%d groups by tag", len(found.AutoScalingGroups))
	}
	must(s.DeleteTags(t.Context(), &autoscaling.DeleteTagsInput{Tags: []types.Tag{{ResourceId: &name, ResourceType: kind, Key: aws.String("a"), Value: aws.String("1"), PropagateAtLaunch: aws.Bool(false)}}}))(t)
	if g := s.describe(t.Context(), name); len(g.Tags) != 1 {
		t.Errorf("tags %+v", g.Tags)
	}
}

func TestAutoScalingMixedInstances(t *testing.T) {
	t.Parallel()
	s := newASG(t)
	name := s.group(2, func(in *autoscaling.CreateAutoScalingGroupInput) {
		in.LaunchTemplate = nil
		in.CapacityRebalance = aws.Bool(true)
		in.MixedInstancesPolicy = &types.MixedInstancesPolicy{
			LaunchTemplate: &types.LaunchTemplate{
				LaunchTemplateSpecification: &types.LaunchTemplateSpecification{LaunchTemplateId: s.template, Version: aws.String("1")},
				Overrides:                   []types.LaunchTemplateOverrides{{InstanceType: aws.String("t3.micro")}, {InstanceType: aws.String("t3.small")}},
			},
			InstancesDistribution: &types.InstancesDistribution{OnDemandBaseCapacity: aws.Int32(1), OnDemandPercentageAboveBaseCapacity: aws.Int32(0), SpotAllocationStrategy: aws.String("price-capacity-optimized")},
		}
	})
	ids := s.until(name, "InService", 2)
	g := s.describe(t.Context(), name)
	if p := g.MixedInstancesPolicy; len(p.LaunchTemplate.Overrides) != 2 || *p.InstancesDistribution.OnDemandBaseCapacity != 1 {
		t.Errorf("policy %+v", p)
	}
	if !exact(s.machines.tg) {
		return // moto launches on demand only
	}
	spot := 0
	for _, r := range must(s.machines.DescribeInstances(t.Context(), &ec2.DescribeInstancesInput{InstanceIds: ids}))(t).Reservations {
		for _, i := range r.Instances {
			if i.InstanceLifecycle == "spot" {
				spot++
			}
		}
	}
	if spot != 1 {
		t.Errorf("%d spot instances of 2, want 1", spot)
	}
}

func TestAutoScalingLifecycleHooks(t *testing.T) {
	t.Parallel()
	s := newASG(t)
	name := s.group(0, nil)
	hook := func(hook, transition string) {
		must(s.PutLifecycleHook(t.Context(), &autoscaling.PutLifecycleHookInput{
			AutoScalingGroupName: &name, LifecycleHookName: &hook, LifecycleTransition: &transition, HeartbeatTimeout: aws.Int32(120), DefaultResult: aws.String("CONTINUE"),
		}))(t)
	}
	hook("in", "autoscaling:EC2_INSTANCE_LAUNCHING")
	hook("out", "autoscaling:EC2_INSTANCE_TERMINATING")
	hooks := must(s.DescribeLifecycleHooks(t.Context(), &autoscaling.DescribeLifecycleHooksInput{AutoScalingGroupName: &name}))(t).LifecycleHooks
	if len(hooks) != 2 || *hooks[0].HeartbeatTimeout != 120 || *hooks[0].DefaultResult != "CONTINUE" {
		t.Errorf("hooks %+v", hooks)
	}
	if !exact(s.machines.tg) {
		return // moto has no waits
	}
	complete := func(hook, id string) error {
		_, err := s.CompleteLifecycleAction(t.Context(), &autoscaling.CompleteLifecycleActionInput{AutoScalingGroupName: &name, LifecycleHookName: &hook, InstanceId: &id, LifecycleActionResult: aws.String("CONTINUE")})
		return err
	}
	must(s.SetDesiredCapacity(t.Context(), &autoscaling.SetDesiredCapacityInput{AutoScalingGroupName: &name, DesiredCapacity: aws.Int32(1)}))(t)
	id := s.until(name, "Pending:Wait", 1)[0]
	must(s.RecordLifecycleActionHeartbeat(t.Context(), &autoscaling.RecordLifecycleActionHeartbeatInput{AutoScalingGroupName: &name, LifecycleHookName: aws.String("in"), InstanceId: &id}))(t)
	wantEC2(t, complete("in", "i-0123456789abcdef0"), "ValidationError")
	if err := complete("in", id); err != nil {
		t.Fatal(err)
	}
	s.until(name, "InService", 1)
	must(s.SetDesiredCapacity(t.Context(), &autoscaling.SetDesiredCapacityInput{AutoScalingGroupName: &name, DesiredCapacity: aws.Int32(0)}))(t)
	s.until(name, "Terminating:Wait", 1)
	if err := complete("out", id); err != nil {
		t.Fatal(err)
	}
	s.until(name, "Terminating:Wait", 0)
	w := ec2.NewInstanceTerminatedWaiter(s.machines, func(o *ec2.InstanceTerminatedWaiterOptions) {
		o.MinDelay, o.MaxDelay = s.machines.delay(), s.machines.delay()
	})
	if err := w.Wait(t.Context(), &ec2.DescribeInstancesInput{InstanceIds: []string{id}}, 5*time.Minute); err != nil {
		t.Fatal(err)
	}
}

func TestAutoScalingDetachProtectSuspend(t *testing.T) {
	t.Parallel()
	s := newASG(t)
	name := s.group(2, nil)
	ids := s.until(name, "InService", 2)
	must(s.SetInstanceProtection(t.Context(), &autoscaling.SetInstanceProtectionInput{AutoScalingGroupName: &name, InstanceIds: ids[:1], ProtectedFromScaleIn: aws.Bool(true)}))(t)
	must(s.SuspendProcesses(t.Context(), &autoscaling.SuspendProcessesInput{AutoScalingGroupName: &name, ScalingProcesses: []string{"AZRebalance", "Launch"}}))(t)
	g := s.describe(t.Context(), name)
	if len(g.SuspendedProcesses) != 2 {
		t.Errorf("suspended %+v", g.SuspendedProcesses)
	}
	for _, i := range g.Instances {
		if *i.ProtectedFromScaleIn != (*i.InstanceId == ids[0]) {
			t.Errorf("instance %+v", i)
		}
	}
	must(s.ResumeProcesses(t.Context(), &autoscaling.ResumeProcessesInput{AutoScalingGroupName: &name, ScalingProcesses: []string{"Launch", "AZRebalance"}}))(t)
	must(s.DetachInstances(t.Context(), &autoscaling.DetachInstancesInput{AutoScalingGroupName: &name, InstanceIds: ids[1:], ShouldDecrementDesiredCapacity: aws.Bool(true)}))(t)
	s.until(name, "InService", 1)
	must(s.AttachInstances(t.Context(), &autoscaling.AttachInstancesInput{AutoScalingGroupName: &name, InstanceIds: ids[1:]}))(t)
	s.until(name, "InService", 2)
}
