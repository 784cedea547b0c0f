package ec2

import (
	"slices"
	"strconv"
	"strings"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

type describeTypesIn struct {
	DryRun        bool
	InstanceTypes []string `query:"InstanceType"`
	Filters       []filter `query:"Filter"`
	MaxResults    *int
	NextToken     string
}

type typeXML struct {
	InstanceType           string      `xml:"instanceType"`
	CurrentGeneration      bool        `xml:"currentGeneration"`
	FreeTierEligible       bool        `xml:"freeTierEligible"`
	UsageClasses           []string    `xml:"supportedUsageClasses>item"`
	RootDeviceTypes        []string    `xml:"supportedRootDeviceTypes>item"`
	VirtualizationTypes    []string    `xml:"supportedVirtualizationTypes>item"`
	BareMetal              bool        `xml:"bareMetal"`
	Hypervisor             string      `xml:"hypervisor,omitempty"`
	Architectures          []string    `xml:"processorInfo>supportedArchitectures>item"`
	Manufacturer           string      `xml:"processorInfo>manufacturer"`
	DefaultVCPUs           int         `xml:"vCpuInfo>defaultVCpus"`
	DefaultCores           int         `xml:"vCpuInfo>defaultCores"`
	ThreadsPerCore         int         `xml:"vCpuInfo>defaultThreadsPerCore"`
	MemoryMiB              int         `xml:"memoryInfo>sizeInMiB"`
	InstanceStorage        bool        `xml:"instanceStorageSupported"`
	Storage                *storageXML `xml:"instanceStorageInfo"`
	EBSOptimized           string      `xml:"ebsInfo>ebsOptimizedSupport"`
	EBSEncryption          string      `xml:"ebsInfo>encryptionSupport"`
	NVMe                   string      `xml:"ebsInfo>nvmeSupport"`
	MaxEBS                 *int        `xml:"ebsInfo>maximumEbsAttachments"`
	EBSLimit               string      `xml:"ebsInfo>attachmentLimitType,omitempty"`
	Network                networkXML  `xml:"networkInfo"`
	GPU                    *gpusXML    `xml:"gpuInfo"`
	Inference              *devicesXML `xml:"inferenceAcceleratorInfo"`
	Neuron                 *neuronsXML `xml:"neuronInfo"`
	PlacementStrategies    []string    `xml:"placementGroupInfo>supportedStrategies>item"`
	HibernationSupported   bool        `xml:"hibernationSupported"`
	BurstablePerformance   bool        `xml:"burstablePerformanceSupported"`
	DedicatedHosts         bool        `xml:"dedicatedHostsSupported"`
	AutoRecoverySupported  bool        `xml:"autoRecoverySupported"`
	NitroEnclavesSupported string      `xml:"nitroEnclavesSupport"`
	BootModes              []string    `xml:"supportedBootModes>item"`
}

type storageXML struct {
	TotalGB int       `xml:"totalSizeInGB"`
	Disks   []diskXML `xml:"disks>item"`
	NVMe    string    `xml:"nvmeSupport"`
	Encrypt string    `xml:"encryptionSupport"`
}

type diskXML struct {
	SizeGB int    `xml:"sizeInGB"`
	Count  int    `xml:"count"`
	Type   string `xml:"type"`
}

type networkXML struct {
	Performance         string    `xml:"networkPerformance"`
	MaxInterfaces       int       `xml:"maximumNetworkInterfaces"`
	MaxCards            int       `xml:"maximumNetworkCards"`
	DefaultCard         int       `xml:"defaultNetworkCardIndex"`
	Cards               []cardXML `xml:"networkCards>item"`
	IPv4PerInterface    int       `xml:"ipv4AddressesPerInterface"`
	IPv6PerInterface    int       `xml:"ipv6AddressesPerInterface"`
	IPv6Supported       bool      `xml:"ipv6Supported"`
	ENASupport          string    `xml:"enaSupport"`
	EFASupported        bool      `xml:"efaSupported"`
	MaxEFA              *int      `xml:"efaInfo>maximumEfaInterfaces"`
	EncryptionInTransit bool      `xml:"encryptionInTransitSupported"`
}

type cardXML struct {
	Index         int    `xml:"networkCardIndex"`
	Performance   string `xml:"networkPerformance"`
	MaxInterfaces int    `xml:"maximumNetworkInterfaces"`
}

type deviceXML struct {
	Name      string `xml:"name"`
	Maker     string `xml:"manufacturer"`
	Count     int    `xml:"count"`
	MemoryMiB int    `xml:"memoryInfo>sizeInMiB"`
}

type gpusXML struct {
	GPUs     []deviceXML `xml:"gpus>item"`
	TotalMiB int         `xml:"totalGpuMemoryInMiB"`
}

type devicesXML struct {
	Devices  []deviceXML `xml:"accelerators>item"`
	TotalMiB int         `xml:"totalInferenceMemoryInMiB"`
}

type neuronXML struct {
	Name      string `xml:"name"`
	Count     int    `xml:"count"`
	Cores     int    `xml:"coreInfo>count"`
	MemoryMiB int    `xml:"memoryInfo>sizeInMiB"`
}

type neuronsXML struct {
	Devices  []neuronXML `xml:"neuronDevices>item"`
	TotalMiB int         `xml:"totalNeuronDeviceMemoryInMiB"`
}

type describeTypesOut struct {
	Types     []typeXML `xml:"instanceTypeSet>item"`
	NextToken string    `xml:"nextToken,omitempty"`
}

func truth(f func(typeXML) bool) func(typeXML) []string {
	return one(func(t typeXML) string { return strconv.FormatBool(f(t)) })
}

func count(f func(typeXML) int) func(typeXML) []string {
	return one(func(t typeXML) string { return strconv.Itoa(f(t)) })
}

var typeFilters = filters[typeXML]{
	"instance-type":                             one(func(t typeXML) string { return t.InstanceType }),
	"current-generation":                        truth(func(t typeXML) bool { return t.CurrentGeneration }),
	"free-tier-eligible":                        truth(func(t typeXML) bool { return t.FreeTierEligible }),
	"bare-metal":                                truth(func(t typeXML) bool { return t.BareMetal }),
	"burstable-performance-supported":           truth(func(t typeXML) bool { return t.BurstablePerformance }),
	"hypervisor":                                one(func(t typeXML) string { return t.Hypervisor }),
	"memory-info.size-in-mib":                   count(func(t typeXML) int { return t.MemoryMiB }),
	"processor-info.supported-architecture":     func(t typeXML) []string { return t.Architectures },
	"supported-usage-class":                     func(t typeXML) []string { return t.UsageClasses },
	"supported-virtualization-type":             func(t typeXML) []string { return t.VirtualizationTypes },
	"supported-root-device-type":                func(t typeXML) []string { return t.RootDeviceTypes },
	"vcpu-info.default-vcpus":                   count(func(t typeXML) int { return t.DefaultVCPUs }),
	"vcpu-info.default-cores":                   count(func(t typeXML) int { return t.DefaultCores }),
	"instance-storage-supported":                truth(func(t typeXML) bool { return t.InstanceStorage }),
	"network-info.maximum-network-interfaces":   count(func(t typeXML) int { return t.Network.MaxInterfaces }),
	"network-info.maximum-network-cards":        count(func(t typeXML) int { return t.Network.MaxCards }),
	"network-info.ipv4-addresses-per-interface": count(func(t typeXML) int { return t.Network.IPv4PerInterface }),
	"network-info.ipv6-supported":               truth(func(t typeXML) bool { return t.Network.IPv6Supported }),
	"network-info.efa-supported":                truth(func(t typeXML) bool { return t.Network.EFASupported }),
	"network-info.ena-support":                  one(func(t typeXML) string { return t.Network.ENASupport }),
	"network-info.network-performance":          one(func(t typeXML) string { return t.Network.Performance }),
	"ebs-info.ebs-optimized-support":            one(func(t typeXML) string { return t.EBSOptimized }),
}

func (t InstanceType) xml() typeXML {
	x := typeXML{
		InstanceType: t.Name, CurrentGeneration: t.current(), UsageClasses: []string{"on-demand", "spot"}, RootDeviceTypes: []string{"ebs"},
		VirtualizationTypes: []string{"hvm"}, BareMetal: t.BareMetal, Hypervisor: "nitro", Architectures: []string{t.Arch}, Manufacturer: t.Manufacturer,
		DefaultVCPUs: t.VCPU, DefaultCores: t.VCPU, ThreadsPerCore: 1, MemoryMiB: t.MemoryMiB, InstanceStorage: t.DiskCount > 0,
		EBSOptimized: "default", EBSEncryption: "supported", NVMe: "required", PlacementStrategies: []string{"partition", "spread"},
		BurstablePerformance: t.Burstable, FreeTierEligible: t.Name == "t3.micro", AutoRecoverySupported: t.DiskCount == 0, DedicatedHosts: !t.Burstable,
		NitroEnclavesSupported: "unsupported", BootModes: []string{"uefi"},
		Network: networkXML{
			Performance: t.Network, MaxInterfaces: t.MaxENI, MaxCards: t.Cards, IPv4PerInterface: t.IPsPerENI, IPv6PerInterface: t.IPsPerENI,
			IPv6Supported: true, ENASupport: "required", EFASupported: t.MaxEFA > 0, EncryptionInTransit: t.generation() >= 5 && !t.Burstable && t.Arch == "x86_64",
		},
	}
	switch {
	case t.BareMetal:
		x.Hypervisor = ""
	case t.xen():
		x.Hypervisor = "xen"
	}
	if n, dedicated := t.attachments(); n > 0 {
		if x.MaxEBS, x.EBSLimit = &n, "shared"; dedicated {
			x.EBSLimit = "dedicated"
		}
	}
	if t.Arch == "x86_64" {
		x.BootModes = []string{"legacy-bios", "uefi"}
		if t.family() != "m7a" && t.VCPU > 1 { // all others of these have two threads a core
			x.DefaultCores, x.ThreadsPerCore = t.VCPU/2, 2
		}
	}
	if !t.Burstable {
		x.PlacementStrategies = []string{"cluster", "partition", "spread"}
	}
	for i := range t.Cards {
		x.Network.Cards = append(x.Network.Cards, cardXML{i, t.Network, t.perCard})
	}
	if t.MaxEFA > 0 {
		x.Network.MaxEFA = &t.MaxEFA
	}
	if t.DiskCount > 0 {
		x.Storage = &storageXML{t.DiskCount * t.DiskGB, []diskXML{{t.DiskGB, t.DiskCount, "ssd"}}, "required", "required"}
	}
	a := t.Accelerators
	switch device := (deviceXML{a.Name, a.Maker, a.Count, a.MemoryMiB}); {
	case a.Count == 0:
	case a.Cores == 0:
		x.GPU = &gpusXML{[]deviceXML{device}, a.Count * a.MemoryMiB}
	default:
		x.Neuron = &neuronsXML{[]neuronXML{{a.Name, a.Count, a.Cores, a.MemoryMiB}}, a.Count * a.MemoryMiB}
		if strings.HasPrefix(a.Name, "Inferentia") {
			x.Inference = &devicesXML{[]deviceXML{device}, a.Count * a.MemoryMiB}
		}
	}
	return x
}

func (s *Service) describeTypes(in *describeTypesIn) (*describeTypesOut, error) {
	var items []typeXML
	var unknown []string
	for _, name := range in.InstanceTypes {
		if _, ok := catalogue[name]; !ok {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) > 0 {
		return nil, wire.Errf("InvalidInstanceType", "The following supplied instance types do not exist: [%s]", strings.Join(unknown, ", "))
	}
	for _, name := range typeNames {
		if len(in.InstanceTypes) == 0 || slices.Contains(in.InstanceTypes, name) {
			items = append(items, catalogue[name].xml())
		}
	}
	items, err := typeFilters.keep(items, in.Filters)
	if err != nil {
		return nil, err
	}
	if in.MaxResults == nil && len(in.InstanceTypes) == 0 {
		in.MaxResults = new(100) // EC2 does not give all at once
	}
	page, next, err := paged(items, func(t typeXML) string { return t.InstanceType }, query{max: in.MaxResults, token: in.NextToken})
	return &describeTypesOut{page, next}, err
}
