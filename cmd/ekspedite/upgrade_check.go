package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/deployment"
	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/upgradeview"
	"github.com/ekspedite/ekspedite/shared/awscloud"
	"github.com/ekspedite/ekspedite/shared/decide/readiness"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/observe"
)

// upgradeCheckFlags are those of `upgrade check`.
type upgradeCheckFlags struct {
	oneCluster
	to, format, html, failOn, kubeconfig string
	refresh                              bool
	wait                                 time.Duration
}

// reports are how a report is written, by --output.
var reports = map[string]func(io.Writer, readiness.Report) error{
	"table": upgradeview.ReadinessText, "json": upgradeview.ReadinessJSON, "sarif": upgradeview.ReadinessSARIF, "html": upgradeview.ReadinessHTML,
}

func upgradeCheck() *cobra.Command {
	var flags upgradeCheckFlags
	c := &cobra.Command{
		Use:   "check --cluster NAME [--to VERSION]",
		Short: "Check whether a cluster is ready for a version; nothing is changed",
		Long: `Check whether a cluster is ready for a version: what would break, what would get stuck on the way, and what to do about it. It
reads AWS and the cluster with your credentials, and changes nothing. Where EKS last looked more than 24 hours ago it is asked to
look again (eks:StartInsightsRefresh), and that is waited for.

The cluster need not be one that ekspedite has made. Waivers and limits are those of the cluster's policy if the ledger has
one, else the defaults. What could not be read is told as "unknown": of a check that blocks, that is no pass.` +
			exits("0 ready", "1 something blocks, or it failed", "2 the command line is wrong", "130 interrupted"),
		Example: `  ekspedite upgrade check --cluster prod
  ekspedite upgrade check --cluster prod --to 1.36 --html prod.html
  ekspedite upgrade check --cluster prod --to 1.36 -o sarif > prod.sarif
  ekspedite upgrade check --cluster prod -o json --fail-on warn | jq '.findings[] | select(.status == "Fail")'`,
		Args: usageArgs(cobra.NoArgs),
	}
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		target, err := flags.checkCheck()
		if err != nil {
			return usageError{err}
		}
		return flags.run(cmd, target)
	}
	flags.addAccount(c)
	flags.accountFlags.output = "text" // of those that this command does not have
	c.Flags().StringVar(&flags.Table, "table", "", "the ledger's table (default: EKSPEDITE_TABLE, or what CloudFormation says)")
	c.Flags().StringVar(&flags.cluster, "cluster", "", "name of the cluster")
	c.Flags().StringVar(&flags.region, "region", "", "the cluster's Region (default: where the ledger has it, or --home)")
	c.Flags().StringVar(&flags.to, "to", "", "the version, such as 1.36 (default: the next one)")
	c.Flags().StringVarP(&flags.format, "output", "o", "table", "table, json, sarif or html; it goes to standard output and nothing else does")
	c.Flags().StringVar(&flags.html, "html", "", "file for a page that can be handed on")
	c.Flags().StringVar(&flags.failOn, "fail-on", "block", "exit code 1 where something blocks (block), or also for warnings (warn)")
	c.Flags().BoolVar(&flags.refresh, "refresh", false, "have EKS look again, however new its findings are")
	c.Flags().DurationVar(&flags.wait, "wait", 10*time.Minute, "how long to wait for EKS to look again; 0 does not ask it to")
	c.Flags().StringVar(&flags.kubeconfig, "kubeconfig", "", "read the cluster with this file's client certificate, instead of your AWS credentials and an access entry")
	return c
}

func (f *upgradeCheckFlags) checkCheck() (target fleet.Minor, err error) {
	if f.cluster == "" {
		return 0, errors.New("name a cluster by --cluster")
	}
	if reports[f.format] == nil {
		return 0, fmt.Errorf("--output %q: use table, json, sarif or html", f.format)
	}
	if f.failOn != "block" && f.failOn != "warn" {
		return 0, fmt.Errorf("--fail-on %q: use block or warn", f.failOn)
	}
	if f.refresh && f.wait <= 0 {
		return 0, errors.New("--refresh needs time: --wait is 0")
	}
	if f.to == "" {
		return 0, nil
	}
	if target, err = fleet.ParseMinor(f.to); err != nil {
		err = fmt.Errorf("--to: %w", err)
	}
	return target, err
}

