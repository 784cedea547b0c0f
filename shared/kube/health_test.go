package kube

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestReady: since when a pod is not Ready.
func TestReady(t *testing.T) {
	made, turned := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), time.Date(2026, 11, 23, 13, 0, 0, 0, time.UTC)
	condition := func(s corev1.ConditionStatus) []corev1.PodCondition {
		return []corev1.PodCondition{{Type: corev1.PodReady, Status: s, LastTransitionTime: metav1.Time{Time: turned}}}
	}
	crashing := []corev1.ContainerStatus{{State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}}}}
	for name, c := range map[string]struct {
		status corev1.PodStatus
		since  time.Time
		well   bool
	}{
		"ready":              {corev1.PodStatus{Conditions: condition(corev1.ConditionTrue)}, turned, true},
		"not ready any more": {corev1.PodStatus{Conditions: condition(corev1.ConditionFalse)}, turned, false},
		"not scheduled":      {corev1.PodStatus{}, made, false},
		"crashing":           {corev1.PodStatus{Conditions: condition(corev1.ConditionFalse), ContainerStatuses: crashing}, made, false},
	} {
		since, well := podReady(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.Time{Time: made}}, Status: c.status})
		if !since.Equal(c.since) || well != c.well {
			t.Errorf("%s: %t since %s", name, well, since)
		}
	}
}
