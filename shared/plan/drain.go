package plan

import (
	"fmt"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// CordonNode marks a node unschedulable, taints it and takes it out of load balancers, in one request. It holds for the
// node as it was observed: another UID, provider ID or resource version makes it a conflict.
type CordonNode struct {
	Node            string            `json:"node"`
	UID             string            `json:"uid"`
	ResourceVersion string            `json:"resourceVersion"`
	Taints          []fleet.Taint     `json:"taints"` // all of them, those of others included
	Labels          map[string]string `json:"labels,omitempty"`
	Annotations     map[string]string `json:"annotations,omitempty"`
}

// Kind is CordonNode.
func (CordonNode) Kind() string { return "CordonNode" }

func (a CordonNode) String() string {
	return fmt.Sprintf("cordon node %s (taint, exclude from load balancers)", a.Node)
}

// EvictPod asks the API server to evict a pod, which honours PodDisruptionBudgets.
type EvictPod struct {
	Namespace string         `json:"namespace"`
	Name      string         `json:"name"`
	UID       string         `json:"uid"`             // another pod of the same name is not touched
	Grace     *time.Duration `json:"grace,omitempty"` // nil: the pod's own; never 0
	// Budget names the pod's PodDisruptionBudget, "" if it has none. Each eviction writes to its budget: at once they would
	// conflict, and the API server waits half a second before it tries a conflicting one again (measured: ten
	// evictions of two budgets took 1.2 s at once, and 0.2 s one after another).
	Budget string `json:"budget,omitempty"`
}

// Kind is EvictPod.
func (EvictPod) Kind() string { return "EvictPod" }

// Lane is the budget.
func (a EvictPod) Lane() string { return a.Budget }

func (a EvictPod) String() string {
	s := "evict pod " + a.Namespace + "/" + a.Name
	if a.Grace != nil {
		s += fmt.Sprintf(" (grace cut to %s)", *a.Grace)
	}
	return s
}

// DeletePod deletes a pod past its PodDisruptionBudget, so that it gets its SIGTERM before its machine dies. Only for
// involuntary events, at the last moment that leaves the pod its grace.
type DeletePod struct {
	Namespace string        `json:"namespace"`
	Name      string        `json:"name"`
	UID       string        `json:"uid"`
	Grace     time.Duration `json:"grace"` // never 0
	Why       string        `json:"why"`
}

// Kind is DeletePod.
func (DeletePod) Kind() string { return "DeletePod" }

func (a DeletePod) String() string {
	return fmt.Sprintf("delete pod %s/%s with grace %s: %s", a.Namespace, a.Name, a.Grace, a.Why)
}

// ReplaceInstance takes an instance out of its Auto Scaling group without lowering the desired size, so that the group
// launches another one at once. It holds while the instance is InService in that group.
type ReplaceInstance struct {
	AutoScalingGroup string `json:"autoScalingGroup"`
	InstanceID       string `json:"instanceId"`
	// First: the machine goes on until the other one is there. It is in no group then, so that whoever asks has to remember, before
	// it asks, that the machine is to be ended.
	First bool `json:"first,omitempty"`
}

// Kind is ReplaceInstance.
func (ReplaceInstance) Kind() string { return "ReplaceInstance" }

func (a ReplaceInstance) String() string {
	return fmt.Sprintf("replace instance %s in Auto Scaling group %s (detach, desired size stays)", a.InstanceID, a.AutoScalingGroup)
}

// CompleteLifecycleAction lets Auto Scaling go on.
type CompleteLifecycleAction struct {
	AutoScalingGroup string `json:"autoScalingGroup"`
	Hook             string `json:"hook"`
	Token            string `json:"token,omitempty"`
	InstanceID       string `json:"instanceId"`
}

// Kind is CompleteLifecycleAction.
func (CompleteLifecycleAction) Kind() string { return "CompleteLifecycleAction" }

func (a CompleteLifecycleAction) String() string {
	return fmt.Sprintf("complete lifecycle hook %s of %s for %s", a.Hook, a.AutoScalingGroup, a.InstanceID)
}

// Heartbeat keeps a lifecycle hook waiting while the drain goes on.
type Heartbeat struct {
	AutoScalingGroup string `json:"autoScalingGroup"`
	Hook             string `json:"hook"`
	Token            string `json:"token,omitempty"`
	InstanceID       string `json:"instanceId"`
}

// Kind is Heartbeat.
func (Heartbeat) Kind() string { return "Heartbeat" }

func (a Heartbeat) String() string {
	return fmt.Sprintf("keep lifecycle hook %s of %s waiting for %s", a.Hook, a.AutoScalingGroup, a.InstanceID)
}
