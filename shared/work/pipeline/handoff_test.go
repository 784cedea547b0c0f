package pipeline

import (
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/ledger"
)

// A ring that takes longer than a day is handed off after twenty hours, and the approval is answered when it is over.
func TestHandOff(t *testing.T) {
	w := newWorld(t)
	w.must(ringUp)
	w.rollout("job-1", func(r *ledger.Rollout) {})
	w.now = w.now.Add(20*time.Hour - time.Minute)
	w.must(ringUp)
	if w.token == "" {
		t.Fatalf("too early: %v %s", w.variables, w.message)
	}
	w.now = w.now.Add(2 * time.Minute)
	w.must(ringUp)
	if w.token != "" || w.kind != "" || w.variables["handedOff"] != "true" || w.variables["rollout"] != "job-1" {
		t.Fatalf("%v %s", w.variables, w.message)
	}
	w.asks("t1")
	for range 3 {
		w.now = w.now.Add(24 * time.Hour)
		if err := w.sweep(); err != nil || w.answer != "" {
			t.Fatalf("%v %s", err, w.answer)
		}
	}
	w.rollout("job-1", func(r *ledger.Rollout) { r.Outcome = events.OutcomeUpgraded })
	finished, err := events.New(&events.RunFinished{RunID: "job-1", Function: "upgrade", Outcome: events.OutcomeUpgraded, StartedAt: start, FinishedAt: w.now}, "e", w.now, "", "")
	if err != nil {
		t.Fatal(err)
	}
	w.fails["answer"] = fault.New(fault.Transient, "timeout")
	if err := w.work.Handle(t.Context(), finished); err == nil {
		t.Error("an answer that was lost is not tried again")
	}
	delete(w.fails, "answer")
	if err := w.work.Handle(t.Context(), finished); err != nil || w.answer != "Approved" {
		t.Errorf("%v %s", err, w.answer)
	}
}

// What is known to wait for longer than there is time is handed off at once; without an approval only if somebody wants that.
func TestHandOffAtOnce(t *testing.T) {
	later := start.Add(40 * time.Hour)
	for parameters, want := range map[string]string{
		ringUp: "true",
		`{"action":"upgrade","ring":"canary","to":"1.36","handOff":"5h"}`: "true",
		`{"action":"upgrade","ring":"canary","to":"1.36"}`:                "",
	} {
		w := newWorld(t)
		w.must(parameters)
		w.rollout("job-1", func(r *ledger.Rollout) { r.LookAt, r.Phase = later, "waits for its window" })
		w.must(parameters)
		if got := w.variables["handedOff"]; got != want || want == "" && w.token == "" || want != "" && w.variables["resumeAfter"] != later.Format(time.RFC3339) {
			t.Errorf("%s: %v %s", parameters, w.variables, w.message)
		}
	}
	w := newWorld(t)
	const without = `{"action":"upgrade","ring":"canary","to":"1.36"}`
	w.must(without)
	w.rollout("job-1", func(*ledger.Rollout) {})
	w.now = w.now.Add(patience)
	w.must(without)
	if w.kind != jobFailed || !strings.Contains(w.message, "handed off to an approval") {
		t.Errorf("%s %s", w.kind, w.message)
	}
}

