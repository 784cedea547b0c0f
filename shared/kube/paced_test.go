package kube

import (
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/pace"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// hurried is a client that believes little of a server.
func hurried(t *testing.T, patience time.Duration, answer http.HandlerFunc) *Client {
	t.Helper()
	ts := httptest.NewUnstartedServer(answer)
	ts.EnableHTTP2 = true // as API servers do
	ts.StartTLS()
	t.Cleanup(func() { ts.CloseClientConnections(); ts.Close() })
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ts.Certificate().Raw})
	c, err := NewPaced(fleet.Cluster{Name: "demo", Endpoint: ts.URL, CAData: ca}, func(context.Context) (string, error) { return "t", nil },
		pace.New(pace.Patience{First: patience, Most: time.Second}))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Priority and fairness's 429 is plain text with a header. It slows all evictions down; a budget's, which is a Status, slows
// nothing.
func TestR17_OnlyTheServersOwn429SlowsDown(t *testing.T) {
	for name, tc := range map[string]struct {
		answer http.HandlerFunc
		class  fault.Class
		slower bool
	}{
		"priority and fairness": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "1")
			http.Error(w, "Too many requests, please try again later.", http.StatusTooManyRequests)
		}, fault.Throttled, true},
		"a PodDisruptionBudget": {answer(http.StatusTooManyRequests, metav1.Status{
			TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure", Code: 429, Reason: metav1.StatusReasonTooManyRequests,
			Details: &metav1.StatusDetails{Causes: []metav1.StatusCause{{Type: policyv1.DisruptionBudgetCause, Message: "no"}}},
		}), fault.Blocked, false},
	} {
		t.Run(name, func(t *testing.T) {
			var n atomic.Int64
			c := hurried(t, time.Second, func(w http.ResponseWriter, r *http.Request) {
				if n.Add(1) == 1 {
					tc.answer(w, r)
					return
				}
				success(w, r)
			})
			e := plan.EvictPod{Namespace: "default", Name: "p", UID: "u"}
			if err := c.Evict(t.Context(), e); !fault.Is(err, tc.class) {
				t.Fatalf("%v, want %s", err, tc.class)
			}
			began := time.Now()
			if err := c.Evict(t.Context(), e); err != nil {
				t.Fatal(err)
			}
			if waited := time.Since(began); waited > 900*time.Millisecond != tc.slower {
				t.Errorf("the next eviction came after %s", waited)
			}
		})
	}
}

// A request's time begins when it is sent: one that waits for its turn is not given up for it, nor taken for a server's silence.
func TestWaitingForATurnIsNoSilence(t *testing.T) {
	var busy, peak atomic.Int64
	c := hurried(t, 500*time.Millisecond, func(w http.ResponseWriter, r *http.Request) {
		now := busy.Add(1)
		defer busy.Add(-1)
		for {
			p := peak.Load()
			if now <= p || peak.CompareAndSwap(p, now) {
				break
			}
		}
		_, _ = io.Copy(io.Discard, r.Body)
		time.Sleep(100 * time.Millisecond)
		success(w, r)
	})
	var wg sync.WaitGroup
	var failed atomic.Int64
	for i := range 400 { // ten rounds of 100 ms, with a patience of 500
		wg.Go(func() {
			if err := c.Evict(t.Context(), plan.EvictPod{Namespace: "default", Name: fmt.Sprint(i), UID: "u"}); err != nil {
				failed.Add(1)
			}
		})
	}
	wg.Wait()
	if failed.Load() > 40 || peak.Load() > 60 { // a few may be late where the machine is busy
		t.Errorf("%d of 400 failed; %d at once", failed.Load(), peak.Load())
	}
}

func TestASilentServerIsLeftAlone(t *testing.T) {
	hang := make(chan struct{})
	var asked atomic.Int64
	c := hurried(t, 100*time.Millisecond, func(_ http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		select {
		case <-hang:
		case <-r.Context().Done():
		}
	})
	defer close(hang)
	began := time.Now()
	for range 3 {
		if _, err := c.Node(t.Context(), "n"); !fault.Is(err, fault.Transient) {
			t.Fatal(err)
		}
	}
	before := asked.Load()
	for range 100 {
		_, err := c.Node(t.Context(), "n")
		if after := fault.RetryAfter(err); !fault.Is(err, fault.Transient) || after < time.Second {
			t.Fatalf("%v, to be tried again after %s", err, after)
		}
	}
	if took := time.Since(began); took > 1500*time.Millisecond || asked.Load() != before {
		t.Errorf("103 requests to a server that hangs took %s, %d reached it", took, asked.Load())
	}
}
