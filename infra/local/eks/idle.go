package eks

import (
	"context"
	"encoding/base64"
	"sync"
)

// Idle launches control planes that do nothing: nobody answers at their endpoints, and their nodes are always well. It is
// for tests of what does not need Kubernetes, which takes minutes to build and seconds to start.
type Idle struct{}

// Launch makes one.
func (Idle) Launch(context.Context, Spec) (ControlPlane, error) {
	return &idlePlane{done: make(chan struct{})}, nil
}

// idlePlane may be stopped twice, as a real control plane may.
type idlePlane struct {
	done chan struct{}
	once sync.Once
}

func (*idlePlane) Endpoint() string                                  { return "https://127.0.0.1:1" }
func (*idlePlane) CAData() string                                    { return base64.StdEncoding.EncodeToString([]byte("none")) }
func (*idlePlane) AdminKubeconfig() string                           { return "" }
func (*idlePlane) PutNode(context.Context, Node) error               { return nil }
func (*idlePlane) DeleteNode(context.Context, string) error          { return nil }
func (*idlePlane) StopNode(context.Context, string) error            { return nil }
func (*idlePlane) StartNode(context.Context, string) error           { return nil }
func (*idlePlane) Upgrade(context.Context, string) error             { return nil }
func (*idlePlane) Cordon(context.Context, string) error              { return nil }
func (*idlePlane) Evict(context.Context, string, bool) (int, error)  { return 0, nil }
func (*idlePlane) Relabel(context.Context, string, NodeChange) error { return nil }
func (*idlePlane) Enforce(ctx context.Context, _ []Grant) error      { <-ctx.Done(); return ctx.Err() }
func (*idlePlane) Apply(context.Context, []Object, string) error     { return nil }
func (*idlePlane) Remove(context.Context, []Object) error            { return nil }
func (p *idlePlane) Stop() error                                     { p.once.Do(func() { close(p.done) }); return nil }
func (p *idlePlane) Done() <-chan struct{}                           { return p.done }
func (*idlePlane) Err() error                                        { return nil }

func (*idlePlane) Fargate(ctx context.Context, _ []FargateRules, _ FargateMachines) error {
	<-ctx.Done()
	return ctx.Err()
}
