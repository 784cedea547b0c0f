package kubelet

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/utils/ptr"
)

// adoptRanges reserves the pod ranges of Nodes that were registered in an earlier life, before any machine could be
// given one of them anew.
func (k *Kubelets) adoptRanges() {
	nodes, _ := k.nodes.Lister().List(labels.Everything())
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, n := range nodes {
		k.ranges.claim(n.Annotations[annotationPodCIDR], n.Name)
	}
}

// syncNode registers the machine's Node, or keeps a registered one alive.
func (k *Kubelets) syncNode(ctx context.Context, name string) (time.Duration, error) {
	k.mu.Lock()
	e := k.machines[name]
	k.mu.Unlock()
	if e == nil {
		return 0, nil
	}
	e.busy.Lock()
	defer e.busy.Unlock()

	k.mu.Lock()
	current, machine, state := k.machines[name] == e, e.machine, e.state
	wait := time.Until(e.registerAt)
	k.mu.Unlock()
	switch {
	case !current:
		// Deleted or replaced while this waited; whoever did so has seen to the rest.
		return 0, nil
	case state == Stopped:
		return 0, nil
	case state == Registering && wait > 0:
		return wait, nil
	case state == Registering:
		err := k.prepareNetwork(ctx, e, machine)
		if err == nil {
			err = k.register(ctx, e, machine)
		}
		k.mu.Lock()
		e.err = err
		if err == nil && e.state == Registering && e.machine == machine {
			e.state, e.reportedAt = Running, time.Now()
		}
		k.mu.Unlock()
		if err != nil {
			return 0, fmt.Errorf("register node %s: %w", name, err)
		}
		k.enqueuePods(name)
	default:
		if err := k.heartbeat(ctx, e, machine); err != nil {
			return 0, fmt.Errorf("heartbeat of node %s: %w", name, err)
		}
	}
	if by := k.networkDue(e); by > 0 {
		return by, nil
	}
	// A little jitter keeps hundreds of kubelets that started together from renewing together for ever.
	return renewInterval - rand.N(renewInterval/10), nil
}

// register makes the Node be there with this machine's provider ID and a fresh status. An existing Node of the same
// machine keeps its labels and taints: a cordon outlives the restart of a kubelet.
func (k *Kubelets) register(ctx context.Context, e *entry, m *Machine) error {
	nodes := k.client.CoreV1().Nodes()
	node, err := nodes.Get(ctx, m.Name, metav1.GetOptions{})
	exists := err == nil
	if err != nil && !apierrors.IsNotFound(err) {
		return err
	}
	if exists && node.Spec.ProviderID != m.ProviderID {
		// Another machine had this name. The cloud controller manager would delete its Node; this one registers anew.
		err := nodes.Delete(ctx, m.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &node.UID}})
		if err != nil && !apierrors.IsNotFound(err) {
			return err
		}
		exists = false
	}
	cidr, err := k.assignRange(e, node.Annotations[annotationPodCIDR], m.Name)
	if err != nil {
		return err
	}
	if exists {
		err = k.updateRegistered(ctx, node, m, cidr)
	} else {
		node, err = nodes.Create(ctx, newNode(m, k.version, cidr, k.connected(m.Name), time.Now()), metav1.CreateOptions{})
	}
	if err != nil {
		return err
	}
	return k.renewLease(ctx, node, m.Name)
}

// updateRegistered brings an existing Node of the same machine up to date, touching only what belongs to a kubelet.
func (k *Kubelets) updateRegistered(ctx context.Context, node *corev1.Node, m *Machine, cidr string) error {
	changed := node.DeepCopy()
	if changed.Labels == nil {
		changed.Labels = map[string]string{}
	}
	if changed.Annotations == nil {
		changed.Annotations = map[string]string{}
	}
	maps.Copy(changed.Labels, m.defaultLabels())
	changed.Annotations[annotationPodCIDR] = cidr
	if err := k.patchNode(ctx, node, changed); err != nil {
		return err
	}
	return k.patchStatus(ctx, node, m)
}

// prepareNetwork decides, when a machine first registers, whether its Node waits for the CNI.
func (k *Kubelets) prepareNetwork(ctx context.Context, e *entry, m *Machine) error {
	k.mu.Lock()
	decided := e.network || !e.networkBy.IsZero()
	k.mu.Unlock()
	if decided {
		return nil
	}
	waits, err := k.awaitsNetwork(ctx, m)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	e.network, e.networkBy = !waits, time.Now().Add(cniPatience)
	return nil
}

// networkDue is in how long the network is taken to be there at the latest; zero when it is.
func (k *Kubelets) networkDue(e *entry) time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	if e.network {
		return 0
	}
	return min(max(time.Until(e.networkBy), time.Millisecond), renewInterval)
}

