package lambda

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/world"
)

// fakeQueues is one queue, without SQS's awkwardness.
type fakeQueues struct {
	mu       sync.Mutex
	messages []*fakeMessage
	arrived  chan struct{}
	sent     map[string]string
}

type fakeMessage struct {
	Message
	visible time.Time
	count   int
}

const visibility = 30 * time.Second

func (q *fakeQueues) put(bodies ...string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, b := range bodies {
		id := fmt.Sprintf("m%d", len(q.messages))
		q.messages = append(q.messages, &fakeMessage{Message: Message{ID: id, ReceiptHandle: id, Body: b}})
	}
	if q.arrived != nil {
		close(q.arrived)
		q.arrived = nil
	}
}

func (q *fakeQueues) Receive(ctx context.Context, _ string, most int, wait time.Duration) ([]Message, error) {
	end := time.Now().Add(wait)
	for {
		q.mu.Lock()
		var out []Message
		now, next := time.Now(), end
		for _, m := range q.messages {
			if m.visible.After(now) {
				if m.visible.Before(next) {
					next = m.visible
				}
				continue
			}
			if len(out) < most {
				m.visible = now.Add(visibility)
				m.count++
				out = append(out, m.Message)
			}
		}
		if q.arrived == nil {
			q.arrived = make(chan struct{})
		}
		arrived := q.arrived
		q.mu.Unlock()
		if len(out) > 0 || !now.Before(end) {
			return out, nil
		}
		t := time.NewTimer(next.Sub(now))
		select {
		case <-arrived:
		case <-t.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		t.Stop()
	}
}

func (q *fakeQueues) Delete(_ context.Context, _ string, handles []string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.messages = slices.DeleteFunc(q.messages, func(m *fakeMessage) bool { return slices.Contains(handles, m.ReceiptHandle) })
	return nil
}

func (q *fakeQueues) Send(_ context.Context, arn, body string, _ map[string]string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.sent == nil {
		q.sent = map[string]string{}
	}
	q.sent[arn] = body
	return nil
}

func (q *fakeQueues) VisibilityTimeout(string) (time.Duration, error) { return visibility, nil }

func (q *fakeQueues) sentTo() map[string]string {
	q.mu.Lock()
	defer q.mu.Unlock()
	return maps.Clone(q.sent)
}

func (q *fakeQueues) left() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.messages)
}

func TestPartialBatchResponses(t *testing.T) {
	batch := []Message{{ID: "a"}, {ID: "b"}}
	for _, c := range []struct {
		response string
		failed   int
		all      bool
	}{
		{``, 0, false}, {`null`, 0, false}, {`{}`, 0, false}, {`{"batchItemFailures":null}`, 0, false}, {`{"batchItemFailures":[]}`, 0, false},
		{`{"batchItemFailures":[{"itemIdentifier":"b"}]}`, 1, false},
		{`{"batchItemFailures":[{"itemIdentifier":"x"}]}`, 0, true}, {`{"batchItemFailures":[{"itemIdentifier":""}]}`, 0, true},
		{`{"batchItemFailures":[{"itemIdentifier":null}]}`, 0, true}, {`{"batchItemFailures":[{"id":"a"}]}`, 0, true},
		{`{"batchItemFailures":`, 0, true}, {`"ok"`, 0, true},
	} {
		if failed, all := failures([]byte(c.response), batch); len(failed) != c.failed || all != c.all {
			t.Errorf("%s: failed %v, all %v", c.response, failed, all)
		}
	}
}

// bubble runs a mapping with an invented function in fake time.
func bubble(t *testing.T, change func(*mapping), body func(q *fakeQueues, m *mapping)) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New("123456789012", "us-east-1", world.Fast, 1, slog.New(slog.DiscardHandler))
		q := &fakeQueues{}
		m := &mapping{s: &Service{w: w, queues: q}, queueARN: "arn:aws:sqs:us-east-1:123456789012:q", batch: 10, may: func() error { return nil }}
		change(m)
		m.enable()
		synctest.Wait()
		body(q, m)
		w.Close()
	})
}

func bodies(payload []byte) (out []string) {
	var e struct{ Records []struct{ Body string } }
	_ = json.Unmarshal(payload, &e)
	for _, r := range e.Records {
		out = append(out, r.Body)
	}
	return out
}

func TestFailedRecordsComeBackAlone(t *testing.T) {
	var mu sync.Mutex
	var calls [][]string
	bubble(t, func(m *mapping) {
		m.partial = true
		m.invoke = func(p []byte) (Result, error) {
			mu.Lock()
			defer mu.Unlock()
			calls = append(calls, bodies(p))
			if len(calls) == 1 {
				return Result{Payload: []byte(`{"batchItemFailures":[{"itemIdentifier":"m1"}]}`)}, nil
			}
			return Result{}, nil
		}
	}, func(q *fakeQueues, _ *mapping) {
		start := time.Now()
		q.put("a", "b", "c")
		synctest.Wait()
		if q.left() != 1 {
			t.Errorf("%d messages left", q.left())
		}
		time.Sleep(visibility + time.Second)
		if q.left() != 0 || len(calls) != 2 || len(calls[1]) != 1 || calls[1][0] != "b" {
			t.Errorf("after %v: %d left, calls %v", time.Since(start), q.left(), calls)
		}
	})
}

