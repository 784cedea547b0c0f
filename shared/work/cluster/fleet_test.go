package cluster_test

import (
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/ledger"
)

const fleetPolicy = "apiVersion: ekspedite.dev/v1alpha1\nkind: FleetPolicy\nrings: [{name: first}, {name: second, atOnce: 4}]\n"

// TestFleetPolicy: what a text says for all clusters is kept, also without a cluster, and an old message changes nothing.
func TestFleetPolicy(t *testing.T) {
	inBubble(t, quick, func(t *testing.T, r *rig) {
		l := &ledger.Ledger{Store: r.Store, Now: time.Now}
		rings := func() (names []string) {
			p, err := l.FleetPolicy(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range p.Rings {
				names = append(names, r.Name)
			}
			return names
		}
		if got := strings.Join(rings(), " "); got != "canary early rest" {
			t.Errorf("before anybody says otherwise: %s", got)
		}
		r.Send(&events.ClusterApplyRequested{RequestID: "dry", Spec: fleetPolicy, DryRun: true})
		r.run()
		if got := strings.Join(rings(), " "); got != "canary early rest" {
			t.Errorf("a dry run wrote %s", got)
		}
		r.ask("one", fleetPolicy)
		r.run()
		if got := strings.Join(rings(), " "); got != "first second" {
			t.Errorf("got %s\n%s", got, r.Told())
		}
		done := r.Finished()
		if len(done) != 2 || done[0].Outcome != events.OutcomePlanned || done[1].Outcome != events.OutcomeActive || done[1].RunID != ledger.RunID("one", fleet.ClusterID{}) || !strings.Contains(done[1].Reason, "rings first, second") {
			t.Errorf("%+v", done)
		}

		// Beside a cluster it is not a run of its own.
		time.Sleep(time.Minute)
		r.ask("two", example(t, "demo.yaml")+"\n---\n"+strings.ReplaceAll(fleetPolicy, "second", "others"))
		r.run()
		if got := strings.Join(rings(), " "); got != "first others" {
			t.Errorf("got %s", got)
		}
		if done = r.Finished(); len(done) != 3 || done[2].Outcome != events.OutcomeActive || done[2].Subject.Cluster != "demo" {
			t.Errorf("%+v", done)
		}
		if kept, err := l.KeepFleetPolicy(t.Context(), fleet.DefaultFleetPolicy(), time.Now().Add(-time.Hour)); kept || err != nil || strings.Join(rings(), " ") != "first others" {
			t.Errorf("an older one was kept: %t, %v", kept, err)
		}

		// A waiver of years is refused when it is asked for, with its line.
		r.ask("three", fleetPolicy+"---\n"+example(t, "demo.yaml")+"upgrade: {checks: {waivers: [{check: WL01, until: 2199-01-01T00:00, reason: r}]}}\n")
		r.run()
		if done = r.Finished(); len(done) != 4 || done[3].Outcome != events.OutcomeFailed || !strings.Contains(done[3].Reason, "upgrade.checks.waivers[0].until: is more than a year ahead") {
			t.Errorf("%+v", done[3:])
		}
	})
}
