package observe_test

import (
	"context"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/awscloud"
	"github.com/ekspedite/ekspedite/shared/decide/readiness"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/observe"
)

// TestReadinessGrants: what the template allows the upgrade function is what it takes to read all parts.
func TestReadinessGrants(t *testing.T) {
	inBubble(t, twoGroups, func(t *testing.T, r *rig) {
		r.Function = "upgrade"
		role := r.Role("../../infra/template", "UpgradeFunctionRole")
		cfg := r.As(role, r)
		policy := fleet.DefaultUpgradePolicy()
		policy.Health.Alarms = []string{"some"}
		open := func(context.Context, string) (observe.ClusterAPI, error) { return r, nil }
		o, err := observe.NewReadiness(awscloud.NewReadiness(cfg), open, nil, region, time.Now).Cluster(t.Context(), demo, 0, policy)
		if err != nil {
			t.Fatal(err)
		}
		delete(o.Unread, readiness.PartHelm)
		for part, why := range o.Unread {
			t.Errorf("%s: %s", part, why)
		}
		for _, denied := range r.Denied(role) {
			t.Errorf("denied: %s", denied)
		}
	})
}
