// The cluster function makes clusters what their specs say, and keeps them so.
package main

import (
	"context"

	"github.com/ekspedite/ekspedite/shared/access"
	"github.com/ekspedite/ekspedite/shared/apply"
	"github.com/ekspedite/ekspedite/shared/awscloud"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/handler"
	"github.com/ekspedite/ekspedite/shared/observe"
	"github.com/ekspedite/ekspedite/shared/plan"
	"github.com/ekspedite/ekspedite/shared/start"
	"github.com/ekspedite/ekspedite/shared/work/cluster"
)

func main() {
	start.Run("cluster", true, func(f start.Function) handler.Work {
		networks, roles, eks := awscloud.NewNetworks(f.Config), awscloud.NewRoles(f.Config), awscloud.NewClusters(f.Config)
		inside := kubernetes{&access.Directory{Describe: eks.Cluster, Token: awscloud.NewTokens(f.Config, f.Now).Token, Now: f.Now}}
		w := &cluster.Work{
			Observe: observe.Clusters{Networks: networks, Roles: roles, EKS: eks, Kubernetes: inside},
			Apply:   apply.ClusterWriter{VPCs: networks, Gateways: networks, Routes: networks, Roles: roles, EKS: eks, Access: inside}.Do,
			Ledger:  f.Ledger, Bus: f.Bus, Queue: awscloud.NewQueue(f.Config, f.QueueURL, f.DLQURL),
			InterruptionRole: f.InterruptionRoleARN, Account: f.Account, Region: f.Region, NewID: f.NewID, Now: f.Now, Metrics: f.Metrics,
		}
		return w.Handle
	})
}

// kubernetes narrows the directory's clients to what this function does with them.
type kubernetes struct{ *access.Directory }

func (k kubernetes) ClusterAccess(ctx context.Context, name, role string) (fleet.ClusterAccess, error) {
	client, err := k.Client(ctx, name)
	if err != nil {
		return fleet.ClusterAccess{}, err
	}
	return client.ClusterAccess(ctx, role)
}

func (k kubernetes) PutClusterAccess(ctx context.Context, a plan.PutClusterAccess) error {
	client, err := k.Client(ctx, a.Cluster)
	if err != nil {
		return err
	}
	return client.PutClusterAccess(ctx, a.Access)
}
