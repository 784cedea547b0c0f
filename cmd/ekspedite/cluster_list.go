package main

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/clusterview"
	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/spec"
)

func clusterList() *cobra.Command {
	var flags accountFlags
	c := &cobra.Command{
		Use:   "list",
		Short: "List the clusters that ekspedite was asked for",
		Long: `List the clusters that ekspedite was asked for, with what came of the last run on each. It reads the ledger alone: the
clusters themselves are not asked.` + exits("1 the ledger cannot be read", "2 the command line is wrong"),
		Example: `  ekspedite cluster list
  ekspedite cluster list -o json | jq -r '.clusters[] | select(.status == "Failed") | .name'`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := flags.ledger(cmd.Context())
			if err != nil {
				return err
			}
			rows, err := clusterRows(cmd.Context(), l)
			if err != nil {
				return err
			}
			return flags.print(cmd.OutOrStdout(), struct {
				Clusters []clusterview.Row `json:"clusters"`
			}{rows}, func(w io.Writer) error {
				if len(rows) == 0 {
					fmt.Fprintln(w, "there is no cluster yet: ekspedite cluster apply -f FILE makes one")
					return nil
				}
				clusterview.List(w, time.Now(), rows)
				return nil
			})
		},
	}
	flags.add(c)
	return c
}

// ledger opens the deployment's ledger.
func (f *accountFlags) ledger(ctx context.Context) (*ledger.Ledger, error) {
	d, err := f.open(ctx)
	if err != nil {
		return nil, err
	}
	return d.Ledger(ctx)
}

// width is how many reads of the ledger run at once.
const width = 16

// each does something for all items, a few at once, and returns the first error.
func each[T any](items []T, do func(i int, item T) error) error {
	errs := make([]error, len(items))
	var wg sync.WaitGroup
	slots := make(chan struct{}, width)
	for i, item := range items {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			errs[i] = do(i, item)
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// clusterRows reads all clusters of the ledger.
func clusterRows(ctx context.Context, l *ledger.Ledger) ([]clusterview.Row, error) {
	ids, err := l.Clusters(ctx)
	if err != nil {
		return nil, err
	}
	rows := make([]clusterview.Row, len(ids))
	err = each(ids, func(i int, id fleet.ClusterID) error {
		d, err := l.Desired(ctx, id)
		if err != nil {
			return err
		}
		r, err := l.ClusterRun(ctx, id)
		rows[i] = clusterview.NewRow(id, d, r)
		return err
	})
	return rows, err
}

func clusterShow() *cobra.Command {
	var flags accountFlags
	var region string
	var offline bool
	c := &cobra.Command{
		Use:   "show NAME",
		Short: "Show one cluster: what is wanted, what is there, what came of the last run and why",
		Long: `Show one cluster: what is wanted, what came of the last run and why, and what AWS shows now: resources that are ready, that
AWS works on, that differ from the file, that have failed. It reads the ledger, and AWS with your own credentials.` +
			exits("1 there is no such cluster, or something cannot be read", "2 the command line is wrong"),
		Example: `  ekspedite cluster show demo
  ekspedite cluster show demo --region eu-west-1 --offline -o json`,
		Args: usageArgs(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			d, err := flags.open(ctx)
			if err != nil {
				return err
			}
			l, err := d.Ledger(ctx)
			if err != nil {
				return err
			}
			id, err := resolve(ctx, l, args[0], region)
			if err != nil {
				return err
			}
			v, err := known(ctx, l, id)
			if err != nil {
				return err
			}
			switch {
			case offline:
				v.NotAsked = "--offline"
			case v.Spec == nil:
				v.NotAsked = "the ledger has no file that it could be compared with"
			default:
				p, err := plans(ctx, d, cmd.ErrOrStderr(), false)
				if err == nil {
					v.Now, err = p.Look(ctx, *v.Spec)
				}
				if err != nil {
					v.NotAsked = err.Error()
				}
			}
			return flags.print(cmd.OutOrStdout(), v, func(w io.Writer) error { v.Text(w, time.Now()); return nil })
		},
	}
	flags.add(c)
	c.Flags().StringVar(&region, "region", "", "the cluster's Region, if there are several of the name")
	c.Flags().BoolVar(&offline, "offline", false, "only what the ledger knows: AWS is not asked")
	return c
}

// known is what the ledger knows of a cluster.
func known(ctx context.Context, l *ledger.Ledger, id fleet.ClusterID) (v clusterview.Cluster, err error) {
	d, err := l.Desired(ctx, id)
	if err != nil {
		return v, err
	}
	r, err := l.ClusterRun(ctx, id)
	if err != nil {
		return v, err
	}
	v.Row, v.Deleting = clusterview.NewRow(id, d, r), d.Delete
	if specs, said := spec.Parse([]byte(d.Text)); said.Err() == nil && len(specs) == 1 {
		v.Spec = &specs[0].Cluster
	}
	if r.RunID == "" {
		return v, nil
	}
	last, err := runOf(ctx, l, id, r)
	v.Last = &last
	return v, err
}

// runOf is a run on a cluster with its record, if it has one.
func runOf(ctx context.Context, l *ledger.Ledger, id fleet.ClusterID, r ledger.ClusterRun) (clusterview.Run, error) {
	v := clusterview.Live(events.Subject{Cluster: id.Name, Region: id.Region}, r)
	done, err := l.FindRun(ctx, id.Name, r.RunID, r.StartedAt)
	if err == nil {
		v.Run, v.Over = done, true
	}
	return v, fault.Ignore(err, fault.NotFound)
}
