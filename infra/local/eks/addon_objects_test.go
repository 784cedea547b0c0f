package eks

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
)

func TestAddonConfiguration(t *testing.T) {
	for name, tc := range map[string]struct{ addon, values, message string }{
		"unknown":   {"coredns", `{"replicas":3}`, "ConfigurationValue provided in request is not supported: Json schema validation failed with error: [$.replicas: is not defined in the schema and the schema does not allow additional properties]"},
		"type":      {"coredns", `{"replicaCount":"3"}`, "[$.replicaCount: string found, integer expected]"},
		"no object": {"coredns", `null`, "[$: null found, object expected]"},
		"enum":      {"kube-proxy", `{"mode":"userspace"}`, "[$.mode: does not have a value in the enumeration [iptables, ipvs, nftables]]"},
		"minimum":   {"coredns", `{"replicaCount":-1}`, "[$.replicaCount: must have a minimum value of 0]"},
		"nested":    {"kube-proxy", `{"ipvs":{"scheduler":1}}`, "[$.ipvs.scheduler: integer found, string expected]"},
		"items":     {"coredns", `{"tolerations":["x"]}`, "[$.tolerations[0]: string found, object expected]"},
		"cut off":   {"coredns", `{"replicaCount":`, "Invalid JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseConfiguration("c", tc.values, addonCatalogue[tc.addon].schema)
			wantError(t, err, "InvalidParameterException", tc.message)
		})
	}
	if got, err := parseConfiguration("c", "replicaCount: 3", coreDNSSchema); err != nil || got["replicaCount"] != 3.0 {
		t.Errorf("%v, %v", got, err)
	}
	_, err := parseConfiguration("c", "replicaCount: [", coreDNSSchema)
	wantError(t, err, "InvalidParameterException", "YAML")
	got, err := parseConfiguration("c", `{"replicaCount":3,"resources":{"limits":{"cpu":"1"}}}`, coreDNSSchema)
	if err != nil || got["replicaCount"] != 3.0 {
		t.Errorf("%v, %v", got, err)
	}
}

// Every add-on of the catalogue can be described, and makes objects that Kubernetes can take.
func TestAddonCatalogue(t *testing.T) {
	r := &Service{}
	for name, spec := range addonCatalogue {
		for _, k := range releases {
			if len(spec.available(k.version)) == 0 {
				t.Errorf("%s has no version for %s", name, k.version)
			}
		}
		version := spec.available("1.36")[0]
		out, err := r.describeAddonConfiguration(t.Context(), nil, &describeAddonConfigIn{name, version})
		if err != nil {
			t.Fatal(err)
		}
		var parsed struct {
			Schema string `json:"$schema"`
			Type   string
		}
		if err := json.Unmarshal([]byte(out.ConfigurationSchema), &parsed); err != nil || parsed.Type != "object" || parsed.Schema == "" {
			t.Errorf("%s: schema %s, %v", name, out.ConfigurationSchema, err)
		}
		for _, o := range spec.objects(version, spec.namespace, "", "us-east-1", nil) {
			meta := o.Manifest["metadata"].(map[string]any)
			if !strings.HasSuffix(o.Path, "/"+meta["name"].(string)) || o.Manifest["kind"] == "" {
				t.Errorf("%s: %s is not %v", name, o.Path, meta)
			}
		}
	}
	_, err := r.describeAddonConfiguration(t.Context(), nil, &describeAddonConfigIn{"nothing", "v1"})
	wantError(t, err, "ResourceNotFoundException", "No addon versions found for addon nothing")
	_, err = r.describeAddonConfiguration(t.Context(), nil, &describeAddonConfigIn{"coredns", "v1"})
	wantError(t, err, "InvalidParameterException", "Addon version specified is not supported")
}

