package pipeline

import (
	"context"
	"fmt"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/ledger"
)

// lookAtRollout looks at a rollout through a ring.
func (w *Work) lookAtRollout(ctx context.Context, a ledger.PipelineAction) (result, error) {
	now, err := w.Ledger.Rollout(ctx, a.Rollout)
	if err != nil {
		return result{}, err
	}
	r := result{begun: now.ID != "", summary: "rollout " + a.Rollout + ": not begun"}
	if !r.begun {
		return r, nil
	}
	r.summary = fmt.Sprintf("ring %s, rollout %s: %s", a.Ring, now.ID, now.Phase)
	switch {
	case now.Running() && now.Halted != "":
		r.failure = &failure{jobFailed, fmt.Sprintf("ring %s, rollout %s is halted: %s%s", a.Ring, now.ID, now.Halted, resume)}
	case now.Running():
		r.until = now.LookAt
	case !good(a, now.Outcome):
		r.failure = &failure{jobFailed, fmt.Sprintf("ring %s, rollout %s: %s: %s", a.Ring, now.ID, now.Outcome, now.Phase)}
	default:
		r.over, r.variables = true, variables(a)
		r.variables["outcome"], r.variables["reason"] = now.Outcome, now.Phase
		r.summary = fmt.Sprintf("ring %s, rollout %s: %s, %s", a.Ring, now.ID, now.Outcome, now.Phase)
	}
	return r, nil
}

// beginSoak finds the rollout and the clusters whose soak is waited for.
func (w *Work) beginSoak(ctx context.Context, a *ledger.PipelineAction, p Parameters) error {
	if _, err := w.ring(ctx, p.Ring); err != nil {
		return err
	}
	list, err := w.Ledger.Rollouts(ctx)
	if err != nil {
		return err
	}
	for _, r := range list {
		if p.Rollout == r.ID || p.Rollout == "" && r.Ring == p.Ring && r.Outcome != events.OutcomeSuperseded { // which never began
			a.Rollout, a.To = r.ID, r.To // the last one
		}
	}
	if a.Rollout == "" {
		return configuration("no rollout %s through ring %s is known: an upgrade of the ring comes before its soak", p.Rollout, p.Ring)
	}
	ids, err := w.members(ctx, Parameters{Ring: p.Ring})
	if err != nil {
		return err
	}
	for _, id := range ids {
		a.Clusters = append(a.Clusters, id.String())
	}
	return nil
}

// lookAtSoak looks whether a ring has soaked: for so long after its last cluster was done, during which none was rolled back.
func (w *Work) lookAtSoak(ctx context.Context, a ledger.PipelineAction) (result, error) {
	ring, err := w.ring(ctx, a.Ring)
	if err != nil {
		return result{}, err
	}
	r, err := w.lookAtRollout(ctx, a)
	if err != nil || !r.over {
		return r, err
	}
	now, err := w.Ledger.Rollout(ctx, a.Rollout)
	if err != nil {
		return result{}, err
	}
	var last time.Time
	for _, c := range a.Clusters {
		u, err := w.Ledger.Upgrade(ctx, fleet.ParseClusterID(c))
		if err != nil {
			return result{}, err
		}
		if u.Rollout == a.Rollout && u.EndedAt.After(last) {
			last = u.EndedAt
		}
		if u.Outcome == events.OutcomeRolledBack && u.EndedAt.After(now.StartedAt) {
			return result{failure: &failure{jobFailed, fmt.Sprintf("%s was rolled back while ring %s soaked: %s", c, a.Ring, u.Phase)}}, nil
		}
	}
	if last.IsZero() { // something else was done on all of them since
		last = now.EndedAt
	}
	long := ring.Soak
	if a.Soak > 0 {
		long = a.Soak
	}
	until := last.Add(long)
	r.variables["soakedUntil"] = until.UTC().Format(time.RFC3339)
	if w.Now().Before(until) {
		return result{begun: true, until: until, summary: fmt.Sprintf("ring %s soaks until %s", a.Ring, until.UTC().Format(time.RFC3339))}, nil
	}
	r.summary = fmt.Sprintf("ring %s has soaked for %s", a.Ring, long)
	return r, nil
}
