package eks

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// realAccessPolicies asks a real API server what access policies let their principals do.
func realAccessPolicies(t *testing.T, r *rig, api *admin, endpoint string) {
	t.Helper()
	ctx := t.Context()
	namespace := func(name string) {
		t.Helper()
		if err := api.do(ctx, "POST", "/api/v1/namespaces", plainJSON, map[string]any{"metadata": map[string]string{"name": name}}, nil); err != nil {
			t.Fatal(err)
		}
	}
	associate := func(name, policy string, namespaces ...string) {
		t.Helper()
		arn := "arn:aws:iam::" + account + ":role/" + name
		if r.clusters["c"].entries[arn] == nil {
			if _, err := r.createEntry(ctx, asAdmin(), &createEntryIn{Name: "c", PrincipalARN: arn}); err != nil {
				t.Fatal(err)
			}
			r.tokens[name] = wire.Principal{Account: account, RoleARN: arn, ARN: "arn:aws:sts::" + account + ":assumed-role/" + name + "/x", UserID: "AROA:x"}
		}
		scope := accessScope{"cluster", nil}
		if len(namespaces) > 0 {
			scope = accessScope{"namespace", namespaces}
		}
		if _, err := r.associate(ctx, asAdmin(), &associateIn{"c", arn, policyPrefix + policy, scope}); err != nil {
			t.Fatal(err)
		}
	}
	become := func(token, path string, want int) {
		t.Helper()
		eventually(t, fmt.Sprintf("%s gets %d from %s", token, want, path), func() error {
			if got := status(t, endpoint+path, token); got != want {
				return fmt.Errorf("got %d", got)
			}
			return nil
		})
	}
	namespace("dev-a")
	namespace("prod")
	associate("viewer", "AmazonEKSViewPolicy")
	associate("adminviewer", "AmazonEKSAdminViewPolicy")
	associate("secrets", "AmazonEKSSecretReaderPolicy", "prod")
	associate("editor", "AmazonEKSEditPolicy", "dev-*")
	associate("owner", "AmazonEKSAdminPolicy", "dev-a")
	associate("local", "AmazonEKSClusterAdminPolicy", "prod")
	const ok, no = http.StatusOK, http.StatusForbidden
	for _, tc := range []struct {
		who, path string
		want      int
	}{
		{"viewer", "/api/v1/pods", ok}, {"viewer", "/api/v1/namespaces/prod/secrets", no}, {"viewer", "/api/v1/nodes", no},
		{"adminviewer", "/api/v1/nodes", ok}, {"adminviewer", "/api/v1/secrets", ok},
		{"secrets", "/api/v1/namespaces/prod/secrets", ok}, {"secrets", "/api/v1/namespaces/dev-a/secrets", no}, {"secrets", "/api/v1/namespaces/prod/pods", no},
		{"editor", "/api/v1/namespaces/dev-a/secrets", ok}, {"editor", "/api/v1/namespaces/prod/pods", no}, {"editor", "/apis/rbac.authorization.k8s.io/v1/namespaces/dev-a/roles", no},
		{"owner", "/apis/rbac.authorization.k8s.io/v1/namespaces/dev-a/roles", ok}, {"owner", "/api/v1/pods", no},
		{"local", "/api/v1/namespaces/prod/events", ok}, {"local", "/api/v1/namespaces/dev-a/events", no},
	} {
		become(tc.who, tc.path, tc.want)
	}
	// A namespace that comes later is in the scope of a pattern that matches it.
	namespace("dev-b")
	become("editor", "/api/v1/namespaces/dev-b/configmaps", ok)
	associate("editor", "AmazonEKSEditPolicy", "prod")
	become("editor", "/api/v1/namespaces/prod/configmaps", ok)
	become("editor", "/api/v1/namespaces/dev-b/configmaps", no)
	if _, err := r.disassociate(ctx, asAdmin(), &disassociateIn{"c", "arn:aws:iam::" + account + ":role/viewer", policyPrefix + "AmazonEKSViewPolicy"}); err != nil {
		t.Fatal(err)
	}
	become("viewer", "/api/v1/pods", no)
}

