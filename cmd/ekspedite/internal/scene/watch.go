package scene

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/kube"
)

// View is an onlooker's picture of the cluster, from watches of its own: what it reports is what the API server says,
// not what the functions claim.
type View struct {
	kube *kube.Client

	mu      sync.Mutex
	nodes   map[string]fleet.Node
	pods    map[string]fleet.Pod // by UID
	changed chan struct{}        // closed and renewed at each change
	failed  error
	onPod   func(deleted bool, before, after fleet.Pod)
	onNode  func(deleted bool, before, after fleet.Node)
}

// Watch starts watching. It ends with ctx.
func Watch(ctx context.Context, client *kube.Client, namespace string) *View {
	c := &View{kube: client, nodes: map[string]fleet.Node{}, pods: map[string]fleet.Pod{}, changed: make(chan struct{})}
	go func() {
		c.fail(client.WatchNodes(ctx, func(deleted bool, n fleet.Node) {
			c.change(func() {
				if c.onNode != nil {
					c.onNode(deleted, c.nodes[n.Name], n)
				}
				if c.nodes[n.Name] = n; deleted {
					delete(c.nodes, n.Name)
				}
			})
		}))
	}()
	go func() {
		c.fail(client.WatchPods(ctx, namespace, func(deleted bool, p fleet.Pod) {
			c.change(func() {
				if c.onPod != nil {
					c.onPod(deleted, c.pods[p.UID], p)
				}
				if c.pods[p.UID] = p; deleted {
					delete(c.pods, p.UID)
				}
			})
		}))
	}()
	return c
}

func (c *View) change(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *View) fail(err error) {
	if err != nil {
		c.change(func() { c.failed = err })
	}
}

// Observe sets what is called, under the lock, for each change from now on.
func (c *View) Observe(onPod func(deleted bool, before, after fleet.Pod), onNode func(deleted bool, before, after fleet.Node)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.onPod, c.onNode = onPod, onNode
}

// Wait blocks until the condition holds. cond runs under the lock. what names it in the error.
func (c *View) Wait(ctx context.Context, what string, patience time.Duration, cond func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		c.mu.Lock()
		ok, err, changed := cond(), c.failed, c.changed
		state := c.state()
		c.mu.Unlock()
		if ok {
			return nil
		}
		if err != nil {
			return fmt.Errorf("waiting for %s: %w", what, err)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("gave up waiting for %s after %s: %s", what, patience, state)
		}
	}
}

func (c *View) state() string {
	ready := 0
	for _, n := range c.nodes {
		if n.Ready {
			ready++
		}
	}
	return fmt.Sprintf("%d of %d nodes Ready, %d of %d pods Ready", ready, len(c.nodes), c.ReadyPods(""), len(c.pods))
}

// ReadyNodes counts the nodes that are Ready and take pods. Like all methods that read the picture, it is for use under Look,
// in conditions and in observers.
func (c *View) ReadyNodes() int {
	n := 0
	for _, node := range c.nodes {
		if node.Ready && !node.Unschedulable {
			n++
		}
	}
	return n
}

// ReadyPods counts the Ready pods of an app, all if it is empty.
func (c *View) ReadyPods(app string) int {
	n := 0
	for _, p := range c.pods {
		if p.Ready && !p.Deleting && (app == "" || p.Labels["app"] == app) {
			n++
		}
	}
	return n
}

// PodsOn lists the pods bound to a node.
func (c *View) PodsOn(node string) []fleet.Pod {
	var out []fleet.Pod
	for _, p := range c.pods {
		if p.Node == node && !p.Deleting {
			out = append(out, p)
		}
	}
	return out
}

// BusiestSpotNode is the spot node with the most pods of the workload.
func (c *View) BusiestSpotNode() (fleet.Node, []fleet.Pod) {
	var best fleet.Node
	var pods []fleet.Pod
	for _, name := range slices.Sorted(maps.Keys(c.nodes)) {
		n := c.nodes[name]
		if n.Labels["eks.amazonaws.com/capacityType"] != "SPOT" {
			continue
		}
		if p := c.PodsOn(name); best.Name == "" || len(p) > len(pods) {
			best, pods = n, p
		}
	}
	return best, pods
}

// Look runs f with the picture held still.
func (c *View) Look(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

// Nodes counts the nodes. For use under Look and in conditions.
func (c *View) Nodes() int { return len(c.nodes) }

// AllNodes lists the nodes by name. For use under Look and in conditions.
func (c *View) AllNodes() (out []fleet.Node) {
	for _, name := range slices.Sorted(maps.Keys(c.nodes)) {
		out = append(out, c.nodes[name])
	}
	return out
}

// HasPod tells whether the pod of that UID is still there, be it on its way out.
func (c *View) HasPod(uid string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.pods[uid]
	return ok
}

// ByGroup lists the nodes of a managed node group, by name.
func (c *View) ByGroup(nodegroup string) []fleet.Node {
	var out []fleet.Node
	for _, name := range slices.Sorted(maps.Keys(c.nodes)) {
		if n := c.nodes[name]; n.Labels["eks.amazonaws.com/nodegroup"] == nodegroup {
			out = append(out, n)
		}
	}
	return out
}

// InstanceID is the machine of a node: the last part of its provider ID.
func InstanceID(n fleet.Node) string {
	return n.ProviderID[strings.LastIndexByte(n.ProviderID, '/')+1:]
}
