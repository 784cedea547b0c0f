package apply

import "context"

// ContainerWriter writes to ECS. What is not there any more is fault.NotFound.
type ContainerWriter interface {
	// DrainContainerInstance sets a container instance to DRAINING. One that is so already is success.
	DrainContainerInstance(ctx context.Context, cluster, containerInstance string) error
	// StopTask stops a task. One that is being stopped already is success.
	StopTask(ctx context.Context, cluster, task, reason string) error
}
