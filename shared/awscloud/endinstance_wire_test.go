package awscloud_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ekspedite/ekspedite/shared/awscloud"
	"github.com/ekspedite/ekspedite/shared/fault"
)

// TestMachinesAreEndedOverTheWire ends machines of the embedded cloud by the real SDK, in a group and without one.
func TestMachinesAreEndedOverTheWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, cfg := embedded(t)
		inGroup(t, cfg)
		withoutGroup(t, cfg)
	})
}

// must is for calls that make the scene.
func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func inGroup(t *testing.T, cfg awscloud.Config) {
	machines, groups, compute := ec2.NewFromConfig(cfg), autoscaling.NewFromConfig(cfg), awscloud.NewCompute(cfg)
	vpc := must(machines.CreateVpc(t.Context(), &ec2.CreateVpcInput{CidrBlock: aws.String("10.7.0.0/16")}))(t).Vpc.VpcId
	subnet := must(machines.CreateSubnet(t.Context(), &ec2.CreateSubnetInput{VpcId: vpc, CidrBlock: aws.String("10.7.0.0/24"), AvailabilityZone: aws.String("us-east-1a")}))(t).Subnet.SubnetId
	template := must(machines.CreateLaunchTemplate(t.Context(), &ec2.CreateLaunchTemplateInput{LaunchTemplateName: aws.String("nodes"),
		LaunchTemplateData: &ec2types.RequestLaunchTemplateData{ImageId: aws.String("ami-12c6146b"), InstanceType: "m5.large"}}))(t).LaunchTemplate.LaunchTemplateId
	must(groups.CreateAutoScalingGroup(t.Context(), &autoscaling.CreateAutoScalingGroupInput{
		AutoScalingGroupName: aws.String("g"), MinSize: aws.Int32(1), MaxSize: aws.Int32(4), DesiredCapacity: aws.Int32(2), VPCZoneIdentifier: subnet,
		LaunchTemplate: &astypes.LaunchTemplateSpecification{LaunchTemplateId: template},
	}))(t)
	size := func(want int) {
		t.Helper()
		if least, desired, err := compute.GroupSize(t.Context(), "g"); err != nil || least != 1 || desired != want {
			t.Errorf("least size %d, desired %d, %v; want 1 and %d", least, desired, err, want)
		}
	}
	var ids []string
	until(t, "two machines in service", func() bool {
		ids = nil
		for _, i := range must(groups.DescribeAutoScalingInstances(t.Context(), &autoscaling.DescribeAutoScalingInstancesInput{}))(t).AutoScalingInstances {
			if *i.LifecycleState == "InService" {
				ids = append(ids, *i.InstanceId)
			}
		}
		return len(ids) == 2
	})
	size(2)
	for range 2 { // the second time it is going already
		if err := compute.EndInstance(t.Context(), "g", ids[0], false); err != nil {
			t.Error(err)
		}
		size(1)
	}
	if err := compute.EndInstance(t.Context(), "g", ids[1], false); !fault.Is(err, fault.Invalid) {
		t.Errorf("at the least size: %v", err)
	}
	until(t, "the machine's end", func() bool {
		i := must(compute.Instance(t.Context(), ids[0]))(t)
		g := must(compute.ScalingGroup(t.Context(), ids[0]))(t)
		return i.State == "terminated" && g.Name == ""
	})
	if err := compute.EndInstance(t.Context(), "g", ids[0], false); err != nil { // no group knows it any more
		t.Error(err)
	}
	must(groups.DetachInstances(t.Context(), &autoscaling.DetachInstancesInput{AutoScalingGroupName: aws.String("g"), InstanceIds: ids[1:], ShouldDecrementDesiredCapacity: aws.Bool(false)}))(t)
	until(t, "the detachment", func() bool { return must(compute.ScalingGroup(t.Context(), ids[1]))(t).Name == "" })
	if err := compute.EndInstance(t.Context(), "g", ids[1], false); !fault.Is(err, fault.Invalid) {
		t.Errorf("a machine that was taken out of its group and runs: %v", err)
	}
	size(1)
	// What is to be replaced goes at the least size, too, and another machine comes.
	only := func() (id string) {
		list := must(groups.DescribeAutoScalingInstances(t.Context(), &autoscaling.DescribeAutoScalingInstancesInput{}))(t).AutoScalingInstances
		if len(list) == 1 && *list[0].LifecycleState == "InService" {
			id = *list[0].InstanceId
		}
		return id
	}
	until(t, "a machine in service", func() bool { return only() != "" })
	old := only()
	if err := compute.EndInstance(t.Context(), "g", old, true); err != nil {
		t.Error(err)
	}
	size(1)
	until(t, "another machine", func() bool { return only() != "" && only() != old })
	if _, _, err := compute.GroupSize(t.Context(), "no-such-group"); !fault.Is(err, fault.NotFound) {
		t.Errorf("a group that is not there: %v", err)
	}
}

func withoutGroup(t *testing.T, cfg awscloud.Config) {
	machines, compute := ec2.NewFromConfig(cfg), awscloud.NewCompute(cfg)
	subnets := must(machines.DescribeSubnets(t.Context(), &ec2.DescribeSubnetsInput{}))(t).Subnets
	id := *must(machines.RunInstances(t.Context(), &ec2.RunInstancesInput{ImageId: aws.String("ami-12c6146b"), InstanceType: "m5.large",
		MinCount: aws.Int32(1), MaxCount: aws.Int32(1), SubnetId: subnets[0].SubnetId}))(t).Instances[0].InstanceId
	for range 2 {
		if err := compute.EndInstance(t.Context(), "", id, false); err != nil {
			t.Error(err)
		}
	}
	if i := must(compute.Instance(t.Context(), id))(t); !i.Gone() {
		t.Errorf("the machine is %s", i.State)
	}
	if err := compute.EndInstance(t.Context(), "", "i-0123456789abcdef0", false); err != nil {
		t.Errorf("a machine that is not there: %v", err)
	}
}

// until waits for a condition, in the bubble's time.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Minute); !holds(); time.Sleep(time.Second) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within ten minutes", what)
		}
	}
}
