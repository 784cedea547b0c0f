package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/clusterview"
	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/deployment"
	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/upgradeview"
	"github.com/ekspedite/ekspedite/shared/awscloud"
	"github.com/ekspedite/ekspedite/shared/decide/maintenance"
	"github.com/ekspedite/ekspedite/shared/decide/upgradepath"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/observe"
)

// upgradePlanFlags are those of `upgrade plan`.
type upgradePlanFlags struct {
	oneCluster
	to, file, save, kubeconfig string
	patch, strict, back, all   bool
}

// upgradeSituation is all that a way depends on: what --save writes and --file reads.
type upgradeSituation struct {
	At          time.Time               `json:"at"`
	Observation upgradepath.Observation `json:"observation"`
	Policy      fleet.UpgradePolicy     `json:"policy"`
	// Hourly are list prices of machines, USD an hour.
	Hourly map[string]float64 `json:"hourly,omitempty"`
}

func upgradePlan() *cobra.Command {
	var flags upgradePlanFlags
	c := &cobra.Command{
		Use:   "plan --cluster NAME | -f FILE | --all [--to VERSION]",
		Short: "Show the whole way to a version: hops, add-ons, nodes, time, cost, and what ends the way back; nothing is written",
		Long: `Show the whole way of a cluster to a version, as the upgrade function would go: the hops of its control plane, the versions of its
add-ons at each, when which nodes move and how, how long each step should take, after which the control plane can no longer
go back, and what it costs. Steps with one number run at the same time. Nothing is asked for and nothing is written.

--cluster reads AWS and the cluster with your credentials; with --region it may be one that ekspedite does not have. --save keeps
what was read in a file, from which -f plans again without either, for another version or with other flags. --all shows a line for
each cluster. Without --to the version is the one that the cluster's policy wants.` +
			exits("1 it failed, or there is no way", "2 the command line or the file is wrong", "130 interrupted"),
		Example: `  ekspedite upgrade plan --cluster prod --to 1.36
  ekspedite upgrade plan --cluster prod --to 1.36 --strict -o json | jq .steps
  ekspedite upgrade plan --cluster prod --patch --save prod.json
  ekspedite upgrade plan -f prod.json --to 1.36
  ekspedite upgrade plan --cluster prod --back
  ekspedite upgrade plan --all --to 1.36`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := flags.checkPlan(); err != nil {
				return usageError{err}
			}
			if flags.all {
				return flags.forFleet(cmd)
			}
			s, err := flags.situation(cmd)
			if err != nil {
				return err
			}
			v, err := flags.planned(s)
			if err != nil {
				return err
			}
			if err := flags.print(cmd.OutOrStdout(), v, func(w io.Writer) error { return v.Text(w) }); err != nil {
				return err
			}
			if len(v.Blocked) > 0 {
				return exitError(exitFailed)
			}
			return nil
		},
	}
	flags.addCluster(c)
	c.Flags().StringVar(&flags.to, "to", "", "the version, such as 1.36 (default: what the cluster's policy wants)")
	c.Flags().BoolVar(&flags.patch, "patch", false, "add-ons and node images as new as they get; without --to at the cluster's own version")
	c.Flags().BoolVar(&flags.strict, "strict", false, "nodes of a hop before the next hop, whatever the policy says")
	c.Flags().BoolVar(&flags.back, "back", false, "the way back to the version before, nodes first")
	c.Flags().BoolVar(&flags.all, "all", false, "all clusters that ekspedite has, or all of --region")
	c.Flags().StringVarP(&flags.file, "file", "f", "", "plan for what --save wrote; - is standard input")
	c.Flags().StringVar(&flags.save, "save", "", "file for what was read")
	c.Flags().StringVar(&flags.kubeconfig, "kubeconfig", "", "read the cluster with this file's client certificate, instead of your AWS credentials and an access entry")
	return c
}

func (f *upgradePlanFlags) checkPlan() error {
	switch {
	case f.all && (f.cluster != "" || f.file != "" || f.save != "" || f.kubeconfig != "" || f.back):
		return errFleet
	case f.all: // needs no name
	case (f.file == "") == (f.cluster == ""):
		return errors.New("name a cluster by --cluster, or a file by -f, or all clusters by --all")
	case f.file != "" && (f.save != "" || f.region != "" || f.kubeconfig != ""):
		return errors.New("--save, --region and --kubeconfig are for --cluster")
	case f.back && (f.to != "" || f.patch || f.strict):
		return errors.New("--back leads to the version before, and takes neither --to nor --patch nor --strict")
	}
	if f.to != "" {
		if _, err := fleet.ParseMinor(f.to); err != nil {
			return fmt.Errorf("--to: %w", err)
		}
	}
	return f.check()
}

