package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/clusterview"
	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/follow"
	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/ledger"
)

// upgradeID names the run for a request to upgrade a cluster, as the upgrade function does.
func upgradeID(request string, id fleet.ClusterID) string {
	return ledger.RunID("upgrade "+request, id)
}

func upgradeStart() *cobra.Command {
	var flags oneCluster
	var want events.UpgradeRequested
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "start --cluster NAME [--to VERSION] [--patch]",
		Short: "Bring a cluster to a version, or patch it within its own, and follow that",
		Long: `Ask the upgrade function to bring a cluster to a version, hop by hop, or with --patch to bring its add-ons and node images up
to date. The readiness checks come first: what blocks ends the run before anything is changed. Steps start in the maintenance
windows of the cluster's policy; --now starts them outside, too, but never in a blackout or a freeze.
With --dry-run nothing is changed: the run ends with what the checks say and with the way.
Ctrl-C ends the watching, not the upgrade: ` + "`ekspedite upgrade halt`" + ` does that.` +
			exits("1 it failed, halted, or is not ready", "2 the command line is wrong", "3 it goes on, --timeout is over", "130 interrupted, it goes on"),
		Example: `  ekspedite upgrade start --cluster prod --to 1.36
  ekspedite upgrade start --cluster prod --patch --now
  ekspedite upgrade start --cluster prod --to 1.36 --dry-run -o json
  ekspedite upgrade start --cluster prod --to 1.36 --timeout 0     # do not wait`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			if want.To == "" && !want.Patch {
				return usageError{errors.New("say what the cluster is to be brought to: --to VERSION, or --patch for its own version's newest")}
			}
			if want.To != "" {
				if _, err := fleet.ParseMinor(want.To); err != nil {
					return usageError{fmt.Errorf("--to: %w", err)}
				}
			}
			l, id, err := flags.find(ctx)
			if err != nil {
				return err
			}
			want.RequestID, want.Cluster, want.Region = requestID(), id.Name, id.Region
			if err := flags.send(ctx, &want, want.RequestID); err != nil {
				return err
			}
			run := upgradeID(want.RequestID, id)
			fmt.Fprintf(cmd.ErrOrStderr(), "run %s on cluster %s was asked for\n", run, id.Name)
			if timeout <= 0 {
				return nil
			}
			return flags.followUpgrade(cmd, l, id, run, want.RequestID, timeout)
		},
	}
	flags.addCluster(c)
	flags.addBus(c)
	c.Flags().StringVar(&want.To, "to", "", "the version, such as 1.36")
	c.Flags().BoolVar(&want.Patch, "patch", false, "add-ons and node images as new as they get")
	c.Flags().BoolVar(&want.Now, "now", false, "also outside maintenance windows")
	c.Flags().BoolVar(&want.DryRun, "dry-run", false, "change nothing: the checks and the way only")
	c.Flags().StringVar(&want.Reason, "reason", "", "why, for reports")
	c.Flags().DurationVar(&timeout, "timeout", 12*time.Hour, "how long to wait; 0 does not")
	return c
}

// send puts a request on ekspedite's bus.
func (f *accountFlags) send(ctx context.Context, payload events.OwnPayload, id string) error {
	d, err := f.open(ctx)
	if err != nil {
		return err
	}
	e, err := events.New(payload, id, time.Now(), "", d.Region)
	if err != nil {
		return usageError{err}
	}
	if err := d.Bus().Publish(ctx, e); err != nil {
		return fmt.Errorf("the request could not be put on ekspedite's bus in %s: %w", d.Region, err)
	}
	return nil
}

// followUpgrade prints what a run tells until it is over or halted.
func (f *oneCluster) followUpgrade(cmd *cobra.Command, l *ledger.Ledger, id fleet.ClusterID, run, request string, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
	defer cancel()
	errs := cmd.ErrOrStderr()
	done, err := follow.Upgrade(ctx, l, follow.Run{Cluster: id, ID: run, Request: request, Asked: time.Now()},
		func(line ledger.Line) { fmt.Fprintln(errs, clusterview.Line(line)) }, func(text string) { fmt.Fprintln(errs, "  "+text) })
	var halted *follow.HaltedError
	switch {
	case errors.As(err, &halted):
		fmt.Fprintf(errs, "%s\n  go on: ekspedite upgrade resume --cluster %s\n  leave a step out: ekspedite upgrade skip; back: ekspedite upgrade rollback; end it: ekspedite upgrade abort\n", err, id.Name)
		return exitError(exitFailed)
	case errors.Is(err, context.DeadlineExceeded) && cmd.Context().Err() == nil:
		fmt.Fprintf(errs, "--timeout %s is over, run %s goes on: ekspedite upgrade show --cluster %s\n", timeout, run, id.Name)
		return exitError(exitTimeout)
	case err != nil:
		fmt.Fprintf(errs, "run %s on %s goes on without this command\n", run, id.Name)
		return err
	}
	err = f.print(cmd.OutOrStdout(), done, func(w io.Writer) error { ended(w, done); return nil })
	if err == nil && !upgraded(done) {
		return exitError(exitFailed)
	}
	return err
}

// upgraded tells whether a run has come to what was asked for.
func upgraded(r ledger.Run) bool {
	switch r.Outcome {
	case events.OutcomeUpgraded, events.OutcomeNothingToDo, events.OutcomePlanned, events.OutcomeRolledBack:
		return true
	}
	return false
}
