package upgrade

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/infra/local/world"
	"github.com/ekspedite/ekspedite/internal/cloudtest"
	"github.com/ekspedite/ekspedite/shared/ledger"
)

// TestHaltMeetsALook: a halt that is accepted while a look is about to make its first call stops that very call, at whichever
// moment before the look has remembered what it is about to do.
func TestHaltMeetsALook(t *testing.T) {
	for _, moment := range []string{"ledger.Get spec", "readiness", "health", "ledger.Get upgrade"} {
		inBubble(t, world.Real, func(t *testing.T, r *rig) {
			said := 0
			r.Script.At = func(_ int, op string) cloudtest.Misfortune {
				if op == moment && said == 0 && r.run().RunID != "" {
					said++
					c := ledger.UpgradeCommand{RequestID: "stop", Command: string(events.UpgradeHalt), Reason: "because", At: time.Now()}
					if _, err := r.Ledger().Command(context.Background(), demo, c); err != nil {
						t.Error(err)
					}
				}
				return cloudtest.Nothing
			}
			r.ask("request-1", "1.35")
			r.RunFor(time.Hour)
			if u := r.run(); said != 1 || r.Script.Writes > 0 || u.Halted == "" {
				t.Errorf("at %s: said %d times, %d writes, halted %q\n%s", moment, said, r.Script.Writes, u.Halted, r.Told())
			}
		})
	}
}

// TestRollbackAfterwards: a run that has ended can be taken back by a command, node groups first; and what EKS does not allow is
// refused in words.
func TestRollbackAfterwards(t *testing.T) {
	inBubble(t, world.Real, func(t *testing.T, r *rig) {
		r.order(events.UpgradeRollback, "")
		r.RunFor(time.Minute)
		if list := r.Finished(); len(list) != 1 || list[0].Outcome != events.OutcomeFailed || !strings.Contains(list[0].Reason, "no rollback") {
			t.Fatalf("%+v", list)
		}
		before := r.shape()
		r.ask("request-1", "1.35")
		r.RunUntil(func() bool { return len(r.Finished()) == 2 }, time.Now().Add(10*time.Hour))
		if r.RunFor(48 * time.Hour); r.cluster().Version != 35 {
			t.Fatal(r.Told())
		}
		r.order(events.UpgradeRollback, "")
		r.RunUntil(func() bool { return len(r.Finished()) == 3 }, time.Now().Add(10*time.Hour))
		r.RunFor(time.Minute)
		list := r.Finished()
		if len(list) != 3 || list[2].Outcome != events.OutcomeRolledBack || r.shape() != before {
			t.Errorf("%+v\n%s\nand not\n%s\n%s", list, r.shape(), before, r.Told())
		}
	})
}

// TestCommandTwice: the same command twice is once.
func TestCommandTwice(t *testing.T) {
	inBubble(t, world.Real, func(t *testing.T, r *rig) {
		r.ask("request-1", "1.35")
		r.RunFor(time.Minute)
		for range 3 {
			r.Send(&events.UpgradeControlRequested{RequestID: "one", Command: events.UpgradeSkip, Cluster: demo.Name, Step: "bake/1.35", Reason: "because"})
		}
		r.RunFor(time.Minute)
		if n := len(r.run().Commands); n != 1 {
			t.Errorf("%d commands", n)
		}
	})
}
