package scaling

import (
	"testing"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// TestEstimate: the figures that EKS's nodes of these types are known for.
func TestEstimate(t *testing.T) {
	machine := func(cpus, gibs, enis, ips int) fleet.MachineType {
		return fleet.MachineType{VCPUs: cpus, MemoryMiB: gibs * 1024, ENIs: enis, IPsPerENI: ips, Nitro: true, Attachments: 28}
	}
	m5large, m5xlarge, m5x4, m5x24 := machine(2, 8, 3, 10), machine(4, 16, 4, 15), machine(16, 64, 8, 30), machine(96, 384, 15, 50)
	al2023, windows := "AL2023_x86_64_STANDARD", "WINDOWS_CORE_2022_x86_64"
	none := fleet.NodePolicy{}
	for _, c := range []struct {
		name        string
		m           fleet.MachineType
		pr          profile
		p           fleet.NodePolicy
		cpu, memory int64 // thousandths, MiB
		pods        int
	}{
		{"m5.large", m5large, profile{image: al2023, managed: true}, none, 1930, 8192 - 255 - 11*29 - 100, 29},
		{"a share for the hypervisor", m5large, profile{image: al2023, managed: true}, fleet.NodePolicy{VMOverhead: 0.075}, 1930, 7577 - 255 - 11*29 - 100, 29},
		{"m5.xlarge", m5xlarge, profile{image: al2023, managed: true}, none, 3920, 16384 - 255 - 11*58 - 100, 58},
		{"managed groups have 110 pods below 30 vCPUs, and reserve for all", m5x4, profile{image: al2023, managed: true}, none, 15890, 65536 - 255 - 11*234 - 100, 110},
		{"Bottlerocket reserves for the number in force", m5x4, profile{image: "BOTTLEROCKET_x86_64", managed: true}, none, 15890, 65536 - 255 - 11*110 - 100, 110},
		{"self-managed groups have what the interfaces give", m5x4, profile{image: al2023}, none, 15890, 65536 - 255 - 11*234 - 100, 234},
		{"m5.24xlarge", m5x24, profile{image: al2023, managed: true}, none, 95690, 393216 - 255 - 11*737 - 100, 250},
		{"prefixes", m5large, profile{image: al2023, managed: true}, fleet.NodePolicy{PrefixDelegation: true}, 1930, 8192 - 255 - 11*29 - 100, 110},
		{"the group's own number", m5large, profile{image: al2023, managed: true, maxPods: 17}, none, 1930, 8192 - 255 - 11*29 - 100, 17},
		{"Windows has one interface", m5large, profile{image: windows, managed: true}, none, 1930, 8192 - 255 - 11*29 - 500, 9},
		{"interfaces that nobody knows", machine(2, 8, 0, 0), profile{image: al2023}, none, 1930, 8192 - 255 - 11*110 - 100, 110},
	} {
		r := estimate(c.m, c.pr, c.p)
		if r.resources.CPU != c.cpu || r.resources.Memory != c.memory*mib || r.maxPods != c.pods {
			t.Errorf("%s: %d cpu, %d MiB, %d pods; want %d, %d, %d", c.name, r.resources.CPU, r.resources.Memory/mib, r.maxPods, c.cpu, c.memory, c.pods)
		}
	}
	if r := estimate(m5large, profile{diskGiB: 80}, none); r.resources.Storage != 71*gib || r.attach[ebsDriver] != 24 {
		t.Errorf("%d GiB of storage, %v volumes", r.resources.Storage/gib, r.attach)
	}
}

// TestMeasured: a node that was seen is believed more than any formula, a device plugin that is late is waited for.
func TestMeasured(t *testing.T) {
	guess := room{resources: fleet.Resources{CPU: 3920, Memory: 14 * gib, Other: map[string]int64{"nvidia.com/gpu": 1}}, maxPods: 58, attach: map[string]int{ebsDriver: 20}}
	seen := fleet.Node{Allocatable: fleet.Resources{CPU: 3920, Memory: 15 * gib}, MaxPods: 58, AttachLimits: map[string]int{ebsDriver: 26}}
	if r := guess.measured(seen, false); r.resources.Memory != 15*gib || r.attach[ebsDriver] != 26 || r.resources.Other["nvidia.com/gpu"] != 1 {
		t.Errorf("young: %+v", r)
	}
	if r := guess.measured(seen, true); r.resources.Other["nvidia.com/gpu"] != 0 {
		t.Errorf("old: %+v", r)
	}
	w := cluster(managed("web", "m5.large", 0, 1, 9))
	w.Nodes[0].Allocatable.CPU = 1000 // a kubelet with greater reserves
	w.pods(pod("a", 1000, 512, on(1)), pod("b", 600, 512), pod("c", 600, 512))
	if d := w.decide(t, noon, acting()); len(d.Explanation.New) != 2 {
		t.Errorf("the live node says that one node holds one of the pods: %s", d.Plan)
	}
}

func TestGroupName(t *testing.T) {
	p := &pool{PoolPolicy: fleet.PoolPolicy{Name: "general"}}
	if got := p.groupName("m7g.large", "us-east-1a", true); got != "general-spot-us-east-1a-m7g-large" {
		t.Error(got)
	}
	p.Name = "a-pool-of-20-letters"
	long, other := p.groupName("u7in-24tb.224xlarge", "us-northeast-12a-lax-1a", false), p.groupName("u7in-24tb.224xlarge", "us-northeast-12a-lax-1b", false)
	if len(long) > maxGroupName || long == other || long != p.groupName("u7in-24tb.224xlarge", "us-northeast-12a-lax-1a", false) {
		t.Error(long, other)
	}
}

func TestImages(t *testing.T) {
	for _, c := range []struct {
		image string
		m     fleet.MachineType
		want  string
		ok    bool
	}{
		{"AL2023_x86_64_STANDARD", fleet.MachineType{Arch: "arm64"}, "AL2023_ARM_64_STANDARD", true},
		{"AL2023_ARM_64_STANDARD", fleet.MachineType{Arch: "amd64", Accelerators: map[string]int64{"nvidia.com/gpu": 1}}, "AL2023_x86_64_NVIDIA", true},
		{"AL2023_x86_64_STANDARD", fleet.MachineType{Arch: "amd64", Accelerators: map[string]int64{"aws.amazon.com/neuron": 1}}, "AL2023_x86_64_NEURON", true},
		{"BOTTLEROCKET_x86_64", fleet.MachineType{Arch: "amd64", Accelerators: map[string]int64{"aws.amazon.com/neuron": 1}}, "", false},
		{"WINDOWS_CORE_2022_x86_64", fleet.MachineType{Arch: "arm64"}, "", false},
		{"", fleet.MachineType{Arch: "amd64"}, "", true},
		{"CUSTOM", fleet.MachineType{Arch: "amd64", Accelerators: map[string]int64{"nvidia.com/gpu": 1}}, "CUSTOM", false},
	} {
		if got, ok := imageFor(c.image, c.m); got != c.want || ok != c.ok {
			t.Errorf("%s for %+v: %q, %t", c.image, c.m, got, ok)
		}
	}
}
