package awscloud

import (
	"context"
	"errors"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ekspedite/ekspedite/shared/batch"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Compute reads instances and speaks to Auto Scaling. Who asks at the same time for an instance each is served by one call.
type Compute struct {
	ec2       *ec2.Client
	asg       *autoscaling.Client
	instances *batch.Batcher[fleet.Instance]
	groups    *batch.Batcher[fleet.ScalingGroup]
}

// NewCompute makes a Compute.
func NewCompute(cfg Config) *Compute {
	c := &Compute{ec2: ec2.NewFromConfig(cfg), asg: autoscaling.NewFromConfig(cfg)}
	c.instances = &batch.Batcher[fleet.Instance]{Read: c.readInstances, Missing: noInstance, Most: instancesAtOnce, Wait: gathering}
	c.groups = &batch.Batcher[fleet.ScalingGroup]{Read: c.readGroups, Most: groupsAtOnce, Wait: gathering,
		Missing: func(string) error { return nil }} // it is in no group
	return c
}

// Instance reads one instance. An unknown id is fault.NotFound.
func (c *Compute) Instance(ctx context.Context, id string) (fleet.Instance, error) {
	return c.instances.Get(ctx, id)
}

func instance(i ec2types.Instance) fleet.Instance {
	f := fleet.Instance{
		ID: deref(i.InstanceId), Type: string(i.InstanceType), PrivateDNSName: deref(i.PrivateDnsName), VPC: deref(i.VpcId),
		Spot: i.InstanceLifecycle == ec2types.InstanceLifecycleTypeSpot, Tags: map[string]string{},
	}
	if i.Placement != nil {
		f.Zone = deref(i.Placement.AvailabilityZone)
	}
	if i.State != nil {
		f.State = string(i.State.Name)
	}
	for _, t := range i.Tags {
		f.Tags[deref(t.Key)] = deref(t.Value)
	}
	return f
}

// ScalingGroup reads which Auto Scaling group an instance is in. Being in none is not an error: the name is empty.
func (c *Compute) ScalingGroup(ctx context.Context, instanceID string) (fleet.ScalingGroup, error) {
	return c.groups.Get(ctx, instanceID)
}

// ReplaceInstance detaches an instance and keeps the desired size, so that the group launches another one. An instance
// that is not in service in the group any more has been replaced already: Auto Scaling has no error code for it, so the
// group is asked.
func (c *Compute) ReplaceInstance(ctx context.Context, group, instanceID string) error {
	_, err := c.asg.DetachInstances(ctx, &autoscaling.DetachInstancesInput{
		AutoScalingGroupName: &group, InstanceIds: []string{instanceID}, ShouldDecrementDesiredCapacity: aws.Bool(false),
	})
	err = classify("autoscaling:DetachInstances", err)
	var f *fault.Error
	if !errors.As(err, &f) || f.Code != validationError {
		return err
	}
	now, readErr := c.ScalingGroup(ctx, instanceID)
	if readErr == nil && (now.Name != group || now.LifecycleState != "InService") {
		return nil
	}
	return err
}

const validationError = "ValidationError"

// CompleteLifecycleAction lets Auto Scaling continue. A hook that is no longer waiting is complete.
func (c *Compute) CompleteLifecycleAction(ctx context.Context, group, hook, token, instanceID string) error {
	_, err := c.asg.CompleteLifecycleAction(ctx, &autoscaling.CompleteLifecycleActionInput{
		AutoScalingGroupName: &group, LifecycleHookName: &hook, LifecycleActionToken: optional(token),
		InstanceId: &instanceID, LifecycleActionResult: aws.String("CONTINUE"),
	})
	return noActiveAction(classify("autoscaling:CompleteLifecycleAction", err))
}

// Heartbeat makes a hook wait for its timeout anew. A hook that no longer waits needs none.
func (c *Compute) Heartbeat(ctx context.Context, group, hook, token, instanceID string) error {
	_, err := c.asg.RecordLifecycleActionHeartbeat(ctx, &autoscaling.RecordLifecycleActionHeartbeatInput{
		AutoScalingGroupName: &group, LifecycleHookName: &hook, LifecycleActionToken: optional(token), InstanceId: &instanceID,
	})
	return noActiveAction(classify("autoscaling:RecordLifecycleActionHeartbeat", err))
}

// noActiveAction: Auto Scaling has no code of its own for a hook that was completed or has timed out, only this text.
func noActiveAction(err error) error {
	if err != nil && strings.Contains(err.Error(), "No active Lifecycle Action found") {
		return nil
	}
	return err
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
