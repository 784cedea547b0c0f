package eks

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/controlplane"
	"github.com/ekspedite/ekspedite/infra/local/wire"
	"github.com/ekspedite/ekspedite/infra/local/world"
)

// TestRealControlPlane is the one test here that has a real Kubernetes behind the cluster: what EKS does through its API
// (join, cordon, evict, relabel) and what the API server asks EKS (whose token is this).
func TestRealControlPlane(t *testing.T) {
	r := &rig{t: t, tokens: fakeTokens{
		"creator": asAdmin().Caller,
		"nobody":  wire.Principal{Account: account, ARN: "arn:aws:iam::111122223333:user/x", UserID: "AIDAX"},
	}}
	webhook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		_, _ = w.Write(r.Review(req.URL.Path[1:], body))
	}))
	t.Cleanup(webhook.Close)
	binary := func(ctx context.Context) (string, error) { return controlplane.Binary(ctx, "../../..", t.Output()) }
	r.start(world.Fast, Kubernetes{Binary: binary}, func(cluster string) string { return webhook.URL + "/" + cluster })
	r.mustCluster()
	r.mustNodegroup()

	info := r.Clusters()[0]
	api, err := newAdmin(info.AdminKubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	const name = "ip-10-0-0-1.ec2.internal"
	var node struct {
		Metadata struct{ Labels map[string]string }
		Spec     struct {
			ProviderID    string
			Unschedulable bool
			Taints        []NodeTaint
		}
		Status struct {
			Allocatable map[string]string
			Conditions  []struct{ Type, Status string }
			NodeInfo    struct{ KubeletVersion string }
		}
	}
	eventually(t, "the node is Ready", func() error {
		if err := api.do(ctx, "GET", nodePath(name), plainJSON, nil, &node); err != nil {
			return err
		}
		for _, c := range node.Status.Conditions {
			if c.Type == "Ready" && c.Status == "True" {
				return nil
			}
		}
		return errors.New("not Ready")
	})
	if node.Spec.ProviderID != "aws:///us-east-1b/i-0001" && node.Spec.ProviderID != "aws:///us-east-1a/i-0001" || node.Metadata.Labels["eks.amazonaws.com/capacityType"] != "SPOT" || node.Status.Allocatable["cpu"] != "1930m" {
		t.Errorf("node %+v", node)
	}

	for token, want := range map[string]int{"creator": http.StatusOK, "nobody": http.StatusUnauthorized} {
		if got := status(t, info.Endpoint+"/api/v1/nodes", token); got != want {
			t.Errorf("token of %s: %d, want %d", token, got, want)
		}
	}

	label := map[string]string{"app": "x"}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(api.do(ctx, "POST", "/api/v1/namespaces/default/pods", plainJSON, map[string]any{
		"metadata": map[string]any{"name": "x", "labels": label},
		"spec":     map[string]any{"nodeName": name, "containers": []any{map[string]any{"name": "x", "image": "x"}}, "tolerations": []any{map[string]string{"operator": "Exists"}}},
	}, nil))
	const budgets = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
	must(api.do(ctx, "POST", budgets, plainJSON, map[string]any{
		"metadata": map[string]any{"name": "x"}, "spec": map[string]any{"maxUnavailable": 0, "selector": map[string]any{"matchLabels": label}},
	}, nil))
	eventually(t, "the pod is guarded", func() error {
		var b struct{ Status struct{ CurrentHealthy int } }
		if err := api.do(ctx, "GET", budgets+"/x", plainJSON, nil, &b); err != nil {
			return err
		}
		if b.Status.CurrentHealthy != 1 {
			return errors.New("not yet healthy")
		}
		return nil
	})
	must(api.Cordon(ctx, name))
	if left, err := api.Evict(ctx, name, false); err != nil || left == 0 {
		t.Errorf("against the budget: %d left, %v", left, err)
	}
	must(api.do(ctx, "DELETE", budgets+"/x", plainJSON, nil, nil))
	eventually(t, "the node is empty", func() error {
		left, err := api.Evict(ctx, name, false)
		if err == nil && left > 0 {
			err = errors.New("pods left")
		}
		return err
	})
	must(api.Relabel(ctx, name, NodeChange{SetLabels: map[string]string{"new": "1"}, RemoveLabels: []string{"team"},
		SetTaints: []NodeTaint{{"new", "1", "NoExecute"}}, RemoveTaints: []NodeTaint{{Key: "spot", Effect: "NoSchedule"}}}))
	node.Metadata.Labels, node.Spec.Taints = nil, nil
	must(api.do(ctx, "GET", nodePath(name), plainJSON, nil, &node))
	if _, stays := node.Metadata.Labels["team"]; stays || node.Metadata.Labels["new"] != "1" || !node.Spec.Unschedulable {
		t.Errorf("labels %v", node.Metadata.Labels)
	}
	for _, taint := range node.Spec.Taints {
		if taint.Key == "spot" {
			t.Errorf("taints %v", node.Spec.Taints)
		}
	}

	realBlockedUpdate(t, r, api)
	realAccessPolicies(t, r, api, info.Endpoint)
	realAddons(t, r, api)

	u := r.updateEnds(r.updateClusterVersion(ctx, asAdmin(), &updateVersionIn{Name: "c", Version: "1.36"}))
	if u.Status != successful {
		t.Errorf("upgrade %+v", u)
	}
	realFargate(t, r, api)
	r.ec2.terminate("i-0001")
	eventually(t, "the Node is gone with its instance", func() error {
		err := api.do(ctx, "GET", nodePath(name), plainJSON, nil, nil)
		if isStatus(err, http.StatusNotFound) {
			return nil
		}
		return errors.Join(err, errors.New("still there"))
	})
}

