package interruption

import (
	"context"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/obs"
)

// tellPatience is how long it may take to say that a run has begun: whoever says it must not hold up what comes next.
const tellPatience = 2 * time.Second

// untold tells whether nobody has been told yet that the run has begun to act: that its node is cordoned. The run's id is known to
// the ledger then, or will be before it is told, so that what is told twice is seen to be the same.
func (r *run) untold() bool {
	return !r.drain.Announced && !r.drain.CordonedAt.IsZero() && !r.signal.Launching
}

func (r *run) started() *events.RunStarted {
	return &events.RunStarted{
		RunID: r.drain.RunID, Function: "interruption", Subject: r.subject(), Cause: events.Kind(r.signal.Cause),
		EventID: r.signal.EventID, EventTime: r.signal.EventTime, StartedAt: r.drain.StartedAt, Deadline: r.signal.Deadline,
	}
}

// tellStart says that the run has begun, beside the evictions. The result waits for that, when they are done.
func (r *run) tellStart(ctx context.Context) (wait func()) {
	if !r.untold() {
		return func() {}
	}
	e, err := events.New(r.started(), r.NewID(), r.Now(), r.Account, r.Region)
	if err != nil {
		obs.Log(ctx).Warn("could not say that the run has begun", "error", err)
		return func() {}
	}
	ctx, cancel := context.WithTimeout(ctx, tellPatience)
	result := make(chan error, 1)
	go func() { result <- r.Bus.Publish(ctx, e) }()
	return func() {
		defer cancel()
		if err := <-result; err != nil {
			obs.Log(ctx).Warn("could not say that the run has begun", "error", err)
			return
		}
		r.drain.Announced = true
	}
}

// noteStart adds to this look's reports that the run has begun, if nobody was told.
func (r *run) noteStart() {
	if r.untold() && r.report(r.started()) == nil {
		r.drain.Announced = true
	}
}
