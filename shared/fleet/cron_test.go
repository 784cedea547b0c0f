package fleet

import (
	"encoding/json"
	"testing"
	"time"
)

// TestCron: when things happen, across the changes of the clocks.
func TestCron(t *testing.T) {
	const berlin, utc = "Europe/Berlin", "UTC"
	for _, c := range []struct{ cron, zone, at, last, next string }{
		{"0 20 * * *", utc, "2026-11-25T12:00:00Z", "2026-11-24T20:00:00Z", "2026-11-25T20:00:00Z"},
		{"0 20 * * *", utc, "2026-11-25T20:00:00Z", "2026-11-25T20:00:00Z", "2026-11-26T20:00:00Z"},
		{"0 7 * * mon-fri", utc, "2026-11-28T12:00:00Z", "2026-11-27T07:00:00Z", "2026-11-30T07:00:00Z"},
		{"*/15 9-17 * * 1", utc, "2026-11-30T17:50:00Z", "2026-11-30T17:45:00Z", "2026-12-07T09:00:00Z"},
		{"0 0 13 * 5", utc, "2026-11-10T00:00:00Z", "2026-11-06T00:00:00Z", "2026-11-13T00:00:00Z"},     // the 13th, or a Friday
		{"0 0 */2 * 5", utc, "2026-11-10T00:00:00Z", "2026-10-23T00:00:00Z", "2026-11-13T00:00:00Z"},    // both: the day is not restricted
		{"0 0 1-15 * */2", utc, "2026-11-10T00:00:00Z", "2026-11-10T00:00:00Z", "2026-11-12T00:00:00Z"}, // both, the other way round
		{"0 0 29 2 *", utc, "2026-11-10T00:00:00Z", "2024-02-29T00:00:00Z", "2028-02-29T00:00:00Z"},
		{"0 0 * * 7", utc, "2026-11-25T00:00:00Z", "2026-11-22T00:00:00Z", "2026-11-29T00:00:00Z"},
		// The 29th of March 2026 has no 02:30 in Berlin: it happens at 03:00, when the clocks have been put forward.
		{"30 2 * * *", berlin, "2026-03-29T12:00:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"},
		{"0 20 * * *", berlin, "2026-03-29T12:00:00Z", "2026-03-28T19:00:00Z", "2026-03-29T18:00:00Z"},
		// The 25th of October has 02:30 twice: it happens the first time only.
		{"30 2 * * *", berlin, "2026-10-25T00:29:59Z", "2026-10-24T00:30:00Z", "2026-10-25T00:30:00Z"},
		{"30 2 * * *", berlin, "2026-10-25T01:45:00Z", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"},
		{"0 3 * * *", berlin, "2026-10-25T12:00:00Z", "2026-10-25T02:00:00Z", "2026-10-26T02:00:00Z"},
		// Lord Howe puts its clocks on by half an hour, at 02:00.
		// Samoa left out the 30th of December 2011.
		{"10 5 * * *", "Pacific/Apia", "2011-12-30T11:00:00Z", "2011-12-30T10:00:00Z", "2011-12-30T15:10:00Z"},
		{"15 2 * * *", "Australia/Lord_Howe", "2026-10-03T20:00:00Z", "2026-10-03T15:30:00Z", "2026-10-04T15:15:00Z"},
	} {
		cron, err := ParseCron(c.cron)
		if err != nil {
			t.Fatal(err)
		}
		zone, err := ParseTimeZone(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		at, err := time.Parse(time.RFC3339, c.at)
		if err != nil {
			t.Fatal(err)
		}
		last, _ := cron.Last(at, zone)
		next, _ := cron.Next(at, zone)
		if l, n := last.UTC().Format(time.RFC3339), next.UTC().Format(time.RFC3339); l != c.last || n != c.next {
			t.Errorf("%s in %s at %s: last %s, next %s; want %s, %s", c.cron, c.zone, c.at, l, n, c.last, c.next)
		}
	}
	never, err := ParseCron("0 0 30 2 *")
	if err != nil {
		t.Fatal(err)
	}
	if at, ok := never.Next(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), TimeZone{}); ok {
		t.Errorf("the 30th of February comes at %s", at)
	}
}

func TestCronSyntax(t *testing.T) {
	for _, text := range []string{"", "* * * *", "* * * * * *", "60 * * * *", "-1 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "5-1 * * * *", "*/0 * * * *", "a * * * *", "1, * * * *", "@daily", "* * */60 * *", "* * */9223372036854775807 * *"} {
		if c, err := ParseCron(text); err == nil {
			t.Errorf("%q was read as %v", text, c)
		}
	}
}

// TestSchedule: office hours, a night that goes over the weekend, and a while.
func TestSchedule(t *testing.T) {
	var night, while Schedule
	if err := json.Unmarshal([]byte(`{"from": "0 20 * * *", "until": "0 7 * * mon-fri", "timeZone": "Europe/Berlin"}`), &night); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(`{"from": "0 22 * * fri", "for": 3600000000000}`), &while); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		s     Schedule
		at    string
		on    bool
		turns string
	}{
		{night, "2026-11-25T12:00:00Z", false, "2026-11-25T19:00:00Z"},
		{night, "2026-11-25T19:00:00Z", true, "2026-11-26T06:00:00Z"},
		{night, "2026-11-28T12:00:00Z", true, "2026-11-28T19:00:00Z"}, // on a Saturday the night goes on
		{night, "2026-11-30T05:59:59Z", true, "2026-11-30T06:00:00Z"},
		{night, "2026-11-30T06:00:00Z", false, "2026-11-30T19:00:00Z"},
		{while, "2026-11-27T21:59:59Z", false, "2026-11-27T22:00:00Z"},
		{while, "2026-11-27T22:30:00Z", true, "2026-11-27T23:00:00Z"},
		{while, "2026-11-27T23:00:00Z", false, "2026-12-04T22:00:00Z"},
		{Schedule{}, "2026-11-27T23:00:00Z", true, ""},
	} {
		at, err := time.Parse(time.RFC3339, c.at)
		if err != nil {
			t.Fatal(err)
		}
		turns := ""
		if next, ok := c.s.Turns(at); ok {
			turns = next.UTC().Format(time.RFC3339)
		}
		if c.s.On(at) != c.on || turns != c.turns {
			t.Errorf("%s: on %t, turns %s; want %t, %s", c.at, c.s.On(at), turns, c.on, c.turns)
		}
	}
	text, err := json.Marshal(night)
	if err != nil {
		t.Fatal(err)
	}
	var back Schedule
	if err := json.Unmarshal(text, &back); err != nil || back.From != night.From || back.Zone.String() != "Europe/Berlin" {
		t.Errorf("%s came back as %+v, %v", text, back, err)
	}
}
