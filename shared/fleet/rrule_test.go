package fleet

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/teambition/rrule-go"
)

// TestRRule: RFC 5545's own examples (section 3.8.5.3) as far as they are of days and minutes, and what others get wrong.
func TestRRule(t *testing.T) {
	for _, c := range []struct{ rule, from, want string }{
		{"DTSTART:19970902T090000\nRRULE:FREQ=DAILY;COUNT=3", "1997-01-01", "1997-09-02 09:00|1997-09-03 09:00|1997-09-04 09:00"},
		{"DTSTART=19970902T090000;FREQ=DAILY;INTERVAL=10;COUNT=5", "1997-01-01", "1997-09-02 09:00|1997-09-12 09:00|1997-09-22 09:00|1997-10-02 09:00|1997-10-12 09:00"},
		{"DTSTART=19970902T090000;FREQ=WEEKLY;INTERVAL=2;UNTIL=19971007T000000Z;WKST=SU;BYDAY=TU,TH", "1997-01-01",
			"1997-09-02 09:00|1997-09-04 09:00|1997-09-16 09:00|1997-09-18 09:00|1997-09-30 09:00|1997-10-02 09:00"},
		{"DTSTART=19970805T090000;FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=MO", "1997-01-01", "1997-08-05 09:00|1997-08-10 09:00|1997-08-19 09:00|1997-08-24 09:00"},
		{"DTSTART=19970805T090000;FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=SU", "1997-01-01", "1997-08-05 09:00|1997-08-17 09:00|1997-08-19 09:00|1997-08-31 09:00"},
		{"DTSTART=19970905T090000;FREQ=MONTHLY;COUNT=3;BYDAY=1FR", "1997-01-01", "1997-09-05 09:00|1997-10-03 09:00|1997-11-07 09:00"},
		{"DTSTART=19970922T090000;FREQ=MONTHLY;COUNT=3;BYDAY=-2MO", "1997-01-01", "1997-09-22 09:00|1997-10-20 09:00|1997-11-17 09:00"},
		{"DTSTART=19970928T090000;FREQ=MONTHLY;BYMONTHDAY=-3;COUNT=3", "1997-01-01", "1997-09-28 09:00|1997-10-29 09:00|1997-11-28 09:00"},
		{"DTSTART=19970930T090000;FREQ=MONTHLY;COUNT=4;BYMONTHDAY=1,-1", "1997-01-01", "1997-09-30 09:00|1997-10-01 09:00|1997-10-31 09:00|1997-11-01 09:00"},
		{"DTSTART=19970610T090000;FREQ=YEARLY;COUNT=4;BYMONTH=6,7", "1997-01-01", "1997-06-10 09:00|1997-07-10 09:00|1998-06-10 09:00|1998-07-10 09:00"},
		{"DTSTART=19970101T090000;FREQ=YEARLY;INTERVAL=3;COUNT=4;BYYEARDAY=1,100,200", "1997-01-01", "1997-01-01 09:00|1997-04-10 09:00|1997-07-19 09:00|2000-01-01 09:00"},
		{"DTSTART=19970519T090000;FREQ=YEARLY;BYDAY=20MO", "1997-01-01", "1997-05-19 09:00|1998-05-18 09:00|1999-05-17 09:00"},
		{"DTSTART=19970512T090000;FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO", "1997-01-01", "1997-05-12 09:00|1998-05-11 09:00|1999-05-17 09:00"},
		{"DTSTART=19970902T090000;FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13", "1997-01-01", "1998-02-13 09:00|1998-03-13 09:00|1998-11-13 09:00"},
		{"DTSTART=19961105T090000;FREQ=YEARLY;INTERVAL=4;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8", "1996-01-01", "1996-11-05 09:00|2000-11-07 09:00|2004-11-02 09:00"},
		{"DTSTART=19970904T090000;FREQ=MONTHLY;COUNT=3;BYDAY=TU,WE,TH;BYSETPOS=3", "1997-01-01", "1997-09-04 09:00|1997-10-07 09:00|1997-11-06 09:00"},
		{"FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-2;BYHOUR=9", "1997-09-01", "1997-09-29 09:00|1997-10-30 09:00|1997-11-27 09:00"},
		{"FREQ=DAILY;BYHOUR=9,10;BYMINUTE=0,40", "1997-09-01", "1997-09-01 09:00|1997-09-01 09:40|1997-09-01 10:00"},
		{"DTSTART=20240229T010000;FREQ=YEARLY", "2020-01-01", "2024-02-29 01:00|2028-02-29 01:00|2032-02-29 01:00"},
		// A day without a number is every one, also beside one with a number.
		{"FREQ=MONTHLY;BYDAY=MO,2TU;BYHOUR=2", "2026-12-01", "2026-12-07 02:00|2026-12-08 02:00|2026-12-14 02:00"},
		// BYSETPOS counts in the whole week, also in the one that DTSTART is in the middle of.
		{"DTSTART=20260107T020000;FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=1", "2026-01-01", "2026-01-12 02:00|2026-01-19 02:00|2026-01-26 02:00"},
	} {
		r, err := ParseRRule(c.rule)
		if err != nil {
			t.Error(err)
			continue
		}
		at, _ := time.Parse(time.DateOnly, c.from)
		at = at.Add(-time.Second)
		var got []string
		for range max(3, strings.Count(c.want, "|")+1) {
			next, ok := r.Next(at, TimeZone{})
			if !ok {
				break
			}
			if back, ok := r.Last(next.Add(time.Minute), TimeZone{}); !ok || !back.Equal(next) {
				t.Errorf("%s: the last at %s is %s", c.rule, next.Add(time.Minute), back)
			}
			got, at = append(got, next.Format("2006-01-02 15:04")), next
		}
		if text := strings.Join(got, "|"); text != c.want {
			t.Errorf("%s\ngot  %s\nwant %s", c.rule, text, c.want)
		}
		if next, ok := r.Next(at, TimeZone{}); strings.Contains(c.rule, "COUNT") && ok {
			t.Errorf("%s: and then %s", c.rule, next)
		}
	}
}

