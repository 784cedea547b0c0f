package conformance

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/codepipeline"
	"github.com/aws/aws-sdk-go-v2/service/codepipeline/types"
	eventtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// pipelineSuite makes pipelines of an S3 source and approvals.
type pipelineSuite struct {
	*codepipeline.Client
	t                  *testing.T
	tg                 Target
	files              *s3.Client
	role, specs, store string
}

var (
	s3Source = &types.ActionTypeId{Category: types.ActionCategorySource, Owner: types.ActionOwnerAws, Provider: aws.String("S3"), Version: aws.String("1")}
	byHand   = &types.ActionTypeId{Category: types.ActionCategoryApproval, Owner: types.ActionOwnerAws, Provider: aws.String("Manual"), Version: aws.String("1")}
	byLambda = &types.ActionTypeId{Category: types.ActionCategoryInvoke, Owner: types.ActionOwnerAws, Provider: aws.String("Lambda"), Version: aws.String("1")}
)

func newPipelines(t *testing.T, statements string) *pipelineSuite {
	t.Helper()
	tg := target(t, "codepipeline")
	s := &pipelineSuite{Client: codepipeline.NewFromConfig(tg.Config), t: t, tg: tg}
	files, specs := bucketFor(t, tg)
	_, store := bucketFor(t, tg)
	s.files, s.specs, s.store = files, *specs, *store
	_, err := files.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{Bucket: specs, VersioningConfiguration: &s3types.VersioningConfiguration{Status: s3types.BucketVersioningStatusEnabled}})
	s.must(err)
	roles, name := iam.NewFromConfig(tg.Config), unique("pipe")
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"codepipeline.amazonaws.com"},"Action":"sts:AssumeRole"}]}`
	made, err := roles.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: &name, AssumeRolePolicyDocument: &trust})
	s.must(err)
	t.Cleanup(func() {
		ctx := context.Background()
		_, err := roles.DeleteRolePolicy(ctx, &iam.DeleteRolePolicyInput{RoleName: &name, PolicyName: &name})
		if _, err2 := roles.DeleteRole(ctx, &iam.DeleteRoleInput{RoleName: &name}); err != nil || err2 != nil {
			t.Errorf("the role stays: %v %v", err, err2)
		}
	})
	policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:GetObject","s3:GetObjectVersion","s3:GetBucketVersioning","s3:PutObject"],"Resource":"*"}` + statements + `]}`
	_, err = roles.PutRolePolicy(t.Context(), &iam.PutRolePolicyInput{RoleName: &name, PolicyName: &name, PolicyDocument: &policy})
	s.must(err)
	s.role = *made.Role.Arn
	return s
}

func (s *pipelineSuite) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *pipelineSuite) declare(stages ...types.StageDeclaration) *types.PipelineDeclaration {
	source := types.StageDeclaration{Name: aws.String("Source"), Actions: []types.ActionDeclaration{{
		Name: aws.String("Spec"), ActionTypeId: s3Source, Namespace: aws.String("Spec"), OutputArtifacts: []types.OutputArtifact{{Name: aws.String("Spec")}},
		Configuration: map[string]string{"S3Bucket": s.specs, "S3ObjectKey": "fleet.zip", "PollForSourceChanges": "false"},
	}}}
	return &types.PipelineDeclaration{Name: aws.String(unique("pipeline")), RoleArn: &s.role, PipelineType: types.PipelineTypeV2, ExecutionMode: types.ExecutionModeQueued,
		ArtifactStore: &types.ArtifactStore{Type: types.ArtifactStoreTypeS3, Location: &s.store}, Stages: append([]types.StageDeclaration{source}, stages...)}
}

// create retries while the new role is not known everywhere.
func (s *pipelineSuite) create(d *types.PipelineDeclaration) {
	s.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; {
		_, err := s.CreatePipeline(s.t.Context(), &codepipeline.CreatePipelineInput{Pipeline: d, Tags: []types.Tag{{Key: aws.String("k"), Value: aws.String("v")}}})
		if err == nil {
			break
		}
		if time.Now().After(deadline) || !strings.Contains(err.Error(), "AssumeRole") {
			s.t.Fatal(err)
		}
		time.Sleep(200 * time.Millisecond)
	}
	s.t.Cleanup(func() {
		if _, err := s.DeletePipeline(context.Background(), &codepipeline.DeletePipelineInput{Name: d.Name}); err != nil {
			s.t.Errorf("DeletePipeline: %v", err)
		}
	})
}

