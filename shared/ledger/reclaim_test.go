package ledger

import (
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// TestReclaims: a zone's worth of reclaims of one offering is one item, and what is old is no news.
func TestReclaims(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	store := &Memory{}
	l := &Ledger{Store: store, Now: func() time.Time { return now }}
	at := func(kind string, at time.Time) {
		t.Helper()
		if err := l.SaveReclaim(t.Context(), "us-east-1", fleet.Reclaim{Type: kind, Zone: "us-east-1a", At: at}); err != nil {
			t.Fatal(err)
		}
	}
	read := func() []fleet.Reclaim {
		t.Helper()
		list, err := l.Reclaims(t.Context(), "us-east-1")
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	at("m5.large", now)
	at("m5.large", now.Add(time.Second))   // the same story
	at("m5.large", now.Add(-time.Minute))  // told late
	at("c5.large", now.Add(2*time.Second)) // another offering
	list := read()
	if len(list) != 2 || list[0].Type != "c5.large" || !list[1].At.Equal(now) {
		t.Fatalf("%+v", list)
	}
	at("m5.large", now.Add(time.Minute))
	if list = read(); len(list) != 2 || !list[1].At.Equal(now.Add(time.Minute)) {
		t.Fatalf("a later reclaim is news: %+v", list)
	}
	if other, err := l.Reclaims(t.Context(), "eu-west-1"); err != nil || len(other) != 0 {
		t.Fatalf("another Region: %+v, %v", other, err)
	}
	now = now.Add(7 * time.Hour)
	if list = read(); len(list) != 0 {
		t.Fatalf("this morning's: %+v", list)
	}
}
