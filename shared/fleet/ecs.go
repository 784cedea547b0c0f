package fleet

import (
	"strings"
	"time"
)

// Tags that say of an instance that it belongs to Amazon ECS.
const (
	// TagECSCluster is ekspedite's own: the name of the instance's ECS cluster. An Auto Scaling group that propagates it to its
	// instances saves the search for their cluster.
	TagECSCluster = "ekspedite.dev/ecs-cluster"
	// TagECSManaged is on the Auto Scaling groups of capacity providers with managed scaling, and on their instances. It has no
	// value: it does not say which cluster.
	TagECSManaged = "AmazonECSManaged"
)

// Kubernetes tells whether the instance's tags claim it for any Kubernetes cluster, also if they contradict each other.
func (i Instance) Kubernetes() bool {
	for k := range i.Tags {
		if k == TagEKSCluster || strings.HasPrefix(k, TagOwnedPrefix) {
			return true
		}
	}
	return false
}

// ReplacedForECS tells whether the instance's Auto Scaling group is one of ECS's or ekspedite's to have machines replaced in, by
// the tags that it hands to its machines. The function's role allows no other.
func (i Instance) ReplacedForECS() bool {
	_, managed := i.Tags[TagECSManaged]
	return managed || i.Tags[TagECSCluster] != ""
}

// IsECSCluster tells whether what names a cluster is the ARN of an ECS cluster. EKS clusters are known by their names, ECS
// clusters by their ARNs: the two can then share a name.
func IsECSCluster(cluster string) bool {
	part := strings.SplitN(cluster, ":", 6)
	return len(part) == 6 && part[0] == "arn" && part[2] == "ecs" && strings.HasPrefix(part[5], "cluster/")
}

// Values of ContainerInstance.Status that matter here. The others are REGISTERING, REGISTRATION_FAILED and DEREGISTERING.
const (
	ContainerActive   = "ACTIVE"
	ContainerDraining = "DRAINING"
	ContainerInactive = "INACTIVE" // deregistered, and shown for a while
)

// ContainerInstance is a machine of an ECS cluster.
type ContainerInstance struct {
	ARN        string `json:"arn"`
	Cluster    string `json:"cluster"` // its ARN
	InstanceID string `json:"instanceId"`
	Status     string `json:"status"`
	// Connected: its agent is heard. If not, tasks end only with the machine.
	Connected bool `json:"connected,omitempty"`
	// CapacityProvider is the one that its Auto Scaling group belongs to, "" for none.
	CapacityProvider string `json:"capacityProvider,omitempty"`
}

// CapacityProvider is what ECS does itself for the machines of an Auto Scaling group.
type CapacityProvider struct {
	Name string `json:"name"`
	// Draining: ECS keeps a terminating machine in a hook of its own until its tasks have ended.
	Draining bool `json:"draining,omitempty"`
	// Protection: ECS keeps Auto Scaling from ending machines that have tasks.
	Protection bool `json:"protection,omitempty"`
}

// DefaultStopTimeout is how long ECS waits from SIGTERM to SIGKILL where a container definition says nothing.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs-agent-config.html (ECS_CONTAINER_STOP_TIMEOUT)
const DefaultStopTimeout = 30 * time.Second

// Task is a running ECS task.
type Task struct {
	ARN string `json:"arn"`
	// Group is "service:NAME" for the tasks of a service, and else "family:NAME" or what its starter chose.
	Group         string `json:"group,omitempty"`
	LastStatus    string `json:"lastStatus"`    // PROVISIONING, PENDING, ACTIVATING, RUNNING, DEACTIVATING, STOPPING, DEPROVISIONING, STOPPED
	DesiredStatus string `json:"desiredStatus"` // RUNNING or STOPPED
	// StopTimeout is how long its containers may take from SIGTERM to their end.
	StopTimeout time.Duration `json:"stopTimeout"`
	// Protected: its service, or it itself, does not want it to be stopped by choice; Until is when that ends by itself.
	Protected bool      `json:"protected,omitempty"`
	Until     time.Time `json:"until,omitzero"`
}

// Service is the name of the service that the task belongs to, "" for a standalone task.
func (t Task) Service() string {
	name, ok := strings.CutPrefix(t.Group, "service:")
	if !ok {
		return ""
	}
	return name
}

// Stopping tells whether ECS has been told to stop the task already, or has stopped it.
func (t Task) Stopping() bool { return t.DesiredStatus == "STOPPED" || t.LastStatus == "STOPPED" }

// Stopped tells whether its containers have ended.
func (t Task) Stopped() bool { return t.LastStatus == "STOPPED" }

// ID is the last part of the ARN, with the service's name.
func (t Task) ID() string {
	id := t.ARN[strings.LastIndexByte(t.ARN, '/')+1:]
	if s := t.Service(); s != "" {
		return "task " + id + " of service " + s
	}
	return "task " + id
}
