package kubelet

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
)

func testMachine(name string) Machine {
	return Machine{
		Name: name, ProviderID: "aws:///us-east-1a/i-" + name, InternalIP: "10.0.1.17",
		Labels:   map[string]string{"eks.amazonaws.com/nodegroup": "blue"},
		Taints:   []corev1.Taint{{Key: "dedicated", Value: "x", Effect: corev1.TaintEffectNoSchedule}},
		Capacity: map[string]string{"cpu": "2", "memory": "8Gi", "pods": "29"},
	}
}

// world is a fake API server with kubelets, inside a bubble whose clock is the fake one.
type world struct {
	t      *testing.T
	client *fake.Clientset
	k      *Kubelets
}

func inWorld(t *testing.T, test func(*world)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		client := fake.NewClientset()
		factory := informers.NewSharedInformerFactory(client, 0)
		k, err := New(client, factory.Core().V1().Pods(), factory.Core().V1().Nodes(), "v1.36.0-eks-test")
		if err != nil {
			t.Fatal(err)
		}
		factory.Start(ctx.Done())
		ended := make(chan struct{})
		go func() { _ = k.Run(ctx); close(ended) }()
		synctest.Wait()
		test(&world{t, client, k})
		cancel()
		<-ended
		factory.Shutdown()
	})
}

// pass lets time go by.
func (w *world) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (w *world) put(m Machine) {
	w.t.Helper()
	if err := w.k.Put(m); err != nil {
		w.t.Fatal(err)
	}
	w.pass(time.Second)
}

