package fleet

// Workload is what runs in a cluster, or is to run, as its API server has it.
type Workload struct {
	Version string `json:"version"` // the API server's minor, "1.36"
	// Pods are all that are not finished, bound or not, each with its Demand. Pods of one template share one Demand: nobody
	// may write to it.
	Pods    []Pod    `json:"pods"`
	Daemons []Daemon `json:"daemons,omitempty"`
	Budgets []Budget `json:"budgets,omitempty"`
	// Incomplete says why parts could not be read, by part: "daemons", "budgets". Pods are never incomplete.
	Incomplete map[string]string `json:"incomplete,omitempty"`
}
