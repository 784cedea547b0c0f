package kube

import (
	"context"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Wellness lists the nodes and pods that are not Ready, and counts all.
func (c *Client) Wellness(ctx context.Context) (w fleet.Wellness, err error) {
	err = list(ctx, c, "list nodes", "/api/v1/nodes", metav1.ListOptions{}, func() *corev1.NodeList { return new(corev1.NodeList) },
		func(l *corev1.NodeList) {
			for i := range l.Items {
				w.Nodes++
				if since, well := nodeReady(&l.Items[i]); !well {
					w.NotReady = append(w.NotReady, fleet.NotReady{Name: l.Items[i].Name, Since: since})
				}
			}
		})
	if err != nil {
		return w, err
	}
	err = list(ctx, c, "list pods", "/api/v1/pods", metav1.ListOptions{FieldSelector: unfinished}, func() *corev1.PodList { return new(corev1.PodList) },
		func(l *corev1.PodList) {
			for i := range l.Items {
				p := &l.Items[i]
				if p.DeletionTimestamp != nil || len(p.Spec.SchedulingGates) > 0 { // it goes, or nobody wants it to run yet
					continue
				}
				w.Pods++
				if since, well := podReady(p); !well {
					w.NotReady = append(w.NotReady, fleet.NotReady{Name: p.Namespace + "/" + p.Name, Workload: workloadOf(p), Since: since})
				}
			}
		})
	return w, err
}

func nodeReady(n *corev1.Node) (since time.Time, well bool) {
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.LastTransitionTime.Time, c.Status == corev1.ConditionTrue
		}
	}
	return n.CreationTimestamp.Time, false
}

// podReady: a pod whose containers end again and again is Ready between, so that its condition says little.
func podReady(p *corev1.Pod) (since time.Time, well bool) {
	since = p.CreationTimestamp.Time
	for _, c := range p.Status.ContainerStatuses {
		if w := c.State.Waiting; w != nil && strings.HasSuffix(w.Reason, "BackOff") {
			return since, false
		}
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			if !c.LastTransitionTime.IsZero() {
				since = c.LastTransitionTime.Time
			}
			return since, c.Status == corev1.ConditionTrue
		}
	}
	return since, false
}

func workloadOf(p *corev1.Pod) string {
	if o := metav1.GetControllerOf(p); o != nil {
		return p.Namespace + "/" + o.Kind + "/" + o.Name
	}
	return p.Namespace + "/Pod/" + p.Name
}
