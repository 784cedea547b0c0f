package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/ledger"
)

func upgradeRollout() *cobra.Command {
	c := &cobra.Command{
		Use:   "rollout",
		Short: "Upgrade the fleet, ring after ring",
		Long: `Upgrade the fleet, ring after ring. Which rings there are, how many of their clusters go at once and how long a ring soaks
before the next one begins is in the FleetPolicy; which ring a cluster is in, in its ClusterPolicy. A cluster that halts or
fails stops the rollout: nothing more is begun until somebody resumes it.` + exits("1 it failed", "2 the command line is wrong"),
	}
	c.AddCommand(rolloutStart(), rolloutList())
	for command, text := range map[events.UpgradeCommand][2]string{
		events.UpgradeHalt:   {"halt ROLLOUT", "Begin no further cluster"},
		events.UpgradeResume: {"resume ROLLOUT", "Go on with a rollout that is halted, and try again the clusters that stopped it"},
		events.UpgradeAbort:  {"abort ROLLOUT", "End a rollout where it is; upgrades that are under way go on"},
	} {
		c.AddCommand(rolloutControl(command, text[0], text[1]))
	}
	return c
}

func rolloutStart() *cobra.Command {
	var flags accountFlags
	var want events.RolloutRequested
	c := &cobra.Command{
		Use:   "start [--to VERSION] [--ring RING]",
		Short: "Bring the fleet, or one ring of it, to a version; without --to, patch it",
		Long:  "Bring the fleet, or one ring of it, to a version; without --to, every cluster is patched within its own." + exits("1 it failed", "2 the command line is wrong"),
		Example: `  ekspedite upgrade rollout start --to 1.36 --reason '1.34 leaves standard support'
  ekspedite upgrade rollout start --to 1.36 --ring canary`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if want.To != "" {
				if _, err := fleet.ParseMinor(want.To); err != nil {
					return usageError{fmt.Errorf("--to: %w", err)}
				}
			}
			ctx := cmd.Context()
			l, err := flags.ledger(ctx)
			if err != nil {
				return err
			}
			policy, err := l.FleetPolicy(ctx)
			if err != nil {
				return err
			}
			if want.Ring != "" && !slices.ContainsFunc(policy.Rings, func(r fleet.Ring) bool { return r.Name == want.Ring }) {
				return usageError{fmt.Errorf("the fleet policy has no ring %s", want.Ring)}
			}
			want.RequestID = requestID()
			if err := flags.send(ctx, &want, want.RequestID); err != nil {
				return err
			}
			r, err := awaitRollout(ctx, l, want.RequestID, func(ledger.Rollout) bool { return true })
			if err != nil {
				return err
			}
			if r == nil {
				fmt.Fprintf(cmd.ErrOrStderr(), "rollout %s was asked for, and nobody has begun it in %s: look at the queue ekspedite-upgrade and the function's log\n", want.RequestID, heard)
				return exitError(exitTimeout)
			}
			return flags.print(cmd.OutOrStdout(), r, func(w io.Writer) error { writeRollout(w, *r); return nil })
		},
	}
	flags.add(c)
	flags.addBus(c)
	c.Flags().StringVar(&want.To, "to", "", "the version, such as 1.36")
	c.Flags().StringVar(&want.Ring, "ring", "", "only this ring")
	c.Flags().BoolVar(&want.Now, "now", false, "also outside maintenance windows")
	c.Flags().StringVar(&want.Reason, "reason", "", "why, for reports")
	return c
}

// awaitRollout waits for a rollout that the ledger knows and that meets a condition; nil if there is none in time.
func awaitRollout(ctx context.Context, l *ledger.Ledger, id string, met func(ledger.Rollout) bool) (*ledger.Rollout, error) {
	over := time.NewTimer(heard)
	defer over.Stop()
	for {
		r, err := l.Rollout(ctx, id)
		if err != nil {
			return nil, err
		}
		if r.ID != "" && met(r) {
			return &r, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-over.C:
			return nil, nil
		case <-time.After(glance):
		}
	}
}

func rolloutControl(command events.UpgradeCommand, use, short string) *cobra.Command {
	var flags accountFlags
	want := events.UpgradeControlRequested{Command: command}
	c := &cobra.Command{
		Use: use, Short: short, Example: "  ekspedite upgrade rollout " + strings.ToLower(string(command)) + " cli-5f0c2d7a1b3e4f60",
		Long: short + "." + exits("1 it failed, or there is no such rollout", "2 the command line is wrong", "3 nobody has heard it yet"),
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			l, err := flags.ledger(ctx)
			if err != nil {
				return err
			}
			before, err := l.Rollout(ctx, args[0])
			if err != nil {
				return err
			}
			if before.ID == "" {
				return fault.New(fault.NotFound, "there is no rollout %s: `ekspedite upgrade rollout list` shows all", args[0])
			}
			if !before.Running() {
				return errors.New("rollout " + args[0] + " is over: " + before.Outcome)
			}
			want.RequestID, want.Rollout, want.By = requestID(), args[0], os.Getenv("USER")
			if err := flags.send(ctx, &want, want.RequestID); err != nil {
				return err
			}
			r, err := awaitRollout(ctx, l, args[0], func(r ledger.Rollout) bool { return slices.Contains(r.Commands, want.RequestID) })
			if err != nil {
				return err
			}
			if r == nil {
				fmt.Fprintf(cmd.ErrOrStderr(), "nobody has heard it in %s: look at the queue ekspedite-upgrade and the function's log\n", heard)
				return exitError(exitTimeout)
			}
			return flags.print(cmd.OutOrStdout(), r, func(w io.Writer) error { writeRollout(w, *r); return nil })
		},
	}
	flags.add(c)
	flags.addBus(c)
	c.Flags().StringVar(&want.Reason, "reason", "", "why, for reports")
	return c
}

func rolloutList() *cobra.Command {
	var flags accountFlags
	c := &cobra.Command{
		Use:     "list",
		Short:   "List rollouts, the newest last",
		Example: "  ekspedite upgrade rollout list",
		Long:    "List the rollouts of the last 90 days, the newest last." + exits("1 it failed", "2 the command line is wrong"),
		Args:    usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := flags.ledger(cmd.Context())
			if err != nil {
				return err
			}
			list, err := l.Rollouts(cmd.Context())
			if err != nil {
				return err
			}
			return flags.print(cmd.OutOrStdout(), struct {
				Rollouts []ledger.Rollout `json:"rollouts"`
			}{list}, func(w io.Writer) error {
				if len(list) == 0 {
					fmt.Fprintln(w, "there was no rollout in the last 90 days")
				}
				for _, r := range list {
					writeRollout(w, r)
				}
				return nil
			})
		},
	}
	flags.add(c)
	return c
}

func writeRollout(w io.Writer, r ledger.Rollout) {
	to, about := r.To.String(), "the fleet"
	if to == "" {
		to = "its patches"
	}
	if r.Ring != "" {
		about = "ring " + r.Ring
	}
	state := r.Phase
	if r.Outcome != "" {
		state = fmt.Sprintf("%s at %s, %s", r.Outcome, r.EndedAt.UTC().Format(time.RFC3339), r.Phase)
	}
	fmt.Fprintf(w, "rollout %s of %s to %s, began %s: %s\n", r.ID, about, to, r.StartedAt.UTC().Format(time.RFC3339), state)
}
