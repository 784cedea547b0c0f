package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	mrand "math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/scene"
	"github.com/ekspedite/ekspedite/infra/local"
)

// customer asks a Service again and again as somebody behind kube-proxy does: a request goes to one of the ready endpoints that
// the API server has told last, and fails if there is none, or if its pod is gone.
type customer struct {
	mu               sync.Mutex
	requests, failed int
	why              []string
}

func (c *customer) run(ctx context.Context, of *endpoints, v *scene.View) {
	for ctx.Err() == nil {
		why := "no ready endpoint"
		if ready := of.ready(); len(ready) > 0 {
			uid := ready[mrand.IntN(len(ready))]
			if why = "pod " + uid + " is gone"; v.HasPod(uid) {
				why = ""
			}
		}
		c.mu.Lock()
		if c.requests++; why != "" {
			c.failed, c.why = c.failed+1, append(c.why, of.service+" at "+time.Now().Format(time.TimeOnly)+": "+why)
		}
		c.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-time.After(40 * time.Millisecond):
		}
	}
}

// onlooker talks to the API server as an administrator does with kubectl.
type onlooker struct {
	base string
	http *http.Client
}

func newOnlooker(t *testing.T, c *local.Cloud, cluster string) *onlooker {
	t.Helper()
	for _, info := range c.EKS.Clusters() {
		if info.Name != cluster {
			continue
		}
		cfg, err := clientcmd.BuildConfigFromFlags("", info.AdminKubeconfig)
		if err != nil {
			t.Fatal(err)
		}
		client, err := rest.HTTPClientFor(cfg)
		if err != nil {
			t.Fatal(err)
		}
		return &onlooker{cfg.Host, client}
	}
	t.Fatalf("no cluster %s", cluster)
	return nil
}

func (o *onlooker) open(ctx context.Context, method, path, body string) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, method, o.base+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := o.http.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode >= http.StatusMultipleChoices {
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		return nil, fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, text)
	}
	return resp.Body, nil
}

// create makes an object.
func (o *onlooker) create(ctx context.Context, path, object string) error {
	body, err := o.open(ctx, http.MethodPost, path, object)
	if err != nil {
		return err
	}
	return body.Close()
}

// endpoints are the ready endpoints of a Service, followed by a watch as kube-proxy does: while the API server is out of reach
// the last ones are used.
type endpoints struct {
	service string
	mu      sync.Mutex
	slices  map[string][]string // pods' UIDs by EndpointSlice
}

type endpointSlice struct {
	Metadata  struct{ Name string }
	Endpoints []struct {
		Conditions struct{ Ready bool }
		TargetRef  struct{ UID string }
	}
}

// follow begins to watch; it ends with ctx.
func (o *onlooker) follow(ctx context.Context, service string) *endpoints {
	e := &endpoints{service: service, slices: map[string][]string{}}
	go func() {
		for ctx.Err() == nil {
			e.watch(ctx, o)
			select {
			case <-ctx.Done():
			case <-time.After(50 * time.Millisecond):
			}
		}
	}()
	return e
}

// watch reads one connection until it ends. A slice that vanished while there was none is not noticed; a Service keeps its own.
func (e *endpoints) watch(ctx context.Context, o *onlooker) {
	body, err := o.open(ctx, http.MethodGet, "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices?watch=1&labelSelector=kubernetes.io/service-name="+e.service, "")
	if err != nil {
		return
	}
	defer body.Close()
	for stream := json.NewDecoder(body); ; {
		var change struct {
			Type   string
			Object endpointSlice
		}
		if stream.Decode(&change) != nil || change.Type == "ERROR" {
			return
		}
		var ready []string
		for _, p := range change.Object.Endpoints {
			if p.Conditions.Ready {
				ready = append(ready, p.TargetRef.UID)
			}
		}
		e.mu.Lock()
		if e.slices[change.Object.Metadata.Name] = ready; change.Type == "DELETED" {
			delete(e.slices, change.Object.Metadata.Name)
		}
		e.mu.Unlock()
	}
}

func (e *endpoints) ready() (uids []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, some := range e.slices {
		uids = append(uids, some...)
	}
	return uids
}
