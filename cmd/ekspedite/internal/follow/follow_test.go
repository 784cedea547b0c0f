package follow

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/ledger"
)

var demo = fleet.ClusterID{Region: "us-east-1", Name: "demo"}

// function plays the cluster function: it writes what that writes.
type function struct {
	t *testing.T
	*ledger.Ledger
	run ledger.ClusterRun
}

func (f *function) begin(id, request string) {
	old, err := f.ClusterRun(f.t.Context(), demo)
	if err != nil {
		f.t.Error(err)
	}
	f.run = old.Follow(ledger.ClusterRun{RunID: id, RequestID: request, StartedAt: time.Now(), Begun: id})
	f.save()
}

func (f *function) save() {
	var err error
	if f.run, err = f.SaveClusterRun(f.t.Context(), demo, f.run); err != nil {
		f.t.Error(err)
	}
}

func (f *function) tell(from, to int) {
	for i := from; i <= to; i++ {
		f.run.Tell(ledger.Line{At: time.Now(), Step: "Ready", Detail: fmt.Sprint("line ", i)})
	}
	f.save()
}

func (f *function) record(outcome string) {
	err := f.SaveRun(f.t.Context(), ledger.Run{RunID: f.run.RunID, Function: "cluster", Subject: events.Subject{Cluster: demo.Name},
		Outcome: outcome, StartedAt: f.run.StartedAt, FinishedAt: time.Now(), Failures: []events.Failure{{Whose: "quota"}}})
	if err != nil {
		f.t.Error(err)
	}
}

func (f *function) end(outcome string) {
	f.record(outcome)
	f.run.Outcome = outcome
	f.save()
}

func (f *function) desire(request string) {
	if _, err := f.Desire(f.t.Context(), ledger.Desired{ClusterID: demo, RequestID: request, RunID: map[string]string{"req": "mine", "newer": "run of newer"}[request], RequestedAt: time.Now()}); err != nil {
		f.t.Error(err)
	}
}

func TestAwait(t *testing.T) {
	for name, tc := range map[string]struct {
		plays   func(f *function)
		outcome string
		lines   int
		says    []string
	}{
		"to its end": {func(f *function) {
			f.begin("mine", "req")
			f.tell(1, 3)
			time.Sleep(10 * time.Second)
			f.tell(4, 5)
			f.end(events.OutcomeActive)
		}, events.OutcomeActive, 5, nil},
		"after another": {func(f *function) {
			f.begin("old", "")
			f.tell(1, 7)
			time.Sleep(10 * time.Second)
			f.end(events.OutcomeActive)
			f.begin("mine", "req")
			f.tell(1, 1)
			time.Sleep(10 * time.Second)
			f.end(events.OutcomeFailed)
		}, events.OutcomeFailed, 1, nil},
		"followed by another at once": {func(f *function) {
			f.begin("mine", "req")
			f.tell(1, 1)
			time.Sleep(10 * time.Second)
			f.end(events.OutcomeActive)
			f.begin("next", "")
		}, events.OutcomeActive, 1, nil},
		"refused": {func(f *function) {
			time.Sleep(10 * time.Second)
			f.run = ledger.ClusterRun{RunID: "mine", StartedAt: time.Now()}
			f.record(events.OutcomeFailed)
		}, events.OutcomeFailed, 0, nil},
		"superseded before it began": {func(f *function) {
			f.desire("req")
			time.Sleep(10 * time.Second)
			f.desire("newer")
			f.begin("run of newer", "newer")
		}, events.OutcomeSuperseded, 0, nil},
		"slow": {func(f *function) {
			time.Sleep(90 * time.Second)
			f.begin("mine", "req")
			f.tell(1, 1)
			f.run.Waiting = []string{"cluster"}
			f.save()
			time.Sleep(150 * time.Second)
			f.end(events.OutcomeActive)
		}, events.OutcomeActive, 1, []string{"nothing has taken the request up", "at work on cluster", "at work on cluster"}},
		"slow to look around": {func(f *function) {
			f.desire("req")
			time.Sleep(90 * time.Second)
			f.begin("mine", "req")
			f.end(events.OutcomeActive)
		}, events.OutcomeActive, 0, []string{"has the request"}},
		"talkative": {func(f *function) {
			f.begin("mine", "req")
			f.tell(1, 450)
			time.Sleep(10 * time.Second)
			f.end(events.OutcomeActive)
		}, events.OutcomeActive, 200, []string{"250 lines"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &ledger.Ledger{Store: &ledger.Memory{}, Now: time.Now}
				f := &function{t: t, Ledger: store}
				asked := time.Now()
				time.Sleep(time.Second)
				go tc.plays(f)
				var lines int
				var said []string
				follower := Follower{Ledger: store, Line: func(ledger.Line) { lines++ }, Say: func(s string) { said = append(said, s) }}
				done, err := follower.Await(t.Context(), Run{Cluster: demo, ID: "mine", Request: "req", Asked: asked})
				if err != nil || done.Outcome != tc.outcome || done.RunID != "mine" || lines != tc.lines {
					t.Errorf("%+v, %v; %d lines", done, err, lines)
				}
				if tc.outcome != events.OutcomeSuperseded && len(done.Failures) != 1 {
					t.Errorf("it is not the record: %+v", done)
				}
				if len(said) != len(tc.says) {
					t.Fatalf("it says %q", said)
				}
				for i, want := range tc.says {
					if !strings.Contains(said[i], want) {
						t.Errorf("it says %q, want …%s…", said[i], want)
					}
				}
			})
		})
	}
}

// broken is a ledger that fails.
type broken struct {
	Ledger
	err   error
	times int
}

func (b *broken) ClusterRun(context.Context, fleet.ClusterID) (ledger.ClusterRun, error) {
	b.times++
	return ledger.ClusterRun{}, b.err
}

func TestAwaitWithoutALedger(t *testing.T) {
	for name, tc := range map[string]struct {
		err   error
		times int
	}{
		"not allowed": {fault.New(fault.Denied, "AccessDenied"), 1},
		"unwell":      {errors.New("connection refused"), tries},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &broken{err: tc.err}
				if _, err := (&Follower{Ledger: b}).Await(t.Context(), Run{}); !errors.Is(err, tc.err) || b.times != tc.times {
					t.Errorf("%v after %d reads", err, b.times)
				}
			})
		})
	}
}

func TestAwaitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		store := &ledger.Ledger{Store: &ledger.Memory{}, Now: time.Now}
		_, err := (&Follower{Ledger: store}).Await(ctx, Run{Cluster: demo, ID: "mine", Asked: time.Now()})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}
