package interruption_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/plan"
	"github.com/ekspedite/ekspedite/shared/work/interruption"
)

const (
	account   = "123456789012"
	region    = "us-east-1"
	machine   = "i-0b662ef9931388ba0"
	cluster   = "demo"
	group     = "eks-spot"
	hostname  = "ip-10-0-1-7.ec2.internal"
	exitTime  = 2 * time.Second // a pod's own, from SIGTERM to its end
	readyTime = 2 * time.Second // of a replacement pod, elsewhere
)

// world is one machine of one cluster and all that AWS and Kubernetes know of it. It lives in a synctest bubble: its clock
// is the bubble's. Every call goes through call, where the test's faults strike.
type world struct {
	mu     sync.Mutex
	region string // where the machine and its cluster are
	// regionless: neither continuations nor the ledger say in which Region a drain is.
	regionless bool
	instance   *fleet.Instance
	group      fleet.ScalingGroup
	node       *fleet.Node
	pods       map[string]*pod
	budgets    map[string]*budget // by app label
	policy     fleet.Policy
	hook       string     // the token of the lifecycle hook that waits, "" for none
	sizes      groupSizes // of the group
	depths     depths
	lb         *balancing    // nil: nothing is behind load balancers
	latency    time.Duration // of every call
	slow       string        // calls that begin so take 40 times as long

	store     ledger.Memory
	published []events.Event

	cordons, uncordoned, replaced, completed, heartbeats int
	writes                                               int // to EC2 or Kubernetes
	calls                                                map[string]int
	trace                                                []string
	strike                                               func(key string) mode
}

// pod has its history beside what the API server knows.
type pod struct {
	fleet.Pod
	goneAt   time.Time
	accepted int // evictions and deletions that the API server took
	forced   bool
	grace    time.Duration // with which it was told to go
}

// budget is a PodDisruptionBudget: at most so many of an app's pods may be missing. shut refuses everything.
type budget struct {
	max     int
	shut    bool
	missing []time.Time // until when
}

// mode is how a call goes wrong.
type mode string

const (
	fine   mode = ""
	failed mode = "error before effect"
	lost   mode = "effect done, answer lost"
	echo   mode = "effect done, repeated by the SDK" // of conditional writes
	killed mode = "killed before effect"
	undone mode = "killed after effect"
	hangs  mode = "no answer until the time is over"
)

var modes = []mode{failed, lost, echo, killed, undone, hangs}

// life is one invocation: once it has been killed nothing of it has an effect.
type life struct{ dead bool }

type lifeKey struct{}

func newWorld() *world {
	w := &world{
		region: region,
		instance: &fleet.Instance{ID: machine, State: "running", Spot: true, Type: "m5.large", Zone: "us-east-1a", PrivateDNSName: hostname,
			Tags: map[string]string{fleet.TagEKSCluster: cluster}},
		group: fleet.ScalingGroup{Name: group, LifecycleState: "InService"},
		node: &fleet.Node{Name: hostname, UID: "node-1", ProviderID: "aws:///us-east-1a/" + machine, ResourceVersion: "1", Ready: true,
			Taints: []fleet.Taint{{Key: "theirs", Effect: "PreferNoSchedule"}}},
		pods: map[string]*pod{}, budgets: map[string]*budget{}, calls: map[string]int{},
		policy: fleet.DefaultPolicy(), latency: 5 * time.Millisecond,
	}
	for i := range 4 {
		w.add(fleet.Pod{Name: fmt.Sprintf("web-%d", i), Labels: map[string]string{"app": "web"}})
		w.add(fleet.Pod{Name: fmt.Sprintf("api-%d", i)})
	}
	w.budgets["web"] = &budget{max: 2}
	w.add(fleet.Pod{Name: "dns", Namespace: "kube-system", Priority: 2_000_000_000})
	w.add(fleet.Pod{Name: "proxy", Namespace: "kube-system", Owner: fleet.Owner{Kind: "DaemonSet", Name: "proxy"}})
	w.add(fleet.Pod{Name: "static", Mirror: true})
	w.add(fleet.Pod{Name: "done", Phase: "Succeeded"})
	return w
}

func (w *world) add(p fleet.Pod) {
	if p.Namespace == "" {
		p.Namespace = "default"
	}
	if p.Phase == "" {
		p.Phase = "Running"
	}
	if p.Grace == 0 {
		p.Grace = 30 * time.Second
	}
	if p.Owner == (fleet.Owner{}) {
		p.Owner = fleet.Owner{Kind: "ReplicaSet", Name: "web"}
	}
	p.UID, p.Node = "uid-"+p.Name, hostname
	w.pods[p.Name] = &pod{Pod: p}
}

