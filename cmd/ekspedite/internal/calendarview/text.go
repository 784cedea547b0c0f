// Package calendarview shows what maintenance would do when: for people, and for programs that subscribe to calendars.
package calendarview

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/calendar"
)

// Year is a calendar with what it was made from.
type Year struct {
	Now     time.Time        `json:"now"`
	Until   time.Time        `json:"until"`
	Dates   string           `json:"dates"` // where the dates of support come from
	Entries []calendar.Entry `json:"entries"`
}

// Of leaves out what is about other clusters: name, or region/name. What is the fleet's stays.
func (y Year) Of(cluster string) Year {
	kept := []calendar.Entry{}
	for _, e := range y.Entries {
		if e.Cluster == "" || e.Cluster == cluster || strings.HasSuffix(e.Cluster, "/"+cluster) {
			kept = append(kept, e)
		}
	}
	y.Entries = kept
	return y
}

// about names what an entry is about.
func about(e calendar.Entry) string {
	if e.Cluster == "" {
		return "fleet"
	}
	return e.Cluster
}

// Text writes a line for each entry, by month, with warnings first, because somebody has to do something about them.
func Text(w io.Writer, y Year) error {
	b := &strings.Builder{}
	width := 0
	for _, e := range y.Entries {
		width = max(width, len(about(e)))
	}
	line := func(e calendar.Entry) {
		end := ""
		switch {
		case e.Until.IsZero() || !e.Until.After(e.At):
		case e.Until.UTC().Format(time.DateOnly) == e.At.UTC().Format(time.DateOnly):
			end = e.Until.UTC().Format("-15:04")
		default:
			end = e.Until.UTC().Format(" to 01-02 15:04")
		}
		fmt.Fprintf(b, "  %-35s  %-*s  %-8s  %s\n", e.At.UTC().Format("Mon 2006-01-02 15:04")+end, width, about(e), e.Kind, e.Title)
		if e.Detail != "" {
			fmt.Fprintf(b, "  %-35s  %-*s  %-8s  %s\n", "", width, "", "", e.Detail)
		}
	}
	fmt.Fprintf(b, "%s to %s, times in UTC; dates of support: %s\n", y.Now.UTC().Format(time.DateOnly), y.Until.UTC().Format(time.DateOnly), y.Dates)
	warned := false
	for _, e := range y.Entries {
		if e.Kind == calendar.KindWarning {
			if !warned {
				fmt.Fprintf(b, "\nto be done by somebody\n")
			}
			warned = true
			line(e)
		}
	}
	month := ""
	for _, e := range y.Entries {
		if e.Kind == calendar.KindWarning {
			continue
		}
		if m := e.At.UTC().Format("January 2006"); m != month {
			month = m
			fmt.Fprintf(b, "\n%s\n", m)
		}
		line(e)
	}
	if len(y.Entries) == 0 {
		fmt.Fprintln(b, "nothing")
	}
	_, err := io.WriteString(w, b.String())
	return err
}
