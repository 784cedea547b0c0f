package readiness

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/upgradepath"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// TestNothingIsToldOfWhatIsInOrder: a report that warns of everything is read by nobody. Of a cluster in order only what is in
// the list is said.
func TestNothingIsToldOfWhatIsInOrder(t *testing.T) {
	for name, tr := range map[string]traits{
		"plain":     {from: 35, to: 36, groups: 3, nodes: 6, workloads: 6},
		"much":      {from: 35, to: 36, groups: 5, nodes: 6, workloads: 6, fargate: true, karpenter: true, key: true, bottle: true, custom: true, selfManaged: true, webhooks: true, helm: true, daemons: true, prefix: true, conditions: true},
		"Auto Mode": {from: 35, to: 36, auto: true, workloads: 6},
	} {
		c := build(4, tr)
		for i := range c.o.Workloads { // no single replicas: they are rightly told
			if w := &c.o.Workloads[i]; w.Replicas == 1 {
				w.Replicas = 0
			}
		}
		for i := range c.o.Workloads {
			c.o.Workloads[i].MinReadySeconds = i % 2 // of some
		}
		if len(c.o.EKS.Groups) > 0 { // half-way through a rotation is no mixture
			c.o.EKS.Nodes[0].Kubelet--
		}
		want := []string{"RB01"}
		if !tr.auto {
			want = append(want, "ADD02") // kube-proxy is made for one minor
		}
		var got []string
		for _, f := range Check(testNow, c.o, c.p).Findings {
			if f.Status != Pass && f.ID != "WL12" && f.ID != "WL18" { // emptyDirs and Fargate's pods are facts
				got = append(got, f.ID)
			}
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			for _, f := range Check(testNow, c.o, c.p).Findings {
				if slices.Contains(got, f.ID) && !slices.Contains(want, f.ID) {
					t.Errorf("%s: %s %s: %s %q", name, f.ID, f.Status, f.Text, f.Evidence)
				}
			}
			t.Errorf("%s: told %v, want %v", name, got, want)
		}
	}
}

// TestFromWhichMinor: from which target on a check looks at all.
func TestFromWhichMinor(t *testing.T) {
	for id, first := range map[string]fleet.Minor{"NODE05": 33, "NODE10": 35, "NODE11": 36, "ADD10": 35, "WL11": 24, "VER02": 23, "VER03": 33, "VER04": 36, "VER05": 36, "VER06": 32, "VER07": 36} {
		for to := fleet.Minor(22); to <= 37; to++ {
			c := base(1)
			c.o.EKS.Version, c.o.Target = to-1, to
			if f := finding(Check(testNow, c.o, c.p), id); (f.Text != "does not apply") != (to >= first) {
				t.Errorf("%s at %s: %q, and it is for %s and later", id, to, f.Text, first)
			}
		}
	}
	// A minor that was passed long ago is no matter, whatever is left of it.
	for _, from := range []fleet.Minor{24, 25} {
		c := base(1)
		c.o.EKS.Version, c.o.Target = from, from+1
		c.o.Objects = []Object{{APIVersion: "policy/v1beta1", Kind: "PodSecurityPolicy", Name: "p", Writer: "kubectl", Written: testNow}, {APIVersion: "policy/v1beta1", Kind: "PodSecurityPolicy", Name: "eks.privileged"}}
		r := Check(testNow, c.o, c.p)
		for _, id := range []string{"VER01", "API01"} {
			if f := finding(r, id); f.Blocks() != (from == 24) || len(f.Evidence) > 1 {
				t.Errorf("%s from %s: %s %q", id, from, f.Status, f.Evidence)
			}
		}
	}
}

// TestSupportEnds: what is said of each time of a version's life.
func TestSupportEnds(t *testing.T) {
	standard, extended := testNow.AddDate(0, 0, 100), testNow.AddDate(0, 0, 465)
	for _, x := range []struct {
		days    int // from now
		support string
		ids     []string
		text    string
	}{
		{0, "EXTENDED", nil, ""},
		{39, "STANDARD", nil, ""},
		{40, "EXTENDED", []string{"CP15"}, "standard support of 1.34 ends in 60 days; then it costs $0.60 an hour instead of $0.10"},
		{99, "STANDARD", []string{"CP15", "CP16"}, "ends in 1 day;"},
		{100, "EXTENDED", []string{"CP15"}, "1.34 is in extended support, which costs $365 a month more"},
		{464, "EXTENDED", []string{"CP15", "CP17"}, "1.34 is in extended support"},
		{465, "EXTENDED", []string{"CP15", "CP17"}, "1.34 is out of support"},
		{150, "STANDARD", []string{"CP15", "CP16"}, "extended support"},
	} {
		c := build(1, traits{from: 34, to: 35})
		c.o.EKS.Versions = []fleet.KubernetesVersion{{Minor: 34, StandardEnds: standard, ExtendedEnds: extended}, {Minor: 35}}
		c.o.EKS.SupportType = x.support
		if slices.Contains(x.ids, "CP17") {
			c.p.Blackouts = []fleet.Blackout{{Name: "peak", From: extended, Until: extended.AddDate(0, 0, 1)}, {Name: "before", From: standard.AddDate(0, 0, -9), Until: extended}}
		}
		r := Check(testNow.AddDate(0, 0, x.days), c.o, c.p)
		for _, id := range []string{"CP15", "CP16", "CP17"} {
			if f := finding(r, id); (f.Status == Fail) != slices.Contains(x.ids, id) || f.Blocks() || len(f.Evidence) > 1 {
				t.Errorf("after %d days, %s: %s %s %q", x.days, x.support, id, f.Status, f.Evidence)
			}
		}
		if f := finding(r, "CP15"); !strings.Contains(f.Text, x.text) {
			t.Errorf("after %d days: %q", x.days, f.Text)
		}
	}
	c := build(1, traits{from: 34, to: 35})
	c.o.EKS.Versions = c.o.EKS.Versions[:1]
	if f := finding(Check(testNow, c.o, c.p), "CP15"); f.Status != Unknown || f.Blocks() {
		t.Errorf("%+v", f)
	}
}

