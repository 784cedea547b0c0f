package packing

import (
	"testing"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// TestSpreadCountsAsTheSchedulerDoes: found by internal/schedulertest, and made small by it.
func TestSpreadCountsAsTheSchedulerDoes(t *testing.T) {
	over := func(key string) func(*fleet.Pod) {
		return func(p *fleet.Pod) {
			p.Demand.Spread = []fleet.Spread{{MaxSkew: 1, TopologyKey: key, Selector: app("web")}}
		}
	}
	only := func(p Problem, zone string) Problem {
		p.Pools[0].Zones = []string{zone}
		return p
	}
	going := existing("old", "b", pods("web", 2)...)
	going.Pods[0].Deleting, going.Pods[1].Deleting = true, true
	full := existing("full", "b")
	full.Allocatable.CPU = 0
	inA := func(p *fleet.Pod) {
		p.Demand.Volumes = []fleet.Volume{{ID: "default/data", Where: []fleet.NodeTerm{{Labels: []fleet.Requirement{{Key: fleet.LabelZone, Operator: "In", Values: []string{"a"}}}}}}}
	}
	single := existing("single", "a")
	for _, test := range []struct {
		name    string
		problem Problem
		placed  int
	}{
		{"a zone without room counts", only(Problem{Pods: pods("web", 3, over(fleet.LabelZone)), Nodes: []Node{full}, Types: shop().Types, Pools: shop().Pools}, "a"), 1},
		{"a zone counts that a volume keeps out", only(Problem{Pods: pods("web", 3, over(fleet.LabelZone), inA), Nodes: []Node{existing("other", "b")}, Types: shop().Types, Pools: shop().Pools}, "a"), 1},
		{"who is being deleted does not", only(Problem{Pods: pods("web", 3, over(fleet.LabelZone)), Nodes: []Node{going}, Types: shop().Types, Pools: shop().Pools}, "a"), 3},
		{"the only host is the emptiest", Problem{Pods: pods("web", 3, over(fleet.LabelHostname)), Nodes: []Node{single}}, 3},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := Solve(test.problem)
			if got := len(test.problem.Pods) - len(s.Unplaced); got != test.placed {
				t.Errorf("%d placed, want %d: %+v", got, test.placed, s)
			}
		})
	}
}
