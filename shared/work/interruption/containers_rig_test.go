package interruption_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdkasg "github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	"github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/infra/local/autoscaling"
	localec2 "github.com/ekspedite/ekspedite/infra/local/ec2"
	local "github.com/ekspedite/ekspedite/infra/local/world"
	"github.com/ekspedite/ekspedite/internal/cloudtest"
	"github.com/ekspedite/ekspedite/shared/awscloud"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/handler"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/work/interruption"
)

const (
	ecsName  = "shop"
	ecsGroup = "ecs-spot"
)

// ecsRig is the function on the embedded cloud's ECS: two machines of one Auto Scaling group in a cluster, which is not the only
// one, and the role of the committed template.
type ecsRig struct {
	*cloudtest.Rig
	api    *ecs.Client
	role   string
	arn    string // the cluster's
	subnet string
	places *interruption.Places // of an execution environment that lives on; nil: each message has a new one
}

// onECS runs a test with the machines registered. The tags are the group's.
func onECS(t *testing.T, tags map[string]string, test func(t *testing.T, r *ecsRig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &ecsRig{Rig: cloudtest.New(t, local.Fast, nil)}
		r.Function, r.Timeout, r.Visibility, r.Receives = "interruption", timeout, visibility, maxReceives
		r.api = ecs.NewFromConfig(r.Config(r.Cloud))
		for _, name := range []string{"another", ecsName, "a-third"} {
			out, err := r.api.CreateCluster(t.Context(), &ecs.CreateClusterInput{ClusterName: &name})
			r.must(err)
			if name == ecsName {
				r.arn = *out.Cluster.ClusterArn
			}
		}
		net := ec2.NewFromConfig(r.Config(r.Cloud))
		vpc, err := net.CreateVpc(t.Context(), &ec2.CreateVpcInput{CidrBlock: aws.String("10.0.0.0/16")})
		r.must(err)
		sub, err := net.CreateSubnet(t.Context(), &ec2.CreateSubnetInput{VpcId: vpc.Vpc.VpcId, CidrBlock: aws.String("10.0.0.0/20"), AvailabilityZone: aws.String("us-east-1a")})
		r.must(err)
		r.subnet = *sub.Subnet.SubnetId
		template, err := r.Cloud.EC2.CreateLaunchTemplateFor("ecs", nil, localec2.LaunchTemplateData{ImageID: "ami-0123456789abcdef0", InstanceType: "m5.large",
			UserData: base64.StdEncoding.EncodeToString([]byte("#!/bin/bash\necho ECS_CLUSTER=" + ecsName + " >> /etc/ecs/ecs.config\n"))})
		r.must(err)
		r.must(r.Cloud.AutoScaling.CreateGroup(autoscaling.GroupSpec{Name: ecsGroup, Max: 4, Desired: 2, SubnetIDs: []string{r.subnet}, Spot: true, LaunchTemplateID: template,
			InstanceTypes: []string{"m5.large"}, Tags: tags}))
		time.Sleep(time.Minute)
		if n := len(r.machines()); n != 2 {
			t.Fatalf("%d machines are registered, want 2", n)
		}
		r.role = r.Role("../../../infra/template", "InterruptionFunctionRole")
		r.Work = func(s *cloudtest.Session) handler.Work { return r.work(s).Handle }
		test(t, r)
		for _, d := range r.Denied(r.role) {
			t.Error(d)
		}
	})
}

func (r *ecsRig) must(err error) {
	r.T.Helper()
	if err != nil {
		r.T.Fatal(err)
	}
}

// work is the function in an execution environment.
func (r *ecsRig) work(s *cloudtest.Session) *interruption.Work {
	l := &ledger.Ledger{Store: s, Now: time.Now}
	return &interruption.Work{
		Open: func(region string) interruption.Reach {
			cfg := awscloud.InRegion(r.As(r.role, s), region)
			compute, containers := awscloud.NewCompute(cfg), awscloud.NewContainers(cfg)
			places := r.places
			if places == nil {
				places = &interruption.Places{Now: time.Now}
			}
			places.ECS = containers
			return interruption.Reach{Instances: compute, Groups: compute, Containers: containers, Places: places}
		},
		Policies: l, Ledger: l, Bus: s, Account: cloudtest.Account, Region: cloudtest.Region, NewID: r.ID, Now: time.Now,
	}
}

