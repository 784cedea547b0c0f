package main

import (
	"github.com/spf13/cobra"
)

func scaleCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "scale",
		Short: "Plan which nodes a cluster needs, and see why",
		Long: `Plan which nodes a cluster needs, and see why: for a workload in a file, which needs neither a cluster nor an account, or for
a cluster as it is now.` + exits("1 it failed", "2 the command line or a file is wrong", "130 interrupted"),
	}
	c.AddCommand(scalePlan(), scaleNow(), scaleShow(), scaleBench(), scaleGenerate())
	return c
}
