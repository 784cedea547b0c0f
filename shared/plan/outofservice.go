package plan

import (
	"fmt"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// OutOfService puts the taint on a node by which Kubernetes gives free what a machine that has stopped still holds. It holds for
// the node as it was observed, like CordonNode, and only after EC2 has said that the machine has stopped.
type OutOfService struct {
	Node            string        `json:"node"`
	UID             string        `json:"uid"`
	ResourceVersion string        `json:"resourceVersion"`
	Taints          []fleet.Taint `json:"taints"` // all of them, those of others included
	State           string        `json:"state"`  // EC2's, of the machine
}

// Kind is OutOfService.
func (OutOfService) Kind() string { return "OutOfService" }

func (a OutOfService) String() string {
	return fmt.Sprintf("declare node %s out of service, whose machine is %s", a.Node, a.State)
}
