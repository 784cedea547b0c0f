package upgradeview

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/ekspedite/ekspedite/shared/decide/upgradepath"
)

// Fleet is the ways of many clusters.
type Fleet struct {
	Clusters []FleetLine `json:"clusters"`
	// Moving are those with something to do, Blocked those without a way, Unread those of which nothing is known.
	Moving  int `json:"moving"`
	Blocked int `json:"blocked"`
	Unread  int `json:"unread"`
	// ExtendedPerMonth, Saved and PerWeek add up the clusters' costs, in USD: see upgradepath.Cost.
	ExtendedPerMonth float64 `json:"extendedPerMonth"`
	Saved            float64 `json:"saved"`
	PerWeek          float64 `json:"perWeek"`
}

// FleetLine is one cluster's way, or why there is none to show.
type FleetLine struct {
	Cluster string `json:"cluster"` // "region/name"
	Way     *Way   `json:"way,omitempty"`
	Error   string `json:"error,omitempty"`
}

// NewFleet counts.
func NewFleet(lines []FleetLine) Fleet {
	v := Fleet{Clusters: lines}
	for _, l := range lines {
		switch {
		case l.Way == nil:
			v.Unread++
			continue
		case len(l.Way.Blocked) > 0:
			v.Blocked++
		case len(l.Way.Steps) > 0:
			v.Moving++
		}
		v.ExtendedPerMonth += l.Way.Cost.ExtendedPerMonth
		v.Saved += l.Way.Cost.Saved
		v.PerWeek += l.Way.Cost.PerWeek
	}
	return v
}

// Text writes a line for each cluster, and what they come to.
func (v Fleet) Text(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "CLUSTER\tNOW\tTO\tSTEPS\tTIME\tEXTENDED $/MONTH\tWHAT")
	for _, l := range v.Clusters {
		if l.Way == nil {
			fmt.Fprintf(t, "%s\t?\t?\t\t\t\t%s\n", l.Cluster, oneLine(l.Error))
			continue
		}
		p, what := l.Way.Path, l.Way.Wanted
		switch {
		case len(p.Blocked) > 0:
			what = "BLOCKED " + strings.Join(p.Blocked, "; ")
		case len(p.Steps) == 0:
			what = cmp.Or(what, "nothing to do")
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\t%.0f\t%s\n", l.Cluster, p.From, p.To, len(p.Steps), upgradepath.Text(p.Takes), p.Cost.ExtendedPerMonth, oneLine(what))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%d clusters: %d with something to do, %d blocked, %d could not be read\n", len(v.Clusters), v.Moving, v.Blocked, v.Unread)
	if err == nil && v.ExtendedPerMonth+v.PerWeek+v.Saved > 0 {
		_, err = fmt.Fprintf(w, "extended support costs $%.0f a month now; each week of delay costs $%.0f; done now, $%.0f are saved until the present versions end\n", v.ExtendedPerMonth, v.PerWeek, v.Saved)
	}
	return err
}

// oneLine keeps a table a table.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
