package fleet

import "time"

// Schedule is a time that comes again: from one cron time to the next one of another, or for a while. A zero one is always.
type Schedule struct {
	From  Cron          `json:"from,omitzero"`
	Until Cron          `json:"until,omitzero"`
	For   time.Duration `json:"for,omitempty"`
	Zone  TimeZone      `json:"timeZone,omitzero"`
}

// Always tells whether there is no schedule.
func (s Schedule) Always() bool { return s.From.text == "" }

// On tells whether the time is now: From was last, and Until or the end of For has not been since.
func (s Schedule) On(now time.Time) bool {
	if s.Always() {
		return true
	}
	from, ok := s.From.Last(now, s.Zone)
	if !ok {
		return false
	}
	if s.For > 0 {
		return now.Before(from.Add(s.For))
	}
	until, ok := s.Until.Last(now, s.Zone)
	return !ok || until.Before(from)
}

// Turns is when the answer of On changes next at the earliest; false if never.
func (s Schedule) Turns(now time.Time) (time.Time, bool) {
	if s.Always() {
		return time.Time{}, false
	}
	next, ok := s.From.Next(now, s.Zone)
	consider := func(t time.Time, found bool) {
		if found && t.After(now) && (!ok || t.Before(next)) {
			next, ok = t, true
		}
	}
	if s.For > 0 {
		from, found := s.From.Last(now, s.Zone)
		consider(from.Add(s.For), found)
	} else {
		consider(s.Until.Next(now, s.Zone))
	}
	return next, ok
}
