package kube

import (
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// TestClusterAccess: what was applied is what is read, in the objects that Kubernetes has for it.
func TestClusterAccess(t *testing.T) {
	stored := map[string]json.RawMessage{}
	answerWith := func(w http.ResponseWriter, code int, body any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(body)
	}
	s, c := start(t, func(w http.ResponseWriter, r *http.Request) {
		object, there := stored[r.URL.Path]
		if !there {
			answerWith(w, http.StatusNotFound, map[string]any{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404})
			return
		}
		answerWith(w, http.StatusOK, object)
	})
	ctx := context.Background()
	if _, err := c.ClusterAccess(ctx, "drainer"); !fault.Is(err, fault.NotFound) {
		t.Fatal(err)
	}
	want := fleet.ClusterAccess{
		Name: "drainer", Groups: []string{"ekspedite:interruption"},
		Rules: []fleet.Rule{{APIGroups: []string{""}, Resources: []string{"nodes"}, Verbs: []string{"get", "patch"}}},
	}
	_ = c.PutClusterAccess(ctx, want) // this server answers 404 to what it does not have; the requests are what counts
	stored["/apis/rbac.authorization.k8s.io/v1/clusterroles/drainer"] = json.RawMessage(`{}`)
	stored["/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/drainer"] = json.RawMessage(`{}`)
	if err := c.PutClusterAccess(ctx, want); err != nil {
		t.Fatal(err)
	}
	var applied int
	for _, r := range s.requests {
		if r.method != http.MethodPatch {
			continue
		}
		applied++
		if r.contentType != "application/apply-patch+yaml" || !strings.Contains(r.query, "fieldManager=ekspedite") || !strings.Contains(r.query, "force=true") {
			t.Errorf("%+v", r)
		}
		stored[r.path] = r.body
	}
	if applied != 3 {
		t.Errorf("%d objects were applied", applied)
	}
	if got, err := c.ClusterAccess(ctx, "drainer"); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}

	// A binding to another role gives nothing, and neither does none.
	var binding rbacv1.ClusterRoleBinding
	path := "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/drainer"
	if err := json.Unmarshal(stored[path], &binding); err != nil {
		t.Fatal(err)
	}
	binding.RoleRef.Name = "other"
	text, err := json.Marshal(binding)
	if err != nil {
		t.Fatal(err)
	}
	stored[path] = text
	if got, err := c.ClusterAccess(ctx, "drainer"); err != nil || len(got.Groups) != 0 || len(got.Rules) != 1 {
		t.Errorf("got %+v, %v", got, err)
	}
	delete(stored, path)
	if got, err := c.ClusterAccess(ctx, "drainer"); err != nil || len(got.Groups) != 0 {
		t.Errorf("got %+v, %v", got, err)
	}
}
