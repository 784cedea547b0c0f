package pipeline

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/ledger"
)

// look finds out how stands what an action has asked for. It writes nothing but what it has seen end.
func (w *Work) look(ctx context.Context, a ledger.PipelineAction) (result, error) {
	switch {
	case a.Action == soak:
		return w.lookAtSoak(ctx, a)
	case a.Rollout != "":
		return w.lookAtRollout(ctx, a)
	}
	return w.lookAtRuns(ctx, a)
}

// lookAtRuns looks at the runs of clusters. The action is over when all of them are.
func (w *Work) lookAtRuns(ctx context.Context, a ledger.PipelineAction) (result, error) {
	var waiting []string
	var r result
	known := len(a.Ended)
	for _, name := range a.Clusters {
		if _, ok := a.Ended[name]; ok {
			continue
		}
		id := fleet.ParseClusterID(name)
		run, ok, err := w.ended(ctx, a, id)
		if err != nil {
			return r, err
		}
		if ok {
			if a.Ended == nil {
				a.Ended = map[string]ledger.PipelineRun{}
			}
			a.Ended[name] = run
			continue
		}
		s, err := w.state(ctx, a, id)
		if err != nil {
			return r, err
		}
		if s.halted != "" {
			return result{failure: &failure{jobFailed, fmt.Sprintf("%s is halted: %s%s", name, s.halted, resume)}}, nil
		}
		r.begun = r.begun || s.begun
		if r.until.Before(s.until) {
			r.until = s.until
		}
		waiting = append(waiting, name+": "+s.text)
	}
	if len(a.Ended) > known {
		var err error
		if a, err = w.Ledger.SavePipelineAction(ctx, a); fault.Ignore(err, fault.Conflict) != nil {
			return r, err
		}
	}
	r.begun = r.begun || len(a.Ended) > 0
	var failed, ended []string
	blockers := 0
	for _, name := range a.Clusters {
		run, ok := a.Ended[name]
		if !ok {
			continue
		}
		line := name + ": " + run.Outcome + ", " + run.Reason
		if !good(a, run.Outcome) {
			line = strings.TrimSuffix(name+": "+run.Outcome+": "+run.Reason+"\n"+run.Text, "\n")
			failed, blockers = append(failed, line), blockers+run.Failures
		}
		ended = append(ended, line)
	}
	r.over = len(waiting) == 0
	r.summary = strings.Join(append(failed, waiting...), "; ")
	if !r.over {
		return r, nil
	}
	r.variables, r.summary = variables(a), strings.Join(ended, "; ")
	if a.Action == check {
		r.variables["ready"], r.variables["blockers"] = strconv.FormatBool(len(failed) == 0), strconv.Itoa(blockers)
		r.summary = strings.Join(slices.Concat(failed, slices.DeleteFunc(ended, func(l string) bool { return slices.Contains(failed, l) })), "\n")
		r.variables["report"] = clip(r.summary, maxSummary)
		if slices.ContainsFunc(a.Clusters, func(c string) bool { return !checked(a.Ended[c].Outcome) }) { // no verdict on the cluster
			r.failure = &failure{jobFailed, strings.Join(failed, "\n")}
		}
		return r, nil
	}
	if len(failed) > 0 {
		r.failure = &failure{jobFailed, strings.Join(failed, "\n")}
		if slices.ContainsFunc(a.Clusters, func(c string) bool { return a.Ended[c].Outcome == events.OutcomeSuperseded }) {
			r.failure.kind = revisionOutOfSync
		}
	}
	return r, nil
}

// resume is what to do about something halted.
const resume = ". Nothing more is started until somebody resumes it (ekspedite upgrade resume): then retry the stage, which follows what is under way"

// checked tells whether an outcome is a verdict of the readiness gate.
func checked(outcome string) bool {
	return slices.Contains([]string{events.OutcomePlanned, events.OutcomeNothingToDo, events.OutcomeNotReady}, outcome)
}

// good tells whether a run has come to what was asked for.
func good(a ledger.PipelineAction, outcome string) bool {
	switch outcome {
	case events.OutcomeActive:
		return a.Action == apply || a.Action == plan
	case events.OutcomeUpgraded:
		return a.Action == upgrade || a.Action == soak
	case events.OutcomePlanned:
		return a.DryRun || a.Action == check
	case events.OutcomeNothingToDo:
		return a.DryRun || a.Action != apply && a.Action != plan
	}
	return false
}

