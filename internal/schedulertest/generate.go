package schedulertest

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/ekspedite/ekspedite/shared/decide/packing"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Labels that the generator's nodes have, beside the well-known ones.
const (
	labelTeam = "example.com/team" // of pools
	labelRack = "example.com/rack" // of types, and so a topology that new nodes cannot choose freely
	labelSize = "example.com/size" // of types: a number, for Gt and Lt
	gpu       = "nvidia.com/gpu"
	ebs       = "ebs.csi.aws.com"
	gib       = 1 << 30
)

// kind is a kind of demand or circumstance that a problem may have.
type kind int

const (
	selecting kind = iota // node selectors and affinity
	tainting
	spreading
	attracting // pod affinity
	repelling  // pod anti-affinity
	porting
	storing // volumes
	lonely  // claims of one pod at a time
	computing
	disks // ephemeral storage
	daemons
	ranking // priorities
	liking  // preferences
	limiting
	closing // cordoned nodes
	scarce  // offerings that EC2 had none of
	kinds
)

// topological are the kinds under which a placement depends on where other pods are.
var topological = []kind{spreading, attracting, repelling}

// generator makes one problem.
type generator struct {
	*rand.Rand
	has   [kinds]bool
	zones []string
	p     packing.Problem
	apps  []app
}

// Generate makes the random problem of a seed: always the same.
func Generate(seed uint64) packing.Problem {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, 1))}
	density := g.pick(0.1, 0.25, 0.5)
	for k := range g.has {
		g.has[k] = g.Float64() < density
	}
	if g.chance(0.3) {
		for _, k := range topological {
			g.has[k] = false
		}
	}
	g.zones = []string{"us-east-1a", "us-east-1b", "us-east-1c", "us-east-1d"}[:2+g.IntN(3)]
	g.types()
	g.pools()
	g.daemons()
	g.deployments()
	g.nodes()
	g.pending()
	g.p.Options.AvoidShort = g.has[scarce] && g.chance(0.5)
	g.p.Options.IgnorePreferences = g.chance(0.1)
	if g.chance(0.1) {
		g.p.Options.PoolShare = 0.5
	}
	g.p.Options.Effort = one(g, -1, 1, 3, 0)
	return g.p
}

func (g *generator) chance(p float64) bool { return g.Float64() < p }

func (g *generator) pick(list ...float64) float64 { return list[g.IntN(len(list))] }

// one is one of a list.
func one[T any](g *generator, list ...T) T { return list[g.IntN(len(list))] }

// some is a random part of a list, in its order, with at least one.
func some[T any](g *generator, list []T) []T {
	var out []T
	for _, x := range list {
		if g.chance(0.5) {
			out = append(out, x)
		}
	}
	if len(out) == 0 {
		out = []T{one(g, list...)}
	}
	return out
}

func (g *generator) types() {
	capacities := one(g, []string{fleet.OnDemand}, []string{fleet.OnDemand, fleet.Spot}, []string{fleet.OnDemand, fleet.Spot})
	for i := range 3 + g.IntN(6) {
		cpus := one(g, int64(2), 2, 4, 4, 8, 16)
		memory := cpus * one(g, int64(2), 4, 8)
		t := packing.Type{
			Name: fmt.Sprintf("t%d.%dx%d", i, cpus, memory), Arch: one(g, "amd64", "amd64", "arm64"), MaxPods: one(g, 4, 8, 17, 29, 58),
			Allocatable: fleet.Resources{CPU: cpus*1000 - 90, Memory: memory*gib - gib/2, Storage: one(g, int64(18), 70) * gib},
			Labels:      map[string]string{labelSize: fmt.Sprint(cpus)},
		}
		if g.chance(0.3) {
			t.Labels[labelRack] = one(g, "r1", "r2", "r3")
		}
		if g.has[computing] && g.chance(0.4) {
			t.Allocatable.Other = map[string]int64{gpu: one(g, int64(1), 4)}
		}
		if g.has[storing] && g.chance(0.7) {
			t.AttachLimit = map[string]int{ebs: one(g, 1, 2, 3, 25)}
		}
		base := float64(cpus)*0.03 + float64(memory)*0.004 + float64(t.Allocatable.Other[gpu])
		for _, zone := range some(g, g.zones) {
			for _, capacity := range capacities {
				o := packing.Offering{Zone: zone, Capacity: capacity, Price: base, Short: g.has[scarce] && g.chance(0.2)}
				if capacity == fleet.Spot {
					o.Price, o.Risk = base*(0.3+0.3*g.Float64()), one(g, 0.01, 0.05, 0.2)
				}
				t.Offerings = append(t.Offerings, o)
			}
		}
		g.p.Types = append(g.p.Types, t)
	}
}

