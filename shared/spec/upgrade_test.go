package spec

import (
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

const (
	upgradeHead = "---\napiVersion: ekspedite.dev/v1alpha1\nkind: ClusterPolicy\nupgrade:\n"
	fleetHead   = "apiVersion: ekspedite.dev/v1alpha1\nkind: FleetPolicy\n"
)

// upgradeRules are policies with one thing wrong, the path that is named and what is said.
var upgradeRules = []struct{ text, path, says string }{
	{"mode: On", "upgrade.mode", "must be one of Off, Plan, Act"},
	{"version: 1.36.2", "upgrade.version", `like "1.36"`},
	{"version: latest", "upgrade.version", "one is like 1.36"},
	{"{version: '1.36', channel: Stable}", "upgrade.channel", "exclude each other"},
	{"version: '1.30'", "upgrade.version", "older than metadata.version 1.34"},
	{"channel: stable", "upgrade.channel", `must be written "Stable"`},
	{"lead: two months", "upgrade.lead", "like 5s, 1m30s or 7d"},
	{"lead: 400d", "upgrade.lead", "365d at most"},
	{"lead: 1d-5h", "upgrade.lead", "must be a duration"},
	{"ring: a b", "upgrade.ring", "letters, digits"},
	{"windows: [{cron: 0 2 * * *, for: 1h}]", "upgrade.windows[0].name", "is missing"},
	{"windows: [{name: a, for: 1h}]", "upgrade.windows[0]", "give cron"},
	{"windows: [{name: a, cron: 0 2 * * *}]", "upgrade.windows[0].for", "is missing"},
	{"windows: [{name: a, cron: 0 2 * * *, for: 5m}]", "upgrade.windows[0].for", "10m0s at least"},
	{"windows: [{name: a, cron: 0 2 * * *, for: 0s}]", "upgrade.windows[0].for", "longer than nothing"},
	{"windows: [{name: a, cron: 0 2 * * *, for: 40d}]", "upgrade.windows[0].for", "31d at most"},
	{"windows: [{name: a, cron: 0 2 * *, for: 1h}]", "upgrade.windows[0].cron", "five fields"},
	{"windows: [{name: a, cron: 0 2 30 2 *, for: 1h}]", "upgrade.windows[0].cron", "never happens"},
	{"windows: [{name: a, cron: 0 2 * * *, rrule: FREQ=DAILY;BYHOUR=2, for: 1h}]", "upgrade.windows[0].rrule", "exclude each other"},
	{"windows: [{name: a, rrule: FREQ=DAILY, for: 1h}]", "upgrade.windows[0].rrule", "give BYHOUR"},
	{"windows: [{name: a, rrule: FREQ=WEEKLY;INTERVAL=2;BYDAY=TU;BYHOUR=2, for: 1h}]", "upgrade.windows[0].rrule", "INTERVAL needs DTSTART"},
	{"windows: [{name: a, cron: 0 2 * * *, for: 1h, timeZone: Berlin}]", "upgrade.windows[0].timeZone", "is not known"},
	{"windows: [{name: a, cron: 0 2 * * *, for: 1h}, {name: a, cron: 0 3 * * *, for: 1h}]", "upgrade.windows[1].name", "is there twice"},
	{"blackouts: [{name: a, from: 2026-12-01T00:00}]", "upgrade.blackouts[0].until", "is missing"},
	{"blackouts: [{name: a, from: 2026-12-01T00:00, until: 2026-11-01T00:00}]", "upgrade.blackouts[0].until", "is not after from"},
	{"blackouts: [{name: a, from: soon, until: 2026-11-01T00:00}]", "upgrade.blackouts[0].from", "a time like"},
	{"blackouts: [{name: a, cron: 0 2 * * *}]", "upgrade.blackouts[0].for", "is missing"},
	{"blackouts: [{name: a, from: 2026-12-01T00:00, until: 2026-12-02T00:00, for: 1h}]", "upgrade.blackouts[0].for", "give until"},
	{"skew: N2", "upgrade.skew", "must be one of N3, Strict"},
	{"bake: 8d", "upgrade.bake", "7d at most"},
	{"nodes: {strategy: Recreate}", "upgrade.nodes.strategy", "must be one of Rolling"},
	{"nodes: {atOnce: 0}", "upgrade.nodes.atOnce", "1 or more"},
	{"nodes: {groupsAtOnce: 1000}", "upgrade.nodes.groupsAtOnce", "1 to 100 are possible"},
	{"nodes: {groups: [{name: g, launchTemplateVersion: {'36': 1}}]}", "upgrade.nodes.groups[0].launchTemplateVersion.36", "no version of Kubernetes"},
	{"nodes: {groups: [{name: g, launchTemplateVersion: {'1.36': newest}}]}", "upgrade.nodes.groups[0].launchTemplateVersion.1.36", "a whole number"},
	{"nodes: {groups: [{name: g, launchTemplateVersion: {'1.36': }}]}", "upgrade.nodes.groups[0].launchTemplateVersion.1.36", "is missing"},
	{"addons: {conflicts: KEEP}", "upgrade.addons.conflicts", "must be one of PRESERVE"},
	{"addons: {pins: {vpc-cni: latest}}", "upgrade.addons.pins.vpc-cni", "like v1.18.5-eksbuild.1"},
	{"patches: {age: -1h}", "upgrade.patches.age", "must be a duration"},
	{"health: {notReady: 0.1}", "upgrade.health.notReady", "a share from 0% to 100%"},
	{"health: {alarms: [a, a]}", "upgrade.health.alarms[1]", "twice"},
	{"rollback: Always", "upgrade.rollback", "must be one of Ask, Auto"},
	{"checks: {warnIps: 3}", "upgrade.checks.warnIps", "less than blockIps 5"},
	{"checks: {waivers: [{check: five, until: 2027-01-01T00:00, reason: r}]}", "upgrade.checks.waivers[0].check", "like WL05"},
	{"checks: {waivers: [{check: WL05, reason: r}]}", "upgrade.checks.waivers[0].until", "is missing"},
	{"checks: {waivers: [{check: WL05, until: 2027-01-01T00:00}]}", "upgrade.checks.waivers[0].reason", "why may the check pass"},
}

const oldCluster = "apiVersion: eksctl.io/v1alpha5\nkind: ClusterConfig\nmetadata: {name: a, region: eu-west-1, version: '1.34'}\nmanagedNodeGroups: [{name: g}]\n"

func TestUpgradeRules(t *testing.T) {
	for _, c := range upgradeRules {
		_, report := Parse([]byte(oldCluster + upgradeHead + "  " + c.text + "\n"))
		if !slices.ContainsFunc(report.Errors, func(p Problem) bool { return p.Path == c.path && strings.Contains(p.Message, c.says) && p.Line > 5 }) {
			t.Errorf("%s\nwant an error at %s: %s\n%s", c.text, c.path, c.says, report)
		}
		if len(report.Errors) > 1 {
			t.Errorf("one mistake, %d errors: %s\n%s", len(report.Errors), c.text, report)
		}
	}
}

// TestUpgradeWarnings: what has no effect is named, and is no error.
func TestUpgradeWarnings(t *testing.T) {
	for text, says := range map[string]string{
		"mode: Act":                    "upgrade.mode: Act has no windows",
		"channels: Newest":             `upgrade.channels: is no known field and has no effect: did you mean "channel"?`,
		"nodes: {groups: [{name: h}]}": "the file has no node group h",
		"addons: {pins: {aws-efs-csi-driver: v2.1.4}}": "the file has no add-on aws-efs-csi-driver",
		"ring: earyl": "the FleetPolicy has no ring earyl",
	} {
		f, report := Read([]byte(oldCluster + upgradeHead + "  " + text + "\n---\n" + fleetHead))
		if len(report.Errors) > 0 || !strings.Contains(report.String(), says) || len(report.Warnings) != 1 || f.Fleet == nil {
			t.Errorf("%s\nwant a warning: %s\n%s", text, says, report)
		}
	}
	if _, report := Read([]byte(oldCluster + upgradeHead + "  ring: earyl\n")); len(report.Warnings) > 0 {
		t.Errorf("without a FleetPolicy nobody knows its rings: %s", report)
	}
}

func TestFleetPolicy(t *testing.T) {
	for text, says := range map[string]string{
		"rings: []":                                "1 to 50 are possible",
		"rings: [{atOnce: 1}]":                     "rings[0].name: is missing",
		"rings: [{name: a}, {name: a}]":            "rings[1].name: \"a\" is there twice",
		"rings: [{name: a, atOnce: 0}]":            "1 or more",
		"calls: 0":                                 "1 or more",
		"calls: 5000":                              "1 to 3000",
		"blackouts: [{name: a}]":                   "blackouts[0].from: is missing",
		"calls: 5\n---\n" + fleetHead + "calls: 6": "there is a FleetPolicy already",
	} {
		if _, report := Read([]byte(fleetHead + text + "\n")); !strings.Contains(report.String(), says) || len(report.Errors) == 0 {
			t.Errorf("%s\nwant an error: %s\n%s", text, says, report)
		}
	}
	f, report := Read([]byte(fleetHead))
	if len(f.Clusters) != 0 || f.Fleet == nil || !reflect.DeepEqual(*f.Fleet, fleet.DefaultFleetPolicy()) || len(report.Errors)+len(report.Warnings) > 0 {
		t.Errorf("an empty one is the default: %+v, %s", f, report)
	}
	if f, report = Read([]byte(fleetHead + "rings: [{name: all}]\nring: 1\n")); !reflect.DeepEqual(f.Fleet.Rings, []fleet.Ring{{Name: "all", AtOnce: 1}}) || !strings.Contains(report.String(), `did you mean "rings"`) {
		t.Errorf("%+v, %s", f.Fleet, report)
	}
	if specs, report := Parse([]byte(fleetHead)); len(specs) != 0 || !strings.Contains(report.String(), "there is no cluster") {
		t.Errorf("who wants clusters has none: %s", report)
	}
}

// TestDated: what is over is said when the file is handed in, and a waiver of years is refused then.
func TestDated(t *testing.T) {
	f, report := Read([]byte(oldCluster + upgradeHead + `  blackouts: [{name: a, from: 2026-11-01T00:00, until: 2026-11-02T00:00}]
  checks: {waivers: [{check: WL01, until: 2026-11-03T00:00, reason: r}, {check: WL02, until: 2027-11-03T12:00, reason: r}]}
`))
	if len(report.Errors)+len(report.Warnings) > 0 {
		t.Fatal(report)
	}
	for at, want := range map[string]string{
		"2026-10-30": "error: line 10: upgrade.checks.waivers[1].until: is more than a year ahead: waive it for a time, and look again\n",
		"2026-11-02": "error: line 10: upgrade.checks.waivers[1].until: is more than a year ahead: waive it for a time, and look again\nwarning: line 9: upgrade.blackouts[0].until: is over: the blackout has no effect\n",
		"2026-11-04": "warning: line 9: upgrade.blackouts[0].until: is over: the blackout has no effect\nwarning: line 10: upgrade.checks.waivers[0].until: is over: the waiver has no effect\n",
	} {
		now, err := time.Parse(time.DateOnly, at)
		if err != nil {
			t.Fatal(err)
		}
		if got := f.At(now).String(); got != want {
			t.Errorf("at %s\ngot  %s\nwant %s", at, got, want)
		}
	}
}

// TestUpgradeExample: the example says something of everything, and each part that is taken out makes another policy.
func TestUpgradeExample(t *testing.T) {
	text, err := os.ReadFile("../../examples/clusters/upgrades.yaml")
	if err != nil {
		t.Fatal(err)
	}
	whole, report := Read(text)
	if len(report.Errors)+len(report.Warnings) > 0 || len(whole.Clusters) != 1 || whole.Fleet == nil {
		t.Fatal(report)
	}
	docs := split(text)
	seen := map[string]bool{}
	for i, kind := range map[int]field{1: ownFields(), 2: fleetFields()} {
		nodes, err := decode(docs[i].text)
		if err != nil {
			t.Fatal(err)
		}
		root := plain(nodes[0])
		// What is left out has its default, or is missed.
		clusterDoc{root: root}.eachLeafOf(kind, func(path, place string, without func() string) {
			seen[path] = true
			parts := []string{docs[0].text, docs[1].text, docs[2].text}
			parts[i] = "---\n" + without()
			less, lessReport := Read([]byte(strings.Join(parts, "")))
			same := len(less.Clusters) == 1 && reflect.DeepEqual(less.Clusters[0].Policy, whole.Clusters[0].Policy) && reflect.DeepEqual(less.Fleet, whole.Fleet)
			if same && len(lessReport.Errors) == 0 && !defaults[path] {
				t.Errorf("%s changes nothing", place)
			}
		})
	}
	for _, path := range append(leavesOf(parseFields(field{}, upgradeFields)), leavesOf(parseFields(field{}, fleetPolicyFields))...) {
		if !seen[path] && !instead[path] {
			t.Errorf("the example does not show %s", path)
		}
	}
	p := whole.Clusters[0].Policy.Upgrade
	if w := p.Windows[0]; w.For != 5*time.Hour || w.RRule.String() != "FREQ=WEEKLY;BYDAY=TU,TH;BYHOUR=22" || w.Zone.String() != "Europe/Berlin" {
		t.Errorf("%+v", w)
	}
	sunday, _ := p.Windows[1].Next(time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC))
	if !sunday.Equal(time.Date(2026, 12, 6, 3, 0, 0, 0, time.UTC)) {
		t.Errorf("the first Sunday of December is %s", sunday)
	}
	if b := p.Blackouts[0]; !b.From.Equal(time.Date(2026, 11, 25, 23, 0, 0, 0, time.UTC)) || !b.Never() {
		t.Errorf("%+v", b)
	}
	if g := p.Nodes.Groups[1]; g.LaunchTemplateVersion[36] != "7" || !g.Hold {
		t.Errorf("%+v", g)
	}
	// The ledger keeps it as JSON.
	data, err := json.Marshal(whole.Clusters[0].Policy)
	if err != nil {
		t.Fatal(err)
	}
	var back fleet.Policy
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	if again, err := json.Marshal(back); err != nil || string(again) != string(data) {
		t.Errorf("it came back as %s, %v\nnot %s", again, err, data)
	}
	if data, err = json.Marshal(whole.Fleet); err != nil {
		t.Fatal(err)
	}
	var fleetBack fleet.FleetPolicy
	if err := json.Unmarshal(data, &fleetBack); err != nil || len(fleetBack.Rings) != 3 || fleetBack.Blackouts[0].For != 15*24*time.Hour {
		t.Errorf("%+v, %v", fleetBack, err)
	}
}

// instead of these the example has what they exclude.
var instead = map[string]bool{"upgrade.version": true, "upgrade.blackouts.cron": true, "blackouts.cron": true}

// defaults are what the example says although it is the default, and what says what a document is.
var defaults = map[string]bool{
	"apiVersion": true, "kind": true, "metadata.name": true, "upgrade.skew": true, "upgrade.nodes.strategy": true, "upgrade.nodes.force": true,
	"upgrade.addons.conflicts": true, "upgrade.patches.images": true, "upgrade.patches.addons": true, "rings.atOnce": true,
}
