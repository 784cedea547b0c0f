package interruption

import (
	"context"
	"sync"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/obs"
)

// reclaimed remembers, for the planners of all clusters of the Region, that EC2 takes back such machines: at the warning, beside what
// the drain does, and with no say in it. The returned function waits for that.
func (r *run) reclaimed(ctx context.Context, inst fleet.Instance) (wait func()) {
	_, warned := r.delivery.Event.Payload.(*events.SpotInterruption)
	if !warned || inst.Type == "" || inst.Zone == "" {
		return func() {}
	}
	what := fleet.Reclaim{Type: inst.Type, Zone: inst.Zone, At: r.delivery.Event.Time}
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := r.Ledger.SaveReclaim(ctx, r.region, what); err != nil {
			obs.Log(ctx).Warn("could not remember the reclaim", "type", what.Type, "zone", what.Zone, "error", err)
		}
	})
	return wg.Wait
}

// callPlanner has the scaling function look at the cluster now, with the look's report: the pods of the node will want another one.
// Of a node that is given up that has been thought of. Many nodes of a cluster at once are one call, since one look sees them all.
func (r *run) callPlanner(p fleet.ScalingPolicy) {
	if p.Mode != fleet.ScalingAct || r.signal.Launching || r.signal.Removal != nil || r.drain.CordonedAt.IsZero() || r.drain.Attempt > 0 {
		return
	}
	now := r.Now()
	if !r.called.first(fleet.ClusterID{Region: r.region, Name: r.cluster}, now) {
		return
	}
	_ = r.report(&events.ScalingRequested{Cluster: r.cluster, Region: r.region, Source: events.ScalingSourceInterruption, SeenAt: now})
}

// callPause is how long a cluster is not called again by one execution environment. A look of the scaling function takes about as long.
const callPause = 2 * time.Second

// calls are those of an execution environment. What they forget the next sweep makes up for, and the doorbell when the pods wait.
type calls struct {
	mu   sync.Mutex
	last map[fleet.ClusterID]time.Time
}

// first tells whether nobody has called for the cluster of late.
func (c *calls) first(cluster fleet.ClusterID, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Sub(c.last[cluster]) < callPause {
		return false
	}
	if c.last == nil {
		c.last = map[fleet.ClusterID]time.Time{}
	}
	c.last[cluster] = now
	return true
}
