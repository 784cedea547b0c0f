package fleet

import "time"

// wallClock is what comes again on the clock on the wall: a Cron or an RRule. Dates are midnights in UTC, whatever the clocks do.
type wallClock interface {
	// onDay tells whether it may happen on a date; onDate are the moments of one at which it does, in order.
	onDay(d time.Time) bool
	onDate(d time.Time, z TimeZone) []time.Time
	// span bounds the search: it happens on no date before first or after last (zero: no bound), and if it does not in so many
	// years, it never does.
	span() (first, last time.Time, years int)
}

// dateOf is the date that the clock on the wall shows.
func dateOf(t time.Time, z TimeZone) time.Time {
	year, month, day := t.In(z.zone()).Date()
	return time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
}

// next is the first moment after t. The clocks may show a later date before they are put back to an earlier one, so that the
// search begins a day early; what a later date has is never before what an earlier one has.
func next(w wallClock, t time.Time, z TimeZone) (time.Time, bool) {
	first, last, years := w.span()
	d := dateOf(t, z).AddDate(0, 0, -1)
	if d.Before(first) {
		d = first
	}
	for range years*366 + 2 {
		if !last.IsZero() && d.After(last) {
			break
		}
		if w.onDay(d) {
			for _, at := range w.onDate(d, z) {
				if at.After(t) {
					return at, true
				}
			}
		}
		d = d.AddDate(0, 0, 1)
	}
	return time.Time{}, false
}

// last is the latest moment at or before t.
func last(w wallClock, t time.Time, z TimeZone) (time.Time, bool) {
	first, end, years := w.span()
	d := dateOf(t, z).AddDate(0, 0, 1)
	if !end.IsZero() && d.After(end) {
		d = end
	}
	for range years*366 + 2 {
		if d.Before(first) {
			break
		}
		if w.onDay(d) {
			all := w.onDate(d, z)
			for i := len(all) - 1; i >= 0; i-- {
				if !all[i].After(t) {
					return all[i], true
				}
			}
		}
		d = d.AddDate(0, 0, -1)
	}
	return time.Time{}, false
}

// between are the moments after one and up to another, in order. Times that the clocks skip are one moment.
func between(w wallClock, after, to time.Time, z TimeZone) (out []time.Time) {
	first, end, _ := w.span()
	d, until := dateOf(after, z).AddDate(0, 0, -1), dateOf(to, z).AddDate(0, 0, 1)
	if d.Before(first) {
		d = first
	}
	if !end.IsZero() && until.After(end) {
		until = end
	}
	for ; !d.After(until); d = d.AddDate(0, 0, 1) {
		if !w.onDay(d) {
			continue
		}
		for _, at := range w.onDate(d, z) {
			if at.After(after) && !at.After(to) && (len(out) == 0 || at.After(out[len(out)-1])) {
				out = append(out, at)
			}
		}
	}
	return out
}

func (r Recurrence) clock() wallClock {
	if r.RRule.text != "" {
		return r.RRule
	}
	return r.Cron
}

// Never tells whether there is neither a cron expression nor a rule.
func (r Recurrence) Never() bool { return r.Cron.text == "" && r.RRule.text == "" }

// Next is the first moment after t; false if there is none: a Cron's search ends after eight years.
func (r Recurrence) Next(t time.Time) (time.Time, bool) {
	if r.Never() {
		return time.Time{}, false
	}
	return next(r.clock(), t, r.Zone)
}

// Last is the latest moment at or before t.
func (r Recurrence) Last(t time.Time) (time.Time, bool) {
	if r.Never() {
		return time.Time{}, false
	}
	return last(r.clock(), t, r.Zone)
}

// Between are the moments after one and up to another, in order.
func (r Recurrence) Between(after, to time.Time) []time.Time {
	if r.Never() || !to.After(after) {
		return nil
	}
	return between(r.clock(), after, to, r.Zone)
}

// String is the expression or the rule, with its zone.
func (r Recurrence) String() string {
	text := r.Cron.text
	if r.RRule.text != "" {
		text = r.RRule.text
	}
	if text == "" || r.Zone.Location == nil {
		return text
	}
	return text + " " + r.Zone.String()
}

// Label is the window's name, or when it comes.
func (w MaintenanceWindow) Label() string {
	if w.Name != "" {
		return w.Name
	}
	return w.Recurrence.String()
}

// Label is the blackout's name, or when it is.
func (b Blackout) Label() string {
	switch {
	case b.Name != "":
		return b.Name
	case !b.Never():
		return b.Recurrence.String()
	}
	return "from " + b.From.Format(time.RFC3339)
}
