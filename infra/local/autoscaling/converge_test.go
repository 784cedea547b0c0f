package autoscaling

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestConverges: whatever is called and whatever fails, in the end the group has its desired capacity within its bounds,
// all of it in service, and no instance of its own runs outside it.
func TestConverges(t *testing.T) {
	for seed := range uint64(60) {
		inBubble(t, seed, func(t *testing.T, r *rig) {
			rnd := rand.New(rand.NewPCG(seed, 0))
			spec := GroupSpec{Min: 1, Max: 8, Desired: 1 + rnd.IntN(6), Spot: rnd.IntN(2) == 0, CapacityRebalance: rnd.IntN(2) == 0, InstanceTypes: []string{"m5.large", "c5.large"}}
			if rnd.IntN(2) == 0 {
				spec.Hooks = []Hook{{Name: "in", Transition: onLaunch, Heartbeat: time.Minute, DefaultResult: proceed}, {Name: "out", Transition: onTerminate, Heartbeat: time.Minute}}
			}
			r.group(spec)
			detached := map[string]bool{}
			for range 60 {
				r.wait(time.Duration(rnd.IntN(4000)) * time.Millisecond)
				g, _ := r.Group("g")
				id := "i-0"
				if len(g.Instances) > 0 {
					id = g.Instances[rnd.IntN(len(g.Instances))].ID
				}
				yes := fmt.Sprint(rnd.IntN(2) == 0)
				api := r.API()
				switch rnd.IntN(12) {
				case 0:
					call(api, "SetDesiredCapacity", "AutoScalingGroupName", "g", "DesiredCapacity", fmt.Sprint(rnd.IntN(10)))
				case 1:
					least := rnd.IntN(3)
					call(api, "UpdateAutoScalingGroup", "AutoScalingGroupName", "g", "MinSize", fmt.Sprint(least), "MaxSize", fmt.Sprint(least+2+rnd.IntN(6)))
				case 2:
					r.machines.Terminate(id)
				case 3:
					call(api, "TerminateInstanceInAutoScalingGroup", "InstanceId", id, "ShouldDecrementDesiredCapacity", yes)
				case 4:
					if body := call(api, "DetachInstances", "AutoScalingGroupName", "g", "InstanceIds.member.1", id, "ShouldDecrementDesiredCapacity", yes); !strings.Contains(body, "<Error>") {
						detached[id] = true
					}
				case 5:
					_ = r.machines.Interrupt(id, "terminate") // fails unless it is a running spot instance
				case 6:
					_ = r.machines.Recommend(id)
				case 7:
					call(api, "SetInstanceHealth", "InstanceId", id, "HealthStatus", "Unhealthy")
				case 8:
					r.machines.SetCapacity([]string{"", "m5.large", "c5.large"}[rnd.IntN(3)], []string{"", "us-east-1a"}[rnd.IntN(2)], "", rnd.IntN(2) == 0)
				case 9:
					result := []string{proceed, abandon}[rnd.IntN(2)]
					call(api, "CompleteLifecycleAction", "AutoScalingGroupName", "g", "LifecycleHookName", []string{"in", "out"}[rnd.IntN(2)], "InstanceId", id, "LifecycleActionResult", result)
				case 10:
					process := []string{"Launch", "Terminate", "HealthCheck", "AZRebalance"}[rnd.IntN(4)]
					call(api, []string{"SuspendProcesses", "ResumeProcesses"}[rnd.IntN(2)], "AutoScalingGroupName", "g", "ScalingProcesses.member.1", process)
				case 11:
					call(api, "PutLifecycleHook", "AutoScalingGroupName", "g", "LifecycleHookName", "in", "LifecycleTransition", onLaunch, "HeartbeatTimeout", "30", "DefaultResult", proceed)
				}
			}
			for _, typ := range []string{"", "m5.large", "c5.large"} {
				for _, az := range []string{"", "us-east-1a"} {
					r.machines.SetCapacity(typ, az, "", true)
				}
			}
			r.call("ResumeProcesses", "AutoScalingGroupName", "g")
			r.wait(30 * time.Minute)
			g, _ := r.Group("g")
			if len(g.Instances) != g.Desired || g.Desired < g.Min || g.Desired > g.Max || len(r.members(inService)) != g.Desired {
				t.Fatalf("seed %d: %+v", seed, g)
			}
			counts := map[string]int{}
			for _, i := range g.Instances {
				counts[i.AZ]++
			}
			for _, a := range r.subnets {
				n, _ := r.machines.Subnet(a)
				for _, b := range r.subnets {
					if m, _ := r.machines.Subnet(b); counts[n.AZ] > counts[m.AZ]+1 {
						t.Errorf("seed %d: the zones are not balanced: %v", seed, counts)
					}
				}
			}
			for _, m := range r.machines.Instances() {
				member := slices.ContainsFunc(g.Instances, func(i GroupInstance) bool { return i.ID == m.ID })
				if running := m.State != "terminated"; running && !member && !detached[m.ID] || !running && member {
					t.Errorf("seed %d: %s is %s, member %v", seed, m.ID, m.State, member)
				}
			}
		})
	}
}
