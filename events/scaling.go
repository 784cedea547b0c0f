package events

import "time"

// What the scaling function is told, and tells itself.
const (
	KindScalingRequested      Kind = "ScalingRequested"
	KindScalingSweepRequested Kind = "ScalingSweepRequested"
	KindScalingContinuation   Kind = "ScalingContinuation"
)

func (ScalingRequested) ownKind() Kind      { return KindScalingRequested }
func (ScalingSweepRequested) ownKind() Kind { return KindScalingSweepRequested }
func (ScalingContinuation) ownKind() Kind   { return KindScalingContinuation }

// Values of ScalingRequested.Source.
const (
	ScalingSourceWebhook = "webhook" // the doorbell in the cluster
	ScalingSourceLogs    = "logs"    // the scheduler's log
	ScalingSourceCLI     = "cli"     // somebody
	// ScalingSourceInterruption is the interruption function: pods are about to lose their node.
	ScalingSourceInterruption = "interruption"
)

// ScalingRequested says that a cluster's nodes may not be what its pods need: a look is due. It is a hint and carries
// nothing to be believed: the scaling function lists the pods itself.
type ScalingRequested struct {
	Cluster string `json:"cluster"`
	Region  string `json:"region,omitempty"` // empty: the function's own
	// Source is who says so, such as ScalingSourceWebhook.
	Source string `json:"source"`
	// SeenAt is when the first signal of those came that this one stands for.
	SeenAt time.Time `json:"seenAt"`
}

func (p *ScalingRequested) check(*Envelope) *fault {
	if p.SeenAt.IsZero() {
		return missing("seenAt")
	}
	return required("cluster", p.Cluster, "source", p.Source)
}

// ScalingSweepRequested asks for the nodes of every cluster to be looked at, in case a signal was lost, and because nobody
// rings when nodes have nothing to do. It is the input of a schedule, like ClusterSweepRequested.
type ScalingSweepRequested struct{}

func (p *ScalingSweepRequested) check(*Envelope) *fault { return nil }

// ScalingContinuation is the scaling function's note to itself to look at a cluster's nodes again.
type ScalingContinuation struct {
	RunID   string `json:"runId"`
	Cluster string `json:"cluster"`
	Region  string `json:"region,omitempty"` // empty: the function's own
	// StartedAt is when the run began, SeenAt when the signal came that began it; zero for a sweep.
	StartedAt time.Time `json:"startedAt"`
	SeenAt    time.Time `json:"seenAt,omitzero"`
	// Attempt counts the looks so far.
	Attempt int `json:"attempt"`
}

func (p *ScalingContinuation) check(*Envelope) *fault {
	if err := required("runId", p.RunID, "cluster", p.Cluster); err != nil {
		return err
	}
	return checkRun(p.StartedAt, p.Attempt)
}
