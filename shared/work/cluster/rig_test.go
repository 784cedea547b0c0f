package cluster

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	awsevents "github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/infra/local"
	"github.com/ekspedite/ekspedite/infra/local/eks"
	"github.com/ekspedite/ekspedite/infra/local/faults"
	"github.com/ekspedite/ekspedite/infra/local/world"
	"github.com/ekspedite/ekspedite/shared/apply"
	"github.com/ekspedite/ekspedite/shared/awscloud"
	"github.com/ekspedite/ekspedite/shared/decide/preflight"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/handler"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/observe"
	"github.com/ekspedite/ekspedite/shared/plan"
)

const (
	account    = "123456789012"
	region     = "us-east-1"
	drainer    = "arn:aws:iam::123456789012:role/ekspedite-Interruption-Role"
	visibility = 150 * time.Second // as in the template
	receives   = 5
)

// queue is the function's queue: a message is delivered once it is visible, and again if it was not deleted.
type queue struct {
	mu     sync.Mutex
	list   []*message
	dlq    []string // reasons
	bodies []string // of the same messages
	n      int
}

// redrive puts what was rejected back, as an operator would.
func (q *queue) redrive() int {
	bodies := q.bodies
	q.dlq, q.bodies = nil, nil
	for _, b := range bodies {
		q.send(b, 0)
	}
	return len(bodies)
}

type message struct {
	id, body string
	at       time.Time
	received int
}

func (q *queue) send(body string, delay time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.n++
	// SQS counts in whole seconds.
	delay = (delay + time.Second - 1).Truncate(time.Second)
	q.list = append(q.list, &message{id: strconv.Itoa(q.n), body: body, at: time.Now().Add(delay)})
}

func (q *queue) release(id string, delay time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range q.list {
		if m.id == id {
			m.at = time.Now().Add(delay)
		}
	}
}

// next is the message that is visible first; nil without.
func (q *queue) next() *message {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.list) == 0 {
		return nil
	}
	return slices.MinFunc(q.list, func(a, b *message) int { return a.at.Compare(b.at) })
}

func (q *queue) remove(m *message) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.list = slices.DeleteFunc(q.list, func(o *message) bool { return o == m })
}

// rig is the function with everything around it: the embedded cloud, spoken to by the real SDK, in virtual time and without
// a network.
type rig struct {
	t      testing.TB
	cloud  *local.Cloud
	inside *objects // Kubernetes, of all clusters
	script *script
	store  *ledger.Memory
	queue  *queue
	mu     sync.Mutex
	ids    int
	list   []events.Event // the bus
	twice  func() bool    // whether a message is delivered twice at once
	// strangers are what was there before without tags.
	strangers []string
	role      string // the function's own, whose policies hold then; "" is the root user
	boundary  string // of the roles that it makes
	scaling   Scaling
}

// newRig starts a cloud. It has to be called within a bubble, and Close'd there.
func newRig(t testing.TB, profile world.Profile, f faults.Config) *rig {
	t.Helper()
	cloud, err := local.Start(context.Background(), local.Options{
		InMemory: true, Profile: profile, Seed: 7, Faults: &f, Launcher: eks.Idle{}, DataDir: t.TempDir(),
		Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cloud.Close(); err != nil {
			t.Error(err)
		}
	})
	return &rig{t: t, cloud: cloud, inside: newObjects(), script: &script{}, store: &ledger.Memory{}, queue: &queue{}}
}

func (r *rig) id() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ids++
	return fmt.Sprintf("id-%d", r.ids)
}

// config is the SDK's, for calls that go through a transport.
func (r *rig) config(region string, transport http.RoundTripper) aws.Config {
	cfg := awscloud.Static(r.cloud.Endpoint(), region, r.cloud.AccessKey(), r.cloud.SecretKey())
	if _, function := transport.(*session); function && r.role != "" {
		cfg.Credentials = r.session()
	}
	cfg.HTTPClient = &http.Client{Transport: transport}
	cfg.Retryer = func() aws.Retryer { return aws.NopRetryer{} } // what fails here shall be seen by the function
	return cfg
}

