package scaling

import (
	"fmt"
	"testing"

	"github.com/ekspedite/ekspedite/shared/fleet"
)

// BenchmarkDecide is one look at a cluster of 1,000 nodes with 27,000 pods: with 3,000 pending ones beside, and with nothing to do but
// shrink.
func BenchmarkDecide(b *testing.B) {
	p := acting()
	pool := fleet.DefaultPool()
	pool.Name, pool.Like = "general", "base"
	p.Pools = []fleet.PoolPolicy{pool}
	shrinking, growing := crowded(), crowded()
	for _, kind := range []string{"a", "b", "c", "d", "e", "f"} {
		growing.pods(pods(kind, 500, 700, 1500)...)
	}
	for name, w := range map[string]*world{"growing": growing, "shrinking": shrinking} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				d, err := Decide(noon, w.Observation, p)
				if err != nil || d.Plan.Empty() {
					b.Fatal(err, d.Plan)
				}
			}
			b.ReportMetric(float64(len(w.Pods)), "pods")
			b.ReportMetric(float64(len(w.Nodes)), "nodes")
		})
	}
}

// crowded is a fragmented cluster with small pods beside the others.
func crowded() *world {
	w := fragmented(1, 1000)
	for i, n := range w.Nodes {
		w.pods(pods(fmt.Sprintf("small%d", i), 24, 10, 32, func(p *fleet.Pod) { p.Node, p.Phase, p.Ready = n.Name, "Running", true })...)
	}
	return w
}
