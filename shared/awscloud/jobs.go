package awscloud

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/codepipeline"
	"github.com/aws/aws-sdk-go-v2/service/codepipeline/types"
)

// Jobs answers the jobs of CodePipeline's Lambda actions.
type Jobs struct{ api *codepipeline.Client }

// NewJobs makes Jobs.
func NewJobs(cfg Config) *Jobs { return &Jobs{codepipeline.NewFromConfig(cfg)} }

// Continue says that a job is not finished: CodePipeline asks again, with the token.
func (j *Jobs) Continue(ctx context.Context, id, token, summary string) error {
	_, err := j.api.PutJobSuccessResult(ctx, &codepipeline.PutJobSuccessResultInput{
		JobId: &id, ContinuationToken: &token, ExecutionDetails: &types.ExecutionDetails{Summary: optional(summary)},
	})
	return classify("codepipeline:PutJobSuccessResult", err)
}

// Succeed ends a job well, with variables for the actions that follow.
func (j *Jobs) Succeed(ctx context.Context, id string, variables map[string]string, summary string) error {
	_, err := j.api.PutJobSuccessResult(ctx, &codepipeline.PutJobSuccessResultInput{
		JobId: &id, OutputVariables: variables, ExecutionDetails: &types.ExecutionDetails{Summary: optional(summary)},
	})
	return classify("codepipeline:PutJobSuccessResult", err)
}

// Fail ends a job badly. The kind is one of CodePipeline's FailureTypes.
func (j *Jobs) Fail(ctx context.Context, id, kind, message string) error {
	_, err := j.api.PutJobFailureResult(ctx, &codepipeline.PutJobFailureResultInput{
		JobId: &id, FailureDetails: &types.FailureDetails{Type: types.FailureType(kind), Message: &message},
	})
	return classify("codepipeline:PutJobFailureResult", err)
}
