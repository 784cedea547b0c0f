package codepipeline

import (
	"context"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// API is the service for the gateway.
func (s *Service) API() *wire.Service {
	return &wire.Service{
		Name: "codepipeline", Protocol: wire.JSON11, TargetPrefix: "CodePipeline_20150709",
		Ops: slices.Concat(s.pipelineOps(), s.executionOps(), s.stateOps(), []wire.Op{
			wire.Handle("PutJobSuccessResult", wire.On[successIn]("codepipeline:PutJobSuccessResult", "*"), s.putSuccess),
			wire.Handle("PutJobFailureResult", wire.On[failureIn]("codepipeline:PutJobFailureResult", "*"), s.putFailure),
			wire.Handle("GetJobDetails", wire.On[detailsIn]("codepipeline:GetJobDetails", "*"), s.getDetails),
		}),
	}
}

type none struct{}

type executionDetails struct {
	Summary             string `json:"summary"`
	ExternalExecutionID string `json:"externalExecutionId"`
	PercentComplete     int    `json:"percentComplete"`
}

type successIn struct {
	JobID             string            `json:"jobId"`
	ContinuationToken *string           `json:"continuationToken"`
	CurrentRevision   *struct{}         `json:"currentRevision"`
	ExecutionDetails  *executionDetails `json:"executionDetails"`
	OutputVariables   map[string]string `json:"outputVariables"`
}

// maxVariables is the most bytes of names and values of output variables.
const maxVariables = 122_880

func invalid(format string, args ...any) error {
	return wire.Errf("ValidationException", format, args...)
}

func (in *successIn) check() error {
	size := 0
	for k, v := range in.OutputVariables {
		size += len(k) + len(v)
	}
	switch {
	case in.CurrentRevision != nil:
		return wire.Errf("NotImplemented", "PutJobSuccessResult: the embedded cloud does not implement currentRevision").WithStatus(501)
	case in.ContinuationToken != nil && (*in.ContinuationToken == "" || utf8.RuneCountInString(*in.ContinuationToken) > 2048):
		return invalid("1 validation error detected: Value at 'continuationToken' failed to satisfy constraint: Member must have length between 1 and 2048")
	case in.ContinuationToken != nil && len(in.OutputVariables) > 0:
		return invalid("Output variables cannot be included when there is a continuation token on the request")
	case size > maxVariables:
		return wire.Errf("OutputVariablesSizeExceededException", "The total size of the output variables exceeds %d bytes.", maxVariables)
	}
	return nil
}

func (s *Service) putSuccess(_ context.Context, _ *wire.Call, in *successIn) (*none, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	j, err := s.find(in.JobID)
	if err != nil {
		return nil, err
	}
	state := &j.action.state
	if d := in.ExecutionDetails; d != nil {
		state.Summary, state.ExecutionID, state.PercentComplete = d.Summary, d.ExternalExecutionID, d.PercentComplete
	}
	if in.ContinuationToken != nil {
		state.Token, j.action.current = *in.ContinuationToken, nil
		s.proceed(j.action)
		return &none{}, nil
	}
	state.OutputVariables = in.OutputVariables
	j.action.end(Succeeded)
	return &none{}, nil
}

type failureIn struct {
	JobID          string `json:"jobId"`
	FailureDetails *struct {
		Type                string `json:"type"`
		Message             string `json:"message"`
		ExternalExecutionID string `json:"externalExecutionId"`
	} `json:"failureDetails"`
}

var failureTypes = []string{"JobFailed", "ConfigurationError", "PermissionError", "RevisionOutOfSync", "RevisionUnavailable", "SystemUnavailable"}

func (s *Service) putFailure(_ context.Context, _ *wire.Call, in *failureIn) (*none, error) {
	d := in.FailureDetails
	switch {
	case d == nil:
		return nil, invalid("1 validation error detected: Value null at 'failureDetails' failed to satisfy constraint: Member must not be null")
	case !slices.Contains(failureTypes, d.Type):
		return nil, invalid("1 validation error detected: Value '%s' at 'failureDetails.type' failed to satisfy constraint: Member must satisfy enum value set: [%s]", d.Type, strings.Join(failureTypes, ", "))
	case d.Message == "" || utf8.RuneCountInString(d.Message) > 5000:
		return nil, invalid("1 validation error detected: Value at 'failureDetails.message' failed to satisfy constraint: Member must have length between 1 and 5000")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	j, err := s.find(in.JobID)
	if err != nil {
		return nil, err
	}
	state := &j.action.state
	state.FailureType, state.FailureMessage = d.Type, d.Message
	if d.ExternalExecutionID != "" {
		state.ExecutionID = d.ExternalExecutionID
	}
	j.action.end(Failed)
	return &none{}, nil
}

type credentials struct {
	AccessKeyID     string `json:"accessKeyId"`
	SecretAccessKey string `json:"secretAccessKey"`
	SessionToken    string `json:"sessionToken"`
}

type configuration struct {
	Configuration map[string]string `json:"configuration"`
}

type location struct {
	Type       string `json:"type"`
	S3Location struct {
		BucketName string `json:"bucketName"`
		ObjectKey  string `json:"objectKey"`
	} `json:"s3Location"`
}

type jobArtifact struct {
	Name     string   `json:"name"`
	Revision *string  `json:"revision"`
	Location location `json:"location"`
}

func jobArtifacts(list []artifact) []jobArtifact {
	out := []jobArtifact{}
	for _, a := range list {
		j := jobArtifact{Name: a.name, Location: location{Type: "S3"}}
		if a.revision != "" {
			j.Revision = &a.revision
		}
		j.Location.S3Location.BucketName, j.Location.S3Location.ObjectKey = a.bucket, a.key
		out = append(out, j)
	}
	return out
}

// data is a job's data as the function gets it.
type data struct {
	ActionConfiguration configuration `json:"actionConfiguration"`
	InputArtifacts      []jobArtifact `json:"inputArtifacts"`
	OutputArtifacts     []jobArtifact `json:"outputArtifacts"`
	ArtifactCredentials credentials   `json:"artifactCredentials"`
	ContinuationToken   string        `json:"continuationToken,omitempty"`
}

func (j *job) data() data {
	c := map[string]string{"FunctionName": j.action.function}
	if j.action.parameters != "" {
		c["UserParameters"] = j.action.parameters
	}
	d := data{ActionConfiguration: configuration{c}, InputArtifacts: []jobArtifact{}, OutputArtifacts: []jobArtifact{}, ArtifactCredentials: j.credentials, ContinuationToken: j.token}
	if r := j.action.run; r != nil {
		d.InputArtifacts, d.OutputArtifacts = jobArtifacts(r.inputs), jobArtifacts(r.outputs)
	}
	return d
}

type detailsIn struct {
	JobID string `json:"jobId"`
}

type detailedData struct {
	data
	ActionTypeID    map[string]string `json:"actionTypeId"`
	PipelineContext map[string]any    `json:"pipelineContext"`
}

type details struct {
	ID        string       `json:"id"`
	AccountID string       `json:"accountId"`
	Data      detailedData `json:"data"`
}

type detailsOut struct {
	JobDetails details `json:"jobDetails"`
}

func (s *Service) getDetails(_ context.Context, _ *wire.Call, in *detailsIn) (*detailsOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	j := s.jobs[in.JobID]
	if j == nil {
		return nil, wire.Errf("JobNotFoundException", "Could not find job with id: %s", in.JobID)
	}
	name, execution, stageName, actionName := "embedded", j.action.id, "Invoke", "Invoke"
	if r := j.action.run; r != nil {
		name, execution, stageName, actionName = r.ex.decl.Name, r.ex.id, r.in.decl.Name, r.decl.Name
	}
	return &detailsOut{details{j.id, s.w.Account, detailedData{
		data: j.data(), ActionTypeID: map[string]string{"category": "Invoke", "owner": "AWS", "provider": "Lambda", "version": "1"},
		PipelineContext: map[string]any{
			"pipelineName": name, "pipelineArn": s.arn(name), "pipelineExecutionId": execution,
			"stage": map[string]string{"name": stageName}, "action": map[string]string{"name": actionName, "actionExecutionId": j.action.id},
		},
	}}}, nil
}
