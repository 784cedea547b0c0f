package lambda

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// initTimeout is how long an execution environment may take to its first poll before Lambda starts it anew under the
// function's own timeout.
const initTimeout = 10 * time.Second

// environment is one execution environment: a process that serves one invocation at a time.
type environment struct {
	f       *function
	config  Config // as it was when the environment was made
	started time.Time
	cmd     *exec.Cmd
	api     *http.Server
	out     *output
	next    chan *invocation // from the invoker to the waiting poll
	polled  chan struct{}    // the process asks for work
	exited  chan struct{}

	mu        sync.Mutex // guards the rest
	current   *invocation
	initError []byte
	exitError error
	idleSince time.Time // guarded by the service's lock
}

// invocation is one event on its way through an environment.
type invocation struct {
	id       string
	payload  []byte
	deadline time.Time
	context  string // X-Amz-Client-Context, decoded
	done     chan answer
}

// answer is what a function made of an invocation.
type answer struct {
	payload       []byte
	functionError string // "" or "Unhandled"
}

func failure(kind, format string, args ...any) answer {
	b, _ := json.Marshal(map[string]string{"errorType": kind, "errorMessage": fmt.Sprintf(format, args...)})
	return answer{payload: b, functionError: "Unhandled"}
}

// startEnvironment starts a process. It does not wait for it.
func (s *Service) startEnvironment(f *function, c Config) (*environment, error) {
	path, err := c.bootstrap(s.o.BinDir)
	if err != nil {
		return nil, err
	}
	var own session
	own.accessKeyID, own.secretAccessKey, own.token, err = s.roles.SessionFor(c.Role, c.Name)
	if err != nil {
		return nil, roleDenied(c.Role, err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	e := &environment{
		f: f, config: c, started: time.Now(),
		next: make(chan *invocation), polled: make(chan struct{}, 1), exited: make(chan struct{}),
	}
	stream := fmt.Sprintf("%s/[$LATEST]%s", e.started.UTC().Format("2006/01/02"), s.w.Hex(32))
	read, write, err := os.Pipe()
	if err != nil {
		_ = listener.Close() // the error at hand says more
		return nil, err
	}
	e.out = newOutput(s, c, stream, read)
	root := filepath.Dir(path)
	e.cmd = exec.Command(path)
	e.cmd.Dir = root
	e.cmd.Env = c.variables(s.w.Region, s.o.Endpoint, listener.Addr().String(), root, stream, own)
	e.cmd.Stdout, e.cmd.Stderr = write, write
	e.cmd.SysProcAttr = detached()
	err = e.cmd.Start()
	_ = write.Close() // the child, if there is one, has its own
	if err != nil {
		_ = listener.Close() // the error at hand says more
		_ = read.Close()
		return nil, invalid("function %s: %v: is %s built for this machine? Run `make build`", c.Name, err, path)
	}
	e.api = &http.Server{Handler: e.handler(), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = e.api.Serve(listener) }() // ends with Close in watch
	go e.out.run()
	go e.watch(s)
	return e, nil
}

// watch waits for the process's end, cleans up and counts.
func (e *environment) watch(s *Service) {
	err := e.cmd.Wait()
	e.kill() // what the process left behind in its group
	e.out.drain()
	e.out.close()
	_ = e.api.Close() // its only client has ended
	e.mu.Lock()
	e.exitError = err
	e.mu.Unlock()
	s.forget(e)
	close(e.exited)
}

func (e *environment) signal(sig syscall.Signal) { _ = syscall.Kill(-e.cmd.Process.Pid, sig) } // gone already: fine

func (e *environment) kill() { e.signal(syscall.SIGKILL) }

// freeze stops the process between invocations, as Lambda does: work left in background goroutines does not go on.
func (e *environment) freeze() { e.signal(syscall.SIGSTOP) }
func (e *environment) thaw()   { e.signal(syscall.SIGCONT) }

// waitInit waits for the first poll.
func (e *environment) waitInit(ctx context.Context, patience time.Duration) (answer, bool) {
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case <-e.polled:
		return answer{}, true
	case <-e.exited:
		return e.exit("init"), false
	case <-t.C:
		e.kill()
		<-e.exited
		return failure("Sandbox.Timedout", "RequestId: %s Error: Task timed out after %.2f seconds", "init", patience.Seconds()), false
	case <-ctx.Done():
		e.kill()
		return failure("Sandbox.Failure", "the embedded cloud is closing"), false
	}
}

// exit says how the process ended.
func (e *environment) exit(request string) answer {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.initError != nil {
		return answer{payload: e.initError, functionError: "Unhandled"}
	}
	if e.exitError == nil {
		return failure("Runtime.ExitError", "RequestId: %s Error: Runtime exited without providing a reason", request)
	}
	return failure("Runtime.ExitError", "RequestId: %s Error: Runtime exited with error: %v", request, e.exitError)
}

// Why an environment cannot be used again, or not yet.
var (
	errTimeout = errors.New("timed out")
	errExit    = errors.New("exited")
	errBusy    = errors.New("still busy after its answer")
)

// run has the environment handle one invocation. The environment can be used again when the error is nil.
func (e *environment) run(ctx context.Context, inv *invocation) (answer, error) {
	t := time.NewTimer(time.Until(inv.deadline))
	defer t.Stop()
	e.thaw()
	select {
	case e.next <- inv:
	case <-e.exited:
		return e.exit(inv.id), errExit
	case <-t.C:
		return e.timeout(inv), errTimeout
	}
	select {
	case a := <-inv.done:
		return a, e.settle(100 * time.Millisecond)
	case <-e.exited:
		select {
		case a := <-inv.done: // it answered before it went
			return a, errExit
		default:
			return e.exit(inv.id), errExit
		}
	case <-t.C:
		return e.timeout(inv), errTimeout
	case <-ctx.Done():
		e.kill()
		return failure("Sandbox.Failure", "the embedded cloud is closing"), errExit
	}
}

func (e *environment) timeout(inv *invocation) answer {
	e.kill()
	<-e.exited
	return failure("Sandbox.Timedout", "RequestId: %s Error: Task timed out after %.2f seconds", inv.id, e.config.Timeout.Seconds())
}

// settle waits until the process asks for more work, which runtimes do within a millisecond or two of their answer. One
// that still has things to do does not keep its caller waiting: errBusy says that it goes on.
func (e *environment) settle(patience time.Duration) error {
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case <-e.polled:
		return nil
	case <-e.exited:
		return errExit
	case <-t.C:
		return errBusy
	}
}

func itoa(n int) string { return fmt.Sprint(n) }

// statusOf words an answer for the platform's log.
func statusOf(a answer, err error) string {
	switch {
	case errors.Is(err, errTimeout) && a.functionError != "":
		return "timeout"
	case a.functionError != "":
		if errors.Is(err, errExit) {
			return "failure"
		}
		return "error"
	}
	return "success"
}