func TestRRuleSyntax(t *testing.T) {
	for rule, want := range map[string]string{
		"":                                         "like FREQ=WEEKLY",
		"BYDAY=TU;BYHOUR=1":                        "FREQ is missing",
		"FREQ=HOURLY;INTERVAL=2;BYHOUR=1":          "one of DAILY, WEEKLY, MONTHLY, YEARLY",
		"FREQ=weekly;BYDAY=TU;BYHOUR=1":            "FREQ=weekly must be one of",
		"FREQ=WEEKLY;BYDAY=TU":                     "give BYHOUR, or DTSTART",
		"FREQ=WEEKLY;BYHOUR=2":                     "on which day",
		"FREQ=WEEKLY;BYDAY=2TU;BYHOUR=2":           "BYDAY with numbers is for",
		"FREQ=MONTHLY;BYDAY=10MO;BYHOUR=1":         "from 1 to 5",
		"FREQ=MONTHLY;BYDAY=0MO;BYHOUR=1":          "from 1 to 5",
		"FREQ=WEEKLY;BYDAY=XX;BYHOUR=1":            `"XX" is no day`,
		"FREQ=WEEKLY;INTERVAL=2;BYDAY=TU;BYHOUR=1": "INTERVAL needs DTSTART",
		"FREQ=WEEKLY;COUNT=2;BYDAY=TU;BYHOUR=1":    "COUNT needs DTSTART",
		"FREQ=WEEKLY;INTERVAL=0;BYDAY=TU;BYHOUR=1": `"0" is not 1 to 100`,
		"DTSTART=20260101T000000;FREQ=DAILY;COUNT=2;UNTIL=20270101T000000": "exclude each other",
		"FREQ=DAILY;BYHOUR=24":                                         `"24" is not 0 to 23`,
		"FREQ=DAILY;BYHOUR=1;BYSECOND=30":                              `"30" is not 0 to 0`,
		"FREQ=YEARLY;BYMONTH=-1;BYHOUR=1":                              `"-1" is not 1 to 12`,
		"FREQ=DAILY;BYHOUR=1;UNTIL=20261231":                           "must be a time on the clock",
		"FREQ=DAILY;BYHOUR=1;UNTIL=20261331T000000Z":                   "must be a time like",
		"DTSTART=20260101T000000Z;FREQ=DAILY":                          "must be a time on the clock of timeZone",
		"DTSTART;TZID=Europe/Berlin:20260101T000000\nRRULE:FREQ=DAILY": "field timeZone",
		"EXDATE:20260101T000000\nRRULE:FREQ=DAILY":                     "first line of two",
		"FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30;BYHOUR=1":                 "never happens",
		"DTSTART=20260101T000000;FREQ=DAILY;UNTIL=20250101T000000":     "never happens",
		"FREQ=DAILY;FREQ=DAILY;BYHOUR=1":                               "twice",
		"FREQ=DAILY;BYEASTER=1;BYHOUR=1":                               "BYEASTER is no part",
		"FREQ=YEARLY;BYWEEKNO=20;BYHOUR=1":                             "BYWEEKNO is for",
		"FREQ=MONTHLY;BYYEARDAY=20;BYHOUR=1":                           "BYYEARDAY is for",
		"FREQ=WEEKLY;BYMONTHDAY=20;BYHOUR=1":                           "BYMONTHDAY is not for",
		"FREQ=DAILY;BYSETPOS=1;BYHOUR=1":                               "BYSETPOS chooses",
		"FREQ=DAILY;BYHOUR=" + strings.Repeat("1,", 300) + "1":         "letters",
	} {
		if r, err := ParseRRule(rule); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q was read as %+v, %v; want %q", rule, r, err, want)
		}
	}
}

