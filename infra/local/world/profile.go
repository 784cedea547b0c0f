package world

import (
	"fmt"
	"time"
)

// Profile says how long AWS takes. Fast is for the demo and the tests: long waits shrink, but deadlines that a customer
// plans with (the two minutes of a spot interruption notice) stay real.
type Profile struct {
	Name             string
	ClusterCreate    time.Duration // least time from CreateCluster to ACTIVE; the control plane's own start counts in
	ClusterDelete    time.Duration
	ClusterUpdate    time.Duration // a version update of the control plane
	ConfigUpdate     time.Duration // access, logging, endpoint changes
	NodegroupCreate  time.Duration // from all instances InService to ACTIVE
	NodegroupDelete  time.Duration
	InstancePending  time.Duration // RunInstances to running
	InstanceShutdown time.Duration // shutting-down or stopping to the end state
	NodeRegister     time.Duration // running to the kubelet's registration
	ScalingTick      time.Duration // how often Auto Scaling compares desired and actual
	SpotNotice       time.Duration // interruption notice to the instance's end
	Settle           time.Duration // eventual consistency: how late a describe may be after a create
	NATGatewayCreate time.Duration
	TargetHealth     time.Duration // RegisterTargets to a target's healthy state
	Deregistration   time.Duration // what the default deregistration delay of five minutes takes; others take their share
}

// Fast and Real are the profiles. Real's numbers are AWS's documentation's or users' medians: cluster 9 to 12 minutes,
// managed node group 2 to 3 minutes, instance about 20 s to running and 30 s to Ready.
var (
	Fast = Profile{
		Name: "fast", ClusterCreate: 2 * time.Second, ClusterDelete: time.Second, ClusterUpdate: 3 * time.Second,
		ConfigUpdate: time.Second, NodegroupCreate: time.Second, NodegroupDelete: time.Second,
		InstancePending: 700 * time.Millisecond, InstanceShutdown: time.Second, NodeRegister: 1500 * time.Millisecond,
		ScalingTick: 250 * time.Millisecond, SpotNotice: 2 * time.Minute, Settle: 100 * time.Millisecond,
		NATGatewayCreate: time.Second, TargetHealth: 500 * time.Millisecond, Deregistration: 6 * time.Second,
	}
	Real = Profile{
		Name: "real", ClusterCreate: 9 * time.Minute, ClusterDelete: 3 * time.Minute, ClusterUpdate: 9 * time.Minute,
		ConfigUpdate: time.Minute, NodegroupCreate: 30 * time.Second, NodegroupDelete: 3 * time.Minute,
		InstancePending: 20 * time.Second, InstanceShutdown: 40 * time.Second, NodeRegister: 30 * time.Second,
		ScalingTick: 5 * time.Second, SpotNotice: 2 * time.Minute, Settle: 2 * time.Second,
		NATGatewayCreate: 90 * time.Second, TargetHealth: 90 * time.Second, Deregistration: 5 * time.Minute,
	}
)

// ProfileByName finds Fast or Real.
func ProfileByName(name string) (Profile, error) {
	for _, p := range []Profile{Fast, Real} {
		if p.Name == name {
			return p, nil
		}
	}
	return Profile{}, fmt.Errorf("profile %q is not known: use fast or real", name)
}
