// The upgrade function takes clusters from their version to another one, and keeps them patched.
package main

import (
	"context"
	"sync"
	"time"

	"github.com/ekspedite/ekspedite/shared/access"
	"github.com/ekspedite/ekspedite/shared/apply"
	"github.com/ekspedite/ekspedite/shared/awscloud"
	"github.com/ekspedite/ekspedite/shared/decide/nodemove"
	"github.com/ekspedite/ekspedite/shared/decide/readiness"
	"github.com/ekspedite/ekspedite/shared/decide/upgradepath"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/handler"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/observe"
	"github.com/ekspedite/ekspedite/shared/start"
	"github.com/ekspedite/ekspedite/shared/work/rollout"
	"github.com/ekspedite/ekspedite/shared/work/upgrade"
)

func main() {
	start.Run("upgrade", false, func(f start.Function) handler.Work {
		w := &upgrade.Work{
			Open: regions(f), Ledger: f.Ledger, Bus: f.Bus, Queue: awscloud.NewQueue(f.Config, f.QueueURL, f.DLQURL),
			Account: f.Account, Region: f.Region, NewID: f.NewID, Now: f.Now, Metrics: f.Metrics,
		}
		w.Rollouts = &rollout.Work{
			Ledger: f.Ledger, Bus: f.Bus, Health: w.Soaks, Account: f.Account, Region: f.Region, NewID: f.NewID, Now: f.Now, Metrics: f.Metrics,
		}
		return w.Handle
	})
}

// regions opens each Region once in the life of the execution environment: what EKS offers there, and updates that are over, are
// kept.
func regions(f start.Function) func(region string) upgrade.Reach {
	base := awscloud.NewBudget(f.Ledger).Limit("eks", "upgrade", calls(f)).Within(f.Config)
	var mu sync.Mutex
	open := map[string]upgrade.Reach{}
	return func(region string) upgrade.Reach {
		mu.Lock()
		defer mu.Unlock()
		r, ok := open[region]
		if !ok {
			r = reach(f, awscloud.InRegion(base, region), region)
			open[region] = r
		}
		return r
	}
}

func reach(f start.Function, cfg awscloud.Config, region string) upgrade.Reach {
	aws, facts := awscloud.NewRegion(cfg), awscloud.NewReadiness(cfg)
	inside := &access.Directory{Describe: awscloud.NewClusters(cfg).Cluster, Token: awscloud.NewTokens(cfg, f.Now).Token, Now: f.Now}
	checks := observe.NewReadiness(facts, func(ctx context.Context, cluster string) (observe.ClusterAPI, error) {
		return inside.Client(ctx, cluster)
	}, f.Ledger, region, f.Now)
	health := observe.NewHealth(facts, func(ctx context.Context, cluster string) (observe.WellnessReader, error) {
		return inside.Client(ctx, cluster)
	}, f.Now)
	return upgrade.Reach{
		Cluster: checks.Upgrades.Cluster, Update: aws.Update, Apply: apply.Calls(aws.Call), Health: health.Of, Refresh: facts.RefreshInsights,
		Move: func(ctx context.Context, o upgradepath.Observation, step upgradepath.Step) (nodemove.Input, error) {
			nodes, err := inside.Client(ctx, o.Cluster.Name)
			if err != nil {
				return nodemove.Input{}, err
			}
			return observe.Moves{AWS: aws, Nodes: nodes}.Step(ctx, o, step)
		},
		Readiness: func(ctx context.Context, o upgradepath.Observation, to fleet.Minor, p fleet.UpgradePolicy) (readiness.Report, error) {
			seen, err := checks.Cluster(ctx, o.Cluster, to, p)
			if err != nil {
				return readiness.Report{}, err
			}
			return readiness.Check(f.Now(), seen, p), nil
		},
	}
}

const (
	// reread is how old the fleet's policy may be.
	reread = 5 * time.Minute
	// gather is for how long calls that nobody makes are saved up for later.
	gather = 20 * time.Second
)

// calls is the rate of calls of EKS's API that the fleet's policy allows upgrades in a Region.
func calls(f start.Function) func(ctx context.Context) ledger.Rate {
	var mu sync.Mutex
	var rate ledger.Rate
	var at time.Time
	return func(ctx context.Context) ledger.Rate {
		mu.Lock()
		defer mu.Unlock()
		if now := f.Now(); now.Sub(at) >= reread {
			p, err := f.Ledger.FleetPolicy(ctx)
			if err != nil { // the rate of before, or EKS's usual one
				return rate
			}
			second := float64(p.Calls) / 60
			rate, at = ledger.Rate{PerSecond: second, Burst: max(1, int(second*gather.Seconds()))}, now
		}
		return rate
	}
}
