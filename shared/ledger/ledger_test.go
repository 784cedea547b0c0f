package ledger_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/ledger/storetest"
)

func TestMemory(t *testing.T) { storetest.Run(t, &ledger.Memory{}) }

// clock is set by hand.
type clock struct{ time.Time }

func (c *clock) now() time.Time { return c.Time }

func newLedger() (*ledger.Ledger, *clock) {
	c := &clock{time.Date(2026, 3, 3, 2, 4, 12, 0, time.UTC)}
	return &ledger.Ledger{Store: &ledger.Memory{}, Now: c.now}, c
}

func TestLeases(t *testing.T) {
	l, c := newLedger()
	acquire := func(holder string) ledger.Lease {
		t.Helper()
		lease, err := l.Acquire(t.Context(), "cluster/demo", holder, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		return lease
	}
	refused := func(holder string, after time.Duration) {
		t.Helper()
		_, err := l.Acquire(t.Context(), "cluster/demo", holder, time.Minute)
		if !fault.Is(err, fault.Blocked) || fault.RetryAfter(err) != after {
			t.Fatalf("%v, retry after %s, want blocked for %s", err, fault.RetryAfter(err), after)
		}
	}
	a := acquire("a")
	c.Time = c.Add(20 * time.Second)
	refused("b", 40*time.Second)
	again := acquire("a") // renewed
	refused("b", time.Minute)
	c.Time = c.Add(time.Minute) // expired
	b := acquire("b")
	refused("a", time.Minute)
	if a.Token >= again.Token || again.Token >= b.Token {
		t.Errorf("tokens %d, %d, %d do not grow", a.Token, again.Token, b.Token)
	}
	for _, lost := range []ledger.Lease{a, again} { // the losers' releases
		if err := l.Release(t.Context(), lost); err != nil {
			t.Error(err)
		}
		refused("a", time.Minute)
	}
	for range 2 {
		if err := l.Release(t.Context(), b); err != nil {
			t.Error(err)
		}
	}
	after := acquire("a")
	if after.Token <= b.Token {
		t.Errorf("token %d after %d", after.Token, b.Token)
	}
	if doc, _ := l.Store.Get(t.Context(), ledger.Key{Partition: "lease#cluster/demo", Sort: "lease"}); !doc.Expires.IsZero() {
		t.Error("the document of a lease expires: its tokens would begin anew")
	}
	if _, err := l.Acquire(t.Context(), "cluster/other", "b", time.Minute); err != nil {
		t.Error("another key is held too:", err)
	}
}

func TestALeaseIsExclusive(t *testing.T) {
	l, _ := newLedger()
	var won atomic.Int32
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			_, err := l.Acquire(t.Context(), "k", fmt.Sprint(i), time.Minute)
			if err == nil {
				won.Add(1)
			} else if !fault.Is(err, fault.Blocked) {
				t.Error(err)
			}
		})
	}
	if wg.Wait(); won.Load() != 1 {
		t.Errorf("%d of 20 hold the lease", won.Load())
	}
}

func TestDrains(t *testing.T) {
	l, c := newLedger()
	d, err := l.Drain(t.Context(), "i-1")
	if err != nil || d.RunID != "" {
		t.Fatalf("%+v, %v", d, err)
	}
	d = ledger.Drain{RunID: "r", InstanceID: "i-1", Signal: json.RawMessage(`{"a":1}`), StartedAt: c.now(), Blocked: map[string]bool{"u": true},
		Holder: "m/1", HeldUntil: c.Add(time.Minute)}
	first, err := l.SaveDrain(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.SaveDrain(t.Context(), d); !fault.Is(err, fault.Conflict) {
		t.Errorf("a second new drain: %v", err)
	}
	read, err := l.Drain(t.Context(), "i-1")
	if err != nil || !reflect.DeepEqual(read, first) {
		t.Errorf("read %+v, %v\nwrote %+v", read, err, first)
	}
	read.Attempt++
	if _, err := l.SaveDrain(t.Context(), read); err != nil {
		t.Error(err)
	}
	if _, err := l.SaveDrain(t.Context(), first); !fault.Is(err, fault.Conflict) {
		t.Errorf("a stale drain: %v", err)
	}
	known, _ := l.Drain(t.Context(), "i-1")
	known.Signal = json.RawMessage(`{"a":2}`)
	mine := first
	mine.Evicted = 7
	if got, err := l.SaveDrain(t.Context(), mine.At(known)); err != nil || got.Evicted != 7 || string(got.Signal) != `{"a":2}` {
		t.Errorf("%+v, %v", got, err)
	}
	for by, want := range map[string]bool{"m/1": false, "m/2": true} {
		if first.Held(by, c.now()) != want || first.Held(by, c.Add(time.Minute)) {
			t.Errorf("held by %s", by)
		}
	}
}

func TestRuns(t *testing.T) {
	l, c := newLedger()
	run := func(id string, at time.Time) ledger.Run {
		r := ledger.Run{RunID: id, Outcome: "Drained", StartedAt: at, FinishedAt: at}
		r.Subject.Cluster = "demo"
		return r
	}
	for _, r := range []ledger.Run{run("b", c.Add(time.Second)), run("a", c.now()), run("a", c.now()), run("c", c.Add(1500*time.Millisecond))} {
		if err := l.SaveRun(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	runs, err := l.Runs(t.Context(), "demo")
	if err != nil || len(runs) != 3 || runs[0].RunID != "a" || runs[1].RunID != "b" || runs[2].RunID != "c" {
		t.Errorf("%+v, %v", runs, err)
	}
}
