package upgradepath

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// upgraded is a cluster that came to 1.36 a day ago, with all that it has.
func upgraded() Observation {
	o := cluster(36, 3)
	o.UpgradedAt, o.UpgradedFrom = today.Add(-24*time.Hour), 35
	return o
}

func TestBack(t *testing.T) {
	change := func(f func(*Observation)) Observation {
		o := upgraded()
		f(&o)
		return o
	}
	node, proxy, control := "nodegroup/g1/1.35.6-20261112", "addon/kube-proxy/v1.35.10-eksbuild.1", "control-plane/1.35"
	for name, c := range map[string]struct {
		o       Observation
		policy  func(*fleet.UpgradePolicy)
		want    []string
		blocked string
		note    string
	}{
		"nodes, add-ons that do not work there, control plane": {o: upgraded(), want: []string{node, proxy, control}},
		"nodes were not moved yet":                             {o: change(func(o *Observation) { o.Groups[0].Version = 33; o.Nodes = nil }), want: []string{proxy, control}},
		"one node was":                                         {o: change(func(o *Observation) { o.Groups[0].Version, o.Nodes[0].Kubelet = 33, 33; o.Nodes[1].Kubelet = 33 }), want: []string{node, proxy, control}},
		"vpc-cni, one minor at a time": {o: withReleases(withReleases(change(func(o *Observation) {
			o.Addons = []Addon{{Name: "vpc-cni", Version: "v1.22.0"}}
		}), "vpc-cni", release("v1.22.0", 36), release("v1.21.5", 36), release("v1.20.0", 35, 36), release("v1.19.0", 33, 34, 35, 36)), "x"),
			want: []string{node, "addon/vpc-cni/v1.21.5", "addon/vpc-cni/v1.20.0", control}},
		"no version for both": {o: withReleases(change(func(o *Observation) {
			o.Addons = []Addon{{Name: "dns", Version: "v2"}}
		}), "dns", release("v2", 36), release("v1", 35)), want: []string{node, control, "addon/dns/v1"}, note: "no version works with both 1.36 and 1.35"},
		"no version at all": {o: withReleases(change(func(o *Observation) {
			o.Addons = []Addon{{Name: "dns", Version: "v2"}}
		}), "dns", release("v2", 36)), want: []string{node, control}, note: "look after it"},
		"an add-on that was not updated after the hop": {o: withReleases(change(func(o *Observation) {
			o.Addons = []Addon{{Name: "dns", Version: "v1"}}
		}), "dns", release("v2", 36), release("v1", 35), release("v0", 35, 36)), want: []string{node, control}},
		"Fargate's pods when the control plane is back": {o: withNode(change(func(o *Observation) { o.Addons = nil }), NodeFargate, 36), want: []string{node, control, "restart/fargate/1.35"}},
		"Karpenter's nodes":                             {o: withNode(upgraded(), NodeKarpenter, 36), want: []string{node, proxy, control}, note: "would be newer than their control plane"},
		"Auto Mode":                                     {o: change(func(o *Observation) { o.AutoMode = true }), want: []string{node, proxy, control}, note: "EKS takes its nodes back first"},
		"after eight days":                              {o: change(func(o *Observation) { o.UpgradedAt = today.Add(-8 * 24 * time.Hour) }), blocked: "that was over on 2026-11-22 12:00 UTC"},
		"just in time":                                  {o: change(func(o *Observation) { o.UpgradedAt = today.Add(-7*24*time.Hour + time.Minute) }), want: []string{node, proxy, control}},
		"made with it":                                  {o: change(func(o *Observation) { o.UpgradedAt = time.Time{}; o.UpgradedFrom = 0 }), blocked: "the cluster was made with 1.36"},
		"by more than one minor":                        {o: change(func(o *Observation) { o.UpgradedFrom = 34 }), blocked: "from 1.36 to 1.35, and no further"},
		"to one that has ended":                         {o: change(func(o *Observation) { o.Version, o.UpgradedFrom = 31, 30 }), blocked: "no longer offers Kubernetes 1.30"},
		"to extended support":                           {o: change(func(o *Observation) { o.Version, o.UpgradedFrom, o.SupportType = 34, 33, "STANDARD" }), blocked: "supportType=EXTENDED"},
		"the control plane is back":                     {o: withNode(change(func(o *Observation) { o.Version, o.UpgradedFrom, o.Groups, o.Addons, o.Nodes = 35, 35, nil, nil, nil }), NodeFargate, 36), want: []string{"restart/fargate/1.35"}},
		"an image of one's own": {o: change(func(o *Observation) { o.Groups[0].AMIType, o.Addons = "CUSTOM", nil }), policy: func(p *fleet.UpgradePolicy) {
			p.Nodes.Groups = []fleet.GroupUpgrade{{Name: "g1", LaunchTemplateVersion: map[fleet.Minor]string{34: "4", 36: "6"}}}
		}, want: []string{"nodegroup/g1/1.34/template-4", control}},
		"an image of one's own that nobody names": {o: change(func(o *Observation) { o.Groups[0].AMIType = "CUSTOM" }), blocked: "launchTemplateVersion"},
	} {
		t.Run(name, func(t *testing.T) {
			policy := fleet.DefaultUpgradePolicy()
			if c.policy != nil {
				c.policy(&policy)
			}
			p := Back(c.o, policy, today)
			if got := ids(p); !slices.Equal(got, c.want) {
				t.Errorf("steps %q\nwant  %q\n%s", got, c.want, p)
			}
			if (len(p.Blocked) > 0) != (c.blocked != "") || !strings.Contains(strings.Join(p.Blocked, "\n"), c.blocked) {
				t.Errorf("blocked by %q, not by %q", p.Blocked, c.blocked)
			}
			if !strings.Contains(strings.Join(p.Notes, "\n"), c.note) {
				t.Errorf("notes %q, none of them %q", p.Notes, c.note)
			}
		})
	}
}

