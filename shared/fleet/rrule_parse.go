package fleet

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Bounds of a rule: what is beyond them is a mistake, and would make a search long.
const (
	maxRule     = 500 // letters
	maxInterval = 100
	maxCount    = 1000
	maxYears    = 50 // COUNT, of years
)

var weekdays = []string{"SU", "MO", "TU", "WE", "TH", "FR", "SA"}

// ParseRRule reads the parts of a recurrence rule, in any order: FREQ (YEARLY, MONTHLY, WEEKLY or DAILY), INTERVAL, COUNT, UNTIL,
// WKST, BYMONTH, BYWEEKNO, BYYEARDAY, BYMONTHDAY, BYDAY, BYHOUR, BYMINUTE, BYSETPOS; and DTSTART, a time on the wall like
// 20260106T020000, as a part or as a line before. What RFC 5545 takes from DTSTART has to be there: that, or the part.
func ParseRRule(text string) (RRule, error) {
	parts, err := rruleParts(text)
	if err != nil {
		return RRule{}, err
	}
	p := ruleParser{parts: parts}
	r := p.rule()
	r.text = strings.TrimSpace(text)
	if p.err == nil {
		p.err = r.fill(p)
	}
	if p.err == nil {
		p.err = r.bound(p)
	}
	if p.err != nil {
		return RRule{}, fmt.Errorf("%q: %w", text, p.err)
	}
	return r, nil
}

var ruleParts = []string{"FREQ", "DTSTART", "INTERVAL", "COUNT", "UNTIL", "WKST", "BYMONTH", "BYWEEKNO", "BYYEARDAY", "BYMONTHDAY", "BYDAY", "BYHOUR", "BYMINUTE", "BYSECOND", "BYSETPOS"}

// rruleParts takes a rule apart.
func rruleParts(text string) (map[string]string, error) {
	if len(text) > maxRule {
		return nil, fmt.Errorf("the rule has %d letters: %d at most", len(text), maxRule)
	}
	rule := strings.TrimSpace(text)
	parts := map[string]string{}
	if first, rest, two := strings.Cut(rule, "\n"); two {
		start, ok := strings.CutPrefix(strings.TrimSpace(first), "DTSTART")
		switch {
		case ok && strings.HasPrefix(start, ";"):
			return nil, fmt.Errorf("%q: DTSTART is on the clock of the field timeZone: write DTSTART:20260106T020000", text)
		case !ok || !strings.HasPrefix(start, ":"):
			return nil, fmt.Errorf("%q: its first line of two is to be like DTSTART:20260106T020000", text)
		}
		parts["DTSTART"], rule = start[1:], strings.TrimSpace(rest)
	}
	for item := range strings.SplitSeq(strings.TrimPrefix(rule, "RRULE:"), ";") {
		name, value, ok := strings.Cut(item, "=")
		_, had := parts[name]
		switch {
		case !ok || value == "":
			return nil, fmt.Errorf("%q: %q must be a name and a value, like FREQ=WEEKLY", text, item)
		case !slices.Contains(ruleParts, name):
			return nil, fmt.Errorf("%q: %s is no part of a rule: there are %s", text, name, strings.Join(ruleParts, ", "))
		case had:
			return nil, fmt.Errorf("%q: %s is there twice: drop one", text, name)
		}
		parts[name] = value
	}
	return parts, nil
}

// ruleParser keeps the first error.
type ruleParser struct {
	parts map[string]string
	err   error
}

func (p *ruleParser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf(format, args...)
	}
}

func (p ruleParser) has(name string) bool { return p.parts[name] != "" }

// rule reads the parts one by one.
func (p *ruleParser) rule() (r RRule) {
	names := []string{"DAILY", "WEEKLY", "MONTHLY", "YEARLY"}
	switch i := slices.Index(names, p.parts["FREQ"]); {
	case !p.has("FREQ"):
		p.fail("FREQ is missing: one of %s", strings.Join(names, ", "))
	case i < 0:
		p.fail("FREQ=%s must be one of %s: for several times a day list them in BYHOUR and BYMINUTE", p.parts["FREQ"], strings.Join(names, ", "))
	default:
		r.freq = frequency(i)
	}
	r.every, r.weekStart = 1, time.Monday
	if p.has("INTERVAL") {
		r.every = p.numbers("INTERVAL", 1, maxInterval, false)[0]
	}
	if p.has("WKST") {
		r.weekStart = p.weekday("WKST", p.parts["WKST"])
	}
	if p.has("DTSTART") {
		r.start = p.wall("DTSTART")
	}
	if text := p.parts["UNTIL"]; strings.HasSuffix(text, "Z") {
		var err error
		if r.end, err = time.Parse("20060102T150405Z", text); err != nil {
			p.fail("UNTIL=%s must be a time like 20271231T235959Z", text)
		}
	} else if text != "" {
		r.until = p.wall("UNTIL")
	}
	for _, m := range p.numbers("BYMONTH", 1, 12, false) {
		r.months |= 1 << m
	}
	r.weeks, r.yearDays = p.numbers("BYWEEKNO", 1, 53, true), p.numbers("BYYEARDAY", 1, 366, true)
	r.monthDays, r.positions = p.numbers("BYMONTHDAY", 1, 31, true), p.numbers("BYSETPOS", 1, 366, true)
	p.numbers("BYSECOND", 0, 0, false) // times are whole minutes
	if p.has("BYDAY") {
		for item := range strings.SplitSeq(p.parts["BYDAY"], ",") {
			r.days = append(r.days, p.nth(item))
		}
	}
	for _, h := range p.orElse("BYHOUR", 23, r.start.Hour()) {
		for _, m := range p.orElse("BYMINUTE", 59, r.start.Minute()) {
			r.times = append(r.times, h*60+m)
		}
	}
	slices.Sort(r.times)
	r.times = slices.Compact(r.times)
	return r
}

