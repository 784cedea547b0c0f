package main

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/scaleview"
	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/workload"
)

const webWorkload = "../../examples/workloads/web.json"

// Mistakes are the caller's, found before anything is planned or read, and say what to do.
func TestScaleMistakes(t *testing.T) {
	t.Setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1") // whoever asks fails otherwise
	for name, tc := range map[string]struct {
		args  []string
		stdin string
		says  string
	}{
		"nothing to plan for":      {[]string{"plan"}, "", "--workload or a cluster by --cluster"},
		"two things to plan for":   {[]string{"plan", "--workload", "-", "--cluster", "a"}, "", "--workload or a cluster by --cluster"},
		"a list for a cluster":     {[]string{"plan", "--cluster", "a", "--nodes", "f"}, "", "are for --workload"},
		"no runs":                  {[]string{"plan", "--workload", "-", "--runs", "0"}, "", "--runs 0"},
		"an unknown output":        {[]string{"plan", "--workload", "-", "-o", "yaml"}, "", "text or json"},
		"an argument":              {[]string{"plan", "web.json"}, "", "unknown command"},
		"no such file":             {[]string{"plan", "--workload", "/nowhere.json"}, "", "no such file"},
		"an empty file":            {[]string{"plan", "--workload", "-"}, "", "ends at byte 0"},
		"an unknown field":         {[]string{"plan", "--workload", "-"}, `{"pods":[{"name":"a","cpus":1}]}`, `-: pods[0] ("a").cpus: unknown field`},
		"a kind that is not":       {[]string{"generate", "--kind", "tea"}, "", "diverse, mixed, refill, replan, web"},
		"too many types":           {[]string{"generate", "--types", "9999"}, "", "types"},
		"nothing to measure":       {[]string{"bench", "--only", "tea"}, "", "none of"},
		"an unknown flag of bench": {[]string{"bench", "--fast"}, "", "--fast"},
	} {
		t.Run(name, func(t *testing.T) {
			want(t, exitUsage, []string{tc.says}, tc.stdin, append([]string{"scale"}, tc.args...)...)
		})
	}
}

// The example's plan as people and programs get it.
func TestScalePlanOfWorkload(t *testing.T) {
	dir := t.TempDir()
	list, page := filepath.Join(dir, "nodes.json"), filepath.Join(dir, "plan.html")
	want(t, 0, []string{"web: 54 pods, 20 instance types, 3 nodes already", "every pod has a node", "INSTANCE TYPE", "checked by Kubernetes' rules", "the page is " + page}, "",
		"scale", "plan", "--workload", webWorkload, "--html", page)
	r := wantJSON[scaleview.Report](t, 0, "", "scale", "plan", "--workload", webWorkload, "--nodes", list, "--runs", "3")
	if r.Runs != 3 || r.Unscheduled != 0 || r.PricePerHour <= 0 || r.PricePerHour > 3 || r.MedianSolveMs <= 0 {
		t.Errorf("the report is %+v", r)
	}
	text, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	var nodes []scaleview.PlanNode
	if err := json.Unmarshal(text, &nodes); err != nil {
		t.Fatal(err)
	}
	sum, pods := 0.0, []string{}
	for _, n := range nodes {
		sum += n.Price
		pods = append(pods, n.Pods...)
	}
	slices.Sort(pods)
	if len(nodes) != r.Nodes || math.Abs(sum-r.PricePerHour) > 1e-9 || len(pods)+r.OnExistingNodes != 54 || len(slices.Compact(pods)) != len(pods) {
		t.Errorf("%d nodes for %v with %d pods, the report is %+v", len(nodes), sum, len(pods), r)
	}
	if html, err := os.ReadFile(page); err != nil || !strings.Contains(string(html), "<h1>web</h1>") {
		t.Errorf("the page: %v", err)
	}
}

// A pod that fits nowhere is no failure: it is named with what it lacks.
func TestScalePlanNamesWhoIsLeftOut(t *testing.T) {
	huge := strings.Replace(string(readFile(t, webWorkload)), `"cpuMilli": 500, "memMiB": 1024`, `"cpuMilli": 500000, "memMiB": 1024`, 1)
	p := want(t, 0, []string{"WITHOUT A NODE", "1 pod of web (default/web-00)"}, huge, "scale", "plan", "--workload", "-")
	if !strings.Contains(p.out, "cpu") {
		t.Errorf("it does not say what is missing\n%s", p)
	}
}

// Figures can be had again from the repository alone.
func TestScaleGenerate(t *testing.T) {
	args := []string{"scale", "generate", "--kind", "mixed", "--pods", "300", "--types", "60", "--seed", "5"}
	a, b := want(t, 0, nil, "", args...), want(t, 0, nil, "", args...)
	if a.out != b.out {
		t.Error("it is not always the same")
	}
	r := wantJSON[scaleview.Report](t, 0, a.out, "scale", "plan", "--workload", "-")
	if r.Pods != 300 || r.Unscheduled != 0 {
		t.Errorf("the report is %+v", r)
	}
}

func TestBenchShapesCanBeMade(t *testing.T) {
	for _, s := range benchShapes {
		s.Pods, s.Nodes = s.Pods/100, s.Nodes/100
		if _, err := workload.Generate(s); err != nil {
			t.Error(s, err)
		}
	}
}

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
