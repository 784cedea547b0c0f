package ec2

import (
	_ "embed"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// InstanceType is what the catalogue says of an instance type.
type InstanceType struct {
	Name         string // "m5.large"
	VCPU         int
	MemoryMiB    int
	Arch         string  // "x86_64" or "arm64", as EC2 calls them
	MaxENI       int     // on all network cards
	IPsPerENI    int     // IPv4 addresses
	MaxPods      int     // with the VPC CNI's secondary addresses on the first card: ENIs × (addresses - 1) + 2
	Price        float64 // on demand, USD an hour, us-east-1, Linux
	Burstable    bool
	BareMetal    bool
	Manufacturer string // of the processor
	Network      string // "Up to 10 Gigabit"
	Cards        int    // network cards
	MaxEFA       int    // Elastic Fabric Adapters; 0: it has none
	Accelerators Accelerators
	DiskCount    int // instance store volumes
	DiskGB       int // each

	perCard int // interfaces
}

// Accelerators are an instance type's GPUs or Neuron devices; Count is 0 where there are none.
type Accelerators struct {
	Count     int
	Name      string // "A10G", "Inferentia2"
	Maker     string // "NVIDIA", "AWS"
	MemoryMiB int    // each
	Cores     int    // each; of Neuron devices only
}

// The instance types that clusters are made of. The figures are those that DescribeInstanceTypes gives, the prices those
// of EC2's price list for us-east-1.
//
//go:embed types.tsv
var typesTable string

var (
	catalogue = readTypes(typesTable)
	typeNames = slices.Sorted(maps.Keys(catalogue))
)

// readTypes reads the table. A line that is not right is a programming error.
func readTypes(table string) map[string]InstanceType {
	m := map[string]InstanceType{}
	for line := range strings.Lines(table) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(f) != 14 {
			panic("types.tsv: " + line)
		}
		var n [7]int
		for i := range n {
			n[i] = number(f[3+i])
		}
		price, err := strconv.ParseFloat(f[12], 64)
		if err != nil {
			panic("types.tsv: " + line)
		}
		t := InstanceType{
			Name: f[0], Arch: f[1], Manufacturer: f[2], VCPU: n[0], MemoryMiB: n[1], MaxENI: n[2], IPsPerENI: n[3], Cards: n[4], perCard: n[5],
			MaxEFA: n[6], Price: price, Network: f[13], Burstable: f[0][0] == 't' && !strings.HasPrefix(f[0], "trn"), BareMetal: strings.Contains(f[0], ".metal"),
		}
		t.MaxPods = t.perCard*(t.IPsPerENI-1) + 2
		if count, rest, ok := strings.Cut(f[10], "x"); ok {
			parts := strings.Split(rest, ":")
			t.Accelerators = Accelerators{Count: number(count), Name: strings.ReplaceAll(parts[0], "_", " "), Maker: parts[1], MemoryMiB: number(parts[2])}
			if len(parts) > 3 {
				t.Accelerators.Cores = number(parts[3])
			}
		}
		if count, size, ok := strings.Cut(f[11], "x"); ok {
			t.DiskCount, t.DiskGB = number(count), number(size)
		}
		m[t.Name] = t
	}
	return m
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		panic("types.tsv: " + err.Error())
	}
	return n
}

// family is the part of a type's name before the dot.
func (t InstanceType) family() string { return t.Name[:strings.IndexByte(t.Name, '.')] }

// generation is the number in a family's name.
func (t InstanceType) generation() int {
	f := t.family()
	at := strings.IndexAny(f, "0123456789")
	return int(f[at] - '0')
}

// current tells whether the type is of a generation that AWS recommends.
func (t InstanceType) current() bool { return t.family() != "p3" && t.family() != "i3" }

// xen tells whether the type is of the generation before Nitro.
func (t InstanceType) xen() bool { return !t.current() && !t.BareMetal }

// attachments is how many EBS volumes can be attached, 0 where EC2 does not say. On most types network interfaces and
// instance store volumes share the number; the newest from Intel and AMD, and those of the eighth generation, have one for
// volumes alone, which grows with the machine. See
// https://docs.aws.amazon.com/ebs/latest/userguide/volume_limits.html.
func (t InstanceType) attachments() (n int, dedicated bool) {
	generation := t.generation()
	switch {
	case t.xen():
		return 0, false
	case t.BareMetal:
		return 31, false
	case t.class() != "standard" || generation < 7 || generation == 7 && t.Arch == "arm64":
		return 28, false
	}
	for _, size := range []struct{ vcpu, volumes int }{{48, 32}, {64, 48}, {96, 64}, {128, 88}} {
		if t.VCPU <= size.vcpu {
			return size.volumes, true
		}
	}
	return 128, true
}

// class is the family of quotas that the type's vCPUs count against.
func (t InstanceType) class() string {
	for _, class := range []string{"inf", "trn", "g", "p"} {
		if strings.HasPrefix(t.Name, class) {
			return class
		}
	}
	return "standard"
}

// scarce tells whether the type is in some zones of a Region only.
func (t InstanceType) scarce() bool {
	return t.Accelerators.Count > 0 && t.family() != "g4dn"
}

// TypeInfo finds an instance type in the catalogue.
func (s *Service) TypeInfo(name string) (InstanceType, bool) {
	t, ok := catalogue[name]
	return t, ok
}

// Types returns all instance types by name.
func Types() []InstanceType {
	var out []InstanceType
	for _, name := range typeNames {
		out = append(out, catalogue[name])
	}
	return out
}

// Offered tells whether a zone, given by name, has an instance type at all, which is not a question of capacity.
func (s *Service) Offered(instanceType, az string) bool {
	t, ok := catalogue[instanceType]
	return ok && s.zoneID(az) != "" && s.offered(t, az)
}

// SpotPrice is what an instance type costs on the spot market of a zone, USD an hour. It is a fixed 30 to 45 per cent of
// the on-demand price: prices that move would make no test or demo better.
func (s *Service) SpotPrice(instanceType, az string) float64 {
	h := fnv.New32a()
	fmt.Fprint(h, instanceType, az)
	return catalogue[instanceType].Price * (0.30 + float64(h.Sum32()%1000)/1000*0.15)
}