// A soak of seven days is handed off by its first job; a short one is waited for.
func TestSoak(t *testing.T) {
	ready := func() *world {
		w := newWorld(t)
		w.has("canary", "one", "two")
		w.rollout("r1", func(r *ledger.Rollout) {})
		w.upgraded("one", "r1", events.OutcomeUpgraded)
		w.now = w.now.Add(2 * time.Hour)
		w.upgraded("two", "r1", events.OutcomeUpgraded)
		w.now = w.now.Add(10 * time.Minute)
		w.rollout("r1", func(r *ledger.Rollout) { r.Outcome, r.EndedAt = events.OutcomeUpgraded, w.now })
		return w
	}
	w := ready()
	week := strings.Replace(ringSoak, `"ring"`, `"for":"168h","ring"`, 1)
	w.must(week)
	until := start.Add(2*time.Hour + 168*time.Hour)
	if w.token != "" || w.variables["handedOff"] != "true" || w.variables["resumeAfter"] != until.Format(time.RFC3339) {
		t.Fatalf("%v %s", w.variables, w.message)
	}
	w.asks("t1")
	w.now = until.Add(-time.Second)
	if err := w.sweep(); err != nil || w.answer != "" {
		t.Errorf("too early: %v %s", err, w.answer)
	}
	w.now = until
	if err := w.sweep(); err != nil || w.answer != "Approved" || !strings.Contains(w.why, "has soaked for 168h") {
		t.Errorf("%v %s %s", err, w.answer, w.why)
	}

	w = ready() // what is done to one of its clusters meanwhile does not prolong it
	w.must(week)
	w.asks("t1")
	w.now = until.Add(-time.Hour)
	w.upgraded("one", "another", events.OutcomeUpgraded)
	w.now = until
	if err := w.sweep(); err != nil || w.answer != "Approved" {
		t.Errorf("%v %s", err, w.answer)
	}

	w = ready() // rolled back in the meantime
	w.must(week)
	w.asks("t1")
	w.now = w.now.Add(time.Hour)
	w.upgraded("one", "", events.OutcomeRolledBack)
	if err := w.sweep(); err != nil || w.answer != "Rejected" || !strings.Contains(w.why, "one was rolled back") {
		t.Errorf("%v %s %s", err, w.answer, w.why)
	}

	w = ready() // a rollout that was refused is none
	w.now = w.now.Add(time.Minute)
	w.rollout("r2", func(r *ledger.Rollout) { r.Outcome = events.OutcomeSuperseded })
	w.must(week)
	if w.variables["rollout"] != "r1" {
		t.Errorf("%v %s", w.variables, w.message)
	}

	w = ready()
	hour := strings.Replace(ringSoak, `"ring"`, `"for":"1h","ring"`, 1)
	w.must(hour)
	if w.token == "" || !strings.Contains(w.summary, "soaks until") {
		t.Fatalf("%v %s", w.variables, w.message)
	}
	w.now = w.now.Add(50 * time.Minute)
	w.must(hour)
	if w.token != "" || w.variables["handedOff"] != "false" || w.variables["soakedUntil"] != start.Add(3*time.Hour).Format(time.RFC3339) {
		t.Errorf("%v %s", w.variables, w.message)
	}

	w = newWorld(t) // whose rollout is not over
	w.has("canary", "one")
	w.rollout("r1", func(r *ledger.Rollout) { r.Phase = "on its way" })
	w.must(hour)
	if w.token == "" || !strings.Contains(w.summary, "on its way") {
		t.Errorf("%q %s", w.summary, w.message)
	}
	w.rollout("r1", func(r *ledger.Rollout) { r.Outcome = events.OutcomeFailed })
	w.must(hour)
	if w.kind != jobFailed {
		t.Errorf("%s %v", w.kind, w.variables)
	}
}

