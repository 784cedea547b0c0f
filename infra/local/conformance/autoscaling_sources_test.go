package conformance

import (
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
)

func TestAutoScalingMetricsAndSources(t *testing.T) {
	t.Parallel()
	s := newASG(t)
	if s.machines.tg.Endpoint == "" {
		t.Skip("AWS wants target groups that exist")
	}
	name := s.group(0, nil)
	must(s.EnableMetricsCollection(t.Context(), &autoscaling.EnableMetricsCollectionInput{AutoScalingGroupName: &name, Granularity: aws.String("1Minute"), Metrics: []string{"GroupMinSize", "GroupMaxSize"}}))(t)
	var metrics []string
	for _, m := range s.describe(t.Context(), name).EnabledMetrics {
		metrics = append(metrics, *m.Metric)
	}
	slices.Sort(metrics)
	if !slices.Equal(metrics, []string{"GroupMaxSize", "GroupMinSize"}) {
		t.Errorf("metrics %v", metrics)
	}
	arn := "arn:aws:elasticloadbalancing:" + s.machines.tg.Region + ":123456789012:targetgroup/tg/0123456789abcdef"
	if exact(s.machines.tg) { // moto wants target groups that exist too, and knows no DisableMetricsCollection
		must(s.DisableMetricsCollection(t.Context(), &autoscaling.DisableMetricsCollectionInput{AutoScalingGroupName: &name}))(t)
		must(s.AttachLoadBalancerTargetGroups(t.Context(), &autoscaling.AttachLoadBalancerTargetGroupsInput{AutoScalingGroupName: &name, TargetGroupARNs: []string{arn}}))(t)
		must(s.AttachTrafficSources(t.Context(), &autoscaling.AttachTrafficSourcesInput{AutoScalingGroupName: &name, TrafficSources: []types.TrafficSourceIdentifier{{Identifier: aws.String("old"), Type: aws.String("elb")}}}))(t)
		g := s.describe(t.Context(), name)
		if !slices.Equal(g.TargetGroupARNs, []string{arn}) || !slices.Equal(g.LoadBalancerNames, []string{"old"}) || len(g.TrafficSources) != 2 || len(g.EnabledMetrics) != 0 {
			t.Errorf("group %+v", g)
		}
		groups := must(s.DescribeLoadBalancerTargetGroups(t.Context(), &autoscaling.DescribeLoadBalancerTargetGroupsInput{AutoScalingGroupName: &name}))(t).LoadBalancerTargetGroups
		if len(groups) != 1 || *groups[0].State != "Added" {
			t.Errorf("target groups %+v", groups)
		}
		must(s.DetachLoadBalancerTargetGroups(t.Context(), &autoscaling.DetachLoadBalancerTargetGroupsInput{AutoScalingGroupName: &name, TargetGroupARNs: []string{arn}}))(t)
		if left := must(s.DescribeTrafficSources(t.Context(), &autoscaling.DescribeTrafficSourcesInput{AutoScalingGroupName: &name}))(t).TrafficSources; len(left) != 1 || *left[0].Type != "elb" {
			t.Errorf("sources left %+v", left)
		}
	}
	if exact(s.machines.tg) { // moto fails
		_, err := s.EnableMetricsCollection(t.Context(), &autoscaling.EnableMetricsCollectionInput{AutoScalingGroupName: aws.String(name + "-none"), Granularity: aws.String("1Minute")})
		wantEC2(t, err, "ValidationError")
	}
}

func TestAutoScalingMixedPolicyWithSelfManagedSettings(t *testing.T) {
	t.Parallel()
	s := newASG(t)
	name := s.group(2, func(in *autoscaling.CreateAutoScalingGroupInput) {
		in.MixedInstancesPolicy = &types.MixedInstancesPolicy{
			LaunchTemplate: &types.LaunchTemplate{
				LaunchTemplateSpecification: &types.LaunchTemplateSpecification{LaunchTemplateId: in.LaunchTemplate.LaunchTemplateId, Version: aws.String("1")},
				Overrides:                   []types.LaunchTemplateOverrides{{InstanceType: aws.String("t3.small")}, {InstanceType: aws.String("t3a.small")}},
			},
			InstancesDistribution: &types.InstancesDistribution{
				OnDemandBaseCapacity: aws.Int32(1), OnDemandPercentageAboveBaseCapacity: aws.Int32(0), SpotAllocationStrategy: aws.String("price-capacity-optimized"),
			},
		}
		in.LaunchTemplate = nil
		in.MaxInstanceLifetime = aws.Int32(604800)
		in.InstanceMaintenancePolicy = &types.InstanceMaintenancePolicy{MinHealthyPercentage: aws.Int32(90), MaxHealthyPercentage: aws.Int32(120)}
	})
	s.until(name, "InService", 2)
	g := s.describe(t.Context(), name)
	if d := g.MixedInstancesPolicy.InstancesDistribution; *d.OnDemandBaseCapacity != 1 || *d.SpotAllocationStrategy != "price-capacity-optimized" || len(g.MixedInstancesPolicy.LaunchTemplate.Overrides) != 2 {
		t.Errorf("policy %+v", g.MixedInstancesPolicy)
	}
	if exact(s.machines.tg) { // moto ignores these
		if *g.MaxInstanceLifetime != 604800 || *g.InstanceMaintenancePolicy.MinHealthyPercentage != 90 {
			t.Errorf("group %+v", g)
		}
	}
	must(s.SuspendProcesses(t.Context(), &autoscaling.SuspendProcessesInput{AutoScalingGroupName: &name, ScalingProcesses: []string{"AZRebalance"}}))(t)
	if p := s.describe(t.Context(), name).SuspendedProcesses; len(p) != 1 || *p[0].ProcessName != "AZRebalance" {
		t.Errorf("suspended %+v", p)
	}
	must(s.ResumeProcesses(t.Context(), &autoscaling.ResumeProcessesInput{AutoScalingGroupName: &name}))(t)
	if p := s.describe(t.Context(), name).SuspendedProcesses; len(p) != 0 {
		t.Errorf("suspended %+v", p)
	}
}