func (k *Kubelets) assignRange(e *entry, present, name string) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !e.addresses.prefix.IsValid() {
		prefix, ok := k.ranges.claim(present, name)
		if !ok {
			var err error
			if prefix, err = k.ranges.assign(name); err != nil {
				return "", err
			}
		}
		e.addresses.prefix = prefix
		k.reserveAddresses(e, name)
	}
	return e.addresses.prefix.String(), nil
}

// reserveAddresses marks those that pods of an earlier life still have; k.mu is held.
func (k *Kubelets) reserveAddresses(e *entry, node string) {
	pods, _ := k.pods.Informer().GetIndexer().ByIndex(byNode, node)
	for _, obj := range pods {
		e.addresses.reserve(obj.(*corev1.Pod).Status.PodIP)
	}
}

func (k *Kubelets) enqueuePods(node string) {
	keys, _ := k.pods.Informer().GetIndexer().IndexKeys(byNode, node)
	for _, key := range keys {
		k.podQueue.Add(key)
	}
}

// heartbeat renews the lease, and posts the status when it is old or somebody has marked the Node unhealthy.
func (k *Kubelets) heartbeat(ctx context.Context, e *entry, m *Machine) error {
	node, err := k.nodes.Lister().Get(m.Name)
	if apierrors.IsNotFound(err) {
		// Somebody deleted the Node of a live machine. A kubelet does not register again until it is restarted.
		return nil
	}
	if err != nil {
		return err
	}
	if err := k.renewLease(ctx, node, m.Name); err != nil {
		return err
	}
	k.mu.Lock()
	if !e.network && !time.Now().Before(e.networkBy) {
		e.network, e.reportedAt = true, time.Time{}
	}
	stale, network := time.Since(e.reportedAt) > reportInterval, e.network
	k.mu.Unlock()
	if !stale && (reportsHealthy(node) || !network) {
		return nil
	}
	if err := k.patchStatus(ctx, node, m); err != nil {
		return err
	}
	k.mu.Lock()
	if e.machine == m && e.network == network { // else there is more to report by now
		e.reportedAt = time.Now()
	}
	k.mu.Unlock()
	// The node lifecycle controller has marked the pods not ready together with their node.
	k.enqueuePods(m.Name)
	return nil
}

func (k *Kubelets) renewLease(ctx context.Context, node *corev1.Node, name string) error {
	leases := k.client.CoordinationV1().Leases(corev1.NamespaceNodeLease)
	lease, err := leases.Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		_, err = leases.Create(ctx, newLease(node, time.Now()), metav1.CreateOptions{})
		return err
	}
	if err != nil {
		return err
	}
	fresh := newLease(node, time.Now())
	lease.Spec, lease.OwnerReferences = fresh.Spec, fresh.OwnerReferences
	_, err = leases.Update(ctx, lease, metav1.UpdateOptions{})
	return err
}

// patchStatus posts the kubelet's view of the Node. A patch, because the Node carries what others write there.
func (k *Kubelets) patchStatus(ctx context.Context, node *corev1.Node, m *Machine) error {
	changed := node.DeepCopy()
	status := nodeStatus(m, k.version, k.connected(m.Name), node.Status.Conditions, time.Now())
	changed.Status.Capacity, changed.Status.Allocatable = status.Capacity, status.Allocatable
	changed.Status.Addresses, changed.Status.NodeInfo = status.Addresses, status.NodeInfo
	changed.Status.Conditions = status.Conditions
	return k.patchNode(ctx, node, changed, "status")
}

func (k *Kubelets) patchNode(ctx context.Context, from, to *corev1.Node, subresource ...string) error {
	before, err := json.Marshal(from)
	if err != nil {
		return err
	}
	after, err := json.Marshal(to)
	if err != nil {
		return err
	}
	patch, err := strategicpatch.CreateTwoWayMergePatch(before, after, corev1.Node{})
	if err != nil || string(patch) == "{}" {
		return err
	}
	_, err = k.client.CoreV1().Nodes().Patch(ctx, from.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, subresource...)
	if apierrors.IsNotFound(err) {
		return nil // Deleted meanwhile; the next heartbeat sees it.
	}
	return err
}

// deleteForGood is how a kubelet removes the object of a pod whose containers are gone. The UID keeps a pod that took
// the name over alive.
func deleteForGood(uid types.UID) metav1.DeleteOptions {
	return metav1.DeleteOptions{GracePeriodSeconds: ptr.To(int64(0)), Preconditions: &metav1.Preconditions{UID: &uid}}
}
