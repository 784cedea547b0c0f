package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/upgradeview"
	"github.com/ekspedite/ekspedite/shared/decide/upgradepath"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// situationFile is a cluster at 1.34 with a node group and an add-on, as --save writes it.
func situationFile(t *testing.T, change func(*upgradeSituation)) string {
	t.Helper()
	var versions []fleet.KubernetesVersion
	for m := fleet.Minor(34); m <= 36; m++ {
		versions = append(versions, fleet.KubernetesVersion{Minor: m, Released: time.Date(2025, 6, 1, 0, 0, 0, 0, time.UTC), Status: fleet.StandardSupport})
	}
	s := upgradeSituation{
		At: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), Policy: fleet.DefaultUpgradePolicy(), Hourly: map[string]float64{"m5.large": 0.096},
		Observation: upgradepath.Observation{
			Cluster: fleet.ClusterID{Region: "us-east-1", Name: "prod"}, Version: 34, Status: "ACTIVE", Versions: versions,
			Groups: []upgradepath.Group{{Name: "web", Version: 34, Release: "1.34.2-20260601", AMIType: "AL2023_x86_64_STANDARD", Zones: 3, Desired: 2, InstanceTypes: []string{"m5.large"}}},
			Addons: []upgradepath.Addon{{Name: "coredns", Version: "v1.12.4-eksbuild.1", Status: "ACTIVE"}},
			Releases: map[string][]fleet.AddonRelease{"coredns": {
				{Version: "v1.13.2-eksbuild.1", Minors: []fleet.Minor{35, 36}}, {Version: "v1.12.4-eksbuild.1", Minors: []fleet.Minor{34, 35}},
			}},
			Images: map[string]upgradepath.Image{"AL2023_x86_64_STANDARD/1.36": {Release: "1.36.6-20261112"}},
		},
	}
	s.Policy.Windows = []fleet.MaintenanceWindow{{Name: "nights", For: time.Hour}}
	if change != nil {
		change(&s)
	}
	data, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "prod.json")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// A plan from a file needs neither AWS nor a cluster.