// action waits until the last run of an action has a status.
func (s *pipelineSuite) action(pipeline *string, stage, action string, want types.ActionExecutionStatus) *types.ActionExecution {
	s.t.Helper()
	var last *types.ActionExecution
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		out, err := s.GetPipelineState(s.t.Context(), &codepipeline.GetPipelineStateInput{Name: pipeline})
		s.must(err)
		for _, st := range out.StageStates {
			for _, a := range st.ActionStates {
				if *st.StageName == stage && *a.ActionName == action && a.LatestExecution != nil {
					if last = a.LatestExecution; last.Status == want {
						return last
					}
				}
			}
		}
	}
	s.t.Fatalf("%s/%s does not become %s: %+v", stage, action, want, last)
	return nil
}

func (s *pipelineSuite) execution(pipeline, id *string, want types.PipelineExecutionStatus) *types.PipelineExecution {
	s.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		out, err := s.GetPipelineExecution(s.t.Context(), &codepipeline.GetPipelineExecutionInput{PipelineName: pipeline, PipelineExecutionId: id})
		s.must(err)
		if out.PipelineExecution.Status == want {
			return out.PipelineExecution
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%+v", out.PipelineExecution)
		}
	}
}

// A version of a file goes through a pipeline with an approval, which is rejected, retried and approved.
func TestCodePipelinePipelines(t *testing.T) {
	s := newPipelines(t, "")
	ctx := t.Context()
	first := put(t, s.files, &s.specs, "fleet.zip", "first")
	put(t, s.files, &s.specs, "fleet.zip", "second")
	d := s.declare(types.StageDeclaration{Name: aws.String("Ring"), Actions: []types.ActionDeclaration{
		{Name: aws.String("Soaked"), ActionTypeId: byHand, TimeoutInMinutes: aws.Int32(30240), Configuration: map[string]string{"CustomData": "version #{Spec.VersionId} of #{codepipeline.PipelineExecutionId}"}}}})
	s.create(d)
	// It begins to run when it is made.
	s.action(d.Name, "Ring", "Soaked", types.ActionExecutionStatusInProgress)
	started, err := s.StartPipelineExecution(ctx, &codepipeline.StartPipelineExecutionInput{Name: d.Name,
		SourceRevisions: []types.SourceRevisionOverride{{ActionName: aws.String("Spec"), RevisionType: types.SourceRevisionTypeS3ObjectVersionId, RevisionValue: first.VersionId}}})
	s.must(err)
	list, err := s.ListPipelineExecutions(ctx, &codepipeline.ListPipelineExecutionsInput{PipelineName: d.Name})
	s.must(err)
	if l := list.PipelineExecutionSummaries; len(l) != 2 || *l[0].PipelineExecutionId != *started.PipelineExecutionId || l[0].Trigger.TriggerType != types.TriggerTypeStartPipelineExecution || l[1].Trigger.TriggerType != types.TriggerTypeCreatePipeline {
		t.Errorf("%+v", l)
	}
	answer := func(token *string, status types.ApprovalStatus) error {
		_, err := s.PutApprovalResult(ctx, &codepipeline.PutApprovalResultInput{PipelineName: d.Name, StageName: aws.String("Ring"), ActionName: aws.String("Soaked"),
			Token: token, Result: &types.ApprovalResult{Status: status, Summary: aws.String("as it should")}})
		return err
	}
	token := s.action(d.Name, "Ring", "Soaked", types.ActionExecutionStatusInProgress).Token
	apiError(t, answer(aws.String("00000000-0000-4000-8000-000000000000"), types.ApprovalStatusApproved), "InvalidApprovalTokenException")
	s.must(answer(token, types.ApprovalStatusApproved))
	apiError(t, answer(token, types.ApprovalStatusRejected), "ApprovalAlreadyCompletedException")

	// The second execution comes in behind the first.
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		a := s.action(d.Name, "Ring", "Soaked", types.ActionExecutionStatusInProgress)
		if *a.Token != *token {
			token = a.Token
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the second execution does not come")
		}
	}
	s.must(answer(token, types.ApprovalStatusRejected))
	s.execution(d.Name, started.PipelineExecutionId, types.PipelineExecutionStatusFailed)
	_, err = s.RetryStageExecution(ctx, &codepipeline.RetryStageExecutionInput{PipelineName: d.Name, StageName: aws.String("Ring"), PipelineExecutionId: started.PipelineExecutionId, RetryMode: types.StageRetryModeFailedActions})
	s.must(err)
	again := s.action(d.Name, "Ring", "Soaked", types.ActionExecutionStatusInProgress)
	if *again.Token == *token {
		t.Error("the token is the old one")
	}
	s.must(answer(again.Token, types.ApprovalStatusApproved))
	ex := s.execution(d.Name, started.PipelineExecutionId, types.PipelineExecutionStatusSucceeded)
	if len(ex.ArtifactRevisions) != 1 || *ex.ArtifactRevisions[0].RevisionId != *first.VersionId {
		t.Errorf("%+v", ex)
	}
	actions, err := s.ListActionExecutions(ctx, &codepipeline.ListActionExecutionsInput{PipelineName: d.Name, Filter: &types.ActionExecutionFilter{PipelineExecutionId: started.PipelineExecutionId}})
	s.must(err)
	l := actions.ActionExecutionDetails
	if len(l) != 3 || *l[0].ActionName != "Soaked" || l[0].Input.ResolvedConfiguration["CustomData"] != "version "+*first.VersionId+" of "+*started.PipelineExecutionId {
		t.Fatalf("%+v", l)
	}
	at := l[2].Output.OutputArtifacts[0].S3location
	object, err := s.files.GetObject(ctx, &s3.GetObjectInput{Bucket: at.Bucket, Key: at.Key})
	s.must(err)
	if *object.ContentLength != int64(len("first")) {
		t.Errorf("%+v", object)
	}
	_, err = s.RetryStageExecution(ctx, &codepipeline.RetryStageExecutionInput{PipelineName: d.Name, StageName: aws.String("Ring"), PipelineExecutionId: started.PipelineExecutionId, RetryMode: types.StageRetryModeFailedActions})
	apiError(t, err, "StageNotRetryableException")
	_, err = s.StopPipelineExecution(ctx, &codepipeline.StopPipelineExecutionInput{PipelineName: d.Name, PipelineExecutionId: started.PipelineExecutionId})
	apiError(t, err, "PipelineExecutionNotStoppableException")
}

