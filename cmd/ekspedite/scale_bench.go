package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/scaleview"
	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/workload"
)

// benchShapes are what the planner is measured by, the greatest last because memory is counted up to each.
var benchShapes = []workload.Shape{
	{Kind: "web", Pods: 5000, Types: 400, Seed: 1},
	{Kind: "diverse", Pods: 5000, Types: 400, Seed: 42},
	{Kind: "mixed", Pods: 5000, Types: 800, Seed: 11},
	{Kind: "mixed", Pods: 20_000, Types: 800, Seed: 12},
	{Kind: "replan", Pods: 30_000, Types: 400, Nodes: 1000, Seed: 1},
	{Kind: "refill", Pods: 30_000, Types: 400, Nodes: 1000, Seed: 1},
	{Kind: "web", Pods: 100_000, Types: 400, Seed: 1},
}

func scaleBench() *cobra.Command {
	var flags accountFlags
	var runs, effort int
	var only string
	var bound bool
	c := &cobra.Command{
		Use:   "bench",
		Short: "Measure the planner on made-up workloads of many sizes",
		Long: `Measure the planner on workloads that are made by a seeded generator: time, processor time, memory and price. Each is
written as a file and read again, so that reading is measured, too, and each plan is checked by Kubernetes' rules.` +
			exits("1 a plan broke a rule", "2 the command line is wrong", "130 interrupted"),
		Example: `  ekspedite scale bench
  ekspedite scale bench --only mixed --runs 5 --output json`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := flags.check(); err != nil {
				return err
			}
			if runs < 1 {
				return usageError{fmt.Errorf("--runs %d: 1 or more", runs)}
			}
			b := scaleview.Bench{CPUs: runtime.GOMAXPROCS(0)}
			for _, s := range benchShapes {
				if !strings.HasPrefix(s.Kind, only) {
					continue
				}
				if err := cmd.Context().Err(); err != nil {
					return err
				}
				r, err := benchOne(s, runs, effort, bound)
				if err != nil {
					return fmt.Errorf("%s, %d pods: %w", s.Kind, s.Pods, err)
				}
				fmt.Fprintf(cmd.ErrOrStderr(), "%s: %.1f ms\n", r.Workload, r.MedianSolveMs)
				b.Rows = append(b.Rows, r)
			}
			if len(b.Rows) == 0 {
				return usageError{fmt.Errorf("--only %q: none of %s", only, strings.Join(workload.Kinds(), ", "))}
			}
			return flags.print(cmd.OutOrStdout(), b, func(w io.Writer) error { b.Text(w); return nil })
		},
	}
	flags.addOutput(c)
	c.Flags().IntVar(&runs, "runs", 3, "how often to plan each")
	c.Flags().IntVar(&effort, "effort", 0, "rounds of search for a cheaper plan after the first; 0 is the default, -1 none")
	c.Flags().BoolVar(&bound, "bound", false, "say how far prices are above what no plan can be below; takes a minute")
	c.Flags().StringVar(&only, "only", "", "only workloads of this kind: "+strings.Join(workload.Kinds(), ", "))
	return c
}

func benchOne(shape workload.Shape, runs, effort int, bound bool) (scaleview.Report, error) {
	text, err := generated(shape)
	if err != nil {
		return scaleview.Report{}, err
	}
	began := time.Now()
	p, name, err := loadWorkload(bytes.NewReader(text), "-")
	if err != nil {
		return scaleview.Report{}, err
	}
	r := scaleview.Report{Workload: name, LoadMs: milliseconds(time.Since(began))}
	p.Options.Effort = effort
	s, t := workload.Measure(p, runs)
	r.Runs, r.MedianSolveMs, r.CPUMs, r.MaxRSSMB = t.Runs, milliseconds(t.Solve), milliseconds(t.CPU), workload.MaxRSSMB()
	if bound {
		r.LowerBound = workload.Bound(p)
	}
	r.Figures(p, s, scaleview.Draw(name, p, s))
	if b := workload.Validate(p, s); len(b) > 0 {
		return r, fmt.Errorf("the plan breaks %d rules, the first: %s", len(b), b[0])
	}
	return r, nil
}

// generated is a made-up workload as a file.
func generated(s workload.Shape) ([]byte, error) {
	f, err := workload.Generate(s)
	if err != nil {
		return nil, err
	}
	return json.Marshal(f)
}

func scaleGenerate() *cobra.Command {
	var shape workload.Shape
	c := &cobra.Command{
		Use:   "generate",
		Short: "Write a made-up workload, always the same for the same flags",
		Long: `Write a made-up workload to standard output, always the same for the same flags. Its machines are of a made-up catalogue,
its prices are no cloud's.` + exits("2 the command line is wrong"),
		Example: `  ekspedite scale generate --kind mixed --pods 5000 --types 800 --seed 7 > mixed.json
  ekspedite scale generate --kind web --pods 100000 | ekspedite scale plan --workload -`,
		Args: usageArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			text, err := generated(shape)
			if err != nil {
				return usageError{err}
			}
			_, err = cmd.OutOrStdout().Write(append(text, '\n'))
			return err
		},
	}
	c.Flags().StringVar(&shape.Kind, "kind", "web", "one of "+strings.Join(workload.Kinds(), ", "))
	c.Flags().IntVar(&shape.Pods, "pods", 5000, "how many pods")
	c.Flags().IntVar(&shape.Types, "types", 400, "how many instance types")
	c.Flags().IntVar(&shape.Nodes, "nodes", 0, "how many nodes that exist already (replan and refill)")
	c.Flags().Int64Var(&shape.Seed, "seed", 1, "of the random numbers")
	return c
}
