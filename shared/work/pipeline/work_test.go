package pipeline

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/ledger"
)

const fromFile = `{"action": "apply", "spec": "s3://specs/blue.yaml"}`

func TestApply(t *testing.T) {
	w := newWorld(t)
	w.must(fromFile)
	if len(w.bus) != 1 || w.token == "" {
		t.Fatalf("%d events, token %q", len(w.bus), w.token)
	}
	asked := w.bus[0].Payload.(*events.ClusterApplyRequested)
	if asked.RequestID != "job-1" || asked.Spec != blue || asked.DryRun || asked.Prune {
		t.Errorf("%+v", asked)
	}
	w.now = w.now.Add(30 * time.Second)
	w.must(fromFile)
	if !strings.Contains(w.summary, "us-east-1/blue: not begun") || len(w.bus) != 1 {
		t.Errorf("%q, %d events", w.summary, len(w.bus))
	}
	id := fleet.ClusterID{Region: "us-east-1", Name: "blue"}
	if _, err := w.work.Ledger.SaveClusterRun(t.Context(), id, ledger.ClusterRun{RunID: ledger.RunID("job-1", id), Reason: "3 of 9 things are there"}); err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(3 * time.Hour)
	w.must(fromFile)
	if !strings.Contains(w.summary, "3 of 9") || w.token == "" {
		t.Errorf("%q", w.summary)
	}
	w.ends("us-east-1/blue", ledger.Run{Outcome: events.OutcomeActive, Reason: "all is there"})
	w.must(fromFile)
	if w.token != "" || w.kind != "" || w.variables["outcome"] != "Active" || w.variables["requestId"] != "job-1" ||
		w.variables["runIds"] != ledger.RunID("job-1", id) || w.variables["clusters"] != "us-east-1/blue" {
		t.Errorf("%+v", w)
	}
	if w.answers != w.jobs {
		t.Errorf("%d answers to %d jobs", w.answers, w.jobs)
	}
}

func TestPlanAndNoWait(t *testing.T) {
	for _, parameters := range []string{`{"action":"plan","spec":"s3://specs/blue.yaml"}`, `{"dryRun":true,"spec":"s3://specs/blue.yaml"}`} {
		w := newWorld(t)
		w.must(parameters)
		if asked := w.bus[0].Payload.(*events.ClusterApplyRequested); !asked.DryRun {
			t.Errorf("%s: %+v", parameters, asked)
		}
		w.must(parameters)
		if w.token == "" || !strings.Contains(w.summary, "being planned") {
			t.Errorf("%q", w.summary)
		}
		w.ends("us-east-1/blue", ledger.Run{Outcome: events.OutcomeNothingToDo, Reason: "dry run, nothing was written: 42 calls"})
		w.must(parameters)
		if w.token != "" || !strings.Contains(w.variables["reason"], "42 calls") {
			t.Errorf("%+v", w.variables)
		}
	}
	w := newWorld(t)
	encoded, _ := json.Marshal(map[string]any{"spec": blue, "wait": false, "prune": true})
	w.must(string(encoded))
	if asked := w.bus[0].Payload.(*events.ClusterApplyRequested); w.token != "" || w.variables["requestId"] != "job-1" || !asked.Prune || asked.Spec != blue {
		t.Errorf("%+v %+v", w.variables, asked)
	}
}

