package main

import (
	"context"
	"fmt"
	"io"
	"os/user"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/ledger"
)

func notifyCommand() *cobra.Command {
	c := &cobra.Command{Use: "notify", Short: "Show and try who is told of runs"}
	c.AddCommand(notifyShow(), notifyTest())
	return c
}

// told is a target with what came of notifications to it.
type told struct {
	Name      string   `json:"name"`
	Type      string   `json:"type"`
	Address   string   `json:"address"` // a topic, a parameter's name, or a URL that is no secret
	On        []string `json:"on"`
	Functions []string `json:"functions"`
	// Last are the latest notifications, or the one that was asked for; newest first.
	Last []delivered `json:"last,omitempty"`
}

// delivered is what came of one notification.
type delivered struct {
	RunID  string    `json:"runId"`
	Moment string    `json:"moment"`
	State  string    `json:"state"`
	At     time.Time `json:"at"`
	Reason string    `json:"reason,omitempty"`
}

// notifyFlags are those of commands on a cluster's targets, or the fleet's.
type notifyFlags struct {
	accountFlags
	cluster, region string
}

func (f *notifyFlags) addTo(c *cobra.Command) {
	f.add(c)
	c.Flags().StringVar(&f.cluster, "cluster", "", "name of the cluster (default: the targets of the fleet's policy)")
	c.Flags().StringVar(&f.region, "region", "", "the cluster's Region, if several have one of that name")
}

// targets reads who is told.
func (f *notifyFlags) targets(ctx context.Context) (l *ledger.Ledger, id fleet.ClusterID, out []fleet.NotificationTarget, err error) {
	d, err := f.open(ctx)
	if err != nil {
		return nil, id, nil, err
	}
	if l, err = d.Ledger(ctx); err != nil {
		return nil, id, nil, err
	}
	all, err := l.FleetPolicy(ctx)
	if err != nil || f.cluster == "" {
		return l, id, fleet.Notified(nil, all.Notifications), err
	}
	if id, err = resolve(ctx, l, f.cluster, f.region); err != nil {
		return nil, id, nil, err
	}
	p, err := l.Policy(ctx, id)
	return l, id, fleet.Notified(p.Notifications, all.Notifications), err
}

func view(t fleet.NotificationTarget) told {
	v := told{Name: t.Name, Type: string(t.Type), Address: t.TopicARN + t.Parameter + t.URL, Functions: t.Functions}
	for _, m := range t.On {
		v.On = append(v.On, string(m))
	}
	return v
}

func notifyShow() *cobra.Command {
	var flags notifyFlags
	var runs int
	c := &cobra.Command{
		Use:   "show [--cluster NAME]",
		Short: "Show who is told of runs, and what became of the last notifications",
		Long: `Show the targets of a cluster's policy and of the fleet's, and what became of the notifications of the cluster's last runs.
Sending is a claim: the notification may have arrived if nothing follows. Unknown had no answer in time, and is not sent again.` +
			exits("1 it failed", "2 the command line is wrong", "130 interrupted"),
		Example: `  ekspedite notify show
  ekspedite notify show --cluster prod --runs 20`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			l, id, targets, err := flags.targets(ctx)
			if err != nil {
				return err
			}
			views := make([]told, len(targets))
			for i, t := range targets {
				views[i] = view(t)
			}
			if flags.cluster != "" && runs > 0 {
				if err := lastOf(ctx, l, id, runs, views); err != nil {
					return err
				}
			}
			return flags.print(cmd.OutOrStdout(), views, func(w io.Writer) error { return showTargets(w, views) })
		},
	}
	flags.addTo(c)
	c.Flags().IntVar(&runs, "runs", 5, "of how many of the cluster's last runs notifications are shown")
	return c
}

// lastOf adds what became of the notifications of a cluster's last runs.
func lastOf(ctx context.Context, l *ledger.Ledger, id fleet.ClusterID, runs int, views []told) error {
	list, err := l.Runs(ctx, id.Name)
	if err != nil {
		return err
	}
	slices.Reverse(list)
	for _, r := range list[:min(runs, len(list))] {
		notices, err := l.Notices(ctx, r.RunID)
		if err != nil {
			return err
		}
		for _, n := range notices {
			if i := slices.IndexFunc(views, func(v told) bool { return v.Name == n.Target }); i >= 0 {
				views[i].Last = append(views[i].Last, delivered{n.RunID, n.Moment, string(n.State), n.At, n.Reason})
			}
		}
	}
	return nil
}

func showTargets(w io.Writer, views []told) error {
	if len(views) == 0 {
		_, err := fmt.Fprintln(w, "nobody is told: name targets under notifications in a ClusterPolicy or the FleetPolicy, see docs/notifications.md")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "TARGET\tTYPE\tADDRESS\tON\tFUNCTIONS")
	for _, v := range views {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", v.Name, v.Type, v.Address, strings.Join(v.On, ","), strings.Join(v.Functions, ","))
		for _, d := range v.Last {
			fmt.Fprintf(t, "  %s\t%s\t%s %s\t%s\t%s\n", d.At.UTC().Format(time.RFC3339), d.State, d.Moment, d.RunID, d.Reason, "")
		}
	}
	return t.Flush()
}

