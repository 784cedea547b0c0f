package schedulertest

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/ekspedite/ekspedite/shared/decide/packing"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// small is a problem with a node in each of two zones and one pod; the pool makes nodes of one type in both.
func small(edit func(p *packing.Problem)) packing.Problem {
	has := fleet.Resources{CPU: 2000, Memory: 4 * gib, Storage: 20 * gib}
	node := func(name, zone string) packing.Node {
		return packing.Node{Name: name, MaxPods: 3, Allocatable: has, Labels: map[string]string{
			fleet.LabelHostname: name, fleet.LabelZone: zone, fleet.LabelOS: "linux",
		}}
	}
	p := packing.Problem{
		Nodes: []packing.Node{node("node-a", "a"), node("node-b", "b")},
		Pods:  []fleet.Pod{pod("it", nil)},
		Types: []packing.Type{{Name: "t", Arch: "arm64", Allocatable: has, MaxPods: 3, Offerings: []packing.Offering{
			{Zone: "a", Capacity: fleet.OnDemand, Price: 1}, {Zone: "b", Capacity: fleet.Spot, Price: 0.5},
		}}},
		Pools: []packing.Pool{{Name: "pool", Machines: []int{0}}},
	}
	edit(&p)
	return p
}

func pod(name string, edit func(*fleet.Pod)) fleet.Pod {
	p := fleet.Pod{Namespace: "default", Name: name, Labels: map[string]string{"app": name}, Demand: &fleet.Demand{Requests: fleet.Resources{CPU: 500}}}
	if edit != nil {
		edit(&p)
	}
	return p
}

func zoneTerms(app string) []fleet.PodTerm {
	return []fleet.PodTerm{{TopologyKey: fleet.LabelZone, Selector: &fleet.Selector{Labels: map[string]string{"app": app}}}}
}

// TestWrongPlacementsAreFound: in each problem the pod belongs on the second node. On the first one the named filter is in
// its way, and a solver that puts it there, or that says that it fits nowhere, is found out.
func TestWrongPlacementsAreFound(t *testing.T) {
	zoneB := []fleet.NodeTerm{{Labels: []fleet.Requirement{{Key: fleet.LabelZone, Operator: "In", Values: []string{"b"}}}}}
	its := func(edit func(*fleet.Demand)) func(*packing.Problem) {
		return func(p *packing.Problem) { edit(p.Pods[0].Demand) }
	}
	other := func(edit func(*fleet.Pod), it func(*fleet.Demand)) func(*packing.Problem) {
		return func(p *packing.Problem) {
			p.Nodes[0].Pods = []fleet.Pod{pod("other", edit)}
			it(p.Pods[0].Demand)
		}
	}
	same := func(*fleet.Demand) {}
	for filter, edit := range map[string]func(*packing.Problem){
		"TaintToleration":                func(p *packing.Problem) { p.Nodes[0].Taints = []fleet.Taint{{Key: "k", Effect: "NoExecute"}} },
		"NodeAffinity: by selector":      its(func(d *fleet.Demand) { d.NodeSelector = map[string]string{fleet.LabelZone: "b"} }),
		"NodeAffinity: by terms":         its(func(d *fleet.Demand) { d.NodeTerms = zoneB }),
		"VolumeBinding":                  its(func(d *fleet.Demand) { d.Volumes = []fleet.Volume{{ID: "default/data", Driver: ebs, Where: zoneB}} }),
		"VolumeBinding: of a class":      its(func(d *fleet.Demand) { d.Volumes = []fleet.Volume{{ID: "default/late-1", Driver: ebs, Where: zoneB}} }),
		"NodeResourcesFit: processors":   other(func(p *fleet.Pod) { p.Demand.Requests.CPU = 1501 }, same),
		"NodeResourcesFit: memory":       other(func(p *fleet.Pod) { p.Demand.Requests.Memory = 3 * gib }, func(d *fleet.Demand) { d.Requests.Memory = gib + 1 }),
		"NodeResourcesFit: storage":      other(func(p *fleet.Pod) { p.Demand.Requests.Storage = 19 * gib }, func(d *fleet.Demand) { d.Requests.Storage = 2 * gib }),
		"NodeResourcesFit: pods":         func(p *packing.Problem) { p.Nodes[0].MaxPods = 0 },
		"NodePorts":                      other(func(p *fleet.Pod) { p.Demand.HostPorts = []fleet.HostPort{{Port: 80, IP: "0.0.0.0"}} }, func(d *fleet.Demand) { d.HostPorts = []fleet.HostPort{{Port: 80, IP: "10.0.0.1"}} }),
		"InterPodAffinity: apart":        other(nil, func(d *fleet.Demand) { d.AntiAffinity = zoneTerms("other") }),
		"InterPodAffinity: of the other": other(func(p *fleet.Pod) { p.Demand.AntiAffinity = zoneTerms("it") }, same),
		"InterPodAffinity: near": func(p *packing.Problem) {
			p.Nodes[1].Pods = []fleet.Pod{pod("other", nil)}
			p.Pods[0].Demand.Affinity = zoneTerms("other")
		},
		"NodeVolumeLimits": func(p *packing.Problem) {
			p.Nodes[0].AttachLimit = map[string]int{ebs: 0}
			p.Pods[0].Demand.Volumes = []fleet.Volume{{ID: "default/data", Driver: ebs}}
		},
		"NodeResourcesFit: nvidia.com/gpu": func(p *packing.Problem) {
			p.Pods[0].Demand.Requests.Other = map[string]int64{gpu: 1}
			p.Nodes[1].Allocatable.Other = map[string]int64{gpu: 1}
		},
		"PodTopologySpread": other(func(p *fleet.Pod) { p.Labels["app"] = "it" }, func(d *fleet.Demand) {
			d.Spread = []fleet.Spread{{MaxSkew: 1, TopologyKey: fleet.LabelZone, Selector: zoneTerms("it")[0].Selector}}
		}),
	} {
		t.Run(filter, func(t *testing.T) {
			p := small(edit)
			plugin, _, _ := strings.Cut(filter, ":")
			finds(t, p, packing.Solution{Placed: []int{1}}, "")
			finds(t, p, packing.Solution{Placed: []int{0}}, Unsound, "default/it on node-a", plugin)
			class := GaveUp
			if asksAboutPods(p) {
				class = GaveUpOnTopology
			}
			finds(t, p, packing.Solution{Placed: []int{-1}, Unplaced: []packing.Unplaced{{Reason: "no room"}}}, class, "default/it", "node-b")
		})
	}
}

