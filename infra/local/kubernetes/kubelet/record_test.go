package kubelet

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

var epoch = time.Date(2026, 3, 3, 2, 0, 0, 0, time.UTC)

func at(d time.Duration) time.Time { return epoch.Add(d) }

// testPod starts after exactly one second. Annotations are given as key, value, without the prefix.
func testPod(policy corev1.RestartPolicy, annotations ...string) *corev1.Pod {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "default", UID: "uid-1", Annotations: map[string]string{AnnotationStartAfter: "1s"}},
		Spec: corev1.PodSpec{
			NodeName: "one", RestartPolicy: policy,
			Containers: []corev1.Container{{Name: "a", Image: "a:1"}, {Name: "b", Image: "b:1"}},
		},
	}
	for i := 0; i < len(annotations); i += 2 {
		pod.Annotations["ekspedite.dev/"+annotations[i]] = annotations[i+1]
	}
	return pod
}

func deleted(pod *corev1.Pod, grace int64) *corev1.Pod {
	pod = pod.DeepCopy()
	pod.DeletionTimestamp, pod.DeletionGracePeriodSeconds = ptr.To(metav1.NewTime(epoch)), &grace
	return pod
}

// line is a pod's status in a line: what the tables below compare.
func line(pod *corev1.Pod, r *record, now time.Time) string {
	s := podStatus(pod, r, "10.0.0.1", now)
	c := s.ContainerStatuses[0]
	state := "running"
	switch {
	case c.State.Waiting != nil:
		state = c.State.Waiting.Reason
	case c.State.Terminated != nil:
		state = fmt.Sprintf("%s %d", c.State.Terminated.Reason, c.State.Terminated.ExitCode)
	}
	out := []string{string(s.Phase), state}
	if c.RestartCount > 0 {
		out = append(out, fmt.Sprintf("restarts %d", c.RestartCount))
	}
	for _, condition := range s.Conditions {
		if condition.Type == corev1.PodReady && condition.Status == corev1.ConditionTrue {
			out = append(out, "ready")
		}
	}
	if r.removable(pod) {
		out = append(out, "remove")
	}
	return strings.Join(out, ", ")
}

func TestLifeOfAPod(t *testing.T) {
	type look struct {
		at     time.Duration
		delete int64 // the pod is deleted from here on, with this grace in seconds
		want   string
		next   time.Duration // when to look again; zero for never
	}
	const s = time.Second
	always, onFailure, never := corev1.RestartPolicyAlways, corev1.RestartPolicyOnFailure, corev1.RestartPolicyNever
	for _, test := range []struct {
		name  string
		pod   *corev1.Pod
		looks []look
	}{
		{"a server", testPod(always), []look{
			{at: 0, want: "Pending, ContainerCreating", next: s},
			{at: s / 2, want: "Pending, ContainerCreating", next: s},
			{at: s, want: "Running, running, ready"},
			{at: 9 * s, delete: 30, want: "Running, running", next: 9*s + s/2},
			{at: 10 * s, delete: 30, want: "Succeeded, Completed 0, remove"},
		}},
		{"ready late", testPod(always, "ready-after", "5s"), []look{
			{at: 2 * s, want: "Running, running", next: 6 * s},
			{at: 6 * s, want: "Running, running, ready"},
		}},
		{"killed at the end of its grace", testPod(always, "exit-after", "1m"), []look{
			{at: 1 * s, want: "Running, running, ready"},
			{at: 2 * s, delete: 10, want: "Running, running", next: 12 * s},
			{at: 3 * s, delete: 4, want: "Running, running", next: 6 * s}, // a second deletion that is in more of a hurry
			{at: 6 * s, delete: 4, want: "Failed, Error 137, remove"},
		}},
		{"deleted before it starts", testPod(always), []look{
			{at: 0, want: "Pending, ContainerCreating", next: s},
			{at: s / 2, delete: 30, want: "Failed, ContainerStatusUnknown 137, remove"},
		}},
		{"a job that completes", testPod(never, "complete-after", "2s"), []look{
			{at: 0, want: "Pending, ContainerCreating", next: s},
			{at: s, want: "Running, running, ready", next: 3 * s},
			{at: 3 * s, want: "Succeeded, Completed 0"},
		}},
		{"a job that fails for good", testPod(never, "fail-after", "2s"), []look{
			{at: 0, want: "Pending, ContainerCreating", next: s},
			{at: 3 * s, want: "Failed, Error 1"},
		}},
		{"a job that is tried again", testPod(onFailure, "fail-after", "2s"), []look{
			{at: 0, want: "Pending, ContainerCreating", next: s},
			{at: 3 * s, want: "Running, CrashLoopBackOff, restarts 1", next: 4 * s},
			{at: 4 * s, want: "Running, running, restarts 1, ready", next: 6 * s},
			{at: 6 * s, want: "Running, CrashLoopBackOff, restarts 2", next: 8 * s},
			{at: 7 * s, delete: 30, want: "Failed, Error 1, restarts 2, remove"},
		}},
		{"a server that exits is started again", testPod(always, "complete-after", "2s"), []look{
			{at: 0, want: "Pending, ContainerCreating", next: s},
			{at: 3 * s, want: "Running, CrashLoopBackOff, restarts 1", next: 4 * s},
		}},
		{"several stages were missed", testPod(always, "fail-after", "1s"), []look{
			{at: 0, want: "Pending, ContainerCreating", next: s},
			// up 1-2, down 2-3, up 3-4, down 4-6, up 6-7
			{at: 6*s + s/2, want: "Running, running, restarts 2, ready", next: 7 * s},
		}},
		{"only a finalizer holds it", testPod(always), []look{
			{at: 0, want: "Pending, ContainerCreating", next: s},
			{at: s, want: "Running, running, ready"},
			{at: 2 * s, delete: -1, want: "Failed, Error 137"},
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRecord(test.pod, epoch)
			for _, l := range test.looks {
				pod := test.pod
				if l.delete != 0 {
					pod = deleted(pod, max(0, l.delete))
				}
				next := r.advance(pod, at(l.at))
				if got := line(pod, r, at(l.at)); got != l.want {
					t.Errorf("at %s: %s\nwant  %s", l.at, got, l.want)
				}
				if want := at(l.next); (l.next == 0 && !next.IsZero()) || (l.next != 0 && !next.Equal(want)) {
					t.Errorf("at %s: looks again at %s, want %s", l.at, next.Sub(epoch), l.next)
				}
			}
		})
	}
}

