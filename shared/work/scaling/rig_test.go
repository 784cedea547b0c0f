package scaling

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
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
	"github.com/ekspedite/ekspedite/shared/decide/scaling"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/handler"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/observe"
	"github.com/ekspedite/ekspedite/shared/work/cluster"
)

const (
	account    = "123456789012"
	region     = "us-east-1"
	timeout    = time.Minute // these four as in the template
	visibility = 75 * time.Second
	receives   = 5
)

var demo = fleet.ClusterID{Region: region, Name: "demo"}

// file is the cluster: a group that EKS manages, and one of ours, of the same machines in the same zone.
const file = `apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata: {name: demo, region: us-east-1, version: "1.36"}
availabilityZones: [us-east-1a, us-east-1b]
vpc: {nat: {gateway: Disable}, clusterEndpoints: {publicAccess: true, privateAccess: true}}
accessConfig: {authenticationMode: API}
managedNodeGroups:
  - {name: base, instanceType: m5.large, minSize: 0, desiredCapacity: 0, maxSize: 10, availabilityZones: [us-east-1a]}
nodeGroups:
  - {name: own, instanceType: m5.large, minSize: 0, desiredCapacity: 0, maxSize: 10, availabilityZones: [us-east-1a]}
`

// message is one of a function's queue.
type message struct {
	id, body string
	at       time.Time
	received int
}

// queue is a function's: a message is delivered once it is visible, and again if it was not deleted.
type queue struct {
	mu   sync.Mutex
	list []*message
	n    int
	dlq  []string
}

func (q *queue) send(body string, delay time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.n++
	q.list = append(q.list, &message{id: strconv.Itoa(q.n), body: body, at: time.Now().Add((delay + time.Second - 1).Truncate(time.Second))})
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

// rig is the function with everything around it: the embedded cloud, spoken to by the real SDK in virtual time, and a cluster
// of it whose Kubernetes is a small stand-in.
type rig struct {
	t      testing.TB
	cloud  *local.Cloud
	script *script
	store  *ledger.Memory
	queue  *queue
	kube   *kubernetes
	mu     sync.Mutex
	ids    int
	bus    []events.Event
	market *observe.Market
	groups *awscloud.NodeGroups // of the execution environment, which lives on
	twice  bool
	home   string // the function's Region
	role   string // the function's own, whose policies hold then; "" is the root user
}

// inBubble runs a test with a cluster that is there and empty.
func inBubble(t *testing.T, test func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		cloud, err := local.Start(context.Background(), local.Options{
			InMemory: true, Profile: world.Fast, Seed: 7, Faults: &faults.None, Launcher: eks.Idle{}, DataDir: t.TempDir(),
			Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
		})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := cloud.Close(); err != nil {
				t.Error(err)
			}
		}()
		r := &rig{t: t, cloud: cloud, script: &script{}, store: &ledger.Memory{}, queue: &queue{}, home: region}
		r.kube = newKubernetes(r)
		r.build()
		test(t, r)
	})
}

func (r *rig) id() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ids++
	return fmt.Sprintf("id-%d", r.ids)
}

func (r *rig) config(transport http.RoundTripper) aws.Config {
	cfg := awscloud.Static(r.cloud.Endpoint(), region, r.cloud.AccessKey(), r.cloud.SecretKey())
	cfg.HTTPClient = &http.Client{Transport: transport}
	if _, function := transport.(*session); function && r.role != "" {
		cfg.Credentials = r.credentials()
	}
	cfg.Retryer = func() aws.Retryer { return aws.NopRetryer{} } // what fails here shall be seen by the function
	return cfg
}

// build has the cluster function make the cluster.
func (r *rig) build() {
	q := &queue{}
	there := &objects{list: map[string]fleet.Props{}}
	at := awscloud.NewRegion(r.config(r.cloud))
	w := &cluster.Work{
		Open: func(string) cluster.Reach {
			return cluster.Reach{Observe: observe.Clusters{AWS: at, Kubernetes: there, Now: time.Now}, Apply: apply.ClusterWriter{AWS: at, Kubernetes: there}.Do}
		},
		Ledger: r.ledger(), Bus: nobody{}, Queue: continuer{q}, InterruptionRole: "arn:aws:iam::123456789012:role/drain", Role: "arn:aws:iam::123456789012:role/self",
		Account: account, Region: region, NewID: r.id, Now: time.Now,
	}
	q.send(r.event(&events.ClusterApplyRequested{RequestID: "make", Spec: file}), 0)
	for m := q.next(); m != nil; m = q.next() {
		time.Sleep(time.Until(m.at))
		if !r.deliver(w.Handle, q, m, nil) {
			r.t.Fatal("the cluster could not be made")
		}
		q.remove(m)
	}
	r.policy(func(p *fleet.ScalingPolicy) { p.Groups = []fleet.GroupPolicy{{Name: "own", Ignore: true}} })
}

func (r *rig) ledger() *ledger.Ledger { return &ledger.Ledger{Store: r.store, Now: time.Now} }

