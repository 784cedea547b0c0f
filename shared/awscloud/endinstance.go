package awscloud

import (
	"context"
	"errors"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/ekspedite/ekspedite/shared/fault"
)

// GroupSize reads a group's least and its desired size. An unknown group is fault.NotFound.
func (c *Compute) GroupSize(ctx context.Context, group string) (least, desired int, err error) {
	out, err := c.asg.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{group}})
	if err != nil {
		return 0, 0, classify("autoscaling:DescribeAutoScalingGroups", err)
	}
	for _, g := range out.AutoScalingGroups {
		return int(aws.ToInt32(g.MinSize)), int(aws.ToInt32(g.DesiredCapacity)), nil
	}
	return 0, 0, fault.New(fault.NotFound, "no Auto Scaling group %s", group)
}

// EndInstance ends a machine for good. In a group it lowers the desired size with it, which Auto Scaling refuses at the
// least size: fault.Invalid; or, with replace, leaves it, so that the group launches another machine. A machine that is going
// already is success.
func (c *Compute) EndInstance(ctx context.Context, group, instanceID string, replace bool) error {
	if group == "" {
		_, err := c.ec2.TerminateInstances(ctx, &ec2.TerminateInstancesInput{InstanceIds: []string{instanceID}})
		return fault.Ignore(classify("ec2:TerminateInstances", err), fault.NotFound)
	}
	_, err := c.asg.TerminateInstanceInAutoScalingGroup(ctx, &autoscaling.TerminateInstanceInAutoScalingGroupInput{
		InstanceId: &instanceID, ShouldDecrementDesiredCapacity: aws.Bool(!replace),
	})
	err = classify("autoscaling:TerminateInstanceInAutoScalingGroup", err)
	var f *fault.Error
	if !errors.As(err, &f) || f.Code != validationError {
		return err
	}
	// Auto Scaling has no other code for what can never work, and none for a machine that is going.
	if gone, readErr := c.leaving(ctx, instanceID); readErr == nil && gone {
		return nil
	}
	f.Class = fault.Invalid
	return f
}

// leaving tells whether an instance is on its way out, by Auto Scaling or without it.
func (c *Compute) leaving(ctx context.Context, instanceID string) (bool, error) {
	g, err := c.ScalingGroup(ctx, instanceID)
	if err != nil || g.Name != "" {
		return strings.HasPrefix(g.LifecycleState, "Terminat"), err
	}
	i, err := c.Instance(ctx, instanceID)
	return i.Gone() || fault.Is(err, fault.NotFound), fault.Ignore(err, fault.NotFound)
}
