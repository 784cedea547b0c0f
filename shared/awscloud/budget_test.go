package awscloud

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/plan"
)

type answers func(*http.Request) (*http.Response, error)

func (f answers) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestBudget: a burst is let through, then as much as the share allows; Regions and services do not share.
func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := Static("http://embedded.invalid", "us-east-1", "a", "b")
		cfg.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
		cfg.HTTPClient = &http.Client{Transport: answers(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("{}"))}, nil
		})}
		cfg = NewBudget(5).Within(cfg)
		here, there := NewRegion(cfg), NewRegion(InRegion(cfg, "eu-west-1"))
		calls := func(r *Region, n int) time.Duration {
			start := time.Now()
			for range n {
				if _, err := r.Call(t.Context(), plan.Call{API: "eks:DeleteCluster", Input: fleet.Props{"name": "demo"}}); err != nil {
					t.Fatal(err)
				}
			}
			return time.Since(start)
		}
		// EKS's writes: 5 a second for all, and so 1 for one of five; a burst of 10.
		if took := calls(here, 10); took != 0 {
			t.Errorf("the burst took %s", took)
		}
		if took := calls(here, 5); took < 4900*time.Millisecond || took > 5100*time.Millisecond {
			t.Errorf("5 calls more took %s", took)
		}
		if took := calls(there, 10); took != 0 {
			t.Errorf("another Region waited %s", took)
		}
	})
}

// TestBudgetAndTokens: a token is signed and never sent, so that no budget is in its way.
func TestBudgetAndTokens(t *testing.T) {
	cfg := NewBudget(5).Within(Static("http://embedded.invalid", "us-east-1", "a", "b"))
	if token, err := NewTokens(cfg, time.Now).Token(t.Context(), "demo"); err != nil || !strings.HasPrefix(token, "k8s-aws-v1.") {
		t.Errorf("%q, %v", token, err)
	}
}
