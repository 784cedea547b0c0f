package eks

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/controlplane"
	"github.com/ekspedite/ekspedite/infra/local/world"
)

const (
	serviceRanges = "/apis/networking.k8s.io/v1beta1/servicecidrs"
	volumeClasses = "/apis/storage.k8s.io/v1beta1/volumeattributesclasses"
	migrations    = "/apis/storagemigration.k8s.io/v1/storageversionmigrations"
	webhooks      = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
	crds          = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
	widgets       = "/apis/example.com/v1/namespaces/default/widgets"
	configMaps    = "/api/v1/namespaces/default/configmaps"
)

// TestRealVersionChange takes a real control plane with live objects from 1.34 to 1.37 and back to 1.36: what was written is
// there, what is served changes, and who calls an API that goes away shows in the insights.
func TestRealVersionChange(t *testing.T) {
	r := &rig{t: t, tokens: fakeTokens{"creator": asAdmin().Caller}}
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
	ctx := t.Context()
	in := clusterInput()
	in.Version = "1.34"
	if _, err := r.createCluster(ctx, asAdmin(), in); err != nil {
		t.Fatal(err)
	}
	r.until(func() bool { return r.clusters["c"].status == active })
	r.mustNodegroup()
	info := r.Clusters()[0]
	api, err := newAdmin(info.AdminKubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	v := &versions{t: t, r: r, api: api}
	v.objects()
	v.nodesReady(2)

	v.served(serviceRanges, true)
	v.served(migrations, false)
	r.refreshed()
	i := r.insight(upgradeReadiness, "1.37", "Deprecated APIs")
	if i.InsightStatus.Status != warning || !strings.Contains(fmt.Sprintf("%+v", i.Specifics), "eks-nodegroup") || !strings.Contains(fmt.Sprintf("%+v", i.Resources), serviceRanges) {
		t.Errorf("who calls what 1.37 does not serve: %+v", i)
	}

	for _, to := range []string{"1.35", "1.36", "1.37"} {
		v.hop(to, nil)
		v.intact(to)
		v.served(serviceRanges, to != "1.37")
		v.served(volumeClasses, to != "1.37")
		v.served(migrations, to == "1.37")
	}
	// Kubelets stay three minors behind until their group moves.
	v.kubelets("v1.34.")

	// What only 1.37 can write is out of sight at 1.36, and there again at 1.37.
	v.must("POST", migrations, map[string]any{"apiVersion": "storagemigration.k8s.io/v1", "kind": "StorageVersionMigration",
		"metadata": map[string]any{"name": "new"}, "spec": map[string]any{"resource": map[string]string{"group": "", "resource": "secrets"}}})
	v.hop("1.36", nil)
	v.intact("1.36")
	v.served(serviceRanges, true)
	v.served(migrations, false)
	v.hop("1.37", nil)
	v.intact("1.37")
	v.must("GET", migrations+"/new", nil)
	r.succeed(r.updateNodegroupVersion(ctx, asAdmin(), &updateNodegroupVersionIn{ClusterName: "c", NodegroupName: "ng", Version: "1.37", Force: true}))
	v.nodesReady(2)
	v.kubelets("v1.37.")
}

// versions is a cluster whose version changes.
type versions struct {
	t        *testing.T
	r        *rig
	api      *admin
	admitted atomic.Int64 // calls of the webhook
}

func (v *versions) must(method, path string, body any) {
	v.t.Helper()
	if err := v.api.do(v.t.Context(), method, path, plainJSON, body, nil); err != nil {
		v.t.Fatalf("%s %s: %v", method, path, err)
	}
}

// objects makes one of everything: a stored object, a custom resource, an object of a beta API, a webhook.
func (v *versions) objects() {
	v.t.Helper()
	hook := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		var review struct{ Request struct{ UID string } }
		if err := json.NewDecoder(req.Body).Decode(&review); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		v.admitted.Add(1)
		_ = json.NewEncoder(w).Encode(map[string]any{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": map[string]any{"uid": review.Request.UID, "allowed": true}})
	}))
	v.t.Cleanup(hook.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: hook.Certificate().Raw})
	v.must("POST", configMaps, map[string]any{"metadata": map[string]string{"name": "kept"}, "data": map[string]string{"a": "b"}})
	v.must("POST", volumeClasses, map[string]any{"apiVersion": "storage.k8s.io/v1beta1", "kind": "VolumeAttributesClass",
		"metadata": map[string]string{"name": "fast"}, "driverName": "ebs.csi.aws.com", "parameters": map[string]string{"iops": "4000"}})
	v.must("POST", crds, map[string]any{"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": map[string]string{"name": "widgets.example.com"},
		"spec": map[string]any{"group": "example.com", "scope": "Namespaced", "names": map[string]string{"plural": "widgets", "singular": "widget", "kind": "Widget"},
			"versions": []any{map[string]any{"name": "v1", "served": true, "storage": true, "schema": map[string]any{"openAPIV3Schema": map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}}}})
	eventually(v.t, "the custom resource is served", func() error {
		return v.api.do(v.t.Context(), "POST", widgets, plainJSON, map[string]any{"apiVersion": "example.com/v1", "kind": "Widget", "metadata": map[string]string{"name": "kept"}, "size": 3}, nil)
	})
	v.must("POST", webhooks, map[string]any{"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration", "metadata": map[string]string{"name": "witness"},
		"webhooks": []any{map[string]any{"name": "witness.example.com", "sideEffects": "None", "admissionReviewVersions": []string{"v1"}, "failurePolicy": "Fail",
			"clientConfig": map[string]any{"url": hook.URL, "caBundle": base64.StdEncoding.EncodeToString(ca)},
			"rules":        []any{map[string]any{"apiGroups": []string{""}, "apiVersions": []string{"v1"}, "operations": []string{"CREATE", "DELETE"}, "resources": []string{"configmaps"}}},
			// Those of Kubernetes' own controllers would fail while this test's server is not known yet.
			"namespaceSelector": map[string]any{"matchLabels": map[string]string{"kubernetes.io/metadata.name": "default"}}}}})
	if _, err := v.r.createAddon(v.t.Context(), asAdmin(), &createAddonIn{ClusterName: "c", AddonName: "kube-proxy", ResolveConflicts: resolveOverwrite}); err != nil {
		v.t.Fatal(err)
	}
	v.r.until(func() bool { return v.r.clusters["c"].addons["kube-proxy"].status == active })
}