// What fails is said with all that is known of it, in CodePipeline's own terms.
func TestFailures(t *testing.T) {
	for name, c := range map[string]struct {
		parameters string
		before     func(w *world)
		kind       string
		says       []string
	}{
		"no JSON":        {parameters: "apply", kind: configurationError, says: []string{"UserParameters", `"spec"`}},
		"unknown field":  {parameters: `{"spec":"x","force":true}`, kind: configurationError, says: []string{"force"}},
		"two objects":    {parameters: `{"spec":"x"}{}`, kind: configurationError, says: []string{"behind"}},
		"unknown action": {parameters: `{"action":"delete","spec":"x"}`, kind: configurationError, says: []string{"delete", "apply, plan, check"}},
		"no spec":        {parameters: `{}`, kind: configurationError, says: []string{"no spec"}},
		"odd place":      {parameters: `{"spec":"s3://specs"}`, kind: configurationError, says: []string{"s3://bucket/key"}},
		"no file":        {parameters: `{"spec":"s3://specs/red.yaml"}`, kind: configurationError, says: []string{"red.yaml"}},
		"version gone":   {parameters: `{"spec":"s3://specs/blue.yaml?versionId=old"}`, kind: revisionUnavailable, says: []string{"not there any more"}},
		"wrong spec": {parameters: fromFile, kind: configurationError, says: []string{"metadata.region", "metadata.name"},
			before: func(w *world) {
				w.files["specs/blue.yaml?"] = "apiVersion: eksctl.io/v1alpha5\nkind: ClusterConfig\nmetadata: {}\n"
			}},
		"forbidden": {parameters: fromFile, kind: permissionError, says: []string{"SpecsBucket"},
			before: func(w *world) { w.fails["read"] = fault.New(fault.Denied, "AccessDenied") }},
		"odd token": {parameters: fromFile, kind: configurationError, says: []string{"token"}, before: func(w *world) { w.token = "{}" }},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			if c.before != nil {
				c.before(w)
			}
			w.must(c.parameters)
			if w.kind != c.kind || len(w.bus) > 0 || w.answers != 1 {
				t.Errorf("%s: %s, %d events", w.kind, w.message, len(w.bus))
			}
			for _, want := range c.says {
				if !strings.Contains(w.message, want) {
					t.Errorf("%q is not in %q", want, w.message)
				}
			}
		})
	}
}

func TestRunsThatFail(t *testing.T) {
	two := `{"spec":"s3://specs/two.yaml"}`
	w := newWorld(t)
	w.files["specs/two.yaml?"] = blue + "---\n" + strings.ReplaceAll(blue, "blue", "green")
	w.must(two)
	w.ends("us-east-1/blue", ledger.Run{Outcome: events.OutcomeFailed, Reason: "1 of 20", Failures: []events.Failure{{
		Resource: "vpc", Code: "VpcLimitExceeded", Whose: "quota", Text: "the maximum number of VPCs has been reached", Fix: "ask for more",
	}}})
	w.must(two)
	if w.token == "" || !strings.Contains(w.summary, "VpcLimitExceeded") || !strings.Contains(w.summary, "us-east-1/green: not begun") {
		t.Fatalf("the other cluster is waited for: %q", w.summary)
	}
	w.ends("us-east-1/green", ledger.Run{Outcome: events.OutcomeActive, Reason: strings.Repeat("all is there ", 1000)})
	w.must(two)
	for _, want := range []string{"us-east-1/blue: Failed: 1 of 20", "[quota] vpc VpcLimitExceeded: the maximum", "ask for more"} {
		if w.kind != jobFailed || !strings.Contains(w.message, want) {
			t.Errorf("%s: %q is not in %q", w.kind, want, w.message)
		}
	}
	if strings.Contains(w.message, "green") {
		t.Errorf("what is well is not named: %s", w.message)
	}

	w = newWorld(t)
	w.must(fromFile)
	w.ends("us-east-1/blue", ledger.Run{Outcome: events.OutcomeFailed, Reason: strings.Repeat("ä", 9000)})
	w.must(fromFile)
	if n := utf8.RuneCountInString(w.message); n != maxMessage {
		t.Errorf("%d characters", n)
	}
}

func TestSuperseded(t *testing.T) {
	w := newWorld(t)
	w.must(fromFile)
	id := fleet.ClusterID{Region: "us-east-1", Name: "blue"}
	for _, request := range []string{"job-1", "newer"} {
		if _, err := w.work.Ledger.Desire(t.Context(), ledger.Desired{ClusterID: id, RequestID: request, RunID: ledger.RunID(request, id), RequestedAt: w.now}); err != nil {
			t.Fatal(err)
		}
	}
	w.must(fromFile)
	if w.kind != revisionOutOfSync || !strings.Contains(w.message, "newer") {
		t.Errorf("%s %s", w.kind, w.message)
	}
}