// finds checks a given solution: a finding of the class that says all of that, or none at all.
func finds(t *testing.T, p packing.Problem, s packing.Solution, class string, says ...string) {
	t.Helper()
	c := &Checker{Oracle: theOracle(t), Solve: func(packing.Problem) packing.Solution { return s }, Orders: 2}
	_, findings, err := c.Check(p, 1)
	if err != nil {
		t.Error(err)
	}
	matches := func(f Finding) bool {
		return f.Class == class && !slices.ContainsFunc(says, func(what string) bool { return !strings.Contains(f.Detail, what) })
	}
	if class == "" && len(findings) > 0 || class != "" && !slices.ContainsFunc(findings, matches) {
		t.Errorf("found %v, want %q with %q", findings, class, says)
	}
}

func TestOtherFaultsAreFound(t *testing.T) {
	full := func(p *packing.Problem) { p.Nodes, p.Pods[0].Demand.Requests.CPU = nil, 1950 }
	on := func(edit func(*packing.NewNode)) packing.Solution {
		n := packing.NewNode{Pods: []int{0}, Why: "it is the only one"}
		edit(&n)
		return packing.Solution{Placed: []int{0}, New: []packing.NewNode{n}, Price: 1}
	}
	none := func(*packing.NewNode) {}
	p := small(full)
	finds(t, p, on(none), "")
	left := packing.Solution{Placed: []int{-1}, Unplaced: []packing.Unplaced{{Reason: "no room"}}}
	finds(t, p, left, GaveUp, "a new t of pool pool in")
	finds(t, p, on(func(n *packing.NewNode) { n.Offering = 2 }), Malformed, "not the pool's")
	finds(t, p, on(func(n *packing.NewNode) { n.Pods = nil }), Malformed, "not in the list")
	finds(t, p, on(func(n *packing.NewNode) { n.Why = "" }), Silent, "say why")
	finds(t, p, on(func(n *packing.NewNode) { n.Alternatives = []int{0} }), Malformed, "alternative t")
	dear := on(none)
	dear.Price = 2
	finds(t, p, dear, Malformed, "the price is 2")
	p.Pools[0].MaxCPU = 1000
	finds(t, p, on(none), Malformed, "over its limits")
	finds(t, p, left, "")
	p.Pools[0].MaxCPU = 0

	p.Daemons = []fleet.Daemon{{Namespace: "kube-system", Name: "agent", Demand: fleet.Demand{Requests: fleet.Resources{CPU: 51}}}}
	finds(t, p, on(none), Daemon, "kube-system/agent-on-new-0")
	p.Daemons[0].Demand.NodeSelector = map[string]string{fleet.LabelArch: "amd64"}
	finds(t, p, on(none), "")

	p.Types = append(p.Types, p.Types[0])
	p.Types[1].Name, p.Types[1].Allocatable.CPU = "u", 1900
	p.Pools[0].Machines = []int{0, 1}
	finds(t, p, on(func(n *packing.NewNode) { n.Alternatives = []int{1} }), Alternative, "default/it on new-0", "NodeResourcesFit")
}

func TestImpureSolversAreFound(t *testing.T) {
	p := small(func(*packing.Problem) {})
	calls := 0
	c := &Checker{Oracle: theOracle(t), Solve: func(p packing.Problem) packing.Solution {
		calls++
		p.Pods[0].Labels["touched"] = "yes"
		return packing.Solution{Placed: []int{calls % 2}}
	}}
	_, findings, err := c.Check(p, 1)
	if err != nil || len(findings) == 0 || findings[0].Class != Impure {
		t.Errorf("%v, %v", findings, err)
	}
}

func TestProblemsAreReproducible(t *testing.T) {
	kinds := map[bool]int{}
	for seed := range uint64(50) {
		p := Generate(seed)
		if !reflect.DeepEqual(p, Generate(seed)) {
			t.Fatalf("seed %d makes two problems", seed)
		}
		if len(p.Pods) < 1 || len(p.Types) < 3 {
			t.Errorf("seed %d: %d pods, %d types", seed, len(p.Pods), len(p.Types))
		}
		kinds[asksAboutPods(p)]++
	}
	if kinds[true] < 10 || kinds[false] < 10 {
		t.Errorf("with topology constraints or without: %v", kinds)
	}
}

func TestShrink(t *testing.T) {
	p := Generate(7)
	name := p.Pods[len(p.Pods)/2].Name
	small := Shrink(p, 1000, func(p packing.Problem) bool {
		for _, pod := range p.Pods {
			if pod.Name == name {
				return len(p.Pools) > 0
			}
		}
		return false
	})
	if len(small.Pods) != 1 || small.Pods[0].Name != name || len(small.Pools) != 1 || len(small.Nodes)+len(small.Types) != 0 {
		t.Errorf("%s", mustJSON(small))
	}
}
