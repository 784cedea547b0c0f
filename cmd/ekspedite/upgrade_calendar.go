package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/calendarview"
	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/clusterview"
	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/deployment"
	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/awscloud"
	"github.com/ekspedite/ekspedite/shared/decide/calendar"
	"github.com/ekspedite/ekspedite/shared/decide/upgradepath"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/spec"
)

// calendarFlags are those of `upgrade calendar`.
type calendarFlags struct {
	accountFlags
	format, cluster string
	days            int
	offline         bool
	files           *[]string
}

// maxDays is where windows end to be looked for.
const maxDays = 400

// calendars are the forms in which a calendar can be had.
var calendars = map[string]func(io.Writer, calendarview.Year) error{
	"text": calendarview.Text, "ics": calendarview.ICS,
	"json": func(w io.Writer, y calendarview.Year) error { return clusterview.JSON(w, y) },
}

// table says where the dates are from that are not asked of EKS.
const table = "ekspedite's own table, as of " + calendar.AsOf + " (" + calendar.Source + ")"

func upgradeCalendar() *cobra.Command {
	var flags calendarFlags
	c := &cobra.Command{
		Use:   "calendar [--cluster NAME] [--days 90] [-f FILE]",
		Short: "Show what maintenance would happen when: upgrades, patches, blackouts, ends of support",
		Long: `Show what would happen when, for the next 90 days: the upgrades that policies want and when they would begin, in windows, by
rings; patches; blackouts and freezes; ends of support, at which EKS upgrades by itself; waivers that end. What does not work
out is said as a warning: a deadline before which no window fits, an upgrade that is due and that nobody does.

It reads the ledger, and with your own credentials each cluster's version and EKS's dates; with --offline, and for files (-f),
versions are those of the files and dates those of a table of ekspedite's. Nothing is asked for and nothing is written.` +
			exits("1 it failed", "2 the command line or a file is wrong", "130 interrupted"),
		Example: `  ekspedite upgrade calendar
  ekspedite upgrade calendar --cluster prod --days 180 -o json | jq '.entries[] | select(.kind == "Warning")'
  ekspedite upgrade calendar -o ics > maintenance.ics
  ekspedite upgrade calendar -f examples/clusters/upgrades.yaml`,
		Args: usageArgs(cobra.NoArgs),
	}
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := flags.checkCalendar(); err != nil {
			return usageError{err}
		}
		now := time.Now().UTC()
		y := calendarview.Year{Now: now, Until: now.AddDate(0, 0, flags.days), Dates: table}
		var inputs []calendar.Input
		var all fleet.FleetPolicy
		var err error
		if len(*flags.files) > 0 {
			inputs, all, err = flags.fromFiles(cmd)
		} else {
			inputs, all, err = flags.fromLedger(cmd, &y)
		}
		if err != nil {
			return err
		}
		if len(inputs) == 0 && len(*flags.files) == 0 {
			fmt.Fprintln(cmd.ErrOrStderr(), "there is no cluster yet: ekspedite cluster apply -f FILE makes one")
		}
		if y.Entries = calendar.Year(now, y.Until, all, inputs); y.Entries == nil {
			y.Entries = []calendar.Entry{}
		}
		if flags.cluster != "" {
			if !slices.ContainsFunc(inputs, func(in calendar.Input) bool {
				return in.Cluster.Name == flags.cluster || in.Cluster.String() == flags.cluster
			}) {
				return fmt.Errorf("there is no cluster %s: `ekspedite cluster list` shows those that there are", flags.cluster)
			}
			y = y.Of(flags.cluster)
		}
		return calendars[flags.format](cmd.OutOrStdout(), y)
	}
	flags.files = fileFlag(c)
	flags.addAccount(c)
	flags.accountFlags.output = "text" // of those that this command does not have
	c.Flags().StringVar(&flags.Table, "table", "", "the ledger's table (default: EKSPEDITE_TABLE, or what CloudFormation says)")
	c.Flags().StringVarP(&flags.format, "output", "o", "text", "text, json or ics (iCalendar); it goes to standard output and nothing else does")
	c.Flags().StringVar(&flags.cluster, "cluster", "", "only this cluster: its name, or region/name; all count for rings")
	c.Flags().IntVar(&flags.days, "days", 90, "how many days ahead")
	c.Flags().BoolVar(&flags.offline, "offline", false, "only what the ledger knows: EKS is not asked")
	return c
}

func (f *calendarFlags) checkCalendar() error {
	if calendars[f.format] == nil {
		return fmt.Errorf("--output %q: use text, json or ics", f.format)
	}
	if f.days < 1 || f.days > maxDays {
		return fmt.Errorf("--days %d: 1 to %d are possible", f.days, maxDays)
	}
	return nil
}

// fromFiles is what files say, with the dates of the table.
func (f *calendarFlags) fromFiles(cmd *cobra.Command) (inputs []calendar.Input, all fleet.FleetPolicy, err error) {
	files, err := load(cmd, *f.files)
	if err != nil {
		return nil, all, err
	}
	for _, s := range files.Specs {
		inputs = append(inputs, wanted(fleet.ClusterID{Region: s.Cluster.Region, Name: s.Cluster.Name}, s))
	}
	if all = fleet.DefaultFleetPolicy(); files.Fleet != nil {
		all = *files.Fleet
	}
	return inputs, all, nil
}

// wanted is a cluster as its file has it.
func wanted(id fleet.ClusterID, s spec.Spec) calendar.Input {
	in := calendar.Input{Cluster: id, Policy: s.Policy.Upgrade}
	in.Facts.SupportType, in.Facts.Versions = s.Cluster.SupportType, calendar.Known()
	in.Facts.Version, _ = fleet.ParseMinor(s.Cluster.Version) // "" is EKS's default, which is not known
	return in
}

