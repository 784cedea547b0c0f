package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ekspedite/ekspedite/cmd/ekspedite/internal/scaleview"
	"github.com/ekspedite/ekspedite/infra/local/eks"
	"github.com/ekspedite/ekspedite/shared/decide/scaling"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// shop is a cluster whose nodes are scaled.
const shop = small + `---
apiVersion: ekspedite.dev/v1alpha1
kind: ClusterPolicy
metadata: {name: small}
scaling: {mode: Plan}
`

// answering launches control planes that answer what plans read: the nodes that were put there, and some pods.
type answering struct {
	*httptest.Server
	pods []string // JSON

	mu     sync.Mutex
	nodes  []string // JSON
	writes []string
}

func newAnswering(t *testing.T) *answering {
	a := &answering{}
	a.Server = httptest.NewTLSServer(a)
	t.Cleanup(a.Close)
	return a
}

func (a *answering) Launch(ctx context.Context, s eks.Spec) (eks.ControlPlane, error) {
	idle, err := eks.Idle{}.Launch(ctx, s)
	return answeringPlane{idle, a}, err
}

type answeringPlane struct {
	eks.ControlPlane
	a *answering
}

func (p answeringPlane) Endpoint() string { return p.a.URL }
func (p answeringPlane) CAData() string {
	return base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.a.Certificate().Raw}))
}

func (p answeringPlane) PutNode(_ context.Context, n eks.Node) error {
	text, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"name": n.Name, "uid": "uid-" + n.Name, "labels": n.Labels, "creationTimestamp": "2026-01-01T00:00:00Z"},
		"spec":     map[string]any{"providerID": n.ProviderID},
		"status":   map[string]any{"allocatable": n.Allocatable, "conditions": []any{map[string]any{"type": "Ready", "status": "True"}}},
	})
	p.a.mu.Lock()
	defer p.a.mu.Unlock()
	p.a.nodes = append(p.a.nodes, string(text))
	return err
}

