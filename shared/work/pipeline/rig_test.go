package pipeline

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/obs"
)

const blue = "apiVersion: eksctl.io/v1alpha5\nkind: ClusterConfig\nmetadata: {name: blue, region: us-east-1}\n"

var start = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// world is CodePipeline, the bus, the files and the ledger.
type world struct {
	t     *testing.T
	now   time.Time
	work  *Work
	log   bytes.Buffer
	files map[string]string
	fails map[string]error // by what is called
	store *store
	bus   []events.Event
	jobs  int
	// The approval: how it stands, and how it was answered.
	execution, status, approval string
	answer, why                 string
	// The call before or after which the invocation is killed; 0 is none.
	mu          sync.Mutex // guards what the embedded cloud's jobs use side by side: calls, and the store's keys
	kill, calls int
	killAfter   bool
	dies        func() bool // whether this call is an invocation's last, too; nil is never
	// What was answered last.
	token, kind, message, summary string
	variables                     map[string]string
	answers                       int
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, now: start, files: map[string]string{"specs/blue.yaml?": blue}, fails: map[string]error{}}
	w.store = &store{world: w}
	clock := func() time.Time { return w.now }
	w.work = &Work{
		Jobs: w, Approvals: w, Files: w, Bus: w, Ledger: &ledger.Ledger{Store: w.store, Now: clock}, Region: "us-east-1",
		NewID: func() string { return "id" }, Now: clock,
	}
	return w
}

// call counts a call, and kills the invocation at the one that is its last.
func (w *world) call() func() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls++
	if w.calls == w.kill && !w.killAfter || w.dies != nil && w.dies() {
		panic(dead{})
	}
	n := w.calls
	return func() {
		if n == w.kill && w.killAfter {
			panic(dead{})
		}
	}
}

// quiet does something that is none of the function's.
func (w *world) quiet(do func()) {
	calls, kill := w.calls, w.kill
	w.kill = 0
	do()
	w.calls, w.kill = calls, kill
}

func (w *world) Continue(_ context.Context, _, token, summary string) error {
	defer w.call()()
	w.token, w.summary = token, summary
	w.answers++
	return w.fails["continue"]
}

func (w *world) Succeed(_ context.Context, _ string, variables map[string]string, summary string) error {
	defer w.call()()
	w.token, w.variables, w.summary = "", variables, summary
	w.answers++
	return w.fails["succeed"]
}

func (w *world) Fail(_ context.Context, _, kind, message string) error {
	defer w.call()()
	w.token, w.kind, w.message = "", kind, message
	w.answers++
	return w.fails["fail"]
}

func (w *world) State(_ context.Context, pipeline, stage, action string) (execution, status, token string, err error) {
	defer w.call()()
	if err := w.fails["state"]; err != nil {
		return "", "", "", err
	}
	if pipeline+"/"+stage+"/"+action != "fleet/Canary/Soaked" {
		return "", "", "", fault.New(fault.NotFound, "no approval %s/%s/%s", pipeline, stage, action)
	}
	return w.execution, w.status, w.approval, nil
}

func (w *world) Answer(_ context.Context, _, _, _, token string, approve bool, summary string) error {
	defer w.call()()
	if err := w.fails["answer"]; err != nil {
		return err
	}
	if token != w.approval || w.status != "InProgress" {
		return fault.New(fault.Conflict, "not this token")
	}
	w.status, w.answer, w.why = "Failed", "Rejected", summary
	if approve {
		w.status, w.answer = "Succeeded", "Approved"
	}
	return nil
}

func (w *world) Publish(_ context.Context, list ...events.Event) error {
	defer w.call()()
	if err := w.fails["publish"]; err != nil {
		return err
	}
	w.bus = append(w.bus, list...)
	return nil
}

func (w *world) Read(_ context.Context, bucket, key, version string) ([]byte, error) {
	if err := w.fails["read"]; err != nil {
		return nil, err
	}
	text, ok := w.files[bucket+"/"+key+"?"+version]
	if !ok {
		return nil, fault.New(fault.NotFound, "no such key")
	}
	return []byte(text), nil
}

// store is a ledger's that remembers its keys, and fails when it is to.
type store struct {
	ledger.Memory
	world *world
	keys  map[ledger.Key]bool
}

func (s *store) Get(ctx context.Context, key ledger.Key) (ledger.Document, error) {
	defer s.world.call()()
	return s.Memory.Get(ctx, key)
}

func (s *store) Query(ctx context.Context, partition, prefix string) ([]ledger.Document, error) {
	defer s.world.call()()
	return s.Memory.Query(ctx, partition, prefix)
}

func (s *store) Put(ctx context.Context, d ledger.Document) error {
	defer s.world.call()()
	if err := s.world.fails["put"]; err != nil {
		return err
	}
	s.world.mu.Lock()
	if s.keys == nil {
		s.keys = map[ledger.Key]bool{}
	}
	s.keys[d.Key] = true
	s.world.mu.Unlock()
	return s.Memory.Put(ctx, d)
}

func (s *store) all() (list []ledger.Document) {
	for k := range s.keys {
		d, err := s.Memory.Get(context.Background(), k)
		if err == nil {
			list = append(list, d)
		}
	}
	return list
}

// job invokes the function with the action's next job, with credentials that nobody may see.
func (w *world) job(parameters string) error {
	w.jobs++
	data := map[string]any{
		"actionConfiguration": map[string]any{"configuration": map[string]string{"FunctionName": "f", "UserParameters": parameters}},
		"artifactCredentials": map[string]string{"accessKeyId": "ASIASECRET", "secretAccessKey": "SECRET", "sessionToken": "SECRETTOKEN"},
	}
	if w.token != "" {
		data["continuationToken"] = w.token
	}
	body, err := json.Marshal(map[string]any{"CodePipeline.job": map[string]any{"id": fmt.Sprintf("job-%d", w.jobs), "accountId": "123456789012", "data": data}})
	if err != nil {
		w.t.Fatal(err)
	}
	e, err := events.Decode(body)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx := obs.With(w.t.Context(), slog.New(slog.NewJSONHandler(&w.log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	err = w.work.Handle(ctx, e)
	if strings.Contains(w.log.String(), "SECRET") {
		w.t.Errorf("the log shows credentials: %s", w.log.String())
	}
	for _, d := range w.store.all() {
		if strings.Contains(string(d.Data), "SECRET") {
			w.t.Errorf("the ledger keeps credentials: %s", d.Data)
		}
	}
	return err
}

// must is job without an error.
func (w *world) must(parameters string) {
	w.t.Helper()
	if err := w.job(parameters); err != nil {
		w.t.Fatal(err)
	}
}

// ends records the end of a run, as the cluster function does.
func (w *world) ends(cluster string, r ledger.Run) {
	id := fleet.ParseClusterID(cluster)
	r.RunID, r.Function, r.Subject = ledger.RunID("job-1", id), "cluster", events.Subject{Cluster: id.Name, Region: id.Region}
	r.StartedAt, r.FinishedAt = w.now, w.now
	if err := w.work.Ledger.SaveRun(w.t.Context(), r); err != nil {
		w.t.Fatal(err)
	}
}
