package conformance

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// ecsSuite is a client with a cluster, and helpers that fail the test.
type ecsSuite struct {
	*ecs.Client
	t       *testing.T
	tg      Target
	name    string
	cluster *string // ARN
}

func newECS(t *testing.T) *ecsSuite {
	tg := target(t, "ecs")
	s := &ecsSuite{Client: ecs.NewFromConfig(tg.Config), t: t, tg: tg, name: fmt.Sprintf("conf-%d", time.Now().UnixNano())}
	s.cluster = must(s.CreateCluster(t.Context(), &ecs.CreateClusterInput{ClusterName: &s.name}))(t).Cluster.ClusterArn
	t.Cleanup(func() {
		ctx := context.Background()
		list, _ := s.ListContainerInstances(ctx, &ecs.ListContainerInstancesInput{Cluster: s.cluster})
		for _, arn := range list.ContainerInstanceArns {
			_, _ = s.DeregisterContainerInstance(ctx, &ecs.DeregisterContainerInstanceInput{Cluster: s.cluster, ContainerInstance: &arn, Force: aws.Bool(true)})
		}
		if _, err := s.DeleteCluster(ctx, &ecs.DeleteClusterInput{Cluster: s.cluster}); err != nil {
			t.Errorf("the cluster stays: %v", err)
		}
	})
	return s
}

// machines registers so many as the agent would. On AWS only an agent can: its document is signed.
func (s *ecsSuite) machines(n int32) (ids []string, arns []string) {
	s.t.Helper()
	if s.tg.Endpoint == "" {
		s.t.Skip("AWS believes only the signed document of a real agent")
	}
	m := &ec2Suite{ec2.NewFromConfig(s.tg.Config), s.t, s.tg, s.t.Context(), s.name}
	_, subnets := m.vpc(1)
	for _, i := range m.run(1, &ec2.RunInstancesInput{ImageId: m.image(), InstanceType: ec2types.InstanceTypeM5Large, MinCount: &n, MaxCount: &n, SubnetId: &subnets[0]}) {
		ids = append(ids, *i.InstanceId)
	}
	for _, id := range ids {
		doc := fmt.Sprintf(`{"instanceId": %q, "region": %q}`, id, s.tg.Region)
		arns = append(arns, *must(s.RegisterContainerInstance(s.t.Context(), &ecs.RegisterContainerInstanceInput{Cluster: s.cluster, InstanceIdentityDocument: &doc}))(s.t).ContainerInstance.ContainerInstanceArn)
	}
	return ids, arns
}

func (s *ecsSuite) definition(family string, stop int32) *string {
	s.t.Helper()
	return must(s.RegisterTaskDefinition(s.t.Context(), &ecs.RegisterTaskDefinitionInput{Family: aws.String(s.name + family), ContainerDefinitions: []types.ContainerDefinition{{
		Name: aws.String("main"), Image: aws.String("nginx"), Memory: aws.Int32(128), StopTimeout: &stop,
	}}}))(s.t).TaskDefinition.TaskDefinitionArn
}

// tasks are those on a container instance that are to run, or were stopped.
func (s *ecsSuite) tasks(instance string, desired types.DesiredStatus) []types.Task {
	s.t.Helper()
	list := must(s.ListTasks(s.t.Context(), &ecs.ListTasksInput{Cluster: s.cluster, ContainerInstance: &instance, DesiredStatus: desired}))(s.t)
	if len(list.TaskArns) == 0 {
		return nil
	}
	return must(s.DescribeTasks(s.t.Context(), &ecs.DescribeTasksInput{Cluster: s.cluster, Tasks: list.TaskArns}))(s.t).Tasks
}

// until waits for something.
func (s *ecsSuite) until(what string, holds func() bool) {
	s.t.Helper()
	for end := time.Now().Add(30 * time.Second); !holds(); time.Sleep(50 * time.Millisecond) { // between two looks; the end decides
		if time.Now().After(end) {
			s.t.Fatalf("not so after half a minute: %s", what)
		}
	}
}

func TestECSClusters(t *testing.T) {
	t.Parallel()
	s := newECS(t)
	again := must(s.CreateCluster(t.Context(), &ecs.CreateClusterInput{ClusterName: &s.name}))(t)
	if *again.Cluster.ClusterArn != *s.cluster || *again.Cluster.Status != "ACTIVE" || !strings.HasSuffix(*s.cluster, ":cluster/"+s.name) {
		t.Errorf("%+v", again.Cluster)
	}
	var all []string
	for p := ecs.NewListClustersPaginator(s, &ecs.ListClustersInput{}); p.HasMorePages(); {
		all = append(all, must(p.NextPage(t.Context()))(t).ClusterArns...)
	}
	if !slices.Contains(all, *s.cluster) {
		t.Errorf("%s is not among %v", *s.cluster, all)
	}
	out := must(s.DescribeClusters(t.Context(), &ecs.DescribeClustersInput{Clusters: []string{s.name, "no-such-cluster"}}))(t)
	if len(out.Clusters) != 1 || len(out.Failures) != 1 || *out.Failures[0].Reason != "MISSING" {
		t.Errorf("%+v", out)
	}
	if !exact(s.tg) {
		return // moto knows no unknown clusters, and fails on an unknown task
	}
	_, err := s.ListContainerInstances(t.Context(), &ecs.ListContainerInstancesInput{Cluster: aws.String("no-such-cluster")})
	apiError(t, err, "ClusterNotFoundException")
	_, err = s.StopTask(t.Context(), &ecs.StopTaskInput{Cluster: s.cluster, Task: aws.String("0123456789abcdef0123456789abcdef")})
	apiError(t, err, "InvalidParameterException")
}

