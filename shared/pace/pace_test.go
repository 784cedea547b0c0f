package pace_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/pace"
)

var patience = pace.Patience{First: 3 * time.Second, Most: 10 * time.Second}

// server is an API server that seats so many requests and refuses the rest.
type server struct {
	seats, refused, peak, busy int
	mu                         sync.Mutex
	took                       time.Duration
}

// ask makes one request until the server has served it, and tells how often it was refused.
func (s *server) ask(t *testing.T, p *pace.Server, urgent bool) {
	t.Helper()
	for {
		turn, err := p.Enter(t.Context(), urgent)
		if err != nil {
			t.Error(err)
			return
		}
		s.mu.Lock()
		if s.busy >= s.seats {
			s.refused++
			s.mu.Unlock()
			turn.End(pace.Throttled, time.Second)
			time.Sleep(time.Second)
			continue
		}
		s.busy++
		s.peak = max(s.peak, s.busy)
		s.mu.Unlock()
		time.Sleep(s.took)
		s.mu.Lock()
		s.busy--
		s.mu.Unlock()
		turn.End(pace.Answered, 0)
		return
	}
}

func TestR17_ThePaceAdaptsToWhatTheServerBears(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := &server{seats: 12, took: 20 * time.Millisecond}, pace.New(patience)
		began := time.Now()
		var wg sync.WaitGroup
		for range 2000 {
			wg.Go(func() { s.ask(t, p, false) })
		}
		wg.Wait()
		// 2,000 requests of 20 ms on 12 seats take 3.3 s at best. Refusals are what it takes to find the number of seats.
		if took := time.Since(began); took > 15*time.Second || s.refused > 150 {
			t.Errorf("%d of 2000 were refused, all done after %s", s.refused, took)
		}
		if s.peak < 8 {
			t.Errorf("at most %d of 12 seats were used", s.peak)
		}
	})
}

func TestItGrowsWhereTheServerBearsMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := &server{seats: 1000, took: 20 * time.Millisecond}, pace.New(patience)
		var wg sync.WaitGroup
		for range 5000 {
			wg.Go(func() { s.ask(t, p, false) })
		}
		wg.Wait()
		if s.peak <= pace.Width || s.peak > 160 || s.refused > 0 {
			t.Errorf("%d at once, %d refused", s.peak, s.refused)
		}
	})
}

// However many evictions wait, what a cordon needs goes next.
func TestR19_WhatIsUrgentGoesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := &server{seats: 1000, took: 50 * time.Millisecond}, pace.New(patience)
		var wg sync.WaitGroup
		for range 4000 {
			wg.Go(func() { s.ask(t, p, false) })
		}
		synctest.Wait()
		began := time.Now()
		var slowest atomic.Int64
		for range 10 {
			wg.Go(func() {
				for range 3 { // a node, its pods, a patch
					s.ask(t, p, true)
				}
				slowest.Store(max(slowest.Load(), int64(time.Since(began))))
			})
		}
		wg.Wait()
		if d := time.Duration(slowest.Load()); d > 300*time.Millisecond {
			t.Errorf("the last of ten nodes was cordoned after %s, three requests of 50 ms", d)
		}
		if all := time.Since(began); all < time.Second {
			t.Errorf("the evictions took %s: there was nothing to compete with", all)
		}
	})
}

// A Retry-After holds up what can wait, and not the cordons.
func TestR17_RetryAfterIsHonoured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pace.New(patience)
		turn, _ := p.Enter(t.Context(), false)
		turn.End(pace.Throttled, 2*time.Second)
		began := time.Now()
		u, err := p.Enter(t.Context(), true)
		if err != nil || time.Since(began) > 0 {
			t.Errorf("what is urgent waited for %s, %v", time.Since(began), err)
		}
		u.End(pace.Answered, 0)
		turn, err = p.Enter(t.Context(), false)
		if err != nil || time.Since(began) != 2*time.Second {
			t.Errorf("what can wait waited for %s, %v", time.Since(began), err)
		}
		turn.End(pace.Throttled, time.Hour)
		began = time.Now()
		if turn, err = p.Enter(t.Context(), false); err != nil || time.Since(began) > 5*time.Second {
			t.Errorf("an hour was believed: %s, %v", time.Since(began), err)
		}
		turn.End(pace.Answered, 0)
	})
}

func TestASilentServerCostsAMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pace.New(patience)
		var hangs atomic.Bool
		hangs.Store(true)
		ask := func() error {
			turn, err := p.Enter(t.Context(), true)
			if err != nil {
				return err
			}
			if hangs.Load() {
				time.Sleep(turn.Patience)
				turn.End(pace.Silent, 0)
				return errors.New("timeout")
			}
			time.Sleep(10 * time.Millisecond)
			turn.End(pace.Answered, 0)
			return nil
		}
		var wg sync.WaitGroup
		began := time.Now()
		for range 100 { // more than there is room for
			wg.Go(func() {
				if ask() == nil || time.Since(began) > 3*time.Second {
					t.Errorf("after %s", time.Since(began))
				}
			})
		}
		wg.Wait()
		asked, refused := time.Now(), 0
		for range 600 { // a minute
			if at := time.Now(); fault.RetryAfter(ask()) > 0 {
				refused++
				if time.Since(at) > 0 {
					t.Fatal("a refusal took its time")
				}
			}
			time.Sleep(100 * time.Millisecond)
		}
		if refused < 300 || time.Since(asked) > 2*time.Minute {
			t.Errorf("%d of 600 were refused at once, in %s", refused, time.Since(asked))
		}
		hangs.Store(false)
		back := time.Now()
		for ask() != nil {
			time.Sleep(100 * time.Millisecond)
		}
		if time.Since(back) > 17*time.Second {
			t.Errorf("a server that answers again was found out after %s", time.Since(back))
		}
		if err := ask(); err != nil {
			t.Error(err)
		}
	})
}

// A server that takes five seconds for an answer is slow, not dead.
func TestASlowServerIsReached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pace.New(patience)
		began, served := time.Now(), 0
		for served < 5 && time.Since(began) < time.Minute {
			turn, err := p.Enter(t.Context(), true)
			if err != nil {
				time.Sleep(fault.RetryAfter(err))
				continue
			}
			if turn.Patience < 5*time.Second {
				time.Sleep(turn.Patience)
				turn.End(pace.Silent, 0)
				continue
			}
			time.Sleep(5 * time.Second)
			turn.End(pace.Answered, 0)
			served++
		}
		if served < 5 || time.Since(began) > 45*time.Second {
			t.Errorf("%d answers in %s", served, time.Since(began))
		}
	})
}

// Whatever happens in whatever order, turns come back and nobody waits for ever.
func TestNobodyIsForgotten(t *testing.T) {
	for seed := range uint64(200) {
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 3))
			p := pace.New(patience)
			var wg sync.WaitGroup
			var busy, peak atomic.Int64
			for range 300 {
				urgent, verdict := rnd.IntN(3) == 0, pace.Verdict(rnd.IntN(4))
				after, takes, gives := time.Duration(rnd.IntN(3000))*time.Millisecond, time.Duration(rnd.IntN(500))*time.Millisecond, time.Duration(rnd.IntN(2000))*time.Millisecond
				if rnd.IntN(4) > 0 {
					verdict = pace.Answered
				}
				wg.Go(func() {
					time.Sleep(after)
					ctx, cancel := context.WithTimeout(t.Context(), gives)
					defer cancel()
					turn, err := p.Enter(ctx, urgent)
					if err != nil {
						return
					}
					peak.Store(max(peak.Load(), busy.Add(1)))
					time.Sleep(takes)
					busy.Add(-1)
					turn.End(verdict, time.Second)
				})
			}
			wg.Wait()
			time.Sleep(time.Minute) // whatever was held or shut is open
			turn, err := p.Enter(t.Context(), false)
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			turn.End(pace.Answered, 0)
			if peak.Load() > 160 {
				t.Errorf("seed %d: %d at once", seed, peak.Load())
			}
		})
	}
}
