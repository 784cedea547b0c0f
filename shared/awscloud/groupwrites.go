package awscloud

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// GroupSize reads an Auto Scaling group's sizes. An unknown group is fault.NotFound.
func (n *NodeGroups) GroupSize(ctx context.Context, group string) (fleet.GroupSize, error) {
	out, err := n.asg.DescribeAutoScalingGroups(ctx, &autoscaling.DescribeAutoScalingGroupsInput{AutoScalingGroupNames: []string{group}})
	if err != nil {
		return fleet.GroupSize{}, classify("autoscaling:DescribeAutoScalingGroups", err)
	}
	for _, g := range out.AutoScalingGroups {
		return fleet.GroupSize{Min: int(deref(g.MinSize)), Max: int(deref(g.MaxSize)), Desired: int(deref(g.DesiredCapacity))}, nil
	}
	return fleet.GroupSize{}, fault.New(fault.NotFound, "no Auto Scaling group %s", group)
}

// SetDesired sets an Auto Scaling group's desired size at once, cooldown or not. A size that the group's bounds do not allow
// any more is fault.Conflict: somebody has changed them.
func (n *NodeGroups) SetDesired(ctx context.Context, group string, desired int) error {
	_, err := n.asg.SetDesiredCapacity(ctx, &autoscaling.SetDesiredCapacityInput{AutoScalingGroupName: &group, DesiredCapacity: aws.Int32(int32(desired)), HonorCooldown: aws.Bool(false)})
	return sizeError(classify("autoscaling:SetDesiredCapacity", err))
}

// SetBounds sets all three sizes of an Auto Scaling group of ours.
func (n *NodeGroups) SetBounds(ctx context.Context, group string, size fleet.GroupSize) error {
	_, err := n.asg.UpdateAutoScalingGroup(ctx, &autoscaling.UpdateAutoScalingGroupInput{
		AutoScalingGroupName: &group, MinSize: aws.Int32(int32(size.Min)), MaxSize: aws.Int32(int32(size.Max)), DesiredCapacity: aws.Int32(int32(size.Desired)),
	})
	return sizeError(classify("autoscaling:UpdateAutoScalingGroup", err))
}

// SetManagedBounds sets all three sizes of a managed node group, through EKS: it would set its Auto Scaling group back. An
// update that is under way is fault.Blocked.
func (n *NodeGroups) SetManagedBounds(ctx context.Context, cluster, group string, size fleet.GroupSize) error {
	n.forget(cluster, group)
	_, err := n.eks.UpdateNodegroupConfig(ctx, &eks.UpdateNodegroupConfigInput{ClusterName: &cluster, NodegroupName: &group, ScalingConfig: &ekstypes.NodegroupScalingConfig{
		MinSize: aws.Int32(int32(size.Min)), MaxSize: aws.Int32(int32(size.Max)), DesiredSize: aws.Int32(int32(size.Desired)),
	}})
	return classify("eks:UpdateNodegroupConfig", err)
}

// sizeError classes what Auto Scaling has one code for: a size out of bounds, and a group that is not there.
func sizeError(err error) error {
	var f *fault.Error
	if !errors.As(err, &f) || f.Code != validationError {
		return err
	}
	switch text := f.Err.Error(); {
	case strings.Contains(text, "not found"):
		f.Class = fault.NotFound
	case strings.Contains(text, "above max value"), strings.Contains(text, "below min value"):
		f.Class = fault.Conflict
	default:
		f.Class = fault.Invalid
	}
	return f
}

// CreateGroup makes a managed node group of EKS's own words. One of the name that exists is fault.Conflict.
func (n *NodeGroups) CreateGroup(ctx context.Context, cluster string, input fleet.Props) error {
	n.forget(cluster, fleet.Text(input, "nodegroupName"))
	_, err := op(n.eks.CreateNodegroup)(ctx, "eks:CreateNodegroup", input)
	return err
}

// DeleteGroup deletes a managed node group. One that is gone is fault.NotFound.
func (n *NodeGroups) DeleteGroup(ctx context.Context, cluster, group string) error {
	n.forget(cluster, group)
	_, err := n.eks.DeleteNodegroup(ctx, &eks.DeleteNodegroupInput{ClusterName: &cluster, NodegroupName: &group})
	return classify("eks:DeleteNodegroup", err)
}

// Launch asks EC2 for machines at once, in its own words (CreateFleet, type instant). Fewer machines than asked for are no
// error: the failures say what there was none of, each offering once.
func (n *NodeGroups) Launch(ctx context.Context, input fleet.Props) (fleet.Launched, error) {
	out, err := op(n.ec2.CreateFleet)(ctx, "ec2:CreateFleet", input)
	if err != nil {
		return fleet.Launched{}, err
	}
	answer, _ := out.(*ec2.CreateFleetOutput)
	var launched fleet.Launched
	for _, i := range answer.Instances {
		launched.Instances = append(launched.Instances, i.InstanceIds...)
	}
	var subnets []string
	for _, e := range answer.Errors {
		f := fleet.LaunchFailure{Code: deref(e.ErrorCode), Text: deref(e.ErrorMessage), Spot: e.Lifecycle == ec2types.InstanceLifecycleSpot}
		if t := e.LaunchTemplateAndOverrides; t != nil && t.Overrides != nil {
			f.Type, f.Zone = string(t.Overrides.InstanceType), deref(t.Overrides.AvailabilityZone)
			subnets = append(subnets, deref(t.Overrides.SubnetId))
		}
		launched.Failures = append(launched.Failures, f)
	}
	if zones, err := n.zonesOf(ctx, slices.DeleteFunc(slices.Clone(subnets), func(id string) bool { return id == "" })); err == nil && len(subnets) == len(launched.Failures) {
		for i := range launched.Failures {
			launched.Failures[i].Zone = cmp.Or(launched.Failures[i].Zone, zones[subnets[i]])
		}
	}
	return launched, nil
}
