package lambda

import (
	"context"
	"slices"
	"sync"
	"time"
)

const (
	longPoll       = 20 * time.Second // the longest that SQS waits
	firstPollers   = 5                // Lambda starts with five concurrent batches
	mostPollers    = 1250             // and stops at this many where MaximumConcurrency does not stop it earlier
	pollersEvery   = time.Second / 5  // 300 more a minute
	maxBatchBytes  = 6 << 20          // what fits into one invocation
	retryThrottled = 100 * time.Millisecond
	pollAgain      = time.Second // after a poll that failed
)

// mapping is an event source mapping from a queue to a function.
type mapping struct {
	s           *Service
	id          string
	queueARN    string
	functionARN string
	batch       int
	window      time.Duration
	most        int  // MaximumConcurrency; 0 is none
	partial     bool // ReportBatchItemFailures
	modified    time.Time
	// invoke runs the function. It is a field so that tests of polling need no process.
	invoke func(payload []byte) (Result, error)
	// may tells whether the function's role may poll.
	may func() error

	mu      sync.Mutex // guards the rest
	enabled bool
	cancel  context.CancelFunc
	pollers int
	busy    int
	scaled  time.Time
	result  string // LastProcessingResult
}

func (m *mapping) limit() int {
	if m.most > 0 {
		return m.most
	}
	return mostPollers
}

// enable starts the pollers.
func (m *mapping) enable() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.enabled {
		return
	}
	m.enabled = true
	ctx, cancel := context.WithCancel(m.s.w.Context())
	m.cancel = cancel
	for range min(firstPollers, m.limit()) {
		m.start(ctx)
	}
}

// disable ends the pollers after what they are at.
func (m *mapping) disable() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.enabled {
		m.enabled = false
		m.cancel()
	}
}

func (m *mapping) start(ctx context.Context) { // needs the lock
	m.pollers++
	m.s.w.Go(func(context.Context) { m.poll(ctx) })
}

// poll is one poller. Those beyond the first few end when the queue has nothing for them.
func (m *mapping) poll(ctx context.Context) {
	for ctx.Err() == nil {
		batch, err := m.gather(ctx)
		if err != nil && ctx.Err() == nil {
			m.note("PROBLEM: " + err.Error())
			m.s.w.Log.Warn("embedded cloud: an event source mapping cannot poll", "queue", m.queueARN, "reason", err)
			sleep(ctx, pollAgain)
			continue
		}
		if len(batch) == 0 {
			if m.surplus() {
				return
			}
			continue
		}
		m.engage(ctx)
		for _, part := range split(batch) {
			m.process(ctx, part)
		}
		m.mu.Lock()
		m.busy--
		m.mu.Unlock()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pollers--
}

// engage counts a poller as busy and starts another when no one is left to poll.
func (m *mapping) engage(ctx context.Context) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.busy++
	if now := time.Now(); m.busy == m.pollers && m.pollers < m.limit() && now.Sub(m.scaled) >= pollersEvery && ctx.Err() == nil {
		m.scaled = now
		m.start(ctx)
	}
}

func (m *mapping) surplus() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.pollers <= min(firstPollers, m.limit()) {
		return false
	}
	m.pollers--
	return true
}

func (m *mapping) note(result string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.result = result
}

// gather receives one batch: what one poll brings, or, with a batching window, what comes until the window closes or the
// batch is full.
func (m *mapping) gather(ctx context.Context) ([]Message, error) {
	if err := m.may(); err != nil {
		return nil, err
	}
	const perCall = 10
	batch, err := m.s.queues.Receive(ctx, m.queueARN, min(perCall, m.batch), longPoll)
	if err != nil || len(batch) == 0 || m.window == 0 {
		return batch, err
	}
	closes := time.Now().Add(m.window)
	for size := bytesOf(batch); len(batch) < m.batch && size < maxBatchBytes; size = bytesOf(batch) {
		left := time.Until(closes)
		if left <= 0 {
			break
		}
		more, err := m.s.queues.Receive(ctx, m.queueARN, min(perCall, m.batch-len(batch)), min(left, longPoll))
		if err != nil {
			break // what there is will be processed
		}
		batch = append(batch, more...)
	}
	return batch, nil
}

func bytesOf(batch []Message) int {
	n := 0
	for _, m := range batch {
		n += len(m.Body)
	}
	return n
}

// split cuts a batch so that each part fits into one invocation. Messages may have 1 MiB each.
func split(batch []Message) [][]Message {
	const room = maxBatchBytes * 3 / 4 // JSON's quoting and the other fields need the rest
	var out [][]Message
	size := 0
	for _, m := range batch {
		if size += len(m.Body); len(out) == 0 || size > room {
			out, size = append(out, nil), len(m.Body)
		}
		out[len(out)-1] = append(out[len(out)-1], m)
	}
	return out
}

// process has the function handle a batch and deletes what it has handled. What stays becomes visible again when its
// visibility timeout ends.
func (m *mapping) process(ctx context.Context, batch []Message) {
	visible, err := m.s.queues.VisibilityTimeout(m.queueARN)
	if err != nil {
		m.note("PROBLEM: " + err.Error())
		return
	}
	payload := event(batch, m.queueARN, m.s.w.Region)
	r, err := m.invokeUntil(ctx, payload, time.Now().Add(visible))
	if err != nil {
		m.note("PROBLEM: " + err.Error())
		m.s.w.Log.Warn("embedded cloud: a batch was not processed", "function", m.functionARN, "messages", len(batch), "reason", err)
		return
	}
	if r.FunctionError != "" {
		m.note("PROBLEM: Function call failed")
		m.s.w.Log.Warn("embedded cloud: a function failed; its batch comes back after the visibility timeout",
			"function", m.functionARN, "messages", len(batch), "error", r.FunctionError, "response", truncate(string(r.Payload), 300))
		return
	}
	done := batch
	if m.partial {
		failed, all := failures(r.Payload, batch)
		if all {
			m.note("PROBLEM: Function returned a malformed batch response")
			m.s.w.Log.Warn("embedded cloud: a function's batch response is malformed: the whole batch counts as failed", "function", m.functionARN, "response", truncate(string(r.Payload), 300))
			return
		}
		done = slices.DeleteFunc(slices.Clone(batch), func(msg Message) bool { return failed[msg.ID] })
	}
	m.note("OK")
	var handles []string
	for _, msg := range done {
		handles = append(handles, msg.ReceiptHandle)
	}
	m.remove(ctx, handles)
}

// invokeUntil retries a throttled invocation as long as the messages are invisible to others.
func (m *mapping) invokeUntil(ctx context.Context, payload []byte, deadline time.Time) (Result, error) {
	for wait := retryThrottled; ; wait = min(2*wait, 5*time.Second) {
		r, err := m.invoke(payload)
		if err == nil || !IsThrottle(err) || time.Now().Add(wait).After(deadline) {
			return r, err
		}
		if !sleep(ctx, wait) {
			return r, err
		}
	}
}

// remove deletes processed messages. It goes on when the mapping is disabled meanwhile; a message that cannot be deleted
// is delivered again, as SQS's at-least-once has it.
func (m *mapping) remove(ctx context.Context, handles []string) {
	for part := range slices.Chunk(handles, 10) {
		var err error
		for range 3 {
			if err = m.s.queues.Delete(context.WithoutCancel(ctx), m.queueARN, part); err == nil {
				break
			}
			sleep(ctx, retryThrottled)
		}
		if err != nil {
			m.s.w.Log.Warn("embedded cloud: processed messages could not be deleted", "queue", m.queueARN, "reason", err)
		}
	}
}

// sleep waits; it is false when the context ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
