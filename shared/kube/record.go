package kube

import (
	"cmp"
	"context"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/ekspedite/ekspedite/shared/plan"
)

// component is who tells, in Kubernetes Events.
const component = "ekspedite"

// maxMessage is the API server's bound of an Event's message.
const maxMessage = 1024

// Record carries out plan.RecordEvent. One of the name that is there already is fault.Conflict. Events of nodes are in the
// namespace default, where kubectl describe looks for them.
func (c *Client) Record(ctx context.Context, a plan.RecordEvent) error {
	kind, at := corev1.EventTypeNormal, metav1.NewTime(a.At)
	if a.Warning {
		kind = corev1.EventTypeWarning
	}
	namespace := cmp.Or(a.Namespace, metav1.NamespaceDefault)
	body := &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: namespace, Name: a.Name},
		InvolvedObject: corev1.ObjectReference{APIVersion: "v1", Kind: a.About, Namespace: a.Namespace, Name: a.Object, UID: types.UID(a.UID)},
		Type:           kind, Reason: a.Reason, Message: strings.ToValidUTF8(a.Message[:min(len(a.Message), maxMessage)], ""),
		Source: corev1.EventSource{Component: component}, ReportingController: component,
		FirstTimestamp: at, LastTimestamp: at, Count: 1,
	}
	return classify("record event "+a.Reason+" of "+a.Object,
		c.rest.Post().AbsPath("/api/v1/namespaces", namespace, "events").Body(body).MaxRetries(0).Do(ctx).Error())
}
