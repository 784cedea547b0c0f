package scaleview

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/scaling"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Remembered is what is remembered of a cluster's scaling.
type Remembered struct {
	Cluster  string         `json:"cluster"`
	Region   string         `json:"region"`
	Mode     string         `json:"mode"`     // of the policy
	Doorbell string         `json:"doorbell"` // of the policy
	Looks    int            `json:"looks"`
	LookedAt time.Time      `json:"lookedAt,omitzero"`
	LookAt   time.Time      `json:"lookAt,omitzero"` // when the next look is due
	Acting   bool           `json:"acting"`          // a look is carrying out its plan, or died while it did
	RunID    string         `json:"runId,omitempty"`
	Memory   scaling.Memory `json:"memory"`
}

// Text writes what is remembered.
func (v Remembered) Text(w io.Writer, now time.Time) {
	fmt.Fprintf(w, "cluster %s in %s: scaling is %s, doorbell %s\n", v.Cluster, v.Region, cmp.Or(v.Mode, string(fleet.ScalingOff)), cmp.Or(v.Doorbell, string(fleet.DoorbellNone)))
	switch {
	case v.Looks == 0:
		fmt.Fprintf(w, "nobody has looked at it yet\n")
	case v.Acting:
		fmt.Fprintf(w, "a plan is being carried out since %s\n", ago(now, v.LookedAt))
	default:
		fmt.Fprintf(w, "looked at %s, %s so far; the next look is due %s\n", ago(now, v.LookedAt), count(v.Looks, "look"), in(now, v.LookAt))
	}
	m := v.Memory
	section(w, "Ordered, not there yet:", []string{"GROUP", "TYPE", "ZONE", "CAPACITY", "COUNT", "SINCE", "FOR"}, m.Orders, func(o scaling.Order) []string {
		return []string{o.Group, cmp.Or(o.Type, "any"), cmp.Or(o.Zone, "any"), spotName(o.Spot), fmt.Sprint(o.Count), ago(now, o.At), few(o.Pods[:min(len(o.Pods), fewPods)], len(o.Pods))}
	})
	section(w, "Short at AWS:", []string{"TYPE", "ZONE", "CAPACITY", "GROUP", "BELIEVED", "IN A ROW", "CODE"}, m.Shortages, func(s scaling.Shortage) []string {
		if s.Group != "" { // the group's own fault
			return []string{"any", "any", "any", s.Group, "for " + short(s.Until.Sub(now)), fmt.Sprint(s.Times), s.Code}
		}
		return []string{s.Type, s.Zone, spotName(s.Spot), "any", "for " + short(s.Until.Sub(now)), fmt.Sprint(s.Times), s.Code}
	})
	section(w, "Being removed:", []string{"NODE", "INSTANCE", "GROUP", "REASON", "SINCE"}, m.Removals, func(r scaling.Removal) []string {
		return []string{r.Node, r.InstanceID, r.Group, r.Reason, ago(now, r.At)}
	})
	section(w, "Asleep, with the size to come back to:", []string{"GROUP", "LEAST", "DESIRED"}, slices.Sorted(maps.Keys(m.Slept)), func(group string) []string {
		return []string{group, fmt.Sprint(m.Slept[group].Min), fmt.Sprint(m.Slept[group].Desired)}
	})
	if m.Swap != nil {
		fmt.Fprintf(w, "\n%s being replaced since %s: %s\n", count(len(m.Swap.Nodes), "node"), ago(now, m.Swap.At), m.Swap.Why)
	}
	if n := len(m.Quiet); n > 0 {
		fmt.Fprintf(w, "\n%s with little or nothing to do\n", count(n, "node"))
	}
}

func section[T any](w io.Writer, title string, head []string, list []T, row func(T) []string) {
	if len(list) == 0 {
		return
	}
	rows := [][]string{head}
	for _, v := range list {
		rows = append(rows, row(v))
	}
	fmt.Fprintf(w, "\n%s\n", title)
	table(w, rows)
}

func spotName(spot bool) string {
	if spot {
		return "spot"
	}
	return "on-demand"
}

// ago is when something was, for people, in when it will be.
func ago(now, at time.Time) string { return short(now.Sub(at)) + " ago" }

func in(now, at time.Time) string {
	if !at.After(now) {
		return "now"
	}
	return "in " + short(at.Sub(now))
}

func short(d time.Duration) string {
	s := max(0, d).Round(time.Second).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
