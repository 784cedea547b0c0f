package scaling

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/ledger"
)

// errKilled is what everything answers to an invocation that is no more.
var errKilled = errors.New("killed")

// what happens to a call.
type what int

const (
	fine what = iota
	fails
	killedAfter
)

// script says what happens at which call, counted over all sessions.
type script struct {
	mu    sync.Mutex
	calls int
	ops   []string
	at    func(n int, op string) what
}

// session is one invocation's way to the world. Every call of it can fail or be the last one.
type session struct {
	*rig
	warm bool // what the environment remembers is there
	mu   sync.Mutex
	dead bool
}

func (s *session) isDead() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dead
}

func (s *session) kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dead = true
}

// call runs f, or does not, as the script has it.
func (s *session) call(ctx context.Context, op string, f func() error) error {
	if s.isDead() {
		return errKilled
	}
	s.script.mu.Lock()
	s.script.calls++
	s.script.ops = append(s.script.ops, op)
	w := fine
	if s.script.at != nil {
		w = s.script.at(s.script.calls, op)
	}
	s.script.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case w == fails:
		return fault.New(fault.Transient, "%s: connection refused", op)
	}
	err := f()
	if w == killedAfter {
		s.kill()
		return errKilled
	}
	return err
}

func read[T any](ctx context.Context, s *session, op string, f func() (T, error)) (out T, err error) {
	err = s.call(ctx, op, func() (err error) { out, err = f(); return err })
	return out, err
}

// RoundTrip is AWS.
func (s *session) RoundTrip(r *http.Request) (*http.Response, error) {
	op, err := operation(r)
	if err != nil {
		return nil, err
	}
	out, err := read(r.Context(), s, op, func() (*http.Response, error) { return s.cloud.RoundTrip(r) })
	if err != nil {
		return nil, err
	}
	return out, nil
}

// operation names the API call of a request.
func operation(r *http.Request) (string, error) {
	if target := r.Header.Get("X-Amz-Target"); target != "" {
		return target[strings.LastIndexByte(target, '.')+1:], nil
	}
	if r.Body == nil || !strings.Contains(r.Header.Get("Content-Type"), "x-www-form-urlencoded") {
		return r.Method + " " + r.URL.Path, nil
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return "", err
	}
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	form, err := url.ParseQuery(string(body))
	return form.Get("Action"), err
}

// The ledger's store, the bus and the queue.

func (s *session) Get(ctx context.Context, key ledger.Key) (ledger.Document, error) {
	return read(ctx, s, "ledger.Get "+key.Sort, func() (ledger.Document, error) { return s.store.Get(ctx, key) })
}

func (s *session) Put(ctx context.Context, d ledger.Document) error {
	return s.call(ctx, "ledger.Put "+d.Key.Sort, func() error { return s.store.Put(ctx, d) })
}

func (s *session) Query(ctx context.Context, partition, prefix string) ([]ledger.Document, error) {
	return read(ctx, s, "ledger.Query", func() ([]ledger.Document, error) { return s.store.Query(ctx, partition, prefix) })
}

func (s *session) Publish(ctx context.Context, list ...events.Event) error {
	return s.call(ctx, "Publish", func() error {
		for _, e := range list {
			s.rig.mu.Lock()
			s.bus = append(s.bus, e)
			s.rig.mu.Unlock()
			if p, ok := e.Payload.(*events.NodeRemovalRequested); ok {
				s.removed(p)
			}
		}
		return nil
	})
}

func (s *session) Continue(ctx context.Context, body string, delay time.Duration) error {
	return s.call(ctx, "Continue", func() error { s.queue.send(body, delay); return nil })
}

func (s *session) Reject(ctx context.Context, _, _, reason string) error {
	return s.call(ctx, "Reject", func() error {
		s.rig.mu.Lock()
		defer s.rig.mu.Unlock()
		s.queue.dlq = append(s.queue.dlq, reason)
		return nil
	})
}

func (s *session) Release(ctx context.Context, receipt string, delay time.Duration) error {
	return s.call(ctx, "Release", func() error { s.queue.release(receipt, delay); return nil })
}
