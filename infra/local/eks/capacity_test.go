package eks

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestCapacityOfShapes(t *testing.T) {
	big := InstanceType{VCPU: 96, MemoryMiB: 393216, MaxPods: 737, IPsPerENI: 50}
	small := InstanceType{VCPU: 16, MemoryMiB: 65536, MaxPods: 234, IPsPerENI: 30}
	for name, tc := range map[string]struct {
		of           InstanceType
		shape        shape
		pods, memory string
	}{
		"self-managed":          {big, shape{}, "737", "355262Mi"},
		"told":                  {big, shape{maxPods: 42}, "42", "355262Mi"},
		"managed":               {big, shape{managed: true, ami: "AL2023_x86_64_STANDARD"}, "250", "355262Mi"}, // reserved for all 737
		"managed, few cores":    {small, shape{managed: true, ami: "AL2023_x86_64_STANDARD"}, "110", "57691Mi"},
		"managed, Bottlerocket": {big, shape{managed: true, ami: "BOTTLEROCKET_x86_64"}, "250", "360619Mi"},
		"managed, Windows":      {big, shape{managed: true, ami: "WINDOWS_CORE_2025_x86_64"}, "49", "354862Mi"},
	} {
		capacity, allocatable := capacity(tc.of, tc.shape)
		if capacity["pods"] != tc.pods || allocatable["pods"] != tc.pods || allocatable["memory"] != tc.memory {
			t.Errorf("%s: capacity %v, allocatable %v", name, capacity, allocatable)
		}
	}
}

func TestDevices(t *testing.T) {
	gpu := InstanceType{VCPU: 4, MemoryMiB: 16384, MaxPods: 58, Devices: map[string]int{"nvidia.com/gpu": 1}}
	for ami, atOnce := range map[string]bool{"AL2023_x86_64_NVIDIA": false, "BOTTLEROCKET_x86_64_NVIDIA": true, "BOTTLEROCKET_x86_64": false} {
		n := Node{Capacity: map[string]string{}, Allocatable: map[string]string{}}
		later := shape{managed: true, ami: ami}.devices(gpu, n)
		if has := n.Allocatable["nvidia.com/gpu"] == "1"; has != atOnce || (later["nvidia.com/gpu"] == "1") == atOnce {
			t.Errorf("%s: at once %v, later %v", ami, n.Allocatable, later)
		}
	}
}

// TestAGroupWithoutCapacityIsDegraded: until a launch succeeds, even when nobody asks for more.
func TestAGroupWithoutCapacityIsDegraded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.mustCluster()
		r.mustNodegroup()
		name := r.clusters["c"].nodegroups["ng"].groupName()
		view := func() nodegroupShape {
			t.Helper()
			out, err := r.describeNodegroup(t.Context(), asAdmin(), &nodegroupName{"c", "ng"})
			if err != nil {
				t.Fatal(err)
			}
			return out.Nodegroup
		}
		resize := func(n int) {
			t.Helper()
			if err := r.ec2.UpdateGroup(name, nil, nil, &n); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}
		r.ec2.broken = true
		resize(4)
		if v := view(); v.Status != active || *v.ScalingConfig.DesiredSize != 4 {
			t.Errorf("after a minute: %s, desired %d", v.Status, *v.ScalingConfig.DesiredSize)
		}
		time.Sleep(5 * time.Minute)
		v := view()
		if v.Status != degraded || len(v.Health.Issues) != 1 || v.Health.Issues[0].Code != "AsgInstanceLaunchFailures" || v.Health.Issues[0].ResourceIDs[0] != name {
			t.Errorf("after six minutes: %s, %+v", v.Status, v.Health)
		}
		resize(0)
		if v := view(); v.Status != degraded {
			t.Errorf("at zero: %s", v.Status)
		}
		r.ec2.broken = false
		r.ec2.groups[name].failure = "" // a launch has succeeded
		resize(1)
		if v := view(); v.Status != active || len(v.Health.Issues) != 0 {
			t.Errorf("after a launch: %s, %+v", v.Status, v.Health)
		}
	})
}
