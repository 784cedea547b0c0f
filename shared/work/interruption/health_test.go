package interruption_test

import (
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/internal/cloudtest"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// One Health event in two pages, each delivered twice and copied by the backup Region, with machines of ours, of nobody's and of none
// at all: each of ours is drained once and replaced, and nothing else is touched.
func TestR6_AHealthEventDrainsExactlyOurs(t *testing.T) {
	inRegions(t, away, func(t *testing.T, r *fleetRig) {
		ours := r.machinesOf(near)[:3]
		foreign := r.stray()
		wanted := r.shape(near)
		page := func(n string, id string, list ...entity) string {
			return healthEvent(id, list, func(d map[string]any) { impairedNow(d); d["page"], d["totalPages"] = n, "2" })
		}
		one := page("1", "h-1", entity{ours[0], "IMPAIRED"}, entity{foreign, "IMPAIRED"}, entity{ours[1], "IMPAIRED"})
		two := page("2", "h-2", entity{"i-0aaaaaaaaaaaaaaaa", "IMPAIRED"}, entity{ours[2], "IMPAIRED"})
		for _, body := range []string{one, two, one, two, page("1", "copy-1", entity{ours[0], "IMPAIRED"}, entity{foreign, "IMPAIRED"}, entity{ours[1], "IMPAIRED"})} {
			r.Queue.Send(body, 0)
		}
		r.settle()
		r.wantEnded("AWSHealthEvent", events.OutcomeDrained, ours...)
		if r.gone(foreign) {
			t.Error("a machine of nobody's was ended")
		}
		for group, n := range r.shape(near) {
			if n != wanted[group] {
				t.Errorf("group %s wants %d machines, it wanted %d: what was ended is to be replaced", group, n, wanted[group])
			}
		}
		reads := r.calls("DescribeInstances")
		r.Queue.Send(page("1", "copy-2", entity{ours[0], "IMPAIRED"}), 0)
		r.settle()
		if again := r.calls("DescribeInstances"); again != reads {
			t.Errorf("a copy of a page cost %d calls", again-reads)
		}
	})
}

// What is over, of another account, in a Region that the role may not act in, about others than machines, or news only leads to nothing.
func TestR7_R20_HealthEventsThatLeadToNothing(t *testing.T) {
	inRegions(t, "", func(t *testing.T, r *fleetRig) { // the other Region is not allowed
		machine := r.machinesOf(near)[0]
		set := func(field string, value any) func(map[string]any) {
			return func(d map[string]any) { impairedNow(d); d[field] = value }
		}
		list := []entity{{machine, "IMPAIRED"}}
		for name, body := range map[string]string{
			"closed":          healthEvent("a", list, set("statusCode", "closed")),
			"resolved":        healthEvent("b", []entity{{machine, "RESOLVED"}}, set("communicationId", "c-b")),
			"unimpaired":      healthEvent("c", []entity{{machine, "UNIMPAIRED"}}, set("communicationId", "c-c")),
			"R20 account":     healthEvent("d", list, set("affectedAccount", "999999999999")),
			"R20 Region":      healthEvent("e", list, set("eventRegion", away)),
			"another service": healthEvent("f", list, set("service", "RDS")),
			"a notice":        healthEvent("g", list, set("eventTypeCategory", "accountNotification")),
			"no machines":     healthEvent("h", []entity{{"vol-0123456789abcdef0", "IMPAIRED"}}, impairedNow),
			"the past": healthEvent("i", []entity{{machine, "PENDING"}}, func(d map[string]any) {
				d["communicationId"], d["startTime"] = "c-i", time.Now().Add(-time.Hour).UTC().Format(healthTime)
			}),
			"an issue of none": healthEvent("j", []entity{{machine, "PENDING"}}, set("communicationId", "c-j")),
		} {
			r.Queue.Send(strings.Replace(body, "X/X_1", "X/X_"+strings.ReplaceAll(name, " ", ""), 1), 0) // each an event of its own
			r.RunUntil(func() bool { return r.Queue.Len() == 0 }, time.Now().Add(time.Minute))
			if n := len(r.drains()); n > 0 || len(r.Queue.Dead()) > 0 || r.Queue.Len() > 0 {
				t.Errorf("%s: %d drains, dead letters %v", name, n, r.Queue.Dead())
			}
		}
		plans, err := r.Ledger().PlannedDrains(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range plans {
			if !p.NextAt.IsZero() {
				t.Errorf("planned: %+v", p)
			}
		}
		if r.gone(machine) {
			t.Error("the machine was ended")
		}
	})
}

// A machine of another Region that the template allows is drained there, though the event was delivered here.
func TestR20_TheAffectedRegionCounts(t *testing.T) {
	inRegions(t, away, func(t *testing.T, r *fleetRig) {
		machine := r.machinesOf(far)[0]
		r.Queue.Send(healthEvent("h-1", []entity{{machine, "IMPAIRED"}}, func(d map[string]any) { impairedNow(d); d["eventRegion"] = away }), 0)
		r.settle()
		r.wantEnded("AWSHealthEvent", events.OutcomeDrained, machine)
		if f := r.drains()[machine][0]; f.Subject.Region != away || f.Subject.Cluster != far.Name {
			t.Errorf("%+v", f.Subject)
		}
	})
}

// everyMinute has the sweep come by its schedule.
func (r *fleetRig) everyMinute() {
	r.Every = map[time.Duration]events.OwnPayload{time.Minute: &events.InterruptionSweepRequested{}}
}

// A reboot that is announced is met by choice, at the time that the policy says: the node is drained and replaced, and not before.
func TestR7_AnAnnouncedEndIsMetInTime(t *testing.T) {
	for name, tc := range map[string]struct {
		scheduled   fleet.ScheduledAction
		code        string
		early, late time.Duration // from when on and until when it is to have begun
	}{
		"in the window":             {fleet.ScheduledWindow, "AWS_EC2_INSTANCE_REBOOT_MAINTENANCE_SCHEDULED", time.Hour, time.Hour + 2*time.Minute},
		"before the deadline":       {fleet.ScheduledBeforeDeadline, "AWS_EC2_INSTANCE_REBOOT_MAINTENANCE_SCHEDULED", 3 * time.Hour, 3*time.Hour + 2*time.Minute},
		"a retirement: immediately": {fleet.ScheduledWindow, "AWS_EC2_INSTANCE_RETIREMENT_SCHEDULED", 0, time.Minute},
		"by policy: immediately":    {fleet.ScheduledImmediately, "AWS_EC2_INSTANCE_REBOOT_MAINTENANCE_SCHEDULED", 0, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			inRegions(t, away, func(t *testing.T, r *fleetRig) {
				r.windowIn(near, time.Hour, tc.scheduled)
				r.everyMinute()
				machine, began, wanted := r.machinesOf(near)[0], time.Now(), r.shape(near)
				r.Queue.Send(healthEvent("h-1", []entity{{machine, "PENDING"}}, func(d map[string]any) {
					d["eventTypeCode"], d["startTime"] = tc.code, began.Add(4*time.Hour).UTC().Format(healthTime)
				}), 0)
				if tc.early > 0 {
					r.RunFor(tc.early - time.Minute)
					if n := len(r.drains()); n > 0 || r.gone(machine) {
						t.Fatalf("drained at %s", time.Since(began))
					}
				}
				r.RunUntil(func() bool { return r.gone(machine) }, began.Add(tc.late+5*time.Minute))
				r.RunFor(5 * time.Minute) // and nothing else comes of it
				r.wantEnded("Maintenance", events.OutcomeNodeRemoved, machine)
				if now := r.shape(near); !maps.Equal(now, wanted) {
					t.Errorf("groups want %v, they wanted %v: the machine is to be replaced", now, wanted)
				}
				if list := r.drains()[machine]; len(list) > 0 && list[0].StartedAt.After(began.Add(tc.late)) {
					t.Errorf("begun after %s", list[0].StartedAt.Sub(began))
				}
			})
		})
	}
}

// A planned drain that is cancelled does not begin.
func TestR7_ACancelledPlan(t *testing.T) {
	inRegions(t, away, func(t *testing.T, r *fleetRig) {
		r.windowIn(near, 30*time.Minute, fleet.ScheduledWindow)
		r.everyMinute()
		machine, start := r.machinesOf(near)[0], time.Now().Add(4*time.Hour).UTC().Format(healthTime)
		r.Queue.Send(healthEvent("h-1", []entity{{machine, "PENDING"}}, func(d map[string]any) { d["startTime"] = start }), 0)
		r.RunFor(10 * time.Minute)
		if plans, err := r.Ledger().PlannedDrains(t.Context()); err != nil || len(plans) != 1 || plans[0].NextAt.IsZero() || plans[0].Cluster != near.Name {
			t.Fatalf("planned %+v, %v", plans, err)
		}
		r.Queue.Send(healthEvent("h-2", []entity{{machine, "RESOLVED"}}, func(d map[string]any) { d["startTime"], d["communicationId"] = start, "c-2" }), 0)
		r.RunFor(2 * time.Hour)
		r.wantEnded("", "")
		if r.gone(machine) {
			t.Error("the machine was ended")
		}
	})
}

// Where nobody gives way by choice, the node goes on working until the last quarter of an hour; then it is drained whatever holds,
// and its pods get their SIGTERM before the machine goes.
func TestR10_APlannedDrainPressesAtTheEnd(t *testing.T) {
	inRegions(t, away, func(t *testing.T, r *fleetRig) {
		r.windowIn(near, 30*time.Minute, fleet.ScheduledWindow)
		r.everyMinute()
		machine, began := r.machinesOf(near)[0], time.Now()
		start := began.Add(5 * time.Hour)
		r.held = map[string]bool{machine: true}
		r.Queue.Send(healthEvent("h-1", []entity{{machine, "PENDING"}}, func(d map[string]any) { d["startTime"] = start.UTC().Format(healthTime) }), 0)
		r.RunUntil(func() bool { return r.gone(machine) }, start.Add(time.Minute))
		drains := r.drains()[machine]
		if len(drains) < 2 || drains[0].Outcome != events.OutcomeNodeKept || r.forced[machine].IsZero() {
			t.Fatalf("drains %+v, forced at %s", drains, r.forced[machine])
		}
		grace := 30 * time.Second
		if at := r.forced[machine]; at.Before(start.Add(-15*time.Minute)) || at.Add(grace).After(start.Truncate(time.Second)) {
			t.Errorf("the pod got its SIGTERM at %s, the machine goes at %s", at, start)
		}
		last := drains[len(drains)-1]
		if last.Outcome != events.OutcomeDrained || last.Counts["podsForced"] != 1 || !r.gone(machine) {
			t.Errorf("the last drain: %+v", last)
		}
	})
}

// Every call that a Health event, the plan, the messages and the drain make goes wrong in every way; the end is the same. A build takes
// every seventh call in a way of its own, EVERY_CALL=all all in all ways.
func TestR6_R7_EveryCallOfAHealthEventFailsOnce(t *testing.T) {
	tell := func(r *fleetRig) []string {
		r.T.Helper()
		ours := r.machinesOf(near)[:2]
		*r.Script = cloudtest.Script{At: r.Script.At}
		r.Queue.Send(healthEvent("h-1", []entity{{ours[0], "IMPAIRED"}}, impairedNow), 0)
		r.Queue.Send(healthEvent("h-2", []entity{{ours[1], "PENDING"}}, func(d map[string]any) {
			d["eventArn"], d["eventTypeCode"] = "arn:2", "AWS_EC2_INSTANCE_RETIREMENT_SCHEDULED"
		}), 0)
		r.settle()
		return ours
	}
	calls := 0
	inRegions(t, away, func(_ *testing.T, r *fleetRig) { tell(r); calls = r.Script.Calls })
	if calls < 60 {
		t.Fatalf("only %d calls", calls)
	}
	step, ways := 7, []cloudtest.Misfortune{cloudtest.FailsBefore, cloudtest.FailsAfter, cloudtest.KilledBefore, cloudtest.KilledAfter}
	if os.Getenv("EVERY_CALL") == "all" {
		step = 1
	}
	t.Logf("%d calls", calls)
	for n := 1; n <= calls; n += step {
		for i, m := range ways {
			if step > 1 && i != (n/step)%len(ways) {
				continue
			}
			inRegions(t, away, func(t *testing.T, r *fleetRig) {
				r.Script.At = func(call int, _ string) cloudtest.Misfortune {
					if call == n {
						return m
					}
					return cloudtest.Nothing
				}
				ours, want := tell(r), []string{events.OutcomeDrained, events.OutcomeNodeRemoved}
				r.RunFor(2 * time.Minute)
				for i, id := range ours {
					runs := map[string]bool{}
					for _, f := range r.drains()[id] {
						runs[f.RunID] = true
						if f.Outcome != want[i] {
							t.Errorf("call %d, %v: %+v", n, m, f)
						}
					}
					if len(runs) != 1 || !r.gone(id) {
						t.Errorf("call %d, %v: %s: %d drains, ended %t; dead letters %v", n, m, id, len(runs), r.gone(id), r.Queue.Dead())
					}
				}
			})
		}
	}
}
