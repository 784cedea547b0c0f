package upgradepath

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// noAddons leaves the add-ons out of what a rule about nodes is about.
func noAddons(o Observation) Observation {
	o.Addons, o.Releases = nil, nil
	return o
}

// noBake is a want without bakes.
func noBake(w Want) Want {
	w.Policy.Bake = 0
	return w
}

func TestRules(t *testing.T) {
	old := func(v fleet.Minor, g Group) Group {
		g.Name, g.Version, g.Zones, g.Desired = "web", v, 3, 2
		if g.AMIType == "" {
			g.AMIType = al2023
		}
		return g
	}
	with := func(m fleet.Minor, g Group) Observation { return noAddons(withGroup(cluster(m), g)) }
	policy := func(w Want, change func(*fleet.UpgradePolicy)) Want { change(&w.Policy); return w }
	group := func(gp fleet.GroupUpgrade) func(*fleet.UpgradePolicy) {
		gp.Name = "web"
		return func(p *fleet.UpgradePolicy) { p.Nodes.Groups = append(p.Nodes.Groups, gp) }
	}
	for name, c := range map[string]struct {
		o       Observation
		w       Want
		want    []string // ids
		blocked string   // a part of the only reason
		note    string   // a part of a note
	}{
		"nothing to do": {o: with(36, old(36, Group{})), w: want(36)},
		"no version is that of now": {o: with(36, old(35, Group{})), w: want(0),
			want: []string{"nodegroup/web/1.36.6-20261112"}},
		"one rotation of nodes for three hops": {o: with(33, old(33, Group{})), w: noBake(want(36)),
			want: []string{"control-plane/1.34", "control-plane/1.35", "control-plane/1.36", "nodegroup/web/1.36.6-20261112"}},
		"a bake after each hop": {o: noAddons(cluster(34)), w: want(36),
			want: []string{"control-plane/1.35", "bake/1.35", "control-plane/1.36", "bake/1.36"}},
		"strict: nodes of a hop before the next": {o: with(34, old(34, Group{})), w: policy(noBake(want(36)), func(p *fleet.UpgradePolicy) { p.Skew = fleet.SkewStrict }),
			want: []string{"control-plane/1.35", "nodegroup/web/1.35.6-20261112", "control-plane/1.36", "nodegroup/web/1.36.6-20261112"}},
		"nodes that would be four behind go as far as they can": {o: with(35, old(32, Group{})), w: noBake(want(36)),
			want: []string{"nodegroup/web/1.35.6-20261112", "control-plane/1.36", "nodegroup/web/1.36.6-20261112"}},
		"before 1.25 two behind": {o: oldTimes(with(26, old(24, Group{}))), w: noBake(want(27)),
			want: []string{"nodegroup/web/1.26", "control-plane/1.27", "nodegroup/web/1.27"}},
		"one node that was left behind counts": {o: behindNode(with(35, old(35, Group{})), 32), w: noBake(want(36)),
			want: []string{"nodegroup/web/1.35.6-20261112", "control-plane/1.36", "nodegroup/web/1.36.6-20261112"}},
		"a group that is held": {o: with(34, old(34, Group{})), w: policy(noBake(want(36)), group(fleet.GroupUpgrade{Hold: true})),
			want: []string{"control-plane/1.35", "control-plane/1.36"}, note: "node group web stays at 1.34"},
		"held, but the skew does not let it": {o: with(35, old(32, Group{})), w: policy(noBake(want(36)), group(fleet.GroupUpgrade{Hold: true})),
			want: []string{"nodegroup/web/1.35.6-20261112", "control-plane/1.36"}, note: "node group web stays at 1.35"},
		"held under the name that it has in the file": {o: with(34, old(34, Group{StandsFor: "app"})), w: policy(noBake(want(35)), func(p *fleet.UpgradePolicy) {
			p.Nodes.Groups = []fleet.GroupUpgrade{{Name: "app", Hold: true}}
		}), want: []string{"control-plane/1.35"}, note: "stays at 1.34"},
		"an image of one's own": {o: with(35, old(34, Group{AMIType: "CUSTOM"})),
			w:    policy(noBake(want(36)), group(fleet.GroupUpgrade{LaunchTemplateVersion: map[fleet.Minor]string{36: "7"}})),
			want: []string{"control-plane/1.36", "nodegroup/web/1.36/template-7"}},
		"an image of one's own that nobody names": {o: with(35, old(34, Group{AMIType: "CUSTOM"})), w: noBake(want(36)),
			want: []string{"control-plane/1.36"}, note: "launchTemplateVersion"},
		"that holds up the control plane": {o: with(35, old(32, Group{AMIType: "CUSTOM"})), w: noBake(want(36)), blocked: "cannot go to 1.36 while node group web has 1.32"},
		"an image of one's own for a minor between": {o: with(35, old(32, Group{AMIType: "CUSTOM"})),
			w:    policy(noBake(want(36)), group(fleet.GroupUpgrade{LaunchTemplateVersion: map[fleet.Minor]string{34: "5"}})),
			want: []string{"nodegroup/web/1.34/template-5", "control-plane/1.36"}, note: "it gets no further than 1.34"},
		"Amazon Linux 2 ends with 1.32": {o: with(33, old(31, Group{AMIType: "AL2_x86_64"})), w: noBake(want(35)),
			want: []string{"control-plane/1.34", "nodegroup/web/1.32", "control-plane/1.35"}, note: "Amazon Linux 2"},
		"Amazon Linux 2 holds up the control plane": {o: with(35, old(32, Group{AMIType: "AL2_x86_64"})), w: noBake(want(36)), blocked: "make a group of Amazon Linux 2023"},
		"Bottlerocket's releases are for several minors": {o: with(35, old(35, Group{AMIType: "BOTTLEROCKET_x86_64", Release: "1.50.0-1a2b3c4d"})), w: noBake(want(36)),
			want: []string{"control-plane/1.36", "nodegroup/web/1.36/1.50.0-1a2b3c4d"}},
		"patch: a newer image": {o: with(36, old(36, Group{Release: "1.36.6-20261001"})), w: patch(want(36)),
			want: []string{"nodegroup/web/1.36.6-20261112"}},
		"patch: not the images": {o: with(36, old(36, Group{Release: "1.36.6-20261001"})), w: patch(policy(want(36), func(p *fleet.UpgradePolicy) { p.Patches.Images = false })), note: "patches.images"},
		"patch: not the add-ons": {o: withReleases(onlyAddon(cluster(36), "dns", "v1"), "dns", release("v2", 36), release("v1", 36)),
			w: patch(policy(want(36), func(p *fleet.UpgradePolicy) { p.Patches.Addons = false })), note: "patches.addons"},
		"patch: add-ons":                   {o: withReleases(onlyAddon(cluster(36), "dns", "v1"), "dns", release("v3", 37), release("v2", 36), release("v1", 36)), w: patch(want(36)), want: []string{"addon/dns/v2"}},
		"patch: the same image":            {o: with(36, old(36, Group{Release: "1.36.6-20261112"})), w: patch(want(36))},
		"patch: an image that is too new":  {o: with(36, old(36, Group{Release: "1.36.6-20261001"})), w: patch(policy(want(36), func(p *fleet.UpgradePolicy) { p.Patches.Age = 30 * 24 * time.Hour })), note: "waits 30 d"},
		"patch: one node has an old image": {o: oldImage(with(36, old(36, Group{Release: "1.36.6-20261112"}))), w: patch(want(36)), want: []string{"nodegroup/web/1.36.6-20261112"}},
		"patch: another launch template": {o: with(36, old(36, Group{AMIType: "CUSTOM", TemplateVersion: "6"})), w: patch(policy(want(36), group(fleet.GroupUpgrade{LaunchTemplateVersion: map[fleet.Minor]string{36: "7"}}))),
			want: []string{"nodegroup/web/1.36/template-7"}},
		"Fargate's pods are made anew": {o: noAddons(withNode(cluster(35), NodeFargate, 35)), w: noBake(want(36)), want: []string{"control-plane/1.36", "restart/fargate/1.36"}},
		"before the skew ends, too":    {o: noAddons(withNode(cluster(35), NodeFargate, 32)), w: noBake(want(36)), want: []string{"restart/fargate/1.35", "control-plane/1.36", "restart/fargate/1.36"}},
		"hybrid nodes are their owner's": {o: noAddons(withNode(cluster(34), NodeHybrid, 32)), w: noBake(want(36)),
			want: []string{"control-plane/1.35"}, blocked: "cannot go to 1.36 while nodes have 1.32 (Hybrid-0): their owner upgrades them"},
		"a way that ends early prepares for nothing": {o: withNode(withReleases(onlyAddon(cluster(34), "dns", "v1"), "dns", release("v2", 35, 36), release("v1", 34, 35)), NodeHybrid, 32), w: noBake(want(36)),
			want: []string{"control-plane/1.35"}, blocked: "cannot go to 1.36 while nodes have 1.32"},
		"a group whose version nobody knows, by its nodes": {o: unknownVersion(with(35, old(34, Group{}))), w: noBake(want(36)), want: []string{"control-plane/1.36", "nodegroup/web/1.36.6-20261112"}},
		"nor by its nodes":              {o: noNodes(unknownVersion(with(35, old(34, Group{})))), w: noBake(want(36)), want: []string{"control-plane/1.36"}, note: "nobody knows which version it has"},
		"a group that is being deleted": {o: with(35, old(32, Group{Status: "DELETING"})), w: noBake(want(36)), want: []string{"control-plane/1.36"}},
		"Karpenter follows by itself": {o: noAddons(withNode(cluster(33), NodeKarpenter, 33)), w: noBake(want(36)),
			want: []string{"control-plane/1.34", "control-plane/1.35", "control-plane/1.36"}, note: "Karpenter replaces them"},
		"Karpenter has not followed": {o: noAddons(withNode(cluster(35), NodeKarpenter, 32)), w: noBake(want(36)), blocked: "Karpenter replaces them"},
		"a version that EKS has not": {o: noAddons(cluster(35)), w: noBake(want(38)), want: []string{"control-plane/1.36"}, blocked: "EKS has no Kubernetes 1.37, it has 1.31, 1.32"},
		"back is another way":        {o: noAddons(cluster(35)), w: want(34), blocked: "ekspedite upgrade rollback"},
		"what has ended is no way":   {o: noAddons(cluster(30)), w: at(noBake(want(32)), today.AddDate(0, 1, 0)), blocked: "no longer offers Kubernetes 1.31"},
		"add-ons whose versions nobody knows": {o: unlisted(cluster(35), "coredns"), w: noBake(want(36)), blocked: "coredns v1.12.4-eksbuild.1: its versions are not known",
			want: nil},
		"add-ons without a way": {o: withReleases(cluster(35), "coredns", release("v1.12.4-eksbuild.1", 33, 34, 35)), w: noBake(want(36)), blocked: "cannot get from Kubernetes 1.35 to 1.36"},
		"a pin without a way": {o: cluster(35), w: policy(noBake(want(36)), func(p *fleet.UpgradePolicy) { p.Addons.Pins = map[string]string{"coredns": "v1.12.4-eksbuild.1"} }),
			blocked: "is pinned to v1.12.4-eksbuild.1"},
	} {
		t.Run(name, func(t *testing.T) {
			p := Find(c.o, c.w)
			got := slices.DeleteFunc(ids(p), func(id string) bool { return strings.HasPrefix(id, "addon/") && len(c.o.Addons) > 1 })
			if !slices.Equal(got, c.want) {
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

func patch(w Want) Want { w.Patch = true; return w }

func at(w Want, now time.Time) Want { w.Now = now; return w }

func oldTimes(o Observation) Observation {
	o.Versions, o.Images = []fleet.KubernetesVersion{{Minor: 26}, {Minor: 27}}, nil
	return o
}

func behindNode(o Observation, m fleet.Minor) Observation {
	o.Nodes[1].Kubelet = m
	return o
}

func oldImage(o Observation) Observation {
	o.Nodes[1].Release = "1.36.6-20261001"
	return o
}

func unlisted(o Observation, name string) Observation {
	delete(o.Releases, name)
	return o
}

func unknownVersion(o Observation) Observation {
	o.Groups[0].Version = 0
	return o
}

func noNodes(o Observation) Observation {
	o.Nodes = nil
	return o
}

func onlyAddon(o Observation, name, version string) Observation {
	o.Addons = []Addon{{Name: name, Version: version, Status: "ACTIVE"}}
	return o
}

func withReleases(o Observation, name string, rs ...fleet.AddonRelease) Observation {
	o.Releases[name] = rs
	return o
}

// Steps that have nothing to do with one another share a wave; the smallest groups come first.
func TestWaves(t *testing.T) {
	o := cluster(35, 7, 2, 5, 3, 1)
	w := noBake(want(36))
	w.Policy.Nodes.GroupsAtOnce = 2
	p := Find(o, w)
	var got []string
	for _, s := range p.Steps {
		got = append(got, strings.Join([]string{string(rune('0' + s.Wave)), string(s.Kind), s.Subject}, " "))
	}
	want := []string{"1 Addon coredns", "1 Addon vpc-cni", "2 ControlPlane ", "3 Addon kube-proxy",
		"4 NodeGroup g5", "5 NodeGroup g2", "5 NodeGroup g4", "6 NodeGroup g3", "6 NodeGroup g1"}
	if !slices.Equal(got, want) {
		t.Errorf("waves %q\nwant  %q", got, want)
	}
	sum := 2*time.Minute + 10*time.Minute + 2*time.Minute // the longest of each wave
	for _, g := range []int{1, 3, 7} {
		sum += 22*time.Minute + time.Duration(g)*2*time.Minute
	}
	if p.Takes != sum {
		t.Errorf("it takes %s, not %s", p.Takes, sum)
	}
}

// A group whose move is under way stays first, however many nodes it has meanwhile: others do not begin before it.
func TestWavesKeepTheirOrder(t *testing.T) {
	first := func(o Observation) string { return Find(o, want(36)).Steps[0].Subject }
	base := noAddons(cluster(36, 2, 5))
	for i := range base.Groups {
		base.Groups[i].Version = 35
	}
	for i := range base.Nodes {
		base.Nodes[i].Kubelet = 35
	}
	if got := first(base); got != "g1" {
		t.Fatalf("%s comes first", got)
	}
	surged := func(change func(*Observation)) Observation {
		o := clone(base)
		o.Groups[0].Desired = 8
		change(&o)
		return o
	}
	for name, o := range map[string]Observation{
		"EKS says so":        surged(func(o *Observation) { o.Groups[0].Status = "UPDATING" }),
		"an update":          surged(func(o *Observation) { o.Busy = []Busy{{ID: "1", Subject: "nodegroup/g1"}} }),
		"some nodes are new": surged(func(o *Observation) { o.Nodes[0].Kubelet = 36 }),
		"another takes over": surged(func(o *Observation) { o.Groups = append(o.Groups, Group{Name: "g1-b", StandsFor: "g1", Version: 36}) }),
		"it takes over itself": surged(func(o *Observation) {
			o.Groups = append(o.Groups, Group{Name: "g0", Version: 36})
			o.Groups[0].StandsFor = "g0"
		}),
		"a node has a new image": surged(func(o *Observation) { o.Groups[0].Release, o.Nodes[1].Release = "1.35.6-20261112", "1.35.2-20260601" }),
	} {
		if got := first(o); got != "g1" {
			t.Errorf("%s: %s comes first", name, got)
		}
	}
}

// What ends the way back to the minor before: the next hop, nodes that are newer, add-ons that do not work there.
func TestClosesRollback(t *testing.T) {
	closing := func(p Path) (out []string) {
		for _, s := range p.Steps {
			if s.ClosesRollback {
				out = append(out, s.ID)
			}
		}
		return out
	}
	o := cluster(34, 2)
	got := closing(Find(o, want(36)))
	want36 := []string{"control-plane/1.36", "addon/kube-proxy/v1.36.6-eksbuild.1", "nodegroup/g1/1.36.6-20261112"}
	if !slices.Equal(got, want36) {
		t.Errorf("%q close the way back, not %q", got, want36)
	}
	o.UpgradedAt, o.UpgradedFrom = today.Add(-48*time.Hour), 33
	if got := closing(Find(o, want(35))); len(got) == 0 || got[0] != "control-plane/1.35" {
		t.Errorf("a cluster that came from 1.33 two days ago: %q close the way back", got)
	}
	o.UpgradedAt = today.Add(-8 * 24 * time.Hour)
	if got := closing(Find(o, want(35))); slices.Contains(got, "control-plane/1.35") {
		t.Errorf("a cluster that came from 1.33 eight days ago: %q close the way back", got)
	}
}

// A bake is as long as is left of it.
func TestBakeLeft(t *testing.T) {
	o := noAddons(cluster(35, 1))
	o.Groups[0].Version, o.Nodes[0].Kubelet = 34, 34
	o.UpgradedFrom = 34
	for since, left := range map[time.Duration]time.Duration{
		10 * time.Minute: time.Hour, 40 * time.Minute: 30 * time.Minute, 70 * time.Minute: 0, 100 * time.Hour: 0,
	} {
		o.UpgradedAt = today.Add(-since)
		p := Find(o, want(35))
		var got time.Duration
		if p.Steps[0].Kind == StepBake {
			got = p.Steps[0].Takes
		}
		if got != left || p.Steps[len(p.Steps)-1].Kind != StepNodeGroup {
			t.Errorf("%s after the upgrade began, %s are left, not %s: %q", since, got, left, ids(p))
		}
	}
}

// Money: six times the price in extended support, to the day; the surge at the dearest of the group's types.
func TestCost(t *testing.T) {
	o := cluster(33, 3)
	w := want(36)
	w.Hourly = map[string]float64{"m5.large": 0.10}
	c := Find(o, w).Cost
	// six nodes more for 28 minutes; until 2027-07-29, 247.5 days at $0.50 an hour; 1.36's standard support ends after that
	if near := func(a, b float64) bool { return a-b < 1e-6 && b-a < 1e-6 }; !near(c.Surge, 6*0.10*28/60) || !near(c.ExtendedPerMonth, 365) || !near(c.PerWeek, 84) || !near(c.Saved, 247.5*24*0.5) {
		t.Errorf("%+v", c)
	}
	o.Version = 34 // in standard support for nine days
	if c := Find(o, want(34)).Cost; c != (Cost{}) {
		t.Errorf("nothing changes, and it costs %+v", c)
	}
	w.Hourly = nil
	if c := Find(o, w).Cost; c.Surge != 0 || c.ExtendedPerMonth != 0 || c.PerWeek != 0 || c.Saved != 243*24*0.5 {
		t.Errorf("from 1.34, nine days before extended support, which 1.36 has for the last 122 days of 1.34's year: %+v", c)
	}
}

var update = flag.Bool("update", false, "write the golden files")

// golden compares with a file in testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is otherwise (go test -update writes it):\n%s", file, got)
	}
}

// An ordinary cluster, as people read it, and through JSON.
func TestGoldenPath(t *testing.T) {
	o := cluster(33, 3, 12)
	o = withGroup(o, Group{Name: "own", Version: 33, AMIType: "CUSTOM", Zones: 3, Desired: 4, TemplateVersion: "3"})
	o = withGroup(o, Group{Name: "batch", Version: 33, SelfManaged: true, AMIType: al2023, Release: "1.33.2-20260601", Zones: 2, Desired: 6, InstanceTypes: []string{"m5.large"}})
	o = withNode(withNode(o, NodeFargate, 33), NodeKarpenter, 33)
	w := want(36)
	w.Policy.Nodes.GroupsAtOnce = 2
	w.Policy.Nodes.Groups = []fleet.GroupUpgrade{
		{Name: "own", LaunchTemplateVersion: map[fleet.Minor]string{36: "9"}}, {Name: "g2", Strategy: fleet.NodesBlueGreen},
	}
	w.Hourly = map[string]float64{"m5.large": 0.096}
	p := Find(o, w)
	golden(t, "path.txt", p.String())

	data, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	var read Observation
	if err := json.Unmarshal(data, &read); err != nil {
		t.Fatal(err)
	}
	if again := Find(read, w); again.String() != p.String() {
		t.Errorf("from JSON the way is another one:\n%s", again)
	}
}
