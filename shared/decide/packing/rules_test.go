package packing

import (
	"slices"
	"strings"
	"testing"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Each rule is a small problem and what must hold of its solution; the same rules are tried with the real scheduler's filters by
// internal/schedulertest.
func TestRules(t *testing.T) {
	spread := func(skew int, key string) func(*fleet.Pod) {
		return func(p *fleet.Pod) {
			p.Demand.Spread = []fleet.Spread{{MaxSkew: skew, TopologyKey: key, Selector: app(p.Labels["app"])}}
		}
	}
	anti := func(key string) func(*fleet.Pod) {
		return func(p *fleet.Pod) {
			p.Demand.AntiAffinity = []fleet.PodTerm{{TopologyKey: key, Selector: app(p.Labels["app"])}}
		}
	}
	selector := func(key, value string) func(*fleet.Pod) {
		return func(p *fleet.Pod) { p.Demand.NodeSelector = map[string]string{key: value} }
	}
	type want func(t *testing.T, p Problem, s Solution, at []where)
	all := func(t *testing.T, _ Problem, s Solution, _ []where) {
		for _, u := range s.Unplaced {
			t.Errorf("pod %d is left out: %s", u.Pod, u.Reason)
		}
	}
	hosts := func(n int) want {
		return func(t *testing.T, p Problem, s Solution, at []where) {
			all(t, p, s, at)
			if len(at) != n {
				t.Errorf("%d hosts, want %d: %+v", len(at), n, at)
			}
		}
	}
	perZone := func(n ...int) want {
		return func(t *testing.T, p Problem, s Solution, at []where) {
			all(t, p, s, at)
			got := make([]int, len(zones))
			for _, w := range at {
				got[slices.Index(zones, w.zone)] += w.apps["web"]
			}
			slices.Sort(got)
			if !slices.Equal(got, n) {
				t.Errorf("pods by zone: %v, want %v", got, n)
			}
		}
	}
	leftOut := func(n int, why string) want {
		return func(t *testing.T, _ Problem, s Solution, _ []where) {
			if len(s.Unplaced) != n {
				t.Fatalf("%d pods are left out, want %d: %+v", len(s.Unplaced), n, s.Unplaced)
			}
			for _, u := range s.Unplaced {
				if !strings.Contains(u.Reason, why) {
					t.Errorf("the reason is %q, it should speak of %q", u.Reason, why)
				}
			}
		}
	}
	noneNew := func(t *testing.T, p Problem, s Solution, at []where) {
		all(t, p, s, at)
		if len(s.New) > 0 {
			t.Errorf("%d nodes are added", len(s.New))
		}
	}
	with := func(p Problem, edit func(*Problem)) Problem { edit(&p); return p }

	for name, tc := range map[string]struct {
		problem Problem
		want    want
	}{
		"the cheapest nodes that hold all": {shop(pods("web", 16)...), func(t *testing.T, p Problem, s Solution, at []where) { hosts(1)(t, p, s, at); spotOnly(t, at) }},
		"the room there is comes first":    {with(shop(pods("web", 4)...), func(p *Problem) { p.Nodes = []Node{existing("n", "a")} }), noneNew},
		"a cordoned node has no room":      {with(shop(pods("web", 4)...), func(p *Problem) { p.Nodes = []Node{existing("n", "a")}; p.Nodes[0].Closed = true }), func(t *testing.T, _ Problem, s Solution, _ []where) { newNodes(t, s, 1) }},
		"daemons take their share": {with(shop(pods("web", 4)...), func(p *Problem) {
			p.Daemons = []fleet.Daemon{{Name: "d", Demand: fleet.Demand{Requests: fleet.Resources{CPU: 500}}}}
		}), func(t *testing.T, _ Problem, _ Solution, at []where) { onType(t, at, "medium") }},
		"a daemon that the pool's taint keeps off": {with(shop(pods("web", 4, tolerant)...), func(p *Problem) {
			p.Pools[0].Taints = []fleet.Taint{{Key: "gpu", Effect: "NoSchedule"}}
			p.Daemons = []fleet.Daemon{{Name: "d", Demand: fleet.Demand{Requests: fleet.Resources{CPU: 500}}}}
		}), func(t *testing.T, _ Problem, _ Solution, at []where) { onType(t, at, "small") }},
		"a taint that is not tolerated":               {with(shop(pods("web", 2)...), func(p *Problem) { p.Pools[0].Taints = []fleet.Taint{{Key: "gpu", Effect: "NoSchedule"}} }), leftOut(2, "its taint gpu")},
		"node selector":                               {shop(pods("web", 2, selector(fleet.LabelZone, "b"))...), perZone(0, 0, 2)},
		"node selector that nothing meets":            {shop(pods("web", 2, selector("disk", "fast"))...), leftOut(2, "disk=fast")},
		"on-demand where it is asked for":             {shop(append(pods("db", 2, selector(fleet.LabelEKSCapacity, fleet.OnDemand)), pods("web", 14)...)...), onDemandAlone},
		"topology spread over zones":                  {shop(pods("web", 7, spread(1, fleet.LabelZone))...), perZone(2, 2, 3)},
		"topology spread sees what exists":            {with(shop(pods("web", 4, spread(1, fleet.LabelZone))...), func(p *Problem) { p.Nodes = []Node{existing("n", "a", pods("web", 2)...)} }), perZone(0, 2, 2)},
		"topology spread over hosts":                  {shop(pods("web", 6, spread(2, fleet.LabelHostname))...), hosts(3)},
		"topology spread over a key that no node has": {shop(pods("web", 2, spread(1, "rack"))...), leftOut(2, "no label rack")},
		"anti-affinity on hosts":                      {shop(pods("web", 3, anti(fleet.LabelHostname))...), hosts(3)},
		"anti-affinity on zones":                      {shop(pods("web", 4, anti(fleet.LabelZone))...), leftOut(1, "anti-affinity")},
		"the anti-affinity of who is there":           {with(shop(pods("web", 1)...), func(p *Problem) { p.Nodes = []Node{existing("n", "a", pods("db", 1, hates("web"))...)} }), func(t *testing.T, _ Problem, s Solution, _ []where) { newNodes(t, s, 1) }},
		"affinity to one's like":                      {shop(pods("web", 40, near("web", fleet.LabelZone))...), perZone(0, 0, 40)},
		"affinity to others":                          {shop(append(pods("web", 3, near("db", fleet.LabelHostname)), pods("db", 1)...)...), hosts(1)},
		"affinity to nobody":                          {shop(pods("web", 1, near("db", fleet.LabelZone))...), leftOut(1, "none of the pods that it asks for")},
		"host ports":                                  {shop(pods("web", 3, port(80))...), hosts(3)},
		"a host port that a daemon takes": {with(shop(pods("web", 1, port(80))...), func(p *Problem) {
			p.Daemons = []fleet.Daemon{{Name: "d", Demand: fleet.Demand{HostPorts: []fleet.HostPort{{Port: 80}}}}}
		}), leftOut(1, "")},
		"a volume has its zone":        {shop(pods("web", 1, volume("v", "c", false))...), perZone(0, 0, 1)},
		"volumes that a node can have": {with(shop(distinctVolumes(6)...), func(p *Problem) { limitVolumes(p, 2) }), hosts(3)},
		"a volume for one pod alone":   {shop(pods("web", 2, volume("v", "c", true))...), leftOut(1, "ReadWriteOncePod")},
		"extended resources":           {with(shop(pods("web", 1, gpu)...), func(p *Problem) { p.Types[2].Allocatable.Other = map[string]int64{"nvidia.com/gpu": 1} }), func(t *testing.T, _ Problem, _ Solution, at []where) { onType(t, at, "large") }},
		"what nobody has":              {shop(pods("web", 1, gpu)...), leftOut(1, "nvidia.com/gpu")},
		"too big for any":              {shop(pods("web", 1, func(p *fleet.Pod) { p.Demand.Requests.CPU = 9000 })...), leftOut(1, "9000m of cpu are wanted, 8000m are there")},
		"refused by name":              {shop(pods("web", 1, func(p *fleet.Pod) { p.Demand.Unsupported = []string{"resourceClaims"} })...), leftOut(1, "does not handle resourceClaims")},
		"limits of a pool":             {with(shop(pods("web", 48)...), func(p *Problem) { p.Pools[0].MaxNodes = 2 }), leftOut(16, "limit")},
		"who matters more comes first": {with(shop(append(pods("web", 32), pods("db", 16, important)...)...), func(p *Problem) { p.Pools[0].MaxNodes = 2 }), keeps("db", 16)},
		"nobody knows a price": {with(shop(pods("web", 16)...), func(p *Problem) {
			for i := range p.Types {
				for j := range p.Types[i].Offerings {
					p.Types[i].Offerings[j].Price = 0
				}
			}
		}), all},
		"of one price the safer": {with(shop(pods("web", 8)...), func(p *Problem) {
			for i := range p.Types {
				for j := range p.Types[i].Offerings {
					o := &p.Types[i].Offerings[j]
					if o.Price = float64(i + 1); o.Capacity == fleet.Spot {
						o.Risk = 0.05
					}
				}
			}
		}), func(t *testing.T, p Problem, s Solution, at []where) {
			all(t, p, s, at)
			capacity(t, at, fleet.OnDemand)
		}},
		"a pool of greater weight": {with(shop(pods("web", 4)...), func(p *Problem) { p.Pools = append(p.Pools, Pool{Name: "first", Machines: []int{2}, Weight: 1}) }), func(t *testing.T, _ Problem, _ Solution, at []where) { onType(t, at, "large") }},
		"what was short comes last": {with(shop(pods("web", 4)...), shortSpot), func(t *testing.T, p Problem, s Solution, at []where) {
			all(t, p, s, at)
			capacity(t, at, fleet.OnDemand)
		}},
		"what was short serves if nothing else does": {with(shop(pods("web", 4, selector(fleet.LabelEKSCapacity, fleet.Spot))...), shortSpot), func(t *testing.T, p Problem, s Solution, at []where) { all(t, p, s, at); capacity(t, at, fleet.Spot) }},
		"what was short is avoided":                  {with(shop(pods("web", 4, selector(fleet.LabelEKSCapacity, fleet.Spot))...), func(p *Problem) { shortSpot(p); p.Options.AvoidShort = true }), leftOut(4, "")},
		"a preferred zone":                           {shop(pods("web", 2, prefers(fleet.LabelZone, "b"))...), inZone("b")},
		"a preference that cannot be met":            {shop(pods("web", 2, prefers("disk", "fast"))...), all},
		"ScheduleAnyway is balanced":                 {shop(pods("web", 6, soft(spread(1, fleet.LabelZone)))...), perZone(2, 2, 2)},
		"ScheduleAnyway leaves nobody out":           {with(shop(pods("web", 6, soft(spread(1, fleet.LabelZone)))...), func(p *Problem) { p.Pools[0].MaxNodes = 1 }), all},
		"a share of each spot pool":                  {with(shop(pods("web", 64)...), func(p *Problem) { p.Options.PoolShare = 0.5 }), shares(0.5)},
	} {
		t.Run(name, func(t *testing.T) {
			s := Solve(tc.problem)
			tc.want(t, tc.problem, s, places(t, tc.problem, s))
		})
	}
}
