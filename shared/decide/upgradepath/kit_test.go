package upgradepath

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

var today = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// eksVersions are the minors of 2026-11-23 (endoflife.date, 2026-08-22).
func eksVersions() (out []fleet.KubernetesVersion) {
	day := func(s string) time.Time { t, _ := time.Parse("2006-01-02", s); return t }
	for _, v := range []struct {
		m                       fleet.Minor
		released, standard, end string
		status                  fleet.SupportStatus
	}{
		{31, "2024-09-26", "2025-11-26", "2026-11-26", fleet.ExtendedSupport},
		{32, "2025-01-23", "2026-03-23", "2027-03-23", fleet.ExtendedSupport},
		{33, "2025-05-29", "2026-07-29", "2027-07-29", fleet.ExtendedSupport},
		{34, "2025-10-02", "2026-12-02", "2027-12-02", fleet.StandardSupport},
		{35, "2026-01-27", "2027-03-27", "2028-03-27", fleet.StandardSupport},
		{36, "2026-06-02", "2027-08-02", "2028-08-02", fleet.StandardSupport},
	} {
		out = append(out, fleet.KubernetesVersion{Minor: v.m, Released: day(v.released), StandardEnds: day(v.standard), ExtendedEnds: day(v.end), Status: v.status})
	}
	return out
}

// release is a version of an add-on for minors; those after 0 are the ones for which it is the default.
func release(version string, minors ...fleet.Minor) fleet.AddonRelease {
	r := fleet.AddonRelease{Version: version}
	if i := slices.Index(minors, 0); i >= 0 {
		r.Defaults, minors = minors[i+1:], minors[:i]
	}
	r.Minors = minors
	return r
}

// catalogue is like EKS's: kube-proxy for its own minor and those after, vpc-cni and coredns over several. The versions are made up.
func catalogue() map[string][]fleet.AddonRelease {
	return map[string][]fleet.AddonRelease{
		"vpc-cni": {
			release("v1.21.1-eksbuild.1", 34, 35, 36, 0, 36),
			release("v1.20.5-eksbuild.1", 33, 34, 35, 36, 0, 34, 35),
			release("v1.19.6-eksbuild.1", 31, 32, 33, 34, 35, 0, 33),
			release("v1.18.6-eksbuild.1", 31, 32, 33, 34, 0, 31, 32),
		},
		"kube-proxy": {
			release("v1.36.6-eksbuild.1", 36, 0, 36),
			release("v1.35.10-eksbuild.1", 35, 36, 0, 35),
			release("v1.34.13-eksbuild.1", 34, 35, 36, 0, 34),
			release("v1.33.13-eksbuild.1", 33, 34, 35, 36, 0, 33),
			release("v1.32.9-eksbuild.1", 32, 33, 34, 35, 0, 32),
			release("v1.31.13-eksbuild.1", 31, 32, 33, 34, 0, 31),
		},
		"coredns": {
			release("v1.13.2-eksbuild.1", 34, 35, 36, 0, 36),
			release("v1.12.4-eksbuild.1", 33, 34, 35, 0, 33, 34, 35),
			release("v1.11.4-eksbuild.2", 31, 32, 33, 0, 31, 32),
		},
		"aws-ebs-csi-driver": {
			release("v1.53.0-eksbuild.1", 31, 32, 33, 34, 35, 36, 0, 31, 32, 33, 34, 35, 36),
			release("v1.45.0-eksbuild.1", 31, 32, 33, 34, 35, 36),
		},
	}
}

const al2023 = "AL2023_x86_64_STANDARD"

func images() map[string]Image {
	out := map[string]Image{}
	for m := fleet.Minor(28); m <= 40; m++ {
		out[fmt.Sprintf("%s/%s", al2023, m)] = Image{Release: m.String() + ".6-20261112", Released: today.AddDate(0, 0, -11)}
		out[fmt.Sprintf("BOTTLEROCKET_x86_64/%s", m)] = Image{Release: "1.50.0-1a2b3c4d", Released: today.AddDate(0, 0, -11)}
	}
	return out
}

// cluster is one at a minor with the usual add-ons and node groups of so many nodes.
func cluster(m fleet.Minor, nodes ...int) Observation {
	o := Observation{
		Cluster: fleet.ClusterID{Region: "us-east-1", Name: "prod"}, Version: m, Status: "ACTIVE", CreatedAt: today.AddDate(-2, 0, 0),
		SupportType: "EXTENDED", Versions: eksVersions(), Releases: catalogue(), Images: images(),
	}
	for name, rs := range o.Releases {
		for _, r := range slices.Backward(rs) {
			if slices.Contains(r.Minors, m) && (name != kubeProxy || slices.Contains(r.Defaults, m)) {
				o.Addons = append(o.Addons, Addon{Name: name, Version: r.Version, Status: "ACTIVE"})
				break
			}
		}
	}
	slices.SortFunc(o.Addons, func(a, b Addon) int { return compareNames(a.Name, b.Name) })
	for i, n := range nodes {
		o = withGroup(o, Group{Name: fmt.Sprintf("g%d", i+1), Version: m, Release: m.String() + ".2-20260601", AMIType: al2023, Zones: 3, Desired: n, InstanceTypes: []string{"m5.large"}})
	}
	return o
}

func compareNames(a, b string) int {
	if a < b {
		return -1
	}
	return 1
}

