// Package apply carries plans out. Each executor knows the actions of its domain; this file has what they share: actions
// of a step run in parallel, every result is kept, and one failure does not stop its siblings.
package apply

import (
	"context"
	"fmt"
	"hash/fnv"
	"sync"
	"time"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// Result is what became of one action.
type Result struct {
	Action plan.Action
	At     time.Time // when it was over
	Err    error     // nil when done; classed by package fault
	// Update is what AWS goes on with in the background; zero if the action is all done.
	Update fleet.Update
}

// Do carries out one action. If AWS goes on with it in the background, the update says under which id.
type Do func(ctx context.Context, a plan.Action) (fleet.Update, error)

// Step runs a step's actions, at most width at a time, and returns the results in the order of the actions. Actions of
// one lane (see plan.Laned) run one after another, and once one of them is blocked the rest of its lane is not tried.
// Throttled ones are tried again after what the server asked for, or after a short and growing pause, while ctx lasts.
// Once it has ended no action is begun.
func Step(ctx context.Context, s plan.Step, width int, now func() time.Time, do Do) []Result {
	results := make([]Result, len(s.Actions))
	slots := make(chan struct{}, max(width, 1))
	var wg sync.WaitGroup
	for _, lane := range lanes(s.Actions) {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			var blocked error
			for _, i := range lane {
				a := s.Actions[i]
				update, err := fleet.Update{}, blocked
				if err == nil {
					update, err = throttled(ctx, a, do)
				}
				if fault.Is(err, fault.Blocked) && len(lane) > 1 {
					blocked = err
				}
				results[i] = Result{Action: a, At: now(), Err: err, Update: update}
			}
		})
	}
	wg.Wait()
	return results
}

// lanes groups the indexes of actions that must not run at once. An action without a lane is a group of its own.
func lanes(actions []plan.Action) [][]int {
	var out [][]int
	at := map[string]int{}
	for i, a := range actions {
		name := ""
		if l, ok := a.(plan.Laned); ok {
			name = l.Lane()
		}
		if n, ok := at[name]; ok && name != "" {
			out[n] = append(out[n], i)
			continue
		}
		at[name] = len(out)
		out = append(out, []int{i})
	}
	return out
}

const (
	throttleTries = 5
	throttlePause = 100 * time.Millisecond
)

func throttled(ctx context.Context, a plan.Action, do Do) (fleet.Update, error) {
	pause := throttlePause
	for try := 1; ; try++ {
		if err := ctx.Err(); err != nil {
			return fleet.Update{}, err
		}
		update, err := do(ctx, a)
		if !fault.Is(err, fault.Throttled) || try == throttleTries || !wait(ctx, max(pause, fault.RetryAfter(err))+jitter(a, try, pause)) {
			return update, err
		}
		pause *= 2
	}
}

// jitter spreads tries of actions that were throttled together: up to a pause more, by the action's own name, so that the
// same plan behaves the same way twice.
func jitter(a plan.Action, try int, pause time.Duration) time.Duration {
	h := fnv.New32a()
	_, _ = fmt.Fprint(h, a.String(), try)
	return time.Duration(h.Sum32()%1024) * pause / 1024
}

// wait tells whether ctx lasted that long. A wait that it cannot last is not begun.
func wait(ctx context.Context, d time.Duration) bool {
	if end, ok := ctx.Deadline(); ok && time.Until(end) < d {
		return false
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

func unknown(a plan.Action) error {
	return fault.New(fault.Invalid, "no executor for %s", fmt.Sprintf("%T", a))
}

// Plain is a Do of actions that are done when they return.
func Plain(do func(ctx context.Context, a plan.Action) error) Do {
	return func(ctx context.Context, a plan.Action) (fleet.Update, error) { return fleet.Update{}, do(ctx, a) }
}
