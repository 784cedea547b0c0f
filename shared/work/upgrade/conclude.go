package upgrade

import (
	"context"
	"encoding/json"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/decide/upgrade"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/handler"
	"github.com/ekspedite/ekspedite/shared/obs"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// save stores the run. If commands have come meanwhile, it is false where that matters, and the run is as it was stored, with
// these commands; else they are kept for the next look.
func (v *visit) save(ctx context.Context, matters bool) (ok bool, err error) {
	if v.state.Memory, err = json.Marshal(v.memory); err != nil {
		return false, err
	}
	for range tries {
		saved, err := v.Ledger.SaveUpgrade(ctx, v.id, v.state)
		if err == nil {
			v.stored, v.state = saved, saved
			return true, nil
		}
		if !fault.Is(err, fault.Conflict) {
			return false, err
		}
		next := v.state
		if matters {
			next = v.stored
		}
		next, err = v.Ledger.Merge(ctx, v.id, v.stored, next)
		if err != nil {
			return false, err
		}
		v.stored.Commands = next.Commands
		if matters {
			v.stored = next
			return false, nil
		}
		v.state = next
	}
	return false, fault.New(fault.Conflict, "the upgrade of cluster %s is being changed by many at once", v.id)
}

// next remembers when to look again.
func (v *visit) next(after time.Duration) {
	v.state.LookAt, v.state.Left = time.Time{}, false
	if after > 0 {
		v.state.LookAt, v.state.Left = v.Now().Add(after), after > longest
	}
}

// later stores the run and leaves a message for the next look, unless that is further away than a message can wait, or nothing
// but somebody's word changes anything.
func (v *visit) later(ctx context.Context, after time.Duration) handler.Outcome {
	v.next(after)
	heard := len(v.state.Commands)
	if _, err := v.save(ctx, false); err != nil {
		return v.failed(err)
	}
	v.publish(ctx, v.events)
	v.Metrics.Count("UpgradeLooks", 1)
	c := continuation(v.state, v.id)
	switch {
	case len(v.state.Commands) > heard: // they came while it looked
		return handler.Later(time.Second, &c)
	case after <= 0 || after > longest:
		return handler.Done()
	}
	return handler.Later(after, &c)
}

// unread is since when the cluster could not be read, in the memory's Waits.
const unread = "read"

// unseen goes on later when the cluster could not be read, and gives up when that has lasted.
func (v *visit) unseen(ctx context.Context, err error) handler.Outcome {
	if ctx.Err() != nil {
		return handler.Failed(handler.ErrOutOfTime)
	}
	obs.Log(ctx).Warn("the cluster cannot be read", "cluster", v.id.String(), "error", err)
	since, known := v.memory.Waits[unread]
	if !known {
		if v.memory.Waits == nil {
			v.memory.Waits = map[string]time.Time{}
		}
		since = v.Now()
		v.memory.Waits[unread] = since
	}
	gone := fault.Is(err, fault.NotFound)
	if gone || v.Now().Sub(since) > patience {
		d := upgrade.Decision{Memory: v.memory}
		d.Outcome, d.Phase = events.OutcomeFailed, "the cluster cannot be read: "+err.Error()
		d.Failures = []plan.Failure{{Resource: "cluster", Whose: plan.Users, Text: err.Error(), Fix: "make the cluster readable for ekspedite's upgrade function, then ask again"}}
		return v.finish(ctx, d)
	}
	v.phase(ctx, upgrade.Decision{Phase: "the cluster cannot be read: " + err.Error(), Halted: v.state.Halted})
	return v.later(ctx, blind)
}

// failed is the outcome of a look that could not be finished. Whoever has taken the run over goes on with it.
func (v *visit) failed(err error) handler.Outcome {
	v.Metrics.Count("UpgradeLooksFailed", 1)
	return handler.Failed(err)
}

// finish ends the run. It is reported before it is remembered as over: whoever is killed in between reports again, under the
// same run id, rather than never.
func (v *visit) finish(ctx context.Context, d upgrade.Decision) handler.Outcome {
	now := v.Now()
	done := events.RunFinished{
		RunID: v.state.RunID, Function: function, Subject: subject(v.id), Outcome: d.Outcome, Reason: d.Phase, EventID: v.state.EventID, EventTime: v.state.EventTime,
		StartedAt: v.state.StartedAt, FinishedAt: now, Blocked: append(d.Left, d.Notes...), Failures: failures(d.Failures),
		Timings: map[string]int64{"startedToFinished": now.Sub(v.state.StartedAt).Milliseconds()},
		Counts: map[string]int64{
			"steps": int64(len(d.Memory.Done)), "looks": int64(v.state.Looks), "writes": int64(v.state.Writes), "skipped": int64(len(d.Memory.Skipped)), "left": int64(len(d.Path.Steps)),
		},
	}
	for _, x := range d.Memory.Done {
		done.Timings["step:"+x.Step.ID] = x.Ended.Sub(x.Begun).Milliseconds()
	}
	v.progress(ctx, "", "Finished", d.Outcome+": "+d.Phase)
	if err := v.Ledger.SaveRun(ctx, done); err != nil {
		return v.failed(err)
	}
	if err := v.Bus.Publish(ctx, v.report(ctx, v.events, &done)...); err != nil {
		return v.failed(err)
	}
	v.events = nil
	v.memory = d.Memory
	v.state.Outcome, v.state.EndedAt, v.state.Phase, v.state.Halted = d.Outcome, now, d.Phase, ""
	v.next(0)
	if _, err := v.save(ctx, false); err != nil {
		return v.failed(err)
	}
	if err := v.Ledger.EndUpgrade(ctx, v.id); err != nil { // the sweep would find out, too
		obs.Log(ctx).Warn("could not take the cluster off the list of upgrades", "cluster", v.id.String(), "error", err)
	}
	v.Metrics.Took("UpgradeRunDuration", done.FinishedAt.Sub(done.StartedAt))
	v.Metrics.Count("Runs"+d.Outcome, 1)
	return handler.Done()
}

// failures are a decision's, as they are reported.
func failures(list []plan.Failure) (out []events.Failure) {
	for _, f := range list {
		out = append(out, events.Failure{Resource: f.Resource, Code: f.Code, Whose: string(f.Whose), Text: f.Text, Fix: f.Fix})
	}
	return out
}
