package notify_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ekspedite/ekspedite/events"
	decide "github.com/ekspedite/ekspedite/shared/decide/notify"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/handler"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/obs"
	"github.com/ekspedite/ekspedite/shared/webhook"
	"github.com/ekspedite/ekspedite/shared/work/notify"
)

const (
	region = "us-east-1"
	// secret is in everything that is one.
	secret = "Xo9secretXo9"
)

// mode is how a call goes wrong.
type mode string

const (
	fine   mode = ""
	failed mode = "error before effect"
	lost   mode = "effect done, answer lost"
	echo   mode = "effect done, repeated by the SDK" // of conditional writes
	killed mode = "killed before effect"
	undone mode = "killed after effect"
)

var modes = []mode{failed, lost, echo, killed, undone}

var (
	errBroken = errors.New("broken connection")
	errDead   = errors.New("killed")
)

// life is one invocation: once it has been killed nothing of it has an effect.
type life struct{ dead bool }

type lifeKey struct{}

// world is a fleet with its policies, a ledger, targets, and the queue. It lives in a synctest bubble.
type world struct {
	mu       sync.Mutex
	store    ledger.Memory
	policies map[string]fleet.Policy
	all      fleet.FleetPolicy
	secrets  map[string]string
	answers  map[string]func() error // of a webhook, by the host of its URL
	slow     map[string]time.Duration
	strike   func(key string) mode
	calls    map[string]int
	twice    bool

	accepted map[string]int // by target, run and moment
	posts    map[string]int // messages that were taken, by host
	requests []webhook.Request
	topics   []decide.Body
	log      bytes.Buffer
	metrics  bytes.Buffer
	measured *lockedWriter
	ids      int

	messages []*message
	dlq      []string // reasons
}

type message struct {
	event    events.Event
	at       time.Time
	received int
}

func newWorld() *world {
	w := &world{
		policies: map[string]fleet.Policy{}, secrets: map[string]string{}, answers: map[string]func() error{}, slow: map[string]time.Duration{},
		calls: map[string]int{}, accepted: map[string]int{}, posts: map[string]int{},
	}
	w.measured = &lockedWriter{w: &w.metrics}
	return w
}

// story runs a test in a bubble of its own, and wants no secret in anything that was written.
func story(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		f(t, w)
		for what, text := range map[string]string{"log": w.log.String(), "metrics": w.metrics.String(), "dead letters": strings.Join(w.dlq, "\n"), "ledger": w.kept()} {
			if strings.Contains(text, secret) {
				t.Errorf("the %s tell a secret:\n%s", what, text)
			}
		}
	})
}

// kept is all that the ledger has.
func (w *world) kept() string {
	var b strings.Builder
	for key := range w.accepted {
		parts := strings.Split(key, " ")
		docs, err := w.store.Query(context.Background(), "notice#"+parts[1], "")
		if err != nil {
			return err.Error()
		}
		for _, d := range docs {
			b.Write(d.Data)
		}
	}
	return b.String()
}

// call does one, in the way that the test wants it to go.
func (w *world) call(ctx context.Context, name string, effect func() error) error {
	time.Sleep(5 * time.Millisecond)
	w.mu.Lock()
	defer w.mu.Unlock()
	l, _ := ctx.Value(lifeKey{}).(*life)
	if l != nil && l.dead {
		return errDead
	}
	w.calls[name]++
	m := fine
	if w.strike != nil {
		m = w.strike(fmt.Sprintf("%s #%d", name, w.calls[name]))
	}
	switch m {
	case failed:
		return &fault.Error{Class: fault.Transient, Err: errBroken}
	case killed:
		l.dead = true
		return errDead
	}
	err := effect()
	switch m {
	case lost:
		return &fault.Error{Class: fault.Transient, Unsure: true, Err: errBroken}
	case undone:
		l.dead = true
		return errDead
	case echo:
		if strings.HasPrefix(name, "put") {
			return effect()
		}
	}
	return err
}

