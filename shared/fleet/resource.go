package fleet

import (
	"strings"
	"time"
)

// Props are what an API is told, or says, about something, under the API's own names: {"cidrBlock": "10.0.0.0/16"}.
// Values are strings, booleans, int, float64, []any, Props and map[string]string (labels and tags, whose keys are data).
type Props = map[string]any

// Ref names a resource of a cluster.
type Ref struct {
	// ID is its name within the cluster's graph: "subnet/public/us-east-1a", "nodegroup/spot". For what is found by its tag,
	// it is the value of TagResource.
	ID string `json:"id"`
	// Kind is the part of ID that says what it is: "subnet", "nodegroup".
	Kind string `json:"kind"`
	// Name is what the API calls it: a role's name, a node group's, "namespace/serviceaccount". Empty for what is found by tag.
	Name string `json:"name,omitempty"`
	// Glance: a light look need only see what others may have changed. Whole: what takes calls of its own to read is wanted,
	// too: a role's inline policies, the roles of an add-on's associations.
	Glance bool `json:"-"`
	Whole  bool `json:"-"`
	// Stands: Name is the one of the cluster's file, and what stands for it since a blue/green move is meant.
	Stands bool `json:"-"`
}

// Resource is something that exists, as its API describes it.
type Resource struct {
	Ref
	// Physical is the id that the API gave: vpc-0abc, an ARN, or a name.
	Physical string `json:"physical"`
	// ARN where it has one.
	ARN string `json:"arn,omitempty"`
	// Status is the API's own: ACTIVE, CREATING, available; "" where it has none.
	Status string            `json:"status,omitempty"`
	Tags   map[string]string `json:"tags,omitempty"`
	Props  Props             `json:"props,omitempty"`
	// Issues are what the service says is wrong with it: "code: message".
	Issues []string `json:"issues,omitempty"`
}

// Update is a change that a service is working on, which is followed by its id and never by the status of its subject.
type Update struct {
	ID     string `json:"id"`
	Type   string `json:"type,omitempty"`   // EKS's UpdateType
	Status string `json:"status,omitempty"` // InProgress, Successful, Failed, Cancelled
	// Errors are why it failed: "code: message".
	Errors []string `json:"errors,omitempty"`
	// Begun is when we were told its id.
	Begun time.Time `json:"begun,omitzero"`
	// Created is when the service began with it, and Params what it changes, by EKS's UpdateParamType: {"Version": "1.36"}. Only
	// who reads a cluster's history fills them in.
	Created time.Time         `json:"created,omitzero"`
	Params  map[string]string `json:"params,omitempty"`
}

// Zone is an availability zone.
type Zone struct {
	Name string `json:"name"` // us-east-1a: another place in every account
	ID   string `json:"id"`   // use1-az1: the same place in every account
}

// Trouble is an action that failed, at every look since.
type Trouble struct {
	Since time.Time `json:"since"`
	Tries int       `json:"tries"`
	Text  string    `json:"text"`
	// Class is package fault's: what can be done about it.
	Class string `json:"class,omitempty"`
	Fatal bool   `json:"fatal,omitempty"` // can never work
}

// Making is what is remembered of a resource that was made.
type Making struct {
	At    time.Time `json:"at"`    // the last time
	Times int       `json:"times"` // in this run; more than once if it did not become visible
	// Name is what the API calls it, of what is listed by its name and not by its tags.
	Name string `json:"name,omitempty"`
}

// Tags on everything that ekspedite makes for a cluster. The first is eksctl's, the second tells ours from eksctl's own.
const (
	TagEksctlCluster = "alpha.eksctl.io/cluster-name"
	TagCluster       = "ekspedite.dev/cluster"
	// TagResource says which resource of the cluster it is: "subnet/public/us-east-1a".
	TagResource = "ekspedite.dev/resource"
	// TagStandsFor is on a node group that a blue/green move has put in the place of another one, with the name that the group
	// has in the cluster's file.
	TagStandsFor = "ekspedite.dev/stands-for"
	// TagMoving is on an Auto Scaling group whose nodes are being moved to another version; see Moving. As a taint it is on the
	// nodes of a managed group that is being left.
	TagMoving = "ekspedite.dev/moving"
)

// MoveOver is the value of TagMoving when the move is over.
const MoveOver = "over"

// Moving tells by a group's tags whether its nodes are being moved. Whoever else changes sizes leaves it alone then.
func Moving(tags map[string]string) bool { return tags[TagMoving] != "" && tags[TagMoving] != MoveOver }

// LabelNodeGroup and LabelCluster are the labels that eksctl gives to nodes, which workloads select by.
const (
	LabelNodeGroup = "alpha.eksctl.io/nodegroup-name"
	LabelCluster   = "alpha.eksctl.io/cluster-name"
)

// KindOf is the kind of a resource by its name in the graph.
func KindOf(id string) string {
	kind, _, _ := strings.Cut(id, "/")
	return kind
}
