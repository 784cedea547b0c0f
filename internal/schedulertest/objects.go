package schedulertest

import (
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/ekspedite/ekspedite/shared/decide/packing"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Node is a node of a problem as a Kubernetes object.
func Node(n packing.Node) *corev1.Node {
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: n.Name, UID: types.UID("node-" + n.Name), Labels: n.Labels},
		Spec:       corev1.NodeSpec{Unschedulable: n.Closed},
		Status:     corev1.NodeStatus{Allocatable: amounts(n.Allocatable)},
	}
	node.Status.Allocatable[corev1.ResourcePods] = *resource.NewQuantity(int64(n.MaxPods), resource.DecimalSI)
	for _, t := range n.Taints {
		node.Spec.Taints = append(node.Spec.Taints, corev1.Taint{Key: t.Key, Value: t.Value, Effect: corev1.TaintEffect(t.Effect)})
	}
	return node
}

// Made is a new node of a solution as a node that has joined under a name.
func Made(p packing.Problem, n packing.NewNode, name string) packing.Node {
	t, pool := p.Types[n.Type], p.Pools[n.Pool]
	return packing.Node{
		Name: name, Labels: labels(p, pool, t, t.Offerings[n.Offering], name), Taints: pool.Taints,
		Allocatable: t.Allocatable, MaxPods: t.MaxPods, AttachLimit: t.AttachLimit,
	}
}

// labels are those of a new node: what follows from its type and offering, and over it what the pool says.
func labels(p packing.Problem, pool packing.Pool, t packing.Type, o packing.Offering, name string) map[string]string {
	all := map[string]string{fleet.LabelOS: "linux"}
	maps.Copy(all, t.Labels)
	maps.Copy(all, map[string]string{
		fleet.LabelArch: t.Arch, fleet.LabelInstanceType: t.Name, fleet.LabelZone: o.Zone, fleet.LabelHostname: name,
	})
	kinds := p.Options.CapacityLabels
	if kinds == nil {
		kinds = []packing.CapacityLabel{
			{Key: fleet.LabelEKSCapacity, OnDemand: fleet.OnDemand, Spot: fleet.Spot},
			{Key: fleet.LabelKarpenterKind, OnDemand: "on-demand", Spot: "spot"},
		}
	}
	for _, k := range kinds {
		all[k.Key] = k.OnDemand
		if o.Capacity == fleet.Spot {
			all[k.Key] = k.Spot
		}
	}
	maps.Copy(all, pool.Labels)
	return all
}

// Pod is a pod as a Kubernetes object, bound if it names a node.
func Pod(p fleet.Pod) *corev1.Pod {
	var d fleet.Demand
	if p.Demand != nil {
		d = *p.Demand
	}
	main := corev1.Container{Name: "main", Image: "main", Resources: corev1.ResourceRequirements{Requests: amounts(d.Requests)}}
	for _, h := range d.HostPorts {
		protocol := corev1.Protocol(h.Protocol)
		if protocol == "" {
			protocol = corev1.ProtocolTCP
		}
		main.Ports = append(main.Ports, corev1.ContainerPort{ContainerPort: h.Port, HostPort: h.Port, Protocol: protocol, HostIP: h.IP})
	}
	priority := p.Priority
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: p.Namespace, Name: p.Name, UID: types.UID(p.ID()), Labels: p.Labels},
		Spec: corev1.PodSpec{
			NodeName: p.Node, Containers: []corev1.Container{main}, Priority: &priority,
			NodeSelector: d.NodeSelector, Affinity: affinity(d), TopologySpreadConstraints: spread(d),
		},
	}
	if p.Deleting {
		then := metav1.Unix(1, 0)
		pod.DeletionTimestamp = &then
	}
	for _, t := range p.Tolerations {
		pod.Spec.Tolerations = append(pod.Spec.Tolerations, corev1.Toleration{
			Key: t.Key, Operator: corev1.TolerationOperator(t.Operator), Value: t.Value, Effect: corev1.TaintEffect(t.Effect),
		})
	}
	for i, v := range d.Volumes {
		_, claim := split(v.ID)
		pod.Spec.Volumes = append(pod.Spec.Volumes, corev1.Volume{Name: fmt.Sprint("v", i), VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: claim},
		}})
	}
	return pod
}

// daemonTolerations are what the DaemonSet controller adds to its pods' own.
// https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/#taints-and-tolerations
var daemonTolerations = []string{
	corev1.TaintNodeNotReady, corev1.TaintNodeUnreachable, corev1.TaintNodeDiskPressure, corev1.TaintNodeMemoryPressure,
	corev1.TaintNodePIDPressure, corev1.TaintNodeUnschedulable,
}

// DaemonPod is the pod that a DaemonSet puts onto a node.
func DaemonPod(d fleet.Daemon, node string) fleet.Pod {
	pod := fleet.Pod{
		Namespace: d.Namespace, Name: d.Name + "-on-" + node, Labels: d.Labels, Demand: &d.Demand,
		Owner: fleet.Owner{Kind: "DaemonSet", Name: d.Name}, Tolerations: append([]fleet.Toleration{}, d.Tolerations...),
	}
	for _, key := range daemonTolerations {
		pod.Tolerations = append(pod.Tolerations, fleet.Toleration{Key: key, Operator: "Exists"})
	}
	return pod
}

func amounts(r fleet.Resources) corev1.ResourceList {
	list := corev1.ResourceList{}
	if r.CPU > 0 {
		list[corev1.ResourceCPU] = *resource.NewMilliQuantity(r.CPU, resource.DecimalSI)
	}
	if r.Memory > 0 {
		list[corev1.ResourceMemory] = *resource.NewQuantity(r.Memory, resource.BinarySI)
	}
	if r.Storage > 0 {
		list[corev1.ResourceEphemeralStorage] = *resource.NewQuantity(r.Storage, resource.BinarySI)
	}
	for name, n := range r.Other {
		list[corev1.ResourceName(name)] = *resource.NewQuantity(n, resource.DecimalSI)
	}
	return list
}
