package ledger_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/ledger"
)

// TestForget: a deleted cluster leaves the list and comes back when somebody asks for it; what was done for it stays.
func TestForget(t *testing.T) {
	l, c := newLedger()
	demo, other := fleet.ClusterID{Region: "us-east-1", Name: "demo"}, fleet.ClusterID{Region: "eu-west-1", Name: "demo"}
	desire := func(d ledger.Desired) {
		t.Helper()
		c.Time = c.Add(time.Second)
		d.RequestedAt = c.Time
		if ok, err := l.Desire(t.Context(), d); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	listed := func(want ...fleet.ClusterID) {
		t.Helper()
		if got, err := l.Clusters(t.Context()); err != nil || !slices.Equal(got, want) {
			t.Errorf("%v, %v, want %v", got, err, want)
		}
	}
	desire(ledger.Desired{ClusterID: other, RequestID: "r0"})
	desire(ledger.Desired{ClusterID: demo, RequestID: "r1", Text: "x"})
	run, err := l.ClusterRun(t.Context(), demo)
	if err != nil {
		t.Fatal(err)
	}
	run = run.Follow(ledger.ClusterRun{RunID: "a"})
	run.Converged = "hash"
	if _, err := l.SaveClusterRun(t.Context(), demo, run); err != nil {
		t.Fatal(err)
	}
	desire(ledger.Desired{ClusterID: demo, RequestID: "r2", Delete: true})
	listed(other, demo)
	for range 2 { // twice is once
		if err := l.Forget(t.Context(), demo, "r2"); err != nil {
			t.Fatal(err)
		}
		listed(other)
	}
	if ok, err := l.Desire(t.Context(), ledger.Desired{ClusterID: demo, RequestID: "r2", Delete: true, RequestedAt: c.Time}); !ok || err != nil {
		t.Error(ok, err)
	}
	listed(other) // the request that was delivered again does not bring it back
	if run, err := l.ClusterRun(t.Context(), demo); err != nil || run.RunID != "a" || run.Follow(ledger.ClusterRun{}).Converged != "hash" {
		t.Error(run, err)
	}
	desire(ledger.Desired{ClusterID: demo, RequestID: "r3"})
	listed(other, demo)
	if err := l.Forget(t.Context(), demo, "r2"); err != nil { // late
		t.Fatal(err)
	}
	listed(other, demo)
}

// TestForgetAtOnce: whoever asks for a cluster while it is forgotten finds it on the list.
func TestForgetAtOnce(t *testing.T) {
	demo := fleet.ClusterID{Region: "us-east-1", Name: "demo"}
	ctx, at := context.Background(), time.Date(2026, 3, 3, 2, 4, 12, 0, time.UTC)
	for range 200 {
		l := &ledger.Ledger{Store: &ledger.Memory{}, Now: func() time.Time { return at }}
		if _, err := l.Desire(ctx, ledger.Desired{ClusterID: demo, RequestID: "end", Delete: true, RequestedAt: at}); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := l.Forget(ctx, demo, "end"); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			if _, err := l.Desire(ctx, ledger.Desired{ClusterID: demo, RequestID: "again", RequestedAt: at.Add(time.Second)}); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		if ids, err := l.Clusters(ctx); err != nil || len(ids) != 1 {
			t.Fatal(ids, err)
		}
	}
}