func (w *world) node(name string) *corev1.Node {
	w.t.Helper()
	node, err := w.client.CoreV1().Nodes().Get(w.t.Context(), name, metav1.GetOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	return node
}

func (w *world) create(pod *corev1.Pod) {
	w.t.Helper()
	if _, err := w.client.CoreV1().Pods(pod.Namespace).Create(w.t.Context(), pod, metav1.CreateOptions{}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) pod(name string) *corev1.Pod {
	w.t.Helper()
	pod, err := w.client.CoreV1().Pods("default").Get(w.t.Context(), name, metav1.GetOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	return pod
}

func (w *world) renewed(name string) time.Time {
	w.t.Helper()
	lease, err := w.client.CoordinationV1().Leases(corev1.NamespaceNodeLease).Get(w.t.Context(), name, metav1.GetOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	return lease.Spec.RenewTime.Time
}

func TestRegistration(t *testing.T) {
	inWorld(t, func(w *world) {
		m := testMachine("one")
		m.RegisterDelayMillis = 30_000
		w.put(m)
		if s := w.k.List(); len(s) != 1 || s[0].State != Registering {
			t.Errorf("before its delay is over: %+v", s)
		}
		w.pass(30 * time.Second)
		node := w.node("one")
		if !reportsHealthy(node) || node.Spec.ProviderID != m.ProviderID || len(node.Spec.Taints) != 1 {
			t.Errorf("%+v", node)
		}
		for key, want := range map[string]string{
			"eks.amazonaws.com/nodegroup": "blue", corev1.LabelHostname: "one",
			corev1.LabelTopologyZone: "us-east-1a", corev1.LabelTopologyRegion: "us-east-1",
		} {
			if node.Labels[key] != want {
				t.Errorf("label %s is %q, want %q", key, node.Labels[key], want)
			}
		}
		if cpu := node.Status.Allocatable.Cpu().String(); cpu != "2" {
			t.Errorf("allocatable cpu %s", cpu)
		}
		before := w.renewed("one")
		w.pass(2 * renewInterval)
		if after := w.renewed("one"); after.Sub(before) < renewInterval {
			t.Errorf("the lease was renewed at %s and at %s", before, after)
		}
	})
}

func TestUsersChangesSurviveRegistration(t *testing.T) {
	inWorld(t, func(w *world) {
		w.put(testMachine("one"))
		node := w.node("one")
		node.Spec.Unschedulable, node.Spec.Taints = true, nil
		node.Labels["mine"] = "x"
		delete(node.Labels, "eks.amazonaws.com/nodegroup")
		if _, err := w.client.CoreV1().Nodes().Update(t.Context(), node, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		again := testMachine("one")
		again.KubeletVersion = "v1.36.7"
		w.put(again)
		node = w.node("one")
		if !node.Spec.Unschedulable || len(node.Spec.Taints) != 0 || node.Labels["mine"] != "x" || node.Labels["eks.amazonaws.com/nodegroup"] != "" {
			t.Errorf("the users' changes were undone: %+v %+v", node.Spec, node.Labels)
		}
		if node.Status.NodeInfo.KubeletVersion != "v1.36.7" {
			t.Errorf("kubelet version %s", node.Status.NodeInfo.KubeletVersion)
		}
	})
}

func TestAnotherMachineUnderTheSameName(t *testing.T) {
	inWorld(t, func(w *world) {
		w.put(testMachine("one"))
		m := testMachine("one")
		m.ProviderID = "aws:///us-east-1b/i-other"
		w.put(m)
		node := w.node("one")
		if node.Spec.ProviderID != m.ProviderID || node.Labels[corev1.LabelTopologyZone] != "us-east-1b" {
			t.Errorf("%+v %+v", node.Spec, node.Labels)
		}
	})
}

func TestPodsRun(t *testing.T) {
	inWorld(t, func(w *world) {
		w.put(testMachine("one"))
		host := testPod(corev1.RestartPolicyAlways)
		host.Name, host.UID, host.Spec.HostNetwork = "host", "uid-host", true
		w.create(host)
		for i := range 3 {
			pod := testPod(corev1.RestartPolicyAlways)
			pod.Name, pod.UID = fmt.Sprintf("p%d", i), pod.UID+pod.UID[:i]
			w.create(pod)
		}
		w.pass(500 * time.Millisecond)
		if pod := w.pod("p0"); pod.Status.Phase != corev1.PodPending || pod.Status.StartTime == nil {
			t.Errorf("while its containers are created: %+v", pod.Status)
		}
		w.pass(600 * time.Millisecond)
		ips := map[string]bool{}
		for i := range 3 {
			status := w.pod(fmt.Sprintf("p%d", i)).Status
			if status.Phase != corev1.PodRunning || status.HostIP != "10.0.1.17" || !podNetwork.Contains(mustAddr(t, status.PodIP)) {
				t.Errorf("%+v", status)
			}
			ips[status.PodIP] = true
		}
		if len(ips) != 3 {
			t.Errorf("pods share addresses: %v", ips)
		}
		if ip := w.pod("host").Status.PodIP; ip != "10.0.1.17" {
			t.Errorf("a pod in the host's network has the address %s", ip)
		}
	})
}

func TestDeletedPodIsRemovedAfterItExits(t *testing.T) {
	inWorld(t, func(w *world) {
		w.put(testMachine("one"))
		w.create(testPod(corev1.RestartPolicyAlways, "exit-after", "5s"))
		w.pass(2 * time.Second)
		// The fake server has no graceful deletion; this is how the real one marks the object.
		if _, err := w.client.CoreV1().Pods("default").Update(t.Context(), deleted(w.pod("p"), 30), metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		w.pass(4900 * time.Millisecond)
		if status := w.pod("p").Status; status.Phase != corev1.PodRunning || status.ContainerStatuses[0].Ready {
			t.Errorf("while it exits: %+v", status)
		}
		w.pass(200 * time.Millisecond)
		if _, err := w.client.CoreV1().Pods("default").Get(t.Context(), "p", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			t.Errorf("after it has exited: %v", err)
		}
		last := w.client.Actions()
		for i := len(last) - 1; i >= 0; i-- {
			if d, ok := last[i].(interface{ GetDeleteOptions() metav1.DeleteOptions }); ok {
				o := d.GetDeleteOptions()
				if *o.GracePeriodSeconds != 0 || *o.Preconditions.UID != "uid-1" {
					t.Errorf("deleted with %+v", o)
				}
				return
			}
		}
		t.Error("nothing was deleted")
	})
}

func TestASilentKubelet(t *testing.T) {
	inWorld(t, func(w *world) {
		w.put(testMachine("one"))
		w.create(testPod(corev1.RestartPolicyNever, "complete-after", "10s"))
		w.pass(5 * time.Second)
		if err := w.k.Stop("one"); err != nil {
			t.Fatal(err)
		}
		before := w.renewed("one")
		w.pass(5 * time.Minute)
		if after := w.renewed("one"); !after.Equal(before) {
			t.Error("a silent kubelet renewed its lease")
		}
		if status := w.pod("p").Status; status.Phase != corev1.PodRunning {
			t.Errorf("a frozen container went on: %+v", status)
		}
		// As the node lifecycle controller does meanwhile.
		node := w.node("one")
		for i := range node.Status.Conditions {
			node.Status.Conditions[i].Status = corev1.ConditionUnknown
		}
		if _, err := w.client.CoreV1().Nodes().UpdateStatus(t.Context(), node, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := w.k.Start("one"); err != nil {
			t.Fatal(err)
		}
		w.pass(time.Second)
		if !reportsHealthy(w.node("one")) || w.pod("p").Status.Phase != corev1.PodRunning {
			t.Errorf("after the machine goes on: %+v", w.node("one").Status.Conditions)
		}
		w.pass(10 * time.Second)
		if status := w.pod("p").Status; status.Phase != corev1.PodSucceeded {
			t.Errorf("the container did not finish: %+v", status)
		}
		if err := w.k.Stop("two"); !errors.Is(err, ErrUnknown) {
			t.Errorf("a machine that does not exist: %v", err)
		}
	})
}

func TestDelete(t *testing.T) {
	inWorld(t, func(w *world) {
		w.put(testMachine("one"))
		for range 2 { // The second time there is nothing to delete, which is no error.
			if err := w.k.Delete(t.Context(), "one"); err != nil {
				t.Fatal(err)
			}
		}
		w.pass(time.Minute)
		if _, err := w.client.CoreV1().Nodes().Get(t.Context(), "one", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			t.Errorf("the Node: %v", err)
		}
		if s := w.k.List(); len(s) != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestMachineIsChecked(t *testing.T) {
	m := Machine{Name: "Bad Name", InternalIP: "x", Capacity: map[string]string{"cpu": "two"}, Taints: []corev1.Taint{{Key: "k", Effect: "Sometimes"}}}
	err := m.complete()
	for _, want := range []string{"Bad Name", "providerID", `"x"`, "two", "Sometimes"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not name %s: %v", want, err)
		}
	}
}
