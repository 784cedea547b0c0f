package ecs

import (
	"encoding/json"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/ec2"
	"github.com/ekspedite/ekspedite/infra/local/world"
)

// fakeEC2 has machines whose states the test tells.
type fakeEC2 struct {
	mu       sync.Mutex
	machines map[string]ec2.Instance
	changed  func(ec2.Instance)
	warned   func(string, ec2.SpotSignal)
}

func (f *fakeEC2) Instance(id string) (ec2.Instance, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i, ok := f.machines[id]
	return i, ok
}

func (f *fakeEC2) TypeInfo(string) (ec2.InstanceType, bool) {
	return ec2.InstanceType{VCPU: 2, MemoryMiB: 8192}, true
}
func (f *fakeEC2) OnStateChange(l func(ec2.Instance))               { f.changed = l }
func (f *fakeEC2) OnSpotSignal(l func(id string, s ec2.SpotSignal)) { f.warned = l }

func (f *fakeEC2) enter(id, state, userData string) {
	i := ec2.Instance{ID: id, State: state, UserData: userData, Type: "m5.large", AZ: "us-east-1a"}
	f.mu.Lock()
	f.machines[id] = i
	f.mu.Unlock()
	f.changed(i)
}

// bus records what is told.
type bus struct {
	mu   sync.Mutex
	told []map[string]any
}

func (b *bus) Emit(_, detailType string, _ []string, detail any) {
	raw, err := json.Marshal(detail)
	if err != nil {
		panic(err)
	}
	var m map[string]any
	if err := json.Unmarshal(raw, &m); err != nil {
		panic(err)
	}
	m["detail-type"] = detailType
	b.mu.Lock()
	defer b.mu.Unlock()
	b.told = append(b.told, m)
}

// with runs a test with a cluster c.
func with(t *testing.T, test func(s *Service, f *fakeEC2, b *bus, c *cluster)) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New("123456789012", "us-east-1", world.Fast, 1, slog.New(slog.DiscardHandler))
		defer w.Close()
		f, b := &fakeEC2{machines: map[string]ec2.Instance{}}, &bus{}
		s := New(w, f, b)
		c := &cluster{name: "c", arn: w.ARN("ecs", "cluster/c")}
		s.clusters["c"] = c
		test(s, f, b, c)
	})
}

func TestAgents(t *testing.T) {
	with(t, func(s *Service, f *fakeEC2, _ *bus, c *cluster) {
		f.enter("i-1", "running", "ECS_CLUSTER=c\n")
		f.enter("i-2", "running", "ECS_CLUSTER=c\nECS_ENABLE_SPOT_INSTANCE_DRAINING=true\n")
		f.enter("i-3", "running", "echo hello")
		f.enter("i-4", "running", "ECS_CLUSTER=unknown\n")
		time.Sleep(time.Minute)
		status := func() (list []string) {
			s.mu.Lock()
			defer s.mu.Unlock()
			for _, i := range c.instances {
				list = append(list, i.machine+" "+i.status)
			}
			slices.Sort(list)
			return list
		}
		if got := status(); !slices.Equal(got, []string{"i-1 ACTIVE", "i-2 ACTIVE"}) {
			t.Errorf("registered: %v", got)
		}
		for _, id := range []string{"i-1", "i-2", "i-3"} {
			f.warned(id, ec2.Rebalance)
			f.warned(id, ec2.Interruption)
		}
		if got := status(); !slices.Equal(got, []string{"i-1 ACTIVE", "i-2 DRAINING"}) {
			t.Errorf("after the warnings: %v", got)
		}
		f.enter("i-2", "terminated", "")
		if got := status(); !slices.Equal(got, []string{"i-1 ACTIVE", "i-2 INACTIVE"}) {
			t.Errorf("after the end: %v", got)
		}
	})
}

// A task that its machine takes with it has ended by SIGKILL, and its service has another one.
func TestTheHostGoes(t *testing.T) {
	with(t, func(s *Service, f *fakeEC2, b *bus, c *cluster) {
		f.enter("i-1", "running", "ECS_CLUSTER=c\n")
		time.Sleep(time.Minute)
		s.mu.Lock()
		d := &definition{family: "web", arn: "d", memory: 128, containers: []containerDefinition{{Name: "main", StopTimeout: new(5), Environment: []keyValue{{exitSetting, "60"}}}}}
		v := &service{name: "web", active: true, def: d, desired: 1, least: 100, most: 200}
		c.services = append(c.services, v)
		s.reconcile(c)
		first := c.tasks[0]
		s.mu.Unlock()
		time.Sleep(10 * time.Second)
		f.enter("i-1", "stopping", "")
		f.enter("i-1", "stopped", "")
		s.mu.Lock()
		if first.last != stopped || first.exit != 137 || len(c.tasksOf(v)) != 0 {
			t.Errorf("%+v, %d tasks", first, len(c.tasksOf(v)))
		}
		s.mu.Unlock()
		f.enter("i-1", "running", "ECS_CLUSTER=c\n") // the agent connects anew
		time.Sleep(time.Minute)
		s.mu.Lock()
		list := c.tasksOf(v)
		if len(list) != 1 || list[0].last != running || len(c.instances) != 1 {
			t.Fatalf("%d tasks, %d instances", len(list), len(c.instances))
		}
		s.stop(list[0], "UserInitiated", "enough") // it would take a minute, and has five seconds
		s.mu.Unlock()
		time.Sleep(4 * time.Second)
		s.mu.Lock()
		if list[0].last != stopping {
			t.Errorf("after 4 s it is %s", list[0].last)
		}
		s.mu.Unlock()
		time.Sleep(2 * time.Second)
		s.mu.Lock()
		if list[0].last != stopped || list[0].exit != 137 {
			t.Errorf("after 6 s it is %s with %d", list[0].last, list[0].exit)
		}
		s.mu.Unlock()
		synctest.Wait()
		b.mu.Lock()
		defer b.mu.Unlock()
		var states []string
		for _, m := range b.told {
			if m["detail-type"] == "ECS Task State Change" && m["taskArn"] == list[0].arn {
				states = append(states, m["lastStatus"].(string)+"/"+m["desiredStatus"].(string))
			}
		}
		if !slices.Equal(states, []string{"PENDING/RUNNING", "RUNNING/RUNNING", "STOPPING/STOPPED", "STOPPED/STOPPED"}) {
			t.Errorf("told: %v", states)
		}
	})
}
