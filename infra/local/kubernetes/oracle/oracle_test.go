package oracle

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func ask(t *testing.T, request Request) Response {
	t.Helper()
	in, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := Serve(t.Context(), bytes.NewReader(in), &out); err != nil {
		t.Fatal(err)
	}
	var response Response
	if err := json.Unmarshal(out.Bytes(), &response); err != nil {
		t.Fatal(err)
	}
	return response
}

// node is one in a zone of its letter: a1 is in zone a.
func node(name string, edit ...func(*v1.Node)) *v1.Node {
	n := &v1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{v1.LabelHostname: name, v1.LabelTopologyZone: name[:1]}},
		Status: v1.NodeStatus{Allocatable: v1.ResourceList{
			v1.ResourceCPU: resource.MustParse("2"), v1.ResourceMemory: resource.MustParse("4Gi"), v1.ResourcePods: resource.MustParse("5"),
		}},
	}
	for _, e := range edit {
		e(n)
	}
	return n
}

// pod asks for half a processor and has its name as a label.
func pod(name, on string, edit ...func(*v1.Pod)) *v1.Pod {
	p := &v1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: types.UID(name), Labels: map[string]string{"app": name}},
		Spec: v1.PodSpec{NodeName: on, Containers: []v1.Container{{Name: "main", Resources: v1.ResourceRequirements{
			Requests: v1.ResourceList{v1.ResourceCPU: resource.MustParse("500m")},
		}}}},
	}
	for _, e := range edit {
		e(p)
	}
	return p
}

func claims(names ...string) func(*v1.Pod) {
	return func(p *v1.Pod) {
		for _, n := range names {
			p.Spec.Volumes = append(p.Spec.Volumes, v1.Volume{Name: n, VolumeSource: v1.VolumeSource{
				PersistentVolumeClaim: &v1.PersistentVolumeClaimVolumeSource{ClaimName: n},
			}})
		}
	}
}

// claim has a volume of its own in zone a, or waits for its pod if it has none.
func claim(name string, bound bool, mode v1.PersistentVolumeAccessMode) (*v1.PersistentVolumeClaim, *v1.PersistentVolume) {
	class := "gp3"
	c := &v1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
		Spec:       v1.PersistentVolumeClaimSpec{AccessModes: []v1.PersistentVolumeAccessMode{mode}, StorageClassName: &class},
	}
	v := &v1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: "pv-" + name},
		Spec: v1.PersistentVolumeSpec{
			ClaimRef:               &v1.ObjectReference{Namespace: "default", Name: name},
			PersistentVolumeSource: v1.PersistentVolumeSource{CSI: &v1.CSIPersistentVolumeSource{Driver: "ebs.csi.aws.com", VolumeHandle: name}},
			NodeAffinity: &v1.VolumeNodeAffinity{Required: &v1.NodeSelector{NodeSelectorTerms: []v1.NodeSelectorTerm{{
				MatchExpressions: []v1.NodeSelectorRequirement{{Key: v1.LabelTopologyZone, Operator: v1.NodeSelectorOpIn, Values: []string{"a"}}},
			}}}},
		},
	}
	if bound {
		c.Spec.VolumeName = v.Name
		c.Annotations = map[string]string{bindCompleted: "yes"}
	}
	return c, v
}

