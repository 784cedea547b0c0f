package observe

import (
	"context"
	"sync"

	"github.com/ekspedite/ekspedite/shared/decide/ecsdrain"
	"github.com/ekspedite/ekspedite/shared/decide/interruption"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Containers reads the machines of ECS clusters. Clusters, container instances and tasks are named by their ARNs.
type Containers interface {
	// ContainerInstance reads one. One that is not there any more is fault.NotFound.
	ContainerInstance(ctx context.Context, cluster, arn string) (fleet.ContainerInstance, error)
	// TasksOn reads the tasks on a container instance that have not ended, those that are being stopped among them, without
	// their protection. If only stop timeouts could not be read, the tasks have the default one, and the error says so beside them.
	TasksOn(ctx context.Context, cluster, containerInstance string) (tasks []fleet.Task, timeouts, err error)
	// Protect adds to tasks whether they are protected from scale-in.
	Protect(ctx context.Context, cluster string, tasks []fleet.Task) error
	// CapacityProvider reads a capacity provider by its name.
	CapacityProvider(ctx context.Context, name string) (fleet.CapacityProvider, error)
}

// ContainerMachine observes one container instance. Reads that do not depend on one another run at once. A read that fails for
// another reason than absence is named in Incomplete; the error is the first of them.
func ContainerMachine(ctx context.Context, aws Containers, groups Groups, signal interruption.Signal, inst fleet.Instance, cluster, arn string) (ecsdrain.Observation, error) {
	o := ecsdrain.Observation{Signal: signal, Instance: &inst}
	errs := map[ecsdrain.Part]error{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	failed := func(part ecsdrain.Part, err error) {
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			errs[part] = err
		}
	}
	wg.Go(func() {
		var err error
		o.Group, err = groups.ScalingGroup(ctx, inst.ID)
		failed(ecsdrain.PartGroup, err)
	})
	wg.Go(func() {
		c, err := aws.ContainerInstance(ctx, cluster, arn)
		failed(ecsdrain.PartContainer, fault.Ignore(err, fault.NotFound))
		if err != nil || c.Status == fleet.ContainerInactive {
			return
		}
		if o.Container = &c; c.CapacityProvider != "" {
			o.Provider, err = aws.CapacityProvider(ctx, c.CapacityProvider)
			failed(ecsdrain.PartProvider, fault.Ignore(err, fault.NotFound))
		}
	})
	wg.Go(func() {
		tasks, timeouts, err := aws.TasksOn(ctx, cluster, arn)
		failed(ecsdrain.PartTasks, fault.Ignore(err, fault.NotFound)) // of a container instance that is not there
		failed(ecsdrain.PartTimeouts, timeouts)
		if err == nil && len(tasks) > 0 {
			failed(ecsdrain.PartProtection, aws.Protect(ctx, cluster, tasks))
		}
		o.Tasks = tasks
	})
	wg.Wait()
	var first error
	for _, part := range []ecsdrain.Part{ecsdrain.PartContainer, ecsdrain.PartTasks, ecsdrain.PartTimeouts, ecsdrain.PartProtection, ecsdrain.PartGroup, ecsdrain.PartProvider} {
		err, failed := errs[part]
		if !failed {
			continue
		}
		if o.Incomplete == nil {
			o.Incomplete, first = map[ecsdrain.Part]string{}, err
		}
		o.Incomplete[part] = err.Error()
	}
	return o, first
}
