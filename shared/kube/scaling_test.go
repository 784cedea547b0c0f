package kube

import (
	"bytes"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// collection answers lists in protobuf, as API servers do for those who take it.
func collection(t testing.TB, lists map[string]apiruntime.Object) func(w http.ResponseWriter, r *http.Request) {
	t.Helper()
	encoded := map[string][]byte{}
	s := protobuf.NewSerializer(scheme, scheme)
	for path, l := range lists {
		kinds, _, err := scheme.ObjectKinds(l)
		if err != nil {
			t.Fatal(err)
		}
		l.GetObjectKind().SetGroupVersionKind(kinds[0])
		var b bytes.Buffer
		if err := s.Encode(l, &b); err != nil {
			t.Fatal(err)
		}
		encoded[path] = b.Bytes()
	}
	return func(w http.ResponseWriter, r *http.Request) {
		path := r.URL.Path
		if c := r.URL.Query().Get("continue"); c != "" {
			path += "?" + c
		}
		switch b, ok := encoded[path]; {
		case path == "/version":
			_, _ = w.Write([]byte(`{"major":"1","minor":"36+","gitVersion":"v1.36.2-eks-1"}`))
		case !ok:
			answer(http.StatusForbidden, metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure", Reason: "Forbidden", Code: 403, Message: path})(w, r)
		default:
			w.Header().Set("Content-Type", apiruntime.ContentTypeProtobuf)
			_, _ = w.Write(b)
		}
	}
}

func (s *server) paths() (out []string) {
	for _, r := range s.requests {
		out = append(out, r.path)
	}
	slices.Sort(out)
	return out
}

func template(cpu string) corev1.PodSpec {
	return corev1.PodSpec{SchedulerName: "default-scheduler", Containers: []corev1.Container{{Name: "a", Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)}}}}}
}

