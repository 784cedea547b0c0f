package kubelet

import (
	"cmp"
	"maps"
	"strconv"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// annotationPodCIDR remembers on the Node which addresses its pods get, so that the ranges stay apart when the stand-in
// starts again and machines arrive in another order.
const annotationPodCIDR = "ekspedite.dev/pod-cidr"

// newNode is the Node as a kubelet registers it.
func newNode(m *Machine, defaultVersion, podCIDR string, network bool, now time.Time) *corev1.Node {
	labels := m.defaultLabels()
	maps.Copy(labels, m.Labels)
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{
			Name:        m.Name,
			Labels:      labels,
			Annotations: map[string]string{annotationPodCIDR: podCIDR},
		},
		Spec:   corev1.NodeSpec{ProviderID: m.ProviderID, Taints: m.Taints},
		Status: nodeStatus(m, defaultVersion, network, nil, now),
	}
}

// nodeStatus is what the kubelet reports; without a network it is not ready. Transition times are kept from the present
// conditions where nothing changed.
func nodeStatus(m *Machine, defaultVersion string, network bool, present []corev1.NodeCondition, now time.Time) corev1.NodeStatus {
	version := m.KubeletVersion
	if version == "" {
		version = defaultVersion
	}
	architecture := m.defaultLabels()[corev1.LabelArchStable]
	status := corev1.NodeStatus{
		Capacity:    m.capacity,
		Allocatable: m.allocatable,
		Phase:       corev1.NodeRunning,
		Addresses: []corev1.NodeAddress{
			{Type: corev1.NodeInternalIP, Address: m.InternalIP},
			{Type: corev1.NodeHostName, Address: m.Name},
			{Type: corev1.NodeInternalDNS, Address: m.Name},
		},
		NodeInfo: corev1.NodeSystemInfo{
			MachineID:               m.ProviderID,
			SystemUUID:              m.ProviderID,
			BootID:                  m.ProviderID,
			KernelVersion:           cmp.Or(m.KernelVersion, "6.12.0-ekspedite"),
			OSImage:                 cmp.Or(m.OSImage, "Amazon Linux 2023 (ekspedite stand-in)"),
			ContainerRuntimeVersion: cmp.Or(m.ContainerRuntimeVersion, "containerd://2.1.0"),
			KubeletVersion:          version,
			KubeProxyVersion:        proxyVersion(version),
			OperatingSystem:         m.defaultLabels()[corev1.LabelOSStable],
			Architecture:            architecture,
		},
	}
	stamp := metav1.NewTime(now)
	ready := corev1.NodeCondition{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady", Message: "kubelet is posting ready status"}
	if !network {
		ready.Status, ready.Reason = corev1.ConditionFalse, notReady
		ready.Message = "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:Network plugin returns error: cni plugin not initialized"
	}
	for _, c := range []corev1.NodeCondition{
		{Type: corev1.NodeMemoryPressure, Status: corev1.ConditionFalse, Reason: "KubeletHasSufficientMemory", Message: "kubelet has sufficient memory available"},
		{Type: corev1.NodeDiskPressure, Status: corev1.ConditionFalse, Reason: "KubeletHasNoDiskPressure", Message: "kubelet has no disk pressure"},
		{Type: corev1.NodePIDPressure, Status: corev1.ConditionFalse, Reason: "KubeletHasSufficientPID", Message: "kubelet has sufficient PID available"},
		ready,
	} {
		c.LastHeartbeatTime, c.LastTransitionTime = stamp, stamp
		for _, p := range present {
			if p.Type == c.Type && p.Status == c.Status {
				c.LastTransitionTime = p.LastTransitionTime
			}
		}
		status.Conditions = append(status.Conditions, c)
	}
	return status
}

// silentOnProxy is the first minor whose kubelets say nothing of kube-proxy: DisableNodeKubeProxyVersion is on by default.
const silentOnProxy = 33

// proxyVersion is what a kubelet says of kube-proxy: its own version, as long as it says something.
func proxyVersion(kubelet string) string {
	parts := strings.SplitN(kubelet, ".", 3)
	if len(parts) < 3 {
		return kubelet
	}
	if minor, err := strconv.Atoi(parts[1]); err != nil || minor >= silentOnProxy {
		return ""
	}
	return kubelet
}

// reportsHealthy tells whether the Node's conditions are those that a working kubelet reports. They are not after the
// node lifecycle controller has found the kubelet silent.
func reportsHealthy(n *corev1.Node) bool {
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// leaseDuration and renewInterval are the real kubelet's: the lease says 40 s and is renewed after a quarter of it.
const (
	leaseDuration = 40 * time.Second
	renewInterval = 10 * time.Second
	// reportInterval is how often the whole status is posted although nothing changed.
	reportInterval = 5 * time.Minute
)

func newLease(node *corev1.Node, now time.Time) *coordinationv1.Lease {
	return &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{
			Name:      node.Name,
			Namespace: corev1.NamespaceNodeLease,
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: "v1", Kind: "Node", Name: node.Name, UID: node.UID,
			}},
		},
		Spec: coordinationv1.LeaseSpec{
			HolderIdentity:       ptr.To(node.Name),
			LeaseDurationSeconds: ptr.To(int32(leaseDuration / time.Second)),
			RenewTime:            ptr.To(metav1.NewMicroTime(now)),
		},
	}
}
