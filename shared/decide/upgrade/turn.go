package upgrade

import (
	"fmt"
	"slices"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Standing is how a cluster stands, as far as the scheduled maintenance of others depends on it.
type Standing struct {
	Cluster fleet.ClusterID
	Ring    string
	Running bool
	Halted  bool
	// Outcome and EndedAt are of its last run that is over.
	Outcome string
	EndedAt time.Time
	// CheckedAt is when somebody last looked whether maintenance is due.
	CheckedAt time.Time
}

const (
	// remembered is how long a run that went wrong stops others, if nobody has made another one of it.
	remembered = 7 * 24 * time.Hour
	// unchecked is how long ago a cluster of an earlier ring may have been looked at: most have a window once a week.
	unchecked = 8 * 24 * time.Hour
)

// Turn says why the schedule maintains no cluster of a ring now; "" if it may. Rings go in the policy's order, as they do when
// somebody asks for all of them: an earlier ring has been looked at, is at rest and has soaked; and no ring up to this one has shown
// more regressions than it may. all are the clusters of the fleet whose owners want maintenance.
func Turn(now time.Time, ring string, all []Standing, p fleet.FleetPolicy) string {
	own := ringOf(ring, p)
	bad := make([]int, len(p.Rings))
	for _, c := range all {
		at := ringOf(c.Ring, p)
		if at > own || at < 0 {
			continue
		}
		r := p.Rings[at]
		if c.Halted || slices.Contains([]string{OutcomeFailed, OutcomeRolledBack}, c.Outcome) && now.Sub(c.EndedAt) < remembered {
			if bad[at]++; bad[at] > r.Failures {
				return fmt.Sprintf("ring %s has stopped: cluster %s is %s", r.Name, c.Cluster, stateOf(c))
			}
			continue
		}
		switch {
		case at == own:
		case c.Running:
			return fmt.Sprintf("ring %s comes first: cluster %s is being maintained", r.Name, c.Cluster)
		case now.Sub(c.CheckedAt) > unchecked:
			return fmt.Sprintf("ring %s comes first: cluster %s has not been looked at", r.Name, c.Cluster)
		case c.Outcome == OutcomeUpgraded && now.Before(c.EndedAt.Add(r.Soak)):
			return fmt.Sprintf("ring %s soaks until %s", r.Name, stamp(c.EndedAt.Add(r.Soak)))
		}
	}
	return ""
}

// Room tells whether another cluster of a ring may be maintained beside those that are.
func Room(ring string, running []Standing, p fleet.FleetPolicy) bool {
	own := ringOf(ring, p)
	if own < 0 {
		return true
	}
	n := 0
	for _, c := range running {
		if ringOf(c.Ring, p) == own {
			n++
		}
	}
	return n < max(1, p.Rings[own].AtOnce)
}

// ringOf is the place of a ring in the policy's order: one that it does not know is the last one; -1 without any.
func ringOf(name string, p fleet.FleetPolicy) int {
	for i, r := range p.Rings {
		if r.Name == name {
			return i
		}
	}
	return len(p.Rings) - 1
}

func stateOf(c Standing) string {
	if c.Halted {
		return "halted"
	}
	return c.Outcome + " since " + stamp(c.EndedAt)
}
