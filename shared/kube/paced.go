package kube

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	policyv1 "k8s.io/api/policy/v1"
	utilnet "k8s.io/apimachinery/pkg/util/net"

	"github.com/ekspedite/ekspedite/shared/pace"
)

// paced makes requests as package pace allows. It stands before everything else, so that a request's time limit begins when
// it is sent, and not while it waits for its turn.
type paced struct {
	next   http.RoundTripper
	server *pace.Server
}

// RoundTrip implements http.RoundTripper.
func (p paced) RoundTrip(r *http.Request) (*http.Response, error) {
	turn, err := p.server.Enter(r.Context(), !canWait(r))
	if err != nil {
		if r.Body != nil {
			_ = r.Body.Close() // as every RoundTripper must
		}
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(r.Context(), turn.Patience, errSilent)
	end := func(v pace.Verdict, after time.Duration) {
		if errors.Is(context.Cause(ctx), errSilent) && v != pace.Throttled {
			v = pace.Silent
			// What was lost may be the connection and not the server, after the environment was frozen, say. One on which
			// nothing is left to wait for is not used again.
			utilnet.CloseIdleConnectionsFor(p.next)
		}
		cancel()
		turn.End(v, after)
	}
	resp, err := p.next.RoundTrip(within(r.WithContext(ctx), turn.Patience))
	if err != nil {
		cause := context.Cause(ctx)
		end(pace.Unknown, 0)
		if errors.Is(cause, errSilent) {
			err = errSilent
		}
		return nil, err
	}
	if resp.StatusCode == http.StatusTooManyRequests {
		busy, err := tooBusy(resp)
		if err == nil && busy {
			end(pace.Throttled, retryAfter(resp.Header))
		}
	}
	resp.Body = &ending{resp.Body, func() { end(pace.Answered, 0) }}
	return resp, nil
}

// within tells the server how long the answer is waited for. The request must be our own copy.
func within(r *http.Request, d time.Duration) *http.Request {
	u := *r.URL
	if u.RawQuery != "" {
		u.RawQuery += "&"
	}
	u.RawQuery += "timeout=" + d.String()
	r.URL = &u
	return r
}

var errSilent = errors.New("the API server did not answer in time")

// canWait tells what a node's cordon does not wait for: the end of a pod. All reads are somebody's first look.
func canWait(r *http.Request) bool {
	return r.Method == http.MethodDelete || r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/eviction")
}

// tooBusy tells the 429 of a server that has too much to do from that of a PodDisruptionBudget. The text is the same in JSON
// and in protobuf.
func tooBusy(resp *http.Response) (bool, error) {
	const enough = 64 << 10
	text, err := io.ReadAll(io.LimitReader(resp.Body, enough))
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(text), resp.Body), resp.Body}
	return !bytes.Contains(text, []byte(policyv1.DisruptionBudgetCause)), err
}

func retryAfter(h http.Header) time.Duration {
	s, err := strconv.Atoi(h.Get("Retry-After"))
	if err != nil || s < 0 {
		return 0
	}
	return time.Duration(s) * time.Second
}

// ending is a body that tells when it was read.
type ending struct {
	io.ReadCloser
	closed func()
}

func (e *ending) Close() error {
	err := e.ReadCloser.Close()
	e.closed()
	return err
}
