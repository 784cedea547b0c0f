package codepipeline

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

const oneStage = `{"name": "Ring", "actions": [
	{"name": "Upgrade", LAMBDA, "namespace": "Up", "inputArtifacts": [{"name": "SpecFiles"}], "configuration": {"FunctionName": "fn", "UserParameters": "to=#{variables.to} spec=#{Spec.VersionId} ex=#{codepipeline.PipelineExecutionId}"}},
	{"name": "Approve", MANUAL, "runOrder": 2, "configuration": {"CustomData": "after #{Up.resumeAfter}"}}]}`

func wantError(t *testing.T, err error, code string) {
	t.Helper()
	var e *wire.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Errorf("got %v, want %s", err, code)
	}
}

// A pipeline runs from its source to the end: artifacts, variables, an approval, and what it tells.
func TestPipeline(t *testing.T) {
	newRig(t, func(r *rig) {
		r.create("QUEUED", oneStage)
		id := r.last()
		if got := r.told(); got != "Pipeline STARTED, Stage Source STARTED, Action Source Spec STARTED, Action Source Spec SUCCEEDED, Stage Source SUCCEEDED, Stage Ring STARTED, Action Ring Upgrade STARTED" {
			t.Error(got)
		}
		job := r.function.last()
		if got := job.Job.Data.ActionConfiguration.Configuration.UserParameters; got != "to=1.36 spec=1 ex="+id {
			t.Error(got)
		}
		r.s.mu.Lock()
		data := r.s.jobs[job.Job.ID].data()
		r.s.mu.Unlock()
		if in := data.InputArtifacts; len(in) != 1 || in[0].Name != "SpecFiles" || *in[0].Revision != "1" || data.ArtifactCredentials.AccessKeyID != "ASIASESSION" {
			t.Errorf("%+v", data)
		} else if at := in[0].Location.S3Location; at.BucketName != "artifacts" || r.objects["artifacts/"+at.ObjectKey][0] != "two" {
			t.Errorf("%+v %v", at, keys(r.objects))
		}
		d, err := r.s.getDetails(t.Context(), nil, &detailsIn{job.Job.ID})
		if err != nil || d.JobDetails.Data.PipelineContext["pipelineName"] != "p" || d.JobDetails.Data.PipelineContext["pipelineExecutionId"] != id {
			t.Errorf("%+v %v", d, err)
		}
		r.answer("", map[string]string{"resumeAfter": "noon"})
		st := r.stage("Ring")
		up, approval := st.ActionStates[0].LatestExecution, st.ActionStates[1].LatestExecution
		if up.Status != Succeeded || approval.Status != InProgress || approval.Token == "" || st.LatestExecution.PipelineExecutionID != id {
			t.Fatalf("%+v", st)
		}
		wantError(t, r.approve("Ring", "Approve", "00000000-0000-4000-8000-000000000000", "Approved"), "InvalidApprovalTokenException")
		wantError(t, r.approve("Ring", "Nobody", approval.Token, "Approved"), "ActionNotFoundException")
		wantError(t, r.approve("Nowhere", "Approve", approval.Token, "Approved"), "StageNotFoundException")
		wantError(t, r.approve("Ring", "Approve", approval.Token, "Perhaps"), "ValidationException")
		if err := r.approve("Ring", "Approve", approval.Token, "Approved"); err != nil {
			t.Fatal(err)
		}
		wantError(t, r.approve("Ring", "Approve", approval.Token, "Approved"), "ApprovalAlreadyCompletedException")
		if got := r.status(id); got != Succeeded {
			t.Error(got)
		}
		if got := r.told(); got != "Action Ring Upgrade SUCCEEDED, Action Ring Approve STARTED, Action Ring Approve SUCCEEDED, Stage Ring SUCCEEDED, Pipeline SUCCEEDED" {
			t.Error(got)
		}
		actions, err := r.s.listActions(t.Context(), nil, &executionsIn{PipelineName: "p"})
		if err != nil || len(actions.ActionExecutionDetails) != 3 || actions.ActionExecutionDetails[0].ActionName != "Approve" ||
			actions.ActionExecutionDetails[0].Input.ResolvedConfiguration["CustomData"] != "after noon" || actions.ActionExecutionDetails[1].Output.OutputVariables["resumeAfter"] != "noon" {
			t.Errorf("%+v %v", actions, err)
		}
	})
}

