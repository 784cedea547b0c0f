package spec

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

const policyHead = "---\napiVersion: ekspedite.dev/v1alpha1\nkind: ClusterPolicy\nscaling:\n"

// scalingRules are policies with one thing wrong, the path that is named and what is said.
var scalingRules = []struct{ text, path, says string }{
	{"mode: On", "scaling.mode", "must be one of Off, Plan, Act"},
	{"doorbell: webhook", "scaling.doorbell", `must be written "Webhook"`},
	{"groups: [{ignore: true}]", "scaling.groups[0].name", "is missing"},
	{"groups: [{name: a}, {name: a}]", "scaling.groups[1].name", "is there twice"},
	{"pools: [{name: a}]", "scaling.pools[0].like", "name the node group"},
	{"pools: [{name: a-name-that-is-far-too-long, like: g}]", "scaling.pools[0].name", "20 are possible"},
	{"pools: [{name: a, like: g, capacityTypes: [SPOT]}]", "scaling.pools[0].capacityTypes[0]", `must be written "Spot"`},
	{"pools: [{name: a, like: g, capacityTypes: []}]", "scaling.pools[0].capacityTypes", "name OnDemand, Spot or both"},
	{"pools: [{name: a, like: g, instanceTypes: [m7g]}]", "scaling.pools[0].instanceTypes[0]", "a family stands in families"},
	{"pools: [{name: a, like: g, families: [m7g.large]}]", "scaling.pools[0].families[0]", "stands in instanceTypes"},
	{"pools: [{name: a, like: g, arch: [x86]}]", "scaling.pools[0].arch[0]", "must be one of amd64, arm64"},
	{"pools: [{name: a, like: g, minVCPUs: 8, maxVCPUs: 4}]", "scaling.pools[0].minVCPUs", "is more than maxVCPUs 4"},
	{"pools: [{name: a, like: g, limits: {cpu: many}}]", "scaling.pools[0].limits.cpu", "cores like 500m or 2"},
	{"pools: [{name: a, like: g, limits: {memory: 4GiB}}]", "scaling.pools[0].limits.memory", "bytes like 512Mi or 4Gi"},
	{"pools: [{name: a, like: h, mode: Fleet, labels: {a: b}}]", "scaling.pools[0].labels", "the launch template's to say"},
	{"pools: [{name: a, like: g, mode: Fleet}]", "scaling.pools[0].like", "like those of one of nodeGroups"},
	{"nodes: {vmOverhead: 0.075}", "scaling.nodes.vmOverhead", "a share from 0% to 100%"},
	{"pods: {spotShare: 120%}", "scaling.pods.spotShare", "a share from 0% to 100%"},
	{"pods: {expendableBelow: low}", "scaling.pods.expendableBelow", "must be a whole number"},
	{"launch: {timeout: 0s}", "scaling.launch.timeout", "longer than nothing"},
	{"shrink: {mode: Always}", "scaling.shrink.mode", "must be one of Off, Empty, Underused, Replace"},
	{"shrink: {evictionCost: free}", "scaling.shrink.evictionCost", "an amount of dollars"},
	{"shrink: {budgets: [{reasons: [Empty]}]}", "scaling.shrink.budgets[0].nodes", "a share like 10%"},
	{"shrink: {budgets: [{nodes: 1, reasons: [Drifted]}]}", "scaling.shrink.budgets[0].reasons[0]", "must be one of Empty"},
	{"shrink: {budgets: [{nodes: 1, for: 2h}]}", "scaling.shrink.budgets[0].from", "is missing"},
	{"headroom: [{name: a, cpu: 1}]", "scaling.headroom[0]", "give count or percent"},
	{"headroom: [{name: a, count: 1}]", "scaling.headroom[0]", "give cpu, memory or both"},
	{"reservations: [{name: a, nodes: 1, from: 2026-11-27T18:00, until: 2026-11-27T19:00}]", "scaling.reservations[0]", "give group or pool"},
	{"reservations: [{name: a, pool: p, nodes: 1, from: 2026-11-27T18:00, until: 2026-11-27T19:00}]", "scaling.reservations[0].pool", "there is no pool p"},
	{"reservations: [{name: a, group: g, nodes: 1, from: Friday, until: 2026-11-27T19:00}]", "scaling.reservations[0].from", "a time like 2026-11-27T18:00"},
	{"reservations: [{name: a, group: g, nodes: 1, from: 2026-11-27T18:00, until: 2026-11-27T17:00}]", "scaling.reservations[0].until", "is not after from"},
	{"reservations: [{name: a, group: g, from: 2026-11-27T18:00, until: 2026-11-27T19:00}]", "scaling.reservations[0].nodes", "is missing"},
	{"windows: [{name: a, size: 0, until: 0 7 * * *}]", "scaling.windows[0].from", "is missing"},
	{"windows: [{name: a, size: 0, from: 0 20 * * *}]", "scaling.windows[0]", "give until or for"},
	{"windows: [{name: a, size: 0, from: 0 20 * *, for: 1h}]", "scaling.windows[0].from", "must have five fields"},
	{"windows: [{name: a, size: 0, from: 0 25 * * *, for: 1h}]", "scaling.windows[0].from", "hour"},
	{"windows: [{name: a, size: 0, from: 0 20 * * *, for: 1h, timeZone: Europe/Berlim}]", "scaling.windows[0].timeZone", "is not known"},
	{"windows: [{name: a, from: 0 20 * * *, for: 1h}]", "scaling.windows[0]", "give size, min or max"},
	{"windows: [{name: a, from: 0 20 * * *, for: 1h, min: 3, max: 2}]", "scaling.windows[0].min", "is more than max 2"},
	{"pools: [{name: p, like: g}]\nwindows: [{name: a, groups: [p], size: 2, from: 0 20 * * *, for: 1h}]", "scaling.windows[0].groups[0]", "its size can be 0 only"},
}

