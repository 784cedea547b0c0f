package upgrade

import (
	"context"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/handler"
)

// Rollouts is the function's work on the fleet: package work/rollout. It asks for the upgrades of clusters as anybody does.
type Rollouts interface {
	// Handle serves requests, continuations and commands that are about a rollout.
	Handle(ctx context.Context, d handler.Delivery) handler.Outcome
	// Sweep sends the messages again that were lost.
	Sweep(ctx context.Context, send func(ctx context.Context, next events.OwnPayload) error) error
}

// fleet serves what is about a rollout.
func (w *Work) fleet(ctx context.Context, d handler.Delivery) handler.Outcome {
	if w.Rollouts == nil {
		return handler.Failed(fault.New(fault.Invalid, "%s: nothing here carries out rollouts", d.Event.Kind))
	}
	return w.Rollouts.Handle(ctx, d)
}

// sweepFleet takes up rollouts whose messages were lost.
func (w *Work) sweepFleet(ctx context.Context) error {
	if w.Rollouts == nil {
		return nil
	}
	return w.Rollouts.Sweep(ctx, func(ctx context.Context, next events.OwnPayload) error { return w.send(ctx, next, 0) })
}
