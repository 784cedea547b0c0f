package handler

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	awsevents "github.com/aws/aws-lambda-go/events"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/obs"
)

// BatchWork handles all deliveries of a batch at once, because what it does for one depends on the others. It gives one outcome for
// each, in the same order; else it is bound like Work.
type BatchWork func(ctx context.Context, list []Delivery) []Outcome

// HandleBatch serves one batch as Handle does, with work that sees all of it. A record that cannot be decoded is settled without
// the others.
func (h *Handler) HandleBatch(ctx context.Context, batch awsevents.SQSEvent, do BatchWork) (awsevents.SQSEventResponse, error) {
	work := ctx
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		work, cancel = context.WithDeadline(ctx, deadline.Add(-batchMargin))
		defer cancel()
	}
	start := h.Now()
	out := make([]Outcome, len(batch.Records))
	all := make([]Delivery, len(batch.Records))
	var known []int
	for i, r := range batch.Records {
		all[i] = Delivery{MessageID: r.MessageId, Received: number(r.Attributes["ApproximateReceiveCount"], 1)}
		all[i].SentAt = time.UnixMilli(int64(number(r.Attributes["SentTimestamp"], int(start.UnixMilli()))))
		e, err := events.Decode([]byte(r.Body))
		switch {
		case err != nil:
			out[i] = Failed(&fault.Error{Class: fault.Invalid, Op: "decode", Err: err})
		case e.Kind == events.KindUnknown:
			h.Metrics.Count("EventsUnknown", 1)
		default:
			known = append(known, i)
		}
		all[i].Event = e
	}
	if len(known) > 0 {
		list := make([]Delivery, len(known))
		for n, i := range known {
			list[n] = all[i]
		}
		for n, o := range h.runBatch(work, do, list) {
			out[known[n]] = o
		}
	}
	failed := make([]bool, len(batch.Records))
	var wg sync.WaitGroup
	room := make(chan struct{}, settleWidth)
	for i, r := range batch.Records {
		wg.Go(func() {
			room <- struct{}{}
			defer func() { <-room }()
			about := &obs.Record{Log: sync.OnceValue(func() *slog.Logger {
				return h.Log.With("messageId", r.MessageId, "received", all[i].Received, slog.Any("event", all[i].Event))
			})}
			failed[i] = !h.settle(ctx, about, all[i], r, out[i], start)
		})
	}
	wg.Wait()
	var response awsevents.SQSEventResponse
	for i, r := range batch.Records {
		if failed[i] {
			response.BatchItemFailures = append(response.BatchItemFailures, awsevents.SQSBatchItemFailure{ItemIdentifier: r.MessageId})
		}
	}
	return response, nil
}

const (
	// settleWidth is how many records of a batch are settled at once: those that are acknowledged cost no call.
	settleWidth = 32
	// batchMargin is what is left of the function's time for settling hundreds of records.
	batchMargin = 5 * time.Second
)

// runBatch calls the work and turns a panic, or too few outcomes, into errors of all.
func (h *Handler) runBatch(ctx context.Context, do BatchWork, list []Delivery) (out []Outcome) {
	failed := func(err error) []Outcome {
		all := make([]Outcome, len(list))
		for i := range all {
			all[i] = Failed(err)
		}
		return all
	}
	defer func() {
		if p := recover(); p != nil {
			h.Log.Error("panic", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			out = failed(fmt.Errorf("panic: %v", p))
		}
	}()
	if out = do(obs.With(ctx, h.Log), list); len(out) != len(list) {
		return failed(fmt.Errorf("%d outcomes of %d deliveries", len(out), len(list)))
	}
	return out
}
