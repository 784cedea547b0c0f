package cloudtest

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
	"github.com/ekspedite/ekspedite/shared/awscloud"
	"github.com/ekspedite/ekspedite/shared/handler"
	"github.com/ekspedite/ekspedite/shared/ledger"
)

// Account and Region of the embedded cloud.
const (
	Account = "123456789012"
	Region  = "us-east-1"
)

// Rig is a function with everything around it.
type Rig struct {
	T      testing.TB
	Cloud  *local.Cloud
	Script *Script
	Store  *ledger.Memory
	Queue  *Queue
	// Function is the function's name, Work its work in a new execution environment: each message has one of its own.
	Function string
	Work     func(s *Session) handler.Work
	// Home is the function's Region: that of the cloud, if nobody says otherwise.
	Home string
	// RoleARN is the function's own role, whose policies hold for its sessions; "" is the root user.
	RoleARN string
	// Timeout, Visibility and Receives are the function's and its queue's, as in the template.
	Timeout, Visibility time.Duration
	Receives            int
	// Twice tells of each message whether it is delivered twice at the same time; nil is never.
	Twice func() bool
	// EachCounts has both of two such deliveries count as receipts of the message; otherwise they are one.
	EachCounts bool
	// NoRedrive is for functions that reject messages themselves, with the reason: SQS's own redrive is then a failure of the test.
	NoRedrive bool
	// Steps is how many deliveries and schedules one run has at the most: more is taken for one without an end.
	Steps int
	// Mangle says of a message that is sent when, after its time, it is delivered: never, once, or several times; nil is at once.
	Mangle func(body string) []time.Duration
	// Heard is told of every event that is published: other functions listen.
	Heard func(e events.Event)
	// Every are messages that come again and again by a schedule.
	Every map[time.Duration]events.OwnPayload
	// Parameters are those of the template, for Role; what is not there has its default.
	Parameters map[string]string
	// Log gets the function's log when a test is being looked into; nil is nobody.
	Log io.Writer

	mu  sync.Mutex
	ids int
	bus []events.Event
}

