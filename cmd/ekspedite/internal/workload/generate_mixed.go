package workload

import (
	"fmt"
	"math"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// mixed draws deployments until there are enough pods: their sizes by a Pareto distribution, and of each a few per cent of
// what real fleets ask for.
func (m *maker) mixed() {
	gpus := m.Types / 23
	m.catalogue(m.Types-gpus, gpus)
	m.file.NodePools = []NodePool{
		{Name: "general", Requirements: []fleet.Requirement{{Key: "instance-category", Operator: "NotIn", Values: []string{"g"}}}},
		{Name: "gpu", Requirements: []fleet.Requirement{{Key: "instance-category", Operator: "In", Values: []string{"g"}}}, Taints: []fleet.Taint{{Key: gpu, Value: "true", Effect: "NoSchedule"}}},
	}
	everywhere := []Toleration{{Toleration: fleet.Toleration{Operator: "Exists"}}}
	for _, d := range []PodSpec{
		{Owner: "aws-node", CPUMilli: 50, MemMiB: 64}, {Owner: "kube-proxy", CPUMilli: 100, MemMiB: 64}, {Owner: "ebs-csi-node", CPUMilli: 30, MemMiB: 120},
	} {
		d.Tolerations = everywhere
		m.file.DaemonPods = append(m.file.DaemonPods, Pod{Name: d.Owner, PodSpec: &d})
	}
	for d := 0; len(m.file.Pods) < m.Pods; d++ {
		replicas := int(math.Min(600, 1.2*math.Pow(1-m.rand.Float64(), -1/0.9)))
		m.deployment(fmt.Sprintf("app-%04d", d), min(replicas, m.Pods-len(m.file.Pods)))
	}
}

// shapes of pods in thousandths of a core and MiB.
var shapes = [][2]int64{
	{100, 128}, {100, 256}, {250, 256}, {250, 512}, {250, 1024}, {500, 512}, {500, 1024}, {500, 2048}, {1000, 1024}, {1000, 2048}, {1000, 4096},
	{1000, 8192}, {2000, 2048}, {2000, 4096}, {2000, 8192}, {2000, 16384}, {3000, 12288}, {4000, 8192}, {4000, 16384}, {8000, 16384}, {8000, 32768},
}

func (m *maker) deployment(name string, replicas int) {
	size := pick(m, shapes...)
	s := &PodSpec{Owner: name, Labels: map[string]string{"app": name}, CPUMilli: size[0], MemMiB: size[1], NodeSelector: map[string]string{}}
	chance := func(p float64) bool { return m.rand.Float64() < p }
	if m.Types >= 46 && chance(0.006) {
		s.CPUMilli, s.MemMiB, s.GPUs = 3000, 12288, 1
		s.NodeSelector[fleet.LabelArch] = "amd64"
		s.Tolerations = []Toleration{{Toleration: fleet.Toleration{Key: gpu, Operator: "Exists", Effect: "NoSchedule"}}}
		m.pods(s, min(replicas, 8))
		return
	}
	switch r := m.rand.Float64(); {
	case r < 0.50:
		s.NodeSelector[fleet.LabelArch] = "amd64"
	case r < 0.65:
		s.NodeSelector[fleet.LabelArch] = "arm64"
	}
	if chance(0.2) {
		s.NodeSelector[fleet.LabelKarpenterKind] = onDemand
	}
	switch r := m.rand.Float64(); {
	case r < 0.10:
		s.TopologySpread = []Spread{spreadBy(fleet.LabelZone, 1, s.Labels), spreadBy(fleet.LabelHostname, 3, s.Labels)}
	case r < 0.40:
		s.TopologySpread = []Spread{spreadBy(fleet.LabelZone, 1, s.Labels)}
	case r < 0.45:
		s.PodAntiAffinity = near(fleet.LabelHostname, s.Labels)
		replicas = min(replicas, 30)
	case r < 0.47:
		s.PodAffinity = near(fleet.LabelZone, s.Labels)
	case r < 0.53: // a volume holds each pod in its zone
		for i := range replicas {
			pod := *s
			pod.NodeSelector = map[string]string{fleet.LabelZone: pick(m, zones...)}
			for k, v := range s.NodeSelector {
				pod.NodeSelector[k] = v
			}
			m.file.Pods = append(m.file.Pods, Pod{Name: fmt.Sprintf("%s-%04d", name, i), PodSpec: &pod})
		}
		return
	}
	m.pods(s, replicas)
}