func near(key, app string) v1.PodAffinityTerm {
	return v1.PodAffinityTerm{TopologyKey: key, LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": app}}}
}

func apart(app string) func(*v1.Pod) {
	return func(p *v1.Pod) {
		p.Spec.Affinity = &v1.Affinity{PodAntiAffinity: &v1.PodAntiAffinity{
			RequiredDuringSchedulingIgnoredDuringExecution: []v1.PodAffinityTerm{near(v1.LabelTopologyZone, app)},
		}}
	}
}

// TestEveryFilter puts a pod on a node where it must not go, and on one where it may.
func TestEveryFilter(t *testing.T) {
	bound, volume := claim("data", true, v1.ReadWriteOnce)
	alone, aloneVolume := claim("alone", true, v1.ReadWriteOncePod)
	first, firstVolume := claim("first", true, v1.ReadWriteOnce)
	zonal, zonalVolume := claim("zonal", true, v1.ReadWriteOnce) // says its zone by a label, as old volumes do
	zonalVolume.Spec.NodeAffinity, zonalVolume.Labels = nil, map[string]string{v1.LabelTopologyZone: "a"}
	limit := int32(1)
	world := Request{
		Volumes: []*v1.PersistentVolume{volume, aloneVolume, firstVolume, zonalVolume}, Claims: []*v1.PersistentVolumeClaim{bound, alone, first, zonal},
		CSINodes: []*storagev1.CSINode{{ObjectMeta: metav1.ObjectMeta{Name: "a1"}, Spec: storagev1.CSINodeSpec{Drivers: []storagev1.CSINodeDriver{
			{Name: "ebs.csi.aws.com", NodeID: "a1", Allocatable: &storagev1.VolumeNodeResources{Count: &limit}},
		}}}},
	}
	for _, test := range []struct {
		plugin, wrong, right string
		node                 func(*v1.Node) // a1
		other                *v1.Pod        // is there already
		pod                  func(*v1.Pod)
	}{
		{plugin: "NodeUnschedulable", wrong: "a1", right: "b1", node: func(n *v1.Node) { n.Spec.Unschedulable = true }},
		{plugin: "TaintToleration", wrong: "a1", right: "b1", node: func(n *v1.Node) {
			n.Spec.Taints = []v1.Taint{{Key: "dedicated", Value: "x", Effect: v1.TaintEffectNoSchedule}}
		}},
		{plugin: "NodeAffinity", wrong: "a1", right: "b1", pod: func(p *v1.Pod) { p.Spec.NodeSelector = map[string]string{v1.LabelTopologyZone: "b"} }},
		{plugin: "NodePorts", wrong: "a1", right: "b1", other: pod("other", "a1", port), pod: port},
		{plugin: "NodeResourcesFit", wrong: "a1", right: "b1", other: pod("other", "a1", func(p *v1.Pod) {
			p.Spec.Containers[0].Resources.Requests[v1.ResourceCPU] = resource.MustParse("1501m")
		})},
		{plugin: "VolumeBinding", wrong: "b1", right: "a1", pod: claims("data")},
		{plugin: "VolumeZone", wrong: "b1", right: "a1", pod: claims("zonal")},
		{plugin: "VolumeRestrictions", wrong: "a1", right: "", other: pod("other", "a1", claims("alone")), pod: claims("alone")},
		{plugin: "NodeVolumeLimits", wrong: "a1", right: "a2", other: pod("other", "a1", claims("first")), pod: claims("data")},
		{plugin: "InterPodAffinity", wrong: "a1", right: "b1", other: pod("other", "a2"), pod: apart("other")},
		{plugin: "InterPodAffinity", wrong: "a1", right: "b1", other: pod("other", "a2", apart("it"))},
		{plugin: "InterPodAffinity", wrong: "b1", right: "a1", other: pod("other", "a2"), pod: func(p *v1.Pod) {
			p.Spec.Affinity = &v1.Affinity{PodAffinity: &v1.PodAffinity{
				RequiredDuringSchedulingIgnoredDuringExecution: []v1.PodAffinityTerm{near(v1.LabelTopologyZone, "other")},
			}}
		}},
		{plugin: "PodTopologySpread", wrong: "a1", right: "b1", other: pod("other", "a2", func(p *v1.Pod) { p.Labels["app"] = "it" }), pod: func(p *v1.Pod) {
			p.Spec.TopologySpreadConstraints = []v1.TopologySpreadConstraint{{MaxSkew: 1, TopologyKey: v1.LabelTopologyZone,
				WhenUnsatisfiable: v1.DoNotSchedule, LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "it"}}}}
		}},
	} {
		request := world
		request.Nodes = []*v1.Node{node("a1"), node("a2"), node("b1")}
		if test.node != nil {
			test.node(request.Nodes[0])
		}
		it := pod("it", "")
		if test.pod != nil {
			test.pod(it)
		}
		request.Pods = []*v1.Pod{it}
		if test.other != nil {
			request.Pods = append(request.Pods, test.other)
		}
		request.Runs = []Run{{Steps: []Step{{Pod: "default/it", Node: test.wrong}}}, {Steps: []Step{{Pod: "default/it", Ask: true}}}}
		response := ask(t, request)
		if response.Error != "" {
			t.Errorf("%s: %s", test.plugin, response.Error)
			continue
		}
		if got := response.Runs[0][0].Refused[test.wrong]; got.Plugin != test.plugin || got.Reason == "" {
			t.Errorf("%s: refused with %+v", test.plugin, got)
		}
		all := response.Runs[1][0]
		if slices.Contains(all.Passing, test.wrong) || test.right != "" && !slices.Contains(all.Passing, test.right) || len(all.Passing)+len(all.Refused) != 3 {
			t.Errorf("%s: all nodes: %+v", test.plugin, all)
		}
	}
}

func port(p *v1.Pod) {
	p.Spec.Containers[0].Ports = []v1.ContainerPort{{ContainerPort: 80, HostPort: 80, Protocol: v1.ProtocolTCP}}
}

func TestServeAnswersLineByLine(t *testing.T) {
	var out bytes.Buffer
	in := `{"runs":[{"steps":[{"pod":"default/ghost","ask":true}]}]}
{"nodes":[],"pods":[{"metadata":{"namespace":"d","name":"p"}}],"runs":[{"steps":[{"pod":"d/p","node":"n"}]}]}`
	if err := Serve(t.Context(), strings.NewReader(in), &out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], `no pod \"default/ghost\" waits`) || !strings.Contains(lines[1], "no such node") {
		t.Errorf("%q", lines)
	}
	if err := Serve(t.Context(), strings.NewReader("{"), &out); err == nil {
		t.Error("half a request was read as a whole one")
	}
}
