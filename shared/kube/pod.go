package kube

import (
	"context"
	"sync"

	corev1 "k8s.io/api/core/v1"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Pod reads one pod with its PodDisruptionBudget. An absent one is fault.NotFound. As with PodsOn, budgets that cannot be read are no
// error.
func (c *Client) Pod(ctx context.Context, namespace, name string) (fleet.Pod, error) {
	var budgets []budget
	var wg sync.WaitGroup
	wg.Go(func() { budgets, _ = c.budgets(ctx) })
	var p corev1.Pod
	err := c.rest.Get().AbsPath("/api/v1/namespaces", namespace, "pods", name).MaxRetries(0).Do(ctx).Into(&p)
	wg.Wait()
	if err != nil {
		return fleet.Pod{}, classify("get pod "+namespace+"/"+name, err)
	}
	out := pod(&p)
	out.Budget = budgetOf(out, budgets)
	return out, nil
}
