package observe

import (
	"context"
	"sync"
	"time"

	"github.com/ekspedite/ekspedite/shared/decide/readiness"
	"github.com/ekspedite/ekspedite/shared/decide/upgrade"
	"github.com/ekspedite/ekspedite/shared/fleet"
)

// HealthAWS is what Health reads of AWS: awscloud.Readiness has it.
type HealthAWS interface {
	Insights(ctx context.Context, cluster string) ([]readiness.Insight, error)
	Alarms(ctx context.Context, names []string) ([]readiness.Alarm, error)
}

// WellnessReader is one cluster's API server.
type WellnessReader interface {
	Wellness(ctx context.Context) (fleet.Wellness, error)
}

// Health observes how clusters are while they are upgraded. One lives as long as a function's execution environment.
type Health struct {
	aws        HealthAWS
	kubernetes func(ctx context.Context, cluster string) (WellnessReader, error)
	now        func() time.Time

	mu       sync.Mutex
	insights map[string]insightsAt
}

// insightsAt are the insights that failed at a time.
type insightsAt struct {
	names []string
	at    time.Time
}

// NewHealth makes a Health.
func NewHealth(aws HealthAWS, kubernetes func(ctx context.Context, cluster string) (WellnessReader, error), now func() time.Time) *Health {
	return &Health{aws: aws, kubernetes: kubernetes, now: now, insights: map[string]insightsAt{}}
}

// insightsFor is how long insights are kept: EKS itself looks once a day.
const insightsFor = 10 * time.Minute

// Of reads one cluster. What cannot be read is named in it: that nobody can see how a cluster is may be a regression, too.
func (h *Health) Of(ctx context.Context, cluster string, alarms []string) upgrade.Health {
	out := upgrade.Health{Unread: map[string]string{}}
	var mu sync.Mutex
	var wg sync.WaitGroup
	part := func(name string, read func() error) {
		wg.Go(func() {
			if err := read(); err != nil {
				mu.Lock()
				defer mu.Unlock()
				out.Unread[name] = err.Error()
			}
		})
	}
	part("nodes and pods", func() error {
		client, err := h.kubernetes(ctx, cluster)
		if err == nil {
			out.Wellness, err = client.Wellness(ctx)
		}
		return err
	})
	part("insights", func() (err error) {
		out.Insights, err = h.misconfigured(ctx, cluster)
		return err
	})
	if len(alarms) > 0 {
		part("alarms", func() error {
			list, err := h.aws.Alarms(ctx, alarms)
			for _, a := range list {
				if a.State == "ALARM" {
					out.Alarms = append(out.Alarms, a.Name)
				}
			}
			return err
		})
	}
	wg.Wait()
	return out
}

// misconfigured are the insights in status ERROR on how the cluster is made. Those on the readiness for an upgrade turn to ERROR
// with every hop, since they are about the next one, which the gate looks at; those on a rollback as soon as nodes follow.
func (h *Health) misconfigured(ctx context.Context, cluster string) ([]string, error) {
	h.mu.Lock()
	known, ok := h.insights[cluster]
	h.mu.Unlock()
	if ok && h.now().Sub(known.at) < insightsFor {
		return known.names, nil
	}
	list, err := h.aws.Insights(ctx, cluster)
	if err != nil {
		return nil, err
	}
	known = insightsAt{at: h.now()}
	for _, i := range list {
		if i.Category == "MISCONFIGURATION" && i.Status == "ERROR" {
			known.names = append(known.names, i.Name)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.insights[cluster] = known
	return known.names, nil
}
