package upgrade

import (
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/infra/local/eks"
	"github.com/ekspedite/ekspedite/infra/local/world"
	"github.com/ekspedite/ekspedite/internal/cloudtest"
	"github.com/ekspedite/ekspedite/shared/decide/readiness"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

func (r *rig) eks() *eks.Service {
	regional, err := r.Cloud.In(cloudtest.Region)
	if err != nil {
		r.T.Fatal(err)
	}
	return regional.EKS
}

func (r *rig) fail(f eks.Failure) {
	r.T.Helper()
	f.Cluster = demo.Name
	if err := r.eks().Fail(f); err != nil {
		r.T.Fatal(err)
	}
}

// TestFailures: what EKS documents as going wrong is tried again where that helps, halts the run with whose it is and what to do
// where it does not, and can be resumed when somebody has mended it.
func TestFailures(t *testing.T) {
	for name, c := range map[string]struct {
		failure eks.Failure
		halts   bool
		whose   string
	}{
		"a pod that does not go, once":       {eks.Failure{Nodegroup: "web", How: "PodEvictionFailure", Times: 1}, false, ""},
		"a pod that does not go":             {eks.Failure{Nodegroup: "web", How: "PodEvictionFailure"}, true, "user"},
		"nodes that do not join":             {eks.Failure{Nodegroup: "jobs", How: "NodeCreationFailure"}, true, "user"},
		"no addresses, for a while":          {eks.Failure{How: "InsufficientFreeAddresses", Times: 2}, false, ""},
		"no addresses":                       {eks.Failure{How: "InsufficientFreeAddresses"}, true, "capacity"},
		"an add-on that a webhook refuses":   {eks.Failure{Addon: "kube-proxy", How: "AdmissionRequestDenied", Times: 1}, true, "user"},
		"fields that somebody else manages":  {eks.Failure{Addon: "kube-proxy", How: "ConfigurationConflict", Times: 1}, true, "user"},
		"a control plane that reverts, once": {eks.Failure{How: "Unknown", Times: 1}, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, world.Real, func(t *testing.T, r *rig) {
				if c.failure.How == "ConfigurationConflict" { // by default such fields stay as they are
					r.policy(func(p *fleet.UpgradePolicy) { p.Addons.Conflicts = fleet.AddonNone })
				}
				r.fail(c.failure)
				r.ask("request-1", "1.35")
				r.RunUntil(func() bool { return r.run().Halted != "" || len(r.Finished()) > 0 }, time.Now().Add(48*time.Hour))
				u := r.run()
				if !strings.Contains(r.Told(), c.failure.How) {
					t.Fatalf("it never failed\n%s", r.Told())
				}
				if c.halts {
					if !strings.Contains(u.Halted, c.failure.How) || u.Outcome != "" {
						t.Fatalf("halted %q, outcome %q\n%s", u.Halted, u.Outcome, r.Told())
					}
					if !strings.Contains(string(u.Memory), `"whose":"`+c.whose+`"`) || !strings.Contains(string(u.Memory), "upgrade resume --cluster demo") {
						t.Errorf("whose, and what to do? %s", u.Memory)
					}
					writes := r.Script.Writes
					if r.RunFor(6 * time.Hour); r.Script.Writes != writes {
						t.Errorf("%d writes while it was halted", r.Script.Writes-writes)
					}
					r.eks().Mend(demo.Name, "", "")
					r.order(events.UpgradeResume, "")
				}
				if done := r.over(24 * time.Hour); done.Outcome != events.OutcomeUpgraded || strings.Contains(r.shape(), "group web 1.34") {
					t.Errorf("%+v\n%s", done, r.Told())
				}
			})
		})
	}
}

// TestInsightGate: where EKS itself forbids it, the run says so.
func TestInsightGate(t *testing.T) {
	inBubble(t, world.Fast, func(t *testing.T, r *rig) {
		r.eks().SetInsightGate(true)
		if err := r.eks().PlantInsight(demo.Name, eks.Insight{Name: "Kubelet version skew", Status: "ERROR", KubernetesVersion: "1.35", Category: "UPGRADE_READINESS"}); err != nil {
			t.Fatal(err)
		}
		r.ask("request-1", "1.35")
		r.RunUntil(func() bool { return r.run().Halted != "" || len(r.Finished()) > 0 }, time.Now().Add(time.Hour))
		if u := r.run(); !strings.Contains(u.Halted, "InvalidState") || !strings.Contains(string(u.Memory), "ekspedite upgrade check") {
			t.Errorf("halted %q\n%s", u.Halted, r.Told())
		}
	})
}

// TestHeldBeforeTheFirstCordon: a budget that can never be met holds a node group before anything is cordoned, and it goes on by
// itself when that is mended.
func TestHeldBeforeTheFirstCordon(t *testing.T) {
	inBubble(t, world.Real, func(t *testing.T, r *rig) {
		r.ask("request-1", "1.35")
		r.RunUntil(func() bool { return r.cluster().Version == 35 }, time.Now().Add(time.Hour))
		r.findings = []readiness.Finding{{ID: "WL01", Title: "Budgets that allow nothing", Severity: readiness.Block, Status: readiness.Fail, Text: "default/web allows no disruption", Remedy: "kubectl edit pdb web"}}
		r.RunFor(2 * time.Hour)
		if u := r.run(); !strings.Contains(u.Phase, "is held before its first node is cordoned") || len(r.planes.Of(demo.Name).Cordons) > 0 {
			t.Fatalf("%q, cordoned %v\n%s", u.Phase, r.planes.Of(demo.Name).Cordons, r.Told())
		}
		if !strings.Contains(r.Told(), "Held: Budgets that allow nothing: default/web allows no disruption: kubectl edit pdb web") {
			t.Errorf("nobody was told\n%s", r.Told())
		}
		r.findings = nil
		if done := r.over(5 * time.Hour); done.Outcome != events.OutcomeUpgraded || len(r.planes.Of(demo.Name).Cordons) == 0 {
			t.Errorf("%+v", done)
		}
	})
}

// TestMinimalStrategy tells EKS how to update before it asks for it.
func TestMinimalStrategy(t *testing.T) {
	inBubble(t, world.Fast, func(t *testing.T, r *rig) {
		r.policy(func(p *fleet.UpgradePolicy) {
			p.Nodes.Groups = []fleet.GroupUpgrade{{Name: "web", Strategy: fleet.NodesMinimal}}
		})
		r.ask("request-1", "1.35")
		done := r.over(5 * time.Hour)
		if done.Outcome != events.OutcomeUpgraded || strings.Contains(r.shape(), " 1.34") {
			t.Fatalf("%+v\n%s", done, r.Told())
		}
		for _, g := range r.cluster().Groups {
			if want := map[string]string{"web": "MINIMAL"}[g.Name]; g.UpdateStrategy != want && !(want == "" && g.UpdateStrategy == "DEFAULT") {
				t.Errorf("group %s has strategy %q", g.Name, g.UpdateStrategy)
			}
		}
	})
}
