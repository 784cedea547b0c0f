package doorbell_test

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
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/obs"
	"github.com/ekspedite/ekspedite/shared/work/doorbell"
)

var blue = fleet.ClusterID{Region: "us-east-1", Name: "blue"}

// message is one on the scaling function's queue.
type message struct {
	events.ScalingRequested
	due time.Time
}

// queue keeps what is sent, or refuses it.
type queue struct {
	mu       sync.Mutex
	messages []message
	err      error
}

func (q *queue) Continue(_ context.Context, body string, delay time.Duration) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err != nil {
		return q.err
	}
	e, err := events.Decode([]byte(body))
	if err != nil {
		return err
	}
	delay = (delay + time.Second - 1) / time.Second * time.Second
	q.messages = append(q.messages, message{*e.Payload.(*events.ScalingRequested), time.Now().Add(delay)})
	return nil
}

// rig is a number of environments of the function over one ledger and one queue.
type rig struct {
	*testing.T
	ledger *ledger.Ledger
	store  *slow
	queue  *queue
	envs   []*doorbell.Work
	log    bytes.Buffer
	path   string
}

// slow is a ledger's store in which others get a word in between a read and a write, or that answers nothing.
type slow struct {
	ledger.Memory
	err error
}

func (s *slow) Get(ctx context.Context, key ledger.Key) (ledger.Document, error) {
	d, err := s.Memory.Get(ctx, key)
	time.Sleep(5 * time.Millisecond)
	if s.err != nil {
		return ledger.Document{}, s.err
	}
	return d, err
}

func newRig(t *testing.T, envs int) *rig {
	r := &rig{T: t, store: &slow{}, queue: &queue{}}
	r.ledger = &ledger.Ledger{Store: r.store, Now: time.Now}
	keys, err := r.ledger.FreshDoorbellKeys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r.path = keys.Path(blue)
	for range envs {
		r.envs = append(r.envs, &doorbell.Work{Ledger: r.ledger, Queue: r.queue, Account: "123456789012", Region: "us-east-1",
			NewID: func() string { return "id" }, Now: time.Now})
	}
	return r
}

// answer is what the API server gets.
type answer struct {
	StatusCode int
	Body       string
}

func (r *rig) post(env int, path, body string) answer {
	return r.call(env, map[string]any{"version": "2.0", "rawPath": path, "body": body,
		"requestContext": map[string]any{"http": map[string]any{"method": "POST"}}})
}

func (r *rig) call(env int, event any) (a answer) {
	r.Helper()
	raw, err := json.Marshal(event)
	if err != nil {
		r.Fatal(err)
	}
	ctx := obs.With(r.Context(), slog.New(slog.NewTextHandler(&r.log, nil)))
	got, err := r.envs[env].Handle(ctx, raw)
	if err != nil {
		r.Fatal(err)
	}
	if raw, err = json.Marshal(got); err != nil {
		r.Fatal(err)
	}
	if err := json.Unmarshal(raw, &a); err != nil {
		r.Fatal(err)
	}
	return a
}

const review = `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"94b2accc-8407-4faf-95a0-fc16b6731480","object":{}}}`

func TestARingIsAnsweredAndPassedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1)
		seen := time.Now()
		a := r.post(0, r.path, review)
		want := `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":"94b2accc-8407-4faf-95a0-fc16b6731480","allowed":true}}`
		if a.StatusCode != 200 || a.Body != want {
			t.Errorf("%+v", a)
		}
		if len(r.queue.messages) != 1 {
			t.Fatalf("%+v", r.queue.messages)
		}
		m := r.queue.messages[0]
		if m.Cluster != "blue" || m.Region != "us-east-1" || m.Source != "webhook" || m.SeenAt.Sub(seen) > 100*time.Millisecond || m.due.Sub(seen) > 1100*time.Millisecond {
			t.Errorf("%+v, seen at %s", m, seen)
		}
		if strings.Contains(r.log.String(), r.path[len(r.path)-20:]) {
			t.Errorf("the path is in the log: %s", &r.log)
		}
	})
}

