package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
)

var webLabels = map[string]string{"app": "web"}

// TestCluster goes through the life of a small cluster: it costs a start of the control plane, so it is one test.
func TestCluster(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a control plane")
	}
	dir := shortDir(t)
	c := startCluster(t, dir, "--version", "1.36")
	t.Logf("ready after %d ms", c.ready.ReadyMillis)
	c.putNode("one")
	c.putNode("two")
	c.eventually(20*time.Second, "two nodes ready", c.nodesReady(2))
	c.eventually(20*time.Second, "the system add-ons run", c.podsReady(metav1.NamespaceSystem, "", 6))

	c.deploy(2)
	c.eventually(20*time.Second, "two replicas ready", c.podsReady("default", "app=web", 2))
	evicted := c.evictOverBudget()
	c.checkGracefulExit(evicted)
	c.checkJob()
	c.checkFrozen()

	// A cordon is the user's: it must outlive the machine being told again, and a restart.
	patch := []byte(`{"spec":{"unschedulable":true}}`)
	if _, err := c.client.CoreV1().Nodes().Patch(t.Context(), "one", types.StrategicMergePatchType, patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	c.must("DELETE", "/nodes/two", nil)
	c.eventually(5*time.Second, "the pods of a deleted node are gone", func(ctx context.Context) string {
		pods, err := c.client.CoreV1().Pods("").List(ctx, metav1.ListOptions{FieldSelector: "spec.nodeName=two"})
		if err != nil || len(pods.Items) > 0 {
			return fmt.Sprintf("%d pods, %v", len(pods.Items), err)
		}
		return ""
	})
	if _, err := c.client.CoreV1().Nodes().Get(t.Context(), "two", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("the Node of a deleted machine: %v", err)
	}
	before := c.podNames("default", "app=web")
	c.close()

	c = startCluster(t, dir, "--version", "1.37", "--listen", strings.TrimPrefix(c.ready.Endpoint, "https://"))
	defer c.close()
	t.Logf("ready again after %d ms", c.ready.ReadyMillis)
	if version, err := c.client.Discovery().ServerVersion(); err != nil || !strings.HasPrefix(version.GitVersion, "v1.37.") || version.Minor != "37" {
		t.Errorf("version %v, %v", version, err)
	}
	if after := c.podNames("default", "app=web"); !slices.Equal(before, after) {
		t.Errorf("pods before the restart %q, after it %q", before, after)
	}
	c.putNode("one")
	c.eventually(10*time.Second, "the node is ready again", c.nodesReady(1))
	if node, err := c.client.CoreV1().Nodes().Get(t.Context(), "one", metav1.GetOptions{}); err != nil || !node.Spec.Unschedulable {
		t.Errorf("the cordon was lost: %v", err)
	}
}

func (c *cluster) nodesReady(want int) func(context.Context) string {
	return func(ctx context.Context) string {
		nodes, err := c.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		if err != nil {
			return err.Error()
		}
		ready := 0
		for _, n := range nodes.Items {
			for _, condition := range n.Status.Conditions {
				if condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue && n.Spec.ProviderID == "aws:///us-east-1a/i-"+n.Name {
					ready++
				}
			}
		}
		if ready != want {
			return fmt.Sprintf("%d of %d nodes ready, want %d", ready, len(nodes.Items), want)
		}
		return ""
	}
}

func (c *cluster) podsReady(namespace, selector string, want int) func(context.Context) string {
	return func(ctx context.Context) string {
		pods, err := c.client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
		if err != nil {
			return err.Error()
		}
		ready := 0
		var states []string
		for _, p := range pods.Items {
			if podReady(&p) && p.Status.PodIP != "" && p.DeletionTimestamp == nil {
				ready++
			}
			states = append(states, fmt.Sprintf("%s on %q %s", p.Name, p.Spec.NodeName, p.Status.Phase))
		}
		if ready != want {
			return fmt.Sprintf("%d pods ready, want %d: %s", ready, want, strings.Join(states, ", "))
		}
		return ""
	}
}

func podReady(p *corev1.Pod) bool {
	return slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

func (c *cluster) podNames(namespace, selector string) []string {
	c.t.Helper()
	pods, err := c.client.CoreV1().Pods(namespace).List(c.t.Context(), metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		c.t.Fatal(err)
	}
	var names []string
	for _, p := range pods.Items {
		names = append(names, p.Name)
	}
	slices.Sort(names)
	return names
}

// deploy makes a Deployment whose pods take a second and a half to exit, and a budget that lets one of them go.
func (c *cluster) deploy(replicas int32) {
	c.t.Helper()
	ctx := c.t.Context()
	if _, err := c.client.AppsV1().Deployments("default").Create(ctx, &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: webLabels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: webLabels, Annotations: map[string]string{"ekspedite.dev/exit-after": "1500ms"}},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "web:1"}}},
			},
		},
	}, metav1.CreateOptions{}); err != nil {
		c.t.Fatal(err)
	}
	if _, err := c.client.PolicyV1().PodDisruptionBudgets("default").Create(ctx, &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: policyv1.PodDisruptionBudgetSpec{
			MaxUnavailable: ptr.To(intstr.FromInt32(1)),
			Selector:       &metav1.LabelSelector{MatchLabels: webLabels},
		},
	}, metav1.CreateOptions{}); err != nil {
		c.t.Fatal(err)
	}
}

