package autoscaling

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/world"
)

func TestGroupReachesItsCapacity(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, r *rig) {
		r.group(GroupSpec{Min: 0, Max: 10, Desired: 4, Tags: map[string]string{"team": "a"}})
		r.wantStates(map[string]int{inService: 4})
		g, _ := r.Group("g")
		zones := map[string]int{}
		for _, i := range g.Instances {
			zones[i.AZ]++
			m, _ := r.machines.Instance(i.ID)
			if m.Tags["aws:autoscaling:groupName"] != "g" || m.Tags["team"] != "a" || m.Tags["aws:ec2launchtemplate:version"] != "1" {
				t.Errorf("tags %v", m.Tags)
			}
		}
		if len(zones) != 3 {
			t.Errorf("zones %v", zones)
		}
		a := r.Activities("g")
		if len(a) != 4 || a[0].Status != "Successful" || !strings.HasPrefix(a[0].Description, "Launching a new EC2 instance: i-") ||
			!strings.Contains(a[0].Cause, "a user request created an AutoScalingGroup changing the desired capacity from 0 to 4.  At ") ||
			!strings.HasSuffix(a[0].Cause, "increasing the capacity from 0 to 4.") {
			t.Errorf("activities %+v", a)
		}
		if e := r.bus.of("EC2 Instance Launch Successful"); len(e) != 4 || e[0].resources[0] != g.ARN || e[0].detail["EC2InstanceId"] == "" || e[0].detail["Destination"] != "AutoScalingGroup" {
			t.Errorf("events %+v", e)
		}

		r.call("SetDesiredCapacity", "AutoScalingGroupName", "g", "DesiredCapacity", "1")
		r.wait(time.Minute)
		r.wantStates(map[string]int{inService: 1})
		if a := r.Activities("g")[0]; !strings.Contains(a.Cause, "shrinking the capacity from 4 to 1.  At ") || !strings.Contains(a.Cause, "was selected for termination") {
			t.Errorf("cause %q", a.Cause)
		}
		r.refused("ValidationError", "is above max value 10", "SetDesiredCapacity", "AutoScalingGroupName", "g", "DesiredCapacity", "11")
	})
}

func TestDeadAndUnhealthyInstancesAreReplaced(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, r *rig) {
		r.group(GroupSpec{Max: 10, Desired: 2})
		ids := r.members(inService)
		r.machines.Terminate(ids[0])
		r.call("SetInstanceHealth", "InstanceId", ids[1], "HealthStatus", "Unhealthy")
		r.wait(time.Minute)
		r.wantStates(map[string]int{inService: 2})
		if now := r.members(inService); slices.Contains(now, ids[0]) || slices.Contains(now, ids[1]) {
			t.Errorf("before %v, after %v", ids, now)
		}
		if m, _ := r.machines.Instance(ids[1]); m.State != "terminated" {
			t.Errorf("the unhealthy one is %s", m.State)
		}
		causes := ""
		for _, a := range r.Activities("g") {
			causes += a.Cause
		}
		for _, want := range []string{"an EC2 health check indicating it has been terminated or stopped.", "a user health-check.", "an unhealthy instance needing to be replaced."} {
			if !strings.Contains(causes, want) {
				t.Errorf("no cause says %q", want)
			}
		}
	})
}