// A status that is reported once must not be reported again because it reads back differently.
func TestStatusIsStable(t *testing.T) {
	pod := testPod(corev1.RestartPolicyAlways)
	pod.Spec.InitContainers = []corev1.Container{
		{Name: "init", Image: "i:1"},
		{Name: "sidecar", Image: "s:1", RestartPolicy: ptr.To(corev1.ContainerRestartPolicyAlways)},
	}
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: "EvictionByEvictionAPI"}}
	pod.Status.QOSClass = corev1.PodQOSBurstable
	r := newRecord(pod, at(123*time.Millisecond))
	for _, now := range []time.Duration{200 * time.Millisecond, 1777 * time.Millisecond} {
		r.advance(pod, at(now))
		first := podStatus(pod, r, "10.0.0.1", at(now))
		pod.Status = *first
		second := podStatus(pod, r, "10.0.0.1", at(now+time.Minute))
		if !equality.Semantic.DeepEqual(first, second) {
			t.Errorf("at %s the status changes by itself:\n%+v\n%+v", now, first, second)
		}
	}
	if pod.Status.QOSClass != corev1.PodQOSBurstable || pod.Status.Conditions[0].Type != corev1.DisruptionTarget {
		t.Errorf("what others wrote is gone: %+v", pod.Status)
	}
}

func TestRecordSurvivesARestart(t *testing.T) {
	pod := testPod(corev1.RestartPolicyAlways, "fail-after", "10s")
	r := newRecord(pod, epoch)
	for _, now := range []time.Duration{5 * time.Second, 11500 * time.Millisecond, 13 * time.Second} {
		r.advance(pod, at(now))
		pod.Status = *podStatus(pod, r, "10.0.0.1", at(now))
		again := newRecord(pod, at(now))
		again.advance(pod, at(now))
		if got, want := line(pod, again, at(now)), line(pod, r, at(now)); got != want {
			t.Errorf("at %s: %s after a restart, %s before", now, got, want)
		}
	}
}

func TestFrozenTimeDoesNotCount(t *testing.T) {
	pod := testPod(corev1.RestartPolicyNever, "complete-after", "10s")
	r := newRecord(pod, epoch)
	r.advance(pod, at(2*time.Second))
	r.shift(time.Hour)
	next := r.advance(pod, at(time.Hour+2*time.Second))
	if want := at(time.Hour + 11*time.Second); !next.Equal(want) || r.stage != running {
		t.Errorf("stage %d, looks again at %s, want %s", r.stage, next, want)
	}
}

func TestReadinessGates(t *testing.T) {
	pod := testPod(corev1.RestartPolicyAlways)
	pod.Spec.ReadinessGates = []corev1.PodReadinessGate{{ConditionType: "target-health.elbv2.k8s.aws/x"}}
	r := newRecord(pod, epoch)
	r.advance(pod, at(time.Second))
	if got := line(pod, r, at(time.Second)); got != "Running, running" {
		t.Errorf("with a closed gate: %s", got)
	}
	pod.Status.Conditions = []corev1.PodCondition{{Type: "target-health.elbv2.k8s.aws/x", Status: corev1.ConditionTrue}}
	if got := line(pod, r, at(time.Second)); got != "Running, running, ready" {
		t.Errorf("with an open gate: %s", got)
	}
}

func TestStartupIsDeterministicAndWithinBounds(t *testing.T) {
	seen := map[time.Duration]bool{}
	for i := range 100 {
		pod := testPod(corev1.RestartPolicyAlways)
		pod.UID = types.UID(fmt.Sprintf("uid-%d", i))
		delete(pod.Annotations, AnnotationStartAfter)
		d := startupOf(pod)
		if d != startupOf(pod.DeepCopy()) || d < 200*time.Millisecond || d > 700*time.Millisecond {
			t.Errorf("%s for %s", d, pod.UID)
		}
		seen[d] = true
	}
	if len(seen) < 50 {
		t.Errorf("only %d different durations for 100 pods", len(seen))
	}
}

func TestAnnotationsThatAreNoDurations(t *testing.T) {
	b := behaviourOf(testPod(corev1.RestartPolicyAlways, "exit-after", "soon", "fail-after", "-3s"))
	if b.exitAfter != defaultExitAfter || b.failAfter >= 0 {
		t.Errorf("%+v, want the defaults", b)
	}
}
