package cluster

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
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/ledger"
)

// errKilled is what everything answers to an invocation that is no more.
var errKilled = errors.New("killed")

// session is one invocation's way to the world. Every call of it can fail, lose its answer, or be the last one.
type session struct {
	*rig
	mu   sync.Mutex
	dead bool
}

// script says what happens at which call. Calls are counted over all sessions.
type script struct {
	mu            sync.Mutex
	calls         int
	reads, writes int // of AWS's API and Kubernetes', not the ledger
	at            func(n int, op string) event
	ops           []string
}

// event is what happens to one call.
type event int

const (
	nothing event = iota
	failsBefore
	failsAfter // it happened, and the answer is lost
	killedBefore
	killedAfter
)

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
	e := nothing
	if s.script.at != nil {
		e = s.script.at(s.script.calls, op)
	}
	s.script.mu.Unlock()
	switch {
	case e == killedBefore:
		s.kill()
		return errKilled
	case ctx.Err() != nil:
		return ctx.Err()
	case e == failsBefore:
		return fault.New(fault.Transient, "%s: connection refused", op)
	}
	err := f()
	switch {
	case e == failsAfter:
		return fault.New(fault.Transient, "%s: connection reset", op)
	case e == killedAfter:
		s.kill()
		return errKilled
	case s.isDead(): // by a call beside this one
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
	s.count(op)
	out, err := read(r.Context(), s, op, func() (*http.Response, error) { return s.cloud.RoundTrip(r) })
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (s *session) count(op string) {
	s.script.mu.Lock()
	defer s.script.mu.Unlock()
	if reads(op) {
		s.script.reads++
	} else {
		s.script.writes++
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

// Kubernetes.

func (s *session) Object(ctx context.Context, cluster string, ref fleet.Ref) (fleet.Resource, error) {
	return read(ctx, s, "kubernetes GET "+ref.ID, func() (fleet.Resource, error) {
		s.inside.mu.Lock()
		defer s.inside.mu.Unlock()
		p, ok := s.inside.list[cluster+"|"+ref.Name]
		if !ok {
			return fleet.Resource{}, fault.New(fault.NotFound, "no %s", ref.Name)
		}
		return fleet.Resource{Ref: ref, Props: p}, nil
	})
}

func (s *session) Apply(ctx context.Context, cluster string, object fleet.Props) error {
	s.count("kubernetes apply")
	return s.call(ctx, "kubernetes apply", func() error {
		s.inside.mu.Lock()
		defer s.inside.mu.Unlock()
		s.inside.list[key(cluster, object)] = object
		return nil
	})
}

func (s *session) Delete(ctx context.Context, cluster string, object fleet.Props) error {
	s.count("kubernetes delete")
	return s.call(ctx, "kubernetes delete", func() error {
		s.inside.mu.Lock()
		defer s.inside.mu.Unlock()
		if _, ok := s.inside.list[key(cluster, object)]; !ok {
			return fault.New(fault.NotFound, "no %s", key(cluster, object))
		}
		delete(s.inside.list, key(cluster, object))
		return nil
	})
}

// The ledger's store, the bus and the queue.

func (s *session) Get(ctx context.Context, key ledger.Key) (ledger.Document, error) {
	return read(ctx, s, "ledger.Get", func() (ledger.Document, error) { return s.store.Get(ctx, key) })
}

func (s *session) Put(ctx context.Context, d ledger.Document) error {
	return s.call(ctx, "ledger.Put", func() error { return s.store.Put(ctx, d) })
}

func (s *session) Query(ctx context.Context, partition, prefix string) ([]ledger.Document, error) {
	return read(ctx, s, "ledger.Query", func() ([]ledger.Document, error) { return s.store.Query(ctx, partition, prefix) })
}

func (s *session) Publish(ctx context.Context, list ...events.Event) error {
	return s.call(ctx, "Publish", func() error {
		s.rig.mu.Lock()
		defer s.rig.mu.Unlock()
		s.list = append(s.list, list...)
		return nil
	})
}

func (s *session) Continue(ctx context.Context, body string, delay time.Duration) error {
	return s.call(ctx, "Continue", func() error { s.queue.send(body, delay); return nil })
}

func (s *session) Reject(ctx context.Context, body, _, reason string) error {
	return s.call(ctx, "Reject", func() error {
		s.rig.mu.Lock()
		defer s.rig.mu.Unlock()
		s.queue.dlq, s.queue.bodies = append(s.queue.dlq, reason), append(s.queue.bodies, body)
		return nil
	})
}

func (s *session) Release(ctx context.Context, receipt string, delay time.Duration) error {
	return s.call(ctx, "Release", func() error { s.queue.release(receipt, delay); return nil })
}
