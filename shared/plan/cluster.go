package plan

import (
	"strings"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Creation is what the actions that make, change and delete a cluster have in common: the resource that they are about.
type Creation interface {
	Action
	// Resource names the resource within its cluster: "subnet/public/us-east-1a".
	Resource() string
}

// Of names a resource of a cluster.
type Of struct {
	Cluster string `json:"cluster"`
	ID      string `json:"id"`
}

// Resource is the resource's name within its cluster.
func (o Of) Resource() string { return o.ID }

// Effect says what a call does to its resource.
type Effect string

// The effects.
const (
	Create Effect = "create"
	Change Effect = "change"
	Delete Effect = "delete"
)

// Call is one call of AWS's or Kubernetes' API, with all that is said in it: what is printed is what is sent.
type Call struct {
	Of
	Effect Effect `json:"effect"`
	// API is the service and the operation: "ec2:CreateSubnet", "kubernetes:Apply".
	API string `json:"api"`
	// Input has the operation's own fields. A value like ${vpc} is an id that is not known before the resource exists.
	Input fleet.Props `json:"input"`
	// Does says it for people: "create subnet demo/public-1a (10.0.0.0/19)".
	Does string `json:"does"`
	// Unless asks to look for the resource's tags right before: the API takes no token, and would make a second one.
	Unless bool `json:"unless,omitempty"`
	// Queue is the lane of calls that disturb one another, such as two on one IAM role.
	Queue string `json:"queue,omitempty"`
}

// Kind is the API that is called.
func (c Call) Kind() string { return c.API }

func (c Call) String() string { return c.Does }

// Lane is the queue.
func (c Call) Lane() string { return c.Queue }

// Unknown stands for something of a resource that does not exist yet: Unknown("vpc"), Unknown("cluster.endpoint").
func Unknown(what string) string { return "${" + what + "}" }

// IsUnknown tells whether a value is, or contains, one that is not known yet.
func IsUnknown(s string) bool { return strings.Contains(s, "${") }
