package conformance

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
)

func (s *asgSuite) resize(name string, n int32, honor bool) error {
	_, err := s.SetDesiredCapacity(s.t.Context(), &autoscaling.SetDesiredCapacityInput{AutoScalingGroupName: &name, DesiredCapacity: &n, HonorCooldown: &honor})
	return err
}

func (s *asgSuite) end(id string, decrement bool) (*autoscaling.TerminateInstanceInAutoScalingGroupOutput, error) {
	return s.TerminateInstanceInAutoScalingGroup(s.t.Context(), &autoscaling.TerminateInstanceInAutoScalingGroupInput{InstanceId: &id, ShouldDecrementDesiredCapacity: &decrement})
}

// refused checks an error's code and a part of its text. Others than AWS and the embedded cloud let some of this pass.
func (s *asgSuite) refused(err error, code, text string) {
	s.t.Helper()
	if !exact(s.machines.tg) {
		return
	}
	wantEC2(s.t, err, code)
	if err != nil && !strings.Contains(err.Error(), text) {
		s.t.Errorf("got %v, want %q", err, text)
	}
}

// TestAutoScalingSizes takes a group from zero to four over two zones, and back to zero.
func TestAutoScalingSizes(t *testing.T) {
	t.Parallel()
	s := newASG(t)
	name := s.group(0, func(in *autoscaling.CreateAutoScalingGroupInput) { in.MaxSize = aws.Int32(5) })
	if g := s.describe(t.Context(), name); *g.DesiredCapacity != 0 || len(g.Instances) != 0 {
		t.Errorf("group %+v", g)
	}
	must[any](nil, s.resize(name, 4, false))(t)
	s.until(name, "InService", 4)
	zones := map[string]int{}
	for _, i := range s.describe(t.Context(), name).Instances {
		zones[*i.AvailabilityZone]++
	}
	if exact(s.machines.tg) && len(zones) != 2 || exact(s.machines.tg) && zones[*s.describe(t.Context(), name).Instances[0].AvailabilityZone] != 2 {
		t.Errorf("zones %v, want two in each", zones)
	}
	s.refused(s.resize(name, 6, false), "ValidationError", "New SetDesiredCapacity value 6 is above max value 5 for the AutoScalingGroup.")
	if exact(s.machines.tg) {
		s.refused(s.resize(name, 5, true), "ScalingActivityInProgress", "is in progress and blocks this action") // the launches were less than five minutes ago
	}
	must[any](nil, s.resize(name, 0, false))(t)
	s.until(name, "InService", 0)
}

// TestAutoScalingRemovalOfOne: the caller picks the instance that goes; the least size holds; protection keeps one from
// being picked by the group.
func TestAutoScalingRemovalOfOne(t *testing.T) {
	t.Parallel()
	s := newASG(t)
	name := s.group(3, func(in *autoscaling.CreateAutoScalingGroupInput) { in.MinSize = aws.Int32(1) })
	ids := s.until(name, "InService", 3)
	out := must(s.end(ids[1], true))(t)
	if exact(s.machines.tg) && !strings.Contains(*out.Activity.Cause, "was taken out of service in response to a user request, shrinking the capacity from 3 to 2.") {
		t.Errorf("cause %q", *out.Activity.Cause)
	}
	left := s.until(name, "InService", 2)
	if g := s.describe(t.Context(), name); *g.DesiredCapacity != 2 || strings.Contains(strings.Join(left, " "), ids[1]) {
		t.Errorf("desired %d, left %v without %s", *g.DesiredCapacity, left, ids[1])
	}
	must(s.SetInstanceProtection(t.Context(), &autoscaling.SetInstanceProtectionInput{AutoScalingGroupName: &name, InstanceIds: left[:1], ProtectedFromScaleIn: aws.Bool(true)}))(t)
	must[any](nil, s.resize(name, 1, false))(t)
	if last := s.until(name, "InService", 1); exact(s.machines.tg) && last[0] != left[0] { // moto takes protected ones, too
		t.Errorf("%s is left, %s was protected", last[0], left[0])
	}
	if exact(s.machines.tg) {
		_, err := s.end(left[0], true)
		s.refused(err, "ValidationError", "Currently, desiredSize equals minSize (1). Terminating instance without replacement will violate group's min size constraint. Either set shouldDecrementDesiredCapacity flag to false or lower group's min size.")
	}
}

// TestAutoScalingFailedLaunches: only the embedded cloud can be made to have no machines.
func TestAutoScalingFailedLaunches(t *testing.T) {
	s := newASG(t) // not parallel: it takes the Region's t3.micro away
	if !s.machines.tg.Embedded {
		t.Skip("capacity cannot be taken away there")
	}
	machines := cloud(t).EC2
	machines.LimitCapacity("t3.micro", "", "", 0)
	defer machines.LimitCapacity("t3.micro", "", "", -1)
	name := s.group(1, nil)
	var failed []types.Activity
	for deadline := time.Now().Add(30 * time.Second); len(failed) < 2; time.Sleep(50 * time.Millisecond) {
		failed = must(s.DescribeScalingActivities(t.Context(), &autoscaling.DescribeScalingActivitiesInput{
			AutoScalingGroupName: &name, Filters: []types.Filter{{Name: aws.String("Status"), Values: []string{"Failed"}}},
		}))(t).Activities
		if time.Now().After(deadline) {
			t.Fatal("no launch fails")
		}
	}
	const text = "We currently do not have sufficient t3.micro capacity in the Availability Zone you requested (us-east-1"
	if a := failed[0]; a.StatusCode != "Failed" || !strings.HasPrefix(*a.StatusMessage, text) || !strings.HasSuffix(*a.StatusMessage, "Launching EC2 instance failed.") || !strings.Contains(*a.Details, "Availability Zone") ||
		!strings.HasPrefix(*a.Description, "Launching a new EC2 instance.  Status Reason: "+text) {
		t.Errorf("activity %+v", a)
	}
	machines.LimitCapacity("t3.micro", "", "", -1)
	s.until(name, "InService", 1)
}
