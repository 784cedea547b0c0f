package eks

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
)

// fakePlane is a control plane that remembers what it was told.
type fakePlane struct {
	mu      sync.Mutex
	spec    Spec
	nodes   map[string]Node
	events  []string
	done    chan struct{}
	blocked bool // no eviction succeeds
	upgrade error

	grants   []Grant
	applied  []Object
	conflict error // of everything that is applied with the mode NONE
}

func (p *fakePlane) note(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.events = append(p.events, fmt.Sprintf(format, args...))
}

func (p *fakePlane) Endpoint() string        { return "https://127.0.0.1:6443" }
func (p *fakePlane) CAData() string          { return "Q0E=" }
func (p *fakePlane) AdminKubeconfig() string { return p.spec.Dir + "/admin" }
func (p *fakePlane) PutNode(_ context.Context, n Node) error {
	p.note("put %s", n.Name)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.nodes[n.Name] = n
	return nil
}
func (p *fakePlane) DeleteNode(_ context.Context, name string) error {
	p.note("delete %s", name)
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.nodes, name)
	return nil
}
func (p *fakePlane) StopNode(_ context.Context, name string) error {
	p.note("stop %s", name)
	return nil
}
func (p *fakePlane) StartNode(_ context.Context, name string) error {
	p.note("start %s", name)
	return nil
}
func (p *fakePlane) Upgrade(_ context.Context, v string) error {
	p.note("upgrade %s", v)
	return p.upgrade
}
func (p *fakePlane) Stop() error           { p.note("stopped"); return nil }
func (p *fakePlane) Done() <-chan struct{} { return p.done }
func (p *fakePlane) Err() error            { return errors.New("killed") }
func (p *fakePlane) Cordon(_ context.Context, n string) error {
	p.note("cordon %s", n)
	return nil
}
func (p *fakePlane) Uncordon(_ context.Context, n string) error {
	p.note("uncordon %s", n)
	return nil
}

// said is what it was told so far.
func (p *fakePlane) said() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string{}, p.events...)
}

// cordoned are the nodes that were cordoned last and are still there.
func (p *fakePlane) cordoned() (names []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name := range p.nodes {
		last := ""
		for _, e := range p.events {
			if e == "cordon "+name || e == "uncordon "+name {
				last = e
			}
		}
		if last == "cordon "+name {
			names = append(names, name)
		}
	}
	return names
}
func (p *fakePlane) Evict(_ context.Context, n string, force bool) (int, error) {
	if p.blocked && !force {
		return 1, nil
	}
	p.note("evicted %s", n)
	return 0, nil
}
func (p *fakePlane) Relabel(_ context.Context, n string, c NodeChange) error {
	p.note("relabel %s %v", n, c.SetLabels)
	return nil
}

func (p *fakePlane) saw(event string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, e := range p.events {
		if strings.HasPrefix(e, event) {
			n++
		}
	}
	return n
}
