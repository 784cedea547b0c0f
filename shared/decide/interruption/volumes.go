package interruption

import (
	"fmt"
	"slices"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// Wants are the reads that only some looks need.
type Wants struct {
	// Group is an Auto Scaling group whose settings matter before a machine is taken out of it.
	Group string
	// Replacement is the group of which a replacement is waited for.
	Replacement string
	// Volumes: which volumes are attached to the node, but for those of pods that stay: of their claims.
	Volumes bool
	Except  []fleet.Claim
}

// Further tells what else has to be read of a machine before Decide can judge it.
func Further(now time.Time, o Observation, policy fleet.InterruptionPolicy) (w Wants) {
	if o.Node == nil || o.Instance == nil || !o.Node.Is(o.Signal.InstanceID) {
		return w
	}
	if o.Signal.recommended() {
		switch {
		case o.DetachedFrom == "" && policy.Rebalance == fleet.RebalanceReplaceThenDrain:
			w.Group = o.Group.Name
		case o.DetachedFrom != "" && !cordoned(*o.Node):
			w.Replacement = o.DetachedFrom
		}
		if o.DetachedFrom == "" {
			return w
		}
	}
	if o.HadVolumes && !o.unread(PartPods) && cordoned(*o.Node) && sortPods(now, o, policy).left() == 0 {
		w.Volumes = true
		for _, p := range o.Pods {
			if p.Finished() || p.Deleting {
				continue
			}
			for _, c := range p.Claims {
				w.Except = append(w.Except, fleet.Claim{Namespace: p.Namespace, Name: c})
			}
		}
	}
	return w
}

// HasVolumes tells whether pods that are to be drained have volumes, which have to leave the node after them.
func HasVolumes(now time.Time, o Observation, policy fleet.InterruptionPolicy) bool {
	return slices.ContainsFunc(sortPods(now, o, policy).leaving(), func(p fleet.Pod) bool { return len(p.Claims) > 0 })
}

// attached tells whether volumes of drained pods are still on the node, or may be.
func attached(o Observation) bool { return len(o.Attached) > 0 || o.unread(PartVolumes) }

// attachments are the volumes that are left.
func attachments(o Observation) (out []string) {
	for _, v := range o.Attached {
		out = append(out, "volume "+v+" was still attached")
	}
	if o.unread(PartVolumes) {
		out = append(out, "which volumes were still attached could not be read")
	}
	return out
}

func waitingForVolumes(o Observation) string {
	return fmt.Sprintf("the pods are gone; %d volumes are still attached", len(o.Attached))
}

const (
	// outOfServiceKey is the taint by which Kubernetes is told that a node is shut down for good: pods on it are deleted by force, and
	// their volumes detached at once instead of after six minutes.
	// https://kubernetes.io/docs/concepts/cluster-administration/node-shutdown/#non-graceful-node-shutdown
	outOfServiceKey = "node.kubernetes.io/out-of-service"
	// lingering is how long after the deadline a machine is looked at that has not stopped: then it is not going.
	lingering = 10 * time.Minute
	// lingerPause is how often.
	lingerPause = 10 * time.Second
)

// stranded tells whether the machine takes something with it that Kubernetes would hold for minutes.
func stranded(o Observation, pods podSet) bool {
	return attached(o) || slices.ContainsFunc(pods.leaving(), func(p fleet.Pod) bool { return len(p.Claims) > 0 })
}

// lingers tells whether a drain goes on after its time because its node is to be declared out of service, which has to wait
// until EC2 says that the machine has stopped: a process that still writes to a volume which another node mounts destroys it.
func lingers(now time.Time, o Observation, policy fleet.InterruptionPolicy, pods podSet) bool {
	return policy.OutOfService && o.Signal.Involuntary && !dead(o) && stranded(o, pods) && now.Before(o.Signal.Deadline.Add(lingering))
}

// outOfService declares the node of a machine that has stopped out of service, if the policy wants that.
func outOfService(o Observation, policy fleet.InterruptionPolicy, pods podSet) []plan.Action {
	n := o.Node
	if !policy.OutOfService || !dead(o) || !stranded(o, pods) || slices.ContainsFunc(n.Taints, func(t fleet.Taint) bool { return t.Key == outOfServiceKey }) {
		return nil
	}
	return []plan.Action{plan.OutOfService{Node: n.Name, UID: n.UID, ResourceVersion: n.ResourceVersion, State: o.Instance.State,
		Taints: append(slices.Clone(n.Taints), fleet.Taint{Key: outOfServiceKey, Value: "nodeshutdown", Effect: "NoExecute"})}}
}
