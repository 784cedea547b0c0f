package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/clusterview"
	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

func clusterDelete() *cobra.Command {
	var flags requestFlags
	var name, region string
	var force bool
	c := &cobra.Command{
		Use:   "delete --name NAME --region REGION",
		Short: "Delete a cluster with all that ekspedite made for it, and follow that",
		Long: `Delete a cluster with all that ekspedite made for it: nodes, network, roles. What was given (a VPC, roles, templates) stays.
Load balancers and volumes that Kubernetes made are named first, and nothing is deleted while they are there; with --force
load balancers go, too, deletion protection is turned off, and volumes are kept and named. It also unwinds a creation that
failed half-way. On a terminal it asks for the cluster's name.` +
			exits("1 a run failed", "2 the command line or the file is wrong, or nobody agreed", "3 it goes on, --timeout is over", "130 interrupted, it goes on"),
		Example: `  ekspedite cluster delete --name demo --region us-east-1 --dry-run
  ekspedite cluster delete --name demo --region us-east-1
  ekspedite cluster delete -f cluster.yaml --yes`,
		Args: usageArgs(cobra.NoArgs),
	}
	files := fileFlag(c)
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		clusters, err := doomed(cmd, *files, name, region)
		if err != nil {
			return err
		}
		d, err := flags.open(cmd.Context())
		if err != nil {
			return err
		}
		if flags.dryRun {
			p, err := plans(cmd.Context(), d, cmd.ErrOrStderr(), flags.inVPC)
			if err != nil {
				return err
			}
			list, ok := []clusterview.Plan{}, true
			for _, id := range clusters {
				v, err := p.Removal(cmd.Context(), id, force)
				if err != nil {
					return err
				}
				list, ok = append(list, v), ok && v.OK
			}
			return flags.show(cmd.OutOrStdout(), list, ok)
		}
		if len(clusters) > 1 {
			return usageError{errors.New("the file has several clusters: delete them one by one, with --name and --region")}
		}
		id := clusters[0]
		question := fmt.Sprintf("This deletes cluster %s in %s, its nodes, its network and its roles, for good.", id.Name, id.Region)
		if err := flags.confirm(cmd, question, id.Name, len(*files) == 1 && (*files)[0] == "-"); err != nil {
			return err
		}
		r := request{id: requestID(), asked: time.Now(), clusters: clusters}
		r.payload = &events.ClusterDeleteRequested{RequestID: r.id, Cluster: id.Name, Region: id.Region, Force: force}
		return flags.send(cmd, d, r)
	}
	flags.addRequest(c)
	c.Flags().StringVar(&name, "name", "", "the cluster's name")
	c.Flags().StringVar(&region, "region", "", "the cluster's Region")
	c.Flags().BoolVar(&force, "force", false, "delete it although it is protected, and the load balancers that Kubernetes left")
	return c
}

// doomed are the clusters to delete, by name or by file.
func doomed(cmd *cobra.Command, files []string, name, region string) ([]fleet.ClusterID, error) {
	switch {
	case len(files) > 0 && (name != "" || region != ""):
		return nil, usageError{errors.New("use -f, or --name and --region: not both")}
	case len(files) > 0:
		f, err := load(cmd, files)
		if err != nil {
			return nil, err
		}
		if len(f.Specs) == 0 {
			return nil, usageError{errors.New("there is no cluster in the files: nothing was asked for")}
		}
		var out []fleet.ClusterID
		for _, s := range f.Specs {
			out = append(out, fleet.ClusterID{Region: s.Cluster.Region, Name: s.Cluster.Name})
		}
		return out, nil
	case name == "" || region == "":
		return nil, usageError{errors.New("name the cluster by --name and --region, or by -f FILE")}
	}
	return []fleet.ClusterID{{Region: region, Name: name}}, nil
}
