package autoscaling

import (
	"strings"
	"testing"
	"time"
)

func TestDesiredCapacityHasBoundsAndACooldown(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, r *rig) {
		r.group(GroupSpec{Min: 1, Max: 4, Desired: 1})
		set := func(n, honor string) []string {
			return []string{"AutoScalingGroupName", "g", "DesiredCapacity", n, "HonorCooldown", honor}
		}
		r.refused("ValidationError", "New SetDesiredCapacity value 5 is above max value 4 for the AutoScalingGroup.", "SetDesiredCapacity", set("5", "false")...)
		r.refused("ValidationError", "New SetDesiredCapacity value 0 is below min value 1 for the AutoScalingGroup.", "SetDesiredCapacity", set("0", "false")...)
		r.refused("ScalingActivityInProgress", "is in progress and blocks this action", "SetDesiredCapacity", set("2", "true")...) // the first launch was less than five minutes ago
		r.call("SetDesiredCapacity", set("2", "false")...)
		r.wait(6 * time.Minute)
		r.call("SetDesiredCapacity", set("3", "true")...)
		r.wait(time.Second)
		r.refused("ScalingActivityInProgress", "is in progress and blocks this action", "SetDesiredCapacity", set("2", "true")...)
		r.wait(6 * time.Minute)
		r.wantStates(map[string]int{inService: 3})
	})
}

func TestTerminationWithAndWithoutReplacement(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, r *rig) {
		r.group(GroupSpec{Min: 1, Max: 4, Desired: 2})
		end := func(decrement string) []string {
			return []string{"InstanceId", r.members(inService)[0], "ShouldDecrementDesiredCapacity", decrement}
		}
		if body := r.call("TerminateInstanceInAutoScalingGroup", end("true")...); !strings.Contains(element(body, "Cause"), "was taken out of service in response to a user request, shrinking the capacity from 2 to 1.") {
			t.Error(body)
		}
		r.wait(time.Minute)
		r.wantStates(map[string]int{inService: 1})
		r.refused("ValidationError", "Currently, desiredSize equals minSize (1). Terminating instance without replacement will violate group&#39;s min size constraint.", "TerminateInstanceInAutoScalingGroup", end("true")...)
		gone := r.members(inService)[0]
		r.call("TerminateInstanceInAutoScalingGroup", end("false")...)
		r.wait(time.Minute)
		if now := r.members(inService); len(now) != 1 || now[0] == gone {
			t.Errorf("in service %v, and %s was to be replaced", now, gone)
		}
	})
}

func TestAGroupWithoutCapacityFailsOncePerZoneAndAttempt(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, r *rig) {
		r.machines.LimitCapacity("m5.large", "us-east-1a", "", 0)
		r.machines.LimitCapacity("m5.large", "us-east-1b", "", 2)
		r.machines.LimitCapacity("m5.large", "us-east-1c", "", 0)
		r.group(GroupSpec{Max: 50, Desired: 0, InstanceTypes: []string{"m5.large"}})
		r.call("SetDesiredCapacity", "AutoScalingGroupName", "g", "DesiredCapacity", "40")
		r.wait(time.Second)
		if states := r.states(); states[pending]+states[inService] != 2 {
			t.Errorf("members %v, want the 2 that there are", states)
		}
		failures := r.bus.of("EC2 Instance Launch Unsuccessful")
		if len(failures) != 3 {
			t.Fatalf("%d failures in the first attempt, want one for each zone", len(failures))
		}
		message := failures[0].detail["StatusMessage"].(string)
		if !strings.HasPrefix(message, "Could not launch On-Demand Instances. InsufficientInstanceCapacity - We currently do not have sufficient m5.large capacity in the Availability Zone you requested (us-east-1a).") || !strings.HasSuffix(message, "Launching EC2 instance failed.") {
			t.Errorf("message %q", message)
		}
		if failures[0].detail["StatusCode"] != "Failed" || failures[0].detail["Details"].(map[string]any)["Availability Zone"] != "us-east-1a" {
			t.Errorf("event %v", failures[0].detail)
		}
		g, _ := r.Group("g")
		if g.LaunchFailure == "" || time.Since(g.FailingSince) > 2*time.Second {
			t.Errorf("failing since %s: %s", g.FailingSince, g.LaunchFailure)
		}

		for want, filter := range map[string][]string{
			"InProgress": {"Filters.member.1.Name", "Status", "Filters.member.1.Values.member.1", "InProgress"},
			"Failed":     {"Filters.member.1.Name", "Status", "Filters.member.1.Values.member.1", "Failed"},
		} {
			body := r.call("DescribeScalingActivities", append(filter, "AutoScalingGroupName", "g")...)
			if n := strings.Count(body, "<StatusCode>"); n == 0 || n != strings.Count(body, "<StatusCode>"+want) {
				t.Errorf("%s: %s", want, body)
			}
		}
		later := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
		if body := r.call("DescribeScalingActivities", "Filters.member.1.Name", "StartTimeLowerBound", "Filters.member.1.Values.member.1", later); strings.Contains(body, "<StatusCode>") {
			t.Errorf("activities of the future: %s", body)
		}

		r.call("SetDesiredCapacity", "AutoScalingGroupName", "g", "DesiredCapacity", "0") // what is asked for no more is not tried
		r.wait(time.Minute)
		before := len(r.bus.of("EC2 Instance Launch Unsuccessful"))
		r.wait(10 * time.Minute)
		r.wantStates(map[string]int{})
		if n := len(r.bus.of("EC2 Instance Launch Unsuccessful")); n != before {
			t.Errorf("%d failures of an empty group", n-before)
		}
	})
}
