package rollout

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/handler"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/obs"
)

// world is a fleet whose clusters are upgraded by nobody real: requests on the bus become runs that end after a while.
type world struct {
	t       *testing.T
	now     time.Time
	work    *Work
	ledger  *ledger.Ledger
	takes   time.Duration
	asked   []string                                        // clusters, in the order of the requests
	fate    map[string]func(*ledger.Upgrade)                // what becomes of a cluster's run, if it does not end well
	sick    map[string]string                               // clusters that soak badly
	queue   []message                                       // continuations and commands
	deaf    int                                             // so many requests get lost
	ended   []events.RunFinished                            //
	deliver func(handler.Delivery) handler.Outcome          //
	onSend  func(p *events.UpgradeRequested) (refused bool) //
}

type message struct {
	at      time.Time
	payload events.OwnPayload
}

func newWorld(t *testing.T, rings map[string]string) *world {
	w := &world{t: t, now: time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC), takes: 40 * time.Minute, fate: map[string]func(*ledger.Upgrade){}, sick: map[string]string{}}
	clock := func() time.Time { return w.now }
	w.ledger = &ledger.Ledger{Store: &ledger.Memory{}, Now: clock}
	for name, ring := range rings {
		policy := fleet.DefaultPolicy()
		policy.Upgrade.Ring = ring
		d := ledger.Desired{ClusterID: id(name), RequestID: "made", RequestedAt: w.now, Policy: policy}
		if ok, err := w.ledger.Desire(t.Context(), d); err != nil || !ok {
			t.Fatal(ok, err)
		}
	}
	w.work = &Work{
		Ledger: w.ledger, Bus: w, Now: clock, NewID: func() string { return fmt.Sprint(w.now.UnixNano()) }, Metrics: obs.NewMetrics(io.Discard, "test"),
		Health: func(_ context.Context, id fleet.ClusterID, _ fleet.HealthPolicy) (string, error) {
			return w.sick[id.Name], nil
		},
	}
	w.deliver = func(d handler.Delivery) handler.Outcome {
		return w.work.Handle(obs.With(t.Context(), slog.New(slog.DiscardHandler)), d)
	}
	return w
}

func id(name string) fleet.ClusterID { return fleet.ClusterID{Region: "us-east-1", Name: name} }

// Publish is the bus: the upgrade function hears of requests, and this is what it would do.
func (w *world) Publish(ctx context.Context, list ...events.Event) error {
	for _, e := range list {
		switch p := e.Payload.(type) {
		case *events.UpgradeRequested:
			if w.deaf > 0 {
				w.deaf--
				continue
			}
			if w.onSend != nil && w.onSend(p) {
				continue
			}
			u, err := w.ledger.Upgrade(ctx, id(p.Cluster))
			if err != nil || u.RequestID == p.RequestID {
				return err // the same request twice is once
			}
			w.asked = append(w.asked, p.Cluster)
			u.RunID, u.RequestID, u.StartedAt, u.Outcome, u.Halted, u.EndedAt = "run", p.RequestID, w.now, "", "", time.Time{}
			if _, err := w.ledger.SaveUpgrade(ctx, id(p.Cluster), u); err != nil {
				return err
			}
		case *events.UpgradeControlRequested:
			u, err := w.ledger.Upgrade(ctx, id(p.Cluster))
			if err != nil {
				return err
			}
			delete(w.fate, p.Cluster)
			u.Halted = ""
			if _, err := w.ledger.SaveUpgrade(ctx, id(p.Cluster), u); err != nil {
				return err
			}
		case *events.RunFinished:
			w.ended = append(w.ended, *p)
		}
	}
	return nil
}

// send delivers a message, and queues what follows.
func (w *world) send(payload events.OwnPayload) {
	w.t.Helper()
	e, err := events.New(payload, "event", w.now, "", "")
	if err != nil {
		w.t.Fatal(err)
	}
	out := w.deliver(handler.Delivery{Event: e})
	switch {
	case out.Err != nil && fault.Is(out.Err, fault.Invalid):
		w.t.Fatal(out.Err)
	case out.Err != nil:
		w.queue = append(w.queue, message{w.now.Add(time.Second), payload})
	case out.Next != nil:
		w.queue = append(w.queue, message{w.now.Add(out.After), out.Next})
	}
}

