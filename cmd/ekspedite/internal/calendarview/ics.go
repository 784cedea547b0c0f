package calendarview

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ekspedite/ekspedite/shared/decide/calendar"
)

// ICS writes the calendar as RFC 5545 has it, for programs that subscribe to calendars. An event keeps its UID from one
// calendar to the next, so that what has moved is moved there, too.
func ICS(w io.Writer, y Year) error {
	b := &lines{}
	b.put("BEGIN:VCALENDAR")
	b.put("VERSION:2.0")
	b.put("PRODID:-//ekspedite//maintenance//EN")
	b.put("CALSCALE:GREGORIAN")
	b.put("METHOD:PUBLISH")
	b.put("X-WR-CALNAME:ekspedite maintenance")
	had := map[string]int{}
	for _, e := range y.Entries {
		b.put("BEGIN:VEVENT")
		b.put("UID:" + uid(e, had))
		b.put("DTSTAMP:" + utc(y.Now))
		b.put("DTSTART:" + utc(e.At))
		if e.Until.After(e.At) {
			b.put("DTEND:" + utc(e.Until))
		}
		b.put("SUMMARY:" + escape(about(e)+": "+e.Title))
		if e.Detail != "" {
			b.put("DESCRIPTION:" + escape(e.Detail))
		}
		b.put("CATEGORIES:" + escape(string(e.Kind)))
		if e.Kind != calendar.KindBlackout && e.Kind != calendar.KindFreeze && e.Kind != calendar.KindUpgrade {
			b.put("TRANSP:TRANSPARENT") // it takes nobody's time
		}
		b.put("END:VEVENT")
	}
	b.put("END:VCALENDAR")
	_, err := io.WriteString(w, b.text.String())
	return err
}

// uid names an event: what it is about, and for what comes again the how manieth.
func uid(e calendar.Entry, had map[string]int) string {
	name := strings.Join([]string{e.Cluster, string(e.Kind), e.Title}, "\x00")
	switch e.Kind {
	case calendar.KindBlackout, calendar.KindPatch: // they come again, at times that do not move
		name += "\x00" + utc(e.At)
	}
	had[name]++
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%d", name, had[name]))
	return hex.EncodeToString(sum[:16]) + "@ekspedite.dev"
}

func utc(t time.Time) string { return t.UTC().Format("20060102T150405Z") }

// escape is for TEXT values (RFC 5545, 3.3.11). Control characters are not allowed in them.
func escape(s string) string {
	s = strings.Map(func(r rune) rune {
		if r != '\n' && (r < ' ' || r == 0x7f) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(strings.ReplaceAll(s, "\r\n", "\n"), "\uFFFD"))
	return strings.NewReplacer(`\`, `\\`, ";", `\;`, ",", `\,`, "\n", `\n`).Replace(s)
}

// lines are content lines, ended by CRLF and folded at 75 octets, not within a character.
type lines struct{ text strings.Builder }

const maxLine = 75

func (b *lines) put(line string) {
	room := maxLine
	for len(line) > room {
		cut := room
		for !utf8.RuneStart(line[cut]) {
			cut--
		}
		b.text.WriteString(line[:cut] + "\r\n ")
		line, room = line[cut:], maxLine-1
	}
	b.text.WriteString(line + "\r\n")
}
