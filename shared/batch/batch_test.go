package batch_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ekspedite/ekspedite/shared/batch"
)

var errGone = errors.New("no such thing")

// source answers each id with itself after a while, and writes the calls down.
type source struct {
	mu    sync.Mutex
	took  time.Duration
	calls [][]string
	fail  func(call int, ids []string) error
	ended int // calls whose context ended
}

func (s *source) read(ctx context.Context, ids []string) (map[string]batch.Answer[string], error) {
	s.mu.Lock()
	s.calls = append(s.calls, slices.Clone(ids))
	n := len(s.calls)
	s.mu.Unlock()
	select {
	case <-time.After(s.took):
	case <-ctx.Done():
		s.mu.Lock()
		s.ended++
		s.mu.Unlock()
		return nil, ctx.Err()
	}
	if s.fail != nil {
		if err := s.fail(n, ids); err != nil {
			return nil, err
		}
	}
	out := map[string]batch.Answer[string]{}
	for _, id := range ids {
		switch {
		case strings.HasPrefix(id, "none"):
		case strings.HasPrefix(id, "bad"):
			out[id] = batch.Answer[string]{Err: fmt.Errorf("%s is bad", id)}
		default:
			out[id] = batch.Answer[string]{Value: "v-" + id}
		}
	}
	return out, nil
}

func batcher(s *source, most int) *batch.Batcher[string] {
	return &batch.Batcher[string]{Read: s.read, Missing: func(id string) error { return fmt.Errorf("%s: %w", id, errGone) }, Most: most, Wait: 5 * time.Millisecond}
}

func TestWhoIsAloneWaitsForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{took: 20 * time.Millisecond}
		b := batcher(s, 100)
		began := time.Now()
		if v, err := b.Get(t.Context(), "a"); v != "v-a" || err != nil || time.Since(began) != s.took {
			t.Errorf("%q, %v after %s", v, err, time.Since(began))
		}
	})
}

func TestACompanyIsOneCall(t *testing.T) {
	for name, tc := range map[string]struct {
		present, asking, most int
		calls                 int
		took                  time.Duration
	}{
		"all ask":                {10, 10, 100, 1, 20 * time.Millisecond},
		"some ask for nothing":   {10, 4, 100, 1, 25 * time.Millisecond},
		"more than a call takes": {10, 10, 4, 3, 25 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &source{took: 20 * time.Millisecond}
				b := batcher(s, tc.most)
				ctx, _ := batch.With(t.Context(), tc.present)
				began := time.Now()
				var wg sync.WaitGroup
				for i := range tc.asking {
					wg.Go(func() {
						id := fmt.Sprint(i)
						if v, err := b.Get(ctx, id); v != "v-"+id || err != nil {
							t.Errorf("%q, %v", v, err)
						}
					})
				}
				wg.Wait()
				if len(s.calls) != tc.calls || time.Since(began) != tc.took {
					t.Errorf("%d calls in %s, want %d in %s", len(s.calls), time.Since(began), tc.calls, tc.took)
				}
			})
		})
	}
}

func TestAMateThatHasLeftIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{}
		b := batcher(s, 100)
		ctx, company := batch.With(t.Context(), 2)
		company.Leave()
		began := time.Now()
		if _, err := b.Get(ctx, "a"); err != nil || time.Since(began) != 0 {
			t.Errorf("%v after %s", err, time.Since(began))
		}
	})
}

func TestEachHasItsOwnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{took: time.Millisecond}
		b := batcher(s, 100)
		ctx, _ := batch.With(t.Context(), 4)
		var wg sync.WaitGroup
		for id, want := range map[string]string{"a": "", "none-1": "none-1: no such thing", "bad-1": "bad-1 is bad", "b": ""} {
			wg.Go(func() {
				_, err := b.Get(ctx, id)
				if got := fmt.Sprint(err); want == "" && err != nil || want != "" && got != want {
					t.Errorf("%s: %v, want %q", id, err, want)
				}
			})
		}
		wg.Wait()
		if len(s.calls) != 1 {
			t.Errorf("calls %q", s.calls)
		}
	})
}