func TestInsufficientCapacity(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, r *rig) {
		r.machines.SetCapacity("m5.large", "us-east-1a", "on-demand", false)
		r.group(GroupSpec{Max: 10, Desired: 3})
		r.wantStates(map[string]int{inService: 3}) // in the other zones
		r.machines.SetCapacity("", "", "", false)
		if err := r.UpdateGroup("g", nil, nil, new(5)); err != nil {
			t.Fatal(err)
		}
		r.wait(time.Minute)
		r.wantStates(map[string]int{inService: 3})
		if g, _ := r.Group("g"); !strings.Contains(g.LaunchFailure, "We currently do not have sufficient m5.large capacity in the Availability Zone you requested (us-east-1") {
			t.Errorf("failure %q", g.LaunchFailure)
		}
		if n := len(r.bus.of("EC2 Instance Launch Unsuccessful")); n == 0 || n > 60 {
			t.Errorf("%d failures in a minute", n)
		}
		r.machines.SetCapacity("", "", "", true)
		r.machines.SetCapacity("m5.large", "us-east-1a", "on-demand", true)
		r.wait(2 * time.Minute)
		r.wantStates(map[string]int{inService: 5})
		counts := map[string]int{}
		g, _ := r.Group("g")
		for _, i := range g.Instances {
			counts[i.AZ]++
		}
		if counts["us-east-1a"] == 0 {
			t.Errorf("the zones were not rebalanced: %v", counts)
		}
	})
}

func TestSpotGroupFallsBackToAnotherType(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, r *rig) {
		r.machines.SetCapacity("m5.large", "", "spot", false)
		r.group(GroupSpec{Max: 10, Desired: 3, Spot: true, InstanceTypes: []string{"m5.large", "m6i.large"}})
		g, _ := r.Group("g")
		for _, i := range g.Instances {
			if m, _ := r.machines.Instance(i.ID); m.Lifecycle != "spot" || i.Type != "m6i.large" {
				t.Errorf("%s: %s %q", i.ID, i.Type, m.Lifecycle)
			}
		}
		r.wantStates(map[string]int{inService: 3})
	})
}

func TestMixedGroupKeepsItsShareOfOnDemand(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, r *rig) {
		r.call("CreateAutoScalingGroup", "AutoScalingGroupName", "g", "MinSize", "0", "MaxSize", "20", "DesiredCapacity", "9", "VPCZoneIdentifier", strings.Join(r.subnets, ","),
			"MixedInstancesPolicy.LaunchTemplate.LaunchTemplateSpecification.LaunchTemplateId", r.template,
			"MixedInstancesPolicy.LaunchTemplate.Overrides.member.1.InstanceType", "m5.large",
			"MixedInstancesPolicy.LaunchTemplate.Overrides.member.2.InstanceType", "c5.large",
			"MixedInstancesPolicy.InstancesDistribution.OnDemandBaseCapacity", "1",
			"MixedInstancesPolicy.InstancesDistribution.OnDemandPercentageAboveBaseCapacity", "25",
			"MixedInstancesPolicy.InstancesDistribution.SpotAllocationStrategy", "lowest-price")
		check := func(total, onDemand int) {
			t.Helper()
			r.wait(time.Minute)
			got := map[string]int{}
			for _, id := range r.members(inService) {
				m, _ := r.machines.Instance(id)
				got[m.Lifecycle]++
				if m.Lifecycle == "" && m.Type != "m5.large" { // the first of the list
					t.Errorf("an on-demand instance is a %s", m.Type)
				}
			}
			if got[""] != onDemand || got["spot"] != total-onDemand {
				t.Errorf("got %v, want %d of %d on demand", got, onDemand, total)
			}
		}
		check(9, 3)
		r.call("SetDesiredCapacity", "AutoScalingGroupName", "g", "DesiredCapacity", "3")
		check(3, 2)
	})
}

