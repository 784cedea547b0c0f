package kube

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"

	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

// server is an API server of canned answers that keeps what it was asked.
type server struct {
	mu       sync.Mutex
	requests []request
	answer   func(w http.ResponseWriter, r *http.Request)
}

type request struct {
	method, path, query, contentType, auth string
	body                                   []byte
}

func start(t testing.TB, answer func(w http.ResponseWriter, r *http.Request)) (*server, *Client) {
	t.Helper()
	s := &server{answer: answer}
	ts := httptest.NewTLSServer(s)
	t.Cleanup(ts.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ts.Certificate().Raw})
	c, err := New(fleet.Cluster{Name: "demo", Endpoint: ts.URL, CAData: ca}, func(context.Context) (string, error) { return "token-1", nil })
	if err != nil {
		t.Fatal(err)
	}
	return s, c
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	s.requests = append(s.requests, request{r.Method, r.URL.Path, r.URL.RawQuery, r.Header.Get("Content-Type"), r.Header.Get("Authorization"), body})
	s.mu.Unlock()
	s.answer(w, r)
}

// one is the only request that was made.
func (s *server) one(t *testing.T) request {
	t.Helper()
	if len(s.requests) != 1 {
		t.Fatalf("%d requests, want one: %+v", len(s.requests), s.requests)
	}
	if r := s.requests[0]; r.auth != "Bearer token-1" {
		t.Errorf("authorization %q", r.auth)
	}
	return s.requests[0]
}

func answer(code int, o any) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(o)
	}
}