func TestWithout(t *testing.T) {
	manifest := map[string]any{"metadata": map[string]any{"labels": map[string]string{"a.b/c": "d", "e": "f"}}, "spec": map[string]any{
		"replicas": 2, "template": map[string]any{"containers": []map[string]any{{"name": "x", "image": "1"}, {"name": "y", "image": "2"}}},
	}}
	got := without(manifest, []string{`.spec.replicas`, `.spec.template.containers[name="y"].image`, `.metadata.labels.a\.b/c`, `.nothing.here`})
	want := map[string]any{"metadata": map[string]any{"labels": map[string]any{"e": "f"}}, "spec": map[string]any{
		"template": map[string]any{"containers": []any{map[string]any{"name": "x", "image": "1"}, map[string]any{"name": "y"}}},
	}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if manifest["spec"].(map[string]any)["replicas"] != 2 {
		t.Error("the manifest itself has changed")
	}
}

func TestAddonInstallsItsObjects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.mustCluster()
		r.mustNodegroup()
		in := &createAddonIn{ClusterName: "c", AddonName: "aws-ebs-csi-driver", ResolveConflicts: resolveOverwrite, ServiceAccountRoleARN: podRole,
			ConfigurationValues: `{"controller":{"replicaCount":3,"nodeSelector":{"pool":"system"}},"node":{"tolerateAllTaints":true}}`}
		if _, err := r.createAddon(t.Context(), asAdmin(), in); err != nil {
			t.Fatal(err)
		}
		r.until(func() bool { return r.clusters["c"].addons["aws-ebs-csi-driver"].status == active })
		p := r.plane()
		const controller = "/apis/apps/v1/namespaces/kube-system/deployments/ebs-csi-controller"
		if p.saw("apply "+controller+" OVERWRITE") != 1 || p.saw("apply /apis/apps/v1/namespaces/kube-system/daemonsets/ebs-csi-node") != 1 {
			t.Errorf("events %v", p.events)
		}
		for _, o := range p.applied {
			text, err := json.Marshal(o.Manifest)
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case o.Path == controller && (!strings.Contains(string(text), `"replicas":3`) || !strings.Contains(string(text), `"nodeSelector":{"pool":"system"}`) || !strings.Contains(string(text), "aws-ebs-csi-driver:v1.53.0-eksbuild.1")),
				strings.HasSuffix(o.Path, "serviceaccounts/ebs-csi-controller-sa") && !strings.Contains(string(text), podRole),
				strings.HasSuffix(o.Path, "serviceaccounts/ebs-csi-node-sa") && strings.Contains(string(text), podRole):
				t.Errorf("%s: %s", o.Path, text)
			}
		}
		if _, err := r.deleteAddon(t.Context(), asAdmin(), &deleteAddonIn{ClusterName: "c", AddonName: "aws-ebs-csi-driver"}); err != nil {
			t.Fatal(err)
		}
		r.until(func() bool { return r.clusters["c"].addons["aws-ebs-csi-driver"] == nil })
		if p.saw("remove "+controller) != 1 {
			t.Errorf("events %v", p.events)
		}
	})
}

func TestAddonFieldConflict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.mustCluster()
		r.mustNodegroup()
		r.plane().conflict = &FieldConflict{[]string{"Deployment coredns - .spec.replicas"}}
		create := func() {
			t.Helper()
			if _, err := r.createAddon(t.Context(), asAdmin(), &createAddonIn{ClusterName: "c", AddonName: "coredns"}); err != nil {
				t.Fatal(err)
			}
		}
		create()
		r.until(func() bool { return r.clusters["c"].addons["coredns"].status == createFailed })
		const text = "Conflicts found when trying to apply. Will not continue due to resolve conflicts mode. Conflicts:\nDeployment coredns - .spec.replicas"
		if got := r.clusters["c"].addons["coredns"].issues; got[0].Code != "ConfigurationConflict" || got[0].Message != text {
			t.Errorf("issues %+v", got)
		}
		u := r.updateEnds(r.updateAddon(t.Context(), asAdmin(), &updateAddonIn{ClusterName: "c", AddonName: "coredns", ConfigurationValues: `{"replicaCount":3}`}))
		if u.Status != updateFail || u.Errors[0].ErrorCode != "ConfigurationConflict" || r.clusters["c"].addons["coredns"].status != updateFailed || r.clusters["c"].addons["coredns"].config != "" {
			t.Errorf("update %+v", u)
		}
		for _, mode := range []string{resolvePreserve, resolveOverwrite} {
			u = r.updateEnds(r.updateAddon(t.Context(), asAdmin(), &updateAddonIn{ClusterName: "c", AddonName: "coredns", ConfigurationValues: `{"replicaCount":3}`, ResolveConflicts: mode}))
			if u.Status != successful || r.clusters["c"].addons["coredns"].status != active {
				t.Errorf("%s: update %+v", mode, u)
			}
		}
		_, err := r.updateAddon(t.Context(), asAdmin(), &updateAddonIn{ClusterName: "c", AddonName: "coredns", ResolveConflicts: "MERGE"})
		wantError(t, err, "InvalidParameterException", "resolveConflicts must be one of")
	})
}