// What a pipeline is can be read and changed, and its ways can be closed.
func TestCodePipelineDeclarations(t *testing.T) {
	s := newPipelines(t, "")
	ctx := t.Context()
	put(t, s.files, &s.specs, "fleet.zip", "x")
	d := s.declare(types.StageDeclaration{Name: aws.String("Ring"), Actions: []types.ActionDeclaration{{Name: aws.String("Ask"), ActionTypeId: byHand}}})
	s.create(d)
	_, err := s.CreatePipeline(ctx, &codepipeline.CreatePipelineInput{Pipeline: d})
	apiError(t, err, "PipelineNameInUseException")
	got, err := s.GetPipeline(ctx, &codepipeline.GetPipelineInput{Name: d.Name})
	s.must(err)
	if p := got.Pipeline; *p.Version != 1 || len(p.Stages) != 2 || *p.Stages[1].Actions[0].RunOrder != 1 || p.Stages[0].Actions[0].Configuration["S3Bucket"] != s.specs || !strings.HasSuffix(*got.Metadata.PipelineArn, ":"+*d.Name) {
		t.Errorf("%+v", p)
	}
	tags, err := s.ListTagsForResource(ctx, &codepipeline.ListTagsForResourceInput{ResourceArn: got.Metadata.PipelineArn})
	s.must(err)
	if len(tags.Tags) != 1 || *tags.Tags[0].Value != "v" {
		t.Errorf("%+v", tags.Tags)
	}
	way := types.StageTransitionTypeInbound
	_, err = s.DisableStageTransition(ctx, &codepipeline.DisableStageTransitionInput{PipelineName: d.Name, StageName: aws.String("Ring"), TransitionType: way, Reason: aws.String("not today")})
	s.must(err)
	state, err := s.GetPipelineState(ctx, &codepipeline.GetPipelineStateInput{Name: d.Name})
	s.must(err)
	if w := state.StageStates[1].InboundTransitionState; w.Enabled || *w.DisabledReason != "not today" {
		t.Errorf("%+v", w)
	}
	_, err = s.EnableStageTransition(ctx, &codepipeline.EnableStageTransitionInput{PipelineName: d.Name, StageName: aws.String("Ring"), TransitionType: way})
	s.must(err)
	_, err = s.EnableStageTransition(ctx, &codepipeline.EnableStageTransitionInput{PipelineName: d.Name, StageName: aws.String("Nope"), TransitionType: way})
	apiError(t, err, "StageNotFoundException")
	s.action(d.Name, "Ring", "Ask", types.ActionExecutionStatusInProgress)

	d.Stages[1].Actions[0].Name = aws.String("Other")
	up, err := s.UpdatePipeline(ctx, &codepipeline.UpdatePipelineInput{Pipeline: d})
	s.must(err)
	if *up.Pipeline.Version != 2 {
		t.Errorf("%+v", up.Pipeline)
	}
	all, err := s.ListPipelines(ctx, &codepipeline.ListPipelinesInput{})
	s.must(err)
	found := false
	for _, p := range all.Pipelines {
		found = found || *p.Name == *d.Name && *p.Version == 2
	}
	if !found {
		t.Errorf("%+v", all.Pipelines)
	}
	none := s.declare()
	_, err = s.CreatePipeline(ctx, &codepipeline.CreatePipelineInput{Pipeline: none})
	apiError(t, err, "InvalidStructureException")
	_, err = s.GetPipelineState(ctx, &codepipeline.GetPipelineStateInput{Name: none.Name})
	apiError(t, err, "PipelineNotFoundException")
	_, err = s.GetPipelineExecution(ctx, &codepipeline.GetPipelineExecutionInput{PipelineName: d.Name, PipelineExecutionId: aws.String("00000000-0000-4000-8000-000000000000")})
	apiError(t, err, "PipelineExecutionNotFoundException")
	if s.tg.Embedded {
		d = s.declare(types.StageDeclaration{Name: aws.String("B"), Actions: []types.ActionDeclaration{{Name: aws.String("Build"),
			ActionTypeId: &types.ActionTypeId{Category: types.ActionCategoryBuild, Owner: types.ActionOwnerAws, Provider: aws.String("CodeBuild"), Version: aws.String("1")}}}})
		if _, err := s.CreatePipeline(ctx, &codepipeline.CreatePipelineInput{Pipeline: d}); err == nil || !strings.Contains(err.Error(), "Build/AWS/CodeBuild/1") {
			t.Errorf("what is not implemented is refused by name: %v", err)
		}
	}
}