// TestBudgets compares what a budget keeps with counting, one pod after another.
func TestBudgets(t *testing.T) {
	for pods := 1; pods <= 30; pods++ {
		for n := 0; n <= 100; n++ {
			ceil := 0 // the least number that is n per cent or more
			for ceil*100 < pods*n {
				ceil++
			}
			for text, keeps := range map[string][2]int{fmt.Sprint(n): {n, max(0, pods-n)}, fmt.Sprintf("%d%%", n): {ceil, max(0, pods-ceil)}} {
				if got, ok := (Budget{MinAvailable: text, Expected: pods}).wanted(); !ok || got != keeps[0] {
					t.Errorf("minAvailable %s of %d keeps %d, want %d", text, pods, got, keeps[0])
				}
				if got, ok := (Budget{MaxUnavailable: text, Expected: pods}).wanted(); !ok || got != keeps[1] {
					t.Errorf("maxUnavailable %s of %d keeps %d, want %d", text, pods, got, keeps[1])
				}
				if (Budget{MinAvailable: text, Expected: pods}).never() != (keeps[0] >= pods) {
					t.Errorf("minAvailable %s of %d: never", text, pods)
				}
			}
		}
	}
	if (Budget{MinAvailable: "1"}).never() || (Budget{Expected: 3}).never() {
		t.Error("a budget of nothing, or that says nothing, holds nobody up")
	}
}

func TestImages(t *testing.T) {
	for image, want := range map[string]found{
		"public.ecr.aws/karpenter/controller:1.6.0@sha256:1":                                     {"karpenter", "n", "1.6.0", 1, 6},
		"registry.k8s.io/autoscaling/cluster-autoscaler:v1.32.1":                                 {"cluster-autoscaler", "n", "v1.32.1", 1, 32},
		"localhost:5000/quay/cert-manager-controller:v1.21.2":                                    {"cert-manager", "n", "v1.21.2", 1, 21},
		"602401143452.dkr.ecr.eu-west-1.amazonaws.com/eks/kube-proxy:v1.33.3-minimal-eksbuild.4": {"kube-proxy", "n", "v1.33.3-minimal-eksbuild.4", 1, 33},
		"602401143452.dkr.ecr.eu-west-1.amazonaws.com/amazon-k8s-cni:v1.20.1":                    {"vpc-cni", "n", "v1.20.1", 1, 20},
		"registry.k8s.io/ingress-nginx/controller@sha256:1":                                      {"ingress-nginx", "n", "", -1, -1},
		"example.com:5000/cluster-autoscaler":                                                    {"cluster-autoscaler", "n", "", -1, -1},
		"example.com/cluster-autoscaler:latest":                                                  {"cluster-autoscaler", "n", "latest", -1, -1},
		"example.com/my-cluster-autoscaler:v1.2.3":                                               {},
		"example.com/amazon-k8s-cni-init:v1.20.1":                                                {},
	} {
		got := findComponents([]Pod{{Namespace: "n", Images: []string{image, image}}, {Namespace: "n", Images: []string{image}}})
		if want.component == "" != (len(got) == 0) || len(got) > 1 || len(got) == 1 && got[0] != want {
			t.Errorf("%s: %+v", image, got)
		}
	}
	for version, want := range map[string]fleet.Minor{"0.34": 29, "0.35": 30, "1.0": 31, "1.2": 32, "1.5": 33, "1.6": 34, "1.8": 34, "1.9": 35, "1.11": 35, "1.12": 0, "2.0": 0} {
		major, minor := release(version)
		if got, ok := karpenterUpTo(major, minor); got != want || ok != (want > 0) {
			t.Errorf("Karpenter %s: %s", version, got)
		}
	}
	for version, want := range map[string]fleet.Minor{"v1.17.0": 33, "v1.18.2": 33, "v1.19.0": 35, "v1.20.1": 35, "v1.21.0": 36, "v1.22.0": 0, "canary": 0} {
		major, minor := release(version)
		if got, ok := certManagerUpTo(major, minor); got != want || ok != (want > 0) {
			t.Errorf("cert-manager %s: %s", version, got)
		}
	}
}

