package readiness

import (
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Authority is a certificate authority of the cluster.
type Authority struct {
	ID     string `json:"id"`
	Status string `json:"status,omitempty"`
	// Expires is when its certificate ends.
	Expires time.Time `json:"expires,omitzero"`
	// Scheduled is what EKS will do with it by itself.
	Scheduled []ScheduledEvent `json:"scheduled,omitempty"`
}

// ScheduledEvent is something that AWS will do.
type ScheduledEvent struct {
	What string    `json:"what"`
	At   time.Time `json:"at"`
}

// Role is an IAM role.
type Role struct {
	ARN    string `json:"arn"`
	Exists bool   `json:"exists"`
	// Trusted tells whether who is to take the role may: for the cluster's role eks.amazonaws.com, for an add-on's
	// pods.eks.amazonaws.com or the cluster's OIDC provider.
	Trusted bool `json:"trusted"`
}

// Subnet is one of the cluster's subnets, or of a node group's.
type Subnet struct {
	ID     string `json:"id"`
	Exists bool   `json:"exists"`
	Zone   string `json:"zone,omitempty"`
	Free   int    `json:"free"` // IPv4 addresses
}

// SecurityGroup is one of the control plane's.
type SecurityGroup struct {
	ID     string `json:"id"`
	Exists bool   `json:"exists"`
	// Self: it lets in all traffic from itself, as EKS makes the cluster's security group.
	Self bool `json:"self,omitempty"`
}

// VPC is the cluster's network.
type VPC struct {
	ID           string `json:"id,omitempty"`
	DNSSupport   bool   `json:"dnsSupport,omitempty"`
	DNSHostnames bool   `json:"dnsHostnames,omitempty"`
}

// Key is the KMS key by which the cluster's API data is encrypted; zero if there is none of the owner's.
type Key struct {
	ARN      string    `json:"arn,omitempty"`
	Exists   bool      `json:"exists,omitempty"`
	State    string    `json:"state,omitempty"` // KMS's: Enabled, Disabled, PendingDeletion, …
	Deletion time.Time `json:"deletion,omitzero"`
}

// Quota is a limit of an account and Region, and how much of it is used.
type Quota struct {
	// Code is Service Quotas' code: one of the constants below.
	Code  string  `json:"code"`
	Limit float64 `json:"limit"`
	Used  float64 `json:"used"`
}

// The quotas that the checks read, with what there is. Those of EC2 count vCPUs of machines running and pending.
// https://docs.aws.amazon.com/ec2/latest/instancetypes/ec2-instance-quotas.html
const (
	QuotaOnDemand    = "ec2/L-1216C47A"         // Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances
	QuotaSpot        = "ec2/L-34B43A08"         // All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests
	QuotaOnDemandG   = "ec2/L-DB2E81BA"         // Running On-Demand G and VT instances
	QuotaOnDemandP   = "ec2/L-417A185B"         // Running On-Demand P instances
	QuotaSpotG       = "ec2/L-3819A6DF"         // All G and VT Spot Instance Requests
	QuotaSpotP       = "ec2/L-7212CCBC"         // All P4, P3 and P2 Spot Instance Requests
	QuotaVolumes     = "ebs/L-7A658B76"         // Storage for General Purpose SSD (gp3) volumes, in TiB
	QuotaAutoScaling = "autoscaling/L-CDE20ADC" // Auto Scaling groups per Region
)

// Machine is an instance type.
type Machine struct {
	VCPU int `json:"vcpu"`
	// IPsPerInterface is how many IPv4 addresses a network interface of it has, Interfaces how many of these there may be.
	IPsPerInterface int  `json:"ipsPerInterface"`
	Interfaces      int  `json:"interfaces"`
	LocalStorage    bool `json:"localStorage,omitempty"` // instance store
	GPU             bool `json:"gpu,omitempty"`
}

// GroupNet is where a node group's machines come to be.
type GroupNet struct {
	Subnets []string `json:"subnets"`
	// DiskGiB is the size of a node's volumes; 0 where it is not known.
	DiskGiB int `json:"diskGiB,omitempty"`
	// CapacityBlock: its capacity type is CAPACITY_BLOCK.
	CapacityBlock bool `json:"capacityBlock,omitempty"`
}

// Template is a launch template in the version that a node group uses.
type Template struct {
	Group   string `json:"group"` // the node group
	ID      string `json:"id"`
	Version string `json:"version"`
	// Missing is what it names and does not exist any more: "image ami-0abc", "security group sg-0abc", "key pair ops",
	// "instance profile nodes".
	Missing []string `json:"missing,omitempty"`
	ImageID string   `json:"imageId,omitempty"`
	// ImageName is EC2's name of the image; ImageKubernetes the minor that its tags or its name tell, 0 where they do not.
	ImageName       string      `json:"imageName,omitempty"`
	ImageKubernetes fleet.Minor `json:"imageKubernetes,omitempty"`
	// Bootstrap is how its user data starts the kubelet: "bootstrap.sh", "nodeadm", "bottlerocket", "" where it cannot be told.
	// User data itself is not kept: it may hold secrets.
	Bootstrap string `json:"bootstrap,omitempty"`
	// KubeletFlags are the names of flags and fields of the KubeletConfiguration in the user data: "--container-runtime".
	KubeletFlags []string `json:"kubeletFlags,omitempty"`
}

// ScalingGroup is an Auto Scaling group of the cluster's.
type ScalingGroup struct {
	Name  string `json:"name"`
	Group string `json:"group,omitempty"` // the node group
	// Refresh is the status of an instance refresh that has not ended; "" if there is none.
	Refresh string `json:"refresh,omitempty"`
	// Suspended are its suspended processes: Launch, Terminate, …
	Suspended []string `json:"suspended,omitempty"`
	// ByZone is how many machines it has in each zone that it may use.
	ByZone map[string]int `json:"byZone,omitempty"`
	// NoCapacity is when a launch last failed for want of capacity, in the activities that EC2 Auto Scaling still shows.
	NoCapacity time.Time `json:"noCapacity,omitzero"`
}

// Alarm is a CloudWatch alarm of the policy.
type Alarm struct {
	Name  string    `json:"name"`
	State string    `json:"state"` // OK, ALARM, INSUFFICIENT_DATA
	Since time.Time `json:"since,omitzero"`
}

// HealthEvent is an event of AWS Health for the cluster's Region.
type HealthEvent struct {
	Service  string    `json:"service"`  // EKS, EC2, AUTOSCALING
	Code     string    `json:"code"`     // AWS_EKS_OPERATIONAL_ISSUE
	Category string    `json:"category"` // issue, scheduledChange, accountNotification
	Status   string    `json:"status"`   // open, upcoming, closed
	From     time.Time `json:"from,omitzero"`
	// Affected: it names this cluster, or names none.
	Affected bool `json:"affected"`
}