func TestAddonPodIdentities(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.mustCluster()
		r.mustNodegroup()
		in := &createAddonIn{ClusterName: "c", AddonName: "external-dns", NamespaceConfig: &namespaceConfig{"dns"}}
		in.PodIdentityAssociations = []addonPodIdentity{{"external-dns", nodeRole}}
		_, err := r.createAddon(t.Context(), asAdmin(), in)
		wantError(t, err, "InvalidParameterException", "Trust policy of the role provided is invalid.")
		in.PodIdentityAssociations = []addonPodIdentity{{"default", podRole}}
		_, err = r.createAddon(t.Context(), asAdmin(), in)
		wantError(t, err, "InvalidParameterException", "The service account default is not one of the add-on external-dns")
		in.PodIdentityAssociations = []addonPodIdentity{{"external-dns", podRole}}
		out, err := r.createAddon(t.Context(), asAdmin(), in)
		if err != nil || len(out.Addon.PodIdentityAssociations) != 1 || out.Addon.NamespaceConfig.Namespace != "dns" {
			t.Fatalf("%+v, %v", out, err)
		}
		r.until(func() bool { return r.clusters["c"].addons["external-dns"].status == active })
		if r.plane().saw("apply /api/v1/namespaces/dns ") != 1 {
			t.Errorf("events %v", r.plane().events)
		}
		list, err := r.listPodIdentities(t.Context(), asAdmin(), &listPodIdentitiesIn{ClusterName: "c", Namespace: "dns"})
		if err != nil || len(list.Associations) != 1 || list.Associations[0].OwnerARN != out.Addon.AddonARN {
			t.Fatalf("%+v, %v", list, err)
		}
		id := list.Associations[0].AssociationID
		_, err = r.deletePodIdentity(t.Context(), asAdmin(), &podIdentityName{"c", id})
		wantError(t, err, "InvalidRequestException", "owned by")
		same := []addonPodIdentity{{"external-dns", podRole}}
		r.updateEnds(r.updateAddon(t.Context(), asAdmin(), &updateAddonIn{ClusterName: "c", AddonName: "external-dns", PodIdentityAssociations: &same}))
		if r.clusters["c"].podIdentities[id] == nil || len(r.clusters["c"].podIdentities) != 1 {
			t.Errorf("associations %v", r.clusters["c"].podIdentities)
		}
		r.updateEnds(r.updateAddon(t.Context(), asAdmin(), &updateAddonIn{ClusterName: "c", AddonName: "external-dns", PodIdentityAssociations: &[]addonPodIdentity{}}))
		if len(r.clusters["c"].podIdentities) != 0 {
			t.Errorf("associations %v", r.clusters["c"].podIdentities)
		}
		_, err = r.createAddon(t.Context(), asAdmin(), &createAddonIn{ClusterName: "c", AddonName: "vpc-cni", NamespaceConfig: &namespaceConfig{"net"}})
		wantError(t, err, "InvalidParameterException", "does not support a custom namespace")
	})
}