func TestFunctionErrorKeepsBatch(t *testing.T) {
	bubble(t, func(m *mapping) {
		m.invoke = func([]byte) (Result, error) { return Result{FunctionError: "Unhandled"}, nil }
	}, func(q *fakeQueues, m *mapping) {
		q.put("a", "b")
		time.Sleep(5 * time.Second)
		if q.left() != 2 || m.describe().LastProcessingResult != "PROBLEM: Function call failed" {
			t.Errorf("%d left, %+v", q.left(), m.describe())
		}
	})
}

func TestThrottlesAreRetriedWhileInvisible(t *testing.T) {
	var calls int
	bubble(t, func(m *mapping) {
		m.invoke = func([]byte) (Result, error) {
			if calls++; calls < 6 {
				return Result{}, throttle()
			}
			return Result{}, nil
		}
	}, func(q *fakeQueues, _ *mapping) {
		q.put("a")
		time.Sleep(10 * time.Second)
		q.mu.Lock()
		defer q.mu.Unlock()
		if len(q.messages) != 0 || calls != 6 {
			t.Errorf("%d left after %d calls", len(q.messages), calls)
		}
	})
}

func TestBatchingWindow(t *testing.T) {
	var sizes []int
	bubble(t, func(m *mapping) {
		m.batch, m.window, m.most = 15, 5*time.Second, 2
		m.invoke = func(p []byte) (Result, error) { sizes = append(sizes, len(bodies(p))); return Result{}, nil }
		m.most = 0
	}, func(q *fakeQueues, m *mapping) {
		m.disable()
		synctest.Wait()
		ctx := context.Background()
		go func() {
			for range 4 {
				q.put("x")
				time.Sleep(2 * time.Second)
			}
		}()
		start := time.Now()
		got, err := m.gather(ctx)
		if err != nil || len(got) != 3 || time.Since(start) != 5*time.Second {
			t.Errorf("%d messages in %v, %v", len(got), time.Since(start), err)
		}
		time.Sleep(10 * time.Second)
	})
}

func TestPollersFollowTheLoad(t *testing.T) {
	for _, c := range []struct{ most, atLeast, atMost int }{{0, 10, 60}, {2, 2, 2}} {
		var mu sync.Mutex
		var now, peak int
		bubble(t, func(m *mapping) {
			m.batch, m.most = 1, c.most
			m.invoke = func([]byte) (Result, error) {
				mu.Lock()
				now++
				peak = max(peak, now)
				mu.Unlock()
				time.Sleep(time.Second)
				mu.Lock()
				now--
				mu.Unlock()
				return Result{}, nil
			}
		}, func(q *fakeQueues, m *mapping) {
			for range 100 {
				q.put("x")
			}
			time.Sleep(5 * time.Minute)
			if q.left() != 0 || peak < c.atLeast || peak > c.atMost {
				t.Errorf("MaximumConcurrency %d: %d left, peak %d", c.most, q.left(), peak)
			}
			m.mu.Lock()
			defer m.mu.Unlock()
			if m.pollers > firstPollers {
				t.Errorf("%d pollers stay", m.pollers)
			}
		})
	}
}

func TestSplitKeepsInvocationsSmall(t *testing.T) {
	big := Message{Body: string(make([]byte, 1<<20))}
	parts := split(slices.Repeat([]Message{big}, 10))
	if len(parts) != 3 || len(parts[0]) != 4 {
		t.Errorf("%d parts of %d", len(parts), len(parts[0]))
	}
}

func TestMappingOfRealFunction(t *testing.T) {
	h := newHost(t, Options{})
	h.create(t, nil)
	if _, err := h.provideMapping("m", json.RawMessage(`{"EventSourceArn":"arn:aws:sqs:us-east-1:123456789012:q","FunctionName":"f","FunctionResponseTypes":["ReportBatchItemFailures"]}`)); err != nil {
		t.Fatal(err)
	}
	h.queues.put("good", "bad", "good")
	until(t, "two messages are deleted", func() bool { return h.queues.left() == 1 })
}

func TestMappingIsChecked(t *testing.T) {
	h := newHost(t, Options{}, "sqs:DeleteMessage")
	h.create(t, nil)
	for _, p := range []string{
		`{"EventSourceArn":"arn:aws:sqs:us-east-1:123456789012:q","FunctionName":"f"}`,
		`{"EventSourceArn":"arn:aws:kinesis:us-east-1:123456789012:s","FunctionName":"f"}`,
		`{"EventSourceArn":"arn:aws:sqs:us-east-1:123456789012:q","FunctionName":"f","BatchSize":20}`,
		`{"EventSourceArn":"arn:aws:sqs:us-east-1:123456789012:q","FunctionName":"f","ScalingConfig":{"MaximumConcurrency":1}}`,
		`{"EventSourceArn":"arn:aws:sqs:us-east-1:123456789012:q","FunctionName":"f","FilterCriteria":{}}`,
	} {
		if _, err := h.provideMapping("m", json.RawMessage(p)); err == nil {
			t.Errorf("%s: no error", p)
		}
	}
}
