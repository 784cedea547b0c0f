package events

import (
	"encoding/json"
	"strings"
)

// What ECS and EKS say themselves. EKS sends no event when a cluster or a node group changes.
const (
	KindECSContainerInstanceStateChange Kind = "ECSContainerInstanceStateChange"
	KindECSTaskStateChange              Kind = "ECSTaskStateChange"
	KindFargatePodTermination           Kind = "FargatePodTermination"
	KindAddonEvent                      Kind = "AddonEvent"
)

// ECSContainerInstanceStateChange says that a machine of an ECS cluster connected, changed its status, or has more or
// less room. Of two events for one instance the one with the higher Version is later.
//
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_container_instance_events.html
type ECSContainerInstanceStateChange struct {
	ClusterARN           string `json:"clusterArn"`
	ContainerInstanceARN string `json:"containerInstanceArn"`
	// EC2InstanceID is empty for an external (ECS Anywhere) instance.
	EC2InstanceID string `json:"ec2InstanceId,omitempty"`
	// Status is ACTIVE, DRAINING, REGISTERING, DEREGISTERING, REGISTRATION_FAILED or INACTIVE.
	Status         string         `json:"status"`
	StatusReason   string         `json:"statusReason,omitempty"`
	AgentConnected bool           `json:"agentConnected"`
	Attributes     []ECSAttribute `json:"attributes,omitzero"`
	Version        LooseInt       `json:"version"`
	UpdatedAt      Timestamp      `json:"updatedAt,omitzero"`
}

// ECSAttribute is a name with or without a value, such as ecs.instance-type.
type ECSAttribute struct {
	Name  string `json:"name"`
	Value string `json:"value,omitempty"`
}

func (p *ECSContainerInstanceStateChange) check(*Envelope) *fault {
	switch {
	case p.ClusterARN == "":
		return missing("clusterArn")
	case p.ContainerInstanceARN == "":
		return missing("containerInstanceArn")
	case p.Status == "":
		return missing("status")
	case p.EC2InstanceID == "":
		return nil
	}
	// On-premises instances are called mi-….
	if strings.HasPrefix(p.EC2InstanceID, "mi-") {
		return nil
	}
	return checkInstanceID("ec2InstanceId", p.EC2InstanceID)
}

// ECSTaskStateChange says that a task moved on. The two-minute warning of Fargate Spot arrives as this event.
//
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_task_events.html
type ECSTaskStateChange struct {
	TaskARN           string `json:"taskArn"`
	ClusterARN        string `json:"clusterArn"`
	TaskDefinitionARN string `json:"taskDefinitionArn,omitempty"`
	// ContainerInstanceARN is the machine under the task; empty on Fargate.
	ContainerInstanceARN string `json:"containerInstanceArn,omitempty"`
	LastStatus           string `json:"lastStatus"`
	DesiredStatus        string `json:"desiredStatus"`
	// Group is such as "service:web".
	Group string `json:"group,omitempty"`
	// LaunchType is EC2, FARGATE or EXTERNAL; CapacityProviderName tells FARGATE_SPOT.
	LaunchType           string `json:"launchType,omitempty"`
	CapacityProviderName string `json:"capacityProviderName,omitempty"`
	AvailabilityZone     string `json:"availabilityZone,omitempty"`
	StartedBy            string `json:"startedBy,omitempty"`
	// StopCode and StoppedReason are set once the task is being stopped: StopCode SpotInterruption is the warning.
	StopCode      string    `json:"stopCode,omitempty"`
	StoppedReason string    `json:"stoppedReason,omitempty"`
	StoppingAt    Timestamp `json:"stoppingAt,omitzero"`
	CreatedAt     Timestamp `json:"createdAt,omitzero"`
	UpdatedAt     Timestamp `json:"updatedAt,omitzero"`
	Version       LooseInt  `json:"version"`
}

func (p *ECSTaskStateChange) check(*Envelope) *fault {
	switch {
	case p.TaskARN == "":
		return missing("taskArn")
	case p.ClusterARN == "":
		return missing("clusterArn")
	case p.LastStatus == "":
		return missing("lastStatus")
	case p.DesiredStatus == "":
		return missing("desiredStatus")
	}
	return nil
}

// FargatePodTermination says that EKS will replace a Fargate pod in order to patch its machine, and that evicting it
// was refused so far.
//
// https://docs.aws.amazon.com/eks/latest/userguide/fargate-pod-patching.html
type FargatePodTermination struct {
	ClusterName        string `json:"clusterName"`
	FargateProfileName string `json:"fargateProfileName,omitempty"`
	PodName            string `json:"podName"`
	PodNamespace       string `json:"podNamespace"`
	// EvictErrorMessage is why the pod could not be evicted, such as a PodDisruptionBudget.
	EvictErrorMessage string `json:"evictErrorMessage,omitempty"`
	// ScheduledTerminationTime is when the pod is deleted whatever its budget says.
	ScheduledTerminationTime Timestamp `json:"scheduledTerminationTime"`
}

func (p *FargatePodTermination) check(*Envelope) *fault {
	switch {
	case p.ClusterName == "":
		return missing("clusterName")
	case p.PodName == "":
		return missing("podName")
	case p.PodNamespace == "":
		return missing("podNamespace")
	case p.ScheduledTerminationTime.IsZero():
		return missing("scheduledTerminationTime")
	}
	return nil
}

// AddonEvent says how the creation, update or deletion of an EKS add-on ended, or that its health changed. AWS documents
// the names of these events and not their content, so every field may be empty and nothing in the detail is a fault.
// It is a hint to look at the add-on.
//
// https://docs.aws.amazon.com/eventbridge/latest/ref/events-ref-eks.html
type AddonEvent struct {
	// Subject and Outcome are the detail-type's words: Creation, Update, Deletion or Health, and Succeeded, Failed,
	// Degraded or Restored.
	Subject string `json:"-"`
	Outcome string `json:"-"`
	// ClusterName and AddonName are from the detail, or else from an add-on's ARN in Resources.
	ClusterName  string `json:"clusterName,omitempty"`
	AddonName    string `json:"addonName,omitempty"`
	AddonVersion string `json:"addonVersion,omitempty"`
	Status       string `json:"status,omitempty"`
	Message      string `json:"message,omitempty"`
}

// UnmarshalJSON takes what it recognises and leaves the rest.
func (p *AddonEvent) UnmarshalJSON(raw []byte) error {
	var fields map[string]any
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil // not an object: nothing to recognise
	}
	for name, value := range fields {
		text, _ := value.(string)
		switch name {
		case "clusterName":
			p.ClusterName = text
		case "addonName":
			p.AddonName = text
		case "addonVersion":
			p.AddonVersion = text
		case "status":
			p.Status = text
		case "message":
			p.Message = text
		}
	}
	return nil
}

func (p *AddonEvent) check(env *Envelope) *fault {
	words := strings.Fields(env.DetailType) // EKS Addon Creation Succeeded
	if len(words) == 4 {
		p.Subject, p.Outcome = words[2], words[3]
	}
	for _, arn := range env.Resources {
		// arn:aws:eks:us-west-2:123456789012:addon/my-cluster/vpc-cni/48b5…
		part := strings.Split(arn, "/")
		if len(part) < 3 || !strings.HasPrefix(arn, "arn:") || !strings.HasSuffix(part[0], ":addon") {
			continue
		}
		if p.ClusterName == "" {
			p.ClusterName = part[1]
		}
		if p.AddonName == "" {
			p.AddonName = part[2]
		}
	}
	return nil
}
