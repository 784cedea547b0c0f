// Package pace keeps one execution environment from being the ruin of an API server, and an API server from being the ruin
// of it: how many requests are under way at once adapts to what the server bears, what matters most goes first, and a server
// that is silent costs its callers a moment and not their time.
package pace

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/ekspedite/ekspedite/shared/fault"
)

const (
	// Width is how many requests are under way at once at first: enough that 110 evictions take a few round trips, and below
	// the 100 that an API server's default priority level for workloads is sure to seat.
	Width = 40
	// most is what it grows to where the server never refuses.
	most = 160
	// longestHold bounds what a server's Retry-After is believed: more than a few seconds of a machine's two minutes.
	longestHold = 5 * time.Second
	// forgotten is after what time a refusal says nothing about today.
	forgotten = 30 * time.Second
	// silences is how many requests in a row have to go unanswered before the server counts as silent; of one that has never answered
	// one is enough.
	silences = 2
	// Pauses of a silent server between probes: each twice the one before.
	firstPause, longestPause = 2 * time.Second, 16 * time.Second
	// quick is an answer after which there is no reason for more patience than at first.
	quick = 1500 * time.Millisecond
)

// Patience is how long one request may take.
type Patience struct {
	Greeting time.Duration // with a server that has not answered yet; 0 is First
	First    time.Duration // with one that answers
	Most     time.Duration // what it doubles up to with one that was silent, but may only be slow
}

// Verdict is what came of a request, as far as the server's health shows in it.
type Verdict int

// The verdicts.
const (
	Answered  Verdict = iota // whatever the answer was
	Throttled                // the server has too much to do
	Silent                   // no answer in the patience that there was
	Unknown                  // the caller gave up before, or no connection was made
)

// Server is what an execution environment knows of one API server. It is safe for concurrent use.
type Server struct {
	patience Patience

	mu        sync.Mutex
	width     float64 // what may be under way at once
	busy      int
	waiting   [2][]*waiter // urgent ones, others; each in the order of coming
	heldUntil time.Time    // until then the server wants to be left alone by what can wait
	shrunk    time.Time    // when the width was last halved
	grown     time.Time    // when it last grew after that
	known     bool         // it has answered before
	missed    int          // requests in a row that were not answered
	shut      time.Time    // until then nothing is asked; zero when the server answers
	pause     time.Duration
	probing   bool
	current   time.Duration // today's patience
}

type waiter struct {
	ready chan struct{} // closed when it is let in, or refused
	err   error
	began time.Time // of its turn
}

// New knows nothing of a server yet.
func New(p Patience) *Server {
	return &Server{patience: p, width: Width, current: cmp.Or(p.Greeting, p.First)}
}

// Turn is the right to make one request.
type Turn struct {
	Patience time.Duration // the request's time limit
	s        *Server
	began    time.Time
	probe    bool
	over     sync.Once
}

// Enter waits for a turn; End must follow. Urgent requests go before all others, and some room is kept for them. The error is
// ctx's, or a fault.Transient that says when to come back if the server is silent: then there is no waiting.
func (s *Server) Enter(ctx context.Context, urgent bool) (*Turn, error) {
	s.mu.Lock()
	now := time.Now()
	probe, err := s.closed(now)
	if err != nil {
		s.mu.Unlock()
		return nil, err
	}
	if probe {
		s.probing = true
		s.busy++
		defer s.mu.Unlock()
		return &Turn{Patience: s.current, s: s, began: now, probe: true}, nil
	}
	w := &waiter{ready: make(chan struct{})}
	class := 1
	if urgent {
		class = 0
	}
	s.waiting[class] = append(s.waiting[class], w)
	s.admit(now)
	s.mu.Unlock()

	select {
	case <-w.ready:
	case <-ctx.Done():
		if s.withdraw(class, w) {
			return nil, ctx.Err()
		}
		<-w.ready // it was let in at the same moment
	}
	if w.err != nil {
		return nil, w.err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return &Turn{Patience: s.current, s: s, began: w.began}, nil
}

// closed tells whether the server is silent, and whether this request may find out if it still is.
func (s *Server) closed(now time.Time) (probe bool, err error) { // needs the lock
	switch {
	case s.shut.IsZero():
		return false, nil
	case !s.probing && !now.Before(s.shut):
		return true, nil
	}
	return false, silent(max(s.shut.Sub(now), time.Second))
}

func silent(after time.Duration) error {
	return &fault.Error{Class: fault.Transient, RetryAfter: after.Round(time.Second), Err: errors.New("the API server does not answer; it will be tried again")}
}

func (s *Server) withdraw(class int, w *waiter) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.Index(s.waiting[class], w)
	if i >= 0 {
		s.waiting[class] = slices.Delete(s.waiting[class], i, i+1)
	}
	return i >= 0
}

