package demo

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// Summary is what the demo measured. Times are in milliseconds from the moment at which the interruption was put on the
// bus; a negative one did not happen.
type Summary struct {
	Cluster                   string   `json:"cluster"`
	ClusterActiveMs           int64    `json:"clusterActiveMs"` // from the request to ACTIVE with Ready nodes
	Instance                  string   `json:"instance"`
	Node                      string   `json:"node"`
	EventToCordonMs           int64    `json:"eventToCordonMs"`
	EventToLastEvictionMs     int64    `json:"eventToLastEvictionMs"`
	EventToReplacementReadyMs int64    `json:"eventToReplacementReadyMs"`
	EventToAllPodsReadyMs     int64    `json:"eventToAllPodsReadyMs"`
	PodsDisrupted             int      `json:"podsDisrupted"`
	EvictionsRefused          int      `json:"evictionsRefused"`
	PDBViolations             int      `json:"pdbViolations"`
	PodsForced                int      `json:"podsForced"`
	RunOutcome                string   `json:"runOutcome"`
	DeniedCalls               int      `json:"deniedCalls"`
	TotalMs                   int64    `json:"totalMs"`
	Failures                  []string `json:"failures"`
}

// check fills in which expectations failed.
func (s *Summary) check(wantDisrupted int) {
	expect := func(ok bool, format string, args ...any) {
		if !ok {
			s.Failures = append(s.Failures, fmt.Sprintf(format, args...))
		}
	}
	s.Failures = []string{}
	expect(s.EventToCordonMs >= 0, "the node was not cordoned")
	expect(s.EventToLastEvictionMs >= 0, "no pod was evicted")
	expect(s.EventToReplacementReadyMs >= 0, "no replacement became Ready")
	expect(s.EventToAllPodsReadyMs >= 0, "the workload did not become Ready again")
	expect(s.PDBViolations == 0, "PodDisruptionBudgets were violated %d times", s.PDBViolations)
	expect(s.PodsForced == 0, "%d pods were deleted past their budget", s.PodsForced)
	expect(s.PodsDisrupted == wantDisrupted, "%d pods of the workload were disrupted; the node had %d", s.PodsDisrupted, wantDisrupted)
	expect(s.RunOutcome == "Drained", "the run ended as %q, not as Drained", s.RunOutcome)
	expect(s.DeniedCalls == 0, "%d calls of the functions were denied by IAM", s.DeniedCalls)
}

// Print writes the summary for people.
func (s *Summary) Print(w io.Writer) {
	ms := func(v int64) string {
		if v < 0 {
			return "never"
		}
		return fmt.Sprintf("%.3f s", float64(v)/1000)
	}
	fmt.Fprintf(w, "\nSummary\n")
	for _, row := range [][2]string{
		{"request to ACTIVE with Ready nodes", ms(s.ClusterActiveMs)},
		{"event to node cordoned", ms(s.EventToCordonMs)},
		{"event to last eviction", ms(s.EventToLastEvictionMs)},
		{"event to replacement Ready", ms(s.EventToReplacementReadyMs)},
		{"event to all pods Ready elsewhere", ms(s.EventToAllPodsReadyMs)},
		{"pods disrupted", fmt.Sprint(s.PodsDisrupted)},
		{"evictions refused by budgets, then retried", fmt.Sprint(s.EvictionsRefused)},
		{"PodDisruptionBudget violations", fmt.Sprint(s.PDBViolations)},
		{"outcome of the run", s.RunOutcome},
	} {
		fmt.Fprintf(w, "  %-44s %s\n", row[0], row[1])
	}
	if len(s.Failures) > 0 {
		fmt.Fprintf(w, "\nFAILED\n  %s\n", strings.Join(s.Failures, "\n  "))
	}
}

// JSON writes the summary as one line.
func (s *Summary) JSON(w io.Writer) error {
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\n", b)
	return err
}
