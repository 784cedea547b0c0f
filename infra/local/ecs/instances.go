package ecs

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/ec2"
	"github.com/ekspedite/ekspedite/infra/local/wire"
)

const (
	active   = "ACTIVE"
	draining = "DRAINING"
	inactive = "INACTIVE"
)

type containerInstance struct {
	id, arn, machine, status string
	az, typ                  string
	cluster                  *cluster
	connected                bool
	registered, updated      time.Time
	version                  int64
	cpu, memory              int // units and MiB
	provider                 string
}

type resource struct {
	Name         string `json:"name"`
	Type         string `json:"type"`
	IntegerValue int    `json:"integerValue"`
}

// The agent's settings in a machine's user data.
var (
	clusterSetting = regexp.MustCompile(`(?m)\bECS_CLUSTER=["']?([A-Za-z0-9_-]+)`)
	spotSetting    = regexp.MustCompile(`(?m)\bECS_ENABLE_SPOT_INSTANCE_DRAINING=["']?true`)
)

// onStateChange registers machines whose user data names a cluster, and takes away those that have ended.
func (s *Service) onStateChange(m ec2.Instance) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m.State == "running" {
		if found := clusterSetting.FindStringSubmatch(m.UserData); found != nil {
			s.w.After(s.w.Profile.NodeRegister, func() { s.register(m.ID, found[1]) })
		}
		return
	}
	i := s.byMachine(m.ID)
	if i == nil || m.State != "stopped" && m.State != "terminated" {
		return
	}
	i.connected = false
	for _, t := range i.cluster.tasks {
		if t.on == i && t.last != stopped {
			t.desired, t.stopCode, t.reason = stopped, "TerminationNotice", "Host EC2 (instance "+m.ID+") "+m.State+"."
			s.ended(t, 137)
		}
	}
	if m.State == "terminated" {
		i.status = inactive
	}
	s.changed(i)
	s.reconcile(i.cluster)
}

// onSpotSignal is the agent's own draining.
func (s *Service) onSpotSignal(id string, signal ec2.SpotSignal) {
	m, ok := s.machines.Instance(id)
	if !ok || signal != ec2.Interruption || !spotSetting.MatchString(m.UserData) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.byMachine(id); i != nil && i.status == active {
		s.setStatus(i, draining)
	}
}

func (s *Service) byMachine(id string) *containerInstance {
	for _, c := range s.clusters {
		for _, i := range c.instances {
			if i.machine == id && i.status != inactive {
				return i
			}
		}
	}
	return nil
}

// register is the agent on a machine that has started, which registers once.
func (s *Service) register(machine, clusterName string) {
	m, ok := s.machines.Instance(machine)
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.clusters[clusterName]
	switch i := s.byMachine(machine); {
	case !ok || m.State != "running" || c == nil: // real agents try again; here the cluster has to be there first
	case i != nil:
		i.connected = true // started again
		s.changed(i)
		s.reconcile(i.cluster)
	default:
		s.add(c, m, 0, 0)
	}
}

func (s *Service) add(c *cluster, m ec2.Instance, cpu, memory int) *containerInstance {
	info, _ := s.machines.TypeInfo(m.Type)
	if cpu == 0 {
		cpu = info.VCPU * 1024
	}
	if memory == 0 {
		memory = info.MemoryMiB * 95 / 100 // the rest is the system's
	}
	id := s.w.Hex(32)
	i := &containerInstance{id: id, arn: s.w.ARN("ecs", "container-instance/"+c.name+"/"+id), machine: m.ID, status: active, az: m.AZ, typ: m.Type,
		cluster: c, connected: true, registered: time.Now(), cpu: cpu, memory: memory}
	for _, p := range s.providers {
		if group := m.Tags["aws:autoscaling:groupName"]; group != "" && last(p.GroupArn) == group {
			i.provider = p.Name
		}
	}
	c.instances = append(c.instances, i)
	s.changed(i)
	s.reconcile(c)
	return i
}

func (s *Service) setStatus(i *containerInstance, status string) {
	if i.status == status {
		return
	}
	i.status = status
	s.changed(i)
	s.reconcile(i.cluster)
}

