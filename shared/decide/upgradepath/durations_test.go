package upgradepath

import (
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// How long groups take, and how many nodes run beside the old ones. The first two are near what was observed: 28 min for a
// group of one node, 34 min for seven.
func TestGroupTakes(t *testing.T) {
	for name, c := range map[string]struct {
		g        Group
		strategy fleet.NodeStrategy
		nodes    int
		atOnce   int
		takes    time.Duration
		surge    int
	}{
		"one node in three zones":               {g: Group{Zones: 3}, nodes: 1, takes: 24, surge: 6},
		"seven":                                 {g: Group{Zones: 3}, nodes: 7, takes: 36, surge: 6},
		"one zone":                              {g: Group{Zones: 1}, nodes: 7, takes: 26, surge: 2},
		"ten of forty at once: more surge":      {g: Group{Zones: 3, MaxUnavailable: 10}, nodes: 40, takes: 40, surge: 10},
		"a quarter at once":                     {g: Group{Zones: 3, MaxUnavailablePercent: 25}, nodes: 40, takes: 40, surge: 10},
		"a percentage of few is one":            {g: Group{Zones: 3, MaxUnavailablePercent: 25}, nodes: 3, takes: 28, surge: 6},
		"none":                                  {g: Group{Zones: 3}, takes: 2},
		"minimal: no surge":                     {g: Group{Zones: 3}, strategy: fleet.NodesMinimal, nodes: 3, takes: 23},
		"blue/green: as many again":             {g: Group{Zones: 3}, strategy: fleet.NodesBlueGreen, nodes: 10, takes: 33, surge: 10},
		"blue/green, five at once":              {g: Group{Zones: 3}, strategy: fleet.NodesBlueGreen, nodes: 10, atOnce: 5, takes: 17, surge: 10},
		"self-managed":                          {g: Group{Zones: 3, SelfManaged: true}, nodes: 4, takes: 30, surge: 1},
		"self-managed, three at once":           {g: Group{Zones: 3, SelfManaged: true}, nodes: 4, atOnce: 3, takes: 16, surge: 3},
		"self-managed, more at once than nodes": {g: Group{Zones: 3, SelfManaged: true}, nodes: 2, atOnce: 3, takes: 9, surge: 2},
	} {
		p := fleet.NodeUpgradePolicy{AtOnce: c.atOnce}
		if got := groupTakes(c.g, c.strategy, c.nodes, p); got != c.takes*time.Minute {
			t.Errorf("%s: %s, not %d minutes", name, got, c.takes)
		}
		if got := surge(c.g, c.strategy, c.nodes, p); got != c.surge {
			t.Errorf("%s: %d nodes more, not %d", name, got, c.surge)
		}
	}
	g := Group{Zones: 1, InstanceTypes: []string{"big", "small", "unknown"}}
	st := Step{Nodes: 1, Takes: 30 * time.Minute}
	if got := surgeCost(g, st, fleet.NodeUpgradePolicy{}, map[string]float64{"small": 1, "big": 4}); got != 4 { // two of the dearest for half an hour
		t.Errorf("the surge costs %v", got)
	}
}

func TestText(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 45 * time.Second: "45s", time.Minute: "1 min", 90 * time.Minute: "1 h 30 min", 24 * time.Hour: "1 d", 26*time.Hour + 3*time.Minute: "1 d 2 h 3 min",
	} {
		if got := Text(d); got != want {
			t.Errorf("%d is %q, not %q", d, got, want)
		}
	}
}

func TestCompareReleases(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"1.36.6-20261112", "1.36.6-20261001", 1}, {"1.36.6-20261001", "1.36.6-20261112", -1}, {"1.36.6-20261112", "1.36.6-20261112", 0},
		{"1.36.10-20261001", "1.36.6-20261112", 1}, {"1.50.0-1a2b3c4d", "1.50.0-ffffffff", 0}, {"1.50.0-1a2b3c4d", "1.9.0-ffffffff", 1},
	} {
		got := compareReleases(c.a, c.b)
		if got > 0 != (c.want > 0) || got < 0 != (c.want < 0) {
			t.Errorf("%s and %s: %d", c.a, c.b, got)
		}
	}
}
