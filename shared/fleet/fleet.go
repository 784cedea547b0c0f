// Package fleet has the nouns: clusters, nodes, pods and what belongs to them, as plain values that decisions read. No
// SDK type and no Kubernetes type leaks in; awscloud and kube translate at the edge.
package fleet

import (
	"strings"
	"time"
)

// Cluster is one EKS cluster.
type Cluster struct {
	Name     string `json:"name"`
	ARN      string `json:"arn,omitempty"`
	Account  string `json:"account,omitempty"`
	Region   string `json:"region,omitempty"`
	Version  string `json:"version,omitempty"`  // "1.36"
	Status   string `json:"status,omitempty"`   // EKS's: CREATING, ACTIVE, …
	Endpoint string `json:"endpoint,omitempty"` // the API server's URL
	CAData   []byte `json:"caData,omitempty"`   // PEM
}

// ClusterID names a cluster of an account: names are unique within a Region only.
type ClusterID struct {
	Region string `json:"region"`
	Name   string `json:"name"`
}

// String is region/name.
func (c ClusterID) String() string { return c.Region + "/" + c.Name }

// ParseClusterID reads what String wrote.
func ParseClusterID(s string) ClusterID {
	region, name, _ := strings.Cut(s, "/")
	return ClusterID{region, name}
}

// Instance is one EC2 machine.
type Instance struct {
	ID             string            `json:"id"`
	Type           string            `json:"type,omitempty"`
	Zone           string            `json:"zone,omitempty"`
	PrivateDNSName string            `json:"privateDnsName,omitempty"`
	VPC            string            `json:"vpc,omitempty"`
	State          string            `json:"state,omitempty"` // EC2's: pending, running, …
	Spot           bool              `json:"spot,omitempty"`
	Launched       time.Time         `json:"launched,omitzero"`
	Tags           map[string]string `json:"tags,omitempty"`
}

// Tags by which AWS itself says to whom an instance belongs.
const (
	TagEKSCluster       = "eks:cluster-name"
	TagEKSNodegroup     = "eks:nodegroup-name"
	TagAutoScalingGroup = "aws:autoscaling:groupName"
	TagOwnedPrefix      = "kubernetes.io/cluster/"
)

// TagPool is on everything that the planner of nodes makes for a pool of the policy, with the pool's name as its value.
const TagPool = "ekspedite.dev/pool"

// Cluster is the name of the cluster that the instance's tags name, or "": EKS's own tag first, then the tag that every
// node of a self-managed group carries. A machine that two clusters claim is neither's.
func (i Instance) Cluster() string {
	if c := i.Tags[TagEKSCluster]; c != "" {
		return c
	}
	var owner string
	for k, v := range i.Tags {
		name, ok := strings.CutPrefix(k, TagOwnedPrefix)
		if !ok || v != "owned" {
			continue
		}
		if owner != "" {
			return ""
		}
		owner = name
	}
	return owner
}

// Gone tells whether the machine no longer runs or is about to stop.
func (i Instance) Gone() bool {
	return i.State == "terminated" || i.State == "shutting-down" || i.State == "stopped"
}

// TaintInterruption is on nodes that are drained. Its value is the cause, as package events calls it: CauseRemoval for a node that
// is given up or replaced by choice, whose pods have been thought of.
const (
	TaintInterruption = "ekspedite.dev/interruption"
	CauseRemoval      = "NodeRemovalRequested"
)

// Taint of a node.
type Taint struct {
	Key    string `json:"key"`
	Value  string `json:"value,omitempty"`
	Effect string `json:"effect"` // NoSchedule, PreferNoSchedule, NoExecute
}

// Node is the Kubernetes object.
type Node struct {
	Name            string            `json:"name"`
	UID             string            `json:"uid"`
	ProviderID      string            `json:"providerId"` // aws:///us-east-1a/i-0abc
	ResourceVersion string            `json:"resourceVersion,omitempty"`
	Labels          map[string]string `json:"labels,omitempty"`
	Annotations     map[string]string `json:"annotations,omitempty"`
	Taints          []Taint           `json:"taints,omitempty"`
	Unschedulable   bool              `json:"unschedulable,omitempty"`
	Ready           bool              `json:"ready,omitempty"`
	Created         time.Time         `json:"created,omitzero"`
	// Allocatable is what pods may ask for together, MaxPods how many there may be; zero where nobody has read them.
	Allocatable Resources `json:"allocatable,omitzero"`
	MaxPods     int       `json:"maxPods,omitempty"`
	// AttachLimits are how many volumes of each CSI driver the node can have; a driver that is not named has no limit.
	AttachLimits map[string]int `json:"attachLimits,omitempty"`
	// Kubelet is its version, "v1.36.6-eks-1234567".
	Kubelet string `json:"kubelet,omitempty"`
	// Runtime is the container runtime with its version, "containerd://2.1.5"; OSImage and Kernel are as the kubelet says them.
	Runtime string `json:"runtime,omitempty"`
	OSImage string `json:"osImage,omitempty"`
	Kernel  string `json:"kernel,omitempty"`
	// Pressure are the conditions that are True and should not be: MemoryPressure, DiskPressure, …
	Pressure []string `json:"pressure,omitempty"`
}

