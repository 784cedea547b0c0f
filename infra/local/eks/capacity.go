package eks

import (
	"fmt"
	"maps"
	"strings"
)

// shape is what beside its type decides what a node offers.
type shape struct {
	managed bool   // in a managed node group
	ami     string // of the group, "" elsewhere
	disk    int    // GiB
	maxPods int    // that the machine's own kubelet was told; 0: nothing
}

func (s shape) bottlerocket() bool { return strings.HasPrefix(s.ami, "BOTTLEROCKET_") }

// pods is how many pods the node's kubelet takes. EKS holds managed groups to 110, or 250 with 30 vCPUs or more. On
// Windows the CNI uses one interface.
func (s shape) pods(t InstanceType) int {
	most := 250
	if t.VCPU < 30 {
		most = 110
	}
	switch {
	case s.maxPods > 0:
		return s.maxPods
	case isWindows(s.ami):
		return t.IPsPerENI - 1
	case s.managed:
		return min(t.MaxPods, most)
	}
	return t.MaxPods
}

// capacity is what a node of that type reports and what of it pods can have, with nodeadm's reservations.
//
//   - Memory: the hypervisor and kernel keep part of the nominal size; 7.5 % is what Karpenter assumes for all types.
//     Pods get that less 255 MiB + 11 MiB per possible pod (kube-reserved) and 100 MiB (eviction threshold; 500 on Windows).
//     Amazon Linux counts the pods that the type's interfaces could have, Bottlerocket those that the kubelet takes.
//   - CPU: kube-reserved is 6 % of the first core, 1 % of the second, 0.5 % of the next two, 0.25 % of all others.
//   - Disk: 10 % eviction threshold and 1 GiB kube-reserved.
//   - Accelerators: nothing, until their device plugin says so; see devices.
func capacity(t InstanceType, s shape) (capacity, allocatable map[string]string) {
	memory, disk := t.MemoryMiB*925/1000, s.disk<<10
	pods := fmt.Sprint(s.pods(t))
	counted, eviction := t.MaxPods, 100
	if s.bottlerocket() {
		counted = s.pods(t)
	}
	if isWindows(s.ami) {
		eviction = 500
	}
	capacity = map[string]string{
		"cpu": fmt.Sprint(t.VCPU), "memory": fmt.Sprintf("%dMi", memory), "pods": pods, "ephemeral-storage": fmt.Sprintf("%dMi", disk),
	}
	allocatable = map[string]string{
		"cpu": fmt.Sprintf("%dm", t.VCPU*1000-reservedCPU(t.VCPU)), "memory": fmt.Sprintf("%dMi", max(memory-255-11*counted-eviction, 0)),
		"pods": pods, "ephemeral-storage": fmt.Sprintf("%dMi", disk-disk/10-1024),
	}
	return capacity, allocatable
}

// devices are the extended resources that a node offers once their device plugin runs on it. Of EKS's images only
// Bottlerocket's for NVIDIA brings the plugin along: there the node has them from the start.
func (s shape) devices(t InstanceType, n Node) map[string]string {
	if len(t.Devices) == 0 {
		return nil
	}
	all := map[string]string{}
	for name, count := range t.Devices {
		all[name] = fmt.Sprint(count)
	}
	if s.bottlerocket() && strings.Contains(s.ami, "NVIDIA") {
		maps.Copy(n.Capacity, all)
		maps.Copy(n.Allocatable, all)
		return nil
	}
	return all
}

// reservedCPU is kube-reserved in millicores, rounded down as nodeadm does.
func reservedCPU(cores int) int {
	hundredths := 0 // of a millicore
	for core := 1; core <= cores; core++ {
		switch {
		case core == 1:
			hundredths += 6000
		case core == 2:
			hundredths += 1000
		case core <= 4:
			hundredths += 500
		default:
			hundredths += 250
		}
	}
	return hundredths / 100
}
