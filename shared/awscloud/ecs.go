package awscloud

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Containers reads and drains the machines of ECS clusters in one Region.
type Containers struct {
	ecs *ecs.Client

	// definitions are the stop timeouts of task definitions, by ARN. A revision never changes.
	definitions sync.Map
}

// NewContainers makes a Containers.
func NewContainers(cfg Config) *Containers { return &Containers{ecs: ecs.NewFromConfig(cfg)} }

// ECSClusters lists the Region's ECS clusters by ARN.
func (c *Containers) ECSClusters(ctx context.Context) (all []string, err error) {
	pages := ecs.NewListClustersPaginator(c.ecs, &ecs.ListClustersInput{})
	for pages.HasMorePages() {
		out, err := pages.NextPage(ctx)
		if err != nil {
			return nil, classify("ecs:ListClusters", err)
		}
		all = append(all, out.ClusterArns...)
	}
	return all, nil
}

// FindMachine finds the container instance that an EC2 instance is in a cluster, given by name or ARN. If it is none there, or
// the cluster does not exist, that is fault.NotFound. What has been deregistered is not found.
func (c *Containers) FindMachine(ctx context.Context, cluster, instanceID string) (arn string, err error) {
	out, err := c.ecs.ListContainerInstances(ctx, &ecs.ListContainerInstancesInput{Cluster: &cluster, Filter: aws.String("ec2InstanceId == " + instanceID)})
	if err != nil {
		return "", classify("ecs:ListContainerInstances", err)
	}
	if len(out.ContainerInstanceArns) == 0 {
		return "", fault.New(fault.NotFound, "instance %s is no container instance of %s", instanceID, cluster)
	}
	return out.ContainerInstanceArns[0], nil
}

// ContainerInstance reads a container instance.
func (c *Containers) ContainerInstance(ctx context.Context, cluster, arn string) (fleet.ContainerInstance, error) {
	out, err := c.ecs.DescribeContainerInstances(ctx, &ecs.DescribeContainerInstancesInput{Cluster: &cluster, ContainerInstances: []string{arn}})
	if err != nil {
		return fleet.ContainerInstance{}, classify("ecs:DescribeContainerInstances", err)
	}
	if len(out.ContainerInstances) == 0 {
		return fleet.ContainerInstance{}, ecsAbsent("ecs:DescribeContainerInstances", arn, out.Failures)
	}
	i := out.ContainerInstances[0]
	return fleet.ContainerInstance{ARN: deref(i.ContainerInstanceArn), Cluster: cluster, InstanceID: deref(i.Ec2InstanceId), Status: deref(i.Status),
		Connected: i.AgentConnected, CapacityProvider: deref(i.CapacityProviderName)}, nil
}

// missing is the reason of a Failure of what is not there.
const missing = "MISSING"

// ecsAbsent is what an answer without the thing means, which ECS gives with status 200.
func ecsAbsent(op, arn string, failures []types.Failure) error {
	for _, f := range failures {
		if reason := deref(f.Reason); reason != missing {
			return &fault.Error{Class: fault.Transient, Op: op, Code: reason, Err: fault.New(fault.Transient, "%s: %s %s", arn, reason, deref(f.Detail))}
		}
	}
	return &fault.Error{Class: fault.NotFound, Op: op, Code: missing, Err: fault.New(fault.NotFound, "no %s", arn)}
}

// describeMost is how many tasks DescribeTasks and GetTaskProtection take.
const describeMost = 100

// TasksOn reads the tasks on a container instance that have not ended. Tasks that are being stopped are listed apart by ECS,
// among those that ended within the last hour.
func (c *Containers) TasksOn(ctx context.Context, cluster, containerInstance string) (tasks []fleet.Task, timeouts, err error) {
	var arns [2][]string
	var errs [2]error
	var wg sync.WaitGroup
	for i, desired := range []types.DesiredStatus{types.DesiredStatusRunning, types.DesiredStatusStopped} {
		wg.Go(func() { arns[i], errs[i] = c.listTasks(ctx, cluster, containerInstance, desired) })
	}
	wg.Wait()
	for _, e := range errs {
		if e != nil {
			return nil, nil, e
		}
	}
	definitions := map[string][]int{}
	all := slices.Concat(arns[0], arns[1])
	slices.Sort(all)
	for some := range slices.Chunk(slices.Compact(all), describeMost) { // one that is stopped between the lists is in both
		out, err := c.ecs.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: &cluster, Tasks: some})
		if err != nil {
			return nil, nil, classify("ecs:DescribeTasks", err)
		}
		for _, t := range out.Tasks {
			if deref(t.LastStatus) == "STOPPED" || deref(t.ContainerInstanceArn) != containerInstance {
				continue
			}
			definitions[deref(t.TaskDefinitionArn)] = append(definitions[deref(t.TaskDefinitionArn)], len(tasks))
			tasks = append(tasks, fleet.Task{ARN: deref(t.TaskArn), Group: deref(t.Group), LastStatus: deref(t.LastStatus), DesiredStatus: deref(t.DesiredStatus), StopTimeout: fleet.DefaultStopTimeout})
		}
	}
	for arn, which := range definitions {
		d, err := c.stopTimeout(ctx, arn)
		if err != nil {
			timeouts = err
			continue
		}
		for _, i := range which {
			tasks[i].StopTimeout = d
		}
	}
	return tasks, timeouts, nil
}

