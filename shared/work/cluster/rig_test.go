package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	awsevents "github.com/aws/aws-lambda-go/events"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/handler"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/observe"
)

const (
	role       = "arn:aws:iam::123456789012:role/ekspedite-Interruption-Role"
	visibility = 12 * time.Minute
	receives   = 5
)

// queue is the function's queue: a message is delivered once it is visible, and again if it was not deleted.
type queue struct {
	list []*message
	dlq  []string
	n    int
}

type message struct {
	id, body string
	at       time.Time
	received int
}

func (q *queue) send(body string, delay time.Duration) {
	q.n++
	// SQS counts in whole seconds.
	delay = (delay + time.Second - 1).Truncate(time.Second)
	q.list = append(q.list, &message{id: strconv.Itoa(q.n), body: body, at: time.Now().Add(delay)})
}

func (q *queue) release(id string, delay time.Duration) {
	for _, m := range q.list {
		if m.id == id {
			m.at = time.Now().Add(delay)
		}
	}
}

// rig is the function with everything around it.
type rig struct {
	t      testing.TB
	world  *world
	script *script
	store  *ledger.Memory
	bus    *bus
	queue  *queue
	ids    int
	mu     sync.Mutex
	twice  func() bool // whether a message is delivered twice at once
}

func newRig(t testing.TB) *rig {
	return &rig{t: t, world: newWorld(), script: &script{}, store: &ledger.Memory{}, bus: &bus{}, queue: &queue{}}
}

func (r *rig) id() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ids++
	return fmt.Sprintf("id-%d", r.ids)
}

