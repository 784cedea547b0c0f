package kubelet

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// podStatus is what a kubelet would report for the record. It starts from the present status, so that what others have
// written there (a disruption condition, the QoS class) stays.
func podStatus(pod *corev1.Pod, r *record, hostIP string, now time.Time) *corev1.PodStatus {
	s := pod.Status.DeepCopy()
	s.Phase = phase(r)
	s.HostIP, s.HostIPs = hostIP, []corev1.HostIP{{IP: hostIP}}
	if r.address != "" && r.stage != creating && !r.neverRan {
		s.PodIP, s.PodIPs = r.address, []corev1.PodIP{{IP: r.address}}
	}
	if s.StartTime == nil {
		s.StartTime = stamp(r.firstSeen)
	}
	ready := r.ready(behaviourOf(pod), now)
	s.ContainerStatuses = nil
	for _, c := range pod.Spec.Containers {
		s.ContainerStatuses = append(s.ContainerStatuses, containerStatus(pod, r, c, ready))
	}
	s.InitContainerStatuses = nil
	for _, c := range pod.Spec.InitContainers {
		s.InitContainerStatuses = append(s.InitContainerStatuses, initStatus(pod, r, c))
	}
	setConditions(pod, s, r, ready, now)
	return s
}

func phase(r *record) corev1.PodPhase {
	switch {
	case r.stage == creating:
		return corev1.PodPending
	case r.stage != exited:
		return corev1.PodRunning
	case r.exitCode == exitOK:
		return corev1.PodSucceeded
	default:
		return corev1.PodFailed
	}
}

func containerStatus(pod *corev1.Pod, r *record, c corev1.Container, ready bool) corev1.ContainerStatus {
	id := containerID(pod, c.Name, r.restarts)
	status := corev1.ContainerStatus{
		Name:         c.Name,
		Image:        c.Image,
		Ready:        ready,
		RestartCount: r.restarts,
		Started:      ptr.To(r.stage == running),
	}
	if r.stage == creating || r.neverRan {
		status.State.Waiting = &corev1.ContainerStateWaiting{Reason: waitReason(pod)}
		if r.neverRan {
			status.State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
				ExitCode: exitKilled, Reason: "ContainerStatusUnknown",
				Message:    "The container could not be located when the pod was terminated",
				FinishedAt: *stamp(r.finishedAt),
			}}
		}
		return status
	}
	status.ContainerID, status.ImageID = id, imageID(c.Image)
	switch r.stage {
	case running:
		status.State.Running = &corev1.ContainerStateRunning{StartedAt: *stamp(r.startedAt)}
		if r.restarts > 0 {
			status.LastTerminationState = lastTermination(pod, r, c)
		}
	case waiting:
		// The container that is waiting is the next one; the id is still that of the one that exited.
		status.ContainerID = containerID(pod, c.Name, r.restarts-1)
		status.State.Waiting = &corev1.ContainerStateWaiting{
			Reason:  "CrashLoopBackOff",
			Message: fmt.Sprintf("back-off %s restarting failed container=%s pod=%s_%s(%s)", backoff(r.restarts), c.Name, pod.Name, pod.Namespace, pod.UID),
		}
		status.LastTerminationState = lastTermination(pod, r, c)
	case exited:
		status.State.Terminated = terminated(r, id)
	}
	return status
}

// lastTermination of a restarted container began an unknown time before it ended; only its end matters to anyone.
func lastTermination(pod *corev1.Pod, r *record, c corev1.Container) corev1.ContainerState {
	t := terminated(r, containerID(pod, c.Name, r.restarts-1))
	if t.StartedAt.After(t.FinishedAt.Time) {
		t.StartedAt = t.FinishedAt
	}
	return corev1.ContainerState{Terminated: t}
}

func terminated(r *record, id string) *corev1.ContainerStateTerminated {
	reason := "Error"
	if r.exitCode == exitOK {
		reason = "Completed"
	}
	return &corev1.ContainerStateTerminated{
		ExitCode: r.exitCode, Reason: reason, ContainerID: id,
		StartedAt: *stamp(r.startedAt), FinishedAt: *stamp(r.finishedAt),
	}
}

