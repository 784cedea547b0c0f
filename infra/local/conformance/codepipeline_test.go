package conformance

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/codepipeline"
	"github.com/aws/aws-sdk-go-v2/service/codepipeline/types"

	local "github.com/ekspedite/ekspedite/infra/local/codepipeline"
)

// A job reaches a function, and the answers of whoever has its id reach the action.
func TestCodePipelineJobs(t *testing.T) {
	tg, function := lambdaFunction(t, nil)
	c := codepipeline.NewFromConfig(tg.Config)
	ctx := t.Context()
	pipeline := cloud(t).CodePipeline
	start := func() *string {
		t.Helper()
		id, err := pipeline.StartJob(function, `{"cluster":"a"}`)
		if err != nil {
			t.Fatal(err)
		}
		return &id
	}
	ended := func(id *string) local.Action {
		t.Helper()
		select {
		case <-pipeline.Done(*id):
		case <-time.After(10 * time.Second):
			t.Fatal("the action does not end")
		}
		a, _ := pipeline.Job(*id)
		return a
	}

	id := start()
	d, err := c.GetJobDetails(ctx, &codepipeline.GetJobDetailsInput{JobId: id})
	if err != nil || d.JobDetails.Data.ActionConfiguration.Configuration["UserParameters"] != `{"cluster":"a"}` || *d.JobDetails.Data.ActionTypeId.Provider != "Lambda" {
		t.Errorf("%+v %v", d, err)
	}
	_, err = c.PutJobSuccessResult(ctx, &codepipeline.PutJobSuccessResultInput{JobId: id, OutputVariables: map[string]string{"arn": "x"}})
	if err != nil {
		t.Fatal(err)
	}
	if a := ended(id); a.Status != local.Succeeded || a.OutputVariables["arn"] != "x" {
		t.Errorf("%+v", a)
	}
	_, err = c.PutJobSuccessResult(ctx, &codepipeline.PutJobSuccessResultInput{JobId: id})
	apiError(t, err, "InvalidJobStateException")
	_, err = c.PutJobSuccessResult(ctx, &codepipeline.PutJobSuccessResultInput{JobId: aws.String("00000000-0000-4000-8000-000000000000")})
	apiError(t, err, "JobNotFoundException")

	id = start()
	_, err = c.PutJobSuccessResult(ctx, &codepipeline.PutJobSuccessResultInput{JobId: id, ContinuationToken: aws.String("more"), OutputVariables: map[string]string{"a": "b"}})
	apiError(t, err, "ValidationException")
	_, err = c.PutJobFailureResult(ctx, &codepipeline.PutJobFailureResultInput{JobId: id, FailureDetails: &types.FailureDetails{Type: types.FailureTypeConfigurationError, Message: aws.String("no such cluster")}})
	if err != nil {
		t.Fatal(err)
	}
	if a := ended(id); a.Status != local.Failed || a.FailureType != "ConfigurationError" || a.FailureMessage != "no such cluster" {
		t.Errorf("%+v", a)
	}
	if _, err := pipeline.StartJob("no-such-function", ""); err == nil {
		t.Error("a function that is not there is invoked")
	}
}
