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
	InstanceType           string   `xml:"instanceType"`
	CurrentGeneration      bool     `xml:"currentGeneration"`
	FreeTierEligible       bool     `xml:"freeTierEligible"`
	UsageClasses           []string `xml:"supportedUsageClasses>item"`
	RootDeviceTypes        []string `xml:"supportedRootDeviceTypes>item"`
	VirtualizationTypes    []string `xml:"supportedVirtualizationTypes>item"`
	BareMetal              bool     `xml:"bareMetal"`
	Hypervisor             string   `xml:"hypervisor"`
	Architectures          []string `xml:"processorInfo>supportedArchitectures>item"`
	DefaultVCPUs           int      `xml:"vCpuInfo>defaultVCpus"`
	MemoryMiB              int      `xml:"memoryInfo>sizeInMiB"`
	InstanceStorage        bool     `xml:"instanceStorageSupported"`
	EBSOptimized           string   `xml:"ebsInfo>ebsOptimizedSupport"`
	MaxInterfaces          int      `xml:"networkInfo>maximumNetworkInterfaces"`
	IPv4PerInterface       int      `xml:"networkInfo>ipv4AddressesPerInterface"`
	IPv6Supported          bool     `xml:"networkInfo>ipv6Supported"`
	EncryptionInTransit    bool     `xml:"networkInfo>encryptionInTransitSupported"`
	ENASupport             string   `xml:"networkInfo>enaSupport"`
	PlacementStrategies    []string `xml:"placementGroupInfo>supportedStrategies>item"`
	HibernationSupported   bool     `xml:"hibernationSupported"`
	BurstablePerformance   bool     `xml:"burstablePerformanceSupported"`
	DedicatedHosts         bool     `xml:"dedicatedHostsSupported"`
	AutoRecoverySupported  bool     `xml:"autoRecoverySupported"`
	NitroEnclavesSupported string   `xml:"nitroEnclavesSupport"`
}

type describeTypesOut struct {
	Types     []typeXML `xml:"instanceTypeSet>item"`
	NextToken string    `xml:"nextToken,omitempty"`
}

var typeFilters = filters[typeXML]{
	"instance-type":                           one(func(t typeXML) string { return t.InstanceType }),
	"current-generation":                      one(func(t typeXML) string { return strconv.FormatBool(t.CurrentGeneration) }),
	"bare-metal":                              one(func(t typeXML) string { return strconv.FormatBool(t.BareMetal) }),
	"burstable-performance-supported":         one(func(t typeXML) string { return strconv.FormatBool(t.BurstablePerformance) }),
	"hypervisor":                              one(func(t typeXML) string { return t.Hypervisor }),
	"memory-info.size-in-mib":                 one(func(t typeXML) string { return strconv.Itoa(t.MemoryMiB) }),
	"processor-info.supported-architecture":   func(t typeXML) []string { return t.Architectures },
	"supported-usage-class":                   func(t typeXML) []string { return t.UsageClasses },
	"supported-virtualization-type":           func(t typeXML) []string { return t.VirtualizationTypes },
	"supported-root-device-type":              func(t typeXML) []string { return t.RootDeviceTypes },
	"vcpu-info.default-vcpus":                 one(func(t typeXML) string { return strconv.Itoa(t.DefaultVCPUs) }),
	"instance-storage-supported":              one(func(t typeXML) string { return strconv.FormatBool(t.InstanceStorage) }),
	"network-info.maximum-network-interfaces": one(func(t typeXML) string { return strconv.Itoa(t.MaxInterfaces) }),
}

func (t InstanceType) xml() typeXML {
	return typeXML{
		InstanceType: t.Name, CurrentGeneration: true, UsageClasses: []string{"on-demand", "spot"}, RootDeviceTypes: []string{"ebs"},
		VirtualizationTypes: []string{"hvm"}, Hypervisor: "nitro", Architectures: []string{t.Arch}, DefaultVCPUs: t.VCPU,
		MemoryMiB: t.MemoryMiB, EBSOptimized: "default", MaxInterfaces: t.MaxENI, IPv4PerInterface: t.IPsPerENI, IPv6Supported: true,
		ENASupport: "required", PlacementStrategies: []string{"partition", "spread"}, BurstablePerformance: t.Burstable,
		AutoRecoverySupported: true, NitroEnclavesSupported: "unsupported",
	}
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
	page, next, err := paged(items, func(t typeXML) string { return t.InstanceType }, query{max: in.MaxResults, token: in.NextToken})
	return &describeTypesOut{page, next}, err
}
