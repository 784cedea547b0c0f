package maintenance

import (
	"fmt"
	"strings"
	"time"
)

// looks are how far ahead an opening is looked for, one after the other: the first nearly always has it.
var looks = []time.Duration{8 * 24 * time.Hour, 62 * 24 * time.Hour, Horizon}

// Start tells whether a step that is expected to take so long may start: now is in an opening, and the opening lasts long
// enough. Without windows there is none. ignoreWindows is for what somebody asks for at once: then only blackouts and freezes
// count.
func (c Calendar) Start(now time.Time, takes time.Duration, ignoreWindows bool) Verdict {
	takes = max(takes, 0)
	var v Verdict
	var end time.Time
	for _, ahead := range looks {
		end = now.Add(ahead)
		openings := c.openings(now, end, ignoreWindows)
		for _, o := range openings {
			if o.From.Add(takes).After(o.Until) {
				continue
			}
			if v.Next = o.From; o.From.Equal(now) {
				v.OK, v.Next, v.Until = true, time.Time{}, o.Until
			}
			break
		}
		if v.OK && v.Until.Equal(end) {
			v.Until = time.Time{}
			continue // it goes on: for how long?
		}
		if v.OK || !v.Next.IsZero() {
			break
		}
	}
	if !v.OK {
		v.Why = c.why(now, end, takes, ignoreWindows, v.Next)
	}
	return v
}

// why says what is in the way now, and, if there is no next time until the end, what would help.
func (c Calendar) why(now, end time.Time, takes time.Duration, ignoreWindows bool, next time.Time) string {
	if len(c.Windows) == 0 && !ignoreWindows {
		return "the policy has no maintenance windows: give it some, or ask with --now"
	}
	shut := c.closed(now, end)
	openings := c.openings(now, end, ignoreWindows)
	text := present(openings, now, takes, shut)
	if len(shut) > 0 && !shut[0].from.After(now) {
		text = shut[0].holds()
	}
	if !next.IsZero() {
		return text
	}
	return strings.Join(append([]string{text}, c.never(openings, now, end, takes, ignoreWindows, shut)...), "; ")
}

// holds says until when a blackout or freeze holds, and how to end it.
func (s span) holds() string {
	text := strings.Join(s.names, " and ")
	verb := " holds until "
	if len(s.names) > 1 {
		verb = " hold until "
	}
	switch {
	case !s.until.IsZero():
		text += verb + stamp(s.until)
	case s.freeze != nil:
		text += verb + "the freeze is lifted: ekspedite upgrade unfreeze --name " + s.freeze.Name
	default:
		text += " has no end: give it one"
	}
	if s.freeze != nil && s.freeze.Reason != "" {
		text += " (" + s.freeze.Reason + ")"
	}
	return text
}

// present says why a step does not start although no blackout holds.
func present(openings []Opening, now time.Time, takes time.Duration, shut []span) string {
	if len(openings) == 0 {
		return fmt.Sprintf("no window opens in the next %d days", int(Horizon.Hours()/24))
	}
	o := openings[0]
	if o.From.After(now) {
		return fmt.Sprintf("the window %s opens at %s", o.Window, stamp(o.From))
	}
	left := short(o.Until.Sub(now))
	if len(shut) > 0 && shut[0].from.Equal(o.Until) {
		return fmt.Sprintf("the step takes %s, and %s begins in %s", short(takes), strings.Join(shut[0].names, " and "), left)
	}
	return fmt.Sprintf("the step takes %s, and the window %s ends in %s", short(takes), o.Window, left)
}

// never says why there is no time at all.
func (c Calendar) never(openings []Opening, now, end time.Time, takes time.Duration, ignoreWindows bool, shut []span) (out []string) {
	left := longest(openings)
	whole := left
	if !ignoreWindows {
		whole = longest(Calendar{Windows: c.Windows}.Openings(now, end))
	}
	switch {
	case whole > 0 && whole < takes:
		out = append(out, fmt.Sprintf("the step takes %s, and the longest window is %s: make it longer, or ask with --now", short(takes), short(whole)))
	case left > 0 && left < takes:
		out = append(out, fmt.Sprintf("the step takes %s, and blackouts and freezes leave no more than %s at a time: shorten them", short(takes), short(left)))
	}
	if n := len(shut); n > 0 && shut[n-1].until.IsZero() && shut[n-1].from.After(now) {
		out = append(out, "from "+stamp(shut[n-1].from)+" on "+shut[n-1].holds())
	}
	return out
}

func longest(openings []Opening) (d time.Duration) {
	for _, o := range openings {
		d = max(d, o.Until.Sub(o.From))
	}
	return d
}

// stamp writes a moment for people.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// short writes a duration for people: 40m, 1h30m, 3d.
func short(d time.Duration) string {
	text := d.Round(time.Second).String()
	if d >= time.Minute {
		text = d.Round(time.Minute).String()
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
