package maintenance

import (
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

func at(t *testing.T, text string) time.Time {
	t.Helper()
	m, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func recurs(t *testing.T, text, zone string) (r fleet.Recurrence) {
	t.Helper()
	var err error
	if r.Zone, err = fleet.ParseTimeZone(zone); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(text, "FREQ=") {
		r.RRule, err = fleet.ParseRRule(text)
	} else {
		r.Cron, err = fleet.ParseCron(text)
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestStart: what is in the way, and when it no longer is. The 24th of November 2026 is a Tuesday.
func TestStart(t *testing.T) {
	const berlin = "Europe/Berlin"
	nights := fleet.MaintenanceWindow{Name: "nights", Recurrence: recurs(t, "FREQ=WEEKLY;BYDAY=TU,TH;BYHOUR=22", berlin), For: 4 * time.Hour}
	early := fleet.MaintenanceWindow{Name: "early", Recurrence: recurs(t, "0 2 * * *", berlin), For: 4 * time.Hour}
	always := fleet.MaintenanceWindow{Name: "always", Recurrence: recurs(t, "0 0 * * *", ""), For: 24 * time.Hour}
	over := fleet.MaintenanceWindow{Name: "over", Recurrence: recurs(t, "DTSTART=20260101T000000;FREQ=DAILY;COUNT=3", ""), For: time.Hour}
	trade := fleet.Blackout{Name: "trade", From: at(t, "2026-11-26T23:00:00Z"), Until: at(t, "2026-12-01T00:00:00Z")}
	reports := fleet.Blackout{Name: "reports", Recurrence: recurs(t, "0 23 * * tue", berlin), For: 30 * time.Minute}
	audit := fleet.Freeze{Name: "audit", From: at(t, "2026-11-23T00:00:00Z"), Reason: "auditors are in"}
	december := fleet.Freeze{Name: "december", From: at(t, "2026-11-24T22:00:00Z")}
	for name, c := range map[string]struct {
		calendar    Calendar
		now         string
		takes       time.Duration
		ignore      bool
		until, next string // until: OK
		why         []string
	}{
		"in a window":                       {Calendar{Windows: []fleet.MaintenanceWindow{nights}}, "2026-11-24T21:30:00Z", time.Hour, false, "2026-11-25T01:00:00Z", "", nil},
		"it fits to the minute":             {Calendar{Windows: []fleet.MaintenanceWindow{nights}}, "2026-11-25T00:00:00Z", time.Hour, false, "2026-11-25T01:00:00Z", "", nil},
		"it does not by a second":           {Calendar{Windows: []fleet.MaintenanceWindow{nights}}, "2026-11-25T00:00:01Z", time.Hour, false, "", "2026-11-26T21:00:00Z", []string{"takes 1h", "window nights ends in 1h"}},
		"at its end":                        {Calendar{Windows: []fleet.MaintenanceWindow{nights}}, "2026-11-25T01:00:00Z", 0, false, "", "2026-11-26T21:00:00Z", []string{"nights opens at 2026-11-26 21:00 UTC"}},
		"before it":                         {Calendar{Windows: []fleet.MaintenanceWindow{nights}}, "2026-11-24T20:59:59Z", time.Hour, false, "", "2026-11-24T21:00:00Z", []string{"opens at 2026-11-24 21:00 UTC"}},
		"two that touch are one":            {Calendar{Windows: []fleet.MaintenanceWindow{early, nights}}, "2026-11-24T21:00:00Z", 8 * time.Hour, false, "2026-11-25T05:00:00Z", "", nil},
		"no windows":                        {Calendar{}, "2026-11-24T21:00:00Z", time.Hour, false, "", "", []string{"no maintenance windows", "--now"}},
		"no windows, now":                   {Calendar{}, "2026-11-24T21:00:00Z", time.Hour, true, "-", "", nil},
		"always open":                       {Calendar{Windows: []fleet.MaintenanceWindow{always}}, "2026-11-24T21:00:00Z", 100 * time.Hour, false, "-", "", nil},
		"always open until a blackout":      {Calendar{Windows: []fleet.MaintenanceWindow{always}, Blackouts: []fleet.Blackout{trade}}, "2026-11-24T21:00:00Z", time.Hour, false, "2026-11-26T23:00:00Z", "", nil},
		"longer than every window":          {Calendar{Windows: []fleet.MaintenanceWindow{nights}}, "2026-11-24T21:00:00Z", 5 * time.Hour, false, "", "", []string{"the step takes 5h, and the longest window is 4h: make it longer, or ask with --now"}},
		"windows that are over":             {Calendar{Windows: []fleet.MaintenanceWindow{over}}, "2026-11-24T21:00:00Z", time.Hour, false, "", "", []string{"no window opens in the next 400 days"}},
		"a blackout in it":                  {Calendar{Windows: []fleet.MaintenanceWindow{nights}, Blackouts: []fleet.Blackout{reports}}, "2026-11-24T21:10:00Z", time.Hour, false, "", "2026-11-24T22:30:00Z", []string{"the blackout reports begins in 50m"}},
		"in a blackout":                     {Calendar{Windows: []fleet.MaintenanceWindow{nights}, Blackouts: []fleet.Blackout{reports}}, "2026-11-24T22:10:00Z", time.Hour, false, "", "2026-11-24T22:30:00Z", []string{"the blackout reports holds until 2026-11-24 22:30 UTC"}},
		"a blackout holds also now":         {Calendar{Blackouts: []fleet.Blackout{trade}}, "2026-11-27T10:00:00Z", time.Hour, true, "", "2026-12-01T00:00:00Z", []string{"trade holds until 2026-12-01 00:00 UTC"}},
		"it would reach into a blackout":    {Calendar{Blackouts: []fleet.Blackout{trade}}, "2026-11-26T22:30:00Z", time.Hour, true, "", "2026-12-01T00:00:00Z", []string{"the step takes 1h, and the blackout trade begins in 30m"}},
		"a freeze without end":              {Calendar{Windows: []fleet.MaintenanceWindow{nights}, Freezes: []fleet.Freeze{audit}}, "2026-11-24T21:10:00Z", time.Hour, true, "", "", []string{"the freeze audit", "until the freeze is lifted: ekspedite upgrade unfreeze --name audit", "auditors are in"}},
		"a freeze to come":                  {Calendar{Windows: []fleet.MaintenanceWindow{nights}, Freezes: []fleet.Freeze{december}}, "2026-11-24T21:10:00Z", time.Hour, false, "", "", []string{"the freeze december begins in 50m", "unfreeze --name december"}},
		"blackouts leave too little":        {Calendar{Windows: []fleet.MaintenanceWindow{{Name: "tue", Recurrence: recurs(t, "0 22 * * tue", berlin), For: 4 * time.Hour}}, Blackouts: []fleet.Blackout{reports}}, "2026-11-24T21:00:00Z", 3 * time.Hour, false, "", "", []string{"leave no more than 2h30m at a time"}},
		"the night of 25 hours":             {Calendar{Windows: []fleet.MaintenanceWindow{early}}, "2026-10-25T00:00:00Z", 4 * time.Hour, false, "2026-10-25T04:00:00Z", "", nil},
		"not again when 02:00 comes again":  {Calendar{Windows: []fleet.MaintenanceWindow{early}}, "2026-10-25T04:00:00Z", time.Hour, false, "", "2026-10-26T01:00:00Z", []string{"early opens"}},
		"02:00 is skipped":                  {Calendar{Windows: []fleet.MaintenanceWindow{early}}, "2026-03-29T00:59:00Z", time.Hour, false, "", "2026-03-29T01:00:00Z", []string{"early opens"}},
		"four hours also where one is lost": {Calendar{Windows: []fleet.MaintenanceWindow{early}}, "2026-03-29T01:00:00Z", 4 * time.Hour, false, "2026-03-29T05:00:00Z", "", nil},
		"a window of no time never is one":  {Calendar{Windows: []fleet.MaintenanceWindow{{Name: "no", Recurrence: early.Recurrence}}}, "2026-11-24T01:00:00Z", 0, false, "", "", []string{"no window opens"}},
	} {
		v := c.calendar.Start(at(t, c.now), c.takes, c.ignore)
		var until, next string
		if v.OK {
			if until = "-"; !v.Until.IsZero() {
				until = v.Until.UTC().Format(time.RFC3339)
			}
		}
		if !v.Next.IsZero() {
			next = v.Next.UTC().Format(time.RFC3339)
		}
		if until != c.until || next != c.next {
			t.Errorf("%s: until %q, next %q; want %q, %q (%s)", name, until, next, c.until, c.next, v.Why)
		}
		for _, w := range c.why {
			if !strings.Contains(v.Why, w) {
				t.Errorf("%s: %q does not say %q", name, v.Why, w)
			}
		}
		if (v.Why == "") != v.OK {
			t.Errorf("%s: ok %t, because %q", name, v.OK, v.Why)
		}
	}
}

// TestOpenings: merged, less what is closed, and cut at both ends.
func TestOpenings(t *testing.T) {
	c := Calendar{
		Windows: []fleet.MaintenanceWindow{
			{Name: "late", Recurrence: recurs(t, "0 22 * * *", ""), For: 4 * time.Hour},
			{Name: "deep", Recurrence: recurs(t, "0 1 * * *", ""), For: 2 * time.Hour},
		},
		Blackouts: []fleet.Blackout{
			{Name: "day", Recurrence: recurs(t, "30 23 * * wed", ""), For: time.Hour},
			{Name: "from", Recurrence: recurs(t, "0 22 * * *", ""), For: 10 * time.Minute, From: at(t, "2026-11-26T00:00:00Z"), Until: at(t, "2026-11-27T00:00:00Z")},
		},
		Freezes: []fleet.Freeze{{Name: "f", From: at(t, "2026-11-27T02:00:00Z"), Until: at(t, "2026-11-27T02:30:00Z")}},
	}
	var got []string
	for _, o := range c.Openings(at(t, "2026-11-24T23:00:00Z"), at(t, "2026-11-27T22:30:00Z")) {
		got = append(got, o.From.UTC().Format("02 15:04-")+o.Until.UTC().Format("02 15:04 ")+o.Window)
	}
	want := "24 23:00-25 03:00 late and deep|25 22:00-25 23:30 late and deep|26 00:30-26 03:00 late and deep|26 22:10-27 02:00 late and deep|27 02:30-27 03:00 late and deep|27 22:00-27 22:30 late"
	if text := strings.Join(got, "|"); text != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
	if o := c.Openings(at(t, "2026-11-25T00:00:00Z"), at(t, "2026-11-25T00:00:00Z")); o != nil {
		t.Errorf("no time has openings %v", o)
	}
}

func TestShort(t *testing.T) {
	for d, want := range map[time.Duration]string{40 * time.Minute: "40m", 3 * time.Hour: "3h", 90 * time.Minute: "1h30m", 20 * time.Second: "20s", 72 * time.Hour: "72h", 0: "0s", 2*time.Hour + 20*time.Minute + 3*time.Second: "2h20m"} {
		if got := short(d); got != want {
			t.Errorf("%d: %s, want %s", d, got, want)
		}
	}
}

func BenchmarkStart(b *testing.B) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	for name, text := range map[string]string{"weekly": "0 2 * * tue", "always": "0 * * * *"} {
		cron, err := fleet.ParseCron(text)
		if err != nil {
			b.Fatal(err)
		}
		c := Calendar{Windows: []fleet.MaintenanceWindow{{Name: name, Recurrence: fleet.Recurrence{Cron: cron}, For: time.Hour}}}
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				c.Start(now, 30*time.Minute, false)
			}
		})
	}
}
