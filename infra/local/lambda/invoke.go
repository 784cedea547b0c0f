package lambda

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/wire"
)

// function is a function with its environments. The service's lock guards it.
type function struct {
	s            *Service
	config       Config
	generation   int // of the configuration: environments of older ones are not used again
	modified     time.Time
	permissions  []permission
	hasURL       bool
	async        asyncConfig
	environments map[*environment]int // and the generation they were made for
	idle         []*environment       // the one used last is at the end, and is used first
	busy         int
	stats        Stats
}

// Result is what a synchronous invocation gives.
type Result struct {
	RequestID     string
	Payload       []byte
	FunctionError string // "" or "Unhandled"
	LogTail       []byte // the last 4 KB of what was logged
	Cold          bool
}

// maxRequest is the largest event of a synchronous invocation, and maxEvent of an asynchronous one.
const (
	maxRequest = 6291456
	maxEvent   = 1 << 20
)

func tooLarge(limit int) error {
	return wire.Errf("RequestTooLargeException", "Request must be smaller than %d bytes for the InvokeFunction operation", limit).WithStatus(http.StatusRequestEntityTooLarge)
}

func roleDenied(role string, err error) error {
	return wire.Errf("AccessDeniedException", "The role defined for the function cannot be assumed by Lambda: %s: %v", role, err).WithStatus(http.StatusForbidden)
}

// Invoke runs a function and waits for its answer. An error means that it did not run. A caller who hangs up does not
// end an invocation, so there is no context to cancel it with.
func (s *Service) Invoke(nameOrARN string, payload []byte) (Result, error) {
	return s.invoke(nameOrARN, s.w.UUID(), "", payload)
}

func (s *Service) invoke(nameOrARN, requestID, clientContext string, payload []byte) (Result, error) {
	f, err := s.find(nameOrARN)
	if err != nil {
		return Result{}, err
	}
	if len(payload) > maxRequest {
		return Result{}, tooLarge(maxRequest)
	}
	e, generation, err := s.acquire(f)
	if err != nil {
		return Result{}, err
	}
	r := Result{RequestID: requestID, Cold: e == nil}
	var initTook time.Duration
	if e == nil {
		var a answer
		start := time.Now()
		if e, a, err = s.coldStart(f, generation); err != nil || e == nil {
			s.release(f, nil)
			r.Payload, r.FunctionError = a.payload, a.functionError
			return r, err
		}
		initTook = time.Since(start)
	}
	cpu := cpuTime(e.cmd.Process.Pid)
	start := time.Now()
	inv := &invocation{id: requestID, payload: payload, deadline: start.Add(e.config.Timeout), context: clientContext, done: make(chan answer, 1)}
	e.out.begin(requestID)
	a, runErr := e.run(s.w.Context(), inv)
	took := time.Since(start)
	if cpu = cpuTime(e.cmd.Process.Pid) - cpu; cpu < 0 {
		cpu = 0 // the process is gone: what it used is added when it is reaped
	}
	if runErr != nil && !errors.Is(runErr, errBusy) {
		<-e.exited
	}
	r.LogTail = e.out.end(report{id: requestID, status: statusOf(a, runErr), duration: took, initDuration: initTook,
		memoryMB: e.config.MemoryMB, max: peakMemory(e.cmd.Process.Pid), timeout: e.config.Timeout})
	s.account(f, a, runErr, took, cpu)
	switch {
	case errors.Is(runErr, errBusy):
		s.w.Go(func(context.Context) {
			if e.settle(max(time.Until(inv.deadline), time.Second)) != nil {
				e.kill()
				<-e.exited
				e = nil
			}
			s.release(f, e)
		})
	case runErr != nil:
		s.release(f, nil)
	default:
		s.release(f, e)
	}
	r.Payload, r.FunctionError = a.payload, a.functionError
	return r, nil
}

// acquire counts an execution and returns a warm environment, or nil when one must be started.
func (s *Service) acquire(f *function) (*environment, int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	throttled := func(reason string) error {
		f.stats.Throttles++
		e := throttle()
		e.Fields["Reason"] = reason
		return e
	}
	if s.closed {
		return nil, 0, wire.Errf("ServiceException", "the embedded cloud is closing").WithStatus(http.StatusInternalServerError)
	}
	if r := f.config.Reserved; r != nil {
		if f.busy >= *r {
			return nil, 0, throttled("ReservedFunctionConcurrentInvocationLimitExceeded")
		}
	} else {
		if s.busy >= s.o.Concurrency-s.reserved() {
			return nil, 0, throttled("ConcurrentInvocationLimitExceeded")
		}
		s.busy++
	}
	f.busy++
	f.stats.MaxConcurrency = max(f.stats.MaxConcurrency, f.busy)
	if n := len(f.idle); n > 0 {
		e := f.idle[n-1]
		f.idle = f.idle[:n-1]
		return e, f.generation, nil
	}
	return nil, f.generation, nil
}

// reserved is how much of the account's concurrency belongs to single functions. It needs the lock.
func (s *Service) reserved() int {
	n := 0
	for _, f := range s.functions {
		if f.config.Reserved != nil {
			n += *f.config.Reserved
		}
	}
	return n
}

// coldStart makes an environment and waits for its first poll. A first attempt that takes longer than initTimeout or
// fails is repeated once under the function's own timeout, as on AWS.
func (s *Service) coldStart(f *function, generation int) (*environment, answer, error) {
	s.mu.Lock()
	config := f.config
	s.mu.Unlock()
	var a answer
	for _, patience := range []time.Duration{initTimeout, config.Timeout} {
		e, err := s.startEnvironment(f, config)
		if err != nil {
			return nil, answer{}, err
		}
		s.mu.Lock()
		f.environments[e] = generation
		f.stats.ColdStarts++
		closed := s.closed
		s.mu.Unlock()
		if closed { // Close has not seen it
			e.kill()
		}
		var ok bool
		if a, ok = e.waitInit(s.w.Context(), patience); ok {
			s.mu.Lock()
			f.stats.Inits = bounded(f.stats.Inits, time.Since(e.started))
			s.mu.Unlock()
			return e, a, nil
		}
		if s.w.Context().Err() != nil {
			break
		}
	}
	s.mu.Lock()
	f.stats.InitFailures++
	s.mu.Unlock()
	return nil, a, nil
}

// release ends an execution; e is the environment to keep, if any.
func (s *Service) release(f *function, e *environment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.busy--
	if f.config.Reserved == nil {
		s.busy--
	}
	if e == nil {
		return
	}
	if f.environments[e] != f.generation || s.closed {
		e.kill() // it has an old configuration
		return
	}
	e.freeze()
	e.idleSince = time.Now()
	f.idle = append(f.idle, e)
}

// forget takes an environment whose process has ended out of the books.
func (s *Service) forget(e *environment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := e.f
	delete(f.environments, e)
	for i, o := range f.idle {
		if o == e {
			f.idle = append(f.idle[:i:i], f.idle[i+1:]...)
			break
		}
	}
	if st := e.cmd.ProcessState; st != nil {
		f.stats.endedCPU += st.UserTime() + st.SystemTime()
	}
}

func throttle() *wire.Error {
	return &wire.Error{Code: "TooManyRequestsException", Message: "Rate Exceeded.", Status: http.StatusTooManyRequests, Fields: map[string]any{"Type": "User"}}
}
