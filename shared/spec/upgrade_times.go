package spec

import (
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Bounds of windows and blackouts.
const (
	minWindow   = 10 * time.Minute // what EKS takes for a control plane
	maxWindow   = 31 * 24 * time.Hour
	maxBlackout = 366 * 24 * time.Hour
)

// maxWaiver is how long a waiver may last: what is let pass for longer is forgotten.
const maxWaiver = 366 * 24 * time.Hour

// dated is what is right or wrong according to the time at which it is said.
type dated struct {
	at     value
	until  time.Time
	waiver bool // otherwise a blackout
}

// At says what of the file is wrong, or has no effect any more, at a moment: waivers of more than a year, and what is over. It is
// for when a file is handed in; a file that was accepted stays right.
func (f File) At(now time.Time) (r Report) {
	for _, d := range f.dated {
		p := Problem{Line: d.at.r.before + d.at.line, Path: d.at.path}
		switch over := !d.until.After(now); {
		case d.waiver && d.until.After(now.Add(maxWaiver)):
			p.Message = "is more than a year ahead: waive it for a time, and look again"
			r.Errors = append(r.Errors, p)
		case d.waiver && over:
			p.Message = "is over: the waiver has no effect"
			r.Warnings = append(r.Warnings, p)
		case over:
			p.Message = "is over: the blackout has no effect"
			r.Warnings = append(r.Warnings, p)
		}
	}
	r.sort()
	return r
}

// recurrence reads when something comes again: cron or rrule, on the clock of timeZone.
func (v value) recurrence() fleet.Recurrence {
	r := fleet.Recurrence{Cron: v.at("cron").cron(), RRule: v.at("rrule").rrule(), Zone: v.at("timeZone").zone()}
	if v.has("cron") {
		v.excludes("cron", "rrule")
		if r.RRule.String() == "" && !r.Never() {
			if _, ever := r.Next(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)); !ever {
				v.at("cron").wrong("%q never happens", clip(r.Cron.String()))
			}
		}
	}
	return r
}

func (v value) rrule() fleet.RRule {
	text, ok := v.scalar()
	if !ok || text == "" {
		return fleet.RRule{}
	}
	r, err := fleet.ParseRRule(text)
	if err != nil {
		v.wrong("%s", err)
	}
	return r
}

// maintenanceWindow reads one of the windows.
func (v value) maintenanceWindow(names names) fleet.MaintenanceWindow {
	w := fleet.MaintenanceWindow{Name: names.of(v, "windows"), Recurrence: v.recurrence(), For: v.at("for").lasting(maxWindow)}
	if !v.has("cron") && !v.has("rrule") {
		v.wrong("does not say when: give cron, like \"0 2 * * tue\", or rrule, like \"FREQ=WEEKLY;BYDAY=TU;BYHOUR=2\"")
	}
	switch at := v.at("for"); {
	case !at.there():
		at.wrong("is missing: how long the window is, like 4h")
	case w.For < minWindow && w.For > 0:
		at.wrong("is too short: %s at least, which EKS takes for a control plane", minWindow)
	}
	return w
}

// lasting is a duration of more than nothing, up to a longest one.
func (v value) lasting(most time.Duration) time.Duration {
	d := v.positive(0)
	if d > most {
		v.wrong("is too long: %dd at most", int(most.Hours()/24))
		return 0
	}
	return d
}

// blackout reads a time in which nothing is started: once, or again and again.
func (v value) blackout(names names) fleet.Blackout {
	b := fleet.Blackout{Name: names.of(v, "blackouts"), Recurrence: v.recurrence(), For: v.at("for").lasting(maxBlackout)}
	again, zone := v.has("cron") || v.has("rrule"), b.Zone
	for name, to := range map[string]*time.Time{"from": &b.From, "until": &b.Until} {
		if v.has(name) || !again { // of one that comes again they are the first and the last time, and may be left out
			*to = v.at(name).moment(zone)
		}
	}
	switch long := v.at("for"); {
	case again && !long.there():
		long.wrong("is missing: how long the blackout is, like 8h")
	case !again && long.there():
		long.wrong("is for blackouts that come again, with cron or rrule: give until")
	}
	if !b.From.IsZero() && !b.Until.IsZero() && !b.Until.After(b.From) {
		v.at("until").wrong("is not after from")
	} else if !b.Until.IsZero() {
		v.r.dated = append(v.r.dated, dated{at: v.at("until"), until: b.Until})
	}
	if !again {
		b.Zone = fleet.TimeZone{} // its times have it
	}
	return b
}

// fleetPolicyFields are those of a FleetPolicy.
const fleetPolicyFields = `apiVersion
kind
metadata
  name
rings
  name
  atOnce
  soak
  failures
blackouts
  name
  from
  until
  cron
  rrule
  timeZone
  for
calls
`

const (
	maxRings = 50
	// maxCalls is a bound of sense: EKS publishes no rates, and slows callers down at some tens of calls a second.
	maxCalls    = 3000
	maxClusters = 10_000
)

// fleetPolicy reads what holds for all clusters: the defaults, and what the document says otherwise.
func (v value) fleetPolicy() fleet.FleetPolicy {
	v.at("metadata", "name").text("")
	p := fleet.DefaultFleetPolicy()
	names := newNames()
	if list := v.at("rings"); list.there() {
		p.Rings = nil
		for _, item := range list.mappings() {
			r := fleet.Ring{Name: names.of(item, "rings"), AtOnce: 1, Soak: item.at("soak").atMost(0, maxLead), Failures: item.at("failures").within(0, maxClusters)}
			if at := item.at("atOnce"); at.there() {
				r.AtOnce = max(at.within(1, maxClusters), 1)
			}
			p.Rings = append(p.Rings, r)
		}
		if len(p.Rings) == 0 || len(p.Rings) > maxRings {
			list.wrong("has %d rings: 1 to %d are possible", len(p.Rings), maxRings)
		}
	}
	for _, item := range v.at("blackouts").mappings() {
		p.Blackouts = append(p.Blackouts, item.blackout(names))
	}
	if at := v.at("calls"); at.there() {
		p.Calls = max(at.within(1, maxCalls), 1)
	}
	p.Notifications = v.at("notifications").notifications()
	return p
}
