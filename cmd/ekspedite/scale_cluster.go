package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/deployment"
	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/scaleview"
	"github.com/ekspedite/ekspedite/shared/access"
	"github.com/ekspedite/ekspedite/shared/awscloud"
	"github.com/ekspedite/ekspedite/shared/decide/scaling"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/kube"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/observe"
)

// forCluster plans for a cluster as it is now.
func (f *scalePlanFlags) forCluster(cmd *cobra.Command) error {
	ctx := cmd.Context()
	d, err := f.open(ctx)
	if err != nil {
		return err
	}
	l, err := d.Ledger(ctx)
	if err != nil {
		return err
	}
	id, err := resolve(ctx, l, f.cluster, f.region)
	if err != nil {
		return err
	}
	o, policy, err := observed(ctx, d, l, id, f.kubeconfig)
	if err != nil {
		return err
	}
	mode := policy.Mode
	if mode != fleet.ScalingAct {
		policy.Mode = fleet.ScalingPlan
	}
	decision, err := scaling.Decide(time.Now(), o, policy)
	if err != nil {
		return err
	}
	v := scaleview.NewClusterPlan(o, mode, decision)
	if err := f.writePage(cmd, scaleview.DrawCluster(o, decision)); err != nil {
		return err
	}
	return f.print(cmd.OutOrStdout(), v, func(w io.Writer) error { v.Text(w); return nil })
}

// observed reads all that the scaling function would, with the caller's credentials, or a kubeconfig's if one is given.
func observed(ctx context.Context, d *deployment.Deployment, l *ledger.Ledger, id fleet.ClusterID, kubeconfig string) (o scaling.Observation, p fleet.ScalingPolicy, err error) {
	policy, err := l.Policy(ctx, id)
	if err != nil {
		return o, p, err
	}
	memory, _, err := remembered(ctx, l, id)
	if err != nil {
		return o, p, err
	}
	cfg := d.In(id.Region)
	client, err := entered(ctx, cfg, id, kubeconfig)
	if err != nil {
		return o, p, fmt.Errorf("cluster %s cannot be opened: %w", id, err)
	}
	o, err = observe.Scaling{
		Kubernetes: client, Groups: awscloud.NewNodeGroups(cfg, time.Now),
		Market:   observe.NewMarket(awscloud.NewMarket(cfg, time.Now), lookedUp{l}, id.Region, time.Now),
		Reclaims: l,
	}.Cluster(ctx, id, memory)
	if fault.Is(err, fault.Denied) {
		err = fmt.Errorf("%w\na plan needs to read what is there: your credentials need an access entry of the cluster with AmazonEKSAdminViewPolicy (or use --kubeconfig), and the Describe and List actions of ec2, eks, autoscaling and pricing", err)
	}
	return o, policy.Scaling, err
}

// entered opens a cluster's API server.
func entered(ctx context.Context, cfg awscloud.Config, id fleet.ClusterID, kubeconfig string) (*kube.Client, error) {
	if kubeconfig != "" {
		return kube.FromKubeconfig(kubeconfig)
	}
	inside := &access.Directory{Describe: awscloud.NewClusters(cfg).Cluster, Token: awscloud.NewTokens(cfg, time.Now).Token, Now: time.Now}
	return inside.Client(ctx, id.Name)
}

// remembered is what the ledger has of a cluster's scaling.
func remembered(ctx context.Context, l *ledger.Ledger, id fleet.ClusterID) (m scaling.Memory, s ledger.Scaling, err error) {
	if s, err = l.Scaling(ctx, id); err != nil || len(s.Memory) == 0 {
		return m, s, err
	}
	if err = json.Unmarshal(s.Memory, &m); err != nil {
		err = fault.New(fault.Invalid, "the ledger's memory of cluster %s's scaling is damaged: %v", id, err)
	}
	return m, s, err
}

// lookedUp is the ledger's cache for somebody who only reads.
type lookedUp struct{ *ledger.Ledger }

// Cache keeps nothing: a plan writes nothing.
func (lookedUp) Cache(context.Context, string, string, time.Time, any) error { return nil }
