package workload

import (
	"fmt"
	"math"
)

var zones = []string{"us-east-1a", "us-east-1b", "us-east-1c"}

// family is a row of the made-up catalogue: regular, and near enough to what clouds sell.
type family struct {
	category string
	gib      float64 // for each vCPU
	price    float64 // USD an hour for each vCPU
}

var families = []family{{"c", 2, 0.0425}, {"m", 4, 0.048}, {"r", 8, 0.063}, {"i", 8, 0.078}}

// variants of each generation: suffix, processors, price beside the plain one.
var variants = []struct {
	suffix, arch string
	price        float64
}{{"", "amd64", 1}, {"a", "amd64", 0.9}, {"d", "amd64", 1.18}, {"g", "arm64", 0.8}, {"gd", "arm64", 0.95}, {"n", "amd64", 1.25}}

var sizes = []struct {
	name string
	vcpu int
}{{"large", 2}, {"xlarge", 4}, {"2xlarge", 8}, {"4xlarge", 16}, {"8xlarge", 32}, {"12xlarge", 48}, {"16xlarge", 64}, {"24xlarge", 96}, {"32xlarge", 128}, {"48xlarge", 192}}

// catalogue adds instance types: n without GPUs, evenly taken from the whole catalogue, and some with.
func (m *maker) catalogue(n, gpus int) {
	var all []InstanceType
	for _, f := range families {
		for generation := 3; generation <= 9; generation++ {
			for _, v := range variants {
				for _, size := range sizes {
					name := fmt.Sprintf("%s%d%s", f.category, generation, v.suffix)
					// Newer ones cost a little more, and small ones exactly their share.
					price := f.price * v.price * (1 + 0.02*float64(generation-5)) * float64(size.vcpu)
					all = append(all, machine(name, size.name, f.category, v.arch, size.vcpu, f.gib, price))
				}
			}
		}
	}
	for i := range n {
		m.offer(all[i*len(all)/n])
	}
	for i := range gpus {
		size := sizes[1+i%9]
		t := machine(fmt.Sprintf("g%d", 4+i/9), size.name, "g", "amd64", size.vcpu, 4, 0.1256*float64(size.vcpu)+0.5)
		t.GPUs = max(1, int64(size.vcpu/24))
		m.offer(t)
	}
}

// machine has what EKS leaves of it: the kubelet's share of processors and memory by EKS's formulas, 7.5 per cent of memory
// for the hypervisor and the kernel, and as many pods as network interfaces of such sizes have addresses.
func machine(family, size, category, arch string, vcpu int, gib, price float64) InstanceType {
	pods := map[int]int{2: 29, 4: 58, 8: 58, 16: 234, 32: 234, 48: 234}[vcpu]
	if pods == 0 {
		pods = 737
	}
	mem := int64(float64(vcpu) * gib * 1024)
	reserved := 60 + 10 + 5*min(2, max(0, vcpu-2)) + 5*max(0, vcpu-4)/2 // 6 %, 1 %, 0.5 % twice, then 0.25 % of a core
	return InstanceType{
		Name: family + "." + size, Category: category, Family: family, Arch: arch, CPUMilli: int64(vcpu) * 1000, MemMiB: mem, Pods: pods,
		OverheadCPUMilli: int64(reserved), OverheadMemMiB: int64(255+11*pods+100) + mem*75/1000, Offerings: []Offering{{Price: price}},
	}
}

// offer draws where a type is to be had and for how much: spot for 52 to 72 per cent less, and 8 per cent up or down by zone.
func (m *maker) offer(t InstanceType) {
	price := t.Offerings[0].Price
	t.Offerings = nil
	off := 0.52 + 0.2*m.rand.Float64()
	for _, zone := range zones {
		if m.rand.Float64() < 0.04 {
			continue // not in this zone
		}
		local := price * (1 - off) * (0.92 + 0.16*m.rand.Float64())
		t.Offerings = append(t.Offerings, Offering{Zone: zone, CapacityType: onDemand, Price: cents(price)}, Offering{Zone: zone, CapacityType: spot, Price: cents(local)})
	}
	m.file.InstanceTypes = append(m.file.InstanceTypes, t)
}

// cents are hundredths of one: four digits, as price lists have.
func cents(v float64) float64 { return math.Round(v*1e4) / 1e4 }
