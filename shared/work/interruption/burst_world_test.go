package interruption_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	mrand "math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/batch"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/handler"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/obs"
	"github.com/ekspedite/ekspedite/shared/pace"
	"github.com/ekspedite/ekspedite/shared/plan"
	"github.com/ekspedite/ekspedite/shared/work/interruption"
)

// burst is a fleet of which many machines go at once, with Lambda before it: execution environments that know nothing of one
// another, SQS, an EC2 that answers 100 calls at once and 20 a second after that, and API servers that seat so many requests.
type burst struct {
	mu       sync.Mutex
	rnd      *mrand.Rand
	machines map[string]*machineOf
	clusters map[string]*seated
	store    ledger.Memory
	began    time.Time

	ec2Calls, ec2Throttled, groupCalls int
	tokens                             float64
	filled                             time.Time
	finished                           []time.Time

	messages []*message
	free     []*handler.Handler // environments that are warm and idle
	made     int
	sent     int
}

// machineOf is one machine with its node and pods.
type machineOf struct {
	id, cluster string
	cordoned    time.Time
	version     int
	pods        []*pod
}

// seated is an API server that serves so many requests at once and refuses the others.
type seated struct {
	seats, busy, peak, refused, served int
	hangs                              bool
	took                               time.Duration
}

const podExit = 5 * time.Second

// newBurst makes clusters of so many nodes, each with some pods.
func newBurst(seed uint64, pods int, sizes map[string]int) *burst {
	b := &burst{rnd: mrand.New(mrand.NewPCG(seed, 1)), machines: map[string]*machineOf{}, clusters: map[string]*seated{},
		began: time.Now(), tokens: 100, filled: time.Now()}
	for name, n := range sizes {
		b.clusters[name] = &seated{seats: 100, took: 10 * time.Millisecond}
		for i := range n {
			m := &machineOf{id: fmt.Sprintf("i-%s%013x", name[:4], i), cluster: name}
			for k := range pods {
				uid := fmt.Sprintf("%s-p%d", m.id, k)
				m.pods = append(m.pods, &pod{Pod: fleet.Pod{Namespace: "default", Name: uid, UID: uid, Node: m.id, Phase: "Running", Ready: true, Grace: 30 * time.Second}})
			}
			b.machines[m.id] = m
		}
	}
	return b
}

// environment is one execution environment: its own idea of each API server's pace.
type environment struct {
	b     *burst
	mu    sync.Mutex
	paces map[string]*pace.Server
	ec2   batch.Batcher[fleet.Instance]
	asg   batch.Batcher[fleet.ScalingGroup]
}

func (b *burst) environment() *handler.Handler {
	e := &environment{b: b, paces: map[string]*pace.Server{}}
	e.ec2 = batch.Batcher[fleet.Instance]{Read: b.describe, Most: 1000, Wait: 5 * time.Millisecond,
		Missing: func(id string) error { return fault.New(fault.NotFound, "no instance %s", id) }}
	e.asg = batch.Batcher[fleet.ScalingGroup]{Most: 50, Wait: 5 * time.Millisecond, Missing: func(string) error { return nil },
		Read: func(context.Context, []string) (map[string]batch.Answer[fleet.ScalingGroup], error) {
			time.Sleep(20 * time.Millisecond)
			b.mu.Lock()
			defer b.mu.Unlock()
			b.groupCalls++
			return nil, nil
		}}
	work := &interruption.Work{
		Open:     func(string) interruption.Reach { return interruption.Reach{Instances: e, Groups: e, Clusters: e} },
		Policies: b, Bus: b, Ledger: &ledger.Ledger{Store: table{b}, Now: time.Now}, Account: account, Region: region, NewID: rand.Text, Now: time.Now,
	}
	return &handler.Handler{Function: "interruption", Work: work.Handle, Queue: b, MaxReceives: 5, Account: account, Region: region,
		NewID: rand.Text, Now: time.Now, Log: obs.NewLog(io.Discard, slog.LevelError, "interruption")}
}

