package interruption_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/internal/cloudtest"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// A machine that fails its status checks is drained when it has failed for as long as the policy says, in whatever Region, and replaced;
// one of nobody's is left alone, and what has failed for less long as well.
func TestASweepDrainsWhatFails(t *testing.T) {
	inRegions(t, away, func(t *testing.T, r *fleetRig) {
		r.everyMinute()
		here, there, foreign := r.machinesOf(near)[0], r.machinesOf(far)[0], r.stray()
		elsewhere, err := r.Cloud.In(away)
		if err != nil {
			t.Fatal(err)
		}
		began, wanted := time.Now(), r.shape(near)
		for _, err := range []error{
			r.Cloud.EC2.Impair(here, "instance", began), r.Cloud.EC2.Impair(foreign, "system", began.Add(-time.Hour)),
			elsewhere.EC2.Impair(there, "system", began.Add(-10*time.Minute)),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		r.RunFor(time.Minute)
		if r.gone(here) {
			t.Error("drained before its time")
		}
		r.RunFor(5 * time.Minute)
		r.wantEnded("StatusCheck", events.OutcomeDrained, here, there)
		if r.gone(foreign) {
			t.Error("a machine of nobody's was ended")
		}
		if late := r.drains()[here][0].StartedAt.Sub(began); late < 2*time.Minute || late > 3*time.Minute+5*time.Second {
			t.Errorf("begun %s after it failed", late)
		}
		if now := r.shape(near); !maps.Equal(now, wanted) {
			t.Errorf("groups want %v, they wanted %v", now, wanted)
		}
	})
}

// If much of a cluster fails at once nothing is drained: it is told, once.
func TestASweepDoesNotDrainAFifthOfACluster(t *testing.T) {
	inRegions(t, away, func(t *testing.T, r *fleetRig) {
		r.everyMinute()
		all := r.machinesOf(near)
		if len(all) != 6 {
			t.Fatalf("%d machines", len(all))
		}
		for _, id := range all[:2] {
			if err := r.Cloud.EC2.Impair(id, "system", time.Now().Add(-time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
		r.RunFor(10 * time.Minute)
		var told []events.RunFinished
		for _, f := range r.Finished() {
			if f.Subject.Cluster == near.Name {
				told = append(told, f)
			}
		}
		if len(told) != 1 || told[0].Outcome != events.OutcomeNothingToDo || !strings.Contains(told[0].Reason, "2 of 6 machines") || !strings.Contains(told[0].Reason, all[1]) {
			t.Errorf("told %+v", told)
		}
		if r.gone(all[0]) || r.gone(all[1]) {
			t.Error("drained")
		}
		if err := r.Cloud.EC2.Impair(all[1], "system", time.Time{}); err != nil { // it recovers, and one alone is a machine's own fault
			t.Fatal(err)
		}
		r.RunUntil(func() bool { return r.gone(all[0]) }, time.Now().Add(10*time.Minute))
		r.RunFor(2 * time.Minute)
		if !r.gone(all[0]) || r.gone(all[1]) {
			t.Errorf("ended: %t, %t", r.gone(all[0]), r.gone(all[1]))
		}
	})
}

// The policy may have failing machines reported or ignored.
func TestStatusChecksByPolicy(t *testing.T) {
	for action, told := range map[fleet.StatusAction]int{fleet.StatusReport: 1, fleet.StatusIgnore: 0} {
		inRegions(t, away, func(t *testing.T, r *fleetRig) {
			r.everyMinute()
			r.Change(near, func(p *fleet.Policy) { p.Interruption.StatusChecks.Action = action })
			machine := r.machinesOf(near)[0]
			if err := r.Cloud.EC2.Impair(machine, "instance", time.Now().Add(-time.Hour)); err != nil {
				t.Fatal(err)
			}
			r.RunFor(5 * time.Minute)
			if n := len(r.Finished()); n != told || r.gone(machine) {
				t.Errorf("%s: told %d times, want %d; ended %t", action, n, told, r.gone(machine))
			}
		})
	}
}

// What EC2 has scheduled is found without an event, and given up when EC2 takes it back; with Health's word of the same it is one drain.
func TestASweepFindsWhatIsScheduled(t *testing.T) {
	inRegions(t, away, func(t *testing.T, r *fleetRig) {
		r.everyMinute()
		r.windowIn(near, 30*time.Minute, fleet.ScheduledWindow)
		machines, start := r.machinesOf(near), time.Now().Add(4*time.Hour)
		for _, id := range machines[:2] {
			if _, err := r.Cloud.EC2.Schedule(id, "system-reboot", "scheduled reboot", start); err != nil {
				t.Fatal(err)
			}
		}
		r.Queue.Send(healthEvent("h-1", []entity{{machines[0], "PENDING"}}, func(d map[string]any) { d["startTime"] = start.UTC().Format(healthTime) }), 0)
		r.RunFor(10 * time.Minute)
		writes := r.calls("ledger.Put " + region + "/" + machines[0])
		if plans, err := r.Ledger().PlannedDrains(t.Context()); err != nil || len(plans) != 2 || writes != 2 {
			t.Fatalf("%d plans, %v; %d writes of one, Health's and EC2's word of it are two", len(plans), err, writes)
		}
		if err := r.Cloud.EC2.Cancel(machines[1]); err != nil {
			t.Fatal(err)
		}
		r.RunUntil(func() bool { return r.gone(machines[0]) }, time.Now().Add(time.Hour))
		r.RunFor(30 * time.Minute)
		r.wantEnded("Maintenance", events.OutcomeNodeRemoved, machines[0])
	})
}

// A sweep of a fleet in order writes nothing, and asks EC2 three times in each Region.
func TestACalmSweepIsCheap(t *testing.T) {
	inRegions(t, away, func(t *testing.T, r *fleetRig) {
		*r.Script = cloudtest.Script{}
		r.Send(&events.InterruptionSweepRequested{})
		r.settle()
		ops := map[string]int{}
		for _, o := range r.Script.Ops {
			ops[o]++
		}
		want := map[string]int{"DescribeInstanceStatus": 6, "ledger.Query planned": 1, "ledger.Query clusters": 1, "Publish": 1}
		if !maps.Equal(ops, want) {
			t.Errorf("%v, want %v", ops, want)
		}
	})
}

// The end of a Capacity Block names no instance: its machines are found by the reservation, drained before they go, and not replaced,
// since there is nothing to replace them from. Both spellings of the event are one.
func TestR21_ACapacityBlockEnds(t *testing.T) {
	inRegions(t, away, func(t *testing.T, r *fleetRig) {
		const reservation = "cr-0a1b2c3d4e5f67890"
		ours, foreign, wanted := r.machinesOf(near)[:2], r.stray(), r.shape(near)
		end := time.Now().Add(40 * time.Minute).UTC().Truncate(time.Second)
		in, err := r.Cloud.EC2.EndBlock(reservation, end.Add(-30*time.Minute), append(slices.Clone(ours), foreign)...)
		if err != nil || len(in) != 3 {
			t.Fatal(in, err)
		}
		began := time.Now()
		for i, name := range []string{"Capacity Block Expiration Warning", "Capacity Block Reservation Expiration Warning", "Capacity Block Expiration Warning"} {
			r.Queue.Send(event("aws.ec2", name, fmt.Sprintf("b-%d", i), map[string]string{"capacity-reservation-id": reservation, "end-date": end.Format(time.RFC3339)}), 0)
		}
		r.Queue.Send(event("aws.ec2", "Capacity Block Delivered", "b-9", map[string]string{"capacity-reservation-id": reservation, "end-date": end.Format(time.RFC3339)}), 0)
		r.settle()
		if now := r.shape(near); !maps.Equal(now, wanted) {
			t.Errorf("groups want %v, they wanted %v", now, wanted)
		}
		if n := r.calls("DetachInstances") + r.calls("TerminateInstanceInAutoScalingGroup"); n > 0 {
			t.Errorf("%d machines were replaced: there is nothing to replace them from", n)
		}
		if took := time.Since(began); took > time.Minute {
			t.Errorf("drained after %s", took)
		}
		r.RunFor(11 * time.Minute) // EC2 ends them
		r.wantEnded("CapacityBlockExpiration", events.OutcomeDrained, ours...)
	})
}

// R23: when the block has ended there is nothing left to do, and nothing is called.
func TestR23_ABlockThatHasEnded(t *testing.T) {
	inRegions(t, away, func(t *testing.T, r *fleetRig) {
		*r.Script = cloudtest.Script{}
		r.Queue.Send(event("aws.ec2", "Capacity Block Expiration Warning", "b-1",
			map[string]string{"capacity-reservation-id": "cr-0a1b2c3d4e5f67890", "end-date": time.Now().Add(-time.Minute).UTC().Format(time.RFC3339)}), 0)
		r.settle()
		if r.Script.Calls > 0 || len(r.Queue.Dead()) > 0 {
			t.Errorf("calls %v, dead letters %v", r.Script.Ops, r.Queue.Dead())
		}
	})
}
