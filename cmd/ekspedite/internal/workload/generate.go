package workload

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Shape says what workload to make. The same shape is the same file.
type Shape struct {
	Kind  string `json:"kind"` // one of Kinds
	Pods  int    `json:"pods"`
	Types int    `json:"types"`
	Nodes int    `json:"nodes,omitempty"` // that exist: for replan and refill
	Seed  int64  `json:"seed"`
}

// maxMade is the size of the catalogue.
const maxMade = 1680

var makers = map[string]func(*maker){
	"web": (*maker).web, "diverse": (*maker).diverse, "mixed": (*maker).mixed, "replan": (*maker).replan, "refill": (*maker).refill,
}

// Kinds are the kinds of workloads that can be made:
//
//	web      20 deployments, every second one spread over zones
//	diverse  a fifth each: anything goes, spread over zones, spread over nodes, near their own kind, alone on their node; the
//	         distribution of Karpenter's own benchmark, on types of one shape
//	mixed    a real fleet's mess: deployments of heavy-tailed sizes with processors, capacity types, zones, spread,
//	         affinity and GPUs of their own, and daemons
//	replan   web on nodes that exist, full, with a tenth of the pods waiting
//	refill   web before nodes that exist and are empty
func Kinds() []string { return slices.Sorted(maps.Keys(makers)) }

// Generate makes a workload. Its machines are of a made-up regular catalogue, and its spot prices are drawn.
func Generate(s Shape) (*File, error) {
	build, ok := makers[s.Kind]
	switch {
	case !ok:
		return nil, fmt.Errorf("there is no kind %q of workloads: %s", s.Kind, strings.Join(Kinds(), ", "))
	case s.Pods < 1 || s.Pods > maxPods, s.Types < 1 || s.Types > maxMade, s.Nodes < 0 || s.Nodes > maxNodes:
		return nil, fmt.Errorf("1 to %d pods, 1 to %d types and 0 to %d nodes can be made", maxPods, maxMade, maxNodes)
	}
	m := &maker{
		Shape: s, rand: rand.New(rand.NewPCG(uint64(s.Seed), 0x656b73)),
		file: &File{Name: fmt.Sprintf("%s-%dx%d-seed%d", s.Kind, s.Pods, s.Types, s.Seed), Seed: s.Seed, NodePools: []NodePool{{Name: "default"}}},
	}
	build(m)
	return m.file, m.file.check()
}

type maker struct {
	Shape
	rand *rand.Rand
	file *File
}

// pods adds pods of one spec, named after its owner.
func (m *maker) pods(s *PodSpec, n int) {
	for i := range n {
		m.file.Pods = append(m.file.Pods, Pod{Name: fmt.Sprintf("%s-%04d", s.Owner, i), PodSpec: s})
	}
}

func pick[T any](m *maker, from ...T) T { return from[m.rand.IntN(len(from))] }

func spreadBy(key string, skew int, labels map[string]string) Spread {
	return Spread{MaxSkew: skew, TopologyKey: key, WhenUnsatisfiable: "DoNotSchedule", Selector: Selector{MatchLabels: labels}}
}

func near(key string, labels map[string]string) []PodTerm {
	return []PodTerm{{TopologyKey: key, Selector: Selector{MatchLabels: labels}}}
}

const webDeployments = 20

func (m *maker) web() {
	m.catalogue(m.Types, 0)
	m.deployments(m.Pods)
}

func (m *maker) deployments(pods int) {
	for d := range webDeployments {
		name := fmt.Sprintf("web-%02d", d)
		s := &PodSpec{Owner: name, Labels: map[string]string{"app": name}, CPUMilli: pick[int64](m, 250, 500, 1000, 2000)}
		s.MemMiB = s.CPUMilli * pick[int64](m, 1, 2, 4) * 1024 / 1000
		if d%2 == 0 {
			s.TopologySpread = []Spread{spreadBy(fleet.LabelZone, 1, s.Labels)}
		}
		m.pods(s, (pods+webDeployments-1-d)/webDeployments)
	}
}