func TestLifecycleHooks(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, r *rig) {
		r.group(GroupSpec{Max: 10})
		hook := func(name, transition, result string) {
			r.call("PutLifecycleHook", "AutoScalingGroupName", "g", "LifecycleHookName", name, "LifecycleTransition", transition, "HeartbeatTimeout", "60", "DefaultResult", result)
		}
		hook("in", onLaunch, proceed)
		hook("out", onTerminate, abandon)
		r.call("SetDesiredCapacity", "AutoScalingGroupName", "g", "DesiredCapacity", "1")
		r.wait(10 * time.Second)
		r.wantStates(map[string]int{pendingWait: 1})
		e := r.bus.of("EC2 Instance-launch Lifecycle Action")
		if len(e) != 1 || e[0].detail["LifecycleTransition"] != onLaunch || e[0].detail["Origin"] != "EC2" || e[0].detail["Destination"] != "AutoScalingGroup" || len(e[0].resources) != 1 {
			t.Fatalf("events %+v", e)
		}
		token := e[0].detail["LifecycleActionToken"].(string)
		r.wait(40 * time.Second)
		r.call("RecordLifecycleActionHeartbeat", "AutoScalingGroupName", "g", "LifecycleHookName", "in", "LifecycleActionToken", token)
		r.wait(40 * time.Second)
		r.wantStates(map[string]int{pendingWait: 1}) // the heartbeat counts
		r.refused("ValidationError", "No active Lifecycle Action found with token nonsense", "CompleteLifecycleAction",
			"AutoScalingGroupName", "g", "LifecycleHookName", "in", "LifecycleActionToken", "nonsense", "LifecycleActionResult", proceed)
		r.call("CompleteLifecycleAction", "AutoScalingGroupName", "g", "LifecycleHookName", "in", "LifecycleActionToken", token, "LifecycleActionResult", proceed)
		r.wait(time.Second)
		r.wantStates(map[string]int{inService: 1})

		id := r.members(inService)[0]
		body := r.call("TerminateInstanceInAutoScalingGroup", "InstanceId", id, "ShouldDecrementDesiredCapacity", "false")
		if element(body, "StatusCode") != "InProgress" || !strings.Contains(element(body, "Cause"), "in response to a user request.") {
			t.Errorf("activity %s", body)
		}
		r.wait(10 * time.Second)
		r.wantStates(map[string]int{terminatingWait: 1, pendingWait: 1}) // the replacement does not wait for the hook
		if m, _ := r.machines.Instance(id); m.State != "running" {
			t.Errorf("an instance that waits is %s", m.State)
		}
		r.wait(time.Minute) // both time out: CONTINUE and ABANDON
		r.wantStates(map[string]int{inService: 1})
		r.refused("ValidationError", "No active Lifecycle Action found with instance ID "+id, "CompleteLifecycleAction",
			"AutoScalingGroupName", "g", "LifecycleHookName", "out", "InstanceId", id, "LifecycleActionResult", proceed)
	})
}

func TestHeartbeatsEndAtTheGlobalTimeout(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, r *rig) {
		r.group(GroupSpec{Max: 10, Desired: 1, Hooks: []Hook{{Name: "out", Transition: onTerminate, Heartbeat: 30 * time.Second}}})
		id := r.members(inService)[0]
		if err := r.TerminateInstance(id, true); err != nil {
			t.Fatal(err)
		}
		r.wait(time.Second)
		began := time.Now()
		for len(r.members(terminatingWait)) == 1 {
			body := call(r.API(), "RecordLifecycleActionHeartbeat", "AutoScalingGroupName", "g", "LifecycleHookName", "out", "InstanceId", id)
			if strings.Contains(body, "<Error>") {
				break
			}
			r.wait(20 * time.Second)
		}
		r.wait(time.Minute)
		if took := time.Since(began); took < 49*time.Minute || took > 53*time.Minute {
			t.Errorf("100 heartbeats of 30 s took %v", took)
		}
		r.wantStates(map[string]int{})
	})
}

func TestAbandonedLaunch(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, r *rig) {
		r.group(GroupSpec{Max: 10, Desired: 1, Hooks: []Hook{{Name: "in", Transition: onLaunch}}})
		first := r.members(pendingWait)[0]
		if err := r.CompleteHook("g", "in", first, abandon); err != nil {
			t.Fatal(err)
		}
		r.wait(time.Minute)
		if m, _ := r.machines.Instance(first); m.State != "terminated" {
			t.Errorf("the abandoned one is %s", m.State)
		}
		r.wantStates(map[string]int{pendingWait: 1}) // the next
		if e := r.bus.of("EC2 Instance Launch Unsuccessful"); len(e) != 1 || !strings.Contains(e[0].detail["StatusMessage"].(string), "was abandoned: Lifecycle Action Completed with ABANDON Result") {
			t.Errorf("events %+v", e)
		}
	})
}

