// The scaling function adds the nodes that pods wait for, and removes those that nobody needs.
package main

import (
	"context"
	"sync"

	"github.com/ekspedite/ekspedite/shared/access"
	"github.com/ekspedite/ekspedite/shared/awscloud"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/handler"
	"github.com/ekspedite/ekspedite/shared/observe"
	"github.com/ekspedite/ekspedite/shared/start"
	"github.com/ekspedite/ekspedite/shared/work/scaling"
)

func main() {
	start.Run("scaling", false, func(f start.Function) handler.Work {
		w := &scaling.Work{
			Open: regions(f), Ledger: f.Ledger, Bus: f.Bus, Queue: awscloud.NewQueue(f.Config, f.QueueURL, f.DLQURL),
			Account: f.Account, Region: f.Region, NewID: f.NewID, Now: f.Now, Metrics: f.Metrics,
		}
		return w.Handle
	})
}

// regions opens each Region once in the life of the execution environment: what is known of its groups and prices is kept.
func regions(f start.Function) func(region string) scaling.Reach {
	var mu sync.Mutex
	open := map[string]scaling.Reach{}
	return func(region string) scaling.Reach {
		mu.Lock()
		defer mu.Unlock()
		r, ok := open[region]
		if !ok {
			cfg := awscloud.InRegion(f.Config, region)
			groups := awscloud.NewNodeGroups(cfg, f.Now)
			inside := &access.Directory{Describe: reachable(awscloud.NewClusters(cfg)), Token: awscloud.NewTokens(cfg, f.Now).Token, Now: f.Now}
			r = scaling.Reach{
				Groups: groups, Owners: groups, Sizes: groups, Makes: groups,
				Market: observe.NewMarket(awscloud.NewMarket(cfg, f.Now), f.Ledger, region, f.Now),
				Kubernetes: func(ctx context.Context, cluster string) (scaling.Kubernetes, error) {
					return inside.Client(ctx, cluster)
				},
			}
			open[region] = r
		}
		return r
	}
}

// reachable describes clusters. One that is still being made has no API server yet, and is as good as not there.
func reachable(c *awscloud.Clusters) access.Describe {
	return func(ctx context.Context, name string) (fleet.Cluster, error) {
		cluster, err := c.Cluster(ctx, name)
		if err == nil && cluster.Endpoint == "" {
			err = fault.New(fault.NotFound, "cluster %s has no API server, it is %s", name, cluster.Status)
		}
		return cluster, err
	}
}
