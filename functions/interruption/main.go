// The interruption function drains machines that go away and asks for their replacements.
package main

import (
	"context"
	"sync"

	"github.com/ekspedite/ekspedite/shared/access"
	"github.com/ekspedite/ekspedite/shared/awscloud"
	"github.com/ekspedite/ekspedite/shared/handler"
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
			}
			containers := awscloud.NewContainers(cfg)
			r = interruption.Reach{
				Instances: compute, Groups: compute, Machines: compute, Targets: awscloud.NewTargets(cfg, f.Now), Clusters: clusters{inside},
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
