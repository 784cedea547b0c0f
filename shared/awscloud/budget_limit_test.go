package awscloud

import (
	"context"
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

// TestBudgetOfOneService: a service with a rate of its own keeps to it in all environments together, and the others do not notice.
func TestBudgetOfOneService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		at := map[string][]time.Duration{}
		start := time.Now()
		base := Static("http://embedded.invalid", "us-east-1", "a", "b")
		base.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
		base.HTTPClient = &http.Client{Transport: answers(func(r *http.Request) (*http.Response, error) {
			mu.Lock()
			defer mu.Unlock()
			service := "iam"
			if strings.Contains(r.Header.Get("Authorization"), "/eks/") {
				service = "eks"
			}
			at[service] = append(at[service], time.Since(start))
			body := "{}"
			if service == "iam" {
				body = "<DeleteRoleResponse></DeleteRoleResponse>"
			}
			return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}, nil
		})}
		l := &ledger.Ledger{Store: &ledger.Memory{}, Now: time.Now}
		rate := ledger.Rate{PerSecond: 2, Burst: 10}
		var wg sync.WaitGroup
		for range 4 {
			environment := NewRegion(NewBudget(l).Limit("eks", "upgrade", func(context.Context) ledger.Rate { return rate }).Within(base))
			for api, input := range map[string]fleet.Props{"eks:DeleteCluster": {"name": "demo"}, "iam:DeleteRole": {"roleName": "demo"}} {
				wg.Go(func() {
					for range 15 {
						if _, err := environment.Call(t.Context(), plan.Call{API: api, Input: input}); err != nil {
							t.Error(err)
						}
					}
				})
			}
		}
		wg.Wait()
		if len(at["eks"]) != 60 || len(at["iam"]) != 60 {
			t.Fatalf("%d and %d calls", len(at["eks"]), len(at["iam"]))
		}
		for i, when := range at["eks"] {
			if allowed := float64(rate.Burst) + rate.PerSecond*when.Seconds(); float64(i+1) > allowed+1 {
				t.Fatalf("%d calls in %s, and %.0f are allowed", i+1, when, allowed)
			}
		}
		if took := at["iam"][59]; took > 10*time.Second {
			t.Errorf("the other service's calls took %s", took)
		}
	})
}
