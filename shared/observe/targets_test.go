package observe_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/interruption"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/observe"
)

// teller tells of one target after a while, or fails.
type teller struct {
	after time.Duration
	err   error
}

func (b teller) Targets(ctx context.Context, _ string, _ fleet.Instance) ([]fleet.Target, error) {
	select {
	case <-time.After(b.after):
		return []fleet.Target{{State: fleet.TargetHealthy}}, b.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// TestTargetReading: the cordon waits for no reading, what comes after it for one that tells in time.
func TestTargetReading(t *testing.T) {
	fresh := interruption.Observation{Signal: interruption.Signal{Involuntary: true}, Instance: &fleet.Instance{State: "running"}, Node: &fleet.Node{}}
	calm := fresh
	calm.Signal.Involuntary = false
	yes := func() bool { return true }
	for name, tc := range map[string]struct {
		o       interruption.Observation
		from    teller
		wanted  func() bool
		wait    time.Duration // before the observation is completed
		targets int
		pending bool
		unread  string
		took    time.Duration
	}{
		"read before":     {o: fresh, wait: time.Second, targets: 1},
		"not read yet":    {o: fresh, from: teller{after: time.Second}, pending: true},
		"nothing hurries": {o: calm, from: teller{after: time.Second}, targets: 1, took: time.Second},
		"never told":      {o: calm, from: teller{after: time.Hour}, unread: "deadline", took: 2 * time.Second},
		"denied":          {o: calm, from: teller{err: errors.New("AccessDenied")}, targets: 1, unread: "AccessDenied"},
		"not wanted":      {o: calm, from: teller{after: time.Hour}, wanted: func() bool { return false }},
		"no node":         {o: interruption.Observation{Signal: calm.Signal, Instance: calm.Instance}, from: teller{after: time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if tc.wanted == nil {
					tc.wanted = yes
				}
				r := observe.ReadTargets(t.Context(), tc.from, "demo", fleet.Instance{}, tc.wanted)
				time.Sleep(tc.wait)
				synctest.Wait()
				began, o := time.Now(), tc.o
				r.Into(t.Context(), &o)
				unread := o.Incomplete[interruption.PartTargets]
				if len(o.Targets) != tc.targets || o.TargetsPending != tc.pending || (tc.unread == "") != (unread == "") || !strings.Contains(unread, tc.unread) || time.Since(began) != tc.took {
					t.Errorf("after %s: %d targets, pending %t, unread %q", time.Since(began), len(o.Targets), o.TargetsPending, unread)
				}
			})
		})
	}
	var none *observe.TargetReading
	o := calm
	if none.Into(t.Context(), &o); o.Targets != nil || o.Incomplete != nil {
		t.Errorf("no reading: %+v", o)
	}
}

// TestTargetReadingEndsWithTheInvocation.
func TestTargetReadingEndsWithTheInvocation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		r := observe.ReadTargets(ctx, teller{after: time.Hour}, "demo", fleet.Instance{}, func() bool { return true })
		time.AfterFunc(time.Second/2, cancel)
		o := interruption.Observation{Instance: &fleet.Instance{}, Node: &fleet.Node{}}
		if r.Into(ctx, &o); o.Incomplete[interruption.PartTargets] == "" {
			t.Error("targets that were not read are taken for none")
		}
	})
}
