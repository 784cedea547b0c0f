package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/clusterfile"
	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/clusterview"
	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/deployment"
	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/planner"
	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/access"
	"github.com/ekspedite/ekspedite/shared/awscloud"
	"github.com/ekspedite/ekspedite/shared/decide/cluster"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/observe"
)

func clusterCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "cluster",
		Short: "Check, plan, create, change, look at and delete clusters",
		Long: `Check, plan, create, change, look at and delete clusters.

A cluster is what its file says: an eksctl ClusterConfig, and beside it, if you like, a ClusterPolicy. These commands read
AWS with your own credentials and ask ekspedite's cluster function to write. AWS_REGION (or --home) is the Region where
ekspedite is deployed; the clusters' own Regions are in their files. AWS_ENDPOINT_URL (or --endpoint-url) takes them to the
embedded cloud of ` + "`ekspedite local up`" + `.` + exits("1 it failed", "2 the command line or a file is wrong", "3 it goes on, --timeout is over", "130 interrupted"),
	}
	c.AddCommand(clusterValidate(), clusterPlan(), clusterApply(), clusterDelete(), clusterList(), clusterShow(), clusterKubeconfig(), clusterToken())
	return c
}

// exits is the part of a help text that says what exit codes mean, beside 0.
func exits(codes ...string) string {
	return "\n\nExit codes: 0 done; " + strings.Join(codes, "; ") + "."
}

// accountFlags say where ekspedite is.
type accountFlags struct {
	deployment.Options
	output string
}

func (f *accountFlags) add(c *cobra.Command) {
	f.addOutput(c)
	f.addAccount(c)
	c.Flags().StringVar(&f.Table, "table", "", "the ledger's table (default: EKSPEDITE_TABLE, or what CloudFormation says)")
}

func (f *accountFlags) addOutput(c *cobra.Command) {
	c.Flags().StringVarP(&f.output, "output", "o", "text", "text or json; json goes to standard output and nothing else does")
}

func (f *accountFlags) addAccount(c *cobra.Command) {
	c.Flags().StringVar(&f.Endpoint, "endpoint-url", "", "the embedded cloud's endpoint (default: AWS_ENDPOINT_URL)")
	c.Flags().StringVar(&f.Region, "home", "", "Region where ekspedite is deployed (default: AWS_REGION, or your profile's)")
}

func (f *accountFlags) addBus(c *cobra.Command) {
	c.Flags().StringVar(&f.Bus, "bus", "", "ekspedite's event bus (default: EKSPEDITE_BUS, or "+string(events.BusEkspedite)+")")
}

// open checks the flags and reads the AWS configuration.
func (f *accountFlags) open(ctx context.Context) (*deployment.Deployment, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	d, err := deployment.Open(ctx, f.Options)
	if err != nil {
		return nil, err
	}
	if d.Region == "" {
		return nil, usageError{errors.New("no Region is set: name the one where ekspedite is deployed by --home or AWS_REGION")}
	}
	return d, nil
}

func (f *accountFlags) check() error {
	if f.output != "text" && f.output != "json" {
		return usageError{fmt.Errorf("--output %q: use text or json", f.output)}
	}
	return nil
}

// print writes a value as the flags ask for.
func (f *accountFlags) print(w io.Writer, v any, text func(io.Writer) error) error {
	if f.output == "json" {
		return clusterview.JSON(w, v)
	}
	return text(w)
}

// fileFlag adds -f.
func fileFlag(c *cobra.Command) *[]string {
	var files []string
	c.Flags().StringArrayVarP(&files, "file", "f", nil, "file with ClusterConfigs and ClusterPolicies; - is standard input; may be repeated")
	return &files
}

// load reads files, and refuses those that are wrong after saying so.
func load(cmd *cobra.Command, names []string) (clusterfile.Files, error) {
	f, err := clusterfile.Load(names, cmd.InOrStdin())
	if err != nil {
		return f, usageError{err}
	}
	clusterview.NewValidation(f, false).Problems(cmd.ErrOrStderr())
	if n := len(f.Errors); n > 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "%d errors: nothing was done\n", n)
		return f, exitError(exitUsage)
	}
	return f, nil
}

// plans makes what plans and looks are made with. Without a deployment there can be a plan, too: its access entries then
// have placeholders for the functions' roles.
func plans(ctx context.Context, d *deployment.Deployment, warn io.Writer, inVPC bool) (*planner.Planner, error) {
	account, err := d.Account(ctx)
	if err != nil {
		return nil, fmt.Errorf("your credentials are not accepted: %w", err)
	}
	roles, err := d.Roles(ctx)
	if err != nil {
		fmt.Fprintf(warn, "warning: the functions' roles are not known, so that permissions are not checked: %v\n", err)
		roles = deployment.Roles{
			Cluster: "arn:aws:iam::" + account + ":role/ekspedite-cluster-function", Interruption: "arn:aws:iam::" + account + ":role/ekspedite-interruption-function",
			Scaling: "arn:aws:iam::" + account + ":role/ekspedite-scaling-function", Upgrade: "arn:aws:iam::" + account + ":role/ekspedite-upgrade-function",
		}
	}
	known := err == nil
	return &planner.Planner{
		Options: cluster.Options{Account: account, ClusterRole: roles.Cluster, InterruptionRole: roles.Interruption, UpgradeRole: roles.Upgrade, Scaling: cluster.Scaling{Role: roles.Scaling}},
		Home:    d.Region, InVPC: inVPC, RolesKnown: known, Now: time.Now,
		Open: func(region string) planner.Region {
			cfg := d.In(region)
			inside := objects{&access.Directory{Describe: awscloud.NewClusters(cfg).Cluster, Token: awscloud.NewTokens(cfg, time.Now).Token, Now: time.Now}}
			return planner.Region{
				Observe:      observe.Clusters{AWS: awscloud.NewRegion(cfg), Kubernetes: inside, Now: time.Now},
				Surroundings: awscloud.NewPreflight(cfg),
				Prices:       awscloud.NewPrices(cfg, time.Now),
			}
		},
	}, nil
}

// objects reads objects inside of clusters.
type objects struct{ *access.Directory }

func (k objects) Object(ctx context.Context, name string, ref fleet.Ref) (fleet.Resource, error) {
	client, err := k.Client(ctx, name)
	if err != nil {
		return fleet.Resource{}, err
	}
	return client.Object(ctx, ref)
}

// resolve finds a cluster of the ledger by its name.
func resolve(ctx context.Context, l *ledger.Ledger, name, region string) (fleet.ClusterID, error) {
	all, err := l.Clusters(ctx)
	if err != nil {
		return fleet.ClusterID{}, err
	}
	var regions []string
	for _, id := range all {
		if id.Name == name && (region == "" || id.Region == region) {
			regions = append(regions, id.Region)
		}
	}
	switch {
	case len(regions) == 1:
		return fleet.ClusterID{Region: regions[0], Name: name}, nil
	case len(regions) > 1:
		slices.Sort(regions)
		return fleet.ClusterID{}, usageError{fmt.Errorf("there is a cluster %s in %s: choose by --region", name, strings.Join(regions, " and "))}
	}
	in := ""
	if region != "" {
		in = " in " + region
	}
	return fleet.ClusterID{}, fault.New(fault.NotFound, "ekspedite has no cluster %s%s: `ekspedite cluster list` shows all", name, in)
}

// requestID is new for each request.
func requestID() string { return "cli-" + strings.ToLower(rand.Text()[:16]) }

// terminal tells whether somebody sits there who can answer.
func terminal(r io.Reader) bool {
	f, ok := r.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(info, null)
}