// hop changes the control plane's version and says how long clients had no API server.
func (v *versions) hop(to string, change func(*updateVersionIn)) {
	v.t.Helper()
	u, err := v.r.version(to, func(in *updateVersionIn) {
		in.Force = true // kube-proxy stays behind
		if change != nil {
			change(in)
		}
	})
	if err != nil {
		v.t.Fatalf("to %s: %v", to, err)
	}
	ctx, stop := context.WithCancel(v.t.Context())
	gone := make(chan time.Duration)
	go func() { gone <- v.outage(ctx) }()
	v.r.succeed(u, nil)
	stop()
	v.t.Logf("to %s: no answer for %s", to, (<-gone).Round(10*time.Millisecond))
	var is struct{ GitVersion, Minor string }
	if err := v.api.do(v.t.Context(), "GET", "/version", plainJSON, nil, &is); err != nil || !strings.HasPrefix(is.GitVersion, "v"+to+".") || "1."+is.Minor != to {
		v.t.Errorf("/version after the change to %s: %+v, %v", to, is, err)
	}
}

// outage is the longest time without an answer until ctx ends.
func (v *versions) outage(ctx context.Context) time.Duration {
	var longest time.Duration
	last, ticker := time.Now(), time.NewTicker(20*time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return longest
		case <-ticker.C:
		}
		if v.api.do(ctx, "GET", configMaps+"/kept", plainJSON, nil, nil) == nil {
			longest, last = max(longest, time.Since(last)), time.Now()
		}
	}
}

// served wants an API to be there, or not.
func (v *versions) served(path string, want bool) {
	v.t.Helper()
	err := v.api.do(v.t.Context(), "GET", path, plainJSON, nil, nil)
	if want && err != nil || !want && !isStatus(err, http.StatusNotFound) {
		v.t.Errorf("%s: %v, want it served: %t", path, err, want)
	}
}

// intact wants everything that was there before a change of the version.
func (v *versions) intact(at string) {
	v.t.Helper()
	ctx := v.t.Context()
	var kept struct{ Data map[string]string }
	if err := v.api.do(ctx, "GET", configMaps+"/kept", plainJSON, nil, &kept); err != nil || kept.Data["a"] != "b" {
		v.t.Errorf("at %s, a ConfigMap: %+v, %v", at, kept, err)
	}
	var widget struct{ Size int }
	if err := v.api.do(ctx, "GET", widgets+"/kept", plainJSON, nil, &widget); err != nil || widget.Size != 3 {
		v.t.Errorf("at %s, a custom resource: %+v, %v", at, widget, err)
	}
	var class struct{ Parameters map[string]string }
	if err := v.api.do(ctx, "GET", strings.Replace(volumeClasses, "v1beta1", "v1", 1)+"/fast", plainJSON, nil, &class); err != nil || class.Parameters["iops"] != "4000" {
		v.t.Errorf("at %s, what was written with the beta API: %+v, %v", at, class, err)
	}
	before := v.admitted.Load()
	v.must("POST", configMaps, map[string]any{"metadata": map[string]string{"name": "new"}})
	v.must("DELETE", configMaps+"/new", nil)
	if got := v.admitted.Load() - before; got != 2 {
		v.t.Errorf("at %s, the webhook was called %d times, want 2", at, got)
	}
	if got := status(v.t, v.r.Clusters()[0].Endpoint+"/api/v1/nodes", "creator"); got != http.StatusOK {
		v.t.Errorf("at %s, the access entry of the creator: %d", at, got)
	}
	v.nodesReady(2)
}

func (v *versions) nodesReady(want int) {
	v.t.Helper()
	eventually(v.t, "the nodes are Ready", func() error {
		ready := 0
		for _, n := range v.nodes() {
			for _, c := range n.Status.Conditions {
				if c.Type == "Ready" && c.Status == "True" {
					ready++
				}
			}
		}
		if ready != want {
			return fmt.Errorf("%d are, want %d", ready, want)
		}
		return nil
	})
}

type nodeSeen struct {
	Metadata struct{ Name string }
	Status   struct {
		Conditions []struct{ Type, Status string }
		NodeInfo   struct{ KubeletVersion, KubeProxyVersion, OSImage, ContainerRuntimeVersion string }
	}
}

func (v *versions) nodes() []nodeSeen {
	v.t.Helper()
	var list struct{ Items []nodeSeen }
	if err := v.api.do(v.t.Context(), "GET", "/api/v1/nodes", plainJSON, nil, &list); err != nil {
		v.t.Fatal(err)
	}
	return list.Items
}

func (v *versions) kubelets(prefix string) {
	v.t.Helper()
	for _, n := range v.nodes() {
		i := n.Status.NodeInfo
		if !strings.HasPrefix(i.KubeletVersion, prefix) || i.KubeProxyVersion != "" || !strings.HasPrefix(i.OSImage, "Amazon Linux 2023.9.") || i.ContainerRuntimeVersion != ctrd2 {
			v.t.Errorf("%s: %+v, want a kubelet %s", n.Metadata.Name, i, prefix)
		}
	}
}
