package upgradeview

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/readiness"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

//go:embed readiness.html
var readinessText string

var readinessPage = template.Must(template.New("readiness").Funcs(template.FuncMap{
	"lines": func(s string) []string { return strings.Split(s, "\n") },
	"ids":   func(ids []string) string { return strings.Join(ids, " ") },
}).Parse(readinessText))

// ReadinessHTML writes a report as one page that needs nothing else: no script, no font, no image. Names come from clusters and
// are escaped.
func ReadinessHTML(w io.Writer, r readiness.Report) error {
	return readinessPage.Execute(w, newReadiness(r))
}

type readinessView struct {
	sorted
	Title, Cluster, From, To, At string
	Sums                         []sum
	Dates                        []dated
	Delay                        string // what waiting costs, in a sentence
}

type sum struct {
	Name, Value, Note string
	Bad               bool
}

type dated struct{ Day, What, In string }

func newReadiness(r readiness.Report) readinessView {
	v := readinessView{sorted: sort(r), Cluster: r.Cluster.String(), From: r.From.String(), To: r.To.String(), At: moment(r.At)}
	v.Title = r.Cluster.Name + ": " + v.From + " → " + v.To
	v.Sums = []sum{
		{"blockers", fmt.Sprint(len(v.Blockers)), "must be solved first", len(v.Blockers) > 0},
		{"not known", fmt.Sprint(len(r.Blockers()) - len(v.Blockers)), "checks that stop it until they can be made", len(r.Blockers()) > len(v.Blockers)},
		{"warnings", fmt.Sprint(len(v.Warnings)), "", false},
		{"passed", fmt.Sprint(len(v.Passing)), fmt.Sprintf("of %d checks", len(r.Findings)), false},
	}
	s := r.Support
	if s.StandardEnds.IsZero() {
		return v
	}
	week, month := s.Extended(r.At, r.At.Add(7*24*time.Hour)), s.ExtendedPerMonth
	extended := !r.At.Before(s.StandardEnds)
	v.Sums = append(v.Sums,
		sum{"extended support", dollars(month), map[bool]string{true: "a month, now", false: "a month, from " + day(s.StandardEnds)}[extended], extended},
		sum{"paid so far", dollars(s.PaidSoFar), "for extended support", s.PaidSoFar > 0},
		sum{"a week of delay", dollars(week), "from today", week > 0})
	v.Delay = delay(r, week)
	v.Dates = []dated{
		{day(s.StandardEnds), "Standard support of " + v.From + " ends. From this hour the control plane costs " + hourly(true) + " instead of " + hourly(false) + ".", until(r.At, s.StandardEnds)},
		{day(s.ExtendedEnds), "Extended support of " + v.From + " ends. EKS then upgrades the control plane by itself, at a time of its choosing and without notice.", until(r.At, s.ExtendedEnds)},
	}
	return v
}

func delay(r readiness.Report, week float64) string {
	s := r.Support
	switch {
	case week == 0:
		return "Waiting costs nothing yet: extended support begins in " + days(s.StandardEnds.Sub(r.At)) + "."
	case s.ExtendedEnds.After(r.At):
		return fmt.Sprintf("Each week that this takes costs %s. Staying until EKS upgrades by itself costs %s more.", dollars(week), dollars(s.Extended(r.At, s.ExtendedEnds)))
	}
	return fmt.Sprintf("Each week that this takes costs %s, if EKS does not upgrade the cluster before.", dollars(week))
}

func hourly(extended bool) string {
	return fmt.Sprintf("$%.2f an hour", map[bool]float64{true: fleet.ClusterExtendedHourly, false: fleet.ClusterHourly}[extended])
}

func until(now, t time.Time) string {
	switch {
	case t.IsZero():
		return ""
	case t.After(now):
		return "in " + days(t.Sub(now))
	}
	return days(now.Sub(t)) + " ago"
}
