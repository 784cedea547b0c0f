package upgrade

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/infra/local/world"
	"github.com/ekspedite/ekspedite/internal/cloudtest"
	"github.com/ekspedite/ekspedite/shared/awscloud"
	"github.com/ekspedite/ekspedite/shared/decide/readiness"
	"github.com/ekspedite/ekspedite/shared/decide/upgradepath"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/observe"
)

// inside is the API server of a cluster in which nothing runs.
type inside struct{ nodes }

func (inside) Readiness(context.Context) readiness.Observation {
	return readiness.Observation{Access: readiness.Access{Asked: true, Reached: true, Entry: true}, KubeProxy: readiness.KubeProxy{}}
}

// TestRealGate goes through the real readiness checks over what the embedded cloud says: what the path itself mends (add-ons that
// have to move, nodes that would be too old) must not stop it.
func TestRealGate(t *testing.T) {
	inBubble(t, world.Real, func(t *testing.T, r *rig) {
		r.ready = r.checks
		r.ask("request-1", "1.36")
		r.RunUntil(func() bool { return r.run().Halted != "" || len(r.Finished()) > 0 }, time.Now().Add(24*time.Hour))
		list := r.Finished()
		if len(list) != 1 || list[0].Outcome != events.OutcomeUpgraded {
			t.Fatalf("halted %q, %+v\n%s", r.run().Halted, list, r.Told())
		}
	})
}

// checks are the real ones.
func (r *rig) checks(s *cloudtest.Session) func(context.Context, upgradepath.Observation, fleet.Minor, fleet.UpgradePolicy) (readiness.Report, error) {
	checks := observe.NewReadiness(awscloud.NewReadiness(r.ConfigIn(cloudtest.Region, s)), func(_ context.Context, cluster string) (observe.ClusterAPI, error) {
		return inside{nodes{s, r.planes.Of(cluster)}}, nil
	}, nil, cloudtest.Region, time.Now)
	return func(ctx context.Context, o upgradepath.Observation, to fleet.Minor, p fleet.UpgradePolicy) (readiness.Report, error) {
		seen, err := checks.Cluster(ctx, o.Cluster, to, p)
		if err != nil {
			return readiness.Report{}, err
		}
		return readiness.Check(time.Now(), seen, p), nil
	}
}

// TestGrants: what the template allows the function is what it takes to check a cluster, to upgrade it with node groups of all
// kinds and strategies, and to take it back.
func TestGrants(t *testing.T) {
	inBubble(t, world.Real, func(t *testing.T, r *rig) {
		id := fleet.ClusterID{Region: demo.Region, Name: "mine"}
		r.Build(strings.Replace(strings.Replace(file, "name: demo", "name: mine", 1), "managedNodeGroups:", "nodeGroups: [{name: own, instanceType: m5.large, minSize: 1, desiredCapacity: 1, maxSize: 4}]\nmanagedNodeGroups:", 1))
		r.Change(id, func(p *fleet.Policy) {
			p.Upgrade.Bake = 10 * time.Minute
			p.Upgrade.Nodes.Groups = []fleet.GroupUpgrade{{Name: "web", Strategy: fleet.NodesBlueGreen}, {Name: "jobs", Strategy: fleet.NodesMinimal}}
		})
		r.Heard = (&interruption{r: r}).heard
		r.RoleARN, r.ready = r.Role("../../../infra/template", "UpgradeFunctionRole"), r.checks
		r.Send(&events.UpgradeRequested{RequestID: "request-1", Cluster: "mine", To: "1.35", Now: true})
		r.RunUntil(func() bool { return len(r.Finished()) > 0 }, time.Now().Add(24*time.Hour))
		r.Send(&events.UpgradeControlRequested{RequestID: "back", Command: events.UpgradeRollback, Cluster: "mine"})
		r.RunUntil(func() bool { return len(r.Finished()) > 1 }, time.Now().Add(24*time.Hour))
		for _, d := range r.Denied(r.RoleARN) {
			t.Error(d)
		}
		used := map[string]bool{}
		for _, g := range r.Granted(r.RoleARN) {
			used[g.Sid] = used[g.Sid] || g.Calls > 0
		}
		for _, sid := range []string{"UpgradeControlPlanes", "UpgradeWhatIsInClusters", "MakeGroups", "TagGroups", "RetireGroups", "HandRolesToNodes", "ChangeSelfManagedGroups",
			"ChangeLaunchTemplates", "FromOurTemplates"} {
			if !used[sid] {
				t.Errorf("%s is granted and nothing of it is used", sid)
			}
		}
		list := r.Finished()
		if len(list) != 2 || list[0].Outcome != events.OutcomeUpgraded || list[1].Outcome != events.OutcomeRolledBack {
			t.Errorf("%+v\n%s", list, r.Told())
		}
	})
}