func initStatus(pod *corev1.Pod, r *record, c corev1.Container) corev1.ContainerStatus {
	status := corev1.ContainerStatus{Name: c.Name, Image: c.Image, Started: ptr.To(false)}
	if r.stage == creating || r.neverRan {
		status.State.Waiting = &corev1.ContainerStateWaiting{Reason: "PodInitializing"}
		return status
	}
	status.ContainerID, status.ImageID = containerID(pod, c.Name, 0), imageID(c.Image)
	sidecar := c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
	switch {
	case sidecar && r.stage != exited:
		status.Ready, status.Started = true, ptr.To(true)
		status.State.Running = &corev1.ContainerStateRunning{StartedAt: *stamp(r.startedAt)}
	default:
		status.Ready = !sidecar
		status.State.Terminated = &corev1.ContainerStateTerminated{
			Reason: "Completed", ContainerID: status.ContainerID,
			StartedAt: *stamp(r.startedAt), FinishedAt: *stamp(r.startedAt),
		}
	}
	return status
}

func waitReason(pod *corev1.Pod) string {
	if len(pod.Spec.InitContainers) > 0 {
		return "PodInitializing"
	}
	return "ContainerCreating"
}

// setConditions writes the conditions that belong to the kubelet and leaves the others alone.
func setConditions(pod *corev1.Pod, s *corev1.PodStatus, r *record, ready bool, now time.Time) {
	notReady := "ContainersNotReady"
	switch s.Phase {
	case corev1.PodSucceeded:
		notReady = "PodCompleted"
	case corev1.PodFailed:
		notReady = "PodFailed"
	}
	set := func(kind corev1.PodConditionType, holds bool, reason string) {
		c := corev1.PodCondition{Type: kind, Status: corev1.ConditionFalse, Reason: reason, LastTransitionTime: *stamp(now)}
		if holds {
			c.Status, c.Reason = corev1.ConditionTrue, ""
		}
		for i := range s.Conditions {
			if s.Conditions[i].Type != kind {
				continue
			}
			if s.Conditions[i].Status == c.Status {
				c.LastTransitionTime = s.Conditions[i].LastTransitionTime
			}
			c.LastProbeTime = s.Conditions[i].LastProbeTime
			c.ObservedGeneration = s.Conditions[i].ObservedGeneration
			s.Conditions[i] = c
			return
		}
		s.Conditions = append(s.Conditions, c)
	}
	started := r.stage != creating
	set(corev1.PodReadyToStartContainers, started && r.stage != exited, "")
	set(corev1.PodInitialized, started || len(pod.Spec.InitContainers) == 0, "ContainersNotInitialized")
	set(corev1.ContainersReady, ready, notReady)
	gated := missingGate(pod)
	if ready && gated != "" {
		set(corev1.PodReady, false, "ReadinessGatesNotReady")
	} else {
		set(corev1.PodReady, ready, notReady)
	}
	set(corev1.PodScheduled, true, "")
}

// missingGate names a readiness gate of the pod that nobody has opened yet.
func missingGate(pod *corev1.Pod) string {
gates:
	for _, gate := range pod.Spec.ReadinessGates {
		for _, c := range pod.Status.Conditions {
			if c.Type == gate.ConditionType && c.Status == corev1.ConditionTrue {
				continue gates
			}
		}
		return string(gate.ConditionType)
	}
	return ""
}

// stamp has the precision of the wire: a finer time would differ from its own copy when that is read back.
func stamp(t time.Time) *metav1.Time {
	return ptr.To(metav1.NewTime(t).Rfc3339Copy())
}

func containerID(pod *corev1.Pod, container string, restart int32) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%s/%d", pod.UID, container, restart))
	return "containerd://" + hex.EncodeToString(sum[:])
}

func imageID(image string) string {
	sum := sha256.Sum256([]byte(image))
	return image + "@sha256:" + hex.EncodeToString(sum[:])
}