// realBlockedUpdate has a PodDisruptionBudget stop the update of a node group. Afterwards the old nodes take pods again.
func realBlockedUpdate(t *testing.T, r *rig, api *admin) {
	t.Helper()
	ctx, label := t.Context(), map[string]string{"app": "guarded"}
	const pods, budgets = "/api/v1/namespaces/default/pods", "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
	names := []string{"ip-10-0-0-1.ec2.internal", "ip-10-0-0-2.ec2.internal"}
	must := func(method, path string, body any) {
		t.Helper()
		if err := api.do(ctx, method, path, plainJSON, body, nil); err != nil {
			t.Fatal(err)
		}
	}
	must("POST", budgets, map[string]any{"metadata": map[string]any{"name": "guarded"}, "spec": map[string]any{"minAvailable": 2, "selector": map[string]any{"matchLabels": label}}})
	for _, node := range names {
		must("POST", pods, map[string]any{"metadata": map[string]any{"name": "on-" + node, "labels": label}, "spec": map[string]any{
			"nodeName": node, "containers": []any{map[string]any{"name": "x", "image": "x"}}, "tolerations": []any{map[string]string{"operator": "Exists"}}}})
		eventually(t, "the pod runs", func() error {
			var p struct{ Status struct{ Phase string } }
			if err := api.do(ctx, "GET", pods+"/on-"+node, plainJSON, nil, &p); err != nil || p.Status.Phase != "Running" {
				return errors.Join(err, errors.New(p.Status.Phase))
			}
			return nil
		})
	}
	r.SetEvictionPatience(3 * time.Second)
	defer r.SetEvictionPatience(0)
	u, err := r.nodes("1.35")
	r.failsWith(podEviction, u, err)
	for _, node := range names {
		var n struct {
			Metadata struct{ Labels map[string]string }
			Spec     struct{ Unschedulable bool }
		}
		if err := api.do(ctx, "GET", nodePath(node), plainJSON, nil, &n); err != nil || n.Spec.Unschedulable || n.Metadata.Labels["node.kubernetes.io/exclude-from-external-load-balancers"] != "" {
			t.Errorf("a node of a blocked update: %+v, %v", n, err)
		}
		must("DELETE", pods+"/on-"+node, nil)
	}
	must("DELETE", budgets+"/guarded", nil)
}

// eventually asks a process outside of this one until it agrees.
func eventually(t *testing.T, what string, try func() error) {
	t.Helper()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	patience := time.After(time.Minute)
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-ticker.C:
		case <-patience:
			t.Fatalf("%s: %v", what, err)
		}
	}
}

// status is what the API server answers to somebody with a bearer token. Whose certificate it shows is not the point.
func status(t *testing.T, url, token string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}
