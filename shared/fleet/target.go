package fleet

// TargetState is a target's state as Elastic Load Balancing tells it.
type TargetState string

// The states that decide something. Of the others (initial, healthy, unhealthy, unavailable) a load balancer may send a
// target new connections: an unhealthy one gets them, too, where no target is healthy.
const (
	TargetDraining TargetState = "draining" // deregistered: no new connections, those there are go on
	TargetUnused   TargetState = "unused"   // not registered, or in a group that gets no traffic
	TargetHealthy  TargetState = "healthy"
)

// Target is a machine's place behind a load balancer: a target of a target group of the type instance.
type Target struct {
	Group string      `json:"group"` // ARN
	Port  int         `json:"port"`
	State TargetState `json:"state"`
	// Ours: the group carries a tag that says that it is a cluster's, so that we may deregister targets of it.
	Ours bool `json:"ours,omitempty"`
	// PutBack: the controller that made the group registers a node again that is given back.
	PutBack bool `json:"putBack,omitempty"`
	// ScalingGroups are the Auto Scaling groups that the target group is attached to. Auto Scaling deregisters what leaves them.
	ScalingGroups []string `json:"scalingGroups,omitempty"`
}

// Serving tells whether the target may get new connections.
func (t Target) Serving() bool { return t.State != TargetDraining && t.State != TargetUnused }
