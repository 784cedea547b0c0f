package interruption_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/events"
)

// next is the next message. What it must lead to is written down. It takes the crowd's lock, which whoever sends holds while taking the
// queue's: the queue's must not be held here. What it changes belongs to the one goroutine that sends.
func (f *fuzz) next() string {
	if f.mix == nil {
		f.mix = map[string]int{}
	}
	kind, body := "", ""
	switch p := f.rnd.IntN(100); {
	case p < 30:
		kind, body = f.valid()
	case p < 45 && len(f.old) > 0:
		kind, body = "repeated", f.old[f.rnd.IntN(len(f.old))]
	case p < 65:
		_, body = f.validOf(f.rnd.IntN(100), false)
		kind, body = "mutated", f.mutate(body)
	case p < 75:
		kind, body = "poison", poison(f.rnd)
	case p < 80:
		kind, body = "sample", anySample(f.rnd)
	default:
		kind, body = f.foreign()
	}
	f.mix[kind]++
	return body
}

func (f *fuzz) someone() string {
	return fmt.Sprintf("i-0%016x", f.rnd.IntN(len(f.crowd.machines))+1)
}

func (f *fuzz) valid() (string, string) { return f.validOf(f.rnd.IntN(100), true) }

// validOf makes a message about machines that are there. owed has its effect demanded.
func (f *fuzz) validOf(p int, owed bool) (kind, body string) {
	id, event0 := f.someone(), fmt.Sprintf("e-%d", f.rnd.Uint64())
	owe := func(why string, ids ...string) {
		for _, id := range ids {
			f.crowd.mu.Lock()
			ended := f.crowd.machines[id].instance.State != "running"
			f.crowd.mu.Unlock()
			if owed && !ended {
				f.owed[id] = why
			}
		}
	}
	switch {
	case p < 40:
		owe("spot", id)
		if owed { // EC2 keeps its word
			time.AfterFunc(2*time.Minute+10*time.Second, func() {
				f.crowd.mu.Lock()
				defer f.crowd.mu.Unlock()
				f.crowd.die(id)
			})
		}
		return "spot", event("aws.ec2", "EC2 Spot Instance Interruption Warning", event0, map[string]string{"instance-id": id, "instance-action": "terminate"})
	case p < 50:
		return "rebalance", event("aws.ec2", "EC2 Instance Rebalance Recommendation", event0, map[string]string{"instance-id": id})
	case p < 65:
		state := []string{"running", "pending", "stopped", "terminated"}[f.rnd.IntN(4)]
		return "state", event("aws.ec2", "EC2 Instance State-change Notification", event0, map[string]string{"instance-id": id, "state": state})
	case p < 75:
		owe("hook", id)
		return "hook", event("aws.autoscaling", "EC2 Instance-terminate Lifecycle Action", event0, map[string]string{
			"LifecycleActionToken": event0, "AutoScalingGroupName": "g", "LifecycleHookName": "drain", "EC2InstanceId": id,
			"LifecycleTransition": events.TransitionTerminating, "Origin": "AutoScalingGroup", "Destination": "EC2"})
	case p < 90:
		ids := []string{id, f.someone(), f.someone()}[:1+f.rnd.IntN(3)]
		var list []entity
		for _, i := range ids {
			list = append(list, entity{i, "IMPAIRED"})
		}
		owe("health", ids...)
		return "health", healthEvent(event0, list, func(d map[string]any) {
			impairedNow(d)
			d["eventArn"], d["communicationId"] = "arn:aws:health:us-east-1::event/EC2/X/"+event0, event0
		})
	case p < 95:
		block := fmt.Sprintf("cr-0%016x", f.rnd.IntN(len(f.crowd.machines)/3)+1)
		for i, m := range f.crowd.machines {
			if m.block == block {
				owe("block", i)
			}
		}
		return "block", event("aws.ec2", "Capacity Block Expiration Warning", event0, map[string]string{
			"capacity-reservation-id": block, "end-date": time.Now().Add(40 * time.Minute).UTC().Format(time.RFC3339)})
	}
	n := f.rnd.IntN(len(f.crowd.machines))
	if owed {
		f.owedPods = append(f.owedPods, fmt.Sprintf("web-%d-0", n))
	}
	return "fargate", event("aws.eks", "EKS Fargate Pod Scheduled Termination", event0, map[string]string{
		"clusterName": fmt.Sprintf("c-%d", n%fuzzClusters), "podName": fmt.Sprintf("web-%d-0", n), "podNamespace": "default",
		"scheduledTerminationTime": time.Now().Add(48*time.Hour).UTC().Format("2006-01-02T15:04:05.000Z") + "[UTC]"})
}

// foreign is well-formed and not ours.
func (f *fuzz) foreign() (string, string) {
	_, body := f.validOf(f.rnd.IntN(100), false)
	switch f.rnd.IntN(3) {
	case 0:
		return "other account", strings.ReplaceAll(body, account, "999999999999")
	case 1:
		return "unknown machine", strings.ReplaceAll(strings.ReplaceAll(body, "i-00", "i-0f"), "cr-00", "cr-0f")
	}
	return "unknown type", event("com.example", fmt.Sprintf("Tea %d", f.rnd.IntN(9)), "x", map[string]any{})
}

// mutate breaks a body: bytes flipped, cut out, doubled, values of other types.
func (f *fuzz) mutate(body string) string {
	b := []byte(body)
	for range 1 + f.rnd.IntN(4) {
		if len(b) < 4 {
			return string(b)
		}
		at := f.rnd.IntN(len(b) - 1)
		switch f.rnd.IntN(6) {
		case 0:
			b[at] ^= 1 << f.rnd.IntN(8)
		case 1:
			b = append(b[:at:at], b[at+1:]...)
		case 2:
			b = b[:at]
		case 3:
			b = append(b[:at:at], append([]byte(`{"x":[`), b[at:]...)...)
		case 4:
			b = []byte(strings.Replace(string(b), `"detail":{`, `"detail":[{`, 1))
		case 5:
			b = []byte(strings.Replace(string(b), `"time":"20`, `"time":"-9`, 1))
		}
	}
	return string(b)
}
