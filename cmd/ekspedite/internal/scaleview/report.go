package scaleview

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/workload"
	"github.com/ekspedite/ekspedite/shared/decide/packing"
)

// Report is a plan for a workload in figures. Times are the medians of all runs, in milliseconds.
type Report struct {
	Workload      string `json:"workload"`
	Pods          int    `json:"pods"` // to be placed
	InstanceTypes int    `json:"instanceTypes"`
	ExistingNodes int    `json:"existingNodes"`
	Runs          int    `json:"runs"`

	MedianSolveMs    float64 `json:"medianSolveMs"`
	CPUMs            float64 `json:"cpuMs"` // of this process, user and system
	PodsPerCPUSecond float64 `json:"podsPerCpuSecond"`
	LoadMs           float64 `json:"loadMs"`   // reading the file
	MaxRSSMB         float64 `json:"maxRSSMB"` // of this process until now

	Nodes        int     `json:"nodes"` // new ones
	PricePerHour float64 `json:"pricePerHour"`
	// LowerBound is what no plan can cost less than, USD an hour; 0 where it was not asked for or is not known. AboveBound is by
	// how much the plan is above it, in per cent.
	LowerBound          float64            `json:"lowerBound,omitempty"`
	AboveBound          float64            `json:"aboveBoundPercent,omitempty"`
	Unscheduled         int                `json:"unscheduled"`
	OnExistingNodes     int                `json:"onExistingNodes"` // pods that found room there
	NodesByInstanceType map[string]int     `json:"nodesByInstanceType"`
	NodesByCapacityType map[string]int     `json:"nodesByCapacityType"`
	PriceByPool         map[string]float64 `json:"priceByPool"`
	CPUUtilization      float64            `json:"cpuUtilization"` // of the new nodes' allocatable, 0 to 1
	MemUtilization      float64            `json:"memUtilization"`
	Unplaced            []Left             `json:"unplaced"`
	// Breaches are the rules that the plan breaks: a mistake of ours, and not to be acted on.
	Breaches []workload.Breach `json:"breaches,omitempty"`
}

// Figures fills in what a solution says.
func (r *Report) Figures(p packing.Problem, s packing.Solution, v Picture) {
	added := newOnes(v.After)
	r.Pods, r.InstanceTypes, r.ExistingNodes = len(p.Pods), len(p.Types), len(p.Nodes)
	r.Nodes, r.PricePerHour, r.Unscheduled, r.Unplaced = len(s.New), s.Price, len(s.Unplaced), v.Left
	r.NodesByInstanceType = tally(added, func(n Node) string { return n.InstanceType })
	r.NodesByCapacityType = tally(added, func(n Node) string { return n.CapacityType })
	r.PriceByPool = map[string]float64{}
	var cpu, memory, usedCPU, usedMemory int64
	for _, n := range added {
		r.PriceByPool[n.Pool] += n.Price
		c, m, _ := n.use()
		cpu, memory, usedCPU, usedMemory = cpu+n.CPU, memory+n.Memory, usedCPU+c, usedMemory+m
	}
	if cpu > 0 && memory > 0 {
		r.CPUUtilization, r.MemUtilization = float64(usedCPU)/float64(cpu), float64(usedMemory)/float64(memory)
	}
	for _, at := range s.Placed {
		if at >= 0 && at < len(p.Nodes) {
			r.OnExistingNodes++
		}
	}
	if r.LowerBound > 0 {
		r.AboveBound = 100 * (r.PricePerHour/r.LowerBound - 1)
	}
	if r.CPUMs > 0 {
		r.PodsPerCPUSecond = float64(r.Pods) / (r.CPUMs / 1000)
	}
}

func newOnes(nodes []Node) []Node {
	return slices.DeleteFunc(slices.Clone(nodes), func(n Node) bool { return n.State != New })
}

// PlanNode is a new node in the list that --nodes writes.
type PlanNode struct {
	InstanceType string   `json:"instanceType"`
	CapacityType string   `json:"capacityType"`
	Zone         string   `json:"zone"`
	Price        float64  `json:"price"`
	NodePool     string   `json:"nodePool"`
	Pods         []string `json:"pods"`
	Why          string   `json:"why,omitempty"`
}

// PlanNodes lists the new nodes of a solution, with their pods by name.
func PlanNodes(p packing.Problem, s packing.Solution) []PlanNode {
	out := make([]PlanNode, 0, len(s.New))
	for _, n := range s.New {
		o := p.Types[n.Type].Offerings[n.Offering]
		node := PlanNode{
			InstanceType: p.Types[n.Type].Name, CapacityType: workload.CapacityName(o.Capacity), Zone: o.Zone, Price: o.Price,
			NodePool: p.Pools[n.Pool].Name, Pods: make([]string, 0, len(n.Pods)), Why: n.Why,
		}
		for _, i := range n.Pods {
			node.Pods = append(node.Pods, p.Pods[i].UID) // the file's name of it
		}
		out = append(out, node)
	}
	return out
}

