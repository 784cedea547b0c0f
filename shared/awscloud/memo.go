package awscloud

import (
	"context"
	"sync"
	"time"
)

// memo remembers what was read, for a while. Who asks for what is being read waits for that; errors are not remembered.
type memo[K comparable, V any] struct {
	lasts time.Duration
	now   func() time.Time

	mu    sync.Mutex
	items map[K]*remembered[V]
}

type remembered[V any] struct {
	turn  chan struct{} // has a place for the one who reads
	value V
	until time.Time
}

func newMemo[K comparable, V any](lasts time.Duration, now func() time.Time) *memo[K, V] {
	return &memo[K, V]{lasts: lasts, now: now, items: map[K]*remembered[V]{}}
}

// get gives what is remembered, or reads it.
func (m *memo[K, V]) get(ctx context.Context, key K, read func() (V, error)) (V, error) {
	m.mu.Lock()
	item := m.items[key]
	if item == nil {
		item = &remembered[V]{turn: make(chan struct{}, 1)}
		m.items[key] = item
	}
	m.mu.Unlock()
	select {
	case item.turn <- struct{}{}:
	case <-ctx.Done():
		var none V
		return none, ctx.Err()
	}
	defer func() { <-item.turn }()
	if m.now().Before(item.until) {
		return item.value, nil
	}
	value, err := read()
	if err == nil {
		item.value, item.until = value, m.now().Add(m.lasts)
	}
	return value, err
}
