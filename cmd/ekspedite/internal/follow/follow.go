// Package follow follows runs on clusters by reading ekspedite's ledger. Progress is on the bus as well, but to listen
// there, something has to be made in the account first.
package follow

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/ledger"
)

// Ledger is what is read.
type Ledger interface {
	Desired(ctx context.Context, cluster fleet.ClusterID) (ledger.Desired, error)
	ClusterRun(ctx context.Context, cluster fleet.ClusterID) (ledger.ClusterRun, error)
	RunsSince(ctx context.Context, cluster string, since time.Time) ([]ledger.Run, error)
}

// Run is what is followed.
type Run struct {
	Cluster fleet.ClusterID
	ID      string
	Request string    // that it answers; "" for a sweep's
	Asked   time.Time // when; it began then or later
}

// Follower follows a run.
type Follower struct {
	Ledger Ledger
	// Line is called with each line that the run tells, Say with what there is to say about the following itself.
	Line func(ledger.Line)
	Say  func(text string)
}

const (
	// skew is how far this machine's clock may be ahead of Lambda's.
	skew = 2 * time.Minute
	// quiet is after how long without news somebody is told that nothing is wrong with the line.
	quiet = time.Minute
	// tries is how often in a row the ledger may fail to answer.
	tries = 10
)

// pause is how long to wait between two reads: a read costs little, and nobody watches for 20 minutes by the second.
func pause(since time.Duration) time.Duration {
	switch {
	case since < 30*time.Second:
		return time.Second
	case since < 5*time.Minute:
		return 2 * time.Second
	}
	return 5 * time.Second
}

// following is the state between reads.
type following struct {
	*Follower
	run   Run
	begun time.Time // here
	seen  bool      // the run has begun
	last  int       // line
	news  time.Time // when there was any
}

// Await returns the run's record when it is over. When ctx ends, its error is returned.
func (f *Follower) Await(ctx context.Context, run Run) (ledger.Run, error) {
	now := time.Now()
	g := following{Follower: f, run: run, begun: now, news: now}
	failures := 0
	for {
		done, over, err := g.look(ctx)
		switch {
		case over:
			return done, nil
		case ctx.Err() != nil:
			return ledger.Run{}, ctx.Err()
		case err == nil:
			failures = 0
		case fault.Is(err, fault.Denied), fault.Is(err, fault.Invalid), fault.Is(err, fault.NotFound):
			return ledger.Run{}, fmt.Errorf("the ledger cannot be read: %w", err)
		default:
			if failures++; failures >= tries {
				return ledger.Run{}, fmt.Errorf("the ledger did not answer %d times: %w", failures, err)
			}
		}
		select {
		case <-time.After(pause(time.Since(g.begun))):
		case <-ctx.Done():
			return ledger.Run{}, ctx.Err()
		}
	}
}

// look reads once.
func (f *following) look(ctx context.Context) (done ledger.Run, over bool, err error) {
	r, err := f.Ledger.ClusterRun(ctx, f.run.Cluster)
	if err != nil {
		return done, false, err
	}
	if r.RunID == f.run.ID {
		f.seen = true
		f.tell(r)
		if !r.Over() {
			return done, false, nil
		}
		return f.record(ctx, r)
	}
	// Before its beginning, or after its end: a sweep or another request may have followed at once.
	if done, over, err = f.record(ctx, ledger.ClusterRun{}); over || err != nil {
		return done, over, err
	}
	d, err := f.Ledger.Desired(ctx, f.run.Cluster)
	if err != nil {
		return done, false, err
	}
	if f.run.Request != "" && slices.Contains(d.Superseded, f.run.Request) {
		return f.without(events.OutcomeSuperseded, "request "+d.RequestID+" took its place"), true, nil
	}
	if f.seen {
		return f.without(events.OutcomeFailed, "the run has left the ledger without a record: run "+r.RunID+" took its place"), true, nil
	}
	if time.Since(f.news) > quiet {
		f.news = time.Now()
		text := "nothing has taken the request up yet: look at the queue ekspedite-cluster, its dead-letter queue and the function's log, in this order"
		if d.RunID == f.run.ID {
			text = "the function has the request and looks around before it begins"
		}
		f.Say(text)
	}
	return done, false, nil
}

// record reads the run's record, which is written just before the run counts as over; r is the run if it is known to be.
func (f *following) record(ctx context.Context, r ledger.ClusterRun) (ledger.Run, bool, error) {
	since := f.run.Asked.Add(-skew)
	if !r.StartedAt.IsZero() {
		since = r.StartedAt
	}
	list, err := f.Ledger.RunsSince(ctx, f.run.Cluster.Name, since)
	if err != nil {
		return ledger.Run{}, false, err
	}
	for _, done := range list {
		if done.RunID == f.run.ID {
			return done, true, nil
		}
	}
	if !r.Over() {
		return ledger.Run{}, false, nil
	}
	done := f.without(r.Outcome, r.Reason)
	done.StartedAt = r.StartedAt
	return done, true, nil
}

// without is a record of a run that has none.
func (f *following) without(outcome, reason string) ledger.Run {
	return ledger.Run{
		RunID: f.run.ID, Function: "cluster", Subject: events.Subject{Cluster: f.run.Cluster.Name, Region: f.run.Cluster.Region},
		Outcome: outcome, Reason: reason, StartedAt: f.run.Asked, FinishedAt: time.Now(),
	}
}

// tell passes new lines on.
func (f *following) tell(r ledger.ClusterRun) {
	for _, l := range r.Lines {
		if l.N <= f.last {
			continue
		}
		if l.N > f.last+1 {
			f.Say(fmt.Sprintf("(%d lines are not kept)", l.N-f.last-1))
		}
		f.Line(l)
		f.last, f.news = l.N, time.Now()
	}
	if !r.Over() && time.Since(f.news) > quiet {
		f.news = time.Now()
		text := r.Reason
		if len(r.Waiting) > 0 {
			text = "AWS is at work on " + strings.Join(r.Waiting, ", ")
		}
		f.Say(fmt.Sprintf("still at it after %s: %s", time.Since(r.StartedAt).Round(time.Second), text))
	}
}
