package scaling

import (
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// Decision is what one look at a cluster leads to.
type Decision struct {
	Plan plan.Plan `json:"plan"`
	// Memory is what the ledger shall remember once the plan is carried out.
	Memory      Memory      `json:"memory"`
	Explanation Explanation `json:"explanation"`
}

// Explanation says why, for people: the values are those that were decided with.
type Explanation struct {
	// Before and After are what the cluster has now, and what it has when the plan is carried out and all new nodes are there.
	Before Total `json:"before"`
	After  Total `json:"after"`
	// New are nodes that are ordered, Going those that are given up.
	New   []NewNode   `json:"new,omitempty"`
	Going []GoingNode `json:"going,omitempty"`
	// Placed has for each pending pod that there is, or will be, room for, where: a node's name, or New's index as "new/0".
	Placed map[string]string `json:"placed,omitempty"`
	// Left are pods that get no room, with the nearest miss.
	Left []LeftPod `json:"left,omitempty"`
	// Kept are nodes that would be given up if something did not keep them, and what it is.
	Kept []KeptNode `json:"kept,omitempty"`
	// Saves is what shrinking saves in this plan, USD an hour, and Evictions how many pods it moves for that.
	Saves     float64 `json:"saves"`
	Evictions int     `json:"evictions"`
}

// Total is all nodes of a cluster together, those on their way included.
type Total struct {
	Nodes   int     `json:"nodes"`
	Price   float64 `json:"price"`             // USD an hour, of the nodes whose price is known
	Unknown int     `json:"unknown,omitempty"` // nodes whose price is not
}

// NewNode is a node to come.
type NewNode struct {
	Group    string   `json:"group"`
	Pool     string   `json:"pool,omitempty"`
	Type     string   `json:"type"`
	Zone     string   `json:"zone"`
	Capacity string   `json:"capacity"`
	Price    float64  `json:"price"` // USD an hour
	Pods     []string `json:"pods,omitempty"`
	Why      string   `json:"why"`
	// Room is what pods may ask for together on it, Used what these do.
	Room fleet.Resources `json:"room"`
	Used fleet.Resources `json:"used"`
}

// GoingNode is a node that is given up.
type GoingNode struct {
	Node   string   `json:"node"`
	Group  string   `json:"group"`
	Reason string   `json:"reason"`
	Why    string   `json:"why"`
	Price  float64  `json:"price"`
	Pods   []string `json:"pods,omitempty"` // that are evicted
}

// KeptNode is a node that could go, but for one thing.
type KeptNode struct {
	Node string `json:"node"`
	Why  string `json:"why"`
}

// LeftPod is a pod that gets no room.
type LeftPod struct {
	Pod     string `json:"pod"`
	Refused string `json:"refused,omitempty"` // what nobody here handles, by name
	Reason  string `json:"reason"`
}
