package scaling

import (
	"cmp"
	"fmt"
	"math/rand"
	"slices"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// fragmented is a cluster after a busy day: nodes of three sizes were full, and two pods of three have gone since.
func fragmented(seed int64, nodes int) *world {
	r := rand.New(rand.NewSource(seed))
	a, b := nodes/2, nodes/4
	w := cluster(managed("base", "m5.large", 1, 1, 1), managed("large", "m5.large", 0, a, 2*nodes), managed("xlarge", "m5.xlarge", 0, b, 2*nodes),
		managed("big", "m5.2xlarge", 0, nodes-a-b, 2*nodes), managed("cpu", "c5.large", 0, 0, 2*nodes))
	for i, n := range w.Nodes {
		cpu, memory := n.Allocatable.CPU, n.Allocatable.Memory
		for k := 0; cpu > 200; k++ {
			c, m := int64(100+50*r.Intn(15)), int64(128+128*r.Intn(12))
			if c > cpu || m*mib > memory {
				break
			}
			cpu, memory = cpu-c, memory-m*mib
			if r.Intn(3) == 0 {
				w.pods(pod(fmt.Sprintf("w%d-%d", i, k), c, m, func(p *fleet.Pod) { p.Node, p.Phase, p.Ready = n.Name, "Running", true }))
			}
		}
	}
	return quiet(w)
}

// price is what the cluster costs an hour.
func (w *world) price() (sum float64) {
	for _, n := range w.Nodes {
		for _, t := range w.Market.Types {
			if t.Name == n.Labels[fleet.LabelInstanceType] {
				for _, o := range t.Offerings {
					if o.Zone == n.Labels[fleet.LabelZone] && !o.Spot {
						sum += o.Price
					}
				}
			}
		}
	}
	return sum
}

// settleDown lets the planner work until it is content, and counts what it moves.
func (w *world) settleDown(t *testing.T, p fleet.ScalingPolicy) (evictions, looks int) {
	t.Helper()
	at, calm := noon, 0
	for looks = 0; calm < 25 && looks < 1000; looks++ { // 25 minutes: longer than any patience
		d := w.decide(t, at, p)
		for _, a := range actions[plan.RemoveNode](d) {
			evictions += w.podsOn(a.Node)
		}
		if calm++; !d.Plan.Empty() {
			calm = 0
		}
		w.carry(t, d, at)
		at = at.Add(time.Minute)
		if w.pending() > 0 {
			d := w.decide(t, at, p)
			w.bind(d)
			w.carry(t, d, at)
		}
	}
	if n := w.pending(); n > 0 {
		t.Errorf("%d pods have no node", n)
	}
	return evictions, looks
}

func (w *world) podsOn(node string) (count int) {
	for _, p := range w.Pods {
		if p.Node == node {
			count++
		}
	}
	return count
}

func (w *world) pending() (count int) {
	for _, p := range w.Pods {
		if p.Node == "" {
			count++
		}
	}
	return count
}

// emptyUnderused is what is usual: of the nodes that are used to less than half, the least used first, those whose pods fit on other
// nodes are emptied.
func emptyUnderused(t *testing.T, w *world) (evictions int) {
	t.Helper()
	free := func(n fleet.Node) fleet.Resources {
		left := n.Allocatable
		for _, p := range w.Pods {
			if p.Node == n.Name {
				left.CPU, left.Memory = left.CPU-p.Demand.Requests.CPU, left.Memory-p.Demand.Requests.Memory
			}
		}
		return left
	}
	use := func(n fleet.Node) float64 {
		f := free(n)
		return max(1-float64(f.CPU)/float64(n.Allocatable.CPU), 1-float64(f.Memory)/float64(n.Allocatable.Memory))
	}
	nodes := slices.Clone(w.Nodes)
	slices.SortStableFunc(nodes, func(a, b fleet.Node) int { return cmp.Compare(use(a), use(b)) })
	touched := map[string]bool{}
	for _, n := range nodes {
		if use(n) >= 0.5 || touched[n.Name] {
			continue
		}
		room, moves := map[string]fleet.Resources{}, map[int]string{}
		for _, other := range w.Nodes {
			if other.Name != n.Name {
				room[other.Name] = free(other)
			}
		}
		fits := true
		for i, p := range w.Pods {
			if p.Node != n.Name {
				continue
			}
			to := ""
			for _, other := range w.Nodes { // first fit
				if r := room[other.Name]; r.CPU >= p.Demand.Requests.CPU && r.Memory >= p.Demand.Requests.Memory && other.Name != n.Name {
					to = other.Name
					break
				}
			}
			if fits = fits && to != ""; !fits {
				break
			}
			r := room[to]
			r.CPU, r.Memory = r.CPU-p.Demand.Requests.CPU, r.Memory-p.Demand.Requests.Memory
			room[to], moves[i] = r, to
		}
		if !fits || n.Labels[fleet.LabelEKSNodegroup] == "base" {
			continue
		}
		for i, to := range moves {
			w.Pods[i].Node = to
		}
		evictions += len(moves)
		w.Nodes = slices.DeleteFunc(slices.Clone(w.Nodes), func(x fleet.Node) bool { return x.Name == n.Name })
	}
	return evictions
}

// TestShrinkFigures measures what shrinking saves on fragmented clusters, against doing nothing and against emptying under-used nodes
// only. go test -run TestShrinkFigures -v prints it.
func TestShrinkFigures(t *testing.T) {
	p := acting()
	pool := fleet.DefaultPool()
	pool.Name, pool.Like = "general", "base"
	p.Pools = []fleet.PoolPolicy{pool}
	for _, nodes := range []int{40, 120} {
		var nothing, usual, ours float64
		var usualMoves, oursMoves int
		for seed := range int64(3) {
			w := fragmented(seed, nodes)
			nothing += w.price()
			usualMoves += emptyUnderused(t, w)
			usual += w.price()
			w = fragmented(seed, nodes)
			moves, _ := w.settleDown(t, p)
			oursMoves += moves
			ours += w.price()
		}
		per := func(price float64, moves int) float64 { return (nothing - price) / float64(moves) }
		t.Logf("%d nodes × 3 clusters: nothing done %.2f $/h; under-used nodes emptied %.2f $/h, %d evictions, %.4f $/h saved for each; "+
			"this planner %.2f $/h, %d evictions, %.4f $/h saved for each", nodes, nothing, usual, usualMoves, per(usual, usualMoves), ours, oursMoves, per(ours, oursMoves))
		if ours > usual {
			t.Errorf("%d nodes: %.2f $/h are left, emptying under-used nodes leaves %.2f", nodes, ours, usual)
		}
		if per(ours, oursMoves) < per(usual, usualMoves) {
			t.Errorf("%d nodes: an eviction saves %.4f $/h, and %.4f where under-used nodes are emptied", nodes, per(ours, oursMoves), per(usual, usualMoves))
		}
	}
}
