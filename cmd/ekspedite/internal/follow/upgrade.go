package follow

import (
	"context"
	"fmt"
	"time"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/ledger"
)

// Upgrades is what is read of upgrades.
type Upgrades interface {
	Upgrade(ctx context.Context, cluster fleet.ClusterID) (ledger.Upgrade, error)
	RunsSince(ctx context.Context, cluster string, since time.Time) ([]ledger.Run, error)
}

// HaltedError says that an upgrade starts nothing more, and waits for somebody.
type HaltedError struct{ Cluster, Why string }

func (e *HaltedError) Error() string { return "the upgrade of " + e.Cluster + " is halted: " + e.Why }

// Upgrade returns the record of an upgrade's run when it is over, and a HaltedError when it waits for people. line is called
// with each line that it tells, say with what it waits for.
func Upgrade(ctx context.Context, l Upgrades, run Run, line func(ledger.Line), say func(string)) (ledger.Run, error) {
	begun := time.Now()
	news, phase, last, failures := begun, "", 0, 0
	for {
		u, err := l.Upgrade(ctx, run.Cluster)
		switch {
		case ctx.Err() != nil:
			return ledger.Run{}, ctx.Err()
		case fault.Is(err, fault.Denied), fault.Is(err, fault.Invalid), fault.Is(err, fault.NotFound):
			return ledger.Run{}, fmt.Errorf("the ledger cannot be read: %w", err)
		case err != nil:
			if failures++; failures >= tries {
				return ledger.Run{}, fmt.Errorf("the ledger did not answer %d times: %w", failures, err)
			}
		default:
			failures = 0
		}
		if err == nil && u.RunID == run.ID {
			for _, each := range u.Lines {
				if each.N > last {
					line(each)
					last, news = each.N, time.Now()
				}
			}
			if u.Running() && u.Halted != "" {
				return ledger.Run{}, &HaltedError{run.Cluster.Name, u.Halted}
			}
			if u.Running() && u.Phase != phase && u.Phase != "" {
				phase, news = u.Phase, time.Now()
				say(phase)
			}
		}
		if err == nil && (u.RunID != run.ID || !u.Running()) {
			done, ok, err := ended(ctx, l, run)
			if err == nil && ok {
				return done, nil
			}
		}
		if time.Since(news) > quiet {
			news = time.Now()
			switch {
			case u.RunID == run.ID:
				say(fmt.Sprintf("still at it after %s: %s", time.Since(u.StartedAt).Round(time.Second), u.Phase))
			case u.Running():
				say("another run is under way on the cluster: " + u.RunID + ", " + u.Phase)
			default:
				say("nothing has taken the request up yet: look at the queue ekspedite-upgrade, its dead-letter queue and the function's log, in this order")
			}
		}
		select {
		case <-time.After(pause(time.Since(begun))):
		case <-ctx.Done():
			return ledger.Run{}, ctx.Err()
		}
	}
}

// ended finds the run's record.
func ended(ctx context.Context, l Upgrades, run Run) (ledger.Run, bool, error) {
	list, err := l.RunsSince(ctx, run.Cluster.Name, run.Asked.Add(-skew))
	for _, r := range list {
		if r.RunID == run.ID {
			return r, true, nil
		}
	}
	return ledger.Run{}, false, err
}
