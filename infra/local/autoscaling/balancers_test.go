package autoscaling

import (
	"slices"
	"sync"
	"testing"
	"time"
)

const webARN = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/web/0123456789abcdef"

// balancers are target groups that drain for a while.
type balancers struct {
	delay time.Duration

	mu      sync.Mutex
	members map[string]bool
	left    map[string]time.Time // until when connections are drained
}

func (b *balancers) Join(_, id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.members[id] = true
}

func (b *balancers) Leave(_, id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.members[id] {
		delete(b.members, id)
		b.left[id] = time.Now().Add(b.delay)
	}
}

func (b *balancers) Drains(_, id string) time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.left[id]
}

func (b *balancers) has(ids []string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.members) == len(ids) && !slices.ContainsFunc(ids, func(id string) bool { return !b.members[id] })
}

// TestTargetsFollowTheGroup: what is in service is registered, and nothing else; what is ended waits for its connections before its
// hooks run.
func TestTargetsFollowTheGroup(t *testing.T) {
	inBubble(t, 1, func(t *testing.T, r *rig) {
		b := &balancers{delay: 20 * time.Second, members: map[string]bool{}, left: map[string]time.Time{}}
		r.Balance(b)
		r.group(GroupSpec{Max: 10, Desired: 3, Hooks: []Hook{{Name: "out", Transition: onTerminate, Heartbeat: time.Minute, DefaultResult: proceed}}})
		if !b.has(nil) {
			t.Error("registered without being attached")
		}
		r.call("AttachLoadBalancerTargetGroups", "AutoScalingGroupName", "g", "TargetGroupARNs.member.1", webARN)
		if !b.has(r.members(inService)) {
			t.Errorf("attached: %v", b.members)
		}
		gone := r.members(inService)[0]
		if err := r.TerminateInstance(gone, false); err != nil {
			t.Fatal(err)
		}
		r.wait(time.Second)
		if b.members[gone] || !slices.Contains(r.members(terminating), gone) {
			t.Errorf("what ends: registered %t, states %v", b.members[gone], r.states())
		}
		r.wait(18 * time.Second)
		if !slices.Contains(r.members(terminating), gone) {
			t.Errorf("its connections were not waited for: %v", r.states())
		}
		r.wait(3 * time.Second)
		if !slices.Contains(r.members(terminatingWait), gone) {
			t.Errorf("then its hooks run: %v", r.states())
		}
		r.wait(2 * time.Minute)
		if m, _ := r.machines.Instance(gone); m.State != "terminated" || !b.has(r.members(inService)) || len(b.members) != 3 {
			t.Errorf("the machine is %s; registered %v of %v", m.State, b.members, r.members(inService))
		}
		aside := r.members(inService)[0]
		r.call("EnterStandby", "AutoScalingGroupName", "g", "InstanceIds.member.1", aside, "ShouldDecrementDesiredCapacity", "true")
		if b.members[aside] {
			t.Error("registered in standby")
		}
		r.call("ExitStandby", "AutoScalingGroupName", "g", "InstanceIds.member.1", aside)
		r.wait(time.Minute)
		if !b.members[aside] {
			t.Error("not registered after standby")
		}
		r.call("DetachInstances", "AutoScalingGroupName", "g", "InstanceIds.member.1", aside, "ShouldDecrementDesiredCapacity", "true")
		if b.members[aside] {
			t.Error("registered after it was detached")
		}
		r.call("DetachLoadBalancerTargetGroups", "AutoScalingGroupName", "g", "TargetGroupARNs.member.1", webARN)
		if !b.has(nil) {
			t.Errorf("registered after the target group was detached: %v", b.members)
		}
	})
}
