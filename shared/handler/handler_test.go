package handler

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	awsevents "github.com/aws/aws-lambda-go/events"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/events/samples"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/obs"
)

func TestDecide(t *testing.T) {
	next := &events.ClusterContinuation{RunID: "r"}
	classed := func(c fault.Class) Outcome { return Failed(fmt.Errorf("wrapped: %w", fault.New(c, "why"))) }
	insisting := func(o Outcome) Outcome { o.Insist = true; return o }
	asked := Failed(&fault.Error{Class: fault.Throttled, RetryAfter: 7 * time.Second, Err: errors.New("slow down")})
	long := Failed(&fault.Error{Class: fault.Blocked, RetryAfter: time.Hour, Err: errors.New("held")})
	const s = time.Second
	type want struct {
		verb  Verb
		after time.Duration
	}
	tests := []struct {
		name    string
		outcome Outcome
		want    [4]want // by delivery: first, second, last of three, and one too many
	}{
		{"done", Done(), [4]want{{Ack, 0}, {Ack, 0}, {Ack, 0}, {Ack, 0}}},
		{"later", Later(9*s, next), [4]want{{Defer, 9 * s}, {Defer, 9 * s}, {Defer, 9 * s}, {Defer, 9 * s}}},
		{"again", Again(9 * s), [4]want{{Defer, 9 * s}, {Defer, 9 * s}, {Defer, 9 * s}, {Defer, 9 * s}}},
		{"in an hour", Later(time.Hour, next), [4]want{{Defer, 900 * s}, {Defer, 900 * s}, {Defer, 900 * s}, {Defer, 900 * s}}},
		{"in the past", Later(-s, next), [4]want{{Defer, 0}, {Defer, 0}, {Defer, 0}, {Defer, 0}}},
		{"unclassed", Failed(errors.New("why")), [4]want{{Retry, 1 * s}, {Retry, 2 * s}, {Reject, 0}, {Reject, 0}}},
		{"invalid", classed(fault.Invalid), [4]want{{Reject, 0}, {Reject, 0}, {Reject, 0}, {Reject, 0}}},
		{"invalid, insisting", insisting(classed(fault.Invalid)), [4]want{{Reject, 0}, {Reject, 0}, {Reject, 0}, {Reject, 0}}},
		{"insisting", insisting(classed(fault.Transient)), [4]want{{Retry, 1 * s}, {Defer, 2 * s}, {Defer, 4 * s}, {Defer, 8 * s}}},
		{"the server asks", asked, [4]want{{Retry, 7 * s}, {Retry, 7 * s}, {Reject, 0}, {Reject, 0}}},
		{"the server asks too much", long, [4]want{{Retry, 120 * s}, {Retry, 120 * s}, {Reject, 0}, {Reject, 0}}},
	}
	for _, c := range []fault.Class{fault.Transient, fault.Throttled, fault.NotFound, fault.Conflict, fault.Blocked, fault.Denied} {
		tests = append(tests, struct {
			name    string
			outcome Outcome
			want    [4]want
		}{c.String(), classed(c), [4]want{{Retry, 1 * s}, {Retry, 2 * s}, {Reject, 0}, {Reject, 0}}})
	}
	for _, tc := range tests {
		for i, w := range tc.want {
			got := Decide(tc.outcome, i+1, 3)
			if got.Verb != w.verb || got.After != w.after {
				t.Errorf("%s, delivery %d: %s after %s, want %s after %s", tc.name, i+1, got.Verb, got.After, w.verb, w.after)
			}
			if (got.Reason != "") != (tc.outcome.Err != nil) || got.Verb == Defer && got.Next != tc.outcome.Next {
				t.Errorf("%s, delivery %d: %+v", tc.name, i+1, got)
			}
		}
	}
	if d := Decide(insisting(classed(fault.Transient)), 1, 1); d.Verb != Defer {
		t.Errorf("a queue with a single delivery: %+v", d)
	}
}

// queue writes down what is sent, in order.
type queue struct {
	mu                          sync.Mutex
	log                         []string
	bodies                      map[string]string
	failSend, failRel, failDead error
}