// room is what is left on a container instance.
func (i *containerInstance) room() (cpu, memory, tasks int) {
	cpu, memory = i.cpu, i.memory
	for _, t := range i.cluster.tasks {
		if t.on == i && t.last != stopped {
			cpu, memory, tasks = cpu-t.def.cpu, memory-t.def.memory, tasks+1
		}
	}
	return cpu, memory, tasks
}

type instanceJSON struct {
	ContainerInstanceArn string     `json:"containerInstanceArn"`
	Ec2InstanceID        string     `json:"ec2InstanceId"`
	CapacityProviderName string     `json:"capacityProviderName,omitempty"`
	Status               string     `json:"status"`
	AgentConnected       bool       `json:"agentConnected"`
	RunningTasksCount    int        `json:"runningTasksCount"`
	PendingTasksCount    int        `json:"pendingTasksCount"`
	RegisteredAt         *wire.Time `json:"registeredAt"`
	Version              int64      `json:"version"`
	Attributes           []keyValue `json:"attributes"`
	RegisteredResources  []resource `json:"registeredResources"`
	RemainingResources   []resource `json:"remainingResources"`
}

func (i *containerInstance) attributes() []keyValue {
	return []keyValue{{"ecs.instance-type", i.typ}, {"ecs.availability-zone", i.az}}
}

func resources(cpu, memory int) []resource {
	return []resource{{"CPU", "INTEGER", cpu}, {"MEMORY", "INTEGER", memory}}
}

func (i *containerInstance) json() instanceJSON {
	out := instanceJSON{ContainerInstanceArn: i.arn, Ec2InstanceID: i.machine, CapacityProviderName: i.provider, Status: i.status, AgentConnected: i.connected,
		RegisteredAt: wire.At(i.registered), Version: i.version, Attributes: i.attributes(), RegisteredResources: resources(i.cpu, i.memory)}
	cpu, memory, _ := i.room()
	out.RemainingResources = resources(cpu, memory)
	for _, t := range i.cluster.tasks {
		switch {
		case t.on != i || t.desired != running:
		case t.last == running:
			out.RunningTasksCount++
		default:
			out.PendingTasksCount++
		}
	}
	return out
}

// instancesIn are the container instances that a request names, and those that are not there.
func (s *Service) instancesIn(c *cluster, names []string) (found []*containerInstance, missing []failure) {
	missing = []failure{}
	for _, name := range names {
		at := slices.IndexFunc(c.instances, func(i *containerInstance) bool { return i.id == last(name) })
		if at < 0 {
			missing = append(missing, failure{Arn: s.w.ARN("ecs", "container-instance/"+c.name+"/"+last(name)), Reason: "MISSING"})
			continue
		}
		found = append(found, c.instances[at])
	}
	return found, missing
}

// filtered is the one filter of cluster queries that is known here.
var filtered = regexp.MustCompile(`^\s*ec2InstanceId\s*==\s*['"]?(i-[0-9a-f]+)['"]?\s*$`)

