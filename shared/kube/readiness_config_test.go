package kube

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/readiness"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

func TestReadinessOfConfiguration(t *testing.T) {
	o := read(t, cluster{
		"/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations": `
items:
- metadata: {name: guard}
  webhooks:
  - {name: a.guard, clientConfig: {service: {namespace: guard, name: hook}}, rules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods], scope: Namespaced}],
     namespaceSelector: {matchLabels: {guarded: "yes"}}, timeoutSeconds: 3, matchConditions: [{name: x, expression: "true"}], sideEffects: None, admissionReviewVersions: [v1]}`,
		"/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations": `
items:
- metadata: {name: inject}
  webhooks: [{name: a.inject, failurePolicy: Ignore, clientConfig: {url: "https://x"}, sideEffects: None, admissionReviewVersions: [v1]}]`,
		"/api/v1/services": `
items:
- {metadata: {name: web, namespace: default}, spec: {selector: {app: web}, externalIPs: [010.0.0.1], loadBalancerSourceRanges: [10.0.0.1/8]}}`,
		"/apis/networking.k8s.io/v1/networkpolicies": `
items:
- {metadata: {name: web, namespace: default}, spec: {podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.1.0.0/16, except: [10.1.1.1/24]}}]}], egress: [{to: [{podSelector: {}}]}]}}`,
		"/apis/apiextensions.k8s.io/v1/customresourcedefinitions": `
items:
- {metadata: {name: things.x.io}, spec: {versions: [{name: v1, served: true, storage: true}, {name: v1beta1, served: false, storage: false}]}, status: {storedVersions: [v1beta1, v1]}}`,
		"/apis/apiregistration.k8s.io/v1/apiservices": `
items:
- {metadata: {name: v1.apps}, spec: {group: apps}}
- {metadata: {name: v1beta1.metrics.k8s.io}, spec: {service: {namespace: kube-system, name: metrics-server}}, status: {conditions: [{type: Available, status: "False", reason: MissingEndpoints, message: no endpoints}]}}
- {metadata: {name: v1.good}, spec: {service: {namespace: a, name: b}}, status: {conditions: [{type: Available, status: "True", reason: Passed, message: all fine}]}}`,
		"/api/v1/namespaces/kube-system/configmaps/kube-proxy-config": `{data: {config: "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nmode: ipvs\n"}}`,
		"/apis/rbac.authorization.k8s.io/v1/clusterrolebindings": `
items:
- {metadata: {name: ops}, subjects: [{kind: Group, name: ops}], roleRef: {name: admin}}
- {metadata: {name: open}, subjects: [{kind: Group, name: "system:unauthenticated"}], roleRef: {name: view}}`,
		"/api/v1/secrets?type=kubernetes.io/service-account-token": `items: [{metadata: {name: token-1, namespace: ci}}]`,
		"/api/v1/endpoints": `
items:
- {metadata: {name: kubernetes, namespace: default}}
- {metadata: {name: web, namespace: default, labels: {endpoints.kubernetes.io/managed-by: endpoint-controller}}}
- {metadata: {name: old, namespace: default, managedFields: [{manager: kube-controller-manager, operation: Update}]}}
- {metadata: {name: lock, namespace: default, annotations: {control-plane.alpha.kubernetes.io/leader: "{}"}}}
- {metadata: {name: db, namespace: default, managedFields: [{manager: kubectl-create, operation: Update}]}}`,
		"/api/v1/persistentvolumes": `
items:
- metadata: {name: pv-1}
  spec:
    claimRef: {namespace: default, name: data}
    csi: {driver: ebs.csi.aws.com, volumeHandle: vol-1}
    nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [{key: topology.kubernetes.io/zone, operator: In, values: [us-east-1a]}]}]}}
- {metadata: {name: pv-2, labels: {topology.kubernetes.io/zone: us-east-1b}}, spec: {awsElasticBlockStore: {volumeID: vol-2}}}
- {metadata: {name: pv-3}, spec: {local: {path: /x}}}`,
		"/apis/storage.k8s.io/v1/csidrivers":     `items: [{metadata: {name: ebs.csi.aws.com}}]`,
		"/apis/storage.k8s.io/v1/storageclasses": `items: [{metadata: {name: gp2}, provisioner: kubernetes.io/aws-ebs}]`,
		"/apis/karpenter.sh/v1/nodepools": `
items:
- metadata: {name: default}
  spec:
    template: {metadata: {labels: {a: b}}, spec: {expireAfter: 720h, nodeClassRef: {group: karpenter.k8s.aws, kind: EC2NodeClass, name: main}}}
    disruption: {budgets: [{nodes: "0", schedule: "@daily", duration: 8h, reasons: [Drifted]}]}
- {metadata: {name: system}, spec: {template: {spec: {nodeClassRef: {group: eks.amazonaws.com, kind: NodeClass, name: default}}}}}`,
		"/apis/karpenter.k8s.aws/v1/ec2nodeclasses": `
items:
- {metadata: {name: main}, spec: {amiFamily: AL2023, amiSelectorTerms: [{alias: al2023@latest}]}}
- {metadata: {name: own}, spec: {amiSelectorTerms: [{id: ami-1}]}}`,
	})
	if len(o.Unread) > 0 {
		t.Fatal(o.Unread)
	}
	for name, pair := range map[string][2]any{
		"webhooks": {o.Webhooks, []readiness.Webhook{
			{Kind: "ValidatingWebhookConfiguration", Configuration: "guard", Name: "a.guard", Fail: true, Service: "guard/hook", Timeout: 3 * time.Second, Conditions: true,
				Rules:             []readiness.WebhookRule{{Groups: []string{""}, Resources: []string{"pods"}, Operations: []string{"CREATE"}, Scope: "Namespaced"}},
				NamespaceSelector: &fleet.Selector{Labels: map[string]string{"guarded": "yes"}}},
			{Kind: "MutatingWebhookConfiguration", Configuration: "inject", Name: "a.inject", Timeout: 10 * time.Second},
		}},
		"services": {o.Services, []readiness.Service{{Namespace: "default", Name: "web", Selector: map[string]string{"app": "web"}, ExternalIPs: []string{"010.0.0.1"}}}},
		"addresses": {o.Addresses, []readiness.Address{{Object: "Service default/web", Text: "010.0.0.1"}, {Object: "Service default/web", Text: "10.0.0.1/8"},
			{Object: "NetworkPolicy default/web", Text: "10.1.0.0/16"}, {Object: "NetworkPolicy default/web", Text: "10.1.1.1/24"}}},
		"definitions": {o.Definitions, []readiness.Definition{{Name: "things.x.io", Stored: []string{"v1beta1", "v1"}, Versions: []readiness.DefinitionVersion{{Name: "v1", Served: true, Storage: true}, {Name: "v1beta1"}}}}},
		"API services": {o.APIServices, []readiness.APIService{{Name: "v1beta1.metrics.k8s.io", Service: "kube-system/metrics-server", Why: "MissingEndpoints: no endpoints"},
			{Name: "v1.good", Service: "a/b", Available: true}}},
		"kube-proxy": {o.KubeProxy, readiness.KubeProxy{Found: true, Mode: "ipvs"}},
		"bindings":   {o.Anonymous, []readiness.Named{{Name: "open", Status: "view"}}},
		"tokens":     {o.TokenSecrets, []string{"ci/token-1"}},
		"endpoints":  {o.EndpointObjects, []string{"default/db"}},
		"volumes": {o.Volumes, []readiness.Volume{{Name: "pv-1", Claim: "default/data", Driver: "ebs.csi.aws.com", Zones: []string{"us-east-1a"}},
			{Name: "pv-2", Driver: "kubernetes.io/aws-ebs", Zones: []string{"us-east-1b"}}, {Name: "pv-3", Driver: "kubernetes.io/local"}}},
		"drivers":         {o.Drivers, []string{"ebs.csi.aws.com"}},
		"storage classes": {o.StorageClasses, map[string]string{"gp2": "kubernetes.io/aws-ebs"}},
		"pools": {o.NodePools, []readiness.NodePool{{Name: "default", NodeClass: "main", ExpireAfter: "720h", Labels: map[string]string{"a": "b"}, Budgets: []readiness.NodePoolBudget{{Nodes: "0", Schedule: "@daily", Reasons: []string{"Drifted"}}}},
			{Name: "system", NodeClass: "default", Auto: true}}},
		"classes": {o.NodeClasses, []readiness.NodeClass{{Name: "main", Family: "AL2023", Aliases: []string{"al2023@latest"}}, {Name: "own", Pinned: true}}},
	} {
		if !reflect.DeepEqual(pair[0], pair[1]) {
			t.Errorf("%s:\n%+v, want\n%+v", name, pair[0], pair[1])
		}
	}
}