func notifyTest() *cobra.Command {
	var flags notifyFlags
	var target string
	var timeout time.Duration
	c := &cobra.Command{
		Use:   "test [--cluster NAME] [--target NAME]",
		Short: "Send a sample to the targets, through the deployed function, and follow what comes of it",
		Long: `Send a sample of a notification to the targets of a cluster, or of the fleet, whatever they want to hear of. It goes the way of all
notifications: over the bus, by the deployed function, with its permissions.` +
			exits("1 a target was not told, or it is not known", "2 the command line is wrong", "3 --timeout is over, and not every target was tried", "130 interrupted"),
		Example: `  ekspedite notify test
  ekspedite notify test --cluster prod --target slack-oncall`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			l, id, targets, err := flags.targets(ctx)
			if err != nil {
				return err
			}
			if targets, err = only(targets, target); err != nil {
				return err
			}
			request := requestID()
			if err := flags.try(ctx, request, id, target); err != nil {
				return err
			}
			views, err := awaitNotices(ctx, l, request, targets, timeout)
			if err != nil {
				return err
			}
			if err := flags.print(cmd.OutOrStdout(), views, func(w io.Writer) error { return showTries(w, views) }); err != nil {
				return err
			}
			return verdict(cmd.ErrOrStderr(), views, timeout)
		},
	}
	flags.addTo(c)
	flags.addBus(c)
	c.Flags().StringVar(&target, "target", "", "the only target to try")
	c.Flags().DurationVar(&timeout, "timeout", 2*time.Minute, "how long to wait for what comes of it")
	return c
}

// only is the target that was named, or all of them.
func only(targets []fleet.NotificationTarget, name string) ([]fleet.NotificationTarget, error) {
	if len(targets) == 0 {
		return nil, fault.New(fault.NotFound, "nobody is told: name targets under notifications in a ClusterPolicy or the FleetPolicy and apply it")
	}
	if name == "" {
		return targets, nil
	}
	var names []string
	for _, t := range targets {
		if t.Name == name {
			return []fleet.NotificationTarget{t}, nil
		}
		names = append(names, t.Name)
	}
	return nil, usageError{fmt.Errorf("there is no target %s: it is one of %s", name, strings.Join(names, ", "))}
}

// try puts the wish for a sample on the bus.
func (f *notifyFlags) try(ctx context.Context, request string, id fleet.ClusterID, target string) error {
	d, err := f.open(ctx)
	if err != nil {
		return err
	}
	p := &events.NotificationTestRequested{RequestID: request, Cluster: id.Name, Region: id.Region, Target: target}
	if u, err := user.Current(); err == nil {
		p.RequestedBy = u.Username
	}
	e, err := events.New(p, request, time.Now(), "", d.Region)
	if err != nil {
		return err
	}
	return d.Bus().Publish(ctx, e)
}

// awaitNotices waits until every target was told, or was not.
func awaitNotices(ctx context.Context, l *ledger.Ledger, request string, targets []fleet.NotificationTarget, timeout time.Duration) ([]told, error) {
	for began := time.Now(); ; {
		notices, err := l.Notices(ctx, request)
		if err != nil {
			return nil, err
		}
		views, done := make([]told, len(targets)), 0
		for i, t := range targets {
			views[i] = view(t)
			for _, n := range notices {
				if n.Target == t.Name {
					views[i].Last = []delivered{{n.RunID, n.Moment, string(n.State), n.At, n.Reason}}
					if n.State != ledger.NoticeSending {
						done++
					}
				}
			}
		}
		if done == len(targets) || time.Since(began) >= timeout {
			return views, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(glance):
		}
	}
}

func showTries(w io.Writer, views []told) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "TARGET\tTYPE\tADDRESS\tSTATE\tREASON")
	for _, v := range views {
		state, reason := "nothing yet", ""
		if len(v.Last) > 0 {
			state, reason = v.Last[0].State, v.Last[0].Reason
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", v.Name, v.Type, v.Address, state, reason)
	}
	return t.Flush()
}

// verdict is the exit code for what came of a try.
func verdict(w io.Writer, views []told, timeout time.Duration) error {
	var late bool
	for _, v := range views {
		switch {
		case len(v.Last) == 0 || v.Last[0].State == string(ledger.NoticeSending):
			late = true
		case v.Last[0].State != string(ledger.NoticeSent):
			return exitError(exitFailed)
		}
	}
	if late {
		fmt.Fprintf(w, "--timeout %s is over: the log of the notify function and its dead-letter queue say more\n", timeout)
		return exitError(exitTimeout)
	}
	return nil
}
