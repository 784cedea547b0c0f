package awscloud

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/ekspedite/ekspedite/shared/batch"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

const (
	// What one call takes: DescribeInstances and DescribeAutoScalingInstances say so in their references.
	instancesAtOnce, groupsAtOnce = 1000, 50
	// gathering is how long a record waits for its batch-mates to ask as well. They begin together and have nothing to do
	// before but to decode a message each, so that it nearly always ends earlier.
	gathering = 5 * time.Millisecond
)

func noInstance(id string) error { return fault.New(fault.NotFound, "no instance %s", id) }

// readInstances reads many instances. EC2 refuses a call for the sake of a single id that it does not know: what it names is
// left out, and the rest is asked for again.
func (c *Compute) readInstances(ctx context.Context, ids []string) (map[string]batch.Answer[fleet.Instance], error) {
	out := make(map[string]batch.Answer[fleet.Instance], len(ids))
	for len(ids) > 0 {
		page, err := c.ec2.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: ids})
		if err == nil {
			for _, r := range page.Reservations {
				for _, i := range r.Instances {
					out[deref(i.InstanceId)] = batch.Answer[fleet.Instance]{Value: instance(i)}
				}
			}
			return out, nil
		}
		err = classify("ec2:DescribeInstances", err)
		refused := refusedIDs(err, ids)
		switch {
		case refused == nil:
			return nil, err
		case len(refused) == len(ids) && len(ids) > 1: // it says that there are some, and not which
			return c.readHalves(ctx, ids, out)
		}
		for _, id := range refused {
			out[id] = batch.Answer[fleet.Instance]{Err: of(err, id)}
		}
		ids = slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return slices.Contains(refused, id) })
	}
	return out, nil
}

func (c *Compute) readHalves(ctx context.Context, ids []string, out map[string]batch.Answer[fleet.Instance]) (map[string]batch.Answer[fleet.Instance], error) {
	for half := range slices.Chunk(ids, (len(ids)+1)/2) {
		some, err := c.readInstances(ctx, half)
		if err != nil {
			return nil, err
		}
		for id, a := range some {
			out[id] = a
		}
	}
	return out, nil
}

// refusedIDs are the ids for which a call was refused: those that its error names, or all if it names none. Nil is an error
// that is about no id.
func refusedIDs(err error, ids []string) []string {
	f, ok := errors.AsType[*fault.Error](err)
	if !ok || f.Code != "InvalidInstanceID.NotFound" && f.Code != "InvalidInstanceID.Malformed" {
		return nil
	}
	named := strings.FieldsFunc(f.Err.Error(), func(r rune) bool { return strings.ContainsRune(" ,;:'\"()[]", r) })
	var out []string
	for _, id := range ids {
		if slices.Contains(named, id) || slices.Contains(named, id+".") {
			out = append(out, id)
		}
	}
	if out == nil {
		return ids
	}
	return out
}

// of is a refusal as it concerns one id: the others that it names are others' business.
func of(err error, id string) error {
	f, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return err
	}
	return &fault.Error{Class: f.Class, Op: f.Op, Code: f.Code, Err: errors.New(f.Code + ": instance " + id)}
}

func (c *Compute) readGroups(ctx context.Context, ids []string) (map[string]batch.Answer[fleet.ScalingGroup], error) {
	page, err := c.asg.DescribeAutoScalingInstances(ctx, &autoscaling.DescribeAutoScalingInstancesInput{InstanceIds: ids, MaxRecords: aws.Int32(groupsAtOnce)})
	if err != nil {
		return nil, classify("autoscaling:DescribeAutoScalingInstances", err)
	}
	out := make(map[string]batch.Answer[fleet.ScalingGroup], len(ids))
	for _, i := range page.AutoScalingInstances {
		out[deref(i.InstanceId)] = batch.Answer[fleet.ScalingGroup]{Value: fleet.ScalingGroup{Name: deref(i.AutoScalingGroupName), LifecycleState: deref(i.LifecycleState)}}
	}
	return out, nil
}

// OurInstances lists the ids of the machines that a cluster's tag is on, whatever state they are in. EC2 shows those that
// have ended for an hour.
func (c *Compute) OurInstances(ctx context.Context) ([]string, error) {
	var out []string
	pages := ec2.NewDescribeInstancesPaginator(c.ec2, &ec2.DescribeInstancesInput{
		Filters:    []ec2types.Filter{{Name: aws.String("tag-key"), Values: []string{fleet.TagEKSCluster, fleet.TagOwnedPrefix + "*", fleet.TagECSCluster, fleet.TagECSManaged}}},
		MaxResults: aws.Int32(instancesAtOnce),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, classify("ec2:DescribeInstances", err)
		}
		for _, r := range page.Reservations {
			for _, i := range r.Instances {
				out = append(out, deref(i.InstanceId))
			}
		}
	}
	return out, nil
}
