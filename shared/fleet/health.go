package fleet

import "time"

// Wellness is how a cluster's nodes and pods are at a moment.
type Wellness struct {
	// Nodes and Pods are how many there are; pods that are finished, or on their way out, do not count.
	Nodes int `json:"nodes"`
	Pods  int `json:"pods"`
	// NotReady are the nodes and pods that are not Ready.
	NotReady []NotReady `json:"notReady,omitempty"`
}

// NotReady is a node or a pod that is not Ready.
type NotReady struct {
	Name string `json:"name"` // "ip-10-0-1-2.ec2.internal", "default/web-7f9c-x2"
	// Workload is what a pod belongs to, "default/ReplicaSet/web-7f9c"; "" for a node.
	Workload string `json:"workload,omitempty"`
	// Since is when it was last Ready, or when it was made. Of a pod whose containers end again and again it is when it was made,
	// because it is Ready for a moment each time.
	Since time.Time `json:"since"`
}
