package awscloud

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/pricing"
	pricingtypes "github.com/aws/aws-sdk-go-v2/service/pricing/types"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Market reads what machines can be had in a Region and for how much, from EC2 and the price list. It keeps nothing.
type Market struct {
	ec2    *ec2.Client
	list   *pricing.Client
	region string
	now    func() time.Time
}

// NewMarket makes a Market of a configuration's Region.
func NewMarket(cfg Config, now func() time.Time) *Market {
	return &Market{ec2: ec2.NewFromConfig(cfg), list: newPriceList(cfg), region: cfg.Region, now: now}
}

// Catalogue reads the instance types that can be nodes, with their on-demand offerings, in the order of their names. An
// offering whose price is not in the list is left out. It takes some thirty calls.
func (m *Market) Catalogue(ctx context.Context) ([]fleet.MachineType, error) {
	var machines []fleet.MachineType
	var zones map[string][]string
	var prices map[string]float64
	var errs [3]error
	var wg sync.WaitGroup
	wg.Go(func() { machines, errs[0] = m.machines(ctx) })
	wg.Go(func() { zones, errs[1] = m.zones(ctx) })
	wg.Go(func() { prices, errs[2] = m.onDemand(ctx) })
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	if len(machines) > 0 && len(prices) == 0 {
		return nil, fault.New(fault.Transient, "pricing:GetProducts: the price list has no instance of %s", m.region)
	}
	for i := range machines {
		price, ok := prices[machines[i].Name]
		for _, zone := range zones[machines[i].Name] {
			if ok {
				machines[i].Offerings = append(machines[i].Offerings, fleet.Offering{Zone: zone, Price: price})
			}
		}
	}
	return machines, nil
}

// SpotPrices reads what each type costs on the spot market now: by type and zone, USD an hour.
func (m *Market) SpotPrices(ctx context.Context) (map[string]map[string]float64, error) {
	now := m.now()
	pages := ec2.NewDescribeSpotPriceHistoryPaginator(m.ec2, &ec2.DescribeSpotPriceHistoryInput{StartTime: &now, ProductDescriptions: []string{"Linux/UNIX"}})
	found, err := everything(ctx, "ec2:DescribeSpotPriceHistory", pages, func(o *ec2.DescribeSpotPriceHistoryOutput) []types.SpotPrice { return o.SpotPriceHistory })
	if err != nil {
		return nil, err
	}
	out, latest := map[string]map[string]float64{}, map[[2]string]time.Time{}
	for _, s := range found {
		usd, err := strconv.ParseFloat(deref(s.SpotPrice), 64)
		name, zone := string(s.InstanceType), deref(s.AvailabilityZone)
		at := deref(s.Timestamp)
		if last, ok := latest[[2]string{name, zone}]; err != nil || ok && !at.After(last) {
			continue
		}
		if out[name] == nil {
			out[name] = map[string]float64{}
		}
		out[name][zone], latest[[2]string{name, zone}] = usd, at
	}
	return out, nil
}

func (m *Market) machines(ctx context.Context) (out []fleet.MachineType, err error) {
	pages := ec2.NewDescribeInstanceTypesPaginator(m.ec2, &ec2.DescribeInstanceTypesInput{})
	infos, err := everything(ctx, "ec2:DescribeInstanceTypes", pages, func(o *ec2.DescribeInstanceTypesOutput) []types.InstanceTypeInfo { return o.InstanceTypes })
	for _, info := range infos {
		if t, ok := machineType(info); ok {
			out = append(out, t)
		}
	}
	slices.SortFunc(out, func(a, b fleet.MachineType) int { return strings.Compare(a.Name, b.Name) })
	return out, err
}

// machineType translates a type; false for one that cannot be a node: of another architecture, or so old that EKS's images
// do not boot on it.
func machineType(t types.InstanceTypeInfo) (fleet.MachineType, bool) {
	m := fleet.MachineType{
		Name: string(t.InstanceType), Bare: deref(t.BareMetal), Burstable: deref(t.BurstablePerformanceSupported), Current: deref(t.CurrentGeneration),
		Nitro: t.Hypervisor == types.InstanceTypeHypervisorNitro || deref(t.BareMetal), Accelerators: accelerators(t),
	}
	if p := t.ProcessorInfo; p != nil {
		switch {
		case slices.Contains(p.SupportedArchitectures, types.ArchitectureTypeArm64):
			m.Arch = "arm64"
		case slices.Contains(p.SupportedArchitectures, types.ArchitectureTypeX8664):
			m.Arch = "amd64"
		}
	}
	if t.VCpuInfo == nil || t.MemoryInfo == nil || m.Arch == "" || !slices.Contains(t.SupportedVirtualizationTypes, types.VirtualizationTypeHvm) {
		return m, false
	}
	m.VCPUs, m.MemoryMiB = int(deref(t.VCpuInfo.DefaultVCpus)), int(deref(t.MemoryInfo.SizeInMiB))
	if n := t.NetworkInfo; n != nil {
		m.ENIs, m.IPsPerENI = int(deref(n.MaximumNetworkInterfaces)), int(deref(n.Ipv4AddressesPerInterface))
		for _, c := range n.NetworkCards {
			if deref(c.NetworkCardIndex) == deref(n.DefaultNetworkCardIndex) {
				m.ENIs = int(deref(c.MaximumNetworkInterfaces))
			}
		}
	}
	if s := t.InstanceStorageInfo; s != nil {
		m.DiskGB = int(deref(s.TotalSizeInGB))
	}
	m.Attachments = attachments(t, m)
	return m, true
}

