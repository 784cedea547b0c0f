package scheduler

import (
	"context"
	"time"
)

// start runs a schedule in the background until it is stopped or over. The caller holds the lock.
func (s *Service) start(groupName string, sc *schedule) {
	if sc.in.State != enabled {
		return
	}
	s.w.Go(func(ctx context.Context) {
		if s.run(ctx, sc) && sc.in.ActionAfterCompletion == "DELETE" {
			s.mu.Lock()
			defer s.mu.Unlock()
			if g := s.groups[groupName]; g != nil && g.schedules[sc.in.Name] == sc {
				delete(g.schedules, sc.in.Name)
			}
		}
	})
}

// run invokes the target at each of the schedule's times. It returns true when there will be no further one.
func (s *Service) run(ctx context.Context, sc *schedule) bool {
	// A rate counts from the start date, or from now, and its first time is the start itself.
	start := sc.modified
	if d := sc.in.StartDate; d != nil && !sc.when.OneTime() {
		start = d.Time
	}
	last := sc.modified
	if start.After(last) {
		last = start
	}
	last = last.Add(-time.Nanosecond)
	for {
		at, ok := sc.when.Next(start, last)
		if !ok || sc.in.EndDate != nil && !sc.when.OneTime() && at.After(sc.in.EndDate.Time) {
			return true
		}
		fire := at
		if n := sc.in.FlexibleTimeWindow.MaximumWindowInMinutes; n != nil {
			fire = at.Add(time.Duration(s.w.IntN(int(*n)*60)) * time.Second)
		}
		t := time.NewTimer(time.Until(fire))
		select {
		case <-t.C:
		case <-sc.stop:
			t.Stop()
			return false
		case <-ctx.Done():
			t.Stop()
			return false
		}
		last = at
		f := firing{arn: sc.arn, target: sc.in.Target, scheduled: at, executed: time.Now(), id: s.w.UUID()}
		times := 1
		if s.faults.Duplicate != nil && s.faults.Duplicate() {
			times = 2
		}
		for range times {
			s.attempt(f)
		}
	}
}
