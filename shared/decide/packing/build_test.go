package packing

import (
	"fmt"
	"testing"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

const gib = 1 << 30

// zones of the tests' Region.
var zones = []string{"a", "b", "c"}

// machine is a type with so many cores and 4 GiB for each, at 0.04 $ a core on demand and 0.015 on the spot market, everywhere.
func machine(name string, cores int64) Type {
	t := Type{Name: name, Arch: "amd64", MaxPods: 50, Allocatable: fleet.Resources{CPU: cores * 1000, Memory: cores * 4 * gib, Storage: 20 * gib}}
	for _, z := range zones {
		t.Offerings = append(t.Offerings, Offering{Zone: z, Capacity: fleet.OnDemand, Price: 0.04 * float64(cores)},
			Offering{Zone: z, Capacity: fleet.Spot, Price: 0.015 * float64(cores)})
	}
	return t
}

// world of the tests: machines of 2, 4 and 8 cores in one pool.
func shop(pods ...fleet.Pod) Problem {
	return Problem{Pods: pods, Types: []Type{machine("small", 2), machine("medium", 4), machine("large", 8)}, Pools: []Pool{{Name: "pool", Machines: []int{0, 1, 2}}}}
}

// pods makes n pods of an app that ask for half a core and a GiB each.
func pods(app string, n int, edit ...func(*fleet.Pod)) (out []fleet.Pod) {
	d := &fleet.Demand{Requests: fleet.Resources{CPU: 500, Memory: gib}}
	for i := range n {
		p := fleet.Pod{Namespace: "default", Name: fmt.Sprintf("%s-%d", app, i), Labels: map[string]string{"app": app}, Demand: d}
		out = append(out, p)
	}
	for _, e := range edit {
		shared := *d
		out[0].Demand = &shared
		e(&out[0])
		for i := range out {
			out[i].Demand, out[i].Tolerations, out[i].Priority, out[i].Namespace = out[0].Demand, out[0].Tolerations, out[0].Priority, out[0].Namespace
		}
		d = out[0].Demand
	}
	return out
}

func app(name string) *fleet.Selector { return &fleet.Selector{Labels: map[string]string{"app": name}} }

// existing is a node of 4 cores with some pods.
func existing(name, zone string, on ...fleet.Pod) Node {
	return Node{Name: name, MaxPods: 50, Allocatable: fleet.Resources{CPU: 4000, Memory: 16 * gib, Storage: 20 * gib}, Pods: on,
		Labels: map[string]string{fleet.LabelZone: zone, fleet.LabelHostname: name, fleet.LabelArch: "amd64"}}
}

// where describes a solution: for each node with pods, the zone, type or name, and how many pods of each app it got.
type where struct {
	node, zone string
	isNew      bool
	capacity   string
	apps       map[string]int
}

func places(t *testing.T, p Problem, s Solution) (out []where) {
	t.Helper()
	byNode := map[int]int{}
	total := 0.0
	for i, at := range s.Placed {
		if at < 0 {
			continue
		}
		k, ok := byNode[at]
		if !ok {
			k = len(out)
			byNode[at] = k
			w := where{apps: map[string]int{}}
			if at < len(p.Nodes) {
				w.node, w.zone = p.Nodes[at].Name, p.Nodes[at].Labels[fleet.LabelZone]
			} else {
				n := s.New[at-len(p.Nodes)]
				o := p.Types[n.Type].Offerings[n.Offering]
				w.node, w.zone, w.capacity, w.isNew = p.Types[n.Type].Name, o.Zone, o.Capacity, true
			}
			out = append(out, w)
		}
		out[k].apps[p.Pods[i].Labels["app"]]++
	}
	for _, n := range s.New {
		total += p.Types[n.Type].Offerings[n.Offering].Price
	}
	if d := total - s.Price; d > 1e-9 || d < -1e-9 {
		t.Errorf("the solution says %.4f $/h, its nodes cost %.4f", s.Price, total)
	}
	if len(s.Unplaced)+placed(s) != len(p.Pods) {
		t.Errorf("%d pods are placed and %d are not, of %d", placed(s), len(s.Unplaced), len(p.Pods))
	}
	return out
}

func placed(s Solution) (n int) {
	for _, at := range s.Placed {
		if at >= 0 {
			n++
		}
	}
	return n
}