// policy changes what the owner has decided: to act, and what change says.
func (r *rig) policy(change func(*fleet.ScalingPolicy)) {
	d, err := r.ledger().Desired(r.t.Context(), demo)
	if err != nil || d.RequestID == "" {
		r.t.Fatal("no cluster: ", err)
	}
	d.RequestID, d.RequestedAt, d.Policy.Scaling.Mode = r.id(), time.Now(), fleet.ScalingAct
	change(&d.Policy.Scaling)
	if _, err := r.ledger().Desire(r.t.Context(), d); err != nil {
		r.t.Fatal(err)
	}
}

// work is the function, whose every call goes through a session.
func (r *rig) work(s *session) *Work {
	groups := awscloud.NewNodeGroups(r.config(s), time.Now)
	market := observe.NewMarket(awscloud.NewMarket(r.config(s), time.Now), &ledger.Ledger{Store: s, Now: time.Now}, region, time.Now)
	if s.warm {
		if r.groups == nil {
			r.groups, r.market = groups, market
		}
		groups, market = r.groups, r.market
	}
	return &Work{
		Open: func(string) Reach {
			return Reach{
				Groups: groups, Owners: groups, Sizes: groups, Makes: groups, Market: market,
				Kubernetes: func(context.Context, string) (Kubernetes, error) { return inside{s}, nil },
			}
		},
		Ledger: &ledger.Ledger{Store: s, Now: time.Now}, Bus: s, Queue: s, Account: account, Region: r.home, NewID: r.id, Now: time.Now,
	}
}

// logTo gets the function's log when a test is being looked into; nil is nobody.
var logTo io.Writer = io.Discard

// deliver is one invocation with one message; it tells whether SQS may delete it.
func (r *rig) deliver(work handler.Work, q *queue, m *message, s *session) bool {
	h := &handler.Handler{
		Function: "scaling", Work: work, Queue: continuer{q}, MaxReceives: receives, Account: account, Region: r.home, NewID: r.id, Now: time.Now,
		Log: slog.New(slog.NewTextHandler(logTo, nil)),
	}
	if s != nil {
		h.Queue = s
	}
	m.received++
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	out, err := h.Handle(ctx, awsevents.SQSEvent{Records: []awsevents.SQSMessage{{
		MessageId: m.id, ReceiptHandle: m.id, Body: m.body, Attributes: map[string]string{"ApproximateReceiveCount": strconv.Itoa(m.received)},
	}}})
	return err == nil && len(out.BatchItemFailures) == 0 && (s == nil || !s.isDead())
}

// runFor delivers the messages that are visible within d, a sweep every minute among them.
func (r *rig) runFor(d time.Duration) {
	end := time.Now().Add(d)
	sweep := time.Now().Truncate(time.Minute).Add(time.Minute)
	for {
		m := r.queue.next()
		next := sweep
		if m != nil && m.at.Before(sweep) {
			next = m.at
		}
		if next.After(end) {
			time.Sleep(time.Until(end))
			return
		}
		time.Sleep(time.Until(next))
		if next.Equal(sweep) {
			r.queue.send(r.event(&events.ScalingSweepRequested{}), 0)
			sweep = sweep.Add(time.Minute)
			continue
		}
		r.serve(m)
	}
}

// serve delivers a message, twice at once if SQS does.
func (r *rig) serve(m *message) {
	m.at = time.Now().Add(visibility)
	times := 1
	if r.twice {
		times = 2
	}
	deleted := make([]bool, times)
	var wg sync.WaitGroup
	for i := range deleted {
		copied := *m
		wg.Go(func() {
			s := &session{rig: r, warm: i == 0 && r.script.at == nil}
			deleted[i] = r.deliver(r.work(s).Handle, r.queue, &copied, s)
		})
	}
	wg.Wait()
	m.received += times
	if slices.Contains(deleted, true) {
		r.queue.remove(m)
	} else if m.received >= receives {
		r.t.Fatalf("message %s would end in the dead-letter queue by SQS's redrive", m.body)
	}
}

func (r *rig) event(p events.OwnPayload) string {
	e, err := events.New(p, r.id(), time.Now(), account, r.home)
	if err != nil {
		r.t.Fatal(err)
	}
	body, err := json.Marshal(e)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(body)
}

// ring is the doorbell.
func (r *rig) ring() {
	r.queue.send(r.event(&events.ScalingRequested{Cluster: demo.Name, Region: region, Source: events.ScalingSourceWebhook, SeenAt: time.Now()}), 0)
}

// all are the cluster's node groups, as the root user sees them.
func (r *rig) all() []scaling.Group {
	list, err := awscloud.NewNodeGroups(r.config(r.cloud), time.Now).Groups(context.Background(), demo.Name)
	if err != nil {
		r.t.Fatal(err)
	}
	return list
}

// group is one of them: how many machines it shall have, and has.
func (r *rig) group(name string) (size, members int) {
	for _, g := range r.all() {
		if g.Name == name {
			return g.Desired, len(g.Members)
		}
	}
	r.t.Fatalf("no group %s", name)
	return 0, 0
}

// finished are the reports of looks.
func (r *rig) finished() (out []events.RunFinished) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.bus {
		if p, ok := e.Payload.(*events.RunFinished); ok {
			out = append(out, *p)
		}
	}
	return out
}
