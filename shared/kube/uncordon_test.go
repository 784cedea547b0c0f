package kube

import (
	"net/http"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

func TestUncordonIsOneConditionalPatch(t *testing.T) {
	for name, tc := range map[string]struct {
		a    plan.UncordonNode
		want string
	}{
		"all that was ours": {
			plan.UncordonNode{Node: "n", UID: "u", ResourceVersion: "7", Taints: []fleet.Taint{{Key: "theirs", Effect: "NoExecute"}},
				RemoveLabels: []string{"l"}, RemoveAnnotations: []string{"a", "b"}},
			`{"metadata":{"annotations":{"a":null,"b":null},"labels":{"l":null},"resourceVersion":"7","uid":"u"},` +
				`"spec":{"taints":[{"key":"theirs","effect":"NoExecute"}],"unschedulable":false}}`,
		},
		"cordoned before, and no other taint": {
			plan.UncordonNode{Node: "n", UID: "u", ResourceVersion: "7", Unschedulable: true},
			`{"metadata":{"resourceVersion":"7","uid":"u"},"spec":{"taints":[],"unschedulable":true}}`,
		},
	} {
		s, c := start(t, answer(http.StatusOK, corev1.Node{TypeMeta: metav1.TypeMeta{Kind: "Node", APIVersion: "v1"}}))
		if err := c.Uncordon(t.Context(), tc.a); err != nil {
			t.Fatal(err)
		}
		r := s.one(t)
		if r.method != "PATCH" || r.path != "/api/v1/nodes/n" || r.contentType != "application/merge-patch+json" {
			t.Errorf("%s: %s %s %s", name, r.method, r.path, r.contentType)
		}
		if string(r.body) != tc.want {
			t.Errorf("%s: body\n%s\nwant\n%s", name, r.body, tc.want)
		}
	}
	_, c := start(t, answer(http.StatusConflict, metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure", Code: 409, Reason: metav1.StatusReasonConflict}))
	if err := c.Uncordon(t.Context(), plan.UncordonNode{Node: "n"}); !fault.Is(err, fault.Conflict) {
		t.Errorf("a node that was changed: %v", err)
	}
}