// Is tells whether the node is that machine: by provider ID, never by a name.
func (n Node) Is(instanceID string) bool {
	return instanceID != "" && strings.HasSuffix(n.ProviderID, "/"+instanceID)
}

// InstanceID is the EC2 instance that the node is, by provider ID; "" for Fargate, hybrid and other nodes.
func (n Node) InstanceID() string {
	id := n.ProviderID[strings.LastIndexByte(n.ProviderID, '/')+1:]
	if !strings.HasPrefix(n.ProviderID, "aws://") || !strings.HasPrefix(id, "i-") {
		return ""
	}
	return id
}

// Toleration of a pod.
type Toleration struct {
	Key      string `json:"key,omitempty"`
	Operator string `json:"operator,omitempty"` // Exists or Equal, which is the default
	Value    string `json:"value,omitempty"`
	Effect   string `json:"effect,omitempty"` // "" is all
}

// Tolerates tells whether the toleration covers the taint, by Kubernetes' rules.
func (t Toleration) Tolerates(taint Taint) bool {
	if t.Effect != "" && t.Effect != taint.Effect {
		return false
	}
	if t.Key != "" && t.Key != taint.Key {
		return false
	}
	if t.Operator == "Exists" {
		return true
	}
	return t.Key != "" && t.Value == taint.Value
}

// Owner is a pod's controller.
type Owner struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
}

// Pod is the part of a pod that decisions need.
type Pod struct {
	Namespace   string            `json:"namespace"`
	Name        string            `json:"name"`
	UID         string            `json:"uid"`
	Node        string            `json:"node,omitempty"` // the node it is bound to
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Owner       Owner             `json:"owner,omitzero"` // zero for a bare pod
	Phase       string            `json:"phase"`          // Pending, Running, Succeeded, Failed, Unknown
	Ready       bool              `json:"ready,omitempty"`
	Priority    int32             `json:"priority,omitempty"`
	Grace       time.Duration     `json:"grace"`              // terminationGracePeriodSeconds
	Deleting    bool              `json:"deleting,omitempty"` // it has a deletion timestamp
	// GoneBy is when the grace of a pod that is being deleted is over; zero where nobody has read it.
	GoneBy time.Time `json:"goneBy,omitzero"`
	// Started is when the kubelet took the pod; zero where nobody has read it.
	Started time.Time `json:"started,omitzero"`
	// Claims are the names of the PersistentVolumeClaims that it mounts, in its namespace.
	Claims      []string     `json:"claims,omitempty"`
	Mirror      bool         `json:"mirror,omitempty"` // a static pod's image in the API
	Tolerations []Toleration `json:"tolerations,omitempty"`
	// Budget is the PodDisruptionBudget that selects the pod, as namespace/name; "" if there is none. Of several, a drain has ""
	// and a Workload their names joined by "+", as a budget that allows nothing.
	Budget string `json:"budget,omitempty"`
	// Scheduler is the schedulerName, "" for Kubernetes' default one. Gated: a scheduling gate holds the pod back.
	Scheduler string `json:"scheduler,omitempty"`
	Gated     bool   `json:"gated,omitempty"`
	// LocalStorage: the pod has an emptyDir or a hostPath, whose content does not move with it.
	LocalStorage bool `json:"localStorage,omitempty"`
	// Created is when the pod was made; Demand what it asks of a node, nil where nobody has read it.
	Created time.Time `json:"created,omitzero"`
	Demand  *Demand   `json:"demand,omitempty"`
}

// ID is namespace/name.
func (p Pod) ID() string { return p.Namespace + "/" + p.Name }

// Finished tells whether all containers have ended for good.
func (p Pod) Finished() bool { return p.Phase == "Succeeded" || p.Phase == "Failed" }

// ScalingGroup is the Auto Scaling group's view of one instance.
type ScalingGroup struct {
	Name           string `json:"name"`
	LifecycleState string `json:"lifecycleState"` // InService, Terminating:Wait, Detaching, …
	// Min and Desired are the group's sizes, read only where a machine is to be removed.
	Min     int `json:"min,omitempty"`
	Desired int `json:"desired,omitempty"`
	// Rebalances: Auto Scaling replaces its machines by itself when EC2 recommends it. Read only where that matters.
	Rebalances bool `json:"rebalances,omitempty"`
}