func TestHookNotifiesAQueue(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, r *rig) {
		r.group(GroupSpec{Max: 10})
		put := []string{"AutoScalingGroupName", "g", "LifecycleHookName", "out", "LifecycleTransition", onTerminate,
			"NotificationTargetARN", "arn:aws:sqs:us-east-1:123456789012:q", "RoleARN", "arn:aws:iam::123456789012:role/r"}
		r.bus.broken = fmt.Errorf("no queue")
		r.refused("ValidationError", "Unable to publish test message to notification target", "PutLifecycleHook", put...)
		r.bus.broken = nil
		r.call("PutLifecycleHook", put...)
		if len(r.bus.messages) != 1 || !strings.Contains(r.bus.messages[0], `"Event":"autoscaling:TEST_NOTIFICATION"`) {
			t.Fatalf("messages %v", r.bus.messages)
		}
		if err := r.UpdateGroup("g", nil, nil, new(1)); err != nil {
			t.Fatal(err)
		}
		r.wait(time.Minute)
		if err := r.TerminateInstance(r.members(inService)[0], true); err != nil {
			t.Fatal(err)
		}
		r.wait(time.Second)
		if len(r.bus.messages) != 2 || !strings.Contains(r.bus.messages[1], `"LifecycleTransition":"autoscaling:EC2_INSTANCE_TERMINATING"`) {
			t.Errorf("messages %v", r.bus.messages)
		}
	})
}

func TestCapacityRebalance(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, r *rig) {
		r.group(GroupSpec{Max: 2, Desired: 2, Spot: true, CapacityRebalance: true})
		old := r.members(inService)
		if err := r.machines.Recommend(old[0]); err != nil {
			t.Fatal(err)
		}
		r.wait(world.Fast.ScalingTick)
		r.wantStates(map[string]int{inService: 2, pending: 1}) // the replacement first, beyond the maximum
		r.wait(time.Minute)
		r.wantStates(map[string]int{inService: 2})
		if slices.Contains(r.members(inService), old[0]) || !slices.Contains(r.members(inService), old[1]) {
			t.Errorf("before %v, after %v", old, r.members(inService))
		}
	})
}

func TestInterruptedInstanceHasItsTwoMinutes(t *testing.T) {
	for _, rebalance := range []bool{false, true} {
		inBubble(t, 1, func(t *testing.T, r *rig) {
			r.group(GroupSpec{Max: 5, Desired: 2, Spot: true, CapacityRebalance: rebalance, Hooks: []Hook{{Name: "out", Transition: onTerminate, Heartbeat: 5 * time.Minute}}})
			old := r.members(inService)[0]
			if err := r.machines.Interrupt(old, "terminate"); err != nil {
				t.Fatal(err)
			}
			r.wait(119 * time.Second)
			if m, _ := r.machines.Instance(old); m.State != "running" {
				t.Errorf("%v: taken away after %v", rebalance, m.State)
			}
			if got := len(r.members(inService)); rebalance && got != 3 || !rebalance && got != 2 {
				t.Errorf("%v: %d in service while the notice runs", rebalance, got)
			}
			r.wait(10 * time.Second)
			r.wantStates(map[string]int{inService: 2, terminatingWait: 1})
			if e := r.bus.of("EC2 Instance-terminate Lifecycle Action"); len(e) != 1 || e[0].detail["EC2InstanceId"] != old {
				t.Errorf("%v: events %+v", rebalance, e)
			}
			r.wait(6 * time.Minute)
			r.wantStates(map[string]int{inService: 2})
		})
	}
}

