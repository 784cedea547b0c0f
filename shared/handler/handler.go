package handler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"time"

	awsevents "github.com/aws/aws-lambda-go/events"

	"github.com/ekspedite/ekspedite/events"
	sharing "github.com/ekspedite/ekspedite/shared/batch"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/obs"
)

// Delivery is one record, decoded.
type Delivery struct {
	Event     events.Event
	MessageID string
	Received  int       // how often SQS delivered it, this time included
	Last      bool      // SQS delivers it no more: if this invocation dies, nobody goes on
	SentAt    time.Time // when it was first sent to the queue
}

// Work handles one delivery. It must be safe to run twice, concurrently, and to be killed between any two calls. It
// returns before ctx ends: work longer than that is a continuation.
type Work func(ctx context.Context, d Delivery) Outcome

// Queue sends to the function's own queue and to its dead-letter queue.
type Queue interface {
	// Continue sends a body to the function's own queue, visible after the delay.
	Continue(ctx context.Context, body string, delay time.Duration) error
	// Release makes a received message visible again after the delay, instead of after the visibility timeout.
	Release(ctx context.Context, receiptHandle string, delay time.Duration) error
	// Reject sends a body to the dead-letter queue with the reason and the original's id as attributes.
	Reject(ctx context.Context, body, messageID, reason string) error
}

// Message is a body for the function's own queue.
type Message struct {
	Body  string
	Delay time.Duration
}

// Sender sends many messages to the function's own queue in few calls. An error is that not all are known to be there.
type Sender interface {
	SendAll(ctx context.Context, list []Message) error
}

// Handler serves one function's queue.
type Handler struct {
	Function    string // its name in logs and events
	Work        Work
	Queue       Queue
	Sender      Sender        // nil: Outcome.Sends go one by one through Queue
	MaxReceives int           // the queue's maxReceiveCount
	Margin      time.Duration // what is left of the function's time for settling; 0 means 2 s
	Account     string        // for continuations' envelopes
	Region      string
	NewID       func() string
	Now         func() time.Time
	Log         *slog.Logger
	Metrics     *obs.Metrics
}

// Handle serves one batch: the function given to lambda.Start.
func (h *Handler) Handle(ctx context.Context, batch awsevents.SQSEvent) (awsevents.SQSEventResponse, error) {
	margin := h.Margin
	if margin == 0 {
		margin = 2 * time.Second
	}
	work := ctx
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		work, cancel = context.WithDeadline(ctx, deadline.Add(-margin))
		defer cancel()
	}
	failed, ignored := make([]bool, len(batch.Records)), make([]*ignoredRecord, len(batch.Records))
	work, company := sharing.With(work, len(batch.Records))
	var wg sync.WaitGroup
	for i, r := range batch.Records {
		wg.Go(func() {
			defer company.Leave()
			var ok bool
			ok, ignored[i] = h.record(ctx, work, r)
			failed[i] = !ok
		})
	}
	wg.Wait()
	h.tellIgnored(ignored)

	var out awsevents.SQSEventResponse
	for i, r := range batch.Records {
		if failed[i] {
			out.BatchItemFailures = append(out.BatchItemFailures, awsevents.SQSBatchItemFailure{ItemIdentifier: r.MessageId})
		}
	}
	return out, nil
}

// record serves one record and tells whether SQS may delete it, and whether it was one that needs no answer.
func (h *Handler) record(ctx, work context.Context, r awsevents.SQSMessage) (done bool, ignored *ignoredRecord) {
	start := h.Now()
	d := Delivery{MessageID: r.MessageId, Received: number(r.Attributes["ApproximateReceiveCount"], 1)}
	d.SentAt = time.UnixMilli(int64(number(r.Attributes["SentTimestamp"], int(start.UnixMilli()))))
	d.Last = h.MaxReceives > 0 && d.Received >= h.MaxReceives
	about := &obs.Record{Log: sync.OnceValue(func() *slog.Logger {
		log := h.Log.With("messageId", r.MessageId, "received", d.Received)
		if d.Event.Kind != "" {
			log = log.With("event", d.Event)
		}
		return log
	})}

	var err error
	d.Event, err = events.Decode([]byte(r.Body))
	if err != nil {
		return h.settle(ctx, about, d, r, Failed(&fault.Error{Class: fault.Invalid, Op: "decode", Err: err}), start), nil
	}
	h.Metrics.CountKind("Received", string(d.Event.Kind), 1)
	if d.Event.Kind == events.KindUnknown {
		h.Metrics.Count("EventsUnknown", 1)
		return true, &ignoredRecord{d.Event.Kind, clip(d.Event.ID), clip(d.Event.Source + " " + d.Event.DetailType), "unknown event"}
	}
	done = h.settle(ctx, about, d, r, h.run(work, about, d), start)
	subject, why := about.Ignored()
	if why == "" {
		h.Metrics.CountKind("Acted", string(d.Event.Kind), 1)
		return done, nil
	}
	h.Metrics.CountKind("Ignored", string(d.Event.Kind), 1)
	return done, &ignoredRecord{d.Event.Kind, clip(d.Event.ID), clip(subject), clip(why)}
}

