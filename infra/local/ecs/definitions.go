package ecs

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// defaultStop is the agent's ECS_CONTAINER_STOP_TIMEOUT.
const defaultStop = 30 * time.Second

// exitSetting is a container's environment variable that says in how many seconds after its SIGTERM it ends, since nothing
// runs here that could. Without it that is one second.
const exitSetting = "EXIT_AFTER"

// definition is a revision of a task definition.
type definition struct {
	family, arn string
	revision    int
	cpu, memory int // of all containers
	containers  []containerDefinition
	registered  time.Time
}

type containerDefinition struct {
	Name              string      `json:"name"`
	Image             string      `json:"image"`
	CPU               int         `json:"cpu"`
	Memory            int         `json:"memory,omitempty"`
	MemoryReservation int         `json:"memoryReservation,omitempty"`
	Essential         *bool       `json:"essential,omitempty"`
	StopTimeout       *int        `json:"stopTimeout,omitempty"`
	Command           []string    `json:"command,omitempty"`
	Environment       []keyValue  `json:"environment"`
	DependsOn         []dependsOn `json:"dependsOn,omitempty"`
}

type dependsOn struct {
	ContainerName string `json:"containerName"`
	Condition     string `json:"condition"`
}

type definitionJSON struct {
	TaskDefinitionArn    string                `json:"taskDefinitionArn"`
	Family               string                `json:"family"`
	Revision             int                   `json:"revision"`
	Status               string                `json:"status"`
	ContainerDefinitions []containerDefinition `json:"containerDefinitions"`
	RegisteredAt         *wire.Time            `json:"registeredAt"`
}

func (d *definition) json() definitionJSON {
	return definitionJSON{d.arn, d.family, d.revision, active, d.containers, wire.At(d.registered)}
}

// stopping is how long a task of the definition takes from SIGTERM to its end, and the exit code: that of SIGKILL when it was
// not in time.
func (d *definition) stopping() (took time.Duration, exit int) {
	for _, c := range d.containers {
		patience, wants := defaultStop, time.Second
		if c.StopTimeout != nil {
			patience = time.Duration(*c.StopTimeout) * time.Second
		}
		for _, e := range c.Environment {
			if seconds, err := strconv.Atoi(e.Value); e.Name == exitSetting && err == nil {
				wants = time.Duration(seconds) * time.Second
			}
		}
		if wants > patience {
			exit = 137
		}
		took = max(took, min(wants, patience))
	}
	return took, exit
}

// definition finds one by ARN, family:revision, or family for the newest.
func (s *Service) definition(name string) (*definition, error) {
	family, revision, exact := strings.Cut(last(name), ":")
	list := s.definitions[family]
	if !exact && len(list) > 0 {
		return list[len(list)-1], nil
	}
	if n, err := strconv.Atoi(revision); err == nil && n >= 1 && n <= len(list) {
		return list[n-1], nil
	}
	return nil, wire.Errf("ClientException", "Unable to describe task definition.")
}

func (s *Service) definitionOps() []wire.Op {
	type registerIn struct {
		Family                  string
		ContainerDefinitions    []containerDefinition
		NetworkMode             string
		RequiresCompatibilities []string
		CPU, Memory             string
		Volumes                 []any
	}
	type describeIn struct{ TaskDefinition string }
	type out struct {
		TaskDefinition definitionJSON `json:"taskDefinition"`
	}
	return []wire.Op{
		op(s, "RegisterTaskDefinition", everywhere[registerIn], func(in *registerIn) (*out, error) {
			switch {
			case in.Family == "":
				return nil, wire.Errf("ClientException", "Family should not be blank.")
			case len(in.ContainerDefinitions) == 0:
				return nil, wire.Errf("ClientException", "Container list cannot be empty.")
			case in.NetworkMode == "awsvpc" || len(in.Volumes) > 0 || in.CPU != "" || in.Memory != "":
				return nil, notImplemented("awsvpc, volumes, and the size of tasks in RegisterTaskDefinition: say the containers' sizes")
			}
			for _, c := range in.RequiresCompatibilities {
				if c != "EC2" {
					return nil, notImplemented("tasks for " + c)
				}
			}
			d := &definition{family: in.Family, revision: len(s.definitions[in.Family]) + 1, containers: in.ContainerDefinitions, registered: time.Now()}
			for i, c := range d.containers {
				if c.Memory == 0 && c.MemoryReservation == 0 {
					return nil, wire.Errf("ClientException", "Invalid setting for container '%s'. At least one of 'memory' or 'memoryReservation' must be specified.", c.Name)
				}
				if d.containers[i].Environment == nil {
					d.containers[i].Environment = []keyValue{}
				}
				d.cpu += c.CPU
				d.memory += cmp.Or(c.MemoryReservation, c.Memory)
			}
			d.arn = s.w.ARN("ecs", fmt.Sprintf("task-definition/%s:%d", d.family, d.revision))
			s.definitions[in.Family] = append(s.definitions[in.Family], d)
			return &out{d.json()}, nil
		}),
		op(s, "DescribeTaskDefinition", everywhere[describeIn], func(in *describeIn) (*out, error) {
			d, err := s.definition(in.TaskDefinition)
			if err != nil {
				return nil, err
			}
			return &out{d.json()}, nil
		}),
	}
}