// TestRRuleAgainstTheLibrary: random rules, on a clock that nobody changes. Left out is what the library gets wrong: see RRule.
func TestRRuleAgainstTheLibrary(t *testing.T) {
	const seed, rules = 7, 4000
	r := rand.New(rand.NewPCG(seed, 7))
	times := 0
	for i := range rules {
		start := time.Date(2020+r.IntN(8), time.Month(1+r.IntN(12)), 1+r.IntN(28), r.IntN(24), r.IntN(60), 0, 0, time.UTC)
		text := randomRule(r)
		ours, err := ParseRRule("DTSTART=" + start.Format("20060102T150405") + ";" + text)
		if err != nil {
			if strings.Contains(err.Error(), "never happens") {
				continue
			}
			t.Fatalf("seed %d, rule %d: %v", seed, i, err)
		}
		option, err := rrule.StrToROption(text)
		if err != nil {
			t.Fatal(err)
		}
		option.Dtstart, option.Bysecond = start, []int{0}
		theirs, err := rrule.NewRRule(*option)
		if err != nil {
			t.Fatal(err)
		}
		from := start.AddDate(0, 0, -10)
		to := start.AddDate(3, 0, 0)
		want := theirs.Between(from, to, true)
		times += len(want)
		got := Recurrence{RRule: ours}.Between(from, to)
		if !slices.EqualFunc(got, want, time.Time.Equal) {
			t.Fatalf("seed %d, rule %d: %s from %s\ngot  %v\nwant %v", seed, i, text, start, head(got, want), head(want, got))
		}
		// One by one, in both directions, it is the same.
		for j, at := range want {
			if j > 20 {
				break
			}
			if next, ok := ours.Next(at.Add(-time.Minute), TimeZone{}); !ok || !next.Equal(at) {
				t.Fatalf("seed %d: %s: after %s comes %s", seed, text, at.Add(-time.Minute), next)
			}
			if last, ok := ours.Last(at.Add(30*time.Second), TimeZone{}); !ok || !last.Equal(at) {
				t.Fatalf("seed %d: %s: the last at %s is %s", seed, text, at, last)
			}
		}
	}
	t.Logf("seed %d: %d rules, %d times", seed, rules, times)
	if times < 100*rules/10 {
		t.Errorf("only %d times", times)
	}
}

// head is where two lists begin to differ.
func head(a, b []time.Time) []time.Time {
	i := 0
	for i < len(a) && i < len(b) && a[i].Equal(b[i]) {
		i++
	}
	return a[i:min(len(a), i+3)]
}

func randomRule(r *rand.Rand) string {
	some := func(n, from, to int, negative bool) string {
		var out []string
		for range 1 + r.IntN(n) {
			v := from + r.IntN(to-from+1)
			if negative && r.IntN(3) == 0 {
				v = -v
			}
			if text := fmt.Sprint(v); !slices.Contains(out, text) { // the library counts what is there twice twice
				out = append(out, text)
			}
		}
		return strings.Join(out, ",")
	}
	freq := []string{"DAILY", "WEEKLY", "MONTHLY", "YEARLY"}[r.IntN(4)]
	parts := []string{"FREQ=" + freq}
	put := func(oneIn int, format string, args ...any) bool {
		if r.IntN(oneIn) == 0 {
			parts = append(parts, fmt.Sprintf(format, args...))
			return true
		}
		return false
	}
	put(2, "INTERVAL=%d", 1+r.IntN(4))
	months := put(4, "BYMONTH=%s", some(3, 1, 12, false))
	named := months
	var days []string
	numbered := (freq == "MONTHLY" || freq == "YEARLY") && r.IntN(2) == 0
	for range 1 + r.IntN(3) {
		d := weekdays[r.IntN(7)]
		if numbered {
			d = fmt.Sprint([]int{1, 2, 3, 4, -1, -2}[r.IntN(6)]) + d
		}
		if !slices.Contains(days, d) {
			days = append(days, d)
		}
	}
	byDay := put(2, "BYDAY=%s", strings.Join(days, ","))
	if freq != "WEEKLY" {
		named = put(4, "BYMONTHDAY=%s", some(4, 1, 28, true)) || named
	}
	if freq == "YEARLY" && !months && !byDay {
		named = put(3, "BYYEARDAY=%s", some(5, 1, 365, true)) || named
	}
	put(3, "BYHOUR=%s", some(2, 0, 23, false))
	put(3, "BYMINUTE=%s", some(2, 0, 59, false))
	if freq != "WEEKLY" && (named || byDay) { // the library counts the week of DTSTART from DTSTART
		put(4, "BYSETPOS=%s", some(2, 1, 3, true))
	} else {
		put(4, "WKST=%s", weekdays[r.IntN(7)])
	}
	put(6, "COUNT=%d", 1+r.IntN(30))
	return strings.Join(parts, ";")
}