func success(w http.ResponseWriter, r *http.Request) {
	answer(http.StatusOK, metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Success"})(w, r)
}

func decode(t *testing.T, r request) runtime.Object {
	t.Helper()
	o, _, err := serializer.NewCodecFactory(scheme).UniversalDeserializer().Decode(r.body, nil, nil)
	if err != nil {
		t.Fatalf("body %q of type %s: %v", r.body, r.contentType, err)
	}
	return o
}

func TestR14_CordonIsOneConditionalPatch(t *testing.T) {
	s, c := start(t, answer(http.StatusOK, corev1.Node{TypeMeta: metav1.TypeMeta{Kind: "Node", APIVersion: "v1"}}))
	err := c.Cordon(t.Context(), plan.CordonNode{Node: "n", UID: "u", ResourceVersion: "7", Labels: map[string]string{"l": "1"},
		Annotations: map[string]string{"a": "2"}, Taints: []fleet.Taint{{Key: "theirs", Effect: "NoExecute"}, {Key: "ours", Value: "v", Effect: "NoSchedule"}}})
	if err != nil {
		t.Fatal(err)
	}
	r := s.one(t)
	if r.method != "PATCH" || r.path != "/api/v1/nodes/n" || r.contentType != "application/merge-patch+json" {
		t.Errorf("%s %s %s", r.method, r.path, r.contentType)
	}
	want := `{"metadata":{"uid":"u","resourceVersion":"7","labels":{"l":"1"},"annotations":{"a":"2"}},"spec":{"unschedulable":true,` +
		`"taints":[{"key":"theirs","effect":"NoExecute"},{"key":"ours","value":"v","effect":"NoSchedule"}]}}`
	if string(r.body) != want {
		t.Errorf("body\n%s\nwant\n%s", r.body, want)
	}
}

func TestR5_EvictionAndDeletionCarryTheUID(t *testing.T) {
	half, ms := 2500*time.Millisecond, time.Millisecond
	for name, tc := range map[string]struct {
		do           func(*Client) error
		method, path string
		grace        int64 // -1: none
	}{
		"evict": {func(c *Client) error {
			return c.Evict(t.Context(), plan.EvictPod{Namespace: "ns", Name: "p", UID: "u"})
		}, "POST", "/api/v1/namespaces/ns/pods/p/eviction", -1},
		"evict, grace cut": {func(c *Client) error {
			return c.Evict(t.Context(), plan.EvictPod{Namespace: "ns", Name: "p", UID: "u", Grace: &half})
		}, "POST", "/api/v1/namespaces/ns/pods/p/eviction", 2},
		"evict, grace never 0": {func(c *Client) error {
			return c.Evict(t.Context(), plan.EvictPod{Namespace: "ns", Name: "p", UID: "u", Grace: &ms})
		}, "POST", "/api/v1/namespaces/ns/pods/p/eviction", 1},
		"delete": {func(c *Client) error {
			return c.Delete(t.Context(), plan.DeletePod{Namespace: "ns", Name: "p", UID: "u", Grace: 30 * time.Second})
		}, "DELETE", "/api/v1/namespaces/ns/pods/p", 30},
		"delete, grace never 0": {func(c *Client) error {
			return c.Delete(t.Context(), plan.DeletePod{Namespace: "ns", Name: "p", UID: "u"})
		}, "DELETE", "/api/v1/namespaces/ns/pods/p", 1},
	} {
		t.Run(name, func(t *testing.T) {
			s, c := start(t, success)
			if err := tc.do(c); err != nil {
				t.Fatal(err)
			}
			r := s.one(t)
			if r.method != tc.method || r.path != tc.path {
				t.Errorf("%s %s", r.method, r.path)
			}
			var opts *metav1.DeleteOptions
			switch o := decode(t, r).(type) {
			case *policyv1.Eviction:
				opts = o.DeleteOptions
				if o.Name != "p" || o.Namespace != "ns" {
					t.Errorf("eviction of %s/%s", o.Namespace, o.Name)
				}
			case *metav1.DeleteOptions:
				opts = o
			default:
				t.Fatalf("body is a %T", o)
			}
			if opts == nil || opts.Preconditions == nil || opts.Preconditions.UID == nil || *opts.Preconditions.UID != types.UID("u") {
				t.Errorf("options %+v", opts)
			}
			if g := opts.GracePeriodSeconds; (g == nil) != (tc.grace < 0) || g != nil && *g != tc.grace {
				t.Errorf("grace %v, want %d", g, tc.grace)
			}
		})
	}
}

func TestPodsOnReadsAllPages(t *testing.T) {
	grace, priority, yes := int64(45), int32(2_000_000_000), true
	full := corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "full", UID: "u", Labels: map[string]string{"a": "1"}, DeletionTimestamp: &metav1.Time{Time: time.Now()},
			Annotations:     map[string]string{corev1.MirrorPodAnnotationKey: "x"},
			OwnerReferences: []metav1.OwnerReference{{Kind: "Other", Name: "o"}, {Kind: "DaemonSet", Name: "d", Controller: &yes}}},
		Spec: corev1.PodSpec{NodeName: "n", TerminationGracePeriodSeconds: &grace, Priority: &priority,
			Tolerations: []corev1.Toleration{{Key: "k", Operator: "Exists", Effect: "NoSchedule"}}},
		Status: corev1.PodStatus{Phase: "Running", Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: "True"}}},
	}
	one, two := budgetFor("one", "a"), budgetFor("two", "b")
	s, c := start(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/poddisruptionbudgets") {
			answer(http.StatusOK, policyv1.PodDisruptionBudgetList{TypeMeta: metav1.TypeMeta{Kind: "PodDisruptionBudgetList", APIVersion: "policy/v1"},
				Items: []policyv1.PodDisruptionBudget{one, two}})(w, r)
			return
		}
		l := corev1.PodList{TypeMeta: metav1.TypeMeta{Kind: "PodList", APIVersion: "v1"}, Items: []corev1.Pod{full}}
		if r.URL.Query().Get("continue") == "" {
			l.Continue = "page2"
		} else {
			l.Items = []corev1.Pod{{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "empty", Labels: map[string]string{"a": "1", "b": "1"}}}}
		}
		answer(http.StatusOK, l)(w, r)
	})
	pods, err := c.PodsOn(t.Context(), "n")
	lists := slices.DeleteFunc(s.requests, func(r request) bool { return r.path != "/api/v1/pods" })
	if err != nil || len(pods) != 2 || len(lists) != 2 {
		t.Fatalf("%d pods in %d requests, %v", len(pods), len(lists), err)
	}
	for i, want := range []string{"fieldSelector=spec.nodeName%3Dn&limit=500&timeout=10s", "continue=page2&fieldSelector=spec.nodeName%3Dn&limit=500&timeout=10s"} {
		if r := lists[i]; r.path != "/api/v1/pods" || r.query != want {
			t.Errorf("%s?%s, want ?%s", r.path, r.query, want)
		}
	}
	p := pods[0]
	if !p.Deleting || !p.Mirror || p.Owner.Kind != "DaemonSet" || p.Grace != 45*time.Second || p.Priority != priority || !p.Ready || p.Phase != "Running" || len(p.Tolerations) != 1 {
		t.Errorf("%+v", p)
	}
	if pods[0].Budget != "ns/one" || pods[1].Budget != "" {
		t.Errorf("budgets %q and %q; the second pod has two", pods[0].Budget, pods[1].Budget)
	}
	if p := pods[1]; p.Deleting || p.Mirror || p.Owner.Kind != "" || p.Grace != 30*time.Second {
		t.Errorf("the defaults are Kubernetes': %+v", p)
	}
}

