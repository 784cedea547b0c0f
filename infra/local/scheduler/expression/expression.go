// Package expression reads AWS's schedule expressions (at, rate, cron) and computes when they fire. It is pure: no clock.
package expression

import (
	"fmt"
	"regexp"
	"strconv"
	"time"
)

// Expression is a parsed schedule expression. The zero value never fires.
type Expression struct {
	at   time.Time // one-time
	once bool
	rate time.Duration
	cron *cron
}

var (
	atForm   = regexp.MustCompile(`^at\((\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})\)$`)
	rateForm = regexp.MustCompile(`^rate\(([1-9]\d{0,8}) (minute|hour|day)s?\)$`)
	cronForm = regexp.MustCompile(`^cron\((.*)\)$`)
)

// Parse reads an expression; at() and cron() are meant in the location's local time.
func Parse(text string, in *time.Location) (Expression, error) {
	if m := atForm.FindStringSubmatch(text); m != nil {
		wall, err := time.Parse("2006-01-02T15:04:05", m[1])
		if err != nil {
			return Expression{}, fmt.Errorf("%s: %w", text, err)
		}
		at, ok := instant(wall, in)
		if !ok {
			return Expression{once: true}, nil // a time that daylight saving skips never comes
		}
		return Expression{at: at, once: true}, nil
	}
	if m := rateForm.FindStringSubmatch(text); m != nil {
		n, err := strconv.Atoi(m[1])
		if err != nil {
			return Expression{}, fmt.Errorf("%s: %w", text, err)
		}
		// A day is 24 hours, whatever daylight saving makes of it: so AWS documents.
		unit := map[string]time.Duration{"minute": time.Minute, "hour": time.Hour, "day": 24 * time.Hour}[m[2]]
		if n > int(100*365*24*time.Hour/unit) {
			return Expression{}, fmt.Errorf("%s: the rate is too long", text)
		}
		return Expression{rate: time.Duration(n) * unit}, nil
	}
	if m := cronForm.FindStringSubmatch(text); m != nil {
		c, err := parseCron(m[1])
		if err != nil {
			return Expression{}, fmt.Errorf("%s: %w", text, err)
		}
		c.in = in
		return Expression{cron: c}, nil
	}
	return Expression{}, fmt.Errorf("%q is none of at(yyyy-mm-ddThh:mm:ss), rate(value unit) and cron(minutes hours day-of-month month day-of-week year)", text)
}

// OneTime tells whether the expression is an at().
func (e Expression) OneTime() bool { return e.once }

// Next returns the first time after a given one. A rate counts from start, which is its first time. ok is false when
// there is none any more.
func (e Expression) Next(start, after time.Time) (at time.Time, ok bool) {
	switch {
	case e.once:
		return e.at, e.at.After(after)
	case e.rate > 0:
		if start.After(after) {
			return start, true
		}
		return start.Add((after.Sub(start)/e.rate + 1) * e.rate), true
	case e.cron != nil:
		return e.cron.next(after)
	}
	return time.Time{}, false
}

// instant finds when a location's clocks first show a wall time, which is given in UTC. They never do in the hour that
// is skipped in spring, and twice in the one that is repeated in autumn: then the schedule runs at the first.
func instant(wall time.Time, in *time.Location) (time.Time, bool) {
	for _, around := range []time.Duration{-24 * time.Hour, 24 * time.Hour} { // the offsets before and after a change
		_, offset := wall.Add(around).In(in).Zone()
		t := wall.Add(-time.Duration(offset) * time.Second).In(in)
		if _, got := t.Zone(); got == offset {
			return t, true
		}
	}
	return time.Time{}, false
}