// Limits are AWS's: an approval waits for seven days or as long as it says, an action lasts for a day, an answer comes in twenty minutes.
func TestLimits(t *testing.T) {
	newRig(t, func(r *rig) {
		r.create("QUEUED", `{"name": "A", "actions": [{"name": "Ask", MANUAL}]}`)
		time.Sleep(7*24*time.Hour - time.Minute)
		if got := r.status(r.last()); got != InProgress {
			t.Error(got)
		}
		time.Sleep(2 * time.Minute)
		if got := r.status(r.last()); got != Failed || !strings.Contains(r.stage("A").ActionStates[0].LatestExecution.ErrorDetails.Message, "timed out") {
			t.Errorf("%s %+v", got, r.stage("A"))
		}
	})
	newRig(t, func(r *rig) {
		r.create("QUEUED", `{"name": "A", "actions": [{"name": "Ask", MANUAL, "timeoutInMinutes": 20160}]}`)
		time.Sleep(14*24*time.Hour - time.Minute)
		if got := r.status(r.last()); got != InProgress {
			t.Error(got)
		}
		time.Sleep(2 * time.Minute)
		if got := r.status(r.last()); got != Failed {
			t.Error(got)
		}
	})
	newRig(t, func(r *rig) { // a function that answers, and never ends
		r.create("QUEUED", `{"name": "A", "actions": [{"name": "Run", LAMBDA, "configuration": {"FunctionName": "fn"}}]}`)
		begun := time.Now()
		for r.status(r.last()) == InProgress && time.Since(begun) < 30*time.Hour {
			r.answer("more", nil)
			time.Sleep(10 * time.Minute)
		}
		if took := time.Since(begun); took < 24*time.Hour || took > 24*time.Hour+10*time.Minute {
			t.Errorf("it lasted for %s", took)
		}
		if got := r.stage("A").ActionStates[0].LatestExecution.ErrorDetails; got == nil || !strings.Contains(got.Message, "limit") {
			t.Errorf("%+v", got)
		}
	})
	newRig(t, func(r *rig) { // one that does not answer
		r.create("QUEUED", `{"name": "A", "actions": [{"name": "Run", LAMBDA, "configuration": {"FunctionName": "fn"}}]}`)
		time.Sleep(19 * time.Minute)
		if got := r.status(r.last()); got != InProgress {
			t.Error(got)
		}
		time.Sleep(2 * time.Minute)
		if got := r.status(r.last()); got != Failed {
			t.Error(got)
		}
	})
}

// What failed is retried in the same execution; what succeeded is not done again, unless all is asked for.
func TestRetry(t *testing.T) {
	newRig(t, func(r *rig) {
		r.create("QUEUED", `{"name": "Ring", "actions": [{"name": "First", LAMBDA, "configuration": {"FunctionName": "fn"}}, {"name": "Second", LAMBDA, "runOrder": 2, "configuration": {"FunctionName": "fn"}}]}`)
		id := r.last()
		retry := func(mode string) error {
			_, err := r.s.retryStage(t.Context(), nil, &stageIn{PipelineName: "p", StageName: "Ring", PipelineExecutionID: id, RetryMode: mode})
			synctest.Wait()
			return err
		}
		wantError(t, retry("FAILED_ACTIONS"), "StageNotRetryableException")
		r.answer("", nil)
		r.fails()
		if got := r.status(id); got != Failed {
			t.Fatal(got)
		}
		r.told()
		if err := retry("FAILED_ACTIONS"); err != nil {
			t.Fatal(err)
		}
		if got := r.told(); got != "Pipeline RESUMED, Stage Ring RESUMED, Action Ring Second STARTED" {
			t.Error(got)
		}
		r.fails()
		if err := retry("ALL_ACTIONS"); err != nil {
			t.Fatal(err)
		}
		r.answer("", nil)
		r.answer("", nil)
		if got := r.status(id); got != Succeeded || r.function.count() != 5 {
			t.Errorf("%s, %d jobs", got, r.function.count())
		}
		wantError(t, retry("FAILED_ACTIONS"), "StageNotRetryableException")
		other := r.start()
		if _, err := r.s.retryStage(t.Context(), nil, &stageIn{PipelineName: "p", StageName: "Ring", PipelineExecutionID: "gone", RetryMode: "FAILED_ACTIONS"}); err == nil {
			t.Error("an execution that is not in the stage is retried")
		}
		_ = other
	})
}