// admit lets in whoever there is room for.
func (s *Server) admit(now time.Time) { // needs the lock
	for class, room := range [2]int{int(s.width), s.unhurried()} {
		if class == 1 && now.Before(s.heldUntil) {
			return
		}
		for len(s.waiting[class]) > 0 && s.busy < room {
			w := s.waiting[class][0]
			s.waiting[class] = s.waiting[class][1:]
			w.began = now
			s.busy++
			close(w.ready)
		}
	}
}

// unhurried is how many requests may be under way when one that can wait is let in: the rest is kept for those that cannot.
func (s *Server) unhurried() int { return max(1, int(s.width)-max(1, int(s.width)/8)) }

// End gives the turn back. Only the first call counts. retryAfter is what a server that throttles has asked for, 0 if it
// has not.
func (t *Turn) End(v Verdict, retryAfter time.Duration) {
	t.over.Do(func() { t.s.end(t, v, retryAfter) })
}

func (s *Server) end(t *Turn, v Verdict, retryAfter time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.busy--
	if t.probe {
		s.probing = false
	}
	switch v {
	case Answered:
		s.answers(now.Sub(t.began))
		s.grow(now)
	case Throttled:
		s.answers(0)
		s.shrink(t.began, now)
		if until := now.Add(min(retryAfter, longestHold)); until.After(s.heldUntil) {
			s.heldUntil = until
			time.AfterFunc(until.Sub(now), func() {
				s.mu.Lock()
				defer s.mu.Unlock()
				s.admit(time.Now())
			})
		}
	case Silent:
		s.shrink(t.began, now)
		if s.missed++; t.probe || (s.missed >= silences || !s.known) && s.shut.IsZero() {
			s.close(now)
		}
	}
	s.admit(now)
}

func (s *Server) answers(took time.Duration) { // needs the lock
	s.known, s.missed, s.shut, s.pause = true, 0, time.Time{}, 0
	if took < quick || s.current < s.patience.First {
		s.current = s.patience.First
	}
}

// grow makes room for one more: with each round of answers while the server has refused nothing, and else once a second,
// since it is known by now about how much it bears, and each refusal costs the pause that it asks for.
func (s *Server) grow(now time.Time) { // needs the lock
	switch {
	case float64(s.busy+1) < s.width/2: // growth that nobody needs would be no knowledge
	case now.Sub(s.shrunk) > forgotten:
		s.width = min(s.width+1/s.width, most)
	case now.Sub(s.grown) >= time.Second:
		s.width, s.grown = min(s.width+1, most), now
	}
}

// shrink halves the width, once for all requests that were under way together.
func (s *Server) shrink(began, now time.Time) { // needs the lock
	if began.Before(s.shrunk) {
		return
	}
	s.width, s.shrunk, s.grown = max(1, s.width/2), now, now
}

// close leaves the server alone for a while and sends those away who wait for it. The next one is given more patience: a
// server may be slow, and not dead.
func (s *Server) close(now time.Time) { // needs the lock
	s.pause = min(max(2*s.pause, firstPause), longestPause)
	s.shut = now.Add(s.pause)
	s.current = min(2*s.current, s.patience.Most)
	for class, list := range s.waiting {
		for _, w := range list {
			w.err = silent(s.pause)
			close(w.ready)
		}
		s.waiting[class] = nil
	}
}
