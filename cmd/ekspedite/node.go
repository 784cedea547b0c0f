package main

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/scene"
	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/access"
	"github.com/ekspedite/ekspedite/shared/awscloud"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

func nodeCommand() *cobra.Command {
	c := &cobra.Command{Use: "node", Short: "Give up a node of a cluster"}
	c.AddCommand(nodeRemove())
	return c
}

func nodeRemove() *cobra.Command {
	var flags accountFlags
	var cluster, region string
	var patience time.Duration
	c := &cobra.Command{
		Use:   "remove --cluster NAME NODE",
		Short: "Drain a node, end its machine, and make its group smaller by one",
		Long: `Ask for a node to be drained, its machine to be ended, and its group to be smaller by one. PodDisruptionBudgets hold, and pods
that must not be disrupted stay: what cannot be drained in time, or would make its group smaller than it may be, gets its
node back as it was. What came of it is a run: NodeRemoved, or NodeKept with the reason. Your own credentials read the node.` +
			exits("1 there is no such node, or it cannot be read", "2 the command line is wrong"),
		Example: `  ekspedite node remove --cluster demo ip-10-42-1-7.ec2.internal
  ekspedite node remove --cluster demo ip-10-42-1-7.ec2.internal --patience 1h
  ekspedite node remove --cluster blue --region eu-west-1 ip-10-42-9-3.eu-west-1.compute.internal
  ekspedite runs list --cluster demo --function interruption`,
		Args: usageArgs(cobra.ExactArgs(1)),
	}
	c.RunE = func(cmd *cobra.Command, args []string) error {
		ctx := cmd.Context()
		if cluster == "" {
			return usageError{errors.New("name the cluster by --cluster")}
		}
		if patience < time.Second || patience > 24*time.Hour {
			return usageError{fmt.Errorf("--patience %s: use a duration between 1s and 24h", patience)}
		}
		d, err := flags.open(ctx)
		if err != nil {
			return err
		}
		where := cmp.Or(region, d.Region)
		cfg := d.In(where)
		inside := access.Directory{Describe: awscloud.NewClusters(cfg).Cluster, Token: awscloud.NewTokens(cfg, time.Now).Token, Now: time.Now}
		client, err := inside.Client(ctx, cluster)
		if fault.Is(err, fault.NotFound) {
			return fault.New(fault.NotFound, "EKS has no cluster %s in %s: name another Region by --region", cluster, where)
		}
		if err != nil {
			return err
		}
		node, err := client.Node(ctx, args[0])
		if err != nil {
			return err
		}
		e, err := events.New(removal(cluster, where, node, patience), requestID(), time.Now(), "", d.Region)
		if err != nil {
			return fmt.Errorf("node %s is no machine of EC2 (provider ID %q): %w", node.Name, node.ProviderID, err)
		}
		if err := d.Bus().Publish(ctx, e); err != nil {
			return err
		}
		fmt.Fprintf(cmd.OutOrStdout(), "asked for the removal of node %s; what comes of it: ekspedite runs list --cluster %s --function interruption\n", node.Name, cluster)
		return nil
	}
	flags.output = "text"
	flags.addAccount(c)
	flags.addBus(c)
	c.Flags().StringVar(&cluster, "cluster", "", "the cluster's name")
	c.Flags().StringVar(&region, "region", "", "the cluster's Region (default: the one where ekspedite is deployed)")
	c.Flags().DurationVar(&patience, "patience", 15*time.Minute, "how long the drain may take before the node is given back")
	return c
}

// removal is the request to remove a node, by somebody.
func removal(cluster, region string, node fleet.Node, patience time.Duration) *events.NodeRemovalRequested {
	return &events.NodeRemovalRequested{
		Cluster: cluster, Region: region, Node: node.Name, NodeUID: node.UID, InstanceID: scene.InstanceID(node),
		Group: node.Labels["eks.amazonaws.com/nodegroup"], Reason: events.RemovalManual, PatienceSeconds: int(patience / time.Second),
	}
}
