package upgrade

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/infra/local/world"
	"github.com/ekspedite/ekspedite/internal/cloudtest"
	"github.com/ekspedite/ekspedite/shared/decide/readiness"
	"github.com/ekspedite/ekspedite/shared/decide/upgrade"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// TestUpgrade takes the cluster two minors up, with AWS's real durations.
func TestUpgrade(t *testing.T) {
	inBubble(t, world.Real, func(t *testing.T, r *rig) {
		start := time.Now()
		r.ask("request-1", "1.36")
		done := r.over(24 * time.Hour)
		t.Logf("%s: %d looks, %d calls (%d reads, %d writes)", time.Since(start), done.Counts["looks"], r.Script.Calls, r.Script.Reads, r.Script.Writes)
		if done.Outcome != events.OutcomeUpgraded || done.RunID != RunID("request-1", demo) || r.cluster().Version != 36 {
			t.Fatalf("%+v\n%s", done, r.Told())
		}
		if want := "group web 1.36 1.36"; !strings.Contains(r.shape(), want) {
			t.Errorf("no %q in\n%s", want, r.shape())
		}
		// The same request again, and then the same version as a new one.
		r.Script.Writes = 0
		r.ask("request-1", "1.36")
		r.RunFor(time.Minute)
		r.ask("request-2", "1.36")
		r.RunFor(time.Minute)
		list := r.Finished()
		if len(list) != 2 || list[1].Outcome != events.OutcomeNothingToDo || r.Script.Writes != 0 {
			t.Errorf("%d writes\n%s", r.Script.Writes, r.Told())
		}
		if ids, err := r.Ledger().UpgradesUnderWay(context.Background()); err != nil || len(ids) > 0 {
			t.Errorf("still under way: %v %v", ids, err)
		}
	})
}

// TestOneRunAtATime: a request while a run is under way is refused in words, and changes nothing.
func TestOneRunAtATime(t *testing.T) {
	inBubble(t, world.Fast, func(t *testing.T, r *rig) {
		r.ask("request-1", "1.35")
		r.RunFor(time.Minute)
		r.ask("request-2", "1.36")
		r.RunFor(time.Minute)
		list := r.Finished()
		if len(list) != 1 || list[0].RunID != RunID("request-2", demo) || list[0].Outcome != events.OutcomeSuperseded || !strings.Contains(list[0].Reason, "request-1") {
			t.Fatalf("%+v", list)
		}
		r.RunUntil(func() bool { return len(r.Finished()) == 2 }, time.Now().Add(5*time.Hour))
		if last := r.Finished()[1]; last.Outcome != events.OutcomeUpgraded || r.cluster().Version != 35 {
			t.Errorf("%+v", last)
		}
	})
}

// TestNotReady: blockers end the run before anything is changed, and say what to do.
func TestNotReady(t *testing.T) {
	inBubble(t, world.Fast, func(t *testing.T, r *rig) {
		r.findings = []readiness.Finding{{ID: "API05", Title: "Helm releases", Severity: readiness.Block, Status: readiness.Fail, Text: "web has removed APIs", Remedy: "helm mapkubeapis web", Evidence: []string{"default/web"}}}
		r.ask("request-1", "1.36")
		done := r.over(time.Hour)
		if done.Outcome != events.OutcomeNotReady || len(done.Failures) != 1 || done.Failures[0].Fix != "helm mapkubeapis web" || r.Script.Writes != 0 {
			t.Errorf("%d writes, %+v", r.Script.Writes, done)
		}
	})
}

// TestDryRun tells the path and changes nothing.
func TestDryRun(t *testing.T) {
	inBubble(t, world.Fast, func(t *testing.T, r *rig) {
		r.Send(&events.UpgradeRequested{RequestID: "request-1", Cluster: demo.Name, To: "1.36", DryRun: true})
		done := r.over(time.Hour)
		if done.Outcome != events.OutcomePlanned || done.Counts["steps"] < 6 || r.Script.Writes != 0 || r.run().RunID != "" {
			t.Errorf("%d writes, %+v\n%s", r.Script.Writes, done, r.Told())
		}
	})
}

// TestPlatformPatch: AWS patches its own platform whenever it likes, and refuses our updates meanwhile. That is waited for.
func TestPlatformPatch(t *testing.T) {
	inBubble(t, world.Real, func(t *testing.T, r *rig) {
		asked := 0
		r.Script.At = func(_ int, op string) cloudtest.Misfortune {
			if strings.HasPrefix(op, "POST") && strings.Contains(op, "/updates") { // it begins just when we ask
				if asked++; asked == 1 || asked == 3 {
					r.patch()
				}
			}
			return cloudtest.Nothing
		}
		r.ask("request-1", "1.36")
		done := r.over(24 * time.Hour)
		if done.Outcome != events.OutcomeUpgraded || len(done.Failures) > 0 {
			t.Errorf("%+v\n%s", done, r.Told())
		}
		if told := r.Told(); !strings.Contains(told, "currently has update") && !strings.Contains(told, "which is not ours") {
			t.Errorf("nothing was waited for\n%s", told)
		}
	})
}

// patch has AWS begin a patch of the platform.
func (r *rig) patch() {
	regional, err := r.Cloud.In(cloudtest.Region)
	if err != nil {
		r.T.Fatal(err)
	}
	if _, err := regional.EKS.PatchPlatform(demo.Name); err != nil {
		r.T.Log(err)
	}
}

