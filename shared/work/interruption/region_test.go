package interruption_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/work/interruption"
)

// away is a Region other than the function's own.
const away = "eu-west-1"

// open is the function's way to a Region: the world, or one where there is nothing.
func (w *world) open(region string) interruption.Reach {
	if region != w.region {
		return interruption.Reach{Instances: desert{w}, Groups: desert{w}, Clusters: desert{w}}
	}
	return interruption.Reach{Instances: w, Groups: w, Clusters: w, Targets: w.targets()}
}

// desert is a Region without machines and clusters. Whatever is written there is a mistake.
type desert struct{ *world }

func (d desert) Instance(ctx context.Context, id string) (i fleet.Instance, err error) {
	err = d.call(ctx, "instance elsewhere", func() error { return fault.New(fault.NotFound, "no instance %s", id) })
	return i, err
}

func (d desert) Nodes(context.Context, string) (interruption.Nodes, error) {
	panic("a cluster was looked for where its machine is not")
}

func (d desert) GroupSize(context.Context, string) (least, desired int, err error) {
	panic("a group was looked for where its machine is not")
}

func (d desert) GroupState(context.Context, string) (fleet.GroupState, error) {
	panic("a group was looked for where its machine is not")
}

func (d desert) EndInstance(context.Context, string, string, bool) error {
	panic("a machine was ended where it is not")
}

// Policy implements interruption.Policies.
func (w *world) Policy(ctx context.Context, id fleet.ClusterID) (p fleet.Policy, err error) {
	p = fleet.DefaultPolicy()
	err = w.call(ctx, "policy", func() error {
		if id == (fleet.ClusterID{Region: w.region, Name: cluster}) {
			p = w.policy
		}
		return nil
	})
	return p, err
}

// in is a request for a node of a Region.
func in(region string) func(map[string]any) {
	return func(d map[string]any) { d["region"] = region }
}

// removingAway is removing, with the cluster in another Region than the function.
func removingAway(t *testing.T, tell func(t *testing.T, w *world, q *sqs)) {
	t.Helper()
	removing(t, func(t *testing.T, w *world, q *sqs) {
		w.region = away
		tell(t, w, q)
	})
}

// wantAway checks that all that was told and remembered is about the other Region.
func wantAway(t *testing.T, w *world) {
	t.Helper()
	told := 0
	for _, e := range w.published {
		subject := ""
		switch p := e.Payload.(type) {
		case *events.RunProgressed:
			subject = p.Subject.Region
		case *events.RunStarted:
			subject = p.Subject.Region
		case *events.RunFinished:
			subject = p.Subject.Region
		}
		if told++; subject != away || e.Region != region {
			t.Errorf("%s from %s is about Region %q", e.Kind, e.Region, subject)
		}
	}
	if told == 0 {
		t.Error("nothing was told")
	}
	for _, r := range w.runs(t) {
		if r.Subject.Region != away {
			t.Errorf("the record is about %+v", r.Subject)
		}
	}
	if d := w.drain(t); d.Region != away {
		t.Errorf("the drain is remembered for Region %q", d.Region)
	}
}

// A request says where its cluster is: there the node is drained, the machine ended, and the owner's policy asked.
func TestARemovalInAnotherRegion(t *testing.T) {
	removingAway(t, func(t *testing.T, w *world, q *sqs) {
		q.send(removal("n1", in(away)), 0)
		q.serve(t, w.work().Handle)
		wantRemoved(t, w, q)
		wantAway(t, w)
	})
}

func TestAReplacementInAnotherRegion(t *testing.T) {
	removingAway(t, func(t *testing.T, w *world, q *sqs) {
		w.sizes.least = 3
		q.send(removal("n1", in(away), replacement), 0)
		q.serve(t, w.work().Handle)
		if w.sizes.ended != 1 || w.sizes.desired != 3 || w.sizes.withPods || len(q.dlq) > 0 {
			t.Errorf("ended %d (with pods: %t), desired %d, dead letters %q", w.sizes.ended, w.sizes.withPods, w.sizes.desired, q.dlq)
		}
		if runs := w.runs(t); len(runs) != 1 || runs[0].Outcome != events.OutcomeNodeRemoved {
			t.Errorf("runs %+v", runs)
		}
		wantAway(t, w)
	})
}

func TestANodeInAnotherRegionIsKept(t *testing.T) {
	removingAway(t, func(t *testing.T, w *world, q *sqs) {
		w.budgets["web"].shut = true
		q.send(removal("n1", in(away)), 0)
		q.serve(t, w.work().Handle)
		if run := wantKept(t, w, q, 1); !strings.Contains(run.Reason, "the time is over and 5 pods") {
			t.Errorf("reason %q", run.Reason)
		}
		wantAway(t, w)
	})
}