// until lets time go by until the condition is met.
func (w *world) until(what string, met func(r ledger.Rollout) bool) ledger.Rollout {
	w.t.Helper()
	for deadline := w.now.Add(60 * 24 * time.Hour); w.now.Before(deadline); {
		r, err := w.ledger.Rollout(w.t.Context(), "r1")
		if err != nil {
			w.t.Fatal(err)
		}
		if met(r) {
			return r
		}
		w.step()
	}
	r, _ := w.ledger.Rollout(w.t.Context(), "r1")
	w.t.Fatalf("never %s: %+v, asked %v", what, r, w.asked)
	return r
}

// step lets a minute go by: runs end, messages come.
func (w *world) step() {
	w.now = w.now.Add(time.Minute)
	clusters, err := w.ledger.Clusters(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, id := range clusters {
		u, err := w.ledger.Upgrade(w.t.Context(), id)
		if err != nil {
			w.t.Fatal(err)
		}
		if !u.Running() || w.now.Sub(u.StartedAt) < w.takes {
			continue
		}
		if end := w.fate[id.Name]; end != nil {
			end(&u)
		} else {
			u.Outcome, u.EndedAt = events.OutcomeUpgraded, w.now
		}
		if _, err := w.ledger.SaveUpgrade(w.t.Context(), id, u); err != nil {
			w.t.Fatal(err)
		}
	}
	due := w.queue
	w.queue = nil
	for _, m := range due {
		if m.at.After(w.now) {
			w.queue = append(w.queue, m)
			continue
		}
		w.send(m.payload)
	}
}

func over(r ledger.Rollout) bool { return r.ID != "" && !r.Running() }

var three = map[string]string{"a": "canary", "b": "early", "c": "early", "d": "rest", "e": "nonsense"}

func TestRingAfterRing(t *testing.T) {
	w := newWorld(t, three)
	began := w.now
	w.send(&events.RolloutRequested{RequestID: "r1", To: "1.36", Now: true})
	r := w.until("over", over)
	if got := strings.Join(w.asked, " "); got != "a b c d e" || r.Outcome != events.OutcomeUpgraded {
		t.Errorf("%s, %s: %s", got, r.Outcome, r.Phase)
	}
	if took := w.now.Sub(began); took < (24+72)*time.Hour || took > (24+72+3)*time.Hour {
		t.Errorf("the rings have soaked for 96 h: it took %s", took)
	}
	if len(w.ended) != 1 || w.ended[0].Outcome != events.OutcomeUpgraded {
		t.Errorf("%+v", w.ended)
	}
}

// A regression in the canary ring stops everything within a minute, and touches nobody else.
func TestRegressionStopsTheNextRing(t *testing.T) {
	halted := func(u *ledger.Upgrade) { u.Halted = "3 of 40 pods are not Ready" }
	for name, c := range map[string]struct {
		arrange func(*world)
		why     string
	}{
		"its run halts": {func(w *world) { w.fate["a"] = halted }, "3 of 40 pods"},
		"its run fails": {func(w *world) {
			w.fate["a"] = func(u *ledger.Upgrade) { u.Outcome, u.Phase, u.EndedAt = events.OutcomeFailed, "no way", w.now }
		}, "no way"},
		"it was rolled back": {func(w *world) {
			w.fate["a"] = func(u *ledger.Upgrade) { u.Outcome, u.EndedAt = events.OutcomeRolledBack, w.now }
		}, "RolledBack"},
		"it falls ill while it soaks": {func(w *world) {
			w.fate["a"] = func(u *ledger.Upgrade) {
				u.Outcome, u.EndedAt = events.OutcomeUpgraded, w.now
				w.sick["a"] = "alarm shop-errors"
			}
		}, "while the ring soaks: alarm shop-errors"},
		"it was not ready": {func(w *world) {
			w.fate["a"] = func(u *ledger.Upgrade) { u.Outcome, u.EndedAt = events.OutcomeNotReady, w.now }
		}, "no cluster of ring canary could be upgraded"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, three)
			c.arrange(w)
			w.send(&events.RolloutRequested{RequestID: "r1", To: "1.36", Now: true})
			r := w.until("halted", func(r ledger.Rollout) bool { return r.Halted != "" })
			for range 200 {
				w.step()
			}
			if !strings.Contains(r.Halted, c.why) || !slices.Equal(w.asked, []string{"a"}) {
				t.Errorf("%q, asked for %v", r.Halted, w.asked)
			}
			// Somebody mends it, and goes on.
			clear(w.fate)
			clear(w.sick)
			w.send(&events.UpgradeControlRequested{RequestID: "c1", Command: events.UpgradeResume, Rollout: "r1", By: "ops"})
			if r = w.until("over", over); r.Outcome != events.OutcomeUpgraded {
				t.Errorf("%s: %s", r.Outcome, r.Phase)
			}
		})
	}
}