// TestHalt: a halt is heard at once, nothing starts after it, and what AWS works on goes on. Then it goes on where it was.
func TestHalt(t *testing.T) {
	inBubble(t, world.Real, func(t *testing.T, r *rig) {
		r.ask("request-1", "1.35")
		r.RunFor(3 * time.Minute)
		r.order(events.UpgradeHalt, "")
		r.RunFor(time.Hour)
		if u := r.run(); u.Halted == "" || r.cluster().Version != 35 || r.Script.Writes != 1 {
			t.Fatalf("halted %q, version %s, %d writes\n%s", u.Halted, r.cluster().Version, r.Script.Writes, r.Told())
		}
		r.order(events.UpgradeResume, "")
		if done := r.over(5 * time.Hour); done.Outcome != events.OutcomeUpgraded || r.cluster().Groups[0].Version != 35 {
			t.Errorf("%+v\n%s", done, r.Told())
		}
	})
}

// TestSkipAndAbort: a step is left out with a reason, and a run ends where it is.
func TestSkipAndAbort(t *testing.T) {
	inBubble(t, world.Fast, func(t *testing.T, r *rig) {
		r.policy(func(p *fleet.UpgradePolicy) { p.Nodes.Groups = []fleet.GroupUpgrade{{Name: "web", Hold: true}} })
		r.ask("request-1", "1.35")
		r.RunFor(time.Minute)
		r.order(events.UpgradeSkip, "nodegroup/jobs/1.35.10-20261112")
		r.order(events.UpgradeSkip, "bake/1.35")
		done := r.over(time.Hour)
		if done.Outcome != events.OutcomeUpgraded || done.Counts["skipped"] != 2 || !strings.Contains(r.shape(), "group jobs 1.34") {
			t.Errorf("%+v\n%s\n%s", done, r.Told(), r.shape())
		}
		r.ask("request-2", "1.36")
		r.RunUntil(func() bool { return r.run().Writes > 0 }, time.Now().Add(time.Hour))
		r.order(events.UpgradeAbort, "")
		r.RunUntil(func() bool { return len(r.Finished()) > 1 }, time.Now().Add(time.Hour))
		if list := r.Finished(); len(list) != 2 || list[1].Outcome != events.OutcomeAborted || !strings.Contains(list[1].Reason, "because") {
			t.Errorf("%+v\n%s", list, r.Told())
		}
		r.order(events.UpgradeHalt, "")
		r.RunFor(time.Minute)
		if list := r.Finished(); len(list) != 3 || list[2].Outcome != events.OutcomeFailed {
			t.Errorf("a halt of nothing: %+v", list)
		}
	})
}

// TestRegression: nodes that are lost after a hop turn the run back, where the policy says so; else they halt it, and say until
// when there is a way back.
func TestRegression(t *testing.T) {
	for _, mode := range []fleet.RollbackMode{fleet.RollbackAuto, fleet.RollbackAsk} {
		t.Run(string(mode), func(t *testing.T) {
			inBubble(t, world.Real, func(t *testing.T, r *rig) {
				r.policy(func(p *fleet.UpgradePolicy) { p.Rollback = mode })
				r.health = func(h *upgrade.Health) {
					if u := r.run(); strings.Contains(u.Phase, "watches version 1.35") || u.Halted != "" || strings.Contains(u.Phase, "well") {
						h.NotReady = []fleet.NotReady{{Name: "ip-1", Since: time.Now().Add(-6 * time.Minute)}}
					}
				}
				before := r.shape()
				r.ask("request-1", "1.36")
				r.RunUntil(func() bool { return r.run().Halted != "" || len(r.Finished()) > 0 }, time.Now().Add(5*time.Hour))
				if mode == fleet.RollbackAsk {
					if u := r.run(); !strings.Contains(u.Halted, "a rollback to 1.34 is possible until") {
						t.Fatalf("halted: %q\n%s", u.Halted, r.Told())
					}
					r.order(events.UpgradeRollback, "")
				}
				done := r.over(5 * time.Hour)
				if done.Outcome != events.OutcomeRolledBack || r.shape() != before {
					t.Errorf("%+v\nbefore\n%s\nafter\n%s\n%s", done, before, r.shape(), r.Told())
				}
			})
		})
	}
}

// TestSoaks: a cluster that gets worse after its upgrade is told from one that is as it was.
func TestSoaks(t *testing.T) {
	inBubble(t, world.Fast, func(t *testing.T, r *rig) {
		w := r.work(&cloudtest.Session{Rig: r.Rig})
		policy := fleet.HealthPolicy{Alarms: []string{"errors"}, For: time.Minute}
		soaks := func() string {
			why, err := w.Soaks(t.Context(), demo, policy)
			if err != nil {
				t.Fatal(err)
			}
			return why
		}
		if why := soaks(); why != "" {
			t.Errorf("never upgraded: %q", why)
		}
		r.ask("request-1", "1.35")
		r.over(5 * time.Hour)
		if why := soaks(); why != "" {
			t.Errorf("well: %q", why)
		}
		r.health = func(h *upgrade.Health) { h.Alarms = []string{"errors"} }
		if why := soaks(); why != "alarm errors is in ALARM" {
			t.Errorf("worse: %q", why)
		}
	})
}
