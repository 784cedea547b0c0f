package bench

import (
	"context"
	_ "embed"
	"fmt"
	"io"
	"time"

	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/scene"
	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/kube"
)

//go:embed bigpods.json
var bigPods []byte

// bigNodePods is the number of replicas in bigpods.json.
const bigNodePods = 110

// bigNode drains a node with 110 pods that exit after a second, none of them held by a budget.
func (r *Result) bigNode(ctx context.Context, o Options, s *scene.Scene, v *scene.View, client *kube.Client) error {
	fmt.Fprintf(o.Out, "Interrupting a node with %d pods\n", bigNodePods)
	if err := client.Apply(ctx, bigPods); err != nil {
		return err
	}
	if err := v.Wait(ctx, "110 pods", 2*time.Minute, func() bool { return v.ReadyPods("") >= bigNodePods }); err != nil {
		return err
	}
	var node fleet.Node
	v.Look(func() {
		for _, n := range v.ByGroup("large") {
			node = n
		}
		r.BigNodePods = len(v.PodsOn(node.Name))
	})
	before := functionStats(o.Cloud)

	var cordoned, last time.Time
	evicted := 0
	v.Observe(func(_ bool, old, p fleet.Pod) {
		if p.Node == node.Name && p.Deleting && !old.Deleting {
			evicted++
			last = time.Now()
		}
	}, func(_ bool, old, n fleet.Node) {
		if n.Name == node.Name && n.Unschedulable && !old.Unschedulable {
			cordoned = time.Now()
		}
	})
	id := scene.InstanceID(node)
	at, err := s.Interrupt(id)
	if err != nil {
		return err
	}
	run, err := s.AwaitRun(ctx, "interruption of "+id, 2*time.Minute, func(e events.RunFinished) bool { return e.Subject.InstanceID == id })
	if err != nil {
		return err
	}
	after := functionStats(o.Cloud)
	v.Look(func() {
		r.BigEventToCordon, r.BigAllEvicted = milliseconds(cordoned.Sub(at)), milliseconds(last.Sub(at))
		if evicted != r.BigNodePods {
			err = fmt.Errorf("%d of %d pods were evicted", evicted, r.BigNodePods)
		}
	})
	r.BigKubernetes = run.Counts["kubernetesCalls"]
	r.BigCPU = milliseconds(after.CPUTotal - before.CPUTotal)
	looks := after.CPU[max(0, len(after.CPU)-(after.Invocations-before.Invocations)):]
	r.BigEvictionCPU = milliseconds(percentile(looks, 100))
	return err
}

// Print writes the figures as a table, beside the peers' of the same scenario. The peers' were not measured in this run:
// they are from our notes on aws-node-termination-handler 62a8761 on a 2-core machine, end to end against a fake API
// server with 2 ms per call.
func (r Result) Print(w io.Writer) {
	defer r.printCrowds(w)
	if r.Events == 0 && r.BigNodePods == 0 {
		return
	}
	fmt.Fprintf(w, "\n%-58s %14s  %s\n", "", "ekspedite", "aws-node-termination-handler (noted earlier)")
	row := func(name, format string, value any, peer string) {
		fmt.Fprintf(w, "%-58s %14s  %s\n", name, fmt.Sprintf(format, value), peer)
	}
	if r.Events > 0 {
		row(fmt.Sprintf("event on the bus to node cordoned, p50 of %d", r.Events), "%.1f ms", r.EventToCordonP50, "220 ms (one node; its queue is polled every 2 s)")
		row("event on the bus to node cordoned, p99", "%.1f ms", r.EventToCordonP99, "")
	}
	row(fmt.Sprintf("cold start: exec to first poll, p50 of %d", r.ColdInits), "%.1f ms", r.ColdInitP50, "runs in the cluster")
	row("binary", "%.1f MB", float64(r.BinaryBytes)/1e6, "")
	if r.BigNodePods > 0 {
		row(fmt.Sprintf("node with %d pods: event to last eviction accepted", r.BigNodePods), "%.0f ms", r.BigAllEvicted, "24,200 ms; 1,200 ms with qps 200")
		row("  Kubernetes API calls", "%d", r.BigKubernetes, "349")
		row("  CPU of the invocation that evicts", "%.1f ms", r.BigEvictionCPU, "")
		row("  CPU of all invocations until the node is empty", "%.1f ms", r.BigCPU, "")
	}
	row("peak memory of the function", "%d MB", r.FunctionPeakRSSMB, "71 MB")
}