func (g *generator) pools() {
	indexes := make([]int, len(g.p.Types))
	for i := range indexes {
		indexes[i] = i
	}
	for i := range 1 + g.IntN(4) {
		pool := packing.Pool{Name: fmt.Sprint("pool-", i), Machines: indexes, Labels: map[string]string{}}
		if g.chance(0.5) {
			pool.Machines = some(g, indexes)
		}
		if g.chance(0.4) {
			pool.Labels[labelTeam] = one(g, "red", "blue")
		}
		if g.chance(0.2) {
			pool.Labels[labelRack] = one(g, "r1", "r2")
		}
		if g.has[tainting] && g.chance(0.5) {
			pool.Taints = g.taints()
		}
		if g.chance(0.25) {
			pool.Zones = some(g, g.zones)
		}
		if g.chance(0.25) {
			pool.Capacity = []string{one(g, fleet.OnDemand, fleet.Spot)}
		}
		if g.has[limiting] {
			switch g.IntN(4) {
			case 0:
				pool.MaxNodes = 1 + g.IntN(4)
			case 1:
				pool.MaxCPU = int64(4000 + g.IntN(20000))
			case 2:
				pool.MaxMemory = int64(8+g.IntN(64)) * gib
			}
		}
		if g.chance(0.2) {
			pool.Weight = 1 + g.IntN(10)
		}
		g.p.Pools = append(g.p.Pools, pool)
	}
}

func (g *generator) taints() (out []fleet.Taint) {
	for _, key := range some(g, []string{"dedicated", "maintenance"}) {
		out = append(out, fleet.Taint{Key: key, Value: one(g, "", "x", "y"), Effect: one(g, "NoSchedule", "NoSchedule", "NoExecute", "PreferNoSchedule")})
	}
	return out
}

func (g *generator) daemons() {
	if !g.has[daemons] {
		return
	}
	for i := range 1 + g.IntN(3) {
		d := fleet.Daemon{Namespace: "kube-system", Name: fmt.Sprint("daemon-", i), Labels: map[string]string{"app": fmt.Sprint("daemon-", i), "tier": "system"}}
		d.Demand.Requests = fleet.Resources{CPU: one(g, int64(0), 50, 100), Memory: one(g, int64(0), 64, 200) << 20}
		switch g.IntN(4) {
		case 0:
			d.Demand.NodeSelector = map[string]string{fleet.LabelArch: "arm64"}
		case 1:
			d.Demand.NodeTerms = []fleet.NodeTerm{{Labels: []fleet.Requirement{g.nodeRequirement()}}}
		}
		if g.chance(0.6) {
			d.Tolerations = []fleet.Toleration{{Operator: "Exists"}}
		}
		if g.has[porting] && g.chance(0.4) {
			d.Demand.HostPorts = []fleet.HostPort{{Port: int32(9100 + i)}}
		}
		g.p.Daemons = append(g.p.Daemons, d)
	}
}

// nodes makes those that exist, with pods of the deployments on them as far as there is room.
func (g *generator) nodes() {
	if len(g.p.Daemons) > 0 && g.chance(0.2) || g.chance(0.1) {
		return // from zero
	}
	for i := range 1 + g.IntN(8) {
		ti := g.IntN(len(g.p.Types))
		t := g.p.Types[ti]
		n := Made(g.p, packing.NewNode{Pool: g.IntN(len(g.p.Pools)), Type: ti, Offering: g.IntN(len(t.Offerings))}, fmt.Sprint("node-", i))
		n.Price = t.Offerings[0].Price
		if g.has[closing] && g.chance(0.3) {
			n.Closed = true
			if g.chance(0.8) {
				n.Taints = append(slices.Clone(n.Taints), fleet.Taint{Key: "node.kubernetes.io/unschedulable", Effect: "NoSchedule"})
			}
		}
		if g.chance(0.1) {
			delete(n.Labels, one(g, fleet.LabelZone, labelRack, labelTeam, fleet.LabelEKSCapacity))
		}
		g.populate(&n)
		g.p.Nodes = append(g.p.Nodes, n)
	}
}

// populate puts pods onto a node that could have come there in happier times: they fit, but their constraints may not hold.
func (g *generator) populate(n *packing.Node) {
	free := room{n.Allocatable, n.MaxPods}
	for _, d := range g.p.Daemons {
		if pod := DaemonPod(d, n.Name); free.take(pod.Demand.Requests) {
			pod.Node = n.Name
			n.Pods = append(n.Pods, pod)
		}
	}
	for range g.IntN(7) {
		if len(g.apps) == 0 {
			return
		}
		a := &g.apps[g.IntN(len(g.apps))]
		pod := g.replica(a)
		pod.Node, pod.Deleting = n.Name, g.chance(0.05)
		if free.take(pod.Demand.Requests) {
			n.Pods = append(n.Pods, pod)
		}
	}
}

// room is what is left of a node.
type room struct {
	fleet.Resources
	pods int
}

func (f *room) take(r fleet.Resources) bool {
	if f.pods < 1 || f.CPU < r.CPU || f.Memory < r.Memory || f.Storage < r.Storage || f.Other[gpu] < r.Other[gpu] {
		return false
	}
	f.pods--
	f.CPU -= r.CPU
	f.Memory -= r.Memory
	f.Storage -= r.Storage
	if r.Other[gpu] > 0 {
		f.Other = map[string]int64{gpu: f.Other[gpu] - r.Other[gpu]}
	}
	return true
}
