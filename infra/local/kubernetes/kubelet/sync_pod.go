package kubelet

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/client-go/tools/cache"
)

// syncPod lets the containers of one pod be where they should be by now and reports that. It is level-triggered: called
// once too often, it finds nothing to do.
func (k *Kubelets) syncPod(ctx context.Context, key string) (time.Duration, error) {
	namespace, name, err := cache.SplitMetaNamespaceKey(key)
	if err != nil {
		return 0, nil
	}
	pod, err := k.pods.Lister().Pods(namespace).Get(name)
	if apierrors.IsNotFound(err) {
		k.mu.Lock()
		k.dropRecord(key)
		k.mu.Unlock()
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	status, remove, again, err := k.decide(key, pod, time.Now())
	if err != nil || status == nil {
		return again, err
	}
	pods := k.client.CoreV1().Pods(namespace)
	if !equality.Semantic.DeepEqual(&pod.Status, status) {
		patch, err := statusPatch(pod, status)
		if err != nil {
			return 0, err
		}
		_, err = pods.Patch(ctx, name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
		if err != nil && !gone(err) {
			return 0, fmt.Errorf("report pod %s: %w", key, err)
		}
	}
	if remove {
		if err := pods.Delete(ctx, name, deleteForGood(pod.UID)); err != nil && !gone(err) {
			return 0, fmt.Errorf("remove pod %s: %w", key, err)
		}
	}
	return again, nil
}

// decide returns the status to report, nil when the pod is nobody's here or its machine is silent.
func (k *Kubelets) decide(key string, pod *corev1.Pod, now time.Time) (status *corev1.PodStatus, remove bool, again time.Duration, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	r := k.records[key]
	if r != nil && r.uid != pod.UID {
		k.dropRecord(key) // A pod of the same name, as stateful sets make them.
		r = nil
	}
	e := k.machines[pod.Spec.NodeName]
	if e == nil || e.state != Running {
		return nil, false, 0, nil
	}
	if r == nil {
		r = newRecord(pod, now)
		k.records[key] = r
	}
	next := r.advance(pod, now)
	if r.address == "" && r.stage != creating && !r.neverRan {
		if pod.Spec.HostNetwork {
			r.address = e.machine.InternalIP
		} else {
			var ok bool
			if r.address, ok = e.addresses.take(); !ok {
				return nil, false, time.Second, nil // As with the VPC CNI: the pod waits until another one gives its address back.
			}
		}
	}
	if (!e.network || e.machine.hasDevices()) && r.ready(behaviourOf(pod), now) {
		if network, devices := e.networkComes(pod), e.offerDevices(pod); network || devices {
			k.nodeQueue.Add(e.machine.Name)
		}
	}
	if !next.IsZero() {
		again = max(next.Sub(now), time.Millisecond)
	}
	return podStatus(pod, r, e.machine.InternalIP, now), r.removable(pod), again, nil
}

// dropRecord forgets a pod that is gone and frees its address; k.mu is held.
func (k *Kubelets) dropRecord(key string) {
	r := k.records[key]
	if r == nil {
		return
	}
	delete(k.records, key)
	if e := k.machines[r.machine]; e != nil {
		e.addresses.release(r.address)
	}
}

// statusPatch carries the UID, so that it fails on a pod that took the name over.
func statusPatch(pod *corev1.Pod, status *corev1.PodStatus) ([]byte, error) {
	before, err := json.Marshal(corev1.Pod{Status: pod.Status})
	if err != nil {
		return nil, err
	}
	after, err := json.Marshal(corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: pod.UID}, Status: *status})
	if err != nil {
		return nil, err
	}
	return strategicpatch.CreateTwoWayMergePatch(before, after, corev1.Pod{})
}

// gone covers both ways in which the pod is not the one that was looked at: deleted, or replaced under its name.
func gone(err error) bool { return apierrors.IsNotFound(err) || apierrors.IsConflict(err) }
