package codepipeline

import (
	"context"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

type artifactDetail struct {
	Name       string            `json:"name"`
	S3Location map[string]string `json:"s3location"`
}

type actionInput struct {
	ActionTypeID          actionType        `json:"actionTypeId"`
	Configuration         map[string]string `json:"configuration"`
	ResolvedConfiguration map[string]string `json:"resolvedConfiguration"`
	Region                string            `json:"region"`
	InputArtifacts        []artifactDetail  `json:"inputArtifacts"`
	Namespace             string            `json:"namespace,omitempty"`
}

type actionResult struct {
	ExternalExecutionID      string        `json:"externalExecutionId,omitempty"`
	ExternalExecutionSummary string        `json:"externalExecutionSummary,omitempty"`
	ErrorDetails             *errorDetails `json:"errorDetails,omitempty"`
}

type actionOutput struct {
	OutputArtifacts []artifactDetail  `json:"outputArtifacts"`
	ExecutionResult actionResult      `json:"executionResult"`
	OutputVariables map[string]string `json:"outputVariables"`
}

type actionDetail struct {
	PipelineExecutionID string       `json:"pipelineExecutionId"`
	ActionExecutionID   string       `json:"actionExecutionId"`
	PipelineVersion     int          `json:"pipelineVersion"`
	StageName           string       `json:"stageName"`
	ActionName          string       `json:"actionName"`
	StartTime           *wire.Time   `json:"startTime"`
	LastUpdateTime      *wire.Time   `json:"lastUpdateTime"`
	UpdatedBy           string       `json:"updatedBy,omitempty"`
	Status              string       `json:"status"`
	Input               actionInput  `json:"input"`
	Output              actionOutput `json:"output"`
}

type actionsOut struct {
	ActionExecutionDetails []actionDetail `json:"actionExecutionDetails"`
	NextToken              string         `json:"nextToken,omitempty"`
}

func locations(list []artifact) []artifactDetail {
	out := []artifactDetail{}
	for _, a := range list {
		out = append(out, artifactDetail{a.name, map[string]string{"bucket": a.bucket, "key": a.key}})
	}
	return out
}

func (s *Service) listActions(_ context.Context, _ *wire.Call, in *executionsIn) (*actionsOut, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.pipeline(in.PipelineName)
	if err != nil {
		return nil, err
	}
	var all []*run
	found := in.Filter == nil || in.Filter.PipelineExecutionID == ""
	for _, ex := range p.executions {
		if in.Filter == nil || in.Filter.PipelineExecutionID == "" || in.Filter.PipelineExecutionID == ex.id {
			all, found = append(all, ex.runs...), true
		}
	}
	if !found {
		return nil, wire.Errf("PipelineExecutionNotFoundException", "Pipeline '%s' does not have an execution with id '%s'", in.PipelineName, in.Filter.PipelineExecutionID)
	}
	list, next, err := page(newestFirst(all, func(r *run) time.Time { return r.started }), in.NextToken, in.MaxResults, 100)
	if err != nil {
		return nil, err
	}
	out := &actionsOut{ActionExecutionDetails: []actionDetail{}, NextToken: next}
	for _, r := range list {
		r.now()
		out.ActionExecutionDetails = append(out.ActionExecutionDetails, actionDetail{
			PipelineExecutionID: r.ex.id, ActionExecutionID: r.id, PipelineVersion: r.ex.decl.Version, StageName: r.in.decl.Name, ActionName: r.decl.Name,
			StartTime: wire.At(r.started), LastUpdateTime: wire.At(r.updated), UpdatedBy: r.by, Status: r.status,
			Input:  actionInput{r.decl.ActionTypeID, r.decl.Configuration, r.resolved, s.w.Region, locations(r.inputs), r.decl.Namespace},
			Output: actionOutput{locations(r.outputs), actionResult{r.outside, r.summary, r.errorDetails()}, r.variables},
		})
	}
	return out, nil
}
