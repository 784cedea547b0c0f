package codepipeline

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
	"github.com/ekspedite/ekspedite/infra/local/world"
)

// rig is a CodePipeline in a bubble of time, with S3, IAM, EventBridge and Lambda as it sees them.
type rig struct {
	t        *testing.T
	s        *Service
	function *function
	caller   *wire.Call

	mu      sync.Mutex
	objects map[string][]string // versions of an object, by bucket/key; the id is the index
	denied  string              // an action that the role may not do
	events  []string            // "Stage Deploy STARTED"
}

func newRig(t *testing.T, do func(r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := world.New("123456789012", "eu-west-1", world.Real, 1, slog.New(slog.DiscardHandler))
		defer w.Close()
		r := &rig{t: t, function: new(function), objects: map[string][]string{"src/app.zip": {"one", "two"}}, caller: &wire.Call{Caller: wire.Principal{ARN: "arn:aws:iam::123456789012:root"}}}
		r.s = New(w, r.function, Neighbours{Roles: r, Objects: r, Events: r})
		do(r)
	})
}

func (r *rig) AuthorizeRole(_ string, need wire.Need) error {
	if need.Action == r.denied {
		return wire.Errf("AccessDeniedException", "not authorized to perform: %s on resource: %s", need.Action, need.Resource)
	}
	return nil
}

func (r *rig) CheckTrustFrom(role, principal, _ string) error {
	if strings.HasSuffix(role, "/stranger") || principal != "codepipeline.amazonaws.com" {
		return fmt.Errorf("no trust")
	}
	return nil
}

func (r *rig) ServiceSession(string, string, string, time.Duration) (string, string, string, error) {
	return "ASIASESSION", "secret", "token", nil
}

func (r *rig) Read(bucket, key, version string) ([]byte, string, string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.objects[bucket+"/"+key]
	n := len(all) - 1
	if version != "" {
		if _, err := fmt.Sscan(version, &n); err != nil || n >= len(all) {
			n = -1
		}
	}
	if n < 0 {
		return nil, "", "", wire.Errf("NoSuchVersion", "The specified version does not exist.")
	}
	return []byte(all[n]), fmt.Sprint(n), "etag", nil
}

func (r *rig) Write(bucket, key string, body []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.objects[bucket+"/"+key] = append(r.objects[bucket+"/"+key], string(body))
	return nil
}

func (r *rig) Need(action, bucket, key string) wire.Need {
	return wire.Need{Action: "s3:" + action, Resource: "arn:aws:s3:::" + bucket + "/" + key}
}

func (r *rig) Emit(source, kind string, _ []string, detail any) {
	d := detail.(told)
	r.mu.Lock()
	defer r.mu.Unlock()
	kind = strings.TrimSuffix(strings.TrimPrefix(kind, "CodePipeline "), " Execution State Change")
	if source != "aws.codepipeline" || d.Pipeline == "" || d.ExecutionID == "" {
		r.t.Errorf("%s %s %+v", source, kind, d)
	}
	r.events = append(r.events, strings.Join(strings.Fields(kind+" "+d.Stage+" "+d.Action+" "+d.State), " "))
}

// told are the events since the last call.
func (r *rig) told() string {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	out := strings.Join(r.events, ", ")
	r.events = nil
	return out
}

// create makes a pipeline of the stages, in JSON, behind a source stage.
func (r *rig) create(mode, stages string) {
	r.t.Helper()
	if _, err := r.s.createPipeline(r.t.Context(), nil, r.declare(mode, stages)); err != nil {
		r.t.Fatal(err)
	}
	synctest.Wait()
}

func (r *rig) declare(mode, stages string) *setIn {
	r.t.Helper()
	text := `{"pipeline": {"name": "p", "roleArn": "arn:aws:iam::123456789012:role/pipe", "pipelineType": "V2", "executionMode": "` + mode + `",
		"artifactStore": {"type": "S3", "location": "artifacts"}, "variables": [{"name": "to", "defaultValue": "1.36"}], "stages": [
		{"name": "Source", "actions": [{"name": "Spec", "actionTypeId": {"category": "Source", "owner": "AWS", "provider": "S3", "version": "1"}, "namespace": "Spec",
			"configuration": {"S3Bucket": "src", "S3ObjectKey": "app.zip", "PollForSourceChanges": "false"}, "outputArtifacts": [{"name": "SpecFiles"}]}]},` + stages + `]}}`
	text = strings.NewReplacer("LAMBDA", `"actionTypeId": {"category": "Invoke", "owner": "AWS", "provider": "Lambda", "version": "1"}`,
		"MANUAL", `"actionTypeId": {"category": "Approval", "owner": "AWS", "provider": "Manual", "version": "1"}`).Replace(text)
	in := new(setIn)
	if err := json.Unmarshal([]byte(text), in); err != nil {
		r.t.Fatal(err)
	}
	return in
}

func (r *rig) start() string {
	r.t.Helper()
	out, err := r.s.startExecution(r.t.Context(), r.caller, &startIn{Name: "p"})
	if err != nil {
		r.t.Fatal(err)
	}
	synctest.Wait()
	return out.PipelineExecutionID
}

// last is the id of the newest execution.
func (r *rig) last() string {
	list := r.executions()
	return list[0].PipelineExecutionID
}

func (r *rig) executions() []executionSummary {
	r.t.Helper()
	out, err := r.s.listExecutions(r.t.Context(), nil, &executionsIn{PipelineName: "p"})
	if err != nil {
		r.t.Fatal(err)
	}
	return out.PipelineExecutionSummaries
}

func (r *rig) status(id string) string {
	r.t.Helper()
	synctest.Wait()
	out, err := r.s.getExecution(r.t.Context(), nil, &executionIn{"p", id})
	if err != nil {
		r.t.Fatal(err)
	}
	return out.PipelineExecution.Status
}

// stage is how a stage stands.
func (r *rig) stage(name string) stageState {
	r.t.Helper()
	synctest.Wait()
	out, err := r.s.getState(r.t.Context(), nil, &nameIn{Name: "p"})
	if err != nil {
		r.t.Fatal(err)
	}
	for _, s := range out.StageStates {
		if s.StageName == name {
			return s
		}
	}
	r.t.Fatalf("no stage %s", name)
	return stageState{}
}

// answer answers the function's last job.
func (r *rig) answer(token string, variables map[string]string) {
	r.t.Helper()
	if err := r.function.answer(r.t, r.s, token, variables); err != nil {
		r.t.Fatal(err)
	}
	synctest.Wait()
}

func (r *rig) fails() {
	r.t.Helper()
	in := new(failureIn)
	if err := json.Unmarshal([]byte(`{"jobId": "`+r.function.last().Job.ID+`", "failureDetails": {"type": "JobFailed", "message": "no"}}`), in); err != nil {
		r.t.Fatal(err)
	}
	if _, err := r.s.putFailure(r.t.Context(), nil, in); err != nil {
		r.t.Fatal(err)
	}
	synctest.Wait()
}

func (r *rig) approve(stage, action, token, status string) error {
	in := new(approvalIn)
	if err := json.Unmarshal([]byte(`{"pipelineName":"p","stageName":"`+stage+`","actionName":"`+action+`","token":"`+token+`","result":{"summary":"well","status":"`+status+`"}}`), in); err != nil {
		r.t.Fatal(err)
	}
	_, err := r.s.putApproval(r.t.Context(), r.caller, in)
	return err
}

func keys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
