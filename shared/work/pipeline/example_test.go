package pipeline

import (
	"bytes"
	"context"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/codepipeline"
	"github.com/aws/aws-sdk-go-v2/service/codepipeline/types"
	"go.yaml.in/yaml/v3"

	"github.com/ekspedite/ekspedite/infra/local/stack"
	"github.com/ekspedite/ekspedite/shared/awscloud"
)

// example is examples/pipeline/fleet.yaml in an embedded cloud, with a simulated fleet behind it.
type example struct {
	t    *testing.T
	w    *world
	s    *simulation
	l    *lambda
	api  *codepipeline.Client
	name string
	id   string // of its execution

	mu  sync.Mutex
	log bytes.Buffer
}

func (x *example) Write(p []byte) (int, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.log.Write(p)
}

func startExample(t *testing.T) *example {
	t.Helper()
	w := newWorld(t)
	x := &example{t: t, w: w, name: "ekspedite-fleet"}
	e := emulate(t, w, x)
	w.work.Files = awscloud.NewObjects(e.cfg)
	x.l = e.lambda
	x.s, x.api = newSimulation(t, w, e.lambda), codepipeline.NewFromConfig(e.cfg)

	text, err := os.ReadFile(filepath.Join("..", "..", "..", "examples", "pipeline", "fleet.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var tree map[string]any
	if err := yaml.Unmarshal(text, &tree); err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	providers := stack.Providers{}
	for _, p := range []stack.Providers{e.roles.Providers(), e.s3.Providers(), e.pipes.Providers()} {
		for kind, make := range p {
			providers[kind] = make
		}
	}
	bucket, err := providers["AWS::S3::Bucket"]("Specs", json.RawMessage(`{"VersioningConfiguration": {"Status": "Enabled"}}`))
	if err != nil {
		t.Fatal(err)
	}
	if err := e.s3.Store("us-east-1", bucket.Ref, "pipelines/fleet", []byte(strings.ReplaceAll(blue, "blue", "c1"))); err != nil {
		t.Fatal(err)
	}
	parameters := map[string]string{"FunctionName": "ekspedite-pipeline", "SpecsBucket": bucket.Ref}
	if _, err := stack.Load([]stack.Template{{Name: "fleet", Body: body}}, parameters, providers, stack.Pseudo{Account: "123456789012", Region: "us-east-1"}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	go x.s.sweeps(ctx)

	time.Sleep(time.Hour) // it waits before its first action that writes
	if st := x.stage("Apply"); st.InboundExecution == nil || x.s.requested != 0 {
		t.Fatalf("%+v, %d requests", st, x.s.requested)
	}
	x.id = *x.stage("Apply").InboundExecution.PipelineExecutionId
	if _, err := x.api.EnableStageTransition(t.Context(), &codepipeline.EnableStageTransitionInput{PipelineName: &x.name, StageName: new("Apply"), TransitionType: types.StageTransitionTypeInbound}); err != nil {
		t.Fatal(err)
	}
	return x
}

func (x *example) stage(name string) types.StageState {
	x.t.Helper()
	out, err := x.api.GetPipelineState(x.t.Context(), &codepipeline.GetPipelineStateInput{Name: &x.name})
	if err != nil {
		x.t.Fatal(err)
	}
	for _, s := range out.StageStates {
		if *s.StageName == name {
			return s
		}
	}
	x.t.Fatalf("no stage %s", name)
	return types.StageState{}
}

// ends waits until the execution is over, and says how.
func (x *example) ends(limit time.Duration) types.PipelineExecutionStatus {
	x.t.Helper()
	for begun := time.Now(); ; time.Sleep(10 * time.Minute) {
		out, err := x.api.GetPipelineExecution(x.t.Context(), &codepipeline.GetPipelineExecutionInput{PipelineName: &x.name, PipelineExecutionId: &x.id})
		if err != nil {
			x.t.Fatal(err)
		}
		if s := out.PipelineExecution.Status; s != types.PipelineExecutionStatusInProgress || time.Since(begun) > limit {
			return s
		}
	}
}

func (x *example) actions() []types.ActionExecutionDetail {
	x.t.Helper()
	out, err := x.api.ListActionExecutions(x.t.Context(), &codepipeline.ListActionExecutionsInput{PipelineName: &x.name})
	if err != nil {
		x.t.Fatal(err)
	}
	return out.ActionExecutionDetails
}

// TestExample: the example takes a fleet through its rings, with a soak of seven days, a ring that waits for three days, and one
// that works for sixty hours. No action comes near CodePipeline's limits, and nobody answers an approval by hand.
func TestExample(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := startExample(t)
		const week = 7 * 24 * time.Hour
		x.s.each["canary"] = 3 * time.Hour
		x.s.waits["early"], x.s.each["early"] = 72*time.Hour, 2*time.Hour
		x.s.each["rest"] = 20 * time.Hour
		begun := time.Now()
		if got := x.ends(60 * 24 * time.Hour); got != types.PipelineExecutionStatusSucceeded {
			for _, a := range x.actions() {
				t.Logf("%s/%s: %s %+v", *a.StageName, *a.ActionName, a.Status, a.Output.ExecutionResult)
			}
			t.Fatal(got)
		}
		took := time.Since(begun)
		if early := x.s.began["early"][0].Sub(x.s.over["canary"]); early < week || early > week+30*time.Minute {
			t.Errorf("early began %s after canary was over", early)
		}
		if rest := x.s.began["rest"][0].Sub(x.s.over["early"]); rest < 72*time.Hour || rest > 72*time.Hour+30*time.Minute {
			t.Errorf("rest began %s after early was over", rest)
		}
		longest, handed, lambdas := time.Duration(0), map[string]string{}, 0
		for _, a := range x.actions() {
			if a.Input.ActionTypeId.Category == types.ActionCategoryInvoke {
				lambdas++
				longest = max(longest, a.LastUpdateTime.Sub(*a.StartTime))
				handed[*a.StageName+"/"+*a.ActionName] = a.Output.OutputVariables["handedOff"]
			}
			if a.Status != types.ActionExecutionStatusSucceeded {
				t.Errorf("%s/%s: %s", *a.StageName, *a.ActionName, a.Status)
			}
		}
		for action, want := range map[string]string{"Canary/Upgrade": "false", "Canary/Soak": "true", "Early/Upgrade": "true", "Early/Soak": "true", "Rest/Upgrade": "true", "Gate/Canary": "", "Apply/Apply": ""} {
			if handed[action] != want {
				t.Errorf("%s: handedOff is %q, want %q", action, handed[action], want)
			}
		}
		if longest > 20*time.Hour+time.Minute || lambdas != 9 {
			t.Errorf("the longest of %d actions took %s", lambdas, longest)
		}
		if n := len(x.s.began["canary"]) + len(x.s.began["early"]) + len(x.s.began["rest"]); n != 3 {
			t.Errorf("%d rollouts", n)
		}
		open, err := x.w.work.Ledger.HandOffs(t.Context())
		if err != nil || len(open) > 0 {
			t.Errorf("%v %v", open, err)
		}
		x.secrets()
		t.Logf("%s in all, the longest of %d Lambda actions %s", took.Round(time.Minute), lambdas, longest.Round(time.Second))
	})
}

// secrets looks for what is in every job's credentials.
func (x *example) secrets() {
	x.t.Helper()
	if n := strings.Count(x.log.String(), "the action goes on"); n < 100 || x.l.secrets < n {
		x.t.Errorf("%d jobs are logged, and %d had credentials", n, x.l.secrets)
	}
	texts := map[string]string{"log": x.log.String()}
	for _, d := range x.w.store.all() {
		texts[d.Key.Partition+" "+d.Key.Sort] = string(d.Data)
	}
	for name, text := range texts {
		if strings.Contains(text, "ASIAPIPELINE") {
			x.t.Errorf("%s shows credentials", name)
		}
	}
}

// TestExampleHalts: a regression in the canary ring fails its stage, and nothing beyond it is touched. Resumed and retried, the
// stage follows the rollout that there is, and the pipeline goes on.
func TestExampleHalts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := startExample(t)
		x.s.halts, x.s.each["canary"] = "canary", time.Hour
		if got := x.ends(24 * time.Hour); got != types.PipelineExecutionStatusFailed {
			t.Fatal(got)
		}
		up := x.stage("Canary").ActionStates[0].LatestExecution
		if up.ErrorDetails == nil || *up.ErrorDetails.Code != jobFailed || !strings.Contains(*up.ErrorDetails.Message, "3 pods are not Ready") {
			t.Errorf("%+v", up)
		}
		time.Sleep(30 * 24 * time.Hour)
		if len(x.s.began["early"])+len(x.s.began["rest"]) > 0 {
			t.Error("the other rings were touched")
		}
		close(x.s.resumed)
		synctest.Wait()
		if _, err := x.api.RetryStageExecution(t.Context(), &codepipeline.RetryStageExecutionInput{PipelineName: &x.name, StageName: new("Canary"), PipelineExecutionId: &x.id, RetryMode: types.StageRetryModeFailedActions}); err != nil {
			t.Fatal(err)
		}
		if got := x.ends(60 * 24 * time.Hour); got != types.PipelineExecutionStatusSucceeded || len(x.s.began["canary"]) != 1 {
			t.Errorf("%s, %d rollouts of the canary ring", got, len(x.s.began["canary"]))
		}
	})
}

