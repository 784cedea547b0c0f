package spec

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

func parsePolicy(t *testing.T, interruption string) (fleet.InterruptionPolicy, string) {
	t.Helper()
	specs, report := Parse([]byte(minimal + "managedNodeGroups: [{name: g}]\n---\napiVersion: ekspedite.dev/v1alpha1\nkind: ClusterPolicy\ninterruption: " + interruption + "\n"))
	if len(specs) == 0 {
		return fleet.InterruptionPolicy{}, report.String()
	}
	return specs[0].Policy.Interruption, report.String()
}

func TestDrainPolicy(t *testing.T) {
	got, problems := parsePolicy(t, "{mode: Observe, rebalance: ReplaceThenDrain, rebalancePatience: 2h, replacePatience: 5m, longGrace: Full, barePods: Evict, jobs: Wait, jobPatience: 1h, outOfService: true}")
	want := fleet.DefaultPolicy().Interruption
	want.Rebalance = fleet.RebalanceReplaceThenDrain
	want.DrainPolicy = fleet.DrainPolicy{Mode: fleet.DrainObserve, RebalancePatience: 2 * time.Hour, ReplacePatience: 5 * time.Minute, LongGrace: fleet.GraceFull,
		BarePods: fleet.BarePodsEvict, Jobs: fleet.JobPodsWait, JobPatience: time.Hour, OutOfService: true}
	if got != want || problems != "" {
		t.Errorf("%+v, %s", got, problems)
	}
	for text, want := range map[string]string{
		"{mode: act}":                    `line 8: interruption.mode: "act" must be written "Act"`,
		"{rebalance: Replace}":           `line 8: interruption.rebalance: "Replace" must be one of Ignore, Drain, ReplaceThenDrain`,
		"{rebalancePatience: 5s}":        "line 8: interruption.rebalancePatience: 5s is not between 1m0s and 24h0m0s",
		"{replacePatience: 2d}":          "line 8: interruption.replacePatience: 48h0m0s is not between 1m0s and 24h0m0s",
		"{longGrace: Cut}":               `line 8: interruption.longGrace: "Cut" must be one of Clamp, Full`,
		"{barePods: Delete}":             `line 8: interruption.barePods: "Delete" must be one of Keep, Evict`,
		"{jobs: Kill}":                   `line 8: interruption.jobs: "Kill" must be one of Wait, Evict`,
		"{jobs: Evict, jobPatience: 1h}": "line 8: interruption.jobPatience: is for jobs: Wait",
		"{outOfService: maybe}":          `line 8: interruption.outOfService: "maybe" must be true or false`,
		"{outOfServise: true}":           `line 8: interruption.outOfServise: is no known field and has no effect: did you mean "outOfService"?`,
	} {
		if _, problems := parsePolicy(t, text); !strings.Contains(problems, want) {
			t.Errorf("%s:\n%swant %s", text, problems, want)
		}
	}
}

// TestInterruptionPolicyIsDocumented: the document has a row for each field that is read, with its default, and no other.
func TestInterruptionPolicyIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/interruption-policy.md")
	if err != nil {
		t.Fatal(err)
	}
	d := fleet.DefaultPolicy().Interruption
	defaults := map[string]string{
		"mode": "`" + string(d.Mode) + "`", "rebalance": "`" + string(d.Rebalance) + "`", "longGrace": "`" + string(d.LongGrace) + "`",
		"barePods": "`" + string(d.BarePods) + "`", "jobs": "`" + string(d.Jobs) + "`", "rebalancePatience": short(d.RebalancePatience),
		"replacePatience": short(d.ReplacePatience), "jobPatience": short(d.JobPatience), "forceMargin": short(d.ForceMargin),
		"replaceCapacity": "true", "outOfService": "false",
		"loadBalancers.deregister": "true", "loadBalancers.wait": short(d.LoadBalancers.Wait), "loadBalancers.voluntaryWait": short(d.LoadBalancers.VoluntaryWait),
		"loadBalancers.pause": short(d.LoadBalancers.Pause), "loadBalancers.connectionWait": short(d.LoadBalancers.ConnectionWait),
		"health.scheduled": "`" + string(d.Health.Scheduled) + "`", "health.lead": short(d.Health.Lead),
		"statusChecks.action": "`" + string(d.StatusChecks.Action) + "`", "statusChecks.after": short(d.StatusChecks.After),
		"statusChecks.deadline": short(d.StatusChecks.Deadline), "statusChecks.maxUnhealthy": fmt.Sprintf("%.0f%%", 100*d.StatusChecks.MaxUnhealthy),
	}
	read := map[string]bool{}
	for name, field := range ownFields()["interruption"] {
		for inner := range field {
			read[name+"."+inner] = true
		}
		if len(field) == 0 {
			read[name] = true
		}
	}
	rows := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if cells := strings.Split(line, "|"); len(cells) == 5 && strings.HasPrefix(line, "| `") && !strings.Contains(cells[1], "/") {
			rows[strings.Trim(cells[1], " `")] = strings.TrimSpace(cells[2])
		}
	}
	for name := range read {
		if want, known := defaults[name]; rows[name] == "" || known && rows[name] != want {
			t.Errorf("%s: the document says the default is %q, and it is %q", name, rows[name], want)
		}
	}
	for name := range rows {
		if !read[name] {
			t.Errorf("%s is documented, and nobody reads it", name)
		}
	}
}

// short is a duration as people write it.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
