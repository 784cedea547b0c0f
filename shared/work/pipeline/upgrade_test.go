package pipeline

import (
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/ledger"
)

const (
	execution = "0f6ae0c0-1111-4222-8333-444455556666"
	approval  = `"approval":{"pipeline":"fleet","stage":"Canary","action":"Soaked","execution":"` + execution + `"}`
	ringUp    = `{"action":"upgrade","ring":"canary","to":"1.36",` + approval + `}`
	ringSoak  = `{"action":"soak","ring":"canary",` + approval + `}`
)

// has makes clusters that ekspedite knows, in rings.
func (w *world) has(ring string, names ...string) {
	w.t.Helper()
	for _, name := range names {
		policy := fleet.DefaultPolicy()
		policy.Upgrade.Ring = ring
		d := ledger.Desired{ClusterID: fleet.ClusterID{Region: "us-east-1", Name: name}, Policy: policy, RequestID: "made-" + name, RequestedAt: w.now}
		if ok, err := w.work.Ledger.Desire(w.t.Context(), d); err != nil || !ok {
			w.t.Fatal(ok, err)
		}
	}
}

// checkedRun records the end of a dry run, as the upgrade function does.
func (w *world) checkedRun(request, name, outcome string, failures ...events.Failure) {
	w.t.Helper()
	id := fleet.ClusterID{Region: "us-east-1", Name: name}
	r := ledger.Run{RunID: ledger.RunID("upgrade "+request, id), Function: "upgrade", Subject: events.Subject{Cluster: name, Region: "us-east-1"},
		Outcome: outcome, Reason: "looked at", Failures: failures, StartedAt: w.now, FinishedAt: w.now}
	if err := w.work.Ledger.SaveRun(w.t.Context(), r); err != nil {
		w.t.Fatal(err)
	}
}

