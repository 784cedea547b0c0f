package scaling

import (
	"syscall"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// cpu is what the process has used of processors: the only clock that goes on in a bubble.
func cpu(t *testing.T) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestOwnTime: from the ring to capacity that was asked for it takes far less than a second of processor, that of the
// embedded cloud and of the stand-in for Kubernetes included, and the calls that have to follow one another are few.
func TestOwnTime(t *testing.T) {
	inBubble(t, func(t *testing.T, r *rig) {
		r.policy(func(p *fleet.ScalingPolicy) {
			pool := fleet.DefaultPool()
			pool.Name, pool.Like, pool.Categories, pool.CapacityTypes = "any", "base", []string{"c", "m", "r"}, []string{fleet.OnDemand, fleet.Spot}
			p.Pools = []fleet.PoolPolicy{pool}
		})
		r.RunFor(2 * time.Minute) // the environment is warm
		for _, pods := range []int{100, 1000} {
			r.kube.add(pods, 900)
			r.ring()
			before, calls := cpu(t), r.Script.Calls
			r.Serve(r.Queue.Next())
			took := cpu(t) - before
			t.Logf("%d pods: %s of processor, %d calls", pods, took.Round(time.Millisecond), r.Script.Calls-calls)
			if limit := time.Second; took > limit {
				t.Errorf("%d pods: %s of processor", pods, took)
			}
			r.RunFor(2 * time.Minute)
		}
		if n := r.kube.waiting(); n > 0 {
			t.Errorf("%d pods wait\n%s", n, told(r))
		}
	})
}
