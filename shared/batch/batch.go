// Package batch has those who ask for one thing each, at about the same time, share one call. A caller that gives up never
// takes the call from the others, and what is wrong with one thing is told to nobody but who asked for it.
package batch

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Answer is what was found out about one id.
type Answer[V any] struct {
	Value V
	Err   error
}

// Batcher gathers ids and reads them together. Its fields are set before the first Get.
type Batcher[V any] struct {
	// Read asks for many ids at once, none of them twice. An id that is missing in the result was not found. The error is
	// everybody's.
	Read func(ctx context.Context, ids []string) (map[string]Answer[V], error)
	// Missing is the error for an id that was not found.
	Missing func(id string) error
	// Most is how many ids one call may ask for.
	Most int
	// Wait is how long the first caller waits for others, at most. Who is alone (see With) waits for nobody, and once all
	// have asked the call is made.
	Wait time.Duration

	mu   sync.Mutex
	open *group[V] // takes more ids; nil when nobody waits
}

// group is the ids of one call.
type group[V any] struct {
	call[map[string]Answer[V]]
	ids   []string
	timer *time.Timer
}

// Get asks for one id. It returns no later than ctx ends.
func (b *Batcher[V]) Get(ctx context.Context, id string) (V, error) {
	b.mu.Lock()
	g := b.open
	if g == nil {
		g = &group[V]{call: begin[map[string]Answer[V]](ctx)}
		b.open = g
		g.timer = time.AfterFunc(b.Wait, func() { b.leave(g) })
	}
	g.join()
	if !slices.Contains(g.ids, id) {
		g.ids = append(g.ids, id)
	}
	if g.callers >= present(ctx) || len(g.ids) >= b.Most {
		b.dispatch(g)
	}
	b.mu.Unlock()

	var none V
	answers, err := g.await(ctx, &b.mu)
	if err != nil {
		return none, err
	}
	a, ok := answers[id]
	if !ok {
		return none, b.Missing(id)
	}
	return a.Value, a.Err
}

// leave makes a group's call when nobody else is waited for.
func (b *Batcher[V]) leave(g *group[V]) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open == g {
		b.dispatch(g)
	}
}

func (b *Batcher[V]) dispatch(g *group[V]) { // needs the lock
	b.open = nil
	g.timer.Stop()
	go g.run(func(ctx context.Context) (map[string]Answer[V], error) { return b.Read(ctx, g.ids) })
}

// Flight has those who want the same thing while it is being read share the read. Its zero value is ready. The answer may be
// as old as the read: it is for what may be a moment old.
type Flight[V any] struct {
	mu      sync.Mutex
	current map[string]*call[V]
}

// Do reads, or waits for the read of the key that is under way.
func (f *Flight[V]) Do(ctx context.Context, key string, read func(ctx context.Context) (V, error)) (V, error) {
	f.mu.Lock()
	c := f.current[key]
	if c == nil || c.ended() {
		began := begin[V](ctx)
		c = &began
		if f.current == nil {
			f.current = map[string]*call[V]{}
		}
		f.current[key] = c
		go func() {
			c.run(read)
			f.mu.Lock()
			defer f.mu.Unlock()
			if f.current[key] == c {
				delete(f.current, key)
			}
		}()
	}
	c.join()
	f.mu.Unlock()
	return c.await(ctx, &f.mu)
}

// call is one read that several wait for.
type call[V any] struct {
	ctx     context.Context // of the read: ends when all callers have gone, and not with any one of them
	cancel  context.CancelFunc
	callers int // guarded by the owner's lock
	done    chan struct{}
	value   V
	err     error
}

func begin[V any](ctx context.Context) call[V] {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	return call[V]{ctx: ctx, cancel: cancel, done: make(chan struct{})}
}

func (c *call[V]) join() { c.callers++ }

func (c *call[V]) run(read func(ctx context.Context) (V, error)) {
	defer close(c.done)
	defer c.cancel()
	defer func() {
		if p := recover(); p != nil { // here it would end the process; told to the callers it ends their records
			c.err = fmt.Errorf("panic in a read that is shared: %v", p)
		}
	}()
	c.value, c.err = read(c.ctx)
}

func (c *call[V]) await(ctx context.Context, mu *sync.Mutex) (V, error) {
	select {
	case <-c.done:
		return c.value, c.err
	case <-ctx.Done():
	}
	mu.Lock()
	defer mu.Unlock()
	if c.callers--; c.callers == 0 {
		c.cancel()
	}
	var none V
	return none, ctx.Err()
}

// ended tells whether the read is over, or is being given up because nobody waits for it.
func (c *call[V]) ended() bool { return c.ctx.Err() != nil }