func TestCommands(t *testing.T) {
	w := newWorld(t, three)
	w.send(&events.RolloutRequested{RequestID: "r1", To: "1.36", Now: true})
	w.send(&events.UpgradeControlRequested{RequestID: "c1", Command: events.UpgradeHalt, Rollout: "r1", By: "ops", Reason: "lunch"})
	w.send(&events.UpgradeControlRequested{RequestID: "c1", Command: events.UpgradeHalt, Rollout: "r1", By: "ops", Reason: "lunch"})
	for range 3000 {
		w.step()
	}
	r := w.until("halted", func(r ledger.Rollout) bool { return r.Halted == "halt by ops: lunch" })
	if len(r.Commands) != 1 || !slices.Equal(w.asked, []string{"a"}) {
		t.Errorf("%v, asked for %v", r.Commands, w.asked)
	}
	w.send(&events.UpgradeControlRequested{RequestID: "c2", Command: events.UpgradeAbort, Rollout: "r1"})
	if r = w.until("over", over); r.Outcome != events.OutcomeAborted || len(w.asked) != 1 {
		t.Errorf("%s, asked for %v", r.Outcome, w.asked)
	}
}

// What gets lost is asked for again, and what another run was in the way of, too.
func TestLostAndRefused(t *testing.T) {
	w := newWorld(t, map[string]string{"a": "canary", "b": "canary"})
	w.deaf = 2
	refused := false
	w.onSend = func(p *events.UpgradeRequested) bool {
		if p.Cluster != "b" || refused {
			return false
		}
		refused = true
		run := ledger.Run{RunID: ledger.RunID("upgrade "+p.RequestID, id("b")), Function: "upgrade", Subject: events.Subject{Cluster: "b"}, Outcome: events.OutcomeSuperseded, StartedAt: w.now, FinishedAt: w.now}
		if err := w.ledger.SaveRun(t.Context(), run); err != nil {
			t.Fatal(err)
		}
		return true
	}
	w.send(&events.RolloutRequested{RequestID: "r1", To: "1.36", Now: true})
	r := w.until("over", over)
	if got := strings.Join(w.asked, " "); got != "a b" || r.Outcome != events.OutcomeUpgraded || !refused {
		t.Errorf("%s: %s", got, r.Phase)
	}
}

func TestOnlyOneAtATime(t *testing.T) {
	w := newWorld(t, three)
	w.send(&events.RolloutRequested{RequestID: "r1", To: "1.36", Ring: "canary", Now: true})
	w.send(&events.RolloutRequested{RequestID: "r2", To: "1.36", Now: true})
	r, err := w.ledger.Rollout(t.Context(), "r2")
	if err != nil || r.Outcome != events.OutcomeSuperseded || !strings.Contains(r.Phase, "rollout r1 is under way") {
		t.Errorf("%+v, %v", r, err)
	}
	w.send(&events.RolloutRequested{RequestID: "r3", To: "1.36", Ring: "rest", Now: true, DryRun: true})
	if r, err = w.ledger.Rollout(t.Context(), "r3"); err != nil || r.Outcome != events.OutcomePlanned || !strings.Contains(r.Phase, "ring rest, 10 at once, then 0s of soak: us-east-1/d, us-east-1/e") {
		t.Errorf("%+v, %v", r, err)
	}
}

// Every message comes twice, and every look dies after its first write: nobody is asked for twice, nobody is left out.
func TestTwiceAndKilled(t *testing.T) {
	w := newWorld(t, three)
	deliver := w.deliver
	deaths := 0
	w.deliver = func(d handler.Delivery) handler.Outcome {
		if _, look := d.Event.Payload.(*events.RolloutContinuation); look && deaths < 20 {
			deaths++
			publish := w.work.Bus
			w.work.Bus = dead{}
			deliver(d) // what it would ask for after the write is lost with it
			w.work.Bus = publish
		}
		deliver(d)
		return deliver(d)
	}
	w.send(&events.RolloutRequested{RequestID: "r1", To: "1.36", Now: true})
	for range 20 * 24 * 60 {
		r, err := w.ledger.Rollout(t.Context(), "r1")
		if err != nil {
			t.Fatal(err)
		}
		if over(r) {
			break
		}
		w.step()
		if err := w.work.Sweep(t.Context(), func(_ context.Context, next events.OwnPayload) error { w.send(next); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Join(w.asked, " "); got != "a b c d e" || deaths < 20 {
		t.Errorf("%s, %d deaths", got, deaths)
	}
}

type dead struct{}

func (dead) Publish(context.Context, ...events.Event) error {
	return fault.New(fault.Transient, "the invocation is dead")
}
