package upgrade

import (
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

func TestTurn(t *testing.T) {
	p := fleet.DefaultFleetPolicy()
	canary := func(change func(*Standing)) []Standing {
		c := Standing{Cluster: fleet.ClusterID{Region: "r", Name: "c"}, Ring: "canary", CheckedAt: noon.Add(-time.Hour), Outcome: OutcomeUpgraded, EndedAt: noon.Add(-30 * time.Hour)}
		change(&c)
		return []Standing{c}
	}
	for name, c := range map[string]struct {
		ring string
		all  []Standing
		want string
	}{
		"the canary itself":                {"canary", canary(func(c *Standing) { c.Running = true }), ""},
		"after its soak":                   {"rest", canary(func(*Standing) {}), ""},
		"it soaks":                         {"early", canary(func(c *Standing) { c.EndedAt = noon.Add(-time.Hour) }), "ring canary soaks until 2026-11-24 11:00"},
		"it runs":                          {"early", canary(func(c *Standing) { c.Running = true }), "comes first"},
		"it was never looked at":           {"rest", canary(func(c *Standing) { c.CheckedAt = time.Time{} }), "has not been looked at"},
		"it is halted":                     {"rest", canary(func(c *Standing) { c.Halted, c.Running = true, true }), "has stopped"},
		"it was rolled back":               {"rest", canary(func(c *Standing) { c.Outcome = OutcomeRolledBack }), "has stopped"},
		"it was rolled back long ago":      {"rest", canary(func(c *Standing) { c.Outcome, c.EndedAt = OutcomeRolledBack, noon.Add(-8*24*time.Hour) }), ""},
		"it was not ready":                 {"rest", canary(func(c *Standing) { c.Outcome = OutcomeNotReady }), ""},
		"a ring that nobody knows is last": {"strange", canary(func(c *Standing) { c.EndedAt = noon }), "soaks"},
		"a later ring does not matter":     {"canary", []Standing{{Ring: "rest", Halted: true}}, ""},
		"its own ring does":                {"canary", canary(func(c *Standing) { c.Halted = true }), "has stopped"},
	} {
		if got := Turn(noon, c.ring, c.all, p); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, not %q", name, got, c.want)
		}
	}
	running := []Standing{{Ring: "early"}, {Ring: "early"}, {Ring: "rest"}}
	if !Room("early", running, p) || Room("early", append(running, Standing{Ring: "early"}), p) || Room("canary", []Standing{{Ring: "canary"}}, p) {
		t.Error("room")
	}
	if Turn(noon, "x", nil, fleet.FleetPolicy{}) != "" || !Room("x", running, fleet.FleetPolicy{}) {
		t.Error("without rings")
	}
}
