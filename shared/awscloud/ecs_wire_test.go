package awscloud_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	localec2 "github.com/ekspedite/ekspedite/infra/local/ec2"
	"github.com/ekspedite/ekspedite/shared/awscloud"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// TestContainerInstancesOverTheWire reads and drains a machine of the embedded cloud's ECS by the real SDK: pages and chunks of
// more tasks than one call takes, tasks that are being stopped, stop timeouts, protection, and what everything says of what is not there.
func TestContainerInstancesOverTheWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cloud, cfg := embedded(t)
		api, net, c, ctx := ecs.NewFromConfig(cfg), ec2.NewFromConfig(cfg), awscloud.NewContainers(cfg), t.Context()

		var cluster string
		for range 130 { // more than a page
			out := must(api.CreateCluster(ctx, &ecs.CreateClusterInput{ClusterName: aws.String("c-" + cloud.World.Hex(8))}))(t)
			cluster = *out.Cluster.ClusterArn
		}
		if all, err := c.ECSClusters(ctx); err != nil || len(all) != 130 {
			t.Errorf("%d clusters, %v", len(all), err)
		}
		vpc := must(net.CreateVpc(ctx, &ec2.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16")}))(t)
		subnet := must(net.CreateSubnet(ctx, &ec2.CreateSubnetInput{VpcId: vpc.Vpc.VpcId, CidrBlock: aws.String("10.0.0.0/20"), AvailabilityZone: aws.String("us-east-1a")}))(t)
		machine := must(cloud.EC2.Run(localec2.RunSpec{Type: "m5.24xlarge", SubnetID: *subnet.Subnet.SubnetId, UserData: "ECS_CLUSTER=" + cluster[strings.LastIndexByte(cluster, '/')+1:]}))(t)[0].ID
		time.Sleep(time.Minute)

		arn, err := c.FindMachine(ctx, cluster, machine)
		if err != nil {
			t.Fatal(err)
		}
		i, err := c.ContainerInstance(ctx, cluster, arn)
		if want := (fleet.ContainerInstance{ARN: arn, Cluster: cluster, InstanceID: machine, Status: fleet.ContainerActive, Connected: true}); err != nil || i != want {
			t.Errorf("%+v, %v", i, err)
		}

		define := func(family string, containers ...types.ContainerDefinition) *string {
			for n := range containers {
				containers[n].Name, containers[n].Image, containers[n].MemoryReservation = aws.String(family+string(rune('a'+n))), aws.String("x"), aws.Int32(64)
			}
			return must(api.RegisterTaskDefinition(ctx, &ecs.RegisterTaskDefinitionInput{Family: &family, ContainerDefinitions: containers}))(t).TaskDefinition.TaskDefinitionArn
		}
		timeouts := map[string]time.Duration{"plain": 30 * time.Second, "slowest": 80 * time.Second, "chained": 110 * time.Second}
		definitions := map[string]*string{
			"plain":   define("plain", types.ContainerDefinition{}),
			"slowest": define("slowest", types.ContainerDefinition{StopTimeout: aws.Int32(80)}, types.ContainerDefinition{}),
			"chained": define("chained", types.ContainerDefinition{StopTimeout: aws.Int32(80)}, types.ContainerDefinition{DependsOn: []types.ContainerDependency{{ContainerName: aws.String("chaineda"), Condition: types.ContainerConditionStart}}}),
		}
		must(api.CreateService(ctx, &ecs.CreateServiceInput{Cluster: &cluster, ServiceName: aws.String("web"), TaskDefinition: definitions["slowest"], DesiredCount: aws.Int32(120)}))(t)
		job := must(api.RunTask(ctx, &ecs.RunTaskInput{Cluster: &cluster, TaskDefinition: definitions["plain"]}))(t).Tasks[0]
		must(api.RunTask(ctx, &ecs.RunTaskInput{Cluster: &cluster, TaskDefinition: definitions["chained"]}))(t)
		time.Sleep(time.Minute)
		tasks, late, err := c.TasksOn(ctx, cluster, arn)
		if err != nil || late != nil || len(tasks) != 122 {
			t.Fatalf("%d tasks, %v, %v", len(tasks), late, err)
		}
		must(api.UpdateTaskProtection(ctx, &ecs.UpdateTaskProtectionInput{Cluster: &cluster, Tasks: []string{firstOf(tasks, "web").ARN}, ProtectionEnabled: true}))(t)
		if err := c.Protect(ctx, cluster, tasks); err != nil {
			t.Error(err)
		}
		guarded := 0
		for _, task := range tasks {
			want := timeouts[strings.TrimPrefix(task.Group, "family:")]
			if task.Service() == "web" {
				want = timeouts["slowest"]
			}
			if task.StopTimeout != want || task.LastStatus != "RUNNING" || task.DesiredStatus != "RUNNING" {
				t.Errorf("%+v, want a stop timeout of %s", task, want)
			}
			if task.Protected {
				guarded++
				if until := time.Until(task.Until); until < time.Hour || until > 2*time.Hour {
					t.Errorf("protected for %s", until)
				}
			}
		}
		if guarded != 1 {
			t.Errorf("%d tasks are protected", guarded)
		}
		for range 2 { // it is as often done as one asks for it
			if err := errors.Join(c.StopTask(ctx, cluster, *job.TaskArn, "enough"), c.DrainContainerInstance(ctx, cluster, arn)); err != nil {
				t.Error(err)
			}
		}
		if tasks, _, err = c.TasksOn(ctx, cluster, arn); err != nil || len(tasks) != 122 || !firstOf(tasks, "").Stopping() {
			t.Errorf("%d tasks while one is being stopped: %+v, %v", len(tasks), firstOf(tasks, ""), err)
		}
		time.Sleep(10 * time.Second)
		if tasks, _, err = c.TasksOn(ctx, cluster, arn); err != nil || len(tasks) != 121 {
			t.Errorf("%d tasks once it has ended, %v", len(tasks), err)
		}

		gone := strings.Replace(arn, arn[len(arn)-8:], "00000000", 1)
		_, unknown := c.ContainerInstance(ctx, cluster, gone)
		_, provider := c.CapacityProvider(ctx, "none")
		_, nowhere := c.FindMachine(ctx, cluster, "i-0aaaaaaaaaaaaaaaa")
		_, noCluster := c.FindMachine(ctx, cluster+"-not", machine)
		for what, err := range map[string]error{
			"a container instance": unknown, "draining one": c.DrainContainerInstance(ctx, cluster, gone), "a capacity provider": provider, "a machine elsewhere": nowhere,
			"a cluster": noCluster, "a task": c.StopTask(ctx, cluster, strings.Replace(*job.TaskArn, (*job.TaskArn)[len(*job.TaskArn)-8:], "00000000", 1), "x"),
		} {
			if !fault.Is(err, fault.NotFound) {
				t.Errorf("%s that is not there: %v (%s)", what, err, fault.Of(err))
			}
		}
	})
}

// firstOf is the first task of a service, or, for "", of a family called plain.
func firstOf(tasks []fleet.Task, service string) fleet.Task {
	for _, t := range tasks {
		if service != "" && t.Service() == service || service == "" && t.Group == "family:plain" {
			return t
		}
	}
	return fleet.Task{}
}
