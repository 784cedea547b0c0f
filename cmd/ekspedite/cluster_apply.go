package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/clusterview"
	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/deployment"
	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/follow"
	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/ledger"
)

// maxEvent is what an event of EventBridge may have, with its envelope and the quotes within the text.
const maxEvent = 240 << 10

// requestFlags are of commands that ask for something and follow it.
type requestFlags struct {
	planFlags
	dryRun, noWait, yes bool
	timeout             time.Duration
}

func (f *requestFlags) addRequest(c *cobra.Command) {
	f.add(c)
	f.addBus(c)
	f.addPlan(c)
	c.Flags().BoolVar(&f.dryRun, "dry-run", false, "only show the plan: nothing is asked for")
	c.Flags().BoolVar(&f.noWait, "no-wait", false, "ask, and do not follow")
	c.Flags().DurationVar(&f.timeout, "timeout", time.Hour, "how long to follow")
	c.Flags().BoolVarP(&f.yes, "yes", "y", false, "do not ask whether you mean it")
}

func clusterApply() *cobra.Command {
	var flags requestFlags
	c := &cobra.Command{
		Use:   "apply -f FILE",
		Short: "Make clusters what their files say, and follow that",
		Long: `Make clusters what their files say: created if they do not exist, changed where they differ. ekspedite's cluster function
does it; this command asks for it, follows it and prints what came of it. Ctrl-C ends the following, not the work. Public
keys that a file names by path are put into the text that is sent. Nothing is deleted without --prune.` +
			exits("1 a run failed: why, whose it is and what to do is printed", "2 a file is wrong", "3 it goes on, --timeout is over", "130 interrupted, it goes on"),
		Example: `  ekspedite cluster apply -f cluster.yaml
  ekspedite cluster apply -f cluster.yaml --prune        # and delete what the file does not name any more
  ekspedite cluster apply -f cluster.yaml --no-wait
  ekspedite cluster apply -f cluster.yaml -o json | jq -r '.runs[].outcome'`,
		Args: usageArgs(cobra.NoArgs),
	}
	files := fileFlag(c)
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx := cmd.Context()
		f, err := load(cmd, *files)
		if err != nil {
			return err
		}
		if flags.dryRun {
			return flags.run(cmd, f)
		}
		if len(f.Text) > maxEvent {
			return usageError{fmt.Errorf("the files have %d KiB together, an event takes %d: apply them one by one, or put them into the spec bucket", len(f.Text)>>10, maxEvent>>10)}
		}
		r := request{id: requestID(), asked: time.Now()}
		r.payload = &events.ClusterApplyRequested{RequestID: r.id, Spec: f.Text, Prune: flags.prune}
		var names []string
		for _, s := range f.Specs {
			id := fleet.ClusterID{Region: s.Cluster.Region, Name: s.Cluster.Name}
			r.clusters, names = append(r.clusters, id), append(names, id.Name)
		}
		if len(f.Specs) == 0 { // the fleet's policy alone: a run on no cluster
			r.clusters = []fleet.ClusterID{{}}
		}
		if flags.prune {
			question := fmt.Sprintf("--prune deletes what ekspedite made for %s and the files do not name any more (--dry-run shows it).", strings.Join(names, ", "))
			if err := flags.confirm(cmd, question, "yes", slices.Contains(*files, "-")); err != nil {
				return err
			}
		}
		d, err := flags.open(ctx)
		if err != nil {
			return err
		}
		return flags.send(cmd, d, r)
	}
	flags.addRequest(c)
	c.Flags().BoolVar(&flags.prune, "prune", false, "delete what ekspedite made for the clusters and the files do not name any more")
	return c
}

