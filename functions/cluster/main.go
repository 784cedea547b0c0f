// The cluster function makes clusters what their specs say, and keeps them so.
package main

import (
	"context"
	"sync"

	"github.com/ekspedite/ekspedite/shared/access"
	"github.com/ekspedite/ekspedite/shared/apply"
	"github.com/ekspedite/ekspedite/shared/awscloud"
	"github.com/ekspedite/ekspedite/shared/decide/preflight"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/handler"
	"github.com/ekspedite/ekspedite/shared/observe"
	"github.com/ekspedite/ekspedite/shared/plan"
	"github.com/ekspedite/ekspedite/shared/start"
	"github.com/ekspedite/ekspedite/shared/work/cluster"
)

func main() {
	start.Run("cluster", true, func(f start.Function) handler.Work {
		w := &cluster.Work{
			Open: regions(f), Ledger: f.Ledger, Bus: f.Bus, Queue: awscloud.NewQueue(f.Config, f.QueueURL, f.DLQURL),
			InterruptionRole: f.InterruptionRoleARN, UpgradeRole: f.UpgradeRoleARN, Role: f.RoleARN, Account: f.Account, Region: f.Region, NewID: f.NewID, Now: f.Now,
			Scaling:  cluster.Scaling{Role: f.ScalingRoleARN, URL: f.DoorbellURL, Function: f.DoorbellARN},
			Boundary: f.RoleBoundary, Files: awscloud.NewObjects(f.Config), Metrics: f.Metrics,
		}
		return w.Handle
	})
}

// regions opens each Region once in the life of the execution environment.
func regions(f start.Function) func(region string) cluster.Reach {
	base := awscloud.NewBudget(f.Ledger).Within(f.Config)
	var mu sync.Mutex
	open := map[string]cluster.Reach{}
	return func(region string) cluster.Reach {
		mu.Lock()
		defer mu.Unlock()
		r, ok := open[region]
		if !ok {
			cfg := awscloud.InRegion(base, region)
			aws := awscloud.NewRegion(cfg)
			inside := objects{&access.Directory{Describe: awscloud.NewClusters(cfg).Cluster, Token: awscloud.NewTokens(cfg, f.Now).Token, Now: f.Now}}
			r = cluster.Reach{
				Observe: observe.Clusters{AWS: aws, Kubernetes: inside, Now: f.Now},
				Apply:   apply.ClusterWriter{AWS: aws, Kubernetes: inside}.Do,
				Preflight: func(ctx context.Context, s fleet.ClusterSpec, p plan.Plan) []preflight.Finding {
					facts := preflight.Facts{Now: f.Now(), Account: f.Account, Role: f.RoleARN, InVPC: f.InVPC}
					facts = observe.Preflight(ctx, awscloud.NewPreflight(cfg), facts, preflight.Ask(facts, s, p))
					return preflight.Preflight(facts, s, p)
				},
			}
			open[region] = r
		}
		return r
	}
}

// objects narrows the directory's clients to what this function does with them.
type objects struct{ *access.Directory }

func (k objects) Object(ctx context.Context, name string, ref fleet.Ref) (fleet.Resource, error) {
	client, err := k.Client(ctx, name)
	if err != nil {
		return fleet.Resource{}, err
	}
	return client.Object(ctx, ref)
}

func (k objects) Apply(ctx context.Context, name string, object fleet.Props) error {
	client, err := k.Client(ctx, name)
	if err != nil {
		return err
	}
	return client.ApplyObject(ctx, object)
}

func (k objects) Delete(ctx context.Context, name string, object fleet.Props) error {
	client, err := k.Client(ctx, name)
	if err != nil {
		return err
	}
	return client.DeleteObject(ctx, object)
}
