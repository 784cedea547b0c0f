package upgradeview

import (
	"bytes"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/readiness"
	"github.com/ekspedite/ekspedite/shared/decide/upgradepath"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

var testNow = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const evil = `<script>alert("x")</script>`

// sample is the report of a cluster with something of everything: a blocker, a warning, a waiver, and parts that are not known.
func sample(t *testing.T) readiness.Report {
	t.Helper()
	day := func(s string) time.Time {
		d, err := time.Parse("2006-01-02", s)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	o := readiness.Observation{Target: 34, Access: readiness.Access{Asked: true, Reached: true, Entry: true},
		EKS: upgradepath.Observation{Cluster: fleet.ClusterID{Region: "eu-west-1", Name: "prod"}, Version: 33, Status: "ACTIVE", CreatedAt: day("2025-06-01"),
			Versions: []fleet.KubernetesVersion{{Minor: 33, StandardEnds: day("2026-07-29"), ExtendedEnds: day("2027-07-29"), Status: fleet.ExtendedSupport},
				{Minor: 34, StandardEnds: day("2026-12-02"), ExtendedEnds: day("2027-12-02"), Status: fleet.StandardSupport}}},
		Pods: []readiness.Pod{{Namespace: "shop", Name: evil, Phase: "Running", Ready: true, Grace: time.Second},
			{Namespace: "shop", Name: "debug", Phase: "Running", Ready: true, Grace: time.Second}},
		Unread: map[readiness.Part]string{readiness.PartKey: "kms:DescribeKey is denied", readiness.PartHelm: "secrets is forbidden"}}
	for _, id := range []string{"subnet-a", "subnet-b"} {
		o.ControlPlane.SubnetIDs = append(o.ControlPlane.SubnetIDs, id)
		o.Subnets = append(o.Subnets, readiness.Subnet{ID: id, Exists: true, Zone: "eu-west-1" + id[7:], Free: 100})
	}
	o.ControlPlane.KeyARN = "arn:aws:kms:eu-west-1:111122223333:key/k"
	o.Role = readiness.Role{ARN: "arn:aws:iam::111122223333:role/c", Exists: true, Trusted: true}
	p := fleet.DefaultUpgradePolicy()
	p.Checks.Waivers = []fleet.Waiver{{Check: "WL09", Until: testNow.AddDate(0, 0, 1)}, {Check: "WL10", Until: testNow.AddDate(0, 0, 1)}, {Check: "WL07", Object: "shop/debug", Until: testNow.AddDate(0, 0, 1), Reason: "it goes"}}
	r := readiness.Check(testNow, o, p)
	if len(r.Blockers()) != 2 {
		t.Fatalf("%+v", r.Blockers())
	}
	return r
}

func render(t *testing.T, write func(w io.Writer, r readiness.Report) error, r readiness.Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestText(t *testing.T) {
	got := render(t, ReadinessText, sample(t))
	for _, want := range []string{
		"NOT READY: eu-west-1/prod from 1.33 to 1.34: 1 blocker, and 1 check could not be made\n",
		"Support of 1.33: standard until 2026-07-29, extended until 2027-07-29 (in 247 days); then EKS upgrades the cluster by itself",
		"Extended support costs $365.00 a month, $84.00 for each week of delay; $1410.00 so far", // 117.5 days of 24 hours at $0.50
		"\nBLOCKERS\n  WL07   a pod has no controller", "         - shop/" + evil + "\n", "         > kubectl get pod -n shop",
		"waived shop/debug until 2026-11-24 12:00 UTC: it goes", "\nWARNINGS\n", "  CP13 (stops the upgrade)\n      not known: key could not be read: kms:DescribeKey is denied\n",
		"  API05\n      not known: helm could not be read: secrets is forbidden\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	ready := sample(t)
	ready.Findings = slices.DeleteFunc(ready.Findings, func(f readiness.Finding) bool { return f.Blocks() })
	if got := render(t, ReadinessText, ready); !strings.HasPrefix(got, "READY: eu-west-1/prod from 1.33 to 1.34\n") || strings.Contains(got, "BLOCKERS") {
		t.Error(got)
	}
	if got := render(t, ReadinessText, readiness.Report{From: 34, To: 34}); !strings.Contains(got, "patches alone") {
		t.Error(got)
	}
}

func TestJSON(t *testing.T) {
	r := sample(t)
	var back struct {
		Ready    bool
		Blockers int
		readiness.Report
	}
	if err := json.Unmarshal([]byte(render(t, ReadinessJSON, r)), &back); err != nil {
		t.Fatal(err)
	}
	if back.Ready || back.Blockers != 2 || len(back.Findings) != len(r.Findings) || back.To != 34 || back.Support != r.Support {
		t.Errorf("%+v", back)
	}
}

// TestSARIF holds the log against what SARIF 2.1.0 requires (https://docs.oasis-open.org/sarif/sarif/v2.1.0/): read as bare JSON,
// so that the names on the wire are held, and not our own types.
func TestSARIF(t *testing.T) {
	r := sample(t)
	var log map[string]any
	if err := json.Unmarshal([]byte(render(t, ReadinessSARIF, r)), &log); err != nil {
		t.Fatal(err)
	}
	run := log["runs"].([]any)[0].(map[string]any)
	driver := run["tool"].(map[string]any)["driver"].(map[string]any)
	rules := driver["rules"].([]any)
	if log["version"] != "2.1.0" || !strings.Contains(log["$schema"].(string), "sarif-schema-2.1.0") || driver["name"] != "ekspedite" || len(rules) != len(readiness.Catalogue()) {
		t.Errorf("version %v, schema %v, %d rules", log["version"], log["$schema"], len(rules))
	}
	ids := map[string]bool{}
	for _, rule := range rules {
		rule := rule.(map[string]any)
		id := rule["id"].(string)
		if ids[id] || rule["shortDescription"].(map[string]any)["text"] == "" || rule["name"] == "" {
			t.Errorf("rule %v", rule)
		}
		ids[id] = true
		level(t, rule["defaultConfiguration"].(map[string]any)["level"])
	}
	results := run["results"].([]any)
	if len(results) != len(r.Findings) {
		t.Errorf("%d results", len(results))
	}
	for i, x := range results {
		x, f := x.(map[string]any), r.Findings[i]
		level(t, x["level"])
		// 3.27.10: a kind other than "fail" has no level, or "none".
		if x["kind"] != "fail" && x["level"] != "none" || !slices.Contains([]any{"pass", "open", "fail"}, x["kind"]) {
			t.Errorf("%s: kind %v, level %v", f.ID, x["kind"], x["level"])
		}
		if rule := rules[int(x["ruleIndex"].(float64))].(map[string]any); x["ruleId"] != f.ID || rule["id"] != f.ID {
			t.Errorf("%s: rule %v, index of %v", f.ID, x["ruleId"], rule["id"])
		}
		if x["message"].(map[string]any)["text"] == "" {
			t.Errorf("%s has no message", f.ID)
		}
		if f.Blocks() != (x["level"] == "error" && x["suppressions"] == nil) {
			t.Errorf("%s blocks %t, level %v", f.ID, f.Blocks(), x["level"])
		}
		for _, l := range x["locations"].([]any) {
			logical := l.(map[string]any)["logicalLocations"].([]any)[0].(map[string]any)
			if !strings.HasPrefix(logical["fullyQualifiedName"].(string), "eu-west-1/prod") || logical["kind"] != "resource" {
				t.Errorf("%s: %v", f.ID, logical)
			}
		}
		if (f.Status == readiness.Waived) != (x["suppressions"] != nil) {
			t.Errorf("%s is %s, suppressions %v", f.ID, f.Status, x["suppressions"])
		}
	}
}

func level(t *testing.T, v any) {
	t.Helper()
	if !slices.Contains([]any{"none", "note", "warning", "error"}, v) {
		t.Errorf("level %v", v)
	}
}

func TestHTML(t *testing.T) {
	got := render(t, ReadinessHTML, sample(t))
	for _, want := range []string{
		`<h1 class="bad">NOT READY: eu-west-1/prod from 1.33 to 1.34: 1 blocker, and 1 check could not be made</h1>`,
		"$365.00</dd><dd class=\"dim\">a month, now", "$1410.00", "$84.00", "Each week that this takes costs $84.00. Staying until EKS upgrades by itself costs $2970.00 more.", // 247.5 days
		"2027-07-29", "in 247 days", "117 days ago", "What stops the upgrade", "a pod has no controller", "kubectl get pod -n shop", "<details><summary>Warnings", "<details><summary>Passed",
		"shop/&lt;script&gt;", "Waived shop/debug", "kms:DescribeKey is denied",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q", want)
		}
	}
	for _, never := range []string{"<script", "src=", "href=", "url(", "@import", "<link", "<img", "ZgotmplZ"} {
		if strings.Contains(got, never) {
			t.Errorf("there is %q in the page", never)
		}
	}
	if strings.Count(got, "<details>") != strings.Count(got, "</details>") || strings.Count(got, "<article") != strings.Count(got, "</article>") {
		t.Error("what is opened is not closed")
	}
	standard := sample(t)
	standard.From, standard.Support = 34, readiness.Support{StandardEnds: testNow.AddDate(0, 0, 9), ExtendedEnds: testNow.AddDate(1, 0, 9), ExtendedPerMonth: 365}
	if got := render(t, ReadinessHTML, standard); !strings.Contains(got, "Waiting costs nothing yet: extended support begins in 9 days.") || !strings.Contains(got, "from 2026-12-02") {
		t.Error(got)
	}
	if got := render(t, ReadinessHTML, readiness.Report{From: 40, To: 41}); !strings.Contains(got, "READY") || strings.Contains(got, "extended support") {
		t.Error("what is not known of support is shown")
	}
}
