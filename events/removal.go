package events

import (
	"fmt"
	"slices"
	"time"
)

// KindNodeRemovalRequested is the kind of NodeRemovalRequested.
const KindNodeRemovalRequested Kind = "NodeRemovalRequested"

func (NodeRemovalRequested) ownKind() Kind { return KindNodeRemovalRequested }

// RemovalReason is why a node is given up.
type RemovalReason string

// The reasons.
const (
	RemovalEmpty     RemovalReason = "Empty"     // nothing runs on it
	RemovalUnderused RemovalReason = "Underused" // what runs on it fits elsewhere
	RemovalCheaper   RemovalReason = "Cheaper"   // what runs on it will run on cheaper nodes
	RemovalSchedule  RemovalReason = "Schedule"  // a scale window sends its group to sleep
	RemovalManual    RemovalReason = "Manual"    // somebody wants it gone
	RemovalUpgrade   RemovalReason = "Upgrade"   // nodes of another version take its place
	// RemovalMaintenance: AWS has announced the machine's end, a stop or a reboot.
	RemovalMaintenance RemovalReason = "Maintenance"
)

var removalReasons = []RemovalReason{RemovalEmpty, RemovalUnderused, RemovalCheaper, RemovalSchedule, RemovalManual, RemovalUpgrade, RemovalMaintenance}

// NodeRemovalRequested asks for a node to be drained by choice, and for its machine to be ended for good: its group's
// desired size goes down with it, unless another machine is to take its place. Nothing is forced. What cannot be drained in
// time gets its node back.
type NodeRemovalRequested struct {
	Cluster string `json:"cluster"`
	// Region is the cluster's; empty: the function's own.
	Region string `json:"region,omitempty"`
	// Node is the node's name, NodeUID its uid: a node of the same name and another uid is not touched.
	Node    string `json:"node"`
	NodeUID string `json:"nodeUid"`
	// InstanceID is the machine's, which must be the node's by its provider ID.
	InstanceID string `json:"instanceId"`
	// Group is the node group's name, for reports.
	Group  string        `json:"group,omitempty"`
	Reason RemovalReason `json:"reason"`
	// Replace leaves the desired size of the machine's Auto Scaling group as it is, so that the group launches another machine
	// once this one is ended. A machine that is in no group cannot be replaced.
	Replace bool `json:"replace,omitempty"`
	// PatienceSeconds is how long the drain may take, from the event's time on; 0 is a quarter of an hour.
	PatienceSeconds int `json:"patienceSeconds,omitempty"`
	// RequestedBy is the id of the run that asks; empty for people.
	RequestedBy string `json:"requestedBy,omitempty"`
}

// maxPatience is the longest that a removal may take: a day, so that a typing mistake does not hold a node for a year.
const maxPatience = 24 * time.Hour

// Patience is how long the drain may take, 0 if the request leaves that to the function.
func (p *NodeRemovalRequested) Patience() time.Duration {
	return time.Duration(p.PatienceSeconds) * time.Second
}

// RemovalRef is what a drain's continuation keeps of the request to remove a node.
type RemovalRef struct {
	Cluster     string        `json:"cluster"`
	NodeUID     string        `json:"nodeUid"`
	Group       string        `json:"group,omitempty"`
	Reason      RemovalReason `json:"reason"`
	RequestedBy string        `json:"requestedBy,omitempty"`
	// Replace: the group stays as large as it is.
	Replace bool `json:"replace,omitempty"`
	// Until is when the drain is given up.
	Until time.Time `json:"until"`
}

func (p *NodeRemovalRequested) check(*Envelope) *fault {
	if err := required("cluster", p.Cluster, "node", p.Node, "nodeUid", p.NodeUID, "reason", string(p.Reason)); err != nil {
		return err
	}
	if !slices.Contains(removalReasons, p.Reason) {
		return &fault{field: "reason", reason: fmt.Sprintf("is none of %v", removalReasons), value: string(p.Reason)}
	}
	if p.PatienceSeconds < 0 || p.PatienceSeconds > int(maxPatience/time.Second) {
		return &fault{field: "patienceSeconds", reason: fmt.Sprintf("is not between 0 and %d", int(maxPatience/time.Second))}
	}
	return checkInstanceID("instanceId", p.InstanceID)
}
