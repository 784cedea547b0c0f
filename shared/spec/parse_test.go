package spec

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares with a file in testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (run with -update to accept):\n%s", path, got)
	}
}

func TestDemo(t *testing.T) {
	text, err := os.ReadFile("../../examples/demo.yaml")
	if err != nil {
		t.Fatal(err)
	}
	specs, report := Parse(text)
	if s := report.String(); s != "" {
		t.Errorf("the demo's file is not clean:\n%s", s)
	}
	got, err := json.MarshalIndent(specs, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "demo.json", string(got)+"\n")
}

// TestWrong: everything that is wrong with a file is said at once, each with its line.
func TestWrong(t *testing.T) {
	for _, name := range []string{"wrong.yaml", "warnings.yaml", "policies.yaml", "syntax.yaml", "merge.yaml"} {
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join("testdata", name))
			if err != nil {
				t.Fatal(err)
			}
			_, report := Parse(text)
			golden(t, strings.TrimSuffix(name, ".yaml")+".txt", report.String())
			if err := report.Err(); (err != nil) != (len(report.Errors) > 0) || err != nil && !fault.Is(err, fault.Invalid) {
				t.Errorf("Err() = %v", err)
			}
		})
	}
}

// TestLineOfEachProblem: the line that a problem names is the line that has the field.
func TestLineOfEachProblem(t *testing.T) {
	text, err := os.ReadFile("testdata/wrong.yaml")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	_, report := Parse(text)
	for _, p := range append(report.Errors, report.Warnings...) {
		path := p.Path[strings.LastIndexByte(p.Path, '.')+1:]
		path, _, inList := strings.Cut(path, "[")
		if p.Line < 1 || p.Line > len(lines) || !inList && path != "" && !strings.Contains(lines[p.Line-1], path) && !strings.Contains(p.Message, "is missing") && !strings.Contains(p.Message, "set it to true") {
			t.Errorf("%s: the line is %q", p, lines[max(0, min(p.Line, len(lines))-1)])
		}
	}
}

const minimal = `apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata: {name: a, region: eu-west-1}
`

func TestDefaults(t *testing.T) {
	specs, report := Parse([]byte(minimal + "managedNodeGroups: [{name: g}]\n"))
	if len(specs) != 1 || report.String() != "" {
		t.Fatalf("%d specs, %s", len(specs), report)
	}
	want := fleet.ClusterSpec{
		Name: "a", Region: "eu-west-1", AuthMode: "API_AND_CONFIG_MAP",
		Network: fleet.NetworkSpec{CIDR: "192.168.0.0/16", NAT: fleet.NATSingle, PublicAccess: true},
		NodeGroups: []fleet.NodeGroupSpec{{
			Name: "g", InstanceTypes: []string{"m5.large"}, AMIType: "AL2023_x86_64_STANDARD", AMIFamily: "AmazonLinux2023", Min: 2, Max: 2, Desired: 2,
			Labels:  map[string]string{fleet.LabelCluster: "a", fleet.LabelNodeGroup: "g"},
			Machine: fleet.MachineSpec{DiskGiB: 80, DiskType: "gp3"},
		}},
		Addons: []fleet.AddonSpec{{Name: "vpc-cni", Default: true}, {Name: "kube-proxy", Default: true}, {Name: "coredns", Default: true}, {Name: "metrics-server", Default: true}},
	}
	if !reflect.DeepEqual(specs[0].Cluster, want) {
		t.Errorf("got  %+v\nwant %+v", specs[0].Cluster, want)
	}
	if !reflect.DeepEqual(specs[0].Policy, fleet.DefaultPolicy()) {
		t.Errorf("policy %+v", specs[0].Policy)
	}
}

func TestSizes(t *testing.T) {
	for _, c := range []struct {
		in                string
		min, max, desired int
		wrong             string
	}{
		{"", 2, 2, 2, ""},
		{"desiredCapacity: 5", 5, 5, 5, ""},
		{"minSize: 3", 3, 3, 3, ""},
		{"maxSize: 1", 1, 1, 1, ""},
		{"maxSize: 9", 2, 9, 2, ""},
		{"minSize: 0", 0, 1, 0, ""},
		{"minSize: 1, maxSize: 6, desiredCapacity: 3", 1, 6, 3, ""},
		{"minSize: 4, maxSize: 3", 4, 3, 4, "minSize: 4 is more than maxSize 3"},
		{"desiredCapacity: 9, maxSize: 3", 3, 3, 9, "desiredCapacity: 9 is more than maxSize 3"},
		{"minSize: 4, maxSize: 8, desiredCapacity: 2", 4, 8, 2, "2 is less than minSize 4"},
		{"minSize: some", 2, 2, 2, "must be a whole number"},
	} {
		specs, report := Parse([]byte(minimal + "managedNodeGroups: [{name: g, " + c.in + "}]\n"))
		g := specs[0].Cluster.NodeGroups[0]
		if g.Min != c.min || g.Max != c.max || g.Desired != c.desired {
			t.Errorf("%q: min %d, max %d, desired %d", c.in, g.Min, g.Max, g.Desired)
		}
		if text := report.String(); (c.wrong == "") != (text == "") || !strings.Contains(text, c.wrong) {
			t.Errorf("%q: report %q", c.in, text)
		}
	}
}

