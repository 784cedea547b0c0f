package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/clusterview"
	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/follow"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/ledger"
)

func runsCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "runs",
		Short: "What ekspedite has done, and why",
		Long:  "What ekspedite has done, and why: the ledger keeps runs for 90 days." + exits("1 it failed", "2 the command line is wrong", "3 the run goes on, --timeout is over", "130 interrupted"),
	}
	c.AddCommand(runsList(), runsShow())
	return c
}

// filter picks runs; empty fields pick all.
type filter struct {
	cluster, function, outcome string
	since                      time.Duration
}

func (f filter) takes(r ledger.Run) bool {
	is := func(want, have string) bool { return want == "" || want == have }
	return is(f.function, r.Function) && is(f.outcome, r.Outcome)
}

func runsList() *cobra.Command {
	var flags accountFlags
	var f filter
	c := &cobra.Command{
		Use:   "list",
		Short: "List runs, the newest last",
		Long: `List runs that are over, the newest last: creations, changes and deletions of clusters, and drains of their nodes. Sweeps
that found nothing to do are not recorded.` + exits("1 the ledger cannot be read", "2 the command line is wrong"),
		Example: `  ekspedite runs list
  ekspedite runs list --cluster demo --since 168h
  ekspedite runs list --function interruption --outcome PartiallyDrained -o json`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.since <= 0 {
				return usageError{fmt.Errorf("--since %s: use a positive duration, such as 24h", f.since)}
			}
			l, err := flags.ledger(cmd.Context())
			if err != nil {
				return err
			}
			list, err := recorded(cmd.Context(), l, f, time.Now())
			if err != nil {
				return err
			}
			return flags.print(cmd.OutOrStdout(), struct {
				Runs []ledger.Run `json:"runs"`
			}{list}, func(w io.Writer) error {
				if len(list) == 0 {
					fmt.Fprintf(w, "no such run is recorded in the last %s: --since looks further back\n", f.since)
					return nil
				}
				clusterview.Runs(w, list)
				return nil
			})
		},
	}
	flags.add(c)
	c.Flags().StringVar(&f.cluster, "cluster", "", "only on the cluster of this name")
	c.Flags().StringVar(&f.function, "function", "", "only of this function: cluster or interruption")
	c.Flags().StringVar(&f.outcome, "outcome", "", "only with this outcome: Active, Failed, Deleted, Drained, …")
	c.Flags().DurationVar(&f.since, "since", 24*time.Hour, "only those that began so long ago or less")
	return c
}

// recorded reads runs of all clusters, or of one.
func recorded(ctx context.Context, l *ledger.Ledger, f filter, now time.Time) ([]ledger.Run, error) {
	names := []string{f.cluster}
	if f.cluster == "" {
		var err error
		if names, err = l.Histories(ctx); err != nil {
			return nil, err
		}
	}
	found := make([][]ledger.Run, len(names))
	err := each(names, func(i int, name string) (err error) {
		found[i], err = l.RunsSince(ctx, name, now.Add(-f.since))
		return err
	})
	list := slices.DeleteFunc(slices.Concat([]ledger.Run{}, slices.Concat(found...)), func(r ledger.Run) bool { return !f.takes(r) })
	slices.SortStableFunc(list, func(a, b ledger.Run) int { return a.StartedAt.Compare(b.StartedAt) })
	return list, err
}