func (f *upgradeCheckFlags) run(cmd *cobra.Command, target fleet.Minor) error {
	ctx, warn := cmd.Context(), cmd.ErrOrStderr()
	d, err := f.open(ctx)
	if err != nil {
		return err
	}
	id, policy, cache, err := f.subject(ctx, d, warn)
	if err != nil {
		return err
	}
	cfg := d.In(id.Region)
	aws := awscloud.NewReadiness(cfg)
	if err := f.refreshed(ctx, aws, id, warn); err != nil {
		return err
	}
	fmt.Fprintf(warn, "reading cluster %s …\n", id)
	began := time.Now()
	inside := func(ctx context.Context, _ string) (observe.ClusterAPI, error) {
		return entered(ctx, cfg, id, f.kubeconfig)
	}
	o, err := observe.NewReadiness(aws, inside, cache, id.Region, time.Now).Cluster(ctx, id, target, policy)
	if fault.Is(err, fault.NotFound) {
		return fmt.Errorf("there is no cluster %s in %s of this account: name its Region by --region. %w", id.Name, id.Region, err)
	} else if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil { // a report of which half is unknown is of no use
		return err
	}
	fmt.Fprintf(warn, "read in %s\n", time.Since(began).Round(10*time.Millisecond))
	report := readiness.Check(time.Now().UTC(), o, policy)
	if f.html != "" {
		if err := writeFile(f.html, func(w io.Writer) error { return upgradeview.ReadinessHTML(w, report) }); err != nil {
			return err
		}
		fmt.Fprintf(warn, "the page is in %s\n", f.html)
	}
	if err := reports[f.format](cmd.OutOrStdout(), report); err != nil {
		return err
	}
	if !report.Ready() || f.failOn == "warn" && slices.ContainsFunc(report.Findings, warns) {
		return exitError(exitFailed)
	}
	return nil
}

// warns tells whether a finding is one that --fail-on warn fails for.
func warns(f readiness.Finding) bool {
	return f.Status == readiness.Fail && f.Severity != readiness.Info
}

// subject is the cluster, with its policy and with what others have read of its Region; without a ledger, or a cluster in it,
// the default policy, and nothing.
func (f *upgradeCheckFlags) subject(ctx context.Context, d *deployment.Deployment, warn io.Writer) (fleet.ClusterID, fleet.UpgradePolicy, observe.Cache, error) {
	region := f.region
	if region == "" {
		region = d.Region
	}
	id := fleet.ClusterID{Region: region, Name: f.cluster}
	l, err := d.Ledger(ctx)
	if err != nil {
		fmt.Fprintf(warn, "warning: the checks' limits are the defaults, and no waivers hold: %v\n", err)
		return id, fleet.DefaultUpgradePolicy(), nil, ctx.Err()
	}
	known, policy, err := policyOf(ctx, l, f.cluster, f.region)
	switch {
	case err == nil:
		return known, policy, lookedUp{l}, nil
	case fault.Is(err, fault.NotFound):
		fmt.Fprintf(warn, "warning: the checks' limits are the defaults, and no waivers hold: %v\n", err)
		return id, fleet.DefaultUpgradePolicy(), lookedUp{l}, nil
	}
	return id, fleet.UpgradePolicy{}, nil, err
}

// policyOf finds a cluster in the ledger, with its policy.
func policyOf(ctx context.Context, l *ledger.Ledger, name, region string) (fleet.ClusterID, fleet.UpgradePolicy, error) {
	id, err := resolve(ctx, l, name, region)
	if err != nil {
		return id, fleet.UpgradePolicy{}, err
	}
	p, err := l.Policy(ctx, id)
	return id, p.Upgrade, err
}

const (
	// insightsFor is how old EKS's findings may be: it looks once a day by itself.
	insightsFor  = 24 * time.Hour
	refreshEvery = 5 * time.Second
)

// refreshed has EKS look at the cluster again where its findings are old, and waits until it has. That it does not is told, and
// no reason to be without a report: the checks say how old findings are.
func (f *upgradeCheckFlags) refreshed(ctx context.Context, aws *awscloud.Readiness, id fleet.ClusterID, warn io.Writer) error {
	if f.wait <= 0 {
		return nil
	}
	if !f.refresh {
		list, err := aws.Insights(ctx, id.Name)
		old := slices.ContainsFunc(list, func(i readiness.Insight) bool { return time.Since(i.LastRefresh) > insightsFor })
		if err != nil || !old { // what cannot be read is told by the checks
			return ctx.Err()
		}
	}
	began := time.Now()
	fmt.Fprintln(warn, "EKS looks at the cluster again …")
	err := aws.RefreshInsights(ctx, id.Name)
	for err == nil {
		var r readiness.InsightsRefresh
		if r, err = aws.InsightsRefresh(ctx, id.Name); err != nil {
			break
		}
		switch {
		case r.Status == "COMPLETED":
			fmt.Fprintf(warn, "EKS has looked, in %s\n", time.Since(began).Round(time.Second))
			return nil
		case r.Status == "FAILED":
			err = fault.New(fault.Transient, "it failed: %s", r.Message)
		case time.Since(began) > f.wait:
			err = fault.New(fault.Transient, "it is not over after %s", f.wait)
		default:
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(refreshEvery):
			}
		}
	}
	fmt.Fprintf(warn, "warning: EKS's findings are not new: %v\n", err)
	return ctx.Err()
}