// realAddons installs add-ons in a real cluster, next to a customer's changes.
func realAddons(t *testing.T, r *rig, api *admin) {
	t.Helper()
	ctx := t.Context()
	ends := func(name string) string {
		t.Helper()
		var status string
		r.until(func() bool {
			a := r.clusters["c"].addons[name]
			if a != nil {
				status = a.status
			}
			return a == nil || a.status != creating && a.status != updating && a.status != deleting
		})
		return status
	}
	create := func(in createAddonIn) string {
		t.Helper()
		in.ClusterName = "c"
		if _, err := r.createAddon(ctx, asAdmin(), &in); err != nil {
			t.Fatal(err)
		}
		return ends(in.AddonName)
	}
	var d struct {
		Spec struct {
			Replicas int
			Template struct {
				Spec struct{ Containers []struct{ Image string } }
			}
		}
	}
	const coredns = "/apis/apps/v1/namespaces/kube-system/deployments/coredns"
	read := func(path string) {
		t.Helper()
		if err := api.do(ctx, "GET", path, plainJSON, nil, &d); err != nil {
			t.Fatal(err)
		}
	}
	// What EKS has installed by itself is no conflict, not even with NONE.
	if got := create(createAddonIn{AddonName: "coredns"}); got != active {
		t.Fatalf("coredns is %s: %+v", got, r.clusters["c"].addons["coredns"].issues)
	}
	if read(coredns); !strings.HasSuffix(d.Spec.Template.Spec.Containers[0].Image, "coredns:v1.12.4-eksbuild.1") {
		t.Errorf("coredns %+v", d)
	}
	// A customer's change is.
	if err := api.do(ctx, "PATCH", coredns+"?fieldManager=kubectl", mergePatch, map[string]any{"spec": map[string]any{"replicas": 3}}, nil); err != nil {
		t.Fatal(err)
	}
	update := func(mode string) updateShape {
		t.Helper()
		return r.updateEnds(r.updateAddon(ctx, asAdmin(), &updateAddonIn{ClusterName: "c", AddonName: "coredns", ResolveConflicts: mode, AddonVersion: "v1.13.1-eksbuild.1"}))
	}
	if u := update(resolveNone); u.Status != updateFail || u.Errors[0].ErrorCode != "ConfigurationConflict" || !strings.HasSuffix(u.Errors[0].ErrorMessage, "Conflicts:\nDeployment coredns - .spec.replicas") {
		t.Errorf("NONE: %+v", u)
	}
	if u := update(resolvePreserve); u.Status != successful {
		t.Errorf("PRESERVE: %+v", u)
	}
	if read(coredns); d.Spec.Replicas != 3 || !strings.HasSuffix(d.Spec.Template.Spec.Containers[0].Image, "coredns:v1.13.1-eksbuild.1") {
		t.Errorf("after PRESERVE: %+v", d)
	}
	if u := update(resolveOverwrite); u.Status != successful {
		t.Errorf("OVERWRITE: %+v", u)
	}
	if read(coredns); d.Spec.Replicas != 2 {
		t.Errorf("after OVERWRITE: %+v", d)
	}
	for name := range addonCatalogue {
		if name == "coredns" {
			continue
		}
		if _, err := r.createAddon(ctx, asAdmin(), &createAddonIn{ClusterName: "c", AddonName: name}); err != nil {
			t.Fatal(err)
		}
	}
	for name := range addonCatalogue {
		if got := ends(name); got != active {
			t.Errorf("%s is %s: %+v", name, got, r.clusters["c"].addons[name].issues)
		}
	}
	const controller = "/apis/apps/v1/namespaces/kube-system/deployments/ebs-csi-controller"
	read(controller)
	if _, err := r.deleteAddon(ctx, asAdmin(), &deleteAddonIn{ClusterName: "c", AddonName: "aws-ebs-csi-driver"}); err != nil {
		t.Fatal(err)
	}
	ends("aws-ebs-csi-driver")
	eventually(t, "the driver is gone", func() error {
		if err := api.do(ctx, "GET", controller, plainJSON, nil, nil); !isStatus(err, http.StatusNotFound) {
			return errors.Join(err, errors.New("still there"))
		}
		return nil
	})
	if _, err := r.deleteAddon(ctx, asAdmin(), &deleteAddonIn{ClusterName: "c", AddonName: "coredns", Preserve: true}); err != nil {
		t.Fatal(err)
	}
	ends("coredns")
	read(coredns) // preserved
}

