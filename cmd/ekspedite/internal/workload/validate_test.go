package workload

import (
	"slices"
	"testing"

	"github.com/ekspedite/ekspedite/shared/decide/packing"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// plan is a problem with a solution that holds: two pods on two new nodes of one type, in zones a and b, beside one node that
// exists in zone a and has a pod.
func plan(change func(p *packing.Problem, s *packing.Solution)) (packing.Problem, packing.Solution) {
	labels := map[string]string{"app": "x"}
	pod := func(name string) fleet.Pod {
		return fleet.Pod{Namespace: "default", Name: name, Labels: labels, Demand: &fleet.Demand{Requests: fleet.Resources{CPU: 600, Memory: 600}}}
	}
	offer := func(zone string) packing.Offering {
		return packing.Offering{Zone: zone, Capacity: fleet.OnDemand, Price: 1}
	}
	p := packing.Problem{
		Pods: []fleet.Pod{pod("one"), pod("two")},
		Nodes: []packing.Node{{
			Name: "old", Labels: map[string]string{fleet.LabelZone: "a", fleet.LabelHostname: "old"}, MaxPods: 9, Allocatable: fleet.Resources{CPU: 1000, Memory: 1000},
			Pods: []fleet.Pod{{Namespace: "default", Name: "there", Labels: map[string]string{"app": "y"}, Demand: &fleet.Demand{Requests: fleet.Resources{CPU: 100}}}},
		}},
		Types: []packing.Type{{Name: "t", Arch: "amd64", MaxPods: 9, Allocatable: fleet.Resources{CPU: 1000, Memory: 1000}, AttachLimit: map[string]int{"ebs": 1}, Offerings: []packing.Offering{offer("a"), offer("b")}}},
		Pools: []packing.Pool{{Name: "p", Machines: []int{0}}},
	}
	s := packing.Solution{
		Placed: []int{1, 2}, Price: 2,
		New: []packing.NewNode{{Offering: 0, Pods: []int{0}}, {Offering: 1, Pods: []int{1}}},
	}
	change(&p, &s)
	return p, s
}

// place puts the second pod elsewhere: on the node that exists, or with the first.
func place(s *packing.Solution, old bool) {
	s.New[1].Pods = nil
	if s.Placed[1] = 1; old {
		s.Placed[1] = 0
		return
	}
	s.New[0].Pods = []int{0, 1}
}

func both(p *packing.Problem, f func(d *fleet.Demand)) {
	for i := range p.Pods {
		f(p.Pods[i].Demand)
	}
}

func TestPlansThatBreakRules(t *testing.T) {
	app := &fleet.Selector{Labels: map[string]string{"app": "x"}}
	other := &fleet.Selector{Labels: map[string]string{"app": "y"}}
	small := func(d *fleet.Demand) { d.Requests = fleet.Resources{CPU: 1} }
	zoneB := []fleet.NodeTerm{{Labels: []fleet.Requirement{{Key: fleet.LabelZone, Operator: "In", Values: []string{"b"}}}}}
	for rule, change := range map[string]func(p *packing.Problem, s *packing.Solution){
		"cpu":               func(p *packing.Problem, s *packing.Solution) { place(s, false) },
		"memory":            func(p *packing.Problem, _ *packing.Solution) { p.Pods[0].Demand.Requests.Memory = 1001 },
		"ephemeral storage": func(p *packing.Problem, _ *packing.Solution) { p.Pods[0].Demand.Requests.Storage = 1 },
		"nvidia.com/gpu": func(p *packing.Problem, _ *packing.Solution) {
			p.Pods[0].Demand.Requests.Other = map[string]int64{gpu: 1}
		},
		"pods": func(p *packing.Problem, s *packing.Solution) { both(p, small); p.Types[0].MaxPods = 1; place(s, false) },
		"taint": func(p *packing.Problem, _ *packing.Solution) {
			p.Pools[0].Taints = []fleet.Taint{{Key: "k", Effect: "NoSchedule"}}
		},
		"node selector": func(p *packing.Problem, _ *packing.Solution) {
			p.Pods[0].Demand.NodeSelector = map[string]string{fleet.LabelKarpenterKind: "spot"}
		},
		"unschedulable": func(p *packing.Problem, s *packing.Solution) { p.Nodes[0].Closed = true; place(s, true) },
		"unsupported": func(p *packing.Problem, _ *packing.Solution) {
			p.Pods[0].Demand.Unsupported = []string{"resourceClaims"}
		},
		"host port": func(p *packing.Problem, s *packing.Solution) {
			both(p, func(d *fleet.Demand) { small(d); d.HostPorts = []fleet.HostPort{{Port: 80}} })
			place(s, false)
		},
		"volume": func(p *packing.Problem, _ *packing.Solution) {
			p.Pods[0].Demand.Volumes = []fleet.Volume{{ID: "v", Where: zoneB}}
		},
		"topology spread": func(p *packing.Problem, s *packing.Solution) {
			both(p, func(d *fleet.Demand) {
				small(d)
				d.Spread = []fleet.Spread{{MaxSkew: 1, TopologyKey: fleet.LabelZone, Selector: app}}
			})
			place(s, true)
		},
		"pod affinity": func(p *packing.Problem, _ *packing.Solution) {
			p.Pods[1].Demand.Affinity = []fleet.PodTerm{{TopologyKey: fleet.LabelZone, Selector: other}}
		},
		"pod anti-affinity": func(p *packing.Problem, _ *packing.Solution) {
			p.Pods[0].Demand.AntiAffinity = []fleet.PodTerm{{TopologyKey: fleet.LabelZone, Selector: other}}
		},
		"node pool":       func(p *packing.Problem, _ *packing.Solution) { p.Pools[0].MaxNodes = 1 },
		"price":           func(_ *packing.Problem, s *packing.Solution) { s.Price = 1 },
		"offering":        func(_ *packing.Problem, s *packing.Solution) { s.New[0].Offering = 7 },
		"every pod once":  func(_ *packing.Problem, s *packing.Solution) { s.Placed[0] = -1 },
		"every pod once ": func(_ *packing.Problem, s *packing.Solution) { s.New[0].Pods = []int{0, 0} },
	} {
		t.Run(rule, func(t *testing.T) {
			got := Validate(plan(change))
			if !slices.ContainsFunc(got, func(b Breach) bool { return b.Rule == rule || b.Rule+" " == rule }) {
				t.Errorf("the breaches are %v", got)
			}
		})
	}
	if got := Validate(plan(func(*packing.Problem, *packing.Solution) {})); got != nil {
		t.Errorf("a plan that holds: %v", got)
	}
}

// Rules of pods that are there already, of daemons, and those that work in both directions.
func TestPlansThatBreakOthersRules(t *testing.T) {
	app := &fleet.Selector{Labels: map[string]string{"app": "x"}}
	nearX := []fleet.PodTerm{{TopologyKey: fleet.LabelZone, Selector: app}}
	small := func(d *fleet.Demand) { d.Requests = fleet.Resources{CPU: 1} }
	volume := func(v fleet.Volume) func(d *fleet.Demand) {
		return func(d *fleet.Demand) { small(d); d.Volumes = []fleet.Volume{v} }
	}
	for name, tc := range map[string]struct {
		change func(p *packing.Problem, s *packing.Solution)
		rule   string // "" where the plan holds
	}{
		"a pod there keeps others away": {func(p *packing.Problem, _ *packing.Solution) { p.Nodes[0].Pods[0].Demand.AntiAffinity = nearX }, "pod anti-affinity"},
		"of another namespace": {func(p *packing.Problem, _ *packing.Solution) {
			p.Nodes[0].Pods[0].Demand.AntiAffinity = nearX
			p.Nodes[0].Pods[0].Namespace = "other"
		}, ""},
		"of all namespaces": {func(p *packing.Problem, _ *packing.Solution) {
			p.Nodes[0].Pods[0].Demand.AntiAffinity = []fleet.PodTerm{{TopologyKey: fleet.LabelZone, Selector: app, AllNamespaces: true}}
			p.Nodes[0].Pods[0].Namespace = "other"
		}, "pod anti-affinity"},
		"a daemon needs room, too": {func(p *packing.Problem, _ *packing.Solution) {
			p.Daemons = []fleet.Daemon{{Namespace: "kube-system", Name: "d", Demand: fleet.Demand{Requests: fleet.Resources{CPU: 500}}}}
		}, "cpu"},
		"a daemon that is not there needs none": {func(p *packing.Problem, _ *packing.Solution) {
			p.Daemons = []fleet.Daemon{{Namespace: "kube-system", Name: "d", Demand: fleet.Demand{Requests: fleet.Resources{CPU: 500}, NodeSelector: map[string]string{"a": "b"}}}}
		}, ""},
		"a node has what is on it": {func(_ *packing.Problem, s *packing.Solution) { place(s, true) }, ""},
		"a node is full": {func(p *packing.Problem, s *packing.Solution) {
			p.Nodes[0].Pods[0].Demand.Requests.CPU = 500
			place(s, true)
		}, "cpu"},
		"the first of its kind": {func(p *packing.Problem, _ *packing.Solution) { p.Pods[0].Demand.Affinity = nearX }, ""},
		"the first of two":      {func(p *packing.Problem, _ *packing.Solution) { both(p, func(d *fleet.Demand) { d.Affinity = nearX }) }, "pod affinity"},
		"one volume for two pods": {func(p *packing.Problem, s *packing.Solution) {
			both(p, volume(fleet.Volume{ID: "v", Driver: "ebs"}))
			place(s, false)
		}, ""},
		"two volumes for one place": {func(p *packing.Problem, s *packing.Solution) {
			volume(fleet.Volume{ID: "v", Driver: "ebs"})(p.Pods[0].Demand)
			volume(fleet.Volume{ID: "w", Driver: "ebs"})(p.Pods[1].Demand)
			place(s, false)
		}, "volume"},
		"a volume for one pod": {func(p *packing.Problem, _ *packing.Solution) { both(p, volume(fleet.Volume{ID: "v", Alone: true})) }, "volume"},
		"ports of two addresses": {func(p *packing.Problem, s *packing.Solution) {
			both(p, small)
			p.Pods[0].Demand.HostPorts = []fleet.HostPort{{Port: 80, IP: "10.0.0.1"}}
			p.Pods[1].Demand.HostPorts = []fleet.HostPort{{Port: 80, IP: "10.0.0.2"}}
			place(s, false)
		}, ""},
		"too few domains": {func(p *packing.Problem, _ *packing.Solution) {
			both(p, func(d *fleet.Demand) {
				d.Spread = []fleet.Spread{{MaxSkew: 1, TopologyKey: fleet.LabelZone, Selector: app, MinDomains: 3}}
			})
		}, ""}, // one in each zone is one more than none
		"a soft spread": {func(p *packing.Problem, s *packing.Solution) {
			both(p, func(d *fleet.Demand) {
				small(d)
				d.Spread = []fleet.Spread{{MaxSkew: 1, TopologyKey: fleet.LabelZone, Selector: app, Soft: true}}
			})
			place(s, false)
		}, ""},
		"a zone that the pods cannot use": {func(p *packing.Problem, s *packing.Solution) {
			both(p, func(d *fleet.Demand) {
				small(d)
				d.NodeSelector = map[string]string{fleet.LabelZone: "a", fleet.LabelInstanceType: "t"}
				d.Spread = []fleet.Spread{{MaxSkew: 1, TopologyKey: fleet.LabelZone, Selector: app}}
			})
			place(s, false)
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := Validate(plan(tc.change))
			if tc.rule == "" && len(got) > 0 || tc.rule != "" && !slices.ContainsFunc(got, func(b Breach) bool { return b.Rule == tc.rule }) {
				t.Errorf("the breaches are %v, want %q", got, tc.rule)
			}
		})
	}
}

// Plans of the solver hold; once pods have changed places at random, most do not.
func TestPlansOfTheSolverHold(t *testing.T) {
	for _, shape := range []Shape{
		{Kind: "web", Pods: 400, Types: 60, Seed: 1}, {Kind: "mixed", Pods: 600, Types: 120, Seed: 2}, {Kind: "diverse", Pods: 200, Types: 40, Seed: 3},
		{Kind: "replan", Pods: 600, Types: 60, Nodes: 20, Seed: 4},
	} {
		t.Run(shape.Kind, func(t *testing.T) {
			f, err := Generate(shape)
			if err != nil {
				t.Fatal(err)
			}
			p, err := f.Problem()
			if err != nil {
				t.Fatal(err)
			}
			s := packing.Solve(p)
			if b := Validate(p, s); len(b) > 0 {
				t.Errorf("%d breaches, the first: %s", len(b), b[0])
			}
			if len(s.Unplaced) > 0 {
				t.Errorf("%d pods are without a node: %s", len(s.Unplaced), s.Unplaced[0].Reason)
			}
			if len(s.New) < 2 {
				t.Fatalf("there are %d new nodes", len(s.New))
			}
			// All pods of one new node on another: no node has so much room to spare.
			full, crowded := 0, 0
			for i := range s.New {
				if len(s.New[i].Pods) > len(s.New[full].Pods) {
					full = i
				}
			}
			if crowded = (full + 1) % len(s.New); len(s.New[crowded].Pods) == 0 {
				t.Fatal("an empty node")
			}
			for _, pod := range s.New[crowded].Pods {
				s.Placed[pod] = len(p.Nodes) + full
			}
			s.New[full].Pods, s.New[crowded].Pods = slices.Concat(s.New[full].Pods, s.New[crowded].Pods), nil
			if len(Validate(p, s)) == 0 {
				t.Error("two nodes' pods on one are no breach")
			}
		})
	}
}