func TestImages(t *testing.T) {
	for types, want := range map[string]string{
		"m5.large": "AL2023_x86_64_STANDARD", "m7g.large, c6gn.large": "AL2023_ARM_64_STANDARD", "g5.xlarge": "AL2023_x86_64_NVIDIA",
		"trn1.2xlarge": "AL2023_x86_64_NEURON", "p5.48xlarge": "AL2023_x86_64_NVIDIA", "t4g.small": "AL2023_ARM_64_STANDARD",
		"u-6tb1.metal": "AL2023_x86_64_STANDARD", "g5g.xlarge": "AL2023_ARM_64_NVIDIA", "inf2.xlarge": "AL2023_x86_64_NEURON", "g4ad.xlarge": "AL2023_x86_64_STANDARD",
		"gr6.4xlarge": "AL2023_x86_64_NVIDIA", "im4gn.large": "AL2023_ARM_64_STANDARD", "p6-b200.48xlarge": "AL2023_x86_64_NVIDIA", "c8gb.large": "AL2023_ARM_64_STANDARD",
		"a1.large": "AL2023_ARM_64_STANDARD", "m6i.large, m5a.large": "AL2023_x86_64_STANDARD",
	} {
		specs, report := Parse([]byte(minimal + "managedNodeGroups: [{name: g, instanceTypes: [" + types + "]}]\n"))
		if got := specs[0].Cluster.NodeGroups[0].AMIType; got != want || report.String() != "" {
			t.Errorf("%s: %s, want %s; %s", types, got, want, report)
		}
	}
}

// TestImageFamilies: each family has its image for each kind of machine, in EKS's names.
func TestImageFamilies(t *testing.T) {
	for fields, want := range map[string][2]string{
		"amiFamily: bottlerocketfips, instanceType: g5g.xlarge":           {"BOTTLEROCKET_ARM_64_NVIDIA_FIPS", "BottlerocketFips"},
		"amiFamily: Bottlerocket, instanceType: trn1.2xlarge":             {"BOTTLEROCKET_x86_64", "Bottlerocket"},
		"amiFamily: WindowsServer2025FullContainer":                       {"WINDOWS_FULL_2025_x86_64", "WindowsServer2025FullContainer"},
		"amiFamily: UbuntuPro2204":                                        {"CUSTOM", "UbuntuPro2204"},
		"ami: ami-1, amiFamily: AmazonLinux2023, instanceType: m7g.large": {"CUSTOM", "AmazonLinux2023"},
		"launchTemplate: {id: lt-1}":                                      {"", ""},
		"launchTemplate: {id: lt-1}, instanceTypes: [m7g.large]":          {"AL2023_ARM_64_STANDARD", "AmazonLinux2023"},
		"instanceSelector: {vCPUs: 4, gpus: 1, cpuArchitecture: arm64}":   {"AL2023_ARM_64_NVIDIA", "AmazonLinux2023"},
		"instanceSelector: {vCPUs: 4, memory: 512MiB}":                    {"AL2023_x86_64_STANDARD", "AmazonLinux2023"},
	} {
		specs, report := Parse([]byte(minimal + "managedNodeGroups: [{name: g, " + fields + "}]\n"))
		if g := specs[0].Cluster.NodeGroups[0]; g.AMIType != want[0] || g.AMIFamily != want[1] || report.String() != "" {
			t.Errorf("%s: %s %s, want %s; %s", fields, g.AMIType, g.AMIFamily, want, report)
		}
	}
}

