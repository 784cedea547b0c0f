package ledger_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/ledger"
)

func TestLinesAreBounded(t *testing.T) {
	var r ledger.ClusterRun
	for i := range 1000 {
		before := r.Lines
		r.Tell(ledger.Line{Step: "Ready", Detail: strings.Repeat("ä", i)})
		if len(before) > 0 && before[len(before)-1].N != i {
			t.Fatalf("line %d changed one that was told before", i+1)
		}
	}
	if n := len(r.Lines); n != 200 || r.Lines[0].N != 801 || r.Lines[n-1].N != 1000 {
		t.Errorf("%d lines, %d to %d", n, r.Lines[0].N, r.Lines[n-1].N)
	}
	if d := r.Lines[0].Detail; len(d) > 310 || !utf8.ValidString(d) {
		t.Errorf("a detail has %d bytes, valid %v", len(d), utf8.ValidString(d))
	}
}

func TestRunsAreFoundByTime(t *testing.T) {
	l, c := newLedger()
	first := c.Time
	began := func(days int) time.Time { return first.Add(-time.Duration(days) * 24 * time.Hour) }
	for days := range 40 {
		r := ledger.Run{RunID: fmt.Sprintf("run-%02d", days), Function: "cluster", Outcome: events.OutcomeActive,
			Subject: events.Subject{Cluster: "demo"}, StartedAt: began(days)}
		if err := l.SaveRun(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	for name, tc := range map[string]struct {
		since time.Time
		want  int
	}{
		"to the second":    {c.Time, 1},
		"an hour":          {c.Add(-time.Hour), 1},
		"across midnights": {c.Add(-72 * time.Hour), 4},
		"by one query":     {c.Add(-30 * 24 * time.Hour), 31},
		"all":              {time.Time{}, 40},
	} {
		list, err := l.RunsSince(t.Context(), "demo", tc.since)
		if err != nil || len(list) != tc.want || !slices.IsSortedFunc(list, func(a, b ledger.Run) int { return a.StartedAt.Compare(b.StartedAt) }) {
			t.Errorf("%s: %d runs, want %d in their order; %v", name, len(list), tc.want, err)
		}
	}
	c.Time = time.Date(2026, 3, 3, 23, 59, 0, 0, time.UTC) // a minute behind whoever wrote
	next := ledger.Run{RunID: "tomorrow", Function: "cluster", Outcome: events.OutcomeActive, Subject: events.Subject{Cluster: "demo"}, StartedAt: c.Add(2 * time.Minute)}
	if err := l.SaveRun(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	if list, err := l.RunsSince(t.Context(), "demo", c.Time); err != nil || len(list) != 1 {
		t.Errorf("%d runs of tomorrow, want 1; %v", len(list), err)
	}
	if r, err := l.FindRun(t.Context(), "demo", "run-03", began(3)); err != nil || r.RunID != "run-03" {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := l.FindRun(t.Context(), "demo", "run-04", began(3)); !fault.Is(err, fault.NotFound) {
		t.Errorf("%v, want NotFound", err)
	}
}

// Runs on what is not on the list of clusters are found, too: of deleted clusters, and of instances of nobody's.
func TestHistories(t *testing.T) {
	l, c := newLedger()
	for _, name := range []string{"gone", "", "demo", "gone"} {
		r := ledger.Run{RunID: "run", Function: "interruption", Outcome: events.OutcomeDrained, Subject: events.Subject{Cluster: name}, StartedAt: c.Time}
		if err := l.SaveRun(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	names, err := l.Histories(t.Context())
	if err != nil || !slices.Equal(names, []string{"", "demo", "gone"}) {
		t.Errorf("%q, %v", names, err)
	}
}
