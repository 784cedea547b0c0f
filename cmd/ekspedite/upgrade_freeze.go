package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

func upgradeFreeze() *cobra.Command {
	var flags accountFlags
	want := events.UpgradeControlRequested{Command: events.UpgradeFreeze}
	var cluster, region, from, until string
	c := &cobra.Command{
		Use:   "freeze --name NAME --reason TEXT [--cluster NAME | --ring RING] [--until TIME]",
		Short: "Start no maintenance step for a while: of a cluster, a ring, or the whole fleet",
		Long: `Start no maintenance step until a time, or until ` + "`ekspedite upgrade unfreeze`" + `. Without --cluster and --ring it is for the whole
fleet. A freeze holds also for what was asked for with --now. What AWS is at work on goes on to its end.` +
			exits("1 it failed", "2 the command line is wrong"),
		Example: `  ekspedite upgrade freeze --name black-friday --until 2026-12-01T08:00:00Z --reason 'peak trade'
  ekspedite upgrade freeze --name audit --cluster prod --region eu-central-1 --reason 'auditors are in'`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if want.Name == "" || want.Reason == "" {
				return usageError{errors.New("give the freeze a --name, by which it is lifted, and a --reason")}
			}
			if want.From, err = instant("--from", from); err != nil {
				return err
			}
			if want.Until, err = instant("--until", until); err != nil {
				return err
			}
			if cluster != "" {
				one := oneCluster{accountFlags: flags, cluster: cluster, region: region}
				_, id, err := one.find(cmd.Context())
				if err != nil {
					return err
				}
				want.Cluster, want.Region = id.Name, id.Region
			}
			want.RequestID, want.By = requestID(), os.Getenv("USER")
			if err := flags.send(cmd.Context(), &want, want.RequestID); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "freeze %s was asked for: ekspedite upgrade freezes shows what holds\n", want.Name)
			return nil
		},
	}
	flags.add(c)
	flags.addBus(c)
	c.Flags().StringVar(&want.Name, "name", "", "the freeze's name")
	c.Flags().StringVar(&want.Reason, "reason", "", "why, for whoever waits")
	c.Flags().StringVar(&cluster, "cluster", "", "only this cluster")
	c.Flags().StringVar(&region, "region", "", "the cluster's Region, if several have one of that name")
	c.Flags().StringVar(&want.Ring, "ring", "", "only clusters of this ring")
	c.Flags().StringVar(&from, "from", "", "when it begins, such as 2026-11-26T00:00:00Z (default: now)")
	c.Flags().StringVar(&until, "until", "", "when it ends (default: when it is lifted)")
	return c
}

// instant reads a moment; "" is none.
func instant(flag, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, usageError{fmt.Errorf("%s %q: write it like 2026-12-01T08:00:00Z or 2026-12-01T08:00:00+01:00", flag, text)}
	}
	return t, nil
}

func upgradeUnfreeze() *cobra.Command {
	var flags accountFlags
	want := events.UpgradeControlRequested{Command: events.UpgradeUnfreeze}
	c := &cobra.Command{
		Use:     "unfreeze --name NAME",
		Short:   "Lift a freeze",
		Example: "  ekspedite upgrade unfreeze --name black-friday",
		Long:    "Lift a freeze by its name." + exits("1 it failed", "2 the command line is wrong"),
		Args:    usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if want.Name == "" {
				return usageError{errors.New("which one? --name; `ekspedite upgrade freezes` lists them")}
			}
			want.RequestID, want.By = requestID(), os.Getenv("USER")
			if err := flags.send(cmd.Context(), &want, want.RequestID); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "asked to lift freeze %s\n", want.Name)
			return nil
		},
	}
	flags.add(c)
	flags.addBus(c)
	c.Flags().StringVar(&want.Name, "name", "", "the freeze's name")
	return c
}

func upgradeFreezes() *cobra.Command {
	var flags accountFlags
	c := &cobra.Command{
		Use:     "freezes",
		Short:   "List the freezes that hold, and those to come",
		Example: "  ekspedite upgrade freezes -o json",
		Long:    "List the freezes that hold, and those to come." + exits("1 it failed", "2 the command line is wrong"),
		Args:    usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := flags.ledger(cmd.Context())
			if err != nil {
				return err
			}
			list, err := l.Freezes(cmd.Context())
			if err != nil {
				return err
			}
			return flags.print(cmd.OutOrStdout(), struct {
				Freezes []fleet.Freeze `json:"freezes"`
			}{list}, func(w io.Writer) error {
				if len(list) == 0 {
					fmt.Fprintln(w, "nothing is frozen")
				}
				for _, f := range list {
					about, end := "the fleet", "until it is lifted"
					if f.Cluster != "" {
						about = "cluster " + f.Cluster
					} else if f.Ring != "" {
						about = "ring " + f.Ring
					}
					if !f.Until.IsZero() {
						end = "until " + f.Until.UTC().Format(time.RFC3339)
					}
					fmt.Fprintf(w, "%s: %s, from %s %s: %s\n", f.Name, about, f.From.UTC().Format(time.RFC3339), end, f.Reason)
				}
				return nil
			})
		},
	}
	flags.add(c)
	return c
}