// TestExamplesGolden: what examples with many kinds of fields are read as, in the names of the APIs that are told.
func TestExamplesGolden(t *testing.T) {
	for _, name := range []string{"full", "spot", "self-managed", "capabilities", "access-entries", "encryption-logging", "launch-template", "addons", "pod-identity", "irsa", "existing-vpc", "outposts"} {
		text, err := os.ReadFile("../../examples/clusters/" + name + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		specs, _ := Parse(text)
		got, err := json.MarshalIndent(specs[0].Cluster, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		golden(t, "clusters/"+name+".json", string(got)+"\n")
	}
}

// TestTextStandsAlone: what is stored for one cluster of many gives the same spec again.
func TestTextStandsAlone(t *testing.T) {
	for _, name := range []string{"../../../examples/demo.yaml", "many.yaml"} {
		text, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		specs, report := Parse(text)
		if err := report.Err(); err != nil {
			t.Fatal(err)
		}
		for _, s := range specs {
			again, report := Parse([]byte(s.Text))
			if report.Err() != nil || len(again) != 1 || !reflect.DeepEqual(again[0], s) {
				t.Errorf("cluster %s of %s is another one when read alone: %+v, %v", s.Cluster.Name, name, again, report)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/*.yaml", "testdata/fields/*.yaml", "../../examples/*.yaml", "../../examples/clusters/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			f.Fatal(err, files)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text)
		}
	}
	f.Add([]byte("a: &a [*a]\n"))
	f.Add([]byte("apiVersion: eksctl.io/v1alpha5\nkind: ClusterConfig\nmetadata: &m\n  <<: *m\n  tags: *m\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		start := time.Now()
		specs, report := Parse(text)
		if len(specs) == 0 && len(report.Errors) == 0 {
			t.Error("nothing was read, and nothing was said")
		}
		for _, p := range append(report.Errors, report.Warnings...) {
			if p.Line < 1 || p.Message == "" {
				t.Errorf("a problem without a place or a text: %+v", p)
			}
		}
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("it took %s", d)
		}
		if inlined, err := Inline(text, func(string) ([]byte, error) { return []byte("ssh-rsa AAAA"), nil }); err == nil {
			if a, b := strings.Count(string(text), "\n"), strings.Count(string(inlined), "\n"); a != b {
				t.Errorf("%d lines became %d", a, b)
			}
		}
	})
}

// TestBombs: documents made to explode or to go round in circles are refused in good time.
func TestBombs(t *testing.T) {
	bomb := minimal + "x0: &x0 {a: 1}\n"
	for i := 1; i < 30; i++ {
		n, p := string(rune('a'+i)), string(rune('a'+i-1))
		if i == 1 {
			p = "x0"
		}
		bomb += n + ": &" + n + " {k1: *" + p + ", k2: *" + p + ", <<: [*" + p + ", *" + p + "]}\n"
	}
	deep := minimal + "tags: " + strings.Repeat("[", 5000) + strings.Repeat("]", 5000)
	keys := func(n int) string {
		var b strings.Builder
		for i := range n {
			b.WriteString("k" + strconv.Itoa(i) + ": v, ")
		}
		return b.String()
	}
	wide := minimal + "a: &a {" + keys(20_000) + "}\nmanagedNodeGroups: [" + strings.Repeat("*a, ", 100_000) + "]\n"
	labels := minimal + "a: &a {name: g, labels: {" + keys(5_000) + "}, taints: {" + keys(5_000) + "}}\nnodeGroups: [" + strings.Repeat("*a, ", 50_000) + "]\n"
	merges := minimal + "a: &a {" + keys(10_000) + "}\nb: &b {<<: [" + strings.Repeat("*a, ", 50_000) + "]}\niam: *b\nvpc: *b\n"
	free := minimal + strings.Replace(bomb, minimal, "", 1) + "nodeGroups: [{name: g, kubeletExtraConfig: *z, iam: {attachPolicy: *z}}, {name: h, bottlerocket: {settings: *z}}]\n"
	alike := minimal + "availabilityZones: [" + strings.Repeat("a, ", 150_000) + "]\nvpc: {publicAccessCIDRs: [" + strings.Repeat("10.0.0.0/8, ", 30_000) + "]}\n"
	for _, text := range []string{bomb, deep, wide, labels, merges, free, alike, minimal + "iam: &i {x: *i}\nmanagedNodeGroups: &m [*m]\n", strings.Repeat("a", maxText+1)} {
		start := time.Now()
		Parse([]byte(text))
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("%.200q… took %s", text, d)
		}
	}
}

// BenchmarkThousand reads and checks 1,000 different files, the largest example among them.
func BenchmarkThousand(b *testing.B) {
	files, err := filepath.Glob("../../examples/clusters/*.yaml")
	if err != nil || len(files) == 0 {
		b.Fatal(err)
	}
	var texts [][]byte
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			b.Fatal(err)
		}
		texts = append(texts, text)
	}
	for b.Loop() {
		for i := range 1000 {
			if specs, report := Parse(texts[i%len(texts)]); len(specs) != 1 || len(report.Errors) > 0 {
				b.Fatal(report)
			}
		}
	}
}

func BenchmarkParse(b *testing.B) {
	text, err := os.ReadFile("../../examples/demo.yaml")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		Parse(text)
	}
}
