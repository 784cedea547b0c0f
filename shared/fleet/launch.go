package fleet

// GroupSize is an Auto Scaling group's.
type GroupSize struct {
	Min     int `json:"min"`
	Max     int `json:"max"`
	Desired int `json:"desired"`
}

// Launched is what came of asking EC2 for machines at once.
type Launched struct {
	Instances []string        `json:"instances,omitempty"` // ids
	Failures  []LaunchFailure `json:"failures,omitempty"`  // of pools that EC2 tried and had nothing of
}

// LaunchFailure is an offering that EC2 could not launch.
type LaunchFailure struct {
	Code string `json:"code"` // EC2's: InsufficientInstanceCapacity, VcpuLimitExceeded, …
	Text string `json:"text"`
	Type string `json:"type,omitempty"`
	Zone string `json:"zone,omitempty"`
	Spot bool   `json:"spot,omitempty"`
}
