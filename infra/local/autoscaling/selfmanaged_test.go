package autoscaling

import (
	"slices"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/ec2"
)

func TestMaximumLifetime(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, r *rig) {
		r.group(GroupSpec{Max: 10, Desired: 2})
		before := r.members(inService)
		r.refused("ValidationError", "MaxInstanceLifetime", "UpdateAutoScalingGroup", "AutoScalingGroupName", "g", "MaxInstanceLifetime", "3600")
		r.call("UpdateAutoScalingGroup", "AutoScalingGroupName", "g", "MaxInstanceLifetime", "86400")
		r.wait(23 * time.Hour)
		if now := r.members(inService); !slices.Equal(now, before) {
			t.Errorf("too early: %v, then %v", before, now)
		}
		r.wait(2 * time.Hour)
		r.wantStates(map[string]int{inService: 2})
		for _, id := range r.members(inService) {
			if slices.Contains(before, id) {
				t.Errorf("%s is older than a day", id)
			}
		}
	})
}

func TestSpotMaxPrice(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, r *rig) {
		id, err := r.machines.CreateLaunchTemplateFor("plain", nil, ec2.LaunchTemplateData{ImageID: "ami-1", InstanceType: "m5.large"})
		if err != nil {
			t.Fatal(err)
		}
		params := func(name, price string) []string {
			return []string{
				"AutoScalingGroupName", name, "MinSize", "1", "MaxSize", "1", "VPCZoneIdentifier", r.subnets[0],
				"MixedInstancesPolicy.LaunchTemplate.LaunchTemplateSpecification.LaunchTemplateId", id,
				"MixedInstancesPolicy.InstancesDistribution.OnDemandPercentageAboveBaseCapacity", "0",
				"MixedInstancesPolicy.InstancesDistribution.SpotMaxPrice", price,
			}
		}
		r.call("CreateAutoScalingGroup", params("rich", "0.096")...)
		r.call("CreateAutoScalingGroup", params("poor", "0.001")...)
		r.refused("ValidationError", "Spot maximum price", "CreateAutoScalingGroup", params("odd", "much")...)
		r.wait(time.Minute)
		for name, want := range map[string]int{"rich": 1, "poor": 0} {
			if g, _ := r.Group(name); len(g.Instances) != want {
				t.Errorf("%s has %d instances, last failure %q", name, len(g.Instances), g.LaunchFailure)
			}
		}
	})
}