func (c *Containers) listTasks(ctx context.Context, cluster, containerInstance string, desired types.DesiredStatus) (all []string, err error) {
	pages := ecs.NewListTasksPaginator(c.ecs, &ecs.ListTasksInput{Cluster: &cluster, ContainerInstance: &containerInstance, DesiredStatus: desired})
	for pages.HasMorePages() {
		out, err := pages.NextPage(ctx)
		if err != nil {
			return nil, classify("ecs:ListTasks", err)
		}
		all = append(all, out.TaskArns...)
	}
	return all, nil
}

// stopTimeout is how long a task of a definition may take to stop: its slowest container's time. Containers that wait for
// others are stopped after them, so that then the times add up.
func (c *Containers) stopTimeout(ctx context.Context, definition string) (time.Duration, error) {
	if d, ok := c.definitions.Load(definition); ok {
		return d.(time.Duration), nil
	}
	out, err := c.ecs.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: &definition})
	if err != nil {
		return 0, classify("ecs:DescribeTaskDefinition", err)
	}
	var most, sum time.Duration
	var chained bool
	for _, d := range out.TaskDefinition.ContainerDefinitions {
		one := fleet.DefaultStopTimeout
		if d.StopTimeout != nil {
			one = time.Duration(*d.StopTimeout) * time.Second
		}
		most, sum, chained = max(most, one), sum+one, chained || len(d.DependsOn) > 0
	}
	if chained {
		most = sum
	}
	c.definitions.Store(definition, most)
	return most, nil
}

// Protect adds to tasks whether they are protected. Only those of services can be.
func (c *Containers) Protect(ctx context.Context, cluster string, tasks []fleet.Task) error {
	at := map[string]int{}
	var arns []string
	for i, t := range tasks {
		if t.Service() != "" && !t.Stopping() {
			at[t.ARN] = i
			arns = append(arns, t.ARN)
		}
	}
	for some := range slices.Chunk(arns, describeMost) {
		out, err := c.ecs.GetTaskProtection(ctx, &ecs.GetTaskProtectionInput{Cluster: &cluster, Tasks: some})
		if err != nil {
			return classify("ecs:GetTaskProtection", err)
		}
		for _, p := range out.ProtectedTasks {
			if i, ok := at[deref(p.TaskArn)]; ok {
				tasks[i].Protected = p.ProtectionEnabled
				tasks[i].Until = aws.ToTime(p.ExpirationDate)
			}
		}
	}
	return nil
}

// CapacityProvider reads a capacity provider.
func (c *Containers) CapacityProvider(ctx context.Context, name string) (fleet.CapacityProvider, error) {
	out, err := c.ecs.DescribeCapacityProviders(ctx, &ecs.DescribeCapacityProvidersInput{CapacityProviders: []string{name}})
	if err != nil {
		return fleet.CapacityProvider{}, classify("ecs:DescribeCapacityProviders", err)
	}
	if len(out.CapacityProviders) == 0 {
		return fleet.CapacityProvider{}, ecsAbsent("ecs:DescribeCapacityProviders", name, out.Failures)
	}
	f := fleet.CapacityProvider{Name: name}
	if g := out.CapacityProviders[0].AutoScalingGroupProvider; g != nil {
		f.Draining, f.Protection = g.ManagedDraining == types.ManagedDrainingEnabled, g.ManagedTerminationProtection == types.ManagedTerminationProtectionEnabled
	} else { // ECS Managed Instances: ECS minds all of their lives
		f.Draining = true
	}
	return f, nil
}

// DrainContainerInstance sets a container instance to DRAINING. See apply.ContainerWriter.
func (c *Containers) DrainContainerInstance(ctx context.Context, cluster, containerInstance string) error {
	const op = "ecs:UpdateContainerInstancesState"
	out, err := c.ecs.UpdateContainerInstancesState(ctx, &ecs.UpdateContainerInstancesStateInput{
		Cluster: &cluster, ContainerInstances: []string{containerInstance}, Status: types.ContainerInstanceStatusDraining,
	})
	if err != nil {
		return classify(op, err)
	}
	if len(out.ContainerInstances) > 0 {
		return nil
	}
	return ecsAbsent(op, containerInstance, out.Failures)
}

// StopTask stops a task. See apply.ContainerWriter.
func (c *Containers) StopTask(ctx context.Context, cluster, task, reason string) error {
	_, err := c.ecs.StopTask(ctx, &ecs.StopTaskInput{Cluster: &cluster, Task: &task, Reason: &reason})
	err = classify("ecs:StopTask", err)
	// ECS has no code of its own for a task that it has forgotten, an hour after its end.
	if fault.Is(err, fault.Invalid) && strings.Contains(err.Error(), "task was not found") {
		return fault.New(fault.NotFound, "no task %s", task)
	}
	return err
}