// New starts a cloud, which ends with the test.
func New(t testing.TB, profile world.Profile, launcher eks.Launcher) *Rig {
	t.Helper()
	cloud, err := local.Start(context.Background(), local.Options{
		InMemory: true, Profile: profile, Seed: 7, Faults: &faults.None, Launcher: launcher, DataDir: t.TempDir(),
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
	return &Rig{
		T: t, Cloud: cloud, Script: &Script{}, Store: &ledger.Memory{}, Queue: &Queue{}, Home: Region,
		Timeout: 2 * time.Minute, Visibility: 150 * time.Second, Receives: 5, Steps: 100_000,
	}
}

// ID makes one.
func (r *Rig) ID() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ids++
	return fmt.Sprintf("id-%d", r.ids)
}

// Config is the SDK's, for calls that go through a transport: a session, or the cloud itself for the root user's. It does not
// try again: what fails here shall be seen by the function.
func (r *Rig) Config(transport http.RoundTripper) awscloud.Config {
	cfg := awscloud.Static(r.Cloud.Endpoint(), Region, r.Cloud.AccessKey(), r.Cloud.SecretKey())
	cfg.HTTPClient = &http.Client{Transport: transport}
	cfg.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
	return cfg
}

// ConfigIn is Config in a Region. For a session, which is the function's, it has the credentials of the function's role.
func (r *Rig) ConfigIn(region string, transport http.RoundTripper) awscloud.Config {
	cfg := r.Config(transport)
	if _, function := transport.(*Session); function && r.RoleARN != "" {
		cfg = r.As(r.RoleARN, transport)
	}
	return awscloud.InRegion(cfg, region)
}

// Ledger is the ledger as everybody else sees it.
func (r *Rig) Ledger() *ledger.Ledger { return &ledger.Ledger{Store: r.Store, Now: time.Now} }

// Event is one of ekspedite's own as it is sent.
func (r *Rig) Event(p events.OwnPayload) string {
	r.T.Helper()
	e, err := events.New(p, r.ID(), time.Now(), Account, r.Home)
	if err != nil {
		r.T.Fatal(err)
	}
	body, err := json.Marshal(e)
	if err != nil {
		r.T.Fatal(err)
	}
	return string(body)
}

// Send puts an event on the queue.
func (r *Rig) Send(p events.OwnPayload) { r.send(r.Event(p), 0) }

func (r *Rig) send(body string, delay time.Duration) {
	if r.Mangle == nil {
		r.Queue.Send(body, delay)
		return
	}
	for _, late := range r.Mangle(body) {
		r.Queue.Send(body, delay+late)
	}
}

// RunFor delivers what is visible within d, and what comes by schedules: at its very end, too.
func (r *Rig) RunFor(d time.Duration) {
	r.T.Helper()
	r.RunUntil(func() bool { return false }, time.Now().Add(d))
}

// RunUntil delivers messages until something holds, at the latest those of a time. It tells whether it holds.
func (r *Rig) RunUntil(holds func() bool, end time.Time) bool {
	r.T.Helper()
	next := map[time.Duration]time.Time{}
	for every := range r.Every {
		next[every] = time.Now().Truncate(every).Add(every)
	}
	for steps := 0; ; steps++ {
		if holds() {
			return true
		}
		if steps > r.Steps {
			r.T.Fatalf("it does not end; messages: %v", r.Queue.Bodies())
		}
		m := r.Queue.Next()
		at, scheduled := end, time.Duration(0)
		if m != nil && m.At.Before(at) {
			at = m.At
		}
		for every, t := range next {
			if !t.After(at) {
				at, scheduled = t, every
			}
		}
		time.Sleep(time.Until(at))
		switch {
		case scheduled > 0:
			r.Send(r.Every[scheduled])
			next[scheduled] = next[scheduled].Add(scheduled)
		case m != nil && !m.At.After(at):
			r.Serve(m)
		default:
			return holds()
		}
	}
}

// Serve delivers a message now, twice at once if it is so, and deletes it if one of them says so.
func (r *Rig) Serve(m *Message) {
	m.Received++
	m.At = time.Now().Add(r.Visibility)
	deleted := make([]bool, 1, 2)
	if r.Twice != nil && r.Twice() {
		deleted = append(deleted, false)
	}
	var wg sync.WaitGroup
	copied := *m // before anybody releases it
	for i := range deleted {
		s := &Session{Rig: r, Warm: i == 0 && r.Script.At == nil}
		wg.Go(func() { deleted[i] = r.invoke(s, copied) })
	}
	wg.Wait()
	if r.EachCounts {
		m.Received += len(deleted) - 1
	}
	switch {
	case slices.Contains(deleted, true):
		r.Queue.Remove(m)
	case m.Received >= r.Receives && r.NoRedrive:
		r.T.Fatalf("message %s would end in the dead-letter queue by SQS's redrive: %s", m.ID, m.Body)
	case m.Received >= r.Receives: // SQS's own redrive
		r.Queue.Remove(m)
		r.Queue.Reject(m.Body, "received too often")
	}
}

// invoke is one invocation with one message; it tells whether SQS may delete it.
func (r *Rig) invoke(s *Session, m Message) bool {
	log := r.Log
	if log == nil {
		log = io.Discard
	}
	h := &handler.Handler{
		Function: r.Function, Work: r.Work(s), Queue: s, MaxReceives: r.Receives, Account: Account, Region: r.Home, NewID: r.ID, Now: time.Now,
		Log: slog.New(slog.NewTextHandler(log, nil)),
	}
	ctx, cancel := context.WithTimeout(context.Background(), r.Timeout)
	defer cancel()
	out, err := h.Handle(ctx, awsevents.SQSEvent{Records: []awsevents.SQSMessage{{
		MessageId: m.ID, ReceiptHandle: m.ID, Body: m.Body, Attributes: map[string]string{"ApproximateReceiveCount": strconv.Itoa(m.Received)},
	}}})
	return !s.Dead() && err == nil && len(out.BatchItemFailures) == 0 // of the dead nobody was left to answer
}

// Bus is what was published.
func (r *Rig) Bus() []events.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.bus)
}

// Forget drops the first n events from the bus: what comes is told alone.
func (r *Rig) Forget(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bus = slices.Delete(r.bus, 0, n)
}

// Finished are the reports of ended runs.
func (r *Rig) Finished() (out []events.RunFinished) {
	for _, e := range r.Bus() {
		if p, ok := e.Payload.(*events.RunFinished); ok {
			out = append(out, *p)
		}
	}
	return out
}

// Told is everything that was reported, a line each.
func (r *Rig) Told() string {
	var b strings.Builder
	for _, e := range r.Bus() {
		switch p := e.Payload.(type) {
		case *events.RunProgressed:
			fmt.Fprintf(&b, "%s %s %s %s: %s\n", p.At.Format("01-02 15:04:05"), p.Subject.Cluster, p.Resource, p.Step, p.Detail)
		case *events.RunFinished:
			fmt.Fprintf(&b, "%s %s %s: %s %v\n", p.FinishedAt.Format("01-02 15:04:05"), p.Subject.Cluster, p.Outcome, p.Reason, p.Failures)
		}
	}
	return b.String()
}
