package observe_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	awsevents "github.com/aws/aws-lambda-go/events"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/infra/local"
	"github.com/ekspedite/ekspedite/infra/local/eks"
	"github.com/ekspedite/ekspedite/infra/local/faults"
	localworld "github.com/ekspedite/ekspedite/infra/local/world"
	"github.com/ekspedite/ekspedite/shared/apply"
	"github.com/ekspedite/ekspedite/shared/awscloud"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/handler"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/observe"
	"github.com/ekspedite/ekspedite/shared/work/cluster"
)

const (
	account = "123456789012"
	region  = "us-east-1"
)

var demo = fleet.ClusterID{Region: region, Name: "demo"}

// rig is the embedded cloud in memory with a cluster in it, spoken to by the real SDK in virtual time. Its Kubernetes is a
// list of nodes.
type rig struct {
	t     testing.TB
	cloud *local.Cloud
	store *ledger.Memory
	calls map[string]int // by operation
	mu    sync.Mutex
	list  []fleet.Node
	deaf  error // the API server's answer
}

// inBubble runs a test with a cluster that the cluster function has made from a file.
func inBubble(t *testing.T, file string, test func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		cloud, err := local.Start(context.Background(), local.Options{
			InMemory: true, Profile: localworld.Fast, Seed: 7, Faults: &faults.None, Launcher: eks.Idle{}, DataDir: t.TempDir(),
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
		r := &rig{t: t, cloud: cloud, store: &ledger.Memory{}, calls: map[string]int{}}
		r.build(file)
		r.calls = map[string]int{}
		test(t, r)
	})
}

// RoundTrip counts calls of EKS's API by path, which is all that tells its operations apart.
func (r *rig) RoundTrip(q *http.Request) (*http.Response, error) {
	r.mu.Lock()
	r.calls[q.Method+" "+strings.ReplaceAll(q.URL.Path, demo.Name, "NAME")]++
	r.mu.Unlock()
	return r.cloud.RoundTrip(q)
}

func (r *rig) config() awscloud.Config {
	cfg := awscloud.Static(r.cloud.Endpoint(), region, r.cloud.AccessKey(), r.cloud.SecretKey())
	cfg.HTTPClient = &http.Client{Transport: r}
	return cfg
}

func (r *rig) ledger() *ledger.Ledger { return &ledger.Ledger{Store: r.store, Now: time.Now} }

func (r *rig) build(file string) {
	at := awscloud.NewRegion(r.config())
	there := objects{}
	q := &queue{}
	n := 0
	id := func() string { n++; return fmt.Sprintf("id-%d", n) }
	w := &cluster.Work{
		Open: func(string) cluster.Reach {
			return cluster.Reach{Observe: observe.Clusters{AWS: at, Kubernetes: there, Now: time.Now}, Apply: apply.ClusterWriter{AWS: at, Kubernetes: there}.Do}
		},
		Ledger: r.ledger(), Bus: nobody{}, Queue: q, InterruptionRole: "arn:aws:iam::123456789012:role/drain", Role: "arn:aws:iam::123456789012:role/self",
		Account: account, Region: region, NewID: id, Now: time.Now,
	}
	h := &handler.Handler{Function: "cluster", Work: w.Handle, Queue: q, MaxReceives: 5, Account: account, Region: region, NewID: id, Now: time.Now, Log: slog.New(slog.DiscardHandler)}
	e, err := events.New(&events.ClusterApplyRequested{RequestID: "make", Spec: file}, id(), time.Now(), account, region)
	if err != nil {
		r.t.Fatal(err)
	}
	body, err := json.Marshal(e)
	if err != nil {
		r.t.Fatal(err)
	}
	q.list = append(q.list, message{string(body), time.Now()})
	for len(q.list) > 0 {
		m := q.list[0]
		q.list = q.list[1:]
		time.Sleep(time.Until(m.at))
		out, err := h.Handle(context.Background(), awsevents.SQSEvent{Records: []awsevents.SQSMessage{{
			MessageId: "m", ReceiptHandle: "m", Body: m.body, Attributes: map[string]string{"ApproximateReceiveCount": "1"},
		}}})
		if err != nil || len(out.BatchItemFailures) > 0 {
			r.t.Fatal("the cluster could not be made: ", err, out)
		}
	}
}

type message struct {
	body string
	at   time.Time
}

type queue struct{ list []message }

func (q *queue) Continue(_ context.Context, body string, delay time.Duration) error {
	q.list = append(q.list, message{body, time.Now().Add(delay)})
	return nil
}
func (*queue) Release(context.Context, string, time.Duration) error { return nil }
func (*queue) Reject(_ context.Context, _, _, reason string) error  { panic(reason) }

type nobody struct{}

func (nobody) Publish(context.Context, ...events.Event) error { return nil }

// objects are what the cluster function puts into Kubernetes.
type objects struct{}

func (objects) Object(_ context.Context, _ string, ref fleet.Ref) (fleet.Resource, error) {
	return fleet.Resource{}, fault.New(fault.NotFound, "no %s", ref.Name)
}
func (objects) Apply(context.Context, string, fleet.Props) error  { return nil }
func (objects) Delete(context.Context, string, fleet.Props) error { return nil }

// Nodes implements observe.NodeReader.
func (r *rig) Nodes(context.Context) ([]fleet.Node, error) { return r.list, r.deaf }

func (r *rig) upgrades(c observe.Cache) *observe.Upgrades {
	return observe.NewUpgrades(awscloud.NewUpgrades(r.config()), func(context.Context, string) (observe.NodeReader, error) { return r, nil }, c, region, time.Now)
}
