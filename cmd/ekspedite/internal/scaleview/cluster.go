package scaleview

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/shared/decide/scaling"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// ClusterPlan is what the scaling function would do for a cluster now.
type ClusterPlan struct {
	Cluster string `json:"cluster"`
	Region  string `json:"region"`
	Mode    string `json:"mode"` // of the policy: Off, Plan or Act
	Reason  string `json:"reason"`
	// Actions are what would be done, in order: those of one step at once.
	Actions     []Action            `json:"actions"`
	Explanation scaling.Explanation `json:"explanation"`
	Notes       []string            `json:"notes"`
	// Incomplete says why parts of the cluster could not be read, by part.
	Incomplete map[string]string `json:"incomplete,omitempty"`
}

// Action is something that would be done.
type Action struct {
	Step string `json:"step"`
	Kind string `json:"kind"`
	Text string `json:"text"`
}

// NewClusterPlan puts together what was observed and decided.
func NewClusterPlan(o scaling.Observation, mode fleet.ScalingMode, d scaling.Decision) ClusterPlan {
	v := ClusterPlan{
		Cluster: o.Cluster.Name, Region: o.Cluster.Region, Mode: string(mode), Reason: d.Plan.Reason, Actions: []Action{},
		Explanation: d.Explanation, Notes: slices.Concat([]string{}, d.Plan.Notes), Incomplete: o.Incomplete,
	}
	for _, s := range d.Plan.Steps {
		for _, a := range s.Actions {
			v.Actions = append(v.Actions, Action{s.Name, a.Kind(), a.String()})
		}
	}
	switch mode {
	case fleet.ScalingAct:
	case fleet.ScalingPlan:
		v.Notes = append(v.Notes, "the policy's mode is Plan: the scaling function reports this and does nothing")
	default:
		v.Notes = append(v.Notes, "the policy has scaling off: this is what its mode Act would do")
	}
	return v
}

// Text writes the plan.
func (v ClusterPlan) Text(w io.Writer) {
	e := v.Explanation
	fmt.Fprintf(w, "cluster %s in %s: %s\n\n", v.Cluster, v.Region, v.Reason)
	table(w, [][]string{
		{"", "NODES", "$/H", "$/MONTH"},
		{"now", fmt.Sprint(e.Before.Nodes), fmt.Sprintf("%.4f", e.Before.Price), fmt.Sprintf("%.0f", e.Before.Price*hoursOfMonth)},
		{"then", fmt.Sprint(e.After.Nodes), fmt.Sprintf("%.4f", e.After.Price), fmt.Sprintf("%.0f", e.After.Price*hoursOfMonth)},
	})
	if n := max(e.Before.Unknown, e.After.Unknown); n > 0 {
		fmt.Fprintf(w, "(without %s whose price is not known)\n", count(n, "node"))
	}
	if len(e.New) > 0 {
		fmt.Fprintf(w, "\nNodes to come:\n")
		rows := [][]string{{"TYPE", "CAPACITY", "ZONE", "GROUP", "$/H", "PODS", "CPU", "MEMORY", "WHY"}}
		for _, n := range e.New[:min(len(e.New), rowsShown)] {
			rows = append(rows, []string{
				n.Type, capacityName(n.Capacity), n.Zone, n.Group, fmt.Sprintf("%.4f", n.Price), fmt.Sprint(len(n.Pods)),
				percent(n.Used.CPU, n.Room.CPU), percent(n.Used.Memory, n.Room.Memory), n.Why,
			})
		}
		table(w, rows)
		rest(w, len(e.New), "node")
	}
	if len(e.Going) > 0 {
		fmt.Fprintf(w, "\nNodes to go, %s for %s:\n", dollars(e.Saves)+" an hour less", count(e.Evictions, "eviction"))
		rows := [][]string{{"NODE", "GROUP", "REASON", "$/H", "PODS", "WHY"}}
		for _, n := range e.Going[:min(len(e.Going), rowsShown)] {
			rows = append(rows, []string{n.Node, n.Group, n.Reason, fmt.Sprintf("%.4f", n.Price), fmt.Sprint(len(n.Pods)), n.Why})
		}
		table(w, rows)
		rest(w, len(e.Going), "node")
	}
	if len(e.Kept) > 0 {
		fmt.Fprintf(w, "\nNodes that would go, but for one thing:\n")
		for _, n := range e.Kept[:min(len(e.Kept), rowsShown)] {
			fmt.Fprintf(w, "  %s: %s\n", n.Node, n.Why)
		}
		rest(w, len(e.Kept), "node")
	}
	Lefts(w, lefts(e.Left))
	v.actions(w)
	for _, n := range v.Notes {
		fmt.Fprintf(w, "note: %s\n", strings.ReplaceAll(n, "\n", "\n  "))
	}
}

// hoursOfMonth is a year's hours by twelve.
const hoursOfMonth = 730