func (w *world) Get(ctx context.Context, key ledger.Key) (d ledger.Document, err error) {
	err = w.call(ctx, "get "+key.Partition, func() error { d, err = w.store.Get(ctx, key); return err })
	return d, err
}

func (w *world) Put(ctx context.Context, d ledger.Document) error {
	return w.call(ctx, "put "+d.Key.Partition, func() error { return w.store.Put(ctx, d) })
}

func (w *world) Query(ctx context.Context, partition, prefix string) (docs []ledger.Document, err error) {
	return w.store.Query(ctx, partition, prefix)
}

func (w *world) Policy(ctx context.Context, id fleet.ClusterID) (p fleet.Policy, err error) {
	err = w.call(ctx, "policy of "+id.Name, func() error { p = w.policies[id.Name]; return nil })
	return p, err
}

func (w *world) FleetPolicy(ctx context.Context) (p fleet.FleetPolicy, err error) {
	err = w.call(ctx, "fleet policy", func() error { p = w.all; return nil })
	return p, err
}

func (w *world) Secret(ctx context.Context, parameter string) (s string, err error) {
	err = w.call(ctx, "secret", func() error {
		var ok bool
		if s, ok = w.secrets[parameter]; !ok {
			return fault.New(fault.NotFound, "ParameterNotFound")
		}
		return nil
	})
	return s, err
}

func host(r webhook.Request) string {
	return strings.Split(strings.TrimPrefix(r.URL, "https://"), "/")[0]
}

func (w *world) Post(ctx context.Context, r webhook.Request) error {
	if wait := w.slow[host(r)]; wait > 0 { // as webhook.Client: it gives up, and does not know
		select {
		case <-time.After(min(wait, fleet.NotifyTimeout)):
		case <-ctx.Done():
		}
		if wait > fleet.NotifyTimeout {
			return &fault.Error{Class: fault.Transient, Unsure: true, Op: "webhook", Err: errors.New("no answer within 5s")}
		}
	}
	return w.call(ctx, "post "+host(r), func() error {
		if answer := w.answers[host(r)]; answer != nil {
			if err := answer(); err != nil {
				return err
			}
		}
		w.take(host(r), r.Body)
		w.requests = append(w.requests, r)
		return nil
	})
}

// take counts what a message says.
func (w *world) take(target string, body []byte) {
	w.posts[target]++
	var d struct{ Runs []decide.Report }
	if json.Unmarshal(body, &d) == nil {
		for _, r := range d.Runs {
			w.accepted[target+" "+r.RunID+" "+string(r.Moment)]++
		}
	}
}

func (w *world) Publish(ctx context.Context, arn string, b decide.Body) error {
	return w.call(ctx, "publish", func() error { w.topics = append(w.topics, b); w.posts[arn]++; return nil })
}

func (w *world) work() *notify.Work {
	return &notify.Work{
		Policies: w, Ledger: &ledger.Ledger{Store: w, Now: time.Now}, Secrets: w, Hooks: w, Topics: w,
		Links: decide.Links{Region: region, Dashboard: "ekspedite"}, Region: region, Now: time.Now, Metrics: obs.NewMetrics(w.measured, "notify"),
		NewID: func() string { w.mu.Lock(); defer w.mu.Unlock(); w.ids++; return fmt.Sprintf("id-%d", w.ids) },
	}
}

// send puts events on the queue.
func (w *world) send(t *testing.T, payloads ...events.OwnPayload) {
	t.Helper()
	for i, p := range payloads {
		e, err := events.New(p, fmt.Sprintf("event-%d", i), time.Now(), "123456789012", region)
		if err != nil {
			t.Fatal(err)
		}
		w.messages = append(w.messages, &message{event: e, at: time.Now()})
	}
}

const (
	visibility  = 3 * time.Minute
	maxReceives = 5
	timeout     = 30 * time.Second
	batch       = 500
)

