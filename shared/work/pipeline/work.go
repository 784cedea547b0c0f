// Package pipeline is the pipeline function's work: a stage of somebody's CodePipeline asks for clusters or for upgrades, and
// goes on when they are what was asked for. It asks as anybody would, by an event on ekspedite's bus, and follows the runs in
// the ledger; CodePipeline invokes it again and again as long as it answers that it has not finished.
//
// A Lambda action may last for a day. What lasts longer is handed off: the action succeeds, an approval action behind it
// waits, and the function answers that when all is over (handoff.go).
//
// A job carries credentials for the pipeline's artifacts. They are not used, and nothing of a job but its id is logged.
package pipeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/obs"
)

// Jobs answers CodePipeline. Each job is answered once.
type Jobs interface {
	Continue(ctx context.Context, id, token, summary string) error
	Succeed(ctx context.Context, id string, variables map[string]string, summary string) error
	Fail(ctx context.Context, id, kind, message string) error
}

// Approvals are those of pipelines.
type Approvals interface {
	// State reads how an approval stands: the execution of the pipeline that came to its stage last, the action's status
	// ("InProgress", "Succeeded", "Failed", "Abandoned"; "" if it was not asked for), and the token to answer with while it is in
	// progress. A pipeline, stage or action that is not there is fault.NotFound.
	State(ctx context.Context, pipeline, stage, action string) (execution, status, token string, err error)
	// Answer approves or rejects. One that was answered meanwhile is fault.Conflict.
	Answer(ctx context.Context, pipeline, stage, action, token string, approve bool, summary string) error
}

// Publisher puts events on ekspedite's bus.
type Publisher interface {
	Publish(ctx context.Context, list ...events.Event) error
}

// Files reads a version of a file, the latest when none is named.
type Files interface {
	Read(ctx context.Context, bucket, key, version string) ([]byte, error)
}

// Work has what the function needs.
type Work struct {
	Jobs            Jobs
	Approvals       Approvals
	Files           Files
	Bus             Publisher
	Ledger          *ledger.Ledger
	Account, Region string
	NewID           func() string
	Now             func() time.Time
	Metrics         *obs.Metrics
}

// CodePipeline's FailureTypes, as far as they are used.
const (
	jobFailed           = "JobFailed"
	configurationError  = "ConfigurationError"
	permissionError     = "PermissionError"
	revisionOutOfSync   = "RevisionOutOfSync"   // a newer request took the place of this one
	revisionUnavailable = "RevisionUnavailable" // the version of the spec is gone
	systemUnavailable   = "SystemUnavailable"
)

const (
	// blind is how long what is needed may fail to be read or written before the action fails. CodePipeline asks about twice
	// a minute.
	blind = 15 * time.Minute
	// idle is how long a request may wait for the function that it is for to begin. Its queue keeps requests longer: the run
	// may begin after the action has failed.
	idle = 30 * time.Minute
	// patience ends an action before CodePipeline does, at 24 hours, which would not say why.
	patience = 23 * time.Hour
)

// failure ends an action badly.
type failure struct{ kind, message string }

func (f *failure) Error() string { return f.message }

func configuration(format string, args ...any) error {
	return &failure{configurationError, fmt.Sprintf(format, args...)}
}

// Handle serves a job, or looks at the approvals that wait. An error means that the job could not be answered, or not all of
// the approvals: Lambda invokes the function again.
func (w *Work) Handle(ctx context.Context, e events.Event) error {
	switch payload := e.Payload.(type) {
	case *events.CodePipelineJob:
		return w.job(ctx, payload)
	case *events.RunFinished, *events.PipelineSweepRequested: // a hint: what is over, the ledger knows
		return w.sweep(ctx)
	}
	return fault.New(fault.Invalid, "this function is for jobs of CodePipeline and does not act on %s", e.Kind)
}

func (w *Work) job(ctx context.Context, job *events.CodePipelineJob) error {
	t, answer, err := w.serve(ctx, job)
	var failed *failure
	switch {
	case errors.As(err, &failed):
	case err != nil && fault.Is(err, fault.Invalid):
		failed = &failure{configurationError, err.Error()}
	case err != nil && w.Now().Sub(t.Since) >= blind:
		failed = &failure{systemUnavailable, fmt.Sprintf("for %s: %v", blind, err)}
		if fault.Is(err, fault.Denied) {
			failed.kind = permissionError
		}
	case err != nil:
		obs.Log(ctx).Warn("tried again with the next job", "job", job.ID, "error", err)
		answer = result{summary: "trying again: " + err.Error()}
	}
	if failed != nil {
		answer = result{over: true, failure: failed}
	}
	if err := w.answer(ctx, job.ID, t, answer); err != nil {
		if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Conflict) { // answered already, or given up by CodePipeline
			obs.Log(ctx).Warn("nobody waits for the answer", "job", job.ID, "error", err)
			return nil
		}
		return err
	}
	return nil
}

