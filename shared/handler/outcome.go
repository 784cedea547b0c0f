// Package handler is the SQS edge of every function: it isolates records, decodes them, calls the work, and turns each
// outcome into what SQS must see. One bad record never fails its batch-mates.
package handler

import (
	"fmt"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/fault"
)

// Outcome is what came of one record.
type Outcome struct {
	Err   error             // nil when the work is done, or when it goes on in a continuation
	After time.Duration     // with Next or Again: how long to wait
	Next  events.OwnPayload // the continuation, nil when the work is over
	Again bool              // instead of a continuation: this event once more
	// Sends are own messages that this record leads to, sent before it is acknowledged or deferred. With Err they are not sent.
	Sends []Send
	// Insist, with Err or Sends: the work still has time, and no number of failures is a reason to give it up. Instead of being
	// rejected, the record is sent anew. It must become false some day.
	Insist bool
}

// Send is an own message that a record leads to, beside its continuation.
type Send struct {
	// ID is the message's event id. It must follow from what the message is about: a record that is delivered again sends its
	// messages again, and by the id their receiver knows what it has seen.
	ID    string
	After time.Duration // how long it is to wait; SQS's longest delay at most
	Event events.OwnPayload
}

// Spread means that the record is done with once the messages are sent.
func Spread(list ...Send) Outcome { return Outcome{Sends: list} }

// Done means that nothing is left to do.
func Done() Outcome { return Outcome{} }

// Later means that the work goes on after a while, with the continuation as its event.
func Later(after time.Duration, next events.OwnPayload) Outcome {
	return Outcome{After: after, Next: next}
}

// Again means that the event is to be looked at once more after a while, because somebody else is at work on its subject.
func Again(after time.Duration) Outcome { return Outcome{After: after, Again: true} }

// Failed means that the work could not be done; the error's class decides what follows.
func Failed(err error) Outcome { return Outcome{Err: err} }

// Verb is what happens to a record.
type Verb string

// The four dispositions of DESIGN.md section 4.
const (
	Ack    Verb = "Ack"    // done, or nothing to do: SQS deletes it
	Retry  Verb = "Retry"  // SQS delivers it again, after a pause that grows
	Defer  Verb = "Defer"  // a continuation (or the same body anew) is sent first, then SQS deletes it
	Reject Verb = "Reject" // to the dead-letter queue at once, with the reason as an attribute
)

// Disposition is a verb with its parameters.
type Disposition struct {
	Verb   Verb
	After  time.Duration
	Next   events.OwnPayload // of Defer; nil is the same body
	Reason string
}

// maxDelay is SQS's longest DelaySeconds. A longer wait takes several continuations.
const maxDelay = 15 * time.Minute

// Decide maps an outcome to its disposition. It is the only place that does. received is how often SQS has delivered the
// record, this time included; maxReceives is the queue's maxReceiveCount. On the last delivery a retry becomes a reject,
// because SQS's own redrive would lose the reason.
func Decide(o Outcome, received, maxReceives int) Disposition {
	switch {
	case o.Err == nil && o.Next == nil && !o.Again:
		return Disposition{Verb: Ack}
	case o.Err == nil:
		return Disposition{Verb: Defer, After: min(max(o.After, 0), maxDelay), Next: o.Next}
	case fault.Of(o.Err) == fault.Invalid:
		return Disposition{Verb: Reject, Reason: o.Err.Error()}
	case o.Insist && received >= max(1, maxReceives-1): // one delivery is kept for an invocation that dies
		return Disposition{Verb: Defer, After: retryAfter(o.Err, received), Reason: "sent anew, the queue allows few more deliveries: " + o.Err.Error()}
	case received >= maxReceives:
		return Disposition{Verb: Reject, Reason: fmt.Sprintf("gave up after %d deliveries, the last one with: %v", received, o.Err)}
	}
	return Disposition{Verb: Retry, After: retryAfter(o.Err, received), Reason: o.Err.Error()}
}

// retryAfter is when a failed record comes back: what the server asked for, or 1, 2, 4, … seconds by delivery. The queue's
// visibility timeout would be far too long for a machine that has two minutes.
func retryAfter(err error, received int) time.Duration {
	if after := fault.RetryAfter(err); after > 0 {
		return min(after, maxRetry)
	}
	return min(time.Second<<min(max(received-1, 0), 10), maxRetry)
}

const maxRetry = 2 * time.Minute
