package kube

import (
	"context"
	"encoding/json"

	"k8s.io/apimachinery/pkg/types"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// Uncordon carries out plan.UncordonNode: one merge patch, bound like Cordon's.
func (c *Client) Uncordon(ctx context.Context, a plan.UncordonNode) error {
	meta := map[string]any{"uid": a.UID, "resourceVersion": a.ResourceVersion}
	if len(a.RemoveLabels) > 0 {
		meta["labels"] = nulls(a.RemoveLabels)
	}
	if len(a.RemoveAnnotations) > 0 {
		meta["annotations"] = nulls(a.RemoveAnnotations)
	}
	taints := a.Taints
	if taints == nil {
		taints = []fleet.Taint{}
	}
	body, err := json.Marshal(map[string]any{
		"metadata": meta,
		"spec":     map[string]any{"unschedulable": a.Unschedulable, "taints": taints},
	})
	if err != nil {
		return err
	}
	return classify("uncordon node "+a.Node,
		c.rest.Patch(types.MergePatchType).AbsPath("/api/v1/nodes", a.Node).Body(body).MaxRetries(0).Do(ctx).Error())
}

// nulls are what a merge patch takes off.
func nulls(keys []string) map[string]any {
	out := map[string]any{}
	for _, k := range keys {
		out[k] = nil
	}
	return out
}
