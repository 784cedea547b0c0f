package kube

import (
	"fmt"
	"slices"
	"testing"
)

// TestReadinessOfAddonsFields: who has taken fields of an add-on from EKS; not what EKS has as well, nor a restart, nor what the
// control plane writes.
func TestReadinessOfAddonsFields(t *testing.T) {
	deployment := func(name, managers string) string {
		return fmt.Sprintf(`
- metadata: {name: %s, namespace: kube-system, managedFields: [%s]}
  spec: {selector: {matchLabels: {a: b}}, template: {spec: {containers: []}}}`, name, managers)
	}
	entry := func(manager, fields string) string {
		return fmt.Sprintf(`{manager: %s, operation: Update, apiVersion: apps/v1, fieldsType: FieldsV1, fieldsV1: {"f:spec": %s}}, `, manager, fields)
	}
	const theirs = `{"f:replicas": {}, "f:template": {"f:metadata": {"f:annotations": {".": {}, "f:kubectl.kubernetes.io/restartedAt": {}}}, "f:spec": {"f:containers": {"k:{\"name\":\"coredns\"}": {".": {}, "f:image": {}}}}}}`
	eks := entry("eks", `{"f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"coredns\"}": {".": {}, "f:image": {}}}}}}`)
	o := read(t, cluster{"/apis/apps/v1/deployments": "items:" +
		deployment("coredns", eks+entry("kubectl-edit", theirs)+entry("kube-controller-manager", `{"f:paused": {}}`)+
			entry("many", `{"f:a": {}, "f:b": {}, "f:c": {}, "f:d": {}, "f:e": {}, "f:g": {}}`)) +
		deployment("metrics-server", entry("helm", `{"f:replicas": {}}`)) + deployment("other", eks+entry("kubectl-edit", theirs))})
	want := []string{"spec.a (many)", "spec.b (many)", "spec.c (many)", "spec.d (many)", "spec.e (many)", "more (many)", "spec.replicas (kubectl-edit)"}
	for i, w := range want {
		want[i] = "Deployment kube-system/coredns: " + w
	}
	slices.Sort(want)
	if len(o.Addons) != 1 || o.Addons[0].Name != "coredns" || !slices.Equal(slices.Sorted(slices.Values(o.Addons[0].Foreign)), want) {
		t.Errorf("%+v, want %q; %v", o.Addons, want, o.Unread)
	}
}
