package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/clusterview"
	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/scaleview"
	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/ledger"
)

// oneCluster are the flags of commands on one cluster's nodes.
type oneCluster struct {
	accountFlags
	cluster, region string
}

func (f *oneCluster) addCluster(c *cobra.Command) {
	f.add(c)
	c.Flags().StringVar(&f.cluster, "cluster", "", "name of the cluster")
	c.Flags().StringVar(&f.region, "region", "", "the cluster's Region, if several have one of that name")
}

// find opens the ledger and finds the cluster in it.
func (f *oneCluster) find(ctx context.Context) (*ledger.Ledger, fleet.ClusterID, error) {
	if f.cluster == "" {
		return nil, fleet.ClusterID{}, usageError{fmt.Errorf("name a cluster by --cluster")}
	}
	d, err := f.open(ctx)
	if err != nil {
		return nil, fleet.ClusterID{}, err
	}
	l, err := d.Ledger(ctx)
	if err != nil {
		return nil, fleet.ClusterID{}, err
	}
	id, err := resolve(ctx, l, f.cluster, f.region)
	return l, id, err
}

func scaleShow() *cobra.Command {
	var flags oneCluster
	c := &cobra.Command{
		Use:   "show --cluster NAME",
		Short: "Show what is remembered of a cluster's scaling: orders, shortages, removals, groups that sleep",
		Long: `Show what ekspedite remembers of a cluster's scaling: machines that were ordered and are not nodes yet, offerings that AWS had
none of, nodes that are being removed, groups that a scale window has sent to sleep.` +
			exits("1 it failed", "2 the command line is wrong", "130 interrupted"),
		Example: `  ekspedite scale show --cluster prod
  ekspedite scale show --cluster prod -o json | jq .memory.shortages`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, id, err := flags.find(cmd.Context())
			if err != nil {
				return err
			}
			v, err := rememberedOf(cmd.Context(), l, id)
			if err != nil {
				return err
			}
			return flags.print(cmd.OutOrStdout(), v, func(w io.Writer) error { v.Text(w, time.Now()); return nil })
		},
	}
	flags.addCluster(c)
	return c
}

func rememberedOf(ctx context.Context, l *ledger.Ledger, id fleet.ClusterID) (v scaleview.Remembered, err error) {
	policy, err := l.Policy(ctx, id)
	if err != nil {
		return v, err
	}
	m, s, err := remembered(ctx, l, id)
	return scaleview.Remembered{
		Cluster: id.Name, Region: id.Region, Mode: string(policy.Scaling.Mode), Doorbell: string(policy.Scaling.Doorbell),
		Looks: s.Looks, LookedAt: s.LookedAt, LookAt: s.LookAt, Acting: s.Acting, RunID: s.RunID, Memory: m,
	}, err
}

// glance is how often somebody who waits for a look asks whether there was one.
const glance = 500 * time.Millisecond

func scaleNow() *cobra.Command {
	var flags oneCluster
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "now --cluster NAME",
		Short: "Have the scaling function look at a cluster now, and follow that",
		Long: `Have the scaling function look at a cluster now, as if pods had rung, and wait for the end of that look. Nobody has to do
this: signals and a sweep of every minute do.` +
			exits("1 it failed", "2 the command line is wrong", "3 it goes on, --timeout is over", "130 interrupted, it goes on"),
		Example: `  ekspedite scale now --cluster prod
  ekspedite scale now --cluster prod --timeout 0     # do not wait`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			l, id, err := flags.find(ctx)
			if err != nil {
				return err
			}
			before, err := rememberedOf(ctx, l, id)
			if err != nil {
				return err
			}
			if before.Mode == string(fleet.ScalingOff) {
				return fault.New(fault.Blocked, "the policy of cluster %s has scaling off: set scaling.mode to Plan or Act in its ClusterPolicy and apply it; `ekspedite scale plan --cluster %s` shows what it would do", id.Name, id.Name)
			}
			if err := flags.ring(ctx, id); err != nil {
				return err
			}
			if timeout <= 0 {
				fmt.Fprintf(cmd.ErrOrStderr(), "a look at cluster %s was asked for\n", id.Name)
				return flags.print(cmd.OutOrStdout(), before, func(io.Writer) error { return nil })
			}
			v, err := awaitLook(ctx, l, id, before.Looks, timeout)
			if err != nil {
				return err
			}
			if v == nil {
				fmt.Fprintf(cmd.ErrOrStderr(), "--timeout %s is over, and nobody has looked yet: see `ekspedite scale show --cluster %s`\n", timeout, id.Name)
				return exitError(exitTimeout)
			}
			return flags.looked(cmd, l, *v)
		},
	}
	flags.addCluster(c)
	flags.addBus(c)
	c.Flags().DurationVar(&timeout, "timeout", 2*time.Minute, "how long to wait; 0 does not")
	return c
}

// ring puts the wish for a look on the bus.
func (f *oneCluster) ring(ctx context.Context, id fleet.ClusterID) error {
	d, err := f.open(ctx)
	if err != nil {
		return err
	}
	now := time.Now()
	e, err := events.New(&events.ScalingRequested{Cluster: id.Name, Region: id.Region, Source: events.ScalingSourceCLI, SeenAt: now}, requestID(), now, "", d.Region)
	if err != nil {
		return err
	}
	if err := d.Bus().Publish(ctx, e); err != nil {
		return fmt.Errorf("the request could not be put on ekspedite's bus in %s: %w", d.Region, err)
	}
	return nil
}

// awaitLook waits for the end of a look that is not among the first so many; nil if there was none in time.
func awaitLook(ctx context.Context, l *ledger.Ledger, id fleet.ClusterID, looks int, timeout time.Duration) (*scaleview.Remembered, error) {
	over := time.NewTimer(timeout)
	defer over.Stop()
	for {
		v, err := rememberedOf(ctx, l, id)
		if err != nil {
			return nil, err
		}
		if v.Looks > looks && !v.Acting {
			return &v, nil
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

// looked says what came of a look: the run that it recorded, if it had something to tell, and what is remembered since.
func (f *oneCluster) looked(cmd *cobra.Command, l *ledger.Ledger, v scaleview.Remembered) error {
	runs, err := l.RunsSince(cmd.Context(), v.Cluster, v.LookedAt.Add(-time.Minute))
	if err != nil {
		return err
	}
	result := struct {
		Run   *ledger.Run          `json:"run,omitempty"` // none if there was nothing new to tell
		State scaleview.Remembered `json:"state"`
	}{State: v}
	for i, r := range runs {
		if r.RunID == v.RunID {
			result.Run = &runs[i]
		}
	}
	err = f.print(cmd.OutOrStdout(), result, func(w io.Writer) error {
		if r := result.Run; r != nil {
			clusterview.Run{Run: *r, Over: true}.Text(w, time.Now())
			fmt.Fprintln(w)
		} else {
			fmt.Fprintf(w, "nothing new was found\n\n")
		}
		v.Text(w, time.Now())
		return nil
	})
	if err == nil && result.Run != nil && result.Run.Outcome == events.OutcomeFailed {
		return exitError(exitFailed)
	}
	return err
}