// rowsShown is how many kinds of nodes a text lists.
const rowsShown = 40

// Text writes the report of a plan for a workload.
func (r Report) Text(w io.Writer, v Picture) {
	fmt.Fprintf(w, "%s: %s, %s", r.Workload, count(r.Pods, "pod"), count(r.InstanceTypes, "instance type"))
	if r.ExistingNodes > 0 {
		fmt.Fprintf(w, ", %s already", count(r.ExistingNodes, "node"))
	}
	fmt.Fprintf(w, "\n\n  %s for %s an hour (%s a month)\n", count(r.Nodes, "new node"), dollars(r.PricePerHour), dollars(r.PricePerHour*730))
	if r.LowerBound > 0 {
		fmt.Fprintf(w, "  %.1f %% above %s, which no plan can be below\n", r.AboveBound, dollars(r.LowerBound))
	}
	if r.ExistingNodes > 0 {
		fmt.Fprintf(w, "  %s on nodes that are there\n", count(r.OnExistingNodes, "pod"))
	}
	if r.Nodes > 0 {
		fmt.Fprintf(w, "  %.0f %% of their processors and %.0f %% of their memory are asked for\n", 100*r.CPUUtilization, 100*r.MemUtilization)
	}
	if r.Unscheduled == 0 {
		fmt.Fprintf(w, "  every pod has a node\n")
	} else {
		fmt.Fprintf(w, "  %s WITHOUT A NODE, see below\n", count(r.Unscheduled, "pod"))
	}
	fmt.Fprintf(w, "  planned in %.1f ms, %.1f ms of processor time (%s pods per CPU second), checked by Kubernetes' rules\n", r.MedianSolveMs, r.CPUMs, thousands(int(r.PodsPerCPUSecond)))
	kinds(w, v.After)
	Lefts(w, v.Left)
}

// kinds lists new nodes by what is equal about them.
func kinds(w io.Writer, after []Node) {
	type kind struct{ name, capacity, zone, pool string }
	by, order := map[kind][]Node{}, []kind{}
	for _, n := range newOnes(after) {
		k := kind{n.InstanceType, n.CapacityType, n.Zone, n.Pool}
		if by[k] == nil {
			order = append(order, k)
		}
		by[k] = append(by[k], n)
	}
	if len(order) == 0 {
		return
	}
	slices.SortStableFunc(order, func(a, b kind) int { return compareDesc(Cost(by[a]), Cost(by[b])) })
	rows := [][]string{{"NODES", "INSTANCE TYPE", "CAPACITY", "ZONE", "POOL", "$/H", "PODS", "CPU", "MEMORY", "WHY"}}
	for _, k := range order[:min(len(order), rowsShown)] {
		var pods int
		var cpu, memory, ofCPU, ofMemory int64
		for _, n := range by[k] {
			c, m, p := n.use()
			pods, cpu, memory, ofCPU, ofMemory = pods+p, cpu+c, memory+m, ofCPU+n.CPU, ofMemory+n.Memory
		}
		rows = append(rows, []string{
			fmt.Sprint(len(by[k])), k.name, k.capacity, k.zone, k.pool, fmt.Sprintf("%.4f", Cost(by[k])), fmt.Sprint(pods), percent(cpu, ofCPU), percent(memory, ofMemory), by[k][0].Why,
		})
	}
	fmt.Fprintln(w)
	table(w, rows)
	if more := len(order) - rowsShown; more > 0 {
		fmt.Fprintf(w, "… and %s more: --nodes FILE lists every node\n", count(more, "kind"))
	}
}

// Lefts lists pods without a node.
func Lefts(w io.Writer, left []Left) {
	if len(left) == 0 {
		return
	}
	fmt.Fprintf(w, "\nWithout a node:\n")
	for _, l := range left[:min(len(left), rowsShown)] {
		of := ""
		if l.Owner != "" {
			of = " of " + l.Owner
		}
		fmt.Fprintf(w, "  %s%s (%s)\n", count(l.Count, "pod"), of, few(l.Pods, l.Count))
		if l.Refused != "" {
			fmt.Fprintf(w, "    refused: %s\n", l.Refused)
		}
		if l.Reason != "" {
			fmt.Fprintf(w, "    %s\n", strings.ReplaceAll(l.Reason, "\n", "\n    "))
		}
	}
	if more := len(left) - rowsShown; more > 0 {
		fmt.Fprintf(w, "  … and %s more: --output json has all\n", count(more, "reason"))
	}
}

// table writes rows in columns.
func table(w io.Writer, rows [][]string) {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		fmt.Fprintln(t, strings.Join(r, "\t"))
	}
	_ = t.Flush() // to memory, which does not fail
	for line := range strings.Lines(b.String()) {
		fmt.Fprintln(w, strings.TrimRight(line, " \n"))
	}
}