// TestPodsPerNode: five pods on two nodes are three for each successor; pods of DaemonSets do not move, and nodes of other groups
// do not count.
func TestPodsPerNode(t *testing.T) {
	c := &cluster{}
	c.o.EKS.Nodes = []upgradepath.Node{{Name: "a", Group: "g"}, {Name: "b", Group: "g"}, {Name: "c", Group: "other"}}
	for i, node := range []string{"a", "a", "a", "a", "b", "c", "c"} {
		c.o.Pods = append(c.o.Pods, Pod{Name: fmt.Sprint(i), Node: node, OwnerKind: "Deployment"})
	}
	c.o.Pods = append(c.o.Pods, Pod{Node: "a", OwnerKind: "DaemonSet"})
	l := newLook(testNow, c.o, c.p)
	if l.podsPerNode("g") != 3 || l.podsPerNode("other") != 2 || l.podsPerNode("empty") != 0 {
		t.Errorf("%d, %d, %d", l.podsPerNode("g"), l.podsPerNode("other"), l.podsPerNode("empty"))
	}
}

// TestInsights: how old a request may be, to the second, and what of an insight counts.
func TestInsights(t *testing.T) {
	deprecation := func(stop fleet.Minor, ago ...time.Duration) Deprecation {
		d := Deprecation{Usage: "/apis/x/v1beta1/y", StopServing: stop}
		for _, a := range ago {
			d.Clients = append(d.Clients, Client{UserAgent: "c", LastRequest: testNow.Add(-a)})
		}
		return d
	}
	day := 24 * time.Hour
	for name, x := range map[string]struct {
		list   []Deprecation
		blocks bool
	}{
		"just a day ago":                        {[]Deprecation{deprecation(34, day)}, true},
		"a second more":                         {[]Deprecation{deprecation(34, day+time.Second)}, false},
		"one of two":                            {[]Deprecation{deprecation(34, 2*day, time.Hour)}, true},
		"one of two APIs":                       {[]Deprecation{deprecation(34, 2*day), deprecation(34, time.Hour)}, true},
		"the other API goes later":              {[]Deprecation{deprecation(34, 2*day), deprecation(36, time.Hour)}, false},
		"all APIs go later, and EKS says ERROR": {[]Deprecation{deprecation(36, 2*day)}, true},
		"no client is named":                    {[]Deprecation{deprecation(34)}, true},
		"nothing is said of APIs":               {nil, true},
	} {
		c := base(1)
		c.o.Insights = append(c.o.Insights, Insight{Name: "APIs", Category: "UPGRADE_READINESS", Status: "ERROR", Version: 34, LastRefresh: testNow, Deprecations: x.list})
		r := Check(testNow, c.o, c.p)
		if f := finding(r, "CP06"); f.Blocks() != x.blocks {
			t.Errorf("%s: blocks %t", name, f.Blocks())
		}
		if f := finding(r, "API09"); (f.Status == Fail) == x.blocks {
			t.Errorf("%s: %s %q", name, f.Status, f.Evidence)
		}
	}
	c := base(1)
	c.o.Insights = append(c.o.Insights, Insight{Name: "later", Category: "UPGRADE_READINESS", Status: "ERROR", Version: 35, LastRefresh: testNow})
	if f := finding(Check(testNow, c.o, c.p), "CP06"); f.Blocks() {
		t.Errorf("an insight of a later minor blocks: %q", f.Evidence)
	}
}

// TestAddresses: what the VPC CNI's settings make of a node with ten pods.
func TestAddresses(t *testing.T) {
	m := Machine{IPsPerInterface: 15, Interfaces: 4}
	for settings, want := range map[string][2]int{
		"": {11, 30}, "WARM_IP_TARGET=5": {11, 16}, "MINIMUM_IP_TARGET=20": {11, 21}, "ENABLE_PREFIX_DELEGATION=true": {17, 33}, "AWS_VPC_K8S_CNI_CUSTOM_NETWORK_CFG=true": {1, 1},
	} {
		env := map[string]string{}
		if k, v, ok := strings.Cut(settings, "="); ok {
			env[k] = v
		}
		c := &cluster{}
		c.o.Workloads = []Workload{{Kind: "DaemonSet", Namespace: "kube-system", Name: "aws-node", Env: env}}
		least, usual := newLook(testNow, c.o, c.p).addresses(m, 10)
		if least != want[0] || usual != want[1] {
			t.Errorf("%s: %d, %d", settings, least, usual)
		}
	}
}
