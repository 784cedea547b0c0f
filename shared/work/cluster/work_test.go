package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	awsevents "github.com/aws/aws-lambda-go/events"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/fleet"
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
	deleted := make([]bool, 1, 2)
	if r.twice != nil && r.twice() {
		deleted = append(deleted, false)
	}
	var wg sync.WaitGroup
	for i := range deleted {
		wg.Go(func() { deleted[i] = r.invoke(*m) })
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

// inBubble runs f with a clock of its own.
func inBubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

// plain is the undisturbed creation: its end, and how many calls it takes.
func plain(t *testing.T) (want []string, calls int) {
	inBubble(t, func(t *testing.T) {
		r := create(t, 0, nil, func(int, string) event { return nothing })
		want, calls = r.shape(), r.script.calls
	})
	return want, calls
}

func TestCreate(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		start := time.Now()
		r := create(t, time.Second, nil, nil)
		took := time.Since(start)
		done := r.finished()
		if len(done) != 1 || done[0].Outcome != events.OutcomeActive {
			t.Fatalf("%+v", done)
		}
		// Nine minutes for the control plane, two for the node groups: what comes on top is ours.
		if took > 13*time.Minute {
			t.Errorf("it took %s of AWS's 11 minutes", took)
		}
		writes := r.script.writes
		t.Logf("%s, %d writes, %d calls in all, %v, %v", took, writes, r.script.calls, done[0].Timings, done[0].Counts)
		if int64(writes) < done[0].Counts["writes"] {
			t.Errorf("%d writes, reported %v", writes, done[0].Counts)
		}

		// The same again, and a sweep: nothing is written, and only the one who asked hears of it.
		r.script.writes = 0
		calls := r.script.calls
		r.send(&events.ClusterSweepRequested{})
		r.run()
		t.Logf("a sweep of a complete cluster takes %d calls", r.script.calls-calls)
		r.ask("request-2", demo(t), false)
		r.run()
		if done = r.finished(); r.script.writes != 0 || len(done) != 2 || done[1].Outcome != events.OutcomeActive || done[1].Counts["writes"] != 0 {
			t.Errorf("%d writes, %+v", r.script.writes, done)
		}
		steps := map[string]int{}
		for _, e := range r.bus.list {
			if p, ok := e.Payload.(*events.RunProgressed); ok {
				steps[p.Step]++
			}
		}
		if steps["CreateCluster"] != 1 || steps["CreateNodeGroup"] != 2 || steps["Ready"] < 3 || steps["Note"] != 0 {
			t.Errorf("progress %v", steps)
		}
	})
}

// TestRepair: a sweep puts back what somebody took away.
func TestRepair(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := create(t, 0, nil, nil)
		r.world.o.Access = nil
		delete(r.world.o.Entries, role)
		r.script.writes = 0
		r.send(&events.ClusterSweepRequested{})
		r.run()
		done := r.finished()
		if r.script.writes != 2 || len(done) != 2 || done[1].Outcome != events.OutcomeActive || done[1].Counts["writes"] != 2 {
			t.Errorf("%d writes, %+v", r.script.writes, done)
		}
	})
}

// TestAtEveryCall: an invocation is killed, a call fails, an answer is lost, at each call of the creation in turn. The end
// is always the same.
func TestAtEveryCall(t *testing.T) {
	want, calls := plain(t)
	t.Logf("%d calls", calls)
	if testing.Short() {
		t.Skip("thousands of creations")
	}
	for name, e := range map[string]event{"fails": failsBefore, "answer lost": failsAfter, "killed before": killedBefore, "killed after": killedAfter} {
		t.Run(name, func(t *testing.T) {
			for _, stale := range []time.Duration{0, 3 * time.Second} {
				for n := 1; n <= calls; n++ {
					what := ""
					inBubble(t, func(t *testing.T) {
						r := create(t, stale, nil, func(i int, op string) event {
							if i == n {
								what = fmt.Sprintf("%s at call %d (%s), reads %s late", name, n, op, stale)
								return e
							}
							return nothing
						})
						complete(t, r, want, what)
					})
				}
			}
		})
	}
}

// TestTwice: every message is delivered twice at the same time.
func TestTwice(t *testing.T) {
	want, _ := plain(t)
	for _, stale := range []time.Duration{0, 3 * time.Second} {
		inBubble(t, func(t *testing.T) {
			r := create(t, stale, func() bool { return true }, nil)
			complete(t, r, want, "twice")
			if n := len(r.finished()); n != 1 {
				t.Errorf("the end was reported %d times", n)
			}
		})
	}
}

// TestHostile: failures of all kinds at random, messages delivered twice.
func TestHostile(t *testing.T) {
	want, _ := plain(t)
	for seed := range uint64(400) {
		inBubble(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			kills := 0
			r := create(t, time.Duration(random.IntN(5))*time.Second, func() bool { return seed%3 == 0 && random.IntN(10) == 0 }, func(int, string) event {
				switch random.IntN(100) {
				case 0:
					return failsBefore
				case 1:
					return failsAfter
				case 2:
					if kills++; kills < 4 { // a fifth receipt of one message would be the last
						return killedAfter
					}
				}
				return nothing
			})
			complete(t, r, want, fmt.Sprintf("seed %d", seed))
		})
	}
}