// Executions follow each other, or a newer one takes the place of the one that waits. A stage takes one at a time.
func TestModes(t *testing.T) {
	stages := `{"name": "Ring", "actions": [{"name": "Run", LAMBDA, "configuration": {"FunctionName": "fn"}}]}`
	newRig(t, func(r *rig) {
		r.create("QUEUED", stages)
		first, second, third := r.last(), r.start(), r.start()
		if st := r.stage("Ring"); len(st.InboundExecutions) != 2 || st.InboundExecutions[0].PipelineExecutionID != second || st.LatestExecution.PipelineExecutionID != first {
			t.Fatalf("%+v", st)
		}
		for _, id := range []string{first, second, third} {
			if got := r.stage("Ring").LatestExecution.PipelineExecutionID; got != id {
				t.Errorf("%s is in, want %s", got, id)
			}
			r.answer("", nil)
			if got := r.status(id); got != Succeeded {
				t.Error(got)
			}
		}
	})
	newRig(t, func(r *rig) {
		r.create("SUPERSEDED", stages)
		first, second, third := r.last(), r.start(), r.start()
		if r.status(second) != superseded || r.status(third) != InProgress || r.stage("Ring").InboundExecution.PipelineExecutionID != third {
			t.Errorf("%s %s", r.status(second), r.status(third))
		}
		r.answer("", nil)
		r.answer("", nil)
		if r.status(first) != Succeeded || r.status(third) != Succeeded {
			t.Errorf("%s %s", r.status(first), r.status(third))
		}
	})
}

func TestTransitions(t *testing.T) {
	newRig(t, func(r *rig) {
		r.create("QUEUED", oneStage)
		for _, side := range []struct{ stage, kind string }{{"Ring", "Inbound"}, {"Source", "Outbound"}} {
			in := &stageIn{PipelineName: "p", StageName: side.stage, TransitionType: side.kind, Reason: "not today"}
			if _, err := r.s.disableTransition(t.Context(), r.caller, in); err != nil {
				t.Fatal(err)
			}
			before := r.function.count()
			id := r.start()
			st := r.stage("Ring")
			if r.function.count() != before || st.InboundTransitionState.Enabled || st.InboundTransitionState.DisabledReason != "not today" {
				t.Errorf("%s %s: %+v", side.stage, side.kind, st)
			}
			r.answer("", map[string]string{"resumeAfter": "x"}) // the one before
			if err := r.approve("Ring", "Approve", r.stage("Ring").ActionStates[1].LatestExecution.Token, "Approved"); err != nil {
				t.Fatal(err)
			}
			if synctest.Wait(); r.function.count() != before {
				t.Error("it got in")
			}
			if _, err := r.s.enableTransition(t.Context(), r.caller, in); err != nil {
				t.Fatal(err)
			}
			if got := r.stage("Ring").LatestExecution.PipelineExecutionID; got != id || r.function.count() != before+1 {
				t.Errorf("%s is in, want %s", got, id)
			}
		}
	})
}

func TestStop(t *testing.T) {
	stop := func(r *rig, id string, abandon bool) error {
		_, err := r.s.stopExecution(r.t.Context(), nil, &stopIn{PipelineName: "p", PipelineExecutionID: id, Abandon: abandon, Reason: "enough"})
		return err
	}
	newRig(t, func(r *rig) {
		r.create("QUEUED", oneStage)
		id, waits := r.last(), r.start()
		if err := stop(r, waits, false); err != nil || r.status(waits) != stopped {
			t.Errorf("%v %s", err, r.status(waits))
		}
		if err := stop(r, id, false); err != nil || r.status(id) != stopping {
			t.Errorf("%v %s", err, r.status(id))
		}
		wantError(t, stop(r, id, false), "DuplicatedStopRequestException")
		r.answer("", nil)
		if r.status(id) != stopped || r.stage("Ring").LatestExecution.Status != stopped || r.stage("Ring").ActionStates[1].LatestExecution != nil {
			t.Errorf("%s %+v", r.status(id), r.stage("Ring"))
		}
		wantError(t, stop(r, id, true), "PipelineExecutionNotStoppableException")
		if _, err := r.s.retryStage(t.Context(), nil, &stageIn{PipelineName: "p", StageName: "Ring", PipelineExecutionID: id, RetryMode: "FAILED_ACTIONS"}); err != nil || r.status(id) != Failed {
			t.Errorf("what was stopped goes on to the approval, whose variable is missing: %v %s", err, r.status(id))
		}
	})
	newRig(t, func(r *rig) {
		r.create("QUEUED", oneStage)
		id := r.last()
		if err := stop(r, id, true); err != nil || r.status(id) != stopped {
			t.Errorf("%v %s", err, r.status(id))
		}
		wantError(t, r.function.answer(t, r.s, "", nil), "InvalidJobStateException")
		if got := r.stage("Ring").ActionStates[0].LatestExecution.Status; got != abandoned {
			t.Error(got)
		}
	})
}

