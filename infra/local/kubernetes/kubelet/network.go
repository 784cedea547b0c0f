package kubelet

import (
	"context"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A machine of EKS is ready only when the VPC CNI's pod, aws-node, is: it brings the network. By then the pods of the
// system's daemons have their places, which others would else take, to be preempted a moment later.

const (
	cniDaemon = "aws-node"
	cniImage  = "amazon-k8s-cni"
	// cniPatience is for clusters in which aws-node is there and kept off the machine, as those have it that use another
	// network: this stand-in would not know theirs.
	cniPatience = 20 * time.Second
)

// awaitsNetwork tells whether a machine that registers must wait for aws-node.
func (k *Kubelets) awaitsNetwork(ctx context.Context, m *Machine) (bool, error) {
	if m.Labels[corev1.LabelOSStable] == "windows" || m.Labels["eks.amazonaws.com/compute-type"] == "fargate" {
		return false, nil // aws-node is not for them
	}
	if node, err := k.nodes.Lister().Get(m.Name); err == nil && node.Spec.ProviderID == m.ProviderID && !cniMissing(node) {
		return false, nil // a kubelet that starts again finds the network that it had
	}
	_, err := k.client.AppsV1().DaemonSets(metav1.NamespaceSystem).Get(ctx, cniDaemon, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	return err == nil, err
}

const notReady = "KubeletNotReady"

// cniMissing tells whether the Node's own kubelet said that it is not ready.
func cniMissing(n *corev1.Node) bool {
	return slices.ContainsFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Reason == notReady
	})
}

// networkComes notes that the machine's network is there once a pod of the CNI is ready on it. It tells whether that is news.
// k.mu is held.
func (e *entry) networkComes(pod *corev1.Pod) bool {
	if e.network {
		return false
	}
	for _, c := range pod.Spec.Containers {
		if strings.Contains(c.Image, cniImage) {
			e.network, e.reportedAt = true, time.Time{}
			return true
		}
	}
	return false
}
