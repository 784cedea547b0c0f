package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/deployment"
	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/upgradeview"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/ledger"
)

// clustersAtOnce is how many clusters are read at the same time: some 20 calls each, which EKS throttles by account and Region.
const clustersAtOnce = 8

// forFleet plans for all clusters that ekspedite has. What cannot be read of one is its line.
func (f *upgradePlanFlags) forFleet(cmd *cobra.Command) error {
	ctx := cmd.Context()
	d, err := f.open(ctx)
	if err != nil {
		return err
	}
	l, err := d.Ledger(ctx)
	if err != nil {
		return err
	}
	all, err := l.Clusters(ctx)
	if err != nil {
		return err
	}
	if f.region != "" {
		var here []fleet.ClusterID
		for _, id := range all {
			if id.Region == f.region {
				here = append(here, id)
			}
		}
		all = here
	}
	v := f.planAll(ctx, cmd.ErrOrStderr(), all, f.reader(d, l))
	if err := f.print(cmd.OutOrStdout(), v, func(w io.Writer) error { return v.Text(w) }); err != nil {
		return err
	}
	if v.Unread+v.Blocked > 0 {
		return exitError(exitFailed)
	}
	return nil
}

// planAll reads clusters, some at once, and finds the way of each.
func (f *upgradePlanFlags) planAll(ctx context.Context, progress io.Writer, all []fleet.ClusterID, read func(context.Context, io.Writer, fleet.ClusterID) (upgradeSituation, error)) upgradeview.Fleet {
	ways := make([]upgradeview.FleetLine, len(all))
	var mu sync.Mutex
	done, told := 0, time.Now()
	slots := make(chan struct{}, clustersAtOnce)
	var wg sync.WaitGroup
	for i, id := range all {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			line := upgradeview.FleetLine{Cluster: id.String()}
			s, err := read(ctx, io.Discard, id)
			if err == nil {
				var way upgradeview.Way
				if way, err = f.planned(s); err == nil {
					line.Way = &way
				}
			}
			if err != nil {
				line.Error = err.Error()
			}
			ways[i] = line
			mu.Lock()
			defer mu.Unlock()
			if done++; time.Since(told) > time.Second || done == len(all) {
				told = time.Now()
				fmt.Fprintf(progress, "%d of %d clusters read\n", done, len(all))
			}
		})
	}
	wg.Wait()
	return upgradeview.NewFleet(ways)
}

// reader reads the situations of clusters; what is the same for all of a Region is read once. Without a ledger (nil) policies are
// the default.
func (f *upgradePlanFlags) reader(d *deployment.Deployment, l *ledger.Ledger) func(context.Context, io.Writer, fleet.ClusterID) (upgradeSituation, error) {
	var mu sync.Mutex
	regions := map[string]*upgradeRegion{}
	return func(ctx context.Context, warn io.Writer, id fleet.ClusterID) (s upgradeSituation, err error) {
		mu.Lock()
		r := regions[id.Region]
		if r == nil {
			r = newUpgradeRegion(d.In(id.Region), l, id.Region, f.kubeconfig)
			regions[id.Region] = r
		}
		mu.Unlock()
		s.At, s.Policy = time.Now().UTC(), fleet.DefaultUpgradePolicy()
		if l != nil {
			policy, err := l.Policy(ctx, id)
			if err != nil {
				return s, err
			}
			s.Policy = policy.Upgrade
		}
		if s.Observation, err = r.observe(ctx, id); err != nil {
			return s, err
		}
		s.Hourly = r.hourly(ctx, warn, s.Observation)
		return s, nil
	}
}

var errFleet = errors.New("--all plans for every cluster, and takes none of --cluster, -f, --save, --kubeconfig and --back")
