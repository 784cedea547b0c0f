package ledger

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

var upgraded = fleet.ClusterID{Region: "us-east-1", Name: "demo"}

// TestUpgradeRuns: what is under way is listed, and a run knows those before it.
func TestUpgradeRuns(t *testing.T) {
	l, ctx := &Ledger{Store: &Memory{}, Now: time.Now}, t.Context()
	u, err := l.BeginUpgrade(ctx, upgraded, Upgrade{}.Follow(Upgrade{RunID: "one", StartedAt: time.Now()}))
	if err != nil {
		t.Fatal(err)
	}
	if ids, err := l.UpgradesUnderWay(ctx); err != nil || len(ids) != 1 || ids[0] != upgraded {
		t.Errorf("%v %v", ids, err)
	}
	if _, err := l.BeginUpgrade(ctx, upgraded, Upgrade{}.Follow(Upgrade{RunID: "two"})); !fault.Is(err, fault.Conflict) {
		t.Errorf("over another one: %v", err)
	}
	u.Outcome, u.CheckedAt = "Upgraded", time.Now()
	if u, err = l.SaveUpgrade(ctx, upgraded, u); err != nil {
		t.Fatal(err)
	}
	if err := l.EndUpgrade(ctx, upgraded); err != nil {
		t.Fatal(err)
	}
	if ids, err := l.UpgradesUnderWay(ctx); err != nil || len(ids) > 0 {
		t.Errorf("%v %v", ids, err)
	}
	next, err := l.BeginUpgrade(ctx, upgraded, u.Follow(Upgrade{RunID: "two"}))
	if err != nil || !next.Knows("one") || !next.Knows("two") || next.Knows("three") || next.CheckedAt.IsZero() {
		t.Errorf("%v %+v", err, next)
	}
}

// TestCommands: commands of many at once are all kept, each once, while looks write beside them; and a look whose lease was lost
// cannot write.
func TestCommands(t *testing.T) {
	l, ctx := &Ledger{Store: &Memory{}, Now: time.Now}, t.Context()
	if _, err := l.Command(ctx, upgraded, UpgradeCommand{RequestID: "x"}); !fault.Is(err, fault.NotFound) {
		t.Errorf("without a run: %v", err)
	}
	u, err := l.BeginUpgrade(ctx, upgraded, Upgrade{RunID: "one"})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 5 {
		wg.Go(func() {
			for range 2 {
				if _, err := l.Command(ctx, upgraded, UpgradeCommand{RequestID: fmt.Sprint(i), Command: "Halt"}); err != nil && !fault.Is(err, fault.Conflict) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	looked := u
	looked.Looks, looked.Phase = 1, "looks"
	if _, err := l.SaveUpgrade(ctx, upgraded, looked); !fault.Is(err, fault.Conflict) {
		t.Fatalf("%v", err)
	}
	merged, err := l.Merge(ctx, upgraded, u, looked)
	if err != nil || len(merged.Commands) == 0 || merged.Phase != "looks" {
		t.Fatalf("%v %+v", err, merged)
	}
	if merged, err = l.SaveUpgrade(ctx, upgraded, merged); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Merge(ctx, upgraded, u, looked); !fault.Is(err, fault.Conflict) {
		t.Errorf("over another look: %v", err)
	}
	seen := map[string]bool{}
	for _, c := range merged.Commands {
		if seen[c.RequestID] {
			t.Errorf("%s twice", c.RequestID)
		}
		seen[c.RequestID] = true
	}
}

// TestALateEndLeavesTheNextRun: whoever ends a run after the next one has begun does not take it off the list; and a run that has
// been told too much can still be halted and aborted.
func TestALateEndLeavesTheNextRun(t *testing.T) {
	l, ctx := &Ledger{Store: &Memory{}, Now: time.Now}, t.Context()
	if _, err := l.BeginUpgrade(ctx, upgraded, Upgrade{}.Follow(Upgrade{RunID: "two", StartedAt: time.Now()})); err != nil {
		t.Fatal(err)
	}
	if err := l.EndUpgrade(ctx, upgraded); err != nil {
		t.Fatal(err)
	}
	if ids, err := l.UpgradesUnderWay(ctx); err != nil || len(ids) != 1 {
		t.Errorf("the run is lost: %v %v", ids, err)
	}
	for i := range maxCommands {
		if _, err := l.Command(ctx, upgraded, UpgradeCommand{RequestID: fmt.Sprint(i), Command: "Resume"}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.Command(ctx, upgraded, UpgradeCommand{RequestID: "more", Command: "Resume"}); !fault.Is(err, fault.Invalid) {
		t.Errorf("one too many: %v", err)
	}
	for _, c := range []string{"Halt", "Abort"} {
		if _, err := l.Command(ctx, upgraded, UpgradeCommand{RequestID: c, Command: c}); err != nil {
			t.Errorf("%s: %v", c, err)
		}
	}
}