// everyImage has images of one's own for every minor.
func everyImage(w Want) {
	for _, g := range w.Policy.Nodes.Groups {
		for m := fleet.Minor(28); m < 41 && g.LaunchTemplateVersion != nil; m++ {
			g.LaunchTemplateVersion[m] = m.String()
		}
	}
}

// From wherever an upgrade is after a hop, the way back is one that EKS takes, step by step, and found anew it is the rest of
// the same way. Nothing ends up newer than the control plane but what is said to be.
func TestWaysBackHold(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 7))
	tried, steps := 0, 0
	for i := range 4000 {
		o, w := randomCluster(r)
		everyImage(w)
		s := &simulator{o: clone(o), now: w.Now, strict: w.Policy.Skew == fleet.SkewStrict}
		if s.sound() != "" {
			continue
		}
		forth := Find(o, w).Steps
		for _, st := range forth[:r.IntN(len(forth)+1)] {
			if err := s.apply(st); err != nil {
				t.Fatal(err)
			}
		}
		if s.o.Version == o.Version {
			continue
		}
		from := s.o.Version
		p := Back(s.o, w.Policy, s.now)
		if len(p.Blocked) > 0 {
			t.Fatalf("seed %d, cluster %d: blocked by %v", seed, i, p.Blocked)
		}
		tried++
		s.back = true
		for rest := p; len(rest.Steps) > 0; {
			st := rest.Steps[0]
			if err := s.apply(st); err != nil {
				t.Fatalf("seed %d, cluster %d: step %s: %v\n%s\nnow\n%s", seed, i, st.ID, err, p, rest)
			}
			steps++
			again := Back(s.o, w.Policy, s.now)
			if !same(remaining(rest.Steps[1:]), remaining(again.Steps)) || len(again.Blocked) > 0 {
				t.Fatalf("seed %d, cluster %d: after step %s of\n%s\nthe rest is\n%s", seed, i, st.ID, rest, again)
			}
			rest = again
		}
		if s.o.Version != from-1 {
			t.Fatalf("seed %d, cluster %d: it ends at %s", seed, i, s.o.Version)
		}
		for _, g := range s.o.Groups {
			if g.Version > s.o.Version {
				t.Fatalf("seed %d, cluster %d: node group %s ends with %s", seed, i, g.Name, g.Version)
			}
		}
	}
	if tried < 800 || steps < 2000 {
		t.Errorf("%d ways back of %d steps", tried, steps)
	}
	t.Logf("%d ways back, %d steps", tried, steps)
}

// What a step that does not end the direct way back leaves is a control plane that can go back as it could before; after one
// that does, something else would have to go back first.
func TestClosingStepsClose(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 9))
	closing, others := 0, 0
	for i := range 3000 {
		o, w := randomCluster(r)
		everyImage(w)
		s := &simulator{o: clone(o), now: w.Now, strict: w.Policy.Skew == fleet.SkewStrict}
		if s.sound() != "" {
			continue
		}
		hindered := func() map[string]bool { // what would have to go back, too
			out := map[string]bool{}
			p := Back(s.o, w.Policy, s.now)
			for _, st := range p.Steps {
				out[st.Subject] = out[st.Subject] || st.Kind != StepControlPlane
			}
			for _, a := range s.o.Addons {
				out[a.Name] = out[a.Name] || strings.Contains(strings.Join(p.Notes, "\n"), "add-on "+a.Name+" ")
			}
			for _, g := range s.o.Groups {
				out[g.Name] = out[g.Name] || strings.Contains(strings.Join(p.Blocked, "\n"), "node group "+g.Name+" ")
			}
			return out
		}
		for _, st := range Find(o, w).Steps {
			before := hindered()
			if err := s.apply(st); err != nil {
				t.Fatal(err)
			}
			if st.Kind != StepAddon && st.Kind != StepNodeGroup || !s.o.returnable(s.now) {
				continue
			}
			if after := hindered(); st.ClosesRollback != (after[st.Subject] && !before[st.Subject]) {
				t.Fatalf("seed %d, cluster %d: step %s at %s, ends the way back: %v; in the way before: %v, after: %v\n%s", seed, i, st.ID, s.o.Version, st.ClosesRollback, before, after, Back(s.o, w.Policy, s.now))
			}
			if st.ClosesRollback {
				closing++
			} else {
				others++
			}
		}
	}
	if closing < 1000 || others < 200 {
		t.Errorf("%d steps that end the way back, %d others", closing, others)
	}
	t.Logf("%d steps that end the way back, %d others", closing, others)
}
