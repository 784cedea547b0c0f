package interruption_test

import (
	"context"
	"fmt"
	"math/rand/v2"
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

// crowd is many machines of several clusters in memory, where one call in a hundred goes wrong: fails, loses its answer, panics, or is the
// last one of its invocation. It lives in a synctest bubble.
type crowd struct {
	mu       sync.Mutex
	rnd      *rand.Rand
	machines map[string]*member
	byNode   map[string]*member
	store    ledger.Memory
	finished map[string]map[string]events.RunFinished // by machine and run
	calls    map[string]int
	faults   map[mode]int
	calm     bool // no faults any more
}

// member is a machine with its node and its pods.
type member struct {
	instance fleet.Instance
	group    fleet.ScalingGroup
	node     fleet.Node
	pods     map[string]*fleet.Pod
	block    string // Capacity Block
	ended    bool
}

const fuzzClusters = 20

func newCrowd(rnd *rand.Rand, machines int) *crowd {
	c := &crowd{rnd: rnd, machines: map[string]*member{}, byNode: map[string]*member{}, finished: map[string]map[string]events.RunFinished{}, calls: map[string]int{}, faults: map[mode]int{}}
	for n := range machines {
		id, host := fmt.Sprintf("i-0%016x", n+1), fmt.Sprintf("ip-10-%d-%d.ec2.internal", n/250, n%250)
		m := &member{
			instance: fleet.Instance{ID: id, State: "running", PrivateDNSName: host, Tags: map[string]string{fleet.TagEKSCluster: fmt.Sprintf("c-%d", n%fuzzClusters)}},
			group:    fleet.ScalingGroup{Name: fmt.Sprintf("g-%d", n%fuzzClusters), LifecycleState: "InService"},
			node:     fleet.Node{Name: host, UID: "uid-" + id, ProviderID: "aws:///us-east-1a/" + id, ResourceVersion: "1", Ready: true},
			pods:     map[string]*fleet.Pod{}, block: fmt.Sprintf("cr-0%016x", n/3+1),
		}
		for p := range 3 {
			name := fmt.Sprintf("web-%d-%d", n, p)
			m.pods[name] = &fleet.Pod{Namespace: "default", Name: name, UID: "uid-" + name, Node: host, Phase: "Running", Grace: 30 * time.Second,
				Owner: fleet.Owner{Kind: "ReplicaSet", Name: "web"}}
		}
		c.machines[id], c.byNode[host] = m, m
	}
	return c
}

func (c *crowd) work() *interruption.Work {
	var n int
	return &interruption.Work{
		Open: func(string) interruption.Reach {
			return interruption.Reach{Instances: c, Groups: c, Clusters: c, Machines: c,
				Pods: func(_ context.Context, name string) (interruption.Pods, error) { return c.plane(name) }}
		},
		Policies: c, Bus: c, Ledger: &ledger.Ledger{Store: crowdStore{c}, Now: time.Now}, Account: account, Region: region, Now: time.Now,
		NewID: func() string { c.mu.Lock(); defer c.mu.Unlock(); n++; return fmt.Sprintf("id-%d", n) },
	}
}

// call is one call of somebody's API.
func (c *crowd) call(ctx context.Context, name string, effect func() error) error {
	l, _ := ctx.Value(lifeKey{}).(*life)
	c.mu.Lock()
	c.calls[name]++
	m := fine
	if !c.calm {
		switch p := c.rnd.IntN(1000); {
		case p < 6:
			m = failed
		case p < 9:
			m = lost
		case p < 10 && l != nil:
			m = []mode{killed, undone, "panics"}[c.rnd.IntN(3)]
		}
	}
	c.faults[m]++
	if m == killed {
		l.dead = true
	}
	c.mu.Unlock()
	if m == "panics" && name == "publish" { // in the work's own goroutine, where the handler can see it
		panic("injected")
	}
	select {
	case <-time.After(5 * time.Millisecond):
	case <-ctx.Done():
		return ctx.Err()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case l != nil && l.dead:
		return context.Canceled
	case m == failed:
		return fault.New(fault.Transient, "%s: injected", name)
	}
	if err := effect(); err != nil {
		return err
	}
	switch m {
	case lost:
		return fault.New(fault.Transient, "%s: answer lost", name)
	case undone:
		l.dead = true
		return context.Canceled
	}
	return nil
}

func (c *crowd) Instance(ctx context.Context, id string) (i fleet.Instance, err error) {
	return i, c.call(ctx, "instance", func() error {
		if m := c.machines[id]; m != nil {
			i = m.instance
			return nil
		}
		return fault.New(fault.NotFound, "no instance %s", id)
	})
}

func (c *crowd) pick(ctx context.Context, match func(*member) bool) (out []fleet.Instance, err error) {
	return out, c.call(ctx, "machines", func() error {
		for _, m := range c.machines {
			if match(m) {
				out = append(out, m.instance)
			}
		}
		return nil
	})
}

func (c *crowd) Machines(ctx context.Context, ids []string) ([]fleet.Instance, error) {
	return c.pick(ctx, func(m *member) bool { return slices.Contains(ids, m.instance.ID) })
}

func (c *crowd) InReservation(ctx context.Context, id string) ([]fleet.Instance, error) {
	return c.pick(ctx, func(m *member) bool { return m.block == id })
}

func (c *crowd) Impaired(ctx context.Context) ([]fleet.Impairment, error) {
	return nil, c.call(ctx, "statuses", func() error { return nil })
}

func (c *crowd) Scheduled(ctx context.Context) ([]fleet.ScheduledEvent, error) {
	return nil, c.call(ctx, "statuses", func() error { return nil })
}

func (c *crowd) ScalingGroup(ctx context.Context, id string) (g fleet.ScalingGroup, err error) {
	return g, c.call(ctx, "group", func() error {
		if m := c.machines[id]; m != nil {
			g = m.group
		}
		return nil
	})
}

func (c *crowd) GroupSize(ctx context.Context, _ string) (least, desired int, err error) {
	return 0, 100, c.call(ctx, "size", func() error { return nil })
}

func (c *crowd) GroupState(ctx context.Context, name string) (g fleet.GroupState, err error) {
	return g, c.call(ctx, "group state", func() error { g = fleet.GroupState{Name: name, Desired: 100}; return nil })
}

func (c *crowd) ReplaceInstance(ctx context.Context, _, id string) error {
	return c.call(ctx, "replace", func() error { c.machines[id].group = fleet.ScalingGroup{}; return nil })
}

func (c *crowd) CompleteLifecycleAction(ctx context.Context, _, _, _, _ string) error {
	return c.call(ctx, "complete", func() error { return nil })
}

func (c *crowd) Heartbeat(ctx context.Context, _, _, _, _ string) error {
	return c.call(ctx, "heartbeat", func() error { return nil })
}

func (c *crowd) EndInstance(ctx context.Context, _, id string, _ bool) error {
	return c.call(ctx, "end", func() error { c.die(id); return nil })
}

// die is a machine's end. The lock is held.
func (c *crowd) die(id string) {
	m := c.machines[id]
	m.ended, m.instance.State, m.group = true, "terminated", fleet.ScalingGroup{}
}

func (c *crowd) Policy(ctx context.Context, _ fleet.ClusterID) (fleet.Policy, error) {
	return fleet.DefaultPolicy(), c.call(ctx, "policy", func() error { return nil })
}

func (c *crowd) Publish(ctx context.Context, list ...events.Event) error {
	return c.call(ctx, "publish", func() error {
		for _, e := range list {
			if f, ok := e.Payload.(*events.RunFinished); ok {
				if c.finished[f.Subject.InstanceID] == nil {
					c.finished[f.Subject.InstanceID] = map[string]events.RunFinished{}
				}
				c.finished[f.Subject.InstanceID][f.RunID] = *f
			}
		}
		return nil
	})
}

func (c *crowd) Nodes(_ context.Context, name string) (interruption.Nodes, error) {
	return c.plane(name)
}

func (c *crowd) plane(name string) (plane, error) {
	if !strings.HasPrefix(name, "c-") {
		return plane{}, fault.New(fault.NotFound, "no cluster %s", name)
	}
	return plane{c}, nil
}

// plane is every cluster's API server.
type plane struct{ c *crowd }

func (p plane) Node(ctx context.Context, name string) (n fleet.Node, err error) {
	return n, p.c.call(ctx, "get node", func() error {
		if m := p.c.byNode[name]; m != nil {
			n = copyNode(m.node)
			return nil
		}
		return fault.New(fault.NotFound, "no node %s", name)
	})
}

func (p plane) Nodes(ctx context.Context) ([]fleet.Node, error) {
	return nil, p.c.call(ctx, "list nodes", func() error { return nil })
}

func (p plane) PodsOn(ctx context.Context, node string) (out []fleet.Pod, err error) {
	return out, p.c.call(ctx, "list pods", func() error {
		if m := p.c.byNode[node]; m != nil {
			for _, pod := range m.pods {
				out = append(out, *pod)
			}
		}
		return nil
	})
}

func (p plane) Pod(ctx context.Context, _, name string) (pod fleet.Pod, err error) {
	return pod, p.c.call(ctx, "get pod", func() error {
		if have := p.c.pod(name); have != nil {
			pod = *have
			return nil
		}
		return fault.New(fault.NotFound, "no pod %s", name)
	})
}

func (c *crowd) pod(name string) *fleet.Pod {
	var n, i int
	if _, err := fmt.Sscanf(name, "web-%d-%d", &n, &i); err != nil {
		return nil
	}
	if m := c.machines[fmt.Sprintf("i-0%016x", n+1)]; m != nil {
		return m.pods[name]
	}
	return nil
}

func (p plane) Cordon(ctx context.Context, a plan.CordonNode) error {
	return p.c.call(ctx, "cordon", func() error {
		m := p.c.byNode[a.Node]
		if a.ResourceVersion != m.node.ResourceVersion {
			return fault.New(fault.Conflict, "changed")
		}
		m.node.Unschedulable, m.node.Taints, m.node.Labels = true, a.Taints, merged(m.node.Labels, a.Labels)
		m.node.ResourceVersion += "x"
		return nil
	})
}

func (p plane) Uncordon(ctx context.Context, a plan.UncordonNode) error {
	return p.c.call(ctx, "uncordon", func() error { p.c.byNode[a.Node].node.Unschedulable = a.Unschedulable; return nil })
}

func (p plane) Evict(ctx context.Context, a plan.EvictPod) error { return p.drop(ctx, a.Name, a.UID) }

func (p plane) Delete(ctx context.Context, a plan.DeletePod) error { return p.drop(ctx, a.Name, a.UID) }

func (p plane) drop(ctx context.Context, name, uid string) error {
	return p.c.call(ctx, "evict", func() error {
		have := p.c.pod(name)
		if have == nil || have.UID != uid {
			return fault.New(fault.NotFound, "no pod %s", name)
		}
		if m := p.c.byNode[have.Node]; m != nil {
			delete(m.pods, name) // it exits at once
		}
		return nil
	})
}

func (p plane) Attachments(ctx context.Context) (list []fleet.Attachment, err error) {
	return nil, p.c.call(ctx, "attachments", func() error { return nil })
}

func (p plane) ClaimedVolume(ctx context.Context, _ fleet.Claim) (string, error) {
	return "", p.c.call(ctx, "claim", func() error { return nil })
}

func (p plane) OutOfService(ctx context.Context, _ plan.OutOfService) error {
	return p.c.call(ctx, "out of service", func() error { return nil })
}

func (p plane) Record(ctx context.Context, _ plan.RecordEvent) error {
	return p.c.call(ctx, "record", func() error { return nil })
}

// crowdStore is the ledger's table, with the crowd's faults.
type crowdStore struct{ c *crowd }

func (s crowdStore) Get(ctx context.Context, k ledger.Key) (d ledger.Document, err error) {
	err = s.c.call(ctx, "ledger", func() error { d, err = s.c.store.Get(ctx, k); return err })
	return d, err
}

func (s crowdStore) Put(ctx context.Context, d ledger.Document) error {
	return s.c.call(ctx, "ledger", func() error { return s.c.store.Put(ctx, d) })
}

func (s crowdStore) Query(ctx context.Context, p, prefix string) (list []ledger.Document, err error) {
	err = s.c.call(ctx, "ledger", func() error { list, err = s.c.store.Query(ctx, p, prefix); return err })
	return list, err
}
