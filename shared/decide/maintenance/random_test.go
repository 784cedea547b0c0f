package maintenance

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// zones change their clocks by an hour, half an hour, at midnight, in the night's last minute, by a whole day, and never.
var zones = []string{"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo", "Africa/Cairo", "America/St_Johns",
	"Pacific/Apia", "America/Santiago", "Asia/Kathmandu", "Africa/Casablanca", "Atlantic/Azores", "America/Havana", "UTC"}

func random(r *rand.Rand) schedule {
	zone := pick(r, zones)
	base := moment(r, zone)
	s := schedule{now: base.Add(time.Duration(r.IntN(6*24*60)-3*24*60) * time.Minute), takes: time.Duration(r.IntN(200)) * time.Minute}
	if r.IntN(2) == 0 {
		s.now = base.Add(time.Duration(r.IntN(8*60)-4*60) * time.Minute)
	}
	switch r.IntN(8) {
	case 0:
		s.takes = 0
	case 1:
		s.takes = time.Duration(r.IntN(27*60)) * time.Minute
	}
	s.ignore = r.IntN(10) == 0
	for i := range min(r.IntN(5), 3) {
		if r.IntN(3) == 0 {
			zone = pick(r, zones)
		}
		p := recurrence(r, zone, base)
		s.windows = append(s.windows, p)
		s.calendar.Windows = append(s.calendar.Windows, fleet.MaintenanceWindow{Name: fmt.Sprint("w", i), Recurrence: p.Recurrence, For: long(r)})
	}
	for range r.IntN(3) {
		b := fleet.Blackout{From: base.Add(time.Duration(r.IntN(8*24*60)-4*24*60) * time.Minute)}
		b.Until = b.From.Add(time.Duration(1+r.IntN(2*24*60)) * time.Minute)
		var p pattern
		if r.IntN(2) == 0 {
			p = recurrence(r, zone, base)
			b = fleet.Blackout{Recurrence: p.Recurrence, For: (long(r) / 4).Truncate(time.Minute)}
		}
		s.blackouts = append(s.blackouts, p)
		s.calendar.Blackouts = append(s.calendar.Blackouts, b)
	}
	for i := range max(r.IntN(6)-3, 0) {
		f := fleet.Freeze{Name: fmt.Sprint("f", i), From: base.Add(time.Duration(r.IntN(8*24*60)-4*24*60) * time.Minute)}
		if r.IntN(4) > 0 {
			f.Until = f.From.Add(time.Duration(1+r.IntN(24*60)) * time.Minute)
		}
		s.calendar.Freezes = append(s.calendar.Freezes, f)
	}
	return s
}

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

// moment is near a change of the clocks, if the zone has them; in whole minutes.
func moment(r *rand.Rand, zone string) time.Time {
	l := location(zone)
	at := time.Date(2005+r.IntN(26), 1, 1+r.IntN(365), 0, r.IntN(24*60), 0, 0, time.UTC)
	if _, end := at.In(l).ZoneBounds(); !end.IsZero() && r.IntN(4) > 0 {
		return end.UTC().Truncate(time.Minute)
	}
	return at
}

func location(zone string) *time.Location {
	z, err := fleet.ParseTimeZone(zone)
	if err != nil {
		panic(err)
	}
	return z.Location
}

func long(r *rand.Rand) time.Duration {
	switch r.IntN(5) {
	case 0:
		return time.Duration(1+r.IntN(4)) * 2 * time.Hour // windows of every few hours touch
	case 1:
		return time.Duration(4+r.IntN(26*60-4)) * time.Minute
	}
	return time.Duration(4+r.IntN(8*60)) * time.Minute
}

var dayNames = []string{"SU", "MO", "TU", "WE", "TH", "FR", "SA"}

