package scaling

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// maxGroupName is EKS's limit of a node group's name, maxGroupNodes its quota of nodes in one (L-BD136A63).
const (
	maxGroupName  = 63
	maxGroupNodes = 450
)

// pool is a pool of the policy with what is there of it.
type pool struct {
	fleet.PoolPolicy
	like   *group
	kinds  []string // instance types that it may have, sorted
	zones  []string // sorted
	why    string   // why nothing can be made for it, ""
	asleep string   // the window that it sleeps in, "" when awake

	groups   []*group // that the planner has made for it
	reserved int      // nodes that a reservation wants of it now
}

// readPools finds out what each pool may have. It comes after the groups.
func (s *scene) readPools() {
	for _, policy := range s.p.Pools {
		p := &pool{PoolPolicy: policy, like: s.group[policy.Like]}
		switch {
		case p.like == nil:
			p.why = fmt.Sprintf("there is no node group %q to make others like", policy.Like)
		case p.like.Recipe == nil:
			p.why = fmt.Sprintf("nobody has read what node group %s is made of", policy.Like)
		case p.Mode == fleet.PoolFleet && p.like.Kind == Managed:
			p.why = fmt.Sprintf("node group %s is EKS's own: machines without a group are made like those of a self-managed one", policy.Like)
		case p.Mode == fleet.PoolGroups && p.like.Kind != Managed:
			p.why = fmt.Sprintf("node group %s is self-managed: managed groups are made like a managed one", policy.Like)
		case len(s.o.Market.Types) == 0:
			p.why = "the market of machines could not be read"
		default:
			if len(p.Arch) == 0 { // images are built for what runs already: another processor is the owner's to allow
				p.Arch = []string{s.archLike(p.like)}
			}
			p.zones = p.allowedZones()
			p.kinds = s.allowedKinds(p)
			if len(p.zones) == 0 {
				p.why = fmt.Sprintf("node group %s has no subnets in the pool's zones", policy.Like)
			} else if len(p.kinds) == 0 {
				p.why = "no instance type is what it asks for"
			}
		}
		if p.why != "" {
			s.note("pool %s cannot be used: %s", p.Name, p.why)
		}
		for _, g := range s.groups {
			if g.Pool == p.Name {
				g.pool, p.groups = p, append(p.groups, g)
				if g.Kind == Fleet && p.why == "" { // its machines are made of the same launch template
					g.Labels, g.Taints = p.nodeLabels(g.Spot), p.nodeTaints()
					g.AMIType, g.MaxPods, g.DiskGiB = p.like.AMIType, p.like.MaxPods, p.like.DiskGiB
				}
			}
		}
		s.pool[p.Name], s.pools = p, append(s.pools, p)
	}
}

// archLike is the processor of a group's machines.
func (s *scene) archLike(g *group) string {
	if m, ok := s.machines[slices.Concat(g.Types, []string{""})[0]]; ok {
		return m.Arch
	}
	return archOf(g)
}

// allowedZones are those that the pool may use and that there are subnets in.
func (p *pool) allowedZones() (out []string) {
	subnets, _ := fleet.At(p.like.Recipe, keySubnets).(fleet.Props)
	for _, zone := range slices.Sorted(maps.Keys(subnets)) {
		if len(p.Zones) == 0 || slices.Contains(p.Zones, zone) {
			out = append(out, zone)
		}
	}
	return out
}

func (s *scene) allowedKinds(p *pool) (out []string) {
	for _, m := range s.o.Market.Types {
		if p.allows(m) && len(m.Offerings) > 0 {
			if _, ok := imageFor(p.like.AMIType, m); ok {
				out = append(out, m.Name)
			}
		}
	}
	slices.Sort(out)
	return out
}

// allows tells whether the pool's policy has room for a machine. What is named is allowed, old, burstable or bare as it is;
// accelerators are dear, and come only where they are named.
func (p *pool) allows(m fleet.MachineType) bool {
	family, _, _ := strings.Cut(m.Name, ".")
	named := slices.Contains(p.Types, m.Name) || slices.Contains(p.Families, family)
	switch {
	case slices.Contains(p.Exclude, m.Name), slices.Contains(p.Exclude, family):
		return false
	case (len(p.Types) > 0 || len(p.Families) > 0) && !named:
		return false
	case len(p.Categories) > 0 && !slices.Contains(p.Categories, category(family)):
		return false
	case !slices.Contains(p.Arch, m.Arch):
		return false
	case p.MinVCPUs > m.VCPUs, p.MaxVCPUs > 0 && p.MaxVCPUs < m.VCPUs:
		return false
	case named:
		return true
	case len(m.Accelerators) > 0 && !slices.Contains(p.Categories, category(family)):
		return false
	}
	return (m.Current || p.OldGenerations) && (!m.Burstable || p.Burstable) && (!m.Bare || p.Bare)
}

// category is what a family's name begins with, before the number: c of c7g, inf of inf2.
func category(family string) string {
	if i := strings.IndexAny(family, "0123456789"); i > 0 {
		return family[:i]
	}
	return family
}

