// Package scaleview shows what node scaling plans: as text for somebody who is on call, as JSON for programs, and as one page
// of HTML that needs nothing else. It reads nothing and decides nothing.
package scaleview

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/workload"
	"github.com/ekspedite/ekspedite/shared/decide/packing"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Picture is the nodes before and after a plan, and who is left without one.
type Picture struct {
	Title  string   `json:"title"`
	Before []Node   `json:"before"`
	After  []Node   `json:"after"`
	Left   []Left   `json:"unplaced"`
	Notes  []string `json:"notes,omitempty"`
}

// State is what becomes of a node.
type State string

// The states of nodes.
const (
	Stays State = "stays"
	New   State = "new"
	Goes  State = "goes"
)

// Node is a node with what is on it. CPU is in thousandths of a core, memory in bytes; both are what pods may have.
type Node struct {
	Name         string  `json:"name"`
	InstanceType string  `json:"instanceType"`
	CapacityType string  `json:"capacityType"` // on-demand or spot
	Zone         string  `json:"zone"`
	Pool         string  `json:"pool"`
	Price        float64 `json:"price"` // USD an hour; 0 where nobody knows
	State        State   `json:"state"`
	Why          string  `json:"why,omitempty"`
	CPU          int64   `json:"cpu"`
	Memory       int64   `json:"memory"`
	Shares       []Share `json:"shares"` // the greatest first
}

// Share is what the pods of one owner have of a node.
type Share struct {
	Owner  string `json:"owner"`
	Pods   int    `json:"pods"`
	CPU    int64  `json:"cpu"`
	Memory int64  `json:"memory"`
}

// Left is pods that are left without a node for the same reason.
type Left struct {
	Owner   string   `json:"owner,omitempty"` // "" if they are of several
	Count   int      `json:"count"`
	Pods    []string `json:"pods"` // the first of them
	Refused string   `json:"refused,omitempty"`
	Reason  string   `json:"reason"`
}

// fewPods is how many pods are named where the rest is counted.
const fewPods = 3

// Draw is the picture of a solution.
func Draw(title string, p packing.Problem, s packing.Solution) Picture {
	v := Picture{Title: title, Before: []Node{}, After: []Node{}, Left: leftOut(p, s)}
	more := make([][]fleet.Pod, len(p.Nodes)+len(s.New))
	for i, at := range s.Placed {
		if at >= 0 {
			more[at] = append(more[at], p.Pods[i])
		}
	}
	for i, n := range p.Nodes {
		node := Node{
			Name: n.Name, InstanceType: n.Labels[fleet.LabelInstanceType], Zone: n.Labels[fleet.LabelZone], CapacityType: CapacityOf(n.Labels),
			Pool: cmp.Or(n.Labels[fleet.LabelEKSNodegroup], "existing"), Price: n.Price, State: Stays, CPU: n.Allocatable.CPU, Memory: n.Allocatable.Memory,
			Shares: Shares(n.Pods),
		}
		v.Before = append(v.Before, node)
		node.Shares = Shares(slices.Concat(n.Pods, more[i]))
		if k := len(more[i]); k > 0 {
			node.Why = fmt.Sprintf("has room for %d of the pods", k)
		}
		v.After = append(v.After, node)
	}
	for i, n := range s.New {
		t, pool := p.Types[n.Type], p.Pools[n.Pool]
		o := t.Offerings[n.Offering]
		v.After = append(v.After, Node{
			Name: fmt.Sprintf("new-%d", i), InstanceType: t.Name, CapacityType: workload.CapacityName(o.Capacity), Zone: o.Zone, Pool: pool.Name,
			Price: o.Price, State: New, Why: n.Why, CPU: t.Allocatable.CPU, Memory: t.Allocatable.Memory, Shares: Shares(more[len(p.Nodes)+i]),
		})
	}
	return v
}

// CapacityOf is a node's capacity type by its labels: on-demand unless they say spot.
func CapacityOf(labels map[string]string) string {
	if labels[fleet.LabelEKSCapacity] == fleet.Spot || labels[fleet.LabelKarpenterKind] == "spot" {
		return "spot"
	}
	return "on-demand"
}

// OwnerOf is whose a pod is: its controller, or itself.
func OwnerOf(p fleet.Pod) string { return cmp.Or(p.Owner.Name, p.Name) }

// Shares adds up pods by their owners.
func Shares(pods []fleet.Pod) []Share {
	by := map[string]*Share{}
	for _, p := range pods {
		s, ok := by[OwnerOf(p)]
		if !ok {
			s = &Share{Owner: OwnerOf(p)}
			by[s.Owner] = s
		}
		s.Pods++
		if p.Demand != nil {
			s.CPU += p.Demand.Requests.CPU
			s.Memory += p.Demand.Requests.Memory
		}
	}
	out := []Share{}
	for _, s := range by {
		out = append(out, *s)
	}
	slices.SortFunc(out, func(a, b Share) int {
		return cmp.Or(cmp.Compare(b.CPU, a.CPU), cmp.Compare(b.Memory, a.Memory), cmp.Compare(a.Owner, b.Owner))
	})
	return out
}

func leftOut(p packing.Problem, s packing.Solution) []Left {
	type why struct{ owner, refused, reason string }
	by := map[why]*Left{}
	for _, u := range s.Unplaced {
		pod := p.Pods[u.Pod]
		k := why{OwnerOf(pod), u.Refused, u.Reason}
		l, ok := by[k]
		if !ok {
			l = &Left{Owner: k.owner, Refused: k.refused, Reason: k.reason}
			by[k] = l
		}
		if l.Count++; len(l.Pods) < fewPods {
			l.Pods = append(l.Pods, pod.ID())
		}
	}
	out := []Left{}
	for _, l := range by {
		out = append(out, *l)
	}
	slices.SortFunc(out, func(a, b Left) int {
		return cmp.Or(b.Count-a.Count, cmp.Compare(a.Owner, b.Owner), cmp.Compare(a.Reason, b.Reason))
	})
	return out
}

// Cost is what nodes cost an hour together.
func Cost(nodes []Node) (sum float64) {
	for _, n := range nodes {
		sum += n.Price
	}
	return sum
}

// use is how much of a node's processors and memory its pods have.
func (n Node) use() (cpu, memory int64, pods int) {
	for _, s := range n.Shares {
		cpu, memory, pods = cpu+s.CPU, memory+s.Memory, pods+s.Pods
	}
	return cpu, memory, pods
}

// tally counts nodes by a property.
func tally(nodes []Node, of func(Node) string) map[string]int {
	out := map[string]int{}
	for _, n := range nodes {
		out[of(n)]++
	}
	return out
}

func names(m map[string]int) []string { return slices.Sorted(maps.Keys(m)) }
