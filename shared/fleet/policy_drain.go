package fleet

import "time"

// DrainMode is whether interruptions are answered, or only looked at.
type DrainMode string

// The modes.
const (
	DrainAct     DrainMode = "Act"
	DrainObserve DrainMode = "Observe" // everything is read, the plan is reported, and nothing is written
)

// LongGrace is what becomes of a grace period that is longer than its machine's time.
type LongGrace string

// A pod whose grace is cut has gone from the API before its machine has, so that its controller makes the next one while there is
// time. With all of it the pod has a few seconds more, and is found dead with its node.
const (
	GraceClamp LongGrace = "Clamp"
	GraceFull  LongGrace = "Full"
)

// BarePods is what a drain by choice does with pods that have no controller: nobody makes them anew.
type BarePods string

// Bare pods stay unless the policy says otherwise, as kubectl drain has it.
const (
	BarePodsKeep  BarePods = "Keep"
	BarePodsEvict BarePods = "Evict"
)

// JobPods is what a drain by choice does with pods of Jobs: their work begins anew elsewhere, and counts as a failure there.
type JobPods string

// Jobs are waited for unless the policy says otherwise.
const (
	JobPodsWait  JobPods = "Wait"
	JobPodsEvict JobPods = "Evict"
)

// DrainPolicy says how far drains go. It is a part of InterruptionPolicy.
type DrainPolicy struct {
	// Mode is whether anything is done.
	Mode DrainMode `json:"mode"`
	// RebalancePatience is how long after a rebalance recommendation a node is kept out of use: if no warning has come by
	// then, it is given back.
	RebalancePatience time.Duration `json:"rebalancePatience"`
	// ReplacePatience is how long ReplaceThenDrain waits for the new node before it drains without it.
	ReplacePatience time.Duration `json:"replacePatience"`
	LongGrace       LongGrace     `json:"longGrace"`
	BarePods        BarePods      `json:"barePods"`
	Jobs            JobPods       `json:"jobs"`
	// JobPatience is how long a drain by choice waits for Jobs, from its event on.
	JobPatience time.Duration `json:"jobPatience"`
	// OutOfService puts node.kubernetes.io/out-of-service on the node of a machine that has stopped with pods or volumes on it, so
	// that Kubernetes gives them free at once.
	OutOfService bool `json:"outOfService,omitempty"`
}

// DefaultDrainPolicy is safe in production. An hour's patience: of 30 recommendations of one night 21 were followed by nothing, and
// those that were by a warning 17 minutes to 8 h 42 min later (aws-node-termination-handler issue 141). No patience that is worth
// its price covers the late ones, and they have their two minutes in any case.
func DefaultDrainPolicy() DrainPolicy {
	return DrainPolicy{
		Mode: DrainAct, RebalancePatience: time.Hour, ReplacePatience: 10 * time.Minute,
		LongGrace: GraceClamp, BarePods: BarePodsKeep, Jobs: JobPodsWait, JobPatience: 30 * time.Minute,
	}
}

// Grown is a policy that was kept before it had all its parts, with the defaults of those.
func (p InterruptionPolicy) Grown() InterruptionPolicy {
	if p.Mode == "" {
		p.DrainPolicy = DefaultDrainPolicy()
	}
	return p
}