func TestProtectionAndPolicies(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, r *rig) {
		r.group(GroupSpec{Max: 10, Desired: 3, SubnetIDs: r.subnets[:1]})
		ids := r.members(inService)
		r.call("SetInstanceProtection", "AutoScalingGroupName", "g", "InstanceIds.member.1", ids[0], "ProtectedFromScaleIn", "true")
		r.call("UpdateAutoScalingGroup", "AutoScalingGroupName", "g", "TerminationPolicies.member.1", "NewestInstance")
		r.call("SetDesiredCapacity", "AutoScalingGroupName", "g", "DesiredCapacity", "0")
		r.wait(time.Minute)
		if got := r.members(inService); !slices.Equal(got, ids[:1]) {
			t.Errorf("left %v, want %v", got, ids[:1])
		}
	})
}

func TestDetachAttachStandby(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, r *rig) {
		r.group(GroupSpec{Max: 4, Desired: 2})
		ids := r.members(inService)
		r.call("DetachInstances", "AutoScalingGroupName", "g", "InstanceIds.member.1", ids[0], "ShouldDecrementDesiredCapacity", "false")
		r.wait(time.Minute)
		r.wantStates(map[string]int{inService: 2})
		if m, _ := r.machines.Instance(ids[0]); m.State != "running" || m.Tags["aws:autoscaling:groupName"] != "" {
			t.Errorf("detached: %+v", m)
		}
		r.refused("ValidationError", "The instance "+ids[0]+" is not part of Auto Scaling group g.", "DetachInstances",
			"AutoScalingGroupName", "g", "InstanceIds.member.1", ids[0], "ShouldDecrementDesiredCapacity", "false")
		r.call("AttachInstances", "AutoScalingGroupName", "g", "InstanceIds.member.1", ids[0])
		r.wait(time.Minute)
		r.wantStates(map[string]int{inService: 3})
		r.call("EnterStandby", "AutoScalingGroupName", "g", "InstanceIds.member.1", ids[1], "ShouldDecrementDesiredCapacity", "true")
		r.wait(time.Minute)
		r.wantStates(map[string]int{inService: 2, standby: 1})
		r.call("ExitStandby", "AutoScalingGroupName", "g", "InstanceIds.member.1", ids[1])
		r.wait(time.Minute)
		r.wantStates(map[string]int{inService: 3})
	})
}

func TestDelete(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, r *rig) {
		r.group(GroupSpec{Max: 4, Desired: 2, Hooks: []Hook{{Name: "out", Transition: onTerminate}}})
		r.refused("ResourceInUse", "while there are instances", "DeleteAutoScalingGroup", "AutoScalingGroupName", "g")
		if err := r.DeleteGroup("g"); err != nil {
			t.Fatal(err)
		}
		if body := r.call("DescribeAutoScalingGroups"); element(body, "Status") != "Delete in progress" {
			t.Errorf("deleting: %s", body)
		}
		r.wait(time.Minute)
		if _, ok := r.Group("g"); ok {
			t.Error("the group is still there")
		}
		for _, m := range r.machines.Instances() {
			if m.State != "terminated" {
				t.Errorf("%s is %s", m.ID, m.State)
			}
		}
	})
}

func TestSuspendedProcesses(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, r *rig) {
		r.group(GroupSpec{Max: 4, Desired: 1})
		r.call("SuspendProcesses", "AutoScalingGroupName", "g", "ScalingProcesses.member.1", "Launch")
		r.call("SetDesiredCapacity", "AutoScalingGroupName", "g", "DesiredCapacity", "3")
		r.wait(time.Minute)
		r.wantStates(map[string]int{inService: 1})
		r.call("ResumeProcesses", "AutoScalingGroupName", "g", "ScalingProcesses.member.1", "Launch")
		r.wait(time.Minute)
		r.wantStates(map[string]int{inService: 3})
	})
}