// serve delivers until nothing is left.
func (w *world) serve(t *testing.T) {
	t.Helper()
	log := &lockedWriter{w: &w.log}
	for began := time.Now(); len(w.messages) > 0; {
		if time.Since(began) > 6*time.Hour {
			t.Fatalf("%d messages never end", len(w.messages))
		}
		var due, rest []*message
		for _, m := range w.messages {
			if !m.at.After(time.Now()) && len(due) < batch {
				due = append(due, m)
			} else {
				rest = append(rest, m)
			}
		}
		if w.messages = rest; len(due) == 0 {
			time.Sleep(time.Second)
			continue
		}
		var list []handler.Delivery
		for i, m := range due {
			m.received++
			list = append(list, handler.Delivery{Event: m.event, MessageID: fmt.Sprintf("m-%d", i), Received: m.received})
		}
		var wg sync.WaitGroup
		if w.twice { // SQS has delivered the batch to another invocation as well, whose word does not count
			wg.Go(func() { w.invoke(log, list) })
		}
		out, alive := w.invoke(log, list)
		wg.Wait()
		for i, m := range due {
			if !alive || m.received > maxReceives {
				if m.at = time.Now().Add(visibility); m.received >= maxReceives {
					w.dlq = append(w.dlq, "killed too often")
				} else {
					w.messages = append(w.messages, m)
				}
				continue
			}
			switch d := handler.Decide(out[i], m.received, maxReceives); d.Verb {
			case handler.Retry:
				m.at = time.Now().Add(d.After)
				w.messages = append(w.messages, m)
			case handler.Defer:
				w.messages = append(w.messages, &message{event: m.event, at: time.Now().Add(d.After)})
			case handler.Reject:
				w.dlq = append(w.dlq, d.Reason)
			case handler.Ack:
			}
		}
	}
}

func (w *world) invoke(log *lockedWriter, list []handler.Delivery) (out []handler.Outcome, alive bool) {
	l := &life{}
	ctx, cancel := context.WithTimeout(context.WithValue(context.Background(), lifeKey{}, l), timeout)
	defer cancel()
	work := w.work()
	out = work.Handle(obs.With(ctx, slog.New(slog.NewJSONHandler(log, nil))), list)
	work.Metrics.Flush(time.Now())
	w.mu.Lock()
	defer w.mu.Unlock()
	return out, !l.dead
}

type lockedWriter struct {
	mu sync.Mutex
	w  *bytes.Buffer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

func hook(name string) fleet.NotificationTarget {
	return fleet.NotificationTarget{Name: name, Type: fleet.NotifyWebhook, Parameter: fleet.ParameterPrefix + name,
		On: []fleet.Moment{fleet.MomentStarted, fleet.MomentFinished}, Functions: fleet.NotifiedUnlessSaidElse}
}

// tell has a cluster tell these webhooks, whose URLs are secrets.
func (w *world) tell(cluster string, targets ...fleet.NotificationTarget) {
	w.policies[cluster] = fleet.Policy{Notifications: targets}
	for _, t := range targets {
		if t.Parameter != "" {
			w.secrets[t.Parameter] = "https://" + t.Name + "/services/" + secret
		}
	}
}

func started(run, cluster string) *events.RunStarted {
	return &events.RunStarted{RunID: run, Function: "interruption", Subject: events.Subject{Cluster: cluster, Region: region, Node: "node-of-" + run},
		Cause: events.KindSpotInterruption, StartedAt: time.Now(), Deadline: time.Now().Add(2 * time.Minute)}
}

func finished(run, cluster, outcome string) *events.RunFinished {
	return &events.RunFinished{RunID: run, Function: "interruption", Subject: events.Subject{Cluster: cluster, Region: region, Node: "node-of-" + run},
		Outcome: outcome, StartedAt: time.Now(), FinishedAt: time.Now().Add(time.Second), Blocked: []string{"default/web-1 by PodDisruptionBudget web"}}
}