// machines are the cluster's that are not deregistered, by instance.
func (r *ecsRig) machines() map[string]types.ContainerInstance {
	r.T.Helper()
	list, err := r.api.ListContainerInstances(r.T.Context(), &ecs.ListContainerInstancesInput{Cluster: &r.arn})
	r.must(err)
	out := map[string]types.ContainerInstance{}
	if len(list.ContainerInstanceArns) == 0 {
		return out
	}
	all, err := r.api.DescribeContainerInstances(r.T.Context(), &ecs.DescribeContainerInstancesInput{Cluster: &r.arn, ContainerInstances: list.ContainerInstanceArns})
	r.must(err)
	for _, i := range all.ContainerInstances {
		out[*i.Ec2InstanceId] = i
	}
	return out
}

// definition registers a task definition of one container. A task takes so long to stop, and has so long for it.
func (r *ecsRig) definition(family string, exits, stop time.Duration) *string {
	r.T.Helper()
	out, err := r.api.RegisterTaskDefinition(r.T.Context(), &ecs.RegisterTaskDefinitionInput{Family: &family, ContainerDefinitions: []types.ContainerDefinition{{
		Name: aws.String("main"), Image: aws.String("x"), MemoryReservation: aws.Int32(256), StopTimeout: aws.Int32(int32(stop / time.Second)),
		Environment: []types.KeyValuePair{{Name: aws.String("EXIT_AFTER"), Value: aws.String(fmt.Sprint(int(exits / time.Second)))}},
	}}})
	r.must(err)
	return out.TaskDefinition.TaskDefinitionArn
}

// service makes a service of so many tasks, of which so many per cent must stay healthy, and waits until they run.
func (r *ecsRig) service(name string, definition *string, desired, least, most int32) {
	r.T.Helper()
	_, err := r.api.CreateService(r.T.Context(), &ecs.CreateServiceInput{Cluster: &r.arn, ServiceName: &name, TaskDefinition: definition, DesiredCount: &desired,
		DeploymentConfiguration: &types.DeploymentConfiguration{MinimumHealthyPercent: &least, MaximumPercent: &most}})
	r.must(err)
	time.Sleep(10 * time.Second)
}

// run starts a standalone task.
func (r *ecsRig) run(definition *string) types.Task {
	r.T.Helper()
	out, err := r.api.RunTask(r.T.Context(), &ecs.RunTaskInput{Cluster: &r.arn, TaskDefinition: definition})
	r.must(err)
	time.Sleep(10 * time.Second)
	return out.Tasks[0]
}

// tasks are all of the cluster's, those that were stopped among them.
func (r *ecsRig) tasks() (all []types.Task) {
	r.T.Helper()
	for _, status := range []types.DesiredStatus{types.DesiredStatusRunning, types.DesiredStatusStopped} {
		list, err := r.api.ListTasks(r.T.Context(), &ecs.ListTasksInput{Cluster: &r.arn, DesiredStatus: status})
		r.must(err)
		if len(list.TaskArns) > 0 {
			some, err := r.api.DescribeTasks(r.T.Context(), &ecs.DescribeTasksInput{Cluster: &r.arn, Tasks: list.TaskArns})
			r.must(err)
			all = append(all, some.Tasks...)
		}
	}
	return all
}

// on are the tasks of a family on a machine.
func (r *ecsRig) on(machine types.ContainerInstance, family string) (list []types.Task) {
	for _, t := range r.tasks() {
		if *t.ContainerInstanceArn == *machine.ContainerInstanceArn && strings.Contains(*t.TaskDefinitionArn, "/"+family+":") {
			list = append(list, t)
		}
	}
	return list
}

// protect protects a task for so long.
func (r *ecsRig) protect(t types.Task, d time.Duration) {
	r.T.Helper()
	out, err := r.api.UpdateTaskProtection(r.T.Context(), &ecs.UpdateTaskProtectionInput{Cluster: &r.arn, Tasks: []string{*t.TaskArn}, ProtectionEnabled: true, ExpiresInMinutes: aws.Int32(int32(d / time.Minute))})
	r.must(err)
	if len(out.ProtectedTasks) != 1 {
		r.T.Fatalf("the task is not protected: %+v", out.Failures)
	}
}

