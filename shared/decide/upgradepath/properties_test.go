package upgradepath

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// clone is an observation of which nothing is shared that the simulator changes.
func clone(o Observation) Observation {
	o.Groups, o.Addons, o.Nodes = slices.Clone(o.Groups), slices.Clone(o.Addons), slices.Clone(o.Nodes)
	return o
}

// remaining is what is left of a way after its first steps, as the steps' ids by subject: what happens to one subject keeps
// its order, and what runs at the same time has none.
func remaining(steps []Step) map[string][]string {
	out := map[string][]string{}
	for _, s := range steps {
		subject := string(s.Kind) + "/" + s.Subject
		out[subject] = append(out[subject], s.ID)
	}
	return out
}

// same tells whether two rests are the same.
func same(a, b map[string][]string) bool { return fmt.Sprint(a) == fmt.Sprint(b) }

// Carried out step by step over thousands of clusters, EKS refuses no step, Kubernetes supports what is there after each, and
// the way found anew is the rest of the way: in the order of the steps, and in any order within a wave.
func TestWaysHold(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 5))
	whole, blocked, steps := 0, 0, 0
	for i := range 5000 {
		o, w := randomCluster(r)
		p := Find(o, w)
		if len(p.Blocked) > 0 {
			blocked++
		} else {
			whole++
		}
		s := &simulator{o: clone(o), now: w.Now, strict: w.Policy.Skew == fleet.SkewStrict}
		rest := p
		wrong := func(format string, args ...any) {
			t.Helper()
			t.Fatalf("seed %d, cluster %d: %s\n%s\nnow\n%s", seed, i, fmt.Sprintf(format, args...), p, rest)
		}
		if bad := s.sound(); bad != "" {
			continue // it is out of order before the first step
		}
		for len(rest.Steps) > 0 {
			first := rest.Steps[0].Wave
			width := slices.IndexFunc(rest.Steps, func(st Step) bool { return st.Wave != first })
			if width < 0 {
				width = len(rest.Steps)
			}
			k := r.IntN(width) // any step of the wave
			st := rest.Steps[k]
			if err := s.apply(st); err != nil {
				wrong("step %s: %v", st.ID, err)
			}
			if bad := s.sound(); bad != "" {
				wrong("after step %s: %s", st.ID, bad)
			}
			steps++
			left := slices.Delete(slices.Clone(rest.Steps), k, k+1)
			w.Now = s.now
			again := Find(s.o, w)
			if !same(remaining(left), remaining(again.Steps)) {
				rest = again
				wrong("after step %s the rest was %v, and is %v", st.ID, remaining(left), remaining(again.Steps))
			}
			if len(again.Blocked) != len(rest.Blocked) {
				wrong("after step %s it is blocked by %v", st.ID, again.Blocked)
			}
			rest = again
		}
		if len(p.Blocked) > 0 {
			continue
		}
		if s.o.Version != w.To {
			wrong("it ends at %s", s.o.Version)
		}
		for _, a := range s.o.Addons {
			if w.To > o.Version && !s.listed(a.Name, a.Version) {
				wrong("add-on %s ends with %s", a.Name, a.Version)
			}
		}
		for _, g := range s.o.Groups {
			gp := w.Policy.Nodes.Groups[slices.IndexFunc(w.Policy.Nodes.Groups, func(gp fleet.GroupUpgrade) bool { return gp.Name == g.Name })]
			if g.AMIType != "CUSTOM" && !gp.Hold && g.Version != w.To {
				wrong("node group %s ends with %s", g.Name, g.Version)
			}
		}
	}
	if whole < 1000 || blocked < 500 || steps < 10_000 {
		t.Errorf("the clusters are too much alike: %d ways, %d blocked, %d steps", whole, blocked, steps)
	}
	t.Logf("%d ways, %d blocked, %d steps", whole, blocked, steps)
}

// At each minor on the way, the version of every add-on is one that EKS lists for it, but between an update of the control
// plane and the add-on's own where no version is for both.
func TestAddonsFitOnTheWay(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 6))
	checked := 0
	for i := range 6000 {
		o, w := randomCluster(r)
		p := Find(o, w)
		s := &simulator{o: clone(o), now: w.Now, strict: w.Policy.Skew == fleet.SkewStrict}
		for k, st := range p.Steps {
			if st.Kind == StepControlPlane || st.Kind == StepNodeGroup {
				for _, a := range s.o.Addons {
					if checked++; !s.listed(a.Name, a.Version) && (st.Kind == StepControlPlane || len(o.Releases[a.Name]) == 0) {
						t.Fatalf("seed %d, cluster %d: before step %d, %s, add-on %s has %s\n%s", seed, i, k, st.ID, a.Name, a.Version, p)
					}
				}
			}
			if err := s.apply(st); err != nil {
				t.Fatalf("seed %d, cluster %d: %v\n%s", seed, i, err, p)
			}
		}
	}
	if checked < 5000 {
		t.Errorf("%d checks", checked)
	}
}

