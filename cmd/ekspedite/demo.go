package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/demo"
)

func demoCommand() *cobra.Command {
	var flags cloudFlags
	var keep bool
	var output string
	c := &cobra.Command{
		Use:   "demo",
		Short: "Create a cluster, interrupt a spot instance and watch it being drained and replaced, with no AWS account",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output != "text" && output != "json" {
				return usageError{fmt.Errorf("--output %q: use text or json", output)}
			}
			ctx, out := cmd.Context(), cmd.OutOrStdout()
			fmt.Fprintln(out, "Starting the embedded cloud: AWS's APIs on loopback, the functions' own binaries, the committed template")
			cloud, stop, err := flags.start(ctx, out)
			if err != nil {
				return err
			}
			defer stop()
			s, err := demo.Run(ctx, demo.Options{
				Root: flags.root, Out: out, Cloud: cloud,
			})
			if err != nil {
				s.Failures = append(s.Failures, err.Error())
			}
			if err := report(out, &s, output); err != nil {
				return err
			}
			if keep && ctx.Err() == nil {
				howToReach(out, cloud)
				fmt.Fprintln(out, "Running until Ctrl-C.")
				<-ctx.Done()
				return nil
			}
			if len(s.Failures) > 0 {
				return errors.New("the demo's expectations did not hold; with KEEP=1 everything stays up to be looked at")
			}
			return nil
		},
	}
	flags.add(c, "hostile")
	c.Flags().BoolVar(&keep, "keep", false, "leave everything running at the end, until Ctrl-C")
	c.Flags().StringVar(&output, "output", "text", "text, or json for the summary as one JSON line at the end")
	return c
}

func report(w io.Writer, s *demo.Summary, output string) error {
	s.Print(w)
	if output == "json" {
		return s.JSON(w)
	}
	return nil
}
