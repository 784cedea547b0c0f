package eks

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestFargateGivesAPodItsMachine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.mustCluster()
		if _, err := r.createAddon(t.Context(), asAdmin(), &createAddonIn{ClusterName: "c", AddonName: "coredns"}); err != nil {
			t.Fatal(err)
		}
		r.until(func() bool { return r.clusters["c"].addons["coredns"].status == degraded })
		if _, err := r.createFargate(t.Context(), asAdmin(), fargateInput("web")); err != nil {
			t.Fatal(err)
		}
		r.until(func() bool { return r.clusters["c"].fargate["web"].status == active })
		start := time.Now()
		r.until(func() bool { m := r.clusters["c"].fargateMachines["uid-web"]; return m != nil && m.ready })
		if took := time.Since(start); took != r.w.Profile.InstancePending+r.w.Profile.NodeRegister {
			t.Errorf("it took %s", took)
		}
		synctest.Wait()
		name := r.clusters["c"].fargateMachines["uid-web"].node.Name
		n := r.plane().nodes[name]
		if !strings.HasPrefix(name, "fargate-ip-192-168-") || n.Labels["topology.kubernetes.io/zone"] != "us-east-1a" || n.Capacity["cpu"] != "500m" || n.Capacity["pods"] != "1" || n.Taints[0] != (NodeTaint{fargateLabel, "fargate", "NoSchedule"}) {
			t.Errorf("node %+v", n)
		}
		if r.plane().saw("bind "+name) == 0 {
			t.Errorf("events %v", r.plane().events)
		}
		if got := r.clusters["c"].addons["coredns"].status; got != active {
			t.Errorf("coredns is %s", got)
		}

		// The machine outlives its control plane.
		former := r.plane()
		close(former.done)
		r.until(func() bool { m := r.clusters["c"].fargateMachines["uid-web"]; return m.ready && m.plane != former })
		synctest.Wait()
		if _, there := r.plane().nodes[name]; !there {
			t.Errorf("events %v", r.plane().events)
		}

		if _, err := r.deleteFargate(t.Context(), asAdmin(), &fargateName{"c", "web"}); err != nil {
			t.Fatal(err)
		}
		r.until(func() bool { return r.clusters["c"].fargate["web"] == nil })
		synctest.Wait()
		if len(r.plane().nodes) != 0 || len(r.clusters["c"].fargateMachines) != 0 {
			t.Errorf("machines stay: %v", r.plane().nodes)
		}
	})
}

func TestFargateSizes(t *testing.T) {
	for _, tc := range []struct{ cpu, memory, wantCPU, wantMemory float64 }{
		{0, 0.25, 0.25, 0.5}, {0.25, 0.7, 0.25, 1}, {0.25, 2.1, 0.5, 3}, {0.3, 0.3, 0.5, 1}, {1, 8.5, 2, 9}, {4, 31, 8, 32}, {16, 100, 16, 104}, {20, 200, 16, 120},
	} {
		if cpu, memory := fargateSize(tc.cpu, tc.memory); cpu != tc.wantCPU || memory != tc.wantMemory {
			t.Errorf("%v cores and %v GiB: %v and %v, want %v and %v", tc.cpu, tc.memory, cpu, memory, tc.wantCPU, tc.wantMemory)
		}
	}
	for text, want := range map[string]float64{"100m": 0.1, "2": 2, "1Gi": 1 << 30, "1.5G": 1.5e9, "64Mi": 64 << 20, "": 0} {
		if got := quantity(text); got != want {
			t.Errorf("%q is %v, want %v", text, got, want)
		}
	}
}

func TestFargateRules(t *testing.T) {
	r := FargateRules{"p", []FargateSelector{{"web-?", map[string]string{"tier": "front*", "app": "x"}}, {"batch", nil}}}
	for _, tc := range []struct {
		namespace string
		labels    map[string]string
		want      bool
	}{
		{"web-a", map[string]string{"tier": "frontend", "app": "x", "more": "y"}, true}, {"web-a", map[string]string{"tier": "frontend"}, false},
		{"web-ab", map[string]string{"tier": "front", "app": "x"}, false}, {"batch", nil, true}, {"default", nil, false},
	} {
		if got := r.match(FargatePod{Namespace: tc.namespace, Labels: tc.labels}); got != tc.want {
			t.Errorf("%s %v: %t", tc.namespace, tc.labels, got)
		}
	}
	got := r.expression()
	for _, part := range []string{`request.namespace.matches("^web-.$")`, `"tier" in object.metadata.labels && object.metadata.labels["tier"].matches("^front.*$")`, `|| (request.namespace.matches("^batch$"))`} {
		if !strings.Contains(got, part) {
			t.Errorf("%s lacks %s", got, part)
		}
	}
}
