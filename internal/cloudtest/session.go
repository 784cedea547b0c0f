package cloudtest

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

// ErrKilled is what everything answers to an invocation that is no more.
var ErrKilled = errors.New("killed")

// Misfortune is what happens to one call.
type Misfortune int

// The misfortunes.
const (
	Nothing Misfortune = iota
	FailsBefore
	FailsAfter // it happened, and the answer is lost
	KilledBefore
	KilledAfter
)

// Script says what happens at which call. Calls are counted over all sessions.
type Script struct {
	mu            sync.Mutex
	Calls         int
	Reads, Writes int // of AWS's API and Kubernetes', not the ledger
	Ops           []string
	At            func(n int, op string) Misfortune
}

// Session is one invocation's way to the world. Every call of it can fail, lose its answer, or be the last one.
type Session struct {
	*Rig
	// Warm is set where the execution environment may be one that has served messages before, and remembers: of a message's first
	// delivery, as long as nothing is to happen to calls.
	Warm bool
	mu   sync.Mutex
	dead bool
}

// Dead tells whether the invocation is no more.
func (s *Session) Dead() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dead
}

func (s *Session) kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dead = true
}

// Call runs f, or does not, as the script has it.
func (s *Session) Call(ctx context.Context, op string, f func() error) error {
	if s.Dead() {
		return ErrKilled
	}
	s.Script.mu.Lock()
	s.Script.Calls++
	s.Script.Ops = append(s.Script.Ops, op)
	e := Nothing
	if s.Script.At != nil {
		e = s.Script.At(s.Script.Calls, op)
	}
	s.Script.mu.Unlock()
	switch {
	case e == KilledBefore:
		s.kill()
		return ErrKilled
	case ctx.Err() != nil:
		return ctx.Err()
	case e == FailsBefore:
		return fault.New(fault.Transient, "%s: connection refused", op)
	}
	err := f()
	switch {
	case e == FailsAfter:
		return fault.New(fault.Transient, "%s: connection reset", op)
	case e == KilledAfter:
		s.kill()
		return ErrKilled
	case s.Dead(): // by a call beside this one
		return ErrKilled
	}
	return err
}

// Read is a Call with a result.
func Read[T any](ctx context.Context, s *Session, op string, f func() (T, error)) (out T, err error) {
	err = s.Call(ctx, op, func() (err error) { out, err = f(); return err })
	return out, err
}

// RoundTrip is AWS.
func (s *Session) RoundTrip(r *http.Request) (*http.Response, error) {
	op, err := operation(r)
	if err != nil {
		return nil, err
	}
	s.Count(op)
	out, err := Read(r.Context(), s, op, func() (*http.Response, error) { return s.Cloud.RoundTrip(r) })
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Count counts a call of AWS's API, or of Kubernetes', as a read or a write.
func (s *Session) Count(op string) {
	s.Script.mu.Lock()
	defer s.Script.mu.Unlock()
	if reads(op) {
		s.Script.Reads++
	} else {
		s.Script.Writes++
	}
}

// reads tells whether an operation changes nothing.
func reads(op string) bool {
	for _, p := range []string{"Describe", "List", "Get", "GET", "Simulate", "/describe"} {
		if strings.Contains(op, p) {
			return true
		}
	}
	return false
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

// Get is the ledger's store.
func (s *Session) Get(ctx context.Context, key ledger.Key) (ledger.Document, error) {
	return Read(ctx, s, "ledger.Get "+key.Sort, func() (ledger.Document, error) { return s.Store.Get(ctx, key) })
}

// Put is the ledger's store.
func (s *Session) Put(ctx context.Context, d ledger.Document) error {
	return s.Call(ctx, "ledger.Put "+d.Key.Sort, func() error { return s.Store.Put(ctx, d) })
}

// Query is the ledger's store.
func (s *Session) Query(ctx context.Context, partition, prefix string) ([]ledger.Document, error) {
	return Read(ctx, s, "ledger.Query "+partition, func() ([]ledger.Document, error) { return s.Store.Query(ctx, partition, prefix) })
}

// Publish is the bus.
func (s *Session) Publish(ctx context.Context, list ...events.Event) error {
	return s.Call(ctx, "Publish", func() error {
		s.Rig.mu.Lock()
		s.bus = append(s.bus, list...)
		s.Rig.mu.Unlock()
		for _, e := range list {
			if s.Heard != nil {
				s.Heard(e)
			}
		}
		return nil
	})
}

// Continue is the function's own queue.
func (s *Session) Continue(ctx context.Context, body string, delay time.Duration) error {
	return s.Call(ctx, "Continue", func() error { s.send(body, delay); return nil })
}

// Reject is the dead-letter queue.
func (s *Session) Reject(ctx context.Context, body, _, reason string) error {
	return s.Call(ctx, "Reject", func() error { s.Queue.Reject(body, reason); return nil })
}

// Release makes a received message visible again.
func (s *Session) Release(ctx context.Context, receipt string, delay time.Duration) error {
	return s.Call(ctx, "Release", func() error { s.Queue.Release(receipt, delay); return nil })
}
