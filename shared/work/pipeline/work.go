// Package pipeline is the pipeline function's work: a stage of somebody's CodePipeline asks for clusters, and goes on when
// they are what their spec says. It asks as anybody would, by an event on ekspedite's bus, and follows the runs in the
// ledger; CodePipeline invokes it again and again as long as it answers that it has not finished.
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
	jobFailed          = "JobFailed"
	configurationError = "ConfigurationError"
	permissionError    = "PermissionError"
	systemUnavailable  = "SystemUnavailable"
)

const (
	// blind is how long what is needed may fail to be read or written before the action fails. CodePipeline asks about twice
	// a minute.
	blind = 15 * time.Minute
	// idle is how long a request may wait for the cluster function to begin. Its queue keeps requests longer: the run may
	// begin after the action has failed.
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

// Handle serves a job. An error means that the job could not be answered: Lambda invokes the function again.
func (w *Work) Handle(ctx context.Context, e events.Event) error {
	job, ok := e.Payload.(*events.CodePipelineJob)
	if !ok {
		return fault.New(fault.Invalid, "this function is for jobs of CodePipeline and does not act on %s", e.Kind)
	}
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
	if len(t.Clusters) > 0 {
		r, err := w.look(ctx, t)
		return t, r, err
	}
	asked, err := w.ask(ctx, t, p)
	if err != nil {
		return t, result{}, err
	}
	if p.Wait != nil && !*p.Wait {
		return asked, result{over: true, variables: asked.variables(), summary: "asked for, as request " + asked.Request}, nil
	}
	return asked, result{summary: "asked for"}, nil
}

// ask puts the request on the bus. Asked twice, it is one request: its id is the first job's.
func (w *Work) ask(ctx context.Context, t token, p Parameters) (token, error) {
	text, err := w.text(ctx, p)
	if fault.Is(err, fault.NotFound) {
		return t, configuration("spec %s: %v", p.Spec, err)
	}
	if fault.Is(err, fault.Denied) {
		return t, &failure{permissionError, fmt.Sprintf("spec %s: %v; the function may read the bucket that is the output SpecsBucket of the stack ekspedite-data", p.Spec, err)}
	}
	if err != nil {
		return t, err
	}
	ids, err := clusters(text)
	if err != nil {
		return t, err
	}
	t.DryRun = p.DryRun
	for _, id := range ids {
		t.Clusters = append(t.Clusters, id.String())
	}
	if n := len(t.String()); n > maxToken {
		return t, configuration("%d clusters are too many for one action: their names take %d of %d characters", len(ids), n, maxToken)
	}
	e, err := events.New(&events.ClusterApplyRequested{RequestID: t.Request, Spec: string(text), DryRun: p.DryRun, Prune: p.Prune}, w.NewID(), w.Now(), w.Account, w.Region)
	if err == nil {
		err = w.Bus.Publish(ctx, e)
	}
	if err != nil {
		t.Clusters = nil // nobody has been asked
	}
	return t, err
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