// Every signal is followed by a look that begins after it and not much later, and there are few of them.
func TestAThousandSignalsAreAHandfulOfMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const signals, envs = 1000, 12
		r := newRig(t, envs)
		var mu sync.Mutex
		var at []time.Time
		var wg sync.WaitGroup
		for i := range signals { // as the scheduler's client writes them: 100 at once, then 50 a second
			if i >= 100 {
				time.Sleep(20 * time.Millisecond)
			}
			wg.Go(func() {
				now := time.Now()
				if a := r.post(i%envs, r.path, review); a.StatusCode != 200 {
					t.Errorf("%+v", a)
				}
				if took := time.Since(now); took > 50*time.Millisecond {
					t.Errorf("answered after %s", took)
				}
				mu.Lock()
				at = append(at, now)
				mu.Unlock()
			})
		}
		wg.Wait()
		t.Logf("%d signals in %s at %d environments: %d messages", signals, at[len(at)-1].Sub(at[0]), envs, len(r.queue.messages))
		if n := len(r.queue.messages); n > 12 {
			t.Errorf("%d messages", n)
		}
		for _, signal := range at {
			var next time.Duration = -1
			for _, m := range r.queue.messages {
				if d := m.due.Sub(signal); d >= 0 && (next < 0 || d < next) {
					next = d
				}
			}
			if next < 0 || next > 3*time.Second {
				t.Fatalf("the signal at %s is followed by a look after %s", signal.Sub(at[0]), next)
			}
		}
	})
}

func TestBurstsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1)
		for i := range 4 {
			r.post(0, r.path, review)
			if m := r.queue.messages; len(m) != i+1 || m[i].due.Sub(m[i].SeenAt) > 1100*time.Millisecond {
				t.Fatalf("ring %d after a quiet time: %+v", i, m)
			}
			time.Sleep(time.Minute)
		}
	})
}

func TestPathsCannotBeGuessed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1)
		other := ledger.DoorbellKeys{Current: []byte("another installation's key")}
		end := r.path[len(r.path)-2:]
		for _, path := range []string{
			"", "/", "/ring", "/ring/", "/ring///", "/ring/us-east-1/blue", "/ring/us-east-1/blue/", "/x" + r.path, r.path + "/", r.path + "A", r.path[:len(r.path)-1],
			strings.TrimSuffix(r.path, end) + "__", strings.Replace(r.path, "blue", "green", 1), strings.Replace(r.path, "us-east-1", "us-west-2", 1),
			other.Path(blue), ledger.DoorbellKeys{}.Path(blue), "/ring/us-east-1/blue/" + strings.Repeat("%", 43),
		} {
			if a := r.post(0, path, review); a.StatusCode != 404 || a.Body != "" {
				t.Errorf("%q: %+v", path, a)
			}
		}
		if len(r.queue.messages) > 0 {
			t.Errorf("%+v", r.queue.messages)
		}
		a := r.call(0, map[string]any{"rawPath": r.path, "requestContext": map[string]any{"http": map[string]any{"method": "GET"}}})
		if a.StatusCode != 405 || len(r.queue.messages) > 0 {
			t.Errorf("a GET: %+v", a)
		}
	})
}

func TestKeysAreRotated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1)
		if again, err := r.ledger.FreshDoorbellKeys(t.Context()); err != nil || again.Path(blue) != r.path {
			t.Fatalf("another key at once: %v", err)
		}
		for i, want := range []int{200, 404} { // a key is good for as long again after there is a newer one
			r.post(0, r.path, review)
			time.Sleep(ledger.KeyAge)
			keys, err := r.ledger.FreshDoorbellKeys(t.Context())
			if err != nil || keys.Path(blue) == r.path {
				t.Fatal("the key stays", err)
			}
			r.envs[0].Warm(t.Context())
			if a := r.post(0, r.path, review); a.StatusCode != want {
				t.Errorf("after %d rotations: %+v", i+1, a)
			}
			time.Sleep(time.Minute)
			if a := r.post(0, keys.Path(blue), review); a.StatusCode != 200 {
				t.Errorf("the new path: %+v", a)
			}
		}
	})
}