func (q *queue) note(err error, format string, args ...any) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.log = append(q.log, fmt.Sprintf(format, args...))
	return err
}

func (q *queue) Continue(_ context.Context, body string, d time.Duration) error {
	e, err := events.Decode([]byte(body))
	if err != nil {
		return q.note(err, "continue with nonsense")
	}
	return q.note(q.failSend, "continue %s after %s", e.Kind, d)
}

func (q *queue) Release(_ context.Context, receipt string, d time.Duration) error {
	return q.note(q.failRel, "release %s after %s", receipt, d)
}

func (q *queue) Reject(_ context.Context, body, id, reason string) error {
	q.mu.Lock()
	if q.bodies == nil {
		q.bodies = map[string]string{}
	}
	q.bodies[id] = body
	q.mu.Unlock()
	return q.note(q.failDead, "reject %s: %s", id, reason)
}

func record(id, body string, received int) awsevents.SQSMessage {
	return awsevents.SQSMessage{MessageId: id, ReceiptHandle: "h-" + id, Body: body,
		Attributes: map[string]string{"ApproximateReceiveCount": fmt.Sprint(received), "SentTimestamp": "1700000000000"}}
}

func serve(t *testing.T, q *queue, work Work, ctx context.Context, records ...awsevents.SQSMessage) (failed []string, log string) {
	t.Helper()
	var out bytes.Buffer
	h := &Handler{Function: "f", Work: work, Queue: q, MaxReceives: 3, NewID: func() string { return "id" }, Now: time.Now,
		Log: obs.NewLog(&out, slog.LevelDebug, "f"), Metrics: obs.NewMetrics(&out, "f")}
	resp, err := h.Handle(ctx, awsevents.SQSEvent{Records: records})
	if err != nil {
		t.Fatal("one bad record failed its batch-mates:", err)
	}
	for _, f := range resp.BatchItemFailures {
		failed = append(failed, f.ItemIdentifier)
	}
	slices.Sort(q.log)
	return failed, out.String()
}

var spot = string(samples.Body("SpotInterruption"))

func TestOneBadRecordNeverFailsItsBatchMates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &queue{}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		work := func(ctx context.Context, d Delivery) Outcome {
			switch d.MessageID {
			case "panics":
				panic("boom")
			case "slow":
				<-ctx.Done()
				return Failed(ErrOutOfTime)
			case "defers":
				return Later(3*time.Second, &events.DrainContinuation{RunID: "r", InstanceID: "i-0b662ef9931388ba0", Cause: "SpotInterruption", StartedAt: time.Now()})
			case "fails":
				return Failed(errors.New("no"))
			}
			return Done()
		}
		began := time.Now()
		failed, log := serve(t, q, work, ctx, record("good", spot, 1), record("panics", spot, 1), record("malformed", "{", 1),
			record("slow", spot, 1), record("defers", spot, 1), record("fails", spot, 3), record("unknown", `{"id":"1","source":"x","detail-type":"y","time":"2026-01-01T00:00:00Z","detail":{}}`, 1))
		if want := []string{"panics", "slow"}; !slices.Equal(failed, want) {
			t.Errorf("failed %q, want %q", failed, want)
		}
		want := []string{
			"continue DrainContinuation after 3s",
			"reject fails: gave up after 3 deliveries, the last one with: no",
			"reject malformed: decode: malformed event: the body is not JSON, or is cut off, or is nested too deeply",
			"release h-panics after 1s",
			"release h-slow after 1s",
		}
		if !slices.Equal(q.log, want) {
			t.Errorf("sent\n%s\nwant\n%s", strings.Join(q.log, "\n"), strings.Join(want, "\n"))
		}
		if q.bodies["malformed"] != "{" || q.bodies["fails"] != spot {
			t.Errorf("dead letters: %q", q.bodies)
		}
		if took := time.Since(began); took != 28*time.Second {
			t.Errorf("the work's time ended after %s: 2 s of the invocation's 30 are for settling", took)
		}
		if !strings.Contains(log, "handler_test.go") || !strings.Contains(log, "unknown event") {
			t.Error("the log has no stack of the panic, or is silent on the unknown event")
		}
	})
}

