package awscloud

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/ekspedite/ekspedite/shared/fleet"
	"github.com/ekspedite/ekspedite/shared/ledger"
	"github.com/ekspedite/ekspedite/shared/plan"
)

type answers func(*http.Request) (*http.Response, error)

func (f answers) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestBudget: however many environments there are, together they make a burst of calls and then as many as the rate
// allows; Regions do not share.
func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		at := map[string][]time.Duration{}
		start := time.Now()
		base := Static("http://embedded.invalid", "us-east-1", "a", "b")
		base.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
		base.HTTPClient = &http.Client{Transport: answers(func(r *http.Request) (*http.Response, error) {
			mu.Lock()
			defer mu.Unlock()
			region := "us-east-1"
			if strings.Contains(r.Header.Get("Authorization"), "eu-west-1") {
				region = "eu-west-1"
			}
			at[region] = append(at[region], time.Since(start))
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("{}"))}, nil
		})}
		l := &ledger.Ledger{Store: &ledger.Memory{}, Now: time.Now}
		var wg sync.WaitGroup
		for _, region := range []string{"us-east-1", "eu-west-1"} {
			for range 5 {
				environment := NewRegion(InRegion(NewBudget(l).Within(base), region))
				wg.Go(func() {
					for range 20 {
						if _, err := environment.Call(t.Context(), plan.Call{API: "eks:DeleteCluster", Input: fleet.Props{"name": "demo"}}); err != nil {
							t.Error(err)
						}
					}
				})
			}
		}
		wg.Wait()
		rate := writing[""]
		for region, times := range at {
			if len(times) != 100 {
				t.Errorf("%s: %d calls", region, len(times))
			}
			for i, when := range times {
				if allowed := float64(rate.Burst) + rate.PerSecond*when.Seconds(); float64(i+1) > allowed+1 {
					t.Fatalf("%s: %d calls in %s, and %.0f are allowed", region, i+1, when, allowed)
				}
			}
			// Nothing is wasted but what an environment drew and did not need.
			if took := times[len(times)-1]; took > 30*time.Second {
				t.Errorf("%s: 100 calls took %s", region, took)
			}
		}
	})
}

// TestBudgetAndTokens: a token is signed and never sent, so that no budget is in its way.
func TestBudgetAndTokens(t *testing.T) {
	cfg := NewBudget(nil).Within(Static("http://embedded.invalid", "us-east-1", "a", "b"))
	if token, err := NewTokens(cfg, time.Now).Token(t.Context(), "demo"); err != nil || !strings.HasPrefix(token, "k8s-aws-v1.") {
		t.Errorf("%q, %v", token, err)
	}
}
