// Package doorbell is the doorbell function's work: signals that pods found no node come in, one at a time and by the
// thousand, and a handful of messages go to the scaling function's queue. Nothing in a signal is believed but whose it is;
// the scaling function looks for itself.
package doorbell

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/obs"
)

// Queue sends to the scaling function's queue.
type Queue interface {
	Continue(ctx context.Context, body string, delay time.Duration) error
}

// Work has what the function needs.
type Work struct {
	Ledger          *ledger.Ledger
	Queue           Queue
	Account, Region string
	NewID           func() string
	Now             func() time.Time
	Metrics         *obs.Metrics

	mu    sync.Mutex
	keys  ledger.DoorbellKeys
	read  time.Time                       // when keys was
	bells map[fleet.ClusterID]ledger.Bell // as this environment knows them
}

const (
	// patience is how long the API server is kept waiting at most. It gives up after a second, which the network and the cold
	// start of a function have a part in; it goes on without an answer, and the sweep finds what was not heard.
	patience = 600 * time.Millisecond
	// reread is how often keys are read anew for a path that does not fit them: it may have a newer key.
	reread = 30 * time.Second
	// batch is how long the first signal of a burst waits for its fellows: nodes are better chosen for many pods than for
	// the first. SQS counts delays in seconds.
	batch = time.Second
	// longest bounds the growing time between the messages of one burst. A pod that comes in the midst of it waits so
	// long, unless the scaling function, which keeps looking while pods wait, is there before.
	longest = 2 * time.Second
	// quiet ends a burst: the next signal is the first of another one.
	quiet = 10 * time.Second
)

// Warm reads the keys ahead, while the function starts and has more CPU than later. What goes wrong shows at the first ring.
func (w *Work) Warm(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, _ = w.refresh(ctx) // see above
}

