package kubelet

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// TestDevicesNeedTheirPlugin: accelerators are offered from when their own plugin is ready on the machine, and stay when the
// cloud tells of the machine again.
func TestDevicesNeedTheirPlugin(t *testing.T) {
	inWorld(t, func(w *world) {
		m := testMachine("one")
		m.Devices = map[string]string{"nvidia.com/gpu": "4"}
		w.put(m)
		gpus := func() int64 {
			n := w.node("one").Status
			q, r := n.Capacity["nvidia.com/gpu"], n.Allocatable["nvidia.com/gpu"]
			if q.Value() != r.Value() {
				t.Errorf("capacity %s, allocatable %s", q.String(), r.String())
			}
			return q.Value()
		}
		plugin := func(name, image string) {
			w.create(&corev1.Pod{
				ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID(name)},
				Spec:       corev1.PodSpec{NodeName: "one", Containers: []corev1.Container{{Name: "plugin", Image: image}}},
			})
			w.pass(2 * time.Second)
		}
		plugin("other", "public.ecr.aws/neuron/neuron-device-plugin:2.29")
		if n := gpus(); n != 0 {
			t.Errorf("%d GPUs with somebody else's plugin", n)
		}
		plugin("nvidia", "nvcr.io/nvidia/k8s-device-plugin:v0.18.0")
		if n := gpus(); n != 4 {
			t.Errorf("%d GPUs with the plugin, want 4", n)
		}
		w.put(m)
		w.pass(time.Second)
		if n := gpus(); n != 4 {
			t.Errorf("%d GPUs after the machine was told again, want 4", n)
		}
		if err := w.client.CoreV1().Pods("default").Delete(t.Context(), "nvidia", metav1.DeleteOptions{GracePeriodSeconds: new(int64)}); err != nil {
			t.Fatal(err)
		}
		w.pass(5 * time.Second)
		for range 2 {
			w.put(m)
			w.pass(time.Second)
		}
		if n := gpus(); n != 4 {
			t.Errorf("%d GPUs after the machine was told again without its plugin, want 4", n)
		}
	})
}
