package scaling

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/internal/cloudtest"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// TestKilledAtEveryCall: whichever call of the first look fails, or is the invocation's last, the pods get their nodes, and no
// more than that.
func TestKilledAtEveryCall(t *testing.T) {
	calls := 0
	inBubble(t, func(t *testing.T, r *rig) {
		r.kube.add(6, 900)
		r.ring()
		r.RunFor(5 * time.Second)
		calls = r.Script.Calls
		if size, _ := r.group("base"); size != 3 {
			t.Fatalf("undisturbed: desired size %d", size)
		}
	})
	if calls < 20 {
		t.Fatalf("a look with %d calls?", calls)
	}
	for name, w := range map[string]cloudtest.Misfortune{"fails": cloudtest.FailsBefore, "killed after": cloudtest.KilledAfter} {
		t.Run(name, func(t *testing.T) {
			for n := 1; n <= calls; n++ {
				killed(t, n, w)
			}
		})
	}
}

func killed(t *testing.T, n int, w cloudtest.Misfortune) {
	inBubble(t, func(t *testing.T, r *rig) {
		op := ""
		r.Script.At = func(call int, name string) cloudtest.Misfortune {
			if call != n {
				return cloudtest.Nothing
			}
			op = name
			return w
		}
		r.kube.add(6, 900)
		r.ring()
		r.RunFor(210 * time.Second) // until the message is visible again, and machines are nodes
		size, members := r.group("base")
		if size != 3 || members != 3 || r.kube.waiting() > 0 || len(r.Queue.Dead()) > 0 {
			t.Errorf("call %d (%s): desired size %d, %d machines, %d pods wait, dead letters %q", n, op, size, members, r.kube.waiting(), r.Queue.Dead())
		}
		if !slices.ContainsFunc(r.Finished(), func(f events.RunFinished) bool { return f.Outcome == events.OutcomeScaled }) && op != "Publish" {
			t.Errorf("call %d (%s): nobody was told: %+v", n, op, r.Finished())
		}
	})
}

// TestShortage: what EC2 has none of is learnt from Auto Scaling's own words, and other machines are asked for.
func TestShortage(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.policy(func(p *fleet.ScalingPolicy) {
			pool := fleet.DefaultPool()
			pool.Name, pool.Like, pool.Types = "more", "base", []string{"m5.large", "m6i.large"}
			p.Pools = []fleet.PoolPolicy{pool}
		})
		regional, err := r.Cloud.In(region)
		if err != nil {
			t.Fatal(err)
		}
		regional.EC2.SetCapacity("m5.large", "us-east-1a", "on-demand", false)
		r.RunFor(time.Minute)
		r.kube.add(4, 900)
		r.ring()
		r.RunFor(4 * time.Minute)
		if n := r.kube.waiting(); n > 0 {
			t.Errorf("%d pods wait\n%s", n, told(r))
		}
		if size, _ := r.group("base"); size != 0 {
			t.Errorf("the group without machines still wants %d", size)
		}
	})
}

func told(r *rig) string {
	var b strings.Builder
	for _, f := range r.Finished() {
		fmt.Fprintf(&b, "%s %s: %s %v %v\n", f.FinishedAt.Format(time.TimeOnly), f.Outcome, f.Reason, f.Blocked, f.Failures)
	}
	return b.String()
}
