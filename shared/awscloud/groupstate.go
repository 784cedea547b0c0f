package awscloud

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// GroupState reads a group with its machines. An unknown group is fault.NotFound.
func (c *Compute) GroupState(ctx context.Context, group string) (fleet.GroupState, error) {
	out, err := c.asg.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{group}})
	if err != nil {
		return fleet.GroupState{}, classify("autoscaling:DescribeAutoScalingGroups", err)
	}
	if len(out.AutoScalingGroups) > 0 {
		g := out.AutoScalingGroups[0]
		s := fleet.GroupState{Name: group, Desired: int(aws.ToInt32(g.DesiredCapacity)), Rebalances: aws.ToBool(g.CapacityRebalance)}
		for _, i := range g.Instances {
			if i.LifecycleState == astypes.LifecycleStateInService {
				s.InService = append(s.InService, aws.ToString(i.InstanceId))
			}
		}
		return s, nil
	}
	return fleet.GroupState{}, fault.New(fault.NotFound, "no Auto Scaling group %s", group)
}