// work is the function in a new execution environment.
func (r *rig) work(s *session) *Work {
	return &Work{
		Open: func(region string) Reach {
			reach := awscloud.NewRegion(r.config(region, s))
			return Reach{
				Observe: observe.Clusters{AWS: reach, Kubernetes: s, Now: time.Now},
				Apply:   apply.ClusterWriter{AWS: reach, Kubernetes: s}.Do,
				Preflight: func(ctx context.Context, c fleet.ClusterSpec, p plan.Plan) []preflight.Finding {
					facts := preflight.Facts{Now: time.Now(), Account: account} // no role: nobody enforces permissions here
					facts = observe.Preflight(ctx, awscloud.NewPreflight(r.config(region, s)), facts, preflight.Ask(facts, c, p))
					return preflight.Preflight(facts, c, p)
				},
			}
		},
		Ledger: &ledger.Ledger{Store: s, Now: time.Now}, Bus: s, Queue: s, InterruptionRole: drainer,
		Role:    cmp.Or(r.role, "arn:aws:iam::123456789012:role/ekspedite-Cluster-Role"),
		Account: account, Region: region, NewID: r.id, Now: time.Now, Boundary: r.boundary, Scaling: r.scaling,
	}
}

// invoke delivers one message to a new execution environment and tells whether SQS may delete it.
func (r *rig) invoke(m message) bool {
	s := &session{rig: r}
	w := r.work(s)
	h := &handler.Handler{
		Function: "cluster", Work: w.Handle, Queue: s, MaxReceives: receives, Account: w.Account, Region: w.Region, NewID: r.id,
		Now: time.Now, Log: slog.New(slog.NewTextHandler(cmp.Or[io.Writer](logTo, io.Discard), nil)),
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	out, err := h.Handle(ctx, awsevents.SQSEvent{Records: []awsevents.SQSMessage{{
		MessageId: m.id, ReceiptHandle: m.id, Body: m.body, Attributes: map[string]string{"ApproximateReceiveCount": strconv.Itoa(m.received)},
	}}})
	if s.isDead() { // nobody was left to answer
		return false
	}
	return err == nil && len(out.BatchItemFailures) == 0
}

// run delivers messages until there are none.
func (r *rig) run() { r.runFor(100 * time.Hour) }

// runFor delivers the messages that are visible within d.
func (r *rig) runFor(d time.Duration) {
	end := time.Now().Add(d)
	for steps := 0; ; steps++ {
		m := r.queue.next()
		if m == nil {
			return
		}
		if m.at.After(end) {
			time.Sleep(time.Until(end))
			return
		}
		if steps > 2000 {
			r.t.Fatalf("it does not end; the last message is %s", m.body)
		}
		time.Sleep(time.Until(m.at))
		if r.deliver(m) {
			r.queue.remove(m)
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

// ask puts a request on the queue.
func (r *rig) ask(id, spec string) { r.send(&events.ClusterApplyRequested{RequestID: id, Spec: spec}) }

func (r *rig) send(p events.OwnPayload) {
	e, err := events.New(p, r.id(), time.Now(), account, region)
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
	for _, e := range r.list {
		if p, ok := e.Payload.(*events.RunFinished); ok {
			out = append(out, *p)
		}
	}
	return out
}

// told is everything that was reported, a line each.
func (r *rig) told() string {
	var b strings.Builder
	for _, e := range r.list {
		switch p := e.Payload.(type) {
		case *events.RunProgressed:
			fmt.Fprintf(&b, "%s %s %s: %s\n", p.At.Format("15:04:05"), p.Subject.Cluster, p.Step, p.Detail)
		case *events.RunFinished:
			fmt.Fprintf(&b, "%s %s: %s\n", p.Subject.Cluster, p.Outcome, p.Reason)
		}
	}
	return b.String()
}

// example is one of the files that users get.
func example(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile("../../../examples/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// objects are the Kubernetes objects of all clusters, by cluster, kind and name.
type objects struct {
	mu   sync.Mutex
	list map[string]fleet.Props
}

func newObjects() *objects { return &objects{list: map[string]fleet.Props{}} }

func key(cluster string, o fleet.Props) string {
	return strings.Join([]string{cluster, fleet.Text(o, "apiVersion"), fleet.Text(o, "kind"), fleet.Text(o, "metadata", "namespace"), fleet.Text(o, "metadata", "name")}, "|")
}

// logTo gets the function's log when a test is being looked into; nil is nobody.
var logTo io.Writer