func TestECSContainerInstances(t *testing.T) {
	t.Parallel()
	s := newECS(t)
	ids, arns := s.machines(2)
	out := must(s.DescribeContainerInstances(t.Context(), &ecs.DescribeContainerInstancesInput{Cluster: s.cluster, ContainerInstances: append(slices.Clone(arns), strings.Replace(arns[0], arns[0][len(arns[0])-4:], "0000", 1))}))(t)
	if len(out.ContainerInstances) != 2 || len(out.Failures) != 1 || *out.Failures[0].Reason != "MISSING" {
		t.Fatalf("%+v", out)
	}
	if i := out.ContainerInstances[0]; !slices.Contains(ids, *i.Ec2InstanceId) || *i.Status != "ACTIVE" || !i.AgentConnected {
		t.Errorf("%+v", i)
	}
	if exact(s.tg) { // moto takes no notice of filters
		found := must(s.ListContainerInstances(t.Context(), &ecs.ListContainerInstancesInput{Cluster: s.cluster, Filter: aws.String("ec2InstanceId == " + ids[1])}))(t)
		if !slices.Equal(found.ContainerInstanceArns, arns[1:]) {
			t.Errorf("found %v, want %s", found.ContainerInstanceArns, arns[1])
		}
	}
	for range 2 { // it is as often DRAINING as one says so
		drained := must(s.UpdateContainerInstancesState(t.Context(), &ecs.UpdateContainerInstancesStateInput{Cluster: s.cluster, ContainerInstances: arns[:1], Status: types.ContainerInstanceStatusDraining}))(t)
		if len(drained.ContainerInstances) != 1 || *drained.ContainerInstances[0].Status != "DRAINING" {
			t.Errorf("%+v", drained)
		}
	}
	if exact(s.tg) {
		list := must(s.ListContainerInstances(t.Context(), &ecs.ListContainerInstancesInput{Cluster: s.cluster, Status: types.ContainerInstanceStatusDraining}))(t)
		if !slices.Equal(list.ContainerInstanceArns, arns[:1]) {
			t.Errorf("DRAINING are %v", list.ContainerInstanceArns)
		}
	}
	must(s.DeregisterContainerInstance(t.Context(), &ecs.DeregisterContainerInstanceInput{Cluster: s.cluster, ContainerInstance: &arns[0]}))(t)
	if list := must(s.ListContainerInstances(t.Context(), &ecs.ListContainerInstancesInput{Cluster: s.cluster}))(t); !slices.Equal(list.ContainerInstanceArns, arns[1:]) {
		t.Errorf("left are %v", list.ContainerInstanceArns)
	}
}

func TestECSTasks(t *testing.T) {
	t.Parallel()
	s := newECS(t)
	_, arns := s.machines(1)
	def := s.definition("job", 7)
	if d := must(s.DescribeTaskDefinition(t.Context(), &ecs.DescribeTaskDefinitionInput{TaskDefinition: def}))(t).TaskDefinition; d.Revision != 1 || *d.ContainerDefinitions[0].StopTimeout != 7 {
		t.Errorf("%+v", d)
	}
	if !exact(s.tg) {
		return // moto answers with numbers where the SDK wants texts
	}
	run := must(s.RunTask(t.Context(), &ecs.RunTaskInput{Cluster: s.cluster, TaskDefinition: def, StartedBy: aws.String("me")}))(t)
	if len(run.Tasks) != 1 || len(run.Failures) > 0 || *run.Tasks[0].Group != "family:"+s.name+"job" || *run.Tasks[0].ContainerInstanceArn != arns[0] {
		t.Fatalf("%+v", run)
	}
	s.until("the task runs", func() bool {
		tasks := s.tasks(arns[0], types.DesiredStatusRunning)
		return len(tasks) == 1 && *tasks[0].LastStatus == "RUNNING"
	})
	stop := must(s.StopTask(t.Context(), &ecs.StopTaskInput{Cluster: s.cluster, Task: run.Tasks[0].TaskArn, Reason: aws.String("enough")}))(t)
	if *stop.Task.DesiredStatus != "STOPPED" || *stop.Task.StoppedReason != "enough" {
		t.Errorf("%+v", stop.Task)
	}
	s.until("the task has ended", func() bool {
		tasks := s.tasks(arns[0], types.DesiredStatusStopped)
		return len(tasks) == 1 && *tasks[0].LastStatus == "STOPPED"
	})
	must(s.StopTask(t.Context(), &ecs.StopTaskInput{Cluster: s.cluster, Task: run.Tasks[0].TaskArn}))(t) // once more is no mistake
	if left := s.tasks(arns[0], types.DesiredStatusRunning); len(left) > 0 {
		t.Errorf("%+v", left)
	}
}