func runsShow() *cobra.Command {
	var flags accountFlags
	var name string
	var wait bool
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "show RUN",
		Short: "Show one run: what it did, what came of it and why; --follow waits for its end",
		Long: `Show one run: what it did, what came of it and why. The last 200 things that a cluster's run has told are kept until the
next run on that cluster. --follow waits for the end of a run on a cluster and prints what it tells meanwhile.` +
			exits("1 there is no such run, or with --follow: it failed", "2 the command line is wrong", "3 it goes on, --timeout is over", "130 interrupted, it goes on"),
		Example: `  ekspedite runs show cluster-5f0c2d7a1b3e4f60718a
  ekspedite runs show cluster-5f0c2d7a1b3e4f60718a --follow`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			l, err := flags.ledger(ctx)
			if err != nil {
				return err
			}
			if wait {
				done, err := followOne(ctx, cmd.ErrOrStderr(), l, args[0], name, timeout)
				switch {
				case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
					fmt.Fprintf(cmd.ErrOrStderr(), "--timeout %s is over, the run goes on\n", timeout)
					return exitError(exitTimeout)
				case err != nil:
					return err
				}
				err = flags.print(cmd.OutOrStdout(), done, func(w io.Writer) error { ended(w, done); return nil })
				if err == nil && !good(done) {
					return exitError(exitFailed)
				}
				return err
			}
			v, _, err := find(ctx, l, args[0], name)
			if err != nil {
				return err
			}
			return flags.print(cmd.OutOrStdout(), v, func(w io.Writer) error { v.Text(w, time.Now()); return nil })
		},
	}
	flags.add(c)
	c.Flags().StringVar(&name, "cluster", "", "the run's cluster, which makes it faster to find")
	c.Flags().BoolVarP(&wait, "follow", "F", false, "wait for the end of the run")
	c.Flags().DurationVar(&timeout, "timeout", time.Hour, "with --follow: how long")
	return c
}

// followOne waits for the end of a run. One that is not there yet may be on its way.
func followOne(ctx context.Context, w io.Writer, l *ledger.Ledger, run, name string, timeout time.Duration) (ledger.Run, error) {
	v, id, err := find(ctx, l, run, name)
	if err != nil {
		return ledger.Run{}, err
	}
	if v.Over {
		return v.Run, nil
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	f := follow.Follower{
		Ledger: l, Say: func(text string) { fmt.Fprintln(w, "  "+text) },
		Line: func(line ledger.Line) { fmt.Fprintln(w, clusterview.Line(line)) },
	}
	done, err := f.Await(ctx, follow.Run{Cluster: id, ID: run, Request: v.Request, Asked: v.StartedAt})
	if err != nil {
		fmt.Fprintf(w, "run %s on %s goes on without this command\n", run, id.Name)
	}
	return done, err
}

// find looks for a run: among those on clusters that go on or were asked for, and then among the records.
func find(ctx context.Context, l *ledger.Ledger, run, name string) (clusterview.Run, fleet.ClusterID, error) {
	ids, err := l.Clusters(ctx)
	if err != nil {
		return clusterview.Run{}, fleet.ClusterID{}, err
	}
	ids = slices.DeleteFunc(ids, func(id fleet.ClusterID) bool { return name != "" && id.Name != name })
	found := make([]*clusterview.Run, len(ids))
	err = each(ids, func(i int, id fleet.ClusterID) error {
		v, err := current(ctx, l, id, run)
		found[i] = v
		return err
	})
	if err != nil {
		return clusterview.Run{}, fleet.ClusterID{}, err
	}
	for i, v := range found {
		if v != nil {
			return *v, ids[i], nil
		}
	}
	list, err := recorded(ctx, l, filter{cluster: name, since: ledger.Retention}, time.Now())
	if err != nil {
		return clusterview.Run{}, fleet.ClusterID{}, err
	}
	for _, r := range slices.Backward(list) {
		if r.RunID == run {
			return clusterview.Run{Run: r, Over: true}, fleet.ClusterID{Region: r.Subject.Region, Name: r.Subject.Cluster}, nil
		}
	}
	return clusterview.Run{}, fleet.ClusterID{}, fault.New(fault.NotFound, "there is no run %s: `ekspedite runs list --since 2160h` shows all", run)
}

// current is a cluster's run if it is the one, and what is known of one that was asked for and has not begun; or nil.
func current(ctx context.Context, l *ledger.Ledger, id fleet.ClusterID, run string) (*clusterview.Run, error) {
	r, err := l.ClusterRun(ctx, id)
	if err != nil {
		return nil, err
	}
	if r.RunID == run {
		v, err := runOf(ctx, l, id, r)
		v.Request = r.RequestID
		return &v, err
	}
	d, err := l.Desired(ctx, id)
	if err != nil || d.RunID != run || r.Begun == run {
		return nil, err
	}
	v := clusterview.Requested(id, d)
	return &v, nil
}
