package interruption_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	awsevents "github.com/aws/aws-lambda-go/events"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/handler"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/obs"
)

// What the committed template says of the function and its queue.
const (
	timeout     = 30 * time.Second
	visibility  = 45 * time.Second
	maxReceives = 3
)

// sqs is the function's queue and Lambda before it: it delivers each message when it is due, to an invocation of its own,
// until it is deleted or has been received too often.
type sqs struct {
	w        *world
	mu       sync.Mutex
	messages map[string]*message
	dlq      []string // reasons
	sent     int
	twice    bool // every delivery is made twice at once, as SQS may
	flights  sync.WaitGroup
	running  int
}

type message struct {
	id, body string
	due      time.Time
	received int
}

func newQueue(w *world) *sqs { return &sqs{w: w, messages: map[string]*message{}} }

func (q *sqs) send(body string, delay time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.sent++
	m := &message{id: fmt.Sprintf("m%d", q.sent), body: body, due: time.Now().Add(delay.Truncate(time.Second))}
	if m.due.Before(time.Now().Add(delay)) { // seconds, rounded up
		m.due = m.due.Add(time.Second)
	}
	q.messages[m.id] = m
}

// Continue implements handler.Queue.
func (q *sqs) Continue(ctx context.Context, body string, delay time.Duration) error {
	return q.w.call(ctx, "send", func() error { q.send(q.w.kept(body), delay); return nil })
}

// Release implements handler.Queue. The receipt handle is the message's id and its delivery.
func (q *sqs) Release(ctx context.Context, receipt string, delay time.Duration) error {
	return q.w.call(ctx, "release", func() error {
		q.mu.Lock()
		defer q.mu.Unlock()
		id, n, _ := strings.Cut(receipt, "/")
		if m := q.messages[id]; m != nil && strconv.Itoa(m.received) == n {
			m.due = time.Now().Add(delay)
		}
		return nil
	})
}

// Reject implements handler.Queue.
func (q *sqs) Reject(ctx context.Context, _, _, reason string) error {
	return q.w.call(ctx, "reject", func() error {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.dlq = append(q.dlq, reason)
		return nil
	})
}

// serve delivers until no message is left.
func (q *sqs) serve(t *testing.T, work handler.Work) {
	t.Helper()
	log := io.Discard
	if testing.Verbose() && os.Getenv("TRACE") != "" {
		log = os.Stdout
	}
	h := &handler.Handler{
		Function: "interruption", Work: work, Queue: q, MaxReceives: maxReceives, Account: account, Region: region,
		NewID: rand.Text, Now: time.Now, Log: obs.NewLog(log, slog.LevelDebug, "interruption"),
	}
	for end := time.Now().Add(2 * time.Hour); ; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the story does not end")
		}
		due, left := q.receive()
		for _, m := range due {
			q.flights.Go(func() { q.invoke(h, m) })
		}
		if !left {
			break
		}
	}
	q.flights.Wait()
}

// receive takes what is due, as copies of this delivery, and tells whether anything is left, here or in flight.
func (q *sqs) receive() (due []message, left bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, id := range slices.Sorted(keys(q.messages)) {
		m := q.messages[id]
		if m.due.After(time.Now()) {
			continue
		}
		if m.received == maxReceives {
			q.dlq = append(q.dlq, "redrive by SQS")
			delete(q.messages, id)
			continue
		}
		m.received++
		m.due = time.Now().Add(visibility)
		due = append(due, *m)
		if q.twice && m.received < maxReceives {
			m.received++
			due = append(due, *m)
		}
	}
	q.running += len(due)
	return due, len(q.messages) > 0 || q.running > 0
}

func keys[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// invoke is one invocation. One that is killed answers nothing.
func (q *sqs) invoke(h *handler.Handler, m message) {
	defer func() { q.mu.Lock(); q.running--; q.mu.Unlock() }()
	l := &life{}
	ctx, cancel := context.WithTimeout(context.WithValue(context.Background(), lifeKey{}, l), timeout)
	defer cancel()
	out, _ := h.Handle(ctx, awsevents.SQSEvent{Records: []awsevents.SQSMessage{{
		MessageId: m.id, ReceiptHandle: fmt.Sprintf("%s/%d", m.id, m.received), Body: m.body,
		Attributes: map[string]string{"ApproximateReceiveCount": strconv.Itoa(m.received)},
	}}})
	q.w.mu.Lock()
	dead := l.dead
	q.w.mu.Unlock()
	if dead || len(out.BatchItemFailures) > 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.messages, m.id)
}