// Draining moves the tasks of services, protected or not, and leaves standalone ones.
func TestECSDraining(t *testing.T) {
	t.Parallel()
	s := newECS(t)
	if !exact(s.tg) {
		t.Skip("moto has no scheduler of services")
	}
	_, arns := s.machines(2)
	def := s.definition("web", 5)
	must(s.CreateService(t.Context(), &ecs.CreateServiceInput{Cluster: s.cluster, ServiceName: aws.String("web"), TaskDefinition: def, DesiredCount: aws.Int32(4),
		DeploymentConfiguration: &types.DeploymentConfiguration{MinimumHealthyPercent: aws.Int32(75), MaximumPercent: aws.Int32(125)}}))(t)
	running := func() int32 {
		return must(s.DescribeServices(t.Context(), &ecs.DescribeServicesInput{Cluster: s.cluster, Services: []string{"web"}}))(t).Services[0].RunningCount
	}
	s.until("the service runs", func() bool { return running() == 4 })
	for _, arn := range arns {
		if n := len(s.tasks(arn, types.DesiredStatusRunning)); n != 2 {
			t.Errorf("%d tasks on %s", n, arn)
		}
	}
	var standalone *string
	for standalone == nil {
		task := must(s.RunTask(t.Context(), &ecs.RunTaskInput{Cluster: s.cluster, TaskDefinition: def}))(t).Tasks[0]
		if *task.ContainerInstanceArn == arns[0] {
			standalone = task.TaskArn
		}
	}
	var guarded string
	for _, task := range s.tasks(arns[0], types.DesiredStatusRunning) {
		if *task.Group == "service:web" {
			guarded = *task.TaskArn
		}
	}
	protection := must(s.UpdateTaskProtection(t.Context(), &ecs.UpdateTaskProtectionInput{Cluster: s.cluster, Tasks: []string{guarded, *standalone}, ProtectionEnabled: true, ExpiresInMinutes: aws.Int32(60)}))(t)
	if len(protection.ProtectedTasks) != 1 || len(protection.Failures) != 1 || *protection.Failures[0].Reason != "TASK_NOT_VALID" {
		t.Errorf("%+v", protection)
	}
	got := must(s.GetTaskProtection(t.Context(), &ecs.GetTaskProtectionInput{Cluster: s.cluster, Tasks: []string{guarded}}))(t).ProtectedTasks
	if len(got) != 1 || !got[0].ProtectionEnabled || time.Until(*got[0].ExpirationDate) > time.Hour || time.Until(*got[0].ExpirationDate) < 59*time.Minute {
		t.Errorf("%+v", got)
	}
	must(s.UpdateContainerInstancesState(t.Context(), &ecs.UpdateContainerInstancesStateInput{Cluster: s.cluster, ContainerInstances: arns[:1], Status: types.ContainerInstanceStatusDraining}))(t)
	least := int32(4)
	s.until("the service has moved", func() bool {
		least = min(least, running())
		left := s.tasks(arns[0], types.DesiredStatusRunning)
		return len(left) == 1 && *left[0].TaskArn == *standalone && running() == 4
	})
	if least < 3 {
		t.Errorf("only %d tasks ran for a while; 75 %% of 4 are 3", least)
	}
	must(s.UpdateService(t.Context(), &ecs.UpdateServiceInput{Cluster: s.cluster, Service: aws.String("web"), DesiredCount: aws.Int32(0)}))(t)
	must(s.DeleteService(t.Context(), &ecs.DeleteServiceInput{Cluster: s.cluster, Service: aws.String("web")}))(t)
}

// A policy that names a cluster by ecs:cluster lets nobody into another.
func TestECSPermissions(t *testing.T) {
	s := newECS(t)
	if !exact(s.tg) {
		t.Skip("moto evaluates no policies")
	}
	_, arns := s.machines(1)
	for _, tc := range []struct{ cluster, want string }{{*s.cluster, ""}, {*s.cluster + "-other", "AccessDeniedException"}} {
		cfg, _ := roleSession(t, s.tg, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["ecs:UpdateContainerInstancesState","ecs:ListTasks"],"Resource":"*","Condition":{"ArnEquals":{"ecs:cluster":"`+tc.cluster+`"}}}]}`)
		c := ecs.NewFromConfig(cfg)
		_, err := c.UpdateContainerInstancesState(t.Context(), &ecs.UpdateContainerInstancesStateInput{Cluster: s.cluster, ContainerInstances: arns, Status: types.ContainerInstanceStatusActive})
		_, listErr := c.ListTasks(t.Context(), &ecs.ListTasksInput{Cluster: s.cluster, ContainerInstance: &arns[0]})
		if tc.want == "" {
			if err != nil || listErr != nil {
				t.Error(err, listErr)
			}
			continue
		}
		apiError(t, err, tc.want)
		apiError(t, listErr, tc.want)
	}
}
