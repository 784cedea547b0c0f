// Package scene is what the demo, the benchmark and the end-to-end tests do on the embedded cloud: ask for a cluster by an
// event, follow the functions' reports, and watch the cluster through its own API server. What it reports is what the API
// server says, not what the functions claim.
package scene

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/ekspedite/ekspedite/events"
	"github.com/ekspedite/ekspedite/infra/local"
	"github.com/ekspedite/ekspedite/shared/awscloud"
	"github.com/ekspedite/ekspedite/shared/kube"
)

// Scene is a running embedded cloud with somebody who listens.
type Scene struct {
	Cloud *local.Cloud
	Bus   *awscloud.Bus

	mu       sync.Mutex
	finished []events.RunFinished
	news     chan struct{} // closed and renewed with each report
	onEvent  []func(events.Event)
}

// New listens to a cloud.
func New(cloud *local.Cloud) *Scene {
	s := &Scene{Cloud: cloud, Bus: awscloud.NewBus(Config(cloud), string(events.BusEkspedite)), news: make(chan struct{})}
	cloud.EventBridge.Watch(s.hear)
	return s
}

// Config is a configuration for the embedded cloud, with the rights of the account's root user.
func Config(cloud *local.Cloud) awscloud.Config {
	return awscloud.Static(cloud.Endpoint(), cloud.World.Region, cloud.AccessKey(), cloud.SecretKey())
}

// OnEvent has f called with every event that can be decoded, on any bus, from now on.
func (s *Scene) OnEvent(f func(events.Event)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onEvent = append(s.onEvent, f)
}

func (s *Scene) hear(_ string, body []byte) {
	e, err := events.Decode(body)
	if err != nil {
		return
	}
	s.mu.Lock()
	listeners := s.onEvent
	if p, ok := e.Payload.(*events.RunFinished); ok {
		s.finished = append(s.finished, *p)
		close(s.news)
		s.news = make(chan struct{})
	}
	s.mu.Unlock()
	for _, f := range listeners {
		f(e)
	}
}

// AwaitRun waits for a finished run that matches.
func (s *Scene) AwaitRun(ctx context.Context, what string, patience time.Duration, match func(events.RunFinished) bool) (events.RunFinished, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		s.mu.Lock()
		news := s.news
		for _, r := range s.finished {
			if match(r) {
				s.mu.Unlock()
				return r, nil
			}
		}
		s.mu.Unlock()
		select {
		case <-news:
		case <-ctx.Done():
			return events.RunFinished{}, fmt.Errorf("%s: no end of the run was reported in %s", what, patience)
		}
	}
}

// Apply asks for the clusters of a spec and waits until the named one is ACTIVE. It returns a client with the
// administrator's rights in it.
func (s *Scene) Apply(ctx context.Context, spec, cluster string, patience time.Duration) (*kube.Client, error) {
	asked := time.Now()
	e, err := events.New(&events.ClusterApplyRequested{RequestID: rand.Text(), Spec: spec}, rand.Text(), asked, s.Cloud.World.Account, s.Cloud.World.Region)
	if err != nil {
		return nil, err
	}
	if err := s.Bus.Publish(ctx, e); err != nil {
		return nil, err
	}
	run, err := s.AwaitRun(ctx, "cluster "+cluster, patience, func(r events.RunFinished) bool {
		return r.Function == "cluster" && r.Subject.Cluster == cluster && !r.FinishedAt.Before(asked)
	})
	if err != nil {
		return nil, err
	}
	if run.Outcome != events.OutcomeActive {
		return nil, fmt.Errorf("cluster %s was not created: %s: %s", cluster, run.Outcome, run.Reason)
	}
	return s.Admin(cluster)
}

// Admin opens a cluster with the administrator's certificate.
func (s *Scene) Admin(cluster string) (*kube.Client, error) {
	for _, info := range s.Cloud.Clusters() {
		if info.Name == cluster {
			return kube.FromKubeconfig(info.AdminKubeconfig)
		}
	}
	return nil, fmt.Errorf("the embedded cloud has no cluster %q", cluster)
}

// Interrupt has EC2 take a spot instance back and returns when the notice was on the bus.
func (s *Scene) Interrupt(instanceID string) (time.Time, error) {
	at := time.Now()
	return at, s.Cloud.EC2.Interrupt(instanceID, "terminate")
}

// Finished lists the finished runs that were reported so far.
func (s *Scene) Finished() []events.RunFinished {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.finished)
}
