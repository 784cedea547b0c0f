package workload

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/ekspedite/ekspedite/shared/decide/packing"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Capacity types as workload files have them.
const (
	onDemand = "on-demand"
	spot     = "spot"
)

const (
	gpu              = "nvidia.com/gpu"
	labelCategory    = "karpenter.k8s.aws/instance-category"
	labelFamily      = "karpenter.k8s.aws/instance-family"
	mib              = 1 << 20
	systemDaemons    = "kube-system" // the namespace of daemon pods that name none
	defaultNamespace = "default"     // of pods that name none
)

// Problem is the workload as the solver wants it. Pods that run on a node are the node's; the others are to be placed, in the
// file's order.
func (f *File) Problem() (packing.Problem, error) {
	p := packing.Problem{Pods: make([]fleet.Pod, 0, len(f.Pods))}
	for _, t := range f.InstanceTypes {
		p.Types = append(p.Types, t.packing())
	}
	for i, pool := range f.NodePools {
		made, err := f.pool(pool)
		if err != nil {
			return p, fmt.Errorf("nodePools[%d] (%q): %w", i, pool.Name, err)
		}
		p.Pools = append(p.Pools, made)
	}
	demands := map[*PodSpec]*shared{}
	for _, d := range f.DaemonPods {
		pod := d.pod(demands, systemDaemons)
		p.Daemons = append(p.Daemons, fleet.Daemon{Namespace: pod.Namespace, Name: d.Name, Labels: pod.Labels, Tolerations: pod.Tolerations, Demand: *pod.Demand})
	}
	at, types, pools := map[string]int{}, map[string]packing.Type{}, map[string]NodePool{}
	for _, t := range p.Types {
		types[t.Name] = t
	}
	for _, pool := range f.NodePools {
		pools[pool.Name] = pool
	}
	for i, n := range f.Nodes {
		at[n.Name] = i
		p.Nodes = append(p.Nodes, n.packing(types[n.InstanceType], pools[n.NodePool], p.Daemons))
	}
	for _, pod := range f.Pods {
		made := pod.pod(demands, defaultNamespace)
		if pod.Node == "" {
			p.Pods = append(p.Pods, made)
			continue
		}
		made.Phase = "Running"
		n := &p.Nodes[at[pod.Node]]
		n.Pods = append(n.Pods, made)
	}
	return p, nil
}

// packing is the type as a node.
func (t InstanceType) packing() packing.Type {
	left := fleet.Resources{
		CPU: max(0, t.CPUMilli-t.OverheadCPUMilli), Memory: max(0, t.MemMiB-t.OverheadMemMiB) * mib, Storage: t.StorageMiB * mib, Other: extended(t.Resources, t.GPUs),
	}
	out := packing.Type{Name: t.Name, Arch: t.Arch, Labels: maps.Clone(t.Labels), Allocatable: left, MaxPods: t.Pods, AttachLimit: t.AttachLimits}
	for label, v := range map[string]string{labelCategory: t.Category, labelFamily: t.Family} {
		if _, ok := out.Labels[label]; !ok && v != "" {
			if out.Labels == nil {
				out.Labels = map[string]string{}
			}
			out.Labels[label] = v
		}
	}
	for _, o := range t.Offerings {
		out.Offerings = append(out.Offerings, packing.Offering{Zone: o.Zone, Capacity: capacity(o.CapacityType), Price: o.Price, Short: o.Short, Risk: o.Risk})
	}
	return out
}

func extended(named map[string]int64, gpus int64) map[string]int64 {
	if gpus == 0 {
		return named
	}
	out := map[string]int64{gpu: gpus}
	maps.Copy(out, named)
	return out
}

func capacity(s string) string {
	if s == spot {
		return fleet.Spot
	}
	return fleet.OnDemand
}

// CapacityName is a capacity type in a workload file's words.
func CapacityName(capacity string) string {
	if capacity == fleet.Spot {
		return spot
	}
	return onDemand
}

