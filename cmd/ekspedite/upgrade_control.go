package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/clusterview"
	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/ledger"
)

// heard is how long somebody who gives a command waits until it is heard. A halt is heard at once, whatever goes on.
const heard = 30 * time.Second

// upgradeControl is one command to an upgrade that is under way.
func upgradeControl(command events.UpgradeCommand, use, short, long, example string) *cobra.Command {
	var flags oneCluster
	want := events.UpgradeControlRequested{Command: command}
	c := &cobra.Command{
		Use: use, Short: short, Example: example,
		Long: long + exits("1 it failed, or no upgrade is under way", "2 the command line is wrong", "3 nobody has heard it yet", "130 interrupted"),
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			if command == events.UpgradeSkip && (want.Step == "" || want.Reason == "") {
				return usageError{errors.New("a step is left out by --step and --reason: `ekspedite upgrade show` has the steps' names")}
			}
			l, id, err := flags.find(ctx)
			if err != nil {
				return err
			}
			before, err := l.Upgrade(ctx, id)
			if err != nil {
				return err
			}
			if !before.Running() && command != events.UpgradeRollback {
				return fmt.Errorf("no upgrade of cluster %s is under way", id.Name)
			}
			want.RequestID, want.Cluster, want.Region, want.By = requestID(), id.Name, id.Region, os.Getenv("USER")
			if err := flags.send(ctx, &want, want.RequestID); err != nil {
				return err
			}
			after, err := awaitCommand(ctx, l, id, want.RequestID)
			if err != nil {
				return err
			}
			if after == nil {
				fmt.Fprintf(cmd.ErrOrStderr(), "nobody has heard it in %s: look at the queue ekspedite-upgrade and the function's log\n", heard)
				return exitError(exitTimeout)
			}
			return flags.print(cmd.OutOrStdout(), after, func(w io.Writer) error {
				fmt.Fprintf(w, "%s was heard by run %s: %s\n", command, after.RunID, phaseOf(*after))
				return nil
			})
		},
	}
	flags.addCluster(c)
	flags.addBus(c)
	c.Flags().StringVar(&want.Reason, "reason", "", "why, for reports")
	if command == events.UpgradeSkip {
		c.Flags().StringVar(&want.Step, "step", "", "the step's name, as `upgrade show` has it: nodegroup/batch/1.36.6-20261112")
	}
	return c
}

// awaitCommand waits until a run has taken a command down; nil if it has not.
func awaitCommand(ctx context.Context, l *ledger.Ledger, id fleet.ClusterID, request string) (*ledger.Upgrade, error) {
	over := time.NewTimer(heard)
	defer over.Stop()
	for {
		u, err := l.Upgrade(ctx, id)
		if err != nil {
			return nil, err
		}
		if u.RequestID == request || slices.ContainsFunc(u.Commands, func(c ledger.UpgradeCommand) bool { return c.RequestID == request }) {
			return &u, nil
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

func upgradeControls() []*cobra.Command {
	return []*cobra.Command{
		upgradeControl(events.UpgradeHalt, "halt --cluster NAME", "Start no further step of an upgrade",
			"Start no further step of an upgrade that is under way. What AWS is at work on goes on to its end:\nEKS can stop neither a control plane's nor a node group's update.",
			"  ekspedite upgrade halt --cluster prod --reason 'the shop is slow'"),
		upgradeControl(events.UpgradeResume, "resume --cluster NAME", "Go on with an upgrade that is halted, and try again what failed",
			"Go on with an upgrade that is halted, and try again what failed.", "  ekspedite upgrade resume --cluster prod"),
		upgradeControl(events.UpgradeSkip, "skip --cluster NAME --step STEP --reason TEXT", "Leave a step of an upgrade out",
			"Leave a step of an upgrade out. One that a later step needs, such as nodes that would be too old for\nthe next control plane, stops that step.",
			"  ekspedite upgrade skip --cluster prod --step nodegroup/batch/1.36.6-20261112 --reason 'runs to the end of the month'"),
		upgradeControl(events.UpgradeAbort, "abort --cluster NAME", "End an upgrade where it is",
			"End an upgrade where it is. What was done stays done; the same upgrade can be asked for again and goes on from there.",
			"  ekspedite upgrade abort --cluster prod"),
		upgradeControl(events.UpgradeRollback, "rollback --cluster NAME", "Take a cluster back to the version before its last upgrade",
			"Take a cluster back to the version before its last upgrade: first its nodes, then add-ons that need it,\nthen the control plane. EKS allows that for seven days.",
			"  ekspedite upgrade rollback --cluster prod --reason 'webhooks time out'"),
	}
}

func upgradeShow() *cobra.Command {
	var flags oneCluster
	c := &cobra.Command{
		Use:   "show --cluster NAME",
		Short: "Show a cluster's upgrade: what it does or waits for, what people have asked of it, what it has done",
		Example: `  ekspedite upgrade show --cluster prod
  ekspedite upgrade show --cluster prod -o json | jq -r .phase`,
		Long: "Show a cluster's upgrade, the one under way or the last one." + exits("1 it failed", "2 the command line is wrong"),
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, id, err := flags.find(cmd.Context())
			if err != nil {
				return err
			}
			u, err := l.Upgrade(cmd.Context(), id)
			if err != nil {
				return err
			}
			return flags.print(cmd.OutOrStdout(), u, func(w io.Writer) error { writeUpgrade(w, id, u); return nil })
		},
	}
	flags.addCluster(c)
	return c
}

// phaseOf is how a run stands, in a line.
func phaseOf(u ledger.Upgrade) string {
	switch {
	case u.RunID == "":
		return "never upgraded by ekspedite"
	case u.Outcome != "":
		return fmt.Sprintf("%s at %s", u.Outcome, u.EndedAt.UTC().Format(time.RFC3339))
	case u.Halted != "":
		return "halted: " + u.Halted
	}
	return u.Phase
}

func writeUpgrade(w io.Writer, id fleet.ClusterID, u ledger.Upgrade) {
	fmt.Fprintf(w, "cluster %s: %s\n", id, phaseOf(u))
	if u.RunID == "" {
		return
	}
	to := u.To.String()
	if to == "" || u.To == u.From {
		to = "its patches"
	}
	fmt.Fprintf(w, "  run %s, from %s to %s, began %s, %d looks\n", u.RunID, u.From, to, u.StartedAt.UTC().Format(time.RFC3339), u.Looks)
	if u.Reason != "" {
		fmt.Fprintf(w, "  asked for because: %s\n", u.Reason)
	}
	for _, c := range u.Commands {
		fmt.Fprintf(w, "  %s %s %s by %s: %s\n", c.At.UTC().Format(time.RFC3339), c.Command, c.Step, c.By, c.Reason)
	}
	for _, line := range u.Lines {
		fmt.Fprintln(w, clusterview.Line(line))
	}
}