// Whatever fails to be read or written is tried again with the next job, for a while. A request is made once.
func TestTroubles(t *testing.T) {
	for _, what := range []string{"read", "publish"} {
		w := newWorld(t)
		w.fails[what] = fault.New(fault.Throttled, "slow down")
		w.must(fromFile)
		if w.token == "" || !strings.Contains(w.summary, "slow down") || len(w.bus) != 0 {
			t.Fatalf("%s: %q", what, w.summary)
		}
		w.now = w.now.Add(time.Minute)
		delete(w.fails, what)
		w.must(fromFile)
		if len(w.bus) != 1 || w.bus[0].Payload.(*events.ClusterApplyRequested).RequestID != "job-1" {
			t.Errorf("%s: %d events", what, len(w.bus))
		}
		w.must(fromFile)
		if len(w.bus) != 1 {
			t.Errorf("%s: asked again", what)
		}
	}
	w := newWorld(t)
	w.fails["publish"] = fault.New(fault.Denied, "no")
	w.must(fromFile)
	w.now = w.now.Add(blind)
	w.must(fromFile)
	if w.kind != permissionError || w.token != "" {
		t.Errorf("%s %s", w.kind, w.message)
	}

	w = newWorld(t)
	w.must(fromFile)
	w.now = w.now.Add(idle)
	w.must(fromFile)
	if w.kind != systemUnavailable || !strings.Contains(w.message, "dead-letter queue") {
		t.Errorf("%s %s", w.kind, w.message)
	}

	w = newWorld(t)
	w.must(fromFile)
	id := fleet.ClusterID{Region: "us-east-1", Name: "blue"}
	if _, err := w.work.Ledger.SaveClusterRun(t.Context(), id, ledger.ClusterRun{RunID: ledger.RunID("job-1", id), Reason: "waiting"}); err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(patience)
	w.must(fromFile)
	if w.kind != jobFailed || !strings.Contains(w.message, "go on") {
		t.Errorf("%s %s", w.kind, w.message)
	}
}

// An answer that nobody waits for is none that Lambda has to try again; one that was lost is.
func TestAnswers(t *testing.T) {
	w := newWorld(t)
	for class, again := range map[fault.Class]bool{fault.Conflict: false, fault.NotFound: false, fault.Transient: true} {
		w.fails["continue"], w.token = fault.New(class, "no"), ""
		if err := w.job(fromFile); (err != nil) != again {
			t.Errorf("%s: %v", class, err)
		}
	}
	e, err := events.New(&events.ClusterSweepRequested{}, "1", start, "", "")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.work.Handle(t.Context(), e); err == nil {
		t.Error("a sweep is no job")
	}
}

// What is remembered of many clusters is not in the token.
func TestManyClusters(t *testing.T) {
	w := newWorld(t)
	var b strings.Builder
	for i := range 300 {
		b.WriteString("---\n" + strings.ReplaceAll(blue, "blue", fmt.Sprintf("a-cluster-with-a-long-name-%d", i)))
	}
	w.files["specs/blue.yaml?"] = b.String()
	w.must(fromFile)
	if len(w.bus) != 1 || len(w.token) > 200 {
		t.Fatalf("%s %s, %d events, token %s", w.kind, w.message, len(w.bus), w.token)
	}
	for i := range 300 {
		w.ends(fmt.Sprintf("us-east-1/a-cluster-with-a-long-name-%d", i), ledger.Run{Outcome: events.OutcomeActive})
	}
	w.must(fromFile)
	if w.token != "" || w.kind != "" || w.variables["outcome"] != "Active" {
		t.Errorf("%s %s %s", w.kind, w.message, w.token)
	}
}