// A given version of the source, a denied role, a version that is gone, a deleted pipeline.
func TestSources(t *testing.T) {
	newRig(t, func(r *rig) {
		r.create("QUEUED", oneStage)
		r.answer("", map[string]string{"resumeAfter": "x"})
		if err := r.approve("Ring", "Approve", r.stage("Ring").ActionStates[1].LatestExecution.Token, "Rejected"); err != nil || r.status(r.last()) != Failed {
			t.Fatalf("a rejected approval: %v %s", err, r.status(r.last()))
		}
		start := func(revision string) (string, error) {
			out, err := r.s.startExecution(t.Context(), r.caller, &startIn{Name: "p", Variables: []pair{{"to", "1.35"}}, ClientRequestToken: "t-" + revision,
				SourceRevisions: []sourceRevisionOverride{{"Spec", "S3_OBJECT_VERSION_ID", revision}}})
			if err != nil {
				return "", err
			}
			r.status(out.PipelineExecutionID)
			return out.PipelineExecutionID, nil
		}
		id, err := start("0")
		if got := r.function.last().Job.Data.ActionConfiguration.Configuration.UserParameters; err != nil || got != "to=1.35 spec=0 ex="+id {
			t.Errorf("%s %v", got, err)
		}
		if again, err := start("0"); err != nil || again != id {
			t.Errorf("the same token starts another: %s %v", again, err)
		}
		if id, err = start("9"); err != nil || r.status(id) != Failed || !strings.Contains(r.stage("Source").ActionStates[0].LatestExecution.ErrorDetails.Message, "version") {
			t.Errorf("%v %s", err, r.status(id))
		}
		r.denied = "s3:GetObject"
		if id = r.start(); r.status(id) != Failed || r.stage("Source").ActionStates[0].LatestExecution.ErrorDetails.Code != "PermissionError" {
			t.Errorf("%s %+v", r.status(id), r.stage("Source"))
		}
		if _, err := r.s.startExecution(t.Context(), r.caller, &startIn{Name: "p", Variables: []pair{{"nobody", "x"}}}); err == nil {
			t.Error("an unknown variable is taken")
		}
		if _, err := r.s.deletePipeline(t.Context(), nil, &nameIn{Name: "p"}); err != nil {
			t.Fatal(err)
		}
		_, err = r.s.getState(t.Context(), nil, &nameIn{Name: "p"})
		wantError(t, err, "PipelineNotFoundException")
		wantError(t, r.function.answer(t, r.s, "", nil), "InvalidJobStateException")
	})
}

