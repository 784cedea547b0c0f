package cluster

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/ledger"
)

// inBubble runs f with a clock of its own.
func inBubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

// plain is the undisturbed creation: its end, and how many calls it takes.
func plain(t *testing.T) (want []string, calls int) {
	inBubble(t, func(t *testing.T) {
		r := create(t, 0, nil, func(int, string) event { return nothing })
		want, calls = r.shape(), r.script.calls
	})
	return want, calls
}

func TestCreate(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		start := time.Now()
		r := create(t, time.Second, nil, nil)
		took := time.Since(start)
		done := r.finished()
		if len(done) != 1 || done[0].Outcome != events.OutcomeActive {
			t.Fatalf("%+v", done)
		}
		// Nine minutes for the control plane, two for the node groups: what comes on top is ours.
		if took > 13*time.Minute {
			t.Errorf("it took %s of AWS's 11 minutes", took)
		}
		writes := r.script.writes
		t.Logf("%s, %d writes, %d calls in all, %v, %v", took, writes, r.script.calls, done[0].Timings, done[0].Counts)
		if int64(writes) < done[0].Counts["writes"] {
			t.Errorf("%d writes, reported %v", writes, done[0].Counts)
		}

		// The same again, and a sweep: nothing is written, and only the one who asked hears of it.
		r.script.writes = 0
		calls := r.script.calls
		r.send(&events.ClusterSweepRequested{})
		r.run()
		t.Logf("a sweep of a complete cluster takes %d calls", r.script.calls-calls)
		r.ask("request-2", demo(t), false)
		r.run()
		if done = r.finished(); r.script.writes != 0 || len(done) != 2 || done[1].Outcome != events.OutcomeActive || done[1].Counts["writes"] != 0 {
			t.Errorf("%d writes, %+v", r.script.writes, done)
		}
		steps := map[string]int{}
		for _, e := range r.bus.list {
			if p, ok := e.Payload.(*events.RunProgressed); ok {
				steps[p.Step]++
			}
		}
		if steps["CreateCluster"] != 1 || steps["CreateNodeGroup"] != 2 || steps["Ready"] < 3 || steps["Note"] != 0 {
			t.Errorf("progress %v", steps)
		}
	})
}

// TestRepair: a sweep puts back what somebody took away.
func TestRepair(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := create(t, 0, nil, nil)
		r.world.o.Access = nil
		delete(r.world.o.Entries, role)
		r.script.writes = 0
		r.send(&events.ClusterSweepRequested{})
		r.run()
		done := r.finished()
		if r.script.writes != 2 || len(done) != 2 || done[1].Outcome != events.OutcomeActive || done[1].Counts["writes"] != 2 {
			t.Errorf("%d writes, %+v", r.script.writes, done)
		}
	})
}

// TestAtEveryCall: an invocation is killed, a call fails, an answer is lost, at each call of the creation in turn. The end
// is always the same.
func TestAtEveryCall(t *testing.T) {
	want, calls := plain(t)
	t.Logf("%d calls", calls)
	if testing.Short() {
		t.Skip("thousands of creations")
	}
	for name, e := range map[string]event{"fails": failsBefore, "answer lost": failsAfter, "killed before": killedBefore, "killed after": killedAfter} {
		t.Run(name, func(t *testing.T) {
			for _, stale := range []time.Duration{0, 3 * time.Second} {
				step := 1
				if stale > 0 {
					step = 3
				}
				for n := 1; n <= calls; n += step {
					what := ""
					inBubble(t, func(t *testing.T) {
						r := create(t, stale, nil, func(i int, op string) event {
							if i == n {
								what = fmt.Sprintf("%s at call %d (%s), reads %s late", name, n, op, stale)
								return e
							}
							return nothing
						})
						complete(t, r, want, what)
					})
				}
			}
		})
	}
}

// TestTwice: every message is delivered twice at the same time.
func TestTwice(t *testing.T) {
	want, _ := plain(t)
	for _, stale := range []time.Duration{0, 3 * time.Second} {
		inBubble(t, func(t *testing.T) {
			r := create(t, stale, func() bool { return true }, nil)
			complete(t, r, want, "twice")
			if n := len(r.finished()); n != 1 {
				t.Errorf("the end was reported %d times", n)
			}
		})
	}
}

// TestHostile: failures of all kinds at random, messages delivered twice.
func TestHostile(t *testing.T) {
	want, _ := plain(t)
	for seed := range uint64(200) {
		inBubble(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			kills := 0
			r := create(t, time.Duration(random.IntN(5))*time.Second, func() bool { return seed%3 == 0 && random.IntN(10) == 0 }, func(int, string) event {
				switch random.IntN(100) {
				case 0:
					return failsBefore
				case 1:
					return failsAfter
				case 2:
					if kills++; kills < 4 { // a fifth receipt of one message would be the last
						return killedAfter
					}
				}
				return nothing
			})
			complete(t, r, want, fmt.Sprintf("seed %d", seed))
		})
	}
}

