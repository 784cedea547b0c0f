package pipeline

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/ledger"
)

// look finds out how the runs stand. The action is over when all of them are.
func (w *Work) look(ctx context.Context, t token) (result, error) {
	var ended []ledger.Run
	var failed, waiting []string
	begun := true
	for _, name := range t.Clusters {
		id, run := t.run(name)
		done, ok, err := w.ended(ctx, t, id, run)
		if err != nil {
			return result{}, err
		}
		if ok {
			ended = append(ended, done)
			if why := wrong(done, t.DryRun); why != "" {
				failed = append(failed, name+": "+why)
			}
			continue
		}
		state, started, err := w.state(ctx, t, id, run)
		if err != nil {
			return result{}, err
		}
		begun = begun && started
		waiting = append(waiting, name+": "+state)
	}
	took := w.Now().Sub(t.Since)
	switch {
	case len(waiting) == 0 && len(failed) == 0:
		return result{over: true, variables: t.variables(ended...), summary: summary(ended)}, nil
	case len(waiting) == 0:
		return result{}, &failure{jobFailed, strings.Join(failed, "\n")}
	case took >= patience:
		return result{}, &failure{jobFailed, fmt.Sprintf("not over after %s: %s. The runs go on: ekspedite runs list", took.Round(time.Minute), strings.Join(waiting, "; "))}
	case !begun && took >= idle:
		return result{}, &failure{systemUnavailable, fmt.Sprintf("the cluster function has not begun in %s: look at its queue, its dead-letter queue and its log (%s)", took.Round(time.Minute), strings.Join(waiting, "; "))}
	}
	return result{summary: strings.Join(append(failed, waiting...), "; ")}, nil
}

// ended reads a run that is over from the cluster's history.
func (w *Work) ended(ctx context.Context, t token, id fleet.ClusterID, run string) (ledger.Run, bool, error) {
	history, err := w.Ledger.RunsSince(ctx, id.Name, t.Since.Add(-time.Hour)) // clocks differ
	if err != nil {
		return ledger.Run{}, false, err
	}
	i := slices.IndexFunc(history, func(r ledger.Run) bool { return r.RunID == run })
	if i < 0 {
		return ledger.Run{}, false, nil
	}
	return history[i], true, nil
}

// state says in words how a run stands that is not over, and whether it has begun. One that a newer request has overtaken
// before it began never will.
func (w *Work) state(ctx context.Context, t token, id fleet.ClusterID, run string) (text string, begun bool, err error) {
	if t.DryRun {
		return "being planned", false, nil
	}
	now, err := w.Ledger.ClusterRun(ctx, id)
	if err != nil {
		return "", false, err
	}
	if now.RunID == run {
		return now.Reason, true, nil
	}
	desired, err := w.Ledger.Desired(ctx, id)
	if err != nil {
		return "", false, err
	}
	if slices.Contains(desired.Superseded, t.Request) {
		return "", false, &failure{jobFailed, fmt.Sprintf("%s: request %s took the place of this one", id, desired.RequestID)}
	}
	return "not begun", false, nil
}

// wrong says why a run has not come to what was asked for; "" if it has.
func wrong(r ledger.Run, dryRun bool) string {
	if r.Outcome == events.OutcomeActive || dryRun && r.Outcome == events.OutcomeNothingToDo {
		return ""
	}
	lines := []string{r.Outcome + ": " + r.Reason}
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

func summary(ended []ledger.Run) string {
	var lines []string
	for _, r := range ended {
		lines = append(lines, r.Subject.Cluster+": "+r.Outcome+", "+r.Reason)
	}
	return strings.Join(lines, "; ")
}

// variables are for the actions that follow: #{Namespace.requestId}.
func (t token) variables(ended ...ledger.Run) map[string]string {
	var runs []string
	for _, c := range t.Clusters {
		_, run := t.run(c)
		runs = append(runs, run)
	}
	out := map[string]string{"requestId": t.Request, "clusters": strings.Join(t.Clusters, ","), "runIds": strings.Join(runs, ",")}
	if len(ended) > 0 {
		out["outcome"], out["reason"] = ended[0].Outcome, summary(ended)
	}
	return out
}