// What is not implemented is refused by name, and what is wrong as AWS does.
func TestRefused(t *testing.T) {
	newRig(t, func(r *rig) {
		for name, c := range map[string]struct{ stages, code, says string }{
			"build":          {`{"name": "B", "actions": [{"name": "Build", "timeoutInMinutes": 30, "actionTypeId": {"category": "Build", "owner": "AWS", "provider": "CodeBuild", "version": "1"}}]}`, "NotImplemented", "Build/AWS/CodeBuild/1"},
			"deploy":         {`{"name": "B", "actions": [{"name": "Deploy", "actionTypeId": {"category": "Deploy", "owner": "AWS", "provider": "ECS", "version": "1"}}]}`, "NotImplemented", "Deploy/AWS/ECS/1"},
			"conditions":     {`{"name": "B", "onFailure": {"result": "ROLLBACK"}, "actions": [{"name": "A", MANUAL}]}`, "NotImplemented", "onFailure"},
			"topic":          {`{"name": "B", "actions": [{"name": "A", MANUAL, "configuration": {"NotificationArn": "arn:aws:sns:eu-west-1:123456789012:t"}}]}`, "NotImplemented", "NotificationArn"},
			"role":           {`{"name": "B", "actions": [{"name": "A", MANUAL, "roleArn": "arn:aws:iam::123456789012:role/x"}]}`, "NotImplemented", "roleArn"},
			"region":         {`{"name": "B", "actions": [{"name": "A", LAMBDA, "region": "us-east-1", "configuration": {"FunctionName": "f"}}]}`, "NotImplemented", "Region"},
			"late source":    {`{"name": "B", "actions": [{"name": "A", "actionTypeId": {"category": "Source", "owner": "AWS", "provider": "S3", "version": "1"}}]}`, "InvalidStructureException", "source"},
			"no function":    {`{"name": "B", "actions": [{"name": "A", LAMBDA}]}`, "InvalidActionDeclarationException", "FunctionName"},
			"unknown key":    {`{"name": "B", "actions": [{"name": "A", LAMBDA, "configuration": {"FunctionName": "f", "Timeout": "1"}}]}`, "InvalidActionDeclarationException", "Timeout"},
			"no artifact":    {`{"name": "B", "actions": [{"name": "A", LAMBDA, "inputArtifacts": [{"name": "Nope"}], "configuration": {"FunctionName": "f"}}]}`, "InvalidStructureException", "Nope"},
			"no namespace":   {`{"name": "B", "actions": [{"name": "A", LAMBDA, "configuration": {"FunctionName": "f", "UserParameters": "#{Nope.x}"}}]}`, "InvalidStructureException", "Nope.x"},
			"same order":     {`{"name": "B", "actions": [{"name": "A", LAMBDA, "namespace": "N", "configuration": {"FunctionName": "f"}}, {"name": "C", LAMBDA, "configuration": {"FunctionName": "f", "UserParameters": "#{N.x}"}}]}`, "InvalidStructureException", "N.x"},
			"short timeout":  {`{"name": "B", "actions": [{"name": "A", MANUAL, "timeoutInMinutes": 4}]}`, "InvalidActionDeclarationException", "86400"},
			"lambda timeout": {`{"name": "B", "actions": [{"name": "A", LAMBDA, "timeoutInMinutes": 40, "configuration": {"FunctionName": "f"}}]}`, "InvalidActionDeclarationException", "manual approval"},
			"long parameter": {`{"name": "B", "actions": [{"name": "A", LAMBDA, "configuration": {"FunctionName": "f", "UserParameters": "` + strings.Repeat("x", 1001) + `"}}]}`, "ValidationException", "1000"},
			"same names":     {`{"name": "B", "actions": [{"name": "A", MANUAL}, {"name": "A", MANUAL}]}`, "InvalidActionDeclarationException", "unique"},
			"same stages":    {`{"name": "Source", "actions": [{"name": "A", MANUAL}]}`, "InvalidStageDeclarationException", "unique"},
			"empty":          {`{"name": "B", "actions": []}`, "InvalidStageDeclarationException", "at least one"},
		} {
			_, err := r.s.createPipeline(t.Context(), nil, r.declare("QUEUED", c.stages))
			var e *wire.Error
			if !errors.As(err, &e) || e.Code != c.code || !strings.Contains(e.Message, c.says) {
				t.Errorf("%s: %v", name, err)
			}
		}
		in := r.declare("PARALLEL", oneStage)
		_, err := r.s.createPipeline(t.Context(), nil, in)
		wantError(t, err, "NotImplemented")
		in = r.declare("QUEUED", oneStage)
		in.Pipeline.RoleArn = "arn:aws:iam::123456789012:role/stranger"
		_, err = r.s.createPipeline(t.Context(), nil, in)
		wantError(t, err, "InvalidStructureException")
		in = r.declare("QUEUED", oneStage)
		in.Pipeline.Stages[0].Actions[0].Configuration["PollForSourceChanges"] = "true"
		_, err = r.s.createPipeline(t.Context(), nil, in)
		wantError(t, err, "NotImplemented")
		r.create("QUEUED", oneStage)
		_, err = r.s.createPipeline(t.Context(), nil, r.declare("QUEUED", oneStage))
		wantError(t, err, "PipelineNameInUseException")
		up, err := r.s.updatePipeline(t.Context(), nil, r.declare("QUEUED", `{"name": "Other", "actions": [{"name": "A", MANUAL}]}`))
		if err != nil || up.Pipeline.Version != 2 {
			t.Errorf("%+v %v", up, err)
		}
		r.answer("", map[string]string{"resumeAfter": "x"}) // the execution goes through what the pipeline was
		if got := r.status(r.last()); got != InProgress {
			t.Error(got)
		}
	})
}
