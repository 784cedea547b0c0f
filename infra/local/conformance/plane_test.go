package conformance

import (
	"context"
	"encoding/base64"
	"errors"
	"sync"

	"github.com/ekspedite/ekspedite/infra/local/eks"
)

// planes stand in for Kubernetes: the suites test AWS's APIs, and building a control plane takes minutes.
type planes struct{}

func (planes) Launch(context.Context, eks.Spec) (eks.ControlPlane, error) {
	return &fakePlane{done: make(chan struct{})}, nil
}

type fakePlane struct {
	once sync.Once
	done chan struct{}
}

func (*fakePlane) Endpoint() string        { return "https://127.0.0.1:1" }
func (*fakePlane) CAData() string          { return base64.StdEncoding.EncodeToString([]byte("no certificate")) }
func (*fakePlane) AdminKubeconfig() string { return "" }

func (*fakePlane) PutNode(context.Context, eks.Node) error               { return nil }
func (*fakePlane) DeleteNode(context.Context, string) error              { return nil }
func (*fakePlane) StopNode(context.Context, string) error                { return nil }
func (*fakePlane) StartNode(context.Context, string) error               { return nil }
func (*fakePlane) Upgrade(context.Context, string) error                 { return nil }
func (*fakePlane) Cordon(context.Context, string) error                  { return nil }
func (*fakePlane) Evict(context.Context, string, bool) (int, error)      { return 0, nil }
func (*fakePlane) Relabel(context.Context, string, eks.NodeChange) error { return nil }

func (p *fakePlane) Stop() error           { p.once.Do(func() { close(p.done) }); return nil }
func (p *fakePlane) Done() <-chan struct{} { return p.done }
func (*fakePlane) Err() error              { return nil }

func (p *fakePlane) Enforce(ctx context.Context, _ []eks.Grant) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-p.done:
		return errors.New("stopped")
	}
}
func (p *fakePlane) Fargate(ctx context.Context, _ []eks.FargateRules, _ eks.FargateMachines) error {
	return p.Enforce(ctx, nil)
}
func (*fakePlane) Apply(context.Context, []eks.Object, string) error { return nil }
func (*fakePlane) Remove(context.Context, []eks.Object) error        { return nil }
