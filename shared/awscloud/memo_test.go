package awscloud

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestMemo: many that ask at once share one read, what is old is read anew, and errors are nobody's memory.
func TestMemo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemo[string, int](time.Minute, time.Now)
		reads := 0
		var failing error
		read := func() (int, error) {
			time.Sleep(time.Second)
			reads++
			return reads, failing
		}
		ask := func() int {
			v, err := m.get(t.Context(), "k", read)
			if !errors.Is(err, failing) {
				t.Error(err)
			}
			return v
		}
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if v := ask(); v != 1 {
					t.Errorf("got %d", v)
				}
			})
		}
		all.Wait()
		time.Sleep(time.Minute)
		if v := ask(); v != 2 {
			t.Errorf("what is old was given: %d", v)
		}
		time.Sleep(time.Minute)
		failing = errors.New("throttled")
		ask()
		failing = nil
		if v := ask(); v != 4 {
			t.Errorf("after an error: %d", v)
		}
		go func() {
			_, _ = m.get(t.Context(), "slow", func() (int, error) { time.Sleep(time.Hour); return 0, nil })
		}()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := m.get(ctx, "slow", read); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("who waits for another's read waits for ever: %v", err)
		}
		time.Sleep(2 * time.Hour)
	})
}