// TestRandomFleets: whatever rings take, and wherever the function dies, each ring begins when the one before it has soaked, is
// asked for once, and no action comes near its limit.
func TestRandomFleets(t *testing.T) {
	for seed := range uint64(4) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 7))
			x := startExample(t)
			hours := func(n int) time.Duration { return time.Duration(random.IntN(n*60)) * time.Minute }
			for ring := range x.s.rings {
				x.s.waits[ring], x.s.each[ring] = hours(60), hours(10)
			}
			x.w.mu.Lock()
			x.w.dies = func() bool { return random.IntN(1000) == 0 }
			x.w.mu.Unlock()
			if got := x.ends(90 * 24 * time.Hour); got != types.PipelineExecutionStatusSucceeded {
				for _, a := range x.actions() {
					t.Logf("%s/%s: %s %+v", *a.StageName, *a.ActionName, a.Status, a.Output.ExecutionResult.ErrorDetails)
				}
				t.Fatalf("seed %d: %s", seed, got)
			}
			longest := time.Duration(0)
			for _, a := range x.actions() {
				if a.Input.ActionTypeId.Category == types.ActionCategoryInvoke {
					longest = max(longest, a.LastUpdateTime.Sub(*a.StartTime))
				}
			}
			x.s.mu.Lock()
			defer x.s.mu.Unlock()
			canary, early := x.s.began["early"][0].Sub(x.s.over["canary"]), x.s.began["rest"][0].Sub(x.s.over["early"])
			if canary < 168*time.Hour || canary > 169*time.Hour || early < 72*time.Hour || early > 73*time.Hour || longest > 21*time.Hour {
				t.Errorf("seed %d: soaks of %s and %s, an action of %s", seed, canary, early, longest)
			}
			for ring, began := range x.s.began {
				if len(began) != 1 {
					t.Errorf("seed %d: ring %s was asked for %d times", seed, ring, len(began))
				}
			}
			t.Logf("seed %d: %d deaths, the longest action %s", seed, x.l.deaths, longest)
		})
	}
}
