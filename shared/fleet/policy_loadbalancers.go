package fleet

import "time"

// LoadBalancerPolicy says how a machine that goes is taken out of load balancers whose targets are machines. It concerns only
// machines that are such targets; the drain of others does not change.
type LoadBalancerPolicy struct {
	// Deregister takes a machine out of its target groups beside the cordon, and waits as below. The cordon's label does it
	// as well, but takes minutes (aws-node-termination-handler issue 316).
	Deregister bool `json:"deregister"`
	// Wait is the longest that the eviction of a serving pod waits for that on an involuntary event. The pod's own grace and
	// the machine's end come first.
	Wait time.Duration `json:"wait"`
	// VoluntaryWait is the same where nothing hurries.
	VoluntaryWait time.Duration `json:"voluntaryWait"`
	// Pause is how long after a target was seen draining the load balancer's own nodes may still send it new connections.
	Pause time.Duration `json:"pause"`
	// ConnectionWait is the longest that a machine's end, where it is ours to choose, waits for connections through it.
	ConnectionWait time.Duration `json:"connectionWait"`
}

// DefaultLoadBalancerPolicy waits 10 of a spot warning's 120 seconds at most. Five minutes are the default deregistration
// delay of a target group.
func DefaultLoadBalancerPolicy() LoadBalancerPolicy {
	return LoadBalancerPolicy{Deregister: true, Wait: 10 * time.Second, VoluntaryWait: time.Minute, Pause: 3 * time.Second, ConnectionWait: 5 * time.Minute}
}
