package main

import (
	"github.com/spf13/cobra"
)

func upgradeCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "upgrade",
		Short: "Check, plan, run and halt upgrades and maintenance of clusters",
		Long: `Check whether a cluster may be upgraded, see the whole way, have it done, and stop it. What is asked for here is done by
the upgrade function; maintenance that a policy asks for happens by itself.` +
			exits("1 it failed, or is not ready", "2 the command line or a file is wrong", "3 it goes on, --timeout is over", "130 interrupted"),
	}
	c.AddCommand(upgradeCheck(), upgradePlan(), upgradeCalendar(), upgradeStart(), upgradeShow(), upgradeRollout(), upgradeFreeze(), upgradeUnfreeze(), upgradeFreezes())
	c.AddCommand(upgradeControls()...)
	return c
}