func TestWorkload(t *testing.T) {
	owner := []metav1.OwnerReference{{Kind: "ReplicaSet", Name: "web", UID: "u", Controller: new(bool)}}
	*owner[0].Controller = true
	web := func(name string) corev1.Pod {
		return corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, Labels: map[string]string{"app": "web"}, OwnerReferences: owner}, Spec: template("100m")}
	}
	gated, other := web("gated"), web("other")
	gated.Spec.SchedulingGates, other.Spec.SchedulerName = []corev1.PodSchedulingGate{{Name: "g"}}, "volcano"
	other.Spec.Volumes = []corev1.Volume{{Name: "tmp", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
	stored := web("stored")
	stored.Labels = map[string]string{"app": "db"}
	stored.Spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}}}}
	two, stale := budgetFor("two", "web"), budgetFor("stale", "db")
	two.Spec.Selector, stale.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}, &metav1.LabelSelector{MatchLabels: map[string]string{"app": "db"}}
	two.Status.DisruptionsAllowed, stale.Status.DisruptionsAllowed, stale.Generation = 2, 2, 5
	ds := appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "cni"}, Spec: appsv1.DaemonSetSpec{Template: corev1.PodTemplateSpec{Spec: template("25m")}}}
	ds.Spec.Template.Spec.HostNetwork = true
	lists := map[string]apiruntime.Object{
		"/api/v1/pods":                                &corev1.PodList{ListMeta: metav1.ListMeta{Continue: "p2"}, Items: []corev1.Pod{web("web-1"), stored}},
		"/api/v1/pods?p2":                             &corev1.PodList{Items: []corev1.Pod{web("web-2"), gated, other}},
		"/apis/apps/v1/daemonsets":                    &appsv1.DaemonSetList{Items: []appsv1.DaemonSet{ds}},
		"/apis/policy/v1/poddisruptionbudgets":        &policyv1.PodDisruptionBudgetList{Items: []policyv1.PodDisruptionBudget{two, stale}},
		"/api/v1/persistentvolumeclaims":              &corev1.PersistentVolumeClaimList{Items: []corev1.PersistentVolumeClaim{{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "data"}, Spec: corev1.PersistentVolumeClaimSpec{VolumeName: "pv"}}}},
		"/api/v1/persistentvolumes":                   &corev1.PersistentVolumeList{Items: []corev1.PersistentVolume{{ObjectMeta: metav1.ObjectMeta{Name: "pv"}}}},
		"/apis/storage.k8s.io/v1/storageclasses":      &storagev1.StorageClassList{},
		"/apis/storage.k8s.io/v1/volumeattributesetc": &storagev1.StorageClassList{}, // nobody asks
	}
	s, c := start(t, collection(t, lists))
	w, err := c.Workload(t.Context())
	if err != nil || len(w.Incomplete) > 0 || w.Version != "1.36" {
		t.Fatalf("%v, incomplete %v, version %q", err, w.Incomplete, w.Version)
	}
	want := []string{"/api/v1/persistentvolumeclaims", "/api/v1/persistentvolumes", "/api/v1/pods", "/api/v1/pods", "/apis/apps/v1/daemonsets", "/apis/policy/v1/poddisruptionbudgets", "/apis/storage.k8s.io/v1/storageclasses", "/version"}
	if got := s.paths(); !slices.Equal(got, want) {
		t.Errorf("asked for %v", got)
	}
	for _, r := range s.requests {
		if r.path == "/api/v1/pods" && !strings.Contains(r.query, "limit=500") {
			t.Errorf("%s?%s", r.path, r.query)
		}
	}
	by := map[string]fleet.Pod{}
	for _, p := range w.Pods {
		by[p.Name] = p
	}
	if len(by) != 5 || by["web-1"].Demand != by["web-2"].Demand || by["web-1"].Demand == by["stored"].Demand || by["web-1"].Demand.Requests.CPU != 100 {
		t.Errorf("pods of one template share a demand: %+v", by)
	}
	if p := by["gated"]; !p.Gated || p.Scheduler != "" || p.LocalStorage {
		t.Errorf("%+v", p)
	}
	if p := by["other"]; p.Gated || p.Scheduler != "volcano" || !p.LocalStorage {
		t.Errorf("%+v", p)
	}
	if v := by["stored"].Demand.Volumes; len(v) != 1 || v[0].ID != "ns/data" {
		t.Errorf("%+v", v)
	}
	if !slices.Equal(w.Budgets, []fleet.Budget{{ID: "ns/two", Allowed: 2}, {ID: "ns/stale"}}) || by["web-1"].Budget != "ns/two" || by["stored"].Budget != "ns/stale" {
		t.Errorf("budgets %+v of %q and %q", w.Budgets, by["web-1"].Budget, by["stored"].Budget)
	}
	d := w.Daemons[0]
	unschedulable := fleet.Taint{Key: "node.kubernetes.io/unschedulable", Effect: "NoSchedule"}
	if d.ID() != "kube-system/cni" || d.Demand.Requests.CPU != 25 || !slices.ContainsFunc(d.Tolerations, func(t fleet.Toleration) bool { return t.Tolerates(unschedulable) }) {
		t.Errorf("%+v", d)
	}
}

func TestAPodOfTwoBudgetsIsNotEvicted(t *testing.T) {
	pods := []fleet.Pod{{Namespace: "ns", Labels: map[string]string{"app": "web"}}, {Namespace: "other", Labels: map[string]string{"app": "web"}}}
	one, two := budgetFor("one", "web"), budgetFor("two", "web")
	one.Spec.Selector, two.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}, &metav1.LabelSelector{}
	lists := map[string]apiruntime.Object{"/apis/policy/v1/poddisruptionbudgets": &policyv1.PodDisruptionBudgetList{Items: []policyv1.PodDisruptionBudget{one, two}}}
	_, c := start(t, collection(t, lists))
	budgets, selectors, err := c.allowed(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	pods, budgets = protect(pods, budgets, selectors)
	if pods[0].Budget != "ns/one+ns/two" || pods[1].Budget != "" || len(budgets) != 3 || budgets[2] != (fleet.Budget{ID: "ns/one+ns/two"}) {
		t.Errorf("%+v, %+v", pods, budgets)
	}
}

func TestHalfAWorkload(t *testing.T) {
	_, c := start(t, collection(t, map[string]apiruntime.Object{"/api/v1/pods": &corev1.PodList{}}))
	w, err := c.Workload(t.Context())
	if err != nil || w.Incomplete["daemons"] == "" || w.Incomplete["budgets"] == "" || w.Incomplete["version"] != "" {
		t.Errorf("%v, %v", w.Incomplete, err)
	}
	_, c = start(t, collection(t, nil))
	if _, err := c.Workload(t.Context()); !fault.Is(err, fault.Denied) {
		t.Errorf("without pods there is nothing: %v", err)
	}
}

