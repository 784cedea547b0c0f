package awscloud

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/codepipeline"
	"github.com/aws/aws-sdk-go-v2/service/codepipeline/types"

	"github.com/ekspedite/ekspedite/shared/fault"
)

// Approvals reads and answers manual approvals of pipelines.
type Approvals struct{ api *codepipeline.Client }

// NewApprovals makes Approvals.
func NewApprovals(cfg Config) *Approvals { return &Approvals{codepipeline.NewFromConfig(cfg)} }

// State reads how an approval stands: the execution that came to its stage last, the action's status, "" if it was not asked
// for, and the token to answer with. A pipeline, stage or action that is not there is fault.NotFound.
func (a *Approvals) State(ctx context.Context, pipeline, stage, action string) (execution, status, token string, err error) {
	const op = "codepipeline:GetPipelineState"
	out, err := a.api.GetPipelineState(ctx, &codepipeline.GetPipelineStateInput{Name: &pipeline})
	if err != nil {
		return "", "", "", classify(op, err)
	}
	for _, s := range out.StageStates {
		if deref(s.StageName) != stage {
			continue
		}
		for _, at := range s.ActionStates {
			if deref(at.ActionName) != action {
				continue
			}
			if s.LatestExecution != nil {
				execution = deref(s.LatestExecution.PipelineExecutionId)
			}
			if at.LatestExecution != nil {
				status, token = string(at.LatestExecution.Status), deref(at.LatestExecution.Token)
			}
			return execution, status, token, nil
		}
		return "", "", "", fault.New(fault.NotFound, "stage %s of pipeline %s has no action %s", stage, pipeline, action)
	}
	return "", "", "", fault.New(fault.NotFound, "pipeline %s has no stage %s", pipeline, stage)
}

// Answer approves or rejects. One that was answered meanwhile is fault.Conflict.
func (a *Approvals) Answer(ctx context.Context, pipeline, stage, action, token string, approve bool, summary string) error {
	status := types.ApprovalStatusRejected
	if approve {
		status = types.ApprovalStatusApproved
	}
	_, err := a.api.PutApprovalResult(ctx, &codepipeline.PutApprovalResultInput{
		PipelineName: &pipeline, StageName: &stage, ActionName: &action, Token: &token,
		Result: &types.ApprovalResult{Status: status, Summary: &summary},
	})
	return classify("codepipeline:PutApprovalResult", err)
}
