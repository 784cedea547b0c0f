package scaleview

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/workload"
	"github.com/ekspedite/ekspedite/shared/decide/packing"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

var update = flag.Bool("update", false, "write the golden files anew: look at the difference before you commit it")

// small is a plan with one of everything, made by hand: it does not change when the solver gets better.
func small() (packing.Problem, packing.Solution) {
	pod := func(owner string, i int, cpu, mib int64) fleet.Pod {
		name := fmt.Sprintf("%s-%d", owner, i)
		return fleet.Pod{Namespace: "default", Name: name, UID: name, Owner: fleet.Owner{Kind: "ReplicaSet", Name: owner}, Demand: &fleet.Demand{Requests: fleet.Resources{CPU: cpu, Memory: mib << 20}}}
	}
	p := packing.Problem{
		Nodes: []packing.Node{{
			Name: "ip-10-0-0-1", Price: 0.2, Allocatable: fleet.Resources{CPU: 3900, Memory: 14 << 30}, Pods: []fleet.Pod{pod("ingress", 0, 1000, 1024)},
			Labels: map[string]string{fleet.LabelInstanceType: "m5.xlarge", fleet.LabelZone: "eu-west-1a", fleet.LabelEKSCapacity: fleet.OnDemand, fleet.LabelEKSNodegroup: "main"},
		}},
		Pools: []packing.Pool{{Name: "default"}},
		Types: []packing.Type{{
			Name: "c7g.large", Allocatable: fleet.Resources{CPU: 1930, Memory: 3 << 30},
			Offerings: []packing.Offering{{Zone: "eu-west-1a", Capacity: fleet.Spot, Price: 0.0312}, {Zone: "eu-west-1b", Capacity: fleet.OnDemand, Price: 0.08}},
		}},
	}
	for i := range 7 {
		p.Pods = append(p.Pods, pod("web", i, 500, 512))
	}
	for i := range 5 {
		p.Pods = append(p.Pods, pod("huge", i, 64_000, 1024))
	}
	p.Pods = append(p.Pods, pod("claims", 0, 1, 1))
	s := packing.Solution{Placed: []int{0, 1, 1, 1, 2, 2, 3, -1, -1, -1, -1, -1, -1}, Price: 0.1424}
	s.New = []packing.NewNode{
		{Offering: 0, Pods: []int{1, 2, 3}, Why: "3 pods of web at the least price for each core"},
		{Offering: 0, Pods: []int{4, 5}, Why: "3 pods of web at the least price for each core"},
		{Offering: 1, Pods: []int{6}, Why: "web may not be on spot alone"},
	}
	for i := 7; i < 12; i++ {
		s.Unplaced = append(s.Unplaced, packing.Unplaced{Pod: i, Reason: "c7g.large in eu-west-1a: 62,070 milli of processor are missing"})
	}
	s.Unplaced = append(s.Unplaced, packing.Unplaced{Pod: 12, Refused: "resourceClaims"})
	return p, s
}

func report() (Report, Picture) {
	p, s := small()
	v := Draw("small", p, s)
	r := Report{Workload: "small", Runs: 3, MedianSolveMs: 1.25, CPUMs: 1.3, LoadMs: 2, MaxRSSMB: 30}
	r.Figures(p, s, v)
	return r, v
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not as it was (go test -update writes it anew):\n%s", name, got)
	}
}

func TestGolden(t *testing.T) {
	r, v := report()
	var text, page bytes.Buffer
	r.Text(&text, v)
	golden(t, "small.txt", text.Bytes())
	out, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "small.json", append(out, '\n'))
	if err := HTML(&page, v); err != nil {
		t.Fatal(err)
	}
	golden(t, "small.html", page.Bytes())
}

