package codepipeline

import "time"

// Events is the default event bus of the Region.
type Events interface {
	Emit(source, detailType string, resources []string, detail any)
}

// told is the detail of an event about a pipeline's execution, one of its stages or one of its actions.
type told struct {
	Pipeline          string      `json:"pipeline"`
	ExecutionID       string      `json:"execution-id"`
	ActionExecutionID string      `json:"action-execution-id,omitempty"`
	StartTime         string      `json:"start-time"`
	Stage             string      `json:"stage,omitempty"`
	Action            string      `json:"action,omitempty"`
	State             string      `json:"state"`
	Region            string      `json:"region,omitempty"`
	Type              *actionType `json:"type,omitempty"`
	Result            *toldResult `json:"execution-result,omitempty"`
	Version           int         `json:"version"`
	Attempt           int         `json:"pipeline-execution-attempt"`
}

type toldResult struct {
	Summary   string `json:"external-execution-summary,omitempty"`
	ID        string `json:"external-execution-id,omitempty"`
	ErrorCode string `json:"error-code,omitempty"`
}

func (s *Service) tell(kind string, ex *execution, d told) {
	if s.near.Events == nil {
		return
	}
	d.Pipeline, d.ExecutionID, d.Version, d.Attempt = ex.decl.Name, ex.id, ex.decl.Version, ex.attempt
	s.near.Events.Emit("aws.codepipeline", "CodePipeline "+kind+" Execution State Change", []string{s.arn(ex.decl.Name)}, d)
}

func (s *Service) tellPipeline(ex *execution, state string) {
	s.tell("Pipeline", ex, told{State: state, StartTime: ex.started.UTC().Format(time.RFC3339)})
}

func (s *Service) tellStage(sr *stageRun, state string) {
	s.tell("Stage", sr.ex, told{Stage: sr.decl.Name, State: state, StartTime: sr.ex.started.UTC().Format(time.RFC3339)})
}

func (s *Service) tellAction(r *run, state string) {
	d := told{Stage: r.in.decl.Name, Action: r.decl.Name, ActionExecutionID: r.id, State: state, Region: s.w.Region, Type: &r.decl.ActionTypeID,
		StartTime: r.started.UTC().Format(time.RFC3339)}
	if r.status == Failed || r.outside != "" {
		summary := r.message
		if summary == "" {
			summary = r.summary
		}
		d.Result = &toldResult{Summary: summary, ID: r.outside, ErrorCode: r.code}
	}
	s.tell("Action", r.ex, d)
}

func (s *Service) arn(pipeline string) string { return s.w.ARN("codepipeline", pipeline) }
