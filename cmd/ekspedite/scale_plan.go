package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/clusterview"
	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/scaleview"
	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/workload"
	"github.com/ekspedite/ekspedite/shared/decide/packing"
)

// scalePlanFlags are those of `scale plan`.
type scalePlanFlags struct {
	accountFlags
	workload, nodes, html string
	cluster, region       string
	kubeconfig            string
	runs, effort          int
	bound                 bool
}

func scalePlan() *cobra.Command {
	var flags scalePlanFlags
	c := &cobra.Command{
		Use:   "plan --workload FILE | --cluster NAME",
		Short: "Show which nodes would be added and removed, for how much, and why; nothing is written",
		Long: `Show which nodes would be added and removed, for how much, and why. Nothing is asked for and nothing is written.

--workload plans for a file: pods, instance types with offerings and prices, node pools, nodes that exist. The plan is
checked by Kubernetes' rules before it is printed. --cluster plans for a cluster as it is now, as ekspedite's scaling
function would: it reads AWS and the cluster with your credentials. --html writes a page that shows the nodes before and
after.` + exits("1 it failed, or the plan broke a rule", "2 the command line or the file is wrong", "130 interrupted"),
		Example: `  ekspedite scale plan --workload examples/workloads/web.json
  ekspedite scale plan --workload load.json --output json --nodes nodes.json --runs 5
  ekspedite scale plan --workload - --html plan.html < load.json
  ekspedite scale plan --cluster prod --html plan.html`,
		Args: usageArgs(cobra.NoArgs),
	}
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := flags.checkPlan(); err != nil {
			return usageError{err}
		}
		if flags.cluster != "" {
			return flags.forCluster(cmd)
		}
		return flags.forWorkload(cmd)
	}
	flags.add(c)
	c.Flags().StringVar(&flags.workload, "workload", "", "file with a workload; - is standard input")
	c.Flags().StringVar(&flags.cluster, "cluster", "", "name of a cluster that ekspedite manages")
	c.Flags().StringVar(&flags.region, "region", "", "the cluster's Region, if several have one of that name")
	c.Flags().StringVar(&flags.kubeconfig, "kubeconfig", "", "read the cluster with this file's client certificate, instead of your AWS credentials and an access entry")
	c.Flags().StringVar(&flags.html, "html", "", "file for a page that shows the nodes before and after")
	c.Flags().StringVar(&flags.nodes, "nodes", "", "file for the list of new nodes with their pods, as JSON (with --workload)")
	c.Flags().IntVar(&flags.runs, "runs", 1, "how often to plan, for the figures (with --workload)")
	c.Flags().BoolVar(&flags.bound, "bound", false, "say how far the price is above what no plan can be below; takes seconds (with --workload)")
	c.Flags().IntVar(&flags.effort, "effort", 0, "rounds of search for a cheaper plan after the first; 0 is the default, -1 none (with --workload)")
	return c
}

func (f *scalePlanFlags) checkPlan() error {
	switch {
	case (f.workload == "") == (f.cluster == ""):
		return errors.New("name either a file by --workload or a cluster by --cluster")
	case f.cluster != "" && (f.nodes != "" || f.runs != 1 || f.bound || f.effort != 0):
		return errors.New("--nodes, --runs, --effort and --bound are for --workload")
	case f.kubeconfig != "" && f.cluster == "":
		return errors.New("--kubeconfig is for --cluster")
	case f.effort < -1:
		return fmt.Errorf("--effort %d: -1 or more", f.effort)
	case f.runs < 1 || f.runs > 1000:
		return fmt.Errorf("--runs %d: 1 to 1000", f.runs)
	}
	return f.check()
}

// forWorkload plans for a file.
func (f *scalePlanFlags) forWorkload(cmd *cobra.Command) error {
	began := time.Now()
	p, name, err := loadWorkload(cmd.InOrStdin(), f.workload)
	if err != nil {
		return usageError{err}
	}
	loaded := time.Since(began)
	p.Options.Effort = f.effort
	s, timing := workload.Measure(p, f.runs)
	v := scaleview.Draw(name, p, s)
	r := scaleview.Report{
		Workload: name, Runs: timing.Runs, MedianSolveMs: milliseconds(timing.Solve), CPUMs: milliseconds(timing.CPU),
		LoadMs: milliseconds(loaded), MaxRSSMB: workload.MaxRSSMB(), Breaches: workload.Validate(p, s),
	}
	if f.bound {
		r.LowerBound = workload.Bound(p)
	}
	r.Figures(p, s, v)
	if err := f.writeFiles(cmd, p, s, v); err != nil {
		return err
	}
	if err := f.print(cmd.OutOrStdout(), r, func(w io.Writer) error { r.Text(w, v); return nil }); err != nil {
		return err
	}
	if len(r.Breaches) > 0 {
		return fmt.Errorf("the plan breaks %d rules, which is a mistake of ekspedite's: do not use it, and report it with the file.\nThe first: %s", len(r.Breaches), r.Breaches[0])
	}
	return nil
}

// writeFiles writes what --nodes and --html ask for.
func (f *scalePlanFlags) writeFiles(cmd *cobra.Command, p packing.Problem, s packing.Solution, v scaleview.Picture) error {
	if f.nodes != "" {
		if err := writeFile(f.nodes, func(w io.Writer) error { return clusterview.JSON(w, scaleview.PlanNodes(p, s)) }); err != nil {
			return err
		}
	}
	return f.writePage(cmd, v)
}

func (f *scalePlanFlags) writePage(cmd *cobra.Command, v scaleview.Picture) error {
	if f.html == "" {
		return nil
	}
	if err := writeFile(f.html, func(w io.Writer) error { return scaleview.HTML(w, v) }); err != nil {
		return err
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "the page is %s\n", f.html)
	return nil
}

// loadWorkload reads a workload file. Its errors are whoever's who wrote the file.
func loadWorkload(stdin io.Reader, name string) (packing.Problem, string, error) {
	in := stdin
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return packing.Problem{}, "", err
		}
		defer func() { _ = file.Close() }() // only read
		in = file
	}
	w, err := workload.Load(in)
	if err != nil {
		return packing.Problem{}, "", fmt.Errorf("%s: %w", name, err)
	}
	p, err := w.Problem()
	if err != nil {
		return p, "", fmt.Errorf("%s: %w", name, err)
	}
	if w.Name == "" {
		w.Name = filepath.Base(name)
	}
	return p, w.Name, nil
}

// writeFile makes a file, or leaves none behind.
func writeFile(name string, write func(io.Writer) error) error {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	err = write(file)
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err != nil {
		_ = os.Remove(name) // the error at hand says more
	}
	return err
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
