package upgrade

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/infra/local/eks"
	"github.com/ekspedite/ekspedite/infra/local/world"
	"github.com/ekspedite/ekspedite/internal/cloudtest"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// nights opens a window every night at one o'clock, for as long.
func nights(t *testing.T, p *fleet.UpgradePolicy, long time.Duration) {
	t.Helper()
	cron, err := fleet.ParseCron("0 1 * * *")
	if err != nil {
		t.Fatal(err)
	}
	p.Mode, p.Windows = fleet.UpgradeAct, []fleet.MaintenanceWindow{{Name: "nights", Recurrence: fleet.Recurrence{Cron: cron}, For: long}}
}

// TestScheduled: a policy that names a version gets it in its windows and not outside of them, and nothing more once it is there.
func TestScheduled(t *testing.T) {
	inBubble(t, world.Real, func(t *testing.T, r *rig) {
		r.policy(func(p *fleet.UpgradePolicy) {
			nights(t, p, 2*time.Hour)
			p.Version, p.Patches = 36, fleet.PatchPolicy{}
		})
		r.RunFor(5 * 24 * time.Hour)
		list := r.Finished()
		if len(list) != 1 || list[0].Outcome != events.OutcomeUpgraded || r.cluster().Version != 36 {
			t.Fatalf("%+v\n%s", list, r.Told())
		}
		for _, e := range r.Bus() {
			p, ok := e.Payload.(*events.RunProgressed)
			if ok && p.Step == "Started" && (p.At.Hour() < 1 || p.At.Hour() >= 3) {
				t.Errorf("at %s: %s", p.At, p.Detail)
			}
		}
	})
}

// TestPatches: newer images are taken in a window, without a request.
func TestPatches(t *testing.T) {
	inBubble(t, world.Real, func(t *testing.T, r *rig) {
		r.policy(func(p *fleet.UpgradePolicy) {
			nights(t, p, 3*time.Hour)
			p.Version, p.Patches.Age = 34, 0
		})
		before := r.shape()
		r.RunFor(2 * 24 * time.Hour)
		list := r.Finished()
		t.Logf("%s\n%s", before, r.Told())
		if len(list) != 1 || list[0].Outcome != events.OutcomeUpgraded || !strings.Contains(list[0].Reason, "patched at 1.34") {
			t.Fatalf("%+v", list)
		}
	})
}

// TestFreeze: nothing starts while a freeze holds, also of what somebody wants now, and it goes on when it is lifted.
func TestFreeze(t *testing.T) {
	inBubble(t, world.Real, func(t *testing.T, r *rig) {
		r.Send(&events.UpgradeControlRequested{RequestID: "f", Command: events.UpgradeFreeze, Name: "sale", Reason: "black friday"})
		r.RunFor(time.Minute)
		r.ask("request-1", "1.35")
		r.RunFor(10 * time.Hour)
		if u := r.run(); r.Script.Writes != 0 || !strings.Contains(u.Phase, "the freeze sale holds") {
			t.Fatalf("%d writes, %q", r.Script.Writes, u.Phase)
		}
		r.Send(&events.UpgradeControlRequested{RequestID: "u", Command: events.UpgradeUnfreeze, Name: "sale"})
		if done := r.over(6 * time.Hour); done.Outcome != events.OutcomeUpgraded {
			t.Errorf("%+v", done)
		}
	})
}

// TestIdleCost: a cluster that nobody upgrades costs a sweep one read of the ledger, and none of AWS's.
func TestIdleCost(t *testing.T) {
	inBubble(t, world.Real, func(t *testing.T, r *rig) {
		r.RunFor(time.Hour)
		reads := 0
		for _, op := range r.Script.Ops {
			if op == "ledger.Get spec" {
				reads++
			} else if !strings.HasPrefix(op, "ledger.Query") {
				t.Errorf("%s", op)
			}
		}
		if reads != 12 || r.Script.Reads+r.Script.Writes > 0 {
			t.Errorf("%d reads in 12 sweeps: %v", reads, r.Script.Ops)
		}
	})
}

// TestLostMessage: the sweep goes on with a run whose message is lost.
func TestLostMessage(t *testing.T) {
	inBubble(t, world.Real, func(t *testing.T, r *rig) {
		r.ask("request-1", "1.35")
		r.RunFor(time.Minute)
		for m := r.Queue.Next(); m != nil; m = r.Queue.Next() {
			r.Queue.Remove(m)
		}
		if done := r.over(5 * time.Hour); done.Outcome != events.OutcomeUpgraded {
			t.Errorf("%+v", done)
		}
	})
}

