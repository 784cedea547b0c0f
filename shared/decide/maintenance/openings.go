package maintenance

import (
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// span is a time with what it is because of. A zero until has no end.
type span struct {
	from, until time.Time
	names       []string
	freeze      *fleet.Freeze
}

func (s span) ends(at time.Time) bool { return !s.until.IsZero() && !s.until.After(at) }

// Openings are the times between two moments in which maintenance may go on: windows, as one where they touch, less blackouts
// and freezes. The first and the last may have begun before from, or go on after to: they are cut there.
func (c Calendar) Openings(from, to time.Time) []Opening {
	return c.openings(from, to, false)
}

func (c Calendar) openings(from, to time.Time, ignoreWindows bool) (out []Opening) {
	if !to.After(from) {
		return nil
	}
	open := []span{{from: from, until: to}}
	if !ignoreWindows {
		open = c.windows(from, to)
	}
	closed := c.closed(from, to)
	for _, o := range open {
		at := o.from
		add := func(until time.Time) {
			if until.After(at) {
				out = append(out, Opening{From: at, Until: until, Window: strings.Join(o.names, " and ")})
			}
		}
		for _, shut := range closed {
			if shut.ends(at) {
				continue
			}
			if !shut.from.Before(o.until) {
				break
			}
			add(shut.from)
			if at = shut.until; at.IsZero() || !at.Before(o.until) {
				at = o.until
				break
			}
		}
		add(o.until)
	}
	return out
}

// windows are those of a time, merged, and cut at its ends.
func (c Calendar) windows(from, to time.Time) []span {
	var all []span
	for _, w := range c.Windows {
		if w.For <= 0 {
			continue
		}
		for _, at := range w.Between(from.Add(-w.For), to) {
			s := span{from: at, until: at.Add(w.For), names: []string{w.Label()}}
			if s.from.Before(from) {
				s.from = from
			}
			if s.until.After(to) {
				s.until = to
			}
			if s.until.After(s.from) {
				all = append(all, s)
			}
		}
	}
	return merge(all)
}

// closed are the blackouts and freezes of a time, merged. They are not cut: why nothing starts is told with their ends.
func (c Calendar) closed(from, to time.Time) []span {
	var all []span
	for _, b := range c.Blackouts {
		for _, s := range blackout(b, from, to) {
			s.names = []string{"the blackout " + b.Label()}
			all = append(all, s)
		}
	}
	for _, f := range c.Freezes {
		all = append(all, span{from: f.From, until: f.Until, names: []string{"the freeze " + f.Name}, freeze: &f})
	}
	return merge(slices.DeleteFunc(all, func(s span) bool {
		return s.ends(from) || !s.from.Before(to) || !s.until.IsZero() && !s.until.After(s.from)
	}))
}

func blackout(b fleet.Blackout, from, to time.Time) (out []span) {
	if b.Never() {
		return []span{{from: b.From, until: b.Until}}
	}
	for _, at := range b.Between(from.Add(-b.For), to) {
		// From and Until, if they are there, are when it comes again at the earliest and the latest.
		if at.Before(b.From) || !b.Until.IsZero() && !at.Before(b.Until) {
			continue
		}
		out = append(out, span{from: at, until: at.Add(b.For)})
	}
	return out
}

// merge makes one of what overlaps or touches.
func merge(all []span) (out []span) {
	slices.SortStableFunc(all, func(a, b span) int { return a.from.Compare(b.from) })
	for _, s := range all {
		if len(out) == 0 || out[len(out)-1].until.Before(s.from) && !out[len(out)-1].until.IsZero() {
			out = append(out, s)
			continue
		}
		last := &out[len(out)-1]
		for _, n := range s.names {
			if !slices.Contains(last.names, n) {
				last.names = append(slices.Clone(last.names), n)
			}
		}
		if last.until.IsZero() || !s.until.IsZero() && !s.until.After(last.until) {
			continue
		}
		last.until = s.until
		if s.freeze != nil { // the one that ends last is the one to be lifted
			last.freeze = s.freeze
		}
	}
	return out
}

// Closing is a time in which blackouts or freezes hold.
type Closing struct {
	From  time.Time `json:"from"`
	Until time.Time `json:"until,omitzero"` // zero: no end is known
	Why   string    `json:"why"`            // "the blackout trade"
}

// Closed are the times, between two moments or reaching into them, in which nothing starts. Those that touch are one.
func (c Calendar) Closed(from, to time.Time) (out []Closing) {
	for _, s := range c.closed(from, to) {
		out = append(out, Closing{From: s.from, Until: s.until, Why: strings.Join(s.names, " and ")})
	}
	return out
}
