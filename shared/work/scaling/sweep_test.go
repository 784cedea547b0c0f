package scaling

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/internal/cloudtest"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/handler"
	"github.com/ekspedite/ekspedite/shared/ledger"
)

// counted is a ledger's store that counts.
type counted struct {
	*ledger.Memory
	gets, puts atomic.Int64
}

func (c *counted) Get(ctx context.Context, k ledger.Key) (ledger.Document, error) {
	c.gets.Add(1)
	return c.Memory.Get(ctx, k)
}

func (c *counted) Put(ctx context.Context, d ledger.Document) error {
	c.puts.Add(1)
	return c.Memory.Put(ctx, d)
}

// many are the API servers of a fleet of clusters, and everything else of its Region.
type many struct {
	Kubernetes
	pending, broken map[string]bool
	glances         *atomic.Int64
	refreshed       *atomic.Int64
	owner           string
	looked          *atomic.Int64
}

type one struct {
	many
	cluster string
}

func (o one) Pending(context.Context) (bool, error) {
	o.glances.Add(1)
	if o.broken[o.cluster] {
		return false, errors.New("no route to host")
	}
	return o.pending[o.cluster], nil
}

func (o one) Workload(context.Context) (fleet.Workload, error) {
	o.looked.Add(1)
	return fleet.Workload{}, fault.New(fault.NotFound, "enough has been seen")
}
func (o one) Capacity(context.Context) ([]fleet.Node, error)     { return nil, nil }
func (m many) ClusterOf(context.Context, string) (string, error) { return m.owner, nil }
func (m many) Market(context.Context) (fleet.Market, error)      { return fleet.Market{}, nil }
func (m many) Refresh(context.Context) error                     { m.refreshed.Add(1); return nil }
func (m many) reach() Reach {
	return Reach{Owners: m, Market: m, Groups: nothing{}, Kubernetes: func(_ context.Context, cluster string) (Kubernetes, error) { return one{m, cluster}, nil }}
}

func newMany() many {
	return many{pending: map[string]bool{}, broken: map[string]bool{}, glances: new(atomic.Int64), refreshed: new(atomic.Int64), looked: new(atomic.Int64)}
}

