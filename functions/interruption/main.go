// The interruption function drains machines that go away and asks for their replacements.
package main

import (
	"context"
	"sync"
	"time"

	"github.com/ekspedite/ekspedite/shared/access"
	"github.com/ekspedite/ekspedite/shared/awscloud"
	"github.com/ekspedite/ekspedite/shared/handler"
	"github.com/ekspedite/ekspedite/shared/pace"
	"github.com/ekspedite/ekspedite/shared/start"
	"github.com/ekspedite/ekspedite/shared/work/interruption"
)

func main() {
	start.Run("interruption", false, func(f start.Function) handler.Work {
		w := &interruption.Work{
			Open: regions(f), Policies: f.Ledger, Ledger: f.Ledger, Bus: f.Bus,
			Account: f.Account, Region: f.Region, NewID: f.NewID, Now: f.Now, Metrics: f.Metrics,
		}
		w.Open(f.Region) // while the environment starts, and not at the first warning's cost
		return w.Handle
	})
}

// patience with an API server: one that hangs must not hold up the batch-mates of its cluster's messages for long. One that
// is merely slow gets more time at the next try. Less for a server that has not answered yet (Greeting) would make a hanging
// cluster cheaper for the others. It is not set: in ekspedite bench with 200 nodes on two busy cores more messages had to be
// tried again with it (73 with 750 ms, 14 and 15 with 2 s, 8 and 19 without; few runs, under different load).
var patience = pace.Patience{First: 3 * time.Second, Most: 10 * time.Second}

// regions opens each Region once in the life of the execution environment: its connections and clusters are kept.
func regions(f start.Function) func(region string) interruption.Reach {
	var mu sync.Mutex
	open := map[string]interruption.Reach{}
	return func(region string) interruption.Reach {
		mu.Lock()
		defer mu.Unlock()
		r, ok := open[region]
		if !ok {
			cfg := awscloud.InRegion(f.Config, region)
			compute := awscloud.NewCompute(cfg)
			inside := &access.Directory{
				Describe: awscloud.NewClusters(cfg).Cluster,
				Token:    awscloud.NewTokens(cfg, f.Now).Token,
				Now:      f.Now,
				Patience: patience,
			}
			containers := awscloud.NewContainers(cfg)
			r = interruption.Reach{
				Instances: compute, Groups: compute, Machines: compute, Targets: awscloud.NewTargets(cfg, f.Now), Clusters: clusters{inside},
				Known:      &access.Machines{List: compute.OurInstances, Now: f.Now},
				Containers: containers, Places: &interruption.Places{ECS: containers, Now: f.Now},
				Pods: func(ctx context.Context, cluster string) (interruption.Pods, error) {
					return inside.Client(ctx, cluster)
				},
			}
			open[region] = r
		}
		return r
	}
}

// clusters narrows the directory's clients to what this function does with them.
type clusters struct{ *access.Directory }

func (c clusters) Nodes(ctx context.Context, name string) (interruption.Nodes, error) {
	client, err := c.Client(ctx, name)
	if err != nil {
		return nil, err
	}
	return client, nil
}