func (e *environment) Instance(ctx context.Context, id string) (fleet.Instance, error) {
	return e.ec2.Get(ctx, id)
}

func (e *environment) ScalingGroup(ctx context.Context, id string) (fleet.ScalingGroup, error) {
	return e.asg.Get(ctx, id)
}
func (e *environment) GroupState(context.Context, string) (fleet.GroupState, error) {
	return fleet.GroupState{}, nil
}
func (e *environment) GroupSize(context.Context, string) (int, int, error)             { return 0, 0, nil }
func (e *environment) ReplaceInstance(context.Context, string, string) error           { return nil }
func (e *environment) Heartbeat(context.Context, string, string, string, string) error { return nil }
func (e *environment) EndInstance(context.Context, string, string, bool) error         { return nil }
func (e *environment) CompleteLifecycleAction(context.Context, string, string, string, string) error {
	return nil
}

// describe is EC2's, with its bucket of calls and the SDK's four tries.
func (b *burst) describe(_ context.Context, ids []string) (map[string]batch.Answer[fleet.Instance], error) {
	for try := 1; ; try++ {
		time.Sleep(30 * time.Millisecond)
		b.mu.Lock()
		b.ec2Calls++
		now := time.Now()
		b.tokens, b.filled = min(100, b.tokens+20*now.Sub(b.filled).Seconds()), now
		if b.tokens >= 1 {
			b.tokens--
			out := map[string]batch.Answer[fleet.Instance]{}
			for _, id := range ids {
				if m := b.machines[id]; m != nil {
					out[id] = batch.Answer[fleet.Instance]{Value: fleet.Instance{ID: id, State: "running", Spot: true, PrivateDNSName: id, Tags: map[string]string{fleet.TagEKSCluster: m.cluster}}}
				}
			}
			b.mu.Unlock()
			return out, nil
		}
		b.ec2Throttled++
		b.mu.Unlock()
		if try == 4 {
			return nil, fault.New(fault.Throttled, "RequestLimitExceeded")
		}
		time.Sleep(time.Duration(try) * 300 * time.Millisecond)
	}
}

func (e *environment) Nodes(_ context.Context, name string) (interruption.Nodes, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	p, ok := e.paces[name]
	if !ok {
		p = pace.New(pace.Patience{First: 3 * time.Second, Most: 10 * time.Second}) // as in functions/interruption
		e.paces[name] = p
	}
	return &served{e.b, e.b.clusters[name], p}, nil
}

// served is an API server behind package pace, as package kube has it.
type served struct {
	b *burst
	s *seated
	p *pace.Server
}

func (n *served) call(ctx context.Context, urgent bool, effect func() error) error {
	turn, err := n.p.Enter(ctx, urgent)
	if err != nil {
		return err
	}
	n.b.mu.Lock()
	switch s := n.s; {
	case s.hangs:
		n.b.mu.Unlock()
		select {
		case <-time.After(turn.Patience):
			turn.End(pace.Silent, 0)
		case <-ctx.Done():
			turn.End(pace.Unknown, 0)
		}
		return errors.New("no answer")
	case s.busy >= s.seats:
		s.refused++
		n.b.mu.Unlock()
		turn.End(pace.Throttled, time.Second)
		return &fault.Error{Class: fault.Throttled, RetryAfter: time.Second, Err: errors.New("too many requests")}
	}
	n.s.busy++
	n.s.served++
	n.s.peak = max(n.s.peak, n.s.busy)
	n.b.mu.Unlock()
	time.Sleep(n.s.took)
	n.b.mu.Lock()
	n.s.busy--
	err = effect()
	n.b.mu.Unlock()
	turn.End(pace.Answered, 0)
	return err
}