// result is how an action stands.
type result struct {
	over      bool
	failure   *failure
	variables map[string]string
	summary   string
	// begun: somebody works on it.
	begun bool
	// until is when it will be over at the earliest; zero if nobody knows.
	until time.Time
}

// serve makes the request, or looks at what became of it.
func (w *Work) serve(ctx context.Context, job *events.CodePipelineJob) (token, result, error) {
	t := token{Request: job.ID, Since: w.Now()}
	if text := job.Data.ContinuationToken; text != "" {
		known, err := readToken(text)
		if err != nil {
			return t, result{}, configuration("%v", err)
		}
		t = known
	}
	p, err := readParameters(job.Data.ActionConfiguration.Configuration.UserParameters)
	if err != nil {
		return t, result{}, configuration("%v", err)
	}
	a, err := w.Ledger.PipelineAction(ctx, t.Request)
	if err == nil && a.ID == "" {
		a, err = w.begin(ctx, t, p)
	}
	asked := a.Asked
	if err == nil && !asked {
		a, err = w.ask(ctx, a, p)
	}
	switch {
	case err != nil:
		return t, result{}, err
	case p.Wait != nil && !*p.Wait:
		return t, result{over: true, variables: variables(a), summary: "asked for, as request " + a.ID}, nil
	case !asked && a.Action != soak: // whose end may be known already
		return t, result{summary: "asked for"}, nil
	}
	r, err := w.look(ctx, a)
	if err != nil {
		return t, result{}, err
	}
	r, err = w.limit(ctx, a, p, r)
	return t, r, err
}

// limit ends an action before CodePipeline does, which would not say why: by handing it off, or else as a failure.
func (w *Work) limit(ctx context.Context, a ledger.PipelineAction, p Parameters, r result) (result, error) {
	took := w.Now().Sub(a.StartedAt)
	switch {
	case r.failure != nil:
		return r, nil
	case r.over:
		if p.Action == check && p.OnBlockers != "report" && r.variables["ready"] == "false" {
			r.failure = &failure{jobFailed, r.summary}
			return r, nil
		}
		if p.HandOff > 0 {
			r.variables["handedOff"], r.variables["resumeAfter"] = "false", w.Now().UTC().Format(time.RFC3339)
		}
		return r, w.leave(ctx, a, p) // the approval is to be answered all the same
	case !r.begun && took >= idle:
		r.failure = &failure{systemUnavailable, fmt.Sprintf("the %s function has not begun in %s: look at its queue, its dead-letter queue and its log (%s)", function(a), took.Round(time.Minute), r.summary)}
		return r, nil
	}
	late := a.StartedAt.Add(time.Duration(p.HandOff))
	if p.HandOff > 0 && (!w.Now().Before(late) || r.until.After(late)) {
		return w.handOff(ctx, a, p, r)
	}
	if took >= patience {
		hint := ""
		if p.HandOff == 0 && (a.Action == upgrade || a.Action == soak) {
			hint = ". What lasts so long is handed off to an approval, if the parameters name one"
		}
		r.failure = &failure{jobFailed, fmt.Sprintf("not over after %s: %s. The runs go on: ekspedite runs list%s", took.Round(time.Minute), r.summary, hint)}
	}
	return r, nil
}

// function is the one that works on what an action has asked for.
func function(a ledger.PipelineAction) string {
	if a.Action == apply || a.Action == plan {
		return events.HandlerCluster
	}
	return events.HandlerUpgrade
}

// answer tells CodePipeline.
func (w *Work) answer(ctx context.Context, id string, t token, r result) error {
	log := obs.Log(ctx).With("job", id, "request", t.Request)
	switch {
	case r.failure != nil:
		log.Warn("the action fails", "type", r.failure.kind, "message", r.failure.message)
		w.Metrics.Count("JobsFailed", 1)
		return w.Jobs.Fail(ctx, id, r.failure.kind, clip(r.failure.message, maxMessage))
	case r.over:
		log.Info("the action succeeds", "summary", r.summary)
		w.Metrics.Count("JobsSucceeded", 1)
		return w.Jobs.Succeed(ctx, id, r.variables, clip(r.summary, maxSummary))
	}
	log.Info("the action goes on", "summary", r.summary)
	w.Metrics.Count("JobsContinued", 1)
	return w.Jobs.Continue(ctx, id, t.String(), clip(r.summary, maxSummary))
}

// CodePipeline's limits, in characters.
const (
	maxMessage = 5000
	maxSummary = 2048
)

func clip(s string, most int) string {
	r := []rune(s)
	if len(r) <= most {
		return s
	}
	return string(r[:most-1]) + "…"
}
