package observe

import (
	"context"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/interruption"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Targets reads load balancers.
type Targets interface {
	// Targets are the machine's places in target groups of the type instance that are its cluster's, or attached to Auto Scaling
	// groups of the cluster. Those that have drained are left out.
	Targets(ctx context.Context, cluster string, inst fleet.Instance) ([]fleet.Target, error)
}

// targetPatience is how long a look waits for load balancers to tell. Unread targets are none: a drain goes on without.
const targetPatience = 2 * time.Second

// TargetReading is a read of a machine's targets that is under way while the rest is read.
type TargetReading struct {
	done chan struct{}
	list []fleet.Target
	err  error
}

// ReadTargets begins to read a machine's targets, if it is wanted: that is asked in the background, as it may take a while to tell.
func ReadTargets(ctx context.Context, from Targets, cluster string, inst fleet.Instance, wanted func() bool) *TargetReading {
	t := &TargetReading{done: make(chan struct{})}
	go func() {
		defer close(t.done)
		if !wanted() {
			return
		}
		ctx, cancel := context.WithTimeout(ctx, targetPatience)
		defer cancel()
		t.list, t.err = from.Targets(ctx, cluster, inst)
	}()
	return t
}

// Into gives an observation what was read. The cordon of a machine that goes waits for nothing: there the targets are pending
// if they are not read yet. No reading is no targets.
func (t *TargetReading) Into(ctx context.Context, o *interruption.Observation) {
	if t == nil || o.Node == nil { // or nothing follows from them
		return
	}
	if o.Hurried() {
		select {
		case <-t.done:
		default:
			o.TargetsPending = true
			return
		}
	}
	var err error
	select {
	case <-t.done:
		o.Targets, err = t.list, t.err
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err == nil {
		return
	}
	if o.Incomplete == nil {
		o.Incomplete = map[interruption.Part]string{}
	}
	o.Incomplete[interruption.PartTargets] = err.Error()
}
