package interruption_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/fault"
)

func replacement(d map[string]any) { d["replace"], d["reason"] = true, "Upgrade" }

// The machine goes, and its group is as large as before, also at its least size: another machine comes.
func TestAReplacementLeavesTheGroupsSize(t *testing.T) {
	removing(t, func(t *testing.T, w *world, q *sqs) {
		w.sizes.least = 3
		q.send(removal("n1", replacement), 0)
		q.serve(t, w.work().Handle)
		runs := w.runs(t)
		if w.sizes.ended != 1 || w.sizes.desired != 3 || w.sizes.withPods || w.replaced != 0 || len(q.dlq) > 0 {
			t.Errorf("ended %d (with pods: %t), desired %d, detached %d, dead letters %q", w.sizes.ended, w.sizes.withPods, w.sizes.desired, w.replaced, q.dlq)
		}
		if len(runs) != 1 || runs[0].Outcome != events.OutcomeNodeRemoved || runs[0].Counts["podsForced"] != 0 {
			t.Errorf("runs %+v", runs)
		}
	})
}

// What was to be replaced is replaced when a warning comes first: as any machine that goes, and once.
func TestAWarningReplacesWhatWasToBeReplaced(t *testing.T) {
	removing(t, func(t *testing.T, w *world, q *sqs) {
		w.budgets["web"].shut = true
		q.send(removal("n1", replacement), 0)
		time.AfterFunc(time.Minute, func() { q.send(spot("e1"), 0) })
		q.serve(t, w.work().Handle)
		if w.replaced != 1 || w.sizes.ended != 0 || w.sizes.desired != 3 {
			t.Errorf("detached %d, ended %d, desired %d", w.replaced, w.sizes.ended, w.sizes.desired)
		}
	})
}

// A machine that AWS does not end, for no reason of ours, is not kept cordoned for ever.
func TestAMachineThatIsNeverEndedGetsItsNodeBack(t *testing.T) {
	removing(t, func(t *testing.T, w *world, q *sqs) {
		w.sizes.refusal = fault.New(fault.Transient, "InternalFailure: try again")
		began := time.Now()
		q.send(removal("n1"), 0)
		q.serve(t, w.work().Handle)
		run := wantKept(t, w, q, 1)
		if took := time.Since(began); took < 30*time.Minute || took > 32*time.Minute {
			t.Errorf("took %s: 15 minutes to drain, and as long for AWS", took)
		}
		if !strings.Contains(run.Reason, "AWS does not end its machine") {
			t.Errorf("reason %q", run.Reason)
		}
	})
}

// A node that cannot be read any more ends the run before its message is given up.
func TestANodeThatCannotBeReadEndsTheRun(t *testing.T) {
	removing(t, func(t *testing.T, w *world, q *sqs) {
		w.budgets["web"].shut = true
		blind := false
		w.later(time.Minute, func() { blind = true })
		w.strike = func(key string) mode {
			if blind && (strings.Contains(key, "get node ") || strings.Contains(key, "list nodes")) {
				return failed
			}
			return fine
		}
		began := time.Now()
		q.send(removal("n1"), 0)
		q.serve(t, w.work().Handle)
		runs := w.runs(t)
		if len(q.dlq) > 0 || len(q.messages) > 0 {
			t.Errorf("dead letters %q, %d messages are left", q.dlq, len(q.messages))
		}
		if len(runs) != 1 || runs[0].Outcome != events.OutcomeNodeKept || !slices.Contains(runs[0].Blocked, "the node could not be read: it may still be cordoned") {
			t.Errorf("runs %+v", runs)
		}
		if took := time.Since(began); took < 25*time.Minute || took > 27*time.Minute {
			t.Errorf("took %s: 15 minutes to drain, and 10 more to read the node", took)
		}
	})
}

// A node whose cordon somebody takes apart is cordoned again, and given back as it was: not as one that was cordoned before.
func TestACordonThatIsTakenApartIsStillOurs(t *testing.T) {
	removing(t, func(t *testing.T, w *world, q *sqs) {
		w.budgets["web"].shut = true
		w.later(30*time.Second, func() {
			w.node.Taints = w.node.Taints[:1] // somebody takes our taint off, and leaves it unschedulable
			w.node.ResourceVersion += "t"
		})
		q.send(removal("n1", func(d map[string]any) { d["patienceSeconds"] = 120 }), 0)
		q.serve(t, w.work().Handle)
		if w.cordons != 2 {
			t.Errorf("cordoned %d times, want 2", w.cordons)
		}
		wantKept(t, w, q, 1)
	})
}