// aws puts an event of AWS's on the queue.
func (r *ecsRig) aws(source, detailType string, detail any) {
	r.T.Helper()
	body, err := json.Marshal(map[string]any{"version": "0", "id": r.ID(), "source": source, "detail-type": detailType, "account": cloudtest.Account, "region": cloudtest.Region,
		"time": time.Now().UTC().Format(time.RFC3339), "resources": []string{}, "detail": detail})
	r.must(err)
	r.Queue.Send(string(body), 0)
}

// warn is a spot warning, and what follows it.
func (r *ecsRig) warn(machine, action string) {
	r.T.Helper()
	r.must(r.Cloud.EC2.Interrupt(machine, action))
	r.aws("aws.ec2", "EC2 Spot Instance Interruption Warning", map[string]string{"instance-id": machine, "instance-action": action})
}

// settle delivers until nothing is left.
func (r *ecsRig) settle(patience time.Duration) {
	r.T.Helper()
	if !r.RunUntil(func() bool { return r.Queue.Len() == 0 }, time.Now().Add(patience)) {
		r.T.Fatalf("messages are left after %s: %v", patience, r.Queue.Bodies())
	}
	if dead := r.Queue.Dead(); len(dead) > 0 {
		r.T.Fatalf("dead letters: %v", dead)
	}
}

// one is a machine of the cluster on which a task of the family runs.
func (r *ecsRig) one(family string) types.ContainerInstance {
	r.T.Helper()
	var ids []string
	all := r.machines()
	for id := range all {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		if len(r.on(all[id], family)) > 0 {
			return all[id]
		}
	}
	r.T.Fatalf("no machine has a task of %s", family)
	return types.ContainerInstance{}
}

// ours are the tags of a group that has its machines replaced.
var ours = map[string]string{fleet.TagECSCluster: ecsName}

// finishedOnce is the only result.
func (r *ecsRig) finishedOnce() events.RunFinished {
	r.T.Helper()
	ids := map[string]events.RunFinished{}
	for _, f := range r.Finished() {
		ids[f.RunID] = f
	}
	if len(ids) != 1 {
		r.T.Fatalf("%d runs finished: %+v\n%s", len(ids), ids, r.Told())
	}
	for _, f := range ids {
		return f
	}
	panic("unreachable")
}

// hooked has Auto Scaling end a machine, which then waits in a terminate hook that is forwarded to the queue.
func (r *ecsRig) hooked(machine string) time.Time {
	r.T.Helper()
	asg := r.Cloud.AutoScaling
	_, err := sdkasg.NewFromConfig(r.Config(r.Cloud)).PutLifecycleHook(r.T.Context(), &sdkasg.PutLifecycleHookInput{AutoScalingGroupName: aws.String(ecsGroup),
		LifecycleHookName: aws.String("drain"), LifecycleTransition: aws.String("autoscaling:EC2_INSTANCE_TERMINATING"), HeartbeatTimeout: aws.Int32(60)})
	r.must(err)
	r.Cloud.EventBridge.Watch(func(_ string, event []byte) {
		if strings.Contains(string(event), "EC2 Instance-terminate Lifecycle Action") {
			r.Queue.Send(string(event), 0)
		}
	})
	began := time.Now()
	r.must(asg.TerminateInstance(machine, false))
	for n := 0; r.Queue.Len() == 0 && n < 100; n++ {
		time.Sleep(100 * time.Millisecond) // of the bubble's time
	}
	return began
}

// policy is what the ledger says about the cluster; no file can say it yet.
func (r *ecsRig) policy(drain bool) {
	r.T.Helper()
	p := fleet.DefaultPolicy()
	if drain {
		p.Interruption.Rebalance = fleet.RebalanceDrain
	}
	_, err := r.Ledger().Desire(r.T.Context(), ledger.Desired{ClusterID: fleet.ClusterID{Name: r.arn, Region: cloudtest.Region}, Policy: p, RequestID: "by-hand", RequestedAt: time.Now()})
	r.must(err)
}

// called is how often the function has called an operation.
func (r *ecsRig) called(operation string) (n int) {
	for _, op := range r.Script.Ops {
		if op == operation {
			n++
		}
	}
	return n
}