func (n *served) Node(ctx context.Context, name string) (out fleet.Node, err error) {
	err = n.call(ctx, true, func() error { out = n.b.node(name); return nil })
	return out, err
}

func (b *burst) node(name string) fleet.Node {
	m := b.machines[name]
	f := fleet.Node{Name: name, UID: name, ProviderID: "aws:///us-east-1a/" + name, ResourceVersion: strconv.Itoa(m.version), Ready: true}
	if !m.cordoned.IsZero() {
		f.Unschedulable, f.Labels = true, map[string]string{"node.kubernetes.io/exclude-from-external-load-balancers": "ekspedite"}
		f.Taints = []fleet.Taint{{Key: "ekspedite.dev/interruption", Effect: "NoSchedule"}}
	}
	return f
}

func (n *served) Nodes(context.Context) ([]fleet.Node, error) {
	return nil, errors.New("not for a node whose name is known")
}

func (n *served) PodsOn(ctx context.Context, node string) (out []fleet.Pod, err error) {
	err = n.call(ctx, true, func() error {
		for _, p := range n.b.machines[node].pods {
			if !p.Deleting || time.Now().Before(p.goneAt) {
				out = append(out, p.Pod)
			}
		}
		return nil
	})
	return out, err
}

func (n *served) Cordon(ctx context.Context, c plan.CordonNode) error {
	return n.call(ctx, true, func() error {
		m := n.b.machines[c.Node]
		if c.ResourceVersion != strconv.Itoa(m.version) {
			return fault.New(fault.Conflict, "changed")
		}
		m.version++
		m.cordoned = time.Now()
		return nil
	})
}

func (n *served) Evict(ctx context.Context, e plan.EvictPod) error {
	return n.call(ctx, false, func() error {
		for _, p := range n.b.machines[n.nodeOf(e.Name)].pods {
			if p.UID == e.UID && !p.Deleting {
				p.Deleting, p.goneAt = true, time.Now().Add(podExit)
				p.accepted++
			}
		}
		return nil
	})
}

// nodeOf is the machine in a pod's name.
func (n *served) nodeOf(pod string) string { return pod[:len("i-0123456789abcdef0")] }

func (n *served) Delete(context.Context, plan.DeletePod) error {
	return errors.New("nothing is forced here")
}
func (n *served) Attachments(context.Context) ([]fleet.Attachment, error)    { return nil, nil }
func (n *served) ClaimedVolume(context.Context, fleet.Claim) (string, error) { return "", nil }
func (n *served) OutOfService(context.Context, plan.OutOfService) error      { return nil }
func (n *served) Record(context.Context, plan.RecordEvent) error             { return nil }
func (n *served) Uncordon(context.Context, plan.UncordonNode) error {
	return errors.New("nor given back")
}

func (b *burst) Policy(context.Context, fleet.ClusterID) (fleet.Policy, error) {
	time.Sleep(5 * time.Millisecond)
	return fleet.DefaultPolicy(), nil
}

func (b *burst) Publish(_ context.Context, list ...events.Event) error {
	time.Sleep(10 * time.Millisecond)
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range list {
		if _, ok := e.Payload.(*events.RunFinished); ok {
			b.finished = append(b.finished, time.Now())
		}
	}
	return nil
}

// table is DynamoDB.
type table struct{ b *burst }

func (t table) Get(ctx context.Context, k ledger.Key) (ledger.Document, error) {
	time.Sleep(5 * time.Millisecond)
	t.b.mu.Lock()
	defer t.b.mu.Unlock()
	return t.b.store.Get(ctx, k)
}

func (t table) Put(ctx context.Context, d ledger.Document) error {
	time.Sleep(5 * time.Millisecond)
	t.b.mu.Lock()
	defer t.b.mu.Unlock()
	return t.b.store.Put(ctx, d)
}

func (t table) Query(ctx context.Context, p, prefix string) ([]ledger.Document, error) {
	return t.b.store.Query(ctx, p, prefix)
}