// An environment that has read the keys before there were newer ones reads them again, but not for everybody.
func TestNewKeysAreFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1)
		r.post(0, r.path, review)
		time.Sleep(ledger.KeyAge)
		keys, err := r.ledger.FreshDoorbellKeys(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if a := r.post(0, keys.Path(blue), review); a.StatusCode != 200 {
			t.Errorf("%+v", a)
		}
		r.store.err = errors.New("must not be asked")
		if a := r.post(0, "/ring/us-east-1/blue/x", review); a.StatusCode != 404 {
			t.Errorf("a second wrong path had the keys read again: %+v", a)
		}
	})
}

func TestHostileBodies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1)
		for name, body := range map[string]string{
			"nothing": "", "no JSON": "hello", "no review": "{}", "a list": "[]", "no uid": `{"request":{}}`, "an empty uid": `{"request":{"uid":""}}`,
			"a number": `{"request":{"uid":7}}`, "a long uid": `{"request":{"uid":"` + strings.Repeat("a", 100) + `"}}`,
			"a uid that is JSON": `{"request":{"uid":"\",\"allowed\":false,\"x\":\""}}`, "large": `{"x":"` + strings.Repeat("x", 5<<20) + `"}`,
			"deep": strings.Repeat("[", 100_000),
		} {
			if a := r.post(0, r.path, body); a.StatusCode != 400 || strings.Contains(a.Body, "false") {
				t.Errorf("%s: %+v", name, a)
			}
		}
		a := r.call(0, map[string]any{"rawPath": r.path, "body": "%%%", "isBase64Encoded": true})
		if a.StatusCode != 400 {
			t.Errorf("%+v", a)
		}
		if _, err := r.envs[0].Handle(t.Context(), json.RawMessage(`[]`)); !fault.Is(err, fault.Invalid) {
			t.Errorf("not an invocation at all: %v", err)
		}
		// A body says nothing about whose signal it is, or how many.
		forged := strings.Replace(review, `"object":{}`, `"object":{"metadata":{"name":"x"}},"cluster":"green"`, 1)
		if a := r.post(0, r.path, forged); a.StatusCode != 200 {
			t.Errorf("%+v", a)
		}
		for _, m := range r.queue.messages {
			if m.Cluster != "blue" {
				t.Errorf("%+v", m)
			}
		}
	})
}

// The API server gets its answer whatever happens behind, and the next signal tries again.
func TestTroubleDoesNotReachTheAPIServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, 1)
		r.envs[0].Warm(t.Context())
		r.queue.err = fault.New(fault.Throttled, "slow down")
		if a := r.post(0, r.path, review); a.StatusCode != 200 {
			t.Errorf("the queue is out of reach: %+v", a)
		}
		r.queue.err, r.store.err = nil, errors.New("gone")
		for range 3 {
			if a := r.post(0, r.path, review); a.StatusCode != 200 {
				t.Errorf("the ledger is out of reach: %+v", a)
			}
		}
		if n := len(r.queue.messages); n != 1 {
			t.Errorf("%d messages without a ledger, want one from this environment", n)
		}
		fresh := &doorbell.Work{Ledger: r.ledger, Queue: r.queue, Now: time.Now, NewID: func() string { return "id" }}
		r.envs = append(r.envs, fresh)
		if a := r.post(1, r.path, review); a.StatusCode != 503 {
			t.Errorf("without keys: %+v", a)
		}
	})
}

func BenchmarkCoveredRing(b *testing.B) {
	l := &ledger.Ledger{Store: &ledger.Memory{}, Now: time.Now}
	keys, err := l.FreshDoorbellKeys(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	w := &doorbell.Work{Ledger: l, Queue: &queue{}, Now: time.Now, NewID: func() string { return "id" }}
	raw := []byte(fmt.Sprintf(`{"rawPath":%q,"body":%q}`, keys.Path(blue), review))
	for b.Loop() {
		if _, err := w.Handle(b.Context(), raw); err != nil {
			b.Fatal(err)
		}
	}
}