// Nodes move as seldom as the skew lets them: once for a way of up to three hops, and for any way no oftener than every third.
func TestNodesMoveSeldom(t *testing.T) {
	for hops := fleet.Minor(1); hops <= 9; hops++ {
		o := cluster(31, 3)
		o.Versions, o.Addons = nil, nil
		for m := fleet.Minor(31); m <= 40; m++ {
			o.Versions = append(o.Versions, fleet.KubernetesVersion{Minor: m})
		}
		for _, skew := range []fleet.SkewMode{fleet.SkewN3, fleet.SkewStrict} {
			w := want(31 + hops)
			w.Policy.Skew = skew
			moves := 0
			for _, s := range Find(o, w).Steps {
				if s.Kind == StepNodeGroup {
					moves++
				}
			}
			least := int(hops+2) / 3
			if skew == fleet.SkewStrict {
				least = int(hops)
			}
			if moves != least {
				t.Errorf("%d hops, %s: nodes move %d times, and not %d", hops, skew, moves, least)
			}
		}
	}
}

// fewest is the least number of moves with which nodes get from one minor to the newest that they can have, while the control
// plane goes up one by one: every way is tried. Not ok: there is none.
func fewest(control, node, to fleet.Minor, images map[fleet.Minor]bool, strict bool, last fleet.Minor) (n int, ok bool) {
	n = 1000
	if control == to && node >= last {
		return 0, true
	}
	for m := node + 1; m <= control; m++ {
		if images[m] {
			if k, found := fewest(control, m, to, images, strict, last); found {
				n, ok = min(n, k+1), true
			}
		}
	}
	if control < to && control+1-node <= 3 && (!strict || node == control) {
		if k, found := fewest(control+1, node, to, images, strict, last); found {
			n, ok = min(n, k), true
		}
	}
	return n, ok
}

// Of all ways that nodes with images for some minors only could take, the one that is found has the fewest moves; and where none
// is found, there is none.
func TestFewestMoves(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 8))
	ways, none := 0, 0
	for i := range 5000 {
		from := fleet.Minor(30 + r.IntN(3))
		to := from + fleet.Minor(r.IntN(8))
		g := Group{Name: "g", Version: from - fleet.Minor(r.IntN(4)), AMIType: "CUSTOM", Desired: 1}
		gp := fleet.GroupUpgrade{Name: "g", LaunchTemplateVersion: map[fleet.Minor]string{}}
		images, last := map[fleet.Minor]bool{}, g.Version
		for m := g.Version + 1; m <= to; m++ {
			if r.IntN(5) < 3 {
				gp.LaunchTemplateVersion[m], images[m], last = m.String(), true, m
			}
		}
		o := noAddons(withGroup(cluster(from), g))
		o.Versions = nil
		for m := fleet.Minor(28); m <= 40; m++ {
			o.Versions = append(o.Versions, fleet.KubernetesVersion{Minor: m})
		}
		w := want(to)
		w.Policy.Nodes.Groups = []fleet.GroupUpgrade{gp}
		if r.IntN(4) == 0 {
			w.Policy.Skew = fleet.SkewStrict
		}
		p := Find(o, w)
		moves := 0
		for _, s := range p.Steps {
			if s.Kind == StepNodeGroup {
				moves++
			}
		}
		least, ok := fewest(from, g.Version, to, images, w.Policy.Skew == fleet.SkewStrict, last)
		switch {
		case ok != (len(p.Blocked) == 0):
			t.Fatalf("seed %d, cluster %d: there is a way: %v; images %v\n%s", seed, i, ok, images, p)
		case !ok:
			none++
		case moves != least:
			t.Fatalf("seed %d, cluster %d: %d moves, and %d are enough; images %v\n%s", seed, i, moves, least, images, p)
		default:
			ways++
		}
	}
	if ways < 1000 || none < 500 {
		t.Errorf("the clusters are too much alike: %d ways, %d without", ways, none)
	}
	t.Logf("%d ways, %d clusters without", ways, none)
}
