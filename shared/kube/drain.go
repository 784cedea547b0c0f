package kube

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// Node reads one node by name. An absent one is fault.NotFound.
func (c *Client) Node(ctx context.Context, name string) (fleet.Node, error) {
	var n corev1.Node
	err := c.rest.Get().AbsPath("/api/v1/nodes", name).MaxRetries(0).Do(ctx).Into(&n)
	if err != nil {
		return fleet.Node{}, classify("get node "+name, err)
	}
	return node(n), nil
}

// Nodes lists all nodes.
func (c *Client) Nodes(ctx context.Context) ([]fleet.Node, error) {
	var out []fleet.Node
	err := list(ctx, c, "list nodes", "/api/v1/nodes", metav1.ListOptions{}, func() *corev1.NodeList { return new(corev1.NodeList) },
		func(l *corev1.NodeList) {
			for _, n := range l.Items {
				out = append(out, node(n))
			}
		})
	return out, err
}

func node(n corev1.Node) fleet.Node {
	f := fleet.Node{
		Name: n.Name, UID: string(n.UID), ProviderID: n.Spec.ProviderID, ResourceVersion: n.ResourceVersion,
		Labels: n.Labels, Annotations: n.Annotations, Unschedulable: n.Spec.Unschedulable, Created: n.CreationTimestamp.Time,
		Kubelet: n.Status.NodeInfo.KubeletVersion, Runtime: n.Status.NodeInfo.ContainerRuntimeVersion, OSImage: n.Status.NodeInfo.OSImage, Kernel: n.Status.NodeInfo.KernelVersion,
	}
	for _, t := range n.Spec.Taints {
		f.Taints = append(f.Taints, fleet.Taint{Key: t.Key, Value: t.Value, Effect: string(t.Effect)})
	}
	for _, c := range n.Status.Conditions {
		switch c.Type {
		case corev1.NodeReady:
			f.Ready = c.Status == corev1.ConditionTrue
		case corev1.NodeMemoryPressure, corev1.NodeDiskPressure, corev1.NodePIDPressure, corev1.NodeNetworkUnavailable:
			if c.Status == corev1.ConditionTrue {
				f.Pressure = append(f.Pressure, string(c.Type))
			}
		}
	}
	return f
}

// PodsOn lists the pods bound to a node, each with its PodDisruptionBudget. Budgets that cannot be read are no error: the
// API server enforces them in any case, and all that is lost is the order that keeps evictions from colliding.
func (c *Client) PodsOn(ctx context.Context, nodeName string) ([]fleet.Pod, error) {
	var budgets []budget
	var wg sync.WaitGroup
	wg.Go(func() { budgets, _ = c.disruption.Do(ctx, "", c.budgets) })
	var out []fleet.Pod
	err := list(ctx, c, "list pods of node "+nodeName, "/api/v1/pods", metav1.ListOptions{FieldSelector: "spec.nodeName=" + nodeName},
		func() *corev1.PodList { return new(corev1.PodList) },
		func(l *corev1.PodList) {
			for i := range l.Items {
				out = append(out, pod(&l.Items[i]))
			}
		})
	wg.Wait()
	for i := range out {
		out[i].Budget = budgetOf(out[i], budgets)
	}
	return out, err
}

// budget is a PodDisruptionBudget as far as it selects pods.
type budget struct {
	namespace, name string
	selector        labels.Selector
}

func (c *Client) budgets(ctx context.Context) ([]budget, error) {
	var out []budget
	err := list(ctx, c, "list PodDisruptionBudgets", "/apis/policy/v1/poddisruptionbudgets", metav1.ListOptions{},
		func() *policyv1.PodDisruptionBudgetList { return new(policyv1.PodDisruptionBudgetList) },
		func(l *policyv1.PodDisruptionBudgetList) {
			for _, b := range l.Items {
				if s, err := metav1.LabelSelectorAsSelector(b.Spec.Selector); err == nil {
					out = append(out, budget{b.Namespace, b.Name, s})
				}
			}
		})
	return out, err
}

// budgetOf names the one budget of a pod. A pod with several has none here: the API server refuses to evict it without
// looking at any of them.
func budgetOf(p fleet.Pod, budgets []budget) string {
	name := ""
	for _, b := range budgets {
		if b.namespace != p.Namespace || !b.selector.Matches(labels.Set(p.Labels)) {
			continue
		}
		if name != "" {
			return ""
		}
		name = b.namespace + "/" + b.name
	}
	return name
}