// The names of programs that read this stay.
func TestNamesOfTheOutput(t *testing.T) {
	r, _ := report()
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"medianSolveMs", "cpuMs", "nodes", "pricePerHour", "unscheduled", "podsPerCpuSecond", "maxRSSMB", "nodesByInstanceType", "nodesByCapacityType", "unplaced"} {
		if _, ok := got[name]; !ok {
			t.Errorf("there is no %s", name)
		}
	}
	p, s := small()
	text, err = json.Marshal(PlanNodes(p, s)[0])
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"instanceType":"c7g.large","capacityType":"spot","zone":"eu-west-1a","price":0.0312,"nodePool":"default","pods":["web-1","web-2","web-3"],"why":"3 pods of web at the least price for each core"}`; string(text) != want {
		t.Errorf("a node is %s", text)
	}
}

var (
	value   = regexp.MustCompile(`="[^"]*"`)
	handler = regexp.MustCompile(`<[^>]*\son[a-z]+=`)
)

var tag = regexp.MustCompile(`</?([a-zA-Z!]+)`)

// Names come from clusters: whatever they are, the page has no element and no address that is not the template's.
func TestHostileNames(t *testing.T) {
	p, s := small()
	plain := html(t, Draw("small", p, s))
	for _, evil := range []string{
		`"><script>alert(1)</script>`, `' onmouseover='alert(1)`, `</style><script>alert(1)</script>`, `</title><img src=x onerror=alert(1)>`, `javascript:alert(1)`, `{{.}}`, `--><svg onload=alert(1)>`,
		"url(https://example.com/)", `expression(alert(1))`, "\x00<b>", `}body{background:url(//example.com)}`,
	} {
		p, s := small()
		p.Nodes[0].Name, p.Types[0].Name, p.Pools[0].Name = evil, evil, evil
		for i := range p.Types[0].Offerings {
			p.Types[0].Offerings[i].Zone = evil
		}
		for k := range p.Nodes[0].Labels {
			p.Nodes[0].Labels[k] = evil
		}
		for i := range p.Pods {
			p.Pods[i].Name, p.Pods[i].Owner.Name = evil, evil
		}
		for i := range s.New {
			s.New[i].Why = evil
		}
		for i := range s.Unplaced {
			s.Unplaced[i].Reason, s.Unplaced[i].Refused = evil, evil
		}
		v := Draw(evil, p, s)
		v.Notes = []string{evil}
		got := html(t, v)
		known := map[string]bool{}
		for _, m := range tag.FindAllStringSubmatch(plain, -1) {
			known[m[1]] = true
		}
		for _, m := range tag.FindAllStringSubmatch(got, -1) {
			if !known[m[1]] {
				t.Errorf("%q makes an element %s", evil, m[1])
			}
		}
		if style, _, _ := strings.Cut(got, "</style>"); strings.Contains(style[strings.Index(style, "<style>"):], "example.com") {
			t.Errorf("%q is in the styles", evil)
		}
		if bare := value.ReplaceAllString(got, `=""`); handler.MatchString(bare) {
			t.Errorf("%q makes an event handler", evil)
		}
	}
}

func html(t *testing.T, v Picture) string {
	t.Helper()
	var b bytes.Buffer
	if err := HTML(&b, v); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// A page needs nothing from elsewhere, and can be opened with 1,000 nodes before and after.
func TestPageStandsAlone(t *testing.T) {
	f, err := workload.Generate(workload.Shape{Kind: "replan", Pods: 30_000, Types: 100, Nodes: 1000, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	p, err := f.Problem()
	if err != nil {
		t.Fatal(err)
	}
	s := packing.Solution{Placed: make([]int, len(p.Pods))} // all on the first node: what is drawn is the point
	got := html(t, Draw("big", p, s))
	if len(got) > 2_000_000 {
		t.Errorf("it has %d bytes", len(got))
	}
	if boxes := strings.Count(got, `<div class="n `); boxes != 2000 {
		t.Errorf("it has %d boxes", boxes)
	}
	for _, no := range []string{"http:", "https:", "<script", "<link", "<img", "@import", "url("} {
		if strings.Contains(got, no) {
			t.Errorf("it has %s", no)
		}
	}
	for _, want := range []string{"prefers-color-scheme: dark", "default-src 'none'", `id="z2"`, `:has(#z2:checked)`} {
		if !strings.Contains(got, want) {
			t.Errorf("it has no %s", want)
		}
	}
}
