package maintenance

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// The oracle goes through the minutes one by one, looks at the clock on the wall, and notes which minutes are free. It knows
// nothing of zones' bounds, of searches by date, or of merging.

// pattern is a recurrence that the test made up: its text, and whether a minute on the wall is one of its times.
type pattern struct {
	fleet.Recurrence
	matches func(wall int) bool // minutes since 1970 on the wall
	zone    *time.Location
}

// occurrences marks, for each minute from lo, whether the pattern begins then. Wall times that the clocks skip are due when the
// clocks have been put forward, repeated ones the first time: those that were not shown before.
func (p pattern) occurrences(lo, n int) []bool {
	out := make([]bool, n)
	const settle = 4 * 60 // what was shown before lo: clocks are put back by less
	seen := 0
	for u := lo - settle; u < lo+n; u++ {
		_, offset := time.Unix(int64(u)*60, 0).In(p.zone).Zone()
		wall := u + offset/60
		if u > lo-settle {
			for w := seen + 1; w <= wall; w++ {
				if u >= lo && p.matches(w) {
					out[u-lo] = true
				}
			}
		}
		seen = max(seen, wall)
	}
	return out
}

// mark sets the minutes that are at most so long after an occurrence.
func mark(minutes, begins []bool, long int) {
	left := 0
	for i, b := range begins {
		if b {
			left = long
		}
		if left > 0 {
			minutes[i] = true
			left--
		}
	}
}

// schedule is a random calendar with what the oracle needs of it.
type schedule struct {
	calendar  Calendar
	windows   []pattern
	blackouts []pattern // those that come again; the zero pattern otherwise
	now       time.Time
	takes     time.Duration
	ignore    bool
}

func minuteOf(t time.Time) int { return int(t.Unix() / 60) }

// free are the minutes from lo in which maintenance may go on.
func (s schedule) free(lo, n int) []bool {
	const back = 27 * 60 // longer than any window
	inside, shut := make([]bool, n+back), make([]bool, n+back)
	for i, w := range s.windows {
		mark(inside, w.occurrences(lo-back, n+back), int(s.calendar.Windows[i].For/time.Minute))
	}
	for i, b := range s.calendar.Blackouts {
		if s.blackouts[i].matches != nil {
			mark(shut, s.blackouts[i].occurrences(lo-back, n+back), int(b.For/time.Minute))
			continue
		}
		for u := range shut {
			shut[u] = shut[u] || u+lo-back >= minuteOf(b.From) && u+lo-back < minuteOf(b.Until)
		}
	}
	for _, f := range s.calendar.Freezes {
		for u := range shut {
			shut[u] = shut[u] || u+lo-back >= minuteOf(f.From) && (f.Until.IsZero() || u+lo-back < minuteOf(f.Until))
		}
	}
	out := make([]bool, n)
	for i := range out {
		out[i] = (inside[i+back] || s.ignore) && !shut[i+back]
	}
	return out
}

// fits tells whether a step of so many minutes may start at one of them.
func fits(free []bool, at, takes int) bool {
	for i := at; i <= at+max(takes-1, 0); i++ {
		if !free[i] {
			return false
		}
	}
	return true
}

// TestStartHoldsAgainstTheOracle: SEEDS=1000000 for the whole million.
func TestStartHoldsAgainstTheOracle(t *testing.T) {
	schedules := 10_000
	if n, err := strconv.Atoi(os.Getenv("SEEDS")); err == nil {
		schedules = n
	}
	first := uint64(1)
	if n, err := strconv.ParseUint(os.Getenv("SEED"), 10, 64); err == nil {
		first = n
	}
	violations, oks, nexts, nevers, near := 0, 0, 0, 0, 0
	for seed := first; seed < first+uint64(schedules) && violations < 10; seed++ {
		s := random(rand.New(rand.NewPCG(seed, 5)))
		if len(s.changes()) > 0 {
			near++
		}
		wrong := s.check(seed%25 == 0, &oks, &nexts, &nevers)
		if wrong != "" {
			violations++
			t.Errorf("seed %d: %s\n%s", seed, wrong, s)
		}
	}
	t.Logf("%d schedules from seed %d, %d within a day of a change of the clocks: %d may start, %d next times checked, %d without one; %d violations",
		schedules, first, near, oks, nexts, nevers, violations)
	if schedules >= 1000 && (oks < schedules/20 || nexts == 0 || nevers == 0 || near < schedules/5) {
		t.Errorf("the schedules do not try enough")
	}
}

// check holds the verdict, and if asked for the next time, against the oracle.
func (s schedule) check(next bool, oks, nexts, nevers *int) string {
	v := s.calendar.Start(s.now, s.takes, s.ignore)
	lo, takes := minuteOf(s.now), int(s.takes/time.Minute)
	ahead := takes + 1
	if next {
		ahead += 9 * 24 * 60 // farther than the first look of Start
	}
	free := s.free(lo, ahead)
	if want := fits(free, 0, takes); v.OK != want {
		return fmt.Sprintf("start %t, the oracle says %t: %+v", v.OK, want, v)
	}
	if v.OK {
		*oks++
		if !v.Until.IsZero() && v.Until.Before(s.now.Add(s.takes)) {
			return fmt.Sprintf("until %s is before its end", v.Until)
		}
		if v.Why != "" || !v.Next.IsZero() {
			return fmt.Sprintf("it may start, and yet %+v", v)
		}
	} else if v.Why == "" {
		return "it may not start, and nothing says why"
	}
	if !next || v.OK {
		return ""
	}
	*nexts++
	for i := range ahead - takes {
		at := time.Unix(int64(lo+i)*60, 0)
		switch may := fits(free, i, takes); {
		case may && !v.Next.Equal(at):
			return fmt.Sprintf("the earliest is %s, next is %s", at.UTC(), v.Next.UTC())
		case may:
			return ""
		case v.Next.Equal(at):
			return fmt.Sprintf("next is %s, and it may not start then", at.UTC())
		}
	}
	if v.Next.IsZero() {
		*nevers++
	}
	return ""
}

func (s schedule) changes() (out []time.Time) {
	for _, w := range s.windows {
		from, to := s.now.In(w.zone).ZoneBounds()
		for _, t := range []time.Time{from, to} {
			if d := t.Sub(s.now).Abs(); !t.IsZero() && d < 24*time.Hour {
				out = append(out, t)
			}
		}
	}
	return out
}

func (s schedule) String() string {
	text := fmt.Sprintf("now %s, takes %s, ignore windows %t", s.now.UTC().Format(time.RFC3339), s.takes, s.ignore)
	for _, w := range s.calendar.Windows {
		text += fmt.Sprintf("\nwindow %s for %s", w.Recurrence, w.For)
	}
	for _, b := range s.calendar.Blackouts {
		text += fmt.Sprintf("\nblackout %s for %s, %s to %s", b.Recurrence, b.For, b.From.UTC(), b.Until.UTC())
	}
	for _, f := range s.calendar.Freezes {
		text += fmt.Sprintf("\nfreeze %s to %s", f.From.UTC(), f.Until.UTC())
	}
	return text
}
