package scaling

import (
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

func standsFor(name string) func(*Group) { return func(g *Group) { g.StandsFor = name } }

func isLeft(g *Group) {
	g.Taints = append(g.Taints, fleet.Taint{Key: fleet.TagMoving, Value: "true", Effect: "NoSchedule"})
}

func isMarked(g *Group) { g.Moving = true }

// secondLook makes two looks at a cluster, an hour apart, so that all patience is over, and returns what the second one does.
func secondLook(t *testing.T, w *world, p fleet.ScalingPolicy) Decision {
	t.Helper()
	w.decide(t, noon, p)
	return w.decide(t, noon.Add(time.Hour), p)
}

// TestMovesAreLeftAlone: while nodes are moved to another version, the new ones are empty at first, and would be given up; the
// old ones are left, and must not grow.
func TestMovesAreLeftAlone(t *testing.T) {
	for name, tc := range map[string]struct {
		w       *world
		removed int
	}{
		"no move":               {cluster(managed("web", "m5.large", 0, 3, 9)), 1},
		"both there":            {cluster(managed("web", "m5.large", 0, 3, 9), managed("web-0c39b2", "m5.large", 0, 3, 9, standsFor("web"))), 0},
		"the old one left":      {cluster(managed("web", "m5.large", 0, 3, 9, isLeft), managed("web-0c39b2", "m5.large", 0, 3, 9, standsFor("web"))), 0},
		"moved":                 {cluster(managed("web-0c39b2", "m5.large", 0, 3, 9, standsFor("web"))), 1},
		"within a group":        {cluster(managed("own", "m5.large", 0, 3, 9, selfManaged, isMarked)), 0},
		"within a group before": {cluster(managed("own", "m5.large", 0, 3, 9, selfManaged)), 1},
	} {
		t.Run(name, func(t *testing.T) {
			d := secondLook(t, tc.w, acting())
			if got := actions[plan.RemoveNode](d); len(got) != tc.removed {
				t.Errorf("%d nodes are given up, want %d: %s", len(got), tc.removed, d.Plan)
			}
		})
	}
}

// TestOnlyTheNewGroupGrows: what waits gets nodes of the group that stays.
func TestOnlyTheNewGroupGrows(t *testing.T) {
	w := cluster(managed("web", "m5.large", 0, 1, 9, isLeft), managed("web-0c39b2", "m5.large", 0, 0, 9, standsFor("web"))).pods(pods("api", 4, 900, 512)...)
	p := acting()
	p.Pools = nil
	got := actions[plan.ResizeGroup](w.decide(t, noon, p))
	if len(got) != 1 || got[0].Group != "web-0c39b2" || got[0].To == 0 {
		t.Errorf("%+v", got)
	}
}

// TestPoliciesGoByTheFilesNames: after a move, what the policy says of a group of the file holds for the one that stands for it.
func TestPoliciesGoByTheFilesNames(t *testing.T) {
	p := acting()
	p.Groups = []fleet.GroupPolicy{{Name: "web", Ignore: true}}
	if d := secondLook(t, cluster(managed("web-0c39b2", "m5.large", 0, 3, 9, standsFor("web"))), p); !d.Plan.Empty() || len(d.Plan.Notes) > 0 {
		t.Errorf("the policy leaves it alone, and: %s", d.Plan)
	}
	p = acting()
	night := sized(window("night", "0 20 * * *", "0 7 * * *"), 1)
	night.Groups = []string{"web"}
	p.Windows = []fleet.ScaleWindow{night}
	w := cluster(managed("web-0c39b2", "m5.large", 1, 3, 9, standsFor("web")))
	d := w.decide(t, noon.Add(9*time.Hour), p)
	if got := actions[plan.RemoveNode](d); len(got) != 2 {
		t.Errorf("the window sends %d nodes to sleep, want 2", len(got))
	}
	if _, kept := d.Memory.Slept["web"]; !kept {
		t.Errorf("its size is remembered under its file's name: %v", d.Memory.Slept)
	}
}
