package expression

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// cron is a parsed cron(): minutes hours day-of-month month day-of-week year.
type cron struct {
	in                           *time.Location
	minutes, hours, months, year set
	day                          func(y int, m time.Month, d int) bool
}

// set holds the allowed values of a field, indexed by value.
type set []bool

func (s set) has(n int) bool { return n < len(s) && s[n] }

type field struct {
	name     string
	low, top int
	names    []string // JAN…, SUN…; the first stands for low
	steps    bool     // whether / is allowed
}

var (
	minuteField = field{name: "minutes", low: 0, top: 59, steps: true}
	hourField   = field{name: "hours", low: 0, top: 23, steps: true}
	dayField    = field{name: "day-of-month", low: 1, top: 31, steps: true}
	monthField  = field{name: "month", low: 1, top: 12, steps: true, names: []string{"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"}}
	weekField   = field{name: "day-of-week", low: 1, top: 7, names: []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}}
	yearField   = field{name: "year", low: 1970, top: 2199, steps: true}
)

func parseCron(text string) (*cron, error) {
	f := strings.Fields(text)
	if len(f) != 6 {
		return nil, fmt.Errorf("a cron expression has six fields, not %d", len(f))
	}
	c := new(cron)
	for _, p := range []struct {
		to    *set
		field field
		text  string
	}{{&c.minutes, minuteField, f[0]}, {&c.hours, hourField, f[1]}, {&c.months, monthField, f[3]}, {&c.year, yearField, f[5]}} {
		var err error
		if *p.to, err = p.field.parse(p.text); err != nil {
			return nil, err
		}
	}
	if (f[2] == "?") == (f[4] == "?") {
		return nil, fmt.Errorf("exactly one of day-of-month and day-of-week must be ?")
	}
	var err error
	if f[4] == "?" {
		c.day, err = parseDay(f[2])
	} else {
		c.day, err = parseWeekday(f[4])
	}
	return c, err
}

// number reads a value or a name.
func (f field) number(text string) (int, error) {
	if i := slices.Index(f.names, strings.ToUpper(text)); i >= 0 {
		return f.low + i, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < f.low || n > f.top || text[0] == '+' {
		return 0, fmt.Errorf("%s: %q is not from %d to %d", f.name, text, f.low, f.top)
	}
	return n, nil
}

// parse reads a list of values, ranges and steps.
func (f field) parse(text string) (set, error) {
	s := make(set, f.top+1)
	for part := range strings.SplitSeq(text, ",") {
		span, stepText, stepped := strings.Cut(part, "/")
		step := 1
		if stepped {
			var err error
			if step, err = strconv.Atoi(stepText); err != nil || step < 1 || !f.steps {
				return nil, fmt.Errorf("%s: %q is not a valid increment", f.name, part)
			}
		}
		low, top := f.low, f.top
		if span != "*" {
			from, to, isRange := strings.Cut(span, "-")
			var err error
			if low, err = f.number(from); err != nil {
				return nil, err
			}
			switch {
			case isRange:
				if top, err = f.number(to); err != nil {
					return nil, err
				}
				if top < low {
					return nil, fmt.Errorf("%s: the range %q runs backwards", f.name, span)
				}
			case !stepped: // 5/10 runs from 5 to the end, 5 is 5
				top = low
			}
		}
		for n := low; n <= top; n += step {
			s[n] = true
		}
	}
	return s, nil
}

// parseDay reads day-of-month: a list, L for the last day, 15W for the weekday nearest to the 15th.
func parseDay(text string) (func(int, time.Month, int) bool, error) {
	if text == "L" {
		return func(y int, m time.Month, d int) bool { return d == lastDay(y, m) }, nil
	}
	if base, ok := strings.CutSuffix(text, "W"); ok {
		n, err := dayField.number(base)
		if err != nil {
			return nil, err
		}
		return func(y int, m time.Month, d int) bool { return n <= lastDay(y, m) && d == nearestWeekday(y, m, n) }, nil
	}
	s, err := dayField.parse(text)
	return func(_ int, _ time.Month, d int) bool { return s.has(d) }, err
}

// parseWeekday reads day-of-week: a list, 6#3 for the third Friday, 6L for the last one; L alone is Saturday.
func parseWeekday(text string) (func(int, time.Month, int) bool, error) {
	if text == "L" {
		text = "SAT"
	}
	if day, nth, ok := strings.Cut(text, "#"); ok {
		w, err := weekField.number(day)
		n, err2 := strconv.Atoi(nth)
		if err != nil || err2 != nil || n < 1 || n > 5 {
			return nil, fmt.Errorf("day-of-week: %q is not a weekday and a number from 1 to 5", text)
		}
		return func(y int, m time.Month, d int) bool { return weekday(y, m, d) == w && (d-1)/7+1 == n }, nil
	}
	if day, ok := strings.CutSuffix(text, "L"); ok {
		w, err := weekField.number(day)
		if err != nil {
			return nil, err
		}
		return func(y int, m time.Month, d int) bool { return weekday(y, m, d) == w && d+7 > lastDay(y, m) }, nil
	}
	s, err := weekField.parse(text)
	return func(y int, m time.Month, d int) bool { return s.has(weekday(y, m, d)) }, err
}

func date(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, time.UTC) }

func lastDay(y int, m time.Month) int { return date(y, m+1, 0).Day() }

// weekday is AWS's: Sunday is 1.
func weekday(y int, m time.Month, d int) int { return int(date(y, m, d).Weekday()) + 1 }

// nearestWeekday is the working day closest to day n, within its month.
func nearestWeekday(y int, m time.Month, n int) int {
	switch date(y, m, n).Weekday() {
	case time.Saturday:
		if n == 1 {
			return 3
		}
		return n - 1
	case time.Sunday:
		if n == lastDay(y, m) {
			return n - 2
		}
		return n + 1
	}
	return n
}

// next walks the calendar, a month or a day at a time, and then the times of the day.
func (c *cron) next(after time.Time) (time.Time, bool) {
	y, m, d := after.In(c.in).Date()
	for y <= yearField.top {
		switch {
		case !c.year.has(y):
			y, m, d = y+1, time.January, 1
			continue
		case !c.months.has(int(m)):
			y, m, d = date(y, m+1, 1).Date()
			continue
		}
		if c.day(y, m, d) {
			if at, ok := c.onDay(date(y, m, d), after); ok {
				return at, true
			}
		}
		y, m, d = date(y, m, d+1).Date()
	}
	return time.Time{}, false
}

func (c *cron) onDay(day, after time.Time) (time.Time, bool) {
	for h := range 24 {
		if !c.hours.has(h) {
			continue
		}
		for minute := range 60 {
			if !c.minutes.has(minute) {
				continue
			}
			wall := day.Add(time.Duration(h)*time.Hour + time.Duration(minute)*time.Minute)
			if at, ok := instant(wall, c.in); ok && at.After(after) {
				return at, true
			}
		}
	}
	return time.Time{}, false
}