// diverse follows makeDiversePods of Karpenter's scheduling benchmark in its distributions, not in its random stream.
func (m *maker) diverse() {
	for i := range m.Types {
		t := InstanceType{Name: fmt.Sprintf("linear-%d", i), Category: "linear", Family: "linear", Arch: "amd64", CPUMilli: int64(i+1) * 1000,
			MemMiB: int64(i+1) * 2048, Pods: (i + 1) * 10, OverheadCPUMilli: 100, OverheadMemMiB: 10}
		price := math.Round(0.1*float64(i+1)*1e9+0.1*float64(t.MemMiB<<20)) / 1e9
		for zone := 1; zone <= 3; zone++ {
			t.Offerings = append(t.Offerings, Offering{Zone: fmt.Sprintf("zone-%d", zone), CapacityType: onDemand, Price: price})
			if zone < 3 {
				t.Offerings = append(t.Offerings, Offering{Zone: fmt.Sprintf("zone-%d", zone), CapacityType: spot, Price: price})
			}
		}
		m.file.InstanceTypes = append(m.file.InstanceTypes, t)
	}
	letter := func() string { return pick(m, "a", "b", "c", "d", "e", "f", "g") }
	kinds := []string{"generic", "zone-spread", "host-spread", "zone-affinity", "anti-host"}
	for k, kind := range kinds {
		n := m.Pods / len(kinds)
		if k == 0 {
			n += m.Pods % len(kinds)
		}
		for i := range n {
			s := &PodSpec{Owner: kind}
			switch kind {
			case "generic":
				s.Labels = map[string]string{"my-label": letter()}
			case "zone-spread", "host-spread":
				key := map[string]string{"zone-spread": fleet.LabelZone, "host-spread": fleet.LabelHostname}[kind]
				s.Labels = map[string]string{"my-label": letter()}
				s.TopologySpread = []Spread{spreadBy(key, 1, map[string]string{"my-label": letter()})}
			case "zone-affinity":
				s.Labels = map[string]string{"my-affinity": letter()}
				s.PodAffinity = near(fleet.LabelZone, s.Labels)
			case "anti-host":
				s.Labels = map[string]string{"app": "nginx"}
				s.PodAntiAffinity = near(fleet.LabelHostname, s.Labels)
			}
			s.CPUMilli = pick[int64](m, 100, 250, 500, 1000, 1500)
			s.MemMiB = pick[int64](m, 100, 256, 512, 1024, 2048, 4096)
			m.file.Pods = append(m.file.Pods, Pod{Name: fmt.Sprintf("%s-%05d", kind, i), PodSpec: s})
		}
	}
}

// replan has pods on nodes in turn, as many as fit; a tenth waits.
func (m *maker) replan() {
	m.existing()
	type left struct{ cpu, mem, pods int64 }
	node := m.typeOfNodes()
	room := make([]left, m.Nodes)
	for i := range room {
		room[i] = left{node.CPUMilli - node.OverheadCPUMilli, node.MemMiB - node.OverheadMemMiB, int64(node.Pods)}
	}
	at := 0
	for i := range m.file.Pods {
		p := &m.file.Pods[i]
		if i%10 == 9 || m.Nodes == 0 {
			continue
		}
		for range m.Nodes {
			at = (at + 1) % m.Nodes
			if r := &room[at]; r.cpu >= p.CPUMilli && r.mem >= p.MemMiB && r.pods > 0 {
				*r = left{r.cpu - p.CPUMilli, r.mem - p.MemMiB, r.pods - 1}
				p.Node = m.file.Nodes[at].Name
				break
			}
		}
	}
}

func (m *maker) refill() { m.existing() }

// existing has nodes of one type, in all zones by turns, and deployments.
func (m *maker) existing() {
	m.catalogue(m.Types, 0)
	m.deployments(m.Pods)
	t := m.typeOfNodes()
	for i := range m.Nodes {
		m.file.Nodes = append(m.file.Nodes, Node{Name: fmt.Sprintf("node-%04d", i), InstanceType: t.Name, Zone: zones[i%len(zones)], CapacityType: onDemand, NodePool: "default"})
	}
}

// typeOfNodes is the first type of 32 cores and 128 GiB, or else the first.
func (m *maker) typeOfNodes() InstanceType {
	i := slices.IndexFunc(m.file.InstanceTypes, func(t InstanceType) bool { return t.CPUMilli == 32000 && t.MemMiB == 128<<10 })
	return m.file.InstanceTypes[max(0, i)]
}