// fromLedger is what was asked for, and, unless that is not wanted, what EKS says of it now.
func (f *calendarFlags) fromLedger(cmd *cobra.Command, y *calendarview.Year) (inputs []calendar.Input, all fleet.FleetPolicy, err error) {
	ctx := cmd.Context()
	d, err := f.open(ctx)
	if err != nil {
		return nil, all, err
	}
	l, err := d.Ledger(ctx)
	if err != nil {
		return nil, all, err
	}
	if all, err = l.FleetPolicy(ctx); err != nil {
		return nil, all, err
	}
	freezes, err := l.Freezes(ctx)
	if err != nil {
		return nil, all, err
	}
	ids, err := l.Clusters(ctx)
	if err != nil {
		return nil, all, err
	}
	inputs = make([]calendar.Input, len(ids))
	err = each(ids, func(i int, id fleet.ClusterID) (err error) {
		inputs[i], err = rememberedFor(ctx, l, id, freezes)
		return err
	})
	if err != nil || f.offline {
		return inputs, all, err
	}
	a := asked{d: d, versions: map[string][]fleet.KubernetesVersion{}}
	if err := each(ids, func(i int, id fleet.ClusterID) error { a.look(ctx, &inputs[i]); return ctx.Err() }); err != nil {
		return nil, all, err
	}
	if len(ids) > 0 && a.failed == nil {
		y.Dates = "EKS"
	}
	if a.failed != nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "warning: of some clusters, version or dates are the files' and the table's: %v\n", a.failed)
	}
	return inputs, all, nil
}

// rememberedFor is what the ledger has of a cluster.
func rememberedFor(ctx context.Context, l *ledger.Ledger, id fleet.ClusterID, freezes []fleet.Freeze) (calendar.Input, error) {
	desired, err := l.Desired(ctx, id)
	if err != nil {
		return calendar.Input{}, err
	}
	policy, err := l.Policy(ctx, id)
	if err != nil {
		return calendar.Input{}, err
	}
	var s spec.Spec
	if specs, said := spec.Parse([]byte(desired.Text)); said.Err() == nil && len(specs) == 1 {
		s = specs[0]
	}
	in := wanted(id, s)
	in.Policy = policy.Upgrade
	for _, freeze := range freezes {
		if freeze.Covers(id, in.Policy.Ring) {
			in.Freezes = append(in.Freezes, freeze)
		}
	}
	u, err := l.Upgrade(ctx, id)
	if err != nil {
		return in, err
	}
	switch {
	case u.Running():
		in.Running = u.Phase
		if in.Running == "" {
			in.Running = u.Reason
		}
	case u.Outcome == events.OutcomeUpgraded && u.To > in.Facts.Version: // the file says what it was made with
		in.Facts.Version = u.To
	}
	if u.Outcome == events.OutcomeUpgraded && u.To > u.From {
		in.Facts.UpgradedAt = u.EndedAt
	}
	return in, nil
}

// authorityDates are what comes of a cluster's certificate authorities.
func authorityDates(list []upgradepath.Authority, p fleet.UpgradePolicy, now time.Time) (out []calendar.Expiry) {
	signer, successor, _ := upgradepath.Signer(list)
	if signer == nil || signer.Expires.IsZero() {
		return nil
	}
	out = append(out, calendar.Expiry{At: signer.Expires, What: "certificate authority " + signer.ID + " ends, which signs the cluster's certificates"})
	if due := upgradepath.RenewalDue(list, p.Patches, now); !due.IsZero() {
		if due.Before(now) {
			due = now
		}
		out = append(out, calendar.Expiry{At: due, What: "certificate authority " + signer.ID + " is to be replaced, by patches.renew: ekspedite upgrade plan --patch says what is next"})
	}
	if successor != nil && !successor.By(now).IsZero() {
		out = append(out, calendar.Expiry{At: successor.By(now), What: "EKS activates certificate authority " + successor.ID + " by itself: nodes and clients that do not trust it lose the API server"})
	}
	return out
}

// asked asks EKS, once for the versions of each Region.
type asked struct {
	d        *deployment.Deployment
	mu       sync.Mutex
	versions map[string][]fleet.KubernetesVersion
	failed   error
}

// look puts in what EKS says of a cluster, and notes what it does not.
func (a *asked) look(ctx context.Context, in *calendar.Input) {
	eks := awscloud.NewUpgrades(a.d.In(in.Cluster.Region))
	found, err := eks.Cluster(ctx, in.Cluster.Name)
	if err == nil {
		var m fleet.Minor
		if m, err = fleet.ParseMinor(fleet.Text(found.Props, "version")); err == nil {
			in.Facts.Version, in.Facts.SupportType = m, fleet.Text(found.Props, "upgradePolicy", "supportType")
		}
	}
	authorities, unread := eks.Authorities(ctx, in.Cluster.Name)
	in.Expires = authorityDates(authorities, in.Policy, time.Now())
	err = errors.Join(err, fault.Ignore(unread, fault.Invalid)) // not all Regions have them
	a.mu.Lock()
	defer a.mu.Unlock()
	list, known := a.versions[in.Cluster.Region]
	if !known {
		var failed error
		list, failed = eks.Versions(ctx)
		err = errors.Join(err, failed)
		a.versions[in.Cluster.Region] = list
	}
	if len(list) > 0 {
		in.Facts.Versions = list
	}
	if err != nil && a.failed == nil {
		a.failed = fmt.Errorf("%s: %w", in.Cluster, err)
	}
}
