package scaleview

import (
	"fmt"
	"io"
)

// Bench is what planning costs, one row for each workload.
type Bench struct {
	CPUs int      `json:"cpus"` // that this process may use
	Rows []Report `json:"rows"` // the memory is this process's until then, of all rows before, too
}

// Text writes a table.
func (b Bench) Text(w io.Writer) {
	rows := [][]string{{"WORKLOAD", "PODS", "TYPES", "NODES THERE", "SOLVE MS", "CPU MS", "PODS / CPU S", "NEW NODES", "$/H", "ABOVE BOUND", "LEFT OUT", "READ MS", "RSS MB"}}
	for _, r := range b.Rows {
		above := "-"
		if r.LowerBound > 0 {
			above = fmt.Sprintf("%.1f %%", r.AboveBound)
		}
		rows = append(rows, []string{
			r.Workload, thousands(r.Pods), fmt.Sprint(r.InstanceTypes), thousands(r.ExistingNodes), fmt.Sprintf("%.1f", r.MedianSolveMs), fmt.Sprintf("%.1f", r.CPUMs),
			thousands(int(r.PodsPerCPUSecond)), thousands(r.Nodes), fmt.Sprintf("%.2f", r.PricePerHour), above, fmt.Sprint(r.Unscheduled), fmt.Sprintf("%.0f", r.LoadMs), fmt.Sprintf("%.0f", r.MaxRSSMB),
		})
	}
	table(w, rows)
}