// images are EKS's amiTypes by family: for amd64 and arm64, plain, with NVIDIA's driver, with Neuron's.
var images = []struct{ amd64, arm64, nvidiaAMD64, nvidiaARM64, neuron string }{
	{"AL2023_x86_64_STANDARD", "AL2023_ARM_64_STANDARD", "AL2023_x86_64_NVIDIA", "AL2023_ARM_64_NVIDIA", "AL2023_x86_64_NEURON"},
	{"BOTTLEROCKET_x86_64", "BOTTLEROCKET_ARM_64", "BOTTLEROCKET_x86_64_NVIDIA", "BOTTLEROCKET_ARM_64_NVIDIA", ""},
	{"AL2_x86_64", "AL2_ARM_64", "AL2_x86_64_GPU", "", "AL2_x86_64_GPU"},
	{"WINDOWS_CORE_2022_x86_64", "", "", "", ""},
	{"WINDOWS_FULL_2022_x86_64", "", "", "", ""},
}

// imageFor is the image of a family for a machine. An image that nobody here knows, of a launch template, is for one processor:
// it stays, and false says that a machine is not for it.
func imageFor(image string, m fleet.MachineType) (string, bool) {
	for _, f := range images {
		if image == "" || !slices.Contains([]string{f.amd64, f.arm64, f.nvidiaAMD64, f.nvidiaARM64, f.neuron}, image) {
			continue
		}
		out := f.amd64
		switch {
		case m.Accelerators["aws.amazon.com/neuron"] > 0:
			out = f.neuron
		case m.Accelerators["nvidia.com/gpu"] > 0 && m.Arch == "arm64":
			out = f.nvidiaARM64
		case m.Accelerators["nvidia.com/gpu"] > 0:
			out = f.nvidiaAMD64
		case len(m.Accelerators) > 0:
			return "", false
		case m.Arch == "arm64":
			out = f.arm64
		}
		return out, out != ""
	}
	return image, len(m.Accelerators) == 0
}

// groupName is the name of the pool's group for one offering: the same for the same, so that a group is never made twice.
func (p *pool) groupName(kind, zone string, spot bool) string {
	capacity := "od"
	if spot {
		capacity = "spot"
	}
	name := strings.NewReplacer(".", "-", "_", "-").Replace(fmt.Sprintf("%s-%s-%s-%s", p.Name, capacity, zone, kind))
	if len(name) <= maxGroupName {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return name[:maxGroupName-9] + "-" + hex.EncodeToString(sum[:4])
}

// nodeLabels are those of all new nodes of one capacity type.
func (p *pool) nodeLabels(spot bool) map[string]string {
	if p.Mode == fleet.PoolFleet {
		return maps.Clone(p.like.Labels) // the launch template's, which says how nodes register
	}
	out := with(maps.Clone(p.Labels), TagPool, p.Name)
	out[fleet.LabelKarpenterKind], out[fleet.LabelEKSCapacity] = "on-demand", fleet.OnDemand
	if spot {
		out[fleet.LabelKarpenterKind], out[fleet.LabelEKSCapacity] = "spot", fleet.Spot
	}
	return out
}

func (p *pool) nodeTaints() []fleet.Taint {
	if p.Mode == fleet.PoolFleet {
		return p.like.Taints
	}
	return p.Taints
}

// future is the group that an order's machines will come to.
func (p *pool) future(o Order) *group {
	g := &group{pool: p, frozen: "it is being created", Group: Group{
		Name: o.Group, Kind: Managed, Pool: p.Name, Types: o.types()[:1], Zones: []string{o.Zone}, Spot: o.Spot,
		Taints: p.nodeTaints(), Max: maxGroupNodes, Status: "CREATING",
	}}
	if p.Mode == fleet.PoolFleet {
		g.Kind = Fleet
	}
	if p.like != nil {
		g.Labels = p.nodeLabels(o.Spot)
		g.AMIType, g.MaxPods, g.DiskGiB = p.like.AMIType, p.like.MaxPods, p.like.DiskGiB
	}
	p.groups = append(p.groups, g)
	return g
}

// profile is what a new node of the pool is like.
func (p *pool) profile() profile {
	return profile{image: p.like.AMIType, managed: p.Mode == fleet.PoolGroups, maxPods: p.like.MaxPods, diskGiB: p.like.DiskGiB}
}

// used is what the pool has already, nodes to come included.
func (p *pool) used() (nodes int, cpu, memory int64) {
	for _, g := range p.groups {
		for _, n := range g.nodes {
			nodes, cpu, memory = nodes+1, cpu+n.Allocatable.CPU, memory+n.Allocatable.Memory
		}
	}
	return nodes, cpu, memory
}

// capacities are the pool's capacity types, on-demand first.
func (p *pool) capacities() []string {
	return slices.SortedFunc(slices.Values(p.CapacityTypes), func(a, b string) int { return cmp.Compare(a, b) })
}