func (v ClusterPlan) actions(w io.Writer) {
	if len(v.Actions) == 0 {
		fmt.Fprintf(w, "\nThere is nothing to do.\n")
		return
	}
	fmt.Fprintf(w, "\nWhat would be done:\n")
	step := ""
	for _, a := range v.Actions[:min(len(v.Actions), rowsShown)] {
		if a.Step != step {
			step = a.Step
			fmt.Fprintf(w, "  %s\n", step)
		}
		fmt.Fprintf(w, "    - %s\n", a.Text)
	}
	rest(w, len(v.Actions), "action")
}

func rest(w io.Writer, all int, noun string) {
	if more := all - rowsShown; more > 0 {
		fmt.Fprintf(w, "  … and %s more: --output json has all\n", count(more, noun))
	}
}

func capacityName(capacity string) string {
	if capacity == fleet.Spot {
		return "spot"
	}
	return "on-demand"
}

// lefts puts pods together that are left out for the same reason.
func lefts(list []scaling.LeftPod) []Left {
	out := []Left{}
	for _, l := range list {
		i := slices.IndexFunc(out, func(o Left) bool { return o.Reason == l.Reason && o.Refused == l.Refused })
		if i < 0 {
			i = len(out)
			out = append(out, Left{Refused: l.Refused, Reason: l.Reason})
		}
		if out[i].Count++; len(out[i].Pods) < fewPods {
			out[i].Pods = append(out[i].Pods, l.Pod)
		}
	}
	return out
}

// DrawCluster is the picture of a decision on a cluster.
func DrawCluster(o scaling.Observation, d scaling.Decision) Picture {
	e := d.Explanation
	v := Picture{Title: fmt.Sprintf("%s in %s", o.Cluster.Name, o.Cluster.Region), Before: []Node{}, After: []Node{}, Left: lefts(e.Left)}
	v.Notes = append(v.Notes, d.Plan.Reason)
	pods, on := map[string]fleet.Pod{}, map[string][]fleet.Pod{}
	for _, p := range o.Pods {
		pods[p.ID()] = p
		if p.Node != "" {
			on[p.Node] = append(on[p.Node], p)
		}
	}
	comes := map[string][]fleet.Pod{}
	for pod, at := range e.Placed {
		if !strings.HasPrefix(at, "new/") {
			comes[at] = append(comes[at], pods[pod])
		}
	}
	going := map[string]scaling.GoingNode{}
	for _, g := range e.Going {
		going[g.Node] = g
	}
	price := prices(o.Market)
	for _, n := range o.Nodes {
		node := Node{
			Name: n.Name, InstanceType: n.Labels[fleet.LabelInstanceType], Zone: n.Labels[fleet.LabelZone], CapacityType: CapacityOf(n.Labels),
			Pool: cmp.Or(n.Labels[fleet.LabelEKSNodegroup], "other"), State: Stays, CPU: n.Allocatable.CPU, Memory: n.Allocatable.Memory, Shares: Shares(on[n.Name]),
		}
		node.Price = price[offer{node.InstanceType, node.Zone, node.CapacityType == "spot"}]
		if g, ok := going[n.Name]; ok {
			node.State, node.Why = Goes, cmp.Or(g.Why, g.Reason)
			v.Before = append(v.Before, node)
			continue
		}
		v.Before = append(v.Before, node)
		if more := comes[n.Name]; len(more) > 0 {
			node.Shares, node.Why = Shares(slices.Concat(on[n.Name], more)), fmt.Sprintf("has room for %s that wait", count(len(more), "pod"))
		}
		v.After = append(v.After, node)
	}
	for i, n := range e.New {
		node := Node{
			Name: fmt.Sprintf("new-%d", i), InstanceType: n.Type, CapacityType: capacityName(n.Capacity), Zone: n.Zone, Pool: cmp.Or(n.Group, n.Pool),
			Price: n.Price, State: New, Why: n.Why, CPU: n.Room.CPU, Memory: n.Room.Memory, Shares: []Share{},
		}
		var has []fleet.Pod
		for _, id := range n.Pods {
			if p, ok := pods[id]; ok {
				has = append(has, p)
			}
		}
		node.Shares = Shares(has)
		v.After = append(v.After, node)
	}
	if e.Evictions > 0 {
		v.Notes = append(v.Notes, fmt.Sprintf("%s of the nodes that go find room on others; they are not drawn there, because the scheduler will choose", count(e.Evictions, "pod")))
	}
	return v
}

type offer struct {
	machine, zone string
	spot          bool
}

func prices(m fleet.Market) map[offer]float64 {
	out := map[offer]float64{}
	for _, t := range m.Types {
		for _, o := range t.Offerings {
			out[offer{t.Name, o.Zone, o.Spot}] = o.Price
		}
	}
	return out
}
