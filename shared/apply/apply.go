// Package apply carries plans out. Each executor knows the actions of its domain; this file has what they share: actions
// of a step run in parallel, every result is kept, and one failure does not stop its siblings.
package apply

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// Result is what became of one action.
type Result struct {
	Action plan.Action
	At     time.Time // when it was over
	Err    error     // nil when done; classed by package fault
}

// Do carries out one action.
type Do func(ctx context.Context, a plan.Action) error

// Step runs a step's actions, at most width at a time, and returns the results in the order of the actions. Throttled
// ones are tried again after what the server asked for, or after a short and growing pause, while ctx lasts.
func Step(ctx context.Context, s plan.Step, width int, now func() time.Time, do Do) []Result {
	results := make([]Result, len(s.Actions))
	slots := make(chan struct{}, width)
	var wg sync.WaitGroup
	for i, a := range s.Actions {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			err := throttled(ctx, a, do)
			results[i] = Result{a, now(), err}
		})
	}
	wg.Wait()
	return results
}

const (
	throttleTries = 5
	throttlePause = 100 * time.Millisecond
)

func throttled(ctx context.Context, a plan.Action, do Do) error {
	pause := throttlePause
	for try := 1; ; try++ {
		err := do(ctx, a)
		if !fault.Is(err, fault.Throttled) || try == throttleTries {
			return err
		}
		t := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			t.Stop()
			return err
		case <-t.C:
		}
		pause *= 2
	}
}

func unknown(a plan.Action) error {
	return fault.New(fault.Invalid, "no executor for %s", fmt.Sprintf("%T", a))
}