// event makes an event's body: now, in our account and Region.
func event(source, detailType, id string, detail any, edit ...func(map[string]any)) string {
	e := map[string]any{
		"version": "0", "id": id, "detail-type": detailType, "source": source, "account": account, "region": region,
		"time": time.Now().UTC().Format(time.RFC3339), "resources": []string{}, "detail": detail,
	}
	for _, f := range edit {
		f(e)
	}
	b, err := json.Marshal(e)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func spot(id string, edit ...func(map[string]any)) string {
	return event("aws.ec2", "EC2 Spot Instance Interruption Warning", id,
		map[string]string{"instance-id": machine, "instance-action": "terminate"}, edit...)
}

func rebalance(id string) string {
	return event("aws.ec2", "EC2 Instance Rebalance Recommendation", id, map[string]string{"instance-id": machine})
}

func state(id, name string) string {
	return event("aws.ec2", "EC2 Instance State-change Notification", id, map[string]string{"instance-id": machine, "state": name})
}

func hook(id, transition, token, destination string) string {
	detailType := "EC2 Instance-terminate Lifecycle Action"
	if transition == events.TransitionLaunching {
		detailType = "EC2 Instance-launch Lifecycle Action"
	}
	return event("aws.autoscaling", detailType, id, map[string]string{
		"LifecycleActionToken": token, "AutoScalingGroupName": group, "LifecycleHookName": "drain", "EC2InstanceId": machine,
		"LifecycleTransition": transition, "Origin": "AutoScalingGroup", "Destination": destination,
	})
}

// story runs a test in a bubble with a world and its queue.
func story(t *testing.T, tell func(t *testing.T, w *world, q *sqs)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		q := newQueue(w)
		defer func() {
			if t.Failed() {
				t.Logf("what happened:\n%s\nqueue: %d left, DLQ %q", strings.Join(w.trace, "\n"), len(q.messages), q.dlq)
			}
		}()
		tell(t, w, q)
	})
}

// finished are the results that were published.
func (w *world) finished() (list []*events.RunFinished) {
	for _, e := range w.published {
		if f, ok := e.Payload.(*events.RunFinished); ok {
			list = append(list, f)
		}
	}
	return list
}

// runs are those which the ledger has recorded.
func (w *world) runs(t *testing.T) []ledger.Run {
	t.Helper()
	runs, err := (&ledger.Ledger{Store: &w.store, Now: time.Now}).Runs(t.Context(), cluster)
	if err != nil {
		t.Fatal(err)
	}
	return runs
}

// drain is what the ledger remembers.
func (w *world) drain(t *testing.T) ledger.Drain {
	t.Helper()
	d, err := (&ledger.Ledger{Store: &w.store, Now: time.Now}).Drain(t.Context(), machine)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// wantDrained checks the one end that every story of a spot warning has.
func wantDrained(t *testing.T, w *world, q *sqs) {
	t.Helper()
	if len(q.messages) > 0 || len(q.dlq) > 0 {
		t.Errorf("%d messages are left, dead letters: %q", len(q.messages), q.dlq)
	}
	for name, p := range w.pods {
		stays := p.Mirror || p.Owner.Kind == "DaemonSet" || p.Finished()
		switch {
		case stays && (p.Deleting || p.accepted > 0):
			t.Errorf("%s was evicted", name)
		case !stays && !p.Deleting:
			t.Errorf("%s is still there", name)
		case !stays && p.accepted != 1:
			t.Errorf("%s: %d evictions were accepted, want 1", name, p.accepted)
		}
	}
	if w.cordons != 1 || w.uncordoned != 0 {
		t.Errorf("cordoned %d times, want once; %d removals came before it", w.cordons, w.uncordoned)
	}
	if w.replaced != 1 {
		t.Errorf("replaced %d times, want once", w.replaced)
	}
	runs, finished := w.runs(t), w.finished()
	if len(runs) != 1 || runs[0].Outcome != events.OutcomeDrained {
		t.Errorf("recorded runs: %+v, want one that is Drained", runs)
	}
	if len(finished) == 0 || len(runs) == 1 && finished[0].RunID != runs[0].RunID {
		t.Errorf("published results: %+v, want that of run %+v", finished, runs)
	}
	if d := w.drain(t); !d.Over() {
		t.Errorf("the ledger's drain is not over: %+v", d)
	}
}