// pool finds a pool's machines by its requirements.
func (f *File) pool(n NodePool) (packing.Pool, error) {
	p := packing.Pool{
		Name: n.Name, Labels: n.Labels, Taints: n.Taints, Weight: n.Weight,
		MaxNodes: n.Limits.Nodes, MaxCPU: n.Limits.CPUMilli, MaxMemory: n.Limits.MemMiB * mib,
	}
	var types []fleet.Requirement
	zones, capacities := f.zones(), []string{onDemand, spot}
	for _, r := range n.Requirements {
		keep := func(key string, from []string) []string {
			return slices.DeleteFunc(from, func(v string) bool { return !holds(map[string]string{key: v}, r) })
		}
		switch r.Key {
		case fleet.LabelZone:
			zones = keep(r.Key, zones)
			p.Zones = zones
		case fleet.LabelKarpenterKind, "capacity-type":
			capacities = keep(r.Key, capacities)
			p.Capacity = nil
			for _, c := range capacities {
				p.Capacity = append(p.Capacity, capacity(c))
			}
		default:
			if !f.knows(r.Key) {
				return p, fmt.Errorf("requirement on %q: neither a property nor a label of any instance type (known: %s)", r.Key, strings.Join(properties, ", "))
			}
			types = append(types, r)
		}
	}
	if len(zones) == 0 || len(capacities) == 0 {
		return p, nil // it has no machines: an empty list would be all
	}
	for i, t := range f.InstanceTypes {
		labels := t.properties()
		if !slices.ContainsFunc(types, func(r fleet.Requirement) bool { return !holds(labels, r) }) {
			p.Machines = append(p.Machines, i)
		}
	}
	return p, nil
}

func (f *File) zones() []string {
	seen := map[string]bool{}
	for _, t := range f.InstanceTypes {
		for _, o := range t.Offerings {
			seen[o.Zone] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// properties are the keys of requirements that every instance type has. Each may be written with Karpenter's prefix.
var properties = []string{"instance-category", "instance-family", "instance-type", "instance-cpu", "instance-memory", "instance-gpu-count", fleet.LabelArch, fleet.LabelOS, fleet.LabelZone, fleet.LabelKarpenterKind}

const prefix = "karpenter.k8s.aws/"

func (f *File) knows(key string) bool {
	if slices.Contains(properties, strings.TrimPrefix(key, prefix)) || key == fleet.LabelInstanceType {
		return true
	}
	return slices.ContainsFunc(f.InstanceTypes, func(t InstanceType) bool { _, ok := t.Labels[key]; return ok })
}

// properties are what requirements of pools are held against.
func (t InstanceType) properties() map[string]string {
	out := map[string]string{
		"instance-category": t.Category, "instance-family": t.Family, "instance-type": t.Name,
		"instance-cpu": strconv.FormatInt(t.CPUMilli/1000, 10), "instance-memory": strconv.FormatInt(t.MemMiB, 10), "instance-gpu-count": strconv.FormatInt(t.GPUs, 10),
	}
	for k, v := range maps.Clone(out) {
		out[prefix+k] = v
	}
	out[fleet.LabelInstanceType], out[fleet.LabelArch], out[fleet.LabelOS] = t.Name, t.Arch, "linux"
	maps.Copy(out, t.Labels)
	return out
}

// packing is a node that exists, with its daemons.
func (n Node) packing(t packing.Type, pool NodePool, daemons []fleet.Daemon) packing.Node {
	out := packing.Node{
		Name: n.Name, Labels: nodeLabels(n.Name, t, pool.Labels, n.Zone, capacity(n.CapacityType), nil), Taints: slices.Concat(pool.Taints, n.Taints),
		Allocatable: t.Allocatable, MaxPods: t.MaxPods, AttachLimit: t.AttachLimit, Closed: n.Closed, Price: n.Price,
	}
	maps.Copy(out.Labels, n.Labels)
	for _, o := range t.Offerings {
		if n.Price == 0 && o.Zone == n.Zone && o.Capacity == capacity(n.CapacityType) {
			out.Price = o.Price
		}
	}
	for i := range daemons {
		d := &daemons[i]
		if runsOn(d, out.Name, out.Labels, out.Taints) {
			out.Pods = append(out.Pods, daemonPod(d, n.Name))
		}
	}
	return out
}