// work is the function's work on this world.
func (w *world) work() *interruption.Work {
	var n int
	return &interruption.Work{
		Open: w.open, Policies: w, Bus: w,
		Ledger: &ledger.Ledger{Store: stored{w}, Now: time.Now}, Account: account, Region: region, Now: time.Now,
		NewID: func() string {
			w.mu.Lock()
			defer w.mu.Unlock()
			n++
			return fmt.Sprintf("id-%d", n)
		},
	}
}

// call is one call of somebody's API: it takes its time, fails if the test says so, and is written down.
func (w *world) call(ctx context.Context, name string, effect func() error) error {
	w.mu.Lock()
	w.calls[name]++
	key := fmt.Sprintf("%s #%d", name, w.calls[name])
	var m mode
	if w.strike != nil {
		m = w.strike(key)
	}
	l, _ := ctx.Value(lifeKey{}).(*life)
	if l != nil && m == killed {
		l.dead = true
	}
	latency := w.latency
	if w.slow != "" && strings.HasPrefix(name, w.slow) {
		latency *= 40
	}
	w.trace = append(w.trace, fmt.Sprintf("%s %s %s", time.Now().Format("04:05.000"), key, m))
	w.mu.Unlock()

	if m == hangs {
		<-ctx.Done()
		return ctx.Err()
	}
	select {
	case <-time.After(latency):
	case <-ctx.Done():
		return ctx.Err()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if l != nil && l.dead {
		return context.Canceled
	}
	if m == failed {
		return fault.New(fault.Transient, "%s: injected", key)
	}
	w.tick()
	err := effect()
	if err != nil {
		return err
	}
	switch m {
	case lost:
		return fault.New(fault.Transient, "%s: answer lost", key)
	case echo:
		if strings.HasPrefix(name, "put ") {
			return fault.New(fault.Conflict, "%s: met its own first try", key)
		}
	case undone:
		if l != nil {
			l.dead = true
		}
		return context.Canceled
	}
	return nil
}

// tick lets pods end, and the machine.
func (w *world) tick() {
	for name, p := range w.pods {
		if p.Deleting && !time.Now().Before(p.goneAt) && p.Node != "" {
			p.Node = ""
			w.trace = append(w.trace, "  gone "+name)
		}
	}
}

// Instance implements interruption.Instances.
func (w *world) Instance(ctx context.Context, id string) (i fleet.Instance, err error) {
	err = w.call(ctx, "instance "+id, func() error {
		if w.instance == nil || w.instance.ID != id {
			return fault.New(fault.NotFound, "no instance %s", id)
		}
		i = *w.instance
		return nil
	})
	return i, err
}

// ScalingGroup implements interruption.Groups.
func (w *world) ScalingGroup(ctx context.Context, id string) (g fleet.ScalingGroup, err error) {
	err = w.call(ctx, "group of "+id, func() error { g = w.group; return nil })
	return g, err
}

// ReplaceInstance implements interruption.Groups: idempotent, as awscloud makes it.
func (w *world) ReplaceInstance(ctx context.Context, g, _ string) error {
	return w.call(ctx, "replace", func() error {
		w.writes++
		if w.group.Name == g && w.group.LifecycleState == "InService" {
			w.replaced++
			w.group, w.depths.detached = fleet.ScalingGroup{}, time.Now()
		}
		return nil
	})
}

// CompleteLifecycleAction implements interruption.Groups: a hook that does not wait is complete.
func (w *world) CompleteLifecycleAction(ctx context.Context, _, _, token, _ string) error {
	return w.call(ctx, "complete "+token, func() error {
		w.writes++
		if w.hook == token {
			w.completed++
			w.hook = ""
		}
		return nil
	})
}

// Heartbeat implements interruption.Groups.
func (w *world) Heartbeat(ctx context.Context, _, _, token, _ string) error {
	return w.call(ctx, "heartbeat", func() error {
		w.writes++
		if w.hook == token {
			w.heartbeats++
		}
		return nil
	})
}

// Nodes implements interruption.Clusters.
func (w *world) Nodes(_ context.Context, name string) (interruption.Nodes, error) {
	if name != cluster {
		return nil, fault.New(fault.NotFound, "no cluster %s", name)
	}
	return api{w}, nil
}

// Publish implements interruption.Publisher.
func (w *world) Publish(ctx context.Context, list ...events.Event) error {
	return w.call(ctx, "publish", func() error { w.published = append(w.published, list...); return nil })
}

// api is the cluster's API server.
type api struct{ w *world }

func (a api) Node(ctx context.Context, name string) (n fleet.Node, err error) {
	err = a.w.call(ctx, "get node "+name, func() error {
		if a.w.node == nil || a.w.node.Name != name {
			return fault.New(fault.NotFound, "no node %s", name)
		}
		n = copyNode(*a.w.node)
		return nil
	})
	return n, err
}

func (a api) Nodes(ctx context.Context) (list []fleet.Node, err error) {
	err = a.w.call(ctx, "list nodes", func() error {
		list = append(list, a.w.others()...)
		if a.w.node != nil {
			list = append(list, copyNode(*a.w.node))
		}
		return nil
	})
	return list, err
}

func copyNode(n fleet.Node) fleet.Node {
	n.Taints, n.Labels, n.Annotations = slices.Clone(n.Taints), maps.Clone(n.Labels), maps.Clone(n.Annotations)
	return n
}

func (a api) PodsOn(ctx context.Context, node string) (list []fleet.Pod, err error) {
	err = a.w.call(ctx, "list pods", func() error {
		for _, p := range a.w.pods {
			if p.Node == node {
				list = append(list, p.Pod)
			}
		}
		return nil
	})
	return list, err
}

func (a api) Cordon(ctx context.Context, c plan.CordonNode) error {
	return a.w.call(ctx, "cordon", func() error {
		w := a.w
		w.writes++
		switch {
		case w.node == nil:
			return fault.New(fault.NotFound, "no node")
		case c.UID != w.node.UID, c.ResourceVersion != w.node.ResourceVersion:
			return fault.New(fault.Conflict, "the node is another one, or was changed")
		}
		w.cordons++
		w.node.Unschedulable, w.node.Taints = true, slices.Clone(c.Taints)
		w.node.Labels, w.node.Annotations = merged(w.node.Labels, c.Labels), merged(w.node.Annotations, c.Annotations)
		w.node.ResourceVersion += "x"
		return nil
	})
}

func (a api) Evict(ctx context.Context, e plan.EvictPod) error {
	return a.w.call(ctx, "evict "+e.Name, func() error { return a.w.remove(e.Name, e.UID, e.Grace, false) })
}

func (a api) Delete(ctx context.Context, d plan.DeletePod) error {
	return a.w.call(ctx, "delete "+d.Name, func() error { return a.w.remove(d.Name, d.UID, &d.Grace, true) })
}

// remove is the API server's part of an eviction or deletion.
func (w *world) remove(name, uid string, grace *time.Duration, force bool) error {
	w.writes++
	if w.node == nil || !w.node.Unschedulable {
		w.uncordoned++ // pods must not be evicted before their node takes no more
	}
	p := w.pods[name]
	switch {
	case p == nil || p.Node == "":
		return fault.New(fault.NotFound, "no pod %s", name)
	case p.UID != uid:
		return fault.New(fault.Conflict, "pod %s is another one", name)
	}
	if b := w.budgets[p.Labels["app"]]; b != nil && !force && !p.Deleting {
		b.missing = slices.DeleteFunc(b.missing, func(until time.Time) bool { return !time.Now().Before(until) })
		if b.shut || len(b.missing) >= b.max {
			return fault.New(fault.Blocked, "violates the budget")
		}
		b.missing = append(b.missing, time.Now().Add(exitTime+readyTime))
	}
	p.accepted++
	if p.Deleting {
		return nil
	}
	p.Deleting, p.forced, p.grace = true, force, p.Grace
	if grace != nil {
		p.grace = *grace
	}
	p.goneAt = time.Now().Add(min(exitTime, p.grace))
	return nil
}

// stored is the ledger's table, with the world's faults.
type stored struct{ w *world }

func (s stored) Get(ctx context.Context, k ledger.Key) (d ledger.Document, err error) {
	err = s.w.call(ctx, "get "+k.Partition, func() error { d, err = s.w.store.Get(ctx, k); return err })
	return d, err
}

func (s stored) Put(ctx context.Context, d ledger.Document) error {
	return s.w.call(ctx, "put "+d.Key.Partition, func() error { d.Data = []byte(s.w.kept(string(d.Data))); return s.w.store.Put(ctx, d) })
}

func (s stored) Query(ctx context.Context, p, prefix string) ([]ledger.Document, error) {
	return s.w.store.Query(ctx, p, prefix)
}