// TestLifecycleEvent: AWS Health's notice has the clusters that it names looked at by the next sweep. Dates decide: here nothing is due.
func TestLifecycleEvent(t *testing.T) {
	inBubble(t, world.Real, func(t *testing.T, r *rig) {
		r.policy(func(p *fleet.UpgradePolicy) {
			nights(t, p, 2*time.Hour)
			p.Version, p.Patches = 34, fleet.PatchPolicy{}
		})
		event := func(arn string) string {
			return `{"version":"0","id":"h-1","detail-type":"AWS Health Event","source":"aws.health","account":"` + cloudtest.Account + `","time":"2000-01-01T00:00:00Z","region":"us-west-2","resources":[],"detail":{
			"eventArn":"arn:aws:health:us-east-1::event/EKS/AWS_EKS_PLANNED_LIFECYCLE_EVENT/1","service":"EKS","eventTypeCode":"AWS_EKS_PLANNED_LIFECYCLE_EVENT","eventTypeCategory":"scheduledChange","statusCode":"upcoming",
			"affectedEntities":[{"entityValue":"` + arn + `","status":"PENDING"}]}}`
		}
		r.RunFor(time.Until(today.Add(90 * time.Minute)))
		checked := r.run().CheckedAt
		if checked.IsZero() {
			t.Fatal("the cluster was not looked at in its window")
		}
		r.Queue.Send(event("arn:aws:eks:us-east-1:123456789012:cluster/other"), 0)
		r.RunFor(10 * time.Minute)
		if !r.run().CheckedAt.Equal(checked) {
			t.Error("a stranger had our cluster looked at")
		}
		r.Queue.Send(event("arn:aws:eks:us-east-1:123456789012:cluster/demo"), 0)
		r.RunFor(10 * time.Minute)
		if u := r.run(); !u.CheckedAt.After(checked) || u.RunID != "" || r.Script.Writes > 0 || len(r.Queue.Dead()) > 0 {
			t.Errorf("%+v %v", u, r.Queue.Dead())
		}
	})
}

// TestRings: what the schedule begins goes ring by ring, too: the second one when the first is at its version and has soaked, and
// not at all when the first has halted.
func TestRings(t *testing.T) {
	two := fleet.ClusterID{Region: cloudtest.Region, Name: "two"}
	for name, broken := range map[string]bool{"well": false, "broken": true} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, world.Real, func(t *testing.T, r *rig) {
				r.Build(strings.ReplaceAll(file, "name: demo", "name: two"))
				for id, ring := range map[fleet.ClusterID]string{demo: "canary", two: "rest"} {
					r.Change(id, func(p *fleet.Policy) {
						nights(t, &p.Upgrade, 3*time.Hour)
						p.Upgrade.Ring, p.Upgrade.Version, p.Upgrade.Bake = ring, 35, 10*time.Minute
					})
				}
				if broken {
					r.fail(eks.Failure{Nodegroup: "web", How: "NodeCreationFailure"})
				}
				r.RunFor(6 * 24 * time.Hour)
				ended, began := map[string]time.Time{}, map[string]time.Time{}
				for _, f := range r.Finished() {
					ended[f.Subject.Cluster] = f.FinishedAt
					began[f.Subject.Cluster] = f.StartedAt
				}
				u, err := r.Ledger().Upgrade(context.Background(), two)
				switch {
				case err != nil:
					t.Fatal(err)
				case broken && (u.RunID != "" || r.run().Halted == ""):
					t.Errorf("two: %+v\n%s", u, r.Told())
				case !broken && (u.Outcome != events.OutcomeUpgraded || began["two"].Sub(ended["demo"]) < 24*time.Hour):
					t.Errorf("demo ended at %s, two began at %s: %+v\n%s", ended["demo"], began["two"], u, r.Told())
				}
			})
		})
	}
}

// TestPinnedByTheFile: a version that the cluster's file names of an add-on stays, since the cluster function would bring the add-on
// back to it; and a way that it closes is not begun.
func TestPinnedByTheFile(t *testing.T) {
	inBubble(t, world.Fast, func(t *testing.T, r *rig) {
		r.Build(strings.NewReplacer("name: demo", "name: pinned", "{name: coredns}", "{name: coredns, version: v1.12.4-eksbuild.1}", "{name: kube-proxy}", "{name: kube-proxy, version: v1.34.13-eksbuild.1}").Replace(file))
		r.Send(&events.UpgradeRequested{RequestID: "request-1", Cluster: "pinned", To: "1.35", Now: true})
		done := r.over(24 * time.Hour)
		o := r.of("pinned")
		for _, a := range o.Addons {
			if a.Name == "kube-proxy" && a.Version != "v1.34.13-eksbuild.1" {
				t.Errorf("kube-proxy is at %s; %+v", a.Version, done)
			}
		}
		if moved := o.Version == 35; moved != (done.Outcome == events.OutcomeUpgraded) {
			t.Errorf("%s at %s: %s", done.Outcome, o.Version, done.Reason)
		}
		t.Logf("%s: %s", done.Outcome, done.Reason)
	})
}
