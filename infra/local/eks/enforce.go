package eks

import (
	"context"
	"time"
)

// enforcement is the work on a cluster's RBAC that its access policies ask for.
type enforcement struct {
	cancel context.CancelFunc
	done   chan struct{} // closed when it has ended
}

// enforce brings a change of access entries or their policies to the cluster. It takes effect a little later, as in AWS.
// The caller holds s.mu.
func (s *Service) enforce(c *cluster) {
	grants, former := c.grants(), c.enforcement
	if former == nil && len(grants) == 0 {
		return
	}
	ctx, cancel := context.WithCancel(c.ctx)
	next := &enforcement{cancel: cancel, done: make(chan struct{})}
	c.enforcement = next
	s.w.Go(func(context.Context) {
		defer close(next.done)
		if former != nil {
			// One at a time: a late write of the former must not undo what this one does.
			former.cancel()
			<-former.done
		}
		s.keepEnforcing(ctx, c, grants)
	})
}

// forever is longer than any cluster lives here.
const forever = 365 * 24 * time.Hour

// keepEnforcing goes on over restarts of the control plane until ctx ends.
func (s *Service) keepEnforcing(ctx context.Context, c *cluster, grants []Grant) {
	for {
		var plane ControlPlane
		if !s.await(ctx, forever, func() bool { plane = c.plane; return plane != nil }) {
			return
		}
		err := plane.Enforce(ctx, grants)
		if ctx.Err() != nil {
			return
		}
		s.w.Log.Warn("eks: access policies are not enforced yet", "cluster", c.name, "error", err)
		if !sleep(ctx, retryPause) {
			return
		}
	}
}
