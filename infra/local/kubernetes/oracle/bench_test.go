package oracle

import (
	"fmt"
	"testing"

	v1 "k8s.io/api/core/v1"
)

// BenchmarkRun binds 60 pods to 12 nodes.
func BenchmarkRun(b *testing.B) {
	s, err := newScheduler(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	var request Request
	var run Run
	for i := range 12 {
		request.Nodes = append(request.Nodes, node(fmt.Sprintf("a%d", i), func(n *v1.Node) { n.Status.Allocatable[v1.ResourceCPU] = *node("x").Status.Allocatable.Memory() }))
	}
	for i := range 60 {
		name := fmt.Sprint("p", i)
		request.Pods = append(request.Pods, pod(name, ""))
		run.Steps = append(run.Steps, Step{Pod: "default/" + name, Node: fmt.Sprintf("a%d", i%12)})
	}
	for b.Loop() {
		if _, err := s.run(b.Context(), request, run); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/60, "ns/step")
}