// evictOverBudget evicts both pods: the first may go, the second must not. It returns the first.
func (c *cluster) evictOverBudget() *corev1.Pod {
	c.t.Helper()
	c.eventually(20*time.Second, "the budget allows one disruption", func(ctx context.Context) string {
		pdb, err := c.client.PolicyV1().PodDisruptionBudgets("default").Get(ctx, "web", metav1.GetOptions{})
		if err != nil || pdb.Status.DisruptionsAllowed != 1 {
			return fmt.Sprintf("%+v, %v", pdb.Status, err)
		}
		return ""
	})
	names := c.podNames("default", "app=web")
	pod, err := c.client.CoreV1().Pods("default").Get(c.t.Context(), names[0], metav1.GetOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
	if err := c.evict(names[0]); err != nil {
		c.t.Fatalf("the first eviction: %v", err)
	}
	if err := c.evict(names[1]); !apierrors.IsTooManyRequests(err) {
		c.t.Fatalf("the eviction over the budget: %v, want 429", err)
	}
	return pod
}

func (c *cluster) evict(name string) error {
	return c.client.CoreV1().Pods("default").EvictV1(c.t.Context(), &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"}})
}

// checkGracefulExit sees the evicted pod go on for as long as it needs, and then its replacement ready.
func (c *cluster) checkGracefulExit(pod *corev1.Pod) {
	c.t.Helper()
	start := time.Now()
	c.eventually(10*time.Second, "the evicted pod is gone", func(ctx context.Context) string {
		now, err := c.client.CoreV1().Pods("default").Get(ctx, pod.Name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) || (err == nil && now.UID != pod.UID) {
			return ""
		}
		return fmt.Sprintf("still there, %v", err)
	})
	if took := time.Since(start); took < time.Second {
		c.t.Errorf("the evicted pod was gone after %s, its container needs 1.5 s to exit", took)
	}
	c.eventually(20*time.Second, "the replacement is ready", c.podsReady("default", "app=web", 2))
}

func (c *cluster) checkJob() {
	c.t.Helper()
	_, err := c.client.BatchV1().Jobs("default").Create(c.t.Context(), &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: "once"},
		Spec: batchv1.JobSpec{Template: corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{"ekspedite.dev/complete-after": "300ms"}},
			Spec:       corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "once", Image: "once:1"}}},
		}},
	}, metav1.CreateOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
	c.eventually(15*time.Second, "the job is complete", func(ctx context.Context) string {
		job, err := c.client.BatchV1().Jobs("default").Get(ctx, "once", metav1.GetOptions{})
		if err != nil || job.Status.Succeeded != 1 || job.Status.CompletionTime == nil {
			return fmt.Sprintf("%+v, %v", job.Status, err)
		}
		return ""
	})
}

// checkFrozen stops a machine and deletes a pod on it: the pod must stay until the machine goes on.
func (c *cluster) checkFrozen() {
	c.t.Helper()
	pods := c.client.CoreV1().Pods("default")
	name := c.podNames("default", "app=web")[0]
	pod, err := pods.Get(c.t.Context(), name, metav1.GetOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
	c.must("POST", "/nodes/"+pod.Spec.NodeName+"/stop", nil)
	if err := pods.Delete(c.t.Context(), name, metav1.DeleteOptions{}); err != nil {
		c.t.Fatal(err)
	}
	// Twice the time that its container needs to exit, watched all along.
	for deadline := time.Now().Add(3 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		now, err := pods.Get(c.t.Context(), name, metav1.GetOptions{})
		if err != nil || !podReady(now) {
			c.t.Fatalf("a pod on a silent machine changed: %+v, %v", now.Status, err)
		}
	}
	c.must("POST", "/nodes/"+pod.Spec.NodeName+"/start", nil)
	c.eventually(10*time.Second, "the pod of a machine that goes on is gone", func(ctx context.Context) string {
		if _, err := pods.Get(ctx, name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			return fmt.Sprintf("still there, %v", err)
		}
		return ""
	})
	c.eventually(20*time.Second, "two replicas are ready again", c.podsReady("default", "app=web", 2))
}
