package ecsdrain

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/interruption"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// anything is an observation of any kind, and a time to look at it.
func anything(rnd *rand.Rand) (time.Time, Observation, fleet.InterruptionPolicy) {
	pick := func(list ...string) string { return list[rnd.IntN(len(list))] }
	half := func() bool { return rnd.IntN(2) == 0 }
	o := spot()
	o.Instance.State = pick("running", "running", "running", "shutting-down", "terminated")
	o.Container.Status = pick(fleet.ContainerActive, fleet.ContainerActive, fleet.ContainerDraining, "REGISTERING")
	o.Container.Connected, o.Began, o.Attempt = half(), half(), rnd.IntN(200)
	o.Provider = fleet.CapacityProvider{Draining: rnd.IntN(4) == 0, Protection: rnd.IntN(4) == 0}
	o.Tasks = nil
	for range rnd.IntN(5) {
		o.Tasks = append(o.Tasks, fleet.Task{ARN: pick("t/a", "t/b", "t/c"), Group: pick("service:web", "family:job"), LastStatus: pick("RUNNING", "RUNNING", "STOPPING", "STOPPED"),
			DesiredStatus: pick("RUNNING", "RUNNING", "STOPPED"), StopTimeout: time.Duration(rnd.IntN(600)) * time.Second, Protected: half(), Until: start.Add(time.Duration(rnd.IntN(120)) * time.Minute)})
	}
	switch rnd.IntN(4) {
	case 0:
		voluntary(&o)
	case 1:
		hooked(&o)
	}
	for _, p := range []Part{PartContainer, PartTasks, PartTimeouts, PartProtection, PartGroup, PartProvider} {
		if rnd.IntN(8) == 0 {
			if o.Incomplete == nil {
				o.Incomplete = map[Part]string{}
			}
			o.Incomplete[p] = "broken"
		}
	}
	if o.unread(PartContainer) || rnd.IntN(10) == 0 {
		o.Container = nil
	}
	policy := fleet.DefaultPolicy().Interruption
	policy.Rebalance = fleet.RebalanceDrain
	return start.Add(time.Duration(rnd.IntN(1200)) * time.Second), o, policy
}

// What holds for every decision.
func TestDecideProperties(t *testing.T) {
	rnd := rand.New(rand.NewPCG(6, 6))
	seen := map[string]int{}
	for n := range 200_000 {
		now, o, policy := anything(rnd)
		p, err := Decide(now, o, policy)
		if err != nil {
			t.Fatal(err)
		}
		var stops, drains, beats, completed int
		for _, s := range p.Steps {
			for _, a := range s.Actions {
				seen[a.Kind()]++
				switch a := a.(type) {
				case plan.StopTask:
					stops++
					i := slices.IndexFunc(o.Tasks, func(x fleet.Task) bool { return x.ARN == a.Task && !x.Stopping() })
					if i < 0 || !o.Signal.Involuntary || now.Before(stopAt(o.Signal.Deadline, o.Tasks[i], policy)) && slices.IndexFunc(o.Tasks[i+1:], func(x fleet.Task) bool { return x.ARN == a.Task }) < 0 {
						t.Fatalf("%d: %s is stopped by choice, twice, or before it has to be", n, a.Task)
					}
				case plan.DrainContainerInstance:
					drains++
					if o.Container.Status != fleet.ContainerActive || !o.Signal.Involuntary && len(protected(now, o.Tasks)) > 0 {
						t.Fatalf("%d: %s is drained, with %v", n, o.Container.Status, o.Tasks)
					}
				case plan.ReplaceInstance:
					if !o.Signal.Involuntary || o.Signal.Hook != nil || o.Provider.Draining || o.Provider.Protection {
						t.Fatalf("%d: replaced although it is not ours to replace", n)
					}
				case plan.Heartbeat:
					beats++
				case plan.CompleteLifecycleAction:
					completed++
				}
			}
		}
		seen[p.Outcome]++
		over := p.Outcome != ""
		switch {
		case over == (p.LookAgain > 0):
			t.Fatalf("%d: neither over nor to be looked at again, or both: %+v", n, p)
		case !over && (p.LookAgain < time.Second || p.LookAgain > calm):
			t.Fatalf("%d: looks again in %s", n, p.LookAgain)
		case o.Signal.Hook != nil && (over != (completed == 1) || over == (beats == 1)):
			t.Fatalf("%d: the hook is completed %d times, kept %d times, over %t", n, completed, beats, over)
		case dead(o) && stops+drains > 0:
			t.Fatalf("%d: a dead machine is written to", n)
		case p.Outcome == interruption.Drained && o.Container != nil && !o.unread(PartTasks) && len(remaining(o.Tasks)) > 0:
			t.Fatalf("%d: drained, with %v", n, o.Tasks)
		case !over && !o.Signal.Deadline.IsZero() && now.Add(p.LookAgain).After(o.Signal.Deadline.Add(time.Second)):
			t.Fatalf("%d: the next look is after the machine's end", n)
		}
	}
	for _, want := range []string{"StopTask", "DrainContainerInstance", "ReplaceInstance", "Heartbeat", "CompleteLifecycleAction", interruption.Drained, interruption.PartiallyDrained, interruption.NodeKept, interruption.NothingToDo} {
		if seen[want] < 100 {
			t.Errorf("%s was decided %d times: the test sees too little", want, seen[want])
		}
	}
}
