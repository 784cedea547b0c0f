package cluster

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// maxSelected is how many types EKS takes for a node group. eksctl gives up when a selector finds more.
const maxSelected = 20

// Asks is what has to be asked of EC2 and of Systems Manager's public parameters before the next step can be decided.
type Asks struct {
	// Machines are the selectors of which types are to be chosen.
	Machines []fleet.InstanceSelector
	// Images are names of parameters.
	Images []string
}

// ToAsk is what is open: the machines of a group with a selector that is to be made, and the images of launch templates that
// are to be made and have to name one. Once they are made, neither is looked at again.
func ToAsk(o Observation, s fleet.ClusterSpec, opt Options) Asks {
	if o.Depth == OnlyControl || !slices.ContainsFunc(s.NodeGroups, func(g fleet.NodeGroupSpec) bool {
		return g.Selector != nil || strings.HasPrefix(imageOf(g), "/")
	}) {
		return Asks{}
	}
	b := &builder{o: o, s: s, opt: opt, at: map[string]int{}, asks: &Asks{}}
	if _, _, err := b.graph(); err != nil {
		return Asks{} // Decide will say it
	}
	return *b.asks
}

// machines are the instance types of a group that is to be made: the file's, or what its selector finds. The problem says
// why there are none.
func (b *builder) machines(g fleet.NodeGroupSpec, net network) (types []string, problem string) {
	if g.Selector == nil || b.naming {
		return g.InstanceTypes, ""
	}
	if len(b.o.Market.Types) == 0 {
		if b.asks != nil {
			b.asks.Machines = append(b.asks.Machines, *g.Selector)
			return nil, ""
		}
		if b.o.Market.Asked {
			return nil, "EC2 has no machine like its instanceSelector in this Region: ask for another number of vCPUs, or another size"
		}
		return []string{plan.Unknown("machines")}, ""
	}
	var zones []string
	ids, _ := net.placement(g)
	for _, s := range net.subnets {
		if slices.Contains(ids, s.id) && s.zone != "" {
			zones = union(zones, []string{s.zone})
		}
	}
	if types = selected(*g.Selector, b.o.Market.Types, zones); len(types) == 0 {
		return nil, fmt.Sprintf("no machine like its instanceSelector is offered in all of %s: ask for another number of vCPUs, or another size, or use fewer zones", strings.Join(zones, ", "))
	}
	if len(types) > maxSelected {
		b.notes = append(b.notes, fmt.Sprintf("node group %s: its instanceSelector finds %d types, and EKS takes %d: the newest are used; narrow it with allow or deny", g.Name, len(types), maxSelected))
		types = types[:maxSelected]
	}
	return types, ""
}

// selected are the types that a selector finds, those first that are to be preferred: the smallest, the newest. As with
// eksctl, what it says has to be met exactly; GPUs and Neuron devices that it does not ask for are left out, since they need
// other images. So is bare metal.
func selected(s fleet.InstanceSelector, market []fleet.InstanceType, zones []string) (names []string) {
	allow, deny := regexp.MustCompile(s.Allow), regexp.MustCompile(s.Deny)
	exact := func(want, have int) bool { return want == 0 || want == have }
	var list []fleet.InstanceType
	for _, t := range market {
		if !exact(s.VCPUs, t.VCPUs) || !exact(s.MemoryMiB, t.MemoryMiB) || s.GPUs != t.GPUs || s.Neuron != t.Neuron ||
			s.Arch != "" && !slices.Contains(t.Arch, s.Arch) || s.Allow != "" && !allow.MatchString(t.Name) || s.Deny != "" && deny.MatchString(t.Name) ||
			strings.Contains(t.Name, "metal") || slices.ContainsFunc(zones, func(z string) bool { return !slices.Contains(t.Zones, z) }) {
			continue
		}
		list = append(list, t)
	}
	slices.SortFunc(list, func(a, b fleet.InstanceType) int {
		return cmp.Or(cmp.Compare(a.VCPUs, b.VCPUs), cmp.Compare(a.MemoryMiB, b.MemoryMiB), cmp.Compare(generation(b.Name), generation(a.Name)), cmp.Compare(a.Name, b.Name))
	})
	for _, t := range list {
		if !slices.Contains(names, t.Name) {
			names = append(names, t.Name)
		}
	}
	return names
}

// generation is the number in a type's name: 7 of m7i.large.
func generation(name string) (n int) {
	for _, c := range strings.TrimLeft(name, "abcdefghijklmnopqrstuvwxyz") {
		if c < '0' || c > '9' {
			break
		}
		n = n*10 + int(c-'0')
	}
	return n
}
