package oracle

import (
	"slices"
	"testing"

	v1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestSteps: pods count from when they are bound, nodes from when they join until they leave, and runs do not know of each
// other.
func TestSteps(t *testing.T) {
	big := func(p *v1.Pod) {
		p.Spec.Containers[0].Resources.Requests[v1.ResourceCPU] = *node("x").Status.Allocatable.Cpu()
	}
	request := Request{
		Nodes: []*v1.Node{node("a1")},
		Pods: []*v1.Pod{pod("one", "", big), pod("two", "", big), pod("near", "", func(p *v1.Pod) {
			p.Spec.Affinity = &v1.Affinity{PodAffinity: &v1.PodAffinity{
				RequiredDuringSchedulingIgnoredDuringExecution: []v1.PodAffinityTerm{near(v1.LabelTopologyZone, "two")},
			}}
		})},
		Runs: []Run{
			{Steps: []Step{{Pod: "default/one", Node: "a1"}, {Pod: "default/two", Node: "a1"}, {Join: node("a2")}, {Pod: "default/two", Node: "a2"},
				{Leave: "a1"}, {Join: node("a3")}, {Pod: "default/near", Ask: true}}},
			{Steps: []Step{{Pod: "default/two", Node: "a1"}, {Pod: "default/one", Ask: true}, {Pod: "default/one", Node: "a1", Ask: true}}},
			{Steps: []Step{{Pod: "default/near", Node: "a1"}, {Join: node("a2")}, {Pod: "default/two", Node: "a2"}, {Settle: true}, {Pod: "default/one", Node: "a1"}}},
			{Retry: true, Steps: []Step{{Pod: "default/near", Node: "a2"}, {Pod: "default/two", Node: "a1"}, {Join: node("a2")}, {Pod: "default/one", Node: "a1"}, {Pod: "default/one", Ask: true}}},
		},
	}
	got := ask(t, request)
	if got.Error != "" {
		t.Fatal(got.Error)
	}
	first := got.Runs[0]
	if r := first[1].Refused["a1"]; r.Plugin != "NodeResourcesFit" {
		t.Errorf("two beside one: %+v", r)
	}
	if !slices.Equal(first[3].Passing, []string{"a2"}) {
		t.Errorf("two on the node that joined: %+v", first[3])
	}
	if !slices.Equal(first[6].Passing, []string{"a3"}) || first[6].Refused["a2"].Plugin != "NodeResourcesFit" || len(first[6].Refused) != 1 {
		t.Errorf("after a1 has left: %+v", first[6])
	}
	if r := got.Runs[1][1].Refused["a1"]; r.Plugin != "NodeResourcesFit" {
		t.Errorf("one in a run of its own: %+v", r)
	}
	if r := got.Runs[1][2].Refused["a1"]; r.Plugin != "NodeResourcesFit" {
		t.Errorf("asked about a1 alone: %+v", r)
	}
	settled := got.Runs[2]
	if !slices.Equal(settled[0].Passing, []string{"a1"}) || settled[4].Refused["a1"].Plugin != "NodeResourcesFit" {
		t.Errorf("settled before one came: %+v", settled)
	}
	third := got.Runs[3]
	if !slices.Equal(third[0].Passing, []string{"a2"}) {
		t.Errorf("a pod that has nobody to be near yet is tried again: %+v", third[0])
	}
	if !slices.Equal(third[4].Passing, nil) || len(third[4].Refused) != 2 {
		t.Errorf("asked about after what was refused has been tried again: %+v", third[4])
	}
	if third[3].Refused["a1"].Plugin != "NodeResourcesFit" {
		t.Errorf("what never fits is refused for good: %+v", third[3])
	}
}

// TestClaimsFollowTheirFirstPod: a claim that waits can go anywhere its class allows; once its pod is bound it has a zone.
func TestClaimsFollowTheirFirstPod(t *testing.T) {
	waiting, _ := claim("data", false, v1.ReadWriteOnce)
	late := storagev1.VolumeBindingWaitForFirstConsumer
	class := &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "gp3"}, Provisioner: "ebs.csi.aws.com", VolumeBindingMode: &late,
		AllowedTopologies: []v1.TopologySelectorTerm{{MatchLabelExpressions: []v1.TopologySelectorLabelRequirement{
			{Key: v1.LabelTopologyZone, Values: []string{"a", "b"}},
		}}}}
	got := ask(t, Request{
		Nodes: []*v1.Node{node("a1"), node("b1"), node("b2"), node("c1")},
		Pods:  []*v1.Pod{pod("one", "", claims("data")), pod("two", "", claims("data"))}, Claims: []*v1.PersistentVolumeClaim{waiting},
		StorageClasses: []*storagev1.StorageClass{class},
		Runs:           []Run{{Steps: []Step{{Pod: "default/one", Ask: true}, {Pod: "default/one", Node: "b1"}, {Pod: "default/two", Ask: true}}}},
	})
	if got.Error != "" {
		t.Fatal(got.Error)
	}
	if before := got.Runs[0][0].Passing; !slices.Equal(before, []string{"a1", "b1", "b2"}) {
		t.Errorf("before: %v", before)
	}
	if after := got.Runs[0][2].Passing; !slices.Equal(after, []string{"b1", "b2"}) {
		t.Errorf("after: %v", after)
	}
}

// TestBoundPodsAreAskedAboutAgain: as if they came last, not as if they were in their own way.
func TestBoundPodsAreAskedAboutAgain(t *testing.T) {
	got := ask(t, Request{
		Nodes: []*v1.Node{node("a1"), node("a2")},
		Pods:  []*v1.Pod{pod("one", "", port), pod("two", "", apart("three")), pod("three", "")},
		Runs: []Run{{Steps: []Step{
			{Pod: "default/one", Node: "a1"}, {Pod: "default/one", Node: "a1", Ask: true},
			{Pod: "default/two", Node: "a1"}, {Pod: "default/three", Node: "a2"}, {Pod: "default/one", Ask: true}, {Pod: "default/two", Ask: true},
		}}},
	})
	if got.Error != "" {
		t.Fatal(got.Error)
	}
	for i, want := range []int{1, 1, 1, 0, 2, 2} { // three is refused, so that two could still go anywhere
		if n := len(got.Runs[0][i].Passing); n != want {
			t.Errorf("step %d: %+v, want %d nodes", i, got.Runs[0][i], want)
		}
	}
}