func TestUpgradePlanOfFile(t *testing.T) {
	t.Setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
	file := situationFile(t, nil)
	want(t, 0, []string{
		"us-east-1/prod: 1.34 → 1.36, 6 steps", "control plane  1.34 → 1.35", "add-on coredns  v1.12.4-eksbuild.1 → v1.13.2-eksbuild.1",
		"node group web  1.34.2-20260601 → 1.36.6-20261112, 2 nodes, rolling", "ends the direct way back", "nodes beside the old ones cost $0.25", "hop by hop, ",
	}, "", "upgrade", "plan", "-f", file, "--to", "1.36")

	v := wantJSON[upgradeview.Way](t, 0, "", "upgrade", "plan", "-f", file, "--to", "1.36")
	if len(v.Steps) != 6 || v.To != 36 || v.Naive == nil || v.Naive.Takes <= v.Takes || v.Steps[5].ID != "nodegroup/web/1.36.6-20261112" {
		t.Errorf("the way is %+v", v)
	}
	strict := wantJSON[upgradeview.Way](t, 0, "", "upgrade", "plan", "-f", file, "--to", "1.36", "--strict")
	if len(strict.Steps) != 7 || strict.Steps[3].Kind != upgradepath.StepNodeGroup || strict.Takes <= v.Takes {
		t.Errorf("the strict way is %+v", strict.Path)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want(t, 0, []string{"1.34 → 1.35", "4 steps"}, string(text), "upgrade", "plan", "-f", "-", "--to", "1.35")
	want(t, 0, []string{"why 1.34: its policy wants no other version"}, "", "upgrade", "plan", "-f", file)
	want(t, 0, []string{"why 1.36: the policy wants 1.36"}, "", "upgrade", "plan", "-f", situationFile(t, func(s *upgradeSituation) { s.Policy.Version = 36 }))
	want(t, 0, []string{"1.34 → 1.34, 0 steps"}, "", "upgrade", "plan", "-f", file, "--patch")

	want(t, exitFailed, []string{"BLOCKED", "EKS has no Kubernetes 1.37"}, "", "upgrade", "plan", "-f", file, "--to", "1.37")
	want(t, exitFailed, []string{"BLOCKED", "there is nothing to go back to"}, "", "upgrade", "plan", "-f", file, "--back")
	back := situationFile(t, func(s *upgradeSituation) {
		s.Observation.Version, s.Observation.UpgradedFrom, s.Observation.UpgradedAt = 35, 34, s.At.Add(-time.Hour)
	})
	want(t, 0, []string{"1.35 → 1.34", "control plane  1.35 → 1.34"}, "", "upgrade", "plan", "-f", back, "--back")
}

func TestUpgradePlanRefuses(t *testing.T) {
	file := situationFile(t, nil)
	broken := filepath.Join(t.TempDir(), "broken.json")
	if err := os.WriteFile(broken, []byte(`{"verzion": 1}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		says string
		args []string
	}{
		{"name a cluster by --cluster, or a file by -f, or all clusters by --all", nil},
		{"name a cluster by --cluster, or a file by -f, or all clusters by --all", []string{"-f", file, "--cluster", "prod"}},
		{"--to: \"two\" is no version of Kubernetes", []string{"-f", file, "--to", "two"}},
		{"--save, --region and --kubeconfig are for --cluster", []string{"-f", file, "--save", "x"}},
		{"--back leads to the version before", []string{"-f", file, "--back", "--to", "1.36"}},
		{"--all plans for every cluster", []string{"-f", file, "--all"}},
		{"use text or json", []string{"-f", file, "-o", "yaml"}},
		{`unknown field "verzion"`, []string{"-f", broken}},
		{"no such file", []string{"-f", filepath.Join(t.TempDir(), "none")}},
		{"observation.version is missing", []string{"-f", situationFile(t, func(s *upgradeSituation) { s.Observation.Version = 0 })}},
		{"policy is missing", []string{"-f", situationFile(t, func(s *upgradeSituation) { s.Policy = fleet.UpgradePolicy{} })}},
	} {
		want(t, exitUsage, []string{c.says}, "", append([]string{"upgrade", "plan"}, c.args...)...)
	}
}

// A plan for a cluster reads AWS and the cluster over the wire, and writes to neither; what it saves gives the same plan.
func TestUpgradePlanOfCluster(t *testing.T) {
	inside := newAnswering(t)
	r := newRigWith(t, inside)
	want(t, 0, []string{"Active"}, "", "cluster", "apply", "-f", write(t, strings.Replace(shop, `version: "1.36"`, `version: "1.34"`, 1)))
	r.stop()
	before := len(calls(t))
	saved := filepath.Join(t.TempDir(), "saved.json")
	live := want(t, 0, []string{"us-east-1/small: 1.34 → 1.36", "control plane  1.34 → 1.35", "control plane  1.35 → 1.36", "node group a", "hop by hop"}, "",
		"upgrade", "plan", "--cluster", "small", "--to", "1.36", "--save", saved)
	read := regexp.MustCompile(`^(Describe|Get|List|Query|AssumeRole)`)
	for _, name := range calls(t)[before:] {
		if !read.MatchString(name) {
			t.Errorf("%s was called", name)
		}
	}
	if again := want(t, 0, nil, "", "upgrade", "plan", "-f", saved, "--to", "1.36"); again.out != live.out {
		t.Errorf("from the file it is\n%s\nand it was\n%s", again.out, live.out)
	}
	want(t, exitFailed, []string{"no cluster other", "name its Region by --region"}, "", "upgrade", "plan", "--cluster", "other", "--to", "1.36")
	want(t, exitFailed, []string{"warning: planned with the default policy", "No cluster found for name: other"}, "", "upgrade", "plan", "--cluster", "other", "--region", "us-east-1", "--to", "1.36")

	want(t, 0, []string{"us-east-1/small  1.34  1.36  ", "1 clusters: 1 with something to do, 0 blocked, 0 could not be read", "1 of 1 clusters read"}, "", "upgrade", "plan", "--all", "--to", "1.36")
	want(t, exitFailed, []string{"BLOCKED EKS has no Kubernetes", "1 blocked"}, "", "upgrade", "plan", "--all", "--to", "1.99")
	t.Setenv("EKSPEDITE_TABLE", "gone")
	want(t, 0, []string{"warning: planned with the default policy", "us-east-1/small: 1.34 → 1.36"}, "", "upgrade", "plan", "--cluster", "small", "--region", "us-east-1", "--to", "1.36")
	t.Setenv("EKSPEDITE_TABLE", "")
	want(t, 0, []string{"0 clusters"}, "", "upgrade", "plan", "--all", "--region", "eu-west-1")
}

// What cannot be read of one cluster is its line, and costs the others nothing.
func TestUpgradePlanOfFleet(t *testing.T) {
	f := upgradePlanFlags{to: "1.36"}
	one, err := loadSituation(nil, situationFile(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	var all []fleet.ClusterID
	for i := range 40 {
		all = append(all, fleet.ClusterID{Region: "us-east-1", Name: fmt.Sprintf("c%d", i)})
	}
	v := f.planAll(t.Context(), io.Discard, all, func(_ context.Context, _ io.Writer, id fleet.ClusterID) (upgradeSituation, error) {
		s := one
		s.Observation.Cluster = id
		switch id.Name {
		case "c7":
			return s, errors.New("it cannot\nbe read")
		case "c8":
			s.Observation.Version, s.Observation.Groups, s.Observation.Addons = 36, nil, nil
		case "c9":
			s.Observation.Releases = nil
		}
		return s, nil
	})
	if v.Moving != 37 || v.Unread != 1 || v.Blocked != 1 || len(v.Clusters) != 40 || v.Clusters[3].Cluster != "us-east-1/c3" {
		t.Errorf("%d moving, %d blocked, %d unread", v.Moving, v.Blocked, v.Unread)
	}
	var b strings.Builder
	if err := v.Text(&b); err != nil || !strings.Contains(b.String(), "it cannot be read") || strings.Count(b.String(), "\n") != 43 {
		t.Errorf("%v\n%s", err, b.String())
	}
}

// The example is a plan that anybody can try, and docs/upgrade-path.md shows a part of it.
func TestUpgradePlanExample(t *testing.T) {
	p := want(t, 0, []string{"us-east-1/shop: 1.33 → 1.36, 16 steps"}, "", "upgrade", "plan", "-f", "../../examples/upgrades/shop.json", "--to", "1.36")
	doc, err := os.ReadFile("../../docs/upgrade-path.md")
	if err != nil {
		t.Fatal(err)
	}
	_, shown, ok := strings.Cut(string(doc), "    $ ekspedite upgrade plan -f examples/upgrades/shop.json --to 1.36\n")
	shown, _, _ = strings.Cut(shown, "\n\n##")
	if !ok || len(shown) < 1000 {
		t.Fatal("docs/upgrade-path.md does not show it")
	}
	for line := range strings.Lines(shown) {
		if line = strings.TrimSpace(line); line != "" && line != "…" && !strings.Contains(p.out, line) {
			t.Errorf("docs/upgrade-path.md shows %q, and that is not in\n%s", line, p.out)
		}
	}
}