// recurrence makes one up, and says of each minute on the wall whether it is one of its times.
func recurrence(r *rand.Rand, zone string, base time.Time) pattern {
	p := pattern{zone: location(zone)}
	p.Zone = fleet.TimeZone{Location: p.zone}
	hour, minute := r.IntN(24), r.IntN(12)*5
	if r.IntN(2) == 0 {
		hour, minute = r.IntN(4), r.IntN(4)*15 // when clocks are changed
	}
	at := func(wall int) bool { return wall%1440 == hour*60+minute }
	date := func(wall int) time.Time { return time.Unix(int64(wall/1440)*86400, 0).UTC() }
	var days []time.Weekday
	var numbers, names []string
	for d := range 7 {
		if r.IntN(3) > 0 {
			days, numbers, names = append(days, time.Weekday(d)), append(numbers, fmt.Sprint(d)), append(names, dayNames[d])
		}
	}
	if len(days) == 0 {
		days, numbers, names = []time.Weekday{2}, []string{"2"}, []string{"TU"}
	}
	start := base.AddDate(0, 0, -r.IntN(40)).Truncate(24 * time.Hour).Add(time.Duration(hour*60+minute) * time.Minute)
	started, every := minuteOf(start), 1+r.IntN(3)
	head := "DTSTART:" + start.Format("20060102T150405") + "\nRRULE:"
	text, isCron := "", false
	switch r.IntN(8) {
	case 0:
		isCron, text = true, fmt.Sprintf("%d %d * * *", minute, hour)
		p.matches = at
	case 1:
		isCron, text = true, fmt.Sprintf("%d %d * * %s", minute, hour, strings.Join(numbers, ","))
		p.matches = func(w int) bool { return at(w) && slices.Contains(days, date(w).Weekday()) }
	case 2:
		isCron, text = true, fmt.Sprintf("%d */%d * * *", minute, every*2)
		p.matches = func(w int) bool { return w%60 == minute && w/60%24%(every*2) == 0 }
	case 3: // weeks begin on Monday; the 5th of January 1970 was one
		week := func(w int) int { return (w/1440 - 4 + 7*1000) / 7 }
		text = head + fmt.Sprintf("FREQ=WEEKLY;INTERVAL=%d;BYDAY=%s", every, strings.Join(names, ","))
		p.matches = func(w int) bool {
			return at(w) && w >= started && slices.Contains(days, date(w).Weekday()) && (week(w)-week(started))%every == 0
		}
	case 4:
		text = head + fmt.Sprintf("FREQ=DAILY;INTERVAL=%d", every)
		p.matches = func(w int) bool { return at(w) && w >= started && (w-started)%(every*1440) == 0 }
	case 5:
		text = fmt.Sprintf("FREQ=MONTHLY;BYDAY=%d%s;BYHOUR=%d;BYMINUTE=%d", every, names[0], hour, minute)
		p.matches = func(w int) bool {
			d := date(w)
			return at(w) && d.Weekday() == days[0] && d.AddDate(0, 0, -7*every).Month() != d.Month() && d.AddDate(0, 0, 7-7*every).Month() == d.Month()
		}
	case 6: // the last such day of the month
		text = fmt.Sprintf("FREQ=MONTHLY;BYDAY=%s;BYSETPOS=-1;BYHOUR=%d;BYMINUTE=%d", strings.Join(names, ","), hour, minute)
		p.matches = func(w int) bool {
			d := date(w)
			if !at(w) || !slices.Contains(days, d.Weekday()) {
				return false
			}
			for later := d.AddDate(0, 0, 1); later.Month() == d.Month(); later = later.AddDate(0, 0, 1) {
				if slices.Contains(days, later.Weekday()) {
					return false
				}
			}
			return true
		}
	case 7:
		count := 1 + r.IntN(60)
		text = head + fmt.Sprintf("FREQ=DAILY;COUNT=%d", count)
		p.matches = func(w int) bool { return at(w) && w >= started && w < started+count*1440 }
	}
	var err error
	if isCron {
		p.Cron, err = fleet.ParseCron(text)
	} else {
		p.RRule, err = fleet.ParseRRule(text)
	}
	if err != nil {
		panic(err)
	}
	return p
}