// confirm asks for a word, unless --yes was given.
func (f *requestFlags) confirm(cmd *cobra.Command, what, word string, stdinUsed bool) error {
	if f.yes {
		return nil
	}
	if stdinUsed || !terminal(cmd.InOrStdin()) {
		return usageError{fmt.Errorf("%s There is nobody to ask: say --yes", what)}
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s\nType %s to go on: ", what, word)
	return agreed(cmd.InOrStdin(), word)
}

func agreed(r io.Reader, word string) error {
	line, _ := bufio.NewReader(r).ReadString('\n')
	if strings.TrimSpace(line) != word {
		return usageError{errors.New("nothing was asked for")}
	}
	return nil
}

// request is what is asked for.
type request struct {
	id       string
	asked    time.Time
	payload  events.OwnPayload
	clusters []fleet.ClusterID
}

// requested is what came of it, as JSON.
type requested struct {
	RequestID string       `json:"requestId"`
	Runs      []ledger.Run `json:"runs"` // without an outcome when they go on
}

// send puts a request on the bus, and follows it if that is wanted.
func (f *requestFlags) send(cmd *cobra.Command, d *deployment.Deployment, r request) error {
	ctx, progress := cmd.Context(), cmd.ErrOrStderr()
	var l *ledger.Ledger
	if !f.noWait { // not found now is better than after asking
		var err error
		if l, err = d.Ledger(ctx); err != nil {
			return err
		}
	}
	e, err := events.New(r.payload, r.id, r.asked, "", d.Region)
	if err != nil {
		return usageError{err}
	}
	if err := d.Bus().Publish(ctx, e); err != nil {
		return fmt.Errorf("the request could not be put on ekspedite's bus in %s: %w", d.Region, err)
	}
	runs := make([]ledger.Run, len(r.clusters))
	for i, id := range r.clusters {
		runs[i] = ledger.Run{RunID: ledger.RunID(r.id, id), Function: "cluster", Subject: events.Subject{Cluster: id.Name, Region: id.Region}, StartedAt: r.asked}
		what := "cluster " + id.Name + " in " + id.Region
		if id.Name == "" {
			what = "the fleet's policy"
		}
		fmt.Fprintf(progress, "%s: run %s was asked for\n", what, runs[i].RunID)
	}
	if f.noWait {
		return f.print(cmd.OutOrStdout(), requested{r.id, runs}, func(w io.Writer) error {
			for _, run := range runs {
				fmt.Fprintf(w, "ekspedite runs show %s --follow\n", run.RunID)
			}
			return nil
		})
	}
	followCtx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	err = followAll(followCtx, progress, l, r, runs)
	return f.conclude(cmd, requested{r.id, runs}, err)
}

// followAll follows all runs of a request at once, and puts their records into runs.
func followAll(ctx context.Context, w io.Writer, l follow.Ledger, r request, runs []ledger.Run) error {
	var mu sync.Mutex // one line at a time
	var wg sync.WaitGroup
	errs := make([]error, len(runs))
	for i, id := range r.clusters {
		wg.Go(func() {
			name := ""
			if len(runs) > 1 {
				name = id.Name + ": "
			}
			say := func(text string) {
				mu.Lock()
				defer mu.Unlock()
				fmt.Fprintln(w, text)
			}
			f := follow.Follower{
				Ledger: l, Say: func(text string) { say("  " + name + text) },
				Line: func(line ledger.Line) { line.Detail = name + line.Detail; say(clusterview.Line(line)) },
			}
			done, err := f.Await(ctx, follow.Run{Cluster: id, ID: runs[i].RunID, Request: r.id, Asked: r.asked})
			if errs[i] = err; err == nil {
				runs[i] = done
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// conclude says what came of runs, and how to go on following those that are not over.
func (f *requestFlags) conclude(cmd *cobra.Command, r requested, err error) error {
	progress := cmd.ErrOrStderr()
	unfinished, failed := 0, 0
	for _, run := range r.Runs {
		switch {
		case run.Outcome == "":
			unfinished++
			fmt.Fprintf(progress, "run %s on %s goes on without this command; follow it: ekspedite runs show %s --follow\n", run.RunID, run.Subject.Cluster, run.RunID)
		case !good(run):
			failed++
		}
	}
	if err != nil && !errors.Is(err, context.DeadlineExceeded) && cmd.Context().Err() == nil {
		return err
	}
	printErr := f.print(cmd.OutOrStdout(), r, func(w io.Writer) error {
		for _, run := range r.Runs {
			if run.Outcome != "" {
				ended(w, run)
			}
		}
		return nil
	})
	switch {
	case printErr != nil || cmd.Context().Err() != nil:
		return cmp.Or(printErr, cmd.Context().Err())
	case failed > 0:
		return exitError(exitFailed)
	case unfinished > 0:
		fmt.Fprintf(progress, "--timeout %s is over\n", f.timeout)
		return exitError(exitTimeout)
	}
	return nil
}

func good(r ledger.Run) bool {
	return r.Outcome == events.OutcomeActive || r.Outcome == events.OutcomeDeleted || r.Outcome == events.OutcomeNothingToDo
}

// ended says how a run ended.
func ended(w io.Writer, r ledger.Run) {
	fmt.Fprintf(w, "cluster %s in %s: %s after %s\n", r.Subject.Cluster, r.Subject.Region, r.Outcome, r.FinishedAt.Sub(r.StartedAt).Round(time.Second))
	if len(r.Failures) == 0 && r.Reason != "" {
		fmt.Fprintf(w, "  %s\n", strings.ReplaceAll(r.Reason, "\n", "\n  "))
	}
	if !good(r) {
		clusterview.Failures(w, r)
	}
}