func pod(p *corev1.Pod) fleet.Pod {
	f := fleet.Pod{
		Namespace: p.Namespace, Name: p.Name, UID: string(p.UID), Node: p.Spec.NodeName, Labels: p.Labels, Annotations: p.Annotations,
		Phase: string(p.Status.Phase), Deleting: p.DeletionTimestamp != nil, Grace: 30 * time.Second,
	}
	if o := metav1.GetControllerOf(p); o != nil {
		f.Owner = fleet.Owner{Kind: o.Kind, Name: o.Name}
	}
	if p.Spec.Priority != nil {
		f.Priority = *p.Spec.Priority
	}
	if s := p.Spec.TerminationGracePeriodSeconds; s != nil {
		f.Grace = time.Duration(*s) * time.Second
	}
	if p.DeletionTimestamp != nil {
		f.GoneBy = p.DeletionTimestamp.Time
	}
	if p.Status.StartTime != nil {
		f.Started = p.Status.StartTime.Time
	}
	f.Claims = claims(p)
	_, f.Mirror = p.Annotations[corev1.MirrorPodAnnotationKey]
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			f.Ready = c.Status == corev1.ConditionTrue
		}
	}
	f.Tolerations = tolerations(p.Spec.Tolerations)
	return f
}

func tolerations(list []corev1.Toleration) (out []fleet.Toleration) {
	for _, t := range list {
		out = append(out, fleet.Toleration{Key: t.Key, Operator: string(t.Operator), Value: t.Value, Effect: string(t.Effect)})
	}
	return out
}

// Cordon carries out plan.CordonNode: one merge patch, bound to the node's uid and resource version. If either has
// changed, the error's class is fault.Conflict.
func (c *Client) Cordon(ctx context.Context, a plan.CordonNode) error {
	type meta struct {
		UID             string            `json:"uid"`
		ResourceVersion string            `json:"resourceVersion"`
		Labels          map[string]string `json:"labels,omitempty"`
		Annotations     map[string]string `json:"annotations,omitempty"`
	}
	type spec struct {
		Unschedulable bool          `json:"unschedulable"`
		Taints        []fleet.Taint `json:"taints"`
	}
	body, err := json.Marshal(struct {
		Metadata meta `json:"metadata"`
		Spec     spec `json:"spec"`
	}{meta{a.UID, a.ResourceVersion, a.Labels, a.Annotations}, spec{true, a.Taints}})
	if err != nil {
		return err
	}
	return classify("cordon node "+a.Node,
		c.rest.Patch(types.MergePatchType).AbsPath("/api/v1/nodes", a.Node).Body(body).MaxRetries(0).Do(ctx).Error())
}

// Evict carries out plan.EvictPod. A PodDisruptionBudget in the way is fault.Blocked; a pod that is gone, or another pod
// of the same name, is fault.NotFound or fault.Conflict.
func (c *Client) Evict(ctx context.Context, a plan.EvictPod) error {
	uid := types.UID(a.UID)
	opts := &metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}}
	if a.Grace != nil {
		s := seconds(*a.Grace)
		opts.GracePeriodSeconds = &s
	}
	body := &policyv1.Eviction{
		ObjectMeta:    metav1.ObjectMeta{Namespace: a.Namespace, Name: a.Name},
		DeleteOptions: opts,
	}
	return classify("evict pod "+a.Namespace+"/"+a.Name,
		c.rest.Post().AbsPath("/api/v1/namespaces", a.Namespace, "pods", a.Name, "eviction").Body(body).MaxRetries(0).Do(ctx).Error())
}

// Delete carries out plan.DeletePod.
func (c *Client) Delete(ctx context.Context, a plan.DeletePod) error {
	uid := types.UID(a.UID)
	s := seconds(a.Grace)
	return classify("delete pod "+a.Namespace+"/"+a.Name,
		c.rest.Delete().AbsPath("/api/v1/namespaces", a.Namespace, "pods", a.Name).
			Body(&metav1.DeleteOptions{GracePeriodSeconds: &s, Preconditions: &metav1.Preconditions{UID: &uid}}).
			MaxRetries(0).Do(ctx).Error())
}

// seconds rounds a grace period down to whole seconds, and never to 0, which would kill without a SIGTERM.
func seconds(d time.Duration) int64 { return max(1, int64(d/time.Second)) }
