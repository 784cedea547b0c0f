package calendarview

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/ekspedite/ekspedite/shared/decide/calendar"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func year() Year {
	const a = "eu-west-1/a"
	return Year{Now: now, Until: now.AddDate(0, 0, 90), Dates: "EKS", Entries: []calendar.Entry{
		{At: now, Cluster: a, Kind: calendar.KindWarning, Title: "no maintenance windows", Detail: "give; the policy, windows\\ \nor ask"},
		{At: now.Add(time.Hour), Until: now.Add(3 * time.Hour), Cluster: a, Kind: calendar.KindUpgrade, Title: "upgrade from 1.35 to 1.36 " + strings.Repeat("ünïcödé ", 30)},
		{At: now.AddDate(0, 0, 2), Until: now.AddDate(0, 0, 3), Kind: calendar.KindBlackout, Title: "blackout trade"},
		{At: now.AddDate(0, 0, 12), Until: now.AddDate(0, 0, 13), Kind: calendar.KindBlackout, Title: "blackout trade"},
		{At: now.AddDate(0, 0, 20), Cluster: "eu-west-1/b", Kind: calendar.KindSupport, Title: "support ends", Detail: "bell\a and \xff"},
	}}
}

// parse is a reader of RFC 5545 that takes nothing else: unfolds, and gives each event's properties with their text unescaped.
func parse(t *testing.T, text string) (events []map[string]string) {
	t.Helper()
	if !utf8.ValidString(text) || !strings.HasSuffix(text, "\r\n") || strings.Contains(strings.ReplaceAll(text, "\r\n", ""), "\n") || strings.Contains(strings.ReplaceAll(text, "\r\n", ""), "\r") {
		t.Fatal("lines end by CRLF, and the text is UTF-8")
	}
	for _, l := range strings.Split(text, "\r\n") {
		if len(l) > 75 || !utf8.ValidString(l) {
			t.Errorf("a line of %d octets: %q", len(l), l)
		}
	}
	var stack []string
	for _, l := range strings.Split(strings.TrimSuffix(strings.ReplaceAll(text, "\r\n ", ""), "\r\n"), "\r\n") {
		name, value, ok := strings.Cut(l, ":")
		switch {
		case !ok:
			t.Fatalf("%q is no content line", l)
		case name == "BEGIN":
			if stack = append(stack, value); value == "VEVENT" {
				events = append(events, map[string]string{})
			}
		case name == "END":
			if len(stack) == 0 || stack[len(stack)-1] != value {
				t.Fatalf("%q ends %v", l, stack)
			}
			stack = stack[:len(stack)-1]
		case stack[len(stack)-1] == "VEVENT":
			e := events[len(events)-1]
			if _, twice := e[name]; twice {
				t.Errorf("%s is there twice", name)
			}
			var b strings.Builder
			for i := 0; i < len(value); i++ {
				switch c := value[i]; {
				case c == '\\' && i+1 < len(value) && strings.IndexByte(`\;,nN`, value[i+1]) >= 0:
					if i++; value[i] == 'n' {
						b.WriteByte('\n')
					} else {
						b.WriteByte(value[i])
					}
				case c == '\\' || c == ';' || c == ',' || c < ' ':
					t.Errorf("%q is not escaped in %q", c, value)
				default:
					b.WriteByte(c)
				}
			}
			e[name] = b.String()
		}
	}
	if len(stack) > 0 {
		t.Errorf("%v has no end", stack)
	}
	return events
}

func TestICS(t *testing.T) {
	var b strings.Builder
	y := year()
	if err := ICS(&b, y); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//ekspedite//"} {
		if !strings.HasPrefix(b.String(), line) {
			t.Errorf("it begins %.80q", b.String())
		}
	}
	events := parse(t, b.String())
	if len(events) != len(y.Entries) {
		t.Fatalf("%d events", len(events))
	}
	uids := map[string]bool{}
	for i, e := range events {
		if e["DTSTAMP"] != "20261123T120000Z" || e["DTSTART"] != y.Entries[i].At.Format("20060102T150405Z") || e["UID"] == "" || uids[e["UID"]] {
			t.Errorf("%v", e)
		}
		uids[e["UID"]] = true
	}
	if events[0]["DESCRIPTION"] != y.Entries[0].Detail || events[1]["SUMMARY"] != "eu-west-1/a: "+y.Entries[1].Title || events[1]["DTEND"] != "20261123T150000Z" || events[4]["DESCRIPTION"] != "bell  and \uFFFD" {
		t.Errorf("%q", events)
	}
	// An upgrade that has moved is the same event, at another time.
	y.Entries[1].At = y.Entries[1].At.Add(time.Hour)
	var later strings.Builder
	if err := ICS(&later, y); err != nil {
		t.Fatal(err)
	}
	if moved := parse(t, later.String()); moved[1]["UID"] != events[1]["UID"] || moved[1]["DTSTART"] == events[1]["DTSTART"] {
		t.Errorf("%v became %v", events[1], moved[1])
	}
}

func FuzzICS(f *testing.F) {
	f.Add("a;b,c\\d\ne", strings.Repeat("ü", 100))
	f.Fuzz(func(t *testing.T, title, detail string) {
		var b strings.Builder
		if err := ICS(&b, Year{Now: now, Entries: []calendar.Entry{{At: now, Title: title, Detail: detail}}}); err != nil {
			t.Fatal(err)
		}
		if events := parse(t, b.String()); len(events) != 1 {
			t.Errorf("%d events", len(events))
		}
	})
}

func TestText(t *testing.T) {
	y := year()
	y.Entries[1].Title = "upgrade from 1.35 to 1.36"
	y.Entries[0].Detail = "give the policy windows"
	y.Entries[4].Detail = ""
	var b strings.Builder
	if err := Text(&b, y); err != nil {
		t.Fatal(err)
	}
	want := `2026-11-23 to 2027-02-21, times in UTC; dates of support: EKS

to be done by somebody
  Mon 2026-11-23 12:00                 eu-west-1/a  Warning   no maintenance windows
                                                              give the policy windows

November 2026
  Mon 2026-11-23 13:00-15:00           eu-west-1/a  Upgrade   upgrade from 1.35 to 1.36
  Wed 2026-11-25 12:00 to 11-26 12:00  fleet        Blackout  blackout trade

December 2026
  Sat 2026-12-05 12:00 to 12-06 12:00  fleet        Blackout  blackout trade
  Sun 2026-12-13 12:00                 eu-west-1/b  Support   support ends
`
	if b.String() != want {
		t.Errorf("got\n%s", b.String())
	}
	if of := y.Of("b"); fmt.Sprint(len(of.Entries)) != "3" || len(y.Of("eu-west-1/a").Entries) != 4 {
		t.Errorf("%+v", of)
	}
}