func budgetFor(name, label string) policyv1.PodDisruptionBudget {
	return policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name},
		Spec: policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{label: "1"}}}}
}

func TestPodsOnWithoutBudgets(t *testing.T) {
	_, c := start(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/poddisruptionbudgets") {
			answer(http.StatusForbidden, metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Code: 403, Reason: metav1.StatusReasonForbidden})(w, r)
			return
		}
		answer(http.StatusOK, corev1.PodList{TypeMeta: metav1.TypeMeta{Kind: "PodList", APIVersion: "v1"}, Items: []corev1.Pod{{}}})(w, r)
	})
	if pods, err := c.PodsOn(t.Context(), "n"); err != nil || len(pods) != 1 {
		t.Errorf("%v, %v", pods, err)
	}
}

func TestNode(t *testing.T) {
	s, c := start(t, answer(http.StatusOK, corev1.Node{TypeMeta: metav1.TypeMeta{Kind: "Node", APIVersion: "v1"},
		ObjectMeta: metav1.ObjectMeta{Name: "n", UID: "u", ResourceVersion: "7"},
		Spec:       corev1.NodeSpec{ProviderID: "aws:///a/i-1", Unschedulable: true, Taints: []corev1.Taint{{Key: "k", Effect: "NoSchedule"}}},
		Status:     corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: "True"}}}}))
	n, err := c.Node(t.Context(), "n")
	if err != nil || n.UID != "u" || n.ResourceVersion != "7" || !n.Is("i-1") || !n.Unschedulable || !n.Ready || len(n.Taints) != 1 {
		t.Errorf("%+v, %v", n, err)
	}
	if r := s.one(t); r.path != "/api/v1/nodes/n" || r.method != "GET" {
		t.Errorf("%+v", r)
	}
}