// scaledClusters are in the ledger, looked at just now.
func scaledClusters(t *testing.T, l *ledger.Ledger, n int) {
	t.Helper()
	for i := range n {
		id := fleet.ClusterID{Region: region, Name: fmt.Sprintf("c%d", i)}
		policy := fleet.DefaultPolicy()
		policy.Scaling.Mode = fleet.ScalingAct
		if _, err := l.Desire(t.Context(), ledger.Desired{ClusterID: id, RequestID: "r", Policy: policy, RequestedAt: l.Now()}); err != nil {
			t.Fatal(err)
		}
		if _, err := l.SaveScaling(t.Context(), id, ledger.Scaling{Looks: 1, LookAt: l.Now().Add(time.Minute)}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestASweepOverHundreds: of 300 clusters one has pods that wait, one cannot be reached, one is overdue.
func TestASweepOverHundreds(t *testing.T) {
	store, m, s := &counted{Memory: &ledger.Memory{}}, newMany(), alone()
	l := &ledger.Ledger{Store: store, Now: time.Now}
	scaledClusters(t, l, 300)
	m.pending["c7"], m.broken["c8"] = true, true
	late := fleet.ClusterID{Region: region, Name: "c9"}
	state, err := l.Scaling(t.Context(), late)
	if err != nil {
		t.Fatal(err)
	}
	state.LookAt = time.Now().Add(-time.Second)
	if _, err := l.SaveScaling(t.Context(), late, state); err != nil {
		t.Fatal(err)
	}
	w := &Work{Open: func(string) Reach { return m.reach() }, Ledger: l, Bus: s, Queue: s, Account: account, Region: region, NewID: func() string { return "id" }, Now: time.Now}
	store.gets.Store(0)
	store.puts.Store(0)
	if o := w.Handle(t.Context(), handler.Delivery{Event: eventOf(t, &events.ScalingSweepRequested{})}); o.Err != nil {
		t.Fatal(o.Err)
	}
	// Two reads of the ledger for each cluster, one more for each that is to be looked at, and one call to each API server but
	// that of the cluster that is overdue anyway.
	if gets, puts, glances := store.gets.Load(), store.puts.Load(), m.glances.Load(); gets != 602 || puts != 0 || glances != 299 || m.refreshed.Load() != 1 {
		t.Errorf("%d reads and %d writes of the ledger, %d glances, %d markets", gets, puts, glances, m.refreshed.Load())
	}
	if looks := s.Queue.Bodies(); len(looks) != 2 || !strings.Contains(looks[0]+looks[1], `"c7"`) || !strings.Contains(looks[0]+looks[1], `"c9"`) {
		t.Errorf("%d looks were asked for", len(looks))
	}
}

// TestWhoIsLookedAt: which events lead to a look at which cluster.
func TestWhoIsLookedAt(t *testing.T) {
	failed := func(kind, code string) events.Event {
		e, err := events.Decode([]byte(`{"version":"0","id":"e1","detail-type":"` + kind + `","source":"aws.autoscaling","account":"` + account + `","time":"2026-11-23T18:00:00Z","region":"` + region + `","resources":[],"detail":{` +
			`"StatusCode":"` + code + `","AutoScalingGroupName":"asg","ActivityId":"a","EC2InstanceId":"i-0123456789abcdef0","Details":{"Availability Zone":"us-east-1a"}}}`))
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	abroad := eventOf(t, &events.ScalingRequested{Cluster: "c0", Source: "cli", SeenAt: time.Now()})
	abroad.Region = "eu-west-1"
	for name, tc := range map[string]struct {
		event events.Event
		owner string
		looks int64
	}{
		"a ring":                            {eventOf(t, &events.ScalingRequested{Cluster: "c0", Source: "webhook", SeenAt: time.Now()}), "", 1},
		"a ring for nobody":                 {eventOf(t, &events.ScalingRequested{Cluster: "nope", Source: "webhook", SeenAt: time.Now()}), "", 0},
		"a ring that was seen":              {eventOf(t, &events.ScalingRequested{Cluster: "c0", Source: "webhook", SeenAt: time.Now().Add(-time.Hour)}), "", 0},
		"a launch that failed":              {failed("EC2 Instance Launch Unsuccessful", "Failed"), "c0", 1},
		"a launch that failed for somebody": {failed("EC2 Instance Launch Unsuccessful", "Failed"), "", 0},
		"an end that failed":                {failed("EC2 Instance Terminate Unsuccessful", "Failed"), "c0", 0},
		"a continuation":                    {eventOf(t, &events.ScalingContinuation{RunID: "r", Cluster: "c0", StartedAt: time.Now(), Attempt: 1}), "", 1},
		"a continuation, too late":          {eventOf(t, &events.ScalingContinuation{RunID: "r", Cluster: "c0", StartedAt: time.Now()}), "", 0},
		"another fleet's":                   {abroad, "", 0},
	} {
		m := newMany()
		m.owner = tc.owner
		l := &ledger.Ledger{Store: &ledger.Memory{}, Now: time.Now}
		scaledClusters(t, l, 1)
		id := fleet.ClusterID{Region: region, Name: "c0"}
		state, err := l.Scaling(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		state.LookedAt = time.Now().Add(-time.Minute)
		if _, err := l.SaveScaling(t.Context(), id, state); err != nil {
			t.Fatal(err)
		}
		w := &Work{Open: func(string) Reach { return m.reach() }, Ledger: l, Bus: alone(), Queue: alone(), Account: account, Region: region, NewID: func() string { return "id" }, Now: time.Now}
		o := w.Handle(t.Context(), handler.Delivery{Event: tc.event})
		if o.Err != nil || o.Again || m.looked.Load() != tc.looks {
			t.Errorf("%s: %d looks, want %d: %+v", name, m.looked.Load(), tc.looks, o)
		}
	}
}

// TestAHeldClusterIsNotForgotten: what meets another invocation at work comes again.
func TestAHeldClusterIsNotForgotten(t *testing.T) {
	m, l := newMany(), &ledger.Ledger{Store: &ledger.Memory{}, Now: time.Now}
	scaledClusters(t, l, 1)
	if _, err := l.Acquire(t.Context(), "scaling#"+region+"/c0", "another", time.Minute); err != nil {
		t.Fatal(err)
	}
	w := &Work{Open: func(string) Reach { return m.reach() }, Ledger: l, Bus: alone(), Queue: alone(), Account: account, Region: region, NewID: func() string { return "id" }, Now: time.Now}
	o := w.Handle(t.Context(), handler.Delivery{Event: eventOf(t, &events.ScalingRequested{Cluster: "c0", Source: "webhook", SeenAt: time.Now()})})
	next, ok := o.Next.(*events.ScalingContinuation)
	if !ok || o.Err != nil || o.After <= 0 || o.After > 5*time.Second || m.looked.Load() != 0 || next.Attempt != 2 || next.Cluster != "c0" || next.SeenAt.IsZero() {
		t.Fatalf("%+v, %d looks", o, m.looked.Load())
	}
	// The look that was under way may not have seen it; the one after it has.
	for looks, want := range map[int]int64{2: 1, 3: 0} {
		m, l := newMany(), &ledger.Ledger{Store: &ledger.Memory{}, Now: time.Now}
		scaledClusters(t, l, 1)
		id := fleet.ClusterID{Region: region, Name: "c0"}
		state, err := l.Scaling(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		state.Looks = looks
		if _, err := l.SaveScaling(t.Context(), id, state); err != nil {
			t.Fatal(err)
		}
		w.Open, w.Ledger = func(string) Reach { return m.reach() }, l
		if o := w.Handle(t.Context(), handler.Delivery{Event: eventOf(t, next)}); o.Err != nil || m.looked.Load() != want {
			t.Errorf("after %d looks: %d more, want %d: %+v", looks, m.looked.Load(), want, o)
		}
	}
}

// alone is a session with a bus and a queue, and no cloud behind it.
func alone() *cloudtest.Session {
	return &cloudtest.Session{Rig: &cloudtest.Rig{Script: &cloudtest.Script{}, Queue: &cloudtest.Queue{}}}
}

func eventOf(t *testing.T, p events.OwnPayload) events.Event {
	t.Helper()
	e, err := events.New(p, "id", time.Now(), account, region)
	if err != nil {
		t.Fatal(err)
	}
	var out events.Event
	body, err := json.Marshal(e)
	if err == nil {
		err = json.Unmarshal(body, &out)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}
