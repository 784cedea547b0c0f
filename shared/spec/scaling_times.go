package spec

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// names are those that the items of each list have, so that none is there twice.
type names map[string]bool

func newNames() names { return names{} }

// of is an item's name.
func (n names) of(v value, list string) string {
	at := v.at("name")
	name := at.text("")
	switch {
	case name == "":
		at.wrong("is missing")
	case !labelValue.MatchString(name):
		at.wrong("%q must be letters, digits, - and _, 63 at most", clip(name))
	case n[list+"/"+name]:
		at.wrong("%q is there twice: drop one", clip(name))
	}
	n[list+"/"+name] = true
	return name
}

// nodesReserved reads a reservation.
func (v value) nodesReserved(names names, pools []fleet.PoolPolicy) fleet.Reservation {
	r := fleet.Reservation{Name: names.of(v, "reservations"), Group: v.at("group").text(""), Pool: v.at("pool").text(""), Type: v.at("instanceType").text(""),
		Nodes: v.at("nodes").within(1, maxNodes)}
	switch {
	case r.Group == "" && r.Pool == "":
		v.wrong("says not where: give group or pool")
	case r.Group != "" && r.Pool != "":
		v.at("pool").wrong("and group exclude each other: drop one")
	case r.Pool != "" && !knows(pools, r.Pool):
		v.at("pool").wrong("there is no pool %s", clip(r.Pool))
	case r.Group != "" && r.Type != "":
		v.at("instanceType").wrong("is for pools: a group has its own")
	}
	if r.Nodes == 0 && !v.has("nodes") {
		v.at("nodes").wrong("is missing")
	}
	zone := v.at("timeZone").zone()
	r.From, r.Until = v.at("from").moment(zone), v.at("until").moment(zone)
	r.Lead = v.at("lead").duration(fleet.DefaultLead)
	if !r.From.IsZero() && !r.Until.IsZero() && !r.Until.After(r.From) {
		v.at("until").wrong("is not after from")
	}
	return r
}

// window reads a scale window.
func (v value) window(names names, pools []fleet.PoolPolicy) fleet.ScaleWindow {
	w := fleet.ScaleWindow{Name: names.of(v, "windows"), Groups: v.at("groups").texts(), Schedule: v.schedule(true), Wake: v.at("wake").boolean(false)}
	for _, f := range []struct {
		name string
		to   **int
	}{{"size", &w.Size}, {"min", &w.Min}, {"max", &w.Max}} {
		if at := v.at(f.name); at.there() {
			n := at.within(0, maxNodes)
			*f.to = &n
		}
	}
	if w.Size == nil && w.Min == nil && w.Max == nil {
		v.wrong("changes nothing: give size, min or max")
	}
	if w.Wake && w.Size == nil {
		v.at("wake").wrong("is for windows with a size")
	}
	if w.Min != nil && w.Max != nil && *w.Min > *w.Max {
		v.at("min").wrong("%d is more than max %d", *w.Min, *w.Max)
	}
	for i, item := range v.at("groups").items() {
		if i >= len(w.Groups) || !knows(pools, w.Groups[i]) {
			continue
		}
		if w.Size != nil && *w.Size > 0 {
			item.wrong("%s is a pool, and its groups come by demand: its size can be 0 only", clip(w.Groups[i]))
		}
		if w.Min != nil && *w.Min > 0 {
			item.wrong("%s is a pool, and its groups come by demand: use a reservation", clip(w.Groups[i]))
		}
	}
	return w
}

// schedule reads when something holds: from a cron time, until another one or for a while.
func (v value) schedule(needed bool) fleet.Schedule {
	s := fleet.Schedule{From: v.at("from").cron(), Until: v.at("until").cron(), For: v.at("for").positive(0), Zone: v.at("timeZone").zone()}
	switch {
	case !v.has("from") && needed:
		v.at("from").wrong("is missing: when it begins, like \"0 20 * * mon-fri\"")
	case !v.has("from") && (v.has("until") || v.has("for")):
		v.at("from").wrong("is missing: until and for count from it")
	case v.has("from") && !v.has("until") && !v.has("for"):
		v.wrong("does not say how long: give until or for")
	case v.has("until") && v.has("for"):
		v.at("for").wrong("and until exclude each other: drop one")
	}
	return s
}

func (v value) cron() fleet.Cron {
	text, ok := v.scalar()
	if !ok || text == "" {
		return fleet.Cron{}
	}
	c, err := fleet.ParseCron(text)
	if err != nil {
		v.wrong("%s", err)
	}
	return c
}

func (v value) zone() fleet.TimeZone {
	z, err := fleet.ParseTimeZone(v.text(""))
	if err != nil {
		v.wrong("%s", err)
	}
	return z
}

// moment is a point in time: with its own offset, or on the wall of the time zone.
func (v value) moment(z fleet.TimeZone) time.Time {
	text := v.text("")
	if text == "" {
		v.wrong("is missing: a time like 2026-11-27T18:00")
		return time.Time{}
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t
	}
	where := time.UTC
	if z.Location != nil {
		where = z.Location
	}
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02T15:04:05"} {
		if t, err := time.ParseInLocation(layout, text, where); err == nil {
			return t
		}
	}
	v.wrong("%q must be a time like 2026-11-27T18:00", clip(text))
	return time.Time{}
}

// share is a percentage, as a fraction.
func (v value) share(otherwise float64) float64 {
	s, ok := v.scalar()
	if !ok {
		return otherwise
	}
	n, err := strconv.ParseFloat(strings.TrimSuffix(s, "%"), 64)
	if err != nil || !strings.HasSuffix(s, "%") || !(n >= 0 && n <= 100) {
		v.wrong("%q must be a share from 0%% to 100%%", clip(s))
		return otherwise
	}
	return n / 100
}

// dollars are an amount of USD.
func (v value) dollars(otherwise float64) float64 {
	s, ok := v.scalar()
	if !ok {
		return otherwise
	}
	n, err := strconv.ParseFloat(s, 64)
	if err != nil || !(n >= 0 && n <= 1e6) {
		v.wrong("%q must be an amount of dollars, like 0.5", clip(s))
		return otherwise
	}
	return n
}

// positive is a duration that is not nothing.
func (v value) positive(otherwise time.Duration) time.Duration {
	d := v.duration(otherwise)
	if d == 0 && v.there() {
		v.wrong("must be longer than nothing")
		return otherwise
	}
	return d
}

// signed is a whole number of 32 bits.
func (v value) signed(otherwise int32) int32 {
	s, ok := v.scalar()
	if !ok {
		return otherwise
	}
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil {
		v.wrong("%q must be a whole number", clip(s))
		return otherwise
	}
	return int32(n)
}

// cpu is a quantity of cores, in thousandths; 0 where there is none.
func (v value) cpu() int64 {
	return int64(v.quantity("cores like 500m or 2", 1000, map[string]float64{"": 1, "m": 0.001}))
}

// memory is a quantity of bytes; 0 where there is none.
func (v value) memory() int64 {
	return int64(v.quantity("bytes like 512Mi or 4Gi", 1, map[string]float64{"": 1, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}))
}

func (v value) quantity(like string, scale float64, units map[string]float64) float64 {
	s, ok := v.scalar()
	if !ok {
		return 0
	}
	number := strings.TrimRight(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
	unit, known := units[s[len(number):]]
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || !known || !(n >= 0 && n*unit <= 1e15) {
		v.wrong("%q must be a number of %s", clip(s), like)
		return 0
	}
	return math.Round(n * unit * scale)
}