func TestACallerThatGivesUpTakesTheCallFromNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{took: 50 * time.Millisecond}
		b := batcher(s, 100)
		company, _ := batch.With(t.Context(), 2)
		short, cancel := context.WithTimeout(company, 10*time.Millisecond)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() { // the first: its context began the call
			if _, err := b.Get(short, "a"); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("who gave up got %v", err)
			}
		})
		time.Sleep(time.Millisecond)
		wg.Go(func() {
			if v, err := b.Get(company, "b"); v != "v-b" || err != nil {
				t.Errorf("who stayed got %q, %v", v, err)
			}
		})
		wg.Wait()
		if s.ended != 0 {
			t.Error("the call was given up")
		}
		// Once all have gone, so does the call.
		short, cancel = context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if _, err := b.Get(short, "c"); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		synctest.Wait()
		if s.ended != 1 {
			t.Error("a call that nobody waits for goes on")
		}
	})
}

func TestAPanicIsAnErrorOfItsCallers(t *testing.T) {
	b := batcher(&source{}, 1)
	b.Read = func(context.Context, []string) (map[string]batch.Answer[string], error) { panic("boom") }
	if _, err := b.Get(t.Context(), "a"); err == nil || !strings.Contains(err.Error(), "boom") {
		t.Error(err)
	}
}

// Random companies with failures, absent ids and callers who give up: everybody gets their own answer or an error, nobody
// another's.
func TestManyCompanies(t *testing.T) {
	for seed := range uint64(200) {
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 7))
			s := &source{took: time.Duration(rnd.IntN(30)) * time.Millisecond}
			failing := rnd.IntN(5)
			s.fail = func(call int, _ []string) error {
				if call%5 < failing {
					return errors.New("the call fails")
				}
				return nil
			}
			b := batcher(s, 1+rnd.IntN(12))
			n := 1 + rnd.IntN(40)
			ctx, company := batch.With(t.Context(), n)
			var wg sync.WaitGroup
			for range n {
				id := fmt.Sprintf("%s%d", []string{"i-", "none-", "bad-"}[rnd.IntN(3)], rnd.IntN(10))
				after, patience := time.Duration(rnd.IntN(40))*time.Millisecond, time.Duration(1+rnd.IntN(60))*time.Millisecond
				wg.Go(func() {
					defer company.Leave()
					time.Sleep(after)
					ctx, cancel := context.WithTimeout(ctx, patience)
					defer cancel()
					began := time.Now()
					v, err := b.Get(ctx, id)
					if err == nil && (v != "v-"+id || !strings.HasPrefix(id, "i-")) {
						t.Errorf("seed %d: %s got %q", seed, id, v)
					}
					if time.Since(began) > patience {
						t.Errorf("seed %d: %s waited for %s", seed, id, time.Since(began))
					}
				})
			}
			wg.Wait()
		})
	}
}

func TestAFlightIsSharedWhileItLasts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f batch.Flight[int]
		reads := 0
		read := func(ctx context.Context) (int, error) {
			reads++
			n := reads
			select {
			case <-time.After(10 * time.Millisecond):
				return n, nil
			case <-ctx.Done():
				return 0, ctx.Err()
			}
		}
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				if n, err := f.Do(t.Context(), "k", read); n != 1 || err != nil {
					t.Errorf("read %d, %v", n, err)
				}
			})
		}
		wg.Wait()
		if n, err := f.Do(t.Context(), "k", read); n != 2 || err != nil {
			t.Errorf("an old answer: read %d, %v", n, err)
		}
		// One that everybody has left is not joined.
		short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := f.Do(short, "k", read); err == nil {
			t.Error("no error")
		}
		if n, err := f.Do(t.Context(), "k", read); n != 4 || err != nil {
			t.Errorf("joined a read that was given up: read %d, %v", n, err)
		}
	})
}