// ended reads a run that is over from the cluster's history.
func (w *Work) ended(ctx context.Context, a ledger.PipelineAction, id fleet.ClusterID) (ledger.PipelineRun, bool, error) {
	since := a.StartedAt
	wanted := a.Runs[id.String()]
	if a.Action == upgrade { // it may have been under way before
		now, err := w.Ledger.Upgrade(ctx, id)
		if err != nil || now.RunID == wanted && now.Running() {
			return ledger.PipelineRun{}, false, err
		}
		if !a.Since.IsZero() {
			since = a.Since
		}
	}
	history, err := w.Ledger.RunsSince(ctx, id.Name, since.Add(-time.Hour)) // clocks differ
	if err != nil {
		return ledger.PipelineRun{}, false, err
	}
	i := slices.IndexFunc(history, func(r ledger.Run) bool { return r.RunID == wanted })
	if i < 0 {
		return ledger.PipelineRun{}, false, nil
	}
	r := history[i]
	return ledger.PipelineRun{Outcome: r.Outcome, Reason: clip(r.Reason, maxMessage), Failures: len(r.Failures), Text: clip(failures(r), maxMessage)}, true, nil
}

// failures are those of a run in words: a line for each.
func failures(r ledger.Run) string {
	var lines []string
	for _, f := range r.Failures {
		text := strings.TrimSpace(f.Resource + " " + f.Code)
		if text != "" {
			text += ": "
		}
		text += f.Text
		if f.Fix != "" {
			text += " – " + f.Fix
		}
		lines = append(lines, "["+f.Whose+"] "+text)
	}
	return strings.Join(lines, "\n")
}

// state is how a run stands that is not over.
type state struct {
	text   string
	begun  bool
	halted string
	until  time.Time // it looks again then, and does nothing before
}

// state reads it. A run that a newer request has overtaken before it began never will.
func (w *Work) state(ctx context.Context, a ledger.PipelineAction, id fleet.ClusterID) (state, error) {
	run := a.Runs[id.String()]
	switch {
	case a.Action == upgrade:
		now, err := w.Ledger.Upgrade(ctx, id)
		if err != nil || now.RunID != run {
			return state{text: "not begun"}, err
		}
		return state{text: now.Phase, begun: true, halted: now.Halted, until: now.LookAt}, nil
	case a.Action == check:
		return state{text: "being checked"}, nil
	case a.DryRun:
		return state{text: "being planned"}, nil
	}
	now, err := w.Ledger.ClusterRun(ctx, id)
	if err != nil {
		return state{}, err
	}
	if now.RunID == run {
		return state{text: now.Reason, begun: true}, nil
	}
	desired, err := w.Ledger.Desired(ctx, id)
	if err == nil && slices.Contains(desired.Superseded, a.ID) {
		err = &failure{revisionOutOfSync, fmt.Sprintf("%s: request %s took the place of this one", id, desired.RequestID)}
	}
	return state{text: "not begun"}, err
}

// variables are for the actions that follow: #{Namespace.requestId}.
func variables(a ledger.PipelineAction) map[string]string {
	out := map[string]string{"requestId": a.ID}
	var runs []string
	for _, c := range a.Clusters {
		runs = append(runs, a.Runs[c])
	}
	if len(a.Runs) > 0 {
		out["clusters"], out["runIds"] = strings.Join(a.Clusters, ","), strings.Join(runs, ",")
	}
	if a.Ring != "" {
		out["ring"] = a.Ring
	}
	if a.Rollout != "" {
		out["rollout"] = a.Rollout
	}
	if a.To != 0 {
		out["to"] = a.To.String()
	}
	if e, ok := a.Ended[first(a.Clusters)]; ok {
		out["outcome"] = e.Outcome
		var reasons []string
		for _, c := range a.Clusters {
			reasons = append(reasons, fleet.ParseClusterID(c).Name+": "+a.Ended[c].Outcome+", "+a.Ended[c].Reason)
		}
		out["reason"] = clip(strings.Join(reasons, "; "), maxMessage)
	}
	return out
}

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}
