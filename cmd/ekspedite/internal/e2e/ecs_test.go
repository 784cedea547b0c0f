package e2e

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/scene"
	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/events/samples"
	"github.com/ekspedite/ekspedite/infra/local/autoscaling"
	localec2 "github.com/ekspedite/ekspedite/infra/local/ec2"
	"github.com/ekspedite/ekspedite/infra/local/faults"
)

// shop is an ECS cluster as its owner sees it.
type shop struct {
	*ecs.Client
	t       *testing.T
	cluster *string // ARN
}

func (s shop) definition(family string, stop int32) *string {
	s.t.Helper()
	out, err := s.RegisterTaskDefinition(s.t.Context(), &ecs.RegisterTaskDefinitionInput{Family: &family, ContainerDefinitions: []types.ContainerDefinition{{
		Name: aws.String("main"), Image: aws.String("nginx"), MemoryReservation: aws.Int32(128), StopTimeout: &stop}}})
	if err != nil {
		s.t.Fatal(err)
	}
	return out.TaskDefinition.TaskDefinitionArn
}

// tasks are all of the cluster's, those that were stopped among them.
func (s shop) tasks() (all []types.Task) {
	s.t.Helper()
	for _, desired := range []types.DesiredStatus{types.DesiredStatusRunning, types.DesiredStatusStopped} {
		list, err := s.ListTasks(s.t.Context(), &ecs.ListTasksInput{Cluster: s.cluster, DesiredStatus: desired})
		if err != nil {
			s.t.Fatal(err)
		}
		if len(list.TaskArns) > 0 {
			out, err := s.DescribeTasks(s.t.Context(), &ecs.DescribeTasksInput{Cluster: s.cluster, Tasks: list.TaskArns})
			if err != nil {
				s.t.Fatal(err)
			}
			all = append(all, out.Tasks...)
		}
	}
	return all
}

func (s shop) until(what string, holds func() bool) {
	s.t.Helper()
	for end := time.Now().Add(time.Minute); !holds(); time.Sleep(100 * time.Millisecond) { // between two looks; the end decides
		if time.Now().After(end) {
			s.t.Fatalf("not so after a minute: %s", what)
		}
	}
}

