package codepipeline

import (
	"context"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

func (s *Service) executionOps() []wire.Op {
	stageOf := func(in *stageIn) string { return in.PipelineName + "/" + in.StageName }
	return []wire.Op{
		wire.Handle("StartPipelineExecution", on(s, "StartPipelineExecution", func(in *startIn) string { return in.Name }), s.startExecution),
		wire.Handle("StopPipelineExecution", on(s, "StopPipelineExecution", func(in *stopIn) string { return in.PipelineName }), s.stopExecution),
		wire.Handle("RetryStageExecution", on(s, "RetryStageExecution", stageOf), s.retryStage),
		wire.Handle("EnableStageTransition", on(s, "EnableStageTransition", stageOf), s.enableTransition),
		wire.Handle("DisableStageTransition", on(s, "DisableStageTransition", stageOf), s.disableTransition),
		wire.Handle("PutApprovalResult", on(s, "PutApprovalResult", func(in *approvalIn) string {
			return in.PipelineName + "/" + in.StageName + "/" + in.ActionName
		}), s.putApproval),
	}
}

type pair struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type sourceRevisionOverride struct {
	ActionName    string `json:"actionName"`
	RevisionType  string `json:"revisionType"`
	RevisionValue string `json:"revisionValue"`
}

type startIn struct {
	Name               string                   `json:"name"`
	Variables          []pair                   `json:"variables"`
	ClientRequestToken string                   `json:"clientRequestToken"`
	SourceRevisions    []sourceRevisionOverride `json:"sourceRevisions"`
}

type idOut struct {
	PipelineExecutionID string `json:"pipelineExecutionId"`
}

// values are those of the pipeline's variables in an execution.
func (p *pipeline) values(given []pair) (map[string]string, error) {
	out := map[string]string{}
	for _, v := range p.decl.Variables {
		out[v.Name] = v.DefaultValue
	}
	for _, g := range given {
		if _, ok := out[g.Name]; !ok {
			return nil, invalid("Variable '%s' is not declared by the pipeline", g.Name)
		}
		out[g.Name] = g.Value
	}
	for name, value := range out {
		if value == "" {
			return nil, invalid("Variable '%s' has no default value, and must be given one", name)
		}
	}
	return out, nil
}

// maxQueued is AWS's quota of executions that wait or run in mode QUEUED.
const maxQueued = 50

func (s *Service) startExecution(_ context.Context, call *wire.Call, in *startIn) (*idOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.pipeline(in.Name)
	if err != nil {
		return nil, err
	}
	variables, err := p.values(in.Variables)
	if err != nil {
		return nil, err
	}
	overrides := map[string]sourceRevisionOverride{}
	for _, o := range in.SourceRevisions {
		if err := p.decl.checkOverride(o); err != nil {
			return nil, err
		}
		overrides[o.ActionName] = o
	}
	if in.ClientRequestToken != "" {
		if id := s.started[in.Name+" "+in.ClientRequestToken]; id != "" {
			return &idOut{id}, nil
		}
	}
	running := 0
	for _, ex := range p.executions {
		if ex.status == InProgress || ex.status == stopping {
			running++
		}
	}
	if p.decl.ExecutionMode == "QUEUED" && running >= maxQueued {
		return nil, wire.Errf("ConcurrentPipelineExecutionsLimitExceededException", "The pipeline has reached the limit for concurrent pipeline executions.")
	}
	ex := s.begin(p, "StartPipelineExecution", call.Caller.ARN, variables, overrides)
	if in.ClientRequestToken != "" {
		s.started[in.Name+" "+in.ClientRequestToken] = ex.id
	}
	return &idOut{ex.id}, nil
}

func (d declaration) checkOverride(o sourceRevisionOverride) error {
	for _, a := range d.Stages[0].Actions {
		if a.Name != o.ActionName {
			continue
		}
		switch {
		case o.RevisionType != "S3_OBJECT_VERSION_ID" && o.RevisionType != "S3_OBJECT_KEY":
			return invalid("Source revision type %s is not valid for source action %s", o.RevisionType, o.ActionName)
		case o.RevisionType == "S3_OBJECT_KEY" && a.Configuration["AllowOverrideForS3ObjectKey"] != "true":
			return invalid("Source action %s does not allow its object key to be overridden", o.ActionName)
		}
		return nil
	}
	return invalid("Source action %s does not exist in the pipeline", o.ActionName)
}

type stopIn struct {
	PipelineName        string `json:"pipelineName"`
	PipelineExecutionID string `json:"pipelineExecutionId"`
	Abandon             bool   `json:"abandon"`
	Reason              string `json:"reason"`
}

func (s *Service) stopExecution(_ context.Context, _ *wire.Call, in *stopIn) (*idOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.pipeline(in.PipelineName)
	if err != nil {
		return nil, err
	}
	ex := p.execution(in.PipelineExecutionID)
	switch {
	case ex == nil || ex.status != InProgress && ex.status != stopping:
		return nil, wire.Errf("PipelineExecutionNotStoppableException", "Pipeline execution %s cannot be stopped", in.PipelineExecutionID)
	case ex.status == stopping && !in.Abandon:
		return nil, wire.Errf("DuplicatedStopRequestException", "Pipeline execution %s is already being stopped", in.PipelineExecutionID)
	}
	s.stop(ex, in.Abandon, in.Reason)
	return &idOut{ex.id}, nil
}

type stageIn struct {
	PipelineName        string `json:"pipelineName"`
	StageName           string `json:"stageName"`
	PipelineExecutionID string `json:"pipelineExecutionId"`
	RetryMode           string `json:"retryMode"`
	TransitionType      string `json:"transitionType"`
	Reason              string `json:"reason"`
}

// stageOf finds a stage of the pipeline as it is now. The caller holds s.mu.
func (s *Service) stageOf(pipelineName, stageName string) (*pipeline, *stage, int, error) {
	p, err := s.pipeline(pipelineName)
	if err != nil {
		return nil, nil, 0, err
	}
	for i, d := range p.decl.Stages {
		if d.Name == stageName {
			return p, p.stage(stageName), i, nil
		}
	}
	return nil, nil, 0, wire.Errf("StageNotFoundException", "Pipeline '%s' does not have a stage with name '%s'", pipelineName, stageName)
}

func (s *Service) retryStage(_ context.Context, _ *wire.Call, in *stageIn) (*idOut, error) {
	if in.RetryMode != "FAILED_ACTIONS" && in.RetryMode != "ALL_ACTIONS" {
		return nil, invalid("1 validation error detected: Value '%s' at 'retryMode' failed to satisfy constraint: Member must satisfy enum value set: [FAILED_ACTIONS, ALL_ACTIONS]", in.RetryMode)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p, st, _, err := s.stageOf(in.PipelineName, in.StageName)
	switch {
	case err != nil:
		return nil, err
	case st.latest == nil || st.latest.ex.id != in.PipelineExecutionID:
		return nil, wire.Errf("NotLatestPipelineExecutionException", "The pipeline execution %s is not the latest in stage %s", in.PipelineExecutionID, in.StageName)
	case st.latest.status != Failed && st.latest.status != stopped || st.latest.ex.decl.Version != p.decl.Version:
		return nil, wire.Errf("StageNotRetryableException", "Stage %s cannot be retried: it has not failed, or the pipeline was changed since", in.StageName)
	}
	s.retry(st.latest, in.RetryMode == "ALL_ACTIONS")
	return &idOut{in.PipelineExecutionID}, nil
}

func (in *stageIn) side(st *stage) (*transition, error) {
	switch in.TransitionType {
	case "Inbound":
		return &st.in, nil
	case "Outbound":
		return &st.out, nil
	}
	return nil, invalid("1 validation error detected: Value '%s' at 'transitionType' failed to satisfy constraint: Member must satisfy enum value set: [Inbound, Outbound]", in.TransitionType)
}

func (s *Service) enableTransition(_ context.Context, call *wire.Call, in *stageIn) (*none, error) {
	return s.setTransition(call, in, false)
}

var reasons = regexp.MustCompile(`^[a-zA-Z0-9!@ ().*?-]{1,300}$`)

func (s *Service) disableTransition(_ context.Context, call *wire.Call, in *stageIn) (*none, error) {
	if !reasons.MatchString(in.Reason) {
		return nil, invalid(`1 validation error detected: Value '%s' at 'reason' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9!@ \(\)\.\*\?\-]+`, in.Reason)
	}
	return s.setTransition(call, in, true)
}

func (s *Service) setTransition(call *wire.Call, in *stageIn, disabled bool) (*none, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, st, i, err := s.stageOf(in.PipelineName, in.StageName)
	if err != nil {
		return nil, err
	}
	t, err := in.side(st)
	if err != nil {
		return nil, err
	}
	*t = transition{disabled: disabled, reason: in.Reason, by: call.Caller.ARN, at: time.Now()}
	s.pump(p, st)
	if i+1 < len(p.decl.Stages) {
		s.pump(p, p.stage(p.decl.Stages[i+1].Name))
	}
	return &none{}, nil
}

type approvalIn struct {
	PipelineName string `json:"pipelineName"`
	StageName    string `json:"stageName"`
	ActionName   string `json:"actionName"`
	Token        string `json:"token"`
	Result       *struct {
		Summary *string `json:"summary"`
		Status  string  `json:"status"`
	} `json:"result"`
}

type approvalOut struct {
	ApprovedAt *wire.Time `json:"approvedAt"`
}

func (s *Service) putApproval(_ context.Context, call *wire.Call, in *approvalIn) (*approvalOut, error) {
	switch {
	case in.Result == nil || in.Result.Summary == nil || len([]rune(*in.Result.Summary)) > 512:
		return nil, invalid("1 validation error detected: Value at 'result.summary' failed to satisfy constraint: Member must have length between 0 and 512")
	case in.Result.Status != "Approved" && in.Result.Status != "Rejected":
		return nil, invalid("1 validation error detected: Value '%s' at 'result.status' failed to satisfy constraint: Member must satisfy enum value set: [Approved, Rejected]", in.Result.Status)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p, st, i, err := s.stageOf(in.PipelineName, in.StageName)
	if err != nil {
		return nil, err
	}
	known := false
	for _, a := range p.decl.Stages[i].Actions {
		known = known || a.Name == in.ActionName
	}
	if !known {
		return nil, wire.Errf("ActionNotFoundException", "Stage '%s' of pipeline '%s' does not have an action with name '%s'", in.StageName, in.PipelineName, in.ActionName)
	}
	r := st.actions[in.ActionName]
	switch {
	case s.used[in.Token] == st:
		return nil, wire.Errf("ApprovalAlreadyCompletedException", "The approval action has already been approved or rejected.")
	case r == nil || r.token == "" || r.token != in.Token:
		return nil, wire.Errf("InvalidApprovalTokenException", "The approval token is not valid")
	}
	s.used[in.Token] = st
	r.by, r.summary = call.Caller.ARN, *in.Result.Summary
	now := time.Now()
	if in.Result.Status == "Approved" {
		s.finish(r, Succeeded)
	} else {
		s.finish(r, Failed)
	}
	return &approvalOut{wire.At(now)}, nil
}

// page cuts a page out of a list. The token is the place where the next one begins.
func page[T any](list []T, token string, limit, most int) ([]T, string, error) {
	from := 0
	if token != "" {
		var err error
		if from, err = strconv.Atoi(strings.TrimPrefix(token, "at-")); err != nil || from < 0 || from > len(list) {
			return nil, "", wire.Errf("InvalidNextTokenException", "The next token is not valid")
		}
	}
	if limit < 0 || limit > most {
		return nil, "", invalid("1 validation error detected: Value '%d' at 'maxResults' failed to satisfy constraint: Member must have value between 1 and %d", limit, most)
	}
	if limit == 0 {
		limit = most
	}
	to := min(from+limit, len(list))
	if to == len(list) {
		return list[from:], "", nil
	}
	return list[from:to], "at-" + strconv.Itoa(to), nil
}