func TestCapacity(t *testing.T) {
	limit := int32(25)
	node := corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n", CreationTimestamp: metav1.Unix(1700000000, 0)}, Status: corev1.NodeStatus{Allocatable: corev1.ResourceList{
		"cpu": resource.MustParse("1930m"), "memory": resource.MustParse("7Gi"), "pods": resource.MustParse("29"), "nvidia.com/gpu": resource.MustParse("1"), "ephemeral-storage": resource.MustParse("10Gi")}}}
	csi := storagev1.CSINode{ObjectMeta: metav1.ObjectMeta{Name: "n"}, Spec: storagev1.CSINodeSpec{Drivers: []storagev1.CSINodeDriver{{Name: ebsDriver, Allocatable: &storagev1.VolumeNodeResources{Count: &limit}}, {Name: "efs.csi.aws.com"}}}}
	_, c := start(t, collection(t, map[string]apiruntime.Object{"/api/v1/nodes": &corev1.NodeList{Items: []corev1.Node{node}}, "/apis/storage.k8s.io/v1/csinodes": &storagev1.CSINodeList{Items: []storagev1.CSINode{csi}}}))
	nodes, err := c.Capacity(t.Context())
	if err != nil || len(nodes) != 1 {
		t.Fatal(nodes, err)
	}
	n := nodes[0]
	if r := n.Allocatable; r.CPU != 1930 || r.Memory != 7<<30 || r.Storage != 10<<30 || len(r.Other) != 1 || r.Other["nvidia.com/gpu"] != 1 || n.MaxPods != 29 || n.Created.Unix() != 1700000000 {
		t.Errorf("%+v", n)
	}
	if len(n.AttachLimits) != 1 || n.AttachLimits[ebsDriver] != 25 {
		t.Errorf("%v", n.AttachLimits)
	}
}

func TestPendingIsOneSmallCall(t *testing.T) {
	for want, items := range map[bool][]corev1.Pod{false: nil, true: {{}}} {
		s, c := start(t, collection(t, map[string]apiruntime.Object{"/api/v1/pods": &corev1.PodList{Items: items}}))
		got, err := c.Pending(t.Context())
		if err != nil || got != want {
			t.Error(got, err)
		}
		if r := s.one(t); !strings.Contains(r.query, "limit=1") || !strings.Contains(r.query, "spec.nodeName%3D%2C") {
			t.Error(r.query)
		}
	}
}

// BenchmarkWorkload lists 30,000 pods of 300 templates, 3 kB each on the wire.
func BenchmarkWorkload(b *testing.B) {
	const pods, templates = 30_000, 300
	lists := map[string]apiruntime.Object{"/apis/apps/v1/daemonsets": &appsv1.DaemonSetList{}, "/apis/policy/v1/poddisruptionbudgets": &policyv1.PodDisruptionBudgetList{}}
	for n := 0; n < pods; n += page {
		l := &corev1.PodList{}
		for i := n; i < n+page; i++ {
			p := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "p" + strconv.Itoa(i), Labels: map[string]string{"app": strconv.Itoa(i % templates)},
				Annotations: map[string]string{"a": strings.Repeat("x", 1000)}}, Spec: template(fmt.Sprintf("%dm", i%templates+1))}
			p.Spec.Containers[0].Image, p.Spec.Containers[0].Args = strings.Repeat("y", 100), []string{strings.Repeat("z", 1500)}
			l.Items = append(l.Items, p)
		}
		path := "/api/v1/pods"
		if n > 0 {
			path += fmt.Sprint("?", n)
		}
		if n+page < pods {
			l.Continue = fmt.Sprint(n + page)
		}
		lists[path] = l
	}
	_, c := start(b, collection(b, lists))
	clear(lists)
	var before, after runtime.MemStats
	for b.Loop() {
		runtime.GC()
		runtime.ReadMemStats(&before)
		w, err := c.Workload(b.Context())
		if err != nil || len(w.Pods) != pods {
			b.Fatal(len(w.Pods), err)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/1e6, "MB-kept")
		runtime.KeepAlive(w)
	}
}