// A spot warning for a machine of an ECS cluster: the tasks of its service move, the protected one among them; the standalone
// task gets its SIGTERM in time; the group has another machine before that. Then Fargate Spot takes a task, which is told.
func TestECS(t *testing.T) {
	c := cloud(t, faults.None)
	s := scene.New(c)
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	api := shop{Client: ecs.NewFromConfig(scene.Config(c)), t: t}
	made, err := api.CreateCluster(t.Context(), &ecs.CreateClusterInput{ClusterName: aws.String("shop")})
	check(err)
	api.cluster = made.Cluster.ClusterArn
	net := ec2.NewFromConfig(scene.Config(c))
	vpc, err := net.CreateVpc(t.Context(), &ec2.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16")})
	check(err)
	sub, err := net.CreateSubnet(t.Context(), &ec2.CreateSubnetInput{VpcId: vpc.Vpc.VpcId, CidrBlock: aws.String("10.0.0.0/20"), AvailabilityZone: aws.String("us-east-1a")})
	check(err)
	template, err := c.EC2.CreateLaunchTemplateFor("shop", nil, localec2.LaunchTemplateData{ImageID: "ami-0123456789abcdef0", InstanceType: "m5.large",
		UserData: base64.StdEncoding.EncodeToString([]byte("#!/bin/bash\necho ECS_CLUSTER=shop >> /etc/ecs/ecs.config\n"))})
	check(err)
	check(c.AutoScaling.CreateGroup(autoscaling.GroupSpec{Name: "shop-spot", Max: 4, Desired: 2, SubnetIDs: []string{*sub.Subnet.SubnetId}, Spot: true, LaunchTemplateID: template,
		InstanceTypes: []string{"m5.large"}, Tags: map[string]string{"ekspedite.dev/ecs-cluster": "shop"}}))
	machines := func() []string {
		out, err := api.ListContainerInstances(t.Context(), &ecs.ListContainerInstancesInput{Cluster: api.cluster, Status: types.ContainerInstanceStatusActive})
		check(err)
		return out.ContainerInstanceArns
	}
	api.until("two machines are registered", func() bool { return len(machines()) == 2 })
	_, err = api.CreateService(t.Context(), &ecs.CreateServiceInput{Cluster: api.cluster, ServiceName: aws.String("web"), TaskDefinition: api.definition("web", 10), DesiredCount: aws.Int32(4)})
	check(err)
	const stop = 100 // seconds, of the 120 that there are
	run, err := api.RunTask(t.Context(), &ecs.RunTaskInput{Cluster: api.cluster, TaskDefinition: api.definition("job", stop)})
	check(err)
	job := run.Tasks[0]
	running := func(on string) (n int) {
		for _, task := range api.tasks() {
			if *task.LastStatus == "RUNNING" && (on == "" || *task.ContainerInstanceArn == on) {
				n++
			}
		}
		return n
	}
	api.until("five tasks run", func() bool { return running("") == 5 })
	var guarded types.Task
	for _, task := range api.tasks() {
		if *task.ContainerInstanceArn == *job.ContainerInstanceArn && *task.Group == "service:web" {
			guarded = task
		}
	}
	_, err = api.UpdateTaskProtection(t.Context(), &ecs.UpdateTaskProtectionInput{Cluster: api.cluster, Tasks: []string{*guarded.TaskArn}, ProtectionEnabled: true})
	check(err)
	about, err := api.DescribeContainerInstances(t.Context(), &ecs.DescribeContainerInstancesInput{Cluster: api.cluster, ContainerInstances: []string{*job.ContainerInstanceArn}})
	check(err)
	id := *about.ContainerInstances[0].Ec2InstanceId

	warned := time.Now()
	check(c.EC2.Interrupt(id, "terminate"))
	done, err := s.AwaitRun(t.Context(), "the drain", 2*time.Minute, func(r events.RunFinished) bool { return r.Subject.InstanceID == id })
	check(err)
	t.Logf("%s: %s, %v, %v", done.Outcome, done.Reason, done.Counts, done.Timings)
	_, replaced := done.Timings["eventToReplacementRequested"]
	if done.Outcome != events.OutcomeDrained || done.Subject.Cluster != *api.cluster || done.Subject.ContainerInstance != *job.ContainerInstanceArn || done.Counts["tasksStopped"] != 1 || !replaced {
		t.Errorf("%+v", done)
	}
	for _, task := range api.tasks() {
		switch *task.TaskArn {
		case *job.TaskArn:
			if left := warned.Add(2 * time.Minute).Sub(aws.ToTime(task.StoppingAt)); left < stop*time.Second || left > (stop+15)*time.Second || !strings.HasPrefix(aws.ToString(task.StoppedReason), "ekspedite: ") {
				t.Errorf("the standalone task had its SIGTERM %s before the end: %s", left, aws.ToString(task.StoppedReason))
			}
		case *guarded.TaskArn:
			if *task.LastStatus != "STOPPED" || task.StopCode != types.TaskStopCodeServiceSchedulerInitiated {
				t.Errorf("the protected task: %s %s", *task.LastStatus, task.StopCode)
			}
		}
	}
	api.until("two other machines have the service's tasks", func() bool {
		active := machines()
		return len(active) == 2 && !slices.Contains(active, *job.ContainerInstanceArn) && running("") == 4 && running(*job.ContainerInstanceArn) == 0
	})

	for _, sample := range samples.Of(events.KindECSTaskStateChange) { // one that is interrupted, and one that is not
		var e struct{ Detail json.RawMessage }
		check(json.Unmarshal(sample.Body, &e))
		c.EventBridge.Emit("aws.ecs", "ECS Task State Change", nil, e.Detail)
	}
	told, err := s.AwaitRun(t.Context(), "Fargate Spot", time.Minute, func(r events.RunFinished) bool { return r.Subject.Task != "" })
	check(err)
	if told.Outcome != events.OutcomeReported || told.Subject.Service != "web" {
		t.Errorf("%+v", told)
	}
	used := map[string]int{} // the others of this role TestDemo holds to their use
	for _, g := range c.IAM.Report() {
		if strings.Contains(g.RoleARN, "InterruptionFunctionRole") && strings.HasPrefix(g.Action, "ecs:") && g.Action != "ecs:DescribeCapacityProviders" {
			used[g.Sid+" "+g.Action] += g.Calls
		}
	}
	for name, calls := range used {
		if calls == 0 {
			t.Errorf("granted and never used: %s", name)
		}
	}
	for _, d := range c.IAM.Denied() {
		t.Errorf("denied: %+v", d)
	}
}
