package interruption

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Triage is what is to be done about the machines of one cluster that fail EC2's status checks.
type Triage struct {
	Drain []fleet.Impairment // by instance id
	// Report is a sentence if machines have failed for long enough and are left alone; "" otherwise.
	Report string
}

// SortOut answers a sweep that found machines of a cluster impaired. machines is how many the cluster has. If a large part fails at
// once, the checks or a zone fail, not machines: draining would take the rest of the cluster away from its pods.
func SortOut(now time.Time, machines int, failing []fleet.Impairment, policy fleet.StatusCheckPolicy) (t Triage) {
	if policy.Action == fleet.StatusIgnore {
		return t
	}
	var ripe []fleet.Impairment
	var names []string
	for _, i := range failing {
		if !i.Since.IsZero() && !now.Before(i.Since.Add(policy.After)) {
			ripe = append(ripe, i)
			names = append(names, i.InstanceID)
		}
	}
	slices.SortFunc(ripe, func(a, b fleet.Impairment) int { return strings.Compare(a.InstanceID, b.InstanceID) })
	slices.Sort(names)
	allowed := max(1, int(policy.MaxUnhealthy*float64(machines)))
	switch {
	case len(ripe) == 0:
	case len(failing) > allowed:
		t.Report = fmt.Sprintf("%d of %d machines fail EC2's status checks, and the policy has %d drained at once: none is. It is a zone, or the checks: %s",
			len(failing), machines, allowed, strings.Join(names, ", "))
	case policy.Action == fleet.StatusReport:
		t.Report = "machines fail EC2's status checks, and the policy has it reported: " + strings.Join(names, ", ")
	default:
		t.Drain = ripe
	}
	return t
}
