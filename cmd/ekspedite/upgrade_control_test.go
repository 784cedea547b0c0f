package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/handler"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/obs"
	"github.com/ekspedite/ekspedite/shared/work/rollout"
)

// upgrades is the upgrade function as the command line meets it: it keeps the ledger as the real one does, and upgrades nothing.
type upgrades struct {
	t      *testing.T
	ledger *ledger.Ledger
	fleet  *rollout.Work
	// ends is what becomes of a run.
	ends func(u *ledger.Upgrade)
}

func newUpgrades(t *testing.T, r *rig) *upgrades {
	t.Helper()
	l := &ledger.Ledger{Store: r.work.Ledger.Store, Now: time.Now}
	u := &upgrades{t: t, ledger: l, fleet: &rollout.Work{
		Ledger: l, Bus: r.work.Bus, Account: r.work.Account, Region: r.work.Region, NewID: requestID, Now: time.Now, Metrics: obs.NewMetrics(discard{}, "test"),
	}}
	policy := fleet.DefaultPolicy()
	policy.Upgrade.Ring = "canary"
	if _, err := l.Desire(t.Context(), ledger.Desired{ClusterID: prod, RequestID: "made", RequestedAt: time.Now(), Policy: policy}); err != nil {
		t.Fatal(err)
	}
	r.cloud.EventBridge.Watch(func(_ string, body []byte) {
		if e, err := events.Decode(body); err == nil {
			go u.hear(e)
		}
	})
	return u
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

var prod = fleet.ClusterID{Region: "us-east-1", Name: "prod"}

func (u *upgrades) hear(e events.Event) {
	ctx := context.WithoutCancel(u.t.Context())
	var err error
	switch p := e.Payload.(type) {
	case *events.UpgradeRequested:
		var known ledger.Upgrade
		if known, err = u.ledger.Upgrade(ctx, prod); err != nil || known.Running() {
			break
		}
		now := time.Now()
		next := known.Follow(ledger.Upgrade{RunID: upgradeID(p.RequestID, prod), RequestID: p.RequestID, To: 36, From: 35, StartedAt: now, Phase: "works on control-plane/1.36"})
		next.Tell(ledger.Line{At: now, Resource: "control-plane", Step: "Started", Detail: "from 1.35 to 1.36"})
		u.ends(&next)
		if next.Outcome != "" {
			done := ledger.Run{RunID: next.RunID, Function: "upgrade", Subject: events.Subject{Cluster: prod.Name, Region: prod.Region}, Outcome: next.Outcome, Reason: next.Phase, StartedAt: now, FinishedAt: now}
			err = u.ledger.SaveRun(ctx, done)
		}
		if err == nil {
			_, err = u.ledger.BeginUpgrade(ctx, prod, next)
		}
	case *events.UpgradeControlRequested:
		switch {
		case p.Rollout != "":
			u.fleet.Handle(ctx, handler.Delivery{Event: e})
		case p.Command == events.UpgradeFreeze:
			err = u.ledger.Freeze(ctx, fleet.Freeze{Name: p.Name, Ring: p.Ring, From: time.Now(), Until: p.Until, Reason: p.Reason})
		case p.Command == events.UpgradeUnfreeze:
			err = u.ledger.Freeze(ctx, fleet.Freeze{Name: p.Name, Until: time.Now()})
		default:
			_, err = u.ledger.Command(ctx, prod, ledger.UpgradeCommand{RequestID: p.RequestID, Command: string(p.Command), Step: p.Step, Reason: p.Reason, At: time.Now()})
		}
	case *events.RolloutRequested:
		u.fleet.Handle(ctx, handler.Delivery{Event: e})
	}
	if err != nil {
		u.t.Error(err)
	}
}

// TestUpgradeControl: what people say to upgrades, from the command line to the ledger.
func TestUpgradeControl(t *testing.T) {
	r := newRig(t)
	u := newUpgrades(t, r)
	on := []string{"--cluster", "prod"}
	cli := func(code int, says []string, args ...string) printed {
		t.Helper()
		return want(t, code, says, "", append([]string{"upgrade"}, args...)...)
	}
	cli(1, []string{"no upgrade of cluster prod is under way"}, append(on, "halt")...)
	cli(0, []string{"never upgraded"}, append(on, "show")...)
	cli(exitUsage, []string{"--to VERSION, or --patch"}, append(on, "start")...)
	cli(exitUsage, []string{`no version of Kubernetes`}, append(on, "start", "--to", "new")...)

	u.ends = func(up *ledger.Upgrade) {
		up.Outcome, up.Phase, up.EndedAt = events.OutcomeNotReady, "3 blockers", time.Now()
	}
	cli(exitFailed, []string{"NotReady", "3 blockers"}, append(on, "start", "--to", "1.36")...)
	u.ends = func(up *ledger.Upgrade) {
		up.Outcome, up.Phase, up.EndedAt = events.OutcomeUpgraded, "upgraded from 1.35 to 1.36", time.Now()
	}
	cli(0, []string{"Upgraded", "from 1.35 to 1.36"}, append(on, "start", "--to", "1.36")...)
	u.ends = func(up *ledger.Upgrade) { up.Halted = "2 of 40 pods are not Ready" }
	cli(exitFailed, []string{"is halted: 2 of 40 pods", "ekspedite upgrade resume --cluster prod"}, append(on, "start", "--to", "1.36")...)
	cli(0, []string{"halted: 2 of 40 pods", "from 1.35 to 1.36"}, append(on, "show")...)
	cli(0, []string{"Resume was heard by run"}, append(on, "resume", "--reason", "mended")...)
	cli(exitUsage, []string{"--step and --reason"}, append(on, "skip", "--step", "nodegroup/web/1.36")...)
	cli(0, []string{"Skip was heard by run"}, append(on, "skip", "--step", "nodegroup/web/1.36", "--reason", "later")...)
	cli(0, []string{"Abort was heard"}, append(on, "abort")...)
	p := cli(0, nil, append(on, "show", "-o", "json")...)
	if strings.Count(p.out, `"command": `) != 3 || !strings.Contains(p.out, `"nodegroup/web/1.36"`) {
		t.Errorf("three commands:\n%s", p)
	}

	cli(0, []string{"nothing is frozen"}, "freezes")
	cli(exitUsage, []string{"--name"}, "freeze", "--reason", "peak")
	cli(exitUsage, []string{"write it like"}, "freeze", "--name", "peak", "--reason", "peak", "--until", "tomorrow")
	cli(0, []string{"was asked for"}, "freeze", "--name", "peak", "--ring", "rest", "--reason", "peak trade", "--until", "2099-01-01T00:00:00Z")
	eventually(t, "the freeze", func() bool {
		return strings.Contains(run(t.Context(), "", "upgrade", "freezes").out, "peak: ring rest")
	})
	cli(0, nil, "unfreeze", "--name", "peak")
	eventually(t, "its end", func() bool {
		return strings.Contains(run(t.Context(), "", "upgrade", "freezes").out, "nothing is frozen")
	})
}

// TestRollouts: the fleet, ring after ring, from the command line.
func TestRollouts(t *testing.T) {
	r := newRig(t)
	u := newUpgrades(t, r)
	u.ends = func(*ledger.Upgrade) {}
	want(t, exitUsage, []string{"no ring beta"}, "", "upgrade", "rollout", "start", "--to", "1.36", "--ring", "beta")
	want(t, 0, []string{"of the fleet to 1.36"}, "", "upgrade", "rollout", "start", "--to", "1.36", "--now")
	list, err := u.ledger.Rollouts(t.Context())
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	id := list[0].ID
	eventually(t, "the canary's run", func() bool {
		up, err := u.ledger.Upgrade(t.Context(), prod)
		return err == nil && strings.HasPrefix(up.RequestID, id+"/")
	})
	want(t, 0, []string{"halted: halt by"}, "", "upgrade", "rollout", "halt", id, "--reason", "lunch")
	want(t, 0, []string{"resumed"}, "", "upgrade", "rollout", "resume", id)
	want(t, 0, []string{id, "began"}, "", "upgrade", "rollout", "list")
	want(t, exitFailed, []string{"there is no rollout"}, "", "upgrade", "rollout", "abort", "nonsense")
}

// eventually waits until something is so.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !is(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}