// Permissions are those of operations on pipelines, stages and actions; a pipeline's own role invokes functions.
func TestCodePipelinePermissions(t *testing.T) {
	s := newPipelines(t, "")
	_, function := lambdaFunction(t, nil)
	put(t, s.files, &s.specs, "fleet.zip", "x")
	d := s.declare(types.StageDeclaration{Name: aws.String("Ring"), Actions: []types.ActionDeclaration{
		{Name: aws.String("Run"), ActionTypeId: byLambda, Configuration: map[string]string{"FunctionName": function}}, {Name: aws.String("Ask"), ActionTypeId: byHand}}})
	s.create(d)
	if got := s.action(d.Name, "Ring", "Run", types.ActionExecutionStatusFailed); got.ErrorDetails == nil || *got.ErrorDetails.Code != "PermissionError" || !strings.Contains(*got.ErrorDetails.Message, "lambda:InvokeFunction") {
		t.Errorf("%+v", got.ErrorDetails)
	}
	pipeline := "arn:aws:codepipeline:" + s.tg.Region + ":" + accountOf(t, s.tg) + ":" + *d.Name
	cfg, _ := roleSession(t, s.tg, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"codepipeline:GetPipelineState","Resource":"`+pipeline+`"},
		{"Effect":"Allow","Action":"codepipeline:PutApprovalResult","Resource":"`+pipeline+`/Ring/Ask"}]}`)
	limited, ctx := codepipeline.NewFromConfig(cfg), t.Context()
	if _, err := limited.GetPipelineState(ctx, &codepipeline.GetPipelineStateInput{Name: d.Name}); err != nil {
		t.Error(err)
	}
	_, err := limited.GetPipeline(ctx, &codepipeline.GetPipelineInput{Name: d.Name})
	apiError(t, err, "AccessDeniedException")
	_, err = limited.StartPipelineExecution(ctx, &codepipeline.StartPipelineExecutionInput{Name: d.Name})
	apiError(t, err, "AccessDeniedException")
	token := s.action(d.Name, "Ring", "Ask", types.ActionExecutionStatusInProgress).Token
	result := &types.ApprovalResult{Status: types.ApprovalStatusApproved, Summary: aws.String("")}
	_, err = limited.PutApprovalResult(ctx, &codepipeline.PutApprovalResultInput{PipelineName: d.Name, StageName: aws.String("Source"), ActionName: aws.String("Ask"), Token: token, Result: result})
	apiError(t, err, "AccessDeniedException")
	if _, err = limited.PutApprovalResult(ctx, &codepipeline.PutApprovalResultInput{PipelineName: d.Name, StageName: aws.String("Ring"), ActionName: aws.String("Ask"), Token: token, Result: result}); err != nil {
		t.Error(err)
	}
}

// A function that nobody answers for is invoked by the pipeline's role; the execution is stopped, and events tell of all.
func TestCodePipelineEvents(t *testing.T) {
	s := newPipelines(t, `,{"Effect":"Allow","Action":"lambda:InvokeFunction","Resource":"*"}`)
	_, function := lambdaFunction(t, nil)
	put(t, s.files, &s.specs, "fleet.zip", "x")
	d := s.declare(types.StageDeclaration{Name: aws.String("Ring"), Actions: []types.ActionDeclaration{
		{Name: aws.String("Run"), ActionTypeId: byLambda, InputArtifacts: []types.InputArtifact{{Name: aws.String("Spec")}}, Configuration: map[string]string{"FunctionName": function}}}})
	e := newEvents(t)
	url, arn := e.queue("pipeline")
	e.rule("default", `{"source":["aws.codepipeline"],"detail":{"pipeline":["`+*d.Name+`"]}}`, eventtypes.Target{Id: aws.String("q"), Arn: &arn})
	s.create(d)
	s.action(d.Name, "Ring", "Run", types.ActionExecutionStatusInProgress)
	list, err := s.ListPipelineExecutions(t.Context(), &codepipeline.ListPipelineExecutionsInput{PipelineName: d.Name})
	s.must(err)
	id := list.PipelineExecutionSummaries[0].PipelineExecutionId
	_, err = s.StopPipelineExecution(t.Context(), &codepipeline.StopPipelineExecutionInput{PipelineName: d.Name, PipelineExecutionId: id, Abandon: true, Reason: aws.String("enough")})
	s.must(err)
	s.execution(d.Name, id, types.PipelineExecutionStatusStopped)
	seen := map[string]bool{}
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline) && !seen["Pipeline STOPPED"]; {
		for _, m := range e.sqs.receive(url, 5) {
			var got struct {
				DetailType string `json:"detail-type"`
				Detail     struct{ State, Stage, Action string }
			}
			s.must(json.Unmarshal([]byte(*m.Body), &got))
			kind := strings.TrimSuffix(strings.TrimPrefix(got.DetailType, "CodePipeline "), " Execution State Change")
			seen[strings.Join(strings.Fields(kind+" "+got.Detail.Stage+" "+got.Detail.Action+" "+got.Detail.State), " ")] = true
		}
	}
	for _, want := range []string{"Pipeline STARTED", "Stage Source STARTED", "Action Source Spec SUCCEEDED", "Stage Ring STARTED", "Action Ring Run STARTED", "Pipeline STOPPING", "Pipeline STOPPED"} {
		if !seen[want] {
			t.Errorf("%q is missing: %v", want, seen)
		}
	}
}
