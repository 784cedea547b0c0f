package upgrade

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/upgradepath"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// seeds is how many random runs a test makes: SEEDS changes it.
func seeds(otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv("SEEDS")); err == nil {
		return n
	}
	return otherwise
}

// TestRandomRuns: whatever AWS refuses, fails or answers to nobody, and whatever is skipped, halted and resumed, the run ends at
// the version, EKS was asked for no step twice that worked, and nothing was begun while a version was watched.
func TestRandomRuns(t *testing.T) {
	n := seeds(300)
	for seed := range n {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(uint64(seed), 11))
			w := newWorld(t)
			w.request.To = 35 + fleet.Minor(random.IntN(3))
			if random.IntN(2) == 0 {
				w.request.To = 36
			}
			if w.request.To == 37 { // no add-on of the world has a version for it
				w.request.To = 35
			}
			w.policy.Skew = []fleet.SkewMode{fleet.SkewN3, fleet.SkewStrict}[random.IntN(2)]
			w.policy.Nodes.GroupsAtOnce = 1 + random.IntN(2)
			if random.IntN(3) == 0 {
				w.policy.Nodes.Strategy = fleet.NodesMinimal
			}
			w.policy.Bake = time.Duration(random.IntN(90)) * time.Minute
			budget := random.IntN(12)
			w.fail = func(_ int, c plan.Call) (class, update string) {
				if budget == 0 || random.IntN(3) > 0 {
					return "", ""
				}
				budget--
				switch random.IntN(4) {
				case 0:
					return "Blocked", "ResourceInUseException: Cannot do that because cluster demo currently has update x in progress"
				case 1:
					return "Throttled", "ThrottlingException: slow down"
				}
				return "", []string{"Unknown: no idea", "InsufficientFreeAddresses: none", "PodEvictionFailure: Reached max retries", "NodeCreationFailure: not joining"}[random.IntN(4)]
			}
			lost := random.IntN(4)
			w.lost = func(int) bool {
				if lost == 0 || random.IntN(3) > 0 {
					return false
				}
				lost--
				return true
			}
			patches := random.IntN(3)
			end := ""
			for range 4000 {
				if patches > 0 && random.IntN(40) == 0 {
					patches--
					w.begin("control-plane", "Platform", time.Duration(random.IntN(30))*time.Minute, "", nil)
				}
				if random.IntN(200) == 0 {
					w.order(CommandHalt, "")
				}
				watched, before := w.watched(), len(w.calls)
				d := w.look()
				if len(w.calls) > before && watched {
					t.Fatalf("seed %d: while the version was watched: %s", seed, w.calls[before])
				}
				if end = d.Outcome; end != "" {
					break
				}
				if w.memory.Halt != nil && len(w.memory.Doing) == 0 {
					w.advance(time.Duration(random.IntN(600)) * time.Second)
					w.order(CommandResume, "")
					continue
				}
				w.advance(max(d.LookAgain, time.Second))
			}
			if end != OutcomeUpgraded || w.o.Version != w.request.To {
				t.Fatalf("seed %d: %q at %s, %s\n%s", seed, end, w.o.Version, w.last.Phase, w.told())
			}
			w.once()
		})
		if t.Failed() {
			return
		}
	}
	t.Logf("%d runs", n)
}

// watched tells whether the version has come less than the policy's time ago, by the world's own clock.
func (w *world) watched() bool {
	return len(w.memory.Hops) > 0 && w.now.Before(w.o.UpgradedAt.Add(w.policy.Bake))
}

// once checks that no step that worked was asked for again.
func (w *world) once() {
	worked := map[string]string{}
	for id, c := range w.updates {
		if c.typ == "Platform" || c.err != "" {
			continue
		}
		key := c.subject + " " + c.typ
		for token, update := range w.tokens {
			if update == id {
				key += " " + token
			}
		}
		worked[key] = id
	}
	seen := map[string]bool{}
	for _, x := range w.memory.Done {
		if seen[x.Step.ID] {
			w.t.Errorf("%s was done twice\n%s", x.Step.ID, w.told())
		}
		seen[x.Step.ID] = true
	}
	if versions := len(w.memory.Done); len(worked) > versions+len(w.o.Groups) { // a group may have its strategy changed first
		w.t.Errorf("%d updates for %d steps\n%s", len(worked), versions, w.told())
	}
}

// TestRollsBack: a regression at any time within seven days leads back by one minor, node groups before the control plane, where
// the policy wants that; and never while an update that cannot be stopped goes on.
func TestRollsBack(t *testing.T) {
	n := seeds(200)
	back := 0
	for seed := range n {
		random := rand.New(rand.NewPCG(uint64(seed), 12))
		w := newWorld(t)
		w.policy.Rollback = fleet.RollbackAuto
		w.policy.Bake = time.Duration(random.IntN(60)) * time.Minute
		when := noon.Add(time.Duration(random.IntN(240)) * time.Minute)
		var ill time.Time
		w.healthy = func(h *Health) {
			if w.now.After(when) && len(w.memory.Hops) > 0 {
				if ill.IsZero() {
					ill = w.now
				}
				h.NotReady = []fleet.NotReady{{Name: "default/web-x", Workload: "default/ReplicaSet/web-1", Since: ill}, {Name: "default/web-y", Workload: "default/ReplicaSet/web-1", Since: ill}, {Name: "default/web-z", Workload: "default/ReplicaSet/web-1", Since: ill}}
			}
		}
		d := w.run()
		switch {
		case ill.IsZero():
			if d.Outcome != OutcomeUpgraded {
				t.Fatalf("seed %d: %s %s\n%s", seed, d.Outcome, d.Phase, w.told())
			}
		case d.Outcome != OutcomeRolledBack || w.o.Version != w.memory.Back.To || w.o.Version < 34:
			t.Fatalf("seed %d: %s at %s, %s\n%s", seed, d.Outcome, w.o.Version, d.Phase, w.told())
		default:
			back++
			for _, g := range w.o.Groups {
				if g.Version > w.o.Version {
					t.Fatalf("seed %d: group %s stays at %s\n%s", seed, g.Name, g.Version, w.told())
				}
			}
		}
	}
	t.Logf("%d runs, %d of them rolled back", n, back)
	if back < n/4 {
		t.Errorf("only %d of %d rolled back", back, n)
	}
}

// TestEveryCode: EKS's update errors are all explained, and a text without a code is one of AWS's.
func TestEveryCode(t *testing.T) {
	for _, code := range strings.Fields("AccessDenied AdmissionRequestDenied ClusterUnreachable ConfigurationConflict EniLimitReached InsufficientFreeAddresses InsufficientNumberOfReplicas IpNotAvailable K8sResourceNotFound NodeCreationFailure OperationNotPermitted PodEvictionFailure SecurityGroupNotFound SubnetNotFound Unknown UnsupportedAddonModification VpcIdNotFound") {
		f, r := explain(upgradepath.Step{Kind: upgradepath.StepAddon, Subject: "coredns"}, "demo", code+": something")
		if f.Code != code || f.Whose == "" || f.Fix == "" || r.tries < 1 || f.Resource != "addon/coredns" {
			t.Errorf("%s: %+v %+v", code, f, r)
		}
	}
	if f, _ := explain(upgradepath.Step{}, "demo", "the moon is in the way"); f.Whose != plan.AWS || f.Code != "" || f.Resource != "control-plane" {
		t.Errorf("%+v", f)
	}
}
