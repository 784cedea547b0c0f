package scaling

import (
	"maps"
	"strings"

	"github.com/ekspedite/ekspedite/shared/decide/packing"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

const (
	mib = 1 << 20
	gib = 1 << 30
)

// labelCapacity is a label that no node has: by it the planner tells nodes' capacity types, whatever their own labels are.
const labelCapacity = "ekspedite.dev/capacity"

const labelOS = fleet.LabelOS

// ebsDriver is the CSI driver whose volumes are EC2's attachments.
const ebsDriver = "ebs.csi.aws.com"

// defaultDisk is EKS's diskSize for managed groups that do not say one: GiB.
const defaultDisk = 20

// profile is what, beside the machine, decides how much of it pods get.
type profile struct {
	image   string // EKS's amiType; "" where nobody knows
	managed bool   // EKS bounds the pods of managed groups
	maxPods int    // the group's own number; 0 is none
	diskGiB int
}

func (p profile) windows() bool      { return strings.Contains(p.image, "WINDOWS") }
func (p profile) bottlerocket() bool { return strings.Contains(p.image, "BOTTLEROCKET") }

// room is what pods may have of a node.
type room struct {
	resources fleet.Resources
	maxPods   int
	attach    map[string]int
}

// estimate is what a machine of that profile offers to pods. The reserves are those that EKS's images configure the kubelet with:
// awslabs/amazon-eks-ami, nodeadm/internal/kubelet/{config,memory,cpu}.go, and Bottlerocket's schnauzer helpers kube_reserve_cpu and
// kube_reserve_memory. A node that has been seen corrects it (see measured).
func estimate(m fleet.MachineType, pr profile, p fleet.NodePolicy) room {
	pods := podLimit(m, pr, p)
	// nodeadm reserves for the number in the table of network interfaces, whatever the group's own number; Bottlerocket for
	// the one in force.
	reservedFor := eniPods(m, 1)
	if pr.bottlerocket() || m.ENIs == 0 {
		reservedFor = pods
	}
	memory := int64(float64(m.MemoryMiB)*(1-p.VMOverhead)) * mib
	memory -= int64(255+11*reservedFor) * mib // kube-reserved
	if pr.windows() {
		memory -= 500 * mib // eviction-hard: the kubelet's own default on Windows
	} else {
		memory -= 100 * mib
	}
	disk := int64(pr.diskGiB)
	if disk == 0 {
		disk = defaultDisk
	}
	storage := disk*gib - disk*gib/10 - gib // eviction-hard nodefs.available 10 %, kube-reserved 1 GiB
	return room{
		resources: fleet.Resources{
			CPU: int64(m.VCPUs)*1000 - cpuReserve(m.VCPUs), Memory: max(memory, 0), Storage: max(storage, 0),
			Other: maps.Clone(m.Accelerators), // as the vendors' device plugins count them
		},
		maxPods: pods,
		attach:  attachments(m),
	}
}

// cpuReserve is 6 % of the first core, 1 % of the second, 0.5 % of the next two and 0.25 % of all others, in thousandths.
func cpuReserve(cores int) int64 {
	tenths := 0 // of a thousandth
	for i := range cores {
		switch {
		case i == 0:
			tenths += 600
		case i == 1:
			tenths += 100
		case i < 4:
			tenths += 50
		default:
			tenths += 25
		}
	}
	return int64(tenths+9) / 10
}

// eniPods is the VPC CNI's limit: each interface's addresses but its own, and two pods of the host's network. With prefixes
// each address is 16.
func eniPods(m fleet.MachineType, each int) int { return m.ENIs*(m.IPsPerENI-1)*each + 2 }

// podLimit is how many pods the kubelet takes.
func podLimit(m fleet.MachineType, pr profile, p fleet.NodePolicy) int {
	// EKS user guide, "Choose an optimal EC2 node instance type": with fewer than 30 vCPUs 110, else 250. Managed groups are
	// held to it, and it is what is advised with prefixes.
	most := 250
	if m.VCPUs < 30 {
		most = 110
	}
	switch {
	case pr.maxPods > 0:
		return pr.maxPods
	case m.ENIs == 0:
		return most
	case pr.windows():
		return max(m.IPsPerENI-1, 0) // one interface, and no prefixes by default
	case p.PrefixDelegation && m.Nitro:
		return min(eniPods(m, 16), most)
	case pr.managed:
		return min(eniPods(m, 1), most)
	}
	return eniPods(m, 1)
}

// attachments are how many EBS volumes a node takes beside its root. Network interfaces share the limit on most Nitro types:
// all that the CNI may attach are left out, where the CSI driver counts those that are there when it starts.
func attachments(m fleet.MachineType) map[string]int {
	if m.Attachments == 0 {
		return nil
	}
	return map[string]int{ebsDriver: max(m.Attachments-m.ENIs-1, 1)}
}

// measured corrects an estimate by a node that was seen. What a device plugin offers may come later than the node itself: it
// is believed to be missing only when the node is old.
func (r room) measured(n fleet.Node, old bool) room {
	out := room{resources: n.Allocatable, maxPods: n.MaxPods, attach: r.attach}
	if len(n.AttachLimits) > 0 {
		out.attach = n.AttachLimits
	}
	if !old && len(r.resources.Other) > 0 {
		out.resources.Other = maps.Clone(n.Allocatable.Other)
		if out.resources.Other == nil {
			out.resources.Other = map[string]int64{}
		}
		for name, count := range r.resources.Other {
			out.resources.Other[name] = max(out.resources.Other[name], count)
		}
	}
	return out
}

// least is what both offer.
func (r room) least(other room) room {
	out := room{
		resources: fleet.Resources{
			CPU: min(r.resources.CPU, other.resources.CPU), Memory: min(r.resources.Memory, other.resources.Memory),
			Storage: min(r.resources.Storage, other.resources.Storage),
		},
		maxPods: min(r.maxPods, other.maxPods),
	}
	for name, count := range r.resources.Other {
		if n := min(count, other.resources.Other[name]); n > 0 {
			if out.resources.Other == nil {
				out.resources.Other = map[string]int64{}
			}
			out.resources.Other[name] = n
		}
	}
	for driver, count := range r.attach {
		n, limited := other.attach[driver]
		if !limited {
			n = count
		}
		out.attach = with(out.attach, driver, min(count, n))
	}
	for driver, count := range other.attach {
		if _, had := r.attach[driver]; !had {
			out.attach = with(out.attach, driver, count)
		}
	}
	return out
}

func with[K comparable, V any](m map[K]V, key K, v V) map[K]V {
	if m == nil {
		m = map[K]V{}
	}
	m[key] = v
	return m
}

// asType makes a packing type. The region and the older names of labels follow from it, too.
func (r room) asType(name, arch, region string, pr profile, offerings []packing.Offering) packing.Type {
	os := "linux"
	if pr.windows() {
		os = "windows"
	}
	return packing.Type{
		Name: name, Arch: arch, Allocatable: r.resources, MaxPods: r.maxPods, AttachLimit: r.attach, Offerings: offerings,
		Labels: map[string]string{
			labelOS: os, fleet.LabelRegion: region,
			"beta.kubernetes.io/os": os, "beta.kubernetes.io/arch": arch, "beta.kubernetes.io/instance-type": name,
			"failure-domain.beta.kubernetes.io/region": region,
		},
	}
}