// invoke delivers one message to a new execution environment and tells whether SQS may delete it.
func (r *rig) invoke(m message) bool {
	s := &session{world: r.world, script: r.script, store: r.store, bus: r.bus, queue: r.queue}
	w := &Work{
		Observe: observe.Clusters{Networks: s, Roles: s, EKS: s, Kubernetes: s}, Apply: s.Do,
		Ledger: &ledger.Ledger{Store: s, Now: time.Now}, Bus: s, Queue: s, InterruptionRole: role,
		Account: "123456789012", Region: "us-east-1", NewID: r.id, Now: time.Now,
	}
	h := &handler.Handler{
		Function: "cluster", Work: w.Handle, Queue: s, MaxReceives: receives, Account: w.Account, Region: w.Region, NewID: r.id,
		Now: time.Now, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	out, err := h.Handle(ctx, awsevents.SQSEvent{Records: []awsevents.SQSMessage{{
		MessageId: m.id, ReceiptHandle: m.id, Body: m.body, Attributes: map[string]string{"ApproximateReceiveCount": strconv.Itoa(m.received)},
	}}})
	if s.dead { // nobody was left to answer
		return false
	}
	return err == nil && len(out.BatchItemFailures) == 0
}

// run delivers messages until there are none.
func (r *rig) run() {
	for steps := 0; len(r.queue.list) > 0; steps++ {
		if steps > 2000 {
			r.t.Fatalf("it does not end; the last message is %s", r.queue.list[0].body)
		}
		slices.SortStableFunc(r.queue.list, func(a, b *message) int { return a.at.Compare(b.at) })
		m := r.queue.list[0]
		time.Sleep(time.Until(m.at))
		deleted := r.deliver(m)
		if deleted {
			r.queue.list = slices.DeleteFunc(r.queue.list, func(o *message) bool { return o == m })
		} else if m.received >= receives {
			r.t.Fatalf("message %s would end in the dead-letter queue by SQS's redrive: %s", m.id, m.body)
		}
	}
}

// deliver hands a message over, once or twice at a time, and tells whether it is to be deleted.
func (r *rig) deliver(m *message) bool {
	m.received++
	m.at = time.Now().Add(visibility)
	deleted, copied := make([]bool, 1, 2), *m
	if r.twice != nil && r.twice() {
		deleted = append(deleted, false)
	}
	var wg sync.WaitGroup
	for i := range deleted {
		wg.Go(func() { deleted[i] = r.invoke(copied) })
	}
	wg.Wait()
	return slices.Contains(deleted, true)
}

func demo(t testing.TB) string {
	text, err := os.ReadFile("../../../examples/demo.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// ask puts a request on the queue.
func (r *rig) ask(id, spec string, dryRun bool) {
	r.send(&events.ClusterApplyRequested{RequestID: id, Spec: spec, DryRun: dryRun})
}

func (r *rig) send(p events.OwnPayload) {
	e, err := events.New(p, r.id(), time.Now(), "123456789012", "us-east-1")
	if err != nil {
		r.t.Fatal(err)
	}
	body, err := json.Marshal(e)
	if err != nil {
		r.t.Fatal(err)
	}
	r.queue.send(string(body), 0)
}

// finished are the reports of ended runs.
func (r *rig) finished() (out []events.RunFinished) {
	for _, e := range r.bus.list {
		if p, ok := e.Payload.(*events.RunFinished); ok {
			out = append(out, *p)
		}
	}
	return out
}

// shape is the world without ids: each resource with what it is bound to.
func (r *rig) shape() []string {
	n := r.world.o.Network
	name := map[string]string{}
	count := map[string]int{}
	add := func(id, what string) {
		count[what]++
		name[id] = what
	}
	for _, v := range n.VPCs {
		add(v.ID, "vpc")
	}
	for _, g := range n.Gateways {
		add(g.ID, "igw")
	}
	for _, s := range n.Subnets {
		add(s.ID, s.Resource)
	}
	for _, t := range n.RouteTables {
		add(t.ID, t.Resource)
	}
	for _, a := range n.Addresses {
		add(a.ID, a.Resource)
	}
	for _, g := range n.NATs {
		add(g.ID, g.Resource)
	}
	var out []string
	for what, c := range count {
		out = append(out, fmt.Sprintf("%d × %s", c, what))
	}
	for _, v := range n.VPCs {
		out = append(out, fmt.Sprint("vpc ", v.CIDR, v.DNSHostnames))
	}
	for _, g := range n.Gateways {
		out = append(out, "igw in "+name[g.VPC])
	}
	for _, s := range n.Subnets {
		out = append(out, fmt.Sprint(s.Resource, " ", s.CIDR, " ", s.PublicIPs, " in ", name[s.VPC]))
	}
	for _, t := range n.RouteTables {
		out = append(out, fmt.Sprint(t.Resource, " to ", name[t.Routes["0.0.0.0/0"]]))
		for _, s := range t.Subnets {
			out = append(out, t.Resource+" of "+name[s])
		}
	}
	for _, x := range r.world.o.Roles {
		slices.Sort(x.Policies)
		out = append(out, fmt.Sprint(x))
	}
	if c := r.world.o.Control; c != nil {
		var subnets []string
		for _, s := range c.Subnets {
			subnets = append(subnets, name[s])
		}
		out = append(out, fmt.Sprint("cluster ", c.Name, c.Version, c.RoleARN, subnets, name[c.VPC], c.AuthMode))
	}
	for _, g := range r.world.o.Groups {
		for i, s := range g.Subnets {
			g.Subnets[i] = name[s] // the world is over
			if name[s] == "" {
				g.Subnets[i] = s
			}
		}
		out = append(out, fmt.Sprint("group ", g))
	}
	for _, e := range r.world.o.Entries {
		out = append(out, fmt.Sprint("entry ", e))
	}
	if r.world.o.Access != nil {
		out = append(out, fmt.Sprint("access ", *r.world.o.Access))
	}
	slices.Sort(out)
	return out
}

// create makes the demo's cluster under a script, and returns what came of it.
func create(t *testing.T, stale time.Duration, twice func() bool, at func(n int, op string) event) (r *rig) {
	t.Helper()
	r = newRig(t)
	r.world.stale, r.twice, r.script.at = stale, twice, at
	if at != nil {
		r.world.clusterTakes, r.world.groupTakes = 40*time.Second, 15*time.Second // the looks in between are all alike
	}
	r.ask("request-1", demo(t), false)
	r.run()
	return r
}

// complete checks that the cluster is as it should be, whatever happened on the way.
func complete(t *testing.T, r *rig, want []string, what string) {
	t.Helper()
	if got := r.shape(); !reflect.DeepEqual(got, want) {
		t.Errorf("%s: the end is another one:\n%s", what, diff(got, want))
	}
	done := r.finished()
	if len(done) == 0 {
		t.Fatalf("%s: nobody said that the run is over", what)
	}
	for _, d := range done {
		if d.Outcome != events.OutcomeActive || d.RunID != done[0].RunID {
			t.Errorf("%s: run %s ended %s: %s", what, d.RunID, d.Outcome, d.Reason)
		}
	}
	if len(r.queue.dlq) > 0 {
		t.Errorf("%s: rejected: %v", what, r.queue.dlq)
	}
	l := &ledger.Ledger{Store: r.store, Now: time.Now}
	run, err := l.ClusterRun(context.Background(), "demo")
	runs, err2 := l.Runs(context.Background(), "demo")
	if err != nil || err2 != nil || run.Outcome != events.OutcomeActive || len(runs) != 1 {
		t.Errorf("%s: the ledger has %d runs, the last one %q (%v, %v)", what, len(runs), run.Outcome, err, err2)
	}
}

func diff(got, want []string) string {
	var b strings.Builder
	for _, g := range got {
		if !slices.Contains(want, g) {
			fmt.Fprintf(&b, "+ %s\n", g)
		}
	}
	for _, w := range want {
		if !slices.Contains(got, w) {
			fmt.Fprintf(&b, "- %s\n", w)
		}
	}
	return b.String()
}

// runFor delivers the messages that are visible within d.
func (r *rig) runFor(d time.Duration) {
	end := time.Now().Add(d)
	for len(r.queue.list) > 0 {
		slices.SortStableFunc(r.queue.list, func(a, b *message) int { return a.at.Compare(b.at) })
		m := r.queue.list[0]
		if m.at.After(end) {
			break
		}
		time.Sleep(time.Until(m.at))
		if r.deliver(m) {
			r.queue.list = slices.DeleteFunc(r.queue.list, func(o *message) bool { return o == m })
		}
	}
	time.Sleep(time.Until(end))
}

// The ledger's store, the bus and the queue, through the session.

func (s *session) Get(ctx context.Context, key ledger.Key) (ledger.Document, error) {
	return read(ctx, s, "ledger.Get", func() (ledger.Document, error) { return s.store.Get(ctx, key) })
}

func (s *session) Put(ctx context.Context, d ledger.Document) error {
	return s.call(ctx, "ledger.Put", func() error { return s.store.Put(ctx, d) })
}

func (s *session) Query(ctx context.Context, partition, prefix string) ([]ledger.Document, error) {
	return read(ctx, s, "ledger.Query", func() ([]ledger.Document, error) { return s.store.Query(ctx, partition, prefix) })
}

func (s *session) Publish(ctx context.Context, list ...events.Event) error {
	return s.call(ctx, "Publish", func() error { s.bus.list = append(s.bus.list, list...); return nil })
}

func (s *session) Continue(ctx context.Context, body string, delay time.Duration) error {
	return s.call(ctx, "Continue", func() error { s.queue.send(body, delay); return nil })
}

func (s *session) Reject(ctx context.Context, body, _, reason string) error {
	return s.call(ctx, "Reject", func() error { s.queue.dlq = append(s.queue.dlq, reason); return nil })
}

func (s *session) Release(ctx context.Context, receipt string, delay time.Duration) error {
	return s.call(ctx, "Release", func() error { s.queue.release(receipt, delay); return nil })
}

// bus keeps what was published.
type bus struct{ list []events.Event }
