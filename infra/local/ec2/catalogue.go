package ec2

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
)

// InstanceType is what the catalogue says of an instance type.
type InstanceType struct {
	Name      string // "m5.large"
	VCPU      int
	MemoryMiB int
	Arch      string // "x86_64" or "arm64", as EC2 calls them
	MaxENI    int
	IPsPerENI int     // IPv4 addresses
	MaxPods   int     // with the VPC CNI's secondary addresses: ENIs × (addresses - 1) + 2
	Price     float64 // on demand, USD an hour, us-east-1, Linux
	Burstable bool
}

// family is instance types that differ in size only. Memory and price are per vCPU, from which a size's follow; sizes of
// burstable types are listed with their own.
type family struct {
	name, arch string
	memory     int // MiB per vCPU
	price      float64
	sizes      []size
	burstable  bool
}

type size struct {
	name     string
	vcpu     int
	eni, ips int
	memory   int     // where it is not vCPU × the family's
	price    float64 // likewise
}

// Sizes with their network limits, from EC2's "Available IP addresses per network interface".
var (
	general = []size{
		{name: "large", vcpu: 2, eni: 3, ips: 10}, {name: "xlarge", vcpu: 4, eni: 4, ips: 15},
		{name: "2xlarge", vcpu: 8, eni: 4, ips: 15}, {name: "4xlarge", vcpu: 16, eni: 8, ips: 30},
		{name: "8xlarge", vcpu: 32, eni: 8, ips: 30}, {name: "12xlarge", vcpu: 48, eni: 8, ips: 30},
		{name: "16xlarge", vcpu: 64, eni: 15, ips: 50}, {name: "24xlarge", vcpu: 96, eni: 15, ips: 50},
	}
	compute = []size{
		{name: "large", vcpu: 2, eni: 3, ips: 10}, {name: "xlarge", vcpu: 4, eni: 4, ips: 15},
		{name: "2xlarge", vcpu: 8, eni: 4, ips: 15}, {name: "4xlarge", vcpu: 16, eni: 8, ips: 30},
		{name: "9xlarge", vcpu: 36, eni: 8, ips: 30}, {name: "18xlarge", vcpu: 72, eni: 15, ips: 50},
	}
	burst = []size{
		{"nano", 2, 2, 2, 512, 0.0052}, {"micro", 2, 2, 2, 1024, 0.0104}, {"small", 2, 3, 4, 2048, 0.0208},
		{"medium", 2, 3, 6, 4096, 0.0416}, {"large", 2, 3, 12, 8192, 0.0832}, {"xlarge", 4, 4, 15, 16384, 0.1664},
		{"2xlarge", 8, 4, 15, 32768, 0.3328},
	}
	burstARM = []size{
		{"nano", 2, 2, 2, 512, 0.0042}, {"micro", 2, 2, 2, 1024, 0.0084}, {"small", 2, 3, 4, 2048, 0.0168},
		{"medium", 2, 3, 6, 4096, 0.0336}, {"large", 2, 3, 12, 8192, 0.0672}, {"xlarge", 4, 4, 15, 16384, 0.1344},
		{"2xlarge", 8, 4, 15, 32768, 0.2688},
	}
	medium = size{name: "medium", vcpu: 1, eni: 2, ips: 4}

	families = []family{
		{name: "m5", arch: "x86_64", memory: 4096, price: 0.048, sizes: general},
		{name: "m6i", arch: "x86_64", memory: 4096, price: 0.048, sizes: general},
		{name: "m6g", arch: "arm64", memory: 4096, price: 0.0385, sizes: append([]size{medium}, general[:7]...)},
		{name: "c5", arch: "x86_64", memory: 2048, price: 0.0425, sizes: compute},
		{name: "c6i", arch: "x86_64", memory: 2048, price: 0.0425, sizes: general},
		{name: "r5", arch: "x86_64", memory: 8192, price: 0.063, sizes: general},
		{name: "t3", arch: "x86_64", sizes: burst, burstable: true},
		{name: "t4g", arch: "arm64", sizes: burstARM, burstable: true},
	}

	catalogue = buildCatalogue()
	typeNames = sortedNames()
)

func buildCatalogue() map[string]InstanceType {
	m := map[string]InstanceType{}
	for _, f := range families {
		for _, z := range f.sizes {
			t := InstanceType{
				Name: f.name + "." + z.name, VCPU: z.vcpu, MemoryMiB: z.memory, Arch: f.arch, MaxENI: z.eni, IPsPerENI: z.ips,
				MaxPods: z.eni*(z.ips-1) + 2, Price: z.price, Burstable: f.burstable,
			}
			if z.memory == 0 {
				t.MemoryMiB, t.Price = z.vcpu*f.memory, float64(z.vcpu)*f.price
			}
			m[t.Name] = t
		}
	}
	return m
}

func sortedNames() []string {
	var names []string
	for n := range catalogue {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// TypeInfo finds an instance type in the catalogue.
func (s *Service) TypeInfo(name string) (InstanceType, bool) {
	t, ok := catalogue[name]
	return t, ok
}

// SpotPrice is what an instance type costs on the spot market of a zone, USD an hour. It is a fixed 30 to 45 per cent of
// the on-demand price: prices that move would make no test or demo better.
func (s *Service) SpotPrice(instanceType, az string) float64 {
	h := fnv.New32a()
	fmt.Fprint(h, instanceType, az)
	return catalogue[instanceType].Price * (0.30 + float64(h.Sum32()%1000)/1000*0.15)
}

// zone is an Availability Zone.
type zone struct{ name, id string }

// zoneIDs are us-east-1's, in the order of the names: as in many accounts, 1e is use1-az3, the old zone that hosts no
// EKS control plane and none of the current instance types.
var zoneIDs = []string{"az6", "az1", "az2", "az4", "az3", "az5"}

// zones returns the Region's zones: six in us-east-1, three elsewhere.
func (s *Service) zones() []zone {
	var out []zone
	if s.w.Region == "us-east-1" {
		for i, id := range zoneIDs {
			out = append(out, zone{s.w.Region + string(rune('a'+i)), "use1-" + id})
		}
		return out
	}
	for i := range 3 {
		out = append(out, zone{s.w.Region + string(rune('a'+i)), fmt.Sprintf("%s-az%d", shortRegion(s.w.Region), i+1)})
	}
	return out
}

// shortRegion is a Region's name in zone ids: ap-southeast-1 is apse1.
func shortRegion(region string) string {
	p := strings.Split(region, "-")
	if len(p) != 3 {
		return region
	}
	direction := p[1][:1]
	for _, d := range []string{"north", "south"} {
		if rest, ok := strings.CutPrefix(p[1], d); ok && rest != "" {
			direction += rest[:1]
		}
	}
	return p[0] + direction + p[2]
}

func (s *Service) zoneID(name string) string {
	for _, z := range s.zones() {
		if z.name == name {
			return z.id
		}
	}
	return ""
}

// offered tells whether a zone has an instance type at all, which is not a question of capacity.
func (s *Service) offered(_ InstanceType, az string) bool { return s.zoneID(az) != "use1-az3" }
