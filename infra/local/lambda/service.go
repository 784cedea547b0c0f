// Package lambda runs real `bootstrap` executables as AWS Lambda does: the Runtime API, cold and warm starts, frozen and
// reaped execution environments, concurrency limits, timeouts, retries of asynchronous invocations, and the pollers
// that bring SQS messages to functions.
package lambda

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
	"github.com/ekspedite/ekspedite/infra/local/world"
)

// Roles are IAM. SessionFor gives credentials of a role that trusts Lambda; AuthorizeRole says what a role may do.
type Roles interface {
	SessionFor(roleARN, sessionName string) (accessKeyID, secretAccessKey, sessionToken string, err error)
	AuthorizeRole(roleARN string, need wire.Need) error
}

// session is what a function signs its calls with.
type session struct{ accessKeyID, secretAccessKey, token string }

// Logs takes the functions' output.
type Logs interface {
	HasGroup(group string) bool
	CreateGroup(group string) error
	CreateStream(group, stream string) error
	Append(group, stream string, at time.Time, lines ...string) error
	StreamARN(group, stream string) string
}

// Message is one SQS message, as event source mappings see it.
type Message struct {
	ID, ReceiptHandle, Body, MD5OfBody, MD5OfAttributes string
	Attributes                                          map[string]string // ApproximateReceiveCount and the like
	MessageAttributes                                   map[string]MessageAttribute
}

// MessageAttribute is a custom attribute of a message.
type MessageAttribute struct {
	DataType, StringValue string
	BinaryValue           []byte
}

// Queues are what event source mappings poll and what failed asynchronous invocations go to.
type Queues interface {
	// Receive waits up to wait for up to max messages.
	Receive(ctx context.Context, queueARN string, max int, wait time.Duration) ([]Message, error)
	Delete(ctx context.Context, queueARN string, receiptHandles []string) error
	Send(ctx context.Context, queueARN, body string, attributes map[string]string) error
	VisibilityTimeout(queueARN string) (time.Duration, error)
}

// Options adjust the host.
type Options struct {
	Endpoint string // AWS_ENDPOINT_URL of the functions
	// BinDir holds <handler>/bootstrap for every function. Empty: functions can be created, but not invoked.
	BinDir string
	// Concurrency is the account's limit of concurrent executions; 0 means AWS's default of 1000.
	Concurrency int
	// IdleFor is how long an idle execution environment is kept. AWS does not say; minutes are usual. 0 means 5 minutes.
	IdleFor time.Duration
	// RetryDelays come between the attempts of an asynchronous invocation; empty means AWS's 1 and 2 minutes.
	RetryDelays []time.Duration
	// Serve gives a function URL's handler an address, by HTTPS. Nil: it has a URL, and nobody answers there.
	Serve func(http.Handler) (url string, err error)
}

// Service is the Lambda service.
type Service struct {
	w      *world.World
	roles  Roles
	logs   Logs
	queues Queues
	o      Options

	mu        sync.Mutex
	functions map[string]*function
	mappings  []*mapping
	busy      int // executions that count against the unreserved part of the account's limit
	closed    bool
}

// New makes a Lambda service without functions.
func New(w *world.World, roles Roles, logs Logs, queues Queues, o Options) *Service {
	if o.Concurrency == 0 {
		o.Concurrency = 1000
	}
	if o.IdleFor == 0 {
		o.IdleFor = 5 * time.Minute
	}
	if len(o.RetryDelays) == 0 {
		o.RetryDelays = []time.Duration{time.Minute, 2 * time.Minute}
	}
	s := &Service{w: w, roles: roles, logs: logs, queues: queues, o: o, functions: map[string]*function{}}
	w.Go(s.reap)
	return s
}

// Close ends all execution environments. Invocations under way fail.
func (s *Service) Close() {
	s.mu.Lock()
	s.closed = true
	var all []*environment
	for _, f := range s.functions {
		for e := range f.environments {
			all = append(all, e)
		}
	}
	s.mu.Unlock()
	for _, e := range all {
		e.kill()
	}
	for _, e := range all {
		<-e.exited
	}
}

// reap ends environments that nobody has used for a while.
func (s *Service) reap(ctx context.Context) {
	t := time.NewTicker(max(s.o.IdleFor/5, time.Millisecond))
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-t.C:
			s.mu.Lock()
			for _, f := range s.functions {
				f.idle = slices.DeleteFunc(f.idle, func(e *environment) bool {
					old := now.Sub(e.idleSince) >= s.o.IdleFor
					if old {
						e.kill()
					}
					return old
				})
			}
			s.mu.Unlock()
		}
	}
}

// ARN of the function with a name.
func (s *Service) ARN(name string) string { return s.w.ARN("lambda", "function:"+name) }

// find takes a name, a partial or a full ARN, with or without the qualifier $LATEST.
func (s *Service) find(id string) (*function, error) {
	name := functionName(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.functions[name]
	if f == nil {
		return nil, wire.Errf("ResourceNotFoundException", "Function not found: %s", s.ARN(name)).WithStatus(http.StatusNotFound)
	}
	return f, nil
}

func functionName(id string) string {
	if _, name, ok := strings.Cut(id, "function:"); ok {
		id = name
	}
	return strings.TrimSuffix(id, ":$LATEST")
}