// planned finds the way.
func (f *upgradePlanFlags) planned(s upgradeSituation) (upgradeview.Way, error) {
	if f.strict {
		s.Policy.Skew = fleet.SkewStrict
	}
	if f.back {
		return upgradeview.Way{Path: upgradepath.Back(s.Observation, s.Policy, s.At), At: s.At}, nil
	}
	w := upgradepath.Want{Now: s.At, To: s.Observation.Version, Patch: f.patch, Policy: s.Policy, Hourly: s.Hourly}
	why := ""
	switch {
	case f.to != "":
		to, err := fleet.ParseMinor(f.to)
		if err != nil {
			return upgradeview.Way{}, usageError{err}
		}
		w.To = to
	case !f.patch:
		facts := maintenance.Facts{Version: s.Observation.Version, SupportType: s.Observation.SupportType, UpgradedAt: s.Observation.UpgradedAt, Versions: s.Observation.Versions}
		if due, ok := maintenance.Ahead(s.At, facts, s.Policy); ok {
			w.To, why = due.To, fmt.Sprintf("%s, to be done from %s on", due.Why, due.From.UTC().Format(time.DateOnly))
		} else {
			why = "its policy wants no other version: name one by --to"
		}
	}
	v := upgradeview.Way{Path: upgradepath.Find(s.Observation, w), At: s.At, Wanted: why}
	if len(v.Blocked) == 0 && w.To > s.Observation.Version {
		naive := upgradepath.Naive(s.Observation, w)
		v.Naive = &upgradeview.Naive{Steps: len(naive.Steps), Takes: naive.Takes, Surge: naive.Cost.Surge}
	}
	return v, nil
}

// situation reads a file, or AWS and the cluster.
func (f *upgradePlanFlags) situation(cmd *cobra.Command) (s upgradeSituation, err error) {
	if f.file != "" {
		return loadSituation(cmd.InOrStdin(), f.file)
	}
	ctx := cmd.Context()
	d, err := f.open(ctx)
	if err != nil {
		return s, err
	}
	l, id, err := f.known(ctx, d)
	if err != nil {
		if f.region == "" || ctx.Err() != nil {
			return s, fmt.Errorf("%w\nto plan for a cluster that ekspedite does not have, name its Region by --region", err)
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "warning: planned with the default policy: %v\n", err)
		l, id = nil, fleet.ClusterID{Region: f.region, Name: f.cluster}
	}
	if s, err = f.reader(d, l)(ctx, cmd.ErrOrStderr(), id); err != nil {
		return s, err
	}
	if f.save == "" {
		return s, nil
	}
	if err := writeFile(f.save, func(w io.Writer) error { return clusterview.JSON(w, s) }); err != nil {
		return s, err
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "what was read is in %s: ekspedite upgrade plan -f %s\n", f.save, f.save)
	return s, nil
}

// known finds the cluster in the ledger.
func (f *upgradePlanFlags) known(ctx context.Context, d *deployment.Deployment) (*ledger.Ledger, fleet.ClusterID, error) {
	l, err := d.Ledger(ctx)
	if err != nil {
		return nil, fleet.ClusterID{}, err
	}
	id, err := resolve(ctx, l, f.cluster, f.region)
	return l, id, err
}

// upgradeRegion reads clusters of one Region with the caller's credentials.
type upgradeRegion struct {
	upgrades *observe.Upgrades
	prices   *awscloud.Prices
}

func newUpgradeRegion(cfg awscloud.Config, l *ledger.Ledger, region, kubeconfig string) *upgradeRegion {
	inside := func(ctx context.Context, cluster string) (observe.NodeReader, error) {
		return entered(ctx, cfg, fleet.ClusterID{Region: region, Name: cluster}, kubeconfig)
	}
	var cache observe.Cache
	if l != nil {
		cache = lookedUp{l}
	}
	return &upgradeRegion{
		observe.NewUpgrades(awscloud.NewUpgrades(cfg), inside, cache, region, time.Now), awscloud.NewPrices(cfg, time.Now),
	}
}

func (r *upgradeRegion) observe(ctx context.Context, id fleet.ClusterID) (upgradepath.Observation, error) {
	o, err := r.upgrades.Cluster(ctx, id)
	if fault.Is(err, fault.Denied) {
		err = fmt.Errorf("%w\na plan needs to read what is there: the Describe and List actions of eks, ec2 and autoscaling, ssm:GetParameter, and for its nodes an access entry of the cluster with AmazonEKSAdminViewPolicy (or --kubeconfig)", err)
	}
	return o, err
}

// hourly reads list prices of the machines, on demand: at most what the surge costs. Without them the plan does not say it.
func (r *upgradeRegion) hourly(ctx context.Context, warn io.Writer, o upgradepath.Observation) map[string]float64 {
	const prefix = "instance/"
	var names []string
	for _, g := range o.Groups {
		for _, t := range g.InstanceTypes {
			names = append(names, prefix+t)
		}
	}
	slices.Sort(names)
	prices, err := r.prices.Prices(ctx, slices.Compact(names))
	if err != nil {
		fmt.Fprintf(warn, "warning: not all prices could be read: %v\n", err)
	}
	out := map[string]float64{}
	for name, p := range prices {
		out[strings.TrimPrefix(name, prefix)] = p.High
	}
	return out
}

// loadSituation reads what --save wrote. Its errors are whoever's who changed the file.
func loadSituation(stdin io.Reader, name string) (s upgradeSituation, err error) {
	in := stdin
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return s, usageError{err}
		}
		defer func() { _ = file.Close() }() // only read
		in = file
	}
	decoder := json.NewDecoder(in)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&s); err != nil {
		return s, usageError{fmt.Errorf("%s is not what `ekspedite upgrade plan --save` writes: %w", name, err)}
	}
	switch {
	case s.Observation.Version == 0:
		return s, usageError{fmt.Errorf("%s: observation.version is missing", name)}
	case s.At.IsZero():
		return s, usageError{fmt.Errorf("%s: at is missing: the time at which it was read", name)}
	case s.Policy.Skew == "":
		return s, usageError{fmt.Errorf("%s: policy is missing", name)}
	}
	return s, nil
}
