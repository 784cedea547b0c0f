// Package demo is the README's first command: a cluster from a config file and a spot interruption that drains one of its
// nodes, on the embedded cloud, with the real functions' binaries and the committed template. It checks what it shows.
package demo

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/scene"
	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/infra/local"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// Options of the demo.
type Options struct {
	Root  string    // the repository: the examples are below it
	Out   io.Writer // the timeline and the summary for people
	Cloud *local.Cloud
}

// demo is one run.
type demo struct {
	Options
	scene    *scene.Scene
	timeline timeline
	summary  Summary
	work     scene.Workload

	// Written by observers, under the view's lock.
	t0         time.Time
	cordon     time.Time
	lastEvict  time.Time
	replaced   time.Time
	violations int
	below      map[string]bool // apps that are below their budget now
	disrupted  map[string]bool // UIDs
	newNodes   map[string]bool
}

// Run runs the demo and returns what it measured. The summary's Failures tell which expectations did not hold; the error
// is for what kept it from going on.
func Run(ctx context.Context, o Options) (Summary, error) {
	begin := time.Now()
	d := &demo{Options: o, timeline: timeline{w: o.Out, origin: begin},
		below: map[string]bool{}, disrupted: map[string]bool{}, newNodes: map[string]bool{}}
	d.summary = Summary{EventToCordonMs: -1, EventToLastEvictionMs: -1, EventToReplacementReadyMs: -1, EventToAllPodsReadyMs: -1}
	d.scene = scene.New(o.Cloud)
	d.scene.OnEvent(d.onEvent)
	err := d.run(ctx)
	d.summary.TotalMs = time.Since(begin).Milliseconds()
	return d.summary, err
}

func (d *demo) run(ctx context.Context) error {
	var err error
	if d.work, err = scene.ReadWorkload(filepath.Join(d.Root, "examples", "workload.yaml")); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	const file = "examples/demo.yaml"
	spec, err := os.ReadFile(filepath.Join(d.Root, file))
	if err != nil {
		return err
	}
	d.timeline.section("Asking for the cluster of %s by an event on the bus", file)
	d.summary.Cluster = "demo"
	client, err := d.scene.Apply(ctx, string(spec), d.summary.Cluster, 5*time.Minute)
	if err != nil {
		return err
	}
	c := scene.Watch(ctx, client, "default")
	if err := c.Wait(ctx, "5 Ready nodes", time.Minute, func() bool { return c.ReadyNodes() >= 5 }); err != nil {
		return err
	}
	d.summary.ClusterActiveMs = time.Since(d.timeline.origin).Milliseconds()
	d.timeline.at(time.Now(), "ready", "5 nodes are Ready")

	d.timeline.section("Deploying %d pods in two Deployments with PodDisruptionBudgets (examples/workload.yaml)", d.work.Replicas)
	if err := d.work.Deploy(ctx, client); err != nil {
		return err
	}
	if err := c.Wait(ctx, "the workload to be Ready", time.Minute, func() bool { return c.ReadyPods("") == d.work.Replicas }); err != nil {
		return err
	}
	d.timeline.at(time.Now(), "ready", "%d pods are Ready", d.work.Replicas)
	return d.interrupt(ctx, c)
}

// onEvent hears every event on every bus of the embedded cloud.
func (d *demo) onEvent(e events.Event) {
	switch p := e.Payload.(type) {
	case *events.RunProgressed:
		d.timeline.at(time.Now(), word(p.Step), "%s: %s", p.Function, p.Detail)
	case *events.SpotInterruption:
		d.timeline.at(time.Now(), "event", "EC2 Spot Instance Interruption Warning for %s (%s)", p.InstanceID, p.InstanceAction)
	case *events.RunFinished:
		d.timeline.at(time.Now(), "finished", "%s: %s. %s", p.Function, p.Outcome, p.Reason)
	}
}

