package fleet

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // time zones are to be known where the machine has no list of them: Lambda's has none
)

// TimeZone is an IANA time zone with its rules. It is read, like the policy that it stands in, at the edge; what decides
// with it needs no more than the value.
type TimeZone struct{ *time.Location }

// ParseTimeZone reads a name like Europe/Berlin; "" is UTC.
func ParseTimeZone(name string) (TimeZone, error) {
	if name == "" {
		name = "UTC"
	}
	if name == "Local" {
		return TimeZone{}, fmt.Errorf("time zone %q depends on the machine: name one like Europe/Berlin", name)
	}
	l, err := time.LoadLocation(name)
	if err != nil {
		return TimeZone{}, fmt.Errorf("time zone %q is not known: names are like Europe/Berlin", name)
	}
	return TimeZone{l}, nil
}

// MarshalText writes the name.
func (z TimeZone) MarshalText() ([]byte, error) { return []byte(z.zone().String()), nil }

// UnmarshalText reads the name.
func (z *TimeZone) UnmarshalText(text []byte) (err error) {
	*z, err = ParseTimeZone(string(text))
	return err
}

func (z TimeZone) zone() *time.Location {
	if z.Location == nil {
		return time.UTC
	}
	return z.Location
}

// Cron is when something happens again and again, by the clock on the wall: minute, hour, day of the month, month, day of
// the week, as crontab(5) has them. The zero value never happens.
type Cron struct {
	text                          string
	minute, hour, day, month, dow uint64 // bits
	anyDay, anyDow                bool
}

// cronField is what one of the five may be.
var cronFields = []struct {
	name        string
	least, most int
	names       []string
}{
	{"minute", 0, 59, nil},
	{"hour", 0, 23, nil},
	{"day of the month", 1, 31, nil},
	{"month", 1, 12, []string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}},
	{"day of the week", 0, 7, []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}}, // 0 and 7 are Sunday
}

// ParseCron reads five fields of numbers, names, ranges, lists, steps and *: "0 20 * * mon-fri". As cron does, a time that
// restricts both the day of the month and that of the week happens on either.
func ParseCron(text string) (Cron, error) {
	parts := strings.Fields(text)
	if len(parts) != len(cronFields) {
		return Cron{}, fmt.Errorf("%q must have five fields: minute, hour, day of the month, month, day of the week", text)
	}
	c := Cron{text: strings.Join(parts, " "), anyDay: strings.HasPrefix(parts[2], "*"), anyDow: strings.HasPrefix(parts[4], "*")}
	for i, bits := range []*uint64{&c.minute, &c.hour, &c.day, &c.month, &c.dow} {
		for item := range strings.SplitSeq(parts[i], ",") {
			b, err := cronItem(item, i)
			if err != nil {
				return Cron{}, fmt.Errorf("%q: %s: %w", text, cronFields[i].name, err)
			}
			*bits |= b
		}
	}
	c.dow |= c.dow >> 7 & 1
	return c, nil
}

// maxStep is the longest step that any field has room for.
const maxStep = 59

func cronItem(item string, i int) (bits uint64, err error) {
	f, step := cronFields[i], 1
	span, by, stepped := strings.Cut(item, "/")
	if stepped {
		if step, err = strconv.Atoi(by); err != nil || step < 1 || step > maxStep {
			return 0, fmt.Errorf("%q has no step that is a number from 1 to %d", item, maxStep)
		}
	}
	from, to := f.least, f.most
	if span != "*" {
		a, b, ranged := strings.Cut(span, "-")
		if from, err = cronNumber(a, i); err != nil {
			return 0, err
		}
		switch {
		case ranged:
			if to, err = cronNumber(b, i); err != nil {
				return 0, err
			}
		case !stepped:
			to = from
		}
	}
	if from > to {
		return 0, fmt.Errorf("%q goes backwards", item)
	}
	for n := from; n <= to; n += step {
		bits |= 1 << n
	}
	return bits, nil
}

func cronNumber(s string, i int) (int, error) {
	f := cronFields[i]
	if n := slices.Index(f.names, strings.ToLower(s)); n >= 0 {
		return n + f.least, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < f.least || n > f.most {
		return 0, fmt.Errorf("%q is not between %d and %d", s, f.least, f.most)
	}
	return n, nil
}

// String is the text that was read.
func (c Cron) String() string { return c.text }

// MarshalText writes the text.
func (c Cron) MarshalText() ([]byte, error) { return []byte(c.text), nil }

// UnmarshalText reads it; nothing is a Cron that never happens.
func (c *Cron) UnmarshalText(text []byte) (err error) {
	if len(text) == 0 {
		*c = Cron{}
		return nil
	}
	*c, err = ParseCron(string(text))
	return err
}

// cronYears bounds the search: the 29th of February comes within eight years.
const cronYears = 8

// Last is the latest moment at or before t at which it happened; false if there was none in eight years. A time that the
// clocks skip in spring happens when they have been put forward; one that they repeat in autumn happens the first time.
func (c Cron) Last(t time.Time, z TimeZone) (time.Time, bool) { return last(c, t, z) }

// Next is the first moment after t.
func (c Cron) Next(t time.Time, z TimeZone) (time.Time, bool) { return next(c, t, z) }

func (c Cron) span() (first, last time.Time, years int) { return time.Time{}, time.Time{}, cronYears }

func (c Cron) onDay(d time.Time) bool {
	if c.month>>int(d.Month())&1 == 0 {
		return false
	}
	day, dow := c.day>>d.Day()&1 == 1, c.dow>>int(d.Weekday())&1 == 1
	switch {
	case c.anyDay, c.anyDow: // also with steps: what begins with a star narrows the other, as in crontab(5)
		return dow && day
	}
	return day || dow
}

// onDate are the moments of one date.
func (c Cron) onDate(d time.Time, z TimeZone) (out []time.Time) {
	for h := range 24 {
		if c.hour>>h&1 == 0 {
			continue
		}
		for m := range 60 {
			if c.minute>>m&1 == 1 {
				out = append(out, onWall(d, h, m, z.zone()))
			}
		}
	}
	return out
}

// onWall is the first moment at which the clock on the wall shows that time or a later one. time.Date takes one of two
// moments for a time that there is twice, and for one that there is not it is off by the hour, in either direction.
func onWall(d time.Time, hour, minute int, l *time.Location) time.Time {
	y, mo, day := d.Date()
	at := time.Date(y, mo, day, hour, minute, 0, 0, l)
	start, end := at.ZoneBounds()
	want := time.Date(y, mo, day, hour, minute, 0, 0, time.UTC)
	if shown := wallOf(at); shown.After(want) { // skipped, by minutes or by a day: the clocks were put forward before at
		return start
	} else if shown.Before(want) {
		return end
	}
	if !start.IsZero() { // perhaps repeated: then it was shown before the clocks were put back
		_, now := at.Zone()
		_, before := start.Add(-time.Second).Zone()
		if earlier := at.Add(time.Duration(now-before) * time.Second); before > now && earlier.Before(start) {
			return earlier
		}
	}
	return at
}

// wallOf is what the clock on the wall shows, as a time of UTC.
func wallOf(t time.Time) time.Time {
	_, offset := t.Zone()
	return t.UTC().Add(time.Duration(offset) * time.Second)
}