func TestScalingRules(t *testing.T) {
	for _, c := range scalingRules {
		_, report := Parse([]byte(minimal + managedGroup("instanceType: m5.large") + policyHead + "  " + strings.ReplaceAll(c.text, "\n", "\n  ") + "\n"))
		if !slices.ContainsFunc(report.Errors, func(p Problem) bool {
			return p.Path == c.path && strings.Contains(p.Message, c.says) && p.Line > 5
		}) {
			t.Errorf("%s\nwant an error at %s: %s\n%s", c.text, c.path, c.says, report)
		}
		if len(report.Errors) > 1 {
			t.Errorf("one mistake, %d errors: %s\n%s", len(report.Errors), c.text, report)
		}
	}
	_, report := Parse([]byte(minimal + managedGroup("instanceType: m5.large") + policyHead + "  pools: [{name: p, like: h}]\n  shrinking: {}\n"))
	if len(report.Errors) > 0 || !strings.Contains(report.String(), "the file has no node group h") || !strings.Contains(report.String(), `did you mean "shrink"`) {
		t.Error(report)
	}
	_, report = Parse([]byte(minimal + managedGroup("instanceType: m5.large") + policyHead + `  pools: [{name: general, like: g}]
  windows: [{name: night, groups: [general, wbe], size: 0, from: "0 20 * * *", until: "0 7 * * *"}]
  reservations: [{name: show, group: bathc, nodes: 5, from: 2026-11-27T18:00:00Z, until: 2026-11-27T23:00:00Z}]
`))
	text := report.String()
	if len(report.Errors) > 0 || !strings.Contains(text, "no node group wbe") || !strings.Contains(text, "no node group bathc") || strings.Contains(text, "no node group general") {
		t.Error(report)
	}
}

// TestScalingExample: the example says something of everything, and all of it is read.
func TestScalingExample(t *testing.T) {
	text, err := os.ReadFile("../../examples/clusters/scaling.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(scalingFields) {
		if name := strings.TrimSpace(line); name != "*" && !strings.Contains(string(text), name+":") {
			t.Errorf("the example does not show %s", name)
		}
	}
	specs, report := Parse(text)
	if len(report.Errors) > 0 {
		t.Fatal(report)
	}
	p := specs[0].Policy.Scaling
	berlin, err := fleet.ParseTimeZone("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	if r := p.Reservations[0]; !r.From.Equal(time.Date(2026, 11, 27, 18, 0, 0, 0, berlin.Location)) || r.Nodes != 50 {
		t.Errorf("reservation %+v", r)
	}
	if w := p.Windows[0]; w.Size == nil || *w.Size != 0 || w.Schedule.From.String() != "0 20 * * mon-fri" || w.Schedule.Zone.String() != "Europe/Berlin" {
		t.Errorf("window %+v", w)
	}
	if g := p.Pools[0]; !slices.Equal(g.CapacityTypes, []string{fleet.Spot, fleet.OnDemand}) || g.MaxCPU != 400_000 || g.MaxMemory != 1600<<30 {
		t.Errorf("pool %+v", g)
	}
	if h := p.Headroom[0]; h.Size.CPU != 500 || h.Size.Memory != 1<<30 {
		t.Errorf("headroom %+v", h)
	}
	changed, fields := reflect.ValueOf(p), reflect.ValueOf(fleet.DefaultScalingPolicy())
	for i := range changed.NumField() {
		if reflect.DeepEqual(changed.Field(i).Interface(), fields.Field(i).Interface()) && changed.Type().Field(i).Name != "Doorbell" && changed.Type().Field(i).Name != "MaxGroups" {
			t.Errorf("%s was not read", changed.Type().Field(i).Name)
		}
	}
}