// ignoredRecord is what somebody wants to know who looks for an event and why nothing came of it.
type ignoredRecord struct {
	Kind    events.Kind `json:"kind"`
	Event   string      `json:"event"`
	Subject string      `json:"subject,omitempty"`
	Why     string      `json:"why"`
}

// clip keeps what others wrote from filling the log.
func clip(s string) string {
	const enough = 200
	if len(s) <= enough {
		return s
	}
	return s[:enough] + "…"
}

// tellIgnored writes one line for all records of a batch that needed no answer: there are thousands of them for each that does.
func (h *Handler) tellIgnored(list []*ignoredRecord) {
	list = slices.DeleteFunc(list, func(r *ignoredRecord) bool { return r == nil })
	if len(list) > 0 {
		h.Log.Info("nothing to do", "records", len(list), "ignored", list)
	}
}

// run calls the work and turns a panic into an error.
func (h *Handler) run(ctx context.Context, about *obs.Record, d Delivery) (o Outcome) {
	defer func() {
		if p := recover(); p != nil {
			about.Log().Error("panic", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			o = Failed(fmt.Errorf("panic: %v", p))
		}
	}()
	return h.Work(obs.WithRecord(ctx, about), d)
}

// settle carries the disposition out and tells whether SQS may delete the record.
func (h *Handler) settle(ctx context.Context, about *obs.Record, d Delivery, r awsevents.SQSMessage, o Outcome, start time.Time) bool {
	disp := Decide(o, d.Received, h.MaxReceives)
	if err := h.spread(ctx, o); err != nil { // SQS keeps the record: it is worked on, and all is sent, again
		disp = Decide(Outcome{Err: err, Insist: o.Insist}, d.Received, h.MaxReceives)
	}
	if disp.Next != nil {
		next, err := h.continuation(h.NewID(), disp.Next)
		if err != nil { // a fault of ours that no retry mends
			disp = Decide(Failed(&fault.Error{Class: fault.Invalid, Op: "continuation", Err: err}), d.Received, h.MaxReceives)
		} else {
			r.Body = next
		}
	}
	err := h.carryOut(ctx, disp, r)
	if err != nil && disp.Verb != Retry { // a second try is cheaper than doing the work again, and uses up no delivery
		err = h.carryOut(ctx, disp, r)
	}
	if err != nil { // SQS keeps the record: nothing is lost, the work runs again
		log := about.Log()
		log.Error("could not settle", "disposition", disp.Verb, "reason", disp.Reason, "error", err)
		if disp.Verb != Retry { // soon, if SQS lets us say so, and else after the visibility timeout
			err = h.Queue.Release(ctx, r.ReceiptHandle, retryAfter(err, d.Received))
			log.Warn("the record comes back", "soon", err == nil)
		}
		disp.Verb = Retry
	}
	h.Metrics.Count("Records"+string(disp.Verb), 1)
	if _, why := about.Ignored(); why != "" && disp.Verb == Ack { // told with its batch
		return true
	}
	about.Log().Log(ctx, level(disp.Verb), "record settled", "disposition", disp.Verb, "reason", disp.Reason,
		"kind", d.Event.Kind, "after", disp.After.String(), "tookMs", h.Now().Sub(start).Milliseconds())
	return disp.Verb != Retry
}

// spread sends what an outcome leads to beside its continuation.
func (h *Handler) spread(ctx context.Context, o Outcome) error {
	if o.Err != nil || len(o.Sends) == 0 {
		return nil
	}
	list := make([]Message, len(o.Sends))
	for i, s := range o.Sends {
		body, err := h.continuation(s.ID, s.Event)
		if err != nil { // a fault of ours that no retry mends
			return &fault.Error{Class: fault.Invalid, Op: "send", Err: err}
		}
		list[i] = Message{body, min(max(s.After, 0), maxDelay)}
	}
	h.Metrics.Count("MessagesSpread", len(list))
	if h.Sender != nil {
		return h.Sender.SendAll(ctx, list)
	}
	for _, m := range list {
		if err := h.Queue.Continue(ctx, m.Body, m.Delay); err != nil {
			return err
		}
	}
	return nil
}

func (h *Handler) continuation(id string, p events.OwnPayload) (string, error) {
	e, err := events.New(p, id, h.Now(), h.Account, h.Region)
	if err != nil {
		return "", err
	}
	body, err := json.Marshal(e)
	return string(body), err
}

func (h *Handler) carryOut(ctx context.Context, disp Disposition, r awsevents.SQSMessage) error {
	switch disp.Verb {
	case Reject:
		return h.Queue.Reject(ctx, r.Body, r.MessageId, disp.Reason)
	case Retry:
		return h.Queue.Release(ctx, r.ReceiptHandle, disp.After)
	case Defer:
		return h.Queue.Continue(ctx, r.Body, disp.After)
	}
	return nil
}

func level(v Verb) slog.Level {
	switch v {
	case Reject:
		return slog.LevelError
	case Retry:
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

func number(s string, otherwise int) int {
	if n, err := strconv.Atoi(s); err == nil {
		return n
	}
	return otherwise
}

// ErrOutOfTime is what work returns when the invocation's time is nearly over and it has not stored how to go on.
var ErrOutOfTime = errors.New("the invocation's time is over; the message will be delivered again")
