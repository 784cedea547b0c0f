package lambda

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/infra/local/logs"
	"github.com/ekspedite/ekspedite/infra/local/wire"
	"github.com/ekspedite/ekspedite/infra/local/world"
)

// bin holds the test's function as <bin>/worker/bootstrap. It is compiled once.
var bin = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "ekspedite-lambda")
	if err != nil {
		return "", err
	}
	out, err := exec.Command("go", "build", "-o", filepath.Join(dir, "worker", "bootstrap"), "./testdata/bootstrap").CombinedOutput()
	if err != nil {
		return "", errors.New(string(out))
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := bin(); err == nil {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// denials are roles that may do everything but some actions.
type denials []string

func (denials) SessionFor(role, name string) (accessKeyID, secretAccessKey, sessionToken string, err error) {
	return "ASIATEST", "secret", "token", nil
}

func (d denials) AuthorizeRole(role string, n wire.Need) error {
	for _, a := range d {
		if a == n.Action {
			return wire.Errf("AccessDeniedException", "%s may not %s on %s", role, n.Action, n.Resource)
		}
	}
	return nil
}

type host struct {
	*Service
	logs   *logs.Service
	queues *fakeQueues
	log    *bytes.Buffer
}

func newHost(t *testing.T, o Options, deny ...string) *host {
	t.Helper()
	dir, err := bin()
	if err != nil {
		t.Fatal(err)
	}
	if o.BinDir == "" {
		o.BinDir = dir
	}
	o.Endpoint = "http://127.0.0.1:1"
	var buf bytes.Buffer
	w := world.New("123456789012", "us-east-1", world.Fast, 1, slog.New(slog.NewTextHandler(&syncWriter{w: &buf}, nil)))
	h := &host{logs: logs.New(w), queues: &fakeQueues{}, log: &buf}
	h.Service = New(w, denials(deny), h.logs, h.queues, o)
	t.Cleanup(func() { w.Close(); h.Close() })
	return h
}

type syncWriter struct {
	mu sync.Mutex
	w  *bytes.Buffer
}

func (s *syncWriter) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.w.Write(b)
}

func (h *host) create(t *testing.T, change func(*Config)) {
	t.Helper()
	c := Config{Name: "f", Handler: "worker", Role: "arn:aws:iam::123456789012:role/worker", Runtime: "provided.al2023",
		Timeout: 5 * time.Second, MemoryMB: 128, Environment: map[string]string{"TABLE": "t"}}
	if change != nil {
		change(&c)
	}
	if err := h.Create(c); err != nil {
		t.Fatal(err)
	}
}

type said struct {
	Served                  int
	PID                     int
	Env                     []string
	Headers                 map[string][]string
	ErrorType, ErrorMessage string
}

func (h *host) call(t *testing.T, payload string) (said, Result) {
	t.Helper()
	r, err := h.Invoke("f", []byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	var s said
	_ = json.Unmarshal(r.Payload, &s) // some answers are not objects
	return s, r
}

func TestWarmAndCold(t *testing.T) {
	t.Setenv("AWS_PROFILE", "developer")
	h := newHost(t, Options{})
	h.create(t, nil)
	first, r := h.call(t, `{}`)
	if !r.Cold || first.Served != 1 {
		t.Errorf("first: cold %v, served %d", r.Cold, first.Served)
	}
	second, r := h.call(t, `{}`)
	if r.Cold || second.Served != 2 || second.PID != first.PID {
		t.Errorf("second: cold %v, %+v", r.Cold, second)
	}
	env := strings.Join(first.Env, "\n")
	for _, want := range []string{"TABLE=t", "AWS_REGION=us-east-1", "AWS_LAMBDA_FUNCTION_NAME=f", "_HANDLER=worker", "AWS_SESSION_TOKEN=token", "TZ=:UTC"} {
		if !strings.Contains(env, want) {
			t.Errorf("%s is not in the environment", want)
		}
	}
	if strings.Contains(env, "AWS_PROFILE") || strings.Contains(env, "HOME=") {
		t.Errorf("the developer's environment leaks: %s", env)
	}
	for _, name := range []string{"Lambda-Runtime-Deadline-Ms", "Lambda-Runtime-Trace-Id"} {
		if len(second.Headers[name]) != 1 {
			t.Errorf("header %s: %v", name, second.Headers[name])
		}
	}
	if arn := second.Headers["Lambda-Runtime-Invoked-Function-Arn"]; len(arn) != 1 || arn[0] != "arn:aws:lambda:us-east-1:123456789012:function:f" {
		t.Errorf("function ARN %v", arn)
	}
	st, _ := h.StatsOf("f")
	if st.ColdStarts != 1 || st.Invocations != 2 || len(st.Inits) != 1 || len(st.Durations) != 2 || st.Environments != 1 {
		t.Errorf("%+v", st)
	}
}

func TestTimeoutKills(t *testing.T) {
	h := newHost(t, Options{})
	h.create(t, func(c *Config) { c.Timeout = time.Second })
	first, _ := h.call(t, `{}`)
	s, r := h.call(t, `{"do":"sleep","millis":60000}`)
	if r.FunctionError != "Unhandled" || s.ErrorType != "Sandbox.Timedout" || !strings.HasSuffix(s.ErrorMessage, "Task timed out after 1.00 seconds") {
		t.Errorf("%s %+v", r.FunctionError, s)
	}
	if err := syscall.Kill(first.PID, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("the process lives on: %v", err)
	}
	if s, r := h.call(t, `{}`); !r.Cold || s.Served != 1 {
		t.Errorf("after a timeout: cold %v, %+v", r.Cold, s)
	}
	if st, _ := h.StatsOf("f"); st.Timeouts != 1 || st.Errors != 1 {
		t.Errorf("%+v", st)
	}
}

func TestErrorsAndCrashes(t *testing.T) {
	h := newHost(t, Options{})
	h.create(t, nil)
	s, r := h.call(t, `{"do":"error","text":"x"}`)
	if r.FunctionError == "" || s.ErrorMessage != "as told: x" {
		t.Errorf("%+v %+v", r, s)
	}
	if s, r = h.call(t, `{}`); r.Cold || s.Served != 2 {
		t.Errorf("an error must not end the environment: %+v", s)
	}
	s, r = h.call(t, `{"do":"exit"}`)
	if r.FunctionError == "" || s.ErrorType != "Runtime.ExitError" || !strings.Contains(s.ErrorMessage, "exit status 4") {
		t.Errorf("%+v", s)
	}
	if _, r = h.call(t, `{}`); !r.Cold {
		t.Error("warm after a crash")
	}
	s, _ = h.call(t, `{"do":"big","millis":7000000}`)
	if s.ErrorType != "Function.ResponseSizeTooLarge" {
		t.Errorf("%+v", s)
	}
	if st, _ := h.StatsOf("f"); st.Crashes != 1 {
		t.Errorf("%+v", st)
	}
}

func TestFailingInit(t *testing.T) {
	for init, want := range map[string]string{"exit": "Runtime.ExitError", "error": "Init.Bad"} {
		h := newHost(t, Options{})
		h.create(t, func(c *Config) { c.Environment["INIT"] = init })
		s, r := h.call(t, `{}`)
		if r.FunctionError == "" || s.ErrorType != want {
			t.Errorf("INIT=%s: %s", init, r.Payload)
		}
		if st, _ := h.StatsOf("f"); st.ColdStarts != 2 || st.InitFailures != 1 || st.Environments != 0 {
			t.Errorf("%+v", st)
		}
	}
}

func TestMissingBinary(t *testing.T) {
	h := newHost(t, Options{})
	err := h.Create(Config{Name: "g", Handler: "nothing", Role: "arn:aws:iam::1:role/r", Runtime: "provided.al2023", Timeout: time.Second, MemoryMB: 128})
	if err == nil || !strings.Contains(err.Error(), "make build") {
		t.Errorf("%v", err)
	}
}

func TestConcurrency(t *testing.T) {
	h := newHost(t, Options{Concurrency: 4})
	two := 2
	h.create(t, func(c *Config) { c.Reserved = &two })
	h.create(t, func(c *Config) { c.Name = "other" })
	run := func(name string, n int) (throttled int, reason any) {
		var mu sync.Mutex
		var wg sync.WaitGroup
		for range n {
			wg.Go(func() {
				_, err := h.Invoke(name, []byte(`{"do":"sleep","millis":700}`))
				mu.Lock()
				defer mu.Unlock()
				if IsThrottle(err) {
					throttled++
					var e *wire.Error
					errors.As(err, &e)
					reason = e.Fields["Reason"]
				} else if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		return throttled, reason
	}
	if n, reason := run("f", 5); n != 3 || reason != "ReservedFunctionConcurrentInvocationLimitExceeded" {
		t.Errorf("reserved: %d throttled, %v", n, reason)
	}
	if n, reason := run("other", 3); n != 1 || reason != "ConcurrentInvocationLimitExceeded" {
		t.Errorf("account: %d throttled, %v", n, reason)
	}
	if st, _ := h.StatsOf("f"); st.MaxConcurrency != 2 || st.Environments != 2 || st.Throttles != 3 || st.Busy != 0 {
		t.Errorf("%+v", st)
	}
}

func TestIdleEnvironmentsAreFrozenAndReaped(t *testing.T) {
	h := newHost(t, Options{IdleFor: 2 * time.Second})
	h.create(t, nil)
	s, _ := h.call(t, `{}`)
	if _, err := os.Stat("/proc/self/stat"); err == nil {
		until(t, "the idle environment is stopped", func() bool {
			state, err := os.ReadFile("/proc/" + itoa(s.PID) + "/stat")
			return err == nil && strings.Contains(string(state), ") T ")
		})
	}
	until(t, "the idle environment is gone", func() bool { st, _ := h.StatsOf("f"); return st.Environments == 0 })
}

func TestLogsAndMetrics(t *testing.T) {
	h := newHost(t, Options{})
	h.create(t, func(c *Config) { c.LogJSON, c.LogGroup = true, "/ours" })
	emf := `{"_aws":{"Timestamp":1700000000000,"CloudWatchMetrics":[{"Namespace":"N","Dimensions":[["D"]],"Metrics":[{"Name":"M","Unit":"Count"}]}]},"D":"d","M":3}`
	text, _ := json.Marshal(emf)
	_, r := h.call(t, `{"do":"print","text":`+string(text)+`}`)
	lines := h.logs.Lines("/ours")
	if len(lines) != 3 || !strings.Contains(lines[0], `"platform.start"`) || lines[1] != emf || !strings.Contains(lines[2], `"platform.report"`) || !strings.Contains(lines[2], `"initDurationMs"`) {
		t.Errorf("lines:\n%s", strings.Join(lines, "\n"))
	}
	if sum, n := h.logs.Metrics().Sum("N", "M", map[string]string{"D": "d"}); sum != 3 || n != 1 {
		t.Errorf("metric: %v of %d", sum, n)
	}
	if !strings.Contains(string(r.LogTail), `"_aws"`) {
		t.Errorf("tail: %s", r.LogTail)
	}
	broken, _ := json.Marshal(strings.Replace(emf, `"M":3`, `"M":"three"`, 1))
	h.call(t, `{"do":"print","text":`+string(broken)+`}`)
	if n, problems := h.logs.Metrics().Malformed(); n != 1 || !strings.Contains(problems[0], "metric M") {
		t.Errorf("malformed: %d %v", n, problems)
	}
}

func TestLogsNeedPermission(t *testing.T) {
	h := newHost(t, Options{}, "logs:PutLogEvents")
	h.create(t, nil)
	h.call(t, `{"do":"print","text":"hello"}`)
	if lines := h.logs.Lines("/aws/lambda/f"); len(lines) != 0 {
		t.Errorf("lines: %v", lines)
	}
	if !strings.Contains(h.log.String(), "the log of a function is lost") {
		t.Errorf("no warning: %s", h.log)
	}
}

func TestAsyncRetriesThenDestination(t *testing.T) {
	h := newHost(t, Options{RetryDelays: []time.Duration{10 * time.Millisecond}})
	h.create(t, func(c *Config) { c.DeadLetterARN = "arn:aws:sqs:us-east-1:123456789012:dlq" })
	if _, err := h.provideInvokeConfig("c", json.RawMessage(`{"FunctionName":"f","Qualifier":"$LATEST","DestinationConfig":{"OnFailure":{"Destination":"arn:aws:sqs:us-east-1:123456789012:failed"}}}`)); err != nil {
		t.Fatal(err)
	}
	id, err := h.InvokeAsync("f", []byte(`{"do":"error","text":"always"}`))
	if err != nil {
		t.Fatal(err)
	}
	until(t, "both destinations have the event", func() bool { return len(h.queues.sentTo()) == 2 })
	if st, _ := h.StatsOf("f"); st.Invocations != 3 {
		t.Errorf("%d invocations, want 3", st.Invocations)
	}
	sent := h.queues.sentTo()
	var rec struct {
		RequestContext struct {
			RequestID, Condition   string
			ApproximateInvokeCount int
		}
	}
	if err := json.Unmarshal([]byte(sent["arn:aws:sqs:us-east-1:123456789012:failed"]), &rec); err != nil {
		t.Fatal(err)
	}
	if rec.RequestContext.RequestID != id || rec.RequestContext.Condition != "RetriesExhausted" || rec.RequestContext.ApproximateInvokeCount != 3 {
		t.Errorf("%+v", rec)
	}
	if got := sent["arn:aws:sqs:us-east-1:123456789012:dlq"]; got != `{"do":"error","text":"always"}` {
		t.Errorf("dlq: %s", got)
	}
}

func TestPermissionOfServices(t *testing.T) {
	h := newHost(t, Options{})
	h.create(t, nil)
	rule := "arn:aws:events:us-east-1:123456789012:rule/r"
	if err := h.InvokeFor("events.amazonaws.com", rule, "f", []byte(`{}`)); err == nil {
		t.Error("invoked without permission")
	}
	if _, err := h.providePermission("p", json.RawMessage(`{"Action":"lambda:InvokeFunction","FunctionName":"f","Principal":"events.amazonaws.com","SourceArn":"`+rule+`"}`)); err != nil {
		t.Fatal(err)
	}
	if err := h.InvokeFor("events.amazonaws.com", rule, "f", []byte(`{}`)); err != nil {
		t.Error(err)
	}
	if err := h.InvokeFor("events.amazonaws.com", rule+"2", "f", []byte(`{}`)); err == nil {
		t.Error("invoked by another rule")
	}
	until(t, "the function ran", func() bool { st, _ := h.StatsOf("f"); return st.Invocations == 1 })
}

func TestCPUTimeIsMeasured(t *testing.T) {
	h := newHost(t, Options{})
	h.create(t, nil)
	h.call(t, `{"do":"burn","millis":60}`)
	st, _ := h.StatsOf("f")
	if _, err := os.Stat("/proc/self/stat"); err == nil && (st.CPU[0] <= 0 || st.CPUTotal < st.CPU[0]) {
		t.Errorf("CPU %v of %v", st.CPU, st.CPUTotal)
	}
}

func TestUpdateMakesColdStart(t *testing.T) {
	h := newHost(t, Options{})
	h.create(t, nil)
	h.call(t, `{}`)
	if _, err := h.updateConfiguration(context.Background(), nil, &updateIn{FunctionName: "f", Environment: &variables{map[string]string{"NEW": "1"}}}); err != nil {
		t.Fatal(err)
	}
	s, r := h.call(t, `{}`)
	if !r.Cold || !strings.Contains(strings.Join(s.Env, "\n"), "NEW=1") {
		t.Errorf("cold %v, env %v", r.Cold, s.Env)
	}
	if _, err := h.updateConfiguration(context.Background(), nil, &updateIn{FunctionName: "f", Environment: &variables{map[string]string{"AWS_REGION": "x"}}}); err == nil {
		t.Error("a reserved variable was accepted")
	}
}

func TestCloseEndsAll(t *testing.T) {
	h := newHost(t, Options{})
	h.create(t, nil)
	s, _ := h.call(t, `{}`)
	h.w.Close()
	h.Close()
	if err := syscall.Kill(s.PID, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("the process lives on: %v", err)
	}
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