func TestWrongSpec(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		r.ask("request-1", strings.Replace(demo(t), "minSize: 1", "minSize: 99", 1), false)
		r.ask("request-2", strings.ReplaceAll(demo(t), "us-east-1", "eu-west-1"), false)
		r.ask("request-3", "nonsense", false)
		r.run()
		done := r.finished()
		if len(done) != 3 || len(r.queue.dlq) != 3 || r.script.writes != 0 {
			t.Fatalf("%d reports, %d rejected, %d writes", len(done), len(r.queue.dlq), r.script.writes)
		}
		for i, want := range []string{"line 35: managedNodeGroups[0].minSize: 99 is more than maxSize 6", "this ekspedite looks after us-east-1", "line 1"} {
			if done[i].Outcome != events.OutcomeFailed || !strings.Contains(done[i].Reason, want) || !strings.Contains(r.queue.dlq[i], want) {
				t.Errorf("%+v\n%s", done[i], r.queue.dlq[i])
			}
		}
	})
}

func TestDryRun(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		r.ask("request-1", demo(t), true)
		r.run()
		done := r.finished()
		l := &ledger.Ledger{Store: r.store, Now: time.Now}
		names, err := l.Clusters(context.Background())
		if r.script.writes != 0 || len(done) != 1 || done[0].Outcome != events.OutcomeNothingToDo || done[0].Counts["planned"] < 25 || err != nil || len(names) != 0 {
			t.Errorf("%d writes, %+v, %v %v", r.script.writes, done, names, err)
		}
		var lines []string
		for _, e := range r.bus.list {
			if p, ok := e.Payload.(*events.RunProgressed); ok && p.Step == "Planned" {
				lines = append(lines, p.Detail)
			}
		}
		if int64(len(lines)) != done[0].Counts["planned"] || !strings.Contains(lines[len(lines)-1], "node group") {
			t.Errorf("%q", lines)
		}
	})
}

// TestFailure: what EKS says of a node group that could not be made is what the report says, and a sweep does not repeat it.
func TestFailure(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		r.world.fails["spot"] = "AsgInstanceLaunchFailures: no capacity"
		r.ask("request-1", demo(t), false)
		r.run()
		r.send(&events.ClusterSweepRequested{})
		r.run()
		done := r.finished()
		if len(done) != 1 || done[0].Outcome != events.OutcomeFailed || !strings.Contains(done[0].Reason, "node group spot is CREATE_FAILED: AsgInstanceLaunchFailures: no capacity") {
			t.Errorf("%+v", done)
		}
	})
}

// TestNotOurs: a cluster and a role that others made are left alone.
func TestNotOurs(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		r.world.o.Control = &fleet.ControlPlane{Cluster: fleet.Cluster{Name: "demo", Status: "ACTIVE"}, RoleARN: "arn:aws:iam::123456789012:role/theirs"}
		r.world.o.Control.VPC = "vpc-theirs"
		for _, z := range r.world.o.Zones {
			r.world.o.Network.Subnets = append(r.world.o.Network.Subnets, fleet.Subnet{ID: "subnet-" + z.Name, Resource: "subnet/public/" + z.Name, VPC: "vpc-theirs", Zone: z.Name, CIDR: "10.42.0.0/24"})
		}
		r.ask("request-1", demo(t), false)
		r.run()
		done := r.finished()
		if len(done) != 1 || done[0].Outcome != events.OutcomeFailed || !strings.Contains(done[0].Reason, "ekspedite did not make") {
			t.Errorf("%+v", done)
		}
		for _, w := range r.world.writes {
			if strings.Contains(w, "node group") || strings.Contains(w, "let ") {
				t.Errorf("wrote %q", w)
			}
		}
	})
}

// TestSuperseded: a newer request ends the run of an older one, which changes nothing when it comes again.
func TestSuperseded(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		r.ask("request-1", demo(t), false)
		old := *r.queue.list[0]
		r.runFor(3 * time.Minute)
		larger := strings.Replace(demo(t), "maxSize: 4", "maxSize: 9", 1)
		r.ask("request-2", larger, false)
		r.run()
		r.queue.send(old.body, 0)
		r.run()
		done := r.finished()
		if len(done) != 2 || done[0].Outcome != events.OutcomeSuperseded || done[1].Outcome != events.OutcomeActive || r.world.o.Groups["on-demand"].Max != 9 {
			t.Errorf("%+v; %+v", done, r.world.o.Groups["on-demand"])
		}
	})
}

// TestMany: one file with several clusters, each with a message of its own, and a sweep over all.
func TestMany(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		second := strings.NewReplacer("name: demo ", "name: other", "name: demo\n", "name: other\n").Replace(demo(t))
		r.ask("request-1", demo(t)+"---\n"+second, false)
		r.runFor(time.Second)
		names := map[string]bool{}
		for _, m := range r.queue.list {
			e, err := events.Decode([]byte(m.body))
			if err != nil {
				t.Fatal(err)
			}
			names[e.Payload.(*events.ClusterContinuation).Cluster] = true
		}
		if !names["demo"] || !names["other"] {
			t.Errorf("%v", names)
		}
	})
}

// TestLostContinuation: a sweep goes on with a run whose message was lost.
func TestLostContinuation(t *testing.T) {
	want, _ := plain(t)
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		r.ask("request-1", demo(t), false)
		r.runFor(2 * time.Minute)
		r.queue.list = nil
		r.send(&events.ClusterSweepRequested{})
		r.runFor(15 * time.Minute)
		r.send(&events.ClusterSweepRequested{})
		r.run()
		complete(t, r, want, "lost continuation")
	})
}
