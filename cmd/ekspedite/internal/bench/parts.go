package bench

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/scene"
)

// The parts of the benchmark.
const (
	PartLatency    = "latency"    // idle nodes, one after the other
	PartBig        = "big"        // a node of 110 pods
	PartBurst      = "burst"      // 200 nodes of one cluster at once
	PartBurst1000  = "burst1000"  // 1,000 nodes at once, over some clusters
	PartMany       = "many"       // 50 nodes of 110 pods at once
	PartBlocked    = "blocked"    // pods that budgets hold
	PartThroughput = "throughput" // the handler alone, with waiting simulated
)

// Parts are all of them, and Usual those that run when none is named: a few minutes, on a laptop.
var (
	Parts = []string{PartLatency, PartBig, PartBurst, PartBurst1000, PartMany, PartBlocked, PartThroughput}
	Usual = []string{PartLatency, PartBig, PartThroughput}
)

// wants tells whether a part is to be measured.
func (o Options) wants(part string) bool {
	if len(o.Only) == 0 {
		return slices.Contains(Usual, part)
	}
	return slices.Contains(o.Only, part)
}

// crowds measures what takes many nodes.
func (r *Result) crowds(ctx context.Context, o Options, s *scene.Scene) error {
	if o.wants(PartBurst) || o.wants(PartMany) || o.wants(PartBlocked) {
		c, err := gather(ctx, o, s, "crowd")
		if err != nil {
			return err
		}
		if o.wants(PartBurst) {
			b, err := burst(ctx, o, s, []*crowd{c}, 200, 2)
			if err != nil {
				return err
			}
			r.Bursts = append(r.Bursts, b)
		}
		if o.wants(PartMany) {
			b, err := many(ctx, o, s, c, 50)
			if err != nil {
				return err
			}
			r.Many = &b
		}
		if o.wants(PartBlocked) {
			b, err := blocked(ctx, o, s, c, 10, 5)
			if err != nil {
				return err
			}
			r.Blocked = &b
		}
	}
	if o.wants(PartBurst1000) {
		crowds, err := inParallel(ctx, o, s, max(1, o.Clusters), "zone")
		if err != nil {
			return err
		}
		b, err := burst(ctx, o, s, crowds, 1000, 1)
		if err != nil {
			return err
		}
		r.Bursts = append(r.Bursts, b)
	}
	return nil
}

// printCrowds writes what took many nodes, and the harness.
func (r Result) printCrowds(w io.Writer) {
	for _, b := range r.Bursts {
		b.print(w)
	}
	if r.Many != nil {
		r.Many.print(w)
	}
	if b := r.Blocked; b != nil {
		fmt.Fprintf(w, "\n%d of %d pods that a budget held were told to go 5 s or more before the end of their machine; the latest %.1f s before\n", b.InTime, b.Pods, b.Latest)
	}
	for _, t := range r.Throughput {
		fmt.Fprintf(w, "\n%s\n  %d messages, %d batches at once, 8 ms SQS, 10 ms API: %.0f messages/s, %.1f µs CPU and %.2f API calls each (load %s)\n",
			t.Mix, t.Messages, t.Pollers, t.PerSecond, t.CPUUs, t.APICalls, t.Load)
	}
}

func (b Burst) print(w io.Writer) {
	fmt.Fprintf(w, "\n%d nodes of %d clusters with %d pods each at once (load before %s, after %s)\n", b.Nodes, b.Clusters, b.PodsPerNode, b.LoadBefore, b.LoadAfter)
	fmt.Fprintf(w, "  notice to cordon: %d cordoned; p50 %.0f ms, p99 %.0f ms, last %.0f ms\n", b.Cordoned, b.CordonP50, b.CordonP99, b.CordonMax)
	fmt.Fprintf(w, "  from the first notice: last cordon %.0f ms, first drain ended %.0f ms, last eviction %.0f ms, last drain ended %.0f ms\n", b.LastCordon, b.FirstDrained, b.LastEviction, b.AllDrained)
	fmt.Fprintf(w, "  %d invocations (%d failed) in %d environments, %.0f ms billed, %.0f ms CPU, %d MB at most; %.1f Kubernetes calls for a node\n",
		b.Invocations, b.FailedRuns, b.Environments, b.InvokedMs, b.CPUMs, b.PeakMemoryMB, b.KubernetesCalls)
	fmt.Fprintf(w, "  AWS calls: %s\n", listed(b.AWSCalls))
}
