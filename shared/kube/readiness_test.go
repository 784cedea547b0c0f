package kube

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/ekspedite/ekspedite/shared/decide/readiness"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// cluster is what an API server has: lists in YAML by path, and by "path?fieldSelector" where there is one. What is not there is
// an empty list; an answer that begins with a digit is a status code.
type cluster map[string]string

func (c cluster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key := r.URL.Path
	if f := r.URL.Query().Get("fieldSelector"); f != "" && strings.HasPrefix(key, "/api/v1/secrets") {
		key += "?" + f
	}
	text, ok := c[key]
	switch {
	case !ok && r.URL.Path == "/version":
		text = `{major: "1", minor: "35+"}`
	case !ok && r.URL.Path == "/apis":
		text = `{kind: APIGroupDiscoveryList, items: []}`
	case !ok && r.URL.Path == "/metrics":
		return
	case len(text) >= 3 && text[0] >= '0' && text[0] <= '9':
		code := 0
		_, _ = fmt.Sscan(text, &code)
		answer(code, metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure", Code: int32(code), Reason: map[int]metav1.StatusReason{403: "Forbidden", 401: "Unauthorized", 404: "NotFound"}[code], Message: text})(w, r)
		return
	case key == "/metrics":
		_, _ = w.Write([]byte(text))
		return
	}
	if !ok && text == "" {
		text = "items: []"
	}
	var o map[string]any
	if err := yaml.Unmarshal([]byte(text), &o); err != nil {
		panic(err)
	}
	if _, list := o["items"]; list && o["kind"] == nil {
		part := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
		kinds := map[string][2]string{"pods": {"PodList", "v1"}, "deployments": {"DeploymentList", "apps/v1"}, "statefulsets": {"StatefulSetList", "apps/v1"}, "daemonsets": {"DaemonSetList", "apps/v1"},
			"replicasets": {"ReplicaSetList", "apps/v1"}, "poddisruptionbudgets": {"PodDisruptionBudgetList", "policy/v1"}, "services": {"ServiceList", "v1"},
			"persistentvolumes": {"PersistentVolumeList", "v1"}, "storageclasses": {"StorageClassList", "storage.k8s.io/v1"}}
		if k, ok := kinds[part]; ok {
			o["kind"], o["apiVersion"] = k[0], k[1]
		}
	}
	answer(http.StatusOK, o)(w, r)
}

func read(t *testing.T, c cluster) readiness.Observation {
	t.Helper()
	_, client := start(t, c.ServeHTTP)
	return client.Readiness(t.Context())
}

// packed is a Helm release as its Secret has it, in the Secret's own base64.
func packed(t *testing.T, release map[string]any) string {
	t.Helper()
	text, err := json.Marshal(release)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(text)
	_ = w.Close()
	return base64.StdEncoding.EncodeToString([]byte(base64.StdEncoding.EncodeToString(b.Bytes())))
}

func TestReadinessOfAnEmptyCluster(t *testing.T) {
	o := read(t, cluster{})
	if len(o.Unread) > 0 || !o.Access.Asked || !o.Access.Reached || !o.Access.Entry {
		t.Errorf("%+v, unread %v", o.Access, o.Unread)
	}
}

func TestReadinessSaysWhyItIsNotLetIn(t *testing.T) {
	o := read(t, cluster{"/version": "401 who are you"})
	if !o.Access.Reached || o.Access.Entry || !strings.Contains(o.Access.Why, "who are you") || len(o.Unread) != len(readinessParts) {
		t.Errorf("%+v, unread %v", o.Access, o.Unread)
	}
	o = read(t, cluster{
		"/api/v1/secrets?type=helm.sh/release.v1": "403 secrets is forbidden", "/apis/batch/v1/jobs": "500 etcd is away", "/metrics": "403 no metrics",
		"/apis/karpenter.sh/v1/nodepools": "404 no such group", "/apis/karpenter.k8s.aws/v1/ec2nodeclasses": "404 no such group", "/api/v1/namespaces/kube-system/configmaps/kube-proxy-config": "404 none",
	})
	if len(o.Unread) != 3 || !strings.Contains(o.Unread[readiness.PartHelm], "secrets is forbidden; to have it checked, bind a ClusterRole") || !strings.Contains(o.Unread[readiness.PartWorkloads], "etcd is away") ||
		!strings.Contains(o.Unread[readiness.PartMetrics], "no metrics") || o.KubeProxy.Found {
		t.Errorf("unread %v", o.Unread)
	}
}

func TestReadinessOfPodsAndTheirControllers(t *testing.T) {
	o := read(t, cluster{
		"/api/v1/namespaces": `items: [{metadata: {name: default, labels: {team: a}}}]`,
		"/api/v1/pods": `
items:
- metadata: {name: web-1, namespace: default, labels: {app: web}, annotations: {karpenter.sh/do-not-disrupt: "true", other: x, container.apparmor.security.beta.kubernetes.io/c: unconfined},
    ownerReferences: [{kind: ReplicaSet, name: web-abc, controller: true, apiVersion: apps/v1, uid: u}]}
  spec:
    nodeName: node-1
    terminationGracePeriodSeconds: 600
    securityContext: {seLinuxOptions: {level: s0}, seLinuxChangePolicy: Recursive}
    containers: [{name: c, image: "web:1"}, {name: d, image: "side:1"}]
    volumes: [{name: a, hostPath: {path: /var/run/docker.sock}}, {name: b, emptyDir: {}}, {name: c, gitRepo: {repository: x}}, {name: d, persistentVolumeClaim: {claimName: data}}]
  status: {phase: Running, conditions: [{type: Ready, status: "True"}], containerStatuses: [{name: c, state: {waiting: {reason: CrashLoopBackOff}}}]}
- metadata: {name: job-1, namespace: default, ownerReferences: [{kind: Job, name: nightly-1, controller: true, apiVersion: batch/v1, uid: u}]}
  spec: {containers: [{name: c, image: "job:1"}], volumes: [{name: b, emptyDir: {medium: Memory}}]}
  status: {phase: Pending}
- metadata: {name: bare, namespace: default}
  spec: {containers: [{name: c, image: "web:1"}]}
  status: {phase: Running}`,
		"/apis/apps/v1/deployments": `
items:
- metadata: {name: web, namespace: default}
  spec:
    replicas: 3
    minReadySeconds: 5
    selector: {matchLabels: {app: web}, matchExpressions: [{key: tier, operator: NotIn, values: [x]}]}
    template:
      metadata: {labels: {app: web}}
      spec:
        containers: [{name: c, image: "web:1", readinessProbe: {tcpSocket: {port: 80}}}, {name: d, image: "side:1"}]
        affinity: {podAntiAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1, podAffinityTerm: {topologyKey: zone, labelSelector: {matchLabels: {app: web}}}}]}}
  status: {readyReplicas: 2}`,
		"/apis/apps/v1/replicasets": `
items:
- metadata: {name: web-abc, namespace: default, ownerReferences: [{kind: Deployment, name: web, controller: true, apiVersion: apps/v1, uid: u}]}
- metadata: {name: alone, namespace: other}`,
		"/apis/apps/v1/namespaces/other/replicasets": `
items:
- metadata: {name: alone, namespace: other}
  spec: {replicas: 1, selector: {matchLabels: {app: alone}}, template: {metadata: {labels: {app: alone}}, spec: {containers: [{name: c, image: x, readinessProbe: {tcpSocket: {port: 80}}}]}}}
  status: {readyReplicas: 1}`,
		"/apis/apps/v1/daemonsets": `
items:
- metadata: {name: aws-node, namespace: kube-system}
  spec: {selector: {matchLabels: {app: cni}}, template: {spec: {containers: [{name: aws-node, image: cni, env: [{name: WARM_ENI_TARGET, value: "1"}, {name: CLUSTER_NAME, value: x}]}]}}}
  status: {desiredNumberScheduled: 4, numberReady: 3}`,
		"/apis/batch/v1/jobs": `
items:
- metadata: {name: nightly-1, namespace: default, ownerReferences: [{kind: CronJob, name: nightly, controller: true, apiVersion: batch/v1, uid: u}]}
  spec: {parallelism: 2, activeDeadlineSeconds: 60, template: {spec: {containers: []}}}
  status: {active: 2, ready: 1, startTime: "2026-11-23T10:00:00Z"}
- metadata: {name: old, namespace: default}
  spec: {template: {spec: {containers: []}}}
  status: {conditions: [{type: Complete, status: "True"}]}`,
		"/apis/policy/v1/poddisruptionbudgets": `
items:
- metadata: {name: web, namespace: default, generation: 2}
  spec: {minAvailable: "50%", selector: {matchLabels: {app: web}}, unhealthyPodEvictionPolicy: AlwaysAllow}
  status: {observedGeneration: 1, disruptionsAllowed: 1, currentHealthy: 3, desiredHealthy: 2, expectedPods: 3}`,
	})
	if len(o.Unread) > 0 {
		t.Fatal(o.Unread)
	}
	web := readiness.Pod{
		Namespace: "default", Name: "web-1", Node: "node-1", Labels: map[string]string{"app": "web"}, OwnerKind: "Deployment", OwnerName: "web", Phase: "Running", Ready: true, Grace: 10 * time.Minute,
		Annotations: map[string]string{"karpenter.sh/do-not-disrupt": "true", "container.apparmor.security.beta.kubernetes.io/c": "unconfined"}, Images: []string{"web:1", "side:1"},
		Waiting: []string{"CrashLoopBackOff"}, HostPaths: []string{"/var/run/docker.sock"}, EmptyDir: true, GitRepo: true, Claims: []string{"data"}, SELinux: "s0", SELinuxPolicy: "Recursive",
	}
	if len(o.Pods) != 3 || !reflect.DeepEqual(o.Pods[0], web) {
		t.Errorf("%+v, want\n%+v", o.Pods, web)
	}
	if p := o.Pods[1]; p.OwnerKind != "CronJob" || p.OwnerName != "nightly" || p.EmptyDir || p.Ready {
		t.Errorf("%+v", p)
	}
	if o.Pods[2].OwnerKind != "" || !reflect.DeepEqual(o.Namespaces, []readiness.Namespace{{Name: "default", Labels: map[string]string{"team": "a"}}}) {
		t.Errorf("%+v %+v", o.Pods[2], o.Namespaces)
	}
	by := map[string]readiness.Workload{}
	for _, w := range o.Workloads {
		by[w.Kind+" "+w.ID()] = w
	}
	if len(by) != 4 {
		t.Errorf("%+v", by)
	}
	d := by["Deployment default/web"]
	if d.Replicas != 3 || d.Ready != 2 || d.MinReadySeconds != 5 || d.ReadinessProbe || !d.Spread || d.Grace != 30*time.Second || d.Selector.Labels["app"] != "web" || len(d.Selector.Requirements) != 1 {
		t.Errorf("%+v", d)
	}
	if r := by["ReplicaSet other/alone"]; r.Replicas != 1 || !r.ReadinessProbe || r.Spread {
		t.Errorf("%+v", r)
	}
	if n := by["DaemonSet kube-system/aws-node"]; n.Replicas != 4 || n.Ready != 3 || !reflect.DeepEqual(n.Env, map[string]string{"WARM_ENI_TARGET": "1"}) {
		t.Errorf("%+v", n)
	}
	if j := by["Job default/nightly-1"]; j.Replicas != 2 || j.Active != 2 || j.Ready != 1 || j.Deadline != time.Minute || !j.Started.Equal(time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)) {
		t.Errorf("%+v", j)
	}
	want := readiness.Budget{Namespace: "default", Name: "web", Selector: &fleet.Selector{Labels: map[string]string{"app": "web"}}, MinAvailable: "50%", Allowed: 1, Healthy: 3, Desired: 2, Expected: 3, Unhealthy: "AlwaysAllow"}
	if len(o.Budgets) != 1 || !reflect.DeepEqual(o.Budgets[0], want) {
		t.Errorf("%+v, want %+v", o.Budgets, want)
	}
}

