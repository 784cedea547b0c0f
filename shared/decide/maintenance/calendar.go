// Package maintenance says when maintenance may go on: windows that come again on the clock of a time zone, less blackouts
// and freezes.
package maintenance

import (
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Calendar is when maintenance may go on for one cluster.
type Calendar struct {
	Windows   []fleet.MaintenanceWindow
	Blackouts []fleet.Blackout // the cluster's and the fleet's
	Freezes   []fleet.Freeze   // those that are for the cluster
}

// Opening is a time in which maintenance may go on.
type Opening struct {
	From   time.Time `json:"from"`
	Until  time.Time `json:"until"`
	Window string    `json:"window,omitempty"` // its name
}

// Verdict answers whether a step may start.
type Verdict struct {
	OK bool `json:"ok"`
	// Until is when the present opening ends, if OK.
	Until time.Time `json:"until,omitzero"`
	// Next is when it may start at the earliest, if not OK; zero if never within Horizon, as of what is known now.
	Next time.Time `json:"next,omitzero"`
	// Why is a sentence: "the step takes 40 minutes, and the window saturdays ends in 25".
	Why string `json:"why,omitempty"`
}

// Horizon is how far ahead an opening is looked for.
const Horizon = 400 * 24 * time.Hour
