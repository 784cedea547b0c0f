// Package kube is the only importer of client-go. It speaks to one cluster's API server with the few calls that ekspedite
// needs, over a plain REST client: the typed clientset would add 12 MB to every Lambda and 8 ms to its cold start.
package kube

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"

	"github.com/ekspedite/ekspedite/shared/batch"
	"github.com/ekspedite/ekspedite/shared/fault"
	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/obs"
	"github.com/ekspedite/ekspedite/shared/pace"
)

// Client speaks to one API server.
type Client struct {
	rest  *rest.RESTClient
	watch *rest.RESTClient // the same without a time limit
	// disruption is the reads of PodDisruptionBudgets that are under way: all drains of a cluster want the same.
	disruption batch.Flight[[]budget]
}

// TokenSource gives a bearer token for each request; it caches.
type TokenSource func(ctx context.Context) (string, error)

var scheme = func() *runtime.Scheme {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{appsv1.AddToScheme, corev1.AddToScheme, policyv1.AddToScheme, rbacv1.AddToScheme, storagev1.AddToScheme} {
		if err := add(s); err != nil {
			panic(err)
		}
	}
	metav1.AddToGroupVersion(s, corev1.SchemeGroupVersion)
	return s
}()

// requestTimeout bounds one request: an API server that does not answer in this time is treated as not answering.
const requestTimeout = 10 * time.Second

// Patience is that of callers who have no hurry.
var Patience = pace.Patience{First: requestTimeout, Most: requestTimeout}

// New makes a client for a cluster. There is no client-side rate limit: the API server's priority and fairness decides,
// its 429s come back as fault.Throttled, and how much is asked of it at once follows from them (package pace).
func New(cluster fleet.Cluster, token TokenSource) (*Client, error) {
	return NewPaced(cluster, token, pace.New(Patience))
}

// NewPaced is New with what is known of the server's pace, which outlives the client.
func NewPaced(cluster fleet.Cluster, token TokenSource, server *pace.Server) (*Client, error) {
	cfg := config(cluster.Endpoint, rest.TLSClientConfig{CAData: cluster.CAData})
	cfg.Timeout = 0 // a request's time begins with its turn
	cfg.WrapTransport = func(rt http.RoundTripper) http.RoundTripper { return paced{bearer{rt, token}, server} }
	watch := rest.CopyConfig(cfg)
	watch.WrapTransport = func(rt http.RoundTripper) http.RoundTripper { return bearer{rt, token} }
	c, err := open(cfg, watch)
	if err != nil {
		return nil, fault.New(fault.Invalid, "cluster %s: %v", cluster.Name, err)
	}
	return c, nil
}

func config(endpoint string, tls rest.TLSClientConfig) *rest.Config {
	return &rest.Config{
		Host: endpoint, Timeout: requestTimeout, QPS: -1, TLSClientConfig: tls, UserAgent: "ekspedite",
		ContentConfig: rest.ContentConfig{
			GroupVersion: &corev1.SchemeGroupVersion, NegotiatedSerializer: serializer.NewCodecFactory(scheme).WithoutConversion(),
			ContentType: runtime.ContentTypeProtobuf, AcceptContentTypes: runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON,
		},
		WarningHandler: rest.NoWarnings{}, // what is deprecated is told by the checks, not by the log
		// Paths are absolute in every request, so the group and version here only satisfy the constructor.
		APIPath: "/api",
	}
}

func open(cfg, watch *rest.Config) (*Client, error) {
	c, err := rest.RESTClientFor(cfg)
	if err != nil {
		return nil, err
	}
	watch.Timeout = 0
	w, err := rest.RESTClientFor(watch)
	if err != nil {
		return nil, err
	}
	return &Client{rest: c, watch: w}, nil
}

type bearer struct {
	next  http.RoundTripper
	token TokenSource
}

// WrappedRoundTripper lets idle connections be closed through it.
func (b bearer) WrappedRoundTripper() http.RoundTripper { return b.next }

// RoundTrip adds the token and counts the request.
func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	obs.Called(r.Context())
	t, err := b.token(r.Context())
	if err != nil {
		if r.Body != nil {
			_ = r.Body.Close() // as every RoundTripper must
		}
		return nil, err
	}
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+t)
	return b.next.RoundTrip(r)
}

// classify turns an API server's error into a classed one. It is the only place that looks at Kubernetes' errors.
func classify(op string, err error) error {
	if err == nil {
		return nil
	}
	out := &fault.Error{Class: fault.Transient, Op: op, Err: err}
	if f, ok := errors.AsType[*fault.Error](err); ok { // not the server's, but package pace's
		out.Class, out.RetryAfter = f.Class, f.RetryAfter
		return out
	}
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return out
	}
	s := status.Status()
	out.Code = string(s.Reason)
	if s.Details != nil {
		out.RetryAfter = time.Duration(s.Details.RetryAfterSeconds) * time.Second
	}
	switch {
	case apierrors.HasStatusCause(err, policyv1.DisruptionBudgetCause):
		out.Class = fault.Blocked
	case s.Code == http.StatusInternalServerError && strings.Contains(s.Message, multipleBudgets):
		out.Class = fault.Blocked
	case apierrors.IsTooManyRequests(err):
		out.Class = fault.Throttled
	case apierrors.IsNotFound(err):
		out.Class = fault.NotFound
	case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err):
		out.Class = fault.Conflict
	case apierrors.IsForbidden(err) && apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		out.Class = fault.NotFound
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		out.Class = fault.Denied
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err), apierrors.IsMethodNotSupported(err), apierrors.IsRequestEntityTooLargeError(err):
		out.Class = fault.Invalid
	}
	return out
}

// body is what was answered. Unlike Raw, it has the API server's own words in an error.
func body(r rest.Result) ([]byte, error) {
	if err := r.Error(); err != nil {
		return nil, err
	}
	return r.Raw()
}

// multipleBudgets: the eviction API refuses a pod with two matching budgets by a 500 with this text.
const multipleBudgets = "more than one PodDisruptionBudget"

// page is how many objects one LIST returns: one call for any node, and a bound on memory for whole clusters.
const page = 500

// list reads all pages of a resource.
func list[L runtime.Object](ctx context.Context, c *Client, op, path string, opts metav1.ListOptions, into func() L, each func(L)) error {
	opts.Limit = page
	for {
		l := into()
		err := c.rest.Get().AbsPath(path).VersionedParams(&opts, metav1.ParameterCodec).MaxRetries(0).Do(ctx).Into(l)
		if err != nil {
			return classify(op, err)
		}
		each(l)
		m, ok := any(l).(metav1.ListInterface)
		if !ok {
			return fmt.Errorf("%s: %T is not a list", op, l)
		}
		if opts.Continue = m.GetContinue(); opts.Continue == "" {
			return nil
		}
	}
}
