package cluster

import (
	"context"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/decide/cluster"
	"github.com/ekspedite/ekspedite/shared/handler"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// unseen is the trouble of a world that cannot be read.
const unseen = "observe"

// unseen goes on later when the world could not be read, or gives up when that has lasted.
func (v *visit) unseen(ctx context.Context, err error) handler.Outcome {
	if ctx.Err() != nil { // our own time is over: the message comes again
		return v.failed(err)
	}
	v.trouble(unseen, err)
	if t := v.run.Troubles[unseen]; t.Fatal || t.Tries >= blindTries && v.Now().Sub(t.Since) >= blind {
		return v.finish(ctx, plan.Plan{Outcome: cluster.OutcomeFailed, Reason: "the cluster cannot be observed: " + t.Text})
	}
	v.run.Idle++
	return v.later(ctx, max(ambiguous, cluster.Delay(v.run.Idle)))
}

// later leaves a continuation for the next look.
func (v *visit) later(ctx context.Context, after time.Duration) handler.Outcome {
	v.run.Attempt++
	v.run.NextLook = v.Now().Add(after)
	if err := v.save(ctx); err != nil {
		return v.failed(err)
	}
	v.publish(ctx)
	return handler.Later(after, &events.ClusterContinuation{
		RunID: v.run.RunID, Cluster: v.id.Name, Region: v.id.Region, RequestID: v.run.RequestID, StartedAt: v.run.StartedAt, Attempt: v.run.Attempt,
	})
}

// finish ends the run. It is reported before it is remembered as over: whoever is killed in between reports again, under
// the same run id, rather than never.
func (v *visit) finish(ctx context.Context, p plan.Plan) handler.Outcome {
	if err := v.settled(ctx, p.Outcome); err != nil {
		return v.failed(err)
	}
	if v.quiet(p) {
		if v.run.FullAt.After(v.before.FullAt) { // else the next sweep would look at everything again
			v.run = v.before.Looked(v.run.FullAt)
			if err := v.save(ctx); err != nil {
				return v.failed(err)
			}
		}
		return v.nothing(ctx, "the sweep found nothing new: "+p.Reason)
	}
	for _, note := range v.notes {
		v.progress(ctx, "", "Note", note)
	}
	done := v.finished(v.run)
	done.Outcome, done.Reason = p.Outcome, p.Reason
	if p.Outcome == cluster.OutcomeFailed {
		done.Blocked = strings.Split(p.Reason, "; ")
	}
	done.Failures = failures(p)
	if err := v.Ledger.SaveRun(ctx, done); err != nil {
		return v.failed(err)
	}
	if err := v.Bus.Publish(ctx, v.report(ctx, v.events, &done)...); err != nil {
		return v.failed(err)
	}
	v.events = nil
	v.run.Outcome, v.run.Reason, v.run.Waiting = p.Outcome, p.Reason, nil
	if err := v.save(ctx); err != nil {
		return v.failed(err)
	}
	v.Metrics.Took("ClusterRunDuration", done.FinishedAt.Sub(done.StartedAt))
	v.Metrics.Count("Runs"+p.Outcome, 1)
	return handler.Done()
}

// quiet tells whether a sweep came to the end that is known, without a write: nothing to tell and nothing to store.
func (v *visit) quiet(p plan.Plan) bool {
	return v.run.RequestID == "" && v.run.Writes == 0 && v.run.RunID != v.before.RunID &&
		p.Outcome == v.before.Outcome && v.run.Converged == v.before.Converged && (p.Outcome == cluster.OutcomeActive || p.Reason == v.before.Reason)
}

// failures are a plan's, as they are reported.
func failures(p plan.Plan) (out []events.Failure) {
	for _, f := range p.Failures {
		out = append(out, events.Failure{Resource: f.Resource, Code: f.Code, Whose: string(f.Whose), Text: f.Text, Fix: f.Fix})
	}
	return out
}

// finished is the report of a run, without its outcome.
func (v *visit) finished(r ledger.ClusterRun) events.RunFinished {
	now := v.Now()
	done := events.RunFinished{
		RunID: r.RunID, Function: function, Subject: events.Subject{Cluster: v.id.Name, Region: v.id.Region}, EventID: r.EventID, EventTime: r.EventTime,
		StartedAt: r.StartedAt, FinishedAt: now, Timings: map[string]int64{"eventToFinished": now.Sub(r.EventTime).Milliseconds()},
		Counts: map[string]int64{"writes": int64(r.Writes), "looks": int64(r.Attempt + 1), "notes": int64(len(v.notes))},
	}
	for id, at := range r.ReadyAt {
		done.Timings["startedToReady:"+id] = at.Sub(r.StartedAt).Milliseconds()
	}
	return done
}