// numbers are a part's; negative ones count from the end. One number at least, unless the part is missing.
func (p *ruleParser) numbers(name string, least, most int, negative bool) (out []int) {
	if !p.has(name) {
		return nil
	}
	for item := range strings.SplitSeq(p.parts[name], ",") {
		n, err := strconv.Atoi(item)
		if err != nil || !(n >= least && n <= most || negative && -n >= least && -n <= most) {
			or := ""
			if negative {
				or = fmt.Sprintf(" or %d to %d", -most, -least)
			}
			p.fail("%s: %q is not %d to %d%s", name, item, least, most, or)
			n = least
		}
		out = append(out, n)
	}
	return out
}

func (p *ruleParser) orElse(name string, most, otherwise int) []int {
	if p.has(name) {
		return p.numbers(name, 0, most, false)
	}
	return []int{otherwise}
}

// wall is a time on the wall.
func (p *ruleParser) wall(name string) time.Time {
	t, err := time.Parse("20060102T150405", p.parts[name])
	if err != nil {
		p.fail("%s=%s must be a time on the clock of timeZone, like 20260106T020000", name, p.parts[name])
	}
	if t.Second() != 0 && name == "DTSTART" {
		p.fail("DTSTART=%s: times are whole minutes", p.parts[name])
	}
	return t
}

func (p *ruleParser) weekday(name, text string) time.Weekday {
	i := slices.Index(weekdays, text)
	if i < 0 {
		p.fail("%s: %q is no day: there are %s", name, text, strings.Join(weekdays, ", "))
	}
	return time.Weekday(max(i, 0))
}

// nth is one of BYDAY: MO, 2TU, -1FR.
func (p *ruleParser) nth(text string) (d nthDay) {
	number := strings.TrimRight(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
	d.day = p.weekday("BYDAY", text[len(number):])
	if number == "" {
		return d
	}
	most := 5
	if p.parts["FREQ"] == "YEARLY" && !p.has("BYMONTH") {
		most = 53
	}
	var err error
	if d.n, err = strconv.Atoi(number); err != nil || d.n == 0 || d.n > most || d.n < -most {
		p.fail("BYDAY: %q has no number from 1 to %d or %d to -1 before the day", text, most, -most)
	}
	return d
}

// fill takes from DTSTART what the parts leave open, and refuses what RFC 5545 does.
func (r *RRule) fill(p ruleParser) error {
	nth := slices.ContainsFunc(r.days, func(d nthDay) bool { return d.n != 0 })
	switch {
	case r.start.IsZero() && r.every > 1:
		return errors.New("INTERVAL needs DTSTART: what is it counted from?")
	case r.start.IsZero() && p.has("COUNT"):
		return errors.New("COUNT needs DTSTART: what is it counted from?")
	case r.start.IsZero() && !p.has("BYHOUR"):
		return errors.New("does not say when on the day: give BYHOUR, or DTSTART")
	case p.has("COUNT") && p.has("UNTIL"):
		return errors.New("COUNT and UNTIL exclude each other: drop one")
	case len(r.weeks) > 0 && (r.freq != yearly || len(r.days) == 0 || nth):
		return errors.New("BYWEEKNO is for FREQ=YEARLY, with BYDAY without numbers")
	case len(r.yearDays) > 0 && r.freq != yearly:
		return errors.New("BYYEARDAY is for FREQ=YEARLY")
	case len(r.monthDays) > 0 && r.freq == weekly:
		return errors.New("BYMONTHDAY is not for FREQ=WEEKLY")
	case nth && r.freq < monthly:
		return errors.New("BYDAY with numbers is for FREQ=MONTHLY and YEARLY")
	case len(r.positions) > 0 && len(r.days)+len(r.monthDays)+len(r.yearDays)+len(r.weeks) == 0 && r.months == 0 && len(r.times) < 2:
		return errors.New("BYSETPOS chooses among what other parts name: there is none")
	}
	if r.freq == daily || len(r.days)+len(r.monthDays)+len(r.yearDays)+len(r.weeks) > 0 {
		return nil
	}
	if r.start.IsZero() {
		return errors.New("does not say on which day: give BYDAY, BYMONTHDAY or DTSTART")
	}
	if r.freq == weekly {
		r.days = []nthDay{{day: r.start.Weekday()}}
		return nil
	}
	if r.monthDays = []int{r.start.Day()}; r.freq == yearly && r.months == 0 {
		r.months = 1 << r.start.Month()
	}
	return nil
}

// someDay is where a rule without DTSTART is looked at from whether it ever happens.
var someDay = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

// bound finds the last time of a rule with COUNT, and refuses one that never happens.
func (r *RRule) bound(p ruleParser) error {
	at, count := r.start, 1
	if at.IsZero() {
		if at = someDay; !r.until.IsZero() || !r.end.IsZero() {
			return nil // it may well be over
		}
	}
	if p.has("COUNT") {
		most := maxCount
		if r.freq == yearly {
			most = maxYears
		}
		if count = p.numbers("COUNT", 1, most, false)[0]; p.err != nil {
			return p.err
		}
	}
	at = at.Add(-time.Minute)
	for i := range count {
		then, ok := next(*r, at, TimeZone{})
		switch {
		case !ok && i == 0:
			return errors.New("never happens")
		case !ok:
			return nil // UNTIL ends it, or there are no more
		}
		at = then
	}
	if p.has("COUNT") {
		r.until = at
	}
	return nil
}