func TestErrors(t *testing.T) {
	status := func(code int, reason metav1.StatusReason, edit ...func(*metav1.Status)) metav1.Status {
		s := metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure", Code: int32(code), Reason: reason, Message: "why",
			Details: &metav1.StatusDetails{}}
		for _, f := range edit {
			f(&s)
		}
		return s
	}
	cause := func(c metav1.CauseType) func(*metav1.Status) {
		return func(s *metav1.Status) { s.Details.Causes = []metav1.StatusCause{{Type: c}} }
	}
	after := func(s *metav1.Status) { s.Details.RetryAfterSeconds = 10 }
	for name, tc := range map[string]struct {
		status metav1.Status
		header string // Retry-After
		class  fault.Class
		retry  time.Duration
	}{
		"R17 a budget refuses":           {status(429, metav1.StatusReasonTooManyRequests, cause(policyv1.DisruptionBudgetCause), after), "", fault.Blocked, 10 * time.Second},
		"R17 a budget refuses, with 1 s": {status(429, metav1.StatusReasonTooManyRequests, cause(policyv1.DisruptionBudgetCause)), "1", fault.Blocked, 0},
		"R17 priority and fairness":      {status(429, metav1.StatusReasonTooManyRequests, func(s *metav1.Status) { s.Details.RetryAfterSeconds = 1 }), "1", fault.Throttled, time.Second},
		"R17 two budgets": {status(500, "", func(s *metav1.Status) {
			s.Message = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
		}), "", fault.Blocked, 0},
		"R18 gone":                         {status(404, metav1.StatusReasonNotFound), "", fault.NotFound, 0},
		"R5 another uid":                   {status(409, metav1.StatusReasonConflict), "", fault.Conflict, 0},
		"exists":                           {status(409, metav1.StatusReasonAlreadyExists), "", fault.Conflict, 0},
		"forbidden":                        {status(403, metav1.StatusReasonForbidden), "", fault.Denied, 0},
		"unauthorized":                     {status(401, metav1.StatusReasonUnauthorized), "", fault.Denied, 0},
		"R18 the namespace is terminating": {status(403, metav1.StatusReasonForbidden, cause(corev1.NamespaceTerminatingCause)), "", fault.NotFound, 0},
		"invalid":                          {status(422, metav1.StatusReasonInvalid), "", fault.Invalid, 0},
		"bad request":                      {status(400, metav1.StatusReasonBadRequest), "", fault.Invalid, 0},
		"server timeout":                   {status(500, metav1.StatusReasonServerTimeout, after), "", fault.Transient, 10 * time.Second},
		"timeout":                          {status(504, metav1.StatusReasonTimeout), "", fault.Transient, 0},
		"a webhook is away":                {status(500, metav1.StatusReasonInternalError), "", fault.Transient, 0},
		"unavailable":                      {status(503, metav1.StatusReasonServiceUnavailable), "5", fault.Transient, 0},
		"expired page":                     {status(410, metav1.StatusReasonExpired), "", fault.Transient, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s, c := start(t, func(w http.ResponseWriter, r *http.Request) {
				if tc.header != "" {
					w.Header().Set("Retry-After", tc.header)
				}
				answer(int(tc.status.Code), tc.status)(w, r)
			})
			began := time.Now()
			err := c.Evict(t.Context(), plan.EvictPod{Namespace: "ns", Name: "p", UID: "u"})
			var f *fault.Error
			if !errors.As(err, &f) || f.Class != tc.class || f.RetryAfter != tc.retry || f.Op != "evict pod ns/p" {
				t.Errorf("%+v (%v), want %s, retry after %s", f, err, tc.class, tc.retry)
			}
			s.one(t) // client-go must not retry: SQS and apply do
			if took := time.Since(began); took > 900*time.Millisecond {
				t.Errorf("took %s: client-go waited for Retry-After", took)
			}
		})
	}
}

func TestNoAnswerIsTransient(t *testing.T) {
	s, c := start(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, _, _ := w.(http.Hijacker).Hijack()
		_ = conn.Close()
	})
	err := c.Evict(t.Context(), plan.EvictPod{Namespace: "ns", Name: "p", UID: "u"})
	if !fault.Is(err, fault.Transient) || len(s.requests) != 1 {
		t.Errorf("%v after %d requests", err, len(s.requests))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Evict(ctx, plan.EvictPod{Namespace: "ns", Name: "p", UID: "u"}); !fault.Is(err, fault.Transient) {
		t.Error(err)
	}
}

func TestATokenThatCannotBeMade(t *testing.T) {
	c, err := New(fleet.Cluster{Endpoint: "https://127.0.0.1:1"}, func(context.Context) (string, error) { return "", errors.New("no credentials") })
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Evict(t.Context(), plan.EvictPod{Namespace: "ns", Name: "p"}); err == nil || !strings.Contains(err.Error(), "no credentials") {
		t.Error(err)
	}
}

// client-go's own limit of 5 requests a second is what makes other drainers slow.
func TestNoClientSideThrottling(t *testing.T) {
	s, c := start(t, success)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second) // 300 calls would take a minute at 5 a second
	defer cancel()
	var wg sync.WaitGroup
	for i := range 300 {
		wg.Go(func() {
			if err := c.Evict(ctx, plan.EvictPod{Namespace: "ns", Name: fmt.Sprint("p", i), UID: "u"}); err != nil {
				t.Error(err)
			}
		})
	}
	if wg.Wait(); len(s.requests) != 300 {
		t.Errorf("%d requests for 300 evictions", len(s.requests))
	}
}
