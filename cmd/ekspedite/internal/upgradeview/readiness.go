// Package upgradeview shows what is known of an upgrade: to people as text and as a page, to machines as JSON and SARIF. It
// decides nothing.
package upgradeview

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/readiness"
)

// ReadinessJSON writes a report as one JSON object: the report's fields, and whether the cluster is ready.
func ReadinessJSON(w io.Writer, r readiness.Report) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(struct {
		Ready    bool `json:"ready"`
		Blockers int  `json:"blockers"`
		readiness.Report
	}{r.Ready(), len(r.Blockers()), r})
}

// ReadinessText writes a report for a terminal: the verdict, what stops the upgrade with what to do, then the rest.
func ReadinessText(w io.Writer, r readiness.Report) error {
	var b strings.Builder
	v := sort(r)
	fmt.Fprintf(&b, "%s\n%s\n", v.Verdict, v.Counts)
	for _, line := range v.Support {
		fmt.Fprintf(&b, "%s\n", line)
	}
	for _, part := range []struct {
		title string
		list  []readiness.Finding
	}{{"BLOCKERS", v.Blockers}, {"WARNINGS", v.Warnings}, {"TO KNOW", v.Infos}, {"WAIVED", v.Waived}} {
		if len(part.list) > 0 {
			fmt.Fprintf(&b, "\n%s\n", part.title)
		}
		for _, f := range part.list {
			writeFinding(&b, f)
		}
	}
	if len(v.Unread) > 0 {
		b.WriteString("\nNOT KNOWN\n")
	}
	for _, u := range v.Unread {
		stops := ""
		if u.Blocks {
			stops = " (stops the upgrade)"
		}
		fmt.Fprintf(&b, "  %s%s\n      %s\n", strings.Join(u.IDs, " "), stops, u.Why)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func writeFinding(b *strings.Builder, f readiness.Finding) {
	fmt.Fprintf(b, "  %-6s %s\n", f.ID, f.Text)
	for _, e := range f.Evidence {
		fmt.Fprintf(b, "         - %s\n", e)
	}
	if f.Waiver != "" {
		fmt.Fprintf(b, "         waived %s\n", f.Waiver)
	}
	if f.Remedy != "" && f.Status == readiness.Fail {
		for _, line := range strings.Split(f.Remedy, "\n") {
			fmt.Fprintf(b, "         > %s\n", line)
		}
	}
}

// sorted is a report in the order in which people read it.
type sorted struct {
	Verdict, Counts                            string
	Ready                                      bool
	Support                                    []string
	Blockers, Warnings, Infos, Waived, Passing []readiness.Finding
	Unread                                     []unread
}

// unread are checks that could not be made, of one reason.
type unread struct {
	IDs    []string
	Why    string
	Blocks bool
}

func sort(r readiness.Report) sorted {
	v := sorted{Ready: r.Ready()}
	known := 0
	for _, f := range r.Findings {
		switch f.Status {
		case readiness.Pass:
			v.Passing = append(v.Passing, f)
		case readiness.Waived:
			v.Waived = append(v.Waived, f)
		case readiness.Unknown:
			v.addUnread(f)
		default:
			known++
			switch f.Severity {
			case readiness.Block:
				v.Blockers = append(v.Blockers, f)
			case readiness.Warn:
				v.Warnings = append(v.Warnings, f)
			default:
				v.Infos = append(v.Infos, f)
			}
		}
	}
	slices.SortStableFunc(v.Unread, func(a, b unread) int {
		return cmp.Or(map[bool]int{true: 0, false: 1}[a.Blocks]-map[bool]int{true: 0, false: 1}[b.Blocks], cmp.Compare(a.Why, b.Why))
	})
	way := fmt.Sprintf("%s from %s to %s", r.Cluster, r.From, r.To)
	if r.From == r.To {
		way = fmt.Sprintf("%s at %s, patches alone", r.Cluster, r.From)
	}
	open := len(r.Blockers()) - len(v.Blockers)
	switch {
	case v.Ready:
		v.Verdict = "READY: " + way
	case len(v.Blockers) == 0:
		v.Verdict = fmt.Sprintf("NOT READY: %s: %s could not be made", way, count(open, "check"))
	case open == 0:
		v.Verdict = fmt.Sprintf("NOT READY: %s: %s", way, count(len(v.Blockers), "blocker"))
	default:
		v.Verdict = fmt.Sprintf("NOT READY: %s: %s, and %s could not be made", way, count(len(v.Blockers), "blocker"), count(open, "check"))
	}
	v.Counts = fmt.Sprintf("%s: %d blocking, %s, %d to know, %d waived, %d not known, %d passed; as of %s",
		count(len(r.Findings), "check"), len(v.Blockers), count(len(v.Warnings), "warning"), len(v.Infos), len(v.Waived),
		len(r.Findings)-known-len(v.Waived)-len(v.Passing), len(v.Passing), moment(r.At))
	v.Support = supportLines(r)
	return v
}

func (v *sorted) addUnread(f readiness.Finding) {
	i := slices.IndexFunc(v.Unread, func(u unread) bool { return u.Why == f.Text && u.Blocks == f.Blocks() })
	if i < 0 {
		v.Unread = append(v.Unread, unread{Why: f.Text, Blocks: f.Blocks()})
		i = len(v.Unread) - 1
	}
	v.Unread[i].IDs = append(v.Unread[i].IDs, f.ID)
}

// supportLines are dates and money of the version of now.
func supportLines(r readiness.Report) (out []string) {
	s := r.Support
	if s.StandardEnds.IsZero() {
		return nil
	}
	line := fmt.Sprintf("Support of %s: standard until %s, extended until %s", r.From, day(s.StandardEnds), day(s.ExtendedEnds))
	if s.ExtendedEnds.After(r.At) {
		line += fmt.Sprintf(" (in %s); then EKS upgrades the cluster by itself, without notice", days(s.ExtendedEnds.Sub(r.At)))
	} else if !s.ExtendedEnds.IsZero() {
		line += "; EKS may upgrade the cluster at any time"
	}
	out = append(out, line)
	week := s.Extended(r.At, r.At.Add(7*24*time.Hour))
	switch {
	case r.At.Before(s.StandardEnds):
		line = fmt.Sprintf("Extended support begins in %s and costs %s a month then; nothing so far", days(s.StandardEnds.Sub(r.At)), dollars(s.ExtendedPerMonth))
		if week > 0 {
			line += fmt.Sprintf("; waiting a week from now costs %s", dollars(week))
		}
	default:
		line = fmt.Sprintf("Extended support costs %s a month, %s for each week of delay; %s so far", dollars(s.ExtendedPerMonth), dollars(week), dollars(s.PaidSoFar))
	}
	return append(out, line)
}

func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }
func day(t time.Time) string {
	if t.IsZero() {
		return "a day that is not known"
	}
	return t.UTC().Format("2006-01-02")
}
func days(d time.Duration) string { return count(int(d.Hours()/24), "day") }

func dollars(v float64) string { return fmt.Sprintf("$%.2f", v) }

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
