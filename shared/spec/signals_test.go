package spec

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

const interruptionHead = "---\napiVersion: ekspedite.dev/v1alpha1\nkind: ClusterPolicy\ninterruption:\n  "

func TestSignalRules(t *testing.T) {
	for _, c := range []struct{ text, path, says string }{
		{"health: {scheduled: window}", "interruption.health.scheduled", `must be written "Window"`},
		{"health: {scheduled: Never}", "interruption.health.scheduled", "must be one of Window, BeforeDeadline, Immediately, Ignore"},
		{"health: {lead: 5m}", "interruption.health.lead", "5m0s is not between 20m0s and 720h0m0s"},
		{"health: {lead: soon}", "interruption.health.lead", "must be a duration"},
		{"statusChecks: {action: Reboot}", "interruption.statusChecks.action", "must be one of Drain, Report, Ignore"},
		{"statusChecks: {after: 5s}", "interruption.statusChecks.after", "5s is not between 1m0s and 1h0m0s"},
		{"statusChecks: {deadline: 2h}", "interruption.statusChecks.deadline", "2h0m0s is not between 1m0s and 1h0m0s"},
		{"statusChecks: {maxUnhealthy: 3}", "interruption.statusChecks.maxUnhealthy", "a share from 0% to 100%"},
	} {
		_, report := Parse([]byte(minimal + managedGroup("instanceType: m5.large") + interruptionHead + c.text + "\n"))
		if len(report.Errors) != 1 || !slices.ContainsFunc(report.Errors, func(p Problem) bool {
			return p.Path == c.path && strings.Contains(p.Message, c.says) && p.Line > 5
		}) {
			t.Errorf("%s\nwant one error at %s: %s\n%s", c.text, c.path, c.says, report)
		}
	}
	specs, report := Parse([]byte(minimal + managedGroup("instanceType: m5.large") + interruptionHead +
		"health: {scheduled: BeforeDeadline, lead: 2d}\n  statusChecks: {action: Report, after: 3m, deadline: 10m, maxUnhealthy: 50%}\n"))
	want := fleet.DefaultPolicy().Interruption
	want.Health = fleet.HealthEventPolicy{Scheduled: fleet.ScheduledBeforeDeadline, Lead: 48 * time.Hour}
	want.StatusChecks = fleet.StatusCheckPolicy{Action: fleet.StatusReport, After: 3 * time.Minute, Deadline: 10 * time.Minute, MaxUnhealthy: 0.5}
	if len(report.Errors) > 0 || !reflect.DeepEqual(specs[0].Policy.Interruption, want) {
		t.Errorf("%+v\n%s", specs[0].Policy.Interruption, report)
	}
	if old := (fleet.InterruptionPolicy{Rebalance: fleet.RebalanceDrain}).WithSignals(); old.Health != fleet.DefaultHealthEvents() || old.StatusChecks != fleet.DefaultStatusChecks() {
		t.Errorf("a policy of before: %+v", old)
	}
}
