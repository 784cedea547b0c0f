package expression

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

func location(t *testing.T, name string) *time.Location {
	t.Helper()
	l, err := time.LoadLocation(name)
	if err != nil {
		t.Skipf("no time zone data for %s: %v", name, err)
	}
	return l
}

func TestNext(t *testing.T) {
	const none = "never"
	for _, c := range []struct{ expr, zone, after, want string }{
		// AWS's own examples.
		{"cron(0 10 * * ? *)", "UTC", "2026-03-01T10:00:00Z", "2026-03-02T10:00:00Z"},
		{"cron(15 12 * * ? *)", "UTC", "2026-03-01T12:14:59Z", "2026-03-01T12:15:00Z"},
		{"cron(0 18 ? * MON-FRI *)", "UTC", "2026-03-06T18:00:00Z", "2026-03-09T18:00:00Z"},
		{"cron(0 8 1 * ? *)", "UTC", "2026-12-01T08:00:00Z", "2027-01-01T08:00:00Z"},
		{"cron(0/15 * * * ? *)", "UTC", "2026-03-01T10:46:00Z", "2026-03-01T11:00:00Z"},
		{"cron(0/10 * ? * MON-FRI *)", "UTC", "2026-03-06T23:55:00Z", "2026-03-09T00:00:00Z"},
		{"cron(0/5 8-17 ? * MON-FRI *)", "UTC", "2026-03-06T17:55:00Z", "2026-03-09T08:00:00Z"},
		{"cron(15 10 ? * 6L 2019-2022)", "UTC", "2019-01-01T00:00:00Z", "2019-01-25T10:15:00Z"},
		{"cron(15 10 ? * 6L 2019-2022)", "UTC", "2022-12-30T10:15:00Z", none},
		{"cron(0 9 ? * 2#1 *)", "UTC", "2026-03-02T09:00:00Z", "2026-04-06T09:00:00Z"},
		// Month ends, leap years, days that a month does not have.
		{"cron(0 0 L * ? *)", "UTC", "2026-01-31T00:00:00Z", "2026-02-28T00:00:00Z"},
		{"cron(0 0 L 2 ? *)", "UTC", "2026-03-01T00:00:00Z", "2027-02-28T00:00:00Z"},
		{"cron(0 0 L 2 ? *)", "UTC", "2028-01-01T00:00:00Z", "2028-02-29T00:00:00Z"},
		{"cron(0 0 31 * ? *)", "UTC", "2026-01-31T00:00:00Z", "2026-03-31T00:00:00Z"},
		{"cron(0 0 29 2 ? *)", "UTC", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z"},
		{"cron(0 0 30 2 ? *)", "UTC", "2026-01-01T00:00:00Z", none},
		{"cron(59 23 31 DEC ? *)", "UTC", "2026-12-31T23:59:00Z", "2027-12-31T23:59:00Z"},
		// W: Saturday goes back, Sunday on, never out of the month.
		{"cron(0 0 15W * ? *)", "UTC", "2026-02-01T00:00:00Z", "2026-02-16T00:00:00Z"}, // the 15th is a Sunday
		{"cron(0 0 15W * ? *)", "UTC", "2026-08-01T00:00:00Z", "2026-08-14T00:00:00Z"}, // a Saturday
		{"cron(0 0 1W * ? *)", "UTC", "2026-07-31T00:00:00Z", "2026-08-03T00:00:00Z"},  // Saturday the 1st
		{"cron(0 0 31W * ? *)", "UTC", "2026-05-01T00:00:00Z", "2026-05-29T00:00:00Z"}, // Sunday the 31st
		// # and L of weekdays.
		{"cron(0 0 ? * 3#5 *)", "UTC", "2026-03-01T00:00:00Z", "2026-03-31T00:00:00Z"},
		{"cron(0 0 ? * TUE#5 *)", "UTC", "2026-04-01T00:00:00Z", "2026-06-30T00:00:00Z"},
		{"cron(0 0 ? * FRIL *)", "UTC", "2026-02-01T00:00:00Z", "2026-02-27T00:00:00Z"},
		{"cron(0 0 ? * L *)", "UTC", "2026-03-01T00:00:00Z", "2026-03-07T00:00:00Z"},
		{"cron(0 0 ? * 1,7 *)", "UTC", "2026-03-02T00:00:00Z", "2026-03-07T00:00:00Z"},
		{"cron(5/20 1-3/2 * jan,jul ? 2030)", "UTC", "2026-01-01T00:00:00Z", "2030-01-01T01:05:00Z"},
		// Daylight saving: a skipped time is skipped, a repeated one runs once, at the first.
		{"cron(30 2 * * ? *)", "America/New_York", "2026-03-07T12:00:00Z", "2026-03-09T06:30:00Z"},
		{"cron(30 1 * * ? *)", "America/New_York", "2026-11-01T04:00:00Z", "2026-11-01T05:30:00Z"},
		{"cron(30 1 * * ? *)", "America/New_York", "2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"},
		{"cron(0/30 * * * ? *)", "America/New_York", "2026-11-01T05:30:00Z", "2026-11-01T07:00:00Z"},
		{"cron(0 2 * * ? *)", "Europe/Berlin", "2026-03-28T02:00:00Z", "2026-03-30T00:00:00Z"},
		{"cron(0 9 ? * MON *)", "Asia/Kolkata", "2026-03-01T00:00:00Z", "2026-03-02T03:30:00Z"},
		{"cron(0 2 * * ? *)", "Australia/Lord_Howe", "2026-10-03T00:00:00Z", "2026-10-04T15:00:00Z"}, // a gap of half an hour, from 2:00
		// at and rate.
		{"at(2026-03-08T02:30:00)", "America/New_York", "2026-01-01T00:00:00Z", none},
		{"at(2026-11-01T01:30:00)", "America/New_York", "2026-01-01T00:00:00Z", "2026-11-01T05:30:00Z"},
		{"at(2026-07-01T12:00:00)", "Europe/Berlin", "2026-01-01T00:00:00Z", "2026-07-01T10:00:00Z"},
		{"at(2026-07-01T12:00:00)", "UTC", "2026-07-01T12:00:00Z", none},
		{"rate(5 minutes)", "UTC", "2025-12-31T00:00:00Z", "2026-01-01T00:00:00Z"},
		{"rate(5 minutes)", "UTC", "2026-01-01T00:00:00Z", "2026-01-01T00:05:00Z"},
		{"rate(5 minutes)", "UTC", "2026-01-01T00:07:00Z", "2026-01-01T00:10:00Z"},
		{"rate(1 day)", "America/New_York", "2026-03-08T00:00:00Z", "2026-03-09T00:00:00Z"},
	} {
		e, err := Parse(c.expr, location(t, c.zone))
		if err != nil {
			t.Errorf("Parse(%s): %v", c.expr, err)
			continue
		}
		after, err := time.Parse(time.RFC3339, c.after)
		if err != nil {
			t.Fatal(err)
		}
		got := none
		if at, ok := e.Next(date(2026, 1, 1), after); ok {
			got = at.UTC().Format(time.RFC3339)
		}
		if got != c.want {
			t.Errorf("%s in %s after %s: %s; want %s", c.expr, c.zone, c.after, got, c.want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{
		"", "every day", "rate(0 minutes)", "rate(5 seconds)", "rate(5)", "rate(-1 minutes)", "rate(999999999 days)", "at(2026-13-01T00:00:00)",
		"at(2026-01-01)", "cron(* * * * *)", "cron(0 0 * * * *)", "cron(0 0 ? * ? *)", "cron(60 0 * * ? *)", "cron(0 24 * * ? *)",
		"cron(0 0 0 * ? *)", "cron(0 0 32 * ? *)", "cron(0 0 * 13 ? *)", "cron(0 0 ? * 0 *)", "cron(0 0 ? * 8 *)",
		"cron(0 0 * * ? 1969)", "cron(0 0 * * ? 2200)", "cron(0/0 0 * * ? *)", "cron(5-1 0 * * ? *)", "cron(0 0 ? * 2/2 *)",
		"cron(0 0 ? * 6#6 *)", "cron(0 0 ? * 6#1,2#1 *)", "cron(0 0 40W * ? *)", "cron(0 0 ? * FOO *)", "cron(, 0 * * ? *)", "cron(+5 0 * * ? *)",
	} {
		if _, err := Parse(text, time.UTC); err == nil {
			t.Errorf("Parse(%q) gave no error", text)
		}
	}
}

// TestCronAgainstBruteForce compares with looking at every minute of the wall clock.
func TestCronAgainstBruteForce(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	zone := location(t, "America/New_York")
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	for range 40 {
		days := pick("* * ?", "L * ?", "1/3 * ?", "15W * ?", "? * MON-FRI", "? * 1#2", "? * 7L", "? 3,11 SUN", "31 * ?")
		text := "cron(" + pick("0", "*/7", "10-20", "30,59") + " " + pick("*", "1", "2", "1-3", "0/5", "23") + " " + days + " *)"
		e, err := Parse(text, zone)
		if err != nil {
			t.Fatal(err)
		}
		after := time.Date(2026, time.Month(1+r.IntN(12)), 1+r.IntN(28), r.IntN(24), r.IntN(60), r.IntN(60), 0, time.UTC)
		got, ok := e.Next(after, after)
		seen := map[string]bool{}
		var want time.Time
		for m := after.Add(-3 * time.Hour).Truncate(time.Minute); m.Before(after.AddDate(0, 13, 0)); m = m.Add(time.Minute) {
			l := m.In(zone)
			y, mo, d := l.Date()
			if !e.cron.hours.has(l.Hour()) || !e.cron.minutes.has(l.Minute()) || !e.cron.months.has(int(mo)) || !e.cron.day(y, mo, d) {
				continue
			}
			wall := l.Format("2006-01-02 15:04")
			if m.After(after) && !seen[wall] {
				want = m
				break
			}
			seen[wall] = true
		}
		if !ok || !got.Equal(want) {
			t.Fatalf("seed %d: %s after %s: %s, want %s", seed, text, after, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("cron(0 0 ? * 6#3 2030-2040/2)")
	f.Add("rate(5 minutes)")
	f.Add("at(2026-01-01T00:00:00)")
	f.Fuzz(func(t *testing.T, text string) {
		e, err := Parse(text, time.UTC)
		if err != nil {
			return
		}
		after := date(2026, 1, 1)
		if at, ok := e.Next(after, after); ok && !at.After(after) {
			t.Errorf("%s fires at %s, which is not after %s", text, at, after)
		}
		if strings.HasPrefix(text, "at(") != e.OneTime() {
			t.Errorf("%s: OneTime is %v", text, e.OneTime())
		}
	})
}