// TestRecurrenceInZones: the same wall times as a Cron has, also where clocks are changed, and read back from JSON.
func TestRecurrenceInZones(t *testing.T) {
	for _, name := range []string{"Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns", "Pacific/Apia", "Africa/Cairo"} {
		var rule, cron Recurrence
		for text, to := range map[string]*Recurrence{
			`{"rrule":"FREQ=DAILY;BYHOUR=0,2;BYMINUTE=0,30","timeZone":"` + name + `"}`: &rule,
			`{"cron":"0,30 0,2 * * *","timeZone":"` + name + `"}`:                       &cron,
		} {
			if err := json.Unmarshal([]byte(text), to); err != nil {
				t.Fatal(err)
			}
			if back, err := json.Marshal(*to); err != nil || string(back) != text {
				t.Errorf("%s came back as %s, %v", text, back, err)
			}
		}
		from, to := time.Date(2009, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2013, 1, 1, 0, 0, 0, 0, time.UTC)
		a, b := rule.Between(from, to), cron.Between(from, to)
		if !slices.EqualFunc(a, b, time.Time.Equal) || len(a) < 4*365*4-10 {
			t.Errorf("%s: %d times, and %d", name, len(a), len(b))
		}
		for at, i := from, 0; i < 3000; i++ {
			next, ok := rule.Next(at)
			if !ok || !next.Equal(a[i]) {
				t.Fatalf("%s: after %s comes %s, not %s", name, at, next, a[i])
			}
			at = next
		}
	}
	var none Recurrence
	if _, ok := none.Next(time.Now()); ok || !none.Never() || none.Between(time.Now(), time.Now().Add(time.Hour)) != nil {
		t.Error("nothing happens")
	}
}

// TestLastAfterMidnightTwice: until 2011 St. John's put its clocks back from 00:01 to 23:01 of the day before. Midnight had been.
func TestLastAfterMidnightTwice(t *testing.T) {
	cron, err := ParseCron("0 0 * * *")
	if err != nil {
		t.Fatal(err)
	}
	zone, err := ParseTimeZone("America/St_Johns")
	if err != nil {
		t.Fatal(err)
	}
	midnight := time.Date(2010, 11, 7, 2, 30, 0, 0, time.UTC) // 00:00 of the 7th, for one minute
	if last, ok := cron.Last(midnight.Add(20*time.Minute), zone); !ok || !last.Equal(midnight) {
		t.Errorf("the last is %s, not %s", last.UTC(), midnight)
	}
	if next, ok := cron.Next(midnight, zone); !ok || !next.Equal(midnight.Add(25*time.Hour)) {
		t.Errorf("the next is %s", next.UTC())
	}
}

// FuzzRecurrence: what can be read is written as it was, and has times in order; nothing panics or takes long.
func FuzzRecurrence(f *testing.F) {
	for _, s := range []string{"FREQ=WEEKLY;BYDAY=TU;BYHOUR=2", "DTSTART:19970902T090000\nRRULE:FREQ=DAILY;COUNT=3", "FREQ=YEARLY;BYWEEKNO=53,-53;BYDAY=MO;BYHOUR=0", "FREQ=YEARLY;BYDAY=-53MO;BYHOUR=0;BYSETPOS=-366",
		"DTSTART=00010101T000000;FREQ=YEARLY;INTERVAL=100", "DTSTART=99991231T235900;FREQ=DAILY", "0 2 * * tue", "*/7 0-5/2 1,15 jan-mar *"} {
		f.Add(s)
	}
	at := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		var all []Recurrence
		if r, err := ParseRRule(text); err == nil {
			all = append(all, Recurrence{RRule: r})
		}
		if c, err := ParseCron(text); err == nil {
			all = append(all, Recurrence{Cron: c})
		}
		for _, r := range all {
			data, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			var back Recurrence
			if err := json.Unmarshal(data, &back); err != nil || back.String() != r.String() {
				t.Fatalf("%q came back as %q, %v", r, back, err)
			}
			next, ok := r.Next(at)
			if ok && !next.After(at) {
				t.Fatalf("%q: after %s comes %s", text, at, next)
			}
			if last, was := r.Last(at); was && last.After(at) {
				t.Fatalf("%q: the last at %s is %s", text, at, last)
			}
			if list := r.Between(at, at.AddDate(0, 0, 40)); len(list) > 0 && !list[0].Equal(next) {
				t.Fatalf("%q: next is %s, and the first of all %s", text, next, list[0])
			}
		}
	})
}
