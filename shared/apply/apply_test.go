package apply

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/plan"
)

func evictions(n int) plan.Step {
	s := plan.Step{Name: "evict"}
	for i := range n {
		s.Actions = append(s.Actions, plan.EvictPod{Namespace: "ns", Name: fmt.Sprint(i), UID: "u"})
	}
	return s
}

func TestStepIsAsWideAsItMayBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int32
		began := time.Now()
		results := Step(t.Context(), evictions(110), 40, time.Now, Plain(func(_ context.Context, a plan.Action) error {
			most.Store(max(most.Load(), now.Add(1)))
			defer now.Add(-1)
			time.Sleep(time.Second)
			if a.(plan.EvictPod).Name == "7" {
				return errors.New("no")
			}
			return nil
		}))
		if took := time.Since(began); took != 3*time.Second || most.Load() != 40 {
			t.Errorf("110 actions of a second, 40 wide: %s, %d at once", took, most.Load())
		}
		for i, r := range results {
			if r.Action.(plan.EvictPod).Name != fmt.Sprint(i) || (r.Err != nil) != (i == 7) || r.At.Before(began.Add(time.Second)) {
				t.Errorf("result %d: %+v", i, r)
			}
		}
	})
}

func TestR17_ThrottledActionsAreTriedAgain(t *testing.T) {
	throttled := func(after time.Duration) error {
		return &fault.Error{Class: fault.Throttled, RetryAfter: after, Err: errors.New("slow down")}
	}
	for name, tc := range map[string]struct {
		err         error
		fails       int
		limit       time.Duration // of the context
		calls       int
		least, most time.Duration
		ok          bool
	}{
		"at once":                       {nil, 0, 0, 1, 0, 0, true},
		"growing pauses":                {throttled(0), 4, 0, 5, 1500 * time.Millisecond, 3000 * time.Millisecond, true},
		"in the end it fails":           {throttled(0), 9, 0, 5, 1500 * time.Millisecond, 3000 * time.Millisecond, false},
		"what the server asks":          {throttled(2 * time.Second), 1, 0, 2, 2 * time.Second, 2100 * time.Millisecond, true},
		"longer than there is time":     {throttled(2 * time.Second), 1, time.Second, 1, 0, 0, false},
		"other errors are not repeated": {fault.New(fault.Blocked, "budget"), 9, 0, 1, 0, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := t.Context()
				if tc.limit > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, tc.limit)
					defer cancel()
				}
				calls, began := 0, time.Now()
				r := Step(ctx, evictions(1), 1, time.Now, Plain(func(context.Context, plan.Action) error {
					if calls++; calls <= tc.fails {
						return tc.err
					}
					return nil
				}))[0]
				if took := time.Since(began); calls != tc.calls || (r.Err == nil) != tc.ok || took < tc.least || took > tc.most {
					t.Errorf("%d calls in %s: %v", calls, took, r.Err)
				}
			})
		})
	}
}

func TestThrottledTogetherTriedApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		at := map[time.Duration]bool{}
		for _, r := range Step(t.Context(), evictions(20), 20, time.Now, once()) {
			at[r.At.Sub(began)] = true
		}
		if len(at) < 15 {
			t.Errorf("20 actions came back at %d moments", len(at))
		}
	})
}

func once() Do {
	var seen [20]atomic.Bool
	return Plain(func(_ context.Context, a plan.Action) error {
		var i int
		_, _ = fmt.Sscan(a.(plan.EvictPod).Name, &i)
		if seen[i].Swap(true) {
			return nil
		}
		return fault.New(fault.Throttled, "slow down")
	})
}

func TestNothingBeginsAfterTheEnd(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	done := 0
	for i, r := range Step(ctx, evictions(5), 1, time.Now, Plain(func(context.Context, plan.Action) error { done++; cancel(); return nil })) {
		if (r.Err == nil) != (i == 0) {
			t.Errorf("%d: %v", i, r.Err)
		}
	}
	if done != 1 {
		t.Errorf("%d actions were begun", done)
	}
}

func TestALaneIsServedInOrderAndEndsAtItsFirstRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := evictions(8)
		for i := range 6 {
			a := s.Actions[i].(plan.EvictPod)
			a.Budget = fmt.Sprint("ns/", i%2)
			s.Actions[i] = a
		}
		began := time.Now()
		var tried atomic.Int32
		results := Step(t.Context(), s, 40, time.Now, Plain(func(_ context.Context, a plan.Action) error {
			tried.Add(1)
			time.Sleep(time.Second)
			switch a.(plan.EvictPod).Name {
			case "2": // of the even lane 0, 2, 4
				return fault.New(fault.Blocked, "no more")
			case "1":
				return errors.New("a fault of its own")
			}
			return nil
		}))
		for i, want := range []time.Duration{1, 1, 2, 2, 2, 3, 1, 1} {
			if got := results[i].At.Sub(began); got != want*time.Second || (results[i].Err == nil) != (i != 1 && i != 2 && i != 4) {
				t.Errorf("%d after %s: %v", i, got, results[i].Err)
			}
		}
		if tried.Load() != 7 || !fault.Is(results[4].Err, fault.Blocked) {
			t.Errorf("%d were tried; the last one of the lane: %v", tried.Load(), results[4].Err)
		}
	})
}

// api answers every write with one error.
type api struct{ err error }

func (a api) Cordon(context.Context, plan.CordonNode) error                      { return a.err }
func (a api) Uncordon(context.Context, plan.UncordonNode) error                  { return a.err }
func (a api) OutOfService(context.Context, plan.OutOfService) error              { return a.err }
func (a api) Record(context.Context, plan.RecordEvent) error                     { return a.err }
func (a api) EndInstance(context.Context, string, string, bool) error            { return a.err }
func (a api) Evict(context.Context, plan.EvictPod) error                         { return a.err }
func (a api) Delete(context.Context, plan.DeletePod) error                       { return a.err }
func (a api) ReplaceInstance(context.Context, string, string) error              { return a.err }
func (a api) Heartbeat(_ context.Context, _, _, _, _ string) error               { return a.err }
func (a api) CompleteLifecycleAction(_ context.Context, _, _, _, _ string) error { return a.err }

func TestR18_GoneIsSuccess(t *testing.T) {
	for _, tc := range []struct {
		action plan.Action
		fine   []fault.Class
	}{
		{plan.CordonNode{}, []fault.Class{fault.NotFound}},
		{plan.EvictPod{}, []fault.Class{fault.NotFound, fault.Conflict}},
		{plan.DeletePod{}, []fault.Class{fault.NotFound, fault.Conflict}},
		{plan.ReplaceInstance{}, nil},
		{plan.CompleteLifecycleAction{}, nil},
		{plan.Heartbeat{}, nil},
		{plan.TerminateInstance{}, nil},
		{plan.UncordonNode{}, []fault.Class{fault.NotFound}},
		{plan.OutOfService{}, []fault.Class{fault.NotFound}},
		{plan.RecordEvent{}, []fault.Class{fault.NotFound, fault.Conflict}},
	} {
		for c := fault.Transient; c <= fault.Invalid; c++ {
			a := api{fault.New(c, "no")}
			err := Drainer{Nodes: a, Groups: a}.Do(t.Context(), tc.action)
			want := true
			for _, f := range tc.fine {
				want = want && f != c
			}
			if (err != nil) != want {
				t.Errorf("%s, %s: %v", tc.action.Kind(), c, err)
			}
		}
	}
	if err := (Drainer{}).Do(t.Context(), nil); !fault.Is(err, fault.Invalid) {
		t.Errorf("an unknown action: %v", err)
	}
}
