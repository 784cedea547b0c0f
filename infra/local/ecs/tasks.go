package ecs

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// States of tasks. The others pass too quickly to be seen here.
const (
	pending  = "PENDING"
	running  = "RUNNING"
	stopping = "STOPPING"
	stopped  = "STOPPED"
)

// starting is how long a task takes from its placement to RUNNING: the image is there.
const starting = time.Second

// forgotten is how long a task is shown after its end.
const forgotten = time.Hour

type task struct {
	id, arn, group, startedBy string
	last, desired             string
	stopCode, reason          string
	def                       *definition
	on                        *containerInstance
	created, started          time.Time
	stopping, stopped         time.Time
	exit                      int
	version                   int64
	protected                 time.Time // until when; zero: it is not
}

type containerJSON struct {
	ContainerArn string `json:"containerArn"`
	TaskArn      string `json:"taskArn"`
	Name         string `json:"name"`
	Image        string `json:"image"`
	LastStatus   string `json:"lastStatus"`
	ExitCode     *int   `json:"exitCode,omitempty"`
}

type taskJSON struct {
	TaskArn              string          `json:"taskArn"`
	ClusterArn           string          `json:"clusterArn"`
	TaskDefinitionArn    string          `json:"taskDefinitionArn"`
	ContainerInstanceArn string          `json:"containerInstanceArn"`
	AvailabilityZone     string          `json:"availabilityZone"`
	Group                string          `json:"group"`
	StartedBy            string          `json:"startedBy,omitempty"`
	LaunchType           string          `json:"launchType"`
	LastStatus           string          `json:"lastStatus"`
	DesiredStatus        string          `json:"desiredStatus"`
	StopCode             string          `json:"stopCode,omitempty"`
	StoppedReason        string          `json:"stoppedReason,omitempty"`
	Version              int64           `json:"version"`
	Containers           []containerJSON `json:"containers"`
	CreatedAt            *wire.Time      `json:"createdAt"`
	StartedAt            *wire.Time      `json:"startedAt,omitempty"`
	StoppingAt           *wire.Time      `json:"stoppingAt,omitempty"`
	StoppedAt            *wire.Time      `json:"stoppedAt,omitempty"`
}

func (t *task) json() taskJSON {
	out := taskJSON{TaskArn: t.arn, ClusterArn: t.on.cluster.arn, TaskDefinitionArn: t.def.arn, ContainerInstanceArn: t.on.arn, AvailabilityZone: t.on.az,
		Group: t.group, StartedBy: t.startedBy, LaunchType: "EC2", LastStatus: t.last, DesiredStatus: t.desired, StopCode: t.stopCode, StoppedReason: t.reason,
		Version: t.version, CreatedAt: at(t.created), StartedAt: at(t.started), StoppingAt: at(t.stopping), StoppedAt: at(t.stopped), Containers: []containerJSON{}}
	for n, c := range t.def.containers {
		one := containerJSON{ContainerArn: strings.Replace(t.arn, ":task/", ":container/", 1) + fmt.Sprintf("/%d", n), TaskArn: t.arn, Name: c.Name, Image: c.Image, LastStatus: t.last}
		switch t.last {
		case stopped:
			one.ExitCode = &t.exit
		case stopping:
			one.LastStatus = running // until it has ended
		}
		out.Containers = append(out.Containers, one)
	}
	return out
}

// place puts a task on the container instance with the fewest that has room, or on none. The lock is held.
func (s *Service) place(c *cluster, d *definition, group, startedBy string) *task {
	var best *containerInstance
	fewest := 0
	for _, i := range c.instances {
		cpu, memory, tasks := i.room()
		if i.status == active && i.connected && cpu >= d.cpu && memory >= d.memory && (best == nil || tasks < fewest) {
			best, fewest = i, tasks
		}
	}
	if best == nil {
		return nil
	}
	id := s.w.Hex(32)
	t := &task{id: id, arn: s.w.ARN("ecs", "task/"+c.name+"/"+id), group: group, startedBy: startedBy, last: pending, desired: running, def: d, on: best, created: time.Now()}
	c.tasks = append(c.tasks, t)
	s.moved(t)
	s.w.After(starting, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if t.last != pending || t.desired != running {
			return
		}
		t.last, t.started = running, time.Now()
		s.moved(t)
		s.reconcile(c)
	})
	return t
}

// stop tells a task's containers to end. The lock is held.
func (s *Service) stop(t *task, code, reason string) {
	if t.desired == stopped {
		return
	}
	t.desired, t.stopCode, t.reason, t.stopping = stopped, code, reason, time.Now()
	if t.last == pending { // nothing runs yet
		s.ended(t, 0)
		return
	}
	t.last = stopping
	s.moved(t)
	took, exit := t.def.stopping()
	s.w.After(took, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if t.last == stopping {
			s.ended(t, exit)
			s.reconcile(t.on.cluster)
		}
	})
}

// ended notes that a task's containers have ended. The lock is held.
func (s *Service) ended(t *task, exit int) {
	t.last, t.stopped, t.exit, t.protected = stopped, time.Now(), exit, time.Time{}
	s.moved(t)
	s.w.After(forgotten, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		c := t.on.cluster
		c.tasks = slices.DeleteFunc(c.tasks, func(o *task) bool { return o == t })
	})
}