// sharedAttachments is what most machines on Nitro have for volumes and network interfaces together:
// https://docs.aws.amazon.com/ebs/latest/userguide/volume_limits.html
const sharedAttachments = 28

// attachments are volumes and network interfaces together. Some types have a limit for volumes alone.
func attachments(t types.InstanceTypeInfo, m fleet.MachineType) int {
	if e := t.EbsInfo; e != nil && deref(e.MaximumEbsAttachments) > 0 {
		most := int(deref(e.MaximumEbsAttachments))
		if e.AttachmentLimitType == types.AttachmentLimitTypeDedicated {
			most += m.ENIs
		}
		return most
	}
	if m.Nitro {
		return sharedAttachments
	}
	return 0
}

// accelerators are a type's by the names that device plugins give them.
func accelerators(t types.InstanceTypeInfo) map[string]int64 {
	out := map[string]int64{}
	if t.GpuInfo != nil {
		for _, g := range t.GpuInfo.Gpus {
			switch strings.ToLower(deref(g.Manufacturer)) {
			case "nvidia":
				out["nvidia.com/gpu"] += int64(deref(g.Count))
			case "amd":
				out["amd.com/gpu"] += int64(deref(g.Count))
			case "habana":
				out["habana.ai/gaudi"] += int64(deref(g.Count))
			}
		}
	}
	if n := int64(machine(t).Neuron); n > 0 {
		out["aws.amazon.com/neuron"] = n
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// zones are where each type is offered, in their order.
func (m *Market) zones(ctx context.Context) (map[string][]string, error) {
	pages := ec2.NewDescribeInstanceTypeOfferingsPaginator(m.ec2, &ec2.DescribeInstanceTypeOfferingsInput{LocationType: types.LocationTypeAvailabilityZone})
	found, err := everything(ctx, "ec2:DescribeInstanceTypeOfferings", pages, func(o *ec2.DescribeInstanceTypeOfferingsOutput) []types.InstanceTypeOffering {
		return o.InstanceTypeOfferings
	})
	out := map[string][]string{}
	for _, o := range found {
		out[string(o.InstanceType)] = append(out[string(o.InstanceType)], deref(o.Location))
	}
	for _, list := range out {
		slices.Sort(list)
	}
	return out, err
}

// linux narrows the price list down to one on-demand price for each type.
var linux = [][2]string{
	{"operatingSystem", "Linux"}, {"tenancy", "Shared"}, {"preInstalledSw", "NA"}, {"capacitystatus", "Used"},
	{"licenseModel", "No License required"}, {"marketoption", "OnDemand"}, {"operation", "RunInstances"},
}

// onDemand are the list prices of all types, USD an hour.
func (m *Market) onDemand(ctx context.Context) (map[string]float64, error) {
	in := &pricing.GetProductsInput{ServiceCode: aws.String("AmazonEC2"), Filters: []pricingtypes.Filter{
		{Field: aws.String("regionCode"), Type: pricingtypes.FilterTypeTermMatch, Value: &m.region},
	}}
	for _, f := range linux {
		in.Filters = append(in.Filters, pricingtypes.Filter{Field: aws.String(f[0]), Type: pricingtypes.FilterTypeTermMatch, Value: aws.String(f[1])})
	}
	out := map[string]float64{}
	pages := pricing.NewGetProductsPaginator(m.list, in)
	for pages.HasMorePages() { // a page has half a megabyte: it is read and dropped
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, classify("pricing:GetProducts", err)
		}
		for _, text := range page.PriceList {
			var p struct {
				Product struct {
					Attributes struct {
						InstanceType string `json:"instanceType"`
					} `json:"attributes"`
				} `json:"product"`
			}
			if err := json.Unmarshal([]byte(text), &p); err != nil || p.Product.Attributes.InstanceType == "" {
				continue
			}
			if price, ok := onDemand(text); ok && price.Unit == "hour" {
				out[p.Product.Attributes.InstanceType] = price.Low
			}
		}
	}
	return out, nil
}
