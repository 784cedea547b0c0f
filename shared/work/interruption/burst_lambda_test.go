package interruption_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	awsevents "github.com/aws/aws-lambda-go/events"

	"github.com/ekspedite/ekspedite/shared/handler"
)

// Continue, Release and Reject implement handler.Queue.
func (b *burst) Continue(_ context.Context, body string, delay time.Duration) error {
	time.Sleep(8 * time.Millisecond)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sent++
	b.messages = append(b.messages, &message{id: fmt.Sprintf("m%d", b.sent), body: body, due: time.Now().Add(delay)})
	return nil
}

func (b *burst) Release(_ context.Context, receipt string, delay time.Duration) error {
	time.Sleep(8 * time.Millisecond)
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range b.messages {
		if m.id == receipt {
			m.due = time.Now().Add(delay)
		}
	}
	return nil
}

func (b *burst) Reject(_ context.Context, _, _, reason string) error {
	return fmt.Errorf("nothing is to be rejected here: %s", reason)
}

// serve is Lambda's pollers: five at first, five more each second, until so many. It ends when no message is left, or the
// time is over.
func (b *burst) serve(most int, patience time.Duration) {
	var pollers sync.WaitGroup
	end := time.Now().Add(patience)
	poll := func() {
		for time.Now().Before(end) {
			if batch := b.take(); len(batch) > 0 {
				b.invoke(batch)
			} else if b.idle() {
				return
			} else {
				time.Sleep(20 * time.Millisecond)
			}
		}
	}
	for i := range most {
		if i >= 5 {
			time.Sleep(time.Second / 5)
		}
		if b.idle() {
			break
		}
		pollers.Go(poll)
	}
	pollers.Wait()
	time.Sleep(10 * time.Second) // calls to EC2 that nobody waits for end
}

func (b *burst) idle() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.messages) == 0
}

func (b *burst) take() (out []*message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range b.messages {
		if len(out) < 10 && !m.due.After(time.Now()) {
			m.received++
			m.due = time.Now().Add(visibility)
			out = append(out, m)
		}
	}
	return out
}

// coldStart of an environment: what Lambda and the function take together.
const coldStart = 250 * time.Millisecond

func (b *burst) invoke(batch []*message) {
	b.mu.Lock()
	var h *handler.Handler
	if n := len(b.free); n > 0 {
		h, b.free = b.free[n-1], b.free[:n-1]
	} else {
		b.made++
	}
	b.mu.Unlock()
	if h == nil {
		time.Sleep(coldStart)
		h = b.environment()
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	var in awsevents.SQSEvent
	b.mu.Lock()
	for _, m := range batch {
		in.Records = append(in.Records, awsevents.SQSMessage{MessageId: m.id, ReceiptHandle: m.id, Body: m.body,
			Attributes: map[string]string{"ApproximateReceiveCount": strconv.Itoa(m.received)}})
	}
	b.mu.Unlock()
	out, _ := h.Handle(ctx, in)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.free = append(b.free, h)
	b.messages = slices.DeleteFunc(b.messages, func(m *message) bool {
		return slices.Contains(batch, m) && !slices.ContainsFunc(out.BatchItemFailures, func(f awsevents.SQSBatchItemFailure) bool { return f.ItemIdentifier == m.id })
	})
}
