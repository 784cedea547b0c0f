package awscloud

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/fault"
)

// Bus is ekspedite's event bus.
type Bus struct {
	api  *eventbridge.Client
	name string
}

// NewBus makes a Bus of its name.
func NewBus(cfg Config, name string) *Bus { return &Bus{eventbridge.NewFromConfig(cfg), name} }

// Publish puts events on the bus. EventBridge assigns its own ids.
func (b *Bus) Publish(ctx context.Context, list ...events.Event) error {
	for chunk := range slices.Chunk(list, 10) { // PutEvents' limit
		if err := b.put(ctx, chunk); err != nil {
			return err
		}
	}
	return nil
}

func (b *Bus) put(ctx context.Context, list []events.Event) error {
	var in eventbridge.PutEventsInput
	for _, e := range list {
		detail := string(e.Detail)
		in.Entries = append(in.Entries, types.PutEventsRequestEntry{
			EventBusName: &b.name, Source: &e.Source, DetailType: &e.DetailType, Detail: &detail,
			Time: &e.Time, Resources: e.Resources,
		})
	}
	out, err := b.api.PutEvents(ctx, &in)
	if err != nil || out.FailedEntryCount == 0 {
		return classify("events:PutEvents", err)
	}
	var errs []error
	for _, r := range out.Entries {
		if r.ErrorCode != nil {
			errs = append(errs, fmt.Errorf("%s: %s", *r.ErrorCode, deref(r.ErrorMessage)))
		}
	}
	return &fault.Error{Class: fault.Transient, Op: "events:PutEvents", Err: errors.Join(errs...)}
}

func deref[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}
