package workload

import (
	"maps"

	"github.com/ekspedite/ekspedite/shared/decide/packing"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// capacityLabels are those that count where a problem names none: EKS's and Karpenter's.
var capacityLabels = []packing.CapacityLabel{
	{Key: fleet.LabelEKSCapacity, OnDemand: fleet.OnDemand, Spot: fleet.Spot},
	{Key: fleet.LabelKarpenterKind, OnDemand: onDemand, Spot: spot},
}

// nodeLabels are those of a node of a type: well-known ones, the type's, and the pool's on top.
func nodeLabels(name string, t packing.Type, pool map[string]string, zone, capacity string, capacities []packing.CapacityLabel) map[string]string {
	out := map[string]string{
		fleet.LabelHostname: name, fleet.LabelInstanceType: t.Name, fleet.LabelArch: t.Arch, fleet.LabelOS: "linux", fleet.LabelZone: zone,
	}
	if capacities == nil {
		capacities = capacityLabels
	}
	for _, l := range capacities {
		out[l.Key] = l.OnDemand
		if capacity == fleet.Spot {
			out[l.Key] = l.Spot
		}
	}
	maps.Copy(out, t.Labels)
	maps.Copy(out, pool)
	return out
}

// runsOn tells whether a DaemonSet has a pod on a node.
func runsOn(d *fleet.Daemon, name string, labels map[string]string, taints []fleet.Taint) bool {
	_, ok := tolerates(d.Tolerations, taints)
	return ok && wantsNode(&d.Demand, name, labels)
}

// daemonPod is a DaemonSet's pod on a node.
func daemonPod(d *fleet.Daemon, node string) fleet.Pod {
	return fleet.Pod{
		Namespace: d.Namespace, Name: d.Name + "-" + node, Labels: d.Labels, Tolerations: d.Tolerations,
		Owner: fleet.Owner{Kind: "DaemonSet", Name: d.Name}, Phase: "Running", Node: node, Demand: &d.Demand,
	}
}
