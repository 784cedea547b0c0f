package fleet

// GroupState is an Auto Scaling group with its machines.
type GroupState struct {
	Name    string `json:"name"`
	Desired int    `json:"desired"`
	// InService are the instances that it counts as running.
	InService []string `json:"inService,omitempty"`
	// Rebalances: capacity rebalancing is on, so that Auto Scaling launches replacements on rebalance recommendations, and
	// ends the old machines.
	Rebalances bool `json:"rebalances,omitempty"`
}

// Claim names a PersistentVolumeClaim.
type Claim struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

// Attachment is a volume that is attached to a node, or about to be: a VolumeAttachment.
type Attachment struct {
	Volume string `json:"volume"` // the PersistentVolume's name, or the attachment's for one without
	Node   string `json:"node"`
}
