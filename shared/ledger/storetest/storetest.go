// Package storetest is the contract of ledger.Store as tests. Every implementation runs it.
package storetest

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/ledger"
)

// Run holds a store against its contract. The store may hold other documents: each test has a partition of its own.
func Run(t *testing.T, store ledger.Store) {
	s := suite{store, fmt.Sprintf("storetest-%d-", time.Now().UnixNano())}
	t.Run("absent", s.absent)
	t.Run("versions", s.versions)
	t.Run("query", s.query)
	t.Run("documents are copies", s.copies)
	t.Run("large", s.large)
	t.Run("one of many wins", s.race)
}

type suite struct {
	ledger.Store
	prefix string
}

func (s suite) key(t *testing.T, sort string) ledger.Key {
	return ledger.Key{Partition: s.prefix + t.Name(), Sort: sort}
}

func (s suite) absent(t *testing.T) {
	k := s.key(t, "a")
	d, err := s.Get(t.Context(), k)
	if err != nil || d.Version != 0 || d.Key != k || len(d.Data) > 0 {
		t.Errorf("an absent document is %+v, %v", d, err)
	}
	if list, err := s.Query(t.Context(), k.Partition, ""); err != nil || len(list) > 0 {
		t.Errorf("query: %v, %v", list, err)
	}
}

func (s suite) versions(t *testing.T) {
	d := ledger.Document{Key: s.key(t, "a"), Data: json.RawMessage(`{"n":"ü\u0000 <1>"}`), Expires: time.Now().Add(time.Hour).Truncate(time.Second)}
	for v := range int64(3) {
		if err := s.Put(t.Context(), d); err != nil {
			t.Fatalf("writing over version %d: %v", v, err)
		}
		for _, stale := range []int64{0, v - 1, v, v + 2} {
			old := d
			if old.Version = stale; stale == v+1 || stale < 0 {
				continue
			}
			if err := s.Put(t.Context(), old); !fault.Is(err, fault.Conflict) {
				t.Errorf("writing over version %d of %d: %v, want a conflict", stale, v+1, err)
			}
		}
		got, err := s.Get(t.Context(), d.Key)
		if err != nil || got.Version != v+1 || string(got.Data) != string(d.Data) || !got.Expires.Equal(d.Expires) || got.Key != d.Key {
			t.Fatalf("read %+v, %v; wrote %+v", got, err, d)
		}
		d.Version = got.Version
	}
	d.Expires = time.Time{}
	if err := s.Put(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Get(t.Context(), d.Key); err != nil || !got.Expires.IsZero() {
		t.Errorf("a document that never expires: %+v, %v", got, err)
	}
	if err := s.Put(t.Context(), ledger.Document{Key: s.key(t, "b"), Version: 4, Data: d.Data}); !fault.Is(err, fault.Conflict) {
		t.Errorf("writing over version 4 of an absent document: %v, want a conflict", err)
	}
}

func (s suite) query(t *testing.T) {
	for _, sort := range []string{"run#b", "run#a", "state", "run", "run#ä", "run#B"} {
		if err := s.Put(t.Context(), ledger.Document{Key: s.key(t, sort), Data: json.RawMessage(`"` + sort + `"`)}); err != nil {
			t.Fatal(err)
		}
	}
	for prefix, want := range map[string]string{"run#": "run#B run#a run#b run#ä", "run": "run run#B run#a run#b run#ä", "x": "", "": "run run#B run#a run#b run#ä state"} {
		list, err := s.Query(t.Context(), s.key(t, "").Partition, prefix)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, d := range list {
			got = append(got, d.Key.Sort)
			if d.Version != 1 || string(d.Data) != `"`+d.Key.Sort+`"` {
				t.Errorf("%+v", d)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("prefix %q: %q, want %q", prefix, got, want)
		}
	}
}

func (s suite) copies(t *testing.T) {
	d := ledger.Document{Key: s.key(t, "a"), Data: json.RawMessage(`"one"`)}
	if err := s.Put(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	copy(d.Data, `"two"`)
	got, err := s.Get(t.Context(), d.Key)
	if err != nil || string(got.Data) != `"one"` {
		t.Fatalf("the store shares the writer's bytes: %s, %v", got.Data, err)
	}
	copy(got.Data, `"two"`)
	if again, _ := s.Get(t.Context(), d.Key); string(again.Data) != `"one"` {
		t.Errorf("the store shares the reader's bytes: %s", again.Data)
	}
}

// large: several pages of a query, DynamoDB's being 1 MB, of documents near what a run with a hundred pods needs.
func (s suite) large(t *testing.T) {
	data := json.RawMessage(`"` + strings.Repeat("x", 100<<10) + `"`)
	for i := range 15 {
		if err := s.Put(t.Context(), ledger.Document{Key: s.key(t, fmt.Sprintf("%03d", i)), Data: data}); err != nil {
			t.Fatal(err)
		}
	}
	list, err := s.Query(t.Context(), s.key(t, "").Partition, "")
	if err != nil || len(list) != 15 || list[14].Key.Sort != "014" {
		t.Errorf("%d documents, %v", len(list), err)
	}
}

func (s suite) race(t *testing.T) {
	k := s.key(t, "a")
	for version := range int64(5) {
		var wg sync.WaitGroup
		var mu sync.Mutex
		won := 0
		for range 10 {
			wg.Go(func() {
				switch err := s.Put(context.Background(), ledger.Document{Key: k, Version: version, Data: json.RawMessage(`1`)}); {
				case err == nil:
					mu.Lock()
					defer mu.Unlock()
					won++
				case !fault.Is(err, fault.Conflict):
					t.Error(err)
				}
			})
		}
		if wg.Wait(); won != 1 {
			t.Errorf("%d of 10 wrote over version %d", won, version)
		}
	}
}
