package ledger_test

import (
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/ledger"
)

func TestPipelineActions(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	l := &ledger.Ledger{Store: &ledger.Memory{}, Now: func() time.Time { return now }}
	a, err := l.PipelineAction(t.Context(), "job-1")
	if err != nil || a.ID != "" {
		t.Fatalf("%+v %v", a, err)
	}
	a.ID, a.Action, a.Ring, a.To, a.StartedAt = "job-1", "upgrade", "canary", 36, now
	saved, err := l.SavePipelineAction(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.SavePipelineAction(t.Context(), a); !fault.Is(err, fault.Conflict) {
		t.Errorf("an action is begun twice: %v", err)
	}
	saved.Asked = true
	if _, err := l.SavePipelineAction(t.Context(), saved); err != nil {
		t.Fatal(err)
	}
	if a, err = l.PipelineAction(t.Context(), "job-1"); err != nil || !a.Asked || a.Ring != "canary" || a.To != 36 {
		t.Errorf("%+v %v", a, err)
	}
}

func TestHandOffs(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	l := &ledger.Ledger{Store: &ledger.Memory{}, Now: func() time.Time { return now }}
	for _, id := range []string{"a", "b", "c"} {
		h := ledger.HandOff{ID: id, For: "soak canary", At: now}
		h.Pipeline, h.Execution = "fleet", "e-"+id
		if _, err := l.SaveHandOff(t.Context(), h); err != nil {
			t.Fatal(err)
		}
	}
	open := func() (ids string) {
		t.Helper()
		list, err := l.HandOffs(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range list {
			ids += h.ID
			if h.Execution != "e-"+h.ID || h.Pipeline != "fleet" {
				t.Errorf("%+v", h)
			}
		}
		return ids
	}
	if got := open(); got != "abc" {
		t.Error(got)
	}
	list, err := l.HandOffs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	list[1].Closed = true
	if _, err := l.SaveHandOff(t.Context(), list[1]); err != nil {
		t.Fatal(err)
	}
	if _, err := l.SaveHandOff(t.Context(), list[1]); !fault.Is(err, fault.Conflict) {
		t.Errorf("an old copy is written: %v", err)
	}
	if got := open(); got != "ac" {
		t.Error(got)
	}
	now = now.Add(ledger.Retention)
	if got := open(); got != "" {
		t.Error("nobody waits for ever: " + got)
	}
}
