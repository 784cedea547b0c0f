package spec

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
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
		if err := os.MkdirAll("testdata", 0o755); err != nil {
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
		if p.Line < 1 || p.Line > len(lines) || !inList && path != "" && !strings.Contains(lines[p.Line-1], path) && !strings.Contains(p.Message, "is missing") {
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
			Name: "g", InstanceTypes: []string{"m5.large"}, AMIType: "AL2023_x86_64_STANDARD", Min: 2, Max: 2, Desired: 2, DiskGiB: 80,
			Labels: map[string]string{fleet.LabelCluster: "a", fleet.LabelNodeGroup: "g"},
		}},
	}
	if !reflect.DeepEqual(specs[0].Cluster, want) {
		t.Errorf("got  %+v\nwant %+v", specs[0].Cluster, want)
	}
	if specs[0].Policy != fleet.DefaultPolicy() {
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
		"u-6tb1.metal": "AL2023_x86_64_STANDARD", "a1.large": "AL2023_ARM_64_STANDARD", "m6i.large, m5a.large": "AL2023_x86_64_STANDARD",
	} {
		specs, report := Parse([]byte(minimal + "managedNodeGroups: [{name: g, instanceTypes: [" + types + "]}]\n"))
		if got := specs[0].Cluster.NodeGroups[0].AMIType; got != want || report.String() != "" {
			t.Errorf("%s: %s, want %s; %s", types, got, want, report)
		}
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

// TestEveryFieldIsKnown: each field of eksctl's schema is acted on, or named as not acted on; none is called unknown, and
// none is passed over.
func TestEveryFieldIsKnown(t *testing.T) {
	count := 0
	var walk func(f field, path []string)
	walk = func(f field, path []string) {
		for name, below := range f {
			at := append(append([]string{}, path...), name)
			walk(below, at)
			if len(below) > 0 {
				continue
			}
			count++
			text := minimal
			if at[0] == "metadata" {
				text = strings.Replace(minimal, "region: eu-west-1}", "region: eu-west-1, X}", 1)
			}
			inner := "yes: 1"
			for i := len(at) - 1; i >= 0; i-- {
				if i == len(at)-1 {
					inner = at[i] + ": something"
				} else {
					inner = at[i] + ": {" + inner + "}"
				}
			}
			if at[0] == "metadata" {
				text = strings.Replace(text, "X", strings.TrimSuffix(strings.TrimPrefix(inner, "metadata: {"), "}"), 1)
			} else {
				text += inner + "\n"
			}
			_, report := Parse([]byte(text))
			if strings.Contains(report.String(), "no known field") {
				t.Errorf("%s: %s", strings.Join(at, "."), report)
			}
		}
	}
	walk(clusterFields(), nil)
	if count < 300 {
		t.Errorf("only %d fields are known", count)
	}
}

func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/*.yaml", "../../examples/*.yaml"} {
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
	for _, text := range []string{bomb, deep, minimal + "iam: &i {x: *i}\nmanagedNodeGroups: &m [*m]\n", strings.Repeat("a", maxText+1)} {
		start := time.Now()
		Parse([]byte(text))
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("%.20q… took %s", text, d)
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