// TestReadinessOfHelm: of secrets, what kinds of objects are in the newest manifests, and nothing else.
func TestReadinessOfHelm(t *testing.T) {
	manifest := "# password: hunter2\n---\napiVersion: policy/v1beta1\nkind: PodSecurityPolicy\nmetadata: {name: p}\n--- # Source: x\n" +
		"apiVersion: v1\nkind: List\nitems:\n- {apiVersion: batch/v1beta1, kind: CronJob, metadata: {name: c}}\n---\nnot: [yaml\n---\n\n"
	release := func(name string, version int, manifest string) string {
		return packed(t, map[string]any{"name": name, "namespace": "web", "version": version, "manifest": manifest, "config": map[string]any{"password": "hunter2"},
			"chart": map[string]any{"metadata": map[string]any{"name": "shop", "version": "1.2.3"}}})
	}
	o := read(t, cluster{"/api/v1/secrets?type=helm.sh/release.v1": fmt.Sprintf(`
items:
- {metadata: {name: sh.helm.release.v1.shop.v1, namespace: web}, data: {release: %s}}
- {metadata: {name: sh.helm.release.v1.shop.v2, namespace: web}, data: {release: %s}}
- {metadata: {name: broken, namespace: web}, data: {release: aHVudGVyMg==}}`, release("shop", 1, ""), release("shop", 2, manifest))})
	want := []readiness.HelmRelease{{Namespace: "web", Name: "shop", Chart: "shop-1.2.3", Revision: 2, Objects: []readiness.ManifestObject{
		{APIVersion: "policy/v1beta1", Kind: "PodSecurityPolicy", Name: "p"}, {APIVersion: "batch/v1beta1", Kind: "CronJob", Name: "c"}}}}
	if !reflect.DeepEqual(o.Helm, want) {
		t.Errorf("%+v, want\n%+v", o.Helm, want)
	}
	text, err := json.Marshal(o)
	if err != nil || bytes.Contains(text, []byte("hunter2")) || !strings.Contains(o.Unread[readiness.PartHelm], "web/broken") {
		t.Errorf("%v, a secret is in it, or a damaged release is not told: %s", err, text)
	}
}

func TestReadinessOfRequestedAPIs(t *testing.T) {
	line := func(group, release, resource, version, value string) string {
		return fmt.Sprintf("apiserver_requested_deprecated_apis{group=%q,removed_release=%q,resource=%q,subresource=\"\",version=%q} %s\n", group, release, resource, version, value)
	}
	o := read(t, cluster{"/metrics": "# HELP apiserver_requested_deprecated_apis Gauge\n" + strings.Repeat("x", 200_000) + "\n" +
		line("resource.k8s.io", "1.38", "resourceclaims", "v1beta1", "1") + line("resource.k8s.io", "1.38", "resourceclaims", "v1beta1", "1") + line("", "", "endpoints", "v1", "1") + line("policy", "1.25", "x", "v1beta1", "0") + "other 1\n"})
	want := []readiness.Requested{{Group: "resource.k8s.io", Version: "v1beta1", Resource: "resourceclaims", Removed: 38}, {Version: "v1", Resource: "endpoints"}}
	if !slices.Equal(o.Requested, want) || len(o.Unread) > 0 {
		t.Errorf("%+v, want %+v; %v", o.Requested, want, o.Unread)
	}
}
