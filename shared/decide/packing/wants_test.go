package packing

import (
	"fmt"
	"testing"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

func newNodes(t *testing.T, s Solution, n int) {
	t.Helper()
	if len(s.New) != n || len(s.Unplaced) > 0 {
		t.Errorf("%d new nodes, want %d; left out: %+v", len(s.New), n, s.Unplaced)
	}
}

func onType(t *testing.T, at []where, name string) {
	t.Helper()
	if len(at) != 1 || at[0].node != name {
		t.Errorf("on %+v, want one %s", at, name)
	}
}

func capacity(t *testing.T, at []where, want string) {
	t.Helper()
	for _, w := range at {
		if w.isNew && w.capacity != want {
			t.Errorf("a node is %s, want %s", w.capacity, want)
		}
	}
}

func spotOnly(t *testing.T, at []where) { t.Helper(); capacity(t, at, fleet.Spot) }

// onDemandAlone: two pods that ask for on-demand get what is enough for them, and draw nobody else there.
func onDemandAlone(t *testing.T, _ Problem, s Solution, at []where) {
	cores := map[string]int{}
	for _, w := range at {
		cores[w.capacity] += w.apps["web"] + w.apps["db"]
		if w.capacity == fleet.OnDemand && (w.node != "small" || w.apps["db"] != 2) {
			t.Errorf("on demand there is a %s with %v", w.node, w.apps)
		}
	}
	if cores[fleet.Spot] < 12 || len(s.Unplaced) > 0 {
		t.Errorf("pods by capacity type: %v; left out: %+v", cores, s.Unplaced)
	}
}

func keeps(name string, n int) func(*testing.T, Problem, Solution, []where) {
	return func(t *testing.T, _ Problem, _ Solution, at []where) {
		got := 0
		for _, w := range at {
			got += w.apps[name]
		}
		if got != n {
			t.Errorf("%d pods of %s are placed, want %d", got, name, n)
		}
	}
}

func inZone(zone string) func(*testing.T, Problem, Solution, []where) {
	return func(t *testing.T, _ Problem, s Solution, at []where) {
		if len(s.Unplaced) > 0 {
			t.Errorf("left out: %+v", s.Unplaced)
		}
		for _, w := range at {
			if w.zone != zone {
				t.Errorf("a pod is in zone %s, want %s", w.zone, zone)
			}
		}
	}
}

func shares(most float64) func(*testing.T, Problem, Solution, []where) {
	return func(t *testing.T, p Problem, s Solution, _ []where) {
		count := map[string]float64{}
		for _, n := range s.New {
			count[p.Types[n.Type].Name+p.Types[n.Type].Offerings[n.Offering].Zone]++
		}
		for pool, n := range count {
			if n > most*float64(len(s.New)) || len(s.Unplaced) > 0 {
				t.Errorf("spot pool %s has %g of %d nodes; left out: %d", pool, n, len(s.New), len(s.Unplaced))
			}
		}
	}
}

// What pods of the tests can be told to want.

func tolerant(p *fleet.Pod) {
	p.Tolerations = []fleet.Toleration{{Key: "gpu", Operator: "Exists"}}
}

func important(p *fleet.Pod) { p.Priority = 1000 }

func gpu(p *fleet.Pod) { p.Demand.Requests.Other = map[string]int64{"nvidia.com/gpu": 1} }

func hates(other string) func(*fleet.Pod) {
	return func(p *fleet.Pod) {
		p.Demand.AntiAffinity = []fleet.PodTerm{{TopologyKey: fleet.LabelHostname, Selector: app(other)}}
	}
}

func near(other, key string) func(*fleet.Pod) {
	return func(p *fleet.Pod) {
		p.Demand.Affinity = []fleet.PodTerm{{TopologyKey: key, Selector: app(other)}}
	}
}

func port(n int32) func(*fleet.Pod) {
	return func(p *fleet.Pod) { p.Demand.HostPorts = []fleet.HostPort{{Port: n}} }
}

func volume(id, zone string, alone bool) func(*fleet.Pod) {
	return func(p *fleet.Pod) {
		p.Demand.Volumes = []fleet.Volume{{ID: id, Alone: alone, Where: []fleet.NodeTerm{{Labels: []fleet.Requirement{{Key: fleet.LabelZone, Operator: "In", Values: []string{zone}}}}}}}
	}
}

func distinctVolumes(n int) (out []fleet.Pod) {
	for i := range n {
		p := pods("web", 1, func(p *fleet.Pod) {
			p.Demand.Volumes = []fleet.Volume{{ID: fmt.Sprint("v", i), Driver: "ebs.csi.aws.com"}}
		})[0]
		p.Name = fmt.Sprint("web-", i)
		out = append(out, p)
	}
	return out
}

func limitVolumes(p *Problem, n int) {
	for i := range p.Types {
		p.Types[i].AttachLimit = map[string]int{"ebs.csi.aws.com": n}
	}
}

func prefers(key, value string) func(*fleet.Pod) {
	return func(p *fleet.Pod) {
		p.Demand.PreferredNodes = []fleet.PreferredNode{{Weight: 100, Term: fleet.NodeTerm{Labels: []fleet.Requirement{{Key: key, Operator: "In", Values: []string{value}}}}}}
	}
}

func soft(edit func(*fleet.Pod)) func(*fleet.Pod) {
	return func(p *fleet.Pod) { edit(p); p.Demand.Spread[0].Soft = true }
}

func shortSpot(p *Problem) {
	for i := range p.Types {
		for j := range p.Types[i].Offerings {
			o := &p.Types[i].Offerings[j]
			o.Short = o.Capacity == fleet.Spot
		}
	}
}