// moved tells EventBridge of a task, and of its machine, whose room has changed.
func (s *Service) moved(t *task) {
	t.version++
	detail := struct { // its times are texts in events
		taskJSON
		CreatedAt   string `json:"createdAt"`
		StartedAt   string `json:"startedAt,omitempty"`
		StoppingAt  string `json:"stoppingAt,omitempty"`
		StoppedAt   string `json:"stoppedAt,omitempty"`
		UpdatedAt   string `json:"updatedAt"`
		Attachments []any  `json:"attachments"`
	}{t.json(), instant(t.created), instant(t.started), instant(t.stopping), instant(t.stopped), instant(time.Now()), []any{}}
	s.outbox.Post(func() { s.events.Emit("aws.ecs", "ECS Task State Change", []string{t.arn}, detail) })
	s.changed(t.on)
}

// tasksIn are the tasks that a request names, and those that are not there.
func (s *Service) tasksIn(c *cluster, names []string) (found []*task, missing []failure) {
	missing = []failure{}
	for _, name := range names {
		at := slices.IndexFunc(c.tasks, func(t *task) bool { return t.id == last(name) })
		if at < 0 {
			missing = append(missing, failure{Arn: s.w.ARN("ecs", "task/"+c.name+"/"+last(name)), Reason: "MISSING"})
			continue
		}
		found = append(found, c.tasks[at])
	}
	return found, missing
}

func (s *Service) taskOps() []wire.Op {
	type runIn struct {
		request
		TaskDefinition, LaunchType, Group, StartedBy string
		Count                                        *int
		CapacityProviderStrategy, PlacementStrategy  []any
		PlacementConstraints                         []any
		Overrides, NetworkConfiguration              map[string]any
	}
	type many struct {
		request
		Tasks                                       []string
		ContainerInstance, ServiceName, Family      string
		DesiredStatus, LaunchType, StartedBy, Group string
	}
	type single struct {
		request
		Task, Reason string
	}
	type some struct {
		Tasks    []taskJSON `json:"tasks"`
		Failures []failure  `json:"failures"`
	}
	type list struct {
		TaskArns  []string `json:"taskArns"`
		NextToken string   `json:"nextToken,omitempty"`
	}
	type one struct {
		Task taskJSON `json:"task"`
	}
	return []wire.Op{
		op(s, "RunTask", func(in *runIn) []wire.Need {
			return []wire.Need{{Resource: s.w.ARN("ecs", "task-definition/"+last(in.TaskDefinition)), Context: map[string][]string{"ecs:cluster": {s.w.ARN("ecs", "cluster/"+clusterID(in.Cluster))}}}}
		}, func(in *runIn) (*some, error) {
			c, err := s.find(in.Cluster)
			if err != nil {
				return nil, err
			}
			if in.LaunchType != "" && in.LaunchType != "EC2" || len(in.CapacityProviderStrategy)+len(in.PlacementStrategy)+len(in.PlacementConstraints)+len(in.Overrides)+len(in.NetworkConfiguration) > 0 {
				return nil, notImplemented("strategies, constraints, overrides and launch types other than EC2 in RunTask")
			}
			d, err := s.definition(in.TaskDefinition)
			if err != nil {
				return nil, err
			}
			count := 1
			if in.Count != nil {
				count = *in.Count
			}
			out := &some{Tasks: []taskJSON{}, Failures: []failure{}}
			for range count {
				t := s.place(c, d, cmp.Or(in.Group, "family:"+d.family), in.StartedBy)
				if t == nil {
					out.Failures = append(out.Failures, failure{Arn: c.arn, Reason: "RESOURCE:MEMORY"})
					continue
				}
				out.Tasks = append(out.Tasks, t.json())
			}
			return out, nil
		}),
		op(s, "StopTask", func(in *single) []wire.Need { return s.on(in.Cluster, "task", in.Task) }, func(in *single) (*one, error) {
			c, err := s.find(in.Cluster)
			if err != nil {
				return nil, err
			}
			found, _ := s.tasksIn(c, []string{in.Task})
			if len(found) == 0 {
				return nil, invalid("The referenced task was not found.")
			}
			s.stop(found[0], "UserInitiated", cmp.Or(in.Reason, "Task stopped by user"))
			s.reconcile(c)
			return &one{found[0].json()}, nil
		}),
		op(s, "ListTasks", func(in *many) []wire.Need {
			if in.ContainerInstance == "" {
				return s.on(in.Cluster, "container-instance")
			}
			return s.on(in.Cluster, "container-instance", in.ContainerInstance)
		}, func(in *many) (*list, error) {
			c, err := s.find(in.Cluster)
			if err != nil {
				return nil, err
			}
			if in.ContainerInstance != "" {
				if found, _ := s.instancesIn(c, []string{in.ContainerInstance}); len(found) == 0 {
					return nil, invalid("The referenced container instance was not found.")
				}
			}
			if in.LaunchType != "" && in.LaunchType != "EC2" {
				return nil, notImplemented("tasks of launch type " + in.LaunchType)
			}
			var all []string
			for _, t := range c.tasks {
				if t.desired == cmp.Or(in.DesiredStatus, running) && (in.ContainerInstance == "" || t.on.id == last(in.ContainerInstance)) &&
					(in.ServiceName == "" || t.group == "service:"+last(in.ServiceName)) && (in.Family == "" || t.def.family == in.Family) && (in.StartedBy == "" || t.startedBy == in.StartedBy) {
					all = append(all, t.arn)
				}
			}
			arns, next, err := page(all, in.request)
			return &list{arns, next}, err
		}),
		op(s, "DescribeTasks", func(in *many) []wire.Need { return s.on(in.Cluster, "task", in.Tasks...) }, func(in *many) (*some, error) {
			c, err := s.find(in.Cluster)
			if err != nil {
				return nil, err
			}
			found, missing := s.tasksIn(c, in.Tasks)
			out := &some{Tasks: []taskJSON{}, Failures: missing}
			for _, t := range found {
				out.Tasks = append(out.Tasks, t.json())
			}
			return out, nil
		}),
	}
}
