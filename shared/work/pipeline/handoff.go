package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/obs"
)

// An action that may take longer than CodePipeline's day names an approval action behind it. It is remembered in the ledger
// before the action ends, and answered by sweep, which runs whenever an upgrade is over and by a schedule. The approval's
// token is what GetPipelineState shows: it needs no topic and no subscription, and a token that was lost can be read again.
// What is answered is bound to the pipeline's execution, so that one run of a pipeline never approves another.

// findApproval makes sure, before anything is asked for, that the approval is there and can be seen.
func (w *Work) findApproval(ctx context.Context, p Parameters) error {
	if p.Approval == nil {
		return nil
	}
	at := *p.Approval
	_, _, _, err := w.Approvals.State(ctx, at.Pipeline, at.Stage, at.Action)
	switch {
	case fault.Is(err, fault.NotFound):
		return configuration("the approval that shall wait for this action: %v", err)
	case fault.Is(err, fault.Denied):
		return &failure{permissionError, fmt.Sprintf("the state of pipeline %s: %v; ekspedite may answer the approvals of pipelines whose names begin as the parameter PipelinePrefix of its template says", at.Pipeline, err)}
	}
	return err
}

// handOff ends an action that is not over: the approval waits on.
func (w *Work) handOff(ctx context.Context, a ledger.PipelineAction, p Parameters, r result) (result, error) {
	if err := w.leave(ctx, a, p); err != nil {
		return result{}, err
	}
	after := w.Now()
	if r.until.After(after) {
		after = r.until
	}
	out := variables(a)
	out["handedOff"], out["resumeAfter"] = "true", after.UTC().Format(time.RFC3339)
	out["outcome"], out["reason"] = "HandedOff", clip(r.summary, maxMessage)
	return result{over: true, variables: out, summary: "handed off: " + r.summary}, nil
}

// leave remembers that an approval waits for an action.
func (w *Work) leave(ctx context.Context, a ledger.PipelineAction, p Parameters) error {
	if p.Approval == nil {
		return nil
	}
	what := a.Action + " " + strings.Join(a.Clusters, " ")
	if a.Ring != "" {
		what = a.Action + " " + a.Ring
	}
	_, err := w.Ledger.SaveHandOff(ctx, ledger.HandOff{ID: a.ID, PipelineApproval: *p.Approval, For: what, At: a.StartedAt})
	return fault.Ignore(err, fault.Conflict) // it is there already
}

// sweep answers the approvals for which all is over. One that cannot be answered does not keep the others.
func (w *Work) sweep(ctx context.Context) error {
	open, err := w.Ledger.HandOffs(ctx)
	if err != nil {
		return err
	}
	var order []ledger.PipelineApproval
	byApproval := map[ledger.PipelineApproval][]ledger.HandOff{}
	for _, h := range open {
		if byApproval[h.PipelineApproval] == nil {
			order = append(order, h.PipelineApproval)
		}
		byApproval[h.PipelineApproval] = append(byApproval[h.PipelineApproval], h)
	}
	var errs []error
	for _, at := range order {
		if err := w.settle(ctx, at, byApproval[at]); err != nil {
			w.Metrics.Count("ApprovalsFailed", 1)
			errs = append(errs, fmt.Errorf("approval %s of stage %s of pipeline %s: %w", at.Action, at.Stage, at.Pipeline, err))
		}
	}
	return errors.Join(errs...)
}

// settle answers one approval, if it is asked for and what it waits for is over.
func (w *Work) settle(ctx context.Context, at ledger.PipelineApproval, waiting []ledger.HandOff) error {
	log := obs.Log(ctx).With("pipeline", at.Pipeline, "stage", at.Stage, "action", at.Action, "execution", at.Execution)
	waiting, err := w.latest(ctx, waiting)
	if err != nil {
		return err
	}
	over, bad, said, err := w.verdict(ctx, waiting)
	if err != nil || !over && !bad {
		return err
	}
	execution, status, token, err := w.Approvals.State(ctx, at.Pipeline, at.Stage, at.Action)
	if fault.Is(err, fault.NotFound) {
		log.Warn("the approval is no longer there", "error", err)
		return w.done(ctx, waiting)
	}
	switch {
	case err != nil:
		return err
	case execution != at.Execution: // not there yet, or gone on
		return nil
	case status == "Succeeded": // by somebody else, or by us who died right after
		return w.done(ctx, waiting)
	case status != "InProgress" || token == "":
		return nil
	}
	err = w.Approvals.Answer(ctx, at.Pipeline, at.Stage, at.Action, token, !bad, clip(said, maxApproval))
	if fault.Is(err, fault.Conflict) || fault.Is(err, fault.NotFound) {
		log.Info("the approval was answered by somebody else", "error", err)
		return nil
	}
	if err != nil {
		return err
	}
	log.Info("the approval is answered", "approved", !bad, "summary", said)
	w.Metrics.Count("ApprovalsAnswered", 1)
	if bad { // it is asked for again if its stage is retried
		return nil
	}
	return w.done(ctx, waiting)
}

// latest closes what an earlier attempt of the stage has left, which nobody waits for any more.
func (w *Work) latest(ctx context.Context, waiting []ledger.HandOff) (newest []ledger.HandOff, err error) {
	slices.SortStableFunc(waiting, func(a, b ledger.HandOff) int { return b.At.Compare(a.At) })
	var old []ledger.HandOff
	for _, h := range waiting {
		if slices.ContainsFunc(newest, func(n ledger.HandOff) bool { return n.For == h.For }) {
			old = append(old, h)
		} else {
			newest = append(newest, h)
		}
	}
	return newest, w.done(ctx, old)
}

// verdict says how stands what an approval waits for: all of it over, or something gone bad, and why.
func (w *Work) verdict(ctx context.Context, waiting []ledger.HandOff) (over, bad bool, said string, err error) {
	var lines []string
	over = true
	for _, h := range waiting {
		a, err := w.Ledger.PipelineAction(ctx, h.ID)
		if err != nil {
			return false, false, "", err
		}
		if a.ID == "" { // forgotten, as everything after its time
			return false, true, "ekspedite does not know any more what this waits for", nil
		}
		r, err := w.look(ctx, a)
		var failed *failure
		if errors.As(err, &failed) {
			r, err = result{failure: failed}, nil
		}
		switch {
		case err != nil:
			return false, false, "", err
		case r.failure != nil:
			return false, true, r.failure.message, nil
		}
		over = over && r.over
		lines = append(lines, r.summary)
	}
	return over, false, strings.Join(lines, "; "), nil
}

// done closes what nobody waits for any more.
func (w *Work) done(ctx context.Context, waiting []ledger.HandOff) error {
	var errs []error
	for _, h := range waiting {
		h.Closed = true
		_, err := w.Ledger.SaveHandOff(ctx, h)
		errs = append(errs, fault.Ignore(err, fault.Conflict)) // another sweep did
	}
	return errors.Join(errs...)
}

// maxApproval is CodePipeline's limit of an approval's summary, in characters.
const maxApproval = 512
