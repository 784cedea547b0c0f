package kubelet

import (
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// TestANodeIsReadyWithItsNetwork: where aws-node is, a machine waits for its pod, though not for ever; and not again when it
// is told anew.
func TestANodeIsReadyWithItsNetwork(t *testing.T) {
	inWorld(t, func(w *world) {
		if _, err := w.client.AppsV1().DaemonSets("kube-system").Create(t.Context(), &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Name: cniDaemon}}, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		ready := func(name string, want bool) {
			t.Helper()
			if n := w.node(name); reportsHealthy(n) != want || cniMissing(n) == want {
				t.Errorf("%s: %+v", name, n.Status.Conditions)
			}
		}
		w.put(testMachine("one"))
		w.put(testMachine("alone"))
		windows := testMachine("windows")
		windows.Labels = map[string]string{corev1.LabelOSStable: "windows"}
		w.put(windows)
		ready("one", false)
		ready("alone", false)
		ready("windows", true)
		w.create(&corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "aws-node-x", UID: types.UID("x")},
			Spec:       corev1.PodSpec{NodeName: "one", HostNetwork: true, Containers: []corev1.Container{{Name: "aws-node", Image: "602401143452.dkr.ecr.us-east-1.amazonaws.com/amazon-k8s-cni:v1.21.1"}}},
		})
		w.pass(time.Second)
		ready("one", true)
		ready("alone", false)
		w.put(testMachine("one"))
		ready("one", true)
		w.pass(cniPatience)
		ready("alone", true)
	})
}
