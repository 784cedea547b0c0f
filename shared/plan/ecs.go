package plan

import "fmt"

// DrainContainerInstance sets a machine of an ECS cluster to DRAINING: ECS places nothing on it any more, stops the tasks of
// services there and starts others elsewhere, as each service's deployment configuration allows. One that is DRAINING already
// is done.
type DrainContainerInstance struct {
	Cluster           string `json:"cluster"` // ARN
	ContainerInstance string `json:"containerInstance"`
}

// Kind is DrainContainerInstance.
func (DrainContainerInstance) Kind() string { return "DrainContainerInstance" }

func (a DrainContainerInstance) String() string {
	return fmt.Sprintf("set container instance %s of %s to DRAINING", a.ContainerInstance, a.Cluster)
}

// StopTask has ECS send SIGTERM to a task's containers, and SIGKILL after their stop timeout. Only for involuntary events, at
// the last moment that is sure to leave the task its stop timeout.
type StopTask struct {
	Cluster string `json:"cluster"` // ARN
	Task    string `json:"task"`    // ARN
	Reason  string `json:"reason"`  // what the task's owner finds as its stoppedReason
}

// Kind is StopTask.
func (StopTask) Kind() string { return "StopTask" }

func (a StopTask) String() string { return fmt.Sprintf("stop task %s: %s", a.Task, a.Reason) }