func (a *answering) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if r.Method != http.MethodGet {
		a.writes = append(a.writes, r.Method+" "+r.URL.Path)
	}
	lists := map[string]struct {
		kind, version string
		items         []string
	}{
		"/api/v1/nodes": {"NodeList", "v1", a.nodes}, "/api/v1/pods": {"PodList", "v1", a.pods}, "/api/v1/namespaces": {"NamespaceList", "v1", nil},
		"/apis/apps/v1/daemonsets": {"DaemonSetList", "apps/v1", nil}, "/apis/policy/v1/poddisruptionbudgets": {"PodDisruptionBudgetList", "policy/v1", nil},
		"/apis/storage.k8s.io/v1/csinodes": {"CSINodeList", "storage.k8s.io/v1", nil},
	}
	w.Header().Set("Content-Type", "application/json")
	if r.URL.Path == "/version" {
		fmt.Fprint(w, `{"major":"1","minor":"36"}`)
		return
	}
	l, ok := lists[r.URL.Path]
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404,"message":%q}`, r.URL.Path)
		return
	}
	fmt.Fprintf(w, `{"kind":%q,"apiVersion":%q,"metadata":{},"items":[%s]}`, l.kind, l.version, strings.Join(l.items, ","))
}

// A plan for a cluster reads AWS and the cluster over the wire, and writes to neither.
func TestScalePlanOfCluster(t *testing.T) {
	inside := newAnswering(t)
	r := newRigWith(t, inside)
	want(t, 0, []string{"Active"}, "", "cluster", "apply", "-f", write(t, strings.Replace(shop, "desiredCapacity: 1", "desiredCapacity: 1, maxSize: 5", 1)))
	inside.mu.Lock()
	for i := range 6 {
		inside.pods = append(inside.pods, fmt.Sprintf(`{"metadata":{"namespace":"shop","name":"web-%d","uid":"u%d"},"spec":{"schedulerName":"default-scheduler","containers":[{"name":"a","resources":{"requests":{"cpu":"800m","memory":"1Gi"}}}]},"status":{"phase":"Pending"}}`, i, i))
	}
	inside.pods = append(inside.pods, `{"metadata":{"namespace":"shop","name":"huge","uid":"u9"},"spec":{"schedulerName":"default-scheduler","containers":[{"name":"a","resources":{"requests":{"cpu":"500"}}}]},"status":{"phase":"Pending"}}`)
	written := len(inside.writes)
	inside.mu.Unlock()
	r.stop()
	before := len(calls(t))

	page := filepath.Join(t.TempDir(), "plan.html")
	want(t, 0, []string{"cluster small in us-east-1", "resize group a", "Without a node", "shop/huge", "mode is Plan", "Nodes to come", "m5.large"}, "", "scale", "plan", "--cluster", "small", "--html", page)
	v := wantJSON[scaleview.ClusterPlan](t, 0, "", "scale", "plan", "--cluster", "small")
	if e := v.Explanation; len(e.New) < 2 || e.After.Nodes != e.Before.Nodes+len(e.New) || e.After.Price <= e.Before.Price || len(e.Left) != 1 || v.Mode != "Plan" || len(v.Actions) == 0 {
		t.Errorf("the plan is %+v", v)
	}
	if html, err := os.ReadFile(page); err != nil || !strings.Contains(string(html), "m5.large") || !strings.Contains(string(html), "shop/huge") {
		t.Errorf("the page: %v", err)
	}
	inside.mu.Lock()
	defer inside.mu.Unlock()
	if len(inside.writes) != written {
		t.Errorf("the cluster was written to: %v", inside.writes[written:])
	}
	read := regexp.MustCompile(`^(Describe|Get|List|Query|AssumeRole)`)
	for _, name := range calls(t)[before:] {
		if !read.MatchString(name) {
			t.Errorf("%s was called", name)
		}
	}
	want(t, exitFailed, []string{"no cluster other"}, "", "scale", "plan", "--cluster", "other")
}

// calls are the operations of all calls of the embedded cloud so far.
func calls(t *testing.T) (out []string) {
	t.Helper()
	var b bytes.Buffer
	if err := admin(t.Context(), &b, http.MethodGet, "/calls", nil); err != nil {
		t.Fatal(err)
	}
	for d := json.NewDecoder(&b); d.More(); {
		var r struct{ Operation string }
		if err := d.Decode(&r); err != nil {
			t.Fatal(err)
		}
		out = append(out, r.Operation)
	}
	return out
}

// What is remembered is shown, and a look that is asked for is waited for.
func TestScaleShowAndNow(t *testing.T) {
	r := newRig(t)
	want(t, 0, []string{"Active"}, "", "cluster", "apply", "-f", write(t, shop))
	want(t, 0, []string{"scaling is Plan", "nobody has looked"}, "", "scale", "show", "--cluster", "small")
	id := fleet.ClusterID{Region: "us-east-1", Name: "small"}
	l := r.work.Ledger
	look := func(looks int) {
		t.Helper()
		s, err := l.Scaling(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		s.Looks, s.LookedAt, s.LookAt = looks, time.Now(), time.Now().Add(time.Minute)
		if s.Memory, err = json.Marshal(scaling.Memory{
			Orders:    []scaling.Order{{Group: "a", Type: "m5.large", Count: 3, At: time.Now(), Pods: []string{"shop/web-1"}}},
			Shortages: []scaling.Shortage{{Type: "p5.48xlarge", Zone: "us-east-1b", Until: time.Now().Add(5 * time.Minute), Times: 2, Code: "InsufficientInstanceCapacity"}},
			Slept:     map[string]scaling.Size{"night": {Min: 1, Desired: 4}},
		}); err != nil {
			t.Fatal(err)
		}
		if _, err := l.SaveScaling(t.Context(), id, s); err != nil {
			t.Fatal(err)
		}
	}
	look(1)
	want(t, 0, []string{"Ordered, not there yet", "shop/web-1", "p5.48xlarge", "InsufficientInstanceCapacity", "night"}, "", "scale", "show", "--cluster", "small")
	if v := wantJSON[scaleview.Remembered](t, 0, "", "scale", "show", "--cluster", "small"); v.Looks != 1 || len(v.Memory.Orders) != 1 {
		t.Errorf("what is remembered: %+v", v)
	}

	want(t, exitTimeout, []string{"--timeout 1s is over"}, "", "scale", "now", "--cluster", "small", "--timeout", "1s")
	looked := make(chan struct{})
	r.cloud.EventBridge.Watch(func(_ string, body []byte) {
		if strings.Contains(string(body), `"cli"`) && strings.Contains(string(body), "small") {
			look(2)
			close(looked)
		}
	})
	want(t, 0, []string{"nothing new was found", "2 looks so far"}, "", "scale", "now", "--cluster", "small")
	<-looked
}

// Whoever has scaling off is told so, and how to turn it on.
func TestScaleNowWhereScalingIsOff(t *testing.T) {
	newRig(t)
	want(t, 0, []string{"Active"}, small, "cluster", "apply", "-f", "-")
	want(t, exitFailed, []string{"has scaling off", "set scaling.mode"}, "", "scale", "now", "--cluster", "small")
	want(t, exitUsage, []string{"--cluster"}, "", "scale", "now")
}
