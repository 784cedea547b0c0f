package access_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ekspedite/ekspedite/shared/access"
)

func TestOurMachinesAreListedOnceInAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lists := 0
		var fails error
		ids := []string{"i-1"}
		m := access.Machines{Now: time.Now, List: func(context.Context) ([]string, error) {
			lists++
			time.Sleep(100 * time.Millisecond)
			return ids, fails
		}}
		want := func(id string, ours bool, reads int) {
			t.Helper()
			if got, err := m.Ours(t.Context(), id); got != ours || err != nil || lists != reads {
				t.Errorf("%s: %t, %v after %d lists; want %t after %d", id, got, err, lists, ours, reads)
			}
		}
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() { want("i-1", true, 1); want("i-2", false, 1) })
		}
		wg.Wait()
		ids = []string{"i-1", "i-2"}
		time.Sleep(20 * time.Second)
		want("i-2", false, 1)
		time.Sleep(10 * time.Second)
		want("i-2", true, 2)
		// What cannot be read is not known: neither ours nor not.
		time.Sleep(time.Minute)
		fails = errors.New("away")
		if _, err := m.Ours(t.Context(), "i-3"); !errors.Is(err, fails) {
			t.Error(err)
		}
		fails = nil
		want("i-1", true, 4)
	})
}
