package eks

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
)

// TestPhasesOfARollingUpdate holds the order that EKS documents: with the default strategy the new machines come first, then all old
// nodes are set aside, then one after another is drained (and cordoned again); with MINIMAL nothing comes first.
func TestPhasesOfARollingUpdate(t *testing.T) {
	for strategy, want := range map[string]struct {
		most  int // machines at once
		order string
	}{"DEFAULT": {2 + 4, "put put put put cordon cordon cordon evict"}, "MINIMAL": {2, "cordon evict"}} {
		t.Run(strategy, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t)
				r.mustCluster()
				r.mustNodegroup()
				g := r.clusters["c"].nodegroups["ng"]
				r.updateEnds(r.updateNodegroupConfig(t.Context(), asAdmin(), &updateNodegroupConfigIn{ClusterName: "c", NodegroupName: "ng", UpdateConfig: &updateConfig{UpdateStrategy: strategy}}))
				var mu sync.Mutex
				before, most := r.plane().said(), 0
				r.ec2.mu.Lock()
				r.ec2.listeners = append(r.ec2.listeners, func(Instance) {
					group, _ := r.ec2.Group(g.groupName())
					mu.Lock()
					defer mu.Unlock()
					most = max(most, group.Desired)
				})
				r.ec2.mu.Unlock()
				r.succeed(r.nodes("1.35"))
				mu.Lock()
				defer mu.Unlock()
				if most != want.most {
					t.Errorf("%d machines at once, want %d", most, want.most)
				}
				var order []string
				for _, e := range r.plane().said()[len(before):] {
					what, _, _ := strings.Cut(e, " ")
					if what == "evicted" { // by then all is said
						order = append(order, "evict")
						break
					}
					order = append(order, what)
				}
				if got := strings.Join(order, " "); got != want.order {
					t.Errorf("%s, want %s", got, want.order)
				}
			})
		})
	}
}

// A surge that stays out of one of the group's zones does not let the update go on.
func TestTheSurgeMustReachEveryZone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.mustCluster()
		r.mustNodegroup()
		r.ec2.only(true)
		u, err := r.nodes("1.35")
		r.failsWith(nodeCreation, u, err)
		r.ec2.only(false)
		r.succeed(r.nodes("1.35"))
	})
}

// What a node says of its image is the image's.
func TestNodesSayWhatTheyRun(t *testing.T) {
	for ami, want := range map[string][]string{
		"AL2_x86_64":               {"Amazon Linux 2", "5.10.", "containerd://1.7.", "v1.32.13-eks-"},
		"AL2023_x86_64_STANDARD":   {"Amazon Linux 2023.9.20261112", "6.1.", "containerd://1.7.", "v1.32.13-eks-20261112"},
		"BOTTLEROCKET_x86_64":      {"Bottlerocket OS 1.51.0 (aws-k8s-1.32)", "6.1.", "containerd://1.7.", "v1.32.13-eks-"},
		"WINDOWS_CORE_2022_x86_64": {"Windows Server 2022 Datacenter", "10.0.20348", "containerd://1.7.", "v1.32.13-eks-"},
	} {
		r, _ := findRelease("1.32")
		var n Node
		n.describe(ami, "1.32", new(Service).latest(r, ami), r)
		got := []string{n.OSImage, n.KernelVersion, n.ContainerRuntimeVersion, n.KubeletVersion}
		if !slices.EqualFunc(got, want, strings.HasPrefix) {
			t.Errorf("%s: %q, want %q", ami, got, want)
		}
	}
	// An older release of the image has its own patch of the kubelet, and newer minors a newer containerd.
	r, _ := findRelease("1.36")
	var n Node
	n.describe("AL2023_ARM_64_STANDARD", "1.36", "1.36.5-20261015", r)
	if n.KubeletVersion != "v1.36.5-eks-20261015" || n.OSImage != "Amazon Linux 2023.9.20261015" || n.ContainerRuntimeVersion != ctrd2 {
		t.Errorf("%+v", n)
	}
}

// A machine outside managed node groups has the kubelet of its image, which need not be the cluster's version.
func TestOwnMachinesRunWhatIsOnTheirImage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.mustCluster()
		r.mustNodegroup() // whose role lets machines in
		kubelet := func(id, image string) string {
			t.Helper()
			name := id + ".ec2.internal"
			r.instanceChanged(Instance{ID: id, Type: "m5.large", AZ: "us-east-1a", SubnetID: "subnet-a", VPCID: "vpc-1", PrivateIP: "10.0.1.1", PrivateDNSName: name,
				State: "running", ImageID: image, Tags: map[string]string{"kubernetes.io/cluster/c": "owned"}})
			r.until(func() bool { return r.machines[id].registered })
			r.plane().mu.Lock()
			defer r.plane().mu.Unlock()
			return r.plane().nodes[name].KubeletVersion
		}
		for n, want := range []struct{ image, kubelet string }{{publicImage("1.34"), "v1.34.13-eks-20261112"}, {publicImage("1.37"), "v1.35."}, {"ami-of-mine", "v1.35."}} {
			if got := kubelet("i-own"+string(rune('a'+n)), want.image); !strings.HasPrefix(got, want.kubelet) {
				t.Errorf("%s: %s, want %s", want.image, got, want.kubelet)
			}
		}
	})
}
