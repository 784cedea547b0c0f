// The interruption function drains machines that go away and asks for their replacements.
package main

import (
	"context"

	"github.com/ekspedite/ekspedite/shared/access"
	"github.com/ekspedite/ekspedite/shared/awscloud"
	"github.com/ekspedite/ekspedite/shared/handler"
	"github.com/ekspedite/ekspedite/shared/start"
	"github.com/ekspedite/ekspedite/shared/work/interruption"
)

func main() {
	start.Run("interruption", false, func(f start.Function) handler.Work {
		compute := awscloud.NewCompute(f.Config)
		w := &interruption.Work{
			Instances: compute, Groups: compute, Policies: f.Ledger, Ledger: f.Ledger, Bus: f.Bus,
			Clusters: clusters{&access.Directory{
				Describe: awscloud.NewClusters(f.Config).Cluster,
				Token:    awscloud.NewTokens(f.Config, f.Now).Token,
				Now:      f.Now,
			}},
			Account: f.Account, Region: f.Region, NewID: f.NewID, Now: f.Now, Metrics: f.Metrics,
		}
		return w.Handle
	})
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