// withGroup adds a group with its nodes.
func withGroup(o Observation, g Group) Observation {
	o.Groups = append(slices.Clone(o.Groups), g)
	o.Nodes = slices.Clone(o.Nodes)
	kind := NodeManaged
	if g.SelfManaged {
		kind = NodeSelfManaged
	}
	for i := range g.Desired {
		o.Nodes = append(o.Nodes, Node{Name: fmt.Sprintf("%s-%d", g.Name, i), Kubelet: g.Version, Group: g.Name, Kind: kind, Ready: true, Release: g.Release})
	}
	return o
}

func withNode(o Observation, k NodeKind, m fleet.Minor) Observation {
	o.Nodes = append(slices.Clone(o.Nodes), Node{Name: fmt.Sprintf("%s-%d", k, len(o.Nodes)), Kubelet: m, Kind: k, Ready: true})
	return o
}

func want(to fleet.Minor) Want {
	return Want{To: to, Now: today, Policy: fleet.DefaultUpgradePolicy()}
}

func ids(p Path) (out []string) {
	for _, s := range p.Steps {
		out = append(out, s.ID)
	}
	return out
}

// randomCluster is any cluster that may be met: groups and nodes behind as far as the skew allows, gaps in what EKS lists.
func randomCluster(r *rand.Rand) (Observation, Want) {
	from := fleet.Minor(31 + r.IntN(4))
	o := cluster(from)
	o.Versions = nil
	for m := fleet.Minor(28); m <= 40; m++ {
		o.Versions = append(o.Versions, fleet.KubernetesVersion{Minor: m, Status: fleet.StandardSupport})
	}
	w := want(from + fleet.Minor(r.IntN(6)))
	w.Patch = r.IntN(3) == 0
	if r.IntN(3) == 0 {
		w.Policy.Skew = fleet.SkewStrict
	}
	w.Policy.Bake = time.Duration(r.IntN(3)) * time.Hour
	w.Policy.Nodes.GroupsAtOnce = r.IntN(4)
	o.Addons, o.Releases = nil, map[string][]fleet.AddonRelease{}
	for _, name := range []string{"coredns", "kube-proxy", "vpc-cni", "x-driver"}[r.IntN(3):] {
		rs := randomReleases(r, name, r.IntN(5) > 0)
		have := rs[r.IntN(len(rs))].Version
		for i, rel := range rs {
			if slices.Contains(rel.Minors, from) && (name != kubeProxy || i > 0 && parts(rel.Version)[1] <= int(from)) && r.IntN(3) > 0 {
				have = rel.Version
			}
		}
		o.Releases[name] = rs
		o.Addons = append(o.Addons, Addon{Name: name, Version: have})
	}
	for i := range r.IntN(5) {
		g := Group{
			Name: fmt.Sprintf("g%d", i), Version: from - fleet.Minor(r.IntN(4)), AMIType: []string{al2023, "BOTTLEROCKET_x86_64", "CUSTOM"}[r.IntN(3)],
			Zones: 1 + r.IntN(3), Desired: r.IntN(12), SelfManaged: r.IntN(4) == 0, MaxUnavailable: r.IntN(3),
		}
		gp := fleet.GroupUpgrade{Name: g.Name, Hold: r.IntN(4) == 0}
		if r.IntN(3) == 0 {
			gp.Strategy = []fleet.NodeStrategy{fleet.NodesRolling, fleet.NodesMinimal, fleet.NodesBlueGreen}[r.IntN(3)]
		}
		switch g.AMIType {
		case al2023:
			g.Release = g.Version.String() + ".1-20260101"
		case "BOTTLEROCKET_x86_64":
			g.Release = "1.40.0-ffffffff"
		default:
			gp.LaunchTemplateVersion, g.TemplateVersion = map[fleet.Minor]string{}, "1"
			for m := g.Version + 1; m <= 40; m++ {
				if r.IntN(4) > 0 {
					gp.LaunchTemplateVersion[m] = fmt.Sprint(m)
				}
			}
		}
		w.Policy.Nodes.Groups = append(w.Policy.Nodes.Groups, gp)
		o = withGroup(o, g)
		if r.IntN(4) == 0 && g.Desired > 0 && g.AMIType != "CUSTOM" { // an update that failed on the way
			o.Nodes[len(o.Nodes)-1].Kubelet = max(28, g.Version-1, from-3)
		}
	}
	for _, k := range []NodeKind{NodeFargate, NodeKarpenter, NodeHybrid} {
		if r.IntN(4) == 0 {
			o = withNode(o, k, from-fleet.Minor(r.IntN(3)))
		}
	}
	if r.IntN(3) == 0 {
		o.UpgradedAt, o.UpgradedFrom = today.Add(-time.Duration(r.IntN(200))*time.Hour), from-1
	}
	return o, w
}

// randomReleases are versions of an add-on, each for some minors in a row, newest first; for most of them if they are broad.
func randomReleases(r *rand.Rand, name string, broad bool) (out []fleet.AddonRelease) {
	n := 3 + r.IntN(7)
	for i := range n {
		first := fleet.Minor(29 + i*10/n + r.IntN(3))
		v := fmt.Sprintf("v1.%d.%d-eksbuild.1", 10+i/2, i)
		if name == kubeProxy {
			first = fleet.Minor(28 + i*12/n)
			v = fmt.Sprintf("v1.%d.%d-eksbuild.1", first, i)
		}
		rel := fleet.AddonRelease{Version: v}
		last := first + 2 + fleet.Minor(r.IntN(5))
		if broad {
			first, last = first-1, last+1
		} else if r.IntN(8) == 0 {
			last = first + 1
		}
		for m := first; m < last; m++ {
			if rel.Minors = append(rel.Minors, m); r.IntN(4) == 0 {
				rel.Defaults = append(rel.Defaults, m)
			}
		}
		out = append(out, rel)
	}
	slices.Reverse(out)
	return out
}
