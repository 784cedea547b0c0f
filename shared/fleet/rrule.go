package fleet

import (
	"slices"
	"time"
)

// RRule is an RFC 5545 recurrence rule, "FREQ=WEEKLY;BYDAY=TU;BYHOUR=2", on the clock on the wall: days to years, to the minute.
// The zero value never happens.
//
// It is our own. github.com/teambition/rrule-go v1.8.2, which the tests hold it against, panics on FREQ=MONTHLY;BYDAY=10MO, does
// not return from FREQ=HOURLY;INTERVAL=2;BYHOUR=1, takes 51 ms to find nothing in BYDAY=MO,2TU, which is every Monday and the
// second Tuesday, looks at the machine's clock where there is no DTSTART, and finds the last time by going through all from the
// first (83 µs after seven years of every second day).
type RRule struct {
	text  string
	freq  frequency
	every int
	// start and until are the first and the last time on the wall, as if it were UTC's; end is a last moment. Zero: no bound.
	start, until, end time.Time
	weekStart         time.Weekday
	months            uint16
	monthDays         []int // -1 is the last
	yearDays          []int
	weeks             []int
	days              []nthDay
	positions         []int
	times             []int // minutes of the day, in order
}

// nthDay is a day of the week: each (n is 0), or the nth of its month or year, from the end if n is negative.
type nthDay struct {
	day time.Weekday
	n   int
}

type frequency int

const (
	daily frequency = iota
	weekly
	monthly
	yearly
)

// String is the text that was read.
func (r RRule) String() string { return r.text }

// MarshalText writes the text.
func (r RRule) MarshalText() ([]byte, error) { return []byte(r.text), nil }

// UnmarshalText reads it; nothing is an RRule that never happens.
func (r *RRule) UnmarshalText(text []byte) (err error) {
	if len(text) == 0 {
		*r = RRule{}
		return nil
	}
	*r, err = ParseRRule(string(text))
	return err
}

// Next is the first moment after t in the zone; false if there is none. Times that the clocks skip or repeat are as a Cron's.
func (r RRule) Next(t time.Time, z TimeZone) (time.Time, bool) {
	if r.text == "" {
		return time.Time{}, false
	}
	return next(r, t, z)
}

// Last is the latest moment at or before t.
func (r RRule) Last(t time.Time, z TimeZone) (time.Time, bool) {
	if r.text == "" {
		return time.Time{}, false
	}
	return last(r, t, z)
}

func (r RRule) span() (first, last time.Time, years int) {
	years = cronYears
	switch r.freq {
	case yearly: // the 29th of February, every third year
		years *= r.every
	case monthly:
		years *= 1 + r.every/12
	}
	last = r.until
	if !r.end.IsZero() {
		last = r.end.AddDate(0, 0, 1) // zones are less than a day from UTC
	}
	return r.start.Truncate(day), last.Truncate(day), years
}

const day = 24 * time.Hour

// onDay tells whether the rule may happen on a date; BYSETPOS may still leave it out.
func (r RRule) onDay(d time.Time) bool {
	return r.inTurn(d) && r.passes(d)
}

// onDate are the moments of a date.
func (r RRule) onDate(d time.Time, z TimeZone) (out []time.Time) {
	for _, minute := range r.timesOn(d) {
		at := d.Add(time.Duration(minute) * time.Minute)
		if at.Before(r.start) || !r.until.IsZero() && at.After(r.until) {
			continue
		}
		if m := onWall(d, minute/60, minute%60, z.zone()); r.end.IsZero() || !m.After(r.end) {
			out = append(out, m)
		}
	}
	return out
}

// timesOn are the minutes of a date on which the rule happens.
func (r RRule) timesOn(d time.Time) (out []int) {
	if len(r.positions) == 0 {
		return r.times
	}
	from, to := r.period(d)
	before, after, n := 0, 0, len(r.times) // days of the period, as far as positions go
	for at := d.Add(-day); !at.Before(from) && before*n < slices.Max(r.positions); at = at.Add(-day) {
		if r.passes(at) {
			before++
		}
	}
	for at := d.Add(day); at.Before(to) && after*n < -slices.Min(r.positions); at = at.Add(day) {
		if r.passes(at) {
			after++
		}
	}
	for i, minute := range r.times {
		if slices.Contains(r.positions, before*n+i+1) || slices.Contains(r.positions, -(after*n+n-i)) {
			out = append(out, minute)
		}
	}
	return out
}