// realFargate runs a pod on Fargate, in a cluster whose other nodes could take it as well.
func realFargate(t *testing.T, r *rig, api *admin) {
	t.Helper()
	ctx := t.Context()
	if _, err := r.createFargate(ctx, asAdmin(), &createFargateIn{ClusterName: "c", FargateProfileName: "Web_1", PodExecutionRole: fargateRole, Subnets: []string{"subnet-b"},
		Selectors: []fargateSelector{{"fg-*", map[string]string{"app.io/tier": "front"}}}}); err != nil {
		t.Fatal(err)
	}
	r.until(func() bool { return r.clusters["c"].fargate["Web_1"].status == active })
	if err := api.do(ctx, "POST", "/api/v1/namespaces", plainJSON, map[string]any{"metadata": map[string]string{"name": "fg-a"}}, nil); err != nil {
		t.Fatal(err)
	}
	const admission = admissionAPI + "mutatingadmissionpolicybindings/eks-fargate-web-1"
	eventually(t, "the profile is in force", func() error { return api.do(ctx, "GET", admission, plainJSON, nil, nil) })
	create := func(name string, labels map[string]string) {
		t.Helper()
		if err := api.do(ctx, "POST", "/api/v1/namespaces/fg-a/pods", plainJSON, map[string]any{
			"metadata": map[string]any{"name": name, "labels": labels},
			"spec": map[string]any{"tolerations": []any{map[string]string{"operator": "Exists"}}, "containers": []any{map[string]any{
				"name": "x", "image": "x", "resources": map[string]any{"requests": map[string]string{"cpu": "300m", "memory": "700Mi"}},
			}}},
		}, nil); err != nil {
			t.Fatal(err)
		}
	}
	var p fargatePodObject
	running := func(name string) func() error {
		return func() error {
			p = fargatePodObject{}
			if err := api.do(ctx, "GET", "/api/v1/namespaces/fg-a/pods/"+name, plainJSON, nil, &p); err != nil {
				return err
			}
			if p.Status.Phase != "Running" {
				return fmt.Errorf("%s on %q by %s", p.Status.Phase, p.Spec.NodeName, p.Spec.SchedulerName)
			}
			return nil
		}
	}
	front := map[string]string{"app.io/tier": "front"}
	// The API server takes a moment to know a new admission policy: pods that came too early stay with the others.
	eventually(t, "the admission policy is known", func() error {
		create("probe", front)
		var made fargatePodObject
		err := api.do(ctx, "GET", "/api/v1/namespaces/fg-a/pods/probe", plainJSON, nil, &made)
		if err == nil && made.Spec.SchedulerName != fargateScheduler {
			err = errors.New("another scheduler")
		}
		return errors.Join(err, api.do(ctx, "DELETE", "/api/v1/namespaces/fg-a/pods/probe?gracePeriodSeconds=0", plainJSON, nil, nil))
	})
	create("a", front)
	create("b", map[string]string{"app.io/tier": "back"})
	eventually(t, "the pod runs", running("a"))
	if !strings.HasPrefix(p.Spec.NodeName, "fargate-ip-") || p.Metadata.Labels[profileLabel] != "Web_1" {
		t.Errorf("pod %+v", p)
	}
	var n struct {
		Metadata struct{ Labels map[string]string }
		Spec     struct{ Taints []NodeTaint }
		Status   struct{ Capacity map[string]string }
	}
	if err := api.do(ctx, "GET", nodePath(p.Spec.NodeName), plainJSON, nil, &n); err != nil {
		t.Fatal(err)
	}
	if n.Metadata.Labels[fargateLabel] != "fargate" || n.Metadata.Labels["topology.kubernetes.io/zone"] != "us-east-1b" || n.Status.Capacity["cpu"] != "500m" || n.Status.Capacity["memory"] != "1Gi" {
		t.Errorf("node %+v", n)
	}
	node := p.Spec.NodeName
	var all struct{ Items []fargatePodObject }
	if err := api.do(ctx, "GET", "/api/v1/pods?fieldSelector=spec.nodeName="+node, plainJSON, nil, &all); err != nil || len(all.Items) != 1 {
		t.Errorf("on the node: %+v, %v", all.Items, err)
	}
	eventually(t, "the other pod runs", running("b"))
	if strings.HasPrefix(p.Spec.NodeName, "fargate-") {
		t.Errorf("a pod that no profile selects is on %s", p.Spec.NodeName)
	}
	// A profile takes its pods along, and a pod its machine.
	if _, err := r.deleteFargate(ctx, asAdmin(), &fargateName{"c", "Web_1"}); err != nil {
		t.Fatal(err)
	}
	gone := func(path string) func() error {
		return func() error {
			if err := api.do(ctx, "GET", path, plainJSON, nil, nil); !isStatus(err, http.StatusNotFound) {
				return errors.Join(err, errors.New("still there"))
			}
			return nil
		}
	}
	eventually(t, "the pod is gone", gone("/api/v1/namespaces/fg-a/pods/a"))
	eventually(t, "the node is gone", gone(nodePath(node)))
	eventually(t, "the admission policy is gone", gone(admission))
}