func (s *Service) instanceOps() []wire.Op {
	type registerIn struct {
		request
		InstanceIdentityDocument string
		TotalResources           []resource
	}
	type many struct {
		request
		ContainerInstances []string
		Status             string
		Filter             string
	}
	type single struct {
		request
		ContainerInstance string
		Force             bool
	}
	type one struct {
		ContainerInstance instanceJSON `json:"containerInstance"`
	}
	type some struct {
		ContainerInstances []instanceJSON `json:"containerInstances"`
		Failures           []failure      `json:"failures"`
	}
	type list struct {
		ContainerInstanceArns []string `json:"containerInstanceArns"`
		NextToken             string   `json:"nextToken,omitempty"`
	}
	onCluster := func(name string) []wire.Need {
		return []wire.Need{{Resource: s.w.ARN("ecs", "cluster/"+clusterID(name))}}
	}
	describe := func(in *many, change func(*containerInstance) error) (*some, error) {
		c, err := s.find(in.Cluster)
		if err != nil {
			return nil, err
		}
		found, missing := s.instancesIn(c, in.ContainerInstances)
		out := &some{ContainerInstances: []instanceJSON{}, Failures: missing}
		for _, i := range found {
			if change != nil {
				if err := change(i); err != nil {
					return nil, err
				}
			}
			out.ContainerInstances = append(out.ContainerInstances, i.json())
		}
		return out, nil
	}
	onInstances := func(in *many) []wire.Need { return s.on(in.Cluster, "container-instance", in.ContainerInstances...) }
	return []wire.Op{
		op(s, "RegisterContainerInstance", func(in *registerIn) []wire.Need { return onCluster(in.Cluster) }, func(in *registerIn) (*one, error) {
			c, err := s.find(in.Cluster)
			if err != nil {
				return nil, err
			}
			var identity struct{ InstanceID string }
			if json.Unmarshal([]byte(in.InstanceIdentityDocument), &identity) != nil || identity.InstanceID == "" {
				return nil, wire.Errf("ClientException", "Invalid instance identity document.")
			}
			m, ok := s.machines.Instance(identity.InstanceID)
			if !ok {
				return nil, wire.Errf("ClientException", "Instance %s does not exist.", identity.InstanceID)
			}
			if i := s.byMachine(m.ID); i != nil {
				return &one{i.json()}, nil
			}
			var cpu, memory int
			for _, r := range in.TotalResources {
				switch strings.ToUpper(r.Name) {
				case "CPU":
					cpu = r.IntegerValue
				case "MEMORY":
					memory = r.IntegerValue
				}
			}
			return &one{s.add(c, m, cpu, memory).json()}, nil
		}),
		op(s, "DeregisterContainerInstance", func(in *single) []wire.Need { return onCluster(in.Cluster) }, func(in *single) (*one, error) {
			c, err := s.find(in.Cluster)
			if err != nil {
				return nil, err
			}
			found, _ := s.instancesIn(c, []string{in.ContainerInstance})
			if len(found) == 0 || found[0].status == inactive {
				return nil, invalid("The referenced container instance was not found.")
			}
			i := found[0]
			if _, _, tasks := i.room(); tasks > 0 && !in.Force {
				return nil, invalid("Found running tasks on the instance.")
			}
			i.status, i.connected = inactive, false
			s.changed(i)
			s.reconcile(c)
			return &one{i.json()}, nil
		}),
		op(s, "ListContainerInstances", func(in *many) []wire.Need { return onCluster(in.Cluster) }, func(in *many) (*list, error) {
			c, err := s.find(in.Cluster)
			if err != nil {
				return nil, err
			}
			machine := ""
			if in.Filter != "" {
				f := filtered.FindStringSubmatch(in.Filter)
				if f == nil {
					return nil, notImplemented("the filter " + in.Filter + " of ListContainerInstances: ec2InstanceId == … is")
				}
				machine = f[1]
			}
			var all []string
			for _, i := range c.instances {
				if in.Status == "" && i.status == inactive || in.Status != "" && i.status != in.Status || machine != "" && i.machine != machine {
					continue
				}
				all = append(all, i.arn)
			}
			arns, next, err := page(all, in.request)
			return &list{arns, next}, err
		}),
		op(s, "DescribeContainerInstances", onInstances, func(in *many) (*some, error) { return describe(in, nil) }),
		op(s, "UpdateContainerInstancesState", onInstances, func(in *many) (*some, error) {
			if in.Status != active && in.Status != draining {
				return nil, invalid("Container instance status should be one of [ACTIVE,DRAINING]")
			}
			return describe(in, func(i *containerInstance) error {
				if i.status == inactive {
					return invalid("Container instance %s is INACTIVE.", i.arn)
				}
				s.setStatus(i, in.Status)
				return nil
			})
		}),
	}
}

// changed tells EventBridge of a container instance.
func (s *Service) changed(i *containerInstance) {
	i.version++
	i.updated = time.Now()
	cpu, memory, _ := i.room()
	detail := map[string]any{
		"agentConnected": i.connected, "attributes": i.attributes(), "clusterArn": i.cluster.arn, "containerInstanceArn": i.arn, "ec2InstanceId": i.machine,
		"registeredResources": resources(i.cpu, i.memory), "remainingResources": resources(cpu, memory), "status": i.status, "statusReason": "",
		"version": i.version, "versionInfo": map[string]string{}, "registeredAt": instant(i.registered), "updatedAt": instant(i.updated),
	}
	s.outbox.Post(func() {
		s.events.Emit("aws.ecs", "ECS Container Instance State Change", []string{i.arn}, detail)
	})
}
