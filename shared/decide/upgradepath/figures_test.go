package upgradepath

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// realistic are clusters as they are met, at 1.33.
func realistic() []struct {
	name string
	o    Observation
} {
	self := withGroup(cluster(33, 6, 15), Group{Name: "own", Version: 33, SelfManaged: true, AMIType: al2023, Release: "1.33.2-20260601", Zones: 3, Desired: 10})
	fast := cluster(33, 30, 60, 60)
	for i := range fast.Groups {
		fast.Groups[i].MaxUnavailablePercent = 33
	}
	return []struct {
		name string
		o    Observation
	}{
		{"1 group of 3 nodes", cluster(33, 3)},
		{"3 groups of 3, 6 and 10", cluster(33, 3, 6, 10)},
		{"6 groups of 3 to 40", cluster(33, 3, 5, 8, 12, 20, 40)},
		{"3 groups of 30 to 60, a third at once", fast},
		{"12 groups of 25", cluster(33, slices.Repeat([]int{25}, 12)...)},
		{"self-managed group and Fargate", withNode(self, NodeFargate, 33)},
	}
}

// The time of 1.33 to 1.36 against the way without thinking, by the model of durations.go for both: so the figure is about how
// many steps there are and what runs at the same time, and not about how long AWS takes. The embedded cloud measures that.
func TestAgainstNaive(t *testing.T) {
	t.Logf("%-40s %12s %12s %6s %6s %6s %6s", "1.33 → 1.36, nothing watched", "naive", "found", "share", "strict", "3 at once", "bakes of 1 h in both")
	for _, c := range realistic() {
		share := func(change func(*fleet.UpgradePolicy)) (naive, found time.Duration, share float64) {
			w := noBake(want(36))
			change(&w.Policy)
			p := Find(c.o, w)
			if len(p.Blocked) > 0 {
				t.Fatal(p.Blocked)
			}
			naive, found = Naive(c.o, w).Takes, p.Takes
			return naive, found, float64(found) / float64(naive)
		}
		naive, found, plain := share(func(*fleet.UpgradePolicy) {})
		_, _, strict := share(func(p *fleet.UpgradePolicy) { p.Skew = fleet.SkewStrict })
		_, _, three := share(func(p *fleet.UpgradePolicy) { p.Nodes.GroupsAtOnce = 3 })
		_, _, baked := share(func(p *fleet.UpgradePolicy) { p.Bake = time.Hour })
		t.Logf("%-40s %12s %12s %5.1f%% %5.1f%% %5.1f%% %5.1f%%", c.name, Text(naive), Text(found), 100*plain, 100*strict, 100*three, 100*baked)
		most := 0.45
		if len(c.o.Groups) == 1 { // three hops of ten minutes are half of all that there is to do
			most = 0.55
		}
		if plain > most || strict > 1 {
			t.Errorf("%s: the way takes %.1f%% of the naive one's time, strict %.1f%%", c.name, 100*plain, 100*strict)
		}
	}
}

// fleetOf makes clusters in five accounts' worth of four Regions, with lists of versions as long as EKS's.
func fleetOf(n int) (out []Observation) {
	long := map[string][]fleet.AddonRelease{}
	for name, rs := range catalogue() {
		for _, r := range rs { // each version in twelve builds: EKS lists 30 to 80 of an add-on
			for build := 12; build > 0; build-- {
				b := r
				b.Version = fmt.Sprintf("%s%d", r.Version[:len(r.Version)-1], build)
				long[name] = append(long[name], b)
			}
		}
	}
	regions := []string{"us-east-1", "us-west-2", "eu-central-1", "ap-northeast-1"}
	for i := range n {
		o := realistic()[i%6].o
		o.Cluster = fleet.ClusterID{Region: regions[i%4], Name: fmt.Sprintf("account%d-%d", i/4%5, i)}
		o.Releases = long
		out = append(out, o)
	}
	return out
}

// BenchmarkFleet plans 1,000 clusters.
func BenchmarkFleet(b *testing.B) {
	clusters := fleetOf(1000)
	w := want(36)
	b.ReportAllocs()
	for b.Loop() {
		for _, o := range clusters {
			if p := Find(o, w); len(p.Blocked) > 0 {
				b.Fatal(p.Blocked)
			}
		}
	}
}

// BenchmarkWay is vpc-cni over four minors with 48 versions.
func BenchmarkWay(b *testing.B) {
	o := fleetOf(1)[0]
	for b.Loop() {
		if _, _, ok := Way(Question{Name: vpcCNI, Have: "v1.18.6-eksbuild.1", From: 33, To: 36, Releases: o.Releases[vpcCNI], Newest: true}); !ok {
			b.Fatal("no way")
		}
	}
}