// TestReadinessOfWrittenObjects: who has written objects by a version that goes, found by one that stays.
func TestReadinessOfWrittenObjects(t *testing.T) {
	o := read(t, cluster{
		"/version": `{major: "1", minor: "36"}`,
		"/apis": `
kind: APIGroupDiscoveryList
items:
- metadata: {name: resource.k8s.io}
  versions:
  - {version: v1, resources: [{resource: resourceclaims, responseKind: {kind: ResourceClaim}, verbs: [list, get]}]}
  - {version: v1beta1, resources: [{resource: resourceclaims, responseKind: {kind: ResourceClaim}, verbs: [list, get]}]}
- metadata: {name: scheduling.k8s.io}
  versions:
  - {version: v1, resources: [{resource: priorityclasses, responseKind: {kind: PriorityClass}, verbs: [list]}]}
  - {version: v1alpha2, resources: [{resource: workloads, responseKind: {kind: Workload}, verbs: [list]}]}
- metadata: {name: policy}
  versions: [{version: v1, resources: [{resource: poddisruptionbudgets, responseKind: {kind: PodDisruptionBudget}, verbs: [list]}]}]`,
		"/apis/resource.k8s.io/v1/resourceclaims": `
items:
- metadata:
    name: old
    namespace: ml
    annotations: {kubectl.kubernetes.io/last-applied-configuration: '{"apiVersion":"resource.k8s.io/v1beta1","kind":"ResourceClaim","spec":{"secret":"hunter2"}}'}
    managedFields:
    - {manager: trainer, operation: Update, apiVersion: resource.k8s.io/v1beta1, time: "2026-11-20T10:00:00Z"}
    - {manager: kube-scheduler, operation: Update, apiVersion: resource.k8s.io/v1, time: "2026-11-21T10:00:00Z"}
- metadata: {name: new, namespace: ml, managedFields: [{manager: trainer, operation: Apply, apiVersion: resource.k8s.io/v1}]}`,
		"/apis/scheduling.k8s.io/v1alpha2/workloads": `items: [{metadata: {name: gang, namespace: ml}}]`,
	})
	want := []readiness.Object{
		{APIVersion: "resource.k8s.io/v1beta1", Kind: "ResourceClaim", Namespace: "ml", Name: "old", Writer: "trainer", Written: time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)},
		{APIVersion: "resource.k8s.io/v1beta1", Kind: "ResourceClaim", Namespace: "ml", Name: "old", Writer: "kubectl-client-side-apply"},
		{APIVersion: "scheduling.k8s.io/v1alpha2", Kind: "Workload", Namespace: "ml", Name: "gang", Listed: true},
	}
	slices.SortFunc(o.Objects, func(a, b readiness.Object) int { return strings.Compare(a.APIVersion, b.APIVersion) })
	if len(o.Unread) > 0 || !reflect.DeepEqual(o.Objects, want) {
		t.Errorf("%v\n%+v, want\n%+v", o.Unread, o.Objects, want)
	}
	if o := read(t, cluster{"/apis": `{kind: APIGroupList, groups: []}`}); !strings.Contains(o.Unread[readiness.PartObjects], "aggregated discovery") {
		t.Errorf("of an API server that is too old: %v", o.Unread)
	}
}
