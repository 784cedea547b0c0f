// Package start is what every function's main has in common: settings, clients built once at cold start, the handler, and
// a line that says what is wrong when the environment is.
package start

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"strings"
	"time"

	awsevents "github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/awscloud"
	"github.com/ekspedite/ekspedite/shared/handler"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/obs"
	"github.com/ekspedite/ekspedite/shared/settings"
)

// Function is the environment that a function's work is built from.
type Function struct {
	settings.Settings
	Config  awscloud.Config
	Account string // the account that the function runs in; "" for one without a queue
	Ledger  *ledger.Ledger
	Bus     *awscloud.Bus
	Log     *slog.Logger
	Metrics *obs.Metrics
	Now     func() time.Time
	NewID   func() string
}

// gcPercent lets the heap grow to five times what is live before it is collected. Functions hold some 10 MB and have at
// least 512: memory is paid for anyway, CPU is time that a drain waits.
const gcPercent = 400

// Run builds the named function's handler around its work and serves Lambda with it. It does not return.
func Run(name string, needRole bool, work func(Function) handler.Work) {
	f := function(name, func() (settings.Settings, error) { return settings.Load(os.Getenv, needRole) })
	h := newHandler(name, f)
	h.Work = work(f)
	lambda.Start(func(ctx context.Context, batch awsevents.SQSEvent) (awsevents.SQSEventResponse, error) {
		defer func() { f.Metrics.Flush(f.Now()) }()
		return h.Handle(ctx, batch)
	})
}

func newHandler(name string, f Function) *handler.Handler {
	queue := awscloud.NewQueue(f.Config, f.QueueURL, f.DLQURL)
	return &handler.Handler{
		Function: name, Queue: queue, Sender: queue, MaxReceives: f.MaxReceives,
		Account: f.Account, Region: f.Region, NewID: f.NewID, Now: f.Now, Log: f.Log, Metrics: f.Metrics,
	}
}

// Batched is Run for work that sees all messages of a batch.
func Batched(name string, work func(Function) handler.BatchWork) {
	f := function(name, func() (settings.Settings, error) { return settings.LoadNotify(os.Getenv) })
	h, do := newHandler(name, f), work(f)
	lambda.Start(func(ctx context.Context, batch awsevents.SQSEvent) (awsevents.SQSEventResponse, error) {
		defer func() { f.Metrics.Flush(f.Now()) }()
		return h.HandleBatch(ctx, batch, do)
	})
}

// Work serves an event that the function is invoked with. An error has Lambda invoke it again, if it was invoked without
// waiting for an answer.
type Work func(ctx context.Context, e events.Event) error

// Invoked builds the named function's work, which nobody sends messages to, and serves Lambda with it. It does not return.
func Invoked(name string, work func(Function) Work) {
	f := function(name, func() (settings.Settings, error) { return settings.LoadInvoked(os.Getenv) })
	do := work(f)
	lambda.Start(func(ctx context.Context, body json.RawMessage) error {
		defer func() { f.Metrics.Flush(f.Now()) }()
		e, err := events.Decode(body)
		if err == nil {
			f.Log.Info("invoked", "event", e)
			err = do(obs.With(ctx, f.Log), e)
		}
		if err != nil {
			f.Log.Error("failed", "error", err)
			f.Metrics.Count("InvocationsFailed", 1)
		}
		return err
	})
}

// Call serves an invocation whose caller waits for the answer.
type Call func(ctx context.Context, body json.RawMessage) (answer any, err error)

// Called builds the named function's work, whose callers wait for it, and serves Lambda with it. It does not return.
func Called(name string, work func(Function) Call) {
	f := function(name, func() (settings.Settings, error) { return settings.LoadCalled(os.Getenv) })
	do := work(f)
	lambda.Start(func(ctx context.Context, body json.RawMessage) (any, error) {
		defer func() { f.Metrics.Flush(f.Now()) }()
		answer, err := do(obs.With(ctx, f.Log), body)
		if err != nil {
			f.Log.Error("failed", "error", err)
			f.Metrics.Count("InvocationsFailed", 1)
		}
		return answer, err
	})
}

// function reads the environment that a function is built from. It ends the process when that is wrong.
func function(name string, load func() (settings.Settings, error)) Function {
	debug.SetGCPercent(gcPercent)
	s, err := load()
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s cannot start, its environment is wrong:\n%v\n", name, err)
		os.Exit(2)
	}
	cfg, err := awscloud.Load(context.Background())
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s cannot start: loading the AWS configuration: %v\n", name, err)
		os.Exit(2)
	}
	return Function{
		Settings: s, Config: cfg, Account: account(s.QueueURL),
		Ledger: &ledger.Ledger{Store: awscloud.NewStore(cfg, s.Table), Now: time.Now}, Bus: awscloud.NewBus(cfg, s.Bus),
		Log: obs.NewLog(os.Stdout, s.LogLevel, name), Metrics: obs.NewMetrics(os.Stdout, name),
		Now: time.Now, NewID: rand.Text,
	}
}

// account is the one that owns a queue: https://sqs.us-east-1.amazonaws.com/123456789012/name.
func account(queueURL string) string {
	parts := strings.Split(queueURL, "/")
	if len(parts) < 2 {
		return ""
	}
	return parts[len(parts)-2]
}