func TestWrongSpec(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		r.ask("request-1", strings.Replace(demo(t), "minSize: 1", "minSize: 99", 1), false)
		r.ask("request-2", strings.ReplaceAll(demo(t), "us-east-1", "eu-west-1"), false)
		r.ask("request-3", "nonsense", false)
		r.run()
		done := r.finished()
		if len(done) != 3 || len(r.queue.dlq) != 3 || r.script.writes != 0 {
			t.Fatalf("%d reports, %d rejected, %d writes", len(done), len(r.queue.dlq), r.script.writes)
		}
		for i, want := range []string{"line 35: managedNodeGroups[0].minSize: 99 is more than maxSize 6", "this ekspedite looks after us-east-1", "line 1"} {
			if done[i].Outcome != events.OutcomeFailed || !strings.Contains(done[i].Reason, want) || !strings.Contains(r.queue.dlq[i], want) {
				t.Errorf("%+v\n%s", done[i], r.queue.dlq[i])
			}
		}
	})
}

func TestDryRun(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		r.ask("request-1", demo(t), true)
		r.run()
		done := r.finished()
		l := &ledger.Ledger{Store: r.store, Now: time.Now}
		names, err := l.Clusters(context.Background())
		if r.script.writes != 0 || len(done) != 1 || done[0].Outcome != events.OutcomeNothingToDo || done[0].Counts["planned"] < 25 || err != nil || len(names) != 0 {
			t.Errorf("%d writes, %+v, %v %v", r.script.writes, done, names, err)
		}
		var lines []string
		for _, e := range r.bus.list {
			if p, ok := e.Payload.(*events.RunProgressed); ok && p.Step == "Planned" {
				lines = append(lines, p.Detail)
			}
		}
		if int64(len(lines)) != done[0].Counts["planned"] || !strings.Contains(lines[len(lines)-1], "node group") {
			t.Errorf("%q", lines)
		}
	})
}

// TestFailure: what EKS says of a node group that could not be made is what the report says, and a sweep does not repeat it.
func TestFailure(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		r.world.fails["spot"] = "AsgInstanceLaunchFailures: no capacity"
		r.ask("request-1", demo(t), false)
		r.run()
		r.send(&events.ClusterSweepRequested{})
		r.run()
		done := r.finished()
		if len(done) != 1 || done[0].Outcome != events.OutcomeFailed || !strings.Contains(done[0].Reason, "node group spot is CREATE_FAILED: AsgInstanceLaunchFailures: no capacity") {
			t.Errorf("%+v", done)
		}
	})
}

// TestNotOurs: a cluster and a role that others made are left alone.
func TestNotOurs(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		r.world.o.Control = &fleet.ControlPlane{Cluster: fleet.Cluster{Name: "demo", Status: "ACTIVE"}, RoleARN: "arn:aws:iam::123456789012:role/theirs"}
		r.world.o.Control.VPC = "vpc-theirs"
		for _, z := range r.world.o.Zones {
			r.world.o.Network.Subnets = append(r.world.o.Network.Subnets, fleet.Subnet{ID: "subnet-" + z.Name, Resource: "subnet/public/" + z.Name, VPC: "vpc-theirs", Zone: z.Name, CIDR: "10.42.0.0/24"})
		}
		r.ask("request-1", demo(t), false)
		r.run()
		done := r.finished()
		if len(done) != 1 || done[0].Outcome != events.OutcomeFailed || !strings.Contains(done[0].Reason, "ekspedite did not make") {
			t.Errorf("%+v", done)
		}
		for _, w := range r.world.writes {
			if strings.Contains(w, "node group") || strings.Contains(w, "let ") {
				t.Errorf("wrote %q", w)
			}
		}
	})
}

// TestSuperseded: a newer request ends the run of an older one, which changes nothing when it comes again.
func TestSuperseded(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		r.ask("request-1", demo(t), false)
		old := *r.queue.list[0]
		r.runFor(3 * time.Minute)
		larger := strings.Replace(demo(t), "maxSize: 4", "maxSize: 9", 1)
		r.ask("request-2", larger, false)
		r.run()
		r.queue.send(old.body, 0)
		r.run()
		done := r.finished()
		if len(done) != 2 || done[0].Outcome != OutcomeSuperseded || done[1].Outcome != events.OutcomeActive || r.world.o.Groups["on-demand"].Max != 9 {
			t.Errorf("%+v; %+v", done, r.world.o.Groups["on-demand"])
		}
	})
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

// TestMany: one file with several clusters, each with a message of its own, and a sweep over all.
func TestMany(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		second := strings.NewReplacer("name: demo ", "name: other", "name: demo\n", "name: other\n").Replace(demo(t))
		r.ask("request-1", demo(t)+"---\n"+second, false)
		r.runFor(time.Second)
		names := map[string]bool{}
		for _, m := range r.queue.list {
			e, err := events.Decode([]byte(m.body))
			if err != nil {
				t.Fatal(err)
			}
			names[e.Payload.(*events.ClusterContinuation).Cluster] = true
		}
		if !names["demo"] || !names["other"] {
			t.Errorf("%v", names)
		}
	})
}

// TestLostContinuation: a sweep goes on with a run whose message was lost.
func TestLostContinuation(t *testing.T) {
	want, _ := plain(t)
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		r.ask("request-1", demo(t), false)
		r.runFor(2 * time.Minute)
		r.queue.list = nil
		r.send(&events.ClusterSweepRequested{})
		r.runFor(15 * time.Minute)
		r.send(&events.ClusterSweepRequested{})
		r.run()
		complete(t, r, want, "lost continuation")
	})
}