func TestNothingIsLostWhenSettlingFails(t *testing.T) {
	gone := errors.New("SQS is away")
	next := &events.DrainContinuation{RunID: "r", InstanceID: "i-0b662ef9931388ba0", Cause: "SpotInterruption", StartedAt: time.Now()}
	for name, tc := range map[string]struct {
		queue    *queue
		outcome  Outcome
		received int
		failed   bool
		log      string
	}{
		"the continuation cannot be sent": {&queue{failSend: gone}, Later(0, next), 1, true, "continue DrainContinuation after 0s continue DrainContinuation after 0s release h-m after 1s"},
		"nor the message released":        {&queue{failSend: gone, failRel: gone}, Later(0, next), 1, true, "continue DrainContinuation after 0s continue DrainContinuation after 0s release h-m after 1s"},
		"the reject cannot be sent":       {&queue{failDead: gone}, Failed(errors.New("no")), 3, true, "reject m: gave up after 3 deliveries, the last one with: no reject m: gave up after 3 deliveries, the last one with: no release h-m after 4s"},
		"the retry cannot be hastened":    {&queue{failRel: gone}, Failed(errors.New("no")), 1, true, "release h-m after 1s"},
		"the continuation is no event": {&queue{}, Later(0, &events.DrainContinuation{}), 1, false,
			"reject m: continuation: malformed DrainContinuation event: detail.runId: is missing"},
		"the event once more":    {&queue{}, Again(5 * time.Second), 1, false, "continue SpotInterruption after 5s"},
		"the event insists":      {&queue{}, Outcome{Err: gone, Insist: true}, 3, false, "continue SpotInterruption after 4s"},
		"nil continuation value": {&queue{}, Later(0, (*events.DrainContinuation)(nil)), 1, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			q := tc.queue
			failed, _ := serve(t, q, func(context.Context, Delivery) Outcome { return tc.outcome }, t.Context(), record("m", spot, tc.received))
			if (len(failed) == 1) != tc.failed {
				t.Errorf("failed %q", failed)
			}
			if got := strings.Join(q.log, " "); tc.log != "" && got != tc.log {
				t.Errorf("sent %q\nwant %q", got, tc.log)
			}
		})
	}
}

func TestBigBodies(t *testing.T) {
	body := func(size int) string { // a spot warning with much in it
		e := `{"version":"0","id":"1","detail-type":"EC2 Spot Instance Interruption Warning","source":"aws.ec2","account":"123456789012",` +
			`"time":"2026-03-03T02:04:12Z","region":"us-east-1","resources":[],"detail":{"instance-id":"i-0b662ef9931388ba0","instance-action":"terminate","pad":"`
		return e + strings.Repeat("x", size-len(e)-3) + `"}}`
	}
	for size, handled := range map[int]bool{256 << 10: true, 1 << 20: true, 1<<20 + 1: false} {
		q := &queue{}
		var called bool
		failed, log := serve(t, q, func(context.Context, Delivery) Outcome { called = true; return Done() }, t.Context(), record("big", body(size), 1))
		if called != handled || len(failed) > 0 || (len(q.bodies["big"]) == size) == handled {
			t.Errorf("%d bytes: handled %t, failed %q, dead letter of %d bytes", size, called, failed, len(q.bodies["big"]))
		}
		if len(log) > 4096 {
			t.Errorf("%d bytes led to %d bytes of log", size, len(log))
		}
	}
}

func TestDelivery(t *testing.T) {
	var got Delivery
	r := record("m", spot, 2)
	work := func(_ context.Context, d Delivery) Outcome { got = d; return Done() }
	serve(t, &queue{}, work, t.Context(), r)
	if got.Received != 2 || got.SentAt.UnixMilli() != 1700000000000 || got.MessageID != "m" || got.Event.Kind != events.KindSpotInterruption {
		t.Errorf("%+v", got)
	}
	r.Attributes = nil
	serve(t, &queue{}, work, t.Context(), r)
	if got.Received != 1 || time.Since(got.SentAt) > time.Minute {
		t.Errorf("without attributes: %+v", got)
	}
}