// One approval may wait for several actions, is answered for its own execution only, and is asked for again after a rejection.
func TestApprovals(t *testing.T) {
	w := newWorld(t)
	w.has("canary", "one")
	w.must(ringUp)
	w.rollout("job-1", func(r *ledger.Rollout) { r.LookAt = start.Add(40 * time.Hour) })
	w.must(ringUp)   // handed off
	w.must(ringSoak) // handed off, too, by its first job
	open, err := w.work.Ledger.HandOffs(t.Context())
	if err != nil || len(open) != 2 {
		t.Fatalf("%v %v", open, err)
	}
	w.now = w.now.Add(48 * time.Hour)
	w.rollout("job-1", func(r *ledger.Rollout) { r.Halted = "pods are not Ready" })
	w.execution, w.status, w.approval = strings.ReplaceAll(execution, "0", "9"), "InProgress", "theirs"
	if err := w.sweep(); err != nil || w.answer != "" {
		t.Fatalf("another execution's approval is answered: %v %s", err, w.answer)
	}
	w.asks("t1")
	if err := w.sweep(); err != nil || w.answer != "Rejected" || !strings.Contains(w.why, "pods are not Ready") {
		t.Fatalf("%v %s %s", err, w.answer, w.why)
	}
	// It is resumed, and the stage retried: another token.
	w.rollout("job-1", func(r *ledger.Rollout) { r.Halted = "" })
	w.asks("t2")
	w.answer = ""
	if err := w.sweep(); err != nil || w.answer != "" {
		t.Fatalf("%v %s", err, w.answer)
	}
	w.rollout("job-1", func(r *ledger.Rollout) { r.Outcome, r.EndedAt = events.OutcomeUpgraded, w.now })
	if err := w.sweep(); err != nil || w.answer != "" {
		t.Fatalf("the soak is not over: %v %s", err, w.answer)
	}
	w.now = w.now.Add(24 * time.Hour) // the ring's
	if err := w.sweep(); err != nil || w.answer != "Approved" {
		t.Fatalf("%v %s", err, w.answer)
	}

	// Somebody else approves; the approval goes away; an error on one does not keep the others.
	for name, change := range map[string]func(w *world){
		"by hand": func(w *world) { w.status = "Succeeded" },
		"gone":    func(w *world) { w.fails["state"] = fault.New(fault.NotFound, "no such pipeline") },
	} {
		w := newWorld(t)
		w.must(ringUp)
		w.rollout("job-1", func(r *ledger.Rollout) { r.Outcome = events.OutcomeUpgraded })
		w.must(ringUp)
		w.asks("t1")
		change(w)
		if err := w.sweep(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if open, err := w.work.Ledger.HandOffs(t.Context()); err != nil || len(open) != 0 || w.answer != "" {
			t.Errorf("%s: %v %v %s", name, open, err, w.answer)
		}
	}
}

// A stage whose actions all run again has its approval wait for the new ones: what failed before does not count.
func TestApprovalOfASecondAttempt(t *testing.T) {
	w := newWorld(t)
	attempt := func(job, token, outcome string) {
		t.Helper()
		w.token, w.variables = "", nil
		w.must(ringUp)
		w.rollout(job, func(r *ledger.Rollout) { r.LookAt = w.now.Add(40 * time.Hour) })
		w.must(ringUp)
		if w.variables["handedOff"] != "true" {
			t.Fatalf("%v %s", w.variables, w.message)
		}
		w.asks(token)
		w.now = w.now.Add(time.Hour)
		w.rollout(job, func(r *ledger.Rollout) { r.Outcome, r.EndedAt = outcome, w.now })
		if err := w.sweep(); err != nil {
			t.Fatal(err)
		}
	}
	attempt("job-1", "t1", events.OutcomeFailed)
	if w.answer != "Rejected" {
		t.Errorf("%s %s", w.answer, w.why)
	}
	attempt("job-3", "t2", events.OutcomeUpgraded)
	if w.answer != "Approved" {
		t.Errorf("%s %s", w.answer, w.why)
	}
	if open, err := w.work.Ledger.HandOffs(t.Context()); err != nil || len(open) != 0 {
		t.Errorf("%v %v", open, err)
	}
}

// dead is what a killed invocation ends with.
type dead struct{}

// TestKilled: an action through all of its jobs, and its approval, with the function killed before or after every single call,
// and invoked again as Lambda does. It comes to the same end, and asks once.
func TestKilled(t *testing.T) {
	total := 0
	for _, after := range []bool{false, true} {
		for k := 1; ; k++ {
			w := newWorld(t)
			w.has("canary", "one")
			w.calls, w.kill, w.killAfter = 0, k, after
			again := func(do func()) {
				for range 3 {
					if func() (ok bool) {
						defer func() {
							if r := recover(); r != nil {
								if _, killed := r.(dead); !killed {
									panic(r)
								}
							}
						}()
						do()
						return true
					}() {
						return
					}
				}
				t.Fatal("killed three times")
			}
			job := func() { // the same job again
				jobs, token := w.jobs, w.token
				again(func() { w.jobs, w.token = jobs, token; w.must(ringUp) })
			}
			job()
			w.quiet(func() { w.rollout("job-1", func(r *ledger.Rollout) {}) })
			job()
			w.now = w.now.Add(21 * time.Hour)
			job()
			w.asks("t1")
			w.quiet(func() { w.rollout("job-1", func(r *ledger.Rollout) { r.Outcome = events.OutcomeUpgraded }) })
			again(func() {
				if err := w.sweep(); err != nil {
					t.Error(err)
				}
			})
			again(func() {
				if err := w.sweep(); err != nil {
					t.Error(err)
				}
			})
			calls := w.calls
			w.kill = 0
			ids := map[string]bool{}
			for _, e := range w.bus {
				ids[e.Payload.(*events.RolloutRequested).RequestID] = true
			}
			open, err := w.work.Ledger.HandOffs(t.Context())
			if err != nil || len(open) != 0 || len(ids) != 1 || w.kind != "" || w.variables["handedOff"] != "true" || w.answer != "Approved" {
				t.Errorf("killed at call %d (after: %t): %d requests, %s %v, approval %q, %v %v", k, after, len(ids), w.kind, w.variables, w.answer, open, err)
			}
			total++
			if calls < k { // nothing was killed any more
				break
			}
		}
	}
	if total < 40 {
		t.Errorf("%d ways to die: the calls are not counted", total)
	}
	t.Logf("%d ways to die", total)
}
