package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/bench"
)

func benchCommand() *cobra.Command {
	var flags cloudFlags
	var out string
	var events, clusters int
	var only []string
	c := &cobra.Command{
		Use:   "bench",
		Short: "Measure the interruption function on the embedded cloud",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, w := cmd.Context(), cmd.OutOrStdout()
			for _, part := range only {
				if !slices.Contains(bench.Parts, part) {
					return usageError{fmt.Errorf("--only %s: the benchmark has no such part; it has %s", part, strings.Join(bench.Parts, ", "))}
				}
			}
			cloud, stop, err := flags.start(ctx, w)
			if err != nil {
				return err
			}
			defer stop()
			result, err := bench.Run(ctx, bench.Options{Out: w, Cloud: cloud, Events: events, Only: only, Clusters: clusters, BinDir: filepath.Join(flags.root, "build", "local")})
			if err != nil {
				return err
			}
			result.Print(w)
			if out == "" {
				return nil
			}
			text, err := json.MarshalIndent(result, "", "  ")
			if err != nil {
				return err
			}
			if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
				return err
			}
			fmt.Fprintf(w, "\nwritten to %s\n", out)
			return os.WriteFile(out, append(text, '\n'), 0o644)
		},
	}
	flags.add(c, "none") // faults would be measured instead
	c.Flags().StringVar(&out, "out", "", "file for the figures as JSON")
	c.Flags().StringSliceVar(&only, "only", nil, "parts to measure: "+strings.Join(bench.Parts, ", ")+" (default "+strings.Join(bench.Usual, ", ")+")")
	c.Flags().IntVar(&clusters, "clusters", 4, "over how many clusters the burst of 1,000 nodes goes")
	c.Flags().IntVar(&events, "events", 100, "how many interruptions to measure")
	return c
}