// rollout changes the rollout of an id, as the upgrade function does.
func (w *world) rollout(id string, change func(*ledger.Rollout)) {
	w.t.Helper()
	r, err := w.work.Ledger.Rollout(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	if r.ID == "" {
		r.ID, r.Ring, r.To, r.StartedAt, r.Phase = id, "canary", 36, w.now, "1 of 2 done"
	}
	change(&r)
	if _, err := w.work.Ledger.SaveRollout(w.t.Context(), r); err != nil {
		w.t.Fatal(err)
	}
}

// upgraded records the end of a cluster's run that is part of a rollout.
func (w *world) upgraded(name, rollout, outcome string) {
	w.t.Helper()
	id := fleet.ClusterID{Region: "us-east-1", Name: name}
	u, err := w.work.Ledger.Upgrade(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	u.RunID, u.Rollout, u.To, u.Outcome, u.StartedAt, u.EndedAt = name+rollout, rollout, 36, outcome, w.now, w.now
	if _, err := w.work.Ledger.SaveUpgrade(w.t.Context(), id, u); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) sweep() error {
	e, err := events.New(&events.PipelineSweepRequested{}, "s", w.now, "", "")
	if err != nil {
		w.t.Fatal(err)
	}
	return w.work.Handle(w.t.Context(), e)
}

// asks is the approval on its way: it waits for its answer.
func (w *world) asks(token string) {
	w.execution, w.status, w.approval = execution, "InProgress", token
}

func TestCheck(t *testing.T) {
	const ring = `{"action":"check","ring":"canary","to":"1.36"}`
	w := newWorld(t)
	w.has("canary", "one", "two")
	w.has("early", "three")
	w.must(ring)
	if len(w.bus) != 2 {
		t.Fatalf("%d requests, %s", len(w.bus), w.message)
	}
	for i, name := range []string{"one", "two"} {
		if p := w.bus[i].Payload.(*events.UpgradeRequested); p.Cluster != name || p.Region != "us-east-1" || !p.DryRun || p.To != "1.36" || p.RequestID != "job-1" {
			t.Errorf("%+v", p)
		}
	}
	w.checkedRun("job-1", "one", events.OutcomePlanned)
	w.must(ring)
	if w.token == "" || !strings.Contains(w.summary, "two: being checked") {
		t.Errorf("%q", w.summary)
	}
	blocker := events.Failure{Resource: "default/web", Code: "WL05", Whose: "user", Text: "the budget allows no disruption", Fix: "raise maxUnavailable"}
	w.checkedRun("job-1", "two", events.OutcomeNotReady, blocker, events.Failure{Whose: "user", Text: "another"})
	w.must(ring)
	if w.kind != jobFailed || !strings.Contains(w.message, "[user] default/web WL05: the budget allows no disruption – raise maxUnavailable") {
		t.Errorf("%s %s", w.kind, w.message)
	}

	w = newWorld(t) // the same, told and not failed
	w.has("canary", "one")
	report := `{"action":"check","clusters":["one"],"to":"1.36","onBlockers":"report"}`
	w.must(report)
	w.checkedRun("job-1", "one", events.OutcomeNotReady, blocker)
	w.must(report)
	if w.kind != "" || w.variables["ready"] != "false" || w.variables["blockers"] != "1" || !strings.Contains(w.variables["report"], "WL05") {
		t.Errorf("%s %v", w.kind, w.variables)
	}

	w = newWorld(t)
	w.has("canary", "one")
	w.must(report)
	w.checkedRun("job-1", "one", events.OutcomePlanned)
	w.must(report)
	if w.variables["ready"] != "true" || w.variables["blockers"] != "0" {
		t.Errorf("%v", w.variables)
	}

	w = newWorld(t) // what could not be checked is not ready, whatever is to happen with blockers
	w.has("canary", "one")
	w.must(report)
	w.checkedRun("job-1", "one", events.OutcomeFailed)
	w.must(report)
	if w.kind != jobFailed {
		t.Errorf("%s %v", w.kind, w.variables)
	}
}

func TestUpgradeParameters(t *testing.T) {
	for parameters, says := range map[string]string{
		`{"action":"upgrade","to":"1.36"}`:                                    `either a "ring" or "clusters"`,
		`{"action":"upgrade","to":"1.36","ring":"canary","clusters":["one"]}`: `either a "ring" or "clusters"`,
		`{"action":"upgrade","ring":"canary"}`:                                `neither "to"`,
		`{"action":"upgrade","ring":"canary","to":"1.36","patch":true}`:       "leave out",
		`{"action":"upgrade","ring":"canary","to":"newest"}`:                  "like 1.36",
		`{"action":"upgrade","ring":"canary","to":"1.36","spec":"x"}`:         `"spec"`,
		`{"action":"upgrade","ring":"blue","to":"1.36"}`:                      "its rings are canary, early, rest",
		`{"action":"upgrade","clusters":["nobody"],"to":"1.36"}`:              "us-east-1/nobody is none of ekspedite's",
		`{"action":"check","ring":"early","to":"1.36"}`:                       "no cluster is in ring early",
		`{"action":"check","ring":"canary","to":"1.36","onBlockers":"shrug"}`: "shrug",
		`{"action":"soak"}`:                                                            "a soak is a ring's",
		`{"action":"soak","ring":"canary"}`:                                            "comes before its soak",
		`{"action":"soak","ring":"canary","for":"-1h"}`:                                "more than nothing",
		`{"action":"upgrade","ring":"canary","to":"1.36","handOff":"30h"}`:             "24 hours",
		strings.ReplaceAll(ringUp, execution, "#{codepipeline.PipelineExecutionId}"):   "codepipeline.PipelineExecutionId",
		strings.ReplaceAll(ringUp, `"stage":"Canary"`, `"stage":"Nowhere"`):            "no approval fleet/Nowhere/Soaked",
		strings.ReplaceAll(ringUp, `"stage":"Canary"`, `"stage":"a/b"`):                "approval.stage",
		strings.ReplaceAll(ringUp, `"stage":"Canary"`, `"stage":"Canary","token":"x"`): "token",
		`{"action":"soak","ring":"canary","rollout":"r","approval":{"pipeline":"p"}}`:  "approval.stage",
		`{"action":"apply","spec":"kind: ClusterConfig","ring":"canary"}`:              `"ring"`,
	} {
		w := newWorld(t)
		w.has("canary", "one")
		w.must(parameters)
		if w.kind != configurationError || !strings.Contains(w.message, says) || len(w.bus) > 0 {
			t.Errorf("%s: %s %s, %d events", parameters, w.kind, w.message, len(w.bus))
		}
	}
	w := newWorld(t)
	w.fails["state"] = fault.New(fault.Denied, "no")
	w.must(ringUp)
	if w.kind != permissionError || len(w.bus) > 0 {
		t.Errorf("an approval that may not be seen: %s %s", w.kind, w.message)
	}
}

func TestUpgradeCluster(t *testing.T) {
	const parameters = `{"action":"upgrade","clusters":["one","us-east-1/two","one"],"to":"1.36","now":true}`
	one, two := fleet.ClusterID{Region: "us-east-1", Name: "one"}, fleet.ClusterID{Region: "us-east-1", Name: "two"}
	w := newWorld(t)
	w.has("rest", "one", "two")
	// Two is on its way to the same version already: it is followed.
	other, err := w.work.Ledger.SaveUpgrade(t.Context(), two, ledger.Upgrade{RunID: "other", To: 36, StartedAt: w.now, Phase: "nodes"})
	if err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(26 * time.Hour)
	w.must(parameters)
	if len(w.bus) != 1 {
		t.Fatalf("%d requests: %s", len(w.bus), w.message)
	}
	if p := w.bus[0].Payload.(*events.UpgradeRequested); p.Cluster != "one" || !p.Now || p.DryRun || p.Rollout != "" {
		t.Errorf("%+v", p)
	}
	mine, err := w.work.Ledger.SaveUpgrade(t.Context(), one, ledger.Upgrade{RunID: upgradeRun("job-1", one), RequestID: "job-1", To: 36, StartedAt: w.now, Phase: "control plane"})
	if err != nil {
		t.Fatal(err)
	}
	w.must(parameters)
	if w.summary != "us-east-1/one: control plane; us-east-1/two: nodes" {
		t.Errorf("%q", w.summary)
	}
	end := func(id fleet.ClusterID, u ledger.Upgrade, outcome string) {
		t.Helper()
		u.Outcome, u.EndedAt = outcome, w.now
		if _, err := w.work.Ledger.SaveUpgrade(t.Context(), id, u); err != nil {
			t.Fatal(err)
		}
		if err := w.work.Ledger.SaveRun(t.Context(), ledger.Run{RunID: u.RunID, Function: "upgrade", Subject: events.Subject{Cluster: id.Name, Region: id.Region},
			Outcome: outcome, Reason: "1.35 to 1.36", StartedAt: u.StartedAt, FinishedAt: w.now}); err != nil {
			t.Fatal(err)
		}
	}
	end(two, other, events.OutcomeUpgraded)
	next, err := w.work.Ledger.Upgrade(t.Context(), two) // and another one begins at once
	if err != nil {
		t.Fatal(err)
	}
	next.RunID, next.Outcome, next.StartedAt = "next", "", w.now
	if _, err := w.work.Ledger.SaveUpgrade(t.Context(), two, next); err != nil {
		t.Fatal(err)
	}
	w.must(parameters)
	if w.summary != "us-east-1/one: control plane" {
		t.Errorf("%q", w.summary)
	}
	halted := mine
	halted.Halted = "5 nodes are NotReady"
	if halted, err = w.work.Ledger.SaveUpgrade(t.Context(), one, halted); err != nil {
		t.Fatal(err)
	}
	before := w.token
	w.must(parameters)
	if w.kind != jobFailed || !strings.Contains(w.message, "5 nodes are NotReady") || !strings.Contains(w.message, "upgrade resume") {
		t.Errorf("%s %s", w.kind, w.message)
	}
	// Somebody resumes it and retries the stage: a new action, which follows the run that there is.
	halted.Halted = ""
	if halted, err = w.work.Ledger.SaveUpgrade(t.Context(), one, halted); err != nil {
		t.Fatal(err)
	}
	w.kind, w.bus = "", nil
	w.must(`{"action":"upgrade","clusters":["one"],"to":"1.36"}`)
	if w.token == "" || w.token == before || len(w.bus) != 0 {
		t.Errorf("%d requests, %s", len(w.bus), w.message)
	}
	end(one, halted, events.OutcomeUpgraded)
	w.must(`{"action":"upgrade","clusters":["one"],"to":"1.36"}`)
	if w.kind != "" || w.variables["outcome"] != events.OutcomeUpgraded || w.variables["runIds"] != upgradeRun("job-1", one) {
		t.Errorf("%s %s %v", w.kind, w.message, w.variables)
	}
}

func TestRing(t *testing.T) {
	w := newWorld(t)
	w.has("canary", "one", "two")
	w.must(ringUp)
	if p, ok := w.bus[0].Payload.(*events.RolloutRequested); !ok || len(w.bus) != 1 || p.RequestID != "job-1" || p.Ring != "canary" || p.To != "1.36" {
		t.Fatalf("%+v", w.bus)
	}
	w.must(ringUp)
	if !strings.Contains(w.summary, "not begun") {
		t.Errorf("%q", w.summary)
	}
	w.rollout("job-1", func(r *ledger.Rollout) {})
	w.now = w.now.Add(time.Hour)
	w.must(ringUp)
	if w.token == "" || !strings.Contains(w.summary, "1 of 2 done") {
		t.Errorf("%q %s", w.summary, w.message)
	}
	w.rollout("job-1", func(r *ledger.Rollout) {
		r.Outcome, r.EndedAt, r.Phase = events.OutcomeUpgraded, w.now, "ring canary is done"
	})
	w.must(ringUp)
	if w.token != "" || w.kind != "" || w.variables["handedOff"] != "false" || w.variables["rollout"] != "job-1" || w.variables["outcome"] != events.OutcomeUpgraded || w.variables["resumeAfter"] == "" {
		t.Errorf("%s %v", w.message, w.variables)
	}
	// The approval behind it is answered when it asks, although nothing was handed off.
	if err := w.sweep(); err != nil || w.answer != "" {
		t.Errorf("%v %s", err, w.answer)
	}
	w.asks("t1")
	if err := w.sweep(); err != nil || w.answer != "Approved" || !strings.Contains(w.why, "ring canary is done") {
		t.Errorf("%v %s %s", err, w.answer, w.why)
	}
	if open, err := w.work.Ledger.HandOffs(t.Context()); err != nil || len(open) != 0 {
		t.Errorf("%v %v", open, err)
	}
	for outcome, state := range map[string]func(*ledger.Rollout){
		"Failed: 1 of 2": func(r *ledger.Rollout) { r.Outcome, r.Phase = events.OutcomeFailed, "1 of 2" },
		"Aborted":        func(r *ledger.Rollout) { r.Outcome = events.OutcomeAborted },
		"is halted: bad": func(r *ledger.Rollout) { r.Halted = "bad" },
	} {
		w := newWorld(t)
		w.must(ringUp)
		w.rollout("job-1", state)
		w.must(ringUp)
		if w.kind != jobFailed || !strings.Contains(w.message, outcome) {
			t.Errorf("%s: %s %s", outcome, w.kind, w.message)
		}
	}
	w = newWorld(t)
	w.must(ringUp)
	w.now = w.now.Add(idle)
	w.must(ringUp)
	if w.kind != systemUnavailable || !strings.Contains(w.message, "the upgrade function has not begun") {
		t.Errorf("%s %s", w.kind, w.message)
	}
}
