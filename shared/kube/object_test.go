package kube

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// TestObjects: what is applied is what is read, at the paths that Kubernetes has for it.
func TestObjects(t *testing.T) {
	stored := map[string]json.RawMessage{}
	s, c := start(t, func(w http.ResponseWriter, r *http.Request) {
		answer := func(code int, body any) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(code)
			_ = json.NewEncoder(w).Encode(body)
		}
		object, there := stored[r.URL.Path]
		switch {
		case !there:
			answer(http.StatusNotFound, map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404})
		default:
			answer(http.StatusOK, object)
		}
	})
	ctx := t.Context()
	for path, o := range map[string]fleet.Props{
		"/apis/rbac.authorization.k8s.io/v1/clusterroles/drainer": {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": fleet.Props{"name": "drainer"},
			"rules": []any{fleet.Props{"verbs": []any{"get"}}}},
		"/api/v1/namespaces/apps/serviceaccounts/web": {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": fleet.Props{"name": "web", "namespace": "apps", "labels": fleet.Props{"a": "b"}}},
	} {
		ref := fleet.Ref{Kind: "kubernetes", Name: strings.Join([]string{fleet.Text(o, "apiVersion"), fleet.Text(o, "kind"), fleet.Text(o, "metadata", "namespace"), fleet.Text(o, "metadata", "name")}, "|")}
		if _, err := c.Object(ctx, ref); !fault.Is(err, fault.NotFound) {
			t.Fatal(err)
		}
		stored[path] = json.RawMessage(`{}`)
		if err := c.ApplyObject(ctx, o); err != nil {
			t.Fatal(err)
		}
		sent := s.requests[len(s.requests)-1]
		if sent.method != http.MethodPatch || sent.path != path || sent.contentType != "application/apply-patch+yaml" ||
			!strings.Contains(sent.query, "fieldManager=ekspedite") || !strings.Contains(sent.query, "force=true") {
			t.Errorf("%+v", sent)
		}
		stored[path] = sent.body
		if have, err := c.Object(ctx, ref); err != nil || !fleet.Covers(have.Props, o) {
			t.Errorf("%v, %v", have, err)
		}
	}
	if err := c.ApplyObject(ctx, fleet.Props{"apiVersion": "v1", "kind": "Secret"}); !fault.Is(err, fault.Invalid) {
		t.Errorf("a kind that nobody has said anything about: %v", err)
	}
	if _, err := c.Object(ctx, fleet.Ref{Name: "nonsense"}); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
}
