package codepipeline

import (
	"context"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

func (s *Service) stateOps() []wire.Op {
	return []wire.Op{
		wire.Handle("GetPipelineState", on(s, "GetPipelineState", func(in *nameIn) string { return in.Name }), s.getState),
		wire.Handle("GetPipelineExecution", on(s, "GetPipelineExecution", func(in *executionIn) string { return in.PipelineName }), s.getExecution),
		wire.Handle("ListPipelineExecutions", on(s, "ListPipelineExecutions", func(in *executionsIn) string { return in.PipelineName }), s.listExecutions),
		wire.Handle("ListActionExecutions", on(s, "ListActionExecutions", func(in *executionsIn) string { return in.PipelineName }), s.listActions),
	}
}

type errorDetails struct {
	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
}

type actionExecution struct {
	ActionExecutionID   string        `json:"actionExecutionId"`
	Status              string        `json:"status"`
	Summary             string        `json:"summary,omitempty"`
	LastStatusChange    *wire.Time    `json:"lastStatusChange"`
	Token               string        `json:"token,omitempty"`
	LastUpdatedBy       string        `json:"lastUpdatedBy,omitempty"`
	ExternalExecutionID string        `json:"externalExecutionId,omitempty"`
	PercentComplete     int           `json:"percentComplete,omitempty"`
	ErrorDetails        *errorDetails `json:"errorDetails,omitempty"`
}

type actionState struct {
	ActionName      string           `json:"actionName"`
	LatestExecution *actionExecution `json:"latestExecution,omitempty"`
}

type stageExecution struct {
	PipelineExecutionID string `json:"pipelineExecutionId"`
	Status              string `json:"status"`
	Type                string `json:"type"`
}

type transitionState struct {
	Enabled        bool       `json:"enabled"`
	LastChangedBy  string     `json:"lastChangedBy,omitempty"`
	LastChangedAt  *wire.Time `json:"lastChangedAt,omitempty"`
	DisabledReason string     `json:"disabledReason,omitempty"`
}

type stageState struct {
	StageName              string           `json:"stageName"`
	InboundExecution       *stageExecution  `json:"inboundExecution,omitempty"`
	InboundExecutions      []stageExecution `json:"inboundExecutions"`
	InboundTransitionState transitionState  `json:"inboundTransitionState"`
	ActionStates           []actionState    `json:"actionStates"`
	LatestExecution        *stageExecution  `json:"latestExecution,omitempty"`
}

type stateOut struct {
	PipelineName    string       `json:"pipelineName"`
	PipelineVersion int          `json:"pipelineVersion"`
	StageStates     []stageState `json:"stageStates"`
	Created         *wire.Time   `json:"created"`
	Updated         *wire.Time   `json:"updated"`
}

// now takes what a function has said meanwhile into the run.
func (r *run) now() *run {
	if r.lambda != nil && r.status == InProgress {
		st := r.lambda.state
		r.summary, r.outside, r.percent = st.Summary, st.ExecutionID, st.PercentComplete
	}
	return r
}

func (r *run) errorDetails() *errorDetails {
	if r.code == "" && r.message == "" {
		return nil
	}
	return &errorDetails{r.code, r.message}
}

func (s *Service) getState(_ context.Context, _ *wire.Call, in *nameIn) (*stateOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.pipeline(in.Name)
	if err != nil {
		return nil, err
	}
	out := &stateOut{PipelineName: in.Name, PipelineVersion: p.decl.Version, Created: wire.At(p.created), Updated: wire.At(p.updated)}
	for i, d := range p.decl.Stages {
		st := p.stage(d.Name)
		in := st.in
		if i > 0 && !in.disabled { // the way out of the stage before is the way into this one
			if before := p.stage(p.decl.Stages[i-1].Name).out; before.disabled {
				in = before
			}
		}
		state := stageState{StageName: d.Name, ActionStates: []actionState{}, InboundExecutions: []stageExecution{}, InboundTransitionState: transitionState{
			Enabled: !in.disabled, LastChangedBy: in.by, DisabledReason: in.reason,
		}}
		if !in.at.IsZero() {
			state.InboundTransitionState.LastChangedAt = wire.At(in.at)
		}
		for _, ex := range st.waiting {
			state.InboundExecutions = append(state.InboundExecutions, stageExecution{ex.id, InProgress, "STANDARD"})
			state.InboundExecution = &state.InboundExecutions[0]
		}
		if st.latest != nil {
			state.LatestExecution = &stageExecution{st.latest.ex.id, st.latest.status, "STANDARD"}
		}
		for _, a := range d.Actions {
			as := actionState{ActionName: a.Name}
			if r := st.actions[a.Name]; r != nil {
				r.now()
				as.LatestExecution = &actionExecution{r.id, r.status, r.summary, wire.At(r.updated), r.token, r.by, r.outside, r.percent, r.errorDetails()}
			}
			state.ActionStates = append(state.ActionStates, as)
		}
		out.StageStates = append(out.StageStates, state)
	}
	return out, nil
}

type executionIn struct {
	PipelineName        string `json:"pipelineName"`
	PipelineExecutionID string `json:"pipelineExecutionId"`
}

type trigger struct {
	TriggerType   string `json:"triggerType"`
	TriggerDetail string `json:"triggerDetail,omitempty"`
}

type resolvedVariable struct {
	Name          string `json:"name"`
	ResolvedValue string `json:"resolvedValue"`
}

type sourceRevision struct {
	ActionName      string `json:"actionName"`
	RevisionID      string `json:"revisionId"`
	RevisionSummary string `json:"revisionSummary"`
}

type artifactRevision struct {
	Name            string `json:"name"`
	RevisionID      string `json:"revisionId"`
	RevisionSummary string `json:"revisionSummary,omitempty"`
}

type executionData struct {
	PipelineName        string             `json:"pipelineName"`
	PipelineVersion     int                `json:"pipelineVersion"`
	PipelineExecutionID string             `json:"pipelineExecutionId"`
	Status              string             `json:"status"`
	StatusSummary       string             `json:"statusSummary,omitempty"`
	ArtifactRevisions   []artifactRevision `json:"artifactRevisions"`
	Variables           []resolvedVariable `json:"variables"`
	Trigger             trigger            `json:"trigger"`
	ExecutionMode       string             `json:"executionMode"`
	ExecutionType       string             `json:"executionType"`
}

type executionOut struct {
	PipelineExecution executionData `json:"pipelineExecution"`
}

func (s *Service) getExecution(_ context.Context, _ *wire.Call, in *executionIn) (*executionOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.pipeline(in.PipelineName)
	if err != nil {
		return nil, err
	}
	ex := p.execution(in.PipelineExecutionID)
	if ex == nil {
		return nil, wire.Errf("PipelineExecutionNotFoundException", "Pipeline '%s' does not have an execution with id '%s'", in.PipelineName, in.PipelineExecutionID)
	}
	out := executionData{
		PipelineName: p.decl.Name, PipelineVersion: ex.decl.Version, PipelineExecutionID: ex.id, Status: ex.status, StatusSummary: ex.stopReason,
		ArtifactRevisions: []artifactRevision{}, Variables: []resolvedVariable{}, Trigger: trigger{ex.trigger, ex.detail},
		ExecutionMode: ex.decl.ExecutionMode, ExecutionType: "STANDARD",
	}
	for _, v := range ex.decl.Variables {
		out.Variables = append(out.Variables, resolvedVariable{v.Name, ex.variables[v.Name]})
	}
	for _, r := range ex.runs {
		for _, o := range r.outputs {
			if o.revision != "" {
				out.ArtifactRevisions = append(out.ArtifactRevisions, artifactRevision{o.name, o.revision, r.summary})
			}
		}
	}
	return &executionOut{out}, nil
}

type executionsIn struct {
	PipelineName string `json:"pipelineName"`
	NextToken    string `json:"nextToken"`
	MaxResults   int    `json:"maxResults"`
	Filter       *struct {
		PipelineExecutionID       string    `json:"pipelineExecutionId"`
		LatestInPipelineExecution *struct{} `json:"latestInPipelineExecution"`
		SucceededInStage          *struct{} `json:"succeededInStage"`
	} `json:"filter"`
}

func (in *executionsIn) check() error {
	if in.Filter != nil && (in.Filter.LatestInPipelineExecution != nil || in.Filter.SucceededInStage != nil) {
		return notImplemented("the filters latestInPipelineExecution and succeededInStage")
	}
	return nil
}

type executionSummary struct {
	PipelineExecutionID string            `json:"pipelineExecutionId"`
	Status              string            `json:"status"`
	StartTime           *wire.Time        `json:"startTime"`
	LastUpdateTime      *wire.Time        `json:"lastUpdateTime"`
	SourceRevisions     []sourceRevision  `json:"sourceRevisions"`
	Trigger             trigger           `json:"trigger"`
	StopTrigger         map[string]string `json:"stopTrigger,omitempty"`
	ExecutionMode       string            `json:"executionMode"`
	ExecutionType       string            `json:"executionType"`
}

type executionsOut struct {
	PipelineExecutionSummaries []executionSummary `json:"pipelineExecutionSummaries"`
	NextToken                  string             `json:"nextToken,omitempty"`
}

func (s *Service) listExecutions(_ context.Context, _ *wire.Call, in *executionsIn) (*executionsOut, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.pipeline(in.PipelineName)
	if err != nil {
		return nil, err
	}
	list, next, err := page(newestFirst(p.executions, func(e *execution) time.Time { return e.started }), in.NextToken, in.MaxResults, 100)
	if err != nil {
		return nil, err
	}
	out := &executionsOut{PipelineExecutionSummaries: []executionSummary{}, NextToken: next}
	for _, ex := range list {
		e := executionSummary{
			PipelineExecutionID: ex.id, Status: ex.status, StartTime: wire.At(ex.started), LastUpdateTime: wire.At(ex.updated),
			SourceRevisions: append([]sourceRevision{}, ex.revisions...), Trigger: trigger{ex.trigger, ex.detail}, ExecutionMode: ex.decl.ExecutionMode, ExecutionType: "STANDARD",
		}
		if ex.stopReason != "" {
			e.StopTrigger = map[string]string{"reason": ex.stopReason}
		}
		out.PipelineExecutionSummaries = append(out.PipelineExecutionSummaries, e)
	}
	return out, nil
}