// interrupt has EC2 take a spot instance back and watches what follows.
func (d *demo) interrupt(ctx context.Context, c *scene.View) (err error) {
	var node fleet.Node
	var pods []fleet.Pod
	var before int
	c.Look(func() {
		node, pods = c.BusiestSpotNode()
		before = c.Nodes()
	})
	if node.Name == "" || len(pods) == 0 {
		return fmt.Errorf("no spot node runs pods of the workload")
	}
	id := scene.InstanceID(node)
	d.summary.Instance, d.summary.Node = id, node.Name
	d.timeline.section("Interrupting spot instance %s (node %s, %d pods of the workload)", id, node.Name, len(pods))

	c.Observe(func(deleted bool, old, pod fleet.Pod) { d.onPod(c, node.Name, deleted, old, pod) },
		func(_ bool, old, n fleet.Node) { d.onNode(node.Name, old, n) })
	d.timeline.start(time.Now())
	if d.t0, err = d.scene.Interrupt(id); err != nil {
		return err
	}
	run, err := d.scene.AwaitRun(ctx, "interruption of "+id, 90*time.Second, func(r events.RunFinished) bool {
		return r.Function == "interruption" && r.Subject.InstanceID == id
	})
	if err != nil {
		return err
	}
	d.summary.RunOutcome, d.summary.PodsForced = run.Outcome, int(run.Counts["podsForced"])
	d.summary.EvictionsRefused = int(run.Counts["evictionsRefused"])
	elsewhere := func() bool {
		return c.ReadyPods("") == d.work.Replicas && len(c.PodsOn(node.Name)) == 0
	}
	if err := c.Wait(ctx, "all pods to be Ready elsewhere", time.Minute, elsewhere); err != nil {
		return err
	}
	d.summary.EventToAllPodsReadyMs = time.Since(d.t0).Milliseconds()
	d.timeline.at(time.Now(), "ready", "all %d pods are Ready, none on %s", d.work.Replicas, node.Name)
	if err := c.Wait(ctx, "the replacement to be Ready", time.Minute, func() bool { return c.ReadyNodes() >= before }); err != nil {
		return err
	}
	c.Look(func() { d.conclude(len(pods)) })
	return nil
}

func (d *demo) conclude(wanted int) {
	since := func(t time.Time) int64 {
		if t.IsZero() {
			return -1
		}
		return t.Sub(d.t0).Milliseconds()
	}
	d.summary.EventToCordonMs, d.summary.EventToLastEvictionMs = since(d.cordon), since(d.lastEvict)
	d.summary.EventToReplacementReadyMs = since(d.replaced)
	d.summary.PodsDisrupted, d.summary.PDBViolations = len(d.disrupted), d.violations
	d.summary.DeniedCalls = len(d.Cloud.IAM.Denied())
	d.summary.check(wanted)
}

// onPod notes evictions and whether any budget is violated. It runs under the cluster's lock, before the change is taken
// into the picture.
func (d *demo) onPod(c *scene.View, node string, deleted bool, old, pod fleet.Pod) {
	now := time.Now()
	if pod.Deleting && !old.Deleting && pod.Node == node {
		d.disrupted[pod.UID] = true
		d.lastEvict = now
		d.timeline.at(now, "evicted", "pod %s", pod.Name)
	}
	if pod.Ready && !old.Ready && !pod.Deleting {
		d.timeline.at(now, "pod ready", "%s on %s", pod.Name, pod.Node)
	}
	app := pod.Labels["app"]
	ready := c.ReadyPods(app)
	if old.Ready && !old.Deleting {
		ready--
	}
	if pod.Ready && !pod.Deleting && !deleted {
		ready++
	}
	violated := ready < d.work.Least[app]
	if violated && !d.below[app] {
		d.violations++
		d.timeline.at(now, "VIOLATION", "%d pods of %s are Ready, its budget wants %d", ready, app, d.work.Least[app])
	}
	d.below[app] = violated
}

func (d *demo) onNode(interrupted string, old, n fleet.Node) {
	now := time.Now()
	switch {
	case n.Name == interrupted && n.Unschedulable && !old.Unschedulable:
		d.cordon = now
		d.timeline.at(now, "cordoned", "node %s, seen at the API server", n.Name)
	case old.Name == "":
		d.newNodes[n.Name] = true
		d.timeline.at(now, "node joined", "%s", n.Name)
	}
	if d.newNodes[n.Name] && n.Ready && !old.Ready {
		d.replaced = now
		d.timeline.at(now, "node ready", "%s: the replacement is Ready", n.Name)
	}
}

// word turns a step's name into the timeline's: "ReplacementRequested" into "replacement".
func word(step string) string {
	short := map[string]string{"ReplacementRequested": "replacement", "HookCompleted": "hook", "Cordoned": "cordon", "Evicted": "evictions", "Blocked": "blocked", "Forced": "forced"}
	if w, ok := short[step]; ok {
		return w
	}
	return "step"
}
