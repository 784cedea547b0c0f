package ec2

import (
	"slices"
	"strings"

	"github.com/ekspedite/ekspedite/infra/local/ec2/form"
	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// least and most of something that instance types are asked for.
type span[T int | float64] struct {
	Min, Max *T
}

func (r *span[T]) holds(v T) bool {
	return r == nil || (r.Min == nil || v >= *r.Min) && (r.Max == nil || v <= *r.Max)
}

// requirements describe instance types by what they have.
type requirements struct {
	VCPUCount               *span[int] `query:"VCpuCount"`
	MemoryMiB               *span[int]
	MemoryGiBPerVCPU        *span[float64] `query:"MemoryGiBPerVCpu"`
	CPUManufacturers        []string       `query:"CpuManufacturer"`
	ExcludedTypes           []string       `query:"ExcludedInstanceType"`
	AllowedTypes            []string       `query:"AllowedInstanceType"`
	Generations             []string       `query:"InstanceGeneration"`
	BareMetal               string
	Burstable               string `query:"BurstablePerformance"`
	LocalStorage            string
	LocalStorageTypes       []string `query:"LocalStorageType"`
	TotalLocalStorageGB     *span[float64]
	NetworkInterfaceCount   *span[int]
	AcceleratorCount        *span[int]
	AcceleratorTypes        []string   `query:"AcceleratorType"`
	AcceleratorMakers       []string   `query:"AcceleratorManufacturer"`
	AcceleratorNames        []string   `query:"AcceleratorName"`
	AcceleratorTotalMemory  *span[int] `query:"AcceleratorTotalMemoryMiB"`
	RequireHibernateSupport bool

	// Prices are a matter of who launches, not of what there is: they change nothing in the answer.
	SpotMaxPrice     *int `query:"SpotMaxPricePercentageOverLowestPrice"`
	OnDemandMaxPrice *int `query:"OnDemandMaxPricePercentageOverLowestPrice"`
	MaxSpotPrice     *int `query:"MaxSpotPriceAsPercentageOfOptimalOnDemandPrice"`

	BaselineEbsBandwidthMbps   *form.Unsupported
	BaselinePerformanceFactors *form.Unsupported
	NetworkBandwidthGbps       *form.Unsupported
	RequireEncryption          *form.Unsupported `query:"RequireEncryptionInTransit"`
}

type requirementsIn struct {
	DryRun              bool
	Architectures       []string      `query:"ArchitectureType"`
	VirtualizationTypes []string      `query:"VirtualizationType"`
	Requirements        *requirements `query:"InstanceRequirements"`
	MaxResults          *int
	NextToken           string
	Context             *form.Unsupported
}

type matchXML struct {
	InstanceType string `xml:"instanceType"`
}

type requirementsOut struct {
	Types     []matchXML `xml:"instanceTypeSet>item"`
	NextToken string     `xml:"nextToken,omitempty"`
}

// choice reads included, required or excluded, which is what most are unless somebody asks.
func choice(v string, has bool) bool {
	switch v {
	case "included":
		return true
	case "required":
		return has
	}
	return !has
}

var cpuMakers = map[string]string{"intel": "Intel", "amd": "AMD", "amazon-web-services": "AWS", "apple": "Apple"}

var acceleratorMakers = map[string]string{"nvidia": "NVIDIA", "amazon-web-services": "AWS", "amd": "AMD", "habana": "Habana", "xilinx": "Xilinx"}

// anyOf tells whether a list is empty or has a value, after its words are translated.
func anyOf(list []string, words map[string]string, value string) bool {
	return len(list) == 0 || slices.ContainsFunc(list, func(v string) bool {
		if w, ok := words[v]; ok {
			v = w
		}
		return strings.EqualFold(v, value)
	})
}

// fits tells whether an instance type has what is asked for.
func (r *requirements) fits(t InstanceType) bool {
	generation := "previous"
	if t.current() {
		generation = "current"
	}
	named := func(list []string) bool { return len(list) > 0 && form.MatchAny(list, []string{t.Name}) }
	switch {
	case named(r.ExcludedTypes), len(r.AllowedTypes) > 0 && !named(r.AllowedTypes),
		!r.VCPUCount.holds(t.VCPU), !r.MemoryMiB.holds(t.MemoryMiB), !r.MemoryGiBPerVCPU.holds(float64(t.MemoryMiB) / 1024 / float64(t.VCPU)),
		!anyOf(r.CPUManufacturers, cpuMakers, t.Manufacturer), !anyOf(r.Generations, nil, generation),
		!choice(r.BareMetal, t.BareMetal), !choice(r.Burstable, t.Burstable),
		r.LocalStorage == "required" && t.DiskCount == 0, r.LocalStorage == "excluded" && t.DiskCount > 0,
		len(r.LocalStorageTypes) > 0 && t.DiskCount > 0 && !slices.Contains(r.LocalStorageTypes, "ssd"),
		!r.TotalLocalStorageGB.holds(float64(t.DiskCount * t.DiskGB)), !r.NetworkInterfaceCount.holds(t.MaxENI),
		r.RequireHibernateSupport:
		return false
	}
	return r.accelerated(t.Accelerators)
}

// accelerated tells whether the accelerators are right: any will do if nobody asks, as with AWS.
func (r *requirements) accelerated(a Accelerators) bool {
	kind := "gpu"
	if a.Cores > 0 {
		kind = "inference"
	}
	asked := len(r.AcceleratorTypes)+len(r.AcceleratorMakers)+len(r.AcceleratorNames) > 0
	return r.AcceleratorCount.holds(a.Count) && r.AcceleratorTotalMemory.holds(a.Count*a.MemoryMiB) &&
		(!asked || a.Count > 0 && anyOf(r.AcceleratorTypes, nil, kind) && anyOf(r.AcceleratorMakers, acceleratorMakers, a.Maker) && anyOf(r.AcceleratorNames, nil, a.Name))
}

func (s *Service) matchTypes(in *requirementsIn) (*requirementsOut, error) {
	r := in.Requirements
	switch {
	case len(in.Architectures) == 0:
		return nil, missing("ArchitectureTypes")
	case len(in.VirtualizationTypes) == 0:
		return nil, missing("VirtualizationTypes")
	case r == nil:
		return nil, missing("InstanceRequirements")
	case r.VCPUCount == nil || r.VCPUCount.Min == nil:
		return nil, missing("VCpuCount.Min")
	case r.MemoryMiB == nil || r.MemoryMiB.Min == nil:
		return nil, missing("MemoryMiB.Min")
	case len(r.AllowedTypes) > 0 && len(r.ExcludedTypes) > 0:
		return nil, wire.Errf("InvalidParameterCombination", "AllowedInstanceTypes and ExcludedInstanceTypes cannot both be specified.")
	}
	var items []matchXML
	for _, name := range typeNames {
		if t := catalogue[name]; slices.Contains(in.Architectures, t.Arch) && slices.Contains(in.VirtualizationTypes, "hvm") && r.fits(t) {
			items = append(items, matchXML{name})
		}
	}
	page, next, err := paged(items, func(m matchXML) string { return m.InstanceType }, query{max: in.MaxResults, least: 1, token: in.NextToken})
	return &requirementsOut{page, next}, err
}
