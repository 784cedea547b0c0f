package events

// KindPipelineSweepRequested has the pipeline function look at the approvals of pipelines that it answers itself.
const KindPipelineSweepRequested Kind = "PipelineSweepRequested"

func (PipelineSweepRequested) ownKind() Kind { return KindPipelineSweepRequested }

// PipelineSweepRequested asks for all approvals of pipelines that wait for an upgrade or a soak to be looked at. It is the
// input of a schedule, like ClusterSweepRequested: a soak ends by the clock, and no event says so.
type PipelineSweepRequested struct{}

func (p *PipelineSweepRequested) check(*Envelope) *fault { return nil }
