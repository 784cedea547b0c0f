package interruption

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/observe"
)

const (
	// acquainted is how long a drain that goes on believes what EC2 said of its machine. In a burst there are thousands of
	// looks, and EC2 answers an account some twenty calls a second; that the machine goes earlier than it was said to, a
	// state change tells, which is looked at afresh.
	acquainted = 20 * time.Second
	// courtesy is how long EC2 is waited for after that.
	courtesy = time.Second
)

// identify reads the machine and what is remembered of its drain, at once where both are needed. A NotFound is the machine's.
func (r *run) identify(ctx context.Context) (inst fleet.Instance, drain ledger.Drain, err error) {
	if c, ok := r.delivery.Event.Payload.(*events.DrainContinuation); ok && c.Node != "" {
		return r.meetAgain(ctx)
	}
	var wg sync.WaitGroup
	var drainErr error
	wg.Go(func() { inst, err = r.reach.Instances.Instance(ctx, r.signal.InstanceID) })
	wg.Go(func() { drain, drainErr = r.Ledger.Drain(ctx, r.signal.InstanceID) })
	wg.Wait()
	if drainErr != nil {
		err = drainErr
	}
	return inst, drain, err
}

// meetAgain is identify for a look at a drain that goes on: an EC2 that throttles does not hold it up. The node is found by
// name and held against its provider ID, as always; that its machine has stopped meanwhile is for a later look to see.
func (r *run) meetAgain(ctx context.Context) (inst fleet.Instance, drain ledger.Drain, err error) {
	if drain, err = r.Ledger.Drain(ctx, r.signal.InstanceID); err != nil {
		return inst, drain, err
	}
	known := drain.RunID != "" && !drain.Over() && drain.Machine.ID != ""
	if known && r.Now().Sub(drain.MachineAt) < acquainted {
		return drain.Machine, drain, nil
	}
	asking := ctx
	if known {
		var cancel context.CancelFunc
		asking, cancel = context.WithTimeout(ctx, courtesy)
		defer cancel()
	}
	inst, err = r.reach.Instances.Instance(asking, r.signal.InstanceID)
	if known && (fault.Is(err, fault.Throttled) || fault.Is(err, fault.Transient)) { // it could not answer; it did not say no
		return drain.Machine, drain, nil
	}
	return inst, drain, err
}

// keptTags are those that decisions read.
var keptTags = []string{fleet.TagEKSCluster, fleet.TagEKSNodegroup, fleet.TagAutoScalingGroup, fleet.TagPool, fleet.TagECSCluster, fleet.TagECSManaged}

// acquaint remembers what EC2 said of the machine for the looks to come.
func (r *run) acquaint(inst fleet.Instance) {
	if r.drain.Machine.ID == inst.ID && r.Now().Sub(r.drain.MachineAt) < acquainted {
		return
	}
	tags := map[string]string{}
	for k, v := range inst.Tags {
		if slices.Contains(keptTags, k) || strings.HasPrefix(k, fleet.TagOwnedPrefix) {
			tags[k] = v
		}
	}
	inst.Tags = tags
	r.drain.Machine, r.drain.MachineAt = inst, r.Now()
}

// groups reads Auto Scaling, but for the group of a machine that has been replaced: that it is in none any more is known.
func (r *run) groups() observe.Groups {
	if r.drain.ReplacedAt.IsZero() || r.signal.Removal != nil {
		return r.reach.Groups
	}
	return detached{r.reach.Groups}
}

type detached struct{ observe.Groups }

// ScalingGroup implements observe.Groups.
func (detached) ScalingGroup(context.Context, string) (fleet.ScalingGroup, error) {
	return fleet.ScalingGroup{}, nil
}
