package upgrade

import (
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

func TestWholeWay(t *testing.T) {
	w := newWorld(t)
	d := w.run()
	t.Logf("%s after %s: %s\n%s", d.Outcome, w.now.Sub(noon), d.Phase, w.told())
	if d.Outcome != OutcomeUpgraded || w.o.Version != 36 || w.group("web").Version != 36 || w.group("own").TemplateVersion != "3" {
		t.Fatalf("%s: %s", d.Outcome, d.Phase)
	}
	for _, a := range w.o.Addons {
		if a.Name == "coredns" && (a.Role != "arn:aws:iam::1:role/dns" || a.Configuration != `{"replicaCount":2}`) {
			t.Errorf("the add-on has lost its role or configuration: %+v", a)
		}
	}
	rotations := 0
	for _, c := range w.calls {
		if strings.Contains(c, "UpdateNodegroupVersion nodegroup/web") {
			rotations++
		}
	}
	if rotations != 1 {
		t.Errorf("%d rotations of web for two hops", rotations)
	}
}

// TestBake: nothing follows a hop before its version has been watched, unless somebody skips that.
func TestBake(t *testing.T) {
	w := newWorld(t)
	w.request.To = 35
	w.run()
	hop, next := time.Time{}, time.Time{}
	for _, x := range w.memory.Done {
		if x.Step.ID == "control-plane/1.35" {
			hop = x.Ended
		} else if !hop.IsZero() && next.IsZero() {
			next = x.Begun
		}
	}
	if hop.IsZero() || next.Sub(hop) < w.policy.Bake {
		t.Errorf("the hop ended at %s, the next step began at %s\n%s", hop, next, w.told())
	}

	w = newWorld(t)
	w.request.To = 35
	w.until("the hop is done", func() bool { return w.o.Version == 35 && len(w.memory.Hops) == 1 })
	w.order(CommandSkip, BakeID(35))
	d := w.look()
	if len(d.Steps) == 0 && len(w.memory.Doing) == 0 {
		t.Errorf("the bake was skipped, and nothing begins: %s", d.Phase)
	}
}

func TestOutsideWindows(t *testing.T) {
	w := newWorld(t)
	w.request.Now = false
	d := w.look()
	if len(w.calls) > 0 || d.LookAgain == 0 || !strings.Contains(d.Phase, "no maintenance windows") {
		t.Fatalf("%s, %v", d.Phase, w.calls)
	}
	cron, err := fleet.ParseCron("0 22 * * *")
	if err != nil {
		t.Fatal(err)
	}
	w.cal.Windows = []fleet.MaintenanceWindow{{Name: "nights", Recurrence: fleet.Recurrence{Cron: cron}, For: 3 * time.Hour}}
	d = w.look()
	if want := noon.Add(10 * time.Hour); !w.now.Add(d.LookAgain).Equal(want) {
		t.Errorf("it looks again in %s: %s", d.LookAgain, d.Phase)
	}
	d = w.run()
	if d.Outcome != OutcomeUpgraded {
		t.Fatalf("%s: %s", d.Outcome, d.Phase)
	}
	for _, x := range w.memory.Done {
		if h := x.Begun.Hour(); h < 22 && h > 0 {
			t.Errorf("%s began at %s", x.Step.ID, x.Begun)
		}
	}
}

// TestALostCallIsNotMadeOutsideTheWindow: nobody knows whether it was begun; if it was not, it would begin there.
func TestALostCallIsNotMadeOutsideTheWindow(t *testing.T) {
	w := newWorld(t)
	w.request.Now = false
	cron, err := fleet.ParseCron("0 22 * * *")
	if err != nil {
		t.Fatal(err)
	}
	w.cal.Windows = []fleet.MaintenanceWindow{{Name: "nights", Recurrence: fleet.Recurrence{Cron: cron}, For: 3 * time.Hour}}
	over := noon.Add(14 * time.Hour)
	w.fail = func(int, plan.Call) (class, update string) {
		if w.now.Before(over) {
			return "Transient", "no route to host"
		}
		return "", ""
	}
	if d := w.run(); d.Outcome != OutcomeUpgraded {
		t.Fatalf("%s: %s\n%s", d.Outcome, d.Phase, w.told())
	}
	for _, c := range w.calls {
		if h := c[:2]; h != "22" && h != "23" && h != "00" {
			t.Errorf("outside the window: %s", c)
		}
	}
}

// TestWhatFailsOnTheWayThereHoldsNoWayBack: an update that was begun before the run turned fails after it.
func TestWhatFailsOnTheWayThereHoldsNoWayBack(t *testing.T) {
	w := newWorld(t)
	w.request.To, w.policy.Bake = 35, 0
	group := func() bool {
		return len(w.memory.Doing) > 0 && w.memory.Doing[0].Update != "" && strings.HasPrefix(w.memory.Doing[0].Step.ID, "nodegroup/")
	}
	w.fail = func(_ int, c plan.Call) (class, update string) {
		if c.API == "eks:UpdateNodegroupVersion" && w.memory.Back == nil {
			return "", "AccessDenied: the node role was refused"
		}
		return "", ""
	}
	w.until("a node group is being updated", group)
	w.order(CommandRollback, "")
	if d := w.run(); d.Outcome != OutcomeRolledBack || w.o.Version != 34 {
		t.Fatalf("%s at %s: %s\n%s", d.Outcome, w.o.Version, d.Phase, w.told())
	}
}
