package kube

import (
	"context"
	"encoding/json"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// claims are the PersistentVolumeClaims of a pod. One that is made together with the pod is called after both.
func claims(p *corev1.Pod) (out []string) {
	for i := range p.Spec.Volumes {
		switch v := &p.Spec.Volumes[i]; {
		case v.PersistentVolumeClaim != nil:
			out = append(out, v.PersistentVolumeClaim.ClaimName)
		case v.Ephemeral != nil:
			out = append(out, p.Name+"-"+v.Name)
		}
	}
	return out
}

// Attachments lists all VolumeAttachments. There is no selecting them by node on the server.
func (c *Client) Attachments(ctx context.Context) ([]fleet.Attachment, error) {
	var out []fleet.Attachment
	err := list(ctx, c, "list VolumeAttachments", "/apis/storage.k8s.io/v1/volumeattachments", metav1.ListOptions{},
		func() *storagev1.VolumeAttachmentList { return new(storagev1.VolumeAttachmentList) },
		func(l *storagev1.VolumeAttachmentList) {
			for i := range l.Items {
				a := fleet.Attachment{Volume: l.Items[i].Name, Node: l.Items[i].Spec.NodeName}
				if name := l.Items[i].Spec.Source.PersistentVolumeName; name != nil {
					a.Volume = *name
				}
				out = append(out, a)
			}
		})
	return out, err
}

// ClaimedVolume reads which volume a claim is bound to: "" while it is bound to none.
func (c *Client) ClaimedVolume(ctx context.Context, claim fleet.Claim) (string, error) {
	var p corev1.PersistentVolumeClaim
	err := c.rest.Get().AbsPath("/api/v1/namespaces", claim.Namespace, "persistentvolumeclaims", claim.Name).MaxRetries(0).Do(ctx).Into(&p)
	if err != nil {
		return "", classify("get claim "+claim.Namespace+"/"+claim.Name, err)
	}
	return p.Spec.VolumeName, nil
}

// OutOfService carries out plan.OutOfService: one merge patch of the taints, bound like Cordon's.
func (c *Client) OutOfService(ctx context.Context, a plan.OutOfService) error {
	body, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": a.UID, "resourceVersion": a.ResourceVersion},
		"spec":     map[string]any{"taints": a.Taints},
	})
	if err != nil {
		return err
	}
	return classify("declare node "+a.Node+" out of service",
		c.rest.Patch(types.MergePatchType).AbsPath("/api/v1/nodes", a.Node).Body(body).MaxRetries(0).Do(ctx).Error())
}