// period is the day, week, month or year that a date is in.
func (r RRule) period(d time.Time) (from, to time.Time) {
	switch r.freq {
	case weekly:
		from = r.week(d)
		return from, from.AddDate(0, 0, 7)
	case monthly:
		from = d.AddDate(0, 0, 1-d.Day())
		return from, from.AddDate(0, 1, 0)
	case yearly:
		from = d.AddDate(0, 0, 1-d.YearDay())
		return from, from.AddDate(1, 0, 0)
	}
	return d, d.AddDate(0, 0, 1)
}

// week is the first day of the week that a date is in.
func (r RRule) week(d time.Time) time.Time {
	return d.AddDate(0, 0, -int(d.Weekday()-r.weekStart+7)%7)
}

// inTurn tells whether a date is in a period that INTERVAL does not leave out.
func (r RRule) inTurn(d time.Time) bool {
	if r.every == 1 {
		return true
	}
	s, n := r.start.Truncate(day), 0
	switch r.freq {
	case daily:
		n = int(d.Sub(s) / day)
	case weekly:
		n = int(r.week(d).Sub(r.week(s)) / (7 * day))
	case monthly:
		n = (d.Year()-s.Year())*12 + int(d.Month()-s.Month())
	case yearly:
		n = d.Year() - s.Year()
	}
	return n%r.every == 0
}

// passes tells whether a date is one of those that the BY… parts name.
func (r RRule) passes(d time.Time) bool {
	if r.months != 0 && r.months>>d.Month()&1 == 0 {
		return false
	}
	if len(r.monthDays) > 0 && !isOne(r.monthDays, d.Day(), d.AddDate(0, 1, -d.Day()).Day()) {
		return false
	}
	if len(r.yearDays) > 0 && !isOne(r.yearDays, d.YearDay(), daysOf(d.Year())) {
		return false
	}
	if len(r.weeks) > 0 && !isOne(r.weeks, r.weekOf(d), r.weeksOf(d)) {
		return false
	}
	return len(r.days) == 0 || slices.ContainsFunc(r.days, func(want nthDay) bool { return r.isNth(want, d) })
}

// isOne tells whether the nth of so many is in the list, where -1 is the last.
func isOne(list []int, n, of int) bool {
	return slices.Contains(list, n) || slices.Contains(list, n-of-1)
}

func daysOf(year int) int { return time.Date(year, 12, 31, 0, 0, 0, 0, time.UTC).YearDay() }

func (r RRule) isNth(want nthDay, d time.Time) bool {
	if d.Weekday() != want.day || want.n == 0 {
		return d.Weekday() == want.day
	}
	at, of := d.Day(), d.AddDate(0, 1, -d.Day()).Day()
	if r.freq == yearly && r.months == 0 {
		at, of = d.YearDay(), daysOf(d.Year())
	}
	if want.n > 0 {
		return (at-1)/7+1 == want.n
	}
	return (of-at)/7+1 == -want.n
}

// weekOf is the number of the week that a date is in: the first one of a year has four of its days.
func (r RRule) weekOf(d time.Time) int { return (r.middle(d).YearDay()-1)/7 + 1 }

// middle is the fourth day of a date's week, whose year is that of the week.
func (r RRule) middle(d time.Time) time.Time { return r.week(d).AddDate(0, 0, 3) }

// weeksOf is how many weeks the year of a date's week has.
func (r RRule) weeksOf(d time.Time) int {
	end := time.Date(r.middle(d).Year(), 12, 31, 0, 0, 0, 0, time.UTC)
	if r.middle(end).Year() > end.Year() {
		end = end.AddDate(0, 0, -7)
	}
	return r.weekOf(end)
}
