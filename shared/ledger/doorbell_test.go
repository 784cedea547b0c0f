package ledger_test

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/ledger"
)

// Many clusters ask for a doorbell at once, and there is one key.
func TestDoorbellKeysAreMadeOnce(t *testing.T) {
	l, c := newLedger()
	cluster := fleet.ClusterID{Region: "us-east-1", Name: "blue"}
	made := func() string {
		paths := make([]string, 4)
		var wg sync.WaitGroup
		for i := range paths {
			wg.Go(func() {
				k, err := l.FreshDoorbellKeys(t.Context())
				if err != nil {
					t.Error(err)
				}
				paths[i] = k.Path(cluster)
			})
		}
		wg.Wait()
		for _, p := range paths {
			if p != paths[0] {
				t.Errorf("several keys: %v", paths)
			}
		}
		return paths[0]
	}
	first := made()
	c.Time = c.Add(ledger.KeyAge)
	if second := made(); second == first {
		t.Error("the key is not replaced")
	}
	k, err := l.DoorbellKeys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if id, ok := k.Cluster(first); !ok || id != cluster {
		t.Errorf("the path before opens %v", id)
	}
	if strings.Contains(first, "=") || !strings.HasPrefix(first, "/ring/us-east-1/blue/") {
		t.Errorf("%q is no path", first)
	}
}

// What is said of damaged keys does not show them.
func TestDamagedDoorbellKeys(t *testing.T) {
	l, _ := newLedger()
	if k, err := l.DoorbellKeys(t.Context()); err != nil || len(k.Current) > 0 {
		t.Errorf("keys before there are any: %v", err)
	}
	doc := ledger.Document{Key: ledger.Key{Partition: "doorbell", Sort: "keys"}, Data: json.RawMessage(`{"current":"secret?"}`)}
	if err := l.Store.Put(t.Context(), doc); err != nil {
		t.Fatal(err)
	}
	for _, read := range []func() error{
		func() error { _, err := l.DoorbellKeys(t.Context()); return err },
		func() error { _, err := l.FreshDoorbellKeys(t.Context()); return err },
	} {
		if err := read(); !fault.Is(err, fault.Invalid) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%v", err)
		}
	}
}

// Of two who hear a bell at once, one rings.
func TestBells(t *testing.T) {
	l, c := newLedger()
	cluster := fleet.ClusterID{Region: "us-east-1", Name: "blue"}
	a, errA := l.Bell(t.Context(), cluster)
	b, errB := l.Bell(t.Context(), cluster)
	if errA != nil || errB != nil || !a.Covered.IsZero() {
		t.Fatal(a, errA, errB)
	}
	a.Covered, a.Rings = c.Time, 1
	if err := l.SaveBell(t.Context(), cluster, a); err != nil {
		t.Fatal(err)
	}
	if err := l.SaveBell(t.Context(), cluster, b); !fault.Is(err, fault.Conflict) {
		t.Errorf("both ring: %v", err)
	}
	if now, err := l.Bell(t.Context(), cluster); err != nil || !now.Covered.Equal(c.Time) || now.Rings != 1 {
		t.Errorf("%+v, %v", now, err)
	}
}
