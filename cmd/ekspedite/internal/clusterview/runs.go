package clusterview

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/ledger"
)

// Runs writes recorded runs for people, in their order.
func Runs(w io.Writer, list []ledger.Run) {
	out := [][]string{{"STARTED", "TOOK", "FUNCTION", "SUBJECT", "OUTCOME", "RUN", "WHY"}}
	for _, r := range list {
		out = append(out, []string{
			r.StartedAt.UTC().Format("2006-01-02 15:04:05Z"), short(r.FinishedAt.Sub(r.StartedAt)), r.Function, about(r.Subject), r.Outcome, r.RunID, one(r.Reason, 60),
		})
	}
	table(w, out)
}

// about is a subject for people.
func about(s events.Subject) string {
	var parts []string
	for _, p := range []string{s.Cluster, s.NodeGroup, s.Node, s.InstanceID} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	return strings.Join(parts, " ")
}

// Run is one run with what is known of it: its record when it is over, and its last lines while they are kept.
type Run struct {
	ledger.Run
	Request string        `json:"requestId,omitempty"`
	Over    bool          `json:"over"`
	Waiting []string      `json:"waiting,omitempty"` // what AWS is working on
	Lines   []ledger.Line `json:"lines,omitempty"`
}

// Live is a run on a cluster that is not over, or whose record is not there yet.
func Live(subject events.Subject, r ledger.ClusterRun) Run {
	return Run{
		Run: ledger.Run{RunID: r.RunID, Function: "cluster", Subject: subject, Outcome: r.Outcome, Reason: r.Reason,
			EventID: r.EventID, EventTime: r.EventTime, StartedAt: r.StartedAt},
		Over: r.Over(), Waiting: r.Waiting, Lines: r.Lines,
	}
}

// Requested is a run that was asked for and has not begun.
func Requested(id fleet.ClusterID, d ledger.Desired) Run {
	return Run{Request: d.RequestID, Run: ledger.Run{
		RunID: d.RunID, Function: "cluster", Subject: events.Subject{Cluster: id.Name, Region: id.Region}, Reason: "asked for, not begun",
		EventID: d.EventID, EventTime: d.RequestedAt, StartedAt: d.RequestedAt,
	}}
}

// Text writes the run for people.
func (r Run) Text(w io.Writer, now time.Time) {
	outcome, took := r.Outcome, r.FinishedAt.Sub(r.StartedAt)
	if r.FinishedAt.IsZero() {
		took = now.Sub(r.StartedAt)
	}
	if outcome == "" {
		outcome = "under way"
	}
	fmt.Fprintf(w, "run %s of function %s on %s: %s\n", r.RunID, r.Function, about(r.Subject), outcome)
	rows := [][]string{{"  began", fmt.Sprintf("%s (%s)", r.StartedAt.UTC().Format(time.RFC3339), ago(now, r.StartedAt))}, {"  took", short(took)}}
	if r.Reason != "" {
		rows = append(rows, []string{"  why", r.Reason})
	}
	if len(r.Waiting) > 0 {
		rows = append(rows, []string{"  waits for", strings.Join(r.Waiting, ", ")})
	}
	table(w, rows)
	Failures(w, r.Run)
	figures(w, "counts", r.Counts, "")
	figures(w, "times", r.Timings, "ms")
	for _, l := range r.Lines {
		fmt.Fprintln(w, Line(l))
	}
}

func figures(w io.Writer, what string, m map[string]int64, unit string) {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(m)) {
		value := fmt.Sprint(m[name])
		if unit == "ms" {
			value = short(time.Duration(m[name]) * time.Millisecond)
		}
		list = append(list, name+" "+value)
	}
	if len(list) > 0 {
		fmt.Fprintf(w, "  %s: %s\n", what, strings.Join(list, ", "))
	}
}

// Line is a line of a run for people.
func Line(l ledger.Line) string {
	return fmt.Sprintf("  %s  %-25s  %s", l.At.Local().Format("15:04:05"), l.Step, l.Detail)
}

// whose are the owners of failures in words.
var whose = map[string]string{
	"user":     "yours: the file, or something of the account that it names",
	"ours":     "ekspedite's, its permissions included",
	"quota":    "a limit of the account",
	"capacity": "AWS has no machines, or no addresses are free",
	"aws":      "AWS's: a service is unwell",
}

// Failures writes why a run failed and what to do.
func Failures(w io.Writer, r ledger.Run) {
	for _, f := range r.Failures {
		head := f.Resource
		if f.Code != "" {
			head = strings.TrimPrefix(head+": "+f.Code, ": ")
		}
		fmt.Fprintf(w, "\n  %s\n", cmp.Or(head, "the run"))
		fmt.Fprintf(w, "    what      %s\n", indent(f.Text, "              "))
		fmt.Fprintf(w, "    whose     %s\n", whose[f.Whose])
		if f.Fix != "" {
			fmt.Fprintf(w, "    to do     %s\n", indent(f.Fix, "              "))
		}
	}
	if len(r.Failures) == 0 {
		for _, b := range r.Blocked {
			fmt.Fprintf(w, "    - %s\n", indent(b, "      "))
		}
	}
}