// Handle serves one invocation: a request to the function's URL, or lines of the scheduler's log.
func (w *Work) Handle(ctx context.Context, body json.RawMessage) (any, error) {
	var in struct {
		invocation
		Logs *struct {
			Data []byte `json:"data"` // base64 of gzip
		} `json:"awslogs"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, fault.New(fault.Invalid, "neither a request to a function URL nor a log subscription's lines")
	}
	if in.Logs != nil {
		return nil, w.logs(ctx, in.Logs.Data)
	}
	return w.answer(ctx, in.invocation), nil
}

// ring has a cluster looked at soon, unless it will be anyway.
func (w *Work) ring(ctx context.Context, cluster fleet.ClusterID, source string) error {
	now := w.Now()
	if w.known(cluster).Covered.After(now) {
		w.Metrics.Count("RingsCovered", 1)
		return nil
	}
	bell, err := w.Ledger.Bell(ctx, cluster)
	switch {
	case err != nil: // a message too many does no harm, one too few does
		obs.Log(ctx).Warn("could not read the bell, rings all the same", "cluster", cluster.String(), "error", err)
		bell = w.known(cluster)
	case bell.Covered.After(now):
		w.know(cluster, bell)
		w.Metrics.Count("RingsCovered", 1)
		return nil
	}
	bell, delay := next(bell, now)
	if err == nil {
		err = w.Ledger.SaveBell(ctx, cluster, bell)
		if fault.Is(err, fault.Conflict) { // another environment rings at this moment, and its look will come after now
			w.know(cluster, ledger.Bell{Covered: now.Add(batch / 2)})
			w.Metrics.Count("RingsCovered", 1)
			return nil
		}
		if err != nil {
			obs.Log(ctx).Warn("could not save the bell, rings all the same", "cluster", cluster.String(), "error", err)
		}
	}
	if err := w.send(ctx, cluster, source, now, delay); err != nil {
		return err // and nothing is covered, as far as this environment is concerned
	}
	w.know(cluster, bell)
	w.Metrics.Count("RingsSent", 1)
	obs.Log(ctx).Info("rung", "cluster", cluster.String(), "source", source, "delay", delay.String())
	return nil
}

// next is the bell after a message that is sent now, and how long that message is to wait. The more messages a burst has
// had, the longer: a thousand signals in 18 seconds are ten messages.
func next(b ledger.Bell, now time.Time) (ledger.Bell, time.Duration) {
	if now.Sub(b.Covered) >= quiet {
		b.Rings = 0
	}
	delay := min(batch<<min(b.Rings, 4), longest)
	b.Covered, b.Rings = now.Add(delay), b.Rings+1
	return b, delay
}

func (w *Work) send(ctx context.Context, cluster fleet.ClusterID, source string, seen time.Time, delay time.Duration) error {
	e, err := events.New(&events.ScalingRequested{Cluster: cluster.Name, Region: cluster.Region, Source: source, SeenAt: seen.UTC()},
		w.NewID(), w.Now(), w.Account, w.Region)
	if err != nil {
		return err
	}
	body, err := e.Encode()
	if err != nil {
		return err
	}
	return w.Queue.Continue(ctx, string(body), delay)
}

func (w *Work) known(cluster fleet.ClusterID) ledger.Bell {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.bells[cluster]
}

func (w *Work) know(cluster fleet.ClusterID, b ledger.Bell) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.bells == nil {
		w.bells = map[fleet.ClusterID]ledger.Bell{}
	}
	w.bells[cluster] = b
}

// cluster is the one whose path it is. Keys that do not fit are read again, though not for everybody who tries.
func (w *Work) cluster(ctx context.Context, path string) (fleet.ClusterID, bool, error) {
	w.mu.Lock()
	keys, read := w.keys, w.read
	w.mu.Unlock()
	if id, ok := keys.Cluster(path); ok || w.Now().Sub(read) < reread {
		return id, ok, nil
	}
	keys, err := w.refresh(ctx)
	if err != nil {
		return fleet.ClusterID{}, false, err
	}
	id, ok := keys.Cluster(path)
	return id, ok, nil
}

func (w *Work) refresh(ctx context.Context) (ledger.DoorbellKeys, error) {
	keys, err := w.Ledger.DoorbellKeys(ctx)
	if err != nil {
		return keys, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.keys, w.read = keys, w.Now()
	return keys, nil
}

// invocation is what Lambda makes of a request to a function's URL, payload format 2.0, as far as it is read.
//
// https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html
type invocation struct {
	Path    string `json:"rawPath"`
	Body    string `json:"body"`
	Base64  bool   `json:"isBase64Encoded"`
	Context struct {
		HTTP struct {
			Method string `json:"method"`
		} `json:"http"`
	} `json:"requestContext"`
}

// response is what Lambda makes an answer of.
type response struct {
	StatusCode int               `json:"statusCode"`
	Headers    map[string]string `json:"headers,omitempty"`
	Body       string            `json:"body,omitempty"`
}

// answer serves an admission review. Whatever is in it, it is allowed: the bell has nothing to say about pods.
func (w *Work) answer(ctx context.Context, in invocation) response {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	id, ok, err := w.cluster(ctx, in.Path)
	switch {
	case err != nil:
		obs.Log(ctx).Error("could not read the keys", "error", err)
		return response{StatusCode: http.StatusServiceUnavailable}
	case !ok: // the path is not repeated anywhere: it may be wrong by one character
		w.Metrics.Count("RingsRefused", 1)
		return response{StatusCode: http.StatusNotFound}
	}
	if method := cmp.Or(in.Context.HTTP.Method, http.MethodPost); method != http.MethodPost {
		return response{StatusCode: http.StatusMethodNotAllowed, Headers: map[string]string{"allow": http.MethodPost}}
	}
	if err := w.ring(ctx, id, events.ScalingSourceWebhook); err != nil {
		w.Metrics.Count("RingsLost", 1)
		obs.Log(ctx).Error("could not ring: the sweep will find what was not heard", "cluster", id.String(), "error", err)
	}
	uid, err := reviewUID(in)
	if err != nil {
		return response{StatusCode: http.StatusBadRequest, Body: err.Error() + "\n"}
	}
	return response{
		StatusCode: http.StatusOK, Headers: map[string]string{"content-type": "application/json"},
		Body: fmt.Sprintf(`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":%q,"allowed":true}}`, uid),
	}
}
