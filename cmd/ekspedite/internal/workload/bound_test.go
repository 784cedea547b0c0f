package workload

import (
	"math"
	"testing"

	"github.com/ekspedite/ekspedite/shared/decide/packing"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// bounded is a problem of two types: one with much memory and one with much processor for the same price, in two zones.
func bounded(pods ...fleet.Pod) packing.Problem {
	offers := []packing.Offering{{Zone: "a", Capacity: fleet.OnDemand, Price: 1}, {Zone: "b", Capacity: fleet.OnDemand, Price: 2}}
	return packing.Problem{
		Pods: pods, Pools: []packing.Pool{{Name: "p", Machines: []int{0, 1}}},
		Types: []packing.Type{
			{Name: "c", Arch: "amd64", MaxPods: 100, Allocatable: fleet.Resources{CPU: 2000, Memory: 1000}, Offerings: offers},
			{Name: "m", Arch: "amd64", MaxPods: 100, Allocatable: fleet.Resources{CPU: 1000, Memory: 2000}, Offerings: offers},
		},
	}
}

func some(n int, d fleet.Demand) (out []fleet.Pod) {
	for range n {
		out = append(out, fleet.Pod{Namespace: "default", Labels: map[string]string{"app": "x"}, Demand: &d})
	}
	return out
}

func TestBoundByHand(t *testing.T) {
	x := &fleet.Selector{Labels: map[string]string{"app": "x"}}
	ask := fleet.Resources{CPU: 300, Memory: 300}
	for name, tc := range map[string]struct {
		p    packing.Problem
		want float64
	}{
		// A third and a third of a node: a type has either of the two for three pods and a third.
		"either type":             {bounded(some(10, fleet.Demand{Requests: ask})...), 3},
		"one type alone":          {bounded(some(10, fleet.Demand{Requests: ask, NodeSelector: map[string]string{fleet.LabelInstanceType: "c"}})...), 3},
		"the zone that is dearer": {bounded(some(10, fleet.Demand{Requests: ask, NodeSelector: map[string]string{fleet.LabelZone: "b"}})...), 6},
		// All of the first and two thirds of the second kind fill 2 1/3 nodes of type c, the rest takes a third of one of type m.
		"two kinds": {bounded(append(some(10, fleet.Demand{Requests: fleet.Resources{CPU: 400, Memory: 100}}), some(10, fleet.Demand{Requests: fleet.Resources{CPU: 100, Memory: 200}})...)...), 8.0 / 3},
		// 4 of 9 have to be in the dearer zone.
		"spread over zones":   {bounded(some(9, fleet.Demand{Requests: ask, Spread: []fleet.Spread{{MaxSkew: 1, TopologyKey: fleet.LabelZone, Selector: x}}})...), (5 + 2*4) * 0.3},
		"each for itself":     {bounded(some(10, fleet.Demand{Requests: ask, AntiAffinity: []fleet.PodTerm{{TopologyKey: fleet.LabelHostname, Selector: x}}})...), 10},
		"who fits nowhere":    {bounded(some(1, fleet.Demand{Requests: fleet.Resources{CPU: 2001}})...), 0},
		"only for processors": {bounded(some(10, fleet.Demand{Requests: fleet.Resources{CPU: 300}})...), 1.5},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Bound(tc.p); math.Abs(got-tc.want) > 0.01*tc.want {
				t.Errorf("it is %v, want %v", got, tc.want)
			}
		})
	}
}

// No plan is below the bound, and plans are not far above it.
func TestPlansAreAboveTheBound(t *testing.T) {
	for _, s := range []Shape{{Kind: "web", Pods: 800, Types: 60, Seed: 1}, {Kind: "mixed", Pods: 800, Types: 100, Seed: 2}, {Kind: "diverse", Pods: 300, Types: 30, Seed: 3}} {
		f, err := Generate(s)
		if err != nil {
			t.Fatal(err)
		}
		p, err := f.Problem()
		if err != nil {
			t.Fatal(err)
		}
		bound, price := Bound(p), packing.Solve(p).Price
		if bound <= 0 || price < bound || price > 1.5*bound {
			t.Errorf("%s costs %v, the bound is %v", s.Kind, price, bound)
		}
	}
}