// TestThePolicyIsTheOtherRegions: a cluster of the same name at home has a policy as well, which is not this one's.
func TestThePolicyIsTheOtherRegions(t *testing.T) {
	removingAway(t, func(t *testing.T, w *world, q *sqs) {
		w.policy.Interruption.Rebalance = fleet.RebalanceDrain
		var asked []fleet.ClusterID
		work := w.work()
		work.Policies = policies(func(id fleet.ClusterID) { asked = append(asked, id) })
		q.send(removal("n1", in(away)), 0)
		q.serve(t, work.Handle)
		wantRemoved(t, w, q)
		if len(asked) == 0 {
			t.Error("no policy was asked for")
		}
		for _, id := range asked {
			if id != (fleet.ClusterID{Region: away, Name: cluster}) {
				t.Errorf("the policy of %s was asked for", id)
			}
		}
	})
}

// policies are everybody's defaults; it is told who asks.
type policies func(fleet.ClusterID)

func (p policies) Policy(_ context.Context, id fleet.ClusterID) (fleet.Policy, error) {
	p(id)
	return fleet.DefaultPolicy(), nil
}

// The continuation alone tells where the machine is, should the ledger have lost the drain.
func TestARemovalInAnotherRegionSurvivesTheLedger(t *testing.T) {
	removingAway(t, func(t *testing.T, w *world, q *sqs) {
		w.later(3*time.Second, func() { w.store = ledger.Memory{} })
		q.send(removal("n1", in(away)), 0)
		q.serve(t, w.work().Handle)
		wantRemoved(t, w, q)
		wantAway(t, w)
	})
}

func TestEveryCallOfARemovalInAnotherRegionFailsOnce(t *testing.T) {
	everyCallFails(t, removingAway, func(t *testing.T, w *world, q *sqs) {
		q.send(removal("n1", in(away)), 0)
		q.serve(t, w.work().Handle)
		wantRemoved(t, w, q)
		wantAway(t, w)
	})
}

func TestEveryCallOfAGivingBackInAnotherRegionFailsOnce(t *testing.T) {
	everyCallFails(t, removingAway, func(t *testing.T, w *world, q *sqs) {
		w.budgets["web"].shut = true
		q.send(removal("n1", in(away), func(d map[string]any) { d["patienceSeconds"] = 8 }), 0)
		q.serve(t, w.work().Handle)
		wantKept(t, w, q, w.cordons)
		wantAway(t, w)
	})
}

// TestAMistakenRegionEndsNoDrain: what names the wrong Region finds no machine there, and must not end the drain of the one that
// is. The same holds for what AWS tells of its own Region.
func TestAMistakenRegionEndsNoDrain(t *testing.T) {
	for name, tc := range map[string]struct {
		is    string
		wrong func() string
	}{
		"away, asked for at home":       {away, func() string { return removal("n2", in(region)) }},
		"away, asked for without":       {away, func() string { return removal("n2") }},
		"away, warned of at home":       {away, func() string { return spot("e1") }},
		"at home, asked for away":       {region, func() string { return removal("n2", in(away)) }},
		"at home, continued elsewhere":  {region, func() string { return continued("id-1", in(away)) }},
		"away, continued without":       {away, func() string { return continued("id-1", in("")) }},
		"away, continued of some other": {away, func() string { return continued("another", in(away)) }},
	} {
		t.Run(name, func(t *testing.T) {
			removing(t, func(t *testing.T, w *world, q *sqs) {
				w.region = tc.is
				q.send(removal("n1", in(tc.is)), 0)
				for after := range 6 { // among the drain's looks
					q.send(tc.wrong(), time.Duration(2*after+1)*time.Second)
				}
				q.serve(t, w.work().Handle)
				wantRemoved(t, w, q)
			})
		})
	}
}

// continued is a continuation of a run that is far ahead of it.
func continued(run string, edit func(map[string]any)) string {
	d := map[string]any{"runId": run, "instanceId": machine, "cluster": cluster, "cause": "NodeRemovalRequested", "startedAt": time.Now(), "attempt": 100}
	edit(d)
	return event("ekspedite", "Drain Continuation", fmt.Sprint(run, time.Now()), d)
}

// TestWhatWasBeforeRegions: what was sent and remembered without a Region is about the function's own.
func TestWhatWasBeforeRegions(t *testing.T) {
	removing(t, func(t *testing.T, w *world, q *sqs) {
		w.regionless = true
		q.send(removal("n1"), 0)
		q.serve(t, w.work().Handle)
		wantRemoved(t, w, q)
		if d := w.drain(t); d.Region != "" || len(w.finished()) != 1 {
			t.Errorf("Region %q is remembered; results %+v", d.Region, w.finished())
		}
	})
}

// kept is what is remembered or sent of a text.
func (w *world) kept(text string) string {
	if w.regionless {
		text = strings.ReplaceAll(text, `"region":"`+region+`",`, "")
	}
	return text
}
