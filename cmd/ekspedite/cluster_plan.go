package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/clusterfile"
	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/clusterview"
	"github.com/ekspedite/ekspedite/shared/spec"
)

func clusterValidate() *cobra.Command {
	var flags accountFlags
	var strict bool
	c := &cobra.Command{
		Use:   "validate -f FILE",
		Short: "Check files, offline",
		Long: `Check files, offline: everything that is wrong is said at once, as FILE:LINE: error: path: what to do. Warnings name what
has no effect.` + exits("2 a file is wrong, or with --strict has warnings"),
		Example: `  ekspedite cluster validate -f cluster.yaml
  ekspedite cluster validate --strict -f clusters.yaml -f policies.yaml
  generate | ekspedite cluster validate -f - --output json`,
		Args: usageArgs(cobra.NoArgs),
	}
	files := fileFlag(c)
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := flags.check(); err != nil {
			return err
		}
		f, err := clusterfile.Load(*files, cmd.InOrStdin())
		if err != nil {
			return usageError{err}
		}
		v := clusterview.NewValidation(f, strict)
		err = flags.print(cmd.OutOrStdout(), v, func(w io.Writer) error { v.Text(w); return nil })
		if err == nil && !v.OK {
			return exitError(exitUsage)
		}
		return err
	}
	flags.addOutput(c)
	c.Flags().BoolVar(&strict, "strict", false, "warnings are errors")
	return c
}

// planFlags are of commands that show plans.
type planFlags struct {
	accountFlags
	full, inVPC, prune bool
}

func (f *planFlags) addPlan(c *cobra.Command) {
	c.Flags().BoolVar(&f.full, "full", false, "show the input of each call, too")
	c.Flags().BoolVar(&f.inVPC, "in-vpc", false, "ekspedite's functions are attached to a network that reaches private endpoints")
}

func clusterPlan() *cobra.Command {
	var flags planFlags
	c := &cobra.Command{
		Use:   "plan -f FILE",
		Short: "Show what would be done, call by call; nothing is written",
		Long: `Show what would be done to make clusters what their files say: the exact calls in their order, what runs in parallel, how
long it should take, and what preflight finds. It reads AWS with your credentials and writes nothing. Ids that AWS gives
when something is made look like ${vpc}. A cluster that is as its file says has nothing to do.` +
			exits("1 the plan would fail: preflight has errors", "2 a file is wrong", "130 interrupted"),
		Example: `  ekspedite cluster plan -f cluster.yaml
  ekspedite cluster plan -f cluster.yaml --full          # with the input of each call
  ekspedite cluster plan -f cluster.yaml --prune         # and what would be deleted
  ekspedite cluster plan -f cluster.yaml -o json | jq '.clusters[].steps[].calls[].api'`,
		Args: usageArgs(cobra.NoArgs),
	}
	files := fileFlag(c)
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		f, err := load(cmd, *files)
		if err != nil {
			return err
		}
		return flags.run(cmd, f)
	}
	flags.add(c)
	flags.addPlan(c)
	c.Flags().BoolVar(&flags.prune, "prune", false, "plan the deletion of what ekspedite made and the file does not name any more")
	return c
}

// run shows the plans of all clusters of files.
func (f *planFlags) run(cmd *cobra.Command, files clusterfile.Files) error {
	ctx := cmd.Context()
	if files.Fleet != nil {
		fmt.Fprintln(cmd.ErrOrStderr(), "the fleet's policy would take the place of the one before")
	}
	if len(files.Specs) == 0 {
		return nil
	}
	d, err := f.open(ctx)
	if err != nil {
		return err
	}
	p, err := plans(ctx, d, cmd.ErrOrStderr(), f.inVPC)
	if err != nil {
		return err
	}
	p.Options.Prune = f.prune
	list := []clusterview.Plan{}
	ok := true
	for _, s := range files.Specs {
		v, err := p.Plan(ctx, s, notActedOn(s))
		if err != nil {
			return err
		}
		ok = ok && v.OK
		list = append(list, v)
	}
	return f.show(cmd.OutOrStdout(), list, ok)
}

// show prints plans, and fails if one of them cannot succeed.
func (f *planFlags) show(w io.Writer, list []clusterview.Plan, ok bool) error {
	err := f.print(w, struct {
		Clusters []clusterview.Plan `json:"clusters"`
	}{list}, func(w io.Writer) error {
		for i, v := range list {
			if i > 0 {
				fmt.Fprintln(w)
			}
			if err := v.Text(w, f.full); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && !ok {
		return exitError(exitFailed)
	}
	return err
}

// notActedOn are notes on what of a cluster's file has no effect.
func notActedOn(s spec.Spec) (notes []string) {
	_, said := spec.Parse([]byte(s.Text))
	for _, p := range said.NotActedOn() {
		notes = append(notes, fmt.Sprintf("%s is not acted on: %s", p.Path, p.Message))
	}
	return notes
}

// usageArgs makes wrong arguments a mistake of the caller's.
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usageError{err}
		}
		return nil
	}
}
